#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""LLMCodec as a sub-project: configures a project that uses it and looks at the compile commands. Nothing is built.

usage: subproject_test.py CMAKE CXX_COMPILER
"""
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Subproject(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([CMAKE, "-G", "Ninja", "-S", HERE, "-B", folder, f"-DLLMCODEC_ROOT={ROOT}",
                            f"-DCMAKE_CXX_COMPILER={COMPILER}"], check=True, stdout=subprocess.DEVNULL)
            entries = json.loads((pathlib.Path(folder) / "compile_commands.json").read_text())
        cls.commands = {pathlib.Path(entry["file"]).relative_to(ROOT).as_posix(): shlex.split(entry["command"])
                        for entry in entries}

    def test_our_flags_stay_with_us(self):
        command = self.commands["tests/subproject/consumer.cc"]
        self.assertEqual([word for word in command if word.startswith(("-W", "-ffp"))], [])
        self.assertNotIn(f"-I{ROOT}/src", command)
        self.assertIn(f"-I{ROOT}/include", command)

    def test_ours_are_compiled_with_them(self):
        command = self.commands["src/base/file.cc"]
        self.assertIn("-Werror", command)
        self.assertIn("-ffp-contract=off", command)

    def test_no_tests_are_built(self):
        self.assertEqual([file for file in self.commands if file.startswith("tests/")], ["tests/subproject/consumer.cc"])


if __name__ == "__main__":
    CMAKE, COMPILER = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
