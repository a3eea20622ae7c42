# SPDX-License-Identifier: BSD-3-Clause
"""Quantised checkpoints: coded as the BF16 models that they stand for, kept bit for bit, or refused at once."""
import json
import shutil

import numpy as np

import cli_support
import safetensors_stream as st
from cli_support import CliTest, arrays, as_floats, snr_db

ROWS, COLUMNS, BLOCK = 256, 384, 128
E4M3 = as_floats("F8_E4M3", np.arange(256, dtype=np.uint8))


def write_safetensors(path, tensors):
    """tensors: {name: (dtype, array of the stored bytes' type)}"""
    st.write(str(path), [st.Entry(name, dtype, values.shape, values) for name, (dtype, values) in tensors.items()])


def fp8_layer(rng):
    """Codes, scales of blocks, and the weights that they stand for."""
    weights = (rng.standard_t(5, (ROWS, COLUMNS)) * 0.02).astype(np.float32)
    blocks = weights.reshape(ROWS // BLOCK, BLOCK, COLUMNS // BLOCK, BLOCK)
    scales = (np.abs(blocks).max((1, 3)) / 448).astype(np.float32)
    wide = scales.repeat(BLOCK, 0).repeat(BLOCK, 1)
    codes = np.array([np.nanargmin(np.abs(E4M3 - value)) for value in (weights / wide).ravel()], dtype=np.uint8).reshape(ROWS, COLUMNS)
    return codes, scales, E4M3[codes] * wide


def gptq_layer(rng):
    """The same for GPTQ of four bits in groups of 32 inputs, as of 2023: zeros of 8 are stored as 7."""
    inputs, outputs = COLUMNS, ROWS
    codes = rng.integers(0, 16, (inputs, outputs), dtype=np.uint32)
    words = sum(codes[i::8] << np.uint32(4 * i) for i in range(8)).astype(np.uint32)
    scales = (rng.random((inputs // 32, outputs)) * 0.004 + 0.001).astype(np.float16)
    weights = ((codes.astype(np.float32) - 8) * scales.astype(np.float32).repeat(32, 0)).T
    zeros = np.full((inputs // 32, outputs // 8), 0x77777777, dtype=np.int32)
    return {"qweight": ("I32", words.view(np.int32)), "qzeros": ("I32", zeros), "scales": ("F16", scales)}, weights


class QuantisedModels(CliTest):
    models = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = np.random.default_rng(20)
        cls.fp8, cls.gptq = cls.folder / "fp8", cls.folder / "gptq"
        embedding = ("BF16", st.to_bf16((rng.standard_normal((512, COLUMNS)) * 0.02).astype(np.float32)))
        fp8_tensors, gptq_tensors = {"embed_tokens.weight": embedding}, {"embed_tokens.weight": embedding}
        cls.weights = {}
        for layer in range(2):
            name = f"layers.{layer}.mlp.up_proj"
            codes, scales, weights = fp8_layer(rng)
            fp8_tensors |= {f"{name}.weight": ("F8_E4M3", codes), f"{name}.weight_scale_inv": ("F32", scales)}
            cls.weights["fp8", f"{name}.weight"] = weights
            parts, weights = gptq_layer(rng)
            gptq_tensors |= {f"{name}.{part}": value for part, value in parts.items()}
            cls.weights["gptq", f"{name}.weight"] = weights
        config = {"model_type": "other", "hidden_size": COLUMNS}
        scheme = {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}
        for folder, tensors, extra in ((cls.fp8, fp8_tensors, {"quantization_config": scheme}), (cls.gptq, gptq_tensors, {})):
            folder.mkdir()
            write_safetensors(folder / "model.safetensors", tensors)
            (folder / "config.json").write_text(json.dumps(config | extra))
        (cls.gptq / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 32, "desc_act": False}))

    def round_trip(self, source, *options):
        archive, restored = self.path(f"{source.stem}.archive"), self.path(f"{source.stem}.restored")
        for folder in (archive, restored):
            shutil.rmtree(folder, ignore_errors=True)
        report = self.json("compress", source, "-o", archive, *options)
        self.ok("verify", archive, "--against", source)
        self.ok("decompress", archive, "-o", restored)
        return report, restored

    def test_a_model_comes_back_as_the_bf16_model_that_it_stands_for(self):
        for source in (self.fp8, self.gptq):
            report, restored = self.round_trip(source, "--bpw", "3")
            tensors = arrays(restored)
            self.assertEqual({dtype for dtype, _ in tensors.values()}, {"BF16"})
            self.assertEqual(set(tensors), {"embed_tokens.weight"} | {name for kind, name in self.weights if kind == source.name})
            for (kind, name), weights in self.weights.items():
                if kind == source.name:
                    self.assertEqual(tensors[name][1].shape, weights.shape)
                    self.assertGreater(snr_db(weights, as_floats(*tensors[name])), 14)
            self.assertAlmostEqual(report["bpw"], 3, delta=0.03)
            self.assertEqual(json.loads((restored / "config.json").read_text()), {"model_type": "other", "hidden_size": COLUMNS})
            self.assertFalse((restored / "quantize_config.json").exists())
            self.assertTrue(any("dequantised to BF16: 2 tensors" in note for note in report["notes"]), report["notes"])

    def test_what_is_kept_is_kept_bit_for_bit_with_its_scheme(self):
        for source in (self.fp8, self.gptq):
            _, restored = self.round_trip(source, "--keep", ".")
            original, kept = arrays(source), arrays(restored)
            self.assertEqual(set(original), set(kept))
            for name, (dtype, values) in original.items():
                self.assertEqual((dtype, values.tobytes()), (kept[name][0], kept[name][1].tobytes()), name)
            for file in ("config.json", "quantize_config.json"):
                if (source / file).exists():
                    self.assertEqual(json.loads((source / file).read_text()), json.loads((restored / file).read_text()))

    def test_a_layer_that_is_kept_beside_coded_ones(self):
        _, restored = self.round_trip(self.fp8, "--keep", r"layers\.1\.", "--bpw", "8")
        original, tensors = arrays(self.fp8), arrays(restored)
        for name in ("layers.1.mlp.up_proj.weight", "layers.1.mlp.up_proj.weight_scale_inv"):
            self.assertEqual(original[name][1].tobytes(), tensors[name][1].tobytes())
        self.assertEqual(tensors["layers.0.mlp.up_proj.weight"][0], "BF16")
        self.assertNotIn("layers.0.mlp.up_proj.weight_scale_inv", tensors)
        scheme = json.loads((restored / "config.json").read_text())["quantization_config"]
        self.assertEqual(scheme["modules_to_not_convert"], ["layers.0.mlp.up_proj"])
        self.fails("unsupported", "compress", self.gptq, "-o", self.path("mixed"), "--keep", r"layers\.1\.", naming=("gptq", "--keep ."))

    def test_a_plan_of_a_model_that_is_kept_in_part(self):
        plan, archive = self.path("kept.plan"), self.path("planned.archive")
        self.ok("plan", self.fp8, "-o", plan, "--keep", r"layers\.1\.", "--bpw", "8")
        self.ok("compress", self.fp8, "-o", archive, "--plan", plan)
        self.ok("verify", archive, "--against", self.fp8)
        names = [tensor["name"] for tensor in self.json("inspect", archive)["tensors"]]
        self.assertIn("layers.1.mlp.up_proj.weight_scale_inv", names)
        self.assertNotIn("layers.0.mlp.up_proj.weight_scale_inv", names)

    def test_a_bare_file_tells_by_names_and_shapes(self):
        archive = self.path("bare.archive.safetensors")
        self.ok("compress", self.fp8 / "model.safetensors", "-o", archive, "--bpw", "8")
        restored = self.path("bare.restored.safetensors")
        self.ok("decompress", archive, "-o", restored)
        self.assertEqual(len(arrays(restored)), 3)

    def test_bits_are_those_of_the_source(self):
        tensors = {tensor["name"]: tensor for tensor in self.json("inspect", self.gptq)["tensors"]}
        self.assertAlmostEqual(tensors["layers.0.mlp.up_proj.weight"]["bpw"], 4 + 20 / 32, places=3)  # and scale and zero of 32
        for target, note in (("--bpw=4.5", "4.62 bits per quantised weight"), ("--snr=40", "--keep stores them exactly")):
            archive = self.path("near.archive")
            shutil.rmtree(archive, ignore_errors=True)
            notes = self.json("compress", self.gptq, "-o", archive, target)["notes"]
            self.assertTrue(any(note in text for text in notes), notes)

    def test_what_is_not_known_is_refused_before_work(self):
        source = self.path("unknown")
        shutil.copytree(self.fp8, source)
        tensors = arrays(source)
        config = json.loads((source / "config.json").read_text())
        config["quantization_config"]["quant_method"] = "vptq"
        (source / "config.json").write_text(json.dumps(config))
        for command in (("inspect", source), ("compress", source, "--dry-run"), ("compress", source, "-o", self.path("none"))):
            self.fails("unsupported", *command, naming=("config.json", "'vptq'", "--keep ."))
        self.ok("compress", source, "-o", self.path("unknown.archive"), "--keep", ".")
        del config["quantization_config"]
        (source / "config.json").write_text(json.dumps(config))
        odd = {name: (dtype, np.zeros((5, 7), np.float32) if name.endswith("scale_inv") else values) for name, (dtype, values) in tensors.items()}
        write_safetensors(source / "model.safetensors", odd)
        self.fails("unsupported", "inspect", source, naming=("layers.0.mlp.up_proj.weight", "weight_scale_inv", "[5, 7]"))


if __name__ == "__main__":
    cli_support.main()
