#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes archives of tiny models with a given llmcodec: fixtures of the format version that this program writes.

  vN/folder   an archive in three shards of a Hugging Face folder with a sub-folder, coded spectrally, folded too, and spatially
  vN/gguf.safetensors  one of a GGUF file: a coded matrix, blocks stored as bytes, key-values
  vN.sha256   the SHA-256 of every file that `decompress` makes of them, and its name: tests/cli/old_archives_test.py

Usage: PYTHONPATH=tools python make_archives.py LLMCODEC VERSION     needs: numpy, gguf
Fixtures of a version that has been released are never made
anew: they stand for the archives that people have.
"""
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import safetensors_stream as st
from gguf import GGUFWriter, GGMLQuantizationType
from gguf.quants import quantize


def normal(rng, *shape):
    return (rng.standard_normal(shape) * 0.05).astype(np.float32)


def make_folder(path, rng):
    (path / "tokenizer").mkdir(parents=True)
    entries = [st.Entry("model.embed.weight", "BF16", (80, 64), st.to_bf16(normal(rng, 80, 64))),
               st.Entry("model.layers.0.experts.weight", "F32", (2, 48, 48), normal(rng, 2, 48, 48)),
               st.Entry("model.layers.0.q_proj.lora_A.weight", "F32", (8, 160), normal(rng, 8, 160)),
               st.Entry("model.layers.0.q_proj.lora_B.weight", "F16", (160, 8), normal(rng, 160, 8).astype(np.float16)),
               st.Entry("model.layers.0.norm.weight", "F32", (48,), normal(rng, 48)),
               st.Entry("model.position_ids", "I64", (4,), np.arange(4))]
    st.write(str(path / "model.safetensors"), entries, {"format": "pt"})
    (path / "config.json").write_text(json.dumps({"architectures": ["TinyModel"], "hidden_size": 48}))
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "none"}\n')
    (path / "tokenizer" / "words.txt").write_text("one\ntwo\nthree\n")


def make_gguf(path, rng):
    writer = GGUFWriter(str(path), arch="llama")
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "one", "two"])
    writer.add_uint32("llama.block_count", 1)
    writer.add_tensor("blk.0.ffn_up.weight", normal(rng, 72, 64).astype(np.float16))
    blocks = quantize(normal(rng, 2, 64), GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.small.weight", blocks, raw_dtype=GGMLQuantizationType.Q8_0)
    writer.add_tensor("output_norm.weight", normal(rng, 40))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    program, version = sys.argv[1:]
    program = str(pathlib.Path(program).resolve())
    here = pathlib.Path(__file__).resolve().parent
    out = here / f"v{version}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        rng = np.random.default_rng(1)
        make_folder(work / "folder", rng)
        make_gguf(work / "tiny.gguf", rng)
        coding = ["--step", "0.5", "--quiet", "--importance", "none"]
        # The command line is recorded: no paths of this machine.
        subprocess.run([program, "compress", "folder", "-o", "made", "--shard-size", "1500", "--set", "experts=layout:spatial", *coding],
                       cwd=work, check=True)
        subprocess.run([program, "compress", "tiny.gguf", "-o", "made.safetensors", *coding], cwd=work, check=True)
        shutil.copytree(work / "made", out / "folder")
        shutil.copy(work / "made.safetensors", out / "gguf.safetensors")
        subprocess.run([program, "decompress", "made", "-o", "restored/folder", "--quiet"], cwd=work, check=True)
        subprocess.run([program, "decompress", "made.safetensors", "-o", "restored/tiny.gguf", "--quiet"], cwd=work, check=True)
        lines = []
        for file in sorted(path for path in (work / "restored").rglob("*") if path.is_file()):
            lines.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(work / 'restored').as_posix()}")
        (here / f"v{version}.sha256").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
