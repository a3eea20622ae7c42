# SPDX-License-Identifier: BSD-3-Clause
"""Second moments of inputs: summing them up, and the two files that `llmcodec compress` reads (docs/importance.md)."""
import json

import gguf
import numpy as np
import safetensors.numpy

FORMAT_VERSION = 1


class MomentSums:
    """Sum of x x^T (full) or of x^2 (not full) per group, and how many x were seen. Use as an observer."""

    def __init__(self, full):
        self.full, self.sums, self.counts = full, {}, {}

    def __call__(self, group, x):
        product = x.T @ x if self.full else np.einsum("ij,ij->j", x, x)
        if group in self.sums:
            self.sums[group] += product
        else:
            self.sums[group] = product
        self.counts[group] = self.counts.get(group, 0) + x.shape[0]

    def diagonal_sums(self, group):
        return np.diag(self.sums[group]) if self.full else self.sums[group]

    def mean(self, group):
        return self.sums[group] / np.float32(self.counts[group])


def write_imatrix(path, sums, members, source, chunk_size):
    """llama.cpp's GGUF imatrix: NAME.in_sum2 and NAME.counts for every weight NAME of every group."""
    writer = gguf.GGUFWriter(path, arch="")
    writer.kv_data[0].pop("general.architecture", None)  # as llama-imatrix, which writes none
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [source])
    writer.add_uint32("imatrix.chunk_count", max(sums.counts.values()) // chunk_size)
    writer.add_uint32("imatrix.chunk_size", chunk_size)
    entries = sorted((name, group) for group in sums.sums for name in members(group))
    for name, group in entries:
        writer.add_tensor(name + ".in_sum2", sums.diagonal_sums(group).astype(np.float32)[None, :])
        writer.add_tensor(name + ".counts", np.array([[sums.counts[group]]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_moments(path, sums, members, source):
    """The safetensors file of docs/importance.md: mean of x x^T per group, and which weights read these inputs."""
    mapping = {group: members(group) for group in sums.sums}
    tensors = {group: np.ascontiguousarray(sums.mean(group), np.float32) for group in sums.sums}
    description = {
        "format_version": FORMAT_VERSION,
        "source": source,
        "samples": {group: int(count) for group, count in sums.counts.items()},
        "members": mapping,
    }
    metadata = {"format": "llmcodec-moments", "llmcodec_moments": json.dumps(description)}
    safetensors.numpy.save_file(tensors, path, metadata=metadata)
