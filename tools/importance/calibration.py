# SPDX-License-Identifier: BSD-3-Clause
"""What both collectors share: the tokens that a model is run on, and the options that say which and where to."""
import json

import numpy as np


def read_documents(path):
    """The texts of a .jsonl file (field "text"), or a plain text file as one."""
    with open(path, encoding="utf-8") as file:
        if path.endswith(".jsonl"):
            return [json.loads(line)["text"] for line in file if line.strip()]
        return [file.read()]


def text_chunks(encode, path, chunks, length):
    """At most `chunks` rows of `length` ids; encode(text) gives a text's ids."""
    ids = []
    for document in read_documents(path):
        ids += encode(document + "\n\n")
        if len(ids) >= chunks * length:
            break
    count = min(chunks, len(ids) // length)
    if count == 0:
        raise SystemExit(f"{path}: {len(ids)} tokens, less than one chunk of {length}")
    return np.array(ids[: count * length]).reshape(count, length)


def random_chunks(vocabulary, chunks, length, generator):
    """Ids of independent tokens. Vocabularies are sorted by frequency: Zipf-Mandelbrot's law stands in for a text's."""
    share = 1 / (np.arange(vocabulary) + 500)
    return generator.choice(vocabulary, (chunks, length), p=share / share.sum())


def add_options(parser):
    """Adds the options of both collectors; returns the group of sources, of which one must be given."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", metavar="FILE", help="text, or .jsonl with a field 'text'")
    source.add_argument("--random", action="store_true", help="random token ids, frequent ones more often")
    parser.add_argument("--imatrix", metavar="FILE")
    parser.add_argument("--hessian", metavar="FILE")
    parser.add_argument("--chunks", type=int, default=64)
    parser.add_argument("--length", type=int, default=512, help="tokens per chunk (default 512)")
    parser.add_argument("--seed", type=int, default=1)
    return source


def parse(parser):
    arguments = parser.parse_args()
    if not arguments.imatrix and not arguments.hessian:
        parser.error("nothing to write: give --imatrix, --hessian or both")
    return arguments
