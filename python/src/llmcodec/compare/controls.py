# SPDX-License-Identifier: BSD-3-Clause
"""What is no video: quantisers of plain numbers, whose indices zstd packs or an ideal adaptive entropy coder counts in bits.

The ideal coder is the estimator of Krichevsky and Trofimov (1981), whose code length is a function of the counts alone. Its
contexts are the sizes of the indices to the left and above, so that it gains where weights of a size lie together.
The trellises are those of Ungerboeck (1982) with four states, which is H.266's dependent quantisation (7.3.11, 8.7.3), and with
eight; the Viterbi algorithm chooses the indices by distortion plus rate, with prices from the indices of the round before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmcodec._errors import UnsupportedError

Matrix = np.ndarray[Any, np.dtype[np.float32]]
Indices = np.ndarray[Any, np.dtype[np.int64]]

_CLASSES = (1, 3, 6)
_ROUNDS = 6  # of prices
_LAMBDA = 0.35  # squared steps of the union of both quantisers a bit: the least gap on Gaussian weights at 2.5 and 4 bits
_LARGEST = 4095  # index that is tried


@dataclass(frozen=True)
class Coded:
    """Bits of all weights, what a decoder has, and the CPU seconds of a coder that really runs."""

    bits: float
    decoded: Matrix
    encode_seconds: float | None = None
    decode_seconds: float | None = None


Memory = dict[str, Any]  # what a coder has learnt from one step for the next


def code(control: str, weights: Matrix, step: float, memory: Memory | None = None) -> Coded:
    """The weights by one of grid.CONTROLS at a step."""
    return _CODERS[control](weights, step, {} if memory is None else memory)


def find_step(control: str, weights: Matrix, bpw: float, tolerance: float) -> tuple[float, Coded]:
    """The step at which that many bits are spent, and what it gives, by secants on the logarithm of the step."""
    deviation = float(np.sqrt(np.mean(np.square(weights, dtype=np.float64)))) or 1.0
    log_step, slope = 2.1 - bpw + math.log2(deviation), -1.0
    best: tuple[float, Coded] | None = None
    last: tuple[float, float] | None = None
    memory: Memory = {}
    for _ in range(10):
        coded = code(control, weights, 2.0**log_step, memory)
        spent = coded.bits / weights.size
        if best is None or abs(spent - bpw) < abs(best[1].bits / weights.size - bpw):
            best = 2.0**log_step, coded
        if abs(spent - bpw) <= tolerance * bpw:
            break
        if last is not None and log_step != last[0]:
            slope = min(max((spent - last[1]) / (log_step - last[0]), -3.0), -0.1)
        last = log_step, spent
        log_step += min(max((bpw - spent) / slope, -2.0), 2.0)
    assert best is not None
    return best


def adaptive_bits(counts: Indices) -> float:
    """Code length of a sequence with these counts of its symbols under the estimator of Krichevsky and Trofimov.

    >>> round(adaptive_bits(np.array([1, 1])), 6)  # 1/2 for the first symbol, (1/2) / 2 for the other
    3.0
    """
    total, symbols = int(counts.sum()), len(counts)
    if total == 0 or symbols < 2:
        return 0.0
    log_gamma = np.vectorize(math.lgamma, otypes=[float])
    up = float(log_gamma(counts + 0.5).sum()) - symbols * math.lgamma(0.5)
    down = math.lgamma(total + symbols / 2) - math.lgamma(symbols / 2)
    return (down - up) / math.log(2)


def contexts(indices: Indices, classes: int) -> Indices:
    """The class of each index: how large those to the left and above are together."""
    sizes = np.abs(indices)
    near = np.zeros_like(sizes)
    near[:, 1:] += sizes[:, :-1]
    near[1:, :] += sizes[:-1, :]
    edges = np.unique(np.quantile(near, np.arange(1, classes) / classes))
    return np.asarray(np.searchsorted(edges, near, side="right"))


def ideal_bits(indices: Indices, sets: Indices | None = None) -> float:
    """What the ideal coder spends. `sets`: by which quantiser each index is, which the decoder knows.

    Of several numbers of classes the best is taken: noise has no neighbourhood, and classes cost their learning. Which symbols
    there are, and that number, is not counted: a few bytes.
    """
    symbols = indices - indices.min()
    count = int(symbols.max()) + 1
    spent = []
    for classes in _CLASSES:
        states = contexts(indices, classes) * 2 + (0 if sets is None else sets)
        table = np.bincount((states * count + symbols).ravel(), minlength=count * 2 * classes)
        spent.append(sum(adaptive_bits(row[row > 0]) for row in table.reshape(-1, count)))
    return min(spent)


def _uniform(weights: Matrix, step: float, _: Memory) -> Coded:
    indices = np.clip(np.rint(weights / step), -_LARGEST, _LARGEST).astype(np.int64)
    return Coded(ideal_bits(indices), (indices * step).astype(np.float32))


def _zstd(weights: Matrix, step: float, _: Memory) -> Coded:
    try:
        import zstandard
    except ImportError:
        raise UnsupportedError("control:zstd needs zstandard: pip install 'llmcodec[report]'") from None
    indices = np.clip(np.rint(weights / step), -_LARGEST, _LARGEST).astype(np.int16)
    samples = indices.astype(np.int8) if np.abs(indices).max() < 128 else indices
    start = time.process_time()
    packed = zstandard.ZstdCompressor(level=19).compress(samples.tobytes())
    middle = time.process_time()
    zstandard.ZstdDecompressor().decompress(packed)
    end = time.process_time()
    return Coded(8.0 * len(packed), (indices * np.float32(step)).astype(np.float32), middle - start, end - middle)


# next_states[state, parity of the index]; the quantiser of a state is its lowest bit.
def _machine(states: int) -> Indices:
    """Systematic encoders with feedback, with parity checks (5, 2) and (13, 04) in octal.

    Of four states: H.266's, with its states 0, 1, 2, 3 named 0, 2, 1, 3 here, so that the lowest bit says the quantiser.
    """
    table = np.empty((states, 2), np.int64)
    for state in range(states):
        bits = [(state >> i) & 1 for i in range(states.bit_length() - 1)]  # lowest first: it chooses the quantiser
        for parity in (0, 1):
            shifted = [bits[1] ^ parity, bits[0]] if states == 4 else [bits[1] ^ bits[0], bits[2] ^ parity, bits[0]]
            table[state, parity] = sum(bit << i for i, bit in enumerate(shifted))
    return table


def _trellis(states: int) -> Callable[[Matrix, float, Memory], Coded]:
    table = _machine(states)

    def coder(weights: Matrix, step: float, memory: Memory) -> Coded:
        """`step` is that of one quantiser; the union of both has half of it."""
        lines, shape = _lines(weights)
        prices = memory.get("prices")
        if prices is None:
            prices = _first_prices(lines / (step / 2))
        for _ in range(_ROUNDS):
            indices, sets = _viterbi(lines / (step / 2), table, prices)
            prices = memory["prices"] = _prices_of(indices, sets)
        levels = _reconstruct(indices, sets) * (step / 2)
        in_place = [part.reshape(-1)[: weights.size].reshape(shape) for part in (indices, sets)]
        decoded = levels.reshape(-1)[: weights.size].reshape(shape).astype(np.float32)
        return Coded(ideal_bits(in_place[0], in_place[1]), decoded)

    return coder


def _lines(weights: Matrix) -> tuple[Matrix, tuple[int, ...]]:
    """The weights as many lines of some hundred, which the trellis takes side by side; the last is filled with zeros."""
    length = min(max(weights.shape[1], 256), 512) if weights.size >= 512 else weights.size
    count = -(-weights.size // length)
    lines = np.zeros(count * length, np.float32)
    lines[: weights.size] = weights.ravel()
    return lines.reshape(count, length), weights.shape


def _reconstruct(indices: Indices, sets: Indices) -> Indices:
    """In half steps: even multiples, or odd ones and zero (H.266, 8.7.3)."""
    return 2 * indices - sets * np.sign(indices)


def _first_prices(scaled: Matrix) -> Matrix:
    """Those of a Gaussian of the weights' deviation, for both quantisers and indices from -_LARGEST to _LARGEST."""
    deviation = max(float(np.sqrt(np.mean(np.square(scaled, dtype=np.float64)))) / 2, 0.3)
    index = np.arange(-_LARGEST, _LARGEST + 1)
    bits = (index / deviation) ** 2 / (2 * math.log(2)) + math.log2(deviation * math.sqrt(2 * math.pi))
    return np.tile(np.minimum(bits, 40.0), (2, 1)).astype(np.float32)


def _prices_of(indices: Indices, sets: Indices) -> Matrix:
    prices = []
    for quantiser in (0, 1):
        chosen = indices[sets == quantiser] + _LARGEST
        counts = np.bincount(chosen.ravel(), minlength=2 * _LARGEST + 1) + 0.02
        prices.append(-np.log2(counts / counts.sum()))
    return np.asarray(prices, np.float32)


def _viterbi(scaled: Matrix, table: Indices, prices: Matrix) -> tuple[Indices, Indices]:
    """Indices of least cost on each line, and their quantisers. A state has two ways on: the nearest index of either parity."""
    lines, length = scaled.shape
    states = len(table)
    # Position first, then quantiser and parity: what a step costs does not depend on the way to it.
    options = [_options(scaled.T, quantiser, prices[quantiser]) for quantiser in (0, 1)]
    indices = np.stack([index for pair in options for index, _ in pair], axis=1)
    costs = np.stack([cost for pair in options for _, cost in pair], axis=1)
    before = np.array([[(s, p) for s in range(states) for p in (0, 1) if table[s, p] == state] for state in range(states)])
    from_state, choice = before[:, :, 0].T, (before[:, :, 0] % 2 * 2 + before[:, :, 1]).T
    total = np.full((states, lines), 1e9, np.float32)
    total[0] = 0
    ways = np.empty((length, states, lines), bool)
    for at in range(length):
        first = total[from_state[0]] + costs[at][choice[0]]
        other = total[from_state[1]] + costs[at][choice[1]]
        np.less(other, first, out=ways[at])
        total = np.minimum(first, other)
    return _traced(total.argmin(axis=0), ways, indices, from_state, choice)


def _options(values: Matrix, quantiser: int, prices: Matrix) -> list[tuple[Indices, Matrix]]:
    """For each parity: the index of least cost, and the cost."""
    found = []
    for parity in (0, 1):
        indices = _nearest(values, quantiser, parity)
        costs = _cost(values, indices, quantiser, prices)
        if parity == 0:  # zero is even, and cheap
            zero_costs = values * values / np.float32(_LAMBDA) + prices[_LARGEST]
            indices[zero_costs < costs] = 0
            costs = np.minimum(costs, zero_costs)
        found.append((indices, costs))
    return found


def _nearest(values: Matrix, quantiser: int, parity: int) -> Indices:
    """Of the indices of this parity that whose level is nearest, by its size; signs stay those of the values."""
    index = 2 * np.rint((np.abs(values) + quantiser - 2 * parity) / 4) + parity
    index = np.clip(index, 0, _LARGEST - 1 + parity)
    signed: Indices = np.where(values < 0, -index, index).astype(np.int64)
    return signed


def _cost(values: Matrix, indices: Indices, quantiser: int, prices: Matrix) -> Matrix:
    error = values - (2 * indices - quantiser * np.sign(indices))
    costs: Matrix = (error * error / _LAMBDA + prices[indices + _LARGEST]).astype(np.float32)
    return costs


def _traced(state: Indices, ways: Any, indices: Indices, from_state: Indices, choice: Indices) -> tuple[Indices, Indices]:
    length, _, lines = ways.shape
    every = np.arange(lines)
    chosen, sets = np.empty((lines, length), np.int64), np.empty((lines, length), np.int64)
    for at in range(length - 1, -1, -1):
        way = ways[at, state, every].astype(np.int64)
        taken = choice[way, state]
        chosen[:, at] = indices[at, taken, every]
        sets[:, at] = taken >> 1
        state = from_state[way, state]
    return chosen, sets


_CODERS: dict[str, Callable[[Matrix, float, Memory], Coded]] = {
    "control:zstd": _zstd,
    "control:uniform": _uniform,
    "control:trellis4": _trellis(4),
    "control:trellis8": _trellis(8),
}
