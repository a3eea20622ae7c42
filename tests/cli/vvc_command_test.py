# SPDX-License-Identifier: BSD-3-Clause
"""`llmcodec vvc encode|decode`: round trips, foreign streams, foreign decoders, traces, errors."""
import hashlib
import json
import pathlib
import subprocess
import sys

import cli_support
import numpy as np
from cli_support import FFMPEG, CliTest, needs_ffmpeg, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
STREAMS = ROOT / "tests" / "data" / "vvc"


def noise(width, height, depth, pictures, deviation=0.06, seed=1):
    middle = 1 << (depth - 1)
    samples = np.random.default_rng(seed).normal(middle, deviation * 2 * middle, (pictures, height, width))
    return np.clip(np.rint(samples), 0, 2 * middle - 1).astype(np.uint8 if depth == 8 else "<u2")


def md5(data):
    return hashlib.md5(data).hexdigest()


class VvcCommand(CliTest):
    models = ()

    def write(self, name, data):
        self.path(name).write_bytes(data)
        return self.path(name)

    def encode(self, video, depth, qp, *options):
        """(report, path of the stream) of samples (pictures, height, width)."""
        name = "_".join(map(str, video.shape)) + f"_{depth}_{qp}" + "".join(option for option in options if not isinstance(option, pathlib.Path))
        source, stream = self.write(name + ".yuv", video.tobytes()), self.path(name + ".266")
        size = f"{video.shape[2]}x{video.shape[1]}"
        report = self.json("vvc", "encode", source, "--size", size, "--bit-depth", depth, "--qp", qp, "-o", stream, *options)
        return report, stream

    def decode(self, stream):
        out = stream.with_suffix(".decoded")
        report = self.json("vvc", "decode", stream, "-o", out, "--md5")
        self.assertEqual(report["md5"], md5(out.read_bytes()))
        return report, out.read_bytes()

    def test_round_trip(self):
        for width, height, depth, pictures, qp, options in ((97, 61, 10, 3, 20, ()), (97, 61, 10, 2, -12, ()), (8, 8, 8, 1, 30, ()),
                                                            (300, 270, 8, 2, 22, ("--slice-rows", "1")), (1, 1, 10, 1, 63, ()),
                                                            (130, 5, 8, 1, 0, ())):
            with self.subTest((width, height, depth, pictures, qp)):
                video = noise(width, height, depth, pictures)
                report, stream = self.encode(video, depth, qp, *options)
                self.assertEqual((report["width"], report["height"], report["bit_depth"], report["pictures"]),
                                 (width, height, depth, pictures))
                self.assertEqual(report["bytes"], stream.stat().st_size)
                back, data = self.decode(stream)
                self.assertEqual((back["pictures"], back["hashes_checked"]), (pictures, pictures))
                decoded = np.frombuffer(data, video.dtype).reshape(video.shape)
                # What the encoder says of its error is what the decoder's samples show.
                mse = ((decoded.astype(float) - video) ** 2).mean()
                self.assertAlmostEqual(report["mse"], mse, delta=1e-6 * max(mse, 1))
                step = 2 ** ((qp + 6 * (depth - 8) - 9) / 6)
                self.assertLess(mse, 4 + 2 * step**2)

    def test_finer_qp_is_larger_and_better(self):
        video = noise(256, 128, 8, 1)
        (fine, _), (coarse, _) = self.encode(video, 8, 20), self.encode(video, 8, 32)
        self.assertGreater(fine["bits_per_sample"], coarse["bits_per_sample"] + 1.5)
        self.assertGreater(fine["psnr_db"], coarse["psnr_db"] + 9)

    def test_first_pictures_only(self):
        video = noise(40, 24, 8, 3)
        _, one = self.encode(video, 8, 25, "--pictures", "1")
        _, alone = self.encode(video[:1], 8, 25)
        self.assertEqual(one.read_bytes(), alone.read_bytes())

    def test_reference_streams(self):
        streams = json.loads((STREAMS / "streams.json").read_text())
        self.assertEqual(len(streams), 24)
        for entry in streams:
            with self.subTest(entry["file"]):
                shown = self.ok("vvc", "decode", STREAMS / entry["file"], "--md5").stdout
                self.assertEqual(shown, f"{entry['md5_samples']}  {STREAMS / entry['file']}\n")

    @needs_ffmpeg
    def test_ffmpeg_decodes_to_the_same_md5(self):
        for width, height, depth, pictures, qp in ((200, 150, 10, 2, 18), (200, 150, 8, 1, 40), (333, 140, 10, 1, -8)):
            with self.subTest((width, height, depth)):
                _, stream = self.encode(noise(width, height, depth, pictures, seed=2), depth, qp)
                report, _ = self.decode(stream)
                theirs = subprocess.run([FFMPEG, "-v", "error", "-threads", "1", "-err_detect", "crccheck", "-f", "vvc", "-i", stream, "-f",
                                         "rawvideo", "-pix_fmt", "gray" if depth == 8 else "gray10le", "-"], stdout=subprocess.PIPE,
                                        check=True).stdout
                self.assertEqual(md5(theirs), report["md5"])

    def test_encoder_and_decoder_trace_the_same(self):
        traces = self.path("encoder.trace"), self.path("decoder.trace")
        _, stream = self.encode(noise(150, 140, 10, 2), 10, 24, "--slice-rows", "1", "--trace", traces[0])
        self.ok("vvc", "decode", stream, "--md5", "--trace", traces[1])
        lines = traces[0].read_text().splitlines()
        self.assertGreater(len(lines), 10000)
        self.assertIn("sps_bitdepth_minus8 2", lines)
        compare = [sys.executable, ROOT / "tools" / "vvc_trace_diff.py", *traces]
        self.assertEqual(subprocess.run(compare, stdout=subprocess.PIPE, text=True).stdout, "equal\n")
        lines[5000] += "1"
        traces[1].write_text("\n".join(lines) + "\n")
        self.assertEqual(subprocess.run(compare, stdout=subprocess.DEVNULL).returncode, 1)

    # --- errors ---------------------------------------------------------------------------------------------------

    def encode_fails(self, kind, source, size, *options, naming):
        out = self.path("never.266")
        self.fails(kind, "vvc", "encode", source, "--size", size, "-o", out, *options, naming=naming)
        self.assertEqual(list(self.folder.glob("never*")), [])

    def test_truncated_and_wrong_sizes(self):
        source = self.write("short.yuv", noise(64, 32, 8, 2).tobytes()[:-1])
        usual = ("--bit-depth", "8", "--qp", "30")
        self.encode_fails("invalid_argument", source, "64x32", *usual, naming=("short.yuv", "4095 bytes", "1 whole picture"))
        self.encode_fails("invalid_argument", source, "64x32", *usual, "--pictures", "2", naming="at least 2")
        self.encode_fails("invalid_argument", source, "640x320", *usual, naming="0 whole")
        self.encode_fails("invalid_argument", source, "64", *usual, naming="short.yuv")
        self.encode_fails("invalid_argument", source, "64xx", *usual, naming="64xx")
        self.encode_fails("invalid_argument", source, "20000x8", *usual, naming="20000x8")
        self.ok("vvc", "encode", source, "--size", "64x32", *usual, "--pictures", "1", "-o", self.path("one.266"))
        self.encode_fails("invalid_argument", self.write("empty.yuv", b""), "8x8", *usual, naming="0 bytes")

    def test_values_out_of_range(self):
        source = self.write("ten.yuv", noise(16, 16, 10, 1).tobytes())
        self.encode_fails("invalid_argument", source, "32x16", "--bit-depth", "8", "--qp", "-1", naming="QP")
        self.encode_fails("invalid_argument", source, "16x16", "--bit-depth", "9", "--qp", "5", naming="--bit-depth")
        self.encode_fails("invalid_argument", source, "16x16", "--bit-depth", "10", "--qp", "64", naming="--qp")
        self.encode_fails("invalid_argument", source, "16x16", "--bit-depth", "10", "--qp", "-13", naming="--qp")
        self.encode_fails("invalid_argument", source, "16x16", "--bit-depth", "10", naming="--qp")
        wide = self.write("wide.yuv", np.full(256, 1024, "<u2").tobytes())
        self.encode_fails("invalid_argument", wide, "16x16", "--bit-depth", "10", "--qp", "5", naming=("wide.yuv", "1024"))

    def test_missing_and_unwritable_files(self):
        usual = ("--bit-depth", "8", "--qp", "30")
        self.encode_fails("io", self.path("absent.yuv"), "8x8", *usual, naming="absent.yuv")
        source = self.write("small.yuv", bytes(64))
        self.fails("io", "vvc", "encode", source, "--size", "8x8", *usual, "-o", source / "x.266", naming="x.266")
        self.encode_fails("io", source, "8x8", *usual, "--trace", source / "x.trace", naming="x.trace")
        self.fails("io", "vvc", "decode", self.path("absent.266"), "--md5", naming="absent.266")

    def decode_fails(self, kind, stream, naming):
        out = self.path("never.yuv")
        result = self.fails(kind, "vvc", "decode", stream, "-o", out, "--md5", naming=naming)
        self.assertEqual(result.stdout, "")
        self.assertEqual(list(self.folder.glob("never*")), [])

    def test_damaged_streams(self):
        good = (STREAMS / "gauss_10b_q22_ctu32.266").read_bytes()
        self.decode_fails("corrupt", self.write("empty.266", b""), "empty.266")
        self.decode_fails("corrupt", self.write("text.266", b"not a video at all"), "text.266")
        self.decode_fails("corrupt", self.write("third.266", good[:len(good) // 3]), ("third.266", "offset"))
        changed = bytearray(good)
        changed[len(good) // 3] ^= 0x10
        self.decode_fails("corrupt", self.write("changed.266", changed), "changed.266")
        # Two streams of different sizes one after the other cannot be one raw video.
        _, other = self.encode(noise(24, 16, 8, 1), 8, 30)
        self.decode_fails("unsupported", self.write("two.266", good + other.read_bytes()), "24x16")

    def test_every_cut_of_a_small_stream_is_an_error(self):
        _, stream = self.encode(noise(16, 16, 8, 1), 8, 45)
        data = stream.read_bytes()
        _, whole = self.decode(stream)
        hash_begins = data.rindex(b"\0\0\x01")
        for size in range(0, len(data), 3):
            cut = self.write("cut.266", data[:size])
            result = run("vvc", "decode", cut, "-o", self.path("cut.yuv"))
            if result.returncode == 0:  # only the hash or the end of its message is missing
                self.assertGreaterEqual(size, hash_begins)
                self.assertEqual(self.path("cut.yuv").read_bytes(), whole)
                self.path("cut.yuv").unlink()
            else:
                self.assertEqual(result.returncode, cli_support.EXIT["corrupt"])
                self.assertFalse(self.path("cut.yuv").exists())

    def test_nothing_to_do(self):
        self.fails("invalid_argument", "vvc", "decode", STREAMS / "flat_8b_q63_ctu32.266", naming="--md5")
        self.fails("invalid_argument", "vvc", naming="subcommand")
        for words in (("vvc",), ("vvc", "encode"), ("vvc", "decode")):
            shown = self.ok(*words, "--help").stdout
            self.assertIn("vvc", shown)
        self.assertIn("Examples:", shown)


if __name__ == "__main__":
    cli_support.main()
