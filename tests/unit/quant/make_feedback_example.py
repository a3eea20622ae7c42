#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes tests/data/quant/feedback_example.txt: the closed loop's algebra by numpy in float64, straight from its
definition (inverse, then Cholesky), for feedback_test.cc to compare with.

usage: make_feedback_example.py > tests/data/quant/feedback_example.txt
"""
import numpy as np

COLS, ROWS, STRIP, DAMPING = 45, 3, 16, 0.01
CLASS_BOUNDS = (5, 4, 3, 2, 1, 0.25, -0.5)


def show(name, values):
    values = np.atleast_2d(values)
    print(name, *values.shape)
    for row in values:
        print(*(np.format_float_scientific(v, precision=8, unique=False) for v in row))


def main():
    generator = np.random.default_rng(7)
    mixing = generator.standard_normal((COLS, COLS)) * np.exp(-np.arange(COLS) / 6)
    size = np.exp(0.5 * generator.standard_normal(COLS))
    moments = (mixing @ mixing.T * size[:, None] * size).astype(np.float32).astype(np.float64)
    damped = moments + DAMPING * np.mean(np.diag(moments)) * np.eye(COLS)
    octaves = np.log2(np.diag(damped))
    octaves -= octaves.mean()
    classes = sum((octaves < bound).astype(int) for bound in CLASS_BOUNDS)
    by_class = np.argsort(classes, kind="stable")
    steps = np.empty(COLS)
    steps[by_class] = np.diag(upper(damped, by_class))
    steps /= np.exp(np.log(steps).mean())
    order = generator.permutation(COLS)
    u = upper(damped, order)
    weights = generator.standard_normal((ROWS, COLS)).astype(np.float32).astype(np.float64)
    show("moments", moments)
    show("classes", classes)
    show("steps", steps)
    show("order", order)
    show("weights", weights)
    for begin in range(0, COLS, STRIP):
        end = min(begin + STRIP, COLS)
        error = (0.3 * generator.standard_normal((ROWS, end - begin))).astype(np.float32).astype(np.float64)
        weights[:, end:] -= error @ np.linalg.inv(u[begin:end, begin:end]) @ u[begin:end, end:]
        show("error", error)
        if end < COLS:
            show("rest", weights[:, end:])


def upper(damped, order):
    """U of inverse(H) = U^T U for the columns in this order."""
    return np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T


if __name__ == "__main__":
    main()
