# SPDX-License-Identifier: BSD-3-Clause
"""Work in pieces gives the bytes of one machine: without Ray, in this process, and with Ray where it is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from conftest import bits, weights

import llmcodec
from llmcodec import _core
from llmcodec.cluster import _run, _source, command
from llmcodec.cluster._tasks import Done, Machine, Task, run

pytest.importorskip("fsspec", reason="no fsspec: pip install 'llmcodec[cluster]'")

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="no Ray: ./dev test --full brings it")

COLS = 192
COMMAND = "llmcodec compress"


class InProcess:
    """Runs tasks here, in an order of chance, and may be stopped after some."""

    def __init__(self, seed: int = 1, most: int | None = None) -> None:
        self._random, self._most = random.Random(seed), most
        self.tasks: list[Task] = []

    def run(self, tasks: Sequence[Task], done: Callable[[Task, Done | None, int], None]) -> None:
        order = list(tasks)
        self._random.shuffle(order)
        for number, task in enumerate(order):
            if number == self._most:
                raise KeyboardInterrupt
            self.tasks.append(task)
            done(task, run(task.work, task.arguments), 0)


def quiet(*_: object) -> None:
    pass


def compress(
    runner: InProcess, source: object, output: object, task_weights: int = 1 << 16, restart: bool = False, **options: Any
) -> Any:
    machine = Machine()
    given = {"source": str(source), "output": str(output), "options": options, "machine": machine, "command": COMMAND}
    return _run.compress(runner, **given, task_weights=task_weights, restart=restart, tell=quiet)


def alone(source: pathlib.Path, output: pathlib.Path, **options: Any) -> pathlib.Path:
    """What one machine writes; its command is recorded as the cluster's is."""
    from llmcodec._models import coding_options
    from llmcodec._system import encoded

    made = coding_options("compress", options)
    made.input, made.output, made.command = encoded(source), encoded(output), COMMAND
    _core.compress(made, None)
    return output


def tree(path: pathlib.Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder in two shards: matrices of several pictures, experts, tied tensors, exact ones, and files beside them."""
    folder = tmp_path_factory.mktemp("cluster") / "model"
    folder.mkdir()
    embed = weights(1, 300, COLS)
    long = weights(2, 6000, COLS)
    long[17, 3] = 5
    first = {"embed.weight": embed, "long.weight": long, "norm.weight": 1 + weights(4, COLS)}
    second = {
        "lm_head.weight": embed.copy(),
        "experts.weight": weights(5, 4, 96, COLS).astype(np.float16),
        "kept.weight": weights(6, 64, COLS),
        "steps": np.arange(7, dtype=np.int64),
    }
    shards = {"model-00001-of-00002.safetensors": first, "model-00002-of-00002.safetensors": second}
    for name, tensors in shards.items():
        safetensors.numpy.save_file(tensors, folder / name, {"format": "pt"})
    places = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps({"model_type": "test"}))
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.txt").write_text("a\nb\n")
    return folder


@pytest.fixture(scope="module")
def hessian(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Second moments of the inputs of two of its tensors."""
    inputs = np.random.default_rng(9).standard_normal((1000, COLS)) * np.linspace(0.2, 3, COLS)
    moments = (inputs.T @ inputs / len(inputs)).astype(np.float32)
    said = {"format_version": 1, "tokens": 1000, "members": {"group": ["long.weight", "experts.weight"]}}
    path = tmp_path_factory.mktemp("moments") / "moments.safetensors"
    safetensors.numpy.save_file({"group": moments}, path, {"format": "llmcodec-moments", "llmcodec_moments": json.dumps(said)})
    return path


OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "kept": {"bpw": 4, "keep": ["kept"], "importance": "none"},
    "shards": {"step": 0.3, "shard_size": 300_000},
    "spatial": {"snr": 20, "layout": "spatial", "set": ["experts=scales:group:64"]},
    "raw": {"codec": "raw", "asymmetric": True},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("task_weights", [1, 1 << 17, 1 << 30])
def test_pieces_give_the_bytes_of_one_machine(
    model: pathlib.Path, tmp_path: pathlib.Path, name: str, task_weights: int
) -> None:
    own = alone(model, tmp_path / "one/out", **OPTIONS[name])
    runner = InProcess(seed=task_weights)
    report = compress(runner, model, tmp_path / "many/out", task_weights, **OPTIONS[name])
    assert tree(tmp_path / "many/out") == tree(own)
    assert (len(runner.tasks) == 1) == (task_weights == 1 << 30)
    assert report.bytes == sum(p.stat().st_size for p in own.glob("model*"))
    assert not (tmp_path / "many/out.cluster").exists()


def test_a_closed_loop(model: pathlib.Path, hessian: pathlib.Path, tmp_path: pathlib.Path) -> None:
    own = alone(model, tmp_path / "one/out", step=0.4, hessian=hessian)
    runner = InProcess()
    compress(runner, model, tmp_path / "many/out", 1, step=0.4, hessian=str(hessian))
    assert tree(tmp_path / "many/out") == tree(own)
    # A matrix with a loop is one piece, and no piece without one is told of the moments.
    assert sum(task.name.startswith("long") for task in runner.tasks) == 1
    assert {task.arguments[2] is not None for task in runner.tasks} == {True, False}


def test_the_report_is_that_of_one_machine(model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    own = llmcodec.compress(model, tmp_path / "one", step=0.3)
    report = compress(InProcess(), model, tmp_path / "many", step=0.3)
    assert [(t.name, t.bytes, t.snr_db, t.outliers) for t in report.tensors] == [
        (t.name, t.bytes, t.snr_db, t.outliers) for t in own.tensors
    ]
    assert (report.snr_db, report.notes) == (own.snr_db, own.notes)


def test_a_file_and_a_gguf_model(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    own = alone(models / "model.safetensors", tmp_path / "one.safetensors")
    compress(InProcess(), models / "model.safetensors", tmp_path / "many.safetensors", 1)
    assert tree(tmp_path / "many.safetensors") == tree(own)


def test_a_quantised_model(tmp_path: pathlib.Path) -> None:
    # One tensor of the model is computed from several of the file.
    import ml_dtypes

    source = tmp_path / "fp8"
    source.mkdir()
    codes = (weights(1, 256, 256) * 100).astype(ml_dtypes.float8_e4m3fn)
    tensors = {"a.weight": codes, "a.weight_scale_inv": np.full((2, 2), 0.01, np.float32), "norm.weight": weights(2, 256)}
    safetensors.numpy.save_file(tensors, source / "model.safetensors")
    quantisation = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    (source / "config.json").write_text(json.dumps({"model_type": "test", "quantization_config": quantisation}))
    own = alone(source, tmp_path / "one", step=0.3)
    compress(InProcess(), source, tmp_path / "many", 1, step=0.3)
    assert tree(tmp_path / "many") == tree(own)


# What is elsewhere.


@pytest.fixture
def memory() -> Any:
    import fsspec

    store = fsspec.filesystem("memory")
    yield store
    store.rm("/", recursive=True)


def test_source_and_output_in_a_store(model: pathlib.Path, hessian: pathlib.Path, tmp_path: pathlib.Path, memory: Any) -> None:
    memory.put(str(model), "/in/model", recursive=True)
    memory.put(str(hessian), "/in/moments.safetensors")
    own = alone(model, tmp_path / "one/out", step=0.4, hessian=hessian)
    compress(InProcess(), "memory://in/model", "memory://out/archive", step=0.4, hessian="memory://in/moments.safetensors")
    there = {name.removeprefix("/out/archive/"): memory.cat(name) for name in memory.find("/out/archive")}
    assert there == tree(own)
    assert memory.find("/out/archive.cluster") == []
    restore(InProcess(), "memory://out/archive", "memory://out/back")
    llmcodec.decompress(own, tmp_path / "back")
    back = {name.removeprefix("/out/back/"): memory.cat(name) for name in memory.find("/out/back")}
    assert back == tree(tmp_path / "back")
    assert _run.verify_archive(InProcess(), "memory://out/archive", machine=Machine(), task_weights=1, tell=quiet)[0] == 7


def test_an_index_stands_for_its_shards(model: pathlib.Path, tmp_path: pathlib.Path, memory: Any) -> None:
    index = "model.safetensors.index.json"
    memory.put(str(model), "/in/model", recursive=True)
    for folder in ("one", "many"):
        (tmp_path / folder).mkdir()
    own = alone(model / index, tmp_path / "one/out", step=0.4)
    compress(InProcess(), f"memory://in/model/{index}", tmp_path / "many/out", step=0.4)
    assert tree(tmp_path / "many/out") == tree(own)
    source = _source.look(model / index)
    assert [file.name for file in source.files[1:]] == [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]


def test_parts_of_a_gguf_model_go_together(tmp_path: pathlib.Path) -> None:
    for i in (1, 2, 3):
        (tmp_path / f"m-0000{i}-of-00003.gguf").write_bytes(b"x" * i)
    source = _source.look(tmp_path / "m-00001-of-00003.gguf")
    assert sorted((file.name, file.size) for file in source.files) == [(f"m-0000{i}-of-00003.gguf", i) for i in (1, 2, 3)]


def test_no_output_inside_the_source(model: pathlib.Path) -> None:
    with pytest.raises(llmcodec.InvalidArgumentError, match="inside the model's folder"):
        compress(InProcess(), model, model / "out")


def test_a_piece_reads_its_own_bytes(
    model: pathlib.Path, tmp_path: pathlib.Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_source, "_BLOCK", 1 << 14)
    monkeypatch.setattr(_source, "_HEAD", 1 << 13)
    memory.put(str(model), "/in/model", recursive=True)
    source = _source.look("memory://in/model")
    given = llmcodec._models.coding_options("compress", {"step": 0.3})
    given.input, given.output = os.fsencode(model), os.fsencode(tmp_path / "out")
    ordered = _core.OrderedPieces.parse(_core.order_work(given, 1, None)[0])
    number = next(i for i, piece in enumerate(ordered.pieces()) if piece.name.startswith("experts"))
    read = 0
    fetch = _source._Reads.fetch

    def counted(self: Any, offset: int, size: int) -> bytes:
        nonlocal read
        read += size
        return fetch(self, offset, size)

    monkeypatch.setattr(_source._Reads, "fetch", counted)
    monkeypatch.setattr(_source, "_blocks", _source._Blocks())
    path = os.fsencode(_source.path_of(source))
    _core.code_piece(ordered.order_of(number), path, b"", Machine().control(), None)
    assert 96 * COLS * 2 <= read <= 96 * COLS * 2 + 2 * (1 << 14) + 4 * (1 << 13)  # a matrix, its edges, headers
    _source._forget()


def test_a_source_that_changed(model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    source = _source.look(copy)
    os.utime(copy / "config.json", (1, 1))
    with pytest.raises(llmcodec.IoError, match="is not the same here"):
        _source.path_of(source)


def test_names_of_a_store_lead_nowhere_else(memory: Any) -> None:
    memory.pipe("/in/a/model.safetensors", b"x")
    memory.store["/in/a/../../evil"] = memory.store["/in/a/model.safetensors"]
    with pytest.raises(llmcodec.CorruptError, match="no plain name"):
        _source.look("memory://in/a")


def test_secrets_are_not_shown(tmp_path: pathlib.Path) -> None:
    given = ["https://user:pass@host/model?token=secret", "-o", "out", "--bpw=3", "--task-threads", "4", "--address=auto"]
    said = command.recorded(given)
    assert said == "llmcodec compress 'https://***@host/model?token=***' -o out --bpw=3"


# Interruptions.


def test_a_lost_driver_is_gone_on_from(model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    own = alone(model, tmp_path / "one/out")
    with pytest.raises(KeyboardInterrupt):
        compress(InProcess(most=3), model, tmp_path / "many/out", 1)
    left = tmp_path / "many/out.cluster"
    assert len(list((left / "pieces").glob("*.piece"))) == 3 and not (tmp_path / "many/out").exists()
    order = (left / "order").read_bytes()
    runner = InProcess()
    whole = len(_core.OrderedPieces.parse(order).pieces())
    compress(runner, model, tmp_path / "many/out", 1)
    assert len(runner.tasks) == whole - 3
    assert tree(tmp_path / "many/out") == tree(own)


def test_other_settings_do_not_go_on(model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        compress(InProcess(most=1), model, tmp_path / "out", 1, step=0.3)
    with pytest.raises(llmcodec.InvalidArgumentError, match="other settings"):
        compress(InProcess(), model, tmp_path / "out", 1, step=0.4)
    compress(InProcess(), model, tmp_path / "out", 1, restart=True, step=0.4)
    assert tree(tmp_path / "out") == tree(alone(model, tmp_path / "one/out", step=0.4))


def test_a_folder_of_the_users_is_left_alone(model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out.cluster").mkdir()
    (tmp_path / "out.cluster/mine.txt").write_text("precious")
    for restart in (False, True):
        with pytest.raises(llmcodec.InvalidArgumentError, match="none of them says"):
            compress(InProcess(), model, tmp_path / "out", restart=restart)
    assert (tmp_path / "out.cluster/mine.txt").read_text() == "precious"


def damaged(folder: pathlib.Path, change: Callable[[list[pathlib.Path]], None]) -> None:
    change(sorted((folder / "pieces").glob("*.piece")))


def flip(pieces: list[pathlib.Path]) -> None:
    data = bytearray(pieces[2].read_bytes())
    data[-9] ^= 1
    pieces[2].write_bytes(data)


def foreign(pieces: list[pathlib.Path]) -> None:
    shutil.copy(pieces[0], pieces[2])


DAMAGE: dict[str, tuple[Callable[[list[pathlib.Path]], Any], str]] = {
    "changed": (flip, "fails its checksum"),
    "cut": (lambda pieces: os.truncate(pieces[2], 1000), "fails its checksum"),
    "empty": (lambda pieces: pieces[2].write_bytes(b""), "is none, or was cut"),
    "another": (foreign, "is of another run, or another one of this run"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_bad_piece_is_one_clear_error(model: pathlib.Path, tmp_path: pathlib.Path, kind: str) -> None:
    change, message = DAMAGE[kind]

    class Damaging(InProcess):
        def run(self, tasks: Sequence[Task], done: Callable[[Task, Done | None, int], None]) -> None:
            super().run(tasks, done)
            damaged(tmp_path / "out.cluster", change)

    with pytest.raises(llmcodec.CorruptError, match=message) as raised:
        compress(Damaging(), model, tmp_path / "out", 1)
    assert "piece 2" in str(raised.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_bad_order_is_one_clear_error(model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        compress(InProcess(most=1), model, tmp_path / "out", 1, step=0.3)
    path = tmp_path / "out.cluster/order"
    good = path.read_bytes()
    chance = random.Random(3)
    for _ in range(60):
        data = bytearray(good)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(llmcodec.CorruptError, llmcodec.UnsupportedError, llmcodec.InvalidArgumentError):
            _core.OrderedPieces.parse(bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data))
    path.write_bytes(good[:-5])
    with pytest.raises(llmcodec.CorruptError):
        compress(InProcess(), model, tmp_path / "out", 1, step=0.3)


def test_a_missing_piece_comes_out_as_it_is(model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    class Losing(InProcess):
        def run(self, tasks: Sequence[Task], done: Callable[[Task, Done | None, int], None]) -> None:
            super().run(tasks, done)
            (tmp_path / "out.cluster/pieces/000001.piece").unlink()

    with pytest.raises(llmcodec.MissingFileError, match=r"000001\.piece"):
        compress(Losing(), model, tmp_path / "out", 1)


# And back.


@pytest.fixture(scope="module")
def archive(model: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return alone(model, tmp_path_factory.mktemp("archive") / "archive", step=0.3)


def restore(
    runner: InProcess, source: object, output: object, shard_size: int = 0, dtype: str = "", restart: bool = False
) -> int:
    restoring = (dtype, False, False, "", shard_size)
    return _run.decompress(runner, str(source), str(output), restoring, machine=Machine(), restart=restart, tell=quiet)


@pytest.mark.parametrize(("shard_size", "dtype"), [(0, ""), (1_000_000, ""), (400_000, "f16")])
def test_files_are_those_of_one_machine(archive: pathlib.Path, tmp_path: pathlib.Path, shard_size: int, dtype: str) -> None:
    own = llmcodec.decompress(archive, tmp_path / "one", shard_size=shard_size or None, dtype=dtype or None)
    assert restore(InProcess(), archive, tmp_path / "many", shard_size, dtype) == own.files
    assert tree(tmp_path / "many") == tree(tmp_path / "one")


def test_a_model_in_one_file(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    restore(InProcess(), models / "archive.safetensors", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == (models / "restored.safetensors").read_bytes()


def test_restoring_goes_on(archive: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        restore(InProcess(most=2), archive, tmp_path / "many", 400_000)
    runner = InProcess()
    files = restore(runner, archive, tmp_path / "many", 400_000)
    assert len(runner.tasks) == files - 2
    llmcodec.decompress(archive, tmp_path / "one", shard_size=400_000)
    assert tree(tmp_path / "many") == tree(tmp_path / "one")


def test_nothing_is_replaced(archive: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "many/mine.txt").write_text("precious")
    with pytest.raises(llmcodec.InvalidArgumentError, match="is there already"):
        restore(InProcess(), archive, tmp_path / "many")
    assert tree(tmp_path / "many") == {"mine.txt": b"precious"}


def test_verify_finds_what_changed(archive: pathlib.Path, tmp_path: pathlib.Path) -> None:
    runner = InProcess()
    assert _run.verify_archive(runner, str(archive), machine=Machine(), task_weights=1, tell=quiet)[0] == len(runner.tasks) == 7
    copy = tmp_path / "archive"
    shutil.copytree(archive, copy)
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    with pytest.raises(llmcodec.CorruptError):
        _run.verify_archive(InProcess(), str(copy), machine=Machine(), task_weights=1, tell=quiet)
    (copy / "config.json").write_text("{}")
    with pytest.raises(llmcodec.CorruptError, match=r"config\.json"):
        _run.verify_archive(InProcess(), str(copy), machine=Machine(), task_weights=1, tell=quiet)


# The command, and Ray.


def test_without_ray_the_command_says_what_is_missing(
    model: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert command.main(["compress", str(model), "-o", str(tmp_path / "out")]) == 5
    assert "llmcodec[cluster]" in capsys.readouterr().err


def program(*arguments: object, **more: Any) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "llmcodec", *map(str, arguments)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **more)


@pytest.fixture(scope="module")
def nodes() -> Any:
    """A cluster of two machines, both of them here. Ray's own deadlines are for machines that have nothing else to do."""
    for name in ("RAY_gcs_server_request_timeout_seconds", "RAY_raylet_start_wait_time_s"):
        os.environ.setdefault(name, "300")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "memory": 1 << 30, "include_dashboard": False})
    cluster.add_node(num_cpus=1, memory=1 << 30)
    yield cluster
    cluster.shutdown()


def on(nodes: Any, *arguments: object) -> list[object]:
    return ["cluster", *arguments, "--address", nodes.address, "--task-weights", 60_000]


@needs_ray
def test_ray_writes_the_bytes_of_one_machine(nodes: Any, model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    arguments = [model, "-o", "out", "--step", "0.3", "--keep", "kept"]
    for folder, call in (("one", ["compress", *arguments]), ("many", on(nodes, "compress", *arguments))):
        running = program(*call, cwd=tmp_path / folder)
        out, err = running.communicate(timeout=200)
        assert running.returncode == 0, err
    assert tree(tmp_path / "many") == tree(tmp_path / "one")
    running = program("cluster", "verify", "out", "--address", nodes.address, cwd=tmp_path / "many")
    out, err = running.communicate(timeout=100)
    arrays = [array for file in model.glob("*.safetensors") for array in safetensors.numpy.load_file(file).values()]
    said = f"out: sound; 7 tensors, {sum(array.size for array in arrays)} parameters\n"
    assert (running.returncode, out) == (0, said), err


@needs_ray
def test_too_little_memory_is_said_at_once(nodes: Any, model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    running = program(*on(nodes, "compress", model, "-o", tmp_path / "out", "--step", "0.3", "--task-threads", 40))
    _, err = running.communicate(timeout=100)
    assert running.returncode == 6 and "offers" in err


def worker_processes(nodes: Any) -> list[int]:
    """Those of this cluster that are at work on a task: children of its raylets, of which others are Ray's own."""
    raylets = {each.process.pid for node in nodes.list_all_nodes() for each in node.all_processes["raylet"]}
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, rest = (entry / "stat").read_text().rpartition(")")
            if int(rest.split()[1]) in raylets and "(ray::code" in name:
                found.append(int(entry.name))
    return found


@needs_ray
@pytest.mark.parametrize("who", ["worker", "node", "driver"])
def test_whoever_is_killed_the_bytes_are_the_same(nodes: Any, large: pathlib.Path, tmp_path: pathlib.Path, who: str) -> None:
    own = alone(large, tmp_path / "one.safetensors", step=0.3)
    extra = nodes.add_node(num_cpus=1, memory=1 << 30) if who == "node" else None
    arguments = on(nodes, "compress", large, "-o", "out.safetensors", "--step", "0.3")
    running = program(*arguments, cwd=tmp_path)
    pieces = tmp_path / "out.safetensors.cluster/pieces"
    while len(list(pieces.glob("*.piece"))) < 3:
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    if who == "worker":
        while not (victims := worker_processes(nodes)):
            assert running.poll() is None, running.communicate()
        for process in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    elif who == "node":
        nodes.remove_node(extra, allow_graceful=False)
    else:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        running = program(*arguments, cwd=tmp_path)
    _, err = running.communicate(timeout=250)
    assert running.returncode == 0, err
    made, wanted = (safetensors.numpy.load_file(file) for file in (tmp_path / "out.safetensors", own))
    names = [name for name in wanted if not name.startswith("llmcodec.")]  # the description has the command
    assert all(bits(made[name]) == bits(wanted[name]) for name in names) and len(made) == len(wanted)
