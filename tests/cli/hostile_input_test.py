# SPDX-License-Identifier: BSD-3-Clause
"""Inputs and options made to crash the program, to fill its memory or to pass for sound: each is one clear error."""
import json
import resource
import shutil

import numpy as np

import cli_support
import safetensors_stream as st
from cli_support import CliTest

DEEP = "[" * 200_000 + "]" * 200_000


def two_gigabytes():
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


class HostileInput(CliTest):
    models = ("moe", "folder")

    def setUp(self):
        self.out = self.path(self.id().rsplit(".", 1)[1] + ".safetensors")

    def model(self, name, **tensors):
        """A safetensors file of these arrays."""
        path = self.path(name)
        dtypes = {"float16": "F16", "float32": "F32", "float64": "F64"}
        st.write(str(path), [st.Entry(key, dtypes[values.dtype.name], values.shape, values) for key, values in tensors.items()])
        return path

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
        archive = self.path("deep_archive")
        self.ok("compress", self.path("folder"), "-o", archive, "--codec", "raw")
        (archive / "config.json").write_text('{"a":%s}' % DEEP)
        self.fails("limit", "decompress", archive, "-o", self.path("deep_restored"), naming="config.json", preexec_fn=two_gigabytes)

    def test_deep_json_of_a_plan(self):
        plan = self.path("deep_plan.json")
        for content in (DEEP, '{"llmcodec_plan":1,"tensors":[%s]}' % DEEP, '{"llmcodec_plan":%s,"tensors":[]}' % DEEP):
            plan.write_text(content)
            self.fails("limit", "compress", self.path("moe.safetensors"), "-o", self.out, "--plan", plan, naming=plan.name,
                       preexec_fn=two_gigabytes)


if __name__ == "__main__":
    cli_support.main()
