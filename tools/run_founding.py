#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The founding paper's table for a model of yours: perplexity and task accuracy at 16, 4, 3 and 2 bits per weight.

usage: ./dev bench founding MODEL --tasks DIR --text NAME=FILE... [--calibrate] [--limit N] [--device cuda]

MODEL is a Hugging Face folder, or a GGUF that transformers reads (it becomes a folder first). Rows: the original; llmcodec with
each tensor alone, from the weights (the default), and with --calibrate on text that the model writes itself; RTN, HQQ and SINQ
with groups of 64, which use no data either, on the same tensors. Each is scored as a folder by transformers:

  perplexity  of each --text, in windows of --context tokens that do not overlap, each token but a window's first
  tasks       by lm-evaluation-harness, the first --limit items of each file in DIR (run_harness.py says which and how)

bpw: bits of everything stored for the weights over all weights; for llmcodec the whole file's, tokenizer and config left out.
Finished rows stay in the results folder (default: build/founding/NAME), so that a stopped run goes on; the table is printed
at the end, and written to table.md there. Runs in the Python that LLMCODEC_PYTHON names (else python3), which needs torch,
transformers, lm-eval (tried: 0.4.13), numpy and safetensors: one with CUDA for models that a CPU is too slow for.
"""
import argparse
import functools
import math
import pathlib
import shutil

import measure
import numpy as np
import torch
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from peers import hqq, rtn, sinq
from run_harness import TASKS, cells, tasks_of
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.quantization_config import GgufConfig

import llmcodec
import llmcodec.transformers  # transformers opens archives after it

BITS = (4, 3, 2)
PEERS = {"RTN": functools.partial(rtn.quantise, group=64), "HQQ": hqq.quantise, "SINQ": sinq.quantise}


def as_folder(model, results):
    """MODEL itself, or the folder that transformers makes of a GGUF."""
    if model.is_dir():
        return model
    folder = results / "original"
    if not (folder / "config.json").exists():
        partial = results / "original.partial"
        shutil.rmtree(partial, ignore_errors=True)
        # Without the configuration transformers keeps it as quantised, and saves nothing.
        opened = AutoModelForCausalLM.from_pretrained(model.parent, gguf_file=model.name, dtype=torch.float16,
                                                      quantization_config=GgufConfig(dequantize=True))
        opened.save_pretrained(partial)
        AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name).save_pretrained(partial)
        partial.rename(folder)
    return folder


def perplexity(model, tokenizer, text, context, most_tokens):
    """exp of the mean of -log p over all tokens but each window's first, and their number."""
    ids = tokenizer(text, return_tensors="pt").input_ids[0, :most_tokens]
    total, count = 0.0, 0
    for window in ids.split(context):
        if len(window) < 2:
            continue
        batch = window[None].to(model.device)
        with torch.inference_mode():
            logits = model(batch).logits[0, :-1].float()
        total += torch.nn.functional.cross_entropy(logits, batch[0, 1:], reduction="sum").item()
        count += len(window) - 1
    return math.exp(total / count), count


def score(folder, options):
    """Perplexities and accuracies of a folder, archive or not."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=options.dtype).to(options.device).eval()
    row = {}
    for name, path in options.text.items():
        row[f"{name} perplexity"], row[f"{name} tokens"] = perplexity(
            model, tokenizer, path.read_text(encoding="utf-8"), options.context, options.text_tokens)
    if options.tasks:
        runner = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=options.batch_size)
        results = simple_evaluate(model=runner, tasks=tasks_of(options.tasks), limit=options.limit, bootstrap_iters=100)
        row.update(cells(results["results"]))
    return row


def llmcodec_row(lab, options, bits, keywords):
    archive = lab.folder / "archive"
    shutil.rmtree(archive, ignore_errors=True)
    report = llmcodec.compress(options.folder, archive, bpw=bits, restart=True, **keywords)
    row = {"bpw": report.bpw, **score(archive, options)}
    shutil.rmtree(archive)
    return row


def peer_row(lab, options, bits, quantise):
    restored = lab.folder / "restored"
    shutil.rmtree(restored, ignore_errors=True)
    stored = write_restored(options.folder, restored, functools.partial(quantise, bits=bits))
    row = {"bpw": stored, **score(restored, options)}
    shutil.rmtree(restored)
    return row


def write_restored(source, destination, quantise):
    """The folder with every tensor that llmcodec would code replaced by what `quantise` gives back. Returns bits per weight."""
    shutil.copytree(source, destination, ignore=shutil.ignore_patterns("*.safetensors"))
    coded = {tensor.name for tensor in llmcodec.inspect(source).tensors if tensor.coded}
    bits, weights = 0, 0
    for path in sorted(source.glob("*.safetensors")):
        tensors = {}
        with safe_open(path, "pt") as file:
            for name in file.keys():
                tensor = file.get_tensor(name)
                weights += tensor.numel()
                if name in coded:
                    made = quantise(np.ascontiguousarray(tensor.float().reshape(tensor.shape[0], -1).numpy()))
                    tensors[name] = torch.from_numpy(made.values).reshape(tensor.shape).to(tensor.dtype)
                    bits += made.bits
                else:
                    tensors[name] = tensor
                    bits += 8 * tensor.numel() * tensor.element_size()
        save_file(tensors, destination / path.name, metadata={"format": "pt"})
    return bits / weights


def rows_of(lab, options):
    """Key of each row, and what makes it."""
    levels = {"llmcodec, each tensor alone": {"importance": "none"}, "llmcodec, the weights": {}}
    if options.calibrate:
        levels["llmcodec, self-written text"] = {"calibrate": "self"}
    yield {"method": "the original", "bits": 16}, lambda: {"bpw": 16.0, **score(options.folder, options)}
    for bits in BITS:
        for name, keywords in levels.items():
            yield {"method": name, "bits": bits}, functools.partial(llmcodec_row, lab, options, bits, keywords)
        for name, quantise in PEERS.items():
            yield {"method": f"{name}, groups of 64", "bits": bits}, functools.partial(peer_row, lab, options, bits, quantise)


def table(rows, options):
    columns = [("method", lambda r: r["method"]), ("bpw", lambda r: f"{r['bpw']:.3f}")]
    for name in options.text:
        columns.append((f"{name} perplexity", lambda r, name=name: f"{r[f'{name} perplexity']:.2f}"))
    for name in TASKS:
        if options.tasks and (options.tasks / f"{name}.jsonl").exists():
            columns.append((name, lambda r, name=name: r[name]))
    return measure.table(rows, columns)


def named_file(text):
    name, _, path = text.partition("=")
    if not path:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE")
    return name, pathlib.Path(path)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--text", action="append", type=named_file, default=[], metavar="NAME=FILE", help="repeatable")
    parser.add_argument("--tasks", type=pathlib.Path, help="folder of task files")
    parser.add_argument("--calibrate", action="store_true", help="rows with text that the model writes itself: takes much longer")
    parser.add_argument("--limit", type=int, default=200, help="items of each task (default 200)")
    parser.add_argument("--context", type=int, default=2048, help="tokens of a window (default 2048)")
    parser.add_argument("--text-tokens", type=int, default=40960, help="of each text (default 40960)")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", help="of the running model (default float32; bfloat16 on a GPU)")
    parser.add_argument("--results", type=pathlib.Path, help="default: build/founding/NAME")
    options = parser.parse_args()
    if not options.text and not options.tasks:
        parser.error("nothing to score by: --text NAME=FILE, --tasks DIR or both")
    options.text = dict(options.text)
    options.results = options.results or measure.ROOT / "build/founding" / options.model.resolve().stem
    return options


def main():
    options = parse()
    lab = measure.Lab("", options.results)
    options.folder = as_folder(options.model, options.results)
    # What a row depends on: other texts or limits are other rows.
    common = {"table": "founding", "model": str(options.model.resolve()), "text": {n: str(p) for n, p in options.text.items()},
              "tasks": str(options.tasks), "limit": options.limit, "context": options.context, "tokens": options.text_tokens,
              "dtype": options.dtype, "version": llmcodec.__version__}
    rows = []
    for key, make in rows_of(lab, options):
        rows.append(lab.row({**common, **key}, make))
        print(measure.summary(rows[-1]), flush=True)
    text = (f"`./dev bench founding`, {options.model.name}, {options.limit} items a task, windows of {options.context} tokens, "
            f"{measure.machine()}, {rows[-1]['date']}\n\n{table(rows, options)}\n")
    (options.results / "table.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    main()
