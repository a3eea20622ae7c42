#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The study of codecs for weights: rows about whole models, and docs/study.md out of the results (docs/compare.md has the format).

usage: ./dev bench study models MODEL [--codecs LIST] [--bits 2,3,4] [--text NAME=FILE...] [-o FILE]
       ./dev bench study tasks MODEL --task-folder DIR [--codecs LIST] [--bits 2,3,4] [--max-tasks 200] [-o FILE]
       ./dev bench study keep RESULTS.json -o FILE [--remark TEXT] [--add]   what `llmcodec compare` wrote, as small as it can be committed
       ./dev bench study document [--check]                                  rewrites the marked blocks of docs/study.md and README.md

models  codes the whole of MODEL (an F16 GGUF, or a name that ./dev tools knows) by each codec at each rate, restores it and has
        `llmcodec eval` score it: perplexity, KL divergence, how often both name the same first token. RTN, HQQ and SINQ are methods
        that use no data either (tools/peers). Of a text that is a .jsonl file, the documents in its second half are scored. Rows go into
        FILE beside those of `compare`, which stay; what a row of the same codec and rate has besides stays too. Finished rows are kept
        in the work folder, so that a stopped run goes on.
tasks   does the same, and scores by tasks instead of texts (tools/score_tasks.py, in the Python that LLMCODEC_PYTHON names, with torch).
        The answers to all items are kept, so that two rows can be compared item by item.
keep    leaves out pictures, the plan and times of the search, and rounds to six digits. `report` takes what is left. With --add, the rows
        of a further run go beside those that FILE has: a codec with the options of a preset (libvvenc:preset=slow) is that preset's.

Rates are bits per weight of the archive without the tokenizer. All codecs are given the same scales, made from each tensor alone;
`llmcodec` is what `llmcodec compress` does unless it is told otherwise. Other names are codecs with options (docs/codecs.md).
"""
import argparse
import functools
import json
import os
import pathlib
import sys

import measure
import quality_table
import study_document
from peers import hqq, reference_model, rtn, sinq

import llmcodec
from llmcodec.compare import grid
from llmcodec.compare import results as results_file

ALONE = ("--importance", "none")
# Name -> codec and options of compress.
CODECS = {"llmcodec": ("vvc", ()), "vvc": ("vvc", ("--layout", "spatial", *ALONE)), "vvc spectral": ("vvc", ("--layout", "spectral", *ALONE)),
          "vvc spectral, one scale a tensor": ("vvc", ("--layout", "spectral", *ALONE, "--scales", "tensor"))}
PEERS = {"RTN": functools.partial(rtn.quantise, group=64), "HQQ": hqq.quantise, "SINQ": sinq.quantise}
STANDARD = ("llmcodec", "vvc", "vvc spectral", "libvvenc", "libx265", "libsvtav1", *PEERS)
ORIGINAL = "FP16"  # the report's name for the first row of a model
# What a report or the document looks at; the rest of a point is of use while it is measured.
KEPT = ("combination", "codec", "spec", "preset", "profile", "bit_depth", "frames", "layout", "tools", "scales", "varies", "model", "tensor", "kind",
        "role", "layer", "rate", "bpw", "snr_db", "gap_db", "encode_mws", "decode_mws", "weights", "failed", "note")
EMPTY = {"command": "", "machine": {}, "versions": {}, "request": {"models": []}, "anchor": {}, "selection": "", "left_out": [], "rows": [],
         "models": [], "pictures": []}


def compact(value):
    """Numbers of six digits: what was measured has no more."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: compact(entry) for key, entry in value.items()}
    return [compact(entry) for entry in value] if isinstance(value, list) else value


def slim(found):
    """Results without what only a further run of the same points would need."""
    kept = {key: value for key, value in found.items() if key not in ("plan", "costs", "llmcodec_compare")}
    rows = [{key: row[key] for key in KEPT if key in row} for row in found["rows"]]
    return compact({**kept, "rows": rows, "pictures": []})


def write_lines(path, found):
    """results.json with a line for each row: what a rerun changed is seen in a diff."""
    def text(value):
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    entries = []
    for key, value in {"llmcodec_compare": results_file.FORMAT, **found}.items():
        is_table = isinstance(value, list) and value
        shown = "[\n" + ",\n".join(map(text, value)) + "\n]" if is_table else text(value)
        entries.append(f"{text(key)}:{shown}")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_text("{" + ",\n".join(entries) + "}\n", encoding="utf-8")
    os.replace(beside, path)


def with_rows(found, more):
    """Results with the rows of a further run; what had been left out and is measured now is no longer left out."""
    known = {combination.spec: combination.described() for combination in grid.grid(grid.ENCODERS, grid.PROFILES)}
    rows = []
    for row in more["rows"]:
        combination = dict(known.get(row["spec"], {}))
        named = {"combination": combination.pop("id")} if combination else {}
        rows.append({**row, **combination, **named})
    measured = {row["combination"] for row in rows}
    left_out = [entry for entry in found["left_out"] if entry["combination"] not in measured]
    remark = f"{found.get('remark', '')} `{more['command']}` added {len(rows)} rows in {more['seconds'] / 60:.0f} minutes."
    return {**found, "rows": found["rows"] + rows, "left_out": left_out, "remark": remark.strip()}


def load(path):
    """Results without the number of their format; empty ones if there are none yet."""
    found = results_file.load(str(path)) if path.exists() else dict(EMPTY)
    return {key: value for key, value in found.items() if key != "llmcodec_compare"}


def with_models(found, rows):
    """Results with these rows about whole models. What a row of the same codec and rate had besides, such as tasks, stays."""
    def key(row):
        return row["model"], row["codec"], row["asked_bpw"]

    fresh = {key(row): row for row in rows}
    older = [joined(row, fresh.pop(key(row), {})) for row in found["models"]]
    return {**found, "models": older + list(fresh.values())}


def joined(older, fresh):
    """One row of two about the same model: of texts and tasks what either has, else what is newer. A newer result ends an older failure."""
    row = {name: value for name, value in older.items() if name != "failed" or not fresh}
    for name, value in fresh.items():
        row[name] = {**row[name], **value} if isinstance(value, dict) and name in row else value
    return row


class TextScorer:
    """What `llmcodec eval` says of a GGUF, by text."""

    def __init__(self, lab, options):
        self.lab, self.most_bytes = lab, options.text_bytes
        self.texts = {name: text_file(path, lab.folder) for name, path in options.text.items()}

    def of(self, candidate, against=None):
        row = {}
        for name, path in self.texts.items():
            report = measure.run_json([self.lab.program, "eval", candidate, "--text", path, "--max-bytes", self.most_bytes,
                                       *self.original(against), *self.lab.thread_options()])
            for key in ("perplexity", "kl", "kl_error", "top1_percent"):
                if key in report:
                    row.setdefault(key, {})[name] = report[key]
            row.setdefault("bytes_scored", {})[name] = report["text_bytes"]
        return {**row, "versions": {"llmcodec": llmcodec.__version__, "llama.cpp": report["tool_version"]}}

    def original(self, against):
        return ["--original", against, "--cache", self.lab.folder / "cache"] if against else []


def text_file(path, folder):
    """The text itself, or a file of the documents in the second half of a .jsonl: calibration, if any, is made with the first ones."""
    if path.suffix != ".jsonl":
        return path
    documents = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    made = folder / f"{path.stem}.txt"
    made.write_text("\n\n".join(documents[len(documents) // 2:]), encoding="utf-8")
    return made


class TaskScorer:
    """What tools/score_tasks.py says of a GGUF."""

    def __init__(self, lab, options):
        self.command = [os.environ.get("LLMCODEC_PYTHON", "python3"), measure.ROOT / "tools/score_tasks.py", "--tasks", options.task_folder,
                        "--limit", options.max_tasks, *lab.thread_options()]

    def of(self, candidate, against=None):
        del against  # answers are compared when all are there
        report = json.loads(measure.run([*self.command, candidate])[0])
        columns = {"tasks": "accuracy_percent", "tasks_error": "accuracy_percent_error", "tasks_items": "items", "tasks_right": "right"}
        row = {name: {task: found[key] for task, found in report["tasks"].items()} for name, key in columns.items()}
        return {**row, "versions": {"llmcodec": llmcodec.__version__, "torch": f"{report['torch']}, {report['dtype']}"}}


def codec_row(lab, scorer, options, codec, arguments, bits):
    tokenizer = quality_table.tokenizer_bpw(lab, options)
    row = lab.code(options.model, codec, ["--bpw", f"{bits + tokenizer:.4f}", *arguments])
    restored = pathlib.Path(row["archive"]).with_suffix(".gguf")
    restoring = measure.run_json([lab.program, "decompress", row["archive"], "-o", restored, *lab.thread_options()])
    scores = scorer.of(restored, options.model)
    restored.unlink()
    lab.clean(row)
    return {"bpw": row["bpw_weights"], "archive_bpw": row["bpw"], "snr_db": row["snr_db"], "encode_cpu_s": row["compress_cpu"],
            "decode_cpu_s": restoring["user_seconds"], **scores}


def peer_row(lab, scorer, options, quantise, bits):
    def body(name, matrix):
        del name
        return quantise(matrix, bits=bits)

    restored = lab.folder / "peer.gguf"
    try:
        size = reference_model.restored_copy(options.model, restored, body, body)
        return {"bpw": size.summary()["bpw_weights"], **scorer.of(restored, options.model)}
    finally:
        restored.unlink(missing_ok=True)


def methods(lab, options, scorer):
    """(name, what it is in words, bits asked for, what makes the row)."""
    yield ORIGINAL, "the original", 16, lambda: {"bpw": 16.0, **scorer.of(options.model)}
    for name in options.codecs:
        for bits in options.bits:
            if name in PEERS:
                yield name, f"{name}, groups of 64, embeddings too", bits, functools.partial(peer_row, lab, scorer, options, PEERS[name], bits)
            else:
                codec, arguments = CODECS.get(name, (name, ALONE))
                spec = " ".join(("--codec", codec, *arguments))
                yield name, spec, bits, functools.partial(codec_row, lab, scorer, options, codec, arguments, bits)


def models(options):
    lab = measure.Lab(measure.find_program(), options.work, options.threads)
    common = {"text": {name: str(path) for name, path in options.text.items()}, "text_bytes": options.text_bytes}
    write_rows(lab, options, TextScorer(lab, options), common)


def tasks(options):
    lab = measure.Lab(measure.find_program(), options.work, options.threads)
    write_rows(lab, options, TaskScorer(lab, options), {"task_folder": str(options.task_folder), "max_tasks": options.max_tasks})


def write_rows(lab, options, scorer, common):
    """Makes the rows that are not there yet. `common` is what they depend on besides codec and rate."""
    for name, spec, bits, make in methods(lab, options, scorer):
        def with_load(make=make):
            load_before = os.getloadavg()[0]
            return {**make(), "load_average": [load_before, os.getloadavg()[0]]}

        told = {"model": options.model_name, "codec": name, "spec": spec, "asked_bpw": bits}
        kept = lab.row({"table": "study", "version": llmcodec.__version__, **common, **told}, with_load)
        row = {key: value for key, value in kept.items() if key not in ("table", "version", "error", *common)}
        if "error" in kept:
            row["failed"] = kept["error"]
        write_lines(options.output, compact(with_models(load(options.output), [row])))
        scores = {key: row[key] for key in ("bpw", "perplexity", "kl", "tasks", "failed") if key in row}
        print(f"{name}, {bits:g} bits: {scores}", flush=True)


def keep(options):
    found = slim(load(options.results))
    older = load(options.output)
    found = with_rows(older, found) if options.add else with_models(found, older["models"])
    if options.remark:
        found["remark"] = options.remark
    write_lines(options.output, found)
    print(f"{options.output}: {len(found['rows'])} rows, {options.output.stat().st_size:,} bytes")


def document(options):
    stale = study_document.update(check=options.check)
    for path in stale:
        print(f"{path}: {'does not say what the results say' if options.check else 'rewritten'}")
    sys.exit(1 if options.check and stale else 0)


def named_file(text):
    name, _, path = text.partition("=")
    if not path:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE")
    return name, pathlib.Path(path)


def find_model(options):
    options.model = measure.model_path(options.model)
    options.model_name = options.model.stem
    options.work = options.work or measure.ROOT / "build/study" / options.model_name
    options.output = options.output or measure.ROOT / "docs/study" / f"{options.model_name.removesuffix('-f16')}.json"


def add_model(commands, name):
    """The command `name`, with the options of all that makes rows about a model."""
    add = (made := commands.add_parser(name)).add_argument
    add("model", help=f"an F16 GGUF, or one of {', '.join(measure.MODELS)}")
    add("--codecs", default=";".join(STANDARD), help=f"names separated by semicolons; default {';'.join(STANDARD)}; there are {'; '.join(CODECS)} too")
    add("--bits", default="2,3,4", help="separated by commas")
    add("--threads", type=int, default=0)
    add("--work", type=pathlib.Path, help="finished rows; default build/study/NAME")
    add("-o", "--output", type=pathlib.Path, help="default docs/study/NAME.json")
    return made


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    add = add_model(commands, "models").add_argument
    add("--text", action="append", type=named_file, default=[], metavar="NAME=FILE", help="repeatable; default: WikiText-2 of ./dev tools text")
    add("--text-bytes", type=int, default=60000, help="of each text (default 60000)")
    add = add_model(commands, "tasks").add_argument
    add("--task-folder", type=pathlib.Path, required=True, help="files that tools/score_tasks.py names")
    add("--max-tasks", type=int, default=200, help="of each file (default 200)")
    add = commands.add_parser("keep").add_argument
    add("results", type=pathlib.Path)
    add("-o", "--output", type=pathlib.Path, required=True)
    add("--add", action="store_true", help="beside the rows that the file has")
    add("--remark", help="what readers should know of the run")
    commands.add_parser("document").add_argument("--check", action="store_true", help="only says whether they agree; exit code 1 if not")
    options = parser.parse_args()
    if options.command == "models":
        options.text = dict(options.text) or {"WikiText-2": measure.ROOT / "build/tools/text/eval.txt"}
    if options.command in ("models", "tasks"):
        find_model(options)
        options.codecs = [name.strip() for name in options.codecs.split(";")]
        options.bits = [float(bits) for bits in options.bits.split(",")]
    return options


def main():
    options = parse()
    {"models": models, "tasks": tasks, "keep": keep, "document": document}[options.command](options)


if __name__ == "__main__":
    main()
