# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks of tools/ have in common: runs of the program, charts, sizes at equal quality."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))
import equal_quality  # noqa: E402
import measure  # noqa: E402

TABLE = """<!-- begin quality --model m -->
| known | bpw weights | KL |
| --- | --- | --- |
| the weights | 2.000 | 0.400 ± 0.010 |
| the weights | 4.000 | 0.025 ± 0.001 |
| the weights | 3.000 | 0.100 ± 0.002 |
| a failed row | exit code 1 | |
<!-- end quality --model m -->
"""


def test_bits_at_the_same_damage_lie_on_a_line_of_logarithms() -> None:
    points = equal_quality.curves(TABLE, "quality --model m")["the weights"]
    assert points == [(2, 0.4), (3, 0.1), (4, 0.025)]
    assert equal_quality.bits_at(points, 0.2) == pytest.approx(2.5)
    assert equal_quality.bits_at(points, 0.05) == pytest.approx(3.5)
    assert equal_quality.bits_at(points, 0.1) == pytest.approx(3)
    assert equal_quality.bits_at(points, 0.5) is None and equal_quality.bits_at(points, 0.02) is None
    assert equal_quality.curves(TABLE, "quality") == {}


@pytest.mark.parametrize(("chart", "documents"), [("quality", ["benchmarks.md", "peers.md"]), ("speed", ["benchmarks.md"])])
def test_charts_say_what_the_tables_say(chart: str, documents: list[str], tmp_path: pathlib.Path) -> None:
    drawn = tmp_path / "chart.svg"
    tables = [str(ROOT / "docs" / name) for name in documents]
    subprocess.run([sys.executable, str(ROOT / "tools/draw_chart.py"), chart, str(drawn), *tables], check=True)
    assert drawn.read_text() == (ROOT / f"docs/charts/{chart}.svg").read_text()


def test_a_build_in_the_middle_changes_no_row(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ROOT", tmp_path)
    program = tmp_path / "build/program"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho first\n")
    program.chmod(0o755)
    lab = measure.Lab(str(program), tmp_path / "rows")
    program.write_text("#!/bin/sh\necho second\n")
    assert measure.run([lab.program])[0] == "first\n"


def test_a_table_without_marks_goes_to_the_end_and_is_replaced_there(tmp_path: pathlib.Path) -> None:
    document = tmp_path / "d.md"
    document.write_text("# Title\n")
    measure.write_marked(document, "peers --model m", "first")
    measure.write_marked(document, "peers --model m", "second")
    assert document.read_text() == "# Title\n\n<!-- begin peers --model m -->\nsecond\n<!-- end peers --model m -->\n"
