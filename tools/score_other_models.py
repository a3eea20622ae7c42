#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Scores models other than the reference model at 2 and 3 bits per weight: llmcodec beside RTN and HQQ (tools/peers).

usage: score_other_models.py [--tiny-llama FOLDER] [--bits 2,3]        prints Markdown tables; needs torch, transformers, numpy, gguf, safetensors, and
this package (PYTHONPATH=build/release/python)

All weights are counted on both sides: RTN and HQQ (groups of 64) code every tensor of two dimensions and more that llmcodec
codes, the rest stays in 32 bits. Errors: 10 log10 of the energy of the weights over that of the error, over all coded weights;
and, for linear layers, of the outputs: sum of tr(W H W^T) over sum of tr(E H E^T), H = E[x x^T] of calibration inputs.
"""
import argparse
import datetime
import pathlib
import shutil
import sys

import numpy as np
import torch
from safetensors.numpy import load_file

from llmcodec.calibrate.files import ImatrixEntry, MomentFile, write_imatrix

import measure

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE / "other_models"))
import minilm  # noqa: E402
import silero_vad  # noqa: E402
import tiny_llama  # noqa: E402
from peers import hqq, rtn  # noqa: E402

GROUP = 64


class InputSums:
    """Of every weight the sum of x x^T over its inputs x, and their number."""

    def __init__(self):
        self.products, self.counts = {}, {}

    def add(self, weight, x):
        self.products[weight] = self.products.get(weight, 0) + x.T @ x
        self.counts[weight] = self.counts.get(weight, 0) + len(x)

    def mean(self, weight):
        return self.products[weight] / np.float32(self.counts[weight])


def inputs_of(runner):
    """InputSums of every nn.Linear on calibration data, under the weight's name; None without such layers."""
    if runner.model is None:
        return None
    sums, hooks = InputSums(), []
    for name, module in runner.model.named_modules():
        if isinstance(module, torch.nn.Linear):
            def observe(_, inputs, name=name):
                sums.add(name + ".weight", inputs[0].detach().reshape(-1, inputs[0].shape[-1]).numpy())
            hooks.append(module.register_forward_pre_hook(observe))
    runner.calibrate()
    for hook in hooks:
        hook.remove()
    return sums


def energy(matrix, moments):
    return float(np.sum((matrix @ moments) * matrix, dtype=np.float64))


def decibels(signal, noise):
    return f"{10 * np.log10(signal / noise):.2f}"


def errors(original, restored, coded, sums):
    pairs = [(original[name], original[name] - restored[name]) for name in coded]
    found = {"SNR dB": decibels(sum(np.sum(np.square(w, dtype=np.float64)) for w, _ in pairs),
                                sum(np.sum(np.square(e, dtype=np.float64)) for _, e in pairs))}
    if sums:
        linear = [name for name in coded if name in sums.counts]
        found["outputs dB"] = decibels(sum(energy(original[n], sums.mean(n)) for n in linear),
                                       sum(energy(original[n] - restored[n], sums.mean(n)) for n in linear))
    return found


class Bench:
    def __init__(self, module, folder, options):
        self.module, self.folder, self.options = module, folder, options
        self.work = options.work / f"{module.__name__}_scored"  # not in the model's folder, which is compressed as it is
        self.work.mkdir(parents=True, exist_ok=True)
        self.program = measure.find_program()
        self.original = load_file(str(folder / "model.safetensors"))
        self.runner = module.Runner(folder, self.floats(self.original), options)
        self.sums = inputs_of(self.runner)
        self.files = self.moment_files()

    @staticmethod
    def floats(tensors):
        return {name: value for name, value in tensors.items() if value.dtype == np.float32}

    def moment_files(self):
        if not self.sums:
            return {}
        imatrix, hessian = self.work / "inputs.imatrix.gguf", self.work / "inputs.hessian.safetensors"
        sums = self.sums
        entries = {name: ImatrixEntry(np.diag(product)[None], np.array([sums.counts[name]])) for name, product in sums.products.items()}
        write_imatrix(str(imatrix), entries, "calibration", 512)
        file = MomentFile(str(hessian), {name: (len(p), [name], sums.counts[name]) for name, p in sums.products.items()}, "calibration")
        for name in sums.products:
            file.write(name, sums.mean(name))
        file.close()
        return {"inputs known": ["--importance", imatrix], "closed loop": ["--importance", imatrix, "--hessian", hessian]}

    def row(self, method, bpw, restored, coded):
        restored = {**self.original, **restored}
        score = self.module.Runner(self.folder, self.floats(restored), self.options).score(self.runner)
        return {"method": method, "bpw": f"{bpw:.3f}", **errors(self.original, restored, coded, self.sums), **score}

    def ours(self, bits, method, arguments):
        archive, restored = self.work / "archive", self.work / "restored"
        for made in (archive, restored):
            shutil.rmtree(made, ignore_errors=True)
        result = measure.run_json([self.program, "compress", self.folder, "-o", archive, "--bpw", bits, *arguments])
        measure.run([self.program, "decompress", archive, "-o", restored])
        self.coded = [tensor["name"] for tensor in result["tensors"] if tensor["coded"]]
        return self.row(f"llmcodec, {method}", result["bpw"], load_file(str(restored / "model.safetensors")), self.coded)

    def peer(self, name, quantise, bits):
        restored, total = {}, 0
        for tensor, value in self.original.items():
            if tensor in self.coded:
                coded = quantise(value.reshape(len(value), -1), bits, GROUP)
                restored[tensor], cost = coded.values.reshape(value.shape), coded.bits
            else:
                cost = 8 * value.nbytes
            total += cost
        return self.row(f"{name}, groups of {GROUP}", total / sum(v.size for v in self.original.values()), restored, self.coded)

    def rows(self):
        found = []
        for bits in self.options.bits:
            found += [self.ours(bits, method, arguments) for method, arguments in {"weights alone": [], **self.files}.items()]
            found += [self.peer("RTN", rtn.quantise, bits), self.peer("HQQ", hqq.quantise, bits)]
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=lambda text: [int(b) for b in text.split(",")], default=[2, 3])
    parser.add_argument("--text", type=pathlib.Path, default=measure.ROOT / "build/tools/text/eval.txt", help="for sentence embeddings")
    parser.add_argument("--tiny-llama", type=pathlib.Path, help="folder with config.json and model.safetensors")
    parser.add_argument("--work", type=pathlib.Path, default=measure.ROOT / "build/other_models")
    options = parser.parse_args()
    for module in (minilm, silero_vad, tiny_llama):
        folder = module.fetch(options.work, options)
        if folder is None:
            continue
        rows = Bench(module, folder, options).rows()
        columns = [(title, lambda row, title=title: row[title]) for title in rows[0]]
        print(f"{module.NAME}, {measure.machine()}, {datetime.date.today()}\n\n{measure.table(rows, columns)}\n", flush=True)


if __name__ == "__main__":
    main()
