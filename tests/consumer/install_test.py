#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Installs the build into a new folder, builds programs against it by pkg-config and by find_package, and runs them.

usage: install_test.py CMAKE BUILD_FOLDER LIBDIR [unittest arguments]
"""
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
CMAKE, BUILD, LIBDIR = sys.argv[1], sys.argv[2], sys.argv[3]


def run(*command, **environment):
    """The standard output of a command that must succeed."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={**os.environ, **environment})
    if result.returncode != 0:
        raise AssertionError(f"{command}: {result.stdout}{result.stderr}")
    return result.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="llmcodec_install_"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        run(CMAKE, "--install", BUILD, "--prefix", cls.folder / "first")
        (cls.folder / "first").rename(cls.folder / "moved")  # nothing may depend on where it was put
        cls.prefix = cls.folder / "moved"
        cls.library = cls.prefix / LIBDIR / "libllmcodec.so"
        cls.archive = cls.folder / "archive.safetensors"
        source = cls.folder / "source.safetensors"
        header = b'{"w":{"dtype":"F32","shape":[64,64],"data_offsets":[0,16384]}}'
        weights = [((i * 7919) % 1000 - 500) / 250 for i in range(4096)]
        source.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<4096f", *weights))
        run(cls.prefix / "bin/llmcodec", "compress", source, "-o", cls.archive, "--step", "0.01", "--quiet")
        cls.first = weights[0]

    def check_output(self, output):
        lines = output.splitlines()
        self.assertEqual(lines[0], "w F32 4096")
        self.assertAlmostEqual(float(lines[1].removeprefix("first weight ")), self.first, delta=0.1)

    def flags(self, *what):
        return run("pkg-config", *what, "llmcodec", PKG_CONFIG_PATH=str(self.prefix / LIBDIR / "pkgconfig")).split()

    def test_c_by_pkg_config(self):
        for what, name in ((["--libs"], "shared"), (["--libs", "--static"], "static")):
            program = self.folder / f"c_{name}"
            libraries = self.flags(*what)
            if name == "static":  # the archive itself, and what it needs from the system
                libraries = [str(self.prefix / LIBDIR / "libllmcodec.a") if flag == "-lllmcodec" else flag for flag in libraries]
            run("cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", *self.flags("--cflags"),
                HERE / "list_and_decode.c", "-o", program, *libraries)
            self.check_output(run(program, self.archive, LD_LIBRARY_PATH=str(self.library.parent)))

    def test_c_and_cpp_by_find_package(self):
        build = self.folder / "build"
        run(CMAKE, "-S", HERE, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_BUILD_TYPE=Release")
        run(CMAKE, "--build", build)
        for program in ("with_shared", "with_static"):
            self.check_output(run(build / program, self.archive))

    def test_the_shared_library_shows_the_c_functions_and_nothing_else(self):
        shown = {line.split()[-1] for line in run("nm", "-D", "--defined-only", self.library).splitlines()}
        declared = set()
        for line in (self.prefix / "include/llmcodec/llmcodec.h").read_text().splitlines():
            if line.startswith("LLMCODEC_API") or line.startswith("    llmcodec_"):
                declared.update(word.partition("(")[0].lstrip("*") for word in line.split() if word.lstrip("*").startswith("llmcodec_") and "(" in word)
        self.assertEqual(shown, declared)
        self.assertIn("SONAME", run("readelf", "-d", self.library))
        self.assertIn("[libllmcodec.so.0]", run("readelf", "-d", self.library))

    def test_no_header_of_a_dependency_is_needed(self):
        for header in sorted((self.prefix / "include/llmcodec").iterdir()):
            language = ["-x", "c++", "-std=c++20"]
            text = run("g++", *language, "-M", f"-I{self.prefix / 'include'}", header)
            for dependency in ("/fmt/", "/hwy/", "/tbb/", "nlohmann", "zstd.h", "xxhash.h"):
                self.assertNotIn(dependency, text, header)

    def test_an_error_is_printed(self):
        program = self.folder / "c_error"
        run("cc", "-std=c99", *self.flags("--cflags"), HERE / "list_and_decode.c", "-o", program, *self.flags("--libs"))
        result = subprocess.run([program, self.folder / "absent"], capture_output=True, text=True,
                                env={**os.environ, "LD_LIBRARY_PATH": str(self.library.parent)})
        self.assertEqual(result.returncode, 1)
        self.assertIn("absent: cannot open: No such file or directory", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
