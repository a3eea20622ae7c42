# SPDX-License-Identifier: BSD-3-Clause
"""docs/study.md says what docs/study/*.json say, and tools/run_study.py keeps what is there."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from llmcodec.compare import results
from llmcodec.compare.statistics import Study

pytest.importorskip("gguf")
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))
import measure  # noqa: E402
import run_study  # noqa: E402
import study_document  # noqa: E402
from study_evidence import Evidence  # noqa: E402

MAIN = ROOT / "docs/study/smollm2.json"
COMMITTED = sorted(MAIN.parent.glob("*.json"))


def test_documents_say_what_the_results_say() -> None:
    assert study_document.update(check=True) == []
    marks = study_document.MARK.findall((ROOT / "docs/study.md").read_text(encoding="utf-8"))
    assert {name for _, name, _ in marks} == set(study_document.BLOCKS) - {"summary"}


def test_no_measured_number_stands_outside_the_blocks() -> None:
    text = study_document.MARK.sub("", (ROOT / "docs/study.md").read_text(encoding="utf-8"))
    assert re.findall(r"\d\.\d|\d ?dB|\d %", re.sub(r"Qwen2\.5-Coder|\d\.\dB|95 % interval|--rates [\d.]+", "", text)) == []


def test_another_measurement_is_another_text(tmp_path: pathlib.Path) -> None:
    """What would go unseen if the blocks were not made of the results."""
    for path in COMMITTED:
        found = run_study.load(path)
        if path == MAIN:
            for row in found["rows"]:
                if row["codec"] == "libvvenc" and row["failed"] is None:
                    row["snr_db"] -= 3
        run_study.write_lines(tmp_path / path.name, found)
    text = (ROOT / "docs/study.md").read_text(encoding="utf-8")
    fresh = study_document.filled(text, Evidence(tmp_path))
    changed = set(text.splitlines()) - set(fresh.splitlines())
    assert any(line.startswith("| `libvvenc`") for line in changed) and any("VVC comes first" in line for line in changed)


def test_committed_results_are_small_and_sound() -> None:
    assert sum(path.stat().st_size for path in COMMITTED) < 2_200_000
    for path in COMMITTED:
        found = results.load(str(path))
        assert found["pictures"] == [] and "/work" not in json.dumps(found), path


def row(codec: str, bits: float, **more: Any) -> dict[str, Any]:
    return {"model": "m", "codec": codec, "asked_bpw": bits, **more}


def test_rows_of_models_go_beside_the_others() -> None:
    found = run_study.EMPTY | {"rows": [{"codec": "x"}], "models": [row("a", 2, kl=1), row("b", 2, kl=2)]}
    merged = run_study.with_models(found, [row("c", 2, kl=4), row("b", 2, kl=3)])
    assert merged["rows"] == found["rows"]
    assert merged["models"] == [row("a", 2, kl=1), row("b", 2, kl=3), row("c", 2, kl=4)]


def test_texts_and_tasks_of_one_row_are_measured_at_different_times() -> None:
    older = row("a", 2, kl={"T": 1, "U": 2}, date="1", failed="no room")
    found = run_study.with_models(
        run_study.EMPTY | {"models": [older]}, [row("a", 2, kl={"T": 3}, tasks={"piqa": 60}, date="2")]
    )
    assert found["models"] == [row("a", 2, kl={"T": 3, "U": 2}, tasks={"piqa": 60}, date="2")]


def test_of_documents_the_second_half_is_scored(tmp_path: pathlib.Path) -> None:
    lines = tmp_path / "web.jsonl"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a", "b", "c", "d\n")), encoding="utf-8")
    assert run_study.text_file(lines, tmp_path).read_text(encoding="utf-8") == "c\n\nd\n"
    assert run_study.text_file(tmp_path / "t.txt", tmp_path) == tmp_path / "t.txt"


def test_what_is_kept_is_enough_for_the_statistics(tmp_path: pathlib.Path) -> None:
    found = run_study.load(MAIN)
    whole = found | {
        "rows": [entry | {"point": "p", "wall_s": 1.23456789} for entry in found["rows"]],
        "plan": {"points": []},
        "pictures": [{"codec": "x"}],
    }
    run_study.write_lines(tmp_path / "r.json", run_study.slim(whole))
    kept = results.load(str(tmp_path / "r.json"))
    assert "plan" not in kept and kept["pictures"] == [] and "wall_s" not in kept["rows"][0]
    assert [line.gaps for line in Study(kept).codecs()] == [line.gaps for line in Study(found).codecs()]


class Program:
    """Answers for the program, and counts what it was asked."""

    def __init__(self, fails: str = "") -> None:
        self.asked: list[str] = []
        self.fails = fails

    def __call__(self, arguments: list[Any]) -> dict[str, Any]:
        words = [str(word) for word in arguments]
        self.asked.append(words[1])
        if self.fails and self.fails in words:
            raise measure.Failed("exit code 3: no such encoder")
        if "-o" in words:
            pathlib.Path(words[words.index("-o") + 1]).write_bytes(b"")
        answer = {"kl": 0.5, "kl_error": 0.1, "top1_percent": 60.0} if "--original" in words else {}
        numbers = dict.fromkeys(("parameters", "bytes", "bpw", "bpw_weights", "snr_db", "relative_mse", "user_seconds"), 3.0)
        numbers |= dict.fromkeys(("encode_seconds", "wall_seconds", "decode_seconds", "peak_bytes"), 3.0)
        return {**numbers, **answer, "perplexity": 20.0, "text_bytes": 1000, "tool_version": "1"}


def run_models(monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path, program: Program, *more: str) -> list[dict[str, Any]]:
    arguments = ["models", str(folder / "m.gguf"), "--work", str(folder / "work"), "-o", str(folder / "r.json"), *more]
    monkeypatch.setattr(sys, "argv", ["run_study.py", *arguments, "--text", f"T={folder / 't.txt'}", "--text-bytes", "1000"])
    monkeypatch.setattr(measure, "run_json", program)
    monkeypatch.setattr(measure, "find_program", lambda: "llmcodec")
    run_study.main()
    models: list[dict[str, Any]] = results.load(str(folder / "r.json"))["models"]
    return models


def test_a_stopped_run_goes_on_and_a_failure_is_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    first = run_models(monkeypatch, tmp_path, Program(), "--codecs", "vvc", "--bits", "3")
    assert [(entry["codec"], entry["asked_bpw"]) for entry in first] == [("FP16", 16), ("vvc", 3.0)]
    assert first[0]["perplexity"] == {"T": 20.0} and "kl" not in first[0]
    assert first[1]["kl"] == {"T": 0.5} and first[1]["bytes_scored"] == {"T": 1000} and first[1]["model"] == "m"
    again = Program(fails="libnothing")
    rows = run_models(monkeypatch, tmp_path, again, "--codecs", "vvc;libnothing", "--bits", "3")
    assert again.asked == ["compress"]  # of the codec that was not there; all else was kept
    assert rows[:2] == first and rows[2]["failed"] == "exit code 3: no such encoder"


# Stands for the program: scores depend on the arguments alone, and every step takes a moment, so that it can be killed in it.
SLOW_PROGRAM = """#!{python}
import json, pathlib, sys, time, zlib
time.sleep(0.15)
words = sys.argv[1:]
if "-o" in words:
    pathlib.Path(words[words.index("-o") + 1]).write_bytes(b"x")
value = 1 + zlib.crc32(" ".join(word for word in words if "/" not in word).encode()) % 1000 / 1000
names = "parameters bytes bpw bpw_weights snr_db relative_mse encode_seconds wall_seconds decode_seconds peak_bytes"
scores = "perplexity kl kl_error top1_percent"
print(json.dumps({{**dict.fromkeys([*names.split(), *scores.split()], value), "text_bytes": 9, "tool_version": "1"}}))
"""


def run_killed(arguments: list[str], rows: pathlib.Path, count: int, environment: dict[str, str]) -> None:
    """Runs until so many rows are finished, and a moment into the next one; then kills all of it."""
    process = subprocess.Popen(arguments, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    while len(list(rows.glob("*.json"))) < count:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_rows_of_a_run_that_is_killed_three_times_are_those_of_an_undisturbed_one(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "llmcodec"
    program.write_text(SLOW_PROGRAM.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    environment = {**os.environ, "LLMCODEC": str(program)}

    def arguments(name: str) -> list[str]:
        model = [
            "models",
            str(tmp_path / "m.gguf"),
            "--codecs",
            "llmcodec;vvc;libx265",
            "--bits",
            "2,3",
            "--text",
            f"T={tmp_path / 't'}",
        ]
        return [
            sys.executable,
            str(ROOT / "tools/run_study.py"),
            *model,
            "--work",
            str(tmp_path / name),
            "-o",
            str(tmp_path / f"{name}.json"),
        ]

    def found(name: str) -> list[dict[str, Any]]:
        rows = results.load(str(tmp_path / f"{name}.json"))["models"]
        times = ("encode_cpu_s", "decode_cpu_s", "load_average", "date")
        return [{key: value for key, value in entry.items() if key not in times} for entry in rows]

    for count in (1, 4, 6):
        run_killed(arguments("killed"), tmp_path / "killed/rows", count, environment)
    for name in ("killed", "whole"):
        subprocess.run(arguments(name), env=environment, check=True, stdout=subprocess.DEVNULL)
    assert found("killed") == found("whole") and len(found("whole")) == 7
    assert not list((tmp_path / "killed").glob("*.gguf")) and not list((tmp_path / "killed").glob("*.safetensors"))


def test_rows_of_a_further_run_are_the_presets_that_had_been_left_out() -> None:
    left = [
        {"combination": f"libvvenc | preset={name} | intra | 10 | preferred | plain | own | dual", "codec": "libvvenc"}
        for name in ("slow", "slower")
    ]
    spec = "libvvenc:preset=slow"
    base = {
        "codec": spec,
        "spec": spec,
        "combination": f"{spec} | own | intra | 10 | preferred | plain | own | dual",
        "preset": "own",
        "varies": [],
    }
    more = run_study.EMPTY | {"rows": [base | {"snr_db": 13.0}], "command": "llmcodec compare m.gguf", "seconds": 600.0}
    found = run_study.with_rows(run_study.EMPTY | {"rows": [{"codec": "vvc"}], "left_out": left, "remark": "Shared."}, more)
    assert found["rows"][0] == {"codec": "vvc"} and found["left_out"] == left[1:]
    added = found["rows"][1]
    assert (added["codec"], added["preset"], added["varies"], added["snr_db"]) == ("libvvenc", "preset=slow", ["preset"], 13.0)
    assert added["combination"] == left[0]["combination"]
    assert found["remark"] == "Shared. `llmcodec compare m.gguf` added 1 rows in 10 minutes."
