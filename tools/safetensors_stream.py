# SPDX-License-Identifier: BSD-3-Clause
"""Writes safetensors files in one pass, with every dtype of the format, from bytes or from functions that make them.

    write(path, [Entry("a.weight", "BF16", (4, 8), data), ...])

The safetensors package is the reader; numpy knows no BF16 or F8, so the writer is here.
"""
import dataclasses
import json
import os
import struct
from typing import Callable, Iterable, Union

import numpy as np

BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4,
         "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8}


@dataclasses.dataclass
class Entry:
    name: str
    dtype: str
    shape: tuple
    # The tensor's bytes, or a function that returns an iterable of pieces of them.
    data: Union[bytes, np.ndarray, Callable[[], Iterable]]

    def bytes(self):
        return int(np.prod(self.shape, dtype=np.uint64)) * BYTES[self.dtype]


def to_bf16(values):
    """float32 array -> uint16 array of bfloat16 bits, rounded to nearest even (finite input)."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (np.asarray(bits, dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)


def write(path, entries, metadata=None):
    """Writes `entries` in their order; the file appears under its name when it is complete."""
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for entry in entries:
        header[entry.name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [offset, offset + entry.bytes()]}
        offset += entry.bytes()
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".partial", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for entry in entries:
            pieces = entry.data() if callable(entry.data) else [entry.data]
            written = sum(out.write(np.ascontiguousarray(p).tobytes() if isinstance(p, np.ndarray) else p) for p in pieces)
            if written != entry.bytes():
                raise ValueError(f"{entry.name}: {written} bytes given, {entry.bytes()} expected")
    os.replace(path + ".partial", path)


def write_sharded(folder, entries, shard_bytes, metadata=None):
    """model-0000i-of-0000n.safetensors plus model.safetensors.index.json; one plain file if one shard is enough."""
    shards, size = [[]], 0
    for entry in entries:
        if shards[-1] and size + entry.bytes() > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(entry)
        size += entry.bytes()
    if len(shards) == 1:
        return write(os.path.join(folder, "model.safetensors"), shards[0], metadata)
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write(os.path.join(folder, name), shard, metadata)
        weight_map.update({entry.name: name for entry in shard})
    index = {"metadata": {"total_size": sum(e.bytes() for e in entries)}, "weight_map": weight_map}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as out:
        json.dump(index, out, indent=2)
    return None
