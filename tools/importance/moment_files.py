# SPDX-License-Identifier: BSD-3-Clause
"""Second moments of inputs: summing them up, and the two files that `llmcodec compress` reads (docs/importance.md)."""
import json

import gguf
import numpy as np
import safetensors.numpy

FORMAT_VERSION = 1


class MomentSums:
    """What all tokens seen say about inputs and outputs, as observer of LlamaGradients or LinearObserver.

    squares[group] sum of x^2; outputs[weight] sum of g^2, heads apart (their rows are tokens: docs/decisions/024);
    full: products[group] sum of w x x^T, where w is the squared gradient at the token over its mean, averaged over the
    group's weights: a token whose outputs the answer does not depend on says nothing about which inputs matter.
    """

    def __init__(self, full):
        self.full = full
        self.squares, self.outputs, self.products, self.counts = {}, {}, {}, {}
        self.usual = {}  # weight -> mean squared gradient of a token, as the first sequence has it

    def __call__(self, group, x, gradients):
        add(self.squares, group, np.einsum("ij,ij->j", x, x))
        self.counts[group] = self.counts.get(group, 0) + len(x)
        weights = np.zeros(len(x), np.float32)
        for name, g in gradients.items():
            energy = np.einsum("ij,ij->i", g, g)
            weights += energy / (self.usual.setdefault(name, energy.mean()) * len(gradients))
            if group != "output":
                add(self.outputs, name, np.einsum("ij,ij->j", g, g))
        if self.full:
            add(self.products, group, (x * weights[:, None] if gradients else x).T @ x)

    def mean(self, group):
        return self.products[group] / np.float32(self.counts[group])


def add(sums, key, value):
    if key in sums:
        sums[key] += value
    else:
        sums[key] = value


def write_imatrix(path, sums, members, source, chunk_size):
    """llama.cpp's GGUF imatrix: NAME.in_sum2 and NAME.counts for every weight NAME of every group; NAME.out_sum2 too."""
    writer = gguf.GGUFWriter(path, arch="")
    writer.kv_data[0].pop("general.architecture", None)  # as llama-imatrix, which writes none
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [source])
    writer.add_uint32("imatrix.chunk_count", max(sums.counts.values()) // chunk_size)
    writer.add_uint32("imatrix.chunk_size", chunk_size)
    entries = sorted((name, group) for group in sums.squares for name in members(group))
    for name, group in entries:
        writer.add_tensor(name + ".in_sum2", sums.squares[group].astype(np.float32)[None, :])
        if name in sums.outputs:
            writer.add_tensor(name + ".out_sum2", sums.outputs[name].astype(np.float32)[None, :])
        writer.add_tensor(name + ".counts", np.array([[sums.counts[group]]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_moments(path, sums, members, source):
    """The safetensors file of docs/importance.md: mean of x x^T per group, and which weights read these inputs."""
    mapping = {group: members(group) for group in sums.products}
    tensors = {group: np.ascontiguousarray(sums.mean(group), np.float32) for group in sums.products}
    description = {
        "format_version": FORMAT_VERSION,
        "source": source,
        "samples": {group: int(count) for group, count in sums.counts.items()},
        "members": mapping,
    }
    metadata = {"format": "llmcodec-moments", "llmcodec_moments": json.dumps(description)}
    safetensors.numpy.save_file(tensors, path, metadata=metadata)
