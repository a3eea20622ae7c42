#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a Hugging Face causal language model with transformers and writes how much inputs and outputs of its linear layers matter.

  collect_transformers.py model_folder --random --imatrix random.imatrix.gguf            no text: random token ids
  collect_transformers.py model_folder --text calibration.jsonl --imatrix c4.imatrix.gguf --hessian c4.safetensors

--imatrix FILE   E[x_j^2] in llama.cpp's GGUF imatrix format, for `llmcodec compress --importance FILE`, and E[g_i^2], the
                 squared gradients by the outputs, which llama.cpp ignores
--hessian FILE   E[w x x^T] as safetensors (docs/importance.md), for `llmcodec compress --importance FILE --hessian FILE`

Every torch.nn.Linear is observed; weights have their names in the folder's files. Layers that read the same tensor (q, k
and v; gate and up) form one group. Experts that are one fused parameter are no nn.Linear and are left out.
Needs torch, transformers, numpy, gguf, safetensors. Runs on the CPU in float32.
"""
import argparse
import os
import sys

import numpy as np
import torch
import transformers

import calibration
from moment_files import MomentSums, write_imatrix, write_moments


class LinearObserver:
    """Passes every call of an nn.Linear to observer(group, x, {weight: g}) once flush() is called after the backward pass.

    x [tokens, columns] are the inputs, g [tokens, rows] the gradients by the outputs, float32.
    """

    def __init__(self, model, observer):
        self.observer, self.members, self.group_of = observer, {}, {}
        self.calls = []  # (group, inputs, weight -> gradient)
        tied = model.config.tie_word_embeddings
        head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
        names = {module: name for name, module in model.named_modules()}
        for module, name in names.items():
            if isinstance(module, torch.nn.Linear):
                weight = names[embedding] if tied and module is head else name
                module.register_forward_hook(self.hook("output" if module is head else name, weight + ".weight"))

    def hook(self, name, weight):
        def observe(module, inputs, output):
            del module
            # The tensor of the call before: these modules form one group.
            shared = bool(self.calls) and inputs[0] is self.calls[-1][1]
            if name not in self.group_of:
                self.group_of[name] = self.calls[-1][0] if shared else name
                self.members.setdefault(self.group_of[name], []).append(weight)
            if self.group_of[name] == name:
                self.calls.append((name, inputs[0], {}))
            gradients = self.calls[-1][2]
            output.register_hook(lambda gradient: gradients.__setitem__(weight, flat(gradient)))

        return observe

    def flush(self):
        for group, inputs, gradients in self.calls:
            if inputs.numel() > 0:  # else an expert that no token chose
                self.observer(group, flat(inputs), gradients)
        self.calls.clear()


def flat(tensor):
    return tensor.detach().reshape(-1, tensor.shape[-1]).float().numpy()


def back_propagate(model, tokens, generator):
    """Gradients of the sum over all positions of -log p of a token drawn from the model (llama_gradients.py)."""
    embedded = model.get_input_embeddings()(tokens).detach().requires_grad_()
    logits = model(inputs_embeds=embedded, use_cache=False).logits[0]
    drawn = torch.multinomial(torch.softmax(logits.detach(), -1), 1, generator=generator)[:, 0]
    torch.nn.functional.cross_entropy(logits, drawn, reduction="sum").backward()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="Hugging Face folder of a causal language model")
    calibration.add_options(parser)
    arguments = calibration.parse(parser)
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
        chunks = calibration.random_chunks(model.config.vocab_size, arguments.chunks, arguments.length,
                                           np.random.default_rng(arguments.seed))
    else:
        tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)
        chunks = calibration.text_chunks(tokenizer.encode, arguments.text, arguments.chunks, arguments.length)
    sums = MomentSums(full=bool(arguments.hessian))
    model.requires_grad_(False)
    linear, generator = LinearObserver(model, sums), torch.Generator().manual_seed(arguments.seed)
    for index, chunk in enumerate(chunks):
        back_propagate(model, torch.from_numpy(chunk)[None], generator)
        linear.flush()
        if (index + 1) % 8 == 0 or index + 1 == len(chunks):
            print(f"{index + 1}/{len(chunks)} chunks", file=sys.stderr, flush=True)
    source = arguments.text or "random token ids"
    if arguments.imatrix:
        write_whole(write_imatrix, arguments.imatrix, sums, linear.members.get, source, arguments.length)
    if arguments.hessian:
        write_whole(write_moments, arguments.hessian, sums, linear.members.get, source)


if __name__ == "__main__":
    main()
