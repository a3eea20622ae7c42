# SPDX-License-Identifier: BSD-3-Clause
"""What vLLM is given: a loader that decodes an archive, and a quantisation method that leaves all layers plain."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from typing import Any

import torch
from vllm.config import get_current_vllm_config
from vllm.config.load import LoadConfig
from vllm.model_executor.layers.linear import LinearBase, UnquantizedLinearMethod
from vllm.model_executor.layers.quantization.base_config import QuantizationConfig
from vllm.model_executor.model_loader import DefaultModelLoader
from vllm.model_executor.model_loader.ep_weight_filter import should_skip_weight

from . import _core
from ._errors import InvalidArgumentError, UnsupportedError
from ._reader import safe_open
from ._system import encoded

FORMAT = "llmcodec"
# Tensors are decoded some at a time, so that small ones keep all threads busy: up to so many weights.
_WEIGHTS_AT_ONCE = 1 << 25


class LlmcodecModelLoader(DefaultModelLoader):
    """vLLM's own loader, but for where the tensors come from. It finds, and downloads, an archive's files as any others."""

    enable_weights_track: bool | None
    counter_before_loading_weights: float

    def __init__(self, load_config: LoadConfig) -> None:
        plain = copy.copy(load_config)
        plain.load_format = "safetensors"
        super().__init__(plain)
        if self.enable_weights_track is None:
            self.enable_weights_track = True  # as for plain models: a weight that is missing is an error

    def _get_weights_iterator(self, source: DefaultModelLoader.Source) -> Iterator[tuple[str, torch.Tensor]]:
        folder, files, _, index = self._prepare_weights(
            source.model_or_path,
            source.subfolder,
            source.revision,
            source.fall_back_to_pt,
            source.allow_patterns_overrides,
        )
        if not _core.is_archive(encoded(files[0])):
            raise InvalidArgumentError(f"{files[0]}: is no archive: leave --load-format {FORMAT} out", file=files[0])
        if self.counter_before_loading_weights == 0.0:
            self.counter_before_loading_weights = time.perf_counter()
        path = files[0] if len(files) == 1 else os.path.join(folder, index)
        return ((source.prefix + name, tensor) for name, tensor in self._tensors(path, source))

    def _tensors(self, path: str, source: DefaultModelLoader.Source) -> Iterator[tuple[str, torch.Tensor]]:
        with safe_open(path, "pt") as archive:
            for names in archive._batches(_WEIGHTS_AT_ONCE, lambda name: not self._skipped(name, source)):
                yield from archive.get_tensors(names).items()

    def _skipped(self, name: str, source: DefaultModelLoader.Source) -> bool:
        """What this process needs not: experts of others, and what the model says that it has no use for."""
        if should_skip_weight(name, self.local_expert_ids):
            return True
        return source.is_unused_weight is not None and source.is_unused_weight(name)

    def track_weights_loading(self, model: torch.nn.Module, loaded_weights: set[str] | None, quantized: bool = False) -> None:
        super().track_weights_loading(model, loaded_weights)  # a plain model by now


class LlmcodecConfig(QuantizationConfig):
    """Of `"quant_method": "llmcodec"` in config.json: layers are those of the plain model."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LlmcodecConfig:
        source = config.get("source_quantization_config")
        if source is not None:
            raise UnsupportedError(
                f"this archive keeps layers quantised by {source.get('quant_method')!r} as they were: restore it by "
                "`llmcodec decompress`, and serve that"
            )
        return cls()

    def get_name(self) -> str:
        return FORMAT

    def get_supported_act_dtypes(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16, torch.float32]

    @classmethod
    def get_min_capability(cls) -> int:
        return 0

    @staticmethod
    def get_config_filenames() -> list[str]:
        return []

    def get_quant_method(self, layer: torch.nn.Module, prefix: str) -> Any:
        given = get_current_vllm_config().load_config.load_format
        if given not in (FORMAT, "dummy"):
            raise InvalidArgumentError(
                f"this model is compressed by llmcodec: serve it with --load-format {FORMAT}, not {given!r}"
            )
        return UnquantizedLinearMethod() if isinstance(layer, LinearBase) else None  # None: the layer's own plain one
