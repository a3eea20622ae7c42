#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Decodes an llmcodec archive with numpy, zstd and an ffmpeg process alone, written from docs/format.md.

usage: independent_decode.py ARCHIVE [-o OUT.safetensors] [--tensor NAME] [--compare RESTORED.safetensors]

ARCHIVE is a file or a folder of shards. Coded tensors come out as F32, others as they are stored. --compare checks them
value by value (bit by bit) against what `llmcodec decompress --dtype f32` wrote, and exits 1 at the first difference.
It is slow and plain on purpose: a second description of the format that runs.
"""
import argparse
import glob
import json
import os
import re
import subprocess

import numpy as np

import safetensors_stream as st
import zstandard

NUMPY = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16,
         "U32": np.uint32, "I32": np.int32, "U64": np.uint64, "I64": np.int64, "BF16": np.uint16, "BOOL": np.uint8,
         "F8_E4M3": np.uint8, "F8_E5M2": np.uint8, "F8_E8M0": np.uint8}
DEMUXER = {"h266": "vvc", "jxl": "jpegxl_pipe", "j2k": "j2k_pipe"}  # streams that FFmpeg's demuxers call otherwise
f32 = np.float32


def read_safetensors(path):
    """{name: (dtype, array)} and the metadata; arrays are mapped, BF16 and F8 stay bits."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    metadata, tensors = header.pop("__metadata__", {}), {}
    data = np.memmap(path, np.uint8, "r", offset=0)
    for name, info in header.items():
        first, last = (8 + size + offset for offset in info["data_offsets"])
        tensors[name] = (info["dtype"], data[first:last].view(NUMPY[info["dtype"]]).reshape(info["shape"]))
    return tensors, metadata


# --- streams to samples (format 2.6) -------------------------------------------------------------------------------

def ffmpeg_pictures(stream, container, depth):
    """Luma planes of every picture in `depth` bits, as arrays (height, width), untouched by any conversion."""
    command = [os.environ.get("LLMCODEC_FFMPEG", "ffmpeg"), "-v", "error", "-threads", "1", "-f", DEMUXER.get(container, container),
               "-i", "pipe:0", "-fps_mode", "passthrough", "-vf", "extractplanes=y", "-strict", "-1", "-f", "yuv4mpegpipe", "pipe:1"]
    out = subprocess.run(command, input=stream, stdout=subprocess.PIPE, check=True).stdout
    header, _, rest = out.partition(b"\n")
    fields = {part[:1]: part[1:].decode() for part in header.split()[1:] if part[:1] != b"X"}
    shape = (int(fields[b"H"]), int(fields[b"W"]))
    stream_depth = int(fields[b"C"].removeprefix("mono") or 8)
    kind = np.uint8 if stream_depth == 8 else np.dtype("<u2")
    frame = shape[0] * shape[1] * np.dtype(kind).itemsize
    shift = stream_depth - depth  # a deeper stream holds samples * 2^shift
    while rest:
        head, _, rest = rest.partition(b"\n")
        assert head.startswith(b"FRAME")
        samples = np.frombuffer(rest[:frame], kind).reshape(shape).astype(np.int64)
        yield np.minimum((samples + (1 << shift >> 1)) >> shift, (1 << depth) - 1)
        rest = rest[frame:]


def raw_pictures(stream, count, width, height, depth):
    bits = np.unpackbits(np.frombuffer(stream, np.uint8), bitorder="little")[:count * width * height * depth]
    return list((bits.reshape(-1, depth) << np.arange(depth, dtype=np.int64)).sum(axis=1).reshape(count, height, width))


def segment_pictures(codec, stream, count, width, height, depth):
    if codec["stream"] == "raw":
        return raw_pictures(stream, count, width, height, depth)
    pictures = list(ffmpeg_pictures(stream, codec["stream"], depth))
    assert len(pictures) == count, f"{len(pictures)} pictures, {count} expected"
    return [picture[:height, :width] for picture in pictures]


def all_pictures(codec, bitstream, matrices, per_matrix, shape, depth):
    """The pictures of all matrices; `shape` is (width, height). A segment never crosses matrices."""
    pictures, offset = [], 0
    for number, size in enumerate(codec["segments"]):
        first = number * codec["pictures"] % (-(-per_matrix // codec["pictures"]) * codec["pictures"])
        count = min(codec["pictures"], per_matrix - first)
        pictures += segment_pictures(codec, bitstream[offset:offset + size].tobytes(), count, *shape, depth)
        offset += size
    assert len(pictures) == matrices * per_matrix
    return pictures


# --- spatial layout (2.2, 2.3) -------------------------------------------------------------------------------------

def matrices_of(pictures, layout, matrices, width, height):
    """Pictures (outputs, inputs) of `width` x `height` weights put together: (matrices, all outputs, all inputs)."""
    across, down = layout["cuts"]
    grid = np.array(pictures).reshape(matrices, down, across, width, height).transpose(0, 2, 3, 1, 4)
    return grid.reshape(matrices, across * width, down * height)


def spatial(stages, bitstream, matrices, rows, cols):
    layout, affine = stages["layout"], stages["affine"]
    (width, height), (across, down) = layout["picture"], layout["cuts"]
    pictures = all_pictures(stages["codec"], bitstream, matrices, across * down, (width, height), affine["bit_depth"])
    q = matrices_of([p.T for p in pictures], layout, matrices, width, height)[:, :rows, :cols]
    return (q - affine["zero"]).astype(f32) * f32(affine["step"])


# --- spectral layout (2.4): weights are transform coefficients -----------------------------------------------------

def dct_matrix():
    """The integer DCT-II of H.266 8.7.4.2 for 32 points: row = frequency."""
    c = [64, 90, 90, 90, 89, 88, 87, 85, 83, 82, 80, 78, 75, 73, 70, 67, 64, 61, 57, 54, 50, 46, 43, 38, 36, 31, 25, 22, 18, 13, 9, 4]

    def value(angle):  # of 64 * sqrt(2) * cos(angle * pi / 64), as the standard rounds it
        angle = min(angle % 128, 128 - angle % 128)
        return c[angle] if angle < 32 else -c[64 - angle]

    return np.array([[value((2 * n + 1) * k) for n in range(32)] for k in range(32)], dtype=np.float64)


def diagonal_scan(side):
    """(x, y) of an up-right diagonal scan: each diagonal starts at its bottom left."""
    return [(d - y, y) for d in range(2 * side - 1) for y in range(min(d, side - 1), max(-1, d - side), -1)]


def scan_32():
    """Flat index y * 32 + x of every scan position (H.266 6.5.2, sub-blocks of 4x4)."""
    return np.array([(4 * sy + y) * 32 + 4 * sx + x for sx, sy in diagonal_scan(8) for x, y in diagonal_scan(4)])


def dc_prediction(picture, depth):
    """Prediction of every 32x32 block from its decoded neighbours: DC with PDPC (H.266 8.4.5.2), (by, bx, 32, 32)."""
    down, across = picture.shape[0] // 32, picture.shape[1] // 32
    blocks = picture.reshape(down, 32, across, 32).swapaxes(1, 2)
    top, left = np.empty((down, across, 32), np.int64), np.empty((down, across, 32), np.int64)
    top[1:], left[:, 1:] = blocks[:-1, :, 31, :], blocks[:, :-1, :, 31]
    # A missing side repeats the nearest sample of the other (8.4.5.2.8); the first block has neither.
    top[0], left[:, 0] = left[0, :, :1], top[:, 0, :1]
    top[0, 0] = left[0, 0] = 1 << (depth - 1)
    dc = ((top.sum(axis=-1) + left.sum(axis=-1) + 32) >> 6)[..., None, None]
    weight = 32 >> np.minimum(31, 2 * np.arange(32) >> 2)
    return dc + ((weight * (left[..., :, None] - dc) + weight[:, None] * (top[..., None, :] - dc) + 32) >> 6)


def coefficient_unit(qp, depth):
    """What the scaling process (H.266 8.7.3) makes of index 1, before rounding."""
    scaled = qp + 6 * (depth - 8) + 1
    return 16 * ([40, 45, 51, 57, 64, 72][scaled % 6] << (scaled // 6)) / 2 ** (depth + 1)


STRIP_QP_UUID = bytes.fromhex("6c6c6d636f644563ae73747269705150")


def strip_qps(stream, strips, slice_qp):
    """The QP of every row of blocks: from the SEI message with this UUID, or that of the slice where there is none."""
    at = stream.find(STRIP_QP_UUID)
    return np.full(strips, slice_qp) if at < 0 else np.frombuffer(stream, np.uint8, strips, at + 16).astype(np.int64) - 64


def coefficient_signs(count):
    """-1 where the maximum length sequence of format.md has a 1."""
    bits = [1, 0, 1, 1, 0, 1, 0, 0, 1, 1]
    while len(bits) < count:
        bits.append(bits[-3] ^ bits[-10])
    return 1 - 2 * np.array(bits[:count])


def block_indices(picture, m, qps, depth):
    """The indices of one picture, their signs undone, as (outputs, inputs); qps: one QP per row of blocks."""
    down, across = picture.shape[0] // 32, picture.shape[1] // 32
    inverse = np.linalg.inv(dct_matrix().T)
    blocks = picture.reshape(down, 32, across, 32).swapaxes(1, 2) - dc_prediction(picture, depth)
    coefficients = (inverse @ blocks @ inverse.T * 2.0 ** (27 - depth)).reshape(down, across, 1024)
    units = np.array([coefficient_unit(int(qp), depth) for qp in qps]).reshape(down, 1, 1)
    index = np.rint(coefficients[:, :, scan_32()[1:1 + 32 * m]] / units).astype(np.int64)
    weights = (index * coefficient_signs(32 * m)).reshape(down, across, 32, m)
    return weights.transpose(1, 3, 0, 2).reshape(across * m, down * 32)


def spectral(stages, bitstream, matrices, rows, cols):
    layout, codec, depth = stages["layout"], stages["codec"], 10
    (wide, high), (across, down) = layout["blocks"], layout["cuts"]
    m = layout["coefficients"] // 32
    if lines := layout.get("lines"):
        assert (lines, stages["scales"]["kind"]) in (("rows", "row"), ("columns", "column")) and "order" not in stages["scales"], lines
        count, length = (rows, cols) if lines == "rows" else (cols, rows)
        pieces = -(-length // 32)
        rows, cols = pieces, 32 * count
    pictures = all_pictures(codec, bitstream, matrices, across * down, (32 * wide, 32 * high), depth)
    ends = np.cumsum(codec["segments"])  # a segment is one picture
    streams = [bitstream[end - size:end].tobytes() for end, size in zip(ends, codec["segments"])]
    indices = [block_indices(picture, m, strip_qps(stream, high, int(codec["quality"])), depth) for picture, stream in zip(pictures, streams)]
    u = matrices_of(indices, layout, matrices, wide * m, high * 32)[:, :rows, :cols].astype(f32) * f32(layout["step"])
    if not lines:
        return u
    u = u.reshape(matrices, pieces, count, 32)[..., :-(-length // pieces)].swapaxes(1, 2).reshape(matrices, count, -1)[..., :length]
    return u if lines == "rows" else u.swapaxes(1, 2)


# --- scales, zeros, outliers (2.1) ---------------------------------------------------------------------------------

def scale_values(codes, parameters):
    """Codes (matrices, ...) to scales; parameters: [base, per_octave] of all matrices, or a list of one such per matrix."""
    pairs = np.array(parameters, dtype=np.float64).reshape(-1, 2)
    shape = (-1,) + (1,) * (codes.ndim - 1)
    base, per_octave = pairs[:, 0].astype(f32).reshape(shape), pairs[:, 1].astype(np.int64).reshape(shape)
    table = np.exp2(np.arange(32) / 32).astype(f32)
    values = np.ldexp(base * table[codes % per_octave * (32 // per_octave)], codes // per_octave)
    return np.where(codes == 0, f32(0), values.astype(f32))


def undo_order(u, column_codes):
    """Columns were coded by rising code."""
    for matrix, codes in enumerate(column_codes):
        order = np.argsort(codes, kind="stable")
        restored = np.empty_like(u[matrix])
        restored[:, order] = u[matrix]
        u[matrix] = restored


def undo_scales(stage, part, u):
    matrices, rows, cols = u.shape
    kind, _, group = stage["kind"].partition(":")
    groups = np.arange(cols) // int(group or stage.get("group", cols))

    def codes(name, *shape):
        return part(name).astype(np.int64).reshape(matrices, *shape)

    if stage.get("order") == "col_scale":
        undo_order(u, codes("col_scale", cols))
    elif stage.get("order") == "col_class":
        undo_order(u, codes("col_scale", cols) % 8)
    if stage.get("zero"):
        zero = part("zero").view(np.float16).astype(f32)
        u = u + {"tensor": lambda: zero.reshape(-1, 1, 1), "column": lambda: zero.reshape(matrices, 1, cols),
                 "group": lambda: zero.reshape(matrices, rows, -1)[:, :, groups]}.get(kind, lambda: zero.reshape(matrices, rows, 1))()
    if kind == "tensor":
        return u * np.atleast_1d(stage["scale"]).astype(f32).reshape(-1, 1, 1)
    if kind == "group":
        return u * scale_values(codes("group_scale", rows, groups[-1] + 1), stage["codes"])[:, :, groups]
    factor = f32(1)
    if kind in ("row", "dual"):
        factor = factor * scale_values(codes("row_scale", rows, 1), stage["row"])
    if kind in ("column", "dual"):
        factor = factor * scale_values(codes("col_scale", 1, cols), stage["col"])
    return u * factor


def unique(pairs):
    """A JSON object, no key of which may be there twice (2)."""
    assert len(dict(pairs)) == len(pairs), f"a key twice among {[key for key, _ in pairs][:9]}"
    return dict(pairs)


def check_taken(name, info, stage):
    """No part may be there that no stage takes (3)."""
    scales = {"row": {"row_scale"}, "column": {"col_scale"}, "dual": {"row_scale", "col_scale"}, "tensor": set()}.get(stage["kind"], {"group_scale"})
    taken = {"bitstream"} | scales | ({"zero"} if stage.get("zero") else set()) | ({"outliers"} if info.get("outliers") else set())
    assert set(info["parts"]) <= taken, f"{name}: no stage takes {set(info['parts']) - taken}"


def read_description(tensors, metadata):
    assert metadata["format"] == "llmcodec"
    name = next(name for name in tensors if name.startswith("llmcodec.description."))
    # Padding may follow the frame.
    description = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(tensors[name][1].tobytes()), object_pairs_hook=unique)
    kind = description["source"]["kind"]
    assert kind in ("safetensors", "sharded", "folder", "gguf") + (("pipeline",) if description["format_version"] >= 3 else ()), kind
    if kind == "pipeline":
        check_parts(description["source"])
    return description


def is_plain(name):
    """A name in a folder, which it cannot leave (4)."""
    return not {"", ".", ".."} & set(name.split("/")) and not any(c < " " or c in "\\\x7f" for c in name)


def check_parts(source):
    """The parts of a pipeline have plain folders of free names, and files; every file is in one of them (2)."""
    parts, names = source["parts"], [file["name"] for file in source["files"]]
    assert parts and "metadata" not in source and len(parts) <= 1000, "parts"
    for folder in parts:
        components = folder.split("/") if folder else []
        assert not folder or is_plain(folder) and len(components) <= 16 and not folder.startswith("llmcodec."), f"{folder!r}: no folder of a part"
        assert not any(re.search(r"\.safetensors(\.index\.json)?$|^\.llmcodec-", c) for c in components), f"{folder}: taken"
    assert len(set(names)) == len(names) and all(map(is_plain, names)), names
    assert {os.path.dirname(name) for name in names} == set(parts), names


def part_of(name, parts):
    """The folder of the part that has the tensor: the longest that its name begins with (2)."""
    return max((folder for folder in parts if not folder or name.startswith(folder + "/")), key=len)


def decode_tensor(name, info, tensors):
    """(dtype, values): F32, or for a tensor stored verbatim its bytes."""
    def stored(suffix):
        return tensors[f"{name}.{suffix}"][1][:info["parts"][suffix][0]]

    def part(suffix):
        if suffix not in info["parts"]:
            return None
        return np.frombuffer(zstandard.decompress(stored(suffix).tobytes()), np.uint8)

    stages = {stage["stage"]: stage for stage in info["stages"]}
    if "verbatim" in stages:
        return "U8", stored("data")
    unknown = set(stages) - {"scales", "affine", "layout", "codec", "outliers"}
    assert not unknown and all(s.get("version", 1) == 1 for s in info["stages"]), f"{name}: unknown stages {unknown}"
    check_taken(name, info, stages["scales"])
    layout = {"spatial": spatial, "spectral": spectral}[stages["layout"]["kind"]]
    x = undo_scales(stages["scales"], part, layout(stages, stored("bitstream"), *info["matrix"])).astype(f32).reshape(-1)
    if info.get("outliers"):
        content, count, width = part("outliers"), info["outliers"], 8 if x.size >> 32 else 4
        values = content[count * width:].view(NUMPY.get(info["dtype"], f32))
        x[content[:count * width].view(f"u{width}")] = st.from_bf16(values) if info["dtype"] == "BF16" else values.astype(f32)
    return "F32", x.reshape(info["shape"])


def check_carried(folder, carried):
    """The files beside the archive are those that its description lists (4): plain names, no links, the right lengths."""
    for name, (size, _) in carried.items():
        parts = name.split("/")
        assert is_plain(name), f"{name!r}: not a plain name"
        assert not re.fullmatch(r"model[.-].*\.safetensors(\.index\.json)?", name) and not parts[-1].startswith(".llmcodec-"), f"{name}: taken"
        assert not any(os.path.islink(os.path.join(folder, *parts[:i + 1])) for i in range(len(parts))), f"{name}: a link"
        assert os.path.getsize(os.path.join(folder, name)) == size, f"{name}: not the {size} bytes that are listed"


def check_copy(name, dtype, shape, original, description, tensors):
    """A tensor that is stored as another of the same shard, which is no copy itself (2)."""
    coded, exact = description["tensors"], description["exact"]
    assert name not in coded and name not in tensors and not name.startswith("llmcodec."), f"{name}: stored, and a copy"
    assert (original in coded or original in exact) and not original.startswith("llmcodec."), f"{name}: a copy of {original}, which is not stored"
    stored = coded[original] if original in coded else dict(zip(("dtype", "shape"), exact[original]))
    assert (dtype, shape) == (stored["dtype"], stored["shape"]), f"{name}: not like {original}"


def decode(archive, only=None):
    """Yields (name, dtype, array) of every tensor of the model, after a look at the files beside it."""
    paths = sorted(glob.glob(os.path.join(archive, "*.safetensors"))) if os.path.isdir(archive) else [archive]
    for path in paths:
        tensors, metadata = read_safetensors(path)
        description = read_description(tensors, metadata)
        assert description["format_version"] in (2, 3)
        if os.path.isdir(archive) and description["format_version"] >= 3:
            check_carried(archive, description.get("carried", {}))
        coded = description["tensors"]
        if description["source"]["kind"] == "pipeline":
            for name in (*coded, *(n for n in description["exact"] if not n.startswith("llmcodec.")), *description.get("same_as", {})):
                part_of(name, description["source"]["parts"])
        copies = {}  # original -> names that share it
        for name, (dtype, shape, original) in description.get("same_as", {}).items() if description["format_version"] >= 3 else ():
            check_copy(name, dtype, shape, original, description, tensors)
            copies.setdefault(original, []).append(name)
        parts = {f"{name}.{suffix}" for name, info in coded.items() for suffix in info["parts"]}
        for name, (dtype, values) in tensors.items():
            wanted = [n for n in (name, *copies.get(name, ())) if only in (None, n)]
            if name not in parts and not name.startswith("llmcodec."):
                yield from ((n, dtype, values) for n in wanted)
        for name, info in coded.items():
            wanted = [n for n in (name, *copies.get(name, ())) if only in (None, n)]
            if wanted:
                decoded = decode_tensor(name, info, tensors)
                yield from ((n, *decoded) for n in wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("-o", "--output")
    parser.add_argument("--tensor")
    parser.add_argument("--compare")
    options = parser.parse_args()
    expected = read_safetensors(options.compare)[0] if options.compare else None
    entries = []
    for name, dtype, values in decode(options.archive, options.tensor):
        if expected is not None:
            ours = expected.pop(name)[1] if name in expected else None
            if dtype == "F32" and (ours is None or ours.tobytes() != values.astype(f32).tobytes()):
                raise SystemExit(f"{name}: differs from {options.compare}")
        if options.output:
            entries.append(st.Entry(name, dtype, values.shape, np.ascontiguousarray(values)))
        print(f"{name} {dtype} {list(values.shape)}")
    if expected and options.tensor is None:
        raise SystemExit(f"{options.compare} has tensors that the archive lacks: {sorted(expected)[:5]}")
    if options.output:
        st.write(options.output, entries)


if __name__ == "__main__":
    main()
