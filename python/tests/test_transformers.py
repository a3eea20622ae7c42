# SPDX-License-Identifier: BSD-3-Clause
"""Compressed folders in transformers: what it loads is what the decompressed folder gives, or an error that says what to do."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
    pytest.skip("no PyTorch or no transformers: ./dev test --full brings both", allow_module_level=True)

import huggingface_hub
import safetensors.torch
import tokenizers
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

import llmcodec
import llmcodec.transformers
import tiny_models
from hub_server import serving

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' and PyTorch's own

TOKENS = torch.arange(3, 40)[None]
_VOCABULARY = {"vocab_size": 96}
_MODELS: dict[str, tuple[str, torch.dtype, dict[str, Any]]] = {
    "llama": ("Llama", torch.bfloat16, {}),
    "tied": ("Qwen2", torch.float16, {"tie_word_embeddings": True}),
    "mixtral": ("Mixtral", torch.float32, {"num_local_experts": 4}),  # files have one tensor for each expert
    "qwen3_moe": (
        "Qwen3Moe",
        torch.bfloat16,
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "head_dim": 16},
    ),
    "gpt_oss": ("GptOss", torch.bfloat16, {"num_local_experts": 4, "head_dim": 16}),  # files have stacks of experts
}


def make(folder: pathlib.Path, name: str) -> None:
    family, dtype, options = _MODELS[name]
    tiny_models.save(folder, family, dtype, _VOCABULARY | options)


@pytest.fixture(scope="module", params=_MODELS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """With a model, its archive, and what `decompress` restores."""
    made = tmp_path_factory.mktemp(request.param)
    make(made / "model", request.param)
    llmcodec.compress(made / "model", made / "archive", step=0.3, shard_size=20_000)
    llmcodec.decompress(made / "archive", made / "restored")
    return made


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The same of one model, with an archive in one file."""
    made = tmp_path_factory.mktemp("llama_alone")
    make(made / "model", "llama")
    llmcodec.compress(made / "model", made / "archive", step=0.3)
    llmcodec.decompress(made / "archive", made / "restored")
    return made


@pytest.fixture
def copy(llama: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """Of the archive, to be damaged."""
    return pathlib.Path(shutil.copytree(llama / "archive", tmp_path / "archive"))


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """All parameters and buffers, bit for bit, and what comes out."""
    a, b = one.state_dict(), other.state_dict()
    equal = all(a[name].dtype == b[name].dtype and torch.equal(a[name], b[name]) for name in a)
    return equal and a.keys() == b.keys() and torch.equal(one(TOKENS).logits, other(TOKENS).logits)


@pytest.mark.parametrize("dtype", [None, "auto", torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_it_is_the_decompressed_model(folder: pathlib.Path, dtype: Any) -> None:
    load = AutoModelForCausalLM.from_pretrained
    loaded = load(folder / "archive", dtype=dtype)
    assert same(loaded, load(folder / "restored", dtype=dtype))
    if dtype is None:
        assert not same(loaded, load(folder / "model"))  # or nothing was lost, and the test shows nothing
        assert len(list((folder / "archive").glob("model-*.safetensors"))) > 1


def test_names_of_models_on_the_hub(llama: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copytree(llama / "archive", tmp_path / "hub/me/one")
    llmcodec.compress(llama / "model", tmp_path / "hub/me/shards", step=0.3, shard_size=20_000)
    script = f"""
import sys
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
from test_transformers import AutoModelForCausalLM, same
load = AutoModelForCausalLM.from_pretrained
for name in "me/one", "me/shards":
    assert same(load(name), load({str(llama / "restored")!r})), name
"""
    with serving(tmp_path / "hub") as address:
        environment = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    cached = tmp_path / "home/hub"
    assert len(list(cached.glob("models--me--one/snapshots/*/model.safetensors"))) == 1
    assert len(list(cached.glob("models--me--shards/snapshots/*/model-*.safetensors"))) > 1


def test_what_stays_is_a_plain_model(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(folder / "archive")
    assert not hasattr(loaded.config, "quantization_config") and not hasattr(loaded.config, "transformers_weights")
    assert not loaded.is_quantized and not hasattr(loaded, "hf_quantizer")
    loaded(TOKENS, labels=TOKENS).loss.backward()
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    loaded.save_pretrained(tmp_path / "saved")
    saved, restored = (safetensors.torch.load_file(d / "model.safetensors") for d in (tmp_path / "saved", folder / "restored"))
    assert saved.keys() == restored.keys()
    assert all(torch.equal(saved[name], restored[name]) for name in saved)
    assert (tmp_path / "saved/config.json").read_text() == (folder / "restored/config.json").read_text()
    assert (folder / "model/config.json").read_text() == (folder / "restored/config.json").read_text()


def test_tied_weights_stay_tied(folder: pathlib.Path) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(folder / "archive")
    tied = loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    assert tied == loaded.config.tie_word_embeddings


def test_device_maps(llama: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("accelerate")
    load = AutoModelForCausalLM.from_pretrained
    plain = load(llama / "restored")
    assert same(load(llama / "archive", device_map="cpu"), plain)
    places = {
        "model.embed_tokens": "cpu",
        "model.layers.0": "disk",
        "model.layers.1": "cpu",
        "model.norm": "cpu",
        "lm_head": "disk",
    }
    places["model.rotary_emb"] = "cpu"
    spread = load(llama / "archive", device_map=places, offload_folder=tmp_path / "offloaded")
    assert torch.equal(spread(TOKENS).logits, plain(TOKENS).logits)


def test_other_files_are_read_by_safetensors(llama: pathlib.Path) -> None:
    from llmcodec.transformers import _files

    assert transformers.modeling_utils.safe_open is _files.open_file
    assert type(_files.open_file(llama / "model/model.safetensors", framework="pt", device="cpu")) is safetensors.safe_open


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A text model with a config of text and pictures. transformers takes text_config out of that when it loads the text model
    alone, and forgets what stands around it."""
    options = {
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "head_dim": 16,
        "layer_types": ["linear_attention", "full_attention"],
    }
    made = tmp_path_factory.mktemp("multimodal")
    torch.manual_seed(7)
    transformers.Qwen3_5ForCausalLM(
        transformers.Qwen3_5TextConfig(**(tiny_models.COMMON | _VOCABULARY | options))
    ).save_pretrained(made / "model")
    text = json.loads((made / "model/config.json").read_text())
    config = {"architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5", "text_config": text}
    (made / "model/config.json").write_text(json.dumps(config))
    llmcodec.compress(made / "model", made / "archive", step=0.3)
    llmcodec.decompress(made / "archive", made / "restored")
    return made


def test_the_text_model_of_one_with_pictures(multimodal: pathlib.Path) -> None:
    before, after = ((multimodal / kind / "config.json").read_text() for kind in ("model", "restored"))
    assert json.loads(after) == json.loads(before)
    load = AutoModelForCausalLM.from_pretrained
    assert same(load(multimodal / "archive"), load(multimodal / "restored"))


_LOAD_WITHOUT_US = """
import sys
from transformers import AutoModelForCausalLM
for folder in sys.argv[1:]:
    try:
        AutoModelForCausalLM.from_pretrained(folder)
    except ValueError as error:
        print(error)
"""


def test_without_our_import_it_fails_and_says_what_helps(llama: pathlib.Path, multimodal: pathlib.Path) -> None:
    folders = [llama / "archive", multimodal / "archive"]
    run = subprocess.run([sys.executable, "-c", _LOAD_WITHOUT_US, *folders], capture_output=True, text=True, check=True)
    errors = run.stdout.strip().splitlines()
    assert len(errors) == len(folders), run.stderr
    for error in errors:
        assert (
            "put `import llmcodec.transformers` before from_pretrained(), or restore the model by `llmcodec decompress`"
            in error
        )


def test_archives_of_before_the_sentence(copy: pathlib.Path, llama: pathlib.Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    del config["transformers_weights"]
    (copy / "config.json").write_text(json.dumps(config))
    assert same(AutoModelForCausalLM.from_pretrained(copy), AutoModelForCausalLM.from_pretrained(llama / "restored"))


def test_truncated(copy: pathlib.Path) -> None:
    file = copy / "model.safetensors"
    content = file.read_bytes()
    for size in (0, 6, 1000, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:size])
        with pytest.raises(llmcodec.CorruptError, match=r"model\.safetensors"):
            AutoModelForCausalLM.from_pretrained(copy)


def test_damaged(copy: pathlib.Path) -> None:
    file = copy / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(llmcodec.CorruptError, match=r"model\.safetensors: tensor 'model\."):
        AutoModelForCausalLM.from_pretrained(copy)


def test_missing_shard(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    archive = pathlib.Path(shutil.copytree(folder / "archive", tmp_path / "archive"))
    for shard in sorted(archive.glob("model-*.safetensors"))[-1], sorted(archive.glob("model-*.safetensors"))[0]:
        shard.rename(tmp_path / "away")
        with pytest.raises(llmcodec.Error, match=shard.name):
            AutoModelForCausalLM.from_pretrained(archive)
        (tmp_path / "away").rename(shard)


def test_weights_that_are_no_archive(copy: pathlib.Path, llama: pathlib.Path) -> None:
    shutil.copy(llama / "restored/model.safetensors", copy)
    with pytest.raises(llmcodec.CorruptError, match=r"is no archive, though config\.json"):
        AutoModelForCausalLM.from_pretrained(copy)


def test_wrong_shapes_are_refused_as_of_a_plain_folder(copy: pathlib.Path) -> None:
    config = AutoConfig.from_pretrained(copy)
    config.intermediate_size = 128
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        AutoModelForCausalLM.from_pretrained(copy, config=config)


def test_quantising_while_loading_is_refused(llama: pathlib.Path) -> None:
    with pytest.raises(llmcodec.InvalidArgumentError, match="compress_model"):
        AutoModelForCausalLM.from_pretrained(llama / "model", quantization_config=llmcodec.transformers.LlmcodecConfig())


def test_layers_kept_quantised_are_refused_by_name(copy: pathlib.Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["quantization_config"]["source_quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        llmcodec.UnsupportedError, match=r"quantised by 'gptq' as they were: restore it by llmcodec\.decompress"
    ):
        AutoModelForCausalLM.from_pretrained(copy)


def test_a_transformers_that_reads_files_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmcodec.transformers import _files

    monkeypatch.delattr("transformers.modeling_utils.safe_open")
    with pytest.raises(llmcodec.UnsupportedError, match=r"opens files of weights in a way that llmcodec does not know"):
        _files.install()


def test_tensor_parallel_reads_slices(llama: pathlib.Path) -> None:
    """What transformers does with a device mesh: parts of a tensor, by slices."""
    from llmcodec.transformers import _files

    with _files.open_file(llama / "archive/model.safetensors", "pt") as file:
        whole = file.get_tensor("lm_head.weight")
        part = file.get_slice("lm_head.weight")[10:20]
    assert torch.equal(part, whole[10:20])


def test_tensors_are_decoded_ahead(llama: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[str]] = []
    read = llmcodec._reader.Opened.read
    monkeypatch.setattr(
        llmcodec._reader.Opened, "read", lambda self, names: (batches.append(list(names)), read(self, names))[1]
    )
    AutoModelForCausalLM.from_pretrained(llama / "archive")
    names = [name for batch in batches for name in batch]
    assert len(batches) == 1 and len(names) == len(set(names))


@pytest.mark.parametrize("weights", [1, 10_000, 1 << 24])
def test_any_order_gives_the_right_tensors(llama: pathlib.Path, monkeypatch: pytest.MonkeyPatch, weights: int) -> None:
    monkeypatch.setattr(llmcodec.transformers._files, "_AHEAD", weights)
    right = safetensors.torch.load_file(llama / "restored/model.safetensors")
    names = random.Random(1).sample(sorted(right), len(right))
    names += names[:3]  # a tensor may be asked for again
    with llmcodec.transformers._files.open_file(llama / "archive/model.safetensors", "pt") as handle:
        slices = {name: handle.get_slice(name) for name in right}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # as transformers, after the file is closed
        found = list(pool.map(lambda name: slices[name][...], names))
    assert all(torch.equal(tensor, right[name]) for name, tensor in zip(names, found, strict=True))


def card(folder: pathlib.Path) -> dict[str, Any]:
    data: dict[str, Any] = huggingface_hub.ModelCard.load(folder / "README.md").data.to_dict()
    return data


def test_compress_model_in_memory(llama: pathlib.Path, tmp_path: pathlib.Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(llama / "model")
    report = llmcodec.transformers.compress_model(model, tmp_path / "out", bpw=4, base_model="someone/llama")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    llmcodec.decompress(tmp_path / "out", tmp_path / "restored")
    assert same(loaded, AutoModelForCausalLM.from_pretrained(tmp_path / "restored"))
    assert llmcodec.verify(tmp_path / "out", llama / "model").snr_db == pytest.approx(report.snr_db, abs=0.01)
    assert card(tmp_path / "out") == {
        "base_model": "someone/llama",
        "base_model_relation": "quantized",
        "library_name": "transformers",
        "tags": ["llmcodec", "compressed"],
    }
    assert f"{report.bytes:,} bytes" in (tmp_path / "out/README.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "restored"]


def test_compress_model_in_a_folder_keeps_licence_and_card(llama: pathlib.Path, tmp_path: pathlib.Path) -> None:
    source = pathlib.Path(shutil.copytree(llama / "model", tmp_path / "model"))
    (source / "LICENSE").write_text("do as you please")
    (source / "sub").mkdir()
    (source / "sub/notes.txt").write_text("carried along")
    original = "---\nlicense: other\nlicense_name: mine\nlanguage:\n- de\ntags:\n- chat\n- llmcodec\n---\n# My model\n"
    (source / "README.md").write_text(original)
    llmcodec.transformers.compress_model(source, tmp_path / "out", step=0.3)
    written = card(tmp_path / "out")
    assert (written["license"], written["license_name"], written["language"]) == ("other", "mine", ["de"])
    assert written["tags"] == ["llmcodec", "compressed", "chat"] and "base_model" not in written
    assert "[README.original.md](README.original.md)" in (tmp_path / "out/README.md").read_text()
    carried = ["LICENSE", "README.original.md", "config.json", "generation_config.json", "sub/notes.txt"]
    assert llmcodec.verify(tmp_path / "out").carried_checked == len(carried)
    assert all((tmp_path / "out" / name).exists() for name in carried)
    llmcodec.decompress(tmp_path / "out", tmp_path / "restored")
    assert (tmp_path / "restored/README.original.md").read_text() == original
    assert (tmp_path / "restored/sub/notes.txt").read_text() == "carried along"
    assert not (tmp_path / "restored/README.md").exists()
    # And once more from there: the original's card is still known.
    llmcodec.transformers.compress_model(tmp_path / "restored", tmp_path / "again", step=0.3)
    assert card(tmp_path / "again")["license_name"] == "mine"


def test_compress_model_names_what_is_wrong(llama: pathlib.Path, tmp_path: pathlib.Path) -> None:
    compress_model = llmcodec.transformers.compress_model
    with pytest.raises(llmcodec.MissingFileError, match="no such folder, and no id of the Hub"):
        compress_model(tmp_path / "absent", tmp_path / "out")
    with pytest.raises(llmcodec.MissingFileError, match="nowhere: no such folder"):
        compress_model(llama / "model", tmp_path / "nowhere/out")
    with pytest.raises(llmcodec.InvalidArgumentError, match="tokenizer= is for a model in memory"):
        compress_model(llama / "model", tmp_path / "out", tokenizer=object())
    with pytest.raises(TypeError, match="unexpected keyword argument 'bits'"):
        compress_model(llama / "model", tmp_path / "out", bits=3)  # type: ignore[call-arg]
    source = pathlib.Path(shutil.copytree(llama / "model", tmp_path / "model"))
    (source / "README.md").write_text("---\nlicense: [\n---\n")
    with pytest.raises(llmcodec.CorruptError, match=r"README\.md: its metadata is no YAML"):
        compress_model(source, tmp_path / "out", step=0.3)
    assert not (tmp_path / "out").exists()


def test_the_example_in_the_guide(llama: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = pathlib.Path(__file__).resolve().parents[2] / "docs/serving.md"
    (example,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
    words = {word: number for number, word in enumerate(["[UNK]", "the", "capital", "of", "France"])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, "[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]")
    monkeypatch.chdir(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(llama / "model")
    llmcodec.transformers.compress_model(plain, "SmolLM2-3bit", tokenizer=tokenizer, step=0.3)
    names: dict[str, Any] = {}
    exec(example, names)
    inputs = names["tokenizer"]("the capital of France", return_tensors="pt")
    assert inputs.input_ids.tolist() == [[1, 2, 3, 4]]
    assert names["model"].generate(inputs.input_ids, max_new_tokens=4, do_sample=False).shape == (1, 8)
