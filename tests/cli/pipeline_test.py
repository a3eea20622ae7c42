# SPDX-License-Identifier: BSD-3-Clause
"""Pipelines of several models in one folder: one archive, and every file back where it was."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np

import cli_support
import independent_decode
import safetensors_stream as st
from cli_support import BINARY, CliTest, arrays, needs_ffmpeg
from make_test_models import entry, weights

UNET, FULL, FP16 = ("diffusion_pytorch_model" + end for end in ("", ".safetensors", ".fp16.safetensors"))


def put(path, text="{}"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write(path, entries, metadata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    st.write(str(path), entries, metadata)


def write_shards(folder, stem, parts):
    """Two shards or more, and their index."""
    names = [f"{stem}-{i + 1:05}-of-{len(parts):05}.safetensors" for i in range(len(parts))]
    for name, entries in zip(names, parts):
        write(folder / name, entries, {"format": "pt"})
    put(folder / f"{stem}.safetensors.index.json",
        json.dumps({"metadata": {}, "weight_map": {e.name: name for name, entries in zip(names, parts) for e in entries}}))


def model_entries(rng, layers, dtype="F16"):
    return [e for i in range(layers) for e in (entry(f"blocks.{i}.proj.weight", dtype, weights(rng, 96, 128)),
                                               entry(f"blocks.{i}.norm.weight", "F32", 1 + weights(rng, 128)))]


def diffusers(folder):
    """A sharded unet, a VAE in another dtype, a text encoder in two precisions, a part in a part, parts without weights."""
    rng = np.random.default_rng(25)
    put(folder / "model_index.json", '{"_class_name": "X"}')
    unet = model_entries(rng, 4)
    write_shards(folder / "unet", UNET, [unet[:3], unet[3:]])
    put(folder / "unet/config.json", '{"_class_name": "UNet2DConditionModel"}')
    write(folder / "vae" / FULL, [entry("conv_in.weight", "BF16", weights(rng, 64, 80)), entry("conv_in.bias", "BF16", weights(rng, 64))], {"format": "pt", "by": "vae"})
    encoder = model_entries(rng, 2, "F32")
    write(folder / "text_encoder/model.safetensors", encoder, {"format": "np"})
    write(folder / "text_encoder/model.fp16.safetensors", [entry(e.name, "F16", e.data.astype(np.float32)) for e in encoder])
    put(folder / "text_encoder/pytorch_model.bin", "pickle")
    write(folder / "text_encoder/adapter/only.safetensors", [entry("down.weight", "F32", weights(rng, 64, 96))])
    put(folder / "scheduler/scheduler_config.json")
    put(folder / "tokenizer/vocab.json")
    put(folder / "v1-5-pruned.safetensors", "the same weights once more")


def sentence_transformer(folder):
    rng = np.random.default_rng(26)
    put(folder / "modules.json", "[]")
    put(folder / "config.json", '{"model_type": "bert"}')
    put(folder / "1_Pooling/config.json")
    write(folder / "model.safetensors", model_entries(rng, 2), {"format": "pt"})
    write(folder / "2_Dense/model.safetensors", [entry("linear.weight", "F32", weights(rng, 128, 96))], {"format": "pt", "of": "dense"})


LEFT_OUT = {"text_encoder/model.fp16.safetensors", "text_encoder/pytorch_model.bin", "v1-5-pruned.safetensors"}


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder):
    return {name: (folder / name).read_bytes() for name in names(folder)}


def tensors_of(folder, skip=()):
    """{folder of the part: ({name: (dtype, bytes)}, metadata)}."""
    parts = {}
    for name in sorted(names(folder) - set(skip)):
        if name.endswith(".safetensors"):
            tensors, metadata = independent_decode.read_safetensors(folder / name)
            found = parts.setdefault(os.path.dirname(name), ({}, {}))
            found[0].update({n: (dtype, values.tobytes()) for n, (dtype, values) in tensors.items()})
            found[1].update(metadata)
    return parts


class Pipelines(CliTest):
    models = ()

    def setUp(self):
        self.source, self.archive, self.back = (self.path(f"{self.id().rsplit('.', 1)[1]}.{end}") for end in ("pipe", "archive", "back"))
        diffusers(self.source)

    def compress(self, *options):
        return self.json("compress", self.source, "-o", self.archive, *options)

    def test_every_file_comes_back_in_its_place(self):
        report = self.compress("--bpw", "6")
        self.assertIn("text_encoder/model.fp16.safetensors", " ".join(report["notes"]))
        self.assertEqual({p["folder"]: p["tensors"] for p in report["parts"]}, {"text_encoder": 4, "text_encoder/adapter": 1, "unet": 8, "vae": 2})
        self.assertEqual(sum(p["parameters"] for p in report["parts"]), report["parameters"])
        self.assertEqual(sum(p["bytes"] for p in report["parts"]), sum(t["bytes"] for t in report["tensors"]))
        self.ok("decompress", self.archive, "-o", self.back)
        shards = {name for name in names(self.source) if name.startswith("unet/" + UNET)}
        self.assertEqual(names(self.back), names(self.source) - LEFT_OUT - shards | {"unet/" + FULL})
        for name in names(self.back):
            if not name.endswith(".safetensors"):
                self.assertEqual((self.back / name).read_bytes(), (self.source / name).read_bytes(), name)
        before, after = tensors_of(self.source, LEFT_OUT), tensors_of(self.back)
        self.assertEqual({f: {n: d for n, (d, _) in t.items()} for f, (t, _) in before.items()},
                         {f: {n: d for n, (d, _) in t.items()} for f, (t, _) in after.items()})
        self.assertEqual({f: m for f, (_, m) in before.items()}, {f: m for f, (_, m) in after.items()})
        verified = self.json("verify", self.archive, "--against", self.source)
        self.assertEqual((verified["snr_db"], verified["carried_files"]), (report["snr_db"], "checked"))
        self.assertGreater(report["snr_db"], 20)

    def test_what_is_kept_comes_back_bit_by_bit(self):
        self.compress("--keep", ".")
        for options in ((), ("--shard-size", "40K")):
            self.ok("decompress", self.archive, "-o", self.back, *options)
            self.assertEqual(tensors_of(self.back), tensors_of(self.source, LEFT_OUT))
        index = json.loads((self.back / "unet" / (UNET + ".safetensors.index.json")).read_text())
        self.assertEqual(set(index["weight_map"].values()), {p.name for p in (self.back / "unet").glob("*.safetensors")})
        self.assertIn("blocks.0.proj.weight", index["weight_map"])
        self.assertEqual(self.json("verify", self.archive, "--against", self.source)["snr_db"], None)

    def test_the_files_load_in_the_library_of_the_format(self):
        from safetensors import safe_open
        self.compress("--keep", "^text_encoder/", "--step", "0.3")
        self.ok("decompress", self.archive, "-o", self.back)
        with safe_open(self.back / "text_encoder/model.safetensors", "np") as file:
            self.assertEqual(file.metadata(), {"format": "np"})
            for name, (_, values) in arrays(self.source / "text_encoder/model.safetensors").items():
                np.testing.assert_array_equal(file.get_tensor(name), values)
        with safe_open(self.back / "unet" / FULL, "np") as file:
            self.assertEqual(len(file.keys()), 8)

    def test_a_sentence_transformer_with_a_part_in_the_root(self):
        shutil.rmtree(self.source)
        sentence_transformer(self.source)
        self.assertEqual({p["folder"] for p in self.json("inspect", self.source)["parts"]}, {"", "2_Dense"})
        self.compress("--keep", ".")
        self.assertIn("quantization_config", json.loads((self.archive / "config.json").read_text()))
        self.ok("decompress", self.archive, "-o", self.back)
        self.assertEqual(names(self.back), names(self.source))
        self.assertEqual(tensors_of(self.back), tensors_of(self.source))
        self.assertEqual(json.loads((self.back / "config.json").read_text()), {"model_type": "bert"})
        self.assertIn("part in the root: 4 tensors", self.ok("inspect", self.archive).stdout)
        # Its small layers may be pickles: then it is a folder as any other.
        (self.source / "2_Dense/model.safetensors").rename(self.source / "2_Dense/pytorch_model.bin")
        report = self.json("inspect", self.source)
        self.assertEqual((report["source_kind"], "parts" in report), ("folder", False))
        self.assertIn("2_Dense/pytorch_model.bin", " ".join(report["notes"]))

    def test_inspect_plan_extract(self):
        text = self.ok("inspect", self.source).stdout
        self.assertRegex(text, r"a model of kind 'pipeline'")
        plan = self.path("pipe.plan")
        planned = self.json("plan", self.source, "--step", "0.3", "--keep", "^vae/", "-o", plan)
        self.assertEqual([p["folder"] for p in planned["parts"]], ["text_encoder", "text_encoder/adapter", "unet", "vae"])
        report = self.compress("--plan", plan)
        self.assertFalse(any(t["coded"] for t in report["tensors"] if t["name"].startswith("vae/")))
        self.assertRegex(self.ok("inspect", self.archive).stdout, r"part unet: 8 tensors, 49,664 parameters, [\d,]+ bytes")
        self.ok("decompress", self.archive, "-o", self.back)
        rows, tensor = self.path("pipe.rows"), "unet/blocks.1.proj.weight"
        self.ok("extract", self.archive, tensor, "--rows", "8:24", "-o", rows)
        np.testing.assert_array_equal(arrays(rows)[tensor][1], arrays(self.back / "unet" / FULL)["blocks.1.proj.weight"][1][8:24])

    def test_shards_of_the_archive_and_equal_tensors_of_two_parts(self):
        shutil.copy(self.source / "vae" / FULL, self.source / "text_encoder/adapter/only.safetensors")
        report = self.compress("--step", "0.3")
        self.assertEqual({t["name"]: t["same_as"] for t in report["tensors"] if "same_as" in t},
                         {f"vae/conv_in.{n}": f"text_encoder/adapter/conv_in.{n}" for n in ("weight", "bias")})
        self.compress("--step", "0.3", "--shard-size", "20K")
        self.assertGreater(len(list(self.archive.glob("model-*.safetensors"))), 1)
        self.ok("verify", self.archive, "--against", self.source)
        self.ok("decompress", self.archive, "-o", self.back)
        self.assertEqual(set(tensors_of(self.back)), set(tensors_of(self.source, LEFT_OUT)))

    def test_the_model_before_it_goes_in_one_swap(self):
        self.compress("--keep", ".")
        self.ok("decompress", self.archive, "-o", self.back, "--shard-size", "40K")
        put(self.back / "unet/notes.txt", "mine")
        put(self.back / "model.safetensors", "of a model that was there before")
        self.ok("decompress", self.archive, "-o", self.back)
        fresh = self.path("fresh.back")
        self.ok("decompress", self.archive, "-o", fresh)
        self.assertEqual(names(self.back), names(fresh) | {"unet/notes.txt"})
        put(self.back / "vae/diffusion_pytorch_model.gguf")
        self.fails("invalid_argument", "decompress", self.archive, "-o", self.back, naming=("vae", "holds other weights"))
        (self.back / "vae/diffusion_pytorch_model.gguf").unlink()
        shutil.move(self.back / "vae", self.path("elsewhere"))
        (self.back / "vae").symlink_to(self.path("elsewhere"))
        before = contents(self.path("elsewhere"))
        self.fails("unsupported", "decompress", self.archive, "-o", self.back, naming=("vae", "is a link"))
        self.assertEqual(contents(self.path("elsewhere")), before)

    def test_an_output_inside_the_input_replaces_nothing_of_it(self):
        shutil.rmtree(self.source)
        sentence_transformer(self.source)
        before = contents(self.source)
        inside = self.source / "1_Pooling"
        self.fails("invalid_argument", "compress", self.source, "-o", inside, "--step", "0.3", naming=("1_Pooling/config.json", "output is the input"))
        self.assertEqual(contents(self.source), before)
        self.compress("--step", "0.3")
        before = contents(self.archive)
        inside = self.archive / "1_Pooling"
        self.fails("invalid_argument", "decompress", self.archive, "-o", inside, naming=("1_Pooling/config.json", "output is the input"))
        self.assertEqual(contents(self.archive), before)

    def test_a_plain_model_over_a_pipeline_is_refused(self):
        self.compress("--keep", ".")
        self.ok("decompress", self.archive, "-o", self.back)
        before = contents(self.back)
        plain, packed = self.path("plain"), self.path("plain.packed")
        write(plain / "model.safetensors", model_entries(np.random.default_rng(7), 1))
        self.ok("compress", plain, "-o", packed, "--step", "0.3")
        self.fails("invalid_argument", "decompress", packed, "-o", self.back, naming=("model_index.json", "says that the folder is a pipeline"))
        self.assertEqual(contents(self.back), before)
        self.fails("invalid_argument", "compress", plain, "-o", self.archive, "--step", "0.3", naming=("model_index.json",))

    def test_a_plain_model_without_other_files_over_a_pipeline_is_refused_as_well(self):
        """One that is given by its file or its index: nothing of the pipeline is replaced, and nothing mixed with it."""
        self.compress("--keep", ".")
        self.ok("decompress", self.archive, "-o", self.back)
        plain, packed, indexed = self.path("bare"), self.path("bare.packed"), self.path("indexed.packed")
        entries = model_entries(np.random.default_rng(7), 1)
        write_shards(plain, "model", [entries[:1], entries[1:]])
        index = plain / "model.safetensors.index.json"
        self.ok("compress", plain, "-o", packed, "--step", "0.3")
        self.ok("compress", index, "-o", indexed, "--step", "0.3", "--shard-size", "1")
        for folder in (self.back, self.archive):
            before = contents(folder)
            for arguments in (["decompress", packed / "model.safetensors"], ["decompress", indexed], ["compress", index, "--step", "0.3"]):
                self.fails("invalid_argument", *arguments, "-o", folder, naming=("model_index.json", "says that the folder is a pipeline"))
                self.assertEqual(contents(folder), before)
        # The pipeline itself, by its file, whose others the user has put there.
        self.ok("decompress", self.archive / "model.safetensors", "-o", self.back)
        self.assertEqual(tensors_of(self.back), tensors_of(self.source, LEFT_OUT))

    def test_an_archive_is_refused_where_a_part_would_be_and_goes_along_elsewhere(self):
        listed = {"_class_name": "X", "unet": ["diffusers", "U"], "vae": ["diffusers", "V"], "text_encoder": ["transformers", "T"]}
        put(self.source / "model_index.json", json.dumps(listed))
        self.compress("--step", "0.3")
        stray = self.archive / "model.safetensors"
        for name in ("old/model.safetensors", "unet/old/model.safetensors", "loras/x.llmc.safetensors"):
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(stray, self.source / name)
        report = self.json("compress", self.source, "-o", self.path("stray.archive"), "--step", "0.3")
        note = next(note for note in report["notes"] if "carried along as they are" in note)
        for name in ("old/model.safetensors", "unet/old/model.safetensors", "loras/x.llmc.safetensors"):
            self.assertIn(name, note)
        self.ok("decompress", self.path("stray.archive"), "-o", self.back)
        self.assertEqual((self.back / "unet/old/model.safetensors").read_bytes(), stray.read_bytes())
        self.fails("invalid_argument", "compress", self.path("stray.archive"), "-o", self.path("no"), naming="is an llmcodec archive already")
        # In the place of a part, and without a list where a loader would find it.
        (self.source / "vae" / FULL).unlink()
        shutil.copy(stray, self.source / "vae/any.safetensors")
        self.fails("invalid_argument", "compress", self.source, "-o", self.path("no"), "--step", "0.3",
                   naming=("part 'vae' of the pipeline: is an llmcodec archive already", "--carry '^vae/'"))
        self.ok("compress", self.source, "-o", self.path("vae.archive"), "--step", "0.3", "--carry", "^vae/")
        self.ok("verify", self.path("vae.archive"), "--against", self.source)
        put(self.source / "model_index.json", "{}")
        self.fails("invalid_argument", "compress", self.source, "-o", self.path("no"), "--step", "0.3", naming=("part 'old'", "archive already"))
        self.assertFalse(self.path("no").exists())

    def test_a_file_in_the_place_of_a_folder_is_refused_before_work(self):
        self.compress("--keep", ".")
        for name in ("scheduler", "text_encoder"):
            put(self.back / name, "a file")
            self.fails("invalid_argument", "decompress", self.archive, "-o", self.back, naming=(name, "is no folder"))
            self.assertEqual(contents(self.back), {name: b"a file"})
            (self.back / name).unlink()

    def refused(self, kind, *naming):
        self.fails(kind, "compress", self.source, "-o", self.archive, "--step", "0.3", naming=naming)
        self.assertFalse(self.archive.exists())

    def test_a_broken_part_is_named(self):
        shard = self.source / "unet" / (UNET + "-00002-of-00002.safetensors")
        content = shard.read_bytes()
        shard.unlink()
        self.refused("io", shard, "part 'unet' of the pipeline: the shard is missing")
        put(shard, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        self.refused("io", shard, "part 'unet' of the pipeline: this is a pointer of Git LFS")
        shard.write_bytes(content)
        index = self.source / "unet" / (UNET + ".safetensors.index.json")
        index.rename(self.path("index"))
        self.refused("invalid_argument", "part 'unet' of the pipeline: 2 of 2 shards, and no index")
        self.path("index").rename(index)
        vae = self.source / "vae" / FULL
        vae.rename(self.source / "vae" / FP16)
        shutil.copy(self.source / "vae" / FP16, self.source / "vae/diffusion_pytorch_model.bf16.safetensors")
        self.refused("invalid_argument", "part 'vae' of the pipeline: several sets of weights")
        (self.source / "vae/diffusion_pytorch_model.bf16.safetensors").unlink()
        self.compress("--keep", ".")  # one variant alone is the part, and keeps its name
        self.ok("decompress", self.archive, "-o", self.back)
        self.assertTrue((self.back / "vae" / FP16).exists())
        shutil.rmtree(self.archive)
        write(vae.with_name(FP16), [])
        self.refused("invalid_argument", "part 'vae' of the pipeline has no tensors")
        vae.with_name(FP16).unlink()
        put(self.source / "vae/diffusion_pytorch_model.bin", "pickle")
        self.refused("unsupported", "part 'vae' of the pipeline: has its weights as PyTorch pickles only", "--carry '^vae/'")
        self.ok("compress", self.source, "-o", self.archive, "--step", "0.3", "--carry", "^vae/")
        self.ok("decompress", self.archive, "-o", self.back)
        self.assertEqual((self.back / "vae/diffusion_pytorch_model.bin").read_text(), "pickle")
        shutil.rmtree(self.archive)
        (self.source / "more").symlink_to("unet")
        self.refused("invalid_argument", "more: is a link to a folder")

    def test_folders_of_which_one_begins_as_the_other(self):
        rng = np.random.default_rng(6)
        shutil.rmtree(self.source)
        put(self.source / "model_index.json")
        for folder in ("a", "a-b", "a/b"):
            write(self.source / folder / "model.safetensors", model_entries(rng, 1))
        self.compress("--keep", ".")
        self.ok("decompress", self.archive, "-o", self.back)
        self.assertEqual(tensors_of(self.back), tensors_of(self.source))

    def test_names_that_two_parts_could_have(self):
        write(self.source / "text_encoder/model.safetensors", [entry("adapter/down.weight", "F32", weights(np.random.default_rng(1), 64, 96))])
        self.refused("invalid_argument", "text_encoder/adapter/down.weight", "would be taken for a tensor of the part")

    def test_a_slash_in_a_name_is_no_part_elsewhere(self):
        rng = np.random.default_rng(2)
        source, archive, back = self.path("slash.safetensors"), self.path("slash.archive"), self.path("slash.back")
        write(source, [entry(name, "F32", weights(rng, 64, 96)) for name in ("unet/a.weight", "/b", "c/", "vae//d")], {"format": "pt"})
        report = self.json("compress", source, "-o", archive, "--step", "0.3")
        self.assertNotIn("parts", report)
        self.ok("decompress", archive, "-o", back)
        self.assertEqual(sorted(arrays(back)), sorted(arrays(source)))

    def test_quantised_parts_are_refused_by_name_unless_kept(self):
        rng = np.random.default_rng(3)
        write(self.source / "text_encoder/model.safetensors",
              [st.Entry("a.weight", "F8_E4M3", (96, 128), rng.integers(0, 100, (96, 128), np.uint8)), entry("a.weight_scale_inv", "F32", weights(rng, 1, 1)),
               entry("b.weight", "F32", weights(rng, 64, 96))])
        self.refused("unsupported", "part 'text_encoder' of the pipeline is quantised", "--keep '^text_encoder/'")
        put(self.source / "text_encoder/config.json", '{"quantization_config": {"quant_method": "bitsandbytes"}}')
        self.refused("unsupported", "text_encoder/config.json", "is quantised (bitsandbytes)")
        self.compress("--step", "0.3", "--keep", "^text_encoder/")
        self.ok("decompress", self.archive, "-o", self.back)
        self.assertEqual(tensors_of(self.back)["text_encoder"], tensors_of(self.source, LEFT_OUT)["text_encoder"])
        self.assertEqual((self.back / "text_encoder/config.json").read_text(), (self.source / "text_encoder/config.json").read_text())

    def test_inputs_are_estimated_in_parts_of_a_known_family(self):
        rng = np.random.default_rng(4)
        shapes = {"self_attn.q_proj": (64, 64), "self_attn.k_proj": (64, 64), "self_attn.v_proj": (64, 64), "self_attn.o_proj": (64, 64),
                  "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96)}
        entries = [entry("model.embed_tokens.weight", "F32", weights(rng, 256, 64)), entry("model.norm.weight", "F32", 1 + weights(rng, 64))]
        for layer in range(2):
            entries += [entry(f"model.layers.{layer}.{name}.weight", "F32", weights(rng, *shape)) for name, shape in shapes.items()]
            entries += [entry(f"model.layers.{layer}.{name}.weight", "F32", 1 + weights(rng, 64)) for name in ("input_layernorm", "post_attention_layernorm")]
        encoder, alone = self.source / "text_encoder", self.path("alone")
        write(encoder / "model.safetensors", entries)
        put(encoder / "config.json", '{"model_type": "llama", "num_attention_heads": 2}')
        shutil.copytree(encoder, alone, ignore=shutil.ignore_patterns("adapter"))
        # What is known of the part is what is known of it by itself: the same scales and steps give the same bytes.
        report = self.compress("--step", "0.3")
        note = " ".join(report["notes"])
        self.assertIn("inputs not estimated: the model does not say of which type it is (text_encoder/adapter, unet, vae)", note)
        single = self.json("compress", alone, "-o", self.path("alone.archive"), "--step", "0.3")
        ours = {t["name"].removeprefix("text_encoder/"): t["bytes"] for t in report["tensors"]}
        self.assertEqual({t["name"]: t["bytes"] for t in single["tensors"]}, {t["name"]: ours[t["name"]] for t in single["tensors"]})
        without = self.json("compress", alone, "-o", self.path("plain.archive"), "--step", "0.3", "--importance", "none")
        self.assertNotEqual([t["bytes"] for t in without["tensors"]], [t["bytes"] for t in single["tensors"]])

    def test_what_is_not_known_of_parts_is_said_beside_adapters(self):
        rng = np.random.default_rng(8)
        factors = [entry(f"layers.{i}.q.lora_{kind}.weight", "F32", weights(rng, *shape)) for i in range(2) for kind, shape in (("A", (8, 320)), ("B", (320, 8)))]
        write(self.source / "lora/adapter_model.safetensors", factors)
        notes = " ".join(self.compress("--step", "0.3")["notes"])
        self.assertIn("inputs not estimated: the model does not say of which type it is (text_encoder, text_encoder/adapter, unet, vae)", notes)
        alone = self.json("compress", self.source / "lora/adapter_model.safetensors", "-o", self.path("lora.archive"), "--step", "0.3")
        self.assertNotIn("inputs not estimated", " ".join(alone["notes"]))

    def test_moments_from_a_file_have_the_folder_in_their_names(self):
        rng = np.random.default_rng(9)
        put(self.source / "model_index.json")
        write(self.source / "text_encoder/model.safetensors", [entry("model.layers.0.mlp.up_proj.weight", "F32", weights(rng, 96, 64))])
        inputs = rng.standard_normal((512, 64)) * np.exp2(rng.normal(0, 2, 64))
        moments = (inputs.T @ inputs / 512).astype(np.float32)

        def moment_file(member):
            path = self.path("moments.safetensors")
            text = json.dumps({"format_version": 1, "members": {"g": [member]}})
            st.write(str(path), [st.Entry("g", "F32", (64, 64), moments)], {"format": "llmcodec-moments", "llmcodec_moments": text})
            return path

        def bytes_of(report):
            return {t["name"]: t["bytes"] for t in report["tensors"]}

        name = "text_encoder/model.layers.0.mlp.up_proj.weight"
        plain = bytes_of(self.compress("--step", "0.3", "--importance", "none"))
        shutil.rmtree(self.archive)
        single = self.json("compress", self.source / "text_encoder/model.safetensors", "-o", self.path("single.archive"), "--step", "0.3",
                           "--importance", "none", "--hessian", moment_file("model.layers.0.mlp.up_proj.weight"))
        for spelling in (name, "text_encoder/blk.0.ffn_up.weight"):
            report = self.compress("--step", "0.3", "--importance", "none", "--hessian", moment_file(spelling))
            self.assertEqual(bytes_of(report)[name], single["tensors"][0]["bytes"])
            self.assertNotEqual(bytes_of(report)[name], plain[name])
            self.ok("verify", self.archive, "--against", self.source)
            shutil.rmtree(self.archive)
        for of_another in ("model.layers.0.mlp.up_proj.weight", "unet/none.weight"):
            self.fails("invalid_argument", "compress", self.source, "-o", self.archive, "--hessian", moment_file(of_another),
                       naming=("moments.safetensors", "knows no tensor of this pipeline"))

    @needs_ffmpeg
    def test_an_independent_reader(self):
        self.compress("--step", "0.3")
        self.ok("decompress", self.archive, "-o", self.back, "--dtype", "f32")
        ours = {(f + "/" + n): v for f, (tensors, _) in tensors_of(self.back).items() for n, v in tensors.items()}
        found = {name: (dtype, np.ascontiguousarray(values).tobytes()) for name, dtype, values in independent_decode.decode(str(self.archive))}
        self.assertEqual(set(found), set(ours))
        for name, (dtype, values) in found.items():
            if dtype == "F32":
                self.assertEqual(values, ours[name][1], name)

    def test_killed_and_resumed(self):
        rng = np.random.default_rng(5)
        write(self.source / "vae" / FULL, [entry(f"layer.{i}.weight", "BF16", weights(rng, 320, 448)) for i in range(24)])
        self.compress("--step", "0.4", "--threads", "2")
        expected = contents(self.archive)
        shutil.rmtree(self.archive)
        journal, resumed = self.archive / ".llmcodec-journal", 0
        for finished in (1, 4, 9):
            process = subprocess.Popen([BINARY, "compress", self.source, "-o", self.archive, "--step", "0.4", "--threads", "2", "-q"])
            while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > finished):
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=600)
            resumed += self.compress("--step", "0.4", "--threads", "2")["resumed"]
            # The recorded command is the same: nothing else may differ.
            self.assertEqual(contents(self.archive), expected)
            shutil.rmtree(self.archive)
        self.assertGreater(resumed, 0, "the kills came too early or too late to mean anything")


if __name__ == "__main__":
    cli_support.main()
