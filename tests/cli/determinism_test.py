# SPDX-License-Identifier: BSD-3-Clause
"""The same bytes from the same input and options, whatever the number of threads; the same file from a second run."""
import cli_support
from cli_support import CliTest


class Determinism(CliTest):
    models = ("moe", "heavy", "llama")

    def archive(self, source, name, *options):
        # The recorded command must not differ between the runs, so each works in a folder of its own under one name.
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
                    self.assertEqual(strip_threads(one), strip_threads(two))
                    self.assertEqual(strip_threads(one), strip_threads(five))


def strip_threads(data):
    """The command line that the archive records names the thread count: the only thing that may differ."""
    for count in (1, 2, 5):
        data = data.replace(f"--threads {count}".encode(), b"--threads N")
    return data


if __name__ == "__main__":
    cli_support.main()
