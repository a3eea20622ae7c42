#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Quantises SmolLM2 by other methods, scores each as docs/evaluation.md says, and writes the table of docs/peers.md.

usage: run_peers.py --imatrix c4.imatrix.gguf --moments c4.hessian.safetensors [METHOD...] [--jobs N] [--results DIR]
       run_peers.py --report            only writes the table, from the rows that are there

Methods: RTN NF4 HQQ SINQ GPTQ llama.cpp (default: all), each a file of tools/peers/. The two files of importance come from
`python -m llmcodec.calibrate --text`, the model from `./dev tools smollm2`, the text from `./dev tools text`. Finished rows
are kept in the results folder, so a stopped run goes on. About 2.5 minutes of one core a row.
"""
import argparse
import functools
import json
import pathlib
import re
import subprocess

import numpy as np
import safetensors.numpy

import measure
from peers import affine, gptq, hqq, llama_quants, nf4, reference_model, rtn, score, sinq

TEXT_BYTES = 60000
MARK = "<!-- {} peers -->"
EMBEDDING_GROUP = 64
LLAMA_TYPES = ("Q4_K_M", "Q3_K_M", "IQ4_XS", "IQ3_S", "IQ3_XXS", "Q2_K", "IQ2_M", "IQ2_XXS")


class Moments:
    """Input second moments of a weight by its name, from the file of docs/importance.md."""

    def __init__(self, path):
        self.file = safetensors.safe_open(path, framework="numpy")
        members = json.loads(self.file.metadata()["llmcodec_moments"])["members"]
        self.group_of = {name: group for group, names in members.items() for name in names}

    def __getitem__(self, name):
        return self.file.get_tensor(self.group_of[name])


def f16(matrix):
    return affine.Coded(matrix, 16 * matrix.size)


def rtn8(matrix):
    return rtn.quantise(matrix, 8, EMBEDDING_GROUP)


def plain(quantise):
    """A method that needs no name, as restored_copy calls it."""
    return lambda name, matrix: quantise(matrix)


def numpy_methods(moments):
    """(method, variant, function of (name, matrix)) in the order of the table."""
    for bits in (2, 3, 4):
        yield "RTN", f"{bits} bit, group 64", plain(functools.partial(rtn.quantise, bits=bits, group=64))
    yield "RTN", "3 bit, group 128", plain(functools.partial(rtn.quantise, bits=3, group=128))
    yield "NF4", "double quantised", plain(nf4.quantise)
    for bits in (2, 3, 4):
        yield "HQQ", f"{bits} bit, group 64", plain(functools.partial(hqq.quantise, bits=bits))
    for bits in (2, 3, 4):
        yield "SINQ", f"{bits} bit, group 64", plain(functools.partial(sinq.quantise, bits=bits))
    for bits in (2, 3, 4):
        yield "GPTQ", f"{bits} bit, group 128", lambda name, matrix, bits=bits: gptq.quantise(matrix, bits, moments[name])


EMBEDDINGS = {"RTN 8 bit": lambda body: plain(rtn8), "same method": lambda body: body, "F16": lambda body: plain(f16)}


def wanted(method, variant, embedding):
    """Every variant with embeddings of 8 bits and by its own method; F16 as is the custom once, to show what it costs."""
    if embedding == "F16":
        return (method, variant) == ("GPTQ", "3 bit, group 128")
    return variant not in ("2 bit, group 64", "3 bit, group 128") or method != "RTN" or embedding == "RTN 8 bit"


class Peers:
    def __init__(self, options):
        self.options = options
        self.lab = measure.Lab("", options.results)
        self.moments = Moments(options.moments)
        text = self.lab.folder / "text.txt"
        text.write_bytes(options.text.read_bytes()[:TEXT_BYTES])
        base = options.base or self.lab.folder / "base.kld"
        self.scorer = score.Scorer(options.llama / "llama-perplexity", options.model, text, base, options.threads)

    def scored(self, key, make):
        """make(path) writes a GGUF and returns what it holds; its row, from an earlier run if there is one."""
        def run():
            path = self.lab.folder / (re.sub(r"\W+", "_", "-".join(key.values())) + ".gguf")
            try:
                return {**make(path), **self.scorer.score(path)}
            except subprocess.CalledProcessError as failure:
                raise measure.Failed(failure.output.decode(errors="replace").strip()[-300:]) from failure
            finally:
                path.unlink(missing_ok=True)

        return self.lab.row({"table": "peers", **key}, run)

    def numpy_row(self, method, variant, embedding, body):
        def make(path):
            size = reference_model.restored_copy(self.options.model, path, body, EMBEDDINGS[embedding](body))
            return {"parameters": size.parameters, **size.summary()}

        return self.scored({"method": method, "variant": variant, "embedding": embedding}, make)

    def llama_row(self, name):
        def make(path):
            llama_quants.quantise(self.options.llama / "llama-quantize", self.options.model, path, name, self.options.imatrix)
            bits, parameters, types = llama_quants.stored(path)
            return {"parameters": parameters, "bpw_weights": bits / parameters, "types": types}

        return self.scored({"method": "llama.cpp", "variant": name, "embedding": "its own"}, make)

    def calls(self, methods):
        for embedding in EMBEDDINGS:
            for method, variant, body in numpy_methods(self.moments):
                if method in methods and wanted(method, variant, embedding):
                    yield functools.partial(self.numpy_row, method, variant, embedding, body)
            if "llama.cpp" in methods and embedding == "RTN 8 bit":
                yield from (functools.partial(self.llama_row, name) for name in LLAMA_TYPES)


COLUMNS = [("method", lambda r: r["method"]), ("variant", lambda r: r["variant"]), ("embedding", lambda r: r["embedding"]),
           ("bpw weights", lambda r: f"{r['bpw_weights']:.3f}"), ("matrices", lambda r: f"{r['bpw_body']:.3f}" if "bpw_body" in r else ""),
           ("perplexity", lambda r: f"{r['perplexity']:.2f}"), ("KL", lambda r: f"{r['kl']:.4f} ± {r['kl_error']:.4f}"),
           ("99.9 % KL", lambda r: f"{r['kl_999']:.2f}"), ("top-1", lambda r: f"{r['top1_percent']:.1f} %")]
METHODS = ("RTN", "NF4", "HQQ", "SINQ", "GPTQ", "llama.cpp")


def kept_rows(folder):
    """All rows of a results folder, by method, embedding and size."""
    rows = [json.loads(path.read_text()) for path in sorted((folder / "rows").glob("*.json"))]
    rows = [row for row in rows if row.get("table") == "peers"]
    return sorted(rows, key=lambda r: (METHODS.index(r["method"]), r["embedding"], r.get("bpw_weights", 0)))


def types_lines(rows):
    return "\n".join(f"* {row['variant']}: " + ", ".join(f"{name} {share:.1%}" for name, share in row["types"].items())
                     for row in rows if "types" in row)


def report(document, rows):
    """Replaces what stands between the marks."""
    machines, dates = sorted({row["machine"] for row in rows}), sorted({row["date"] for row in rows})
    content = (f"`tools/run_peers.py --imatrix c4.imatrix.gguf --moments c4.hessian.safetensors`, {'; '.join(machines)}, "
               f"{' to '.join(sorted({dates[0], dates[-1]}))}.\n\n{measure.table(rows, COLUMNS)}\n\n"
               f"What llama.cpp's files hold, by weights:\n\n{types_lines(rows)}")
    begin, end = MARK.format("begin"), MARK.format("end")
    text = document.read_text(encoding="utf-8")
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    document.write_text(re.sub(pattern, lambda _: f"{begin}\n{content}\n{end}", text, flags=re.S), encoding="utf-8")


def parse():
    tools = measure.ROOT / "build/tools"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD")
    parser.add_argument("--report", action="store_true", help="only write the table")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    parser.add_argument("--threads", type=int, default=1, help="of llama-perplexity")
    parser.add_argument("--model", type=pathlib.Path, default=tools / "smollm2/smollm2-f16.gguf")
    parser.add_argument("--text", type=pathlib.Path, default=tools / "text/eval.txt")
    parser.add_argument("--imatrix", type=pathlib.Path, help="llama.cpp's importance, the tied head included")
    parser.add_argument("--moments", type=pathlib.Path, help="second moments of inputs, for GPTQ")
    parser.add_argument("--base", type=pathlib.Path, help="the original's log-probabilities, made if absent (default: in the results)")
    parser.add_argument("--llama", type=pathlib.Path, default=tools / "llama/bin")
    parser.add_argument("--results", type=pathlib.Path, default=measure.ROOT / "build/peers")
    parser.add_argument("--document", type=pathlib.Path, default=measure.ROOT / "docs/peers.md")
    options = parser.parse_args()
    unknown = set(options.methods) - set(METHODS)
    if unknown:
        parser.error(f"no method {', '.join(sorted(unknown))}: {', '.join(METHODS)}")
    if not options.report and not (options.imatrix and options.moments):
        parser.error("--imatrix and --moments are needed (python -m llmcodec.calibrate makes both)")
    return options


def main():
    options = parse()
    if not options.report:
        np.seterr(all="raise", under="ignore")
        measure.in_parallel(options.jobs, list(Peers(options).calls(options.methods or METHODS)))
    rows = kept_rows(options.results)
    report(options.document, rows)
    print(f"{len(rows)} rows in {options.document}")


if __name__ == "__main__":
    main()
