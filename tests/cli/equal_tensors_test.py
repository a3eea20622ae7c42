# SPDX-License-Identifier: BSD-3-Clause
"""Tensors that a model holds more than once: stored once, given back as often as they were."""

import gguf
import numpy as np

import cli_support
import independent_decode
import safetensors_stream as st
from cli_support import CliTest, arrays
from make_test_models import entry, weights

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class EqualTensors(CliTest):
    models = ()

    def setUp(self):
        rng = np.random.default_rng(5)
        self.shared, self.layer, self.norm = weights(rng, 256, 64), weights(rng, 96, 64), 1 + weights(rng, 64)
        self.entries = [entry(HEAD, "F16", self.shared), entry(EMBEDDING, "F16", self.shared),
                        entry("model.layers.0.mlp.up_proj.weight", "F16", self.layer),
                        entry("model.layers.1.mlp.up_proj.weight", "F16", self.layer),
                        entry("model.layers.0.norm.weight", "F32", self.norm), entry("model.layers.1.norm.weight", "F32", self.norm)]
        self.source, self.archive, self.back = self.path("tied.safetensors"), self.path("tied.archive"), self.path("back.safetensors")
        st.write(str(self.source), self.entries)

    def copies(self, archive=None):
        """{name: the tensor it is stored as} of an archive."""
        return {t["name"]: t["same_as"] for t in self.json("inspect", archive or self.archive)["tensors"] if "same_as" in t}

    def compress(self, *options, source=None):
        return self.json("compress", source or self.source, "-o", self.archive, *options)

    def test_stored_once_and_given_back_twice(self):
        report = self.compress("--step", "0.3")
        self.assertEqual(self.copies(), {EMBEDDING: HEAD, "model.layers.1.mlp.up_proj.weight": "model.layers.0.mlp.up_proj.weight",
                                         "model.layers.1.norm.weight": "model.layers.0.norm.weight"})
        self.assertTrue(any("3 of the tensors" in note and "stored once" in note for note in report["notes"]), report["notes"])
        self.assertEqual(report["parameters"], sum(int(np.prod(e.shape)) for e in self.entries))
        self.assertAlmostEqual(report["bpw"], 8 * self.archive.stat().st_size / report["parameters"])
        self.assertEqual({t["bytes"] for t in report["tensors"] if "same_as" in t}, {0})
        self.assertIn("same as " + HEAD, self.ok("inspect", self.archive).stdout)
        verified = self.json("verify", self.archive, "--against", self.source)
        self.assertEqual(verified["snr_db"], report["snr_db"])
        self.ok("decompress", self.archive, "-o", self.back)
        restored = arrays(self.back)
        self.assertEqual(sorted(restored), sorted(e.name for e in self.entries))
        for copy, original in self.copies().items():
            self.assertEqual(restored[copy][0], restored[original][0])
            np.testing.assert_array_equal(restored[copy][1], restored[original][1])
        np.testing.assert_array_equal(restored["model.layers.1.norm.weight"][1], self.norm.astype(np.float32))

    def test_smaller_than_two(self):
        once = self.compress("--step", "0.3")["bytes"]
        other = self.path("untied.safetensors")
        st.write(str(other), [self.entries[0], entry(EMBEDDING, "F16", self.shared[::-1]), *self.entries[2:]])
        self.assertLess(once, self.compress("--step", "0.3", source=other)["bytes"] - 256 * 64 // 8)

    def test_a_target_counts_all_weights(self):
        report = self.compress("--bpw", "4")
        self.assertAlmostEqual(report["bpw"], 4, delta=0.05)

    def test_an_error_counts_for_every_name(self):
        q = entry("model.layers.0.self_attn.q_proj.weight", "F32", weights(np.random.default_rng(6), 256, 256))
        shared = weights(np.random.default_rng(7), 256, 256)
        source = self.path("snr.safetensors")
        st.write(str(source), [entry(HEAD, "F32", shared), entry(EMBEDDING, "F32", shared), q])
        report = self.compress("--snr", "15", "--set", "embed|lm_head=step_octaves:-2", source=source)
        self.assertEqual(self.copies(), {EMBEDDING: HEAD})
        self.assertAlmostEqual(report["snr_db"], 15, delta=0.1)

    def test_the_second_reader_agrees(self):
        self.compress("--step", "0.3")
        self.ok("decompress", self.archive, "-o", self.back, "--dtype", "f32")
        theirs = {name: values for name, _, values in independent_decode.decode(str(self.archive))}
        ours = arrays(self.back)
        self.assertEqual(sorted(theirs), sorted(ours))
        for name, values in theirs.items():
            np.testing.assert_array_equal(values.astype(np.float32), ours[name][1])
        self.assertEqual([name for name, _, _ in independent_decode.decode(str(self.archive), EMBEDDING)], [EMBEDDING])

    def test_what_is_asked_for_keeps_them_apart(self):
        layers = ("model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight")
        for options in (["--keep", "layers.1.mlp"], ["--set", "layers.1.mlp=step_octaves:1"], ["--set", "layers.0.mlp=scales:row"]):
            with self.subTest(options):
                self.compress("--step", "0.3", *options)
                self.assertFalse(set(layers) & {*self.copies(), *self.copies().values()})
                self.assertEqual(self.copies()[EMBEDDING], HEAD)
        self.compress("--keep", ".", "--step", "1")  # asked for alike
        self.assertEqual(len(self.copies()), 3)
        self.ok("verify", self.archive, "--against", self.source)

    def imatrix(self, moments):
        path = self.path("importance.gguf")
        writer = gguf.GGUFWriter(str(path), "imatrix")
        for name, values in moments.items():
            writer.add_tensor(name + ".in_sum2", values.astype(np.float32).reshape(1, -1))
            writer.add_tensor(name + ".counts", np.ones((1, 1), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def test_importance_that_differs_keeps_them_apart(self):
        one, other = np.linspace(1, 2, 64), np.linspace(1, 9, 64)
        up = "blk.{}.ffn_up.weight".format
        for given, copies in (({up(0): one, up(1): other}, 2), ({up(0): one, up(1): one}, 3), ({up(1): one}, 3), ({"output.weight": one}, 3)):
            with self.subTest(list(given), copies=copies):
                self.compress("--step", "0.3", "--importance", self.imatrix(given))
                self.assertEqual(len(self.copies()), copies)
                self.assertEqual(self.copies()[EMBEDDING], HEAD)
        # Of two the one that something is known of is coded.
        self.compress("--step", "0.3", "--importance", self.imatrix({up(1): one}))
        self.assertIn("model.layers.0.mlp.up_proj.weight", self.copies())

    def test_a_plan_says_the_same(self):
        plan = self.path("plan.json")
        predicted = self.json("plan", self.source, "--step", "0.3", "-o", plan)
        self.assertEqual(sum("same_as" in t for t in predicted["tensors"]), 3)
        self.compress("--step", "0.3")
        tensors = arrays(self.archive)
        self.compress("--plan", plan)
        self.assertEqual(len(self.copies()), 3)
        planned = arrays(self.archive)
        for name in tensors:
            if not name.startswith("llmcodec."):
                np.testing.assert_array_equal(planned[name][1], tensors[name][1])

    def test_parts_of_a_copy_can_be_had(self):
        self.compress("--step", "0.3")
        for copy, original in self.copies().items():
            if "norm" in copy:
                self.fails("invalid_argument", "extract", self.archive, copy, "-o", self.path("x"), naming="is not a coded tensor")
                continue
            for options in ([], ["--samples"], ["--rows", "3:9"]):
                content = []
                for name in (copy, original):
                    self.ok("extract", self.archive, name, "-o", self.path("part"), *options)
                    content.append(arrays(self.path("part"))[name][1].tobytes() if "--rows" in options else self.path("part").read_bytes())
                self.assertEqual(*content)

    def test_folders_in_shards(self):
        folder = self.path("folder")
        folder.mkdir()
        st.write_sharded(str(folder), self.entries, 40_000, {"format": "pt"})
        (folder / "config.json").write_text("{}")
        archive, back = self.path("sharded"), self.path("back")
        self.ok("compress", folder, "-o", archive, "--step", "0.3", "--shard-size", "8K")
        self.assertGreater(len(list(archive.glob("*.safetensors"))), 1)
        self.assertEqual(len(self.copies(archive)), 3)
        self.ok("verify", archive, "--against", folder)
        self.ok("decompress", archive, "-o", back)
        self.assertEqual(sorted(arrays(back)), sorted(e.name for e in self.entries))
        self.assertEqual(sorted(name for name, _, _ in independent_decode.decode(str(archive))), sorted(e.name for e in self.entries))

    def test_gguf(self):
        source = self.path("tied.gguf")
        writer = gguf.GGUFWriter(str(source), "llama")
        blocks = gguf.quants.quantize(self.shared, gguf.GGMLQuantizationType.Q8_0)
        for name in ("token_embd.weight", "output.weight"):
            writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor("output_norm.weight", self.norm.astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        back = self.path("back.gguf")
        for options in (["--step", "0.3"], ["--keep", ".", "--step", "1"]):
            self.compress(*options, source=source)
            self.assertEqual(self.copies(), {"output.weight": "token_embd.weight"})
            self.ok("decompress", self.archive, "-o", back)
            embedding, head, _ = gguf.GGUFReader(back).tensors
            self.assertEqual((embedding.name, head.name), ("token_embd.weight", "output.weight"))
            np.testing.assert_array_equal(embedding.data, head.data)
        self.assertEqual(back.read_bytes(), source.read_bytes())


if __name__ == "__main__":
    cli_support.main()
