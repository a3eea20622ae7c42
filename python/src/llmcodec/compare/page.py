# SPDX-License-Identifier: BSD-3-Clause
"""Results as one page that needs nothing else: plotly.js, data and pictures are in it, and it may fetch nothing.

Every string of the results is somebody's: it is escaped where it becomes HTML, and again where plotly.js would take its tags.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import importlib.resources
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from llmcodec._errors import IoError, UnsupportedError

from .charts import Chart, charts_of, middle_rate
from .models import table_of
from .statistics import Study
from .summary import VARIANT_COLUMNS, codec_cells, codec_columns, number, variant_cells

_MAX_SIDE = 512  # of pictures in results
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_METHOD = (
    "Bits count the stream, and scales as they are in an archive of the whole tensor. Differences are Bjøntegaard's (VCEG-M33)"
    ", by piecewise cubic interpolation over the bits that both have, tensor by tensor; then the mean over tensors with its "
    "95 % bootstrap interval. Speeds are processor time of one core, of the encoder's processes too."
)
_PICTURES = (
    ("plane", "the samples it is given"),
    ("reconstruction", "what comes back"),
    ("residual", "the difference"),
    ("spectrum", "frequencies of the samples"),
)


def write_page(loaded: Mapping[str, Any], path: str) -> None:
    """The whole page or nothing, under its name."""
    text = page_of(loaded)
    beside = f"{path}.new"
    try:
        with open(beside, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise IoError(f"{path}: {error.strerror}", file=path, message=str(error.strerror)) from None


def page_of(loaded: Mapping[str, Any]) -> str:
    """The page. UnsupportedError without plotly."""
    study = Study(loaded)
    charts = charts_of(study) if study.rows else []
    by_name = {chart.name: chart for chart in charts}
    sections = [("findings", "In short", _findings(loaded, study))]
    for name, title, names in (
        ("curves", "Quality at a rate", ("gap", "curves")),
        ("speed", "Speed and quality", ("speed-encoding", "speed-decoding")),
        ("kinds", "Kinds of tensors", ("kinds",)),
        ("layers", "Layers", ("layers",)),
        ("variants", "Presets, profiles, layouts, switches", ("variants",)),
    ):
        body = "".join(_figure(by_name[n], len(names) > 1) for n in names if n in by_name)
        if name == "curves" and study.rows:
            body += _titled_table("Codecs", [codec_columns(study), *(codec_cells(line, study) for line in study.codecs())])
        if name == "variants" and study.variants():
            body += _titled_table("All changes", [VARIANT_COLUMNS, *(variant_cells(line) for line in study.variants())])
        sections.append((name, title, body))
    sections.append(("views", "Weights as the codec sees them", _views(loaded["pictures"])))
    sections.append(("models", "Models", _models(loaded["models"])))
    sections.append(("method", "How it was measured", _method(loaded, study)))
    shown = [(name, title, body) for name, title, body in sections if body]
    figures = {chart.name: chart.figure for chart in charts}
    return _document(shown, figures, _plotly())


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise UnsupportedError("the page needs plotly: pip install 'llmcodec[report]'") from None
    return str(get_plotlyjs())


def _document(sections: Sequence[tuple[str, str, str]], figures: Mapping[str, Any], plotly: str) -> str:
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in sections)
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{escape(title)}</h2>{text}</section>'
        for name, title, text in sections
    )
    data = (
        json.dumps(figures, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>Codecs for weights</title>
<style>{_asset("page.css")}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<header><h1>Which codec for a language model's weights?</h1>
<nav aria-label="Sections"><ul>{links}</ul></nav></header>
<main id="main">{body}</main>
<p id="said" role="status" aria-live="polite" class="said"></p>
<script>{plotly}</script>
<script type="application/json" id="figures">{data}</script>
<script>{_asset("page.js")}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _findings(loaded: Mapping[str, Any], study: Study) -> str:
    """Sentences that the numbers write."""
    if not study.rows:
        return "<p>Nothing was measured; below is why.</p>"
    rate = middle_rate(study)
    lines = [line for line in study.codecs() if rate in line.gaps]
    real = sorted((line for line in lines if not line.name.startswith("control:")), key=lambda line: line.gaps[rate])
    controls = sorted((line for line in lines if line.name.startswith("control:")), key=lambda line: line.gaps[rate])
    said = []
    if real:
        best = real[0]
        others = ", ".join(f"{escape(line.name)} {line.gaps[rate]:.2f}" for line in real[1:5])
        said.append(
            f"At {rate:g} bits per weight <b>{escape(best.name)}</b> is nearest to the bound of Gaussian weights, "
            f"{best.gaps[rate]:.2f} dB from it" + (f"; then {others}." if others else ".")
        )
        fast = [line for line in real if line.encode_mws and line.gaps[rate] <= best.gaps[rate] + 0.5]
        if fast:
            quickest = max(fast, key=lambda line: line.encode_mws or 0)
            said.append(
                f"Of those within half a decibel of it, <b>{escape(quickest.name)}</b> encodes fastest: "
                f"{quickest.encode_mws:.3g} million weights per second on one core."
            )
    if controls:
        named = ", ".join(f"{escape(line.name.removeprefix('control:'))} {line.gaps[rate]:.2f} dB" for line in controls)
        said.append(f"What is no video, for comparison: {named}.")
    models = escape(", ".join(sorted({row["model"] for row in study.rows})))
    tensors = len({(row["model"], row["tensor"]) for row in study.rows})
    count = f"{tensors} tensor{'s' if tensors > 1 else ''}"
    said.append(f"{len(study.rows)} points of {len(study.bases)} codecs on {count} of {models}.")
    return "<ul class='findings'>" + "".join(f"<li>{sentence}</li>" for sentence in said) + "</ul>"


def _figure(chart: Chart, titled: bool) -> str:
    title = f"<h3 id='{chart.name}-chart-title'>{escape(chart.title)}</h3>" if titled else ""
    label = f"aria-labelledby='{chart.name}-chart-title'" if titled else f"aria-label='{escape(chart.title)}'"
    height = int(chart.figure["layout"]["height"])
    return (
        f"<figure {label}>{title}<figcaption>{escape(chart.words)}</figcaption>"
        f"<div class='chart' data-figure='{chart.name}' style='min-height:{height}px' role='group' "
        f"aria-label='Chart: {escape(chart.title)}'></div>"
        f"<details><summary>The numbers of this chart</summary>{_table(chart.table, chart.title)}</details></figure>"
    )


def _titled_table(title: str, cells: Sequence[Sequence[str]]) -> str:
    return f"<h3>{escape(title)}</h3>{_table(cells, title)}"


def _table(cells: Sequence[Sequence[str]], title: str) -> str:
    """Headings and rows of texts."""
    head = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in cells[0])
    rows = "".join(
        f"<tr><th scope='row'>{escape(row[0])}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in cells[1:]
    )
    return _copyable(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>", title)


def _copyable(body: str, title: str) -> str:
    """In a frame that scrolls, by keys too, under a button that copies it."""
    named = escape(title, quote=True)
    return (
        f"<div class='table'><button type='button' class='copy' aria-label='Copy: {named}'>Copy</button>"
        f"<div class='scroll' tabindex='0' role='region' aria-label='Table: {named}'>{body}</div></div>"
    )


def _views(pictures: Sequence[Mapping[str, Any]]) -> str:
    """Pictures that are not what they say are left out."""
    shown = []
    for view in pictures:
        images = [(name, words, _image(view.get(name), view.get("width"), view.get("height"))) for name, words in _PICTURES]
        if any(image is None for _, _, image in images):
            continue
        codec, tensor = str(view.get("codec", "")), str(view.get("tensor", ""))
        of = escape(f"{tensor}, {codec}", quote=True)
        cells = "".join(
            f"<figure class='view'><img src='{image}' alt='{name} of {of}'><figcaption>{name}: {words}</figcaption></figure>"
            for name, words, image in images
        )
        numbers = [number(view[key]) if isinstance(view.get(key), (int, float)) else "-" for key in ("bpw", "snr_db")]
        caption = f"<b>{escape(codec)}</b>, {escape(tensor)}: {numbers[0]} bits per weight, {numbers[1]} dB"
        shown.append(f"<div class='views'><p>{caption}</p><div class='strip'>{cells}</div></div>")
    if not shown:
        return ""
    return "<p>One corner of a tensor. Mid-grey is zero, black and white are three standard deviations from it.</p>" + "".join(
        shown
    )


def _image(text: Any, width: Any, height: Any) -> str | None:
    """A PNG of 8-bit grey samples as a data URI; None where they are not what they should be."""
    if not (isinstance(text, str) and isinstance(width, int) and isinstance(height, int)) or not (
        0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE
    ):
        return None
    try:
        samples = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(samples) != width * height:
        return None
    rows = b"".join(b"\0" + samples[y * width : (y + 1) * width] for y in range(height))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    ]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _models(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    words = (
        "Whole models, restored and run: perplexity and the divergence of predictions from the original's, lower is better; "
        "tasks in per cent."
    )
    return f"<p>{words}</p>" + _table(table_of(rows), "Models")


def _method(loaded: Mapping[str, Any], study: Study) -> str:
    parts = [f"<p>{escape(str(loaded.get('selection', '')))}</p>"]
    parts.append(f"<p>{_METHOD}</p>")
    command = loaded.get("command")
    if isinstance(command, str):
        parts.append(f"<h3>Command</h3>{_copyable(f'<pre>{escape(command)}</pre>', 'Command')}")
    parts.append(_titled_table("Versions and machine", [["what", "is"], *_facts(loaded)]))
    settings = {str(line.row["spec"]): line.name for line in study.codecs()}
    if settings:
        parts.append(
            _titled_table(
                "Encoders as they were called", [["codec", "specification"], *([name, spec] for spec, name in settings.items())]
            )
        )
    failed = [[row["codec"], row["combination"], row["tensor"], str(row["failed"])] for row in study.failed]
    failed += [[str(left.get(key, "")) for key in ("codec", "combination", "tensor", "reason")] for left in loaded["left_out"]]
    if failed:
        cells = _table([["codec", "combination", "tensor", "reason"], *failed], "What was not measured")
        parts.append(f"<details><summary>What was not measured, and why: {len(failed)} settings</summary>{cells}</details>")
    return "".join(parts)


def _facts(loaded: Mapping[str, Any]) -> Iterator[list[str]]:
    for key in ("created", "seconds"):
        if key in loaded:
            yield [{"created": "made", "seconds": "seconds it took"}[key], str(loaded[key])]
    for group in ("machine", "versions"):
        found = loaded.get(group)
        if isinstance(found, dict):
            yield from ([str(key), str(value)] for key, value in found.items())
    models = loaded["request"].get("models")
    for model in models if isinstance(models, list) else []:
        if isinstance(model, dict):
            yield ["model", f"{model.get('name', '')}, {model.get('bytes', '')} bytes"]
