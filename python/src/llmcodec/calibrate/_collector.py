# SPDX-License-Identifier: BSD-3-Clause
"""One calibration from end to end: tokens, gradients, products of one layer after the other, files."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import torch

from llmcodec._errors import UnsupportedError

from ._gradients import GradientPass, Group, Sums, batch_size
from ._layers import LayerPass, decoder_layers
from ._loading import load_model, load_tokenizer
from ._multiplications import Matrices, Matrix
from ._names import Placed, placed_tensors
from ._options import Calibration, Say, Source
from ._sequences import cache_bytes, random_sequences, text_sequences, writing_batch, written_sequences
from ._work import WorkFolder
from .files import ImatrixEntry, MomentFile, write_imatrix

# The first pass is saved this often.
_SAVE_SECONDS = 60


class Collector:
    def __init__(
        self, source: Source, paths: dict[str, str], work: WorkFolder, *, dtype: str, device: str, threads: int, progress: Say
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._source, self._paths, self._work, self._say = source, paths, work, progress
        self._full, self._start = "hessian" in paths, time.monotonic()
        self._model = load_model(source.model, dtype, device)
        self._matrices = Matrices(self._model)
        self._layers = decoder_layers(self._model)[0] + "."

    def run(self) -> Calibration:
        sequences = self._sequences()
        batches = list(sequences.split(batch_size(self._model, sequences.shape[1])))
        sums = self._gradients(batches)
        placed = placed_tensors(self._source.model, self._model, sums.group_of)
        if not placed:
            raise UnsupportedError(
                f"{self._source.model}: no tensor of the files is a matrix of the model that transformers runs"
            )
        self._say(f"{len(placed)} weights of the files are known")
        if self._full:
            self._products(batches, sums, placed)
        if "imatrix" in self._paths:
            entries = {tensor.name: _entry(tensor, sums) for tensor in placed}
            write_imatrix(self._paths["imatrix"], entries, self._source.described(), self._source.length)
        self._work.remove()
        self._say(f"calibration done in {time.monotonic() - self._start:.0f} s")
        return Calibration(**self._paths)

    def _sequences(self) -> Any:
        """[sequences, length] of ids."""
        kept = self._work.load("tokens")
        if kept is not None:
            self._announce(kept.numel(), written=True)
            return kept
        source, count = self._source, self._source.tokens // self._source.length
        self._announce(count * source.length, written=source.kind != "self")
        if source.kind == "random":
            made = random_sequences(self._model.get_input_embeddings().weight.shape[0], count, source.length, source.seed)
        elif source.text is not None:
            made = text_sequences(load_tokenizer(source.model), source.text, count, source.length)
        else:
            tokenizer = load_tokenizer(source.model)
            if tokenizer is None:
                self._say("transformers reads no tokenizer of this model: its texts start with a random token alone")
            made = written_sequences(
                self._model, tokenizer, count, source.length, seed=source.seed, chat=source.chat, say=self._say
            )
        self._work.save("tokens", made)
        return made

    def _announce(self, tokens: int, *, written: bool) -> None:
        """Time and memory in advance, from the number of operations and the speed of one product."""
        weights = sum(p.numel() for p in self._model.parameters())
        passes = 6 + (0 if written else 4) + (2 if self._full else 0)  # writing: with a cache, half as fast
        widest = max((p.shape[-1] for p in self._model.parameters() if p.dim() == 2), default=0)
        config = self._model.config.get_text_config()
        hidden = int(getattr(config, "hidden_size", widest))
        products = tokens * _squares(self._model) * 2 if self._full else 0
        seconds = tokens * weights * passes / _speed(self._model.dtype, hidden, self._model.device)
        seconds += products / _speed(torch.float32, hidden, self._model.device)
        dtype = str(self._model.dtype).removeprefix("torch.")
        self._say(
            f"calibration on {tokens} tokens ({self._source.described()}), {weights / 1e6:.0f} M weights as {dtype} on "
            f"{self._model.device}: about {_duration(seconds)} and {self._room(tokens, hidden) / 1e9:.1f} GB"
        )

    def _room(self, tokens: int, hidden: int) -> int:
        """Bytes: weights, Python itself, and the larger of what each of the passes and of writing takes besides."""
        config, each = self._model.config.get_text_config(), self._model.dtype.itemsize
        layers, length = int(config.num_hidden_layers), self._source.length
        vocabulary = int(self._model.get_input_embeddings().weight.shape[0])
        # Of a token: logits, their softmax and gradients, six times F32; in each layer some sixteen states and attention.
        kept = 24 * vocabulary + layers * (16 * hidden * each + 6 * int(getattr(config, "num_attention_heads", 0)) * length)
        passes = [kept * length * batch_size(self._model, length)]
        if self._full:
            passes.append(8 * _squares(self._model) // layers + 2 * tokens * hidden * each)
        if self._source.kind == "self":
            passes.append(2 * cache_bytes(config, each) * length * writing_batch(self._model, length))
        weights = sum(p.numel() for p in self._model.parameters())
        return int(weights * each + (400 << 20) + max(passes))

    def _gradients(self, batches: list[Any]) -> Sums:
        sums, saved = self._work.load("sums", Sums, Group, Matrix) or Sums(), time.monotonic()
        work = GradientPass(self._model, self._matrices, self._layers, seed=self._source.seed, full=self._full, sums=sums)

        def done(count: int) -> None:
            nonlocal saved
            if time.monotonic() - saved > _SAVE_SECONDS or count == len(batches):
                self._work.save("sums", sums)
                saved = time.monotonic()
            if count % 8 == 0 or count == len(batches):
                self._say(f"gradients: {count} of {len(batches)} batches, {time.monotonic() - self._start:.0f} s")

        work.run(batches, done)
        return sums

    def _products(self, batches: list[Any], sums: Sums, placed: list[Placed]) -> None:
        groups = _file_groups(sums, placed)
        path = self._work.file("moments.safetensors")
        description = {name: (len(g.squares), members, g.count) for name, g, members in groups.values()}
        done = self._work.load("layers") or set()
        layers = LayerPass(self._model, self._matrices, sums, batches, set(groups))
        with contextlib.closing(MomentFile(path, description, self._source.described())) as file:
            for layer, products in layers.run(done, self._say):
                for index, product in products.items():
                    file.write(groups[index][0], product.numpy())
                file.sync()
                done.add(layer)
                self._work.save("layers", done)
                if layer >= 0:
                    self._say(f"second moments: layer {layer + 1}, {time.monotonic() - self._start:.0f} s")
        os.replace(path, self._paths["hessian"])


def _file_groups(sums: Sums, placed: list[Placed]) -> dict[int, tuple[str, Group, list[str]]]:
    """Group -> its name in the file, itself, and the weights that it is for; stacked experts have no common one."""
    members: dict[int, list[str]] = {}
    for tensor in placed:
        matrix = tensor.matrices[0][0]
        if not tensor.stacked and matrix in sums.group_of:
            members.setdefault(sums.group_of[matrix], []).append(tensor.name)
    return {index: (names[0].removesuffix(".weight"), sums.groups[index], names) for index, names in members.items()}


def _entry(tensor: Placed, sums: Sums) -> ImatrixEntry:
    inputs, counts, outputs = [], [], []
    shape = next(sums.groups[sums.group_of[m]].squares for m, _ in tensor.matrices if m in sums.group_of)
    for matrix, order in tensor.matrices:
        group = sums.groups[sums.group_of[matrix]] if matrix in sums.group_of else None  # None: an expert never chosen
        inputs.append(torch.zeros_like(shape) if group is None else group.squares)
        counts.append(0.0 if group is None else float(group.count))
        rows = sums.outputs.get(matrix)
        outputs.append(rows if rows is None or order is None else rows[order])
    size = next((len(rows) for rows in outputs if rows is not None), None)
    known = None if size is None else torch.stack([torch.zeros(size).double() if r is None else r for r in outputs]).numpy()
    return ImatrixEntry(torch.stack(inputs).numpy(), torch.tensor(counts).numpy(), known)


def _squares(model: Any) -> int:
    """Numbers in the products of all inputs, if groups of two matrices share theirs."""
    return sum(int(p.shape[-1]) ** 2 for p in model.parameters() if p.dim() == 2) // 2


def _speed(dtype: Any, width: int, device: Any) -> float:
    """Operations in a second."""
    a = torch.ones(512, max(width, 256), dtype=dtype, device=device)
    b = torch.ones(max(width, 256), 1024, dtype=dtype, device=device)
    (a @ b).sum().item()
    start, count = time.monotonic(), 0
    while time.monotonic() - start < 0.1:
        (a @ b).sum().item()
        count += 1
    return float(count * 2 * a.numel() * b.shape[1]) / (time.monotonic() - start)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} h" if minutes > 90 else f"{max(1, round(minutes))} min"
