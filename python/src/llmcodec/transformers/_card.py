# SPDX-License-Identifier: BSD-3-Clause
"""The model card of a compressed model, as the Hugging Face Hub reads it."""

from __future__ import annotations

import pathlib
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from llmcodec._errors import CorruptError
from llmcodec.reports import CompressReport

ORIGINAL_CARD = "README.original.md"
# What holds for the compressed model as it does for the original.
_TAKEN_OVER = (
    "license",
    "license_name",
    "license_link",
    "language",
    "pipeline_tag",
    "datasets",
    "inference",
    "extra_gated_prompt",
)
_TEXT = """\
# {title}, {bpw:.2f} bits per weight

Compressed by [llmcodec](https://pypi.org/project/llmcodec/), which stores weights as video.

| | this model | the original |
|---|---|---|
| weights | {bytes:,} bytes | {original_bytes:,} bytes |
| bits per weight | {bpw:.2f} | {original_bpw:.2f} |
| signal-to-noise ratio of the weights | {snr} | |

## How to load

    pip install "llmcodec[transformers]"

```python
import llmcodec.transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("this-model")
tokenizer = AutoTokenizer.from_pretrained("this-model")
```

For vLLM: `vllm serve this-model --load-format llmcodec`. For all else, `llmcodec decompress this-model -o restored`
gives a plain folder of safetensors.
{original}"""


def card_of(
    known: dict[str, Any], has_original: bool, base_model: str | None, report: CompressReport, original_bytes: int
) -> str:
    """The text of README.md. `known`: what the card of the model that was compressed says of it, if it `has_original`."""
    data: dict[str, Any] = {key: known[key] for key in _TAKEN_OVER if key in known}
    data["library_name"] = "transformers"
    data["tags"] = list(dict.fromkeys(["llmcodec", "compressed", *_texts(known.get("tags"))]))
    if base_model is not None:
        data |= {"base_model": base_model, "base_model_relation": "quantized"}
    header = ModelCardData(ignore_metadata_errors=True, **data).to_yaml()
    return f"---\n{header}\n---\n\n" + _TEXT.format(
        title=base_model or "A compressed model",
        bpw=report.bpw,
        bytes=report.bytes,
        original_bytes=original_bytes,
        original_bpw=original_bytes * 8 / max(report.parameters, 1),
        snr="no loss" if report.snr_db is None else f"{report.snr_db:.1f} dB",
        original="" if not has_original else f"\nThe original's card: [{ORIGINAL_CARD}]({ORIGINAL_CARD}).\n",
    )


def metadata_of(card: pathlib.Path | None) -> dict[str, Any]:
    """What stands at the head of a card, in YAML; CorruptError if it is none."""
    if card is None:
        return {}
    try:
        found: dict[str, Any] = ModelCard.load(card, ignore_metadata_errors=True).data.to_dict()
    except Exception as error:  # YAML's errors are of many classes
        raise CorruptError(f"{card}: its metadata is no YAML: {error}", file=str(card)) from error
    return found


def _texts(tags: object) -> list[str]:
    return [str(tag) for tag in tags] if isinstance(tags, (list, tuple)) else []
