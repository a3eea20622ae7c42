# SPDX-License-Identifier: BSD-3-Clause
"""The tables of run_benchmarks.py about quality, all with codec vvc, on the whole of SmolLM2:

quality   2.5 to 4 bits with more and more known about inputs and outputs
ablation  what each part of the method buys, at 3 bits
texts     four kinds of text at 3 bits: prose, code, French, chat
tasks     PIQA, WinoGrande, ARC at 2, 3 and 4 bits

and `quality --model NAME`, on the whole of another model, with fewer tokens and rates.

Moments are collected once by llmcodec.calibrate, in the Python that LLMCODEC_PYTHON names, into the results folder. Without a
calibration text (--calibration), the rows that need one are left out.
"""
import functools
import os
import pathlib
import re
import subprocess

import measure

# Bits asked for: 2.5 to 4 without the tokenizer, 0.024 bits of the reference model after zstd.
TOKENIZER_BPW = 0.024
TARGETS = (2.5, 3.0, 3.5, 4.0)
GOALS = {"the weights": (1.10, 0.50, 0.25, 0.12), "random tokens": (0.70, 0.32, 0.16, 0.080),
         "llama-imatrix": (0.58, 0.27, 0.135, 0.070),
         "text: diagonal": (0.58, 0.27, 0.135, 0.070), "text: closed loop": (0.40, 0.19, 0.10, 0.050)}
TEXT_BYTES = 60000
OTHER_TEXT_BYTES = 20000
TASK_FILES = ("piqa", "winogrande", "arc_easy", "arc_challenge")
MAX_TASKS = 200
RANDOM = ("--random", "--tokens", "4096", "--length", "256")
TEXT_TOKENS = "204800"
EQUAL_STEPS = ("--set", ".=step_octaves:0")  # no allocation over tensors

SCORES = [("perplexity", lambda r: f"{r['perplexity']:.2f}"), ("KL", lambda r: f"{r['kl']:.3f} ± {r['kl_error']:.3f}"),
          ("99.9 % KL", lambda r: f"{r['kl_999']:.2f}"), ("same first token", lambda r: f"{r['top1_percent']:.1f} %")]
SIZE = [("bpw weights", lambda r: f"{r['bpw_weights']:.3f}"), ("SNR dB", lambda r: f"{r['snr_db']:.2f}")]


def goal(row):
    return GOALS[row["known"]][TARGETS.index(row["target"])]


def accuracy(name):
    def cell(row):
        task = row["tasks"][name]
        return f"{task['accuracy_percent']:.1f} ± {task['accuracy_percent_error']:.1f}"
    return cell


COLUMNS = {
    "quality": [("known", lambda r: r["known"]), *SIZE, *SCORES, ("KL asked for", lambda r: f"{goal(r):g}")],
    "ablation": [("what", lambda r: r["what"]), *SIZE, *SCORES],
    "texts": [("known", lambda r: r["known"]), ("text", lambda r: r["text"]), ("bpw weights", lambda r: f"{r['bpw_weights']:.3f}"), *SCORES],
    "tasks": [("known", lambda r: r["known"]), ("bpw weights", lambda r: f"{r['bpw_weights']:.3f}"),
              *((name, accuracy(name)) for name in TASK_FILES)]}


def collected(lab, options, name, source, wanted):
    """Paths of the moment files `wanted` (imatrix, hessian), made unless they are there."""
    paths = {kind: lab.folder / f"{name}.{kind}.{'gguf' if kind == 'imatrix' else 'safetensors'}" for kind in wanted}
    if not all(path.exists() for path in paths.values()):
        outputs = [argument for kind, path in paths.items() for argument in (f"--{kind}", str(path))]
        python = os.environ.get("LLMCODEC_PYTHON", "python3")
        subprocess.run([python, "-m", "llmcodec.calibrate", str(options.model), *source, *outputs], check=True)
    return paths


def inputs_alone(lab, options):
    """An imatrix as llama.cpp makes it, without output moments."""
    path = lab.folder / f"{'inputs' if options.is_reference else options.model_name}.imatrix.gguf"
    if not path.exists():
        measure.run([lab.program, "importance", options.model, "-o", path, "--text", options.calibration, "--quiet"])
    return path


def levels(lab, options):
    """What is known -> options of compress."""
    found = {"each tensor alone": ["--importance", "none"], "the weights": []}
    random = collected(lab, options, "random", RANDOM, ["imatrix"])
    found["random tokens"] = ["--importance", random["imatrix"]]
    if options.calibration:
        found["llama-imatrix"] = ["--importance", inputs_alone(lab, options)]
        text = collected(lab, options, "text", ["--text", options.calibration, "--tokens", TEXT_TOKENS], ["imatrix", "hessian"])
        found["text: diagonal"] = ["--importance", text["imatrix"]]
        found["text: closed loop"] = ["--importance", text["imatrix"], "--hessian", text["hessian"]]
    return found


def parts(lab, options):
    """Parts of the method -> options of compress, each adding to the one above."""
    alone = ["--importance", "none", "--scales"]
    found = {"tensor scales": [*alone, "tensor"], "row scales": [*alone, "row"], "dual scales": [*alone, "dual"],
             "dual scales of tempered exponents": alone[:2], "estimate, equal steps": list(EQUAL_STEPS), "estimate (the default)": []}
    if not options.calibration:
        return found
    text = levels(lab, options)
    inputs = inputs_alone(lab, options)
    known = {"imatrix of inputs, outputs estimated": ["--importance", inputs], "imatrix of inputs and outputs": text["text: diagonal"],
             "closed loop, outputs estimated": ["--importance", inputs, *text["text: closed loop"][2:]],
             "closed loop": text["text: closed loop"]}
    for name, arguments in known.items():
        found[f"{name}, equal steps"] = [*arguments, *EQUAL_STEPS]
        found[name] = arguments
    return found


def vvc_score(lab, options, target, arguments, text, text_bytes):
    return lab.clean(lab.score(options.model, "vvc", ["--bpw", f"{target + TOKENIZER_BPW:.3f}", *arguments], text, text_bytes))


def rows_of(lab, options, named):
    """Scores one row after the other; named: (key of the row, arguments of vvc_score after the model)."""
    calls = [functools.partial(lab.row, key, functools.partial(vvc_score, lab, options, *arguments)) for key, arguments in named]
    return measure.in_parallel(options.jobs, calls)


def quality(lab, options):
    return rows_of(lab, options, [({"table": "quality", "known": known, "target": target}, (target, arguments, options.text, TEXT_BYTES))
                                  for known, arguments in levels(lab, options).items() for target in TARGETS if known in GOALS])


def ablation(lab, options):
    return rows_of(lab, options, [({"table": "ablation", "what": what}, (3.0, arguments, options.text, TEXT_BYTES))
                                  for what, arguments in parts(lab, options).items()])


def texts(lab, options):
    folder = options.tools / "texts"
    files = {"prose": options.text, **{name: folder / f"{name}.txt" for name in ("code", "french", "chat")}}
    missing = [str(path) for path in files.values() if not path.exists()]
    if missing:
        raise SystemExit(f"no {', '.join(missing)}: run tools/get_texts.sh")
    return rows_of(lab, options, [({"table": "texts", "known": known, "text": name}, (3.0, arguments, path, OTHER_TEXT_BYTES))
                                  for known, arguments in levels(lab, options).items() for name, path in files.items()])


def task_scores(lab, options, candidate):
    files = [argument for name in TASK_FILES for argument in ("--task", options.task_folder / f"{name}.jsonl")]
    report = measure.run_json([lab.program, "eval", candidate, *files, "--max-tasks", MAX_TASKS, *lab.thread_options()])
    return {"tasks": {pathlib.Path(task["file"]).stem: task for task in report["tasks"]}}


def task_row(lab, options, target, arguments):
    if target == 16:
        return {"bpw_weights": 16.0, **task_scores(lab, options, options.model)}
    row = lab.code(options.model, "vvc", ["--bpw", f"{target + TOKENIZER_BPW:.3f}", *arguments])
    restored = pathlib.Path(row["archive"]).with_suffix(".gguf")
    measure.run([lab.program, "decompress", row["archive"], "-o", restored, *lab.thread_options()])
    row.update(task_scores(lab, options, restored))
    restored.unlink()
    return lab.clean(row)


def tasks(lab, options):
    if not options.task_folder:
        raise SystemExit("the table tasks needs --task-folder with " + ", ".join(f"{name}.jsonl" for name in TASK_FILES))
    known = {name: arguments for name, arguments in levels(lab, options).items() if name in ("the weights", "text: closed loop")}
    wanted = [("the original, F16", 16, []), *((name, target, arguments) for name, arguments in known.items() for target in (4.0, 3.0, 2.0))]
    calls = [functools.partial(lab.row, {"table": "tasks", "known": name, "target": target},
                               functools.partial(task_row, lab, options, target, arguments)) for name, target, arguments in wanted]
    return measure.in_parallel(options.jobs, calls)


OTHER_TARGETS = (2.5, 3.0, 4.0)
CLOSED_LOOP_TARGETS = (2.0, *OTHER_TARGETS)
OTHER_TOKENS = 16384  # of a calibration text
# Bytes of text that are scored: the larger a model, the fewer, for two cores.
OTHER_BYTES = {"gemma270m": 30000, "qwen05b": 20000, "qwen15b": 10000}
OTHER_COLUMNS = [("known", lambda r: r["known"]), *SIZE, *SCORES, ("of the original", lambda r: f"{r['original_perplexity']:.2f}"),
                 ("peak MB", lambda r: f"{r['peak_bytes'] / 1e6:.0f}")]


def tokenizer_bpw(lab, options):
    """What the GGUF header takes of an archive, in bits per weight."""
    row = lab.row({"table": "tokenizer", "model": options.model_name},
                  lambda: lab.clean(lab.code(options.model, "raw", ["--step", "1"])))
    return row["bpw"] - row["bpw_weights"]


def other_levels(lab, options):
    """What is known of another model -> (options of compress, bits asked for). Files are made for what is asked for alone."""
    def closed_loop(kind, source):
        files = collected(lab, options, f"{options.model_name}.{kind}", [str(argument) for argument in source], ["imatrix", "hessian"])
        return ["--importance", files["imatrix"], "--hessian", files["hessian"]]

    levels = {"each tensor alone": (lambda: ["--importance", "none"], OTHER_TARGETS), "the weights": (list, OTHER_TARGETS)}
    if options.calibration:
        text = ["--text", options.calibration, "--tokens", OTHER_TOKENS]
        levels["llama-imatrix"] = (lambda: ["--importance", inputs_alone(lab, options)], OTHER_TARGETS)
        levels[f"{OTHER_TOKENS:,} tokens of text: closed loop"] = (lambda: closed_loop("text", text), CLOSED_LOOP_TARGETS)
    if options.self_tokens:
        own = ["--self", "--tokens", options.self_tokens]
        levels[f"{options.self_tokens:,} tokens of its own: closed loop"] = (lambda: closed_loop("self", own), CLOSED_LOOP_TARGETS)
    return {known: (arguments(), targets) for known, (arguments, targets) in levels.items() if re.search(options.known, known)}


def other_model(lab, options):
    """Rows of another model than SmolLM2: by its name in measure.MODELS."""
    tokenizer = tokenizer_bpw(lab, options)

    def score(target, arguments):
        rate = ["--bpw", f"{target + tokenizer:.4f}"]
        return lab.clean(lab.score(options.model, "vvc", [*rate, *arguments], options.text, OTHER_BYTES[options.model_name]))

    calls = [functools.partial(lab.row, {"table": "quality", "model": options.model_name, "known": name, "target": target},
                               functools.partial(score, target, arguments))
             for name, (arguments, targets) in other_levels(lab, options).items() for target in targets]
    return measure.in_parallel(options.jobs, calls)


TABLES = {"quality": quality, "ablation": ablation, "texts": texts, "tasks": tasks}
