# SPDX-License-Identifier: BSD-3-Clause
"""Models from Hugging Face folders and GGUF files, as transformers runs them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch
import transformers

from llmcodec._errors import UnsupportedError


def load_model(source: str, dtype: str, device: str) -> Any:
    """The causal model of a folder or a GGUF file, without gradients of its weights."""
    options: dict[str, Any] = _place(source) | {"dtype": _dtype(dtype, device)}
    if "gguf_file" in options:
        options |= _dense()
    try:
        with _quiet():
            return _loaded(options).requires_grad_(False).eval().to(device)
    except (ValueError, KeyError, NotImplementedError, ImportError, RuntimeError, OSError) as error:
        raise UnsupportedError(f"{source}: transformers does not run it: {error}") from error


def _loaded(options: dict[str, Any]) -> Any:
    # Experts one after the other, so that every product is seen. Attention as products of matrices: with the short sequences
    # used here it is no slower than fused kernels, and on some processors' BF16 four times as fast.
    eager = {"experts_implementation": "eager", "attn_implementation": "eager"}
    return transformers.AutoModelForCausalLM.from_pretrained(**options, **eager)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Of transformers, errors alone: whoever calls is told otherwise what goes on."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_tokenizer(source: str) -> Any:
    """None where transformers reads none."""
    try:
        return transformers.AutoTokenizer.from_pretrained(**_place(source))
    except Exception:  # whatever a tokenizer's file makes it raise
        return None


def _place(source: str) -> dict[str, Any]:
    """What from_pretrained() needs; nothing is fetched, and no code of a model's is run."""
    folder, name = (source, None) if os.path.isdir(source) else os.path.split(os.path.abspath(source))
    place = {"pretrained_model_name_or_path": folder, "local_files_only": True, "trust_remote_code": False}
    return place | ({"gguf_file": name} if name else {})


def _dense() -> dict[str, Any]:
    """Keeps transformers from leaving a GGUF's weights in blocks, where it can."""
    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def _dtype(name: str, device: str) -> Any:
    if name != "auto":
        return getattr(torch, name)
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32
