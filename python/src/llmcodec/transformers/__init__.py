# SPDX-License-Identifier: BSD-3-Clause
"""Compressed folders in transformers. Importing this is all there is to do:

    import llmcodec.transformers
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained("my-model-3bit")

What is loaded is bit for bit what the decompressed folder gives, a plain model: it can be trained, quantised, and saved by
`save_pretrained`. Tensors are decoded while they are loaded, straight into the memory in which they stay.

`compress_model` writes such a folder, with a model card; `llmcodec.compress` does without the card.
docs/decisions/052-transformers.md says how it works and why.
"""

from ._compress import compress_model
from ._files import install
from ._quantizer import LlmcodecConfig, LlmcodecQuantizer, register

install()
register()

__all__ = ["LlmcodecConfig", "LlmcodecQuantizer", "compress_model"]
