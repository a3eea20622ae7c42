# SPDX-License-Identifier: BSD-3-Clause
"""Reading archives in the shape of safetensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _core
from ._errors import InvalidArgumentError, UnsupportedError, in_tensor
from ._frameworks import INTEGERS, NAMES, Framework, framework_of
from ._slicing import Axis, axes_of
from ._system import Path, control, encoded, thread_count
from ._urls import is_url

if TYPE_CHECKING:
    from ._remote import RemoteArchive

_DTYPES = frozenset(NAMES.values()) | {"F4", "F6_E2M3", "F6_E3M2"}


class Opened:
    """An archive and what its tensors become; shared by a handle and its slices."""

    def __init__(self, archive: _core.Archive | RemoteArchive, framework: Framework, dtype: str | None, threads: int) -> None:
        self.archive = archive
        self.framework = framework
        self.tensors = archive.tensors()
        self.names = {tensor.name: number for number, tensor in enumerate(self.tensors)}
        self._dtype = None if dtype is None else dtype.upper()
        self._threads = threads

    def number(self, name: str) -> int:
        """The tensor's place; InvalidArgumentError for a name that the archive has not."""
        if not isinstance(name, str):
            raise TypeError(f"a tensor's name is a str, not {type(name).__name__}")
        found = self.names.get(name)
        return self.archive.find(name) if found is None else found

    def dtype(self, number: int) -> str:
        """The dtype in which a tensor is given: as asked for, or its own. GGUF's blocks are coded as F16, or kept as blocks,
        whose values F32 holds exactly."""
        tensor = self.tensors[number]
        if self._dtype is not None and tensor.dtype not in INTEGERS:
            return self._dtype
        return tensor.decoded_dtype if tensor.decoded_dtype in _DTYPES else "F32"

    def read(self, names: Iterable[str]) -> dict[str, Any]:
        """These tensors, decoded together where they have one dtype."""
        by_dtype: dict[str, list[int]] = {}
        order = {name: self.number(name) for name in names}
        for number in order.values():
            by_dtype.setdefault(self.dtype(number), []).append(number)
        for dtype, numbers in by_dtype.items():
            self._check(dtype, numbers[0])
        arrays: dict[int, Any] = {}
        with closing(self._batches(set(order.values()))) as batches:  # after an error nothing more is fetched
            for batch in batches:
                for dtype, numbers in by_dtype.items():
                    arrays.update(self._decode(dtype, [number for number in numbers if number in batch]))
        return {name: arrays[number] for name, number in order.items()}

    def _batches(self, numbers: Iterable[int]) -> Generator[Collection[int], None, None]:
        """What is decoded together: of an archive elsewhere, what was fetched together."""
        if isinstance(self.archive, _core.Archive):
            yield set(numbers)
        else:
            with closing(self.archive.batches(numbers)) as batches:
                yield from batches

    def _check(self, dtype: str, number: int) -> None:
        try:
            self.framework.check(dtype)
        except UnsupportedError as error:
            raise in_tensor(UnsupportedError, self.tensors[number].name, str(error)) from error

    def _decode(self, dtype: str, numbers: list[int]) -> dict[int, Any]:
        if not numbers:
            return {}
        wanted, bases = [], {}
        for number in sorted(set(numbers), key=lambda n: self.tensors[n].position):
            memory, bases[number] = self.framework.memory(self.archive.byte_size(number, dtype))
            wanted.append((number, memory))
        self.archive.decode(wanted, dtype, thread_count(self._threads))
        return {number: self.framework.array(base, dtype, self.tensors[number].shape) for number, base in bases.items()}

    def read_part(self, number: int, axes: list[Axis]) -> Any:
        """Some elements of a tensor, of which no more rows are decoded than from the first to the last that is asked for."""
        tensor, dtype = self.tensors[number], self.dtype(number)
        self._check(dtype, number)
        kept = [(axis.length, axis.step) for axis in axes if axis.kept]
        if any(length == 0 for length, _ in kept):
            return self.framework.array(self.framework.memory(0)[1], dtype, [length for length, _ in kept])
        strides = [math.prod(tensor.shape[k + 1 :]) for k in range(len(tensor.shape))]
        first = sum(a.start * s for a, s in zip(axes, strides, strict=True))
        last = first + sum((a.length - 1) * a.step * s for a, s in zip(axes, strides, strict=True))
        whole = math.prod(length for length, _ in kept) == tensor.elements
        if whole and len(kept) == len(axes):
            return self.read([tensor.name])[tensor.name]
        base, begin = self._decode_rows(number, dtype, first, last)
        steps = [(a.length, a.step * s) for a, s in zip(axes, strides, strict=True) if a.kept]
        return self.framework.strided(base, dtype, first - begin, steps)

    def _decode_rows(self, number: int, dtype: str, first: int, last: int) -> tuple[Any, int]:
        """Bytes that hold elements `first` to `last`, and the number of the element that they begin with."""
        tensor = self.tensors[number]
        size = self.archive.byte_size(number, dtype)
        if size % tensor.elements != 0:
            raise in_tensor(UnsupportedError, tensor.name, f"{dtype} cannot be sliced: get it whole")
        if tensor.rows == 0:
            return self._decode_one(number, dtype, size), 0
        row, end = first // tensor.cols, last // tensor.cols + 1
        memory, base = self.framework.memory((end - row) * tensor.cols * (size // tensor.elements))
        self.archive.decode_rows(number, row, end, memory, dtype, thread_count(self._threads))
        return base, row * tensor.cols

    def _decode_one(self, number: int, dtype: str, size: int) -> Any:
        memory, base = self.framework.memory(size)
        with closing(self._batches([number])) as batches:
            for _ in batches:
                self.archive.decode([(number, memory)], dtype, thread_count(self._threads))
        return base


class SafeSlice:
    """A tensor of which parts are taken: `safe_open.get_slice` gives it. It works on after its handle is closed.

    Indices are integers, slices with positive steps, and one ellipsis, as in safetensors; what reaches past an end is
    cut, as in numpy. With PyTorch, any other index is applied to the whole tensor. Of a coded matrix only the pictures that
    hold the rows are decoded. Rows of a tensor that is stored exactly are not checked, since its checksum is over all of it.
    """

    def __init__(self, opened: Opened, number: int) -> None:
        self._opened = opened
        self._number = number

    def get_shape(self) -> list[int]:
        """The shape of the whole tensor."""
        return list(self._opened.tensors[self._number].shape)

    def get_dtype(self) -> str:
        """The dtype in which it is given, by its name in safetensors: "F32", "BF16", ..."""
        return self._opened.dtype(self._number)

    def __getitem__(self, index: Any) -> Any:
        tensor = self._opened.tensors[self._number]
        try:
            axes = axes_of(index, tensor.shape, booleans=not self._opened.framework.own_indices)
        except InvalidArgumentError as error:
            if self._opened.framework.own_indices:
                return self._opened.read([tensor.name])[tensor.name][index]
            raise in_tensor(InvalidArgumentError, tensor.name, str(error)) from None
        return self._opened.read_part(self._number, axes)


def _opened(filename: Path, control: _core.Control) -> _core.Archive | RemoteArchive:
    if not is_url(filename):
        return _core.Archive.open(encoded(filename), control)
    from ._remote import open_remote

    return open_remote(str(filename), control)


class safe_open:  # noqa: N801, the name that safetensors gave it
    """An archive, whose tensors are decoded when they are asked for; `safetensors.safe_open` for archives.

    filename    a file, an index of shards, or the folder that holds either; or the URL of one (docs/remote.md)
    framework   "np" (numpy arrays) or "pt" (PyTorch tensors)
    device      where PyTorch's tensors go: "cpu", "cuda:0", 0, ...
    dtype       "F32", "F16", "BF16", ...: floating-point tensors come rounded to it, clipped to its range. None: each
                tensor's own; coded blocks of GGUF as F16
    threads     0: one per core. ffmpeg, timeout: as in `CodingOptions`

    Any number of threads may use one handle. A child of fork() may, too, and works on one thread there.

    >>> with llmcodec.safe_open("model.llmc.safetensors", framework="np") as archive:
    ...     names = archive.keys()
    ...     rows = archive.get_slice("embed.weight")[10:12]
    >>> rows.shape
    (2, 128)
    """

    def __init__(
        self,
        filename: Path,
        framework: str,
        device: str | int | object = "cpu",
        *,
        dtype: str | None = None,
        threads: int = 0,
        ffmpeg: Path | None = None,
        timeout: float | None = None,
    ) -> None:
        made = framework_of(framework, device)
        archive = _opened(filename, control(threads, ffmpeg, timeout))
        self._opened: Opened | None = Opened(archive, made, dtype, threads)

    @classmethod
    def _of_bytes(cls, data: bytes, framework: str, dtype: str | None, threads: int) -> safe_open:
        """An archive in memory."""
        self = cls.__new__(cls)
        archive = _core.Archive.open_memory(data, control(threads))
        self._opened = Opened(archive, framework_of(framework), dtype, threads)
        return self

    def __enter__(self) -> safe_open:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened = None

    def keys(self) -> list[str]:
        """The names of all tensors, sorted."""
        return list(self._open().names)

    def offset_keys(self) -> list[str]:
        """The same in the order in which they lie in the archive."""
        opened = self._open()
        return [t.name for t in sorted(opened.tensors, key=lambda t: (t.position, t.name))]

    def metadata(self) -> dict[str, str] | None:
        """The metadata of the safetensors file that was compressed; None if it had none."""
        return dict(self._open().archive.metadata()) or None

    def get_tensor(self, name: str) -> Any:
        """A tensor, decoded and checked. InvalidArgumentError for a name that is not there."""
        return self._open().read([name])[name]

    def get_tensors(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """All tensors, or these, by name; decoded together on all threads."""
        return self._open().read(self.offset_keys() if names is None else names)

    def get_slice(self, name: str) -> SafeSlice:
        """A tensor to take parts of: `get_slice(name)[2:4, ::8]`."""
        opened = self._open()
        return SafeSlice(opened, opened.number(name))

    def _batches(self, elements: int, wanted: Callable[[str], bool]) -> Iterator[list[str]]:
        """The names of those tensors that are wanted, as they lie in the archive, for calls of `get_tensors` of about so many
        elements each."""
        opened = self._open()
        batch: list[str] = []
        held = 0
        for name in filter(wanted, self.offset_keys()):
            batch.append(name)
            held += opened.tensors[opened.names[name]].elements
            if held >= elements:
                yield batch
                batch, held = [], 0
        if batch:
            yield batch

    def _open(self) -> Opened:
        if self._opened is None:
            raise InvalidArgumentError("File is closed")
        return self._opened
