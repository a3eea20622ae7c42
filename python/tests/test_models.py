# SPDX-License-Identifier: BSD-3-Clause
"""Functions on models in files: what they report, tell and record."""

from __future__ import annotations

import dataclasses
import json
import logging
import pathlib
import subprocess
import threading

import numpy as np
import pytest
import safetensors.numpy

import llmcodec


def test_reports_are_what_the_program_prints(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    program = [llmcodec.program()]
    source = models / "model.safetensors"

    def printed(*arguments: object) -> dict[str, object]:
        run = subprocess.run([*program, *map(str, arguments), "--json"], capture_output=True, check=True)
        return json.loads(run.stdout)

    archive = tmp_path / "program.safetensors"
    by_program = printed("compress", source, "-o", archive, "--bpw", 4, "--set", "up=bit_depth:10")
    report = llmcodec.compress(source, tmp_path / "python.safetensors", bpw=4, set="up=bit_depth:10")
    restored = tmp_path / "back.safetensors"
    for mine, other in (
        (report, by_program),
        (llmcodec.inspect(archive), printed("inspect", archive)),
        (llmcodec.inspect(source, keep="up"), printed("inspect", source)),
        (llmcodec.plan(source, bpw=4), printed("plan", source, "--bpw", 4)),
        (llmcodec.verify(archive, source), printed("verify", archive, "--against", source)),
        (llmcodec.decompress(archive, restored), printed("decompress", archive, "-o", tmp_path / "b")),
    ):
        fields = {field.name for field in dataclasses.fields(mine)}
        assert set(other) - {"peak_bytes"} <= fields, set(other) - fields
        for key in ("bpw", "bytes", "parameters", "snr_db", "source_kind", "files"):
            if key in other and not isinstance(mine, llmcodec.SourceReport):
                # The command that the archive records is not as long.
                expected = other[key] if isinstance(other[key], str) else pytest.approx(other[key], rel=0.01)
                assert getattr(mine, key) == expected, key
        for tensor in other.get("tensors", ()):
            assert set(tensor) <= {field.name for field in dataclasses.fields(llmcodec.TensorReport)}
    assert llmcodec.inspect(tmp_path / "python.safetensors").command.startswith("llmcodec.compress(")
    assert "bpw=4, set='up=bit_depth:10')" in llmcodec.inspect(tmp_path / "python.safetensors").command
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.bpw = 1  # type: ignore[misc]


def test_targets_and_rules(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    source = models / "model.safetensors"
    out = tmp_path / "out.safetensors"
    whole = source.stat().st_size
    assert llmcodec.compress(source, out, size=f"{whole // 4000}K").bytes <= whole // 4
    assert llmcodec.compress(source, out, snr=20).snr_db == pytest.approx(20, abs=0.2)
    report = llmcodec.compress(source, out, step=0.5, keep=["up", "^head"], codec="raw", layout="spatial")
    assert not {t.name: t.coded for t in report.tensors}["up.weight"]
    plan = llmcodec.plan(source, tmp_path / "plan.json", step=0.5)
    assert plan.plan == json.loads((tmp_path / "plan.json").read_text())
    planned = llmcodec.compress(source, out, plan=tmp_path / "plan.json")
    assert planned.snr_db == pytest.approx(plan.predicted_snr_db, abs=0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bpw": 3, "snr": 20}, "bpw and snr"),
        ({"bpw": 0}, "more than 0"),
        ({"bpw": float("nan")}, "more than 0"),
        ({"size": "many"}, "is no size"),
        ({"size": 0}, "is no size"),
        ({"shard_size": "1XB"}, "is no size"),
        ({"codec": "h999"}, "h999"),
        ({"layout": "diagonal"}, "diagonal"),
        ({"scales": "some"}, "some"),
        ({"keep": "("}, "("),
        ({"keep": "nothing"}, "nothing"),
        ({"plan": ""}, "empty"),
        ({"threads": -1}, "threads"),
        ({"timeout": 0}, "timeout"),
        ({"hessian": "a\0b"}, "zero byte"),
    ],
)
def test_wrong_options(models: pathlib.Path, tmp_path: pathlib.Path, options: dict[str, object], words: str) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises((llmcodec.InvalidArgumentError, llmcodec.UnsupportedError)) as caught:
        llmcodec.compress(models / "model.safetensors", out, **options)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert not out.exists()


def test_a_misspelt_option_is_a_type_error(models: pathlib.Path) -> None:
    with pytest.raises(TypeError, match=r"compress\(\) got an unexpected keyword argument 'bwp'"):
        llmcodec.compress(models / "model.safetensors", "out", bwp=3)  # type: ignore[call-arg]
    with pytest.raises(llmcodec.InvalidArgumentError, match="is for models"):
        llmcodec.inspect(models / "archive.safetensors", bpw=3)


def test_progress_is_told_on_the_thread_that_called(large: pathlib.Path, tmp_path: pathlib.Path) -> None:
    events: list[llmcodec.Progress] = []
    threads = set()

    def note(event: llmcodec.Progress) -> None:
        events.append(event)
        threads.add(threading.current_thread())

    llmcodec.compress(large, tmp_path / "out", step=0.5, progress=note)
    assert threads == {threading.current_thread()}
    assert {event.phase for event in events} >= {"encode"}
    last = events[-1]
    assert last.done == last.total > 0


def test_progress_bars(models: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    llmcodec.compress(models / "model.safetensors", tmp_path / "out", step=0.5, progress=True)
    assert "encode: 100%" in capsys.readouterr().err


def test_what_a_progress_function_raises_ends_the_call(large: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def refuse(event: llmcodec.Progress) -> None:
        raise ZeroDivisionError(event.phase)

    with pytest.raises(ZeroDivisionError):
        llmcodec.compress(large, tmp_path / "out", bpw=3, progress=refuse)
    assert not (tmp_path / "out").exists()


def test_notes_go_to_the_logger(models: pathlib.Path, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="llmcodec"):
        report = llmcodec.compress(models / "model.safetensors", tmp_path / "out", step=0.5)
    assert report.notes and [record.getMessage() for record in caplog.records] == list(report.notes)


def test_bench_of_matrices() -> None:
    matrix = np.random.default_rng(1).standard_normal((96, 128))
    rows = llmcodec.bench("raw", {"mine": matrix}, bpw=[2, 4])
    assert [(row.source, row.target_bpw, row.weights) for row in rows] == [("mine", 2.0, 12288), ("mine", 4.0, 12288)]
    with pytest.raises(llmcodec.InvalidArgumentError, match="3 dimensions"):
        llmcodec.bench("raw", {"mine": np.zeros((2, 3, 4))})
    with pytest.raises(llmcodec.InvalidArgumentError):
        llmcodec.bench("raw", "cauchy")


def test_bytes_paths_and_names_that_are_no_text(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    odd = bytes(tmp_path) + b"/\xff\xfe.safetensors"
    with open(odd, "wb") as file:
        file.write((models / "archive.safetensors").read_bytes())
    assert llmcodec.inspect(odd).parameters > 0
    with llmcodec.safe_open(odd, "np") as archive:
        assert archive.get_tensor("ids").shape == (3, 4)
    with pytest.raises(llmcodec.MissingFileError) as caught:
        llmcodec.safe_open(odd + b"x", "np")
    assert str(caught.value)


def test_a_folder_comes_back_as_a_folder(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    report = llmcodec.decompress(models / "sharded", tmp_path / "back", dtype="f32", shard_size="100KB")
    assert report.files > 1 and (tmp_path / "back/config.json").exists()
    assert llmcodec.verify(models / "sharded").carried_files == "checked"
    shard = sorted((tmp_path / "back").glob("*.safetensors"))[0]
    assert safetensors.numpy.load_file(shard)


def test_a_pipeline_has_parts(tmp_path: pathlib.Path) -> None:
    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    for part in ("unet", "vae"):
        (tmp_path / "pipe" / part).mkdir(parents=True)
        safetensors.numpy.save_file({"w": weights}, tmp_path / "pipe" / part / "diffusion_pytorch_model.safetensors")
    (tmp_path / "pipe/model_index.json").write_text("{}")
    report = llmcodec.compress(tmp_path / "pipe", tmp_path / "archive", step=0.5)
    assert [(part.folder, part.tensors, part.parameters) for part in report.parts] == [("unet", 1, 4096), ("vae", 1, 4096)]
    assert llmcodec.inspect(tmp_path / "archive").parts == report.parts


def test_as_source_needs_a_quantised_source(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "a.safetensors"
    llmcodec.compress(models / "model.safetensors", archive, step=0.5)
    with pytest.raises(llmcodec.InvalidArgumentError, match="quantised"):
        llmcodec.decompress(archive, tmp_path / "b.safetensors", as_source=True)
