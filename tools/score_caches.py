#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""KV cache and activations as plain tensors: llmcodec beside RTN, from 2 to 4 bits per element.

usage: score_caches.py MODEL.gguf TEXT [--bits 2,3,4]       prints a Markdown table; needs torch, transformers, gguf, safetensors

The model, run with transformers, reads SEQUENCES pieces of TEXT. Keys (rotated) and values of the first PREFIX
tokens of each are written as F16 matrices, a row per token and a column per channel, and so are the inputs of every layer's
feed-forward part. Cache: the last tokens of each piece are read with the restored cache; KL against the original cache.
RTN, all counted: values and activations in groups of 64 channels of a token, keys in groups of 64 tokens of a channel, as in
KIVI (arXiv 2402.02750).
"""
import argparse
import datetime
import pathlib

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

import measure

from peers import rtn

SEQUENCES, LENGTH, PREFIX, GROUP = 8, 512, 384, 64


def rows_per_token(cache):
    """[batch, heads, tokens, head] -> [batch * tokens, heads * head], F16."""
    return cache.transpose(1, 2).reshape(-1, cache.shape[1] * cache.shape[3]).numpy().astype(np.float16)


def cache_per_head(rows, heads):
    return torch.from_numpy(rows.astype(np.float32)).reshape(SEQUENCES, PREFIX, heads, -1).transpose(1, 2)


class CacheBench:
    def __init__(self, options):
        self.work, self.program = options.work, measure.find_program()
        self.work.mkdir(parents=True, exist_ok=True)
        place = {"pretrained_model_name_or_path": str(options.model.parent), "gguf_file": options.model.name}
        self.model = transformers.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32).eval()
        ids = transformers.AutoTokenizer.from_pretrained(**place).encode(options.text.read_text(encoding="utf-8"))
        self.tokens = torch.tensor(ids[: SEQUENCES * LENGTH]).reshape(SEQUENCES, LENGTH)
        self.cache = self.read_prefix()
        self.exact = self.distributions(self.cache)

    def read_prefix(self):
        self.activations, hooks = {}, []
        for number, layer in enumerate(self.model.model.layers):
            def keep(_, inputs, number=number):
                self.activations[f"layers.{number}.ffn_input"] = inputs[0].flatten(0, 1).numpy().astype(np.float16)
            hooks.append(layer.mlp.register_forward_pre_hook(keep))
        with torch.no_grad():
            cache = self.model(self.tokens[:, :PREFIX], use_cache=True, logits_to_keep=1).past_key_values
        for hook in hooks:
            hook.remove()
        tensors = {}
        for number, layer in enumerate(cache.layers):
            tensors[f"layers.{number}.keys"] = rows_per_token(layer.keys)
            tensors[f"layers.{number}.values"] = rows_per_token(layer.values)
        return tensors

    def distributions(self, tensors):
        """Log probabilities of the token after each but the last after the prefix, with `tensors` as the prefix's cache."""
        cache, heads = transformers.DynamicCache(), self.model.config.num_key_value_heads
        for layer in range(self.model.config.num_hidden_layers):
            cache.update(*(cache_per_head(tensors[f"layers.{layer}.{kind}"], heads) for kind in ("keys", "values")), layer)
        with torch.no_grad():
            return self.model(self.tokens[:, PREFIX:], past_key_values=cache).logits.log_softmax(-1)

    def divergence(self, tensors):
        other = self.distributions(tensors)
        kl = (self.exact.exp() * (self.exact - other)).sum(-1).mean(-1).numpy()
        return f"{kl.mean():.4f} ± {kl.std(ddof=1) / np.sqrt(SEQUENCES):.4f}"

    def ours(self, tensors, bits):
        source, archive, restored = (self.work / f"{name}.safetensors" for name in ("source", "archive", "restored"))
        save_file(tensors, str(source))
        report = measure.run_json([self.program, "compress", source, "-o", archive, "--restart", "--bpw", bits])
        restored.unlink(missing_ok=True)
        measure.run([self.program, "decompress", archive, "-o", restored])
        return report["bpw"], load_file(str(restored))

    def peer(self, tensors, bits):
        restored, cost = {}, 0
        for name, values in tensors.items():
            by_channel = name.endswith("keys")
            matrix = np.ascontiguousarray(values.T if by_channel else values, np.float32)
            coded = rtn.quantise(matrix, bits, GROUP)
            restored[name] = coded.values.T if by_channel else coded.values
            cost += coded.bits
        return cost / sum(v.size for v in tensors.values()), restored

    def rows(self, bits):
        for what, tensors in {"KV cache": self.cache, "activations": self.activations}.items():
            for method, code in {"llmcodec": self.ours, f"RTN, groups of {GROUP}": self.peer}.items():
                bpw, restored = code(tensors, bits)
                yield {"what": what, "method": method, "bpw": f"{bpw:.3f}", "SNR dB": decibels(tensors, restored),
                       "KL": self.divergence(restored) if what == "KV cache" else ""}


def decibels(tensors, restored):
    """Mean over tensors of 10 log10 of energy over error: they differ in size by orders of magnitude."""
    ratios = []
    for name, values in tensors.items():
        values, other = values.astype(np.float64), restored[name].astype(np.float64)
        ratios.append(10 * np.log10(np.sum(values**2) / np.sum((values - other) ** 2)))
    return f"{np.mean(ratios):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--bits", type=lambda text: [int(b) for b in text.split(",")], default=[2, 3, 4])
    parser.add_argument("--work", type=pathlib.Path, default=measure.ROOT / "build/caches")
    options = parser.parse_args()
    bench = CacheBench(options)
    rows = [row for bits in options.bits for row in bench.rows(bits)]
    columns = [(title, lambda row, title=title: row[title]) for title in rows[0]]
    print(f"{measure.machine()}, {datetime.date.today()}\n\n{measure.table(rows, columns)}")


if __name__ == "__main__":
    main()
