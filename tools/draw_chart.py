#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Draws the charts of docs/charts as SVG from the tables of docs/*.md, so that both always agree. Standard library only.

usage: draw_chart.py quality OUT.svg docs/benchmarks.md docs/peers.md   KL divergence (log) against bits per weight, a line per method
       draw_chart.py quality OUT.svg docs/other-models.md --model NAME  the same of another model
       draw_chart.py speed OUT.svg docs/benchmarks.md [--bpw 2.3]       encoding speed (log) against the gap at about one rate, a point per codec
"""
import argparse
import dataclasses
import html
import math
import pathlib

from equal_quality import leading_number, marked_table

WIDTH, HEIGHT = 900, 560
LEFT, RIGHT, TOP, BOTTOM = 80, 250, 50, 60
COLOURS = ("#0b5fa5", "#c8501e", "#2e8b57", "#8a3ab9", "#b8860b", "#d6336c", "#4b7f8c", "#666666", "#1f9bcf", "#7a4b1e", "#5c6bc0",
           "#9e9d24", "#ef6c00", "#00796b")
FONT = "font-family='sans-serif' font-size='13'"


@dataclasses.dataclass
class Axis:
    title: str
    low: float
    high: float
    log: bool = False

    def share(self, value):
        """Where a value lies, 0 to 1."""
        change = math.log if self.log else float
        return (change(value) - change(self.low)) / (change(self.high) - change(self.low))

    def ticks(self):
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
        else:
            step = 0.25 if self.high - self.low < 3 else 0.5
            values = [step * i for i in range(math.floor(self.low / step), math.ceil(self.high / step) + 1)]
        return [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]


def fitted(title, values, log=False):
    """An axis around the values, with a margin."""
    if log:
        return Axis(title, min(values) / 1.3, max(values) * 1.3, True)
    margin = 0.06 * (max(values) - min(values) or 1)
    return Axis(title, min(values) - margin, max(values) + margin)


def place(x_axis, y_axis, x, y):
    return (LEFT + x_axis.share(x) * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y_axis.share(y) * (HEIGHT - TOP - BOTTOM))


def text(x, y, words, more=""):
    return f"<text x='{x:.1f}' y='{y:.1f}' {FONT} {more}>{html.escape(words)}</text>"


def frame(title, x_axis, y_axis):
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>", text(LEFT, 28, title, "font-weight='bold'")]
    for value in x_axis.ticks():
        x, _ = place(x_axis, y_axis, value, y_axis.low)
        parts += [f"<line x1='{x:.1f}' y1='{TOP}' x2='{x:.1f}' y2='{bottom}' stroke='#e4e4e4'/>",
                  text(x, bottom + 18, f"{value:g}", "text-anchor='middle'")]
    for value in y_axis.ticks():
        _, y = place(x_axis, y_axis, x_axis.low, value)
        parts += [f"<line x1='{LEFT}' y1='{y:.1f}' x2='{right}' y2='{y:.1f}' stroke='#e4e4e4'/>",
                  text(LEFT - 8, y + 4, f"{value:g}", "text-anchor='end'")]
    middle = (TOP + bottom) / 2
    return parts + [f"<rect x='{LEFT}' y='{TOP}' width='{right - LEFT}' height='{bottom - TOP}' fill='none' stroke='#888'/>",
                    text((LEFT + right) / 2, HEIGHT - 16, x_axis.title, "text-anchor='middle'"),
                    text(22, middle, y_axis.title, f"text-anchor='middle' transform='rotate(-90 22 {middle:.0f})'")]


def draw(title, x_axis, y_axis, lines):
    """lines: {name: [(x, y), ...]}, each a line with marks and an entry at the right."""
    parts = frame(title, x_axis, y_axis)
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        spots = [place(x_axis, y_axis, *point) for point in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='{3 if name.startswith('llmcodec') else 1.5}'/>")
        parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{colour}'/>" for x, y in spots]
        y = TOP + 10 + 22 * number
        parts += [f"<circle cx='{WIDTH - RIGHT + 20}' cy='{y}' r='5' fill='{colour}'/>", text(WIDTH - RIGHT + 32, y + 4, name)]
    head = f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}'>"
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def method(row):
    """The line of the chart that a row of the tables `quality` and `peers` belongs to."""
    if "known" in row:
        return f"llmcodec, {row['known']}"
    return row["method"] if row["embedding"] == "its own" else f"{row['method']}, embedding {row['embedding']}"


def quality(contents, options):
    tables, title = ("quality", "peers"), "SmolLM2-135M, 29 chunks of wiki.test"
    if options.model:
        tables, title = (f"quality --model {options.model}", f"peers --model {options.model}"), f"{options.model}, wiki.test"
    lines = {}
    for row in (row for content in contents for name in tables for row in marked_table(content, name)):
        lines.setdefault(method(row), []).append((leading_number(row["bpw weights"]), leading_number(row["KL"])))
    points = [point for line in lines.values() for point in line]
    return draw(f"Damage against size: {title}", fitted("bits per weight, everything counted", [p[0] for p in points]),
                fitted("KL divergence from the original, nats per token", [p[1] for p in points], log=True), lines)


def speed(contents, options):
    bpw = options.bpw
    nearest = {}
    for row in (row for content in contents for row in marked_table(content, "gaussian")):
        away = abs((leading_number(row["bpw"]) or 0) - bpw)
        if away < min(0.1, nearest.get(row["codec"], (1,))[0]):
            nearest[row["codec"]] = (away, leading_number(row["gap dB"]), leading_number(row["encode Mweights/s"]))
    lines = {codec: [point] for codec, (_, *point) in nearest.items()}
    return draw(f"Speed against gap: Gaussian noise, about {bpw:g} bits per weight, one thread",
                fitted("gap to the rate-distortion bound, dB (less is better)", [p[0][0] for p in lines.values()]),
                fitted("encoding, million weights per second", [p[0][1] for p in lines.values()], log=True), lines)


CHARTS = {"quality": quality, "speed": speed}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chart", choices=CHARTS)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("documents", type=pathlib.Path, nargs="+")
    parser.add_argument("--bpw", type=float, default=2.3)
    parser.add_argument("--model", help="of the chart quality: another model than the reference model")
    options = parser.parse_args()
    contents = [path.read_text(encoding="utf-8") for path in options.documents]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(CHARTS[options.chart](contents, options), encoding="utf-8")


if __name__ == "__main__":
    main()
