#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Scores folders by lm-evaluation-harness on local task files: models as they are, and archives, through transformers.

usage: run_harness.py FOLDER... --tasks DIR [--limit 200]        prints a Markdown table, a row for each folder

DIR holds arc_easy.jsonl, arc_challenge.jsonl, hellaswag.jsonl and piqa.jsonl ({"query", "choices", "gold"} a line),
winogrande.jsonl ({"context_options", "continuation", "gold"}) and lambada.jsonl ({"context", "continuation"}); those that are
not there are left out. The same first --limit items for every model. Accuracy in %, normalised by the length of the choice
where the harness's own task of this name reports it so. Needs llmcodec[transformers] and lm-eval (tried: 0.4.13).
"""

import argparse
import datetime
import pathlib
import time

import measure
from lm_eval import simple_evaluate

import llmcodec.transformers  # noqa: F401, transformers opens archives after it

CHOICES = {"output_type": "multiple_choice", "doc_to_text": "{{query.rstrip()}}\nAnswer:", "doc_to_choice": "choices", "doc_to_target": "gold"}
# As in the harness, the context changes and the continuation stays: doc_to_text gives the number of the right one.
CONTEXTS = {"output_type": "multiple_choice", "doc_to_text": "gold", "doc_to_choice": "context_options", "doc_to_target": "continuation"}
LAST_WORD = {"output_type": "loglikelihood", "doc_to_text": "{{context}}", "doc_to_target": "{{' ' + continuation}}"}
ENDINGS = {**CHOICES, "doc_to_text": "{{query}}"}
TASKS = {"arc_easy": (CHOICES, "acc_norm"), "arc_challenge": (CHOICES, "acc_norm"), "hellaswag": (ENDINGS, "acc_norm"),
         "lambada": (LAST_WORD, "acc"), "piqa": (CHOICES, "acc_norm"), "winogrande": (CONTEXTS, "acc")}


def tasks_of(folder):
    """Descriptions of the tasks whose files are there, as the harness's YAML files have them."""
    found = []
    for name, (kind, metric) in TASKS.items():
        path = folder / f"{name}.jsonl"
        if path.exists():
            data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(path)}}, "test_split": "test"}
            found.append({"task": f"{name}_local", **data, **kind, "metric_list": [{"metric": metric}]})
    if not found:
        raise SystemExit(f"{folder}: none of {', '.join(f'{name}.jsonl' for name in TASKS)}")
    return found


def cells(results):
    """Task -> "accuracy ± standard error", both in %."""
    row = {}
    for task, scores in results.items():
        name = task.removesuffix("_local")
        metric = TASKS[name][1]
        row[name] = f"{100 * scores[f'{metric},none']:.1f} ± {100 * scores[f'{metric}_stderr,none']:.1f}"
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--tasks", required=True, type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=200, help="items of each task (default 200)")
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    rows = []
    for folder in options.folders:
        began = time.monotonic()
        results = simple_evaluate(model="hf", model_args=f"pretrained={folder},dtype=float32", tasks=tasks_of(options.tasks), limit=options.limit,
                                  batch_size=options.batch_size, device="cpu", bootstrap_iters=100)["results"]
        rows.append({"model": folder.name, **cells(results)})
        print(f"{folder}: {time.monotonic() - began:.0f} s", flush=True)
    columns = [(title, lambda row, title=title: row[title]) for title in rows[0]]
    print(f"\nlm-evaluation-harness, {options.limit} items a task, {measure.machine()}, {datetime.date.today()}\n\n{measure.table(rows, columns)}")


if __name__ == "__main__":
    main()
