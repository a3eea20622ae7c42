# SPDX-License-Identifier: BSD-3-Clause
"""Inputs and options made to crash the program, to fill its memory or to pass for sound: each is one clear error."""
import json
import resource
import shutil

import numpy as np

import cli_support
import safetensors_stream as st
from cli_support import EXIT, CliTest

DEEP = "[" * 200_000 + "]" * 200_000


def two_gigabytes():
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


class HostileInput(CliTest):
    models = ("moe", "folder", "llama")

    def setUp(self):
        self.out = self.path(self.id().rsplit(".", 1)[1] + ".safetensors")

    def model(self, name, **tensors):
        """A safetensors file of these arrays."""
        path = self.path(name)
        dtypes = {"float16": "F16", "float32": "F32", "float64": "F64"}
        st.write(str(path), [st.Entry(key, dtypes[values.dtype.name], values.shape, values) for key, values in tensors.items()])
        return path

    # --- what a terminal would obey

    def test_nothing_in_a_name_or_a_recorded_command_reaches_a_terminal(self):
        name = "w\x1b[2J\r\n\t\x7f\u009b31m\u202e\u2028\ufeff"
        model = self.model("names.safetensors", **{name: np.ones((64, 96), np.float32), name + "2": np.ones(3, np.float32)})
        commands = [["inspect", model], ["plan", model, "--codec", "raw"],
                    ["compress", model, "-o", self.out, "--codec", "raw", "--keep", "\ufeff2$|\x1b\n"],
                    ["inspect", self.out], ["verify", self.out], ["verify", self.out, "--against", model]]
        for command in commands:
            for form in ([], ["--json"]):
                with self.subTest(command=command[0], form=form):
                    result = self.ok(*command, *form)
                    shown = result.stdout + result.stderr
                    self.assertEqual([c for c in shown if c != "\n" and not (" " <= c <= "~" or "\xa0" <= c < "\u2000")], [])
                    if form and "tensors" in result.stdout:
                        self.assertIn(name, [tensor["name"] for tensor in json.loads(result.stdout)["tensors"]])
        self.assertIn("w\\x1b[2J\\x0d\\x0a\\x09\\x7f\\u009b31m\\u202e\\u2028\\ufeff", self.ok("inspect", self.out).stdout)
        self.assertNotIn("\x1b", self.fails("invalid_argument", "extract", self.out, "\x1b[2J", "-o", self.path("none"), naming="\\x1b[2J").stderr)

    def test_a_long_name_neither_fills_the_screen_nor_pads_the_table(self):
        tensors = {f"w{i}": np.ones(1, np.float32) for i in range(300)}
        model = self.model("padding.safetensors", **tensors, **{"x" * 1_000_000: np.ones(1, np.float32)})
        self.assertLess(len(self.ok("inspect", model).stdout), 100_000)
        cut = self.path("cut.safetensors")
        cut.write_bytes(model.read_bytes()[:-1])
        self.assertLess(len(self.fails("corrupt", "inspect", cut, naming=(cut, "xxx... (1000000 bytes)")).stderr), 2000)

    # --- outputs that lead elsewhere

    def test_an_output_that_is_a_link_is_refused_and_stays(self):
        model, archive, target = self.path("moe.safetensors"), self.path("linked.archive"), self.path("target")
        self.ok("compress", model, "-o", archive, "--codec", "raw", "--step", "1")
        target.write_text("mine")
        name = self.json("inspect", archive)["tensors"][0]["name"]
        for destination in (target, self.path("nowhere"), self.out):
            self.out.symlink_to(destination)
            for command in (["compress", model, "--codec", "raw", "--step", "1"], ["decompress", archive], ["extract", archive, name],
                            ["plan", model, "--codec", "raw", "--step", "1"]):
                with self.subTest(command=command[0], destination=destination.name):
                    self.fails("invalid_argument", *command, "-o", self.out, naming=(self.out, "symbolic link"))
                    self.assertTrue(self.out.is_symlink())
            self.out.unlink()
        self.assertEqual(target.read_text(), "mine")

    def test_a_folder_with_a_forged_stopped_swap(self):
        archive, forged, mine = self.path("swap.archive"), self.path("forged"), self.path("mine")
        self.ok("compress", self.path("folder"), "-o", archive, "--codec", "raw", "--step", "0.05")
        for command in (["decompress", archive], ["compress", self.path("folder"), "--codec", "raw", "--step", "0.05"]):
            for name in (str(mine), "../mine", "link/file"):
                with self.subTest(command=command[0], name=name):
                    shutil.rmtree(forged, ignore_errors=True)
                    (forged / ".llmcodec-replaced").mkdir(parents=True)
                    mine.mkdir(exist_ok=True)
                    (mine / "file").write_text("mine")
                    (forged / "link").symlink_to(mine)
                    (forged / ".llmcodec-replaced/.llmcodec-names").write_text(name + "\0")
                    self.fails("corrupt", *command, "-o", forged, naming=(forged, "leads out of this folder"))
                    self.assertEqual((mine / "file").read_text(), "mine")

    # --- options, and what the system refuses

    def test_an_empty_value_is_an_error_and_no_default(self):
        compress = ["compress", self.path("moe.safetensors"), "-o", self.out]
        for option in ("--plan", "--importance", "--hessian", "--keep", "--set", "--snr", "--codec", "--ffmpeg"):
            self.fails("invalid_argument", *compress, option, "", naming=option)
        for command in (["inspect", ""], ["verify", ""], ["decompress", self.out, "-o", ""], ["vvc", "decode", "", "--md5"]):
            self.fails("invalid_argument", *command, naming="an empty value is none")
        self.assertFalse(self.out.exists())

    def test_too_little_memory_for_threads_is_no_mistake_of_the_program(self):
        for megabytes in range(18, 60, 3):
            def limit(size=megabytes << 20):
                resource.setrlimit(resource.RLIMIT_AS, (size, size))
            result = cli_support.run("compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "raw", "--step", "1", "--threads", "4",
                                     preexec_fn=limit)
            if result.returncode == 127 or "loading shared libraries" in result.stderr:
                continue  # not even the program fits
            self.assertIn(result.returncode, (0, EXIT["io"], EXIT["limit"]), (megabytes, result.stderr))
            if result.returncode:
                self.assertIn("llmcodec: error:", result.stderr)

    def test_a_name_that_no_archive_can_hold(self):
        gguf = self.path("bytes.gguf")
        content = self.path("llama.gguf").read_bytes()
        gguf.write_bytes(content.replace(b"blk.0.attn_q.weight", b"blk.0.att\xff\x9bq.weight"))
        for command in (["compress", gguf, "-o", self.out], ["plan", gguf]):
            self.fails("invalid_argument", *command, naming=(gguf, "blk.0.att\\xff\\x9bq.weight", "not UTF-8"))
        self.assertIn("blk.0.att\\xff\\x9bq.weight", self.ok("inspect", gguf).stdout)

    def test_folders_inside_each_other_without_end(self):
        folder = self.path("deep_folder")
        shutil.copytree(self.path("folder"), folder)
        (folder / "/".join("d" * 66)).mkdir(parents=True)
        for command in (["inspect", folder], ["compress", folder, "-o", self.path("deep_folder_out")]):
            self.fails("limit", *command, naming=(folder, "levels of folders"))

    # --- patterns

    def test_a_very_long_name_and_a_pattern_that_backtracks(self):
        long = self.model("long_name.safetensors", **{"x" * 100_000: np.ones((64, 96), np.float32)})
        for pattern in (".*norm.*", "(x+x+)+y"):
            self.fails("invalid_argument", "compress", long, "-o", self.out, "--keep", pattern, naming=("matches no tensor", pattern),
                       timeout=60)
        self.ok("compress", long, "-o", self.out, "--codec", "raw", "--set", ".*x$=bit_depth:8", timeout=60)

    def test_look_around_and_back_references_are_refused(self):
        for option in (["--keep", "(?=a)b"], ["--keep", r"(a)\1"], ["--set", "(?!a)b=bit_depth:8"]):
            self.fails("invalid_argument", "compress", self.path("moe.safetensors"), "-o", self.out, *option,
                       naming="no look-around and no back-references")

    # --- JSON that is nested deeply

    def test_deep_json_of_a_model_folder(self):
        for file, content in (("config.json", '{"a":%s}' % DEEP), ("model.safetensors.index.json", '{"metadata":%s}' % DEEP)):
            with self.subTest(file):
                folder = self.path("deep." + file)
                shutil.copytree(self.path("folder"), folder)
                (folder / file).write_text(content)
                self.fails("limit", "compress", folder, "-o", self.path("deep_out"), "--codec", "raw", naming=file, preexec_fn=two_gigabytes)

    def test_deep_json_in_an_archive_folder(self):
        archive = self.path("deep_archive")  # of version 2, which has no checksum that says so before
        shutil.copytree(cli_support.TESTS / "data/archive/v2/folder", archive)
        (archive / "config.json").write_text('{"a":%s}' % DEEP)
        self.fails("limit", "decompress", archive, "-o", self.path("deep_restored"), naming="config.json", preexec_fn=two_gigabytes)

    def test_deep_json_of_a_plan(self):
        plan = self.path("deep_plan.json")
        for content in (DEEP, '{"llmcodec_plan":1,"tensors":[%s]}' % DEEP, '{"llmcodec_plan":%s,"tensors":[]}' % DEEP):
            plan.write_text(content)
            self.fails("limit", "compress", self.path("moe.safetensors"), "-o", self.out, "--plan", plan, naming=plan.name,
                       preexec_fn=two_gigabytes)

    # --- steps

    def test_steps_that_an_archive_cannot_carry(self):
        model = self.path("moe.safetensors")
        for options in (["--step", "1e308"], ["--step", "1e39"], ["--step", "1e-46"], ["--step", "1", "--set", ".=step_octaves:200"],
                        ["--bpw", "3", "--set", "q_proj=step_octaves:-500"], ["--bpw", "3", "--codec", "raw", "--set", ".=step_octaves:1e5"]):
            for command in (["compress", model, "-o", self.out], ["plan", model]):
                with self.subTest(options=options, command=command[0]):
                    self.fails("invalid_argument", *command, *options, naming="a quantiser step of")
                    self.assertFalse(self.out.exists())

    def test_targets_far_from_sense(self):
        for options, message in ((["--bpw", "1e308"], "bits per weight: must be"), (["--bpw", "1001"], "bits per weight: must be"),
                                 (["--snr", "1e308"], "dB: must be"), (["--snr=-1e308"], "dB: must be"), (["--snr", "nan"], "dB: must be"),
                                 (["--snr", "inf"], "dB: must be")):
            for command in (["compress", self.path("moe.safetensors"), "-o", self.out], ["plan", self.path("moe.safetensors")]):
                with self.subTest(options=options, command=command[0]):
                    self.fails("invalid_argument", *command, *options, naming=message)
                    self.assertFalse(self.out.exists())

    def test_steps_of_a_plan(self):
        plan = self.path("step_plan.json")
        self.ok("plan", self.path("moe.safetensors"), "--step", "1", "-o", plan)
        content = json.loads(plan.read_text())
        coded = next(tensor for tensor in content["tensors"] if "step" in tensor)
        for text in ("1e308", "1e39", "1e-300", "0", "-1"):
            plan.write_text(json.dumps({**content, "tensors": [{**t, "step": "HERE"} if t is coded else t for t in content["tensors"]]})
                            .replace('"HERE"', text))
            self.fails("invalid_argument", "compress", self.path("moe.safetensors"), "-o", self.out, "--plan", plan,
                       naming=(coded["name"], "'step'"))
            self.assertFalse(self.out.exists())

    def test_the_extreme_steps_make_sound_archives(self):
        for step in ("1e-12", "1e12"):
            for layout in (["--layout", "spectral"], ["--layout", "spatial"], ["--codec", "raw"]):
                with self.subTest(step=step, layout=layout):
                    self.ok("compress", self.path("moe.safetensors"), "-o", self.out, "--step", step, *layout)
                    self.ok("verify", self.out)

    # --- values past the range of a dtype

    def restored(self, archive, *options):
        self.ok("decompress", archive, "-o", self.out, *options)
        return {name: cli_support.as_floats(*tensor) for name, tensor in cli_support.arrays(self.out).items()}

    def test_weights_that_the_dtype_asked_for_cannot_hold(self):
        coded = np.random.default_rng(1).standard_normal((64, 96)).astype(np.float32)
        coded[3, 5] = 1e6
        for name, model in (("coded", {"w": coded}), ("exact", {"v": np.float64([1, -1e6])})):
            with self.subTest(name):
                source, archive = self.model(name + ".large.safetensors", **model), self.path(name + ".large.archive")
                self.ok("compress", source, "-o", archive, "--codec", "raw")
                self.out.unlink(missing_ok=True)
                self.fails("invalid_argument", "decompress", archive, "-o", self.out, "--dtype", "f16",
                           naming=(f"'{next(iter(model))}'", "reach 1000000", "--saturate"))
                self.assertFalse(self.out.exists())
                for dtype, largest in (("f32", 1e6), ("bf16", 999424)):
                    self.assertEqual(max(np.abs(t).max() for t in self.restored(archive, "--dtype", dtype).values()), largest)
                self.assertEqual(max(np.abs(t).max() for t in self.restored(archive, "--dtype", "f16", "--saturate").values()), 65504)

    def test_weights_that_narrower_dtypes_cannot_hold_are_said_beforehand(self):
        noise = np.random.default_rng(3).standard_normal((64, 96)).astype(np.float32)
        for largest, dtypes in ((65504, []), (1e6, ["F16"]), (3.4e38, ["F16", "BF16"])):
            noise[3, 5] = largest
            source = self.model("large.safetensors", w=noise)
            for command in (["plan", source], ["compress", source, "-o", self.path("large.archive")]):
                notes = [note for note in self.json(*command, "--codec", "raw", "--step", "1")["notes"] if "reach" in note]
                self.assertEqual(len(notes), len(dtypes), notes)
                for dtype, note in zip(dtypes, notes):
                    self.assertRegex(note, rf"1 tensors, the first w, reach .* at which {dtype} ends.*--saturate")

    def test_doubles_that_floats_cannot_hold(self):
        archive = self.path("doubles.archive")
        self.ok("compress", self.model("doubles.safetensors", v=np.float64([1e300, 1])), "-o", archive, "--codec", "raw")
        self.ok("decompress", archive, "-o", self.out)
        self.assertEqual(list(cli_support.arrays(self.out)["v"][1]), [1e300, 1])
        self.fails("invalid_argument", "decompress", archive, "-o", self.out, "--dtype", "f32", naming=("'v'", "1e+300"))
        self.assertEqual(self.restored(archive, "--dtype", "f32", "--saturate")["v"][0], np.finfo(np.float32).max)

    def test_noise_at_the_end_of_the_own_dtype_stays_finite(self):
        noise = np.random.default_rng(2).standard_normal((64, 96))
        for dtype in (np.float16, np.float32):
            end = float(np.finfo(dtype).max)
            source = self.model("end.safetensors", w=np.clip(noise * end / 2, -end, end).astype(dtype))
            for options in (["--bpw", "4"], ["--step", "1"], ["--codec", "raw"]):
                with self.subTest(dtype=dtype.__name__, options=options):
                    self.ok("compress", source, "-o", self.path("end.archive"), *options)
                    self.assertTrue(np.isfinite(self.restored(self.path("end.archive"))["w"]).all())


if __name__ == "__main__":
    cli_support.main()
