#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Quantises a model by other methods, scores each as docs/evaluation.md says, and writes the table of docs/peers.md.

usage: run_peers.py --imatrix c4.imatrix.gguf --moments c4.hessian.safetensors [METHOD...] [--model NAME] [--bits 2,3] [--types LIST]
                    [--embedding KIND...] [--jobs N] [--results DIR]
       run_peers.py --report            only writes the table, from the rows that are there

Methods: RTN NF4 HQQ SINQ GPTQ llama.cpp (default: all), each a file of tools/peers/. The two files of importance come from
`python -m llmcodec.calibrate`, the model from `./dev tools smollm2`, the text from `./dev tools text`. Finished rows
are kept in the results folder, so a stopped run goes on. About 2.5 minutes of one core a row of SmolLM2.

Of another model (--model, a name that measure.py knows) the table goes to docs/other-models.md, and says how many bits llmcodec needs
for the same damage, between its own rows there.
"""
import argparse
import functools
import json
import pathlib
import re
import subprocess

import numpy as np
import safetensors.numpy

import equal_quality
import measure
import quality_table
from peers import affine, gptq, hqq, llama_quants, nf4, reference_model, rtn, score, sinq

REFERENCE = "smollm2"
EMBEDDING_GROUP = 64
LLAMA_TYPES = ("Q4_K_M", "Q3_K_M", "IQ4_XS", "IQ3_S", "IQ3_XXS", "Q2_K", "IQ2_M", "IQ2_XXS")
# The other models' F16 files have the values of files with 4-bit grids, which such grids find again.
OTHER_LLAMA_TYPES = ("IQ2_M", "Q3_K_M", "IQ4_XS", "Q2_K", "IQ3_XXS", "IQ1_M", "IQ2_XXS", "IQ2_XS", "Q3_K_S", "Q3_K_L")


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


def numpy_methods(moments, widths):
    """(method, variant, function of (name, matrix)) in the order of the table."""
    for bits in widths:
        yield "RTN", f"{bits} bit, group 64", plain(functools.partial(rtn.quantise, bits=bits, group=64))
    if 3 in widths:
        yield "RTN", "3 bit, group 128", plain(functools.partial(rtn.quantise, bits=3, group=128))
    if 4 in widths:
        yield "NF4", "double quantised", plain(nf4.quantise)
    for bits in widths:
        yield "HQQ", f"{bits} bit, group 64", plain(functools.partial(hqq.quantise, bits=bits))
    for bits in widths:
        yield "SINQ", f"{bits} bit, group 64", plain(functools.partial(sinq.quantise, bits=bits))
    for bits in widths:
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
        text.write_bytes(options.text.read_bytes()[: options.text_bytes])
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

        return self.lab.row({**table_of(self.options), **key}, run)

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
        if "llama.cpp" in methods:
            yield from (functools.partial(self.llama_row, name) for name in self.options.types)
        for embedding in self.options.embedding:
            for method, variant, body in numpy_methods(self.moments, self.options.bits):
                if method in methods and wanted(method, variant, embedding):
                    yield functools.partial(self.numpy_row, method, variant, embedding, body)


def table_of(options):
    """What rows of this model have in common."""
    return {"table": "peers"} if options.model_name == REFERENCE else {"table": "peers", "model": options.model_name}


COLUMNS = [("method", lambda r: r["method"]), ("variant", lambda r: r["variant"]), ("embedding", lambda r: r["embedding"]),
           ("bpw weights", lambda r: f"{r['bpw_weights']:.3f}"), ("matrices", lambda r: f"{r['bpw_body']:.3f}" if "bpw_body" in r else ""),
           ("perplexity", lambda r: f"{r['perplexity']:.2f}"), ("KL", lambda r: f"{r['kl']:.4f} ± {r['kl_error']:.4f}"),
           ("99.9 % KL", lambda r: f"{r['kl_999']:.2f}"), ("top-1", lambda r: f"{r['top1_percent']:.1f} %")]
METHODS = ("RTN", "NF4", "HQQ", "SINQ", "GPTQ", "llama.cpp")


def kept_rows(folder, options):
    """All rows of a results folder about this model, by method, embedding and size."""
    rows = [json.loads(path.read_text()) for path in sorted((folder / "rows").glob("*.json"))]
    rows = [row for row in rows if row.get("table") == "peers" and row.get("model", REFERENCE) == options.model_name]
    return sorted(rows, key=lambda r: (METHODS.index(r["method"]), r["embedding"], r.get("bpw_weights", 0)))


def types_lines(rows):
    return "\n".join(f"* {row['variant']}: " + ", ".join(f"{name} {share:.1%}" for name, share in row["types"].items())
                     for row in rows if "types" in row)


def needed_columns(text, options):
    """Of another model: the bits that llmcodec needs for a row's KL divergence, and their share of the row's, by what is known."""
    def cell(row, points):
        bits = equal_quality.bits_at(points, row["kl"])
        return "" if bits is None else f"{bits:.2f} ({bits / row['bpw_weights']:.2f})"

    curves = equal_quality.curves(text, f"quality --model {options.model_name}")
    return [(f"llmcodec, {known}", functools.partial(cell, points=points)) for known, points in curves.items()]


def report(document, rows, options):
    """Replaces what stands between the marks."""
    text = document.read_text(encoding="utf-8")
    name, columns = "peers", COLUMNS
    command = "tools/run_peers.py --imatrix c4.imatrix.gguf --moments c4.hessian.safetensors"
    if options.model_name != REFERENCE:
        name, columns = f"peers --model {options.model_name}", COLUMNS + needed_columns(text, options)
        command = f"tools/run_peers.py --model {options.model_name} --imatrix {options.model_name}.self.imatrix.gguf --moments {options.model_name}.self.hessian.safetensors"
    machines, dates = sorted({row["machine"] for row in rows}), sorted({row["date"] for row in rows})
    content = (f"`{command}`, {'; '.join(machines)}, "
               f"{' to '.join(sorted({dates[0], dates[-1]}))}.\n\n{measure.table(rows, columns)}\n\n"
               f"What llama.cpp's files hold, by weights:\n\n{types_lines(rows)}")
    measure.write_marked(document, name, content)


def parse():
    tools = measure.ROOT / "build/tools"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD")
    parser.add_argument("--report", action="store_true", help="only write the table")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    parser.add_argument("--threads", type=int, default=1, help="of llama-perplexity")
    parser.add_argument("--model", default=REFERENCE, choices=measure.MODELS, help="fetched if it is not there")
    parser.add_argument("--bits", default="2,3,4", help="of the methods that are not llama.cpp's, separated by commas")
    parser.add_argument("--types", help="of llama.cpp, separated by commas")
    parser.add_argument("--embedding", nargs="+", choices=EMBEDDINGS, default=list(EMBEDDINGS), help="how embeddings are coded")
    parser.add_argument("--text", type=pathlib.Path, default=tools / "text/eval.txt")
    parser.add_argument("--imatrix", type=pathlib.Path, help="llama.cpp's importance, the tied head included")
    parser.add_argument("--moments", type=pathlib.Path, help="second moments of inputs, for GPTQ")
    parser.add_argument("--base", type=pathlib.Path, help="the original's log-probabilities, made if absent (default: in the results)")
    parser.add_argument("--llama", type=pathlib.Path, default=tools / "llama/bin")
    parser.add_argument("--results", type=pathlib.Path, default=measure.ROOT / "build/peers")
    parser.add_argument("--document", type=pathlib.Path, help="default: docs/peers.md; docs/other-models.md for another model")
    options = parser.parse_args()
    complete(options)
    unknown = set(options.methods) - set(METHODS)
    if unknown:
        parser.error(f"no method {', '.join(sorted(unknown))}: {', '.join(METHODS)}")
    if not options.report and not (options.imatrix and options.moments):
        parser.error("--imatrix and --moments are needed (python -m llmcodec.calibrate makes both)")
    return options


def complete(options):
    """What follows from the model."""
    is_reference = options.model == REFERENCE
    options.model_name = options.model
    options.types = options.types.split(",") if options.types else LLAMA_TYPES if is_reference else OTHER_LLAMA_TYPES
    options.bits = [int(bits) for bits in options.bits.split(",")]
    options.text_bytes = quality_table.TEXT_BYTES if is_reference else quality_table.OTHER_BYTES[options.model]
    options.document = options.document or measure.ROOT / ("docs/peers.md" if is_reference else "docs/other-models.md")
    options.model = measure.ROOT / f"build/tools/{options.model}/{options.model}-f16.gguf" if options.report else measure.model_path(options.model)


def main():
    options = parse()
    if not options.report:
        np.seterr(all="raise", under="ignore")
        measure.in_parallel(options.jobs, list(Peers(options).calls(options.methods or METHODS)))
    rows = kept_rows(options.results, options)
    report(options.document, rows, options)
    print(f"{len(rows)} rows in {options.document}")


if __name__ == "__main__":
    main()
