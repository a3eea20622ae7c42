# SPDX-License-Identifier: BSD-3-Clause
"""At how many bits llmcodec does as much damage as another method: between its own rows of the table `quality`, the logarithm of the
KL divergence is taken for a straight line over bits. Outside of them nothing is said."""
import math
import re


def marked_table(content, name):
    """Rows of the table between the marks of `name`, each a dictionary by column title; none where it is absent."""
    found = re.search(f"<!-- begin {name} -->(.*?)<!-- end {name} -->", content, re.S)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in (found.group(1) if found else "").splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], cells)) for cells in lines[2:]]


def leading_number(cell):
    """The first number of a cell such as "0.189 ± 0.003"; None where a row failed."""
    found = re.match(r"-?[\d.]+", cell)
    return float(found.group()) if found else None


def curves(content, name):
    """What is known -> [(bits per weight, KL divergence)] of a table `quality`, by bits."""
    found = {}
    for row in marked_table(content, name):
        point = leading_number(row["bpw weights"]), leading_number(row["KL"])
        if None not in point:
            found.setdefault(row["known"], []).append(point)
    return {known: sorted(points) for known, points in found.items()}


def bits_at(points, divergence):
    """Bits per weight at a KL divergence; None if it is more or less than all of the points'."""
    for (bits, kl), (next_bits, next_kl) in zip(points, points[1:]):
        if next_kl <= divergence <= kl:
            return bits + (next_bits - bits) * math.log(kl / divergence) / math.log(kl / next_kl)
    return None
