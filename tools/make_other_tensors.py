#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes small real tensors that are no weights of a language model's layers, for `llmcodec compare`: one safetensors file.

usage: make_other_tensors.py MODEL.gguf TEXT OUT.safetensors [--steps 12]      needs torch, transformers, gguf, safetensors

MODEL, run by transformers, reads TEXT: keys and values of its cache and the inputs of its feed-forward parts are taken, a row per
token, in F16. Then it learns TEXT for some steps, by LoRA factors of rank 64 in two layers and by AdamW on a whole matrix of
each: the factors, the last gradients, and both moments that AdamW keeps are taken, in F32. Besides: 4,096 rows of the embedding,
and the convolutions that Silero VAD has learnt (a PyPI wheel). Names say what each is, and of which layer.
"""
import argparse
import pathlib
import sys

import numpy as np
import torch
import transformers
from safetensors.numpy import load, save_file

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "other_models"))
import silero_vad  # noqa: E402
import wheels  # noqa: E402

PIECES, LENGTH, RANK, EMBEDDING_ROWS = 4, 256, 64, 4096
RATE = {"lora": 1e-3, "whole": 1e-4}


class LoraLinear(torch.nn.Module):
    """A layer beside which B A x is added: A random, B zero at the start, as LoRA (arXiv 2106.09685) has it."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.a = torch.nn.Parameter(torch.randn(RANK, layer.in_features) / layer.in_features**0.5)
        self.b = torch.nn.Parameter(torch.zeros(layer.out_features, RANK))

    def forward(self, x):
        return self.layer(x) + x @ self.a.T @ self.b.T


def run(model, tokens, layers):
    """Cache and activations of these layers while the model reads."""
    found, hooks = {}, []
    for number in layers:
        def keep(_, inputs, number=number):
            found[f"activations.{number}.ffn_input"] = inputs[0].flatten(0, 1)
        hooks.append(model.model.layers[number].mlp.register_forward_pre_hook(keep))
    with torch.no_grad():
        cache = model(tokens, use_cache=True, logits_to_keep=1).past_key_values
    for hook in hooks:
        hook.remove()
    for number in layers:
        for kind in ("keys", "values"):
            tensor = getattr(cache.layers[number], kind)  # [batch, heads, tokens, head]
            found[f"cache.{number}.{kind}"] = tensor.transpose(1, 2).flatten(0, 1).flatten(1)
    return {name: tensor.half().numpy() for name, tensor in found.items()}


def train(model, tokens, steps, layers):
    """LoRA factors, gradients and AdamW's moments after some steps on one piece after the other."""
    model.requires_grad_(False)
    lora, whole = {}, {}
    for number in layers:
        block = model.model.layers[number].self_attn
        block.o_proj = LoraLinear(block.o_proj)
        lora[f"lora.{number}.o_proj.a"], lora[f"lora.{number}.o_proj.b"] = block.o_proj.a, block.o_proj.b
        whole[f"{number}.gate_proj"] = model.model.layers[number].mlp.gate_proj.weight.requires_grad_(True)
    optimizer = torch.optim.AdamW([{"params": list(lora.values()), "lr": RATE["lora"]}, {"params": list(whole.values()), "lr": RATE["whole"]}])
    for step in range(steps):
        optimizer.zero_grad()
        loss = model(tokens[step % len(tokens)][None], labels=tokens[step % len(tokens)][None]).loss
        loss.backward()
        optimizer.step()
        print(f"step {step + 1} of {steps}: {loss.item():.3f}", flush=True)
    made = dict(lora)
    for name, weight in whole.items():
        state = optimizer.state[weight]
        made |= {f"gradient.{name}": weight.grad, f"adam_m.{name}": state["exp_avg"], f"adam_v.{name}": state["exp_avg_sq"]}
    return {name: tensor.detach().float().numpy() for name, tensor in made.items()}


def embedding(model):
    rows = model.get_input_embeddings().weight.detach()
    return {"embedding": rows[:: len(rows) // EMBEDDING_ROWS][:EMBEDDING_ROWS].half().numpy()}


def convolutions():
    tensors = load(wheels.member(*silero_vad.WHEEL, "silero_vad/data/silero_vad_16k.safetensors").read())
    return {f"convolution.{name[4]}.weight": tensors[name] for name in (f"conv{number}.weight" for number in range(1, 5))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=12, help="of training (default 12)")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(1)
    if options.threads:
        torch.set_num_threads(options.threads)
    place = {"pretrained_model_name_or_path": str(options.model.parent), "gguf_file": options.model.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32).eval()
    text = options.text.read_text(encoding="utf-8")[: 16 * PIECES * LENGTH]
    tokens = torch.tensor(transformers.AutoTokenizer.from_pretrained(**place).encode(text)[: PIECES * LENGTH]).reshape(PIECES, LENGTH)
    depth = model.config.num_hidden_layers
    layers = (depth // 4, 3 * depth // 4)
    tensors = {**embedding(model), **convolutions(), **run(model, tokens, layers), **train(model, tokens, options.steps, layers)}
    save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, str(options.output), {"format": "pt"})
    for name, values in tensors.items():
        print(f"{name}: {values.dtype} {list(values.shape)}")


if __name__ == "__main__":
    main()
