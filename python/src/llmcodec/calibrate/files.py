# SPDX-License-Identifier: BSD-3-Clause
"""The two files that `llmcodec compress` reads (docs/importance.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from llmcodec._safetensors import header_bytes

FORMAT_VERSION = 1
_Array = np.ndarray[Any, Any]


class ImatrixEntry(NamedTuple):
    """What is known of a weight's inputs and outputs, a row for each of its matrices."""

    in_sum2: _Array  # [matrices, columns]
    counts: _Array  # [matrices]
    out_sum2: _Array | None = None  # [matrices, rows]


def write_imatrix(path: str, entries: Mapping[str, ImatrixEntry], source: str, chunk_size: int) -> None:
    """llama.cpp's GGUF imatrix, with NAME.out_sum2 beside its NAME.in_sum2; it appears complete or not at all."""
    import gguf

    writer = gguf.GGUFWriter(path + ".partial", arch="")
    writer.kv_data[0].pop("general.architecture", None)  # as llama-imatrix, which writes none
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [source])
    writer.add_uint32("imatrix.chunk_count", max((int(e.counts.max()) for e in entries.values()), default=0) // chunk_size)
    writer.add_uint32("imatrix.chunk_size", chunk_size)
    for name, entry in sorted(entries.items()):
        writer.add_tensor(name + ".in_sum2", entry.in_sum2.astype(np.float32))
        if entry.out_sum2 is not None:
            writer.add_tensor(name + ".out_sum2", entry.out_sum2.astype(np.float32))
        writer.add_tensor(name + ".counts", entry.counts.astype(np.float32)[:, None])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(path + ".partial", path)


class MomentFile:
    """The safetensors file of second moments, written group by group in any order into a file of its final size.

    groups: name -> (columns, weights that read these inputs, number of inputs). What was written before stays when the
    same file is opened again.
    """

    def __init__(self, path: str, groups: Mapping[str, tuple[int, Sequence[str], int]], source: str) -> None:
        header: dict[str, Any] = {"__metadata__": _metadata(groups, source)}
        self._offsets, offset = {}, 0
        for name, (columns, _, _) in sorted(groups.items()):
            size = 4 * columns * columns
            header[name] = {"dtype": "F32", "shape": [columns, columns], "data_offsets": [offset, offset + size]}
            self._offsets[name] = (offset, columns)
            offset += size
        begin = header_bytes(header)
        self._start = len(begin)
        self._file = open(path, "r+b" if os.path.exists(path) else "w+b")  # noqa: SIM115
        self._file.write(begin)
        self._file.truncate(self._start + offset)

    def write(self, group: str, product: _Array) -> None:
        offset, columns = self._offsets[group]
        if product.shape != (columns, columns):
            raise ValueError(f"group {group}: {product.shape} instead of {columns} columns")
        self._file.seek(self._start + offset)
        self._file.write(np.ascontiguousarray(product, "<f4").tobytes())

    def sync(self) -> None:
        """What was written survives a crash."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _metadata(groups: Mapping[str, tuple[int, Sequence[str], int]], source: str) -> dict[str, str]:
    description = {
        "format_version": FORMAT_VERSION,
        "source": source,
        "samples": {name: count for name, (_, _, count) in groups.items()},
        "members": {name: list(members) for name, (_, members, _) in groups.items()},
    }
    return {"format": "llmcodec-moments", "llmcodec_moments": json.dumps(description)}
