# SPDX-License-Identifier: BSD-3-Clause
"""`llmcodec report`: one page that fetches nothing, and whose strings, which are a stranger's, stay strings."""

from __future__ import annotations

import copy
import html.parser
import itertools
import json
import pathlib
import shutil
import sys
from typing import Any

import pytest

import llmcodec
from llmcodec.compare import results, summary
from llmcodec.compare._command import report_main

pytest.importorskip("plotly", reason="no plotly: pip install 'llmcodec[report]'")

from llmcodec.compare.page import page_of, write_page

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"\u2028"
_SETTINGS = {"preset": "own", "profile": "intra", "bit_depth": 10, "frames": "preferred", "layout": "plain", "tools": "own"}


def row(codec: str, tensor: str, layer: int, rate: float, snr: float, **more: Any) -> dict[str, Any]:
    """One measured row."""
    kind = tensor.replace(str(layer), "*")
    made = {"combination": codec, "codec": codec, "spec": codec, **_SETTINGS, "scales": "dual", "varies": []}
    made |= {"model": "m.gguf", "tensor": tensor, "kind": kind, "role": "matrix", "layer": layer, "rate": rate, "bpw": rate}
    made |= {"snr_db": snr, "gap_db": 6.0206 * rate - snr, "encode_mws": 2.0, "decode_mws": 20.0, "encode_cpu_s": 0.1}
    return made | {"decode_cpu_s": 0.01, "weights": 1000, "failed": None, "note": "", "version": "1"} | more


@pytest.fixture
def made() -> dict[str, Any]:
    """Results of three codecs on four tensors, with a variant, a failure, a picture and rows of models."""
    rows = []
    tensors = [(f"blk.{layer}.{kind}.weight", layer) for layer, kind in itertools.product((0, 5), ("up", "down"))]
    losses = (("vvc", 1), ("libx265", 2), ("control:uniform", 1.6))
    for (codec, loss), (tensor, layer), rate in itertools.product(losses, tensors, (2, 3, 4)):
        rows.append(row(codec, tensor, layer, rate, 6.02 * rate - loss - layer / 10))
    slow = {"combination": "libx265 slow", "preset": "preset=slow", "varies": ["preset"], "encode_mws": 0.2}
    rows += [row("libx265", tensors[0][0], 0, rate, 6.02 * rate - 1.8, **slow) for rate in (2, 3, 4)]
    unmeasured = dict.fromkeys(("bpw", "snr_db", "gap_db", "weights"))
    rows.append(row("libgone", tensors[0][0], 0, 3, 0, failed="it is not there", combination="libgone") | unmeasured)
    picture = {"codec": "vvc", "tensor": "blk.0.up", "bpw": 3.0, "snr_db": 17.0, "width": 2, "height": 2}
    picture |= dict.fromkeys(("plane", "reconstruction", "residual", "spectrum"), "AID/QA==")
    models = [
        {"model": "m", "codec": "vvc", "bpw": 3.0, "perplexity": {"WikiText-2": 20.5}, "kl": 0.2, "tasks": {"PIQA": 66.5}},
        {"model": "m", "codec": "FP16", "bpw": 16.0, "perplexity": {"WikiText-2": 18.25}},
    ]
    return {
        "rows": rows, "models": models, "pictures": [picture], "anchor": {"codec": "libx265"}, "versions": {"vvc": "1"},
        "left_out": [{"combination": "x", "codec": "libx265", "reason": "too slow"}],
        "request": {"models": [{"name": "m.gguf", "bytes": 9}]},
        "machine": {"cores": 2}, "selection": "All of it.", "command": "llmcodec compare m.gguf -o r.json",
    }  # fmt: skip


class _Page(html.parser.HTMLParser):
    """Tags with their attributes, and what scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.scripts:
            self.scripts[-1] += data
        else:
            self.words += data


def test_the_page_has_every_section_and_fetches_nothing(made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    write_page(made, str(tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text()
    assert len(text) < 6_000_000
    page = _Page(text)
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert sections == ["findings", "curves", "speed", "kinds", "layers", "variants", "views", "models", "method"]
    links = [str(attributes["href"]) for tag, attributes in page.tags if tag == "a"]
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert links and all(link.startswith("#") and link[1:] in ids for link in links)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object")
        assert str(attributes.get("src", "data:image/png")).startswith("data:image/png")
    policy = next(attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv"))
    assert "default-src 'none'" in str(policy)
    figures = json.loads(page.scripts[1])
    drawn = {attributes["data-figure"] for _, attributes in page.tags if "data-figure" in attributes}
    assert drawn == set(figures) == {"gap", "curves", "speed-encoding", "speed-decoding", "kinds", "layers", "variants"}
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 4 and all(attributes["alt"] for attributes in pictures)
    for words in (
        "it is not there",
        "too slow",
        "18.25",
        "PIQA",
        "llmcodec compare m.gguf -o r.json",
        "vvc is nearest to the bound",
    ):
        assert words in page.words, words


def test_strings_of_a_stranger_stay_strings(made: dict[str, Any]) -> None:
    expected = _Page(page_of(made))

    def poisoned(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {f"{k}{EVIL}" if key in ("tasks", "versions", "machine") else k: poisoned(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poisoned(entry, key) for entry in value]
        # Codecs are told apart by these, and pictures must be what they are.
        kept = key in ("varies", "plane", "reconstruction", "residual", "spectrum") or value == "FP16"
        return value + EVIL if isinstance(value, str) and not kept else value

    page = _Page(page_of(poisoned(made)))
    assert [tag for tag, _ in page.tags if tag not in ("td", "th")] == [
        tag for tag, _ in expected.tags if tag not in ("td", "th")
    ]
    assert not [attributes for _, attributes in page.tags if "onerror" in attributes]
    assert len(page.scripts) == 3 and EVIL[:-1] in page.words
    # Of what plotly.js draws nothing is a tag but those that are written here.
    for name in (text for figure in json.loads(page.scripts[1]).values() for text in _texts(figure)):
        rest = name.replace("<b>", "").replace("</b>", "").replace("<br>", "").replace("<extra></extra>", "")
        assert "<" not in rest, name


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for entry in value.values() for text in _texts(entry)]
    if isinstance(value, list):
        return [text for entry in value for text in _texts(entry)]
    return [value] if isinstance(value, str) else []


def test_pictures_that_are_none_are_left_out(made: dict[str, Any]) -> None:
    for key, value in (("plane", "AID/"), ("plane", "!"), ("plane", 3), ("width", 100000), ("height", 0), ("width", "2")):
        broken = copy.deepcopy(made)
        broken["pictures"][0][key] = value
        assert "<img" not in page_of(broken)


def test_results_that_are_broken_are_refused(made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "r.json"
    results.write(str(path), made)
    assert results.load(str(path)) == {"llmcodec_compare": 1} | made
    whole = path.read_text()
    for wrong in (
        "",
        "[]",
        "{}",
        "[" * 5000,
        whole[:-9],
        whole.replace('"rate": 2', '"rate": NaN', 1),
        whole.replace('"codec": "vvc"', '"codec": 7'),
    ):
        path.write_text(wrong)
        with pytest.raises(llmcodec.CorruptError):
            results.load(str(path))
        assert report_main([str(path), "-o", str(tmp_path / "r.html")]) == 4
    for change in (
        {"rows": 3},
        {"rows": [3]},
        {"anchor": []},
        {"rows": [made["rows"][0] | {"bpw": None}]},
        {"rows": [made["rows"][0] | {"snr_db": 1e999}]},
    ):
        path.write_text(json.dumps({"llmcodec_compare": 1} | made | change))
        with pytest.raises(llmcodec.CorruptError):
            results.load(str(path))
    assert report_main([str(tmp_path / "absent.json")]) == 3
    assert not (tmp_path / "r.html").exists()


def test_nothing_measured_is_a_page_too(made: dict[str, Any]) -> None:
    page = _Page(page_of(made | {"rows": [], "pictures": [], "models": []}))
    assert "Nothing was measured" in page.words


def test_the_terminal_has_the_tables(made: dict[str, Any], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    results.write(str(tmp_path / "r.json"), made | {"selection": "evil \x1b[31m"})
    assert report_main([str(tmp_path / "r.json")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "control:uniform" in shown and "+1.00 ± 0.00" in shown
    assert "+0.20" in next(line for line in shown.splitlines() if line.startswith("libx265") and " slow " in line)
    assert shown.rstrip() == "\n".join(line.rstrip() for line in shown.splitlines()).rstrip()
    assert summary.text_of(made).count("libx265") >= 3


def test_in_a_browser_nothing_is_wrong(made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    """Console, requests, accessibility by axe-core, on a desktop, a dark one and a phone; and that faults would be found."""
    for name in ("playwright", "axe_playwright_python"):
        pytest.importorskip(name, reason=f"no {name}: tools/get_browser.sh")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
    import check_page

    page = page_of(made)
    (tmp_path / "good.html").write_text(page, encoding="utf-8")
    assert check_page.check(tmp_path / "good.html", chromium) == []
    for fault, instead in (
        ('<html lang="en">', "<html>"),
        ('href="#layers"', 'href="#nothing"'),
        ("--soft: #57606a", "--soft: #cccccc"),
    ):
        assert fault in page
        page = page.replace(fault, instead)
    (tmp_path / "bad.html").write_text(page, encoding="utf-8")
    found = " ".join(check_page.check(tmp_path / "bad.html", chromium))
    assert all(words in found for words in ("html-has-lang", "links lead nowhere: #nothing", "color-contrast"))
