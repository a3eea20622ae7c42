# SPDX-License-Identifier: BSD-3-Clause
"""A Llama of 0.94 million weights that writes small stories (--tiny-llama FOLDER; not brought by any package).

Text: what the original writes itself, 64 sequences of 128 tokens for calibration and as many others. Score: mean KL
divergence of the next-token distributions from the original, with its standard error over sequences, and the perplexity.
"""
import json

import numpy as np
import torch
import transformers

NAME = "tiny Llama"
SEQUENCES, LENGTH = 64, 128


def fetch(folder, options):
    del folder
    if not options.tiny_llama:
        print(f"{NAME}: skipped, no --tiny-llama FOLDER")
    return options.tiny_llama


def config_of(folder):
    own = json.loads((folder / "config.json").read_text())
    return transformers.LlamaConfig(
        vocab_size=own["vocab_size"], hidden_size=own["hidden_size"], intermediate_size=own["intermediate_size"],
        num_hidden_layers=own["num_layers"], num_attention_heads=own["num_heads"], num_key_value_heads=own["num_kv_heads"],
        rms_norm_eps=own["rms_norm_eps"], rope_theta=own["rope_theta"], max_position_embeddings=own["max_position"],
        tie_word_embeddings=own["tie_embeddings"], bos_token_id=own["bos_token_id"], eos_token_id=own["eos_token_id"])


class Runner:
    def __init__(self, folder, tensors, options):
        del options
        self.model = transformers.LlamaForCausalLM(config_of(folder)).eval()
        self.model.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})

    @torch.no_grad()
    def written(self, seed):
        """[SEQUENCES, LENGTH] tokens, drawn from the model."""
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.full((SEQUENCES, 1), self.model.config.bos_token_id)
        while tokens.shape[1] < LENGTH:
            chances = torch.softmax(self.model(tokens).logits[:, -1], -1)
            tokens = torch.cat([tokens, torch.multinomial(chances, 1, generator=generator)], 1)
        return tokens

    @torch.no_grad()
    def calibrate(self):
        self.model(self.written(1))

    @torch.no_grad()
    def score(self, original):
        tokens = original.written(2)
        wanted = torch.log_softmax(original.model(tokens).logits[:, :-1].double(), -1)
        ours = torch.log_softmax(self.model(tokens).logits[:, :-1].double(), -1)
        kl = (wanted.exp() * (wanted - ours)).sum(-1).mean(1).numpy()
        loss = -ours.gather(-1, tokens[:, 1:, None]).mean().item()
        return {"KL": f"{kl.mean():.4f} ± {kl.std(ddof=1) / np.sqrt(len(kl)):.4f}", "perplexity": f"{np.exp(loss):.3f}"}
