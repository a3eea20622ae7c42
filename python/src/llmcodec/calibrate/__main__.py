# SPDX-License-Identifier: BSD-3-Clause
"""`python -m llmcodec.calibrate MODEL -o MOMENTS`: calibrate.collect() as a command, and what `compress --calibrate` runs."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from llmcodec._errors import Error

from . import cached, collect
from ._options import TOKENS

_EXAMPLES = """\
  python -m llmcodec.calibrate model.gguf -o moments.safetensors --imatrix imatrix.gguf
  python -m llmcodec.calibrate ./model -o moments.safetensors --text calibration.jsonl --tokens 204800
  llmcodec compress model.gguf -o small.safetensors --bpw 3 --importance imatrix.gguf --hessian moments.safetensors

What an interrupted run leaves beside its output, the same command goes on with.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m llmcodec.calibrate",
        description="Measures how much inputs and outputs of a model's layers matter (docs/importance.md).",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a Hugging Face folder or a GGUF file")
    parser.add_argument("-o", "--hessian", metavar="MOMENTS", help="second moments to write, for compress --hessian")
    parser.add_argument("--imatrix", metavar="FILE", help="imatrix to write, for compress --importance")
    parser.add_argument(
        "--cached", action="store_true", help="write both to the user's cache, unless they are there, and print where"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--self", dest="self_written", action="store_true", help="on text that the model writes itself (default)"
    )
    source.add_argument("--text", metavar="FILE", help="on this text, or on the field 'text' of JSON lines (*.jsonl)")
    source.add_argument("--random", action="store_true", help="on random token ids, frequent ones more often")
    parser.add_argument("--tokens", type=int, metavar="N", help=f"in all, at most (default {TOKENS})")
    parser.add_argument("--length", type=int, metavar="N", help="tokens of a sequence (default 512 of a text, else 256)")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument(
        "--chat",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of self-written sequences that start as the chat template does",
    )
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default %(default)s)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of the CPU (default: all cores)")
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = _parser()
    options: dict[str, Any] = vars(parser.parse_args())
    in_cache, model = options.pop("cached"), options.pop("model")
    outputs = {key: options.pop(key) for key in ("imatrix", "hessian")}
    if in_cache and any(outputs.values()):
        parser.error("--cached chooses the files itself")
    if not in_cache and not any(outputs.values()):
        parser.error("nothing to write: give -o, --imatrix or both")
    try:
        made = cached(model, progress=_say, **options) if in_cache else collect(model, progress=_say, **outputs, **options)
    except Error as error:
        if in_cache:  # for a program to read
            print(json.dumps({"error": error.kind, "message": error.message}))
        else:
            print(f"error: {error}", file=sys.stderr)
        return 1
    if in_cache:
        print(json.dumps(asdict(made)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
