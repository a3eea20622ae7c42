#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How near the bits that are asked for come out: a table of codecs and rates.

usage: rate_table.py MODEL [--bpw 2 3 4] [--codec SPEC[@LAYOUT] ...]

Runs `compress --bpw N` for each and prints the error of the whole file's size in per cent, and what the search took of the time. A model of
up to 8 million weights is coded whole in the search; a larger one, of which only strips are coded, is the test. tools/make_sample.py
--times 2 makes one of 10 million weights.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
CODECS = ["vvc@spectral", "vvc@spatial", "libx264:preset=ultrafast", "libx265:preset=ultrafast", "libvvenc:preset=faster",
          "libsvtav1:preset=12", "libaom-av1:cpu-used=8", "raw@spatial"]


def measure(program, model, spec, bpw, folder):
    """(bits per weight, share of the search); None where the program refused, whose reason goes to stderr."""
    codec, _, layout = spec.partition("@")
    archive = pathlib.Path(folder) / "archive.safetensors"
    command = [program, "compress", model, "-o", archive, "--codec", codec, "--bpw", str(bpw), "--json", "--quiet", "--restart"]
    result = subprocess.run(command + (["--layout", layout] if layout else []), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(f"{spec}: {result.stderr.strip()}", file=sys.stderr)
        return None
    report = json.loads(result.stdout)
    return report["bpw"], report["rate_seconds"] / (report["rate_seconds"] + report["encode_seconds"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--bpw", type=float, nargs="+", default=[2, 3, 4])
    parser.add_argument("--codec", nargs="+", default=CODECS)
    parser.add_argument("--program", default=ROOT / "build/release/llmcodec")
    options = parser.parse_args()
    print("| codec | " + " | ".join(f"{bpw:g}" for bpw in options.bpw) + " | search, of the time |")
    print("|---" * (len(options.bpw) + 2) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for spec in options.codec:
            cells, shares = [], []
            for bpw in options.bpw:
                found = measure(options.program, options.model, spec, bpw, folder)
                cells.append(f"{100 * (found[0] / bpw - 1):+.2f} %" if found else "refused")
                shares += [found[1]] if found else []
            share = f"{100 * sum(shares) / len(shares):.0f} %" if shares else ""
            print(f"| {spec} | " + " | ".join(cells) + f" | {share} |", flush=True)


if __name__ == "__main__":
    main()
