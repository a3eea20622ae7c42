# SPDX-License-Identifier: BSD-3-Clause
"""A model of transformers, in memory, in a folder or on the Hub, to a compressed folder with a model card."""

from __future__ import annotations

import json
import os
import pathlib
import re
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import transformers

from llmcodec import _core
from llmcodec._errors import InvalidArgumentError, MissingFileError
from llmcodec._models import coding_options, noted, recorded_call
from llmcodec._progress import ProgressOption, shown
from llmcodec._system import encoded
from llmcodec.reports import CompressReport, made

from ._card import ORIGINAL_CARD, card_of, metadata_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from llmcodec._models import CodingOptions

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# What a model needs besides its weights, and what says whose it is; no other formats of the same weights.
_FROM_HUB = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.txt",
    "*.model",
    "*.jinja",
    "*.py",
    "*.md",
    "LICENSE*",
    "NOTICE*",
)


def compress_model(
    model: transformers.PreTrainedModel | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    tokenizer: Any = None,
    base_model: str | None = None,
    progress: ProgressOption = None,
    **options: Unpack[CodingOptions],
) -> CompressReport:
    """Compresses a model into the folder `out`: archive, config, tokenizer, licence, and a model card, ready for the Hub.

    model       a model in memory, a folder, or the id of one on the Hub. One in memory is written to a temporary folder
                beside `out` first
    tokenizer   of a model in memory: its tokenizer or processor, for the folder
    base_model  its id on the Hub, for the card; None: the id by which it was loaded, if it was
    options     `llmcodec.CodingOptions`: bpw=3.0, size="60MB", keep="head", ...

    The card README.md takes over what the original's says of licence, languages and use. The original card lies beside it
    as README.original.md, which is what decompression gives back.

    >>> report = llmcodec.transformers.compress_model("my-model", "my-model-4bit", bpw=4)
    >>> report.bpw < 4.3
    True
    """
    output = pathlib.Path(out)
    with tempfile.TemporaryDirectory(prefix=".llmcodec-", dir=_parent(output)) as temporary:
        source, name = _source(model, tokenizer, pathlib.Path(temporary))
        original = next((source / card for card in ("README.md", ORIGINAL_CARD) if (source / card).is_file()), None)
        known = metadata_of(original)  # before the work is done
        given = (
            source if original is None or original.name != "README.md" else _staged(source, pathlib.Path(temporary) / "staged")
        )
        command = recorded_call("transformers.compress_model", (name or source.name, output), options)
        report = _compressed(given, output, command, progress, options)
        original_bytes = sum(file.stat().st_size for file in source.glob("*.safetensors"))
        card = card_of(known, original is not None, base_model or name, report, original_bytes)
        (output / "README.md").write_text(card, encoding="utf-8")
    return report


def _compressed(
    source: pathlib.Path, output: pathlib.Path, command: str, progress: ProgressOption, options: Mapping[str, Any]
) -> CompressReport:
    made_options = coding_options("compress_model", options)
    made_options.input, made_options.output, made_options.command = encoded(source), encoded(output), command
    with shown(progress) as sink:
        return noted(made(CompressReport, json.loads(_core.compress(made_options, sink))))


def _parent(output: pathlib.Path) -> pathlib.Path:
    parent = output.absolute().parent
    if not parent.is_dir():
        raise MissingFileError(f"{parent}: no such folder", message="no such folder", file=str(parent))
    return parent


def _source(model: Any, tokenizer: Any, temporary: pathlib.Path) -> tuple[pathlib.Path, str | None]:
    """The folder of a model, and its id on the Hub where it has one."""
    if isinstance(model, transformers.PreTrainedModel):
        folder = temporary / "saved"
        model.save_pretrained(folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
        name = str(model.config.name_or_path or "")
        return folder, name if _is_hub_id(name) else None
    if tokenizer is not None:
        raise InvalidArgumentError("tokenizer= is for a model in memory; a folder has its own")
    path = pathlib.Path(model)
    if path.is_dir():
        return path, None
    if not _is_hub_id(str(model)):
        raise MissingFileError(f"{model}: no such folder, and no id of the Hub", message="no such folder", file=str(model))
    from huggingface_hub import snapshot_download

    return pathlib.Path(snapshot_download(str(model), allow_patterns=list(_FROM_HUB))), str(model)


def _is_hub_id(name: str) -> bool:
    return _HUB_ID.fullmatch(name) is not None and not os.path.exists(name)


def _staged(source: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """A folder of links to all files of the model, in which the card has another name: README.md is to be the archive's."""
    for path, _, files in os.walk(source):
        within = folder / pathlib.Path(path).relative_to(source)
        within.mkdir()
        for name in files:
            (within / name).symlink_to(pathlib.Path(path, name).absolute())
    (folder / "README.md").replace(folder / ORIGINAL_CARD)
    return folder
