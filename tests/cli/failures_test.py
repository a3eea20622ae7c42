# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong outside the program: one clear error each, with its exit code, and no broken output."""
import os
import resource
import shutil
import subprocess
import unittest

import cli_support
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

    def test_missing_encoder(self):
        environment = {**os.environ, "LLMCODEC_FFMPEG": "/no/such/ffmpeg"}
        self.fails("unsupported", "compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "libx265", "--bpw", "3",
                   naming="ffmpeg", env=environment)
        self.nothing_written()

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

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small file system needs root")
    def test_full_file_system(self):
        mount = self.path("small")
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", mount], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no mounts here")
        try:
            self.fails("io", "compress", self.path("moe.safetensors"), "-o", mount / "out.safetensors", "--codec", "raw",
                       naming="No space left")
            self.assertFalse((mount / "out.safetensors").exists())
        finally:
            subprocess.run(["umount", mount], check=True)

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
