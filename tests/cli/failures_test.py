# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong outside the program: one clear error each, with its exit code, and no broken output."""
import json
import os
import resource
import shutil
import subprocess
import time
import unittest

import numpy as np

import cli_support
import make_test_models
import safetensors_stream
from cli_support import CliTest, needs_ffmpeg, run


class Failures(CliTest):
    models = ("moe", "folder", "llama", "conv")

    def setUp(self):
        self.out = self.path(self.id().rsplit(".", 1)[1] + ".safetensors")

    def nothing_written(self):
        self.assertFalse(self.out.exists())

    def test_missing_input(self):
        self.fails("io", "compress", self.path("absent.safetensors"), "-o", self.out, naming="absent.safetensors")
        self.nothing_written()

    def test_unknown_option_and_command(self):
        self.fails("invalid_argument", "compress", self.path("moe.safetensors"), "-o", self.out, "--no-such-option")
        self.fails("invalid_argument", "no-such-command")

    def test_two_targets(self):
        self.fails("invalid_argument", "compress", self.path("moe.safetensors"), "-o", self.out, "--bpw", "3", "--snr", "10")

    def test_pattern_that_matches_nothing(self):
        for option in (["--keep", "no_such_tensor"], ["--set", "no_such_tensor=layout:spatial"]):
            self.fails("invalid_argument", "compress", self.path("moe.safetensors"), "-o", self.out, *option, naming="no_such_tensor")
        self.nothing_written()

    def test_unreachable_rate_states_the_range(self):
        self.fails("invalid_argument", "compress", self.path("moe.safetensors"), "-o", self.out, "--bpw", "0.01")
        self.nothing_written()

    def test_weights_that_take_fewer_bits_than_were_asked_for(self):
        """All zero, or with so little in them that nothing is lost: what comes back is what was there."""
        source, back = self.path("few.safetensors"), self.path("few.back.safetensors")
        rng = np.random.default_rng(4)
        for values in (np.zeros((128, 128), np.float32), np.eye(128, dtype=np.float32)):
            entries = [make_test_models.entry(f"layer.{i}.weight", "F32", values * (i + 1)) for i in range(3)]
            safetensors_stream.write(str(source), entries)
            for target in [[], ["--bpw", "3"], ["--size", "90000"], *([] if values.any() else [["--snr", "20"]])]:
                report = self.json("compress", source, "-o", self.out, *target)
                self.assertLessEqual(report["bpw"], 15)
                if "--snr" not in target:
                    self.assertIn("comes back as it was, at fewer bits", " ".join(report["notes"]))
                self.ok("decompress", self.out, "-o", back)
                for entry in entries:
                    np.testing.assert_array_equal(cli_support.arrays(back)[entry.name][1], entry.data, str(target))
        ordinary = [make_test_models.entry("layer.weight", "F32", rng.standard_normal((128, 128)))]
        safetensors_stream.write(str(source), ordinary)
        self.fails("invalid_argument", "compress", source, "-o", self.out, "--bpw", "900", naming="cannot be reached")

    def test_a_model_of_which_nothing_is_coded(self):
        """Whoever asked for a size learns that it is not the codec that met it."""
        source = self.path("norms.safetensors")
        safetensors_stream.write(str(source), [make_test_models.entry("a.norm.weight", "F32", np.ones(4096, np.float32))])
        report = self.json("compress", source, "-o", self.out, "--bpw", "60")
        self.assertIn("no tensor is coded", " ".join(report["notes"]))
        self.assertNotIn("no tensor is coded", " ".join(self.json("compress", source, "-o", self.out)["notes"]))

    def test_a_quality_that_the_codec_does_not_take_is_a_fault_of_the_plan(self):
        plan = self.path("quality.json")
        self.ok("plan", self.path("moe.safetensors"), "--step", "0.4", "-o", plan)
        content = json.loads(plan.read_text())
        coded = next(tensor for tensor in content["tensors"] if "keep" not in tensor)
        for quality in (64, -13, 20.5):
            coded["quality"] = quality
            plan.write_text(json.dumps(content))
            self.fails("invalid_argument", "compress", self.path("moe.safetensors"), "-o", self.out, "--plan", plan,
                       naming=(f"{plan}: tensor '{coded['name']}'", "takes qualities from -12 to 63"))
        self.nothing_written()

    def test_missing_encoder(self):
        environment = {**os.environ, "LLMCODEC_FFMPEG": "/no/such/ffmpeg"}
        self.fails("unsupported", "compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "libx265", "--bpw", "3",
                   naming="ffmpeg", env=environment)
        self.nothing_written()

    @needs_ffmpeg
    def test_missing_decoder(self):
        self.ok("compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "libx265:preset=ultrafast", "--bpw", "4")
        environment = {**os.environ, "LLMCODEC_FFMPEG": "/no/such/ffmpeg"}
        for command in (["decompress", self.out, "-o", self.path("undecodable.safetensors")], ["verify", self.out]):
            self.fails("unsupported", *command, naming=("ffmpeg", "libx265"), env=environment)
        self.assertFalse(self.path("undecodable.safetensors").exists())

    @needs_ffmpeg
    def test_encoder_that_ffmpeg_lacks(self):
        self.fails("unsupported", "compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "libnosuch", "--bpw", "3",
                   naming="libnosuch")

    def test_full_disk(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        result = self.fails("io", "compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "raw", preexec_fn=limit)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.nothing_written()

    def small_file_system(self, name):
        """A folder that holds 200 kB, taken away at the end of the test."""
        if os.geteuid() != 0:
            self.skipTest("mounting a small file system needs root")
        mount = self.path(name)
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", mount], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no mounts here")
        self.addCleanup(subprocess.run, ["umount", mount], check=True)
        return mount

    def test_what_the_disk_cannot_hold_is_refused_before_it_is_written(self):
        mount = self.small_file_system("smaller")
        source = self.path("moe.safetensors")
        self.ok("compress", source, "-o", self.out)
        for command in (["compress", source, "--keep", "."], ["decompress", self.out]):
            with self.subTest(command[0]):
                self.fails("io", *command, "-o", mount / "out.safetensors", naming=("No space left", "bytes will be written", mount))
                self.assertEqual(list(mount.iterdir()), [])

    def test_full_file_system(self):
        self.ok("compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "vvc", "--step", "1")
        name = next(t["name"] for t in self.json("inspect", self.out)["tensors"] if t["coded"])
        mount = self.small_file_system("small")
        for command in (["compress", self.path("moe.safetensors"), "--codec", "raw"], ["decompress", self.out],
                        ["extract", self.out, name, "--samples"]):
            with self.subTest(command[0]):
                result = self.fails("io", *command, "-o", mount / "out.safetensors", naming=("No space left", mount))
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertEqual(list(mount.iterdir()), [])

    def output_fails(self, *command, stdout=subprocess.DEVNULL, preexec_fn=None):
        """What is printed does not arrive: the error of the system, not of the program."""
        process = subprocess.run([cli_support.BINARY, *map(str, command)], stdout=stdout, stderr=subprocess.DEVNULL, preexec_fn=preexec_fn)
        self.assertEqual(process.returncode, cli_support.EXIT["io"], command)

    def printing_commands(self):
        archive = self.path("printed.archive")
        self.ok("compress", self.path("moe.safetensors"), "-o", archive, "--codec", "raw")
        return (["inspect", archive], ["inspect", archive, "--json"], ["verify", archive, "--json"], ["plan", self.path("conv.safetensors"), "--bpw", "4"],
                ["codecs", "--json"], ["completion", "bash"], ["--help"], ["compress", "--help"], ["--version"])

    def test_full_standard_output(self):
        for command in self.printing_commands():
            with self.subTest(command), open("/dev/full", "wb") as full:
                self.output_fails(*command, stdout=full)

    def test_standard_output_that_nobody_reads(self):
        for command in self.printing_commands():
            with self.subTest(command):
                reader, writer = os.pipe()
                os.close(reader)
                self.output_fails(*command, stdout=writer)
                os.close(writer)

    def test_closed_standard_streams(self):
        for command in self.printing_commands():
            with self.subTest(command):
                self.output_fails(*command, stdout=None, preexec_fn=lambda: os.close(1))
        self.output_fails("inspect", self.path("absent"), preexec_fn=lambda: os.close(2))
        # No file takes the number of a closed stream, and what is printed goes into none.
        archive = self.path("quiet.archive")
        self.output_fails("compress", self.path("moe.safetensors"), "-o", archive, "--codec", "raw",
                          preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])
        self.ok("verify", archive)

    def test_a_note_that_is_lost(self):
        raw, stream, decoded = (self.path("note." + kind) for kind in ("raw", "266", "out"))
        raw.write_bytes(bytes(64 * 64))
        self.ok("vvc", "encode", raw, "--size", "64x64", "--bit-depth", "8", "--qp", "30", "-o", stream)
        with open("/dev/full", "wb") as full:
            process = subprocess.run([cli_support.BINARY, "vvc", "decode", stream, "-o", decoded], stderr=full)
        self.assertEqual(process.returncode, cli_support.EXIT["io"])
        self.assertEqual(decoded.stat().st_size, 64 * 64, "what was asked for is there all the same")

    def test_names_longer_than_the_file_system_takes(self):
        archive, folder_archive = self.path("long.archive"), self.path("long.folder")
        self.ok("compress", self.path("moe.safetensors"), "-o", archive, "--codec", "raw")
        self.ok("compress", self.path("folder"), "-o", folder_archive, "--codec", "raw")
        name = next(t["name"] for t in self.json("inspect", archive)["tensors"] if t["coded"])
        for long in (self.path("x" * 300), self.path("x" * 250), self.path("x" * 300) / "y", self.path("/".join(["x" * 200] * 30))):
            for command in (["compress", self.path("moe.safetensors"), "--codec", "raw"], ["compress", self.path("folder"), "--codec", "raw"],
                            ["decompress", archive], ["decompress", folder_archive], ["extract", archive, name, "--rows", "0:1"],
                            ["plan", self.path("moe.safetensors"), "--step", "1"]):
                if len(long.name) < 255 and command[1] in (self.path("folder"), folder_archive):
                    continue  # a folder of this name can be made
                with self.subTest(command=command, long=len(str(long))):
                    self.fails("io", *command, "-o", long, naming="too long")
            for command in ("inspect", "verify", "compress", "decompress"):
                output = ["-o", self.out] if command.endswith("compress") else []
                if len(long.name) > 255:
                    self.fails("io", command, long, *output, naming="too long")

    def test_read_only_file_system(self):
        mount = self.small_file_system("read_only_mount")
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        self.fails("io", "compress", self.path("conv.safetensors"), "-o", mount / "out.safetensors", "--codec", "raw",
                   naming=("out.safetensors", "Read-only"))
        self.fails("io", "compress", self.path("folder"), "-o", mount / "archive", "--codec", "raw", naming=(mount, "Read-only"))

    def test_read_only_folder(self):
        folder = self.path("read_only")
        folder.mkdir()
        folder.chmod(0o555)
        if os.geteuid() == 0:
            # Root writes anywhere: a path below a file cannot be written by anybody.
            folder = self.path("moe.safetensors")
        self.fails("io", "compress", self.path("conv.safetensors"), "-o", folder / "out.safetensors", "--codec", "raw",
                   naming="out.safetensors")

    def test_vanished_shard(self):
        broken = self.path("broken_folder")
        shutil.copytree(self.path("folder"), broken)
        shard = sorted(broken.glob("model-*.safetensors"))[1]
        shard.unlink()
        self.fails("io", "compress", broken, "-o", self.path("broken_out"), "--codec", "raw", naming=shard.name)
        self.assertFalse(self.path("broken_out").exists())

    def test_vanished_archive_shard(self):
        archive = self.path("sharded_archive")
        self.ok("compress", self.path("folder"), "-o", archive, "--codec", "raw", "--shard-size", "300K")
        shard = sorted(archive.glob("model-*.safetensors"))[-1]
        shard.unlink()
        for command in (["decompress", archive, "-o", self.path("sharded_restored")], ["verify", archive]):
            self.fails("io", *command, naming=shard.name)
        self.assertFalse(self.path("sharded_restored").exists())

    def test_input_that_shrinks_while_it_is_read(self):
        source, folder = self.path("shrinking.safetensors"), self.path("shrinking")
        entries = [make_test_models.entry(f"{i}.weight", "F32", np.random.default_rng(i).standard_normal((512, 640))) for i in range(8)]
        safetensors_stream.write(str(source), entries)
        folder.mkdir()
        process = subprocess.Popen([cli_support.BINARY, "compress", source, "-o", folder / "out.safetensors", "--step", "0.1",
                                    "--threads", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not (folder / "out.safetensors.journal").exists():
            time.sleep(0.001)
        os.truncate(source, 4096)
        _, message = process.communicate(timeout=600)
        self.assertEqual(process.returncode, cli_support.EXIT["io"], message)
        self.assertIn("shorter", message)
        self.assertFalse((folder / "out.safetensors").exists())

    def test_not_a_number_is_named(self):
        data = bytearray(self.path("conv.safetensors").read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        data[start:start + 4] = b"\0\0\xc0\x7f"
        bad = self.path("nan.safetensors")
        bad.write_bytes(data)
        self.fails("invalid_argument", "compress", bad, "-o", self.out, "--codec", "raw", naming="stem.weight")
        self.nothing_written()
        self.ok("compress", bad, "-o", self.out, "--codec", "raw", "--keep", "stem")

    def test_cut_and_changed_archives(self):
        self.ok("compress", self.path("conv.safetensors"), "-o", self.out, "--codec", "raw")
        data = self.out.read_bytes()
        bad = self.path("bad.safetensors")
        for size in (0, 7, 100, len(data) // 2, len(data) - 1):
            bad.write_bytes(data[:size])
            self.fails("corrupt", "verify", bad, naming="bad.safetensors")
        start = 8 + int.from_bytes(data[:8], "little")
        changed = bytearray(data)
        changed[start + 5000] ^= 1
        bad.write_bytes(changed)
        self.fails("corrupt", "verify", bad)

    def test_a_plain_checkpoint_is_no_archive(self):
        self.fails("invalid_argument", "decompress", self.path("conv.safetensors"), "-o", self.out, naming="conv.safetensors")

    def test_hugging_face_source_does_not_become_gguf(self):
        self.ok("compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "raw")
        self.fails("unsupported", "decompress", self.out, "-o", self.path("x.gguf"), "--format", "gguf", naming="convert_hf_to_gguf")

    def test_unwritable_output_keeps_the_old_file(self):
        self.out.write_bytes(b"old")
        self.fails("io", "compress", self.path("absent.gguf"), "-o", self.out, "--codec", "raw")
        self.assertEqual(self.out.read_bytes(), b"old")

    def test_help_has_examples(self):
        for command in ([], ["compress"], ["decompress"], ["verify"], ["eval"], ["bench"]):
            result = run(*command, "--help")
            self.assertEqual(result.returncode, 0)
            self.assertIn("llmcodec", result.stdout)


if __name__ == "__main__":
    cli_support.main()
