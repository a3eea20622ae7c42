# SPDX-License-Identifier: BSD-3-Clause
"""Random models of transformers' families, small enough to be made in a test: the same weights every time."""

from __future__ import annotations

import pathlib
from typing import Any

import torch
import transformers

COMMON: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}


def save(folder: pathlib.Path, family: str, dtype: torch.dtype, options: dict[str, Any]) -> None:
    """A folder with a model of `family` ("Llama"), whose configuration is COMMON and `options`."""
    torch.manual_seed(7)
    config = getattr(transformers, f"{family}Config")(**(COMMON | options))
    getattr(transformers, f"{family}ForCausalLM")(config).to(dtype).save_pretrained(folder)
