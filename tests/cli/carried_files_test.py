# SPDX-License-Identifier: BSD-3-Clause
"""The files that lie beside an archive: listed, checked, copied, and never a way out of the folder."""
import json
import os
import shutil

import cli_support
import independent_decode
from cli_support import CliTest


class CarriedFiles(CliTest):
    models = ("folder",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.archive = cls.folder / "archive"
        cli_support.run("compress", cls.folder / "folder", "-o", cls.archive, "--codec", "raw")

    def copy(self):
        """A copy of the archive that may be damaged."""
        target = self.path(self.id().rsplit(".", 1)[1])
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.archive, target)
        return target

    def refused(self, kind, archive, naming):
        """By verify and by decompress alike, and nothing is restored."""
        out = self.path("refused_out")
        shutil.rmtree(out, ignore_errors=True)
        self.fails(kind, "verify", archive, naming=naming)
        self.fails(kind, "decompress", archive, "-o", out, naming=naming)
        self.assertEqual(list(out.rglob("*")) if out.exists() else [], [])

    def restored(self, archive):
        out = self.path("restored_out")
        shutil.rmtree(out, ignore_errors=True)
        self.ok("decompress", archive, "-o", out)
        return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}

    def test_listed_in_shard_0_as_they_lie_there(self):
        description = independent_decode.read_description(*independent_decode.read_safetensors(self.archive / "model.safetensors"))
        self.assertEqual(description["format_version"], 3)
        self.assertEqual(set(description["carried"]), {"config.json", "tokenizer_config.json", "sub/notes.json"})
        for name, (size, _) in description["carried"].items():
            self.assertEqual((self.archive / name).stat().st_size, size)

    def test_sound_as_written(self):
        report = self.json("verify", self.archive)
        self.assertEqual((report["carried_files"], report["carried_checked"]), ("checked", 3))

    def test_missing_changed_longer(self):
        for name in ("tokenizer_config.json", "sub/notes.json", "config.json"):
            with self.subTest(name):
                archive = self.copy()
                content = (archive / name).read_bytes()
                (archive / name).unlink()
                self.refused("io", archive, (name, "is missing; it belongs to the archive"))
                (archive / name).write_bytes(content.replace(b"e", b"f", 1))
                self.refused("corrupt", archive, (name, "fails its checksum"))
                (archive / name).write_bytes(content + b" ")
                self.refused("corrupt", archive, (name, f"has {len(content) + 1} bytes, the archive says {len(content)}"))
                (archive / name).write_bytes(content)
                self.ok("verify", archive)

    def test_only_what_is_listed_is_copied(self):
        archive = self.copy()
        (archive / "README.md").write_text("a model card")
        os.symlink("/etc/passwd", archive / "passwords")
        self.ok("verify", archive)
        self.assertEqual(self.restored(archive), {"model.safetensors", "config.json", "tokenizer_config.json", "sub/notes.json"})

    def test_a_file_in_place_of_a_folder_and_a_pipe_in_place_of_a_file(self):
        archive = self.copy()
        (archive / "tokenizer_config.json").unlink()
        os.mkfifo(archive / "tokenizer_config.json")
        self.refused("io", archive, "not a regular file")

    def test_links_in_an_archive_folder_are_refused(self):
        secret = self.path("secret")
        secret.mkdir(exist_ok=True)
        shutil.copy(self.archive / "sub/notes.json", secret)  # with the right checksum, even
        archive = self.copy()
        (archive / "sub/notes.json").unlink()
        os.symlink(secret / "notes.json", archive / "sub/notes.json")
        self.refused("unsupported", archive, ("sub/notes.json", "is a link", "cp -rL"))
        shutil.rmtree(archive / "sub")
        os.symlink(secret, archive / "sub")
        self.refused("unsupported", archive, ("/sub:", "is a link"))

    def test_weights_that_are_carried_along_are_replaced_by_the_same_command(self):
        source, archive, back = (self.path(f"with_adapter{end}") for end in ("", ".archive", ".back"))
        shutil.copytree(self.folder / "folder", source)
        for name in ("adapter_model.safetensors", "pytorch_model.bin"):
            (source / name).write_bytes(b"other weights")
        carry = ["--carry", "adapter_model", "--carry", "pytorch_model"]
        for step in ("0.4", "0.8"):
            self.ok("compress", source, "-o", archive, "--step", step, *carry)
            for _ in range(2):
                self.ok("decompress", archive, "-o", back)
            self.ok("verify", archive, "--against", source)
            self.assertEqual((back / "pytorch_model.bin").read_bytes(), (source / "pytorch_model.bin").read_bytes())
        # Of a model that does not bring them, they are somebody else's.
        self.fails("invalid_argument", "compress", source, "-o", archive, "--step", "0.4", naming="the folder holds other weights")
        self.fails("invalid_argument", "decompress", self.archive, "-o", back, naming="the folder holds other weights")

    def test_what_is_no_regular_file_is_left_out_with_a_note(self):
        source = self.path("with_a_pipe")
        shutil.copytree(self.folder / "folder", source)
        os.mkfifo(source / "sub/pipe.json")
        report = self.json("compress", source, "-o", self.path("pipe.archive"), "--step", "0.4")
        self.assertIn("left out: sub/pipe.json, which is no regular file", " ".join(report["notes"]))
        self.ok("verify", self.path("pipe.archive"), "--against", source)

    def test_links_beside_an_archive_of_version_2_are_refused(self):
        archive = self.path("version_2")
        shutil.copytree(cli_support.TESTS / "data/archive/v2/folder", archive, dirs_exist_ok=True)
        self.assertIn("tokenizer/words.txt", self.restored(archive))
        os.symlink("/etc/passwd", archive / "passwords")
        self.refused("unsupported", archive, ("passwords", "is a link"))

    def hub_cache(self, source):
        """The folder `source` as `hf download` puts it into the cache: the snapshot's files are links into blobs."""
        root = self.path(self.id().rsplit(".", 1)[1]) / "models--owner--name"
        shutil.rmtree(root, ignore_errors=True)
        (root / "refs").mkdir(parents=True)
        (root / "refs/main").write_text("0123abcd")
        (root / "blobs").mkdir()
        snapshot = root / "snapshots/0123abcd"
        for number, path in enumerate(sorted(path for path in source.rglob("*") if path.is_file())):
            target = snapshot / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / f"blobs/{number:08x}")
            os.symlink(os.path.relpath(root / f"blobs/{number:08x}", target.parent), target)
        return root, snapshot

    def test_a_model_in_the_cache_of_hugging_face(self):
        root, snapshot = self.hub_cache(self.path("folder"))
        for name, source in (("snapshot", snapshot), ("repository", root)):
            archive = self.path(f"cache_archive_{name}")
            self.ok("compress", source, "-o", archive, "--codec", "raw")
            self.assertFalse(any(path.is_symlink() for path in archive.rglob("*")))
            self.ok("verify", archive)
            for file in ("config.json", "tokenizer_config.json", "sub/notes.json"):
                self.assertEqual((self.archive / file).read_bytes(), (archive / file).read_bytes())

    def test_a_link_of_the_cache_that_leads_nowhere_is_named(self):
        _, snapshot = self.hub_cache(self.path("folder"))
        (snapshot / "tokenizer_config.json").resolve().unlink()
        self.fails("io", "compress", snapshot, "-o", self.path("dangling_out"), "--codec", "raw",
                   naming=("tokenizer_config.json", "is a link to ../../blobs/", "which is not there"))

    def test_several_snapshots_are_named(self):
        root, snapshot = self.hub_cache(self.path("folder"))
        (root / "refs/main").unlink()
        self.ok("inspect", root)  # the only one
        shutil.copytree(snapshot, snapshot.parent / "4567cdef", symlinks=True)
        self.fails("invalid_argument", "inspect", root, naming=("several snapshots", "0123abcd", "4567cdef"))

    def test_an_archive_in_the_cache_of_hugging_face(self):
        root, snapshot = self.hub_cache(self.archive)
        for place in (snapshot, root):
            self.assertEqual(self.json("verify", place)["carried_checked"], 3)
            self.assertEqual(self.restored(place), {"model.safetensors", "config.json", "tokenizer_config.json", "sub/notes.json"})

    def test_links_that_leave_the_cache_of_an_archive_are_refused(self):
        root, snapshot = self.hub_cache(self.archive)
        link, blob = snapshot / "tokenizer_config.json", (snapshot / "tokenizer_config.json").resolve()
        secret = root.parent / "secret"
        shutil.copy(blob, secret)  # with the right checksum, even
        inside = os.readlink(link)

        def leads_to(target):
            link.unlink()
            os.symlink(target, link)
            self.refused("unsupported", snapshot, ("tokenizer_config.json", "is a link"))

        leads_to("../../../secret")
        leads_to("../../blobs/../../secret")
        leads_to(secret)
        leads_to(blob)  # absolute, though it ends in the right place
        leads_to("config.json")  # in the folder, but no blob
        link.unlink()
        os.symlink(inside, link)
        blob.unlink()
        os.symlink(secret, blob)  # a blob that is a link itself
        self.refused("unsupported", snapshot, "is a link")
        blob.unlink()
        shutil.copy(secret, blob)
        self.ok("verify", snapshot)
        outside = root.parent / "outside"
        os.rename(root / "blobs", outside)
        os.symlink(outside, root / "blobs")  # all blobs elsewhere
        self.refused("unsupported", snapshot, "is a link")

    def test_a_model_whose_files_cannot_be_listed_is_refused_before_work(self):
        for name, message in (("new\nline.txt", "no plain name"), ("back\\slash", "no plain name"), (b"latin\xe9", "no plain name")):
            with self.subTest(name=name):
                source, out = self.path("odd_names"), self.path("odd_out")
                shutil.rmtree(source, ignore_errors=True)
                shutil.copytree(self.path("folder"), source)
                (source / os.fsdecode(name)).write_text("x")
                self.fails("invalid_argument", "compress", source, "-o", out, "--codec", "raw", naming=message)
                self.assertFalse(out.exists())

    def test_shards_of_two_archives_are_no_archive(self):
        # Two models of one layout: a bit of the last weight of each file is another.
        changed, archives = self.path("changed"), (self.path("one"), self.path("other"))
        shutil.copytree(self.path("folder"), changed)
        for file in changed.glob("*.safetensors"):
            content = bytearray(file.read_bytes())
            content[-2] ^= 1
            file.write_bytes(content)
        for source, archive in zip((self.path("folder"), changed), archives):
            self.ok("compress", source, "-o", archive, "--codec", "raw", "--shard-size", "400K")
        shards = sorted(path.name for path in archives[0].glob("model-*.safetensors"))
        self.assertGreater(len(shards), 1)
        self.ok("verify", archives[0])
        shutil.copy(archives[1] / shards[-1], archives[0] / shards[-1])
        self.refused("corrupt", archives[0], (shards[-1], "belongs to another archive than"))


if __name__ == "__main__":
    cli_support.main()
