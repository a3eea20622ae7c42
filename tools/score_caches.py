#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""KV cache and activations as plain tensors: llmcodec beside RTN, from 2 to 4 bits per element.

usage: score_caches.py MODEL.gguf TEXT [--bits 2,3,4]       prints a Markdown table; needs numpy, gguf, safetensors, tokenizers

The model (of the Llama architecture, run with numpy) reads SEQUENCES pieces of TEXT. Keys (rotated) and values of the first PREFIX
tokens of each are written as F16 matrices, a row per token and a column per channel, and so are the inputs of every layer's
feed-forward part. Cache: the last tokens of each piece are read with the restored cache; KL against the original cache.
RTN, all counted: values and activations in groups of 64 channels of a token, keys in groups of 64 tokens of a channel, as in
KIVI (arXiv 2402.02750).
"""
import argparse
import datetime
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

import measure

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE / "importance"))
from calibration import text_chunks  # noqa: E402
from gguf_tokenizer import load_tokenizer  # noqa: E402
from llama_numpy import KvCache, LlamaModel  # noqa: E402
from peers import rtn  # noqa: E402

SEQUENCES, LENGTH, PREFIX, GROUP = 8, 512, 384, 64


def rows_per_token(cache):
    """[batch, heads, tokens, head] -> [batch * tokens, heads * head]."""
    return cache.transpose(0, 2, 1, 3).reshape(-1, cache.shape[1] * cache.shape[3])


def cache_per_head(rows, heads):
    return rows.reshape(SEQUENCES, PREFIX, heads, -1).transpose(0, 2, 1, 3)


def log_softmax(logits):
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


class Recorder(LlamaModel):
    """Keeps the inputs of the feed-forward parts."""

    def _feed_forward(self, layer, x):
        self.inputs[f"layers.{layer}.ffn_input"] = self._norm(x, f"blk.{layer}.ffn_norm.weight").reshape(-1, self.shape.width)
        return super()._feed_forward(layer, x)


class CacheBench:
    def __init__(self, options):
        self.work, self.program = options.work, measure.find_program()
        self.work.mkdir(parents=True, exist_ok=True)
        loaded = LlamaModel.load(str(options.model))
        self.model = Recorder(loaded.shape, loaded.tensors, loaded.fields)
        self.model.inputs = {}
        tokenizer = load_tokenizer(loaded.fields)
        self.tokens = text_chunks(lambda text: tokenizer.encode(text).ids, str(options.text), SEQUENCES, LENGTH)
        self.cache = self.read_prefix()
        self.exact = self.distributions(self.cache)

    def read_prefix(self):
        cache = KvCache(self.model.shape, SEQUENCES, LENGTH)
        self.model.forward(self.tokens[:, :PREFIX], cache)
        self.activations = {name: values.astype(np.float16) for name, values in self.model.inputs.items()}
        tensors = {}
        for layer in range(self.model.shape.layers):
            tensors[f"layers.{layer}.keys"] = rows_per_token(cache.keys[layer, :, :, :PREFIX]).astype(np.float16)
            tensors[f"layers.{layer}.values"] = rows_per_token(cache.values[layer, :, :, :PREFIX]).astype(np.float16)
        return tensors

    def distributions(self, tensors):
        """Log probabilities of the token after each but the last after the prefix, with `tensors` as the prefix's cache."""
        cache, heads = KvCache(self.model.shape, SEQUENCES, LENGTH), self.model.shape.kv_heads
        for layer in range(self.model.shape.layers):
            cache.keys[layer, :, :, :PREFIX] = cache_per_head(tensors[f"layers.{layer}.keys"].astype(np.float32), heads)
            cache.values[layer, :, :, :PREFIX] = cache_per_head(tensors[f"layers.{layer}.values"].astype(np.float32), heads)
        cache.used = PREFIX
        return log_softmax(self.model.logits(self.model.forward(self.tokens[:, PREFIX:], cache)))

    def divergence(self, tensors):
        other = self.distributions(tensors)
        kl = (np.exp(self.exact) * (self.exact - other)).sum(-1).reshape(SEQUENCES, -1).mean(-1)
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
