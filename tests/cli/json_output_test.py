# SPDX-License-Identifier: BSD-3-Clause
"""The keys of --json that docs/json.md promises, and that their numbers agree with the files."""
import cli_support
from cli_support import CliTest, needs_ffmpeg


class JsonOutput(CliTest):
    models = ("moe", "llama")

    def setUp(self):
        self.out = self.path(self.id().rsplit(".", 1)[1] + ".safetensors")

    def has(self, report, *keys):
        for key in keys:
            self.assertIn(key, report)
            self.assertIsNotNone(report[key], key)

    def test_compress_and_its_accounting(self):
        report = self.json("compress", self.path("llama.gguf"), "-o", self.out, "--codec", "raw")
        self.has(report, "parameters", "bytes", "bpw", "bpw_weights", "snr_db", "relative_mse", "encode_seconds", "wall_seconds", "tensors")
        self.assertEqual(report["bytes"], self.out.stat().st_size)
        self.assertAlmostEqual(report["bpw"], 8 * report["bytes"] / report["parameters"], places=9)
        self.assertLess(report["bpw_weights"], report["bpw"])
        for tensor in report["tensors"]:
            self.has(tensor, "name", "dtype", "shape", "coded", "bytes", "bpw")

    def test_decompress_verify_inspect_plan(self):
        self.ok("compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "raw")
        self.has(self.json("decompress", self.out, "-o", self.path("d.safetensors")), "parameters", "bytes", "decode_seconds", "wall_seconds")
        self.has(self.json("verify", self.out, "--against", self.path("moe.safetensors")), "snr_db", "relative_mse", "max_abs_error",
                 "cosine", "decode_seconds", "tensors", "sandbox")
        self.has(self.json("inspect", self.out), "parameters", "bytes", "bpw", "bpw_weights", "tensors", "command", "writer")
        self.has(self.json("plan", self.path("moe.safetensors"), "--bpw", "4"), "plan", "predicted_bytes", "predicted_bpw",
                 "predicted_snr_db", "predicted_seconds")

    def test_plan_is_near_what_comes_out(self):
        for codec in ("raw", "vvc"):
            with self.subTest(codec):
                options = ["--codec", codec] + (["--bpw", "3"] if codec != "raw" else [])
                planned = self.json("plan", self.path("moe.safetensors"), *options)
                made = self.json("compress", self.path("moe.safetensors"), "-o", self.path(f"planned.{codec}.safetensors"), *options)
                self.assertLess(abs(planned["predicted_bytes"] / made["bytes"] - 1), 0.05)

    def test_extract_and_threads_of_every_command(self):
        self.ok("compress", self.path("moe.safetensors"), "-o", self.out, "--step", "1", "--threads", "1")
        name = next(t["name"] for t in self.json("inspect", self.out, "--threads", "2")["tensors"] if t["coded"])
        for options in ([], ["--samples"]):
            sizes = [self.json("extract", self.out, name, "-o", self.path("part"), "--threads", threads, *options)["bytes"]
                     for threads in ("1", "3")]
            self.assertEqual(sizes, [self.path("part").stat().st_size] * 2)
        self.ok("codecs", "--threads", "1")

    def test_codecs(self):
        rows = self.json("codecs")
        rows = rows["codecs"] if isinstance(rows, dict) else rows
        names = {row["name"] for row in rows}
        self.assertLessEqual({"raw", "vvc"}, names)

    def test_sandbox_is_named_by_codecs_and_verify(self):
        state = self.json("codecs")["sandbox"]
        self.assertRegex(state, r"^(landlock\+seccomp|none: .+)$")
        self.ok("compress", self.path("moe.safetensors"), "-o", self.out, "--codec", "raw")
        self.assertEqual(self.json("verify", self.out)["sandbox"], state)
        for command in (["codecs"], ["verify", self.out]):
            self.assertIn(state, self.ok(*command).stdout)

    def test_bench_of_own_codec(self):
        report = self.json("bench", "--codecs", "vvc", "--bpw", "2.3", "--size", "256x256")
        for row in report["rows"]:
            self.has(row, "codec", "source", "bpw", "snr_db", "gap_db", "encode_mws", "decode_mws")
            self.assertLess(abs(row["bpw"] / 2.3 - 1), 0.1)
            self.assertGreater(row["gap_db"], 0.5)

    @needs_ffmpeg
    def test_bench_of_an_encoder(self):
        report = self.json("bench", "--codecs", "libx265:preset=ultrafast", "--bpw", "3", "--size", "256x256")
        self.assertTrue(report["rows"])


if __name__ == "__main__":
    cli_support.main()
