# SPDX-License-Identifier: BSD-3-Clause
"""Models as people have them on disk: in parts, under other names, incomplete, mixed with files of other kinds."""
import json
import os
import shutil
import subprocess

import gguf
import numpy as np

import cli_support
import safetensors_stream as st
from cli_support import CliTest
from make_test_models import entry, weights


def write_tensors(writer, tensors):
    """The whole file, which gets these tensors beside the keys that `writer` has."""
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Gguf(CliTest):
    models = ()

    def part(self, name, tensors, number=0, count=1, total=None, keys=True):
        """A GGUF file of these tensors, part `number` (from 0 on) of `count`."""
        path = self.path(name)
        writer = gguf.GGUFWriter(str(path), "llama")
        if keys:
            writer.add_uint32("llama.block_count", 1)
        if count > 1:
            writer.add_uint16("split.no", number)
            writer.add_uint16("split.count", count)
            writer.add_int32("split.tensors.count", total)
        writer.add_file_type(1)
        write_tensors(writer, tensors)
        return path

    def setUp(self):
        rng = np.random.default_rng(3)
        self.tensors = {f"blk.0.{name}.weight": weights(rng, 96, 128).astype(np.float16) for name in ("ffn_up", "ffn_gate", "attn_q")}

    def split(self, stem):
        """Three files; the first has no tensors, as --no-tensor-first-split writes it."""
        names = list(self.tensors)
        groups = ([], names[:2], names[2:])
        return [self.part(f"{stem}-{i + 1:05}-of-00003.gguf", {n: self.tensors[n] for n in group}, i, 3, 3, keys=i == 0)
                for i, group in enumerate(groups)]

    def assert_whole(self, source):
        archive, restored = self.path("whole.safetensors"), self.path("whole.gguf")
        self.ok("compress", source, "-o", archive, "--keep", ".", "--step", "1")
        self.ok("verify", archive, "--against", source)
        self.ok("decompress", archive, "-o", restored)
        reader = gguf.GGUFReader(restored)
        self.assertEqual([field for field in reader.fields if field.startswith("split.")], [])
        self.assertEqual(reader.fields["general.file_type"].contents(), 1)
        self.assertEqual(reader.fields["llama.block_count"].contents(), 1)
        self.assertEqual([tensor.name for tensor in reader.tensors], list(self.tensors))
        for tensor in reader.tensors:
            np.testing.assert_array_equal(tensor.data, self.tensors[tensor.name])

    def test_parts_are_one_model(self):
        self.assert_whole(self.split("parts")[0])

    def written_in_parts(self, *sizes, source=None):
        """The archive of a whole GGUF, and for each size the parts that are written of it, first part first."""
        source, archive = source or self.part("unsplit.gguf", self.tensors), self.path("unsplit.safetensors")
        self.ok("compress", source, "-o", archive, "--keep", ".", "--step", "1")
        for number, size in enumerate(sizes):
            folder = self.path(f"parts_{number}")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            report = self.json("decompress", archive, "-o", folder / "back.gguf", "--shard-size", size)
            parts = sorted(folder.iterdir())
            self.assertEqual((report["files"], report["output"]), (len(parts), str(parts[0])))
            yield source, archive, parts

    def test_parts_are_written_on_request(self):
        size = self.tensors["blk.0.attn_q.weight"].nbytes
        for (source, _, parts), groups in zip(self.written_in_parts(1, 2 * size), ([0, 1, 2], [0, 0, 1])):
            count = groups[-1] + 1
            self.assertEqual([part.name for part in parts], [f"back-{i + 1:05}-of-{count:05}.gguf" for i in range(count)])
            for number, part in enumerate(parts):
                reader = gguf.GGUFReader(part)
                self.assertEqual([t.name for t in reader.tensors], [n for n, g in zip(self.tensors, groups) if g == number])
                keys = {field: reader.fields[field].contents() for field in reader.fields if field.startswith("split.")}
                self.assertEqual(keys, {"split.no": number, "split.count": count, "split.tensors.count": 3})
                self.assertEqual("llama.block_count" in reader.fields, number == 0)
                self.assertEqual("general.file_type" in reader.fields, number == 0)
                for tensor in reader.tensors:
                    np.testing.assert_array_equal(tensor.data, self.tensors[tensor.name])
            self.assert_whole(parts[0])  # and are read here as one model again

    def test_one_part_is_a_whole_file(self):
        for source, _, parts in self.written_in_parts("1G"):
            self.assertEqual([part.name for part in parts], ["back.gguf"])
            self.assertEqual(parts[0].read_bytes(), source.read_bytes())

    def test_type_of_parts_follows_all_weights(self):
        for _, archive, parts in self.written_in_parts(1):
            self.ok("compress", self.path("unsplit.gguf"), "-o", archive, "--step", "0.5")
            self.ok("decompress", archive, "-o", parts[0].parent / "back.gguf", "--shard-size", 1, "--dtype", "bf16")
            self.assertEqual(gguf.GGUFReader(parts[0]).fields["general.file_type"].contents(), 32)

    def test_parts_replace_those_of_their_names_alone(self):
        for _, archive, parts in self.written_in_parts(1):
            others = {name: parts[0].with_name(name) for name in ("back.gguf", "back-00001-of-00002.gguf", "other.gguf", "notes.txt")}
            for file in others.values():
                file.write_bytes(b"mine")
            for part in parts:
                part.write_bytes(b"old")
            self.ok("decompress", archive, "-o", others["back.gguf"], "--shard-size", 1)
            self.assertEqual(sorted(parts[0].parent.iterdir()), sorted([*parts, *others.values()]))
            self.assertEqual({file.read_bytes() for file in others.values()}, {b"mine"})
            self.assert_whole(parts[0])

    def test_where_parts_cannot_be(self):
        for _, archive, parts in self.written_in_parts(1):
            decompress = ("decompress", archive, "--shard-size", 1, "-o")
            self.fails("invalid_argument", *decompress, parts[0], naming=("name the whole, back.gguf", parts[0]))
            self.fails("invalid_argument", *decompress, self.path("x.safetensors"), "--format", "safetensors", naming="one safetensors file")
            parts[1].unlink()
            os.link(archive, parts[1])
            self.fails("invalid_argument", *decompress, parts[0].with_name("back.gguf"), naming=("output is the input", parts[1].name))

    def with_alignment(self, alignment):
        path = self.path(f"aligned_{alignment}.gguf")
        writer = gguf.GGUFWriter(str(path), "llama")
        if alignment != 32:
            writer.add_custom_alignment(alignment)
        writer.add_array("tokenizer.ggml.tokens", ["a", "b", "c"])
        write_tensors(writer, {**self.tensors, "norm.weight": np.ones(7, np.float32), "out.weight": self.tensors["blk.0.attn_q.weight"]})
        return path

    @cli_support.needs_llama
    def test_parts_are_those_of_gguf_split(self):
        tool = os.path.join(cli_support.LLAMA, "llama-gguf-split")
        for alignment in (32, 64):
            for source, _, parts in self.written_in_parts(1, source=self.with_alignment(alignment)):
                theirs = self.path(f"theirs_{alignment}")
                theirs.mkdir()
                subprocess.run([tool, "--split", "--split-max-tensors", "1", source, theirs / "back"], check=True, capture_output=True)
                self.assertEqual([part.name for part in parts], sorted(part.name for part in theirs.iterdir()))
                for part in parts:
                    self.assertEqual(part.read_bytes(), (theirs / part.name).read_bytes(), part.name)
                if alignment != 32:  # it loses data when it merges its own parts
                    continue
                merged = self.path("merged.gguf")
                subprocess.run([tool, "--merge", parts[0], merged], check=True, capture_output=True)
                for ours, one in zip(gguf.GGUFReader(merged).tensors, gguf.GGUFReader(source).tensors, strict=True):
                    self.assertEqual((ours.name, bytes(ours.data)), (one.name, bytes(one.data)))

    def test_coded_parts_give_the_bytes_of_the_whole(self):
        parts = self.split("coded")
        whole = self.part("coded.gguf", self.tensors)
        restored = []
        for source in (parts[0], whole):
            self.ok("compress", source, "-o", self.path("coded.safetensors"), "--step", "0.5")
            self.ok("decompress", self.path("coded.safetensors"), "-o", self.path("back.gguf"))
            restored.append({tensor.name: bytes(tensor.data) for tensor in gguf.GGUFReader(self.path("back.gguf")).tensors})
        self.assertEqual(*restored)

    def test_a_later_part_names_the_first(self):
        parts = self.split("later")
        self.fails("invalid_argument", "plan", parts[1], naming=("is part 2 of 3", str(parts[0])))

    def test_a_first_part_of_another_name(self):
        renamed = self.path("renamed.gguf")
        os.rename(self.split("renamed")[0], renamed)
        self.fails("invalid_argument", "plan", renamed, naming=("first of 3 parts", "NAME-00001-of-00003.gguf"))

    def test_a_missing_a_cut_and_a_foreign_part(self):
        parts = self.split("broken")
        content = parts[2].read_bytes()
        parts[2].write_bytes(content[:-100])
        self.fails("corrupt", "plan", parts[0], naming=(parts[2].name, "was cut short"))
        parts[2].unlink()
        self.fails("io", "plan", parts[0], naming=(parts[2].name, "part 3 of 3 of the model is missing"))
        self.part(parts[2].name, {"other.weight": self.tensors["blk.0.attn_q.weight"]}, 1, 2, 7)
        self.fails("corrupt", "plan", parts[0], naming=(parts[2].name, "is no part of the model of"))
        self.part(parts[2].name, {}, 2, 3, 3)
        self.fails("corrupt", "plan", parts[0], naming="the parts have 2 tensors, the model has 3")

    def test_parts_joined_by_cat(self):
        joined = self.path("cat.gguf")
        joined.write_bytes(b"".join(part.read_bytes() for part in self.split("cat")))
        self.fails("corrupt", "plan", joined, naming=("joined end to end", "llama-gguf-split --merge"))

    def test_a_whole_model_with_the_keys_of_a_part(self):
        stale = self.part("stale.gguf", self.tensors, 0, 3, 3)
        self.assert_whole(stale)
        self.assertIn("taken as the whole model", "".join(self.json("inspect", stale)["notes"]))


class Folders(CliTest):
    models = ("folder",)

    def folder_of(self, files):
        """A new folder with these files: {name: bytes, text or list of entries}."""
        folder = self.path(self.id().rsplit(".", 1)[1])
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, list):
                st.write(str(path), content)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    @staticmethod
    def matrix(name="a.weight", seed=1, shape=(96, 128)):
        return entry(name, "F16", weights(np.random.default_rng(seed), *shape))

    @staticmethod
    def index(weight_map):
        return json.dumps({"metadata": {}, "weight_map": weight_map})

    def round_trip(self, folder, *options):
        archive, back = self.path("archive"), self.path("back")
        for path in (archive, back):
            shutil.rmtree(path, ignore_errors=True)
        report = self.json("compress", folder, "-o", archive, "--keep", ".", "--step", "1", *options)
        self.ok("verify", archive, "--against", folder)
        return report, archive, back

    def names(self, folder):
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    def test_names_of_weights_come_back(self):
        for name in ("adapter_model.safetensors", "diffusion_pytorch_model.safetensors", "unusual.safetensors", "model.safetensors"):
            with self.subTest(name):
                folder = self.folder_of({name: [self.matrix()], "config.json": "{}"})
                _, archive, back = self.round_trip(folder)
                for _ in range(2):  # over itself too
                    self.ok("decompress", archive, "-o", back)
                    self.assertEqual(self.names(back), {name, "config.json"})

    def test_names_of_shards_come_back(self):
        """Those of a variant too, whose index diffusers and transformers look for under a name of its own kind."""
        for stem, index in (("diffusion_pytorch_model", "diffusion_pytorch_model.safetensors.index.json"),
                            ("diffusion_pytorch_model.fp16", "diffusion_pytorch_model.safetensors.index.fp16.json"),
                            ("model.bf16", "model.safetensors.index.bf16.json"), ("a.b", "a.b.safetensors.index.json")):
            with self.subTest(stem):
                shards = [f"{stem}-0000{i}-of-00002.safetensors" for i in (1, 2)]
                folder = self.folder_of({shards[0]: [self.matrix("a.weight")], shards[1]: [self.matrix("b.weight")],
                                         index: self.index({"a.weight": shards[0], "b.weight": shards[1]})})
                self.assertEqual(self.json("inspect", folder / index)["source_kind"], "sharded")
                _, archive, back = self.round_trip(folder)
                self.ok("decompress", archive, "-o", back, "--shard-size", "30K")
                self.assertEqual(self.names(back), {*shards, index})
                self.assertEqual(self.json("inspect", back)["parameters"], self.json("inspect", folder)["parameters"])
                self.ok("decompress", archive, "-o", back)  # in one file, and the shards go
                self.assertEqual(self.names(back), {f"{stem}.safetensors"})

    def test_a_name_that_could_lead_elsewhere_is_not_taken_from_an_archive(self):
        folder = self.folder_of({"back\\slash.safetensors": [self.matrix()]})
        _, archive, back = self.round_trip(folder)
        self.ok("decompress", archive, "-o", back)
        self.assertEqual(self.names(back), {"model.safetensors"})

    def test_foreign_files_are_left_out_with_a_note_and_counted(self):
        foreign = ["adapter_model.safetensors", "consolidated.safetensors", "model-q4.gguf", "onnx/model.onnx", "optimizer.pt",
                   "original/consolidated.00.pth", "pytorch_model.bin", "runs/x/events.out", "training_args.bin"]
        folder = self.folder_of({"model.safetensors": [self.matrix()], "tokenizer.json": "{}", "notes.txt": "12345", **dict.fromkeys(foreign, "x")})
        report, archive, _ = self.round_trip(folder)
        self.assertEqual(report["carried_files"], {"count": 2, "bytes": 7})
        self.assertIn("9 files, 9 bytes: adapter_model.safetensors", "".join(report["notes"]))
        self.assertEqual(self.names(archive), {"model.safetensors", "tokenizer.json", "notes.txt"})
        self.assertEqual(self.json("inspect", archive)["carried_files"], {"count": 2, "bytes": 7})
        self.assertEqual(self.json("inspect", folder)["carried_files"], {"count": 2, "bytes": 7})
        self.assertIn("2 files carried along: 7 bytes", self.ok("inspect", archive).stdout)
        report, archive, _ = self.round_trip(folder, "--carry", "^optimizer", "--carry", "onnx/")
        self.assertEqual(self.names(archive), {"model.safetensors", "tokenizer.json", "notes.txt", "optimizer.pt", "onnx/model.onnx"})
        self.fails("invalid_argument", "compress", folder, "-o", archive, "--carry", "nothing", naming="--carry nothing: matches no file")
        self.fails("invalid_argument", "compress", folder, "-o", archive, "--carry", "(", naming="is not a regular expression")

    def test_weights_in_a_folder_below_are_carried_with_a_note(self):
        folder = self.folder_of({"model.safetensors": [self.matrix()], "2_Dense/model.safetensors": [self.matrix("linear.weight", 2)]})
        report, archive, _ = self.round_trip(folder)
        self.assertIn("2_Dense/model.safetensors", self.names(archive))
        self.assertIn("carried along as they are", "".join(report["notes"]))

    def test_folders_of_weights_that_nothing_makes_a_pipeline_are_named_with_the_commands(self):
        folder = self.folder_of({"unet/diffusion_pytorch_model.safetensors": [self.matrix()],
                                 "vae/diffusion_pytorch_model.safetensors": [self.matrix()]})
        self.fails("invalid_argument", "compress", folder, "-o", self.path("out"),
                   naming=("(unet, vae)", "model_index.json", "modules.json", f"`llmcodec compress {folder}/unet -o OUT/unet`"))

    def test_the_index_decides_between_two_files(self):
        base, overlay = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
        folder = self.folder_of({base: [self.matrix("a.weight", 1), self.matrix("b.weight", 2)], overlay: [self.matrix("b.weight", 3)],
                                 "model.safetensors.index.json": self.index({"a.weight": base, "b.weight": overlay})})
        _, archive, back = self.round_trip(folder)
        self.ok("decompress", archive, "-o", back)
        restored = cli_support.arrays(back)
        np.testing.assert_array_equal(restored["b.weight"][1], self.matrix("b.weight", 3).data)
        np.testing.assert_array_equal(restored["a.weight"][1], self.matrix("a.weight", 1).data)

    def test_indexes_that_do_not_fit(self):
        shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
        placed = {"a.weight": shards[0], "b.weight": shards[1]}
        files = {shards[0]: [self.matrix("a.weight")], shards[1]: [self.matrix("b.weight")]}
        cases = {"ghost": ("corrupt", {**placed, "mtp.weight": shards[1]}, ("mtp.weight", "in no shard", "take the tensor out of the index")),
                 "unlisted": ("corrupt", {"a.weight": shards[0], "c.weight": shards[1]}, ("b.weight", "not in model.safetensors.index.json")),
                 "elsewhere": ("corrupt", {"a.weight": shards[1], "b.weight": shards[0]}, ("a.weight", f"places it in {shards[1]}"))}
        for name, (kind, weight_map, naming) in cases.items():
            with self.subTest(name):
                folder = self.folder_of({**files, "model.safetensors.index.json": self.index(weight_map)})
                self.fails(kind, "inspect", folder, naming=naming)
        folder = self.folder_of({**files, "model.safetensors.index.json": self.index(placed)})
        content = (folder / shards[1]).read_bytes()
        (folder / shards[1]).write_bytes(content[:-1000])
        self.fails("corrupt", "inspect", folder, naming=(shards[1], "was cut short, get it again"))
        (folder / shards[1]).unlink()
        self.fails("io", "inspect", folder, naming=(shards[1], "the shard is missing", "get it too"))
        (folder / "model.safetensors.index.json").unlink()
        self.fails("invalid_argument", "inspect", folder, naming=("1 of 2 shards, and no index", "get model.safetensors.index.json too"))

    def test_pointers_of_git_lfs(self):
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4988025760\n"
        for files in ({"model.safetensors": pointer}, {"model.safetensors": [self.matrix()], "tokenizer.json": pointer}):
            folder = self.folder_of(files)
            self.fails("io", "inspect", folder, naming=(list(files)[-1], "pointer of Git LFS", "git lfs pull", "hf download"))
        for name in ("model.gguf", "weights"):
            self.fails("io", "inspect", self.folder_of({name: pointer}) / name, naming=(name, "pointer of Git LFS"))

    def test_folders_of_other_formats(self):
        cases = [("unsupported", {"pytorch_model.bin": b"PK\x03\x04", "config.json": "{}"}, ("pytorch_model.bin", "pickles", "save_pretrained")),
                 ("unsupported", {"consolidated.00.pth": b"PK\x03\x04"}, ("consolidated.00.pth", "pickles")),
                 ("unsupported", {"model.onnx": "x"}, ("model.onnx", "as safetensors or GGUF")),
                 ("invalid_argument", {"model-Q4.gguf": "GGUF", "README.md": "x"}, ("holds GGUF files", "/model-Q4.gguf")),
                 ("invalid_argument", {"README.md": "x"}, ("no weights in this folder", "looked for model.safetensors.index.json"))]
        for kind, files, naming in cases:
            with self.subTest(list(files)[0]):
                self.fails(kind, "inspect", self.folder_of(files), naming=naming)

    def test_files_of_other_formats(self):
        cases = {"a.bin": ("unsupported", b"PK\x03\x04" + bytes(60), "PyTorch pickle"), "b.pt": ("unsupported", b"\x80\x02\x8a\x0al", "torch.load"),
                 "c.safetensors": ("io", b"<!DOCTYPE html><html></html>", "web page"), "d.h5": ("unsupported", b"\x89HDF\r\n\x1a\n", "HDF5"),
                 "e.npy": ("unsupported", b"\x93NUMPY\x01\x00", "numpy"), "f.npz": ("unsupported", b"PK\x03\x04" + bytes(26) + b"w.npy", "numpy"),
                 "g.tar.gz": ("unsupported", b"\x1f\x8b\x08\x00" + bytes(8), "gunzip"), "h.bin": ("unsupported", b"tjgg" + bytes(60), "before GGUF"),
                 "i.txt": ("unsupported", b"hello, world", "neither GGUF nor safetensors")}
        folder = self.folder_of({name: content for name, (_, content, _) in cases.items()})
        for name, (kind, _, message) in cases.items():
            with self.subTest(name):
                self.fails(kind, "inspect", folder / name, naming=(name, message))

    def test_what_is_no_file(self):
        self.fails("invalid_argument", "compress", "https://hub.example/a/model.safetensors", "-o", self.path("x"), naming=("is an address", "hf download"))
        for pipe in ("-", "/dev/stdin"):
            self.fails("invalid_argument", "compress", "-o", self.path("x"), "--", pipe, naming="save it to a file first")
        self.fails("io", "compress", "owner/model", "-o", self.path("x"), naming=("no such file or folder", "hf download owner/model"))
        self.fails("io", "compress", "/nowhere", "-o", self.path("x"), naming="/nowhere: no such file or folder")

    def test_one_shard_alone_is_noted(self):
        folder = self.folder_of({"model-00001-of-00002.safetensors": [self.matrix()]})
        report = self.json("inspect", folder / "model-00001-of-00002.safetensors")
        self.assertIn("this is shard 1 of 2 alone", "".join(report["notes"]))

    def test_an_importance_matrix_is_checked_first_and_named(self):
        source = self.path("imatrix.gguf")
        writer = gguf.GGUFWriter(str(source), "llama")
        writer.add_tensor("blk.0.ffn_up.weight", weights(np.random.default_rng(1), 96, 128).astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        name = b"blk.0.ffn_up.weight"
        for values, message in ((np.zeros(128), "all 128 second moments are zero"), (np.ones(64), "made for another model")):
            matrix = self.path("imatrix.dat")
            matrix.write_bytes(np.int32([1, len(name)]).tobytes() + name + np.int32([1, len(values)]).tobytes() + values.astype(np.float32).tobytes())
            for command in ("inspect-like", "compress"):
                options = ("--dry-run",) if command == "inspect-like" else ("-o", self.path("imatrix.out"))
                self.fails("invalid_argument", "compress", source, "--importance", matrix, *options, naming=(matrix, "blk.0.ffn_up.weight", message))


if __name__ == "__main__":
    cli_support.main()
