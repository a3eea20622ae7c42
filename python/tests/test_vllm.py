# SPDX-License-Identifier: BSD-3-Clause
"""vLLM's own classes with our loader: what its models hold is what they hold of the decompressed folder.

vLLM is not installed by the tests: tools/get_vllm.sh brings its Python code, without that of GPUs; docs/serving.md says what
was tested with it.
"""

from __future__ import annotations

import importlib.util
import json
import pathlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

if importlib.util.find_spec("vllm") is None or importlib.util.find_spec("torch") is None:
    pytest.skip("no vLLM: tools/get_vllm.sh brings it", allow_module_level=True)

import torch

import llmcodec
import llmcodec.vllm
import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # vLLM's and PyTorch's own

_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "tied": ("Qwen2", {"tie_word_embeddings": True}),
    "mixtral": ("Mixtral", {"num_local_experts": 4}),
}


@pytest.fixture(scope="module", params=_MODELS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """With the archive of a model, in shards, and what `decompress` restores."""
    made = tmp_path_factory.mktemp(request.param)
    family, options = _MODELS[request.param]
    tiny_models.save(made / "model", family, torch.bfloat16, {"vocab_size": 128} | options)
    llmcodec.compress(made / "model", made / "archive", step=0.3, shard_size=20_000)
    llmcodec.decompress(made / "archive", made / "restored")
    return made


@pytest.fixture(scope="module", autouse=True)
def one_process() -> Iterator[None]:
    """vLLM's groups of processes, of this one alone. Without a GPU, loading ends where the weights are in place."""
    from vllm.config import VllmConfig, set_current_vllm_config
    from vllm.distributed import destroy_model_parallel, init_distributed_environment, initialize_model_parallel

    llmcodec.vllm.register()
    llmcodec.vllm.register()  # vLLM may call it more than once
    with pytest.MonkeyPatch.context() as patch, set_current_vllm_config(VllmConfig()):
        patch.setenv("USE_LIBUV", "0")
        if not torch.accelerator.is_available():
            patch.setattr("torch.accelerator.empty_cache", lambda: None)
            # What comes after loading asks for vLLM's own operations.
            patch.setattr("vllm.model_executor.model_loader.base_loader.process_weights_after_loading", lambda *_: None)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        init_distributed_environment(1, 0, f"tcp://127.0.0.1:{port}", 0, "gloo")
        initialize_model_parallel(1)
        yield
        destroy_model_parallel()


def load(path: pathlib.Path, load_format: str, **options: Any) -> torch.nn.Module:
    """A model as vLLM's engine makes it."""
    from vllm.config import DeviceConfig, LoadConfig, ModelConfig, VllmConfig, set_current_vllm_config
    from vllm.model_executor.model_loader import get_model

    model = ModelConfig(model=str(path), skip_tokenizer_init=True, dtype="bfloat16", enforce_eager=True)
    config = VllmConfig(
        model_config=model,
        load_config=LoadConfig(load_format=load_format, **options),
        device_config=DeviceConfig(device="cpu"),
    )
    with set_current_vllm_config(config):
        loaded: torch.nn.Module = get_model(vllm_config=config)
    return loaded


def test_it_is_the_decompressed_model(folder: pathlib.Path) -> None:
    archive, restored = load(folder / "archive", "llmcodec").state_dict(), load(folder / "restored", "auto").state_dict()
    assert archive.keys() == restored.keys()
    assert all(torch.equal(archive[name], restored[name]) for name in archive)


def test_the_loader_gives_each_tensor_once_and_leaves_out_what_is_not_wanted(folder: pathlib.Path) -> None:
    from vllm.config.load import LoadConfig
    from vllm.model_executor.model_loader import DefaultModelLoader, get_model_loader

    loader = get_model_loader(LoadConfig(load_format="llmcodec"))
    assert isinstance(loader, DefaultModelLoader)
    source = loader.Source(str(folder / "archive"), None, prefix="model.")
    names = [name for name, _ in loader._get_weights_iterator(source)]
    with llmcodec.safe_open(folder / "archive", "pt") as archive:
        assert sorted(names) == [f"model.{name}" for name in archive.keys()]
    loader.local_expert_ids = {1, 3}
    source.is_unused_weight = lambda name: name.startswith("model.norm")
    fewer = [name for name, _ in loader._get_weights_iterator(source)]
    unwanted = ["experts.0.", "experts.2.", "model.model.norm"]
    assert fewer == [name for name in names if not any(part in name for part in unwanted)]
    loader.download_model(type("Config", (), {"model": str(folder / "archive"), "revision": None})())


def test_another_load_format_is_refused_and_told_which(folder: pathlib.Path) -> None:
    with pytest.raises(llmcodec.InvalidArgumentError, match="serve it with --load-format llmcodec, not 'auto'"):
        load(folder / "archive", "auto")


def test_a_model_that_is_no_archive(folder: pathlib.Path) -> None:
    with pytest.raises(llmcodec.InvalidArgumentError, match="is no archive: leave --load-format llmcodec out"):
        load(folder / "restored", "llmcodec")


def test_a_weight_that_is_missing_is_an_error(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copied = pathlib.Path(shutil.copytree(folder / "archive", tmp_path / "archive"))
    config = json.loads((copied / "config.json").read_text())
    config["num_hidden_layers"] = 3
    config["layer_types"] = ["full_attention"] * 3
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="weights were not initialized from checkpoint"):
        load(copied, "llmcodec")


def test_a_shard_that_is_missing(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copied = pathlib.Path(shutil.copytree(folder / "archive", tmp_path / "archive"))
    shard = sorted(copied.glob("model-*.safetensors"))[-1]
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=shard.name):  # vLLM's own
        load(copied, "llmcodec")


_WITHOUT_US = """
import sys
from vllm.config import ModelConfig
ModelConfig(model=sys.argv[1], skip_tokenizer_init=True)
"""


def test_without_the_plugin_vllm_refuses(folder: pathlib.Path) -> None:
    run = subprocess.run([sys.executable, "-c", _WITHOUT_US, folder / "archive"], capture_output=True, text=True)
    assert run.returncode != 0 and "Unknown quantization method: llmcodec" in run.stderr
