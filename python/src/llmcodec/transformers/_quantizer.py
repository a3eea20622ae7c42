# SPDX-License-Identifier: BSD-3-Clause
"""What `"quant_method": "llmcodec"` in a config.json means to transformers: nothing to do, for the weights come decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers.quantizers.auto import (
    AUTO_QUANTIZATION_CONFIG_MAPPING,
    AUTO_QUANTIZER_MAPPING,
    register_quantization_config,
    register_quantizer,
)
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from llmcodec._errors import CorruptError, InvalidArgumentError, UnsupportedError

from ._files import is_archive

METHOD = "llmcodec"
_WEIGHTS = "transformers_weights"


class LlmcodecConfig(QuantizationConfigMixin):
    """The `quantization_config` of an archive's folder. It is dropped when the model is loaded."""

    def __init__(self, source_quantization_config: dict[str, Any] | None = None, **_: Any) -> None:
        self.quant_method = METHOD
        self.source_quantization_config = source_quantization_config
        self.dequantize = True  # has transformers drop this config


class LlmcodecQuantizer(HfQuantizer):
    """Takes back what `compress` wrote into config.json, and sees to it that the weights are an archive."""

    def __init__(self, quantization_config: LlmcodecConfig, **kwargs: Any) -> None:
        super().__init__(quantization_config, **kwargs)
        if not self.pre_quantized:
            raise InvalidArgumentError(
                "LlmcodecConfig does not compress while a model is loaded: call llmcodec.transformers.compress_model()"
            )
        if quantization_config.source_quantization_config is not None:
            method = quantization_config.source_quantization_config.get("quant_method")
            raise UnsupportedError(
                f"this archive keeps layers quantised by {method!r} as they were: restore it by llmcodec.decompress(), and "
                "load what that gives"
            )

    # The last hook before transformers looks for files, and the only one that is given the config.
    def update_attn_implementation(self, config: Any) -> Any:
        # The sentence for those who have not imported us stands in the place of a file's name.
        for part in (config, *(getattr(config, key, None) for key in config.sub_configs)):
            if hasattr(part, _WEIGHTS):
                delattr(part, _WEIGHTS)
        return config

    def get_new_dtype(self, converter: Any, param: Any, dtype: Any) -> Any:
        return dtype  # as for a plain model

    def _process_model_before_weight_loading(self, model: Any, checkpoint_files: Sequence[str] | None = None, **_: Any) -> Any:
        for file in checkpoint_files or ():
            if not is_archive(file):
                raise CorruptError(
                    f"{file}: is no archive, though config.json says that the model is compressed by llmcodec", file=file
                )
        return model

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return True


def register() -> None:
    """Makes transformers know `METHOD`; does nothing when it does."""
    if METHOD not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        register_quantization_config(METHOD)(LlmcodecConfig)
    if METHOD not in AUTO_QUANTIZER_MAPPING:
        register_quantizer(METHOD)(LlmcodecQuantizer)
