# SPDX-License-Identifier: BSD-3-Clause
"""Models in files: what the program's commands do, as functions."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from . import _core
from ._errors import InvalidArgumentError, printable
from ._progress import ProgressOption, shown
from ._system import Path, byte_count, control, encoded, optional
from .reports import (
    BenchRow,
    CompressReport,
    DecompressReport,
    InspectReport,
    PlanReport,
    SourceReport,
    VerifyReport,
    made,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Unpack

    _Weights = np.ndarray[Any, Any] | npt.ArrayLike

_log = logging.getLogger("llmcodec")
_Report = TypeVar("_Report")


class CodingOptions(TypedDict, total=False):
    """Keywords of `compress`, `plan`, `inspect` and `save_file`; each is the option of that name in docs/cli.md.

    bpw, size, snr, step    the target, at most one: bits per weight, bytes of the archive (60_000_000 or "60MB"), dB,
                            quantiser step. Without any: 3 bits per weight
    codec, layout, scales, asymmetric, bit_depth    how weights become pictures and streams
    set, code, keep, carry  rules and patterns: one text, or several
    plan                    file of a plan, used as it is
    importance, hessian     files of what is known of inputs; importance="none" estimates nothing
    calibrate               "self" or a text's file: measures both with PyTorch, once for a model (docs/importance.md)
    shard_size              largest file of the archive
    restart                 throws an interrupted run away
    threads                 0: one per core
    ffmpeg, timeout         the program for its codecs, and the seconds that one run of it may take
    """

    bpw: float
    size: int | str
    snr: float
    step: float
    codec: str
    layout: str
    scales: str
    asymmetric: bool
    bit_depth: int
    set: str | Sequence[str]
    code: str | Sequence[str]
    keep: str | Sequence[str]
    carry: str | Sequence[str]
    plan: Path
    importance: Path
    hessian: Path
    calibrate: Path
    shard_size: int | str
    restart: bool
    threads: int
    ffmpeg: Path
    timeout: float


_TARGETS = ("bpw", "size", "snr", "step")
_LISTS = ("set", "code", "keep", "carry")
_PATHS = ("plan", "importance", "hessian")
_CONTROL = ("threads", "ffmpeg", "timeout")
# Of these the archive's bytes do not depend.
_NOT_RECORDED = (*_CONTROL, "restart")


def compress(input: Path, output: Path, *, progress: ProgressOption = None, **options: Unpack[CodingOptions]) -> CompressReport:
    """Codes the model `input` into the archive `output`.

    `input` is a GGUF or safetensors file, an index of shards, or a Hugging Face folder; `output` a file, or a folder
    where the input is one. It appears when it is complete. After Ctrl-C the same call goes on where it was stopped.
    `progress`: True shows bars, a function is called with a `Progress`. Notes go to the logger "llmcodec".

    >>> report = llmcodec.compress("model.safetensors", "model.llmc.safetensors", bpw=4)
    >>> report.bpw < 4.01
    True
    """
    made_options = coding_options("compress", _calibrated(input, options))
    made_options.input, made_options.output = encoded(input), encoded(output)
    made_options.command = recorded_call("compress", (input, output), options)
    with shown(progress) as sink:
        return noted(made(CompressReport, json.loads(_core.compress(made_options, sink))))


def plan(
    input: Path,
    output: Path | None = None,
    *,
    progress: ProgressOption = None,
    **options: Unpack[CodingOptions],
) -> PlanReport:
    """What `compress` would do with the same options, from samples; written to the file `output` if one is given.

    >>> llmcodec.plan("model.safetensors", bpw=4).predicted_bpw < 4.1
    True
    """
    made_options = coding_options("plan", _calibrated(input, options))
    made_options.input, made_options.output = encoded(input), optional(output)
    with shown(progress) as sink:
        text, plan_text = _core.plan(made_options, sink)
    return noted(made(PlanReport, json.loads(text) | {"plan": json.loads(plan_text)}))


def inspect(path: Path, **options: Unpack[CodingOptions]) -> InspectReport | SourceReport:
    """What an archive holds; of a model, what `compress` would do with these options. Reads headers only.

    >>> llmcodec.inspect("model.llmc.safetensors").source_kind
    'safetensors'
    """
    name = encoded(path)
    if _core.is_archive(name):
        if options:
            raise InvalidArgumentError(f"{next(iter(options))} is for models, and {path!r} is an archive")
        return made(InspectReport, json.loads(_core.inspect(name)))
    made_options = coding_options("inspect", {key: value for key, value in options.items() if key != "calibrate"})
    made_options.input = name
    return noted(made(SourceReport, json.loads(_core.inspect_source(made_options))))


def decompress(
    input: Path,
    output: Path,
    *,
    dtype: str | None = None,
    saturate: bool = False,
    as_source: bool = False,
    format: str | None = None,
    shard_size: int | str | None = None,
    threads: int = 0,
    ffmpeg: Path | None = None,
    timeout: float | None = None,
    progress: ProgressOption = None,
) -> DecompressReport:
    """Restores the model from an archive.

    `dtype`: "f32", "f16", "bf16" or "q8_0" instead of each tensor's own; a weight that it cannot hold is an error, or with
    `saturate` becomes the largest. `as_source`: what the source had as FP8 codes with scales comes back as such.
    `format`: "safetensors" or "gguf" instead of the source's.

    >>> llmcodec.decompress("model.llmc.safetensors", "restored.safetensors").files
    1
    """
    size = 0 if shard_size is None else byte_count(shard_size)
    with shown(progress) as sink:
        text = _core.decompress(
            encoded(input),
            encoded(output),
            dtype or "",
            saturate,
            as_source,
            format or "",
            size,
            control(threads, ffmpeg, timeout),
            sink,
        )
    return made(DecompressReport, json.loads(text))


def verify(
    input: Path,
    against: Path | None = None,
    *,
    threads: int = 0,
    ffmpeg: Path | None = None,
    timeout: float | None = None,
    progress: ProgressOption = None,
) -> VerifyReport:
    """Does all that `decompress` would do but writing, and checks every checksum; measures the error `against` the original.

    >>> llmcodec.verify("model.llmc.safetensors", "model.safetensors").snr_db > 15
    True
    """
    with shown(progress) as sink:
        text = _core.verify(encoded(input), optional(against), control(threads, ffmpeg, timeout), sink)
    return made(VerifyReport, json.loads(text))


def bench(
    codecs: str | Sequence[str],
    sources: str | Mapping[str, _Weights] | Sequence[str] = "gaussian",
    *,
    bpw: float | Iterable[float] = (2, 3, 4),
    size: tuple[int, int] = (1024, 1024),
    seed: int = 1,
    bit_depth: int = 0,
    ffmpeg: Path | None = None,
    timeout: float | None = None,
    progress: ProgressOption = None,
) -> list[BenchRow]:
    """Codecs against the rate-distortion bound: each codes the same weights at the same bits per weight.

    `sources`: "gaussian" or "laplacian" (of `size` rows x columns), or matrices by their names.

    >>> [row.gap_db < 6 for row in llmcodec.bench(["vvc", "raw"], bpw=3, size=(256, 256))]
    [True, True]
    """
    import numpy as np

    given: list[tuple[str, np.ndarray[Any, Any]]] = []
    if isinstance(sources, Mapping):
        for name, weights in sources.items():
            given.append((name, np.ascontiguousarray(weights, dtype=np.float32)))
            if given[-1][1].ndim != 2:
                raise InvalidArgumentError(f"source '{name}' has {given[-1][1].ndim} dimensions, not 2")
    else:
        given = [(name, _core.bench_source(name, *size, seed)) for name in _texts(sources)]
    targets = [float(bpw)] if isinstance(bpw, (int, float)) else [float(target) for target in bpw]
    options = _core.BenchOptions()
    options.bit_depth = bit_depth
    unscaled = np.empty(0, np.float32)
    with shown(progress) as sink:
        text = _core.bench(
            [(name, weights, 0, unscaled, unscaled) for name, weights in given],
            _texts(codecs),
            targets,
            options,
            control(1, ffmpeg, timeout),
            sink,
        )
    return [made(BenchRow, row) for row in json.loads(text)]


def coding_options(caller: str, options: Mapping[str, Any]) -> _core.CompressOptions:
    """The library's options for those of a caller, who may have given some as None."""
    given = {key: value for key, value in options.items() if value is not None}
    unknown = given.keys() - CodingOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"{caller}() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    if "calibrate" in given:
        raise InvalidArgumentError(f"calibrate is for models in files, which {caller}() does not read")
    targets = [key for key in _TARGETS if key in given]
    if len(targets) > 1:
        raise InvalidArgumentError(f"{' and '.join(targets)}: one target at most")
    made_options = _core.CompressOptions()
    made_options.control = control(**{key: given.pop(key) for key in _CONTROL if key in given})
    for key, value in given.items():
        if key in _TARGETS:
            made_options.set_target(key, byte_count(value) if key == "size" else _positive(key, value))
        elif key in _LISTS:
            setattr(made_options, key, _texts(value))
        elif key in _PATHS:
            setattr(made_options, key, encoded(value))
        elif key == "shard_size":
            made_options.shard_size = byte_count(value)
        else:
            setattr(made_options, key, value)
    return made_options


def _calibrated(input: Path, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options with the files of the calibration that they ask for."""
    asked = options.get("calibrate")
    if asked is None:
        return options
    if options.get("importance") is not None or options.get("hessian") is not None:
        raise InvalidArgumentError("calibrate makes what importance and hessian name: give the one or the others")
    from . import calibrate

    text = None if asked == "self" else os.fsdecode(asked)
    made = calibrate.cached(os.fsdecode(input), text=text, threads=options.get("threads") or 0, progress=_log.info)
    kept = {key: value for key, value in options.items() if key != "calibrate"}
    return kept | {"importance": made.imatrix, "hessian": made.hessian}


def noted(report: _Report, level: int = logging.WARNING) -> _Report:
    """The report, after what a user should know of it went to the logger."""
    for note in getattr(report, "notes", ()):
        _log.log(level, "%s", printable(note))
    return report


def _positive(key: str, value: float) -> float:
    if key != "snr" and not value > 0:
        raise InvalidArgumentError(f"{key}={value}: more than 0")
    return float(value)


def _texts(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def recorded_call(function: str, paths: tuple[Path, ...], options: Mapping[str, Any]) -> str:
    """The call as the archive records it: what gives the same bytes again."""
    arguments = [repr(p if isinstance(p, (str, bytes)) else str(p)) for p in paths]
    arguments += [f"{key}={value!r}" for key, value in options.items() if key not in _NOT_RECORDED and value is not None]
    return f"llmcodec.{function}({', '.join(arguments)})"
