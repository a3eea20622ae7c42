# SPDX-License-Identifier: BSD-3-Clause
"""The charts of a report, as plotly.js takes them. Colours of text and lines are the page's own affair (page.js)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .statistics import DB_PER_BIT, Line, Study, pareto
from .summary import number, speed_text, with_interval

Figure = dict[str, Any]
# Okabe and Ito's colours, that most people tell apart, and two more.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#7F4FC9", "#8C564B")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


@dataclass(frozen=True)
class Chart:
    """A figure, what it shows in a sentence, and its numbers for those who cannot see it: headings first."""

    name: str
    title: str
    words: str
    figure: Figure
    table: list[list[str]]


def charts_of(study: Study) -> list[Chart]:
    """All that the rows are enough for."""
    lines = study.codecs()
    looks = {line.name: _look(i) for i, line in enumerate(sorted(lines, key=lambda line: line.name))}
    made: list[Chart | None] = [_gap_chart(study, lines, looks), _curve_chart(study, lines, looks)]
    for key, words in (("encode_mws", "encoding"), ("decode_mws", "decoding")):
        made.append(_speed_chart(study, lines, looks, key, words))
    made += [_heat_map(study, lines), _layer_chart(study, lines), _variant_chart(study)]
    return [chart for chart in made if chart is not None]


def middle_rate(study: Study) -> float:
    """At which encoders are compared where one number must do."""
    return float(study.rates[len(study.rates) // 2])


def _look(i: int) -> dict[str, Any]:
    colour = _COLOURS[i % len(_COLOURS)]
    return {
        "line": {"color": colour, "dash": _DASHES[i // len(_COLOURS) % len(_DASHES)], "width": 2},
        "marker": {"color": colour, "symbol": _SYMBOLS[i // len(_COLOURS) % len(_SYMBOLS)], "size": 8},
    }


def _layout(x: str, y: str, height: int = 460, **more: Any) -> Figure:
    axes = {"xaxis": {"title": {"text": x}, "automargin": True}, "yaxis": {"title": {"text": y}, "automargin": True}}
    return {"height": height, "margin": {"l": 60, "r": 16, "t": 12, "b": 50}, "hovermode": "closest", **axes, **more}


def _height(traces: Sequence[Figure]) -> int:
    """Room for the names of all of them."""
    return max(460, 90 + 20 * len(traces))


def _gap_chart(study: Study, lines: Sequence[Line], looks: Mapping[str, Any]) -> Chart:
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": escape(line.name),
            "x": list(line.gaps),
            "y": [round(gap, 3) for gap in line.gaps.values()],
            "hovertemplate": f"<b>{escape(line.name)}</b><br>%{{x:g}} bits: %{{y:.2f}} dB from the bound<extra></extra>",
            **looks[line.name],
        }
        for line in lines
        if line.gaps
    ]
    table = [["codec", *(f"{rate:g} bits" for rate in study.rates)]]
    table += [[line.name, *(number(line.gaps.get(rate)) for rate in study.rates)] for line in lines]
    return Chart(
        "gap",
        "Distance to the bound",
        "How far each codec is from the rate-distortion bound of Gaussian weights, in dB of SNR at the same bits. Lower is "
        "better; six dB are one bit. Means over tensors.",
        {"data": traces, "layout": _layout("bits per weight, scales included", "gap to the bound, dB", _height(traces))},
        table,
    )


def _curve_chart(study: Study, lines: Sequence[Line], looks: Mapping[str, Any]) -> Chart:
    bound = {
        "type": "scatter",
        "mode": "lines",
        "name": "Gaussian bound",
        "x": [study.rates[0], study.rates[-1]],
        "y": [DB_PER_BIT * study.rates[0], DB_PER_BIT * study.rates[-1]],
        "line": {"dash": "dot", "width": 2, "color": "#888888"},
        "hoverinfo": "skip",
    }
    traces = [bound]
    table = [["codec", *(f"{rate:g} bits" for rate in study.rates)]]
    for line in lines:
        values = {rate: DB_PER_BIT * rate - gap for rate, gap in line.gaps.items()}
        table.append([line.name, *(number(values.get(rate)) for rate in study.rates)])
        hover = f"<b>{escape(line.name)}</b><br>%{{x:g}} bits: %{{y:.2f}} dB<extra></extra>"
        points = {"x": list(values), "y": [round(snr, 3) for snr in values.values()], "hovertemplate": hover}
        traces.append({"type": "scatter", "mode": "lines+markers", "name": escape(line.name), **points, **looks[line.name]})
    return Chart(
        "curves",
        "Rate and distortion",
        "Signal-to-noise ratio of the weights over bits per weight, scales included; means over tensors.",
        {"data": traces, "layout": _layout("bits per weight, scales included", "SNR, dB", _height(traces))},
        table,
    )


def _speed_chart(study: Study, lines: Sequence[Line], looks: Mapping[str, Any], key: str, words: str) -> Chart | None:
    """Encoders and their presets at the middle rate; those that no other beats are joined."""
    rate = middle_rate(study)
    presets = [line for line in study.variants() if line.row["varies"] == ["preset"]]
    named = [(line, line.name) for line in lines] + [(line, f"{line.codec}, {line.name}") for line in presets]
    points = [
        (line, name, float(getattr(line, key)), line.gaps[rate])
        for line, name in named
        if getattr(line, key) and rate in line.gaps
    ]
    if len(points) < 2:
        return None
    front = pareto({name: (mws, -gap) for _, name, mws, gap in points})
    traces: list[Figure] = []
    at = {name: (mws, gap) for _, name, mws, gap in points}
    joined = {"x": [at[name][0] for name in front], "y": [at[name][1] for name in front]}
    dotted = {"dash": "dot", "width": 1.5, "color": "#888888"}
    traces.append({"type": "scatter", "mode": "lines", "name": "Pareto front", **joined, "line": dotted, "hoverinfo": "skip"})
    for codec in dict.fromkeys(line.codec for line, *_ in points):
        own = [(name, mws, gap) for line, name, mws, gap in points if line.codec == codec]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": escape(codec),
                "x": [mws for _, mws, _ in own],
                "y": [round(gap, 3) for _, _, gap in own],
                "text": [escape(name) for name, _, _ in own],
                "hovertemplate": "<b>%{text}</b><br>%{x:.3g} million weights/s<br>%{y:.2f} dB from the bound<extra></extra>",
                "marker": {**looks[codec]["marker"], "size": 10} if codec in looks else {"size": 10},
            }
        )
    layout = _layout("million weights per second of one core", f"gap at {rate:g} bits, dB", _height(traces))
    layout["xaxis"]["type"] = "log"
    layout["yaxis"]["autorange"] = "reversed"
    table = [["codec", "million weights/s", f"gap at {rate:g} bits, dB", "on the front"]]
    table += [[name, speed_text(mws), number(gap), "yes" if name in front else ""] for _, name, mws, gap in points]
    return Chart(
        f"speed-{words}",
        f"Speed of {words} against quality",
        f"Each dot is an encoder or one of its presets, at {rate:g} bits. Up and to the right is better; the dotted line joins "
        "those that no other beats in both. Processor time of one core, start of processes subtracted.",
        {"data": traces, "layout": layout},
        table,
    )


def short_kind(kind: str) -> str:
    """What tells kinds of tensors apart, without what all names have.

    >>> short_kind("model.layers.*.self_attn.q_proj.weight")
    'self_attn.q_proj'
    """
    return kind.rsplit("*.", 1)[-1].removesuffix(".weight") or kind


def _heat_map(study: Study, lines: Sequence[Line]) -> Chart | None:
    rate = middle_rate(study)
    values = {line.name: study.gaps_by(line.codec, rate, "kind") for line in lines}
    kinds = sorted({kind for found in values.values() for kind in found})
    if len(kinds) < 2:
        return None
    rows = [line.name for line in lines if values[line.name]]
    cells = [[round(values[name][kind].mean, 3) if kind in values[name] else None for kind in kinds] for name in rows]
    heat = {
        "type": "heatmap",
        "x": [escape(short_kind(kind)) for kind in kinds],
        "y": [escape(name) for name in rows],
        "z": cells,
        "colorscale": "Cividis",
        "reversescale": True,
        "colorbar": {"title": {"text": "gap, dB"}, "thickness": 12},
        "hovertemplate": "<b>%{y}</b> on %{x}<br>%{z:.2f} dB from the bound<extra></extra>",
    }
    layout = _layout("", "", height=160 + 26 * len(rows))
    layout["yaxis"]["autorange"] = "reversed"
    table = [["codec", *(short_kind(kind) for kind in kinds)]]
    table += [[name, *(number(values[name][k].mean if k in values[name] else None) for k in kinds)] for name in rows]
    return Chart(
        "kinds",
        "Codecs and kinds of tensors",
        f"Gap to the Gaussian bound at {rate:g} bits, by what a tensor does. Below zero it is easier than Gaussian noise.",
        {"data": [heat], "layout": layout},
        table,
    )


def _layer_chart(study: Study, lines: Sequence[Line]) -> Chart | None:
    """The encoder on most tensors, by depth."""
    rate = middle_rate(study)
    pictures = [line for line in lines if not line.name.startswith("control:")] or list(lines)
    if not pictures:
        return None
    line = max(pictures, key=lambda line: (line.tensors, line.name == study.anchor))
    own = [
        r for r in study.rows if not r["varies"] and r["codec"] == line.codec and r["rate"] == rate and r["layer"] is not None
    ]
    if len({row["layer"] for row in own}) < 2:
        return None
    traces = []
    for i, kind in enumerate(sorted({row["kind"] for row in own})):
        of = sorted((row for row in own if row["kind"] == kind), key=lambda row: row["layer"])
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": escape(short_kind(kind)),
                "x": [row["layer"] for row in of],
                "y": [round(row["gap_db"], 3) for row in of],
                "text": [f"{escape(row['tensor'])}<br>{row['bpw']:.3f} bits, {row['snr_db']:.2f} dB" for row in of],
                "hovertemplate": "%{text}<br>%{y:.2f} dB from the bound<extra></extra>",
                **_look(i),
            }
        )
    table = [["layer", "tensor", "bits per weight", "SNR dB", "gap dB"]]
    table += [
        [str(r["layer"]), r["tensor"], number(r["bpw"], 3), number(r["snr_db"]), number(r["gap_db"])]
        for r in sorted(own, key=lambda r: (r["layer"], r["tensor"]))
    ]
    return Chart(
        "layers",
        "Bits and error by layer",
        f"{line.name} when {rate:g} bits were asked for: gap to the bound by the depth of the tensor. Bits and SNR are in the "
        "hover and in the table.",
        {"data": traces, "layout": _layout("layer", "gap, dB")},
        table,
    )


def _variant_chart(study: Study) -> Chart | None:
    lines = [line for line in study.variants() if line.snr_db is not None]
    if not lines:
        return None
    traces = []
    names = [f"{line.codec}: {line.name}" for line in lines]
    for i, varied in enumerate(dict.fromkeys(tuple(line.row["varies"]) for line in lines)):
        own = [(name, line.snr_db) for name, line in zip(names, lines, strict=True) if tuple(line.row["varies"]) == varied]
        found = [(escape(name), value) for name, value in own if value is not None]
        low = [value.mean - value.low if value.low is not None else 0 for _, value in found]
        high = [value.high - value.mean if value.high is not None else 0 for _, value in found]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": escape(" and ".join(key.replace("_", " ") for key in varied)),
                "x": [round(value.mean, 3) for _, value in found],
                "y": [name for name, _ in found],
                "error_x": {"type": "data", "array": high, "arrayminus": low, "symmetric": False, "thickness": 1.5},
                "hovertemplate": "<b>%{y}</b><br>%{x:+.3f} dB<extra></extra>",
                "marker": _look(i)["marker"],
            }
        )
    layout = _layout("change of SNR at the same bits, dB", "", height=160 + 20 * len(lines))
    layout["yaxis"] |= {"autorange": "reversed", "tickfont": {"size": 11}}
    layout["xaxis"]["zeroline"] = True
    table = [["codec", "changed", "SNR dB", "tensors"]]
    table += [[line.codec, line.name, with_interval(line.snr_db), str(line.tensors)] for line in lines]
    return Chart(
        "variants",
        "One thing changed",
        "What a preset, a profile, a layout or a switch does to the SNR at the same bits, against the same encoder without it. "
        "To the right is better. Bars: 95 % intervals over tensors; none where there are fewer than three.",
        {"data": traces, "layout": layout},
        table,
    )
