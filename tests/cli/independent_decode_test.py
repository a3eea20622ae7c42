# SPDX-License-Identifier: BSD-3-Clause
"""tools/independent_decode.py (numpy and an ffmpeg process) against our decoder, bit by bit.

LLMCODEC_FULL=1 makes the hard tensors large (16x100000, the widest and the highest pictures) and adds SmolLM2
(`./dev tools smollm2`, or LLMCODEC_SMOLLM2=FILE.gguf); that takes some minutes.
"""
import os
import pathlib
import subprocess
import sys
import unittest

import cli_support
import independent_decode
import numpy as np
import safetensors_stream as st
from cli_support import CliTest, needs_ffmpeg

SCRIPT = pathlib.Path(independent_decode.__file__)
FULL = os.environ.get("LLMCODEC_FULL") == "1"
SMOLLM2 = pathlib.Path(os.environ.get("LLMCODEC_SMOLLM2", SCRIPT.parents[1] / "build/tools/smollm2/smollm2-f16.gguf"))


class Agreement(CliTest):
    models = ()

    def agree(self, source, *options):
        """Codes the model and compares both readers; returns the archive's path."""
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
        return archive


class IndependentDecode(Agreement):
    models = ("moe", "conv", "heavy", "folder", "llama", "dtypes")

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


def hard_tensors(rng):
    """What could make samples clip, block means wander off or indices be misread."""
    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    spike = normal(256, 320)
    spike[100, 33] = 1000
    spikes = normal(192, 256)
    spikes.flat[rng.integers(0, spikes.size, 40)] *= 1000
    one_sided = np.abs(normal(128, 512))
    sparse = np.where(rng.random((128, 512)) < 0.01, normal(128, 512), 0)
    drift = normal(96, 640) + np.linspace(-8, 8, 640)
    tensors = {"spike": spike, "spikes": spikes, "student_t2": rng.standard_t(2, (192, 256)), "cauchy": rng.standard_cauchy((96, 128)),
               "constant_rows": np.repeat(normal(96, 1), 256, axis=1), "constant_columns": np.repeat(normal(1, 256), 96, axis=0),
               "zeros": np.zeros((96, 96)), "ones": np.ones((64, 96)), "one_sided": one_sided, "sparse": sparse, "drift": drift,
               "alternating": np.where(np.indices((96, 128)).sum(axis=0) % 2, 1, -1) * 3.0, "smallest": normal(8, 8),
               "odd": normal(333, 77), "thin": normal(16, 100000 if FULL else 20000), "deep": normal(96 if FULL else 24, 16384)}
    if FULL:  # pictures of 512 blocks across: 24 outputs a block at 2 bits, 14 at 4
        tensors |= {"tall": normal(100000, 16), "wide_2": normal(512 * 24, 32), "wide_4": normal(512 * 14, 96),
                    "wide_one_sided": np.abs(normal(512 * 24, 64)), "deep_one_sided": np.abs(normal(64, 16384))}
    return tensors


class HardTensors(Agreement):
    """The spectral layout's promise, where it is hardest to keep: whoever has only the picture finds every weight."""

    STEPS = {2: "0.52", 4: "0.14"}  # bits per weight of Gaussian weights

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tensors = hard_tensors(np.random.default_rng(7))
        st.write(str(cls.folder / "hard.safetensors"),
                 [st.Entry(name + ".weight", "F32", values.shape, values.astype(np.float32)) for name, values in tensors.items()])

    def pictures(self, archive):
        """(blocks across, blocks down, outliers) of every coded tensor by name."""
        tensors, metadata = independent_decode.read_safetensors(archive)
        found = {}
        for name, info in independent_decode.read_description(tensors, metadata)["tensors"].items():
            layout = next(stage for stage in info["stages"] if stage["stage"] == "layout")
            found[name] = (*layout["blocks"], info.get("outliers", 0))
        return found

    @needs_ffmpeg
    def test_hard_tensors(self):
        for bits, step in self.STEPS.items():
            for scales in ("dual", "tensor", "row") if FULL else ("dual", "tensor"):
                with self.subTest(bits=bits, scales=scales):
                    archive = self.agree("hard.safetensors", "--codec", "vvc", "--layout", "spectral", "--scales", scales, "--step", step,
                                         "--set", ".*=action:code")
                    pictures = self.pictures(archive)
                    self.assertEqual(pictures["deep.weight"][1], 512)
                    if FULL:
                        self.assertEqual(max(across for across, _, _ in pictures.values()), 512)
                        print({name: count for name, (_, _, count) in pictures.items() if count})

    @needs_ffmpeg
    @unittest.skipUnless(FULL, "long: LLMCODEC_FULL=1 runs it")
    def test_a_real_model(self):
        self.assertTrue(SMOLLM2.exists(), f"no {SMOLLM2}: ./dev tools smollm2")
        (self.folder / "smollm2.gguf").symlink_to(SMOLLM2)
        for bits in ("3", "2"):
            with self.subTest(bits=bits):
                self.agree("smollm2.gguf", "--bpw", bits)


if __name__ == "__main__":
    cli_support.main()
