# SPDX-License-Identifier: BSD-3-Clause
"""tools/independent_decode.py (numpy and an ffmpeg process) against our decoder, bit by bit."""
import pathlib
import subprocess
import sys

import cli_support
import independent_decode
from cli_support import CliTest, needs_ffmpeg

SCRIPT = pathlib.Path(independent_decode.__file__)


class IndependentDecode(CliTest):
    models = ("moe", "conv", "heavy", "folder", "llama", "dtypes")

    def agree(self, source, *options):
        name = f"{source}.{'.'.join(options).replace('/', '_').replace(':', '_')}"
        folder = self.path(source).is_dir()
        archive, restored = (self.path(name + end + ("" if folder else ".safetensors")) for end in (".a", ".r"))
        self.ok("compress", self.path(source), "-o", archive, *options)
        self.ok("decompress", archive, "-o", restored, "--dtype", "f32", "--format", "safetensors")
        targets = sorted(restored.glob("*.safetensors")) if folder else [restored]
        self.assertEqual(len(targets), 1)
        done = subprocess.run([sys.executable, SCRIPT, archive, "--compare", targets[0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-500:] + done.stderr[-2000:])
        self.assertIn("F32", done.stdout)

    def test_raw(self):
        for source in ("moe.safetensors", "conv.safetensors", "heavy.safetensors", "folder", "llama.gguf"):
            with self.subTest(source):
                self.agree(source, "--codec", "raw")

    def test_every_kind_of_scale(self):
        for scales in ("tensor", "row", "column", "dual", "group:32"):
            for more in ([], ["--asymmetric"]):
                with self.subTest(scales, more=more):
                    self.agree("heavy.safetensors", "--codec", "raw", "--scales", scales, *more)

    @needs_ffmpeg
    def test_own_codec_spatial(self):
        for source in ("conv.safetensors", "heavy.safetensors"):
            with self.subTest(source):
                self.agree(source, "--codec", "vvc", "--layout", "spatial", "--snr", "15")

    @needs_ffmpeg
    def test_own_codec_spectral(self):
        # Each segment costs one start of ffmpeg: the mixture of experts, with one for each expert, comes once.
        for source, snr in (("moe", "10"), ("conv", "20"), ("heavy", "10"), ("heavy", "20"), ("dtypes", "20")):
            with self.subTest(source, snr=snr):
                self.agree(source + ".safetensors", "--codec", "vvc", "--layout", "spectral", "--snr", snr)

    @needs_ffmpeg
    def test_real_encoders(self):
        for codec in ("libx265:preset=ultrafast", "libvvenc:preset=faster", "libx264:preset=ultrafast", "libkvazaar", "ffv1", "libjxl"):
            with self.subTest(codec):
                self.agree("conv.safetensors", "--codec", codec, *([] if codec == "ffv1" else ["--snr", "12"]))


if __name__ == "__main__":
    cli_support.main()
