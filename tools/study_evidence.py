# SPDX-License-Identifier: BSD-3-Clause
"""What docs/study/*.json holds, and the numbers that study_document.py and study_claims.py ask of it."""
import pathlib

import numpy as np

from llmcodec.compare import results
from llmcodec.compare.statistics import Study, difference, interval

MAIN, OTHERS = "smollm2", "other-tensors"
NAMES = {"smollm2": "SmolLM2-135M", "gemma270m": "Gemma 3 270M", "qwen05b": "Qwen2.5-Coder 0.5B", "qwen15b": "Qwen2.5-Coder 1.5B",
         "other-tensors": "Other tensors"}


def name_of(model):
    """How people call a model, of the name of its file."""
    return NAMES.get(model.removesuffix("-f16"), model)


class Grid:
    """One file of `compare`."""

    def __init__(self, path):
        self.key, self.name = path.stem, name_of(path.stem)
        self.loaded = results.load(str(path))
        self.study = Study(self.loaded)

    def variants(self, *varies):
        """Lines of what was varied, those with a difference."""
        return [line for line in self.study.variants() if tuple(line.row["varies"]) == varies and line.snr_db is not None]

    def gap(self, codec, rate):
        """Of a codec's own setting; None where it was not measured."""
        base = self.study.bases.get(codec)
        return None if base is None else self.study.gap_at(base, rate)

    def paired(self, codec, other):
        """Interval of the dB by which `codec` is better than `other`, over the tensors that both have."""
        curves, against = (self.study.curves(self.study.bases[name]) for name in (codec, other))
        found = [difference(against[tensor], curve) for tensor, curve in curves.items() if tensor in against]
        return interval([one.snr_db for one in found if one is not None])


class Evidence:
    """All files: the grids of models, SmolLM2 first; that of other tensors; rows about whole models."""

    def __init__(self, folder):
        grids = {path.stem: Grid(path) for path in sorted(pathlib.Path(folder).glob("*.json"))}
        self.models = [row for grid in grids.values() for row in grid.loaded["models"]]
        measured = {key: grid for key, grid in grids.items() if grid.study.rows}
        self.others = measured.pop(OTHERS, None)
        self.main = measured[MAIN]
        self.grids = [self.main, *(grid for key, grid in measured.items() if key != MAIN)]
        self.all = self.grids + ([self.others] if self.others else [])

    def model_row(self, codec, bits, model=None):
        """The row of a whole model; of SmolLM2 unless another is named. None if there is none."""
        wanted = model or f"{MAIN}-f16"
        found = (row for row in self.models if (row["model"], row["codec"], row["asked_bpw"]) == (wanted, codec, bits) and "failed" not in row)
        return next(found, None)


def tasks_of(row):
    """Names of a row's tasks, in one order."""
    return sorted(row["tasks_right"])


def weighted_difference(row, other, weight=1.0):
    """Accuracy of one row less `weight` times that of another, in per cent, and its standard error: means over tasks. Both answered the
    same items, so that what is hard for both is left out of the error."""
    means, variances = [], []
    for task in tasks_of(row):
        ours, theirs = (np.array([*answers["tasks_right"][task]], dtype=float) for answers in (row, other))
        difference_of_items = ours - weight * theirs
        means.append(difference_of_items.mean())
        variances.append(difference_of_items.var(ddof=1) / len(ours))
    return 100 * float(np.mean(means)), 100 * float(np.sqrt(np.sum(variances))) / len(means)


def mean_accuracy(row):
    """Over tasks, in per cent, and its standard error."""
    return weighted_difference(row, row, 0.0)


def score(row, key):
    """Of a row's first text."""
    return next(iter(row[key].values()))


def decibels(value):
    return f"{value:+.2f}"


def at_rate(gaps, rate):
    return f"{gaps[rate]:.2f}" if rate in gaps else ""


def with_interval(found):
    """Mean and half of the 95 % interval's width."""
    if found is None:
        return "?"
    return decibels(found.mean) if found.low is None else f"{decibels(found.mean)} ± {(found.high - found.low) / 2:.2f}"
