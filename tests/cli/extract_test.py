# SPDX-License-Identifier: BSD-3-Clause
"""`llmcodec extract`: a player shows every picture of the stream of a tensor, whichever codec made it."""
import subprocess

import cli_support
import independent_decode
import numpy as np
import safetensors_stream as st
from cli_support import FFMPEG, CliTest, needs_ffmpeg

CODECS = ("vvc", "vvc spatial", "libvvenc:preset=faster", "libx265:preset=ultrafast", "libx264:preset=ultrafast", "libkvazaar",
          "libsvtav1:preset=10", "libvpx-vp9:cpu-used=8", "libjxl", "libopenjpeg")  # not ffv1: a NUT file cannot follow another
SUFFIX = {"h266": "266", "raw": "bin"}  # by which players know the format; others are called as they are


class Extract(CliTest):
    models = ()

    def setUp(self):
        self.source = self.path("three.safetensors")
        values = np.random.default_rng(3).standard_normal((3, 96, 150)).astype(np.float32)
        st.write(str(self.source), [st.Entry("a.weight", "F32", values.shape, values)])

    def shown_pictures(self, codec):
        """(pictures of the archive, pictures that FFmpeg shows when it is given the file alone)."""
        name, *layout = codec.split()
        archive = self.path("archive.safetensors")
        self.ok("compress", self.source, "-o", archive, "--restart", "--codec", name, *(["--layout", layout[0]] if layout else []), "--snr", "12")
        info = independent_decode.read_description(*independent_decode.read_safetensors(archive))["tensors"]["a.weight"]
        stage = next(stage for stage in info["stages"] if stage["stage"] == "codec")
        stream = self.path("stream." + SUFFIX.get(stage["stream"], stage["stream"]))
        self.ok("extract", archive, "a.weight", "-o", stream)
        shown = subprocess.run([FFMPEG, "-v", "error", "-i", stream, "-fps_mode", "passthrough", "-f", "framemd5", "-"],
                               stdout=subprocess.PIPE, text=True, check=True).stdout
        pictures = [line for line in shown.splitlines() if line and not line.startswith("#")]
        return len(stage["segments"]) * stage["pictures"], len(pictures)

    @needs_ffmpeg
    def test_a_player_shows_every_picture(self):
        here = {codec["name"] for codec in self.json("codecs")["codecs"] if codec["can_encode"]}
        tried = [codec for codec in CODECS if codec.split()[0].partition(":")[0] in here]
        self.assertGreaterEqual(len(tried), 3)
        for codec in tried:
            with self.subTest(codec):
                expected, shown = self.shown_pictures(codec)
                self.assertEqual(shown, expected)
                self.assertGreaterEqual(expected, 3)


if __name__ == "__main__":
    cli_support.main()
