# SPDX-License-Identifier: BSD-3-Clause
"""Scores a GGUF against the original's log-probabilities with llama-perplexity (docs/evaluation.md)."""
import os
import re
import subprocess

NUMBER = r"(-?[\d.]+)"
LINES = {
    "perplexity": rf"Mean PPL\(Q\)\s*:\s*{NUMBER} ± *{NUMBER}",
    "kl": rf"Mean\s+KLD:\s*{NUMBER} ± *{NUMBER}",
    "kl_999": rf"99\.9%\s+KLD:\s*{NUMBER}",
    "top1_percent": rf"Same top p:\s*{NUMBER} ± *{NUMBER}",
    "original_perplexity": rf"Mean PPL\(base\)\s*:\s*{NUMBER}",
}


def parse(output):
    """The figures of `llama-perplexity --kl-divergence`; *_error where it states one. ValueError names what is missing."""
    row = {}
    for key, pattern in LINES.items():
        match = re.search(pattern, output)
        if not match:
            raise ValueError(f"llama-perplexity printed no {key}: {output.strip()[-300:]}")
        row[key] = float(match.group(1))
        if match.re.groups == 2:
            row[key.replace("_percent", "") + "_error"] = float(match.group(2))
    return row


def run(arguments):
    environment = {"LLAMA_CPU": "haswell", **os.environ}
    return subprocess.run([str(a) for a in arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=True).stdout.decode(errors="replace")


class Scorer:
    """base: file of the original's log-probabilities, made when it is not there."""

    def __init__(self, program, original, text, base, threads):
        self.command = [program, "-f", text, "-c", 512, "-t", threads, "--kl-divergence-base", base]
        if not os.path.exists(base):
            run([*self.command, "-m", original])

    def score(self, model):
        return parse(run([*self.command, "-m", model, "--kl-divergence"]))
