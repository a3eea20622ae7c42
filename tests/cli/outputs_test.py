# SPDX-License-Identifier: BSD-3-Clause
"""What a command writes: never an input, never anything but a plain file, whole when two write at once, and never a file that
a plan names."""
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import time

import numpy as np

import cli_support
import make_test_models
import safetensors_stream as st
from cli_support import BINARY, CliTest, needs_ffmpeg, run

ANOTHER = "another llmcodec"


class Outputs(CliTest):
    models = ("moe", "folder")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, seed in (("first", 1), ("second", 2)):
            rng = np.random.default_rng(seed)
            st.write(str(cls.folder / f"{name}.safetensors"),
                     [make_test_models.entry(f"layer.{i}.weight", "F32", rng.standard_normal((512, 640))) for i in range(3)])

    def archive(self, name, *options):
        archive = self.path(name + ".archive")
        self.ok("compress", self.path(name), "-o", archive, "--step", "0.4", *options)
        return archive

    # --- an output that is an input

    def keeps(self, victim, *command, naming=()):
        """The command is refused, and the file or folder is as it was."""
        files = sorted(victim.rglob("*")) if victim.is_dir() else [victim]
        before = [(file, file.read_bytes()) for file in files if file.is_file()]
        self.fails("invalid_argument", *command, naming=naming)
        for file, data in before:
            self.assertEqual(file.read_bytes(), data, file)
        self.assertEqual(sorted(victim.rglob("*")) if victim.is_dir() else [victim], files)

    def test_an_input_is_not_written_over(self):
        archive = self.archive("moe.safetensors")
        name = next(t["name"] for t in self.json("inspect", archive)["tensors"] if t["coded"])
        model, link, hard_link = self.path("moe.safetensors"), self.path("link"), self.path("hard_link")
        for source, command in ((model, ["plan", model, "--step", "1"]), (model, ["compress", model, "--step", "1"]),
                                (archive, ["decompress", archive]), (archive, ["extract", archive, name]),
                                (archive, ["extract", archive, name, "--samples"]),
                                (archive, ["extract", archive, name, "--rows", "0:1"])):
            link.symlink_to(source)
            os.link(source, hard_link)
            for output in (source, link, hard_link):
                with self.subTest(" ".join(map(str, [*command, output]))):
                    self.keeps(source, *command, "-o", output, naming=("output is the input", output))
            link.unlink()
            hard_link.unlink()

    def test_the_other_inputs_and_the_temporary_name_are_inputs_too(self):
        model, plan = self.path("moe.safetensors"), self.path("plan.json")
        self.ok("plan", model, "--step", "1", "-o", plan)
        self.keeps(plan, "compress", model, "--plan", plan, "-o", plan)
        self.keeps(plan, "plan", model, "--plan", plan, "-o", plan)
        partial = self.path("x.partial")
        shutil.copy(model, partial)
        self.keeps(partial, "compress", partial, "--step", "1", "-o", self.path("x"))

    def test_the_files_of_a_folder_are_inputs(self):
        folder = self.path("folder")
        for file in sorted(folder.iterdir()):
            self.keeps(folder, "plan", folder, "--step", "1", "-o", file)
        archive = self.archive("folder", "--shard-size", "30K")
        weights = list(archive.glob("model*.safetensors*"))
        self.assertGreater(len(weights), 2)  # shards and their index
        for file in weights:
            self.keeps(archive, "extract", archive, "model.embed_tokens.weight", "-o", file)
        for name in ("config.json", "sub/notes.json"):  # carried over: as much a part of the archive
            self.keeps(archive, "extract", archive, "model.embed_tokens.weight", "-o", archive / name)
        # The folder of the archive, which is named by its index.
        self.keeps(archive, "decompress", archive / "model.safetensors.index.json", "-o", archive)

    def test_video_and_its_trace(self):
        video = self.path("video.yuv")
        video.write_bytes(bytes(range(64)) * 64)
        encode = ["vvc", "encode", video, "--size", "64x64", "--bit-depth", "8", "--qp", "30"]
        stream = self.path("video.266")
        self.ok(*encode, "-o", stream)
        self.keeps(video, *encode, "-o", video)
        self.keeps(video, *encode, "-o", self.path("unused"), "--trace", video)
        self.keeps(stream, "vvc", "decode", stream, "-o", stream)
        self.keeps(stream, "vvc", "decode", stream, "--md5", "--trace", stream)
        self.fails("invalid_argument", *encode, "-o", self.path("both"), "--trace", self.path("both"), naming=ANOTHER)

    # --- an output that is no regular file

    def test_only_regular_files_are_replaced(self):
        archive, model = self.archive("moe.safetensors"), self.path("moe.safetensors")
        fifo, folder = self.path("fifo"), self.path("a_folder")
        os.mkfifo(fifo)
        folder.mkdir()
        name = next(t["name"] for t in self.json("inspect", archive)["tensors"] if t["coded"])
        for command in (["plan", model, "--step", "1"], ["decompress", archive], ["extract", archive, name]):
            self.fails("invalid_argument", *command, "-o", fifo, naming="no regular file")
            self.fails("invalid_argument", *command, "-o", folder, naming="is a folder")
        self.fails("invalid_argument", "compress", model, "--step", "1", "-o", fifo, naming="no regular file")
        self.assertTrue(stat.S_ISFIFO(fifo.stat().st_mode))
        self.assertEqual(list(folder.iterdir()), [])

    def test_standard_output_is_none(self):
        archive, model, folder = self.archive("moe.safetensors"), self.path("moe.safetensors"), self.path("folder")
        packed = self.archive("folder")
        name = next(t["name"] for t in self.json("inspect", archive)["tensors"] if t["coded"])
        here = self.path("here")
        here.mkdir()
        for command in (["compress", model, "--step", "1"], ["compress", folder, "--step", "1"], ["plan", model, "--step", "1"],
                        ["decompress", archive], ["decompress", packed], ["extract", archive, name]):
            self.fails("invalid_argument", *command, "-o", "-", naming="standard output does not allow", cwd=here)
        self.assertEqual(list(here.iterdir()), [])
        self.ok("decompress", archive, "-o", "./-", cwd=here)
        self.assertEqual([path.name for path in here.iterdir()], ["-"])

    def test_a_command_that_fails_leaves_no_new_folder(self):
        packed, new = self.archive("folder"), self.path("new")
        damaged = self.path("damaged.archive")
        shutil.copytree(packed, damaged)
        content = bytearray((damaged / "model.safetensors").read_bytes())
        content[len(content) // 2] ^= 1
        (damaged / "model.safetensors").write_bytes(content)
        self.fails("corrupt", "decompress", damaged, "-o", new / "deep")
        self.assertFalse(new.exists())
        new.mkdir()  # the user's own
        self.fails("corrupt", "decompress", damaged, "-o", new)
        self.assertEqual(list(new.iterdir()), [])

    def test_names_that_are_too_long(self):
        archive, model = self.archive("moe.safetensors"), self.path("moe.safetensors")
        name = next(t["name"] for t in self.json("inspect", archive)["tensors"] if t["coded"])
        for length in (250, 255, 256, 5000):  # with its ending, without it, and not even that
            output = self.path("x" * length)
            for command in (["plan", model, "--step", "1"], ["decompress", archive], ["extract", archive, name]):
                with self.subTest(command=command[0], length=length):
                    self.fails("io", *command, "-o", output, naming="File name too long")
        self.fails("io", "compress", model, "--step", "1", "-o", self.path("x" * 255), naming="File name too long")
        self.assertEqual([p.name for p in self.folder.iterdir() if "xxxx" in p.name or p.name.startswith(".llmcodec")], [])

    # --- what is in a folder that gets a model

    def test_a_folder_holds_one_model(self):
        """Whatever was there before, in one file or in shards: what is read is what was written last, and notes stay."""
        sharded, single = ["--shard-size", "30K"], []
        output, source = self.path("one_model"), self.path("folder")
        for steps in ((sharded, single), (single, sharded), (sharded, ["--shard-size", "60K"])):
            self.remove(output) if output.exists() else None
            for command, step in (("compress", "0.4"), ("compress", "0.8")):
                self.ok(command, source, "-o", output, "--step", step, *steps[step == "0.8"])
                (output / "notes.txt").write_text("mine")
            alone = self.path("alone")
            self.ok("compress", source, "-o", alone, "--step", "0.8", *steps[1])
            content = self.content(output)
            self.assertEqual(content.pop("notes.txt"), b"mine")
            self.assertEqual({n: len(d) for n, d in content.items()}.keys(), self.content(alone).keys())
            restored = self.path("restored_model")
            for options in steps:
                self.ok("decompress", output, "-o", restored, *options)
                self.ok("verify", output, "--against", restored)
            self.remove(alone)
            self.remove(restored)

    def test_a_folder_with_other_weights_is_left_alone(self):
        archive = self.archive("folder")
        for name in ("pytorch_model.bin", "other.gguf", "consolidated.safetensors"):
            folder = self.path("with_" + name)
            folder.mkdir()
            (folder / name).write_bytes(b"weights")
            for command in (["compress", self.path("folder"), "--step", "1"], ["decompress", archive]):
                self.keeps(folder, *command, "-o", folder, naming=(name, folder))

    # --- two commands with one output

    def two_at_once(self, commands, results, output, seed):
        """Results (exit code, message) of both; afterwards the output is one of `results`, whole, or absent if both failed."""
        pause = random.Random(seed).random() * 0.3
        processes = []
        for command in commands:
            processes.append(subprocess.Popen([BINARY, *map(str, command), "--threads", "1", "-q"], stdout=subprocess.DEVNULL,
                                              stderr=subprocess.PIPE, text=True))
            time.sleep(pause)
        done = [(process.communicate(timeout=600)[1], process.returncode) for process in processes]
        for message, code in done:
            self.assertIn(code, (0, cli_support.EXIT["invalid_argument"]), message)
            if code:
                self.assertIn(ANOTHER, message)
        self.assertIn(0, [code for _, code in done])
        self.assertIn(self.content(output), results)
        self.assertEqual([p.name for p in output.parent.iterdir() if p.name.startswith(output.name) and p != output], [])
        return [code for _, code in done]

    def content(self, path):
        return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()} if path.is_dir() else path.read_bytes()

    def remove(self, path):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def test_two_decompressions_never_mix(self):
        archives = [self.archive("first.safetensors"), self.archive("second.safetensors")]
        output = self.path("decompressed")
        results = []
        for archive in archives:
            self.ok("decompress", archive, "-o", output)
            results.append(self.content(output))
        self.assertNotEqual(*results)
        commands = [["decompress", archive, "-o", output] for archive in archives]
        self.remove(output)
        other = self.while_stopped(commands[0], "decompressed*.partial", commands[1])
        self.assertEqual(other.returncode, cli_support.EXIT["invalid_argument"], other.stderr)
        self.assertIn(ANOTHER, other.stderr)
        self.assertEqual(self.content(output), results[0])
        for attempt in range(8):
            self.remove(output)
            self.two_at_once(commands, results, output, attempt)

    def test_two_compressions_never_mix(self):
        sources, output = [self.path("first.safetensors"), self.path("second.safetensors")], self.path("compressed")

        def command(source):
            return ["compress", source, "-o", output, "--step", "0.4"]

        results = []
        for source in sources:
            self.ok(*command(source))
            results.append(self.content(output))
            self.remove(output)
        other = self.while_stopped(command(sources[0]), "compressed.journal", command(sources[1]))
        self.assertEqual(other.returncode, cli_support.EXIT["invalid_argument"], other.stderr)
        self.assertIn(ANOTHER, other.stderr)
        self.assertEqual(self.content(output), results[0])
        for attempt in range(8):
            self.remove(output)
            both = sources if attempt % 2 else sources[:1] * 2
            self.two_at_once([command(source) for source in both], results, output, attempt)

    def while_stopped(self, command, appears, other):
        """Runs `other` while `command` is stopped, after a file has appeared that matches `appears`; its result. `command`
        then goes on and succeeds. If `other` was not refused, `command` may have been done before it could be stopped: then
        both are run again."""
        for _ in range(20):
            process = subprocess.Popen([BINARY, *map(str, command), "--threads", "1"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True)
            while process.poll() is None and not list(self.folder.glob(appears)):
                time.sleep(0.001)
            process.send_signal(signal.SIGSTOP)
            result = run(*other)
            process.send_signal(signal.SIGCONT)
            message = process.communicate(timeout=600)[1]
            self.assertEqual(process.returncode, 0, message)
            if result.returncode != 0:
                return result
        self.fail(f"{other} was never in the way of {command}")

    def test_a_folder_is_restored_by_one_at_a_time(self):
        archives = []
        for name in ("first", "second"):
            source = self.path(name)
            source.mkdir()
            shutil.copy(self.path(name + ".safetensors"), source / "model.safetensors")
            archives.append(self.archive(name))
        output, alone = self.path("restored_folder"), self.path("restored_alone")
        commands = [["decompress", archive, "-o", output, "--shard-size", "1500K"] for archive in archives]
        self.ok("decompress", archives[0], "-o", alone, "--shard-size", "1500K")
        other = self.while_stopped(commands[0], "restored_folder/.llmcodec-new/model-00001-of-00003.safetensors", commands[1])
        self.assertEqual(other.returncode, cli_support.EXIT["invalid_argument"], other.stderr)
        self.assertIn(ANOTHER, other.stderr)
        self.assertEqual(self.content(output), self.content(alone))
        self.assertEqual(len(self.content(alone)), 4)  # three shards and their index
        self.ok(*commands[1])

    # --- a plan that names files

    @needs_ffmpeg
    def test_a_plan_makes_ffmpeg_write_no_file(self):
        model, plan, evil, target = (self.path(name) for name in ("moe.safetensors", "x264.json", "evil.json", "target"))
        self.ok("plan", model, "--codec", "libx264:preset=ultrafast", "--step", "0.1", "-o", plan)
        self.ok("compress", model, "--plan", plan, "-o", self.path("by_plan"))
        for option in (f"y={target}", f"stats={target}", f"x264-params=dump-yuv={target}", "x264-params=dump-yuv=target",
                       f"i={target}"):
            changed = json.loads(plan.read_text())
            for tensor in changed["tensors"]:
                if "codec" in tensor:
                    tensor["codec"] += "," + option
            evil.write_text(json.dumps(changed))
            self.fails("invalid_argument", "compress", model, "--plan", evil, "-o", self.path("by_evil"),
                       naming=("evil.json", option.partition("=")[0]), cwd=self.folder)
        self.assertFalse(target.exists())
        self.assertFalse(self.path("by_evil").exists())


if __name__ == "__main__":
    cli_support.main()
