# SPDX-License-Identifier: BSD-3-Clause
"""Low-rank adapters: what counts is the product of the factors, and thin factors cost no more than their weights."""
import unittest

import numpy as np

import cli_support
import safetensors_stream as st
from cli_support import CliTest, arrays, needs_ffmpeg


def factors(rng, rank, inputs, outputs):
    """A and B whose components differ in size: what is small in A may be large in B."""
    a = rng.standard_normal((rank, inputs)) * np.exp2(rng.normal(0, 1, (rank, 1)))
    b = rng.standard_normal((outputs, rank)) * np.exp2(rng.normal(0, 1, rank)) * 0.02
    return a.astype(np.float32), b.astype(np.float32)


def adapter(rng, path, layers=3, rank=8):
    entries = []
    for layer in range(layers):
        for name, inputs, outputs in (("q_proj", 576, 576), ("k_proj", 576, 192), ("down_proj", 1536, 576)):
            for kind, values in zip("AB", factors(rng, rank, inputs, outputs)):
                entries.append(st.Entry(f"model.layers.{layer}.{name}.lora_{kind}.weight", "F32", values.shape, values))
    st.write(path, entries)


def product_snr_db(original, restored):
    before, after = arrays(original), arrays(restored)
    signal = error = 0
    for name in (name for name in before if "lora_A" in name):
        a, b = (before[n][1].astype(np.float64) for n in (name, name.replace("lora_A", "lora_B")))
        a2, b2 = (after[n][1].astype(np.float64) for n in (name, name.replace("lora_A", "lora_B")))
        signal += ((b @ a) ** 2).sum()
        error += ((b @ a - b2 @ a2) ** 2).sum()
    return 10 * np.log10(signal / error)


class Adapters(CliTest):
    models = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        adapter(np.random.default_rng(11), str(cls.folder / "adapter.safetensors"))

    def compressed(self, *options):
        """(report, SNR of the products as numpy finds it)."""
        source, archive, restored = (self.path(n) for n in ("adapter.safetensors", "a.safetensors", "r.safetensors"))
        report = self.json("compress", source, "-o", archive, *options)
        self.ok("decompress", archive, "-o", restored)
        return report, product_snr_db(source, restored)

    def test_steps_by_the_product_beat_steps_by_the_factors_at_equal_size(self):
        for bpw in ("3", "4"):
            with self.subTest(bpw):
                plain, plain_db = self.compressed("--bpw", bpw, "--importance", "none")
                weighed, weighed_db = self.compressed("--bpw", bpw)
                self.assertLess(weighed["bytes"], plain["bytes"] * 1.01)
                self.assertGreater(weighed_db, plain_db + 2)

    def test_the_report_has_the_error_of_the_products(self):
        report, snr_db = self.compressed("--bpw", "4")
        self.assertAlmostEqual(report["products"]["snr_db"], snr_db, places=2)
        self.assertEqual([pair["rank"] for pair in report["products"]["pairs"]], [8] * 9)
        checked = self.json("verify", self.path("a.safetensors"), "--against", self.path("adapter.safetensors"))
        self.assertEqual(checked["products"], report["products"])
        text = self.ok("verify", self.path("a.safetensors"), "--against", self.path("adapter.safetensors")).stdout
        self.assertRegex(text, r"products B A of 9 pairs: SNR \d+\.\d\d dB, the worst \d+\.\d\d dB \(model\..*lora_A.weight\)")

    def test_pairs_that_say_nothing_hide_no_other(self):
        rng = np.random.default_rng(4)
        a, b = factors(rng, 8, 576, 576)
        entries = [st.Entry(f"{layer}.lora_{kind}.weight", "F32", values.shape, values)
                   for layer, up in (("untrained", np.zeros_like(b)), ("trained", b)) for kind, values in (("A", a), ("B", up))]
        source, archive = self.path("untrained.safetensors"), self.path("untrained.archive")
        st.write(str(source), entries)
        text = self.ok("compress", source, "-o", archive).stdout
        self.assertRegex(text, r"products B A of 2 pairs: SNR \d+\.\d\d dB, the worst \d+\.\d\d dB \(trained")

    def test_thin_factors_beyond_all_use_are_stored_exactly(self):
        source, archive = self.path("thin.safetensors"), self.path("thin.archive")
        a = np.zeros((4, 1_100_000), np.float32)
        st.write(str(source), [st.Entry("x.lora_A.weight", "F32", a.shape, a)])
        (tensor,) = self.json("compress", source, "-o", archive)["tensors"]
        self.assertFalse(tensor["coded"])
        self.assertIn("too thin", tensor["reason"])

    def test_without_a_target_the_quality_is_the_same_whatever_headers_take(self):
        report, snr_db = self.compressed()
        self.assertIn("an adapter without a target: --step", " ".join(report["notes"]))
        self.assertGreater(snr_db, 17)
        # One tiny pair, of which headers take more than the weights: no error.
        a, b = factors(np.random.default_rng(5), 2, 512, 512)
        st.write(str(self.path("tiny.safetensors")), [st.Entry("q.lora_A.weight", "F32", a.shape, a), st.Entry("q.lora_B.weight", "F32", b.shape, b)])
        tiny = self.json("compress", self.path("tiny.safetensors"), "-o", self.path("tiny.a.safetensors"))
        self.assertGreater(tiny["products"]["snr_db"], 15)

    def test_a_plan_gives_the_same_archive(self):
        source, plan = self.path("adapter.safetensors"), self.path("plan.json")
        for name in ("direct.safetensors", "planned.safetensors"):
            self.path(name).unlink(missing_ok=True)
        direct = self.json("compress", source, "-o", self.path("direct.safetensors"), "--step", "0.2")
        self.ok("plan", source, "--step", "0.2", "-o", plan)
        planned = self.json("compress", source, "-o", self.path("planned.safetensors"), "--plan", plan)
        self.assertEqual(planned["products"], direct["products"])

    def test_a_matrix_of_few_rows_costs_what_its_transpose_costs(self):
        rng = np.random.default_rng(3)
        for few, many in ((1, 4096), (2, 1024), (4, 576), (8, 1536), (16, 4096)):
            values = rng.standard_normal((few, many)).astype(np.float32)
            found = []
            for matrix in (values, values.T):
                source, archive = self.path("thin.safetensors"), self.path("thin.a.safetensors")
                archive.unlink(missing_ok=True)
                st.write(str(source), [st.Entry("w.weight", "F32", matrix.shape, np.ascontiguousarray(matrix))])
                report = self.json("compress", source, "-o", archive, "--code", "w", "--step", "0.2")
                found.append((report["tensors"][0]["bytes"], report["snr_db"]))
                self.assertAlmostEqual(self.json("verify", archive, "--against", source)["snr_db"], report["snr_db"], places=3)
            (wide, wide_db), (tall, tall_db) = found
            with self.subTest(few=few, many=many):
                self.assertLess(abs(wide / tall - 1), 0.04)
                self.assertAlmostEqual(wide_db, tall_db, delta=0.35)

    @needs_ffmpeg
    def test_an_independent_reader_unfolds(self):
        import independent_decode
        rng = np.random.default_rng(4)
        entries = [st.Entry("{}x{}.weight".format(*shape), "F32", shape, np.ascontiguousarray(rng.standard_normal(shape) + 0.5, dtype=np.float32))
                   for few, many in ((1, 100), (3, 577), (8, 1000), (16, 64)) for shape in ((few, many), (many, few))]
        st.write(str(self.path("thin.all.safetensors")), entries)
        for options in ((), ("--asymmetric", "--set", "^[0-9]+x=scales:row")):
            archive, restored = self.path("thin.all.a.safetensors"), self.path("thin.all.r.safetensors")
            archive.unlink(missing_ok=True)
            self.ok("compress", self.path("thin.all.safetensors"), "-o", archive, "--code", ".", "--step", "0.3", *options)
            self.ok("decompress", archive, "-o", restored, "--dtype", "f32")
            ours = arrays(restored)
            for name, _, values in independent_decode.decode(str(archive)):
                self.assertEqual(np.asarray(values, np.float32).tobytes(), np.ascontiguousarray(ours[name][1]).tobytes(), name)


if __name__ == "__main__":
    cli_support.main()
