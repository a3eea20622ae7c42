# SPDX-License-Identifier: BSD-3-Clause
"""The table `quality` of run_benchmarks.py: what knowing more about inputs and outputs buys, at equal bits.

Moments are collected once by tools/importance/collect_moments.py (numpy, gguf, safetensors, tokenizers) into the results
folder. Without a calibration text (--calibration), the rows that need one are left out.
"""
import functools
import pathlib
import subprocess
import sys

import measure

# Bits asked for: 2.5 to 4 without the tokenizer, 0.026 bits of the reference model after zstd.
TARGETS = (2.526, 3.026, 3.526, 4.026)
TEXT_BYTES = 60000
RANDOM = ("--random", "--chunks", "16", "--length", "256")
CHUNKS = "128"

COLUMNS = [("known", lambda r: r["known"]), ("bpw weights", lambda r: f"{r['bpw_weights']:.3f}"),
           ("SNR dB", lambda r: f"{r['snr_db']:.2f}"), ("perplexity", lambda r: f"{r['perplexity']:.2f}"),
           ("KL", lambda r: f"{r['kl']:.4f} ± {r['kl_error']:.4f}"), ("99.9 % KL", lambda r: f"{r['kl_999']:.2f}"),
           ("same first token", lambda r: f"{r['top1_percent']:.1f} %")]


def collected(lab, options, name, source, wanted):
    """Paths of the moment files `wanted` (imatrix, hessian), made unless they are there."""
    paths = {kind: lab.folder / f"{name}.{kind}.{'gguf' if kind == 'imatrix' else 'safetensors'}" for kind in wanted}
    if not all(path.exists() for path in paths.values()):
        script = pathlib.Path(__file__).parent / "importance/collect_moments.py"
        outputs = [argument for kind, path in paths.items() for argument in (f"--{kind}", str(path))]
        subprocess.run([sys.executable, str(script), str(options.model), *source, *outputs], check=True)
    return paths


def levels(lab, options):
    """What is known -> options of compress."""
    found = {"each tensor alone": ["--importance", "none"], "the weights": []}
    random = collected(lab, options, "random", RANDOM, ["imatrix"])
    found["random tokens"] = ["--importance", random["imatrix"]]
    if options.calibration:
        text = collected(lab, options, "text", ["--text", options.calibration, "--chunks", CHUNKS], ["imatrix", "hessian"])
        found["text: diagonal"] = ["--importance", text["imatrix"]]
        found["text: closed loop"] = ["--importance", text["imatrix"], "--hessian", text["hessian"]]
    return found


def rows(lab, options):
    def score(target, arguments):
        return lab.clean(lab.score(options.model, "vvc", ["--bpw", target, *arguments], options.text, TEXT_BYTES))

    calls = [functools.partial(lab.row, {"table": "quality", "known": known, "target": target}, functools.partial(score, target, arguments))
             for target in TARGETS for known, arguments in levels(lab, options).items()]
    return measure.in_parallel(options.jobs, calls)
