#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/vvc-profile.md names every syntax element of the headers as the code writes and reads them, and no other twice.

Run by ctest: profile_page_test.py PROJECT_FOLDER.
"""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(sys.argv.pop(1))
SOURCES = ("stream/sps_syntax.cc", "stream/header_syntax.cc", "slice/slice_syntax.h")
# LLMC_NAMED(struct, element), LLMC_NAMED_VALUE(element), or the name as text.
ELEMENT = re.compile(r'LLMC_NAMED\([\w.]+, (\w+)\)|LLMC_NAMED_VALUE\((\w+)\)|'
                     r'"((?:sps|pps|ph|sh|ptl|gci|dpb|dph_sei|rpl|num|general|vui|cu|tu|intra|mtt|split)_\w+)"')


def elements():
    names = set()
    for source in SOURCES:
        text = (ROOT / "src" / "vvc" / source).read_text(encoding="utf-8")
        names |= {name for match in ELEMENT.findall(text) for name in match if name}
    return names


class ProfilePage(unittest.TestCase):
    def setUp(self):
        self.page = (ROOT / "docs" / "vvc-profile.md").read_text(encoding="utf-8")

    def test_every_element_is_on_the_page(self):
        names = elements()
        self.assertGreater(len(names), 120)
        words = set(re.findall(r"\w+", self.page))
        self.assertEqual(sorted(names - words), [])

    def test_no_header_element_has_two_rows(self):
        rows = [line for line in self.page.splitlines() if line.startswith("| ")]
        first = [word for row in rows for word in re.findall(r"\b(?:sps|pps|ph|sh)_\w+", row.split("|")[1])]
        self.assertEqual(sorted({word for word in first if first.count(word) > 1}), [])


if __name__ == "__main__":
    unittest.main()
