#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of tools/importance: gradients against finite differences, and the files that llmcodec reads."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import gguf
import numpy as np

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS), str(TOOLS / "importance")]
import make_test_models  # noqa: E402
from llama_gradients import LlamaGradients  # noqa: E402
from llama_numpy import LlamaModel, softmax  # noqa: E402


class Half:
    """Draws the median, always."""

    def random(self, shape):
        return np.full(shape, 0.5)


class Moments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="llmcodec-moments-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        make_test_models.llama_gguf(np.random.default_rng(1), str(cls.folder / "llama.gguf"))

    def test_gradients_are_those_of_finite_differences(self):
        model = LlamaModel.load(str(self.folder / "llama.gguf"))
        model.tensors = {name: values.astype(np.float64) for name, values in model.tensors.items()}
        tokens = np.arange(60, 84)
        seen = {}
        LlamaGradients(model).run(tokens, Half(), lambda group, x, g: seen.update({name: (x, d) for name, d in g.items()}))

        def probabilities():  # forward() keeps keys in float32
            hidden = {}
            LlamaGradients(model).run(tokens, Half(), lambda group, x, g: hidden.setdefault(group, x))
            return softmax(model.logits(hidden["output"]))

        cumulated = np.cumsum(probabilities(), -1)
        labels = (cumulated < 0.5 * cumulated[:, -1:]).sum(-1)
        loss = lambda: -np.log(probabilities()[np.arange(len(tokens)), labels]).sum()
        kinds = {name.split(".")[2] for name in seen if name.startswith("blk")}
        self.assertEqual(kinds, {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
        for name, (x, gradient) in seen.items():
            weight = model.tensors[name]
            row, column = (5, 7) if name.startswith("blk") else (int(labels[0]), 7)
            if name == "token_embd.weight":
                continue  # tied: the look-up has a gradient of its own
            kept, losses = weight[row, column], []
            for step in (1e-4, -1e-4):
                weight[row, column] = kept + step
                losses.append(loss())
            weight[row, column] = kept
            expected = (losses[0] - losses[1]) / 2e-4
            found = (gradient[:, row] * x[:, column]).sum()
            self.assertAlmostEqual(found, expected, delta=1e-4 * abs(expected) + 1e-6, msg=name)

    def test_the_forward_pass_is_the_same_as_without_gradients(self):
        model, hidden = LlamaModel.load(str(self.folder / "llama.gguf")), {}
        tokens = np.arange(60, 84)
        LlamaGradients(model).run(tokens, Half(), lambda group, x, g: hidden.setdefault(group, x))
        np.testing.assert_allclose(hidden["output"], model.forward(tokens[None])[0], rtol=1e-4, atol=1e-4)

    def test_files_hold_inputs_and_outputs_of_every_weight(self):
        imatrix = self.folder / "random.imatrix.gguf"
        subprocess.run([sys.executable, TOOLS / "importance/collect_moments.py", self.folder / "llama.gguf", "--random", "--chunks", "2",
                        "--length", "32", "--imatrix", imatrix], check=True, capture_output=True)
        tensors = {t.name: t.data for t in gguf.GGUFReader(imatrix).tensors}
        weights = {t.name: t.shape for t in gguf.GGUFReader(self.folder / "llama.gguf").tensors}  # [columns, rows]
        for name in (n for n in weights if n.startswith("blk") and len(weights[n]) == 2):
            self.assertEqual(tensors[name + ".in_sum2"].size, weights[name][0])
            self.assertEqual(tensors[name + ".out_sum2"].size, weights[name][1])
            self.assertGreater(tensors[name + ".out_sum2"].min(), 0)
            self.assertEqual(tensors[name + ".counts"].item(), 64)


if __name__ == "__main__":
    unittest.main()
