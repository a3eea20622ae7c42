#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of tools/header_examples.py: what becomes of an example, and what is refused."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import header_examples


class HeaderExamples(unittest.TestCase):
    def generate(self, comment, name="a.h"):
        """(exit code, generated file, messages) for one header with this comment."""
        with tempfile.TemporaryDirectory() as folder:
            header, output = pathlib.Path(folder) / name, pathlib.Path(folder) / "out.cc"
            header.write_text(comment + "#pragma once\nnamespace llmcodec::vvc {\n}\n")
            code = f"import header_examples, pathlib; header_examples.ROOT = pathlib.Path({folder!r}); header_examples.main()"
            done = subprocess.run([sys.executable, "-c", code, str(output), "."], stderr=subprocess.PIPE, text=True,
                                  cwd=pathlib.Path(header_examples.__file__).parent)
            return done.returncode, output.read_text() if output.exists() else "", done.stderr

    def test_example_becomes_a_function_in_the_namespace_of_its_header(self):
        code, text, _ = self.generate("// Words.\n// Example (int a):\n//\n//   #include \"b.h\"\n//   use(a);\n//\n//   use(2);\n")
        self.assertEqual(code, 0)
        self.assertIn("namespace llmcodec::vvc::example_1 {", text)
        self.assertIn('#line 2 "a.h"\nStatus example(int a) {', text)
        self.assertIn('#line 5 "a.h"\nuse(a);\n#line 7 "a.h"\nuse(2);\nreturn Status::ok();', text)
        self.assertLess(text.index('#include "b.h"'), text.index("namespace"))

    def test_words_end_an_example(self):
        code, text, _ = self.generate("// Example:\n//   use(1);\n// A list:\n//   x   the first\n")
        self.assertEqual(code, 0)
        self.assertNotIn("the first", text)

    def test_headers_that_cannot_be_included_alone_are_left_out(self):
        code, _, errors = self.generate("// Example:\n//   use(1);\n", "a-inl.h")
        self.assertEqual(code, 1)
        self.assertIn("no examples", errors)

    def test_refused(self):
        cases = {"ellipsis": "// Example:\n//   use(1); ...\n", "does not begin": "// Words:\n//   use(1);\n",
                 "without code": "// Example:\n// Words.\n", "no examples": "// Words.\n"}
        for message, comment in cases.items():
            with self.subTest(message):
                code, _, errors = self.generate(comment)
                self.assertEqual(code, 1)
                self.assertIn(message, errors)


if __name__ == "__main__":
    unittest.main()
