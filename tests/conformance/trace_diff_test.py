#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Test of tools/vvc_trace_diff.py, run by ctest: trace_diff_test.py PATH_OF_THE_TOOL."""
import os
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)


class TraceDiff(unittest.TestCase):
    def run_tool(self, left, right, *options):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, lines in (("left", left), ("right", right)):
                paths.append(os.path.join(folder, name))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write("\n".join(lines) + "\n")
            result = subprocess.run([sys.executable, TOOL, *paths, *options], capture_output=True, text=True, check=False)
            return result.returncode, result.stdout

    def test_equal(self):
        self.assertEqual(self.run_tool(["a 1", "b 2"], ["a 1", "b 2"]), (0, "equal\n"))

    def test_first_difference_is_named(self):
        status, text = self.run_tool(["a 1", "b 2", "c 3"], ["a 1", "b 5", "c 4"])
        self.assertEqual(status, 1)
        self.assertIn("b 2", text)
        self.assertIn("b 5", text)
        self.assertNotIn("c 3", text)
        self.assertIn("element 1", text)

    def test_shorter_trace_differs_at_its_end(self):
        status, text = self.run_tool(["a 1", "b 2"], ["a 1"])
        self.assertEqual(status, 1)
        self.assertIn("end", text)

    def test_ignored_elements_do_not_count(self):
        status, _ = self.run_tool(["TU x 3", "a 1"], ["a 1", "TU y 4"], "--ignore", "TU")
        self.assertEqual(status, 0)

    def test_missing_file_is_wrong_use(self):
        result = subprocess.run([sys.executable, TOOL, "/nowhere/a", "/nowhere/b"], capture_output=True, check=False)
        self.assertEqual(result.returncode, 2)


if __name__ == "__main__":
    unittest.main()
