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
    "plane": set(),
    "archive": {"tensor"},  # an archive is a safetensors file
    "rate": set(),
    "simd": set(),
    "quant": {"simd", "tensor"},  # importance files are safetensors and GGUF
    "vvc": {"simd", "plane"},
    "codec": {"plane", "vvc"},
    "eval": {"tensor"},
    "pipeline": {"tensor", "plane", "archive", "rate", "simd", "quant", "vvc", "codec", "eval"},
}
# Public headers that describe values shared by layers; the others belong to the top (pipeline, cli, python).
SHARED_PUBLIC = {"status.h", "matrix_view.h", "plane.h", "codec.h"}
# A layer may implement public headers of its own.
OWN_PUBLIC = {"eval": {"eval.h", "importance.h"}, "tensor": {"dtype.h", "tensor.h"}, "codec": {"vvc_video.h"}}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def breach_of_layer(layer, included):
    """Why src/<layer>/ must not include `included`; None when it may."""
    top, _, name = included.partition("/")
    if top == "llmcodec":
        if layer == "pipeline" or name in SHARED_PUBLIC or name in OWN_PUBLIC.get(layer, ()):
            return None
        return f"{layer} may not include the public header {name}"
    if top in ALLOWED:
        if top in (layer, "base") or top in ALLOWED[layer]:
            return None
        return f"{layer} may not include {top}"
    return f"unknown include {included}: name it from src/ as \"layer/file.h\""


def breach_of_vvc_sides(path, included):
    """The VVC encoder's files and the decoder's never include each other."""
    sides = {"encoder": "decoder", "decoder": "encoder"}
    name, target = path.stem, pathlib.PurePath(included).stem
    for side, other in sides.items():
        if name.split("_")[-1] == side and target.split("_")[-1] == other:
            return f"{name} (the {side}'s) may not include {target} (the {other}'s)"
    return None


def breaches(root):
    for path in sorted(root.glob("src/**/*")) + sorted(root.glob("cli/**/*")) + sorted(root.glob("python/**/*")):
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
                    reason = breach_of_vvc_sides(path, included)
            else:
                own = (path.parent / included).exists() or (root / included).exists()
                reason = None if included.startswith("llmcodec/") or own else f"{parts[0]} may include only the public headers"
            if reason:
                yield f"{path}:{number}: {reason}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = list(breaches(root))
    print("\n".join(found) if found else "layers: clean")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
