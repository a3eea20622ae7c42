# SPDX-License-Identifier: BSD-3-Clause
"""First pass: the whole model forward and back, once for every sequence. Keeps sums per column, row and token alone.

For every position a token is drawn from the model's own distribution; the loss is the sum of -log p of these tokens. The
mean of the squared gradients is then the Fisher information, the curvature of the KL divergence between the model and
itself with changed weights (Martens 2014, "New insights and perspectives on the natural gradient method", section 9).
No right answers are needed, so tokens may be text or noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from ._multiplications import Matrices, Matrix, Multiplications
from ._sequences import drawn, random_sequences, seeded

# Of the sequences that go through the model together: logits, F32, and tokens, whose activations of all layers are kept.
_LOGIT_BYTES, _TOKENS = 256 << 20, 2048


@dataclass
class Group:
    """Matrices that multiply the same inputs."""

    members: list[Matrix]
    squares: Any  # sum of x^2 by column, F64
    count: int = 0  # inputs
    every_token: bool = True  # false for experts, which see the tokens that are routed to them
    in_layers: bool = True


@dataclass
class Sums:
    """What the first pass leaves behind; grows with tokens x matrices, not with squares of widths."""

    groups: list[Group] = field(default_factory=list)
    group_of: dict[Matrix, int] = field(default_factory=dict)
    outputs: dict[Matrix, Any] = field(default_factory=dict)  # sum of g^2 by row, F64
    energies: dict[Matrix, list[Any]] = field(default_factory=dict)  # sum of g^2 by token, F32, call after call
    products: dict[Matrix, Any] = field(default_factory=dict)  # outside the layers: sum of (g^2 of the token) x x^T
    batches: int = 0  # that were run

    def weights(self, group: Group) -> Any:
        """How much each input of the group counts: its squared gradient over its mean, averaged over the members.

        A token whose outputs the answer does not depend on says nothing about which inputs matter. None: all alike.
        """
        if not group.every_token:
            return None
        found = [torch.cat(self.energies[m]) for m in group.members if m in self.energies]
        found = [energy / energy.double().mean().float() for energy in found if energy.double().mean() > 0]
        return torch.stack(found).mean(0) if found else None


def batch_size(model: Any, length: int) -> int:
    vocabulary = model.get_input_embeddings().weight.shape[0]
    return max(1, min(_TOKENS, _LOGIT_BYTES // (4 * int(vocabulary))) // length)


class GradientPass:
    """Adds up batches in `sums`, from the first that is not in it yet."""

    def __init__(self, model: Any, matrices: Matrices, layers: str, *, seed: int, full: bool, sums: Sums) -> None:
        self._model, self._matrices, self._layers, self._seed, self._full = model, matrices, layers, seed, full
        self.sums = sums
        head = model.get_output_embeddings()
        self._head: Matrix | None = None if head is None else matrices.find(head.weight, False)
        self._tokens = 0  # in the batch
        self._last: tuple[Any, int] | None = None  # inputs of the product before, and their group

    def run(self, tokens: Any, done: Callable[[int], None]) -> None:
        """tokens [batches][sequences, length]."""
        hook = self._model.get_input_embeddings().register_forward_hook(lambda _m, _i, out: out.detach().requires_grad_())
        try:
            for index in range(self.sums.batches, len(tokens)):
                self._add(tokens[index], index)
                self.sums.batches = index + 1
                done(index + 1)
        finally:
            hook.remove()

        self._add_rows_of_head()

    @torch.no_grad()
    def _add_rows_of_head(self) -> None:
        """Sums of g^2 by row of the head, whose rows are tokens.

        The gradient by a logit is p - 1 for the token that is drawn and p for all others, p (1 - p) in the mean of squares over
        the draws. A text makes its own language's tokens likely and all others not, so rows get that mean after random tokens
        (docs/decisions/064-rows-of-heads.md); all of them together get what was drawn in the text.
        """
        if self._head is None or self._head not in self.sums.energies:
            return
        variance: Any = 0
        for batch in random_sequences(self._model.get_input_embeddings().weight.shape[0], 8, 64, self._seed).split(1):
            logits = self._model(input_ids=batch.to(self._model.device), use_cache=False).logits
            likely = logits.flatten(0, 1).float().softmax(-1)
            variance = variance + (likely - likely.square()).sum(0).double().cpu()
        drawn_in_all = sum(float(energy.double().sum()) for energy in self.sums.energies[self._head])
        self.sums.outputs[self._head] = variance * (drawn_in_all / float(variance.sum()))

    def _add(self, batch: Any, index: int) -> None:
        self._tokens, self._last = batch.numel(), None
        with torch.enable_grad(), Multiplications(self._matrices, self._observe):
            logits = self._model(input_ids=batch.to(self._model.device), use_cache=False).logits.flatten(0, 1).float()
        self._last = None
        with torch.no_grad():
            levels = torch.rand(len(logits), 1, generator=seeded(self._seed, index))
            labels = drawn(logits.softmax(-1), levels)[:, 0]
        torch.nn.functional.cross_entropy(logits, labels, reduction="sum").backward()

    @torch.no_grad()
    def _observe(self, matrix: Matrix, inputs: Any, outputs: Any) -> None:
        group = self.sums.groups[self._group(matrix, inputs)]
        x = inputs.detach().reshape(-1, inputs.shape[-1])
        if group.members[0] == matrix:
            group.squares += x.float().square().sum(0).double().cpu()
            group.count += len(x)
            group.every_token &= len(x) == self._tokens
        if not outputs.requires_grad:  # before the embedding
            return
        calls = self.sums.energies.setdefault(matrix, [])
        at = len(calls)
        calls.append(torch.zeros(len(x)) if group.every_token else torch.zeros(0))
        kept = x if self._full and not group.in_layers else None
        outputs.register_hook(lambda gradient: self._observe_back(matrix, at, kept, gradient))

    @torch.no_grad()
    def _observe_back(self, matrix: Matrix, call: int, x: Any, gradient: Any) -> None:
        squares = gradient.reshape(-1, gradient.shape[-1]).float().square()
        energy = squares.sum(-1)
        if matrix != self._head:
            _add(self.sums.outputs, matrix, squares.sum(0).double().cpu())
        if len(self.sums.energies[matrix][call]):
            self.sums.energies[matrix][call] = energy.cpu()
        if x is not None:
            x = x.float()
            _add(self.sums.products, matrix, ((x * energy[:, None]).T @ x).cpu())

    def _group(self, matrix: Matrix, inputs: Any) -> int:
        sums = self.sums
        if matrix not in sums.group_of:
            if self._last is not None and self._last[0] is inputs:
                sums.group_of[matrix] = self._last[1]
                sums.groups[self._last[1]].members.append(matrix)
            else:
                sums.group_of[matrix] = len(sums.groups)
                squares = torch.zeros(inputs.shape[-1], dtype=torch.float64)
                sums.groups.append(Group([matrix], squares, in_layers=matrix.parameter.startswith(self._layers)))
        self._last = (inputs, sums.group_of[matrix])
        return self._last[1]


def _add(sums: dict[Matrix, Any], key: Matrix, value: Any) -> None:
    sums[key] = sums[key] + value if key in sums else value
