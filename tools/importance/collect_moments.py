#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a Llama-architecture GGUF model and writes how much the inputs and outputs of its linear layers matter.

  collect_moments.py model.gguf --text calibration.jsonl --imatrix c4.imatrix.gguf --hessian c4.hessian.safetensors
  collect_moments.py model.gguf --random --imatrix random.imatrix.gguf          no data at all: random token ids
  collect_moments.py model.gguf --self --hessian self.hessian.safetensors       text that the model writes itself

--imatrix FILE   E[x_j^2] in llama.cpp's GGUF imatrix format, for `llmcodec compress --importance FILE`, and E[g_i^2], the
                 squared gradients by the outputs, which llama.cpp ignores
--hessian FILE   E[w x x^T] as safetensors (docs/importance.md), for `llmcodec compress --importance FILE --hessian FILE`
Interrupted (Ctrl-C), it writes what was collected so far.

Needs numpy, gguf, safetensors, and tokenizers for --text. Speed on one core: about 7 s per chunk of 512 tokens of a
135M model.
"""
import argparse
import functools
import sys
import time

import numpy as np

import calibration
from llama_gradients import LlamaGradients, drawn
from llama_numpy import KvCache, LlamaModel, members, softmax
from moment_files import MomentSums, write_imatrix, write_moments


def text_chunks(model, path, chunks, length):
    from gguf_tokenizer import load_tokenizer

    tokenizer = load_tokenizer(model.fields)
    return calibration.text_chunks(lambda text: tokenizer.encode(text).ids, path, chunks, length)


def written_chunks(model, chunks, length, generator, temperature):
    """Sequences that the model writes itself, each from one random token."""
    vocabulary = model.tensors["token_embd.weight"].shape[0]
    tokens = np.empty((chunks, length), np.int64)
    tokens[:, 0] = generator.integers(0, vocabulary, chunks)
    cache = KvCache(model.shape, chunks, length)
    for position in range(1, length):
        hidden = model.forward(tokens[:, position - 1 : position], cache)
        tokens[:, position] = drawn(softmax(model.logits(hidden[:, -1]) / temperature), generator)
    return tokens


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="GGUF file, architecture llama, any type that gguf-py dequantises")
    source = calibration.add_options(parser)
    source.add_argument("--self", dest="own", action="store_true", help="text that the model writes itself")
    parser.add_argument("--temperature", type=float, default=1.0, help="of --self")
    return calibration.parse(parser)


def make_chunks(model, arguments):
    generator = np.random.default_rng(arguments.seed)
    if arguments.text:
        return text_chunks(model, arguments.text, arguments.chunks, arguments.length), arguments.text
    if arguments.random:
        vocabulary = model.tensors["token_embd.weight"].shape[0]
        return calibration.random_chunks(vocabulary, arguments.chunks, arguments.length, generator), "random token ids"
    chunks = written_chunks(model, arguments.chunks, arguments.length, generator, arguments.temperature)
    return chunks, "written by the model"


def collect(model, chunks, sums, generator):
    """Interrupted, the sums hold a whole number of chunks in all groups but perhaps the last chunk's."""
    gradients, losses, start = LlamaGradients(model), [], time.time()
    for index, chunk in enumerate(chunks):
        losses.append(gradients.run(chunk, generator, sums))
        if (index + 1) % 8 == 0 or index + 1 == len(chunks):
            print(f"{index + 1}/{len(chunks)} chunks, {time.time() - start:.0f} s, perplexity "
                  f"{np.exp(np.mean(losses)):.2f}", file=sys.stderr, flush=True)


def main():
    arguments = parse_arguments()
    model = LlamaModel.load(arguments.model)
    chunks, source = make_chunks(model, arguments)
    sums = MomentSums(full=bool(arguments.hessian))
    try:
        collect(model, chunks, sums, np.random.default_rng(arguments.seed))
    except KeyboardInterrupt:
        print("interrupted: writing what was collected", file=sys.stderr)
    names = functools.partial(members, tied=model.tied)
    if arguments.imatrix:
        write_imatrix(arguments.imatrix, sums, names, source, arguments.length)
    if arguments.hessian:
        write_moments(arguments.hessian, sums, names, source)


if __name__ == "__main__":
    main()
