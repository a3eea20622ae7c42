#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Scores a GGUF on tasks by PyTorch, and says of each item whether it was answered rightly, so that two models can be compared item by item.

usage: score_tasks.py MODEL.gguf --tasks DIR [--limit 200] [--threads 1] [--dtype bfloat16]       prints one JSON object

DIR holds arc_challenge.jsonl, hellaswag.jsonl, piqa.jsonl ({"query", "choices", "gold"} a line), winogrande.jsonl ({"context_options",
"continuation", "gold"}) and lambada.jsonl ({"context", "continuation"}); those that are not there are left out. Texts and what counts as
right are those of lm-evaluation-harness, which run_harness.py runs. Here an item is one pass through the model: what its candidates
begin with is computed once, and the output layer, in single precision, sees only the tokens that are scored.

Items are evenly spaced through each file, the same for every model. Needs llmcodec[calibrate] and gguf.
"""
import argparse
import json
import math
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import torch

from llmcodec.calibrate import _loading


@dataclass(frozen=True)
class Task:
    candidates: Callable  # of an item: (context, continuation) of each
    normalised: bool = False  # by the characters of the choice


def questions(item):
    return [(item["query"].rstrip() + "\nAnswer:", f" {choice}") for choice in item["choices"]]


def endings(item):
    return [(item["query"], f" {choice}") for choice in item["choices"]]


def contexts(item):
    return [(context, f" {item['continuation']}") for context in item["context_options"]]


def last_word(item):
    return [(item["context"], f" {item['continuation']}")]


TASKS = {"arc_challenge": Task(questions, True), "hellaswag": Task(endings, True), "lambada": Task(last_word), "piqa": Task(questions, True),
         "winogrande": Task(contexts)}


class Scorer:
    def __init__(self, path, dtype):
        self.tokenizer = _loading.load_tokenizer(path)
        self.model = _loading.load_model(path, dtype, "cpu")
        self.head = self.model.get_output_embeddings().weight.float()

    def encode(self, context, continuation):
        """Tokens of both together, and how many are the context's. Spaces at its end go with what follows, as tokens have them."""
        kept = context.rstrip()
        whole = self.tokenizer(kept + context[len(kept):] + continuation).input_ids
        return whole, len(self.tokenizer(kept).input_ids)

    def log_probabilities(self, candidates):
        """Of each candidate the log-probability of its continuation, and whether every token of that is the most likely one."""
        encoded = [self.encode(*candidate) for candidate in candidates]
        shared = len(os.path.commonprefix([whole[:-1] for whole, _ in encoded]))
        shared = min([shared, *(context - 1 for _, context in encoded)])
        branches = [whole[shared:-1] for whole, _ in encoded]
        hidden = self.hidden(encoded[0][0][:shared], branches)
        found, begin = [], shared
        for (whole, context), branch in zip(encoded, branches):
            wanted = torch.tensor(whole[context:])
            of_branch = hidden[begin + context - 1 - shared:begin + len(branch)]
            scores = torch.log_softmax(of_branch.float() @ self.head.T, dim=-1)
            found.append((scores[torch.arange(len(wanted)), wanted].sum().item(), bool((scores.argmax(-1) == wanted).all())))
            begin += len(branch)
        return found

    def hidden(self, shared, branches):
        """Last hidden states of the shared tokens and of all branches, in one sequence: no branch sees another."""
        lengths = [len(branch) for branch in branches]
        owner = torch.cat([torch.full((length,), number) for number, length in enumerate([len(shared), *lengths])])
        places = torch.cat([torch.arange(len(shared)), *(len(shared) + torch.arange(length) for length in lengths)])
        sees = ((owner[None] == owner[:, None]) | (owner[None] == 0)) & (places[None] <= places[:, None])
        tokens = torch.tensor([[*shared, *(token for branch in branches for token in branch)]])
        mask = torch.zeros(sees.shape, dtype=self.model.dtype).masked_fill(~sees, torch.finfo(self.model.dtype).min)
        return self.model.model(input_ids=tokens, attention_mask=mask[None, None], position_ids=places[None]).last_hidden_state[0]

    def is_right(self, task, item):
        candidates = task.candidates(item)
        scores = self.log_probabilities(candidates)
        if len(candidates) == 1:
            return scores[0][1]
        lengths = [len(continuation) - 1 if task.normalised else 1 for _, continuation in candidates]
        values = [score / length for (score, _), length in zip(scores, lengths)]
        return values.index(max(values)) == item["gold"]


def score(scorer, task, path, limit):
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    count = min(limit, len(items))
    right = [scorer.is_right(task, items[number * len(items) // count]) for number in range(count)]
    share = sum(right) / count
    return {"items": count, "accuracy_percent": 100 * share, "accuracy_percent_error": 100 * math.sqrt(share * (1 - share) / count),
            "right": "".join("01"[answer] for answer in right)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--tasks", required=True, type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=200, help="items of each file (default 200)")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--dtype", default="bfloat16", help="of all but the output layer (default bfloat16)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    scorer = Scorer(str(options.model.resolve()), options.dtype)
    files = {name: options.tasks / f"{name}.jsonl" for name in TASKS}
    with torch.inference_mode():
        found = {name: score(scorer, TASKS[name], path, options.limit) for name, path in files.items() if path.exists()}
    print(json.dumps({"tasks": found, "dtype": options.dtype, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
