# SPDX-License-Identifier: BSD-3-Clause
"""Archives that were written once and are never made anew (tests/data/archive): every version gives back the same bytes."""
import hashlib
import subprocess
import sys

import cli_support
import independent_decode
from cli_support import CliTest, arrays, needs_ffmpeg

ARCHIVES = cli_support.TESTS / "data/archive"
VERSIONS = ("v2", "v3")


class OldArchives(CliTest):
    models = ()

    def restore(self, version):
        folder = self.path(version)
        folder.mkdir(exist_ok=True)
        self.ok("decompress", ARCHIVES / version / "folder", "-o", folder / "folder")
        self.ok("decompress", ARCHIVES / version / "gguf.safetensors", "-o", folder / "tiny.gguf")
        return folder

    def test_restored_bytes(self):
        for version in VERSIONS:
            with self.subTest(version):
                folder = self.restore(version)
                expected = dict(reversed(line.split("  ")) for line in (ARCHIVES / f"{version}.sha256").read_text().splitlines())
                files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
                self.assertEqual(set(files), set(expected))
                for name, path in files.items():
                    self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), expected[name], name)

    def test_verify_says_what_covers_the_carried_files(self):
        expected = {"v2": ("not covered", 0, "carried files not covered"), "v3": ("checked", 3, "3 carried files agree")}
        for version, (state, checked, line) in expected.items():
            with self.subTest(version):
                report = self.json("verify", ARCHIVES / version / "folder")
                self.assertEqual((report["carried_files"], report["carried_checked"]), (state, checked))
                self.assertIn(line, self.ok("verify", ARCHIVES / version / "folder").stdout)
                self.assertEqual(self.json("verify", ARCHIVES / version / "gguf.safetensors")["carried_files"], "none")
        self.assertEqual(self.json("verify", ARCHIVES / "v3/folder/model.safetensors.index.json")["carried_files"], "not given")

    @needs_ffmpeg
    def test_the_independent_reader_agrees(self):
        for version in VERSIONS:
            with self.subTest(version):
                archive, target = ARCHIVES / version / "gguf.safetensors", self.path(version + ".st")
                self.ok("decompress", archive, "-o", target, "--format", "safetensors", "--dtype", "f32")
                for name, _, values in independent_decode.decode(str(archive)):
                    if name == "output_norm.weight":
                        self.assertEqual(values.tobytes(), arrays(target)[name][1].tobytes())
                done = subprocess.run([sys.executable, independent_decode.__file__, ARCHIVES / version / "folder"], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    cli_support.main()
