# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong: one exception of ours each, with what is known of the place, and nothing left behind."""

from __future__ import annotations

import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import llmcodec
import llmcodec.numpy


def test_kinds_are_classes() -> None:
    for cls, base in (
        (llmcodec.IoError, OSError),
        (llmcodec.MissingFileError, FileNotFoundError),
        (llmcodec.InvalidArgumentError, ValueError),
        (llmcodec.CorruptError, Exception),
        (llmcodec.UnsupportedError, Exception),
        (llmcodec.LimitError, Exception),
        (llmcodec.InterruptError, Exception),
        (llmcodec.InternalError, Exception),
    ):
        error = cls("text", message="m", file="f", tensor="t", offset=7)
        assert isinstance(error, base) and isinstance(error, llmcodec.Error)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.message, again.file, again.tensor, again.offset) == (
            cls,
            "text",
            "m",
            "f",
            "t",
            7,
        )


@pytest.mark.parametrize("length", [0, 7, 100, 5_000, -8, -1])
def test_cut_archives(archive: pathlib.Path, tmp_path: pathlib.Path, length: int) -> None:
    data = archive.read_bytes()[:length]
    (tmp_path / "cut").write_bytes(data)
    for read in (lambda: llmcodec.safe_open(tmp_path / "cut", "np"), lambda: llmcodec.numpy.load(data)):
        with pytest.raises(llmcodec.CorruptError):
            read()
    with pytest.raises(llmcodec.CorruptError) as caught:
        llmcodec.verify(tmp_path / "cut")
    assert caught.value.file == str(tmp_path / "cut")


def test_changed_bytes_name_the_tensor(archive: pathlib.Path, tmp_path: pathlib.Path) -> None:
    data = bytearray(archive.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 40):
        data[place] ^= 0x55
    (tmp_path / "changed").write_bytes(data)
    with llmcodec.safe_open(tmp_path / "changed", "np") as opened:
        failed = {}
        for name in opened.keys():
            try:
                opened.get_tensor(name)
            except llmcodec.CorruptError as error:
                failed[name] = error
        with pytest.raises(llmcodec.CorruptError):
            opened.get_tensors()
    assert 1 <= len(failed) <= 2
    assert all(error.tensor is not None and error.file == str(tmp_path / "changed") for error in failed.values())


def test_a_missing_shard(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copytree(models / "sharded", tmp_path / "sharded")
    shard = sorted((tmp_path / "sharded").glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(llmcodec.MissingFileError) as caught:
        llmcodec.safe_open(tmp_path / "sharded", "np")
    assert caught.value.file == str(shard)


def test_a_model_is_no_archive(models: pathlib.Path) -> None:
    with pytest.raises(llmcodec.InvalidArgumentError, match="is no llmcodec archive"):
        llmcodec.safe_open(models / "model.safetensors", "np")


def test_wrong_names_and_dtypes(archive: pathlib.Path) -> None:
    with llmcodec.safe_open(archive, "np") as opened:
        for call in (opened.get_tensor, opened.get_slice, lambda name: opened.get_tensors(["ids", name])):
            with pytest.raises(llmcodec.InvalidArgumentError) as caught:
                call("absent")
            assert caught.value.tensor == "absent"
        with pytest.raises(TypeError):
            opened.get_tensor(None)  # type: ignore[arg-type]
    with pytest.raises(llmcodec.UnsupportedError) as unsupported:
        llmcodec.numpy.load_file(archive, dtype="F99")
    assert unsupported.value.tensor is not None


def test_names_from_files_do_not_command_terminals(tmp_path: pathlib.Path) -> None:
    name = "a\x1b[2J\u202eb"
    llmcodec.numpy.save_file({name: np.zeros((3, 4), np.float32)}, tmp_path / "a")
    with llmcodec.safe_open(tmp_path / "a", "np") as opened:
        assert opened.keys() == [name]
        for index in (7, None):
            with pytest.raises(llmcodec.InvalidArgumentError) as caught:
                opened.get_slice(name)[index]
            assert caught.value.tensor == name and str(caught.value).isprintable()
        with pytest.raises(llmcodec.InvalidArgumentError) as caught:
            opened.get_tensor(name + "x")
        assert str(caught.value).isprintable()


def test_wrong_metadata_and_tensors(tmp_path: pathlib.Path) -> None:
    for tensors, metadata in (({"a": [1, 2]}, None), ({"a": np.zeros(3)}, {"a": 1}), ({3: np.zeros(3)}, None)):
        with pytest.raises(TypeError):
            llmcodec.numpy.save_file(tensors, tmp_path / "a", metadata)  # type: ignore[arg-type]
    with pytest.raises(llmcodec.InvalidArgumentError):
        llmcodec.numpy.save_file({"a": np.zeros(3, object)}, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


# In the child both what was opened before and what is opened then work, on one thread.
FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
import llmcodec
archive = llmcodec.safe_open(sys.argv[1], "np")
expected = archive.get_tensors()
child = os.fork()
if child == 0:
    same = all(archive.get_tensor(name).tobytes() == array.tobytes() for name, array in expected.items())
    again = llmcodec.numpy.load_file(sys.argv[1], threads=4)
    os._exit(0 if same and again.keys() == expected.keys() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert archive.get_tensors().keys() == expected.keys()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")
def test_fork_after_open(archive: pathlib.Path) -> None:
    subprocess.run([sys.executable, "-c", FORK, archive], check=True, timeout=60)


# Whoever started the tests in the background may have SIGINT ignored, which children inherit.
INTERRUPTED = """
import signal, sys
import llmcodec
signal.signal(signal.SIGINT, signal.default_int_handler)
def started(event):
    if event.phase == "encode":
        print("at work", flush=True)
try:
    llmcodec.compress(sys.argv[1], sys.argv[2], bpw=3, threads=1, progress=started)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_in_the_middle(large: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Ends soon, as KeyboardInterrupt; then the same call goes on and gives what an undisturbed one does."""
    out = tmp_path / "out.safetensors"
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, large, out], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "at work\n"
    process.send_signal(signal.SIGINT)
    stopped = time.monotonic()
    assert "interrupted" in process.communicate(timeout=60)[0]
    assert process.returncode == 0 and time.monotonic() - stopped < 20
    assert not out.exists()
    llmcodec.compress(large, out, bpw=3)
    other = tmp_path / "undisturbed"
    other.mkdir()
    llmcodec.compress(large, other / "out.safetensors", bpw=3)
    ours, theirs = (llmcodec.numpy.load_file(path) for path in (out, other / "out.safetensors"))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


READ_INTERRUPTED = """
import signal, sys, threading, time
import llmcodec
signal.signal(signal.SIGINT, signal.default_int_handler)
archive = llmcodec.safe_open(sys.argv[1], "np", threads=1)
main = threading.get_ident()
def interrupt():
    time.sleep(0.15)
    signal.pthread_kill(main, signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    while True:
        archive.get_tensors()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_while_reading(large: pathlib.Path, tmp_path: pathlib.Path) -> None:
    llmcodec.compress(large, tmp_path / "archive", step=0.5)
    run = subprocess.run(
        [sys.executable, "-c", READ_INTERRUPTED, tmp_path / "archive"], capture_output=True, text=True, timeout=60
    )
    assert run.stdout == "interrupted\n", run.stderr


def test_an_output_that_cannot_be(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(llmcodec.Error):
        llmcodec.compress(models / "model.safetensors", tmp_path / "absent/out")
    with pytest.raises(llmcodec.InvalidArgumentError):
        llmcodec.compress(models / "model.safetensors", models / "model.safetensors", bpw=3)
    with pytest.raises(llmcodec.UnsupportedError, match="ffmpeg"):
        llmcodec.Codec("libx265", ffmpeg=tmp_path / "no-ffmpeg")
