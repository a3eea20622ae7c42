# SPDX-License-Identifier: BSD-3-Clause
"""GGUF files with tensors of every type of ggml: kept, coded, and given back."""
import pathlib
import struct
import sys

import gguf
import numpy as np
from gguf import GGUFReader

import cli_support
from cli_support import CliTest, arrays, snr_db

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "data/tensor"))
from make_golden import OTHER_TYPES, SCALES_AT, set_iq1_m_scale  # noqa: E402

# (number, weights and bytes of a block) by name. Q2_0 is newer than the package.
TYPES = {kind.name: (kind.value, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType} | {"Q2_0": (42, 64, 18)}
BLOCK_TYPES = [*SCALES_AT, *OTHER_TYPES]
NAMES = {kind: f"blk.{i}.ffn_up.weight" for i, kind in enumerate(BLOCK_TYPES)}  # of matrices, which are coded
ROWS, COLUMNS = 48, 512


def write_gguf(path, tensors, file_type):
    """tensors: {name: (type's name, shape from the outermost dimension, bytes)}"""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    infos, data = b"", b""
    for name, (kind, shape, values) in tensors.items():
        data += b"\0" * (-len(data) % 32)
        infos += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        infos += struct.pack("<IQ", TYPES[kind][0], len(data))
        data += values
    keys = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    keys += text("general.file_type") + struct.pack("<II", 4, file_type)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 2) + keys + infos
    path.write_bytes(header + b"\0" * (-len(header) % 32) + data + b"\0" * (-len(data) % 32))


def file_type(path):
    return GGUFReader(path).fields["general.file_type"].contents()


def random_blocks(rng, kind):
    """Random codes with scales as models have them."""
    _, weights, size = TYPES[kind]
    blocks = rng.integers(0, 256, (ROWS * COLUMNS // weights, size), dtype=np.uint8)
    for at in SCALES_AT.get(kind, []):
        scales = rng.uniform(0.005, 0.02, len(blocks)).astype(np.float16)
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    if kind == "IQ1_M":
        for block in blocks:
            set_iq1_m_scale(block, rng.uniform(0.005, 0.02))
    if kind == "MXFP4":
        blocks[:, 0] = rng.integers(118, 123, len(blocks))
    if kind == "NVFP4":
        blocks[:, :4] = rng.integers(0x20, 0x40, (len(blocks), 4))
    return blocks


class GgufTypes(CliTest):
    models = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = np.random.default_rng(20)
        cls.blocks = {kind: random_blocks(rng, kind) for kind in BLOCK_TYPES}
        cls.source = cls.folder / "types.gguf"
        write_gguf(cls.source, {NAMES[kind]: (kind, (ROWS, COLUMNS), blocks.tobytes()) for kind, blocks in cls.blocks.items()}, 15)

    def setUp(self):
        self.out = self.path("out")

    def values(self):
        """What ggml makes of the blocks, as the program says; checked in test_kept_blocks_come_back."""
        archive, restored = self.path("values.archive"), self.path("values.safetensors")
        self.ok("compress", self.source, "-o", archive, "--keep", ".")
        self.ok("decompress", archive, "-o", restored, "--format", "safetensors")
        tensors = arrays(restored)
        return {kind: tensors[name] for kind, name in NAMES.items()}

    def test_kept_blocks_come_back(self):
        archive, restored = self.path("kept.archive"), self.path("kept.gguf")
        self.ok("compress", self.source, "-o", archive, "--keep", ".")
        self.ok("verify", archive, "--against", self.source)
        for options in ([], ["--dtype", "f16"], ["--dtype", "q8_0"]):
            self.ok("decompress", archive, "-o", restored, *options)
            self.assertEqual(restored.read_bytes(), self.source.read_bytes())
        values = self.values()
        for kind, (dtype, restored_values) in values.items():
            self.assertEqual(dtype, "F32")
            if kind not in ("Q1_0", "Q2_0"):  # the package cannot decode these; unit tests compare them with ggml
                expected = gguf.quants.dequantize(self.blocks[kind], gguf.GGMLQuantizationType[kind])
                self.assertEqual(restored_values.tobytes(), expected.tobytes(), kind)

    def test_blocks_larger_than_a_piece_are_converted_whole(self):
        blocks = np.tile(self.blocks["IQ2_S"], (140, 1))  # 1.1 MB, of which no piece is a whole number of blocks
        source, archive, restored = self.path("large.gguf"), self.path("large.archive"), self.path("large.safetensors")
        self.assertGreater(blocks.nbytes, 1 << 20)
        write_gguf(source, {"w": ("IQ2_S", (140 * ROWS, COLUMNS), blocks.tobytes())}, 28)
        self.ok("compress", source, "-o", archive, "--keep", ".")
        self.ok("decompress", archive, "-o", restored, "--format", "safetensors")
        expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.IQ2_S)
        self.assertEqual(arrays(restored)["w"][1].tobytes(), expected.tobytes())

    def test_a_code_is_as_good_as_that_of_the_f32_twin(self):
        values = self.values()
        twin = self.path("twin.gguf")
        write_gguf(twin, {NAMES[kind]: ("F32", (ROWS, COLUMNS), values[kind][1].tobytes()) for kind in BLOCK_TYPES}, 0)
        snr = {}
        for source, dtype in ((self.source, "F16"), (twin, "F32")):
            archive, restored = self.path(source.stem + ".coded"), self.path(source.stem + ".coded.gguf")
            self.ok("compress", source, "-o", archive, "--step", "0.5")
            self.ok("decompress", archive, "-o", restored)
            self.assertEqual(file_type(restored), {"F16": 1, "F32": 0}[dtype])
            tensors = {tensor.name: tensor for tensor in GGUFReader(restored).tensors}
            for kind, name in NAMES.items():
                self.assertEqual(tensors[name].tensor_type.name, dtype)
                snr[dtype, kind] = snr_db(values[kind][1], tensors[name].data)
        for kind in BLOCK_TYPES:
            self.assertGreater(snr["F32", kind], 5)
            self.assertAlmostEqual(snr["F16", kind], snr["F32", kind], delta=0.1, msg=kind)

    def test_weights_past_f16_are_an_error_and_not_clipped(self):
        blocks = self.blocks["MXFP4"].copy()
        blocks[:, 0] += 20  # some weights reach 2^19
        source, archive, restored = self.path("large.mxfp4.gguf"), self.path("large.mxfp4.archive"), self.path("large.mxfp4.out")
        write_gguf(source, {"w": ("MXFP4", (ROWS, COLUMNS), blocks.tobytes())}, 38)
        notes = self.json("compress", source, "-o", archive, "--codec", "raw")["notes"]
        self.assertTrue(any("the first w, reach" in note and "with --dtype bf16 or f32" in note for note in notes), notes)
        self.fails("invalid_argument", "decompress", archive, "-o", restored, naming=("'w'", "--dtype"))
        self.ok("decompress", archive, "-o", restored, "--dtype", "bf16")
        self.assertEqual(file_type(restored), 32)

    def test_types_that_cannot_be_read(self):
        data = self.source.read_bytes()
        name = NAMES["Q4_0"]
        at = data.index(name.encode()) + len(name) + 4 + 16  # the name, the dimensions, then the type
        for number, cause in ((9, "Q8_1"), (36, "I2_S of bitnet.cpp"), (99, "newer than this program")):
            bad = self.path(f"type{number}.gguf")
            bad.write_bytes(data[:at] + struct.pack("<I", number) + data[at + 4:])
            self.fails("unsupported", "compress", bad, "-o", self.out, "--keep", ".", naming=(name, f"type {number}", cause))

    def test_what_was_kept_in_f32_stays_so(self):
        # llama.cpp, for one, ends when the state of a Mamba (ssm_a) is not F32.
        rng = np.random.default_rng(14)
        source, archive, restored = self.path("mamba.gguf"), self.path("mamba.archive"), self.path("mamba.out")
        shapes = {"blk.0.ssm_in.weight": ("F16", (128, 64)), "blk.0.ssm_a": ("F32", (512, 16)), "blk.0.attn_norm.weight": ("F32", (64,))}
        write_gguf(source, {name: (kind, shape, rng.standard_normal(shape).astype({"F16": "f2", "F32": "f4"}[kind]).tobytes())
                            for name, (kind, shape) in shapes.items()}, 1)
        self.ok("compress", source, "-o", archive, "--codec", "raw")
        for dtype in ("f16", "bf16", "q8_0"):
            self.ok("decompress", archive, "-o", restored, "--dtype", dtype)
            self.assertEqual([t.tensor_type.name for t in GGUFReader(restored).tensors], [dtype.upper(), "F32", "F32"])
        self.ok("decompress", archive, "-o", restored, "--dtype", "bf16", "--format", "safetensors")
        self.assertEqual([arrays(restored)[name][0] for name in shapes], ["BF16", "F32", "F32"])


if __name__ == "__main__":
    cli_support.main()
