# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints of every quantiser: dequantised exactly where the scheme is known, and refused by its name at once where not."""
import json
import time

import numpy as np

import cli_support
import safetensors_stream as st
from cli_support import CliTest, arrays, as_floats

ROWS, COLUMNS, GROUP = 24, 96, 32


def pack(codes, bits, dense):
    """Codes of a row in 32-bit words from the lowest bit on: over the ends of words, or as many in each as fit whole."""
    rows = []
    for row in codes:
        words, stream, filled = [], 0, 0
        for code in row:
            if not dense and filled % 32 + bits > 32:
                filled += 32 - filled % 32
            stream |= int(code) << filled
            filled += bits
        for word in range((filled + 31) // 32):
            words.append(stream >> 32 * word & 0xFFFFFFFF)
        rows.append(words)
    return np.array(rows, dtype=np.uint32).view(np.int32)


def integers(shape, dtype=np.int32):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def floats(shape):
    return np.linspace(0.5, 1, int(np.prod(shape)), dtype=np.float16).reshape(shape)


# What programs store of a layer of 64 x 64, by the names that they give: {name: (dtype, values)}.
FOREIGN_LAYERS = {
    "EXL2": {"q_weight": ("I32", integers((8, 64))), "q_scale": ("I32", integers((2, 8))), "q_scale_max": ("F16", floats(2)),
             "q_groups": ("I16", integers(4, np.int16)), "q_invperm": ("I16", integers(64, np.int16))},
    "EXL3": {"trellis": ("I16", integers((4, 4, 64), np.int16)), "suh": ("F16", floats(64)), "svh": ("F16", floats(64))},
    "QTIP": {"trellis": ("I16", integers((4, 64), np.int16)), "SU": ("F16", floats(64)), "SV": ("F32", floats(64).astype(np.float32))},
    "AQLM": {"codes": ("I8", integers((64, 8, 1), np.int8)), "codebooks": ("F16", floats((1, 256, 1, 8))), "scales": ("F16", floats((64, 1, 1, 1)))},
    "QuIP#": {"Qidxs": ("I16", integers((64, 8), np.int16)), "SU": ("F16", floats(64)), "SV": ("F16", floats(64)), "codebook_id": ("I64", integers((), np.int64))},
    "SpQR": {"dense_weights": ("I64", integers((16, 4), np.int64)), "row_offsets": ("I32", integers(65)), "col_vals": ("I32", integers(9))},
    "VPTQ": {"indices": ("I32", integers((1, 8, 64))), "centroids.weight": ("F16", floats((1, 256 * 8))), "weight_scale": ("F16", floats(64))},
    "HQQ": {"W_q": ("U8", integers((32, 64), np.uint8)), "scale": ("F16", floats((64, 1))), "zero": ("F16", floats((64, 1)))},
    "EETQ": {"weight": ("I8", integers((64, 64), np.int8)), "weight_scales": ("F16", floats(64))},
    "HIGGS": {"weight": ("I16", integers((64, 32), np.int16)), "scales": ("F16", floats((64, 1))), "tables": ("F16", floats((256, 2)))},
    "torchao": {"_weight_qdata": ("I8", integers((64, 64), np.int8)), "_weight_scale": ("F32", floats((64, 1)).astype(np.float32))},
    "Quanto": {"weight._data": ("I8", integers((64, 64), np.int8)), "weight._scale": ("F16", floats((64, 1)))},
    "llm-awq": {"qweight": ("I16", integers((16, 64), np.int16)), "scales": ("F16", floats((1, 64))), "scaled_zeros": ("F16", floats((1, 64)))},
    "SqueezeLLM": {"qweight": ("I32", integers((8, 64))), "lookup_table": ("F16", floats((64, 16)))},
    "FP-Quant": {"qweight": ("U8", integers((64, 32), np.uint8)), "scales": ("U8", integers((64, 2), np.uint8)), "forward_hadamard_matrix": ("F16", floats((32, 32)))},
    "Marlin": {"B": ("I32", integers((4, 128))), "s": ("F16", floats((1, 64)))},
    "marlin-24": {"weight_packed": ("I32", integers((4, 64))), "scale_packed": ("F16", floats((1, 64))), "meta": ("I16", integers((8, 64), np.int16))},
    "sparse": {"bitmask": ("U8", integers((64, 8), np.uint8)), "compressed": ("F16", floats(900)), "shape": ("I64", integers(2, np.int64))},
    # One of its weights would be of 8 x 64 or of other shapes, and no config says which.
    "MLX": {"weight": ("U32", integers((64, 8), np.uint32)), "scales": ("F16", floats((64, 1))), "biases": ("F16", floats((64, 1)))},
    # Five bits, and a layout of NVIDIA's that no shape of AutoAWQ fits.
    "GPTQ or AWQ": {"qweight": ("I32", integers((10, 64))), "qzeros": ("I32", integers((1, 10))), "scales": ("F16", floats((1, 64)))},
    "7 or of 8 bits": {"weight_packed": ("I32", np.full((64, 16), 0x01020304, np.int32)), "weight_scale": ("F32", np.ones((64, 1), np.float32)),
                       "weight_shape": ("I64", np.array([64, 64], np.int64))},
}

FOREIGN_CONFIGS = {method: {"quant_method": method} for method in (
    "torchao", "hqq", "eetq", "aqlm", "quip", "spqr", "vptq", "exl2", "exl3", "quanto", "higgs", "fp_quant", "bitnet", "sinq")}
FOREIGN_CONFIGS["'quark' with 'int4'"] = {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "int4"}}}
FOREIGN_CONFIGS["layers of several kinds"] = {
    "quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}, "layer_quant_config": {"*.down_proj": {}}}


class ForeignSchemes(CliTest):
    models = ()

    def model(self, name, tensors, config=None):
        """A folder of one layer beside a plain embedding; without `config` it has no config.json."""
        folder = self.path(name)
        folder.mkdir()
        entries = {"embed_tokens.weight": ("F32", np.linspace(-1, 1, 128 * 64, dtype=np.float32).reshape(128, 64))}
        entries |= {f"layers.0.up_proj.{part}": value for part, value in tensors.items()}
        st.write(str(folder / "model.safetensors"), [st.Entry(n, dtype, v.shape, v) for n, (dtype, v) in entries.items()])
        if config is not None:
            (folder / "config.json").write_text(json.dumps(config))
        return folder

    def restored(self, source):
        """The layer as it comes back: stored exactly, for it is small, as the BF16 that it stands for."""
        archive, back = self.path(f"{source.stem}.archive"), self.path(f"{source.stem}.back")
        self.ok("compress", source, "-o", archive, "--step", "0.2")
        self.ok("decompress", archive, "-o", back)
        dtype, values = arrays(back)["layers.0.up_proj.weight"]
        self.assertEqual(dtype, "BF16")
        return back, as_floats(dtype, values)

    def assert_refused_at_once(self, source, name):
        for command in (("inspect", source), ("compress", source, "-o", self.path("none"))):
            begin = time.monotonic()
            self.fails("unsupported", *command, naming=(name, "--keep ."))
            self.assertLess(time.monotonic() - begin, 5)  # a fraction of a second where nothing else runs
        self.assertFalse(self.path("none").exists())

    def test_names_tell_a_scheme_without_a_config(self):
        for i, (name, tensors) in enumerate(FOREIGN_LAYERS.items()):
            with self.subTest(name):
                source = self.model(f"bare{i}", tensors)
                self.assert_refused_at_once(source, name)
                self.assert_refused_at_once(source / "model.safetensors", name)
                kept = self.path(f"bare{i}.kept")
                self.ok("compress", source, "-o", kept, "--keep", ".")

    def test_configs_tell_a_scheme_whatever_the_tensors(self):
        plain = {"weight": ("F32", np.ones((64, 64), np.float32))}
        for i, (name, scheme) in enumerate(FOREIGN_CONFIGS.items()):
            with self.subTest(name):
                self.assert_refused_at_once(self.model(f"config{i}", plain, {"quantization_config": scheme}), name)

    def test_packed_integers_of_all_widths(self):
        rng = np.random.default_rng(8)
        for bits in range(2, 9):
            for dense in (True, False):
                with self.subTest(bits=bits, dense=dense):
                    codes, zeros = rng.integers(0, 2**bits, (ROWS, COLUMNS)), rng.integers(0, 2**bits, (ROWS, COLUMNS // GROUP))
                    scales = (rng.random((ROWS, COLUMNS // GROUP)) + 0.5).astype(np.float32)
                    tensors = {"weight_packed": ("I32", pack(codes, bits, dense)), "weight_scale": ("F32", scales),
                               "weight_zero_point": ("I32", np.ascontiguousarray(pack(zeros.T, bits, dense).T)),
                               "weight_shape": ("I64", np.array([ROWS, COLUMNS], np.int64))}
                    weights = {"num_bits": bits, "type": "int", "group_size": GROUP}
                    scheme = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"weights": weights}}}
                    back, restored = self.restored(self.model(f"packed{bits}{dense}", tensors, {"quantization_config": scheme}))
                    expected = (codes - zeros.repeat(GROUP, 1)).astype(np.float32) * scales.repeat(GROUP, 1)
                    np.testing.assert_array_equal(restored, as_floats("BF16", st.to_bf16(expected)))
                    self.assertNotIn("quantization_config", json.loads((back / "config.json").read_text()))

    def test_mlx_codes_are_a_stream_of_bits(self):
        rng = np.random.default_rng(9)
        codes = rng.integers(0, 8, (ROWS, COLUMNS))
        scales, biases = (rng.random((ROWS, COLUMNS // GROUP)).astype(np.float32) for _ in range(2))
        tensors = {"weight": ("U32", pack(codes, 3, True).view(np.uint32)), "scales": ("F32", scales), "biases": ("F32", biases)}
        scheme = {"group_size": GROUP, "bits": 3}
        source = self.model("mlx", tensors, {"hidden_size": 64, "quantization": scheme, "quantization_config": scheme})
        back, restored = self.restored(source)
        expected = codes.astype(np.float32) * scales.repeat(GROUP, 1) + biases.repeat(GROUP, 1)
        np.testing.assert_array_equal(restored, as_floats("BF16", st.to_bf16(expected)))
        self.assertEqual(json.loads((back / "config.json").read_text()), {"hidden_size": 64})

    def test_a_layer_of_mlx_that_is_kept_beside_a_converted_one(self):
        codes = {"weight": ("U32", integers((ROWS, 12), np.uint32)), "scales": ("F32", np.ones((ROWS, 3), np.float32)),
                 "biases": ("F32", np.ones((ROWS, 3), np.float32))}
        two = codes | {f"other.{part}": value for part, value in codes.items()}
        source = self.model("mixed", two, {"quantization": {"group_size": GROUP, "bits": 4}})
        archive, back = self.path("mixed.archive"), self.path("mixed.back")
        self.ok("compress", source, "-o", archive, "--step", "0.2", "--keep", "other")
        self.ok("decompress", archive, "-o", back)
        tensors = arrays(back)
        self.assertEqual((tensors["layers.0.up_proj.other.weight"][0], tensors["layers.0.up_proj.weight"][0]), ("U32", "BF16"))
        self.assertIs(json.loads((back / "config.json").read_text())["quantization"]["layers.0.up_proj"], False)

    def test_quark_in_fp8(self):
        codes = integers((ROWS, COLUMNS), np.uint8) % 126
        tensors = {"weight": ("F8_E4M3", codes), "weight_scale": ("F32", np.array(0.25, np.float32))}
        scheme = {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}}}
        _, restored = self.restored(self.model("quark", tensors, {"quantization_config": scheme}))
        np.testing.assert_array_equal(restored, as_floats("F8_E4M3", codes) * 0.25)


if __name__ == "__main__":
    cli_support.main()
