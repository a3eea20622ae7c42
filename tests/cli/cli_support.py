# SPDX-License-Identifier: BSD-3-Clause
"""What the command-line tests share: running the program, generated models, comparing tensors."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

import independent_decode
import make_test_models
import safetensors_stream as st

TESTS = pathlib.Path(__file__).resolve().parents[1]
BINARY = os.environ.get("LLMCODEC", "")
FFMPEG = os.environ.get("LLMCODEC_FFMPEG") or shutil.which("ffmpeg")
LLAMA = os.environ.get("LLMCODEC_LLAMA_DIR")
# Exit codes of docs/cli.md, by kind of error.
EXIT = {"io": 3, "corrupt": 4, "unsupported": 5, "invalid_argument": 2, "limit": 6, "interrupted": 130, "internal": 70}

needs_ffmpeg = unittest.skipUnless(FFMPEG, "no ffmpeg: ./dev tools ffmpeg")
needs_llama = unittest.skipUnless(LLAMA, "no llama.cpp: ./dev tools llama")


def run(*arguments, **options):
    """The finished process of `llmcodec ARGUMENTS`; output as text."""
    options.setdefault("timeout", 600)
    return subprocess.run([BINARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, **options)


def arrays(path):
    """{name: (dtype, array)} of a safetensors file or a folder of them."""
    files = sorted(pathlib.Path(path).glob("*.safetensors")) if pathlib.Path(path).is_dir() else [path]
    tensors = {}
    for file in files:
        tensors.update(independent_decode.read_safetensors(file)[0])
    return tensors


def as_floats(dtype, values):
    if dtype == "BF16":
        return st.from_bf16(values)
    if dtype == "F8_E5M2":  # the upper half of a binary16
        return (values.view(np.uint8).astype(np.uint16) << 8).view(np.float16).astype(np.float32)
    if dtype == "F8_E4M3":  # bias 7, three mantissa bits
        bits = values.view(np.uint8).astype(np.int32)
        exponent, mantissa = (bits >> 3) & 15, bits & 7
        magnitude = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0))
        return np.where(bits >> 7, -magnitude, magnitude).astype(np.float32)
    return values.astype(np.float32)


def snr_db(original, restored):
    original, restored = original.astype(np.float64), restored.astype(np.float64)
    error = ((original - restored) ** 2).sum()
    return np.inf if error == 0 else 10 * np.log10((original**2).sum() / error)


class CliTest(unittest.TestCase):
    """Gives each test class a folder with the generated models, and checks on the way."""

    models = tuple(make_test_models.MAKERS)

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="llmcodec-cli-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        for number, (name, (file, make)) in enumerate(make_test_models.MAKERS.items()):
            if name in cls.models:
                make(np.random.default_rng([1, number]), str(cls.folder / file))

    def path(self, name):
        return self.folder / name

    def ok(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, 0, f"{arguments}: {result.stderr}")
        return result

    def json(self, *arguments):
        return json.loads(self.ok(*arguments, "--json").stdout)

    def fails(self, kind, *arguments, naming=(), **options):
        """The command fails with the exit code of `kind` and one message that names everything in `naming`."""
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, EXIT[kind], f"{arguments}: {result.stdout} {result.stderr}")
        for text in (naming,) if isinstance(naming, str) else naming:
            self.assertIn(str(text), result.stderr)
        return result


def main():
    if not os.access(BINARY, os.X_OK):
        print("skipped: the program is not built (set LLMCODEC)")
        sys.exit(77)
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    # ctest's "skipped" only when nothing at all ran: a partly skipped file still reports its passes and failures.
    if result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(77)
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
