# SPDX-License-Identifier: BSD-3-Clause
"""Language models stored as video: compress checkpoints, and read them as safetensors are read.

>>> report = llmcodec.compress("model.safetensors", "small.llmc.safetensors", bpw=3)
>>> tensors = llmcodec.numpy.load_file("small.llmc.safetensors")  # or llmcodec.torch
>>> report = llmcodec.decompress("small.llmc.safetensors", "back.safetensors")

docs/python.md is the guide. Importing this needs neither numpy nor PyTorch: both come when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._core import version as __version__
from ._errors import (
    AccessError,
    CorruptError,
    Error,
    InternalError,
    InterruptError,
    InvalidArgumentError,
    IoError,
    LimitError,
    MissingFileError,
    UnsupportedError,
)
from ._models import CodingOptions, bench, compress, decompress, inspect, plan, verify
from ._program import program
from ._progress import Progress
from .reports import (
    BenchRow,
    CarriedFiles,
    CompressReport,
    DecompressReport,
    InspectReport,
    PartReport,
    PlanReport,
    ProductReport,
    Products,
    SourceReport,
    TensorReport,
    VerifyReport,
)

if TYPE_CHECKING:
    from . import calibrate, layouts, numpy, scales, torch, vvc
    from ._codecs import Codec, CodecInfo, codecs
    from ._pull import pull
    from ._reader import SafeSlice, safe_open

__all__ = [
    "AccessError",
    "BenchRow",
    "CarriedFiles",
    "Codec",
    "CodecInfo",
    "CodingOptions",
    "CompressReport",
    "CorruptError",
    "DecompressReport",
    "Error",
    "InspectReport",
    "InternalError",
    "InterruptError",
    "InvalidArgumentError",
    "IoError",
    "LimitError",
    "MissingFileError",
    "PlanReport",
    "ProductReport",
    "PartReport",
    "Products",
    "Progress",
    "SafeSlice",
    "SourceReport",
    "TensorReport",
    "UnsupportedError",
    "VerifyReport",
    "__version__",
    "bench",
    "calibrate",
    "codecs",
    "compress",
    "decompress",
    "inspect",
    "layouts",
    "numpy",
    "plan",
    "program",
    "pull",
    "safe_open",
    "scales",
    "torch",
    "verify",
    "vvc",
]

# What needs numpy or PyTorch is imported when it is first used.
_LATER = {
    "Codec": "_codecs",
    "CodecInfo": "_codecs",
    "codecs": "_codecs",
    "pull": "_pull",
    "SafeSlice": "_reader",
    "safe_open": "_reader",
}
_MODULES = ("calibrate", "layouts", "numpy", "scales", "torch", "vvc")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
