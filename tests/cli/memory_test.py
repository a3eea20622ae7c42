# SPDX-License-Identifier: BSD-3-Clause
"""The bound on memory that docs/architecture.md states: what each tensor costs beside those in flight."""
import sys
import unittest

import numpy as np

import cli_support
import safetensors_stream as st
from cli_support import CliTest

CODED, EXACT = 32 * 1024, 8 * 1024  # bytes for each tensor


@unittest.skipUnless(sys.platform == "linux", "elsewhere the peak counts what the process was before")
class Memory(CliTest):
    few, many = 500, 4000  # tensors

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = np.random.default_rng(1)
        for count in (cls.few, cls.many):
            st.write(str(cls.folder / f"{count}.safetensors"),
                     [st.Entry(f"model.layers.{i}.mlp.up_proj.weight", "F32", (8, 8), rng.standard_normal((8, 8), np.float32))
                      for i in range(count)])

    def growth(self, *command):
        """Bytes for each tensor more. {N} in a command stands for the number of tensors."""
        few, many = (self.json(*(str(word).replace("{N}", str(n)) for word in command))["peak_bytes"] for n in (self.few, self.many))
        return (many - few) / (self.many - self.few)

    def check(self, most, *options):
        source, archive = self.path("{N}.safetensors"), self.path("{N}.archive")
        for command in (["compress", source, "-o", archive, "--step", "0.5", "--threads", "2", *options],
                        ["verify", archive], ["inspect", archive],
                        ["decompress", archive, "-o", self.path("{N}.back")]):
            with self.subTest(command=command[0]):
                self.assertLess(self.growth(*command), most)

    def test_shapes(self):
        """No shape takes more than a matrix of the same size that fills its pictures, and half as much again."""
        weights = 1 << 20
        shapes = {"square": (1024, 1024), "convolution 3x3": (338, 345, 3, 3), "patches": (1152, 5, 14, 14), "five sides": (256, 152, 3, 3, 3),
                  "a row": (1, weights), "a column": (weights, 1), "eight rows": (8, weights // 8), "eight columns": (weights // 8, 8),
                  "three rows": (3, weights // 3), "matrices": (1024, 32, 32), "rows of two": (2048, 2, 256)}
        rng, peaks = np.random.default_rng(2), {}
        for name, shape in shapes.items():
            source, archive = self.path(name + ".safetensors"), self.path(name + ".archive")
            st.write(str(source), [st.Entry("model.layers.0.mlp.up_proj.weight", "F32", shape, rng.standard_normal(shape, np.float32))])
            peaks[name] = [self.json("compress", source, "-o", archive, "--step", "0.5", "--threads", "1", "--code", ".")["peak_bytes"],
                           self.json("verify", archive, "--threads", "1")["peak_bytes"]]
        for name, measured in peaks.items():
            with self.subTest(name, square=peaks["square"]):
                for peak, most in zip(measured, peaks["square"]):
                    self.assertLess(peak, 1.5 * most)

    def test_tensors_that_are_stored_exactly(self):
        self.check(EXACT)

    def test_tensors_that_are_coded(self):
        self.check(CODED, "--code", ".")


if __name__ == "__main__":
    cli_support.main()
