# SPDX-License-Identifier: BSD-3-Clause
"""The tokens that a model is run on: a text's, random ones, or those that it writes itself."""

from __future__ import annotations

import json
import os
from typing import Any

import torch

from llmcodec._errors import InvalidArgumentError, UnsupportedError

from ._options import Say

# What keys and values of the sequences written side by side may take; at least MIN_BATCH are written whatever they take.
_CACHE_BYTES, _MIN_BATCH, _MAX_BATCH = 1 << 30, 32, 128


def text_sequences(tokenizer: Any, path: str, count: int, length: int) -> Any:
    """At most `count` rows of `length` ids of a text, or of the field "text" of JSON lines (*.jsonl)."""
    if tokenizer is None:
        raise UnsupportedError(f"{path}: the model has no tokenizer that transformers reads: calibrate by self-written text")
    ids: list[int] = []
    for document in _documents(path):
        ids += tokenizer.encode(document + "\n\n")
        if len(ids) >= count * length:
            break
    count = min(count, len(ids) // length)
    if count == 0:
        raise InvalidArgumentError(f"{path}: {len(ids)} tokens are too few: one sequence takes {length}")
    return torch.tensor(ids[: count * length]).reshape(count, length)


def _documents(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            if not path.endswith(".jsonl"):
                return [file.read()]
            lines = [(number, json.loads(line)) for number, line in enumerate(file, 1) if line.strip()]
    except OSError as error:
        raise InvalidArgumentError(f"{path}: {os.strerror(error.errno or 0)}") from error
    except ValueError as error:
        raise InvalidArgumentError(f"{path}: not UTF-8 text, or not JSON lines: {error}") from error
    for number, line in lines:
        if not isinstance(line, dict) or not isinstance(line.get("text"), str):
            raise InvalidArgumentError(f"{path}: line {number} is no JSON object with a string 'text'")
    return [line["text"] for _, line in lines]


def random_sequences(vocabulary: int, count: int, length: int, seed: int) -> Any:
    """Ids of independent tokens, frequent ones more often."""
    return _by_frequency(vocabulary, count * length, seeded(seed)).reshape(count, length)


def _by_frequency(vocabulary: int, count: int, generator: Any) -> Any:
    """Vocabularies are sorted by frequency: Zipf-Mandelbrot's law, 1 / (id + 500), stands in for a text's."""
    shares = 1 / (torch.arange(vocabulary, dtype=torch.float64) + 500)
    return drawn(shares[None], torch.rand(1, count, generator=generator, dtype=torch.float64))[0]


def drawn(shares: Any, levels: Any) -> Any:
    """Indices [rows, n] drawn from rows of probabilities, which need not add up to 1, by levels [rows, n] from 0 to 1."""
    cumulated = shares.cumsum(-1)
    index = torch.searchsorted(cumulated, levels.to(cumulated) * cumulated[:, -1:], right=True)
    return index.clamp(max=shares.shape[-1] - 1)


def seeded(*seeds: int) -> Any:
    """A generator that gives the same numbers for the same seeds whatever the device: it draws on the CPU."""
    seed = 0
    for value in seeds:
        seed = (seed * 0x9E3779B97F4A7C15 + value + 1) % (1 << 63)
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def written_sequences(model: Any, tokenizer: Any, count: int, length: int, *, seed: int, chat: float, say: Say) -> Any:
    """`count` sequences of `length` tokens that the model writes itself, many side by side, at temperature 1.

    Each starts with the token that texts start with in this model, where there is one, and a token drawn by frequency; a
    share `chat` of them with what comes before a user's message in the chat template.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    of_chat = round(count * chat)
    starts = [(_plain_start(tokenizer), count - of_chat, True), (_chat_start(tokenizer) if of_chat else [], of_chat, False)]
    batch = writing_batch(model, length)
    rows: list[Any] = []
    for start, total, draws in starts:
        if len(start) + draws >= length and total:
            raise InvalidArgumentError(f"sequences of {length} tokens have no room after a start of {len(start)} tokens")
        for first in range(0, total, batch):
            generator = seeded(seed, len(rows))
            size = min(batch, total - first)
            head = torch.tensor(start, dtype=torch.long).expand(size, -1)
            if draws:
                head = torch.cat([head, _by_frequency(vocabulary, size, generator)[:, None]], 1)
            rows.append(_written(model, head, length, generator, say))
            say(f"written: {sum(len(r) for r in rows)} of {count} sequences of {length} tokens")
    return torch.cat(rows)


def _written(model: Any, tokens: Any, length: int, generator: Any, say: Say) -> Any:
    cache, step = None, tokens.to(model.device)
    while tokens.shape[1] < length:
        answer = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = getattr(answer, "past_key_values", None)
        if cache is None:
            raise UnsupportedError("this family writes without a cache of keys and values: calibrate it on a text")
        step = drawn(answer.logits[:, -1].float().softmax(-1), torch.rand(len(tokens), 1, generator=generator))
        tokens = torch.cat([tokens, step.cpu()], 1)
        if tokens.shape[1] % 64 == 0 and tokens.shape[1] < length:
            say(f"writing: {tokens.shape[1]} of {length} tokens of {len(tokens)} sequences")
    return tokens


def _plain_start(tokenizer: Any) -> list[int]:
    """The token that this tokenizer puts before a text, if it puts one."""
    if tokenizer is None or tokenizer.bos_token_id is None:
        return []
    ids = tokenizer.encode("a")
    return [ids[0]] if ids and ids[0] == tokenizer.bos_token_id else []


def _chat_start(tokenizer: Any) -> list[int]:
    """What stands before a user's message, so that the model writes the message too."""
    if tokenizer is None or not getattr(tokenizer, "chat_template", None):
        raise InvalidArgumentError("chat: the model's tokenizer has no chat template")
    message = "0123456789"
    text = tokenizer.apply_chat_template([{"role": "user", "content": message}], tokenize=False)
    if message not in text:
        raise InvalidArgumentError("chat: the model's chat template does not show the user's message")
    return list(tokenizer.encode(text[: text.index(message)], add_special_tokens=False))


def writing_batch(model: Any, length: int) -> int:
    """Sequences that are written side by side."""
    each = length * cache_bytes(model.config.get_text_config(), model.dtype.itemsize)
    return max(_MIN_BATCH, min(_MAX_BATCH, _CACHE_BYTES // each))


def cache_bytes(text: Any, bytes_each: int) -> int:
    """Of keys and values of one token; text: a language model's configuration."""
    heads = getattr(text, "num_attention_heads", 1)
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    return int(2 * text.num_hidden_layers * (getattr(text, "num_key_value_heads", None) or heads) * width * bytes_each)
