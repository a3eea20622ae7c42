# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints of every kind through compress, verify and decompress."""
import json
import shutil
import subprocess
import sys

import numpy as np
from gguf import GGUFReader

import cli_support
import gguf_to_hf
from cli_support import CliTest, arrays, as_floats, needs_ffmpeg, snr_db


class RoundTrip(CliTest):
    def compare(self, original, restored, coded, least_db):
        """Exact tensors are bit-equal; coded ones are near; nothing is missing, nothing is new."""
        before, after = arrays(original), arrays(restored)
        self.assertEqual(set(before), set(after))
        for name, (dtype, values) in before.items():
            self.assertEqual(dtype, after[name][0], name)
            self.assertEqual(values.shape, after[name][1].shape, name)
            if name in coded:
                self.assertGreater(snr_db(as_floats(dtype, values), as_floats(dtype, after[name][1])), least_db, name)
            else:
                self.assertEqual(np.ascontiguousarray(values).tobytes(), np.ascontiguousarray(after[name][1]).tobytes(), name)

    def round_trip(self, name, *options, least_db=30):
        source, archive, restored = self.path(name), self.path(name + ".archive"), self.path(name + ".restored")
        if name.endswith(".safetensors"):
            archive, restored = archive.with_suffix(".a.safetensors"), restored.with_suffix(".r.safetensors")
        report = self.json("compress", source, "-o", archive, *options)
        self.ok("verify", archive)
        self.ok("decompress", archive, "-o", restored)
        coded = {t["name"] for t in report["tensors"] if t["coded"]}
        self.compare(source, restored, coded, least_db)
        return report, archive, restored

    def test_raw_codec_on_every_checkpoint(self):
        for name in ("moe", "conv", "lora", "dtypes", "heavy"):
            with self.subTest(name):
                self.round_trip(name + ".safetensors", "--codec", "raw", least_db=20)

    def test_own_codec_on_every_checkpoint(self):
        for name in ("moe", "conv", "lora", "dtypes", "heavy"):
            for layout in ("spatial", "spectral"):
                with self.subTest(name, layout=layout):
                    self.round_trip(name + ".safetensors", "--codec", "vvc", "--layout", layout, "--snr", "15", least_db=3)

    @needs_ffmpeg
    def test_a_real_encoder(self):
        for codec in ("libx265:preset=ultrafast", "libvvenc:preset=faster"):
            with self.subTest(codec):
                self.round_trip("moe.safetensors", "--codec", codec, "--bpw", "4", least_db=10)

    def test_a_code_larger_than_its_source_is_said(self):
        source = self.path("dtypes.safetensors")
        notes = {snr: " ".join(self.json("compress", source, "-o", self.path(f"at{snr}.st"), "--snr", snr)["notes"]) for snr in ("15", "60")}
        self.assertNotIn("--keep stores", notes["15"])
        self.assertRegex(notes["60"], r"\d+ coded tensors, the first .*, take \d+ bytes; --keep stores them exactly in the source's \d+")

    def test_folder_keeps_its_other_files(self):
        _, archive, restored = self.round_trip("folder", "--codec", "raw", least_db=20)
        for file in ("tokenizer_config.json", "sub/notes.json"):
            self.assertEqual((restored / file).read_bytes(), (self.path("folder") / file).read_bytes())
        self.assertEqual(json.loads((archive / "config.json").read_text())["quantization_config"]["quant_method"], "llmcodec")
        self.assertNotIn("quantization_config", json.loads((restored / "config.json").read_text()))

    def test_transformers_meets_a_file_name_that_says_what_to_do(self):
        # With it transformers stops where it would have filled in random weights (python/tests/test_transformers.py).
        for weights in ({}, {"transformers_weights": "model.safetensors"}):
            with self.subTest(weights):
                source, archive, restored = (self.path(f"weights{len(weights)}.{kind}") for kind in ("hf", "archive", "restored"))
                shutil.copytree(self.path("folder"), source)
                config = {"model_type": "x", "text_config": {"hidden_size": 8}, **weights, "vision_config": {}}
                (source / "config.json").write_text(json.dumps(config, indent=2) + "\n")
                self.ok("compress", source, "-o", archive, "--codec", "raw")
                self.ok("decompress", archive, "-o", restored)
                written = json.loads((archive / "config.json").read_text())
                for part in (written, written["text_config"]):
                    self.assertIn("put `import llmcodec.transformers` before from_pretrained()", part["transformers_weights"])
                self.assertEqual((restored / "config.json").read_text(), (source / "config.json").read_text())

    def test_sharded_folder_to_sharded_archive_and_back(self):
        # What the user of a Hugging Face model does: a folder of shards (made from a GGUF), an archive of shards, a folder.
        source, archive, restored = self.path("hf"), self.path("hf.archive"), self.path("hf.restored")
        subprocess.run([sys.executable, gguf_to_hf.__file__, self.path("llama.gguf"), source, "--shard-size", "200000"], check=True)
        self.assertGreater(len(list(source.glob("model-*.safetensors"))), 2)
        report = self.json("compress", source, "-o", archive, "--bpw", "4", "--shard-size", "50K")
        self.assertGreater(len(list(archive.glob("model-*.safetensors"))), 2)
        self.assertLess(abs(report["bpw"] / 4 - 1), 0.01)
        checked = self.json("verify", archive, "--against", source)
        self.assertAlmostEqual(checked["snr_db"], report["snr_db"], places=3)
        self.ok("decompress", archive, "-o", restored)
        coded = {t["name"] for t in report["tensors"] if t["coded"]}
        self.compare(source, restored, coded, 12)
        self.assertEqual(json.loads((restored / "config.json").read_text()), json.loads((source / "config.json").read_text()))

    def test_gguf_restores_as_gguf_with_all_key_values(self):
        archive, restored = self.path("llama.archive.safetensors"), self.path("llama.restored.gguf")
        self.ok("compress", self.path("llama.gguf"), "-o", archive, "--codec", "raw")
        self.ok("decompress", archive, "-o", restored)
        before, after = GGUFReader(self.path("llama.gguf")), GGUFReader(restored)
        for key, field in before.fields.items():
            if not key.startswith("GGUF."):
                self.assertEqual(field.contents(), after.fields[key].contents(), key)
        self.assertEqual([t.name for t in before.tensors], [t.name for t in after.tensors])
        for a, b in zip(before.tensors, after.tensors):
            self.assertEqual(list(a.shape), list(b.shape))
            self.assertGreater(snr_db(np.asarray(a.data, np.float32), np.asarray(b.data, np.float32)), 20, a.name)

    def test_output_dtypes(self):
        archive = self.path("dtype.archive.safetensors")
        report = self.json("compress", self.path("moe.safetensors"), "-o", archive, "--codec", "raw")
        coded = [t["name"] for t in report["tensors"] if t["coded"]]
        for dtype in ("f32", "f16", "bf16"):
            restored = self.path(f"moe.{dtype}.safetensors")
            self.ok("decompress", archive, "-o", restored, "--dtype", dtype)
            tensors = arrays(restored)
            self.assertEqual({tensors[name][0] for name in coded}, {dtype.upper()})

    def test_keep_stores_exactly(self):
        archive, restored = self.path("keep.a.safetensors"), self.path("keep.r.safetensors")
        report = self.json("compress", self.path("moe.safetensors"), "-o", archive, "--codec", "raw", "--keep", "q_proj")
        kept = [t["name"] for t in report["tensors"] if "q_proj" in t["name"]]
        self.assertTrue(kept and not any(t["coded"] for t in report["tensors"] if t["name"] in kept))
        self.ok("decompress", archive, "-o", restored)
        before, after = arrays(self.path("moe.safetensors")), arrays(restored)
        for name in kept:
            self.assertEqual(before[name][1].tobytes(), after[name][1].tobytes())

    def test_rate_targets_are_hit(self):
        for bpw in (2.5, 4.0):
            archive = self.path(f"rate.{bpw}.safetensors")
            report = self.json("compress", self.path("folder"), "-o", archive.with_suffix(""), "--codec", "vvc", "--bpw", bpw)
            self.assertLess(abs(report["bpw"] / bpw - 1), 0.01)

    def test_verify_against_the_original_measures_the_error(self):
        archive = self.path("against.safetensors")
        compressed = self.json("compress", self.path("conv.safetensors"), "-o", archive, "--codec", "raw")
        checked = self.json("verify", archive, "--against", self.path("conv.safetensors"))
        self.assertAlmostEqual(checked["snr_db"], compressed["snr_db"], places=3)
        other = run_copy_with_one_weight_changed(self.path("conv.safetensors"), self.path("other.safetensors"))
        self.assertLess(self.json("verify", archive, "--against", other)["snr_db"], checked["snr_db"])


def run_copy_with_one_weight_changed(source, target):
    data = bytearray(source.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start:start + 4] = np.float32(1.0).tobytes()
    target.write_bytes(data)
    return target


if __name__ == "__main__":
    cli_support.main()
