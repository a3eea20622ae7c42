# SPDX-License-Identifier: BSD-3-Clause
"""decompress --as-source: what the source had as FP8 comes back as FP8, with scales as the scheme defines them and its config."""
import json
import shutil

import numpy as np

import cli_support
import safetensors_stream as st
from cli_support import CliTest, arrays, as_floats

ROWS, COLUMNS, BLOCK = 256, 384, 128
E4M3 = as_floats("F8_E4M3", np.arange(256, dtype=np.uint8))
POSITIVE = E4M3[:127]  # rising; 127 is NaN


def to_e4m3(values):
    """The nearest codes, ties to the even one, of values within +-448."""
    above = np.clip(np.searchsorted(POSITIVE, np.abs(values)), 1, 126)
    low, high = np.abs(values) - POSITIVE[above - 1], POSITIVE[above] - np.abs(values)
    codes = np.where((low < high) | ((low == high) & (above % 2 == 1)), above - 1, above)
    return (codes | np.where(np.signbit(values), 128, 0)).astype(np.uint8)


def quantise(weights, block, store):
    """Codes and scales by the definition; `store` rounds scales to what their dtype holds."""
    rows, columns = weights.shape
    grid = [-(-rows // block[0]), -(-columns // block[1])]
    padded = np.zeros((grid[0] * block[0], grid[1] * block[1]), np.float32)
    padded[:rows, :columns] = np.abs(weights)
    largest = padded.reshape(grid[0], block[0], grid[1], block[1]).max((1, 3))
    scales = store(np.where(largest > 0, largest / np.float32(448), np.float32(1)).astype(np.float32))
    wide = scales.repeat(block[0], 0).repeat(block[1], 1)[:rows, :columns]
    return to_e4m3(np.clip(weights / wide, -448, 448).astype(np.float32)), scales, wide


def exponent(scales):
    return np.exp2(np.ceil(np.log2(scales))).astype(np.float32)


def bf16(values):
    return as_floats("BF16", st.to_bf16(values))


# Of each layer: the block, the scale's name, dtype, shape, and how it rounds.
LAYERS = {
    "blocks": ((BLOCK, BLOCK), "weight_scale_inv", "F32", (2, 3), lambda s: s),
    "tensor": ((ROWS, COLUMNS), "weight_scale", "F32", (), lambda s: s),
    "rows": ((1, COLUMNS), "weight_scale", "BF16", (ROWS, 1), bf16),
    "exponents": ((32, 32), "weight_scale_inv", "F8_E8M0", (8, 12), exponent),
    "cut": ((128, 256), "weight_scale", "F32", (2, 2), lambda s: s),
    "exact": ((BLOCK, BLOCK), "weight_scale_inv", "F32", (1, 1), lambda s: s),  # too small to be coded
}


def stored_scales(dtype, scales, shape):
    scales = scales.reshape(shape)
    if dtype == "F8_E8M0":
        return (np.log2(scales) + 127).astype(np.uint8)
    return st.to_bf16(scales) if dtype == "BF16" else scales


def dequantised(tensors, name):
    block, scale_name, dtype, _, _ = LAYERS[name]
    codes, scales = tensors[f"layers.0.{name}.weight"][1], tensors[f"layers.0.{name}.{scale_name}"][1]
    scales = np.exp2(scales.astype(np.float32) - 127) if dtype == "F8_E8M0" else as_floats(dtype, scales)
    rows, columns = codes.shape
    wide = np.atleast_2d(scales).repeat(block[0], 0).repeat(block[1], 1)[:rows, :columns]
    return E4M3[codes] * wide


class AsSource(CliTest):
    models = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = np.random.default_rng(21)
        cls.source = cls.folder / "source"
        cls.source.mkdir()
        tensors = {"embed_tokens.weight": ("BF16", st.to_bf16((rng.standard_normal((512, COLUMNS)) * 0.02).astype(np.float32)))}
        for name, (block, scale_name, dtype, shape, store) in LAYERS.items():
            size = (48, 64) if name == "exact" else (ROWS, COLUMNS)
            codes, scales, _ = quantise((rng.standard_t(5, size) * 0.02).astype(np.float32), block, store)
            tensors[f"layers.0.{name}.weight"] = ("F8_E4M3", codes)
            tensors[f"layers.0.{name}.{scale_name}"] = (dtype, stored_scales(dtype, scales, shape))
        tensors["layers.0.tensor.input_scale"] = ("F32", np.array([0.37], np.float32))
        cls.original = tensors
        st.write(str(cls.source / "model.safetensors"), [st.Entry(n, dtype, v.shape, v) for n, (dtype, v) in tensors.items()])
        scheme = {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK], "activation_scheme": "static"}
        cls.config = {"model_type": "other", "quantization_config": scheme, "hidden_size": COLUMNS}
        (cls.source / "config.json").write_text(json.dumps(cls.config))
        (cls.source / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "FP8"}}')

    def compressed(self, name, *options, source=None):
        archive = self.path(name)
        self.ok("compress", source or self.source, "-o", archive, *options)
        return archive

    def restored(self, archive, *options):
        folder = self.path(f"{archive.name}.{'-'.join(options)}.restored")
        self.ok("decompress", archive, "-o", folder, *options)
        return folder

    def assert_same(self, found, expected, name):
        self.assertEqual(found[0], expected[0], name)
        self.assertEqual(found[1].shape, expected[1].shape, name)
        self.assertEqual(found[1].tobytes(), expected[1].tobytes(), name)

    def test_codes_and_scales_are_those_of_the_restored_weights(self):
        archive = self.compressed("rate.archive", "--bpw", "7")
        plain, back = arrays(self.restored(archive)), arrays(self.restored(archive, "--as-source"))
        self.assertEqual(set(back), set(self.original))
        self.assertEqual({dtype for dtype, _ in plain.values()}, {"BF16"})
        for name, (block, scale_name, dtype, shape, store) in LAYERS.items():
            with self.subTest(name):
                weights = as_floats(*plain[f"layers.0.{name}.weight"])
                codes, scales, wide = quantise(weights, block, store)
                self.assert_same(back[f"layers.0.{name}.weight"], ("F8_E4M3", codes), name)
                self.assert_same(back[f"layers.0.{name}.{scale_name}"], (dtype, stored_scales(dtype, scales, shape)), name)
                error = np.abs(E4M3[codes] * wide - weights)
                self.assertTrue((error <= np.maximum(np.abs(weights) / 16, wide * 2.0**-10) * 1.01).all())
        self.assert_same(back["layers.0.tensor.input_scale"], self.original["layers.0.tensor.input_scale"], "input_scale")
        self.assert_same(back["layers.0.exact.weight"], self.original["layers.0.exact.weight"], "exact")
        self.assert_same(back["embed_tokens.weight"], plain["embed_tokens.weight"], "embedding")

    def test_at_a_high_rate_most_codes_are_the_source_s(self):
        back = arrays(self.restored(self.compressed("high.archive", "--step", "0.002"), "--as-source"))
        for name in LAYERS:
            # Neighbouring codes are 6 % apart and more.
            same = np.isclose(dequantised(back, name), dequantised(self.original, name), rtol=0.01).mean()
            self.assertGreater(same, 0.98, name)

    def test_the_files_that_say_how_it_is_quantised_come_back(self):
        archive = self.compressed("files.archive", "--bpw", "6")
        back, plain = self.restored(archive, "--as-source"), self.restored(archive)
        self.assertEqual(list(json.loads((back / "config.json").read_text()).items()), list(self.config.items()))
        self.assertEqual((back / "hf_quant_config.json").read_bytes(), b'{\n  "quantization": {\n    "quant_algo": "FP8"\n  }\n}\n')
        self.assertNotIn("quantization_config", json.loads((plain / "config.json").read_text()))
        self.assertFalse((plain / "hf_quant_config.json").exists())
        self.ok("verify", archive, "--against", self.source)
        # The same reader takes it as it took the source.
        again = {tensor["name"]: tensor for tensor in self.json("inspect", back)["tensors"]}
        for tensor in self.json("inspect", self.source)["tensors"]:
            self.assertEqual(again[tensor["name"]], tensor)
        self.ok("verify", self.compressed("again.archive", "--bpw", "6", source=back), "--against", back)

    def test_every_file_that_will_be_written_is_checked_before_work(self):
        archive, back, precious = self.compressed("links.archive", "--bpw", "6"), self.path("links"), self.path("precious.json")
        precious.write_text("mine")
        back.mkdir()
        (back / "hf_quant_config.json").symlink_to(precious)
        flipped = bytearray((archive / "model.safetensors").read_bytes())
        flipped[len(flipped) // 2] ^= 1  # which decoding would meet first
        (archive / "model.safetensors").write_bytes(flipped)
        self.fails("invalid_argument", "decompress", archive, "-o", back, "--as-source", naming=("hf_quant_config.json", "symbolic link"))
        self.assertEqual([path.name for path in back.iterdir()], ["hf_quant_config.json"])

    def test_kept_layers_are_bit_exact(self):
        back = self.restored(self.compressed("kept.archive", "--bpw", "8", "--keep", r"layers\.0\.(blocks|rows)"), "--as-source")
        tensors = arrays(back)
        self.assertEqual(set(tensors), set(self.original))
        for name in ("blocks", "rows"):
            for part in ("weight", LAYERS[name][1]):
                self.assert_same(tensors[f"layers.0.{name}.{part}"], self.original[f"layers.0.{name}.{part}"], name)
        self.assertEqual(json.loads((back / "config.json").read_text()), self.config)

    def test_shards_and_equal_layers(self):
        source = self.path("twice")
        source.mkdir()
        tensors = {name.replace("layers.0", f"layers.{i}"): value for i in range(2) for name, value in self.original.items()}
        st.write(str(source / "model.safetensors"), [st.Entry(n, dtype, v.shape, v) for n, (dtype, v) in tensors.items()])
        (source / "config.json").write_text(json.dumps(self.config))
        archive = self.compressed("twice.archive", "--bpw", "6", "--shard-size", "200KB", source=source)
        self.assertGreater(len(list(archive.glob("*.safetensors"))), 1)
        back = arrays(self.restored(archive, "--as-source"))
        self.assertEqual(set(back), set(tensors))
        self.assert_same(back["layers.0.blocks.weight"], back["layers.1.blocks.weight"], "equal layers")

    def test_a_bare_file(self):
        archive, back = self.path("bare.archive.safetensors"), self.path("bare.restored.safetensors")
        self.ok("compress", self.source / "model.safetensors", "-o", archive, "--bpw", "6")
        self.ok("decompress", archive, "-o", back, "--as-source")
        self.assertEqual(set(arrays(back)), set(self.original))

    def test_what_cannot_be_written_back_is_said_at_once(self):
        archive = self.compressed("refused.archive", "--bpw", "6")
        self.fails("invalid_argument", "decompress", archive, "-o", self.path("no"), "--as-source", "--dtype", "f16", naming=("--dtype",))
        source = self.path("int8")
        source.mkdir()
        other = {"a.weight": ("I8", np.random.default_rng(3).integers(-127, 128, (ROWS, COLUMNS), np.int8)),
                 "a.weight_scale": ("F32", np.ones((ROWS, 1), np.float32))}
        st.write(str(source / "model.safetensors"), [st.Entry(n, dtype, v.shape, v) for n, (dtype, v) in other.items()])
        (source / "config.json").write_text("{}")
        self.fails("unsupported", "decompress", self.compressed("int8.archive", source=source), "-o", self.path("no"), "--as-source",
                   naming=("a.weight", "'int8'", "BF16"))
        plain = self.restored(archive)
        shutil.rmtree(self.path("plain.archive"), ignore_errors=True)
        self.fails("invalid_argument", "decompress", self.compressed("plain.archive", source=plain), "-o", self.path("no"), "--as-source",
                   naming=("--as-source", "was quantised"))
        self.assertFalse(self.path("no").exists())


if __name__ == "__main__":
    cli_support.main()
