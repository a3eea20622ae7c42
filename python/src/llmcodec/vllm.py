# SPDX-License-Identifier: BSD-3-Clause
"""vLLM's plugin: `vllm serve FOLDER --load-format llmcodec` loads a compressed folder.

There is nothing to import: vLLM finds `register` by its entry point, and calls it in each of its processes.
"""

from __future__ import annotations

_registered = False


def register() -> None:
    """Makes vLLM know the load format, and the quantisation method that config.json names. Twice is as good as once."""
    global _registered
    if _registered:
        return
    from vllm.model_executor.layers.quantization import register_quantization_config
    from vllm.model_executor.model_loader import register_model_loader

    from ._vllm_loader import FORMAT, LlmcodecConfig, LlmcodecModelLoader

    register_quantization_config(FORMAT)(LlmcodecConfig)
    register_model_loader(FORMAT)(LlmcodecModelLoader)
    _registered = True
