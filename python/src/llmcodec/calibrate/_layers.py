# SPDX-License-Identifier: BSD-3-Clause
"""Second pass: the products x x^T of one layer after the other, so that those of one layer are in memory at a time.

What enters the first layer is kept for all sequences; each layer in turn is run on it alone, with the other arguments
that it was called with in the whole model (masks, positions). Whether this is the model's own way is tried first, on two
batches. Families whose layers pass on more than one tensor are run as a whole instead, once for each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from ._gradients import Group, Sums
from ._multiplications import Matrices, Matrix, Multiplications


class _Reached(Exception):
    """The first layer was called."""


def decoder_layers(model: Any) -> tuple[str, Any]:
    """The name and the list of the layers: of all lists of modules the one that holds most weights."""
    lists = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)]
    if not lists:
        return "", torch.nn.ModuleList()
    return max(lists, key=lambda entry: sum(p.numel() for p in entry[1].parameters()))


class LayerPass:
    """Runs batches [sequences, length] through the layers; `wanted` are the groups whose products are asked for."""

    def __init__(self, model: Any, matrices: Matrices, sums: Sums, batches: list[Any], wanted: set[int]) -> None:
        self._model, self._matrices, self._sums, self._batches, self._wanted = model, matrices, sums, batches, wanted
        self._prefix, self._layers = decoder_layers(model)
        self._by_layer: dict[int, set[int]] = {}
        for index in wanted:
            name = sums.groups[index].members[0].parameter
            if sums.groups[index].in_layers:
                self._by_layer.setdefault(int(name[len(self._prefix) + 1 :].split(".")[0]), set()).add(index)

    @torch.no_grad()
    def run(self, done: set[int], say: Callable[[str], None]) -> Iterator[tuple[int, dict[int, Any]]]:
        """Yields each layer that is not in `done`, and the mean products of its groups; -1: what is outside of them."""
        if -1 not in done:
            yield -1, self._outside()
        todo = [layer for layer in range(len(self._layers)) if layer not in done and layer in self._by_layer]
        if not todo:
            return
        replay = _Replay(self._model, self._layers, self._batches)
        if not replay.is_faithful():
            say("this model's layers are not run alone: the whole model is run for each of them")
        for layer in range(len(self._layers)) if replay.faithful else todo:
            products = _Products(self._sums, self._by_layer.get(layer, set()) if layer not in done else set())
            watch = Multiplications(self._matrices, products.observe)
            if not replay.faithful:
                self._run_whole(watch)
            else:
                replay.step(layer, watch if products.groups else None)
            if layer in todo:
                yield layer, products.means()

    def _run_whole(self, watch: Multiplications) -> None:
        for batch in self._batches:
            with watch:
                self._model(input_ids=batch.to(self._model.device), use_cache=False, logits_to_keep=1)

    def _outside(self) -> dict[int, Any]:
        """Products that the first pass has added up, of each member by itself."""
        found = {}
        for index in self._wanted:
            group = self._sums.groups[index]
            if not group.in_layers:
                found[index] = _outside_mean(self._sums, group)
        return {index: product for index, product in found.items() if product is not None}


def _outside_mean(sums: Sums, group: Group) -> Any:
    means = []
    for matrix in group.members:
        total = sum(float(energy.double().sum()) for energy in sums.energies.get(matrix, []))
        if matrix in sums.products and total > 0:
            means.append(sums.products[matrix] / total)
    return symmetric(torch.stack(means).mean(0)) if means else None


class _Products:
    """Adds up the products of the inputs of some groups."""

    def __init__(self, sums: Sums, groups: set[int]) -> None:
        self._sums, self.groups = sums, groups
        self._weights = {index: sums.weights(sums.groups[index]) for index in groups}
        self._totals: dict[int, Any] = {}
        self._seen = dict.fromkeys(groups, 0)

    def observe(self, matrix: Matrix, inputs: Any, _outputs: Any) -> None:
        index = self._sums.group_of.get(matrix)
        if index not in self.groups or self._sums.groups[index].members[0] != matrix:
            return
        x = inputs.reshape(-1, inputs.shape[-1]).float()
        first, weights = self._seen[index], self._weights[index]
        self._seen[index] += len(x)
        weighted = x if weights is None else x * weights[first : first + len(x), None].to(x.device)
        if index not in self._totals:
            self._totals[index] = torch.zeros(x.shape[1], x.shape[1], device=x.device)
        add_upper(self._totals[index], weighted, x)

    def means(self) -> dict[int, Any]:
        return {index: symmetric(total.cpu() / self._seen[index]) for index, total in self._totals.items()}


def add_upper(total: Any, left: Any, right: Any) -> None:
    """total += left^T right, of which only what stands on and above the diagonal counts: half of the work where it is wide."""
    block = 1024
    for first in range(0, len(total), block):
        total[first : first + block, first:].addmm_(left[:, first : first + block].T, right[:, first:])


def symmetric(product: Any) -> Any:
    """What stands on and above the diagonal, on both sides of it."""
    return torch.triu(product) + torch.triu(product, 1).T


class _Replay:
    """The states of all sequences between two layers, and how each layer is called."""

    def __init__(self, model: Any, layers: Any, batches: list[Any]) -> None:
        self._model, self._layers, self._batches = model, layers, batches
        self._calls: dict[int, list[tuple[Any, Any]]] = {}  # number of sequences -> of each layer
        self._states: list[Any] = []
        self.faithful = True

    def is_faithful(self) -> bool:
        """Whether layers run one by one give what they give in the model, with the arguments of another batch too."""
        tried = sorted({0, min(1, len(self._batches) - 1), len(self._batches) - 1})
        for at in tried:
            batch = self._batches[at]
            calls, first, last = self._record(batch)
            state = first
            calls = self._calls.setdefault(len(batch), calls)
            try:
                for layer, (args, kwargs) in zip(self._layers, calls, strict=True):
                    state = _state(layer(state, *args, **kwargs))
                near = torch.allclose(state.float(), last.float(), rtol=1e-3, atol=1e-3 * float(last.abs().max()))
            except Exception:  # a layer that cannot be called like this is not run like this
                near = False
            self.faithful &= near
        return self.faithful

    def step(self, layer: int, watch: Multiplications | None) -> None:
        """Takes all states through one layer, watched or not."""
        if not self._states:
            self._states = [self._entering(batch) for batch in self._batches]
        for at, batch in enumerate(self._batches):
            args, kwargs = self._calls[len(batch)][layer]
            state = self._states[at]
            if watch is None:
                self._states[at] = _state(self._layers[layer](state, *args, **kwargs))
            else:
                with watch:
                    self._states[at] = _state(self._layers[layer](state, *args, **kwargs))

    def _record(self, batch: Any) -> tuple[list[tuple[Any, Any]], Any, Any]:
        """How the model calls each layer, what enters the first and what leaves the last."""
        calls: list[tuple[Any, Any]] = []
        states: list[Any] = []

        def entering(_module: Any, args: Any, kwargs: Any) -> None:
            states.append(_entering_state(args, kwargs))
            calls.append((args[1:], {k: v for k, v in kwargs.items() if k != "hidden_states"}))

        hooks = [layer.register_forward_pre_hook(entering, with_kwargs=True) for layer in self._layers]
        hooks.append(self._layers[-1].register_forward_hook(lambda _m, _i, output: states.append(_state(output))))
        try:
            self._model(input_ids=batch.to(self._model.device), use_cache=False, logits_to_keep=1)
        finally:
            for hook in hooks:
                hook.remove()
        return calls, states[0], states[-1]

    def _entering(self, batch: Any) -> Any:
        states: list[Any] = []

        def entering(_module: Any, args: Any, kwargs: Any) -> None:
            states.append(_entering_state(args, kwargs))
            raise _Reached

        hook = self._layers[0].register_forward_pre_hook(entering, with_kwargs=True)
        try:
            self._model(input_ids=batch.to(self._model.device), use_cache=False)
        except _Reached:
            pass
        finally:
            hook.remove()
        return states[0]


def _entering_state(args: Any, kwargs: Any) -> Any:
    return args[0] if args else kwargs["hidden_states"]


def _state(output: Any) -> Any:
    return output[0] if isinstance(output, (tuple, list)) else output
