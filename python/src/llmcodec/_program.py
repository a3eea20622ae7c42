# SPDX-License-Identifier: BSD-3-Clause
"""The program `llmcodec`, which the wheel brings, in the place of this process."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from ._system import packaged_ffmpeg


def program() -> str:
    """Where it is."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "llmcodec")


def main() -> NoReturn:
    """What the command `llmcodec` does. `pull`, `cluster`, `compare` and `report` are Python, the rest is the program."""
    if sys.argv[1:2] == ["pull"]:
        from ._pull_command import main as pull

        sys.exit(pull(sys.argv[2:]))
    if sys.argv[1:2] == ["cluster"]:
        from .cluster.command import main as cluster

        sys.exit(cluster(sys.argv[2:]))
    if sys.argv[1:2] in (["compare"], ["report"]):
        from .compare import _command

        sys.exit((_command.compare_main if sys.argv[1] == "compare" else _command.report_main)(sys.argv[2:]))
    ffmpeg = packaged_ffmpeg()
    if ffmpeg is not None:
        os.environ.setdefault("LLMCODEC_FFMPEG", ffmpeg)
    os.execv(program(), ["llmcodec", *sys.argv[1:]])
