#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a Hugging Face causal language model with transformers and writes what its linear layers see.

  collect_transformers.py model_folder --random --imatrix random.imatrix.gguf            no text: random token ids
  collect_transformers.py model_folder --text calibration.jsonl --imatrix c4.imatrix.gguf --hessian c4.safetensors

--imatrix FILE   E[x_j^2] in llama.cpp's GGUF imatrix format, for `llmcodec compress --importance FILE`
--hessian FILE   E[x x^T] as safetensors (docs/importance.md), for `llmcodec compress --hessian FILE`

Every torch.nn.Linear is observed; weights have their names in the folder's files. Layers that read the same tensor (q, k
and v; gate and up) form one group. Experts that are one fused parameter are no nn.Linear and are left out.
Needs torch, transformers, numpy, gguf, safetensors. Runs on the CPU in float32.
"""
import argparse
import json
import os
import sys

import numpy as np
import torch
import transformers

from moment_files import MomentSums, write_imatrix, write_moments


class LinearInputs:
    """Forward hooks that pass the inputs of every nn.Linear to an observer(group, x), x [tokens, columns] float32."""

    def __init__(self, model, observer):
        self.observer, self.members, self.group_of = observer, {}, {}
        self.input, self.group = None, None
        tied = model.config.tie_word_embeddings
        head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
        names = {module: name for name, module in model.named_modules()}
        for module, name in names.items():
            if isinstance(module, torch.nn.Linear):
                weight = names[embedding] if tied and module is head else name
                module.register_forward_pre_hook(self.hook(name, weight + ".weight"))

    def hook(self, name, weight):
        def observe(module, inputs):
            del module
            # The tensor of the call before: these inputs are in the sums already.
            shared = inputs[0] is self.input
            if name not in self.group_of:
                self.group_of[name] = self.group if shared else name
                self.members.setdefault(self.group_of[name], []).append(weight)
            self.input, self.group = inputs[0], self.group_of[name]
            if self.group == name:
                self.observer(name, inputs[0].detach().reshape(-1, inputs[0].shape[-1]).float().numpy())

        return observe


def read_documents(path):
    """The texts of a .jsonl file (field "text"), or a plain text file as one."""
    with open(path, encoding="utf-8") as file:
        if path.endswith(".jsonl"):
            return [json.loads(line)["text"] for line in file if line.strip()]
        return [file.read()]


def text_chunks(folder, path, chunks, length):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = []
    for document in read_documents(path):
        ids += tokenizer.encode(document + "\n\n")
        if len(ids) >= chunks * length:
            break
    count = min(chunks, len(ids) // length)
    if count == 0:
        raise SystemExit(f"{path}: {len(ids)} tokens, less than one chunk of {length}")
    return np.array(ids[: count * length]).reshape(count, length)


def random_chunks(vocabulary, chunks, length, seed):
    """Ids of independent tokens by Zipf-Mandelbrot's law, as collect_moments.py draws them."""
    share = 1 / (np.arange(vocabulary) + 500)
    return np.random.default_rng(seed).choice(vocabulary, (chunks, length), p=share / share.sum())


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="Hugging Face folder of a causal language model")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", metavar="FILE", help="text, or .jsonl with a field 'text'")
    source.add_argument("--random", action="store_true", help="random token ids, frequent ones more often")
    parser.add_argument("--imatrix", metavar="FILE")
    parser.add_argument("--hessian", metavar="FILE")
    parser.add_argument("--chunks", type=int, default=64)
    parser.add_argument("--length", type=int, default=512, help="tokens per chunk (default 512)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.imatrix and not arguments.hessian:
        parser.error("nothing to write: give --imatrix, --hessian or both")
    if not os.path.isfile(os.path.join(arguments.folder, "config.json")):
        parser.error(f"{arguments.folder}: no folder with a config.json")
    return arguments


def write_whole(write, path, *values):
    """The file appears complete or not at all."""
    write(path + ".partial", *values)
    os.replace(path + ".partial", path)


def main():
    arguments = parse_arguments()
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.folder, torch_dtype=torch.float32).eval()
    if arguments.random:
        chunks = random_chunks(model.config.vocab_size, arguments.chunks, arguments.length, arguments.seed)
    else:
        chunks = text_chunks(arguments.folder, arguments.text, arguments.chunks, arguments.length)
    sums = MomentSums(full=bool(arguments.hessian))
    inputs = LinearInputs(model, sums)
    with torch.no_grad():
        for index, chunk in enumerate(chunks):
            model(torch.from_numpy(chunk)[None], use_cache=False)
            if (index + 1) % 8 == 0 or index + 1 == len(chunks):
                print(f"{index + 1}/{len(chunks)} chunks", file=sys.stderr, flush=True)
    source = arguments.text or "random token ids"
    if arguments.imatrix:
        write_whole(write_imatrix, arguments.imatrix, sums, inputs.members.get, source, arguments.length)
    if arguments.hessian:
        write_whole(write_moments, arguments.hessian, sums, inputs.members.get, source)


if __name__ == "__main__":
    main()
