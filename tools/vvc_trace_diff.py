#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Finds the first syntax element on which two traces differ.

A trace has one line "NAME VALUE" per element (src/vvc/stream/trace.h). Lines that start with one of --ignore are left out of
both, for elements that only one side reports.

  tools/vvc_trace_diff.py ours.trace theirs.trace [--context 12] [--ignore TU,IntraPredModeY]

Exit status: 0 equal, 1 different (prints the place), 2 wrong use.
"""
import argparse
import itertools
import sys


def elements(path, ignored):
    """Yields (line number, text) of the elements to compare."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text and not text.startswith(ignored):
                yield number, text


def first_difference(left, right, context):
    """The last equal elements and the first differing pair, or None."""
    history = []
    for index, (a, b) in enumerate(itertools.zip_longest(left, right)):
        if a is None or b is None or a[1] != b[1]:
            return index, history, a, b
        history = (history + [a])[-context:] if context else []
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("left")
    parser.add_argument("right")
    parser.add_argument("--context", type=int, default=8, help="equal elements shown before the difference")
    parser.add_argument("--ignore", default="", help="comma-separated beginnings of lines to leave out")
    options = parser.parse_args()
    ignored = tuple(name for name in options.ignore.split(",") if name)
    try:
        found = first_difference(elements(options.left, ignored), elements(options.right, ignored), options.context)
    except OSError as failure:
        print(failure, file=sys.stderr)
        return 2
    if found is None:
        print("equal")
        return 0
    index, history, a, b = found
    for number, text in history:
        print(f"  {number:>9}  {text}")
    for path, element in ((options.left, a), (options.right, b)):
        number, text = element if element else ("end", "")
        print(f"! {number:>9}  {text}  [{path}]")
    print(f"first difference at element {index}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
