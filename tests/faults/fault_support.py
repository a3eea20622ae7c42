# SPDX-License-Identifier: BSD-3-Clause
"""What the fault tests share: small models, commands with the places they write to, runs in which a chosen call goes wrong."""
import collections
import errno
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import time

import gguf
import numpy as np

import cli_support
import make_test_models
import safetensors_stream as st
from cli_support import BINARY, EXIT

PRELOAD = os.environ.get("LLMCODEC_FAULT_POINTS", "")
# Without it a sample of the points, always the same one, is tried.
LONG = os.environ.get("LLMCODEC_FAULTS_LONG") == "1"

Point = collections.namedtuple("Point", "number call path")
# One command: its arguments with OUTPUT for the place it writes to (or OUTPUT_GGUF for a file in it), and what is there before.
# `inputs` are never changed.
Command = collections.namedtuple("Command", "name arguments output before")
OUTPUT, OUTPUT_GGUF = object(), object()

NOTES = {"notes.txt": b"the user's own"}
# Own files that are no part of what is written; they may be left by a kill, and the next run removes them.
OWN = (".llmcodec-", ".partial", ".journal")


class Content(bytes):
    """The bytes of a file; a failed comparison prints their number and a checksum."""

    def __repr__(self):
        return f"<{len(self)} bytes, {hashlib.sha256(self).hexdigest()[:8]}>"


def files(path):
    """{relative name: content} of a folder, {"": content} of a file, {} of what is not there."""
    path = pathlib.Path(path)
    if path.is_file():
        return {"": Content(path.read_bytes())}
    return {str(p.relative_to(path)): Content(p.read_bytes()) for p in sorted(path.rglob("*")) if p.is_file()}


def put(path, content):
    path = pathlib.Path(path)
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name, data in content.items():
        file = path / name if name else path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def without_own(content):
    return {name: data for name, data in content.items()
            if not any(part.startswith(OWN[0]) for part in name.split("/")) and not name.endswith(OWN[1:])}


def fault_environment(folder, **settings):
    environment = {**os.environ, "LD_PRELOAD": PRELOAD, "LLMC_FAULT_FOLDER": str(folder)}
    environment.update({f"LLMC_FAULT_{name.upper()}": str(value) for name, value in settings.items()})
    return environment


def write_gguf(path, entries):
    writer = gguf.GGUFWriter(str(path), "llama")
    for item in entries:
        writer.add_tensor(item.name, st.from_bf16(item.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class FaultTest(cli_support.CliTest):
    models = ()

    @classmethod
    def setUpClass(cls):
        if not PRELOAD:
            raise cli_support.unittest.SkipTest("the library of faults is not built (set LLMCODEC_FAULT_POINTS)")
        super().setUpClass()
        # Models whose bytes differ, so that no part of one is mistaken for another's.
        for number, name in enumerate(("first", "second")):
            rng = np.random.default_rng([7, number])
            entries = [make_test_models.entry(f"layer.{i}.weight", "BF16", make_test_models.weights(rng, 64, 96)) for i in range(4)]
            entries.append(make_test_models.entry("norm.weight", "BF16", 1 + make_test_models.weights(rng, 96)))
            st.write(str(cls.folder / f"{name}.safetensors"), entries)
            folder = cls.folder / f"{name}_model"
            (folder / "sub").mkdir(parents=True)
            st.write_sharded(str(folder), entries, 30_000, {"format": "pt"})
            (folder / "config.json").write_text('{"model_type": "%s"}' % name)
            (folder / "sub/notes.json").write_text('{"of": "%s"}' % name)
            write_gguf(cls.folder / f"{name}.gguf", entries[:3])
            pipeline = cls.folder / f"{name}_pipeline"
            for part in ("unet", "text/encoder"):
                (pipeline / part).mkdir(parents=True)
                st.write_sharded(str(pipeline / part), entries[:3], 30_000, {"format": "pt"})
            (pipeline / "model_index.json").write_text('{"of": "%s"}' % name)
        for number, name in enumerate(("first", "second")):
            for source, target in ((f"{name}.safetensors", f"{name}.archive"), (f"{name}_model", f"{name}_archive"),
                                   (f"{name}.gguf", f"{name}_gguf.archive"), (f"{name}_pipeline", f"{name}_pipeline_archive")):
                result = cli_support.run("compress", cls.folder / source, "-o", cls.folder / target, "--codec", "raw", "-q")
                assert result.returncode == 0, result.stderr
        cls.work = cls.folder / "work"
        cls.work.mkdir()
        cls.log = cls.folder / "points.log"

    def arguments(self, command):
        places = {OUTPUT: self.work / command.output, OUTPUT_GGUF: self.work / command.output / "model.gguf"}
        return [BINARY, *(str(places.get(a, a)) for a in command.arguments), "--threads", "1"]

    def start(self, command, **settings):
        return subprocess.Popen(self.arguments(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                stdin=subprocess.DEVNULL, env=fault_environment(self.folder, **settings))

    def finish(self, process):
        """(exit code, standard error)"""
        error = process.communicate(timeout=120)[1]
        return process.returncode, error

    def run_with(self, command, **settings):
        return self.finish(self.start(command, **settings))

    def prepare(self, command):
        """What stands before the command: nothing of its own kind, and what it replaces."""
        put(self.work, {})
        self.work.mkdir(exist_ok=True)
        if command.output:
            put(self.work / command.output, command.before)

    def points(self, command):
        self.prepare(command)
        self.log.unlink(missing_ok=True)
        code, error = self.run_with(command, log=self.log)
        self.assertEqual(code, 0, error)
        lines = [line.split(" ", 2) for line in self.log.read_text().splitlines()]
        return [Point(int(number), call, path) for number, call, path in lines]

    def sample(self, points, count):
        """All points in the long tier; else `count` of them, always the same."""
        if LONG or len(points) <= count:
            return points
        return sorted(random.Random(1).sample(points, count))

    def wait_for(self, path, process):
        while not path.exists() and process.poll() is None:
            time.sleep(0.001)
        return path.exists()


def old_model(shards):
    """What a model of an earlier run leaves, in one file or in shards with their index."""
    names = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)] if shards > 1 else ["model.safetensors"]
    content = {name: b"old weights" for name in names}
    if shards > 1:
        content["model.safetensors.index.json"] = b"old index"
    return {**content, "config.json": b"old config", **NOTES}


def old_pipeline():
    """What a pipeline of an earlier run leaves: one part in a file, the other in shards."""
    sharded = {f"text/encoder/{name}": content for name, content in old_model(3).items() if name.startswith("model")}
    return {"unet/model.safetensors": b"old weights", **sharded, "model_index.json": b"old", **NOTES}


def commands(folder):
    """Commands on the models of FaultTest that write, and `verify`, which does not (`output` is "")."""
    old = {"": b"an older file"}
    step = ["--step", "0.4", "-q"]
    return [
        Command("compress raw", ["compress", folder / "first.safetensors", "-o", OUTPUT, "--codec", "raw", "-q"], "out", old),
        Command("compress vvc", ["compress", folder / "first.safetensors", "-o", OUTPUT, *step], "out", old),
        Command("compress folder", ["compress", folder / "first_model", "-o", OUTPUT, "--codec", "raw", "--shard-size", "24K", "-q"],
                "out", old_model(5)),
        Command("decompress", ["decompress", folder / "first.archive", "-o", OUTPUT, "-q"], "out", old),
        Command("decompress folder", ["decompress", folder / "first_archive", "-o", OUTPUT, "-q", "--shard-size", "30K"], "out",
                old_model(1)),
        Command("decompress folder to one file", ["decompress", folder / "first_archive", "-o", OUTPUT, "-q"], "out", old_model(3)),
        Command("decompress pipeline", ["decompress", folder / "first_pipeline_archive", "-o", OUTPUT, "-q", "--shard-size", "30K"], "out",
                old_pipeline()),
        Command("decompress parts", ["decompress", folder / "first_gguf.archive", "-o", OUTPUT_GGUF, "-q", "--shard-size", "1"], "out",
                {**{f"model-{i + 1:05d}-of-00003.gguf": b"old part" for i in range(3)}, **NOTES}),
        Command("extract", ["extract", folder / "first.archive", "layer.1.weight", "-o", OUTPUT, "-q"], "out", old),
        Command("extract rows", ["extract", folder / "first.archive", "layer.1.weight", "-o", OUTPUT, "--rows", "0:3", "-q"], "out", old),
        Command("plan", ["plan", folder / "first.safetensors", "-o", OUTPUT, *step], "out", old),
        Command("verify", ["verify", folder / "first_archive", "--against", folder / "first_model", "-q"], "", {}),
    ]


def named(error):
    """An error with the name of a file, as docs/cli.md promises."""
    return error.startswith("llmcodec: error: ") and "/" in error


ERRNO = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EINTR": errno.EINTR}
FAILED = {code for kind, code in EXIT.items() if kind not in ("internal", "interrupted")}
