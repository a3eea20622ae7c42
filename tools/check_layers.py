#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks that every #include stays inside the layers of docs/architecture.md. Prints each breach; exit 1 if any.

usage: check_layers.py [ROOT]
"""
import pathlib
import re
import sys

# Layer -> layers whose headers it may include besides its own. Every layer may include base.
ALLOWED = {
    "base": set(),
    "tensor": set(),
    "scheme": {"tensor"},
    "plane": set(),
    "rate": set(),
    "quant": {"tensor"},  # importance files are safetensors and GGUF
    "vvc": {"plane"},
    "codec": {"plane", "vvc"},
    "eval": {"tensor"},
    "archive": {"tensor"},  # an archive is a safetensors file
    "plan": {"tensor", "quant", "plane", "rate", "vvc", "codec"},  # of vvc its rate table, of codec what plans may ask for
    "estimate": {"tensor", "quant", "plane"},
    "coding": {"tensor", "plane", "quant", "codec", "vvc", "archive"},
    "report": {"tensor", "archive", "coding"},
    "compress": {"tensor", "quant", "plane", "rate", "archive", "plan", "estimate", "coding", "report", "restore", "scheme"},
    "restore": {"tensor", "quant", "plane", "archive", "coding", "report", "scheme"},
    "bench": {"plane", "vvc", "codec", "plan", "rate"},
    "capi": {"tensor", "compress"},
}
# The rooms of vvc, in the order in which they build on each other: each may include those before it.
VVC_ROOMS = ["stream", "cabac", "residual", "residual/lanes", "trellis", "picture", "slice", "spatial", "spectral"]
# Rooms that stand side by side although one comes first in that order.
VVC_APART = {("trellis", "residual/lanes"), ("picture", "residual/lanes"), ("picture", "trellis"), ("slice", "trellis"),
             ("spectral", "spatial")}
# Public headers that describe values shared by layers; the others belong to the rooms that implement them.
SHARED_PUBLIC = {"status.h", "version.h", "matrix_view.h", "plane.h", "codec.h"}
OWN_PUBLIC = {
    "eval": {"calibrate.h", "eval.h", "importance.h"},
    "codec": {"vvc_video.h"},
    "bench": {"bench.h"},
    "plan": {"model.h"},
    "report": {"model.h", "read_tensor.h"},
    "compress": {"model.h", "pieces.h", "read_tensor.h"},
    "restore": {"archive.h", "model.h", "pieces.h", "read_tensor.h"},
    "capi": {"archive.h", "llmcodec.h", "model.h", "read_tensor.h"},
}
# What the program and the Python package may include besides the public headers.
BESIDES_PUBLIC = {"cli": ("base/error.h", "base/printable.h"), "python": ("base/error.h", "base/stand_in.h", "plane/", "quant/", "vvc/spatial/stream_decoder.h")}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def breach_of_layer(layer, included):
    """Why src/<layer>/ must not include `included`; None when it may."""
    top, _, name = included.partition("/")
    if top == "llmcodec":
        if name in SHARED_PUBLIC or name in OWN_PUBLIC.get(layer, ()):
            return None
        return f"{layer} may not include the public header {name}"
    if top in ALLOWED:
        if top in (layer, "base") or top in ALLOWED[layer]:
            return None
        return f"{layer} may not include {top}"
    return f"unknown include {included}: name it from src/ as \"layer/file.h\""


def breach_of_vvc_rooms(path, included):
    """Why a file of src/vvc/<room>/ must not include `included` of another room; None when it may."""
    if not included.startswith("vvc/"):
        return None
    own = path.parent.as_posix().split("src/vvc/")[-1]
    other = included[len("vvc/"):].rpartition("/")[0]
    if other not in VVC_ROOMS or own not in VVC_ROOMS:
        return f"{other if own in VVC_ROOMS else own} is no room of vvc"
    if VVC_ROOMS.index(other) > VVC_ROOMS.index(own) or (own, other) in VVC_APART:
        return f"vvc/{own} may not include vvc/{other}"
    return None


def breach_of_vvc_sides(path, included):
    """The VVC encoder's files and the decoder's never include each other."""
    sides = {"encoder": "decoder", "decoder": "encoder"}
    name, target = path.stem, pathlib.PurePath(included).stem
    for side, other in sides.items():
        if name.split("_")[-1] == side and target.split("_")[-1] == other:
            return f"{name} (the {side}'s) may not include {target} (the {other}'s)"
    return None


def breaches(root):
    for path in sorted(root.glob("src/**/*")) + sorted(root.glob("cli/**/*")) + sorted(root.glob("python/bindings/*")):
        if path.suffix not in (".h", ".cc"):
            continue
        parts = path.relative_to(root).parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            included = match.group(1)
            if parts[0] == "src":
                if parts[1] not in ALLOWED:
                    yield f"{path}:{number}: src/{parts[1]} is no layer"
                    continue
                reason = breach_of_layer(parts[1], included)
                if reason is None and parts[1] == "vvc":
                    reason = breach_of_vvc_rooms(path, included) or breach_of_vvc_sides(path, included)
            else:
                own = (path.parent / included).exists() or (root / included).exists()
                known = included.startswith(("llmcodec/", *BESIDES_PUBLIC[parts[0]]))
                reason = None if known or own else f"{parts[0]} may not include {included}"
            if reason:
                yield f"{path}:{number}: {reason}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = list(breaches(root))
    print("\n".join(found) if found else "layers: clean")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
