# SPDX-License-Identifier: BSD-3-Clause
"""The same bytes from the same input and options, whatever the number of threads; the same file from a second run."""
import cli_support
from cli_support import CliTest


class Determinism(CliTest):
    models = ("moe", "heavy", "llama")

    def archive(self, source, name, *options):
        # Each run works in a folder of its own, so that the recorded command is the same.
        folder = self.path(name + ".d")
        folder.mkdir()
        self.ok("compress", self.path(source), "-o", "archive.safetensors", *options, cwd=folder)
        return (folder / "archive.safetensors").read_bytes()

    def test_thread_counts_give_the_same_bytes(self):
        for codec in ("raw", "vvc"):
            for source in ("moe.safetensors", "heavy.safetensors"):
                with self.subTest(codec, source=source):
                    one = self.archive(source, f"{codec}.{source}.1", "--codec", codec, "--threads", "1")
                    two = self.archive(source, f"{codec}.{source}.2", "--codec", codec, "--threads", "2")
                    five = self.archive(source, f"{codec}.{source}.5", "--codec", codec, "--threads", "5")
                    self.assertEqual(one, two)
                    self.assertEqual(one, five)


if __name__ == "__main__":
    cli_support.main()
