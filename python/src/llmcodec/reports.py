# SPDX-License-Identifier: BSD-3-Clause
"""What calls report. The fields are those of `--json` (docs/json.md); None is what was not measured or is not finite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

_Report = TypeVar("_Report")


@dataclass(frozen=True)
class TensorReport:
    """One tensor: in the model (`bytes` and `bpw` of a `SourceReport`) or in the archive."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    elements: int
    role: str
    coded: bool
    bytes: int
    bpw: float | None
    reason: str | None = None
    same_as: str | None = None
    outliers: int = 0
    snr_db: float | None = None
    relative_mse: float | None = None
    max_abs_error: float | None = None
    cosine: float | None = None


@dataclass(frozen=True)
class CarriedFiles:
    """Files beside the archive of a folder: config.json, the tokenizer, ..."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class ProductReport:
    """A low-rank update: the names of its factors, and how far their product is from the original's."""

    down: str
    up: str
    rank: int
    snr_db: float | None


@dataclass(frozen=True)
class Products:
    """All products of an adapter."""

    pairs: tuple[ProductReport, ...]
    snr_db: float | None


@dataclass(frozen=True)
class PartReport:
    """A part of a pipeline: the tensors whose names begin with its folder ("": the pipeline's own) and a slash."""

    folder: str
    tensors: int
    parameters: int
    bytes: int


@dataclass(frozen=True)
class CompressReport:
    """Of `compress` and `save_file`. `bytes` is the whole archive."""

    parameters: int
    bytes: int
    carried_bytes: int
    carried_files: CarriedFiles
    bpw: float
    bpw_weights: float
    snr_db: float | None
    relative_mse: float | None
    fit_seconds: float
    rate_seconds: float
    encode_seconds: float
    wall_seconds: float
    resumed: bool
    notes: tuple[str, ...]
    tensors: tuple[TensorReport, ...]
    products: Products | None = None
    parts: tuple[PartReport, ...] = ()


@dataclass(frozen=True)
class PlanReport:
    """Of `plan`. `plan` is what the plan's file holds, as Python objects (docs/plan.md)."""

    plan: Mapping[str, Any]
    parameters: int
    predicted_bytes: int
    predicted_bpw: float | None
    predicted_snr_db: float | None
    predicted_seconds: float | None
    notes: tuple[str, ...]
    tensors: tuple[TensorReport, ...]
    parts: tuple[PartReport, ...] = ()


@dataclass(frozen=True)
class SourceReport:
    """Of `inspect`, for a model: what `compress` would code, and what keep."""

    source_kind: str
    parameters: int
    coded_parameters: int
    bytes: int
    kept_bytes: int
    carried_files: CarriedFiles
    notes: tuple[str, ...]
    tensors: tuple[TensorReport, ...]
    parts: tuple[PartReport, ...] = ()


@dataclass(frozen=True)
class InspectReport:
    """Of `inspect`, for an archive."""

    parameters: int
    bytes: int
    carried_bytes: int
    carried_files: CarriedFiles
    bpw: float
    bpw_weights: float
    writer: str
    command: str
    source_kind: str
    tensors: tuple[TensorReport, ...]
    parts: tuple[PartReport, ...] = ()


@dataclass(frozen=True)
class DecompressReport:
    """Of `decompress`. `output` is what loaders are given."""

    parameters: int
    bytes: int
    output: str
    files: int
    decode_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class VerifyReport:
    """Of `verify`. The errors are there when the original was given (`compared`)."""

    parameters: int
    compared: bool
    sandbox: str
    carried_files: str
    carried_checked: int
    decode_seconds: float
    tensors: tuple[TensorReport, ...]
    snr_db: float | None = None
    relative_mse: float | None = None
    max_abs_error: float | None = None
    cosine: float | None = None
    products: Products | None = None


@dataclass(frozen=True)
class BenchRow:
    """One codec, source and target of `bench`."""

    codec: str
    source: str
    target_bpw: float
    bpw: float
    snr_db: float | None
    gap_db: float | None
    encode_mws: float | None
    decode_mws: float | None
    encode_seconds: float
    decode_seconds: float
    bit_depth: int
    quality: float | None
    plane_scale: float | None
    weights: int
    version: str
    note: str


def _products(value: Mapping[str, Any]) -> Products:
    return Products(tuple(made(ProductReport, pair) for pair in value["pairs"]), value["snr_db"])


_NESTED: dict[str, Any] = {
    "shape": tuple,
    "notes": tuple,
    "tensors": lambda value: tuple(made(TensorReport, tensor) for tensor in value),
    "products": _products,
    "parts": lambda value: tuple(PartReport(**part) for part in value),  # whose `tensors` are a number
    "carried_files": lambda value: value if isinstance(value, str) else made(CarriedFiles, value),
}


def made(cls: type[_Report], value: Mapping[str, Any]) -> _Report:
    """A report from its JSON. Keys that it has no field for are left out."""
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**{key: _NESTED.get(key, _same)(item) for key, item in value.items() if key in known})


def _same(value: Any) -> Any:
    return value
