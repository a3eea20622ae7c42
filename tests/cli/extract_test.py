# SPDX-License-Identifier: BSD-3-Clause
"""`llmcodec extract`: a player shows every picture of the stream of a tensor, whichever codec made it; rows are those of the
whole tensor."""
import pathlib
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

    def archive_of_rows(self, *options):
        """An archive with several pictures to a tensor, and the tensors that decompress gives."""
        values = np.random.default_rng(4)
        shapes = {"a.weight": (3, 96, 150), "b.weight": (2600, 512), "kept.weight": (40, 64), "norm.weight": (150,)}
        source, archive, restored = self.path("rows.safetensors"), self.path("rows.archive"), self.path("rows.restored")
        tensors = {name: values.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}
        tensors["b.weight"][1700, 3] = 900  # an outlier
        st.write(str(source), [st.Entry(name, "F16", tensor.shape, tensor) for name, tensor in tensors.items()])
        self.ok("compress", source, "-o", archive, "--restart", "--bpw", "4", "--keep", "kept", *options)
        self.ok("decompress", archive, "-o", restored)
        tensors, _ = independent_decode.read_safetensors(restored)
        return archive, {name: values.view(np.uint16) for name, (_, values) in tensors.items()}

    def rows(self, archive, name, first, last):
        output = self.path("some.safetensors")
        self.ok("extract", archive, name, "-o", output, "--rows", f"{first}:{last}")
        tensors, _ = independent_decode.read_safetensors(output)
        self.assertEqual([tensors[name][0], *tensors], ["F16", name])
        return tensors[name][1].view(np.uint16)

    def test_rows_are_those_of_the_whole_tensor(self):
        wanted = {"a.weight": ((0, 288), (95, 97), (200, 201)), "kept.weight": ((39, 40), (0, 7)),
                  "b.weight": ((0, 1), (1023, 1025), (1690, 1710), (2599, 2600), (10, 2500))}
        for layout in ("spectral", "spatial"):
            archive, whole = self.archive_of_rows("--layout", layout)
            for name, ranges in wanted.items():
                matrix = whole[name].reshape(-1, whole[name].shape[-1])
                for first, last in ranges:
                    with self.subTest(f"{layout} {name} {first}:{last}"):
                        np.testing.assert_array_equal(self.rows(archive, name, first, last), matrix[first:last])

    def test_damage_shows_in_the_rows_that_it_hits(self):
        archive, whole = self.archive_of_rows()
        tensors, metadata = independent_decode.read_safetensors(archive)
        info = independent_decode.read_description(tensors, metadata)["tensors"]["b.weight"]
        segments = next(stage for stage in info["stages"] if stage["stage"] == "codec")["segments"]
        sound = pathlib.Path(archive).read_bytes()
        second = sound.index(tensors["b.weight.bitstream"][1].tobytes()) + segments[0]
        for part in range(1, 8):
            damaged = bytearray(sound)
            damaged[second + part * segments[1] // 8] ^= 1 << part
            pathlib.Path(archive).write_bytes(damaged)
            with self.subTest(part):
                np.testing.assert_array_equal(self.rows(archive, "b.weight", 0, 9), whole["b.weight"][:9])
                self.fails("corrupt", "extract", archive, "b.weight", "-o", self.path("bad.safetensors"), "--rows", "1300:1301",
                           naming=("b.weight",))

    def test_rows_that_a_tensor_has_not_are_errors(self):
        archive, _ = self.archive_of_rows()
        output = self.path("none.safetensors")
        for name, rows, naming in (("b.weight", "5:5", "of 2600 rows"), ("b.weight", "9:5", "9:5"), ("b.weight", "0:2601", "2601"),
                                   ("norm.weight", "0:1", "no matrix"), ("other", "0:1", "not a tensor")):
            self.fails("invalid_argument", "extract", archive, name, "-o", output, "--rows", rows, naming=(name, naming))
        self.fails("invalid_argument", "extract", archive, "b.weight", "-o", output, "--rows", "5-7", naming=("FIRST:LAST",))
        self.assertFalse(pathlib.Path(output).exists())


if __name__ == "__main__":
    cli_support.main()
