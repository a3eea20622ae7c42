# SPDX-License-Identifier: BSD-3-Clause
"""Archives on a web server that counts, and that misbehaves: each case ends right, or with one clear error."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from bad_server import Server, after, randomly, serving
from conftest import bits, tensors, weights

import llmcodec
import llmcodec.numpy
from llmcodec import _core, _pull, _pull_folder, _remote, _remote_cache, _transport, _urls
from llmcodec._system import control

pytest.importorskip("fsspec", reason="no fsspec: pip install 'llmcodec[remote]'")
pytest.importorskip("aiohttp", reason="no aiohttp: pip install 'llmcodec[remote]'")

INDEX = "model.safetensors.index.json"
SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def quick(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of this test's own, and nobody waits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(_transport, "BACK_OFF", 0.001)


@pytest.fixture
def server(models: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[Server]:
    folder = tmp_path / "web"
    shutil.copytree(models, folder)
    with serving(folder) as made:
        yield made


@pytest.fixture(scope="session")
def long_archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """One tensor of several pictures, and some beside it."""
    folder = tmp_path_factory.mktemp("long")
    given = {"long.weight": weights(1, 6144, 512), "norm": weights(2, 512), "other.weight": weights(3, 256, 512)}
    llmcodec.numpy.save_file(given, folder / "long.safetensors", step=0.5)
    return folder / "long.safetensors"


def same(read: dict[str, np.ndarray], path: pathlib.Path) -> bool:
    own = llmcodec.numpy.load_file(path)
    return read.keys() == own.keys() and all(bits(read[name]) == bits(own[name]) for name in own)


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


# What is read, and what it costs.


@pytest.mark.parametrize("path", ["archive.safetensors", "sharded", "sharded/", f"sharded/{INDEX}"])
def test_what_is_read_is_what_lies_there(server: Server, path: str) -> None:
    assert same(llmcodec.numpy.load_file(f"{server.url}/{path}"), server.folder / path)


def test_a_folder_of_one_file(server: Server) -> None:
    (server.folder / "single").mkdir()
    shutil.copy(server.folder / "archive.safetensors", server.folder / "single/model.safetensors")
    assert same(llmcodec.numpy.load_file(f"{server.url}/single"), server.folder / "archive.safetensors")


@pytest.mark.parametrize("path", ["archive.safetensors", "sharded"])
def test_a_tensor_costs_its_own_bytes(server: Server, path: str) -> None:
    with llmcodec.safe_open(f"{server.url}/{path}", "np") as archive:
        shards = 1 if path.endswith("safetensors") else 3
        assert len(server.log) <= 1 + 3 * shards
        assert sum(path.endswith(INDEX) for path, _ in server.log) == (shards > 1)
        opened = archive._opened
        assert opened is not None
        for tensor in opened.tensors:
            server.forget()
            archive.get_tensor(tensor.name)
            assert len(server.log) <= 3
            assert server.sent <= 1.02 * max(tensor.stored_bytes, opened.tensors[opened.names["embed.weight"]].stored_bytes)
            if not tensor.same_as:
                assert server.sent <= 1.02 * tensor.stored_bytes


def test_rows_cost_the_pictures_that_hold_them(long_archive: pathlib.Path) -> None:
    own = llmcodec.numpy.load_file(long_archive)["long.weight"]
    with serving(long_archive.parent) as server:
        archive = llmcodec.safe_open(f"{server.url}/{long_archive.name}", "np")
        server.forget()
        assert np.array_equal(archive.get_slice("long.weight")[100:110], own[100:110])
        assert len(server.log) <= 3
        some = server.sent
        server.forget()
        archive.get_tensor("long.weight")
        assert some < 0.5 * server.sent
        for rows in (slice(0, 6144), slice(6100, 6144), slice(1000, 3000)):
            assert np.array_equal(archive.get_slice("long.weight")[rows], own[rows])
        assert np.array_equal(archive.get_slice("norm")[3:9], llmcodec.numpy.load_file(long_archive)["norm"][3:9])


def test_large_tensors_are_fetched_in_pieces_and_batches(long_archive: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote, "_LEAST_PIECE", 1000)
    monkeypatch.setattr(_remote, "_BATCH", 1000)
    with serving(long_archive.parent) as server:
        archive = llmcodec.safe_open(f"{server.url}/{long_archive.name}", "np")
        server.forget()
        archive.get_tensor("long.weight")
        assert len(server.log) == 3
        assert same(archive.get_tensors(), long_archive)


def test_neighbours_are_one_range() -> None:
    ranges = [(0, 0, 1000), (1, 0, 5), (0, 1000, 500), (0, 1510, 400), (0, 9000, 10), (0, 7, 0)]
    assert list(_remote.coalesced(ranges)) == [(0, 0, 1910), (0, 9000, 10), (1, 0, 5)]
    for size in (1, 10 << 20, (100 << 20) + 7):
        cuts = list(_remote.cut(size, 3))
        assert len(cuts) <= 3 and cuts[0][0] == 0 and cuts[-1][1] == size
        assert all(a[1] == b[0] for a, b in itertools.pairwise(cuts))


# Servers that misbehave.


def test_connections_that_break_go_on_where_they_were(long_archive: pathlib.Path) -> None:
    with serving(long_archive.parent) as server:
        server.bad.drop_after = randomly(1, 300_000)
        assert same(llmcodec.numpy.load_file(f"{server.url}/{long_archive.name}"), long_archive)
        assert server.sent < 1.3 * long_archive.stat().st_size


def test_short_answers_and_busy_servers(server: Server) -> None:
    server.bad.short = 20_000
    states = iter([503, 429, None] * 100)
    server.bad.status = lambda: next(states)
    server.bad.pause = 0.01
    assert same(llmcodec.numpy.load_file(f"{server.url}/archive.safetensors"), server.folder / "archive.safetensors")


def fails(server: Server, match: str, kind: type[llmcodec.Error] = llmcodec.IoError) -> None:
    with pytest.raises(kind, match=match) as caught:
        llmcodec.numpy.load_file(f"{server.url}/archive.safetensors")
    assert type(caught.value) is kind and "\n" not in str(caught.value)
    assert caught.value.file == f"{server.url}/archive.safetensors"


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"ignore_ranges": True}, "gives no byte ranges"),
        ({"status": lambda: 500}, "answers 500 .*; given up after 6 attempts"),
        ({"status": lambda: 418}, "answers 418"),
        ({"drop_after": lambda _: 0}, "given up after 6 attempts"),
        ({"short": 1}, "shorter than what was asked for; given up after 6 attempts"),
        ({"longer": 5}, "bytes where the range has"),
        ({"shift": 1}, "other bytes than it was asked for"),
        ({"compressed": True}, "compresses"),
    ],
)
def test_one_clear_error(server: Server, wrong: dict[str, object], match: str) -> None:
    for name, value in wrong.items():
        setattr(server.bad, name, value)
    fails(server, match)
    assert server.sent < 200_000


def test_a_store_that_does_not_say_what_is_absent(server: Server) -> None:
    server.bad.status = lambda: 403
    fails(server, "refuses it .403 Forbidden.", llmcodec.AccessError)
    server.bad.status, server.bad.absent = lambda: None, 403
    (server.folder / "alone").mkdir()
    shutil.copy(server.folder / "archive.safetensors", server.folder / "alone" / "model.safetensors")
    assert same(llmcodec.numpy.load_file(f"{server.url}/alone"), server.folder / "archive.safetensors")
    with pytest.raises(llmcodec.AccessError, match=r"refuses it .403 Forbidden.: .* or it is not there") as caught:
        llmcodec.numpy.load_file(f"{server.url}/nothing")
    assert isinstance(caught.value, PermissionError)


def test_a_port_where_nobody_listens_is_known_soon() -> None:
    with socket.socket() as taken:  # bound, and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(llmcodec.IoError, match="given up after 3 attempts"):
            llmcodec.safe_open(f"http://127.0.0.1:{taken.getsockname()[1]}/archive.safetensors", "np")


def test_lies_about_the_size(server: Server) -> None:
    server.bad.total = lambda size: size + 1000
    with pytest.raises(llmcodec.Error, match=r"archive.safetensors: .*"):
        llmcodec.numpy.load_file(f"{server.url}/archive.safetensors")
    server.bad.total = lambda size: size + len(server.log)
    fails(server, "was changed while it was read")


def test_a_file_that_changes(server: Server) -> None:
    archive = llmcodec.safe_open(f"{server.url}/archive.safetensors", "np")
    path = server.folder / "archive.safetensors"
    os.utime(path, ns=(1, 1))
    with pytest.raises(llmcodec.IoError, match="was changed while it was read"):
        archive.get_tensor("up.weight")
    assert same(llmcodec.numpy.load_file(f"{server.url}/archive.safetensors"), path)


def test_damage_is_found_as_in_files(server: Server) -> None:
    path = server.folder / "archive.safetensors"
    archive = llmcodec.safe_open(f"{server.url}/{path.name}", "np")
    opened = archive._opened
    assert opened is not None
    data, number = bytearray(path.read_bytes()), opened.names["up.weight"]
    _, offset, size = opened.archive.core.stored(number)[0]
    data[offset + size // 2] ^= 1
    path.write_bytes(data)
    server.bad.etag = lambda _: None
    archive = llmcodec.safe_open(f"{server.url}/{path.name}", "np")
    with pytest.raises(llmcodec.CorruptError, match=r"up\.weight"):
        archive.get_tensor("up.weight")


def test_what_is_not_there(server: Server) -> None:
    for path in ("absent.safetensors", "absent", f"absent/{INDEX}"):
        with pytest.raises(llmcodec.MissingFileError, match="absent"):
            llmcodec.safe_open(f"{server.url}/{path}", "np")
    next((server.folder / "sharded").glob("model-00002*")).unlink()
    with pytest.raises(llmcodec.MissingFileError, match="model-00002"):
        llmcodec.safe_open(f"{server.url}/sharded", "np")
    (server.folder / "page.safetensors").write_text("<html>sorry</html>")
    with pytest.raises(llmcodec.Error, match=r"page\.safetensors: this is a web page"):
        llmcodec.safe_open(f"{server.url}/page.safetensors", "np")
    with pytest.raises(llmcodec.IoError, match="given up"):
        llmcodec.safe_open("http://127.0.0.1:1/a.safetensors", "np")


@pytest.mark.parametrize("name", ["../a.safetensors", "/etc/passwd", "a/b.safetensors", "", "a\\b", 7])
def test_an_index_names_plain_shards_only(server: Server, name: object) -> None:
    (server.folder / "sharded" / INDEX).write_text(json.dumps({"weight_map": {"t": name}}))
    with pytest.raises(llmcodec.CorruptError, match="index"):
        llmcodec.safe_open(f"{server.url}/sharded", "np")


def test_where_a_server_leads_is_remembered(server: Server) -> None:
    server.bad.redirect = "/signed"
    archive = llmcodec.safe_open(f"{server.url}/archive.safetensors", "np")
    server.forget()
    archive.get_tensor("up.weight")
    assert [path for path, _ in server.log] == ["/signed/archive.safetensors"]
    states = iter([403])
    server.bad.status = lambda: next(states, None)  # the signature has expired
    archive.get_tensor("norm.weight")


# Secrets, cache, other stores.


def test_secrets_are_redacted() -> None:
    for url, shown in {
        f"https://user:{SECRET}@host/a/b.safetensors": "https://***@host/a/b.safetensors",
        f"https://{SECRET}@host:80/a": "https://***@host:80/a",
        f"https://h/a?X-Amz-Signature={SECRET}&x={SECRET};sig={SECRET}#{SECRET}": "https://h/a?X-Amz-Signature=***&x=***&sig=***",
        f"https://h/a?{SECRET}": "https://h/a?***",
        "hf://owner/repo@main/a": "hf://owner/repo@main/a",
        "https://h/\x1b[31m": "https://h/\\x1b[31m",
    }.items():
        assert _urls.redacted(url) == shown
        assert SECRET not in _urls.redacted_text(f"404 for '{url}', gone")


def test_secrets_are_nowhere(server: Server, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    url = server.url.replace("://", f"://user:{SECRET}@") + "/{}?token=" + SECRET
    assert same(llmcodec.numpy.load_file(url.format("archive.safetensors")), server.folder / "archive.safetensors")
    assert all(headers["Authorization"].startswith("Basic ") for headers in server.headers)
    said = []
    for path, status in (("absent.safetensors", None), ("archive.safetensors", 500), ("archive.safetensors", 401)):
        server.bad.status = lambda status=status: status
        with pytest.raises(llmcodec.Error) as caught:
            llmcodec.safe_open(url.format(path), "np")
        error: BaseException | None = caught.value
        while error is not None:
            said.append(f"{error} {error!r} {error.__dict__}")
            error = error.__cause__ or error.__context__
    cached = b"".join(tree(tmp_path / "cache").values())
    assert cached
    assert SECRET not in " ".join(said) + caplog.text and SECRET.encode() not in cached


def test_the_cache_knows_etags(server: Server, tmp_path: pathlib.Path) -> None:
    url = f"{server.url}/archive.safetensors"
    llmcodec.safe_open(url, "np")
    server.forget()
    assert same(llmcodec.numpy.load_file(url), server.folder / "archive.safetensors")
    opening = server.headers[0]
    assert opening["If-None-Match"] and len(server.log) == 2, "one request that brings nothing, and one for the tensors"
    (entry,) = (tmp_path / "cache/llmcodec").iterdir()
    entry.write_bytes(entry.read_bytes()[:-5] + b"wrong")
    server.forget()
    assert same(llmcodec.numpy.load_file(url), server.folder / "archive.safetensors")
    assert "If-None-Match" not in server.headers[0], "an entry that was damaged is none"
    llmcodec.numpy.save_file(tensors(), server.folder / "archive.safetensors", step=0.5)
    assert same(llmcodec.numpy.load_file(url), server.folder / "archive.safetensors")


def test_the_cache_is_bounded(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote_cache, "MOST_BYTES", 5000)
    for number in range(9):
        _remote_cache.store(f"https://h/{number}", _remote_cache.Entry(1, '"a"', [(0, bytes(1000))]))
    assert sum(f.stat().st_size for f in (tmp_path / "cache/llmcodec").iterdir()) <= 5000
    assert _remote_cache.load("https://h/8") == _remote_cache.Entry(1, '"a"', [(0, bytes(1000))])
    assert _remote_cache.load("https://h/0") is None


def test_without_a_cache(server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert same(llmcodec.numpy.load_file(f"{server.url}/sharded"), server.folder / "sharded")


def test_any_store_of_fsspec(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.put(str(models / "sharded"), "/web/sharded", recursive=True)
    try:
        assert same(llmcodec.numpy.load_file("memory://web/sharded"), models / "sharded")
        assert same(llmcodec.numpy.load_file((models / "archive.safetensors").as_uri()), models / "archive.safetensors")
        llmcodec.pull("memory://web/sharded", tmp_path / "out")
        assert tree(tmp_path / "out") == tree(models / "sharded")
        with pytest.raises(llmcodec.MissingFileError):
            llmcodec.safe_open("memory://web/absent.safetensors", "np")
        with pytest.raises(llmcodec.Error, match="nosuch"):
            llmcodec.safe_open("nosuch://web/absent.safetensors", "np")
    finally:
        store.rm("/web", recursive=True)


@pytest.mark.parametrize("missing", ["fsspec", "aiohttp"])
def test_what_is_missing_is_named(missing: str) -> None:
    script = f"import sys; sys.modules['{missing}'] = None; import llmcodec; llmcodec.safe_open('https://h/a', 'np')"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert f'llmcodec.UnsupportedError: URLs need {missing}: pip install "llmcodec[remote]"' in run.stderr


# Functions of Python's that read.


def test_what_a_read_raises_is_the_cause(archive: pathlib.Path) -> None:
    data = archive.read_bytes()
    broken = threading.Event()

    def read(offset: int, memory: memoryview) -> None:
        if broken.is_set():
            raise RuntimeError("the line is dead")
        memory[:] = data[offset : offset + len(memory)]

    opened = _core.Archive.open_sources([(b"https://h/a", len(data), read)], control())
    number = opened.find("up.weight")
    memory = np.empty(opened.byte_size(number, "F32"), np.uint8)
    opened.decode([(number, memory)], "F32", 2)
    assert bits(memory) == bits(llmcodec.numpy.load_file(archive)["up.weight"])
    broken.set()
    for call in (
        lambda: opened.decode([(number, memory)], "F32", 2),
        lambda: opened.decode_rows(number, 0, 2, memory[: 2 * 256 * 4], "F32", 1),
        lambda: opened.check_stored(number),
        lambda: _core.Archive.open_sources([(b"https://h/a", len(data), read)], control()),
    ):
        with pytest.raises(llmcodec.IoError, match="the line is dead") as caught:
            call()
        assert type(caught.value) is llmcodec.IoError and caught.value.file == "https://h/a"
        assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(llmcodec.InvalidArgumentError, match="at least one"):
        _core.Archive.open_sources([], control())
    with pytest.raises(llmcodec.InvalidArgumentError, match="twice"):
        _core.Archive.open_sources([(b"a", 9, read), (b"a", 9, read)], control())


class Stuck:
    """A read that waits for ever, until it is interrupted."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def __call__(self, offset: int, memory: memoryview) -> None:
        assert self.stopped.wait(30)
        raise RuntimeError("stopped")

    def interrupt(self) -> None:
        self.stopped.set()


def interrupted_after(seconds: float) -> None:
    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def test_ctrl_c_ends_a_read() -> None:
    interrupted_after(0.2)
    with pytest.raises(KeyboardInterrupt):
        _core.Archive.open_sources([(b"https://h/a", 1000, Stuck())], control())


def test_ctrl_c_ends_a_fetch_and_the_handle_works_on(server: Server) -> None:
    archive = llmcodec.safe_open(f"{server.url}/archive.safetensors", "np")
    server.bad.pause = 5
    interrupted_after(0.3)
    with pytest.raises(KeyboardInterrupt):
        archive.get_tensor("up.weight")
    server.bad.pause = 0
    assert same(archive.get_tensors(), server.folder / "archive.safetensors")


# The whole archive.


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pull, "PIECE", 2048)


def test_pull_is_a_copy(server: Server, tmp_path: pathlib.Path) -> None:
    (server.folder / "sharded/README.md").write_text("beside it, and not of it")
    told: list[llmcodec.Progress] = []
    paths = llmcodec.pull(f"{server.url}/sharded", tmp_path / "out", progress=told.append)
    (server.folder / "sharded/README.md").unlink()
    assert tree(tmp_path / "out") == tree(server.folder / "sharded")
    assert sorted(paths) == sorted(str(tmp_path / "out" / name) for name in tree(tmp_path / "out"))
    assert told[-1].done == told[-1].total > 0
    assert llmcodec.verify(tmp_path / "out")
    server.forget()
    llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    assert server.sent < 4000, "what is here and sound is not fetched again"


@pytest.mark.usefixtures("small_pieces")
def test_pull_cut_at_random_bytes_goes_on(server: Server, tmp_path: pathlib.Path) -> None:
    whole = sum(map(len, tree(server.folder / "sharded").values()))
    source = randomly(7, whole)
    for number in range(30):
        out = tmp_path / f"out{number}"
        server.bad.drop_after = after(source(0))
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)  # so that the opening is cut, too
        with pytest.raises(llmcodec.IoError, match="given up"):
            llmcodec.pull(f"{server.url}/sharded", out)
        assert not any(f.suffix == ".safetensors" for f in out.glob("model*")), "nothing has its name before all is there"
        had = sum(1 for entry in _pull_folder_journal(out).values() for _ in _pull_folder.numbers(entry["done"]))
        server.bad.drop_after = lambda _: None
        server.forget()
        llmcodec.pull(f"{server.url}/sharded", out)
        assert tree(out) == tree(server.folder / "sharded")
        assert server.sent < whole + 3 * 16384 - 1024 * had


def _pull_folder_journal(out: pathlib.Path) -> dict[str, dict[str, object]]:
    if not (out / _pull_folder.JOURNAL).exists():
        return {}  # it was cut before the archive was open
    files: dict[str, dict[str, object]] = json.loads((out / _pull_folder.JOURNAL).read_text())["files"]
    return files


@pytest.mark.usefixtures("small_pieces")
def test_pull_finds_what_was_damaged_on_the_disk(server: Server, tmp_path: pathlib.Path) -> None:
    server.bad.drop_after = after(45_000)
    with pytest.raises(llmcodec.IoError):
        llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    for partial in (tmp_path / "out").glob("model-*.partial"):
        partial.write_bytes(bytes(partial.stat().st_size))
    server.bad.drop_after = lambda _: None
    llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(server.folder / "sharded")
    shard = next((tmp_path / "out").glob("model-00002*"))
    shard.write_bytes(bytes(shard.stat().st_size))
    llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(server.folder / "sharded")


def test_pull_refuses_what_is_damaged_there(server: Server, tmp_path: pathlib.Path) -> None:
    path = next((server.folder / "sharded").glob("model-00002*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(llmcodec.CorruptError, match="fails its checksum"):
        llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    assert {f.suffix for f in (tmp_path / "out").iterdir()} == {".partial", ".json"}
    assert not (tmp_path / "out" / INDEX).exists()
    for text, match in (
        ('{"model_type": "text"}', "fails its checksum|description says"),
        ("{}", "description says 2|description says"),
    ):
        (server.folder / "sharded/config.json").write_text(text)
        with pytest.raises(llmcodec.CorruptError, match=match):
            llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")


def test_pull_leaves_its_folder_by_no_link(server: Server, tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret").write_text("mine")
    for name in ("archive.safetensors.partial", _pull_folder.JOURNAL + ".partial"):
        out = tmp_path / f"out-{name}"
        out.mkdir()
        (out / name).symlink_to(tmp_path / "secret")
        with pytest.raises(llmcodec.UnsupportedError, match="link"):
            llmcodec.pull(f"{server.url}/archive.safetensors", out)
        assert (tmp_path / "secret").read_text() == "mine"
    folder = _pull_folder.Folder(tmp_path / "in")
    (tmp_path / "in/sub").symlink_to(tmp_path)
    with pytest.raises(llmcodec.UnsupportedError, match="link"):
        folder.open("sub/new", os.O_CREAT | os.O_RDWR)
    os.mkfifo(tmp_path / "in/pipe")
    with pytest.raises(llmcodec.UnsupportedError, match="regular"):
        folder.open("pipe", os.O_RDONLY)
    for name in ("../new", "/new", "a//b", "a/./b", ""):
        with pytest.raises(llmcodec.CorruptError, match="plain"):
            folder.open(name, os.O_CREAT | os.O_RDWR)
    with pytest.raises(llmcodec.IoError, match="another pull"):
        llmcodec.pull(f"{server.url}/archive.safetensors", tmp_path / "in")
    folder.close()


def test_pull_onto_a_full_disk_goes_on(server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(llmcodec.IoError, match="out: No space left on device"):
            llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    with monkeypatch.context() as patched:
        check = _pull_folder.Folder.check_room
        patched.setattr(_pull_folder.Folder, "check_room", lambda self, size: check(self, 2**60 + size))
        with pytest.raises(llmcodec.IoError, match="the disk has room for"):
            llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(server.folder / "sharded")


def test_pull_does_not_mix_models(server: Server, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/model.safetensors").touch()
    with pytest.raises(llmcodec.InvalidArgumentError, match="another model"):
        llmcodec.pull(f"{server.url}/sharded", tmp_path / "out")
    llmcodec.pull(f"{server.url}/archive.safetensors", tmp_path / "out")


def test_pull_of_some_tensors(server: Server, tmp_path: pathlib.Path) -> None:
    import safetensors.numpy

    server.forget()
    (path,) = llmcodec.pull(f"{server.url}/sharded", tmp_path, tensors=r"^(up|ids|norm)")
    with safetensors.safe_open(path, "np") as file:
        read, own = file.get_tensors(), llmcodec.numpy.load_file(server.folder / "sharded")
        assert file.metadata() == {"format": "pt"}
    assert read.keys() == {"up.weight", "ids", "norm.weight"}
    assert all(bits(read[name]) == bits(own[name]) for name in read)
    for wrong in ("nothing of it", "("):
        with pytest.raises(llmcodec.InvalidArgumentError):
            llmcodec.pull(f"{server.url}/sharded", tmp_path, tensors=wrong)


def test_pull_of_some_tensors_goes_on(server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote, "_BATCH", 4096)
    url, wanted = f"{server.url}/sharded", r"weight$"
    llmcodec.safe_open(url, "np")  # header and description are in the cache from here on
    server.forget()
    (path,) = llmcodec.pull(url, tmp_path / "whole", tensors=wanted)
    expected, whole = pathlib.Path(path).read_bytes(), server.sent
    for part in (0.3, 0.6, 0.9):
        out = tmp_path / f"out{part}"
        server.bad.drop_after = after(int(part * whole))
        with pytest.raises(llmcodec.IoError, match="given up"):
            llmcodec.pull(url, out, tensors=wanted)
        assert [f.name for f in out.glob("tensors*")] == ["tensors.safetensors.partial"]
        assert _pull_folder_journal(out)["tensors.safetensors"]["done"]
        server.bad.drop_after = lambda _: None
        server.forget()
        (path,) = llmcodec.pull(url, out, tensors=wanted)
        assert pathlib.Path(path).read_bytes() == expected
        assert [f.name for f in out.iterdir()] == ["tensors.safetensors"]
    assert server.sent < 0.75 * whole, "what was here is not fetched again"
    (out / "tensors.safetensors").rename(out / "tensors.safetensors.partial")  # without a journal: of anything
    (path,) = llmcodec.pull(url, out, tensors=r"^up")
    assert pathlib.Path(path).read_bytes() != expected


def test_the_command(server: Server, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "llmcodec", "pull"]
    run = subprocess.run([*command, f"{server.url}/sharded?sig={SECRET}", "-o", tmp_path / "a"], capture_output=True, text=True)
    assert run.returncode == 0 and SECRET not in run.stdout + run.stderr
    assert set(run.stdout.split()) == {str(tmp_path / "a" / name) for name in tree(tmp_path / "a")}
    assert tree(tmp_path / "a") == tree(server.folder / "sharded")
    for arguments, code, said in (
        ([f"{server.url}/absent", "-o", tmp_path / "b"], 3, "llmcodec: error: http"),
        (["absent", "-o", tmp_path / "b"], 2, "is no URL"),
        ([f"{server.url}/sharded"], 2, "--output"),
    ):
        run = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert run.returncode == code and said in run.stderr and "Traceback" not in run.stderr


# Whoever started the tests in the background may have SIGINT ignored, which children inherit.
_STOPPABLE_PULL = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("llmcodec", run_name="__main__")
"""


def test_the_command_stopped_and_killed(server: Server, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", _STOPPABLE_PULL, "pull", f"{server.url}/archive.safetensors", "-o", str(tmp_path / "a")]
    server.bad.pause = 3
    for sent, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        server.forget()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not server.log:
            assert process.poll() is None
        process.send_signal(sent)
        _, said = process.communicate(timeout=30)
        assert process.returncode == code and "Traceback" not in said
    server.bad.pause = 0
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert tree(tmp_path / "a") == {"archive.safetensors": (server.folder / "archive.safetensors").read_bytes()}
