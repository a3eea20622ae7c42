#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sizes and errors of our own codecs on small generated tensors, kept in tests/golden/rd.csv and diffed in review.

usage: ./dev golden [--check]

Without arguments the file is rewritten; --check exits 1 when the program as built gives other numbers. Only codecs whose
bytes are ours are in it (raw, vvc): an FFmpeg's encoders change with its version.
"""
import argparse
import csv
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import make_test_models
import measure
import safetensors_stream as st

GOLDEN = measure.ROOT / "tests/golden/rd.csv"
CODECS = (["--codec", "raw"], ["--codec", "vvc", "--layout", "spatial"], ["--codec", "vvc", "--layout", "spectral"])
TARGETS = ("2", "3", "4")


def sources(folder):
    rng = np.random.default_rng(11)
    kinds = {"gaussian": rng.standard_normal((512, 640)), "laplacian": rng.laplace(size=(512, 640)),
             "rows_vary": make_test_models.weights(rng, 512, 640), "student_t": rng.standard_t(4, (512, 640))}
    for name, values in kinds.items():
        st.write(f"{folder}/{name}.safetensors", [make_test_models.entry("weight", "F32", values.astype(np.float32))])
        yield name


def rows(program):
    with tempfile.TemporaryDirectory() as folder:
        # The archive records its command line, which counts in its bytes: short fixed names keep the size the same.
        (pathlib.Path(folder) / "llmcodec").symlink_to(pathlib.Path(program).resolve())
        for name in sources(folder):
            for codec in CODECS:
                for bpw in TARGETS if codec[1] != "raw" else ("default",):
                    command = ["./llmcodec", "compress", f"{name}.safetensors", "-o", "out.safetensors", *codec, "--json", "--quiet"]
                    command += ["--bpw", bpw] if bpw != "default" else []
                    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True)
                    report = json.loads(done.stdout)
                    yield [name, codec[1], codec[3] if len(codec) > 2 else "", bpw, report["bytes"], f"{report['relative_mse']:.6g}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "codec", "layout", "bpw", "bytes", "relative_mse"])
    writer.writerows(rows(measure.find_program()))
    if not options.check:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text.getvalue())
        return
    if not GOLDEN.exists() or GOLDEN.read_text() != text.getvalue():
        old = GOLDEN.read_text().splitlines() if GOLDEN.exists() else []
        changed = [line for line in text.getvalue().splitlines() if line not in old]
        sys.exit("tests/golden/rd.csv is not what this program gives (./dev golden rewrites it). Now:\n" + "\n".join(changed))


if __name__ == "__main__":
    main()
