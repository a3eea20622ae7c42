# SPDX-License-Identifier: BSD-3-Clause
"""Moments of tiny models: against a plain computation, from folders and GGUF files, interrupted and whole."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from conftest import HAS_TORCH

if not HAS_TORCH:
    pytest.skip("no PyTorch: ./dev test --full brings it", allow_module_level=True)
pytest.importorskip("transformers")

import gguf
import numpy as np
import safetensors
import safetensors.numpy
import torch
import transformers

import llmcodec
import tiny_models
from llmcodec import calibrate
from llmcodec.calibrate import _collector, _gradients, _layers, _sequences
from llmcodec.calibrate._sequences import drawn, random_sequences, seeded

SMALL: dict[str, Any] = {"vocab_size": 320}
RANDOM: dict[str, Any] = {"random": True, "tokens": 256, "length": 32, "dtype": "float32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return model(tmp_path_factory.mktemp("llama"), "Llama")


def model(path: pathlib.Path, family: str, **options: Any) -> pathlib.Path:
    tiny_models.save(path, family, torch.float32, SMALL | options)
    return path


def collected(source: pathlib.Path, place: pathlib.Path, **options: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Tensors of the imatrix and of the second moments."""
    made = calibrate.collect(source, imatrix=place / "i.gguf", hessian=place / "h.safetensors", **(RANDOM | options))
    assert made.imatrix and made.hessian and not list(place.glob("*.work")) and not list(place.glob("*.partial"))
    return imatrix(place / "i.gguf"), safetensors.numpy.load_file(made.hessian)


def imatrix(path: pathlib.Path) -> dict[str, np.ndarray]:
    return {t.name: np.array(t.data) for t in gguf.GGUFReader(path).tensors}


def members(place: pathlib.Path) -> dict[str, list[str]]:
    with safetensors.safe_open(place / "h.safetensors", "np") as file:
        found: dict[str, list[str]] = json.loads(file.metadata()["llmcodec_moments"])["members"]
    return found


def plain_moments(
    source: pathlib.Path, tokens: torch.Tensor, batch: int
) -> tuple[dict[str, tuple[torch.Tensor, ...]], torch.Tensor]:
    """Weight -> inputs and gradients by outputs of every token, from hooks of modules and one backward pass for all.

    And how uncertain each token is after random ones.
    """
    whole = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        likely = whole(input_ids=random_sequences(320, 8, 64, 1)).logits.flatten(0, 1).softmax(-1)
    seen: dict[str, list[Any]] = {}

    def hook(name: str) -> Any:
        def keep(_module: Any, inputs: Any, output: Any) -> None:
            output.retain_grad()
            seen[name + ".weight"] = [inputs[0].detach().flatten(0, 1), output]

        return keep

    for name, module in whole.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(hook(name))
    logits = whole(input_ids=tokens, use_cache=False).logits.flatten(0, 1)
    pieces = logits.detach().split(batch * tokens.shape[1])
    labels = [drawn(p.softmax(-1), torch.rand(len(p), 1, generator=seeded(1, at))) for at, p in enumerate(pieces)]
    torch.nn.functional.cross_entropy(logits, torch.cat(labels)[:, 0], reduction="sum").backward()
    found = {name: (x, output.grad.flatten(0, 1)) for name, (x, output) in seen.items()}
    return found, (likely * (1 - likely)).sum(0)


@pytest.mark.parametrize("batch", [1, 3])
def test_moments_are_those_of_a_plain_computation(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(_gradients, "_LOGIT_BYTES", batch * 4 * 32 * 320)
    sums, products = collected(folder, tmp_path)
    expected, uncertain = plain_moments(folder, random_sequences(320, 8, 32, 1), batch)
    assert {name.removesuffix(".in_sum2") for name in sums if name.endswith(".in_sum2")} == expected.keys()
    for name, (x, g) in expected.items():
        near(sums[name + ".in_sum2"][0], x.square().sum(0))
        assert sums[name + ".counts"].item() == 256
        rows = g.square().sum(0)
        near(sums[name + ".out_sum2"][0], rows if name != "lm_head.weight" else uncertain * rows.sum() / uncertain.sum())
    groups = members(tmp_path)
    assert sorted(name for group in groups.values() for name in group) == sorted(expected)
    for group, names in groups.items():
        energies = [expected[name][1].square().sum(-1) for name in names]
        weights = torch.stack([energy / energy.mean() for energy in energies]).mean(0)
        x = expected[names[0]][0]
        near(products[group], (x * weights[:, None]).T @ x / len(x))
    assert len(groups["model.layers.1.self_attn.k_proj"]) == 3


def near(found: np.ndarray, expected: torch.Tensor) -> None:
    expected = expected.detach()
    assert np.abs(found - expected.numpy()).max() <= 1e-5 * float(expected.abs().max())


def test_the_same_seed_gives_the_same_bytes(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        collected(folder, tmp_path / name, random=False, self_written=True, length=16, seed=seed)
    read = {name: [(tmp_path / name / file).read_bytes() for file in ("i.gguf", "h.safetensors")] for name in "abc"}
    assert read["a"] == read["b"] != read["c"]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", ["gradients: 8 of 16", "second moments: layer 1", "second moments: layer 2"])
def test_a_run_that_was_stopped_goes_on(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr(_gradients, "_LOGIT_BYTES", 1)
    monkeypatch.setattr(_collector, "_SAVE_SECONDS", 0)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    whole.mkdir()
    resumed.mkdir()
    collected(folder, whole, tokens=512)

    def stop(line: str) -> None:
        if at in line:
            raise Stopped

    with pytest.raises(Stopped):
        collected(folder, resumed, tokens=512, progress=stop)
    assert not (resumed / "i.gguf").exists() and not (resumed / "h.safetensors").exists()
    lines: list[str] = []
    collected(folder, resumed, tokens=512, progress=lines.append)
    assert len(lines) > 2 and not any(at in line for line in lines)  # done before
    for name in ("i.gguf", "h.safetensors"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_other_options_do_not_go_on_with_what_was_stopped(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def stop(line: str) -> None:
        if "weights of the files" in line:
            raise Stopped

    with pytest.raises(Stopped):
        collected(folder, tmp_path, progress=stop)
    sums, _ = collected(folder, tmp_path, tokens=128)
    assert sums["lm_head.weight.counts"].item() == 128


def test_layer_by_layer_is_what_the_whole_model_gives(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    (tmp_path / "layers").mkdir()
    _, by_layer = collected(folder, tmp_path / "layers")
    monkeypatch.setattr(_layers, "_state", lambda _output: torch.zeros(()))  # as a family whose layers cannot be run alone
    _, whole = collected(folder, tmp_path, progress=lines.append)
    assert any("not run alone" in line for line in lines)
    assert by_layer.keys() == whole.keys()
    for name, product in by_layer.items():
        near(product, torch.from_numpy(whole[name]))


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries and keys as GGUF files of Llama have them."""
    return weights.reshape(heads, 2, -1, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def as_gguf(folder: pathlib.Path, path: pathlib.Path) -> None:
    """The Llama model of a folder as llama.cpp's converter writes it, without a tokenizer."""
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    writer = gguf.GGUFWriter(path, "llama")
    for add, value in (
        (writer.add_context_length, 512),
        (writer.add_embedding_length, 64),
        (writer.add_block_count, 2),
        (writer.add_feed_forward_length, 96),
        (writer.add_head_count, 4),
        (writer.add_head_count_kv, 2),
        (writer.add_layer_norm_rms_eps, 1e-6),
        (writer.add_rope_dimension_count, 16),
        (writer.add_vocab_size, 320),
    ):
        add(value)  # type: ignore[operator]
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, values in weights.items():
        heads = 4 if ".q_proj." in name else 2 if ".k_proj." in name else 0
        writer.add_tensor(names.get_name(name, (".weight",)), permuted(values, heads) if heads else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_half_of_a_wide_product_is_enough() -> None:
    left, right = torch.randn(3, 1500), torch.randn(3, 1500)
    total = torch.ones(1500, 1500)
    _layers.add_upper(total, left, right)
    torch.testing.assert_close(torch.triu(total), torch.triu(1 + left.T @ right))


def test_a_gguf_file_has_its_own_names_and_its_own_order_of_rows(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "hf").mkdir()
    as_gguf(folder, tmp_path / "model.gguf")
    expected, products = collected(folder, tmp_path / "hf")
    found, of_gguf = collected(tmp_path / "model.gguf", tmp_path)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, values in expected.items():
        weight, _, kind = name.rpartition(".")
        heads = 4 if ".q_proj." in name else 2 if ".k_proj." in name else 0
        wanted = permuted(values[0], heads) if heads and kind == "out_sum2" else values[0]
        near(found[f"{names.get_name(weight, ('.weight',))}.{kind}"][0], torch.from_numpy(wanted))
    assert len(found) == len(expected)
    assert members(tmp_path)["blk.0.attn_k"] == ["blk.0.attn_k.weight", "blk.0.attn_q.weight", "blk.0.attn_v.weight"]
    near(of_gguf["blk.1.ffn_down"], torch.from_numpy(products["model.layers.1.mlp.down_proj"]))


def test_compress_reads_what_was_written(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    as_gguf(folder, tmp_path / "model.gguf")
    for source, output in ((folder, tmp_path / "archive"), (tmp_path / "model.gguf", tmp_path / "a.safetensors")):
        collected(source, tmp_path)
        options: dict[str, Any] = {"step": 0.5, "importance": tmp_path / "i.gguf", "hessian": tmp_path / "h.safetensors"}
        report = llmcodec.compress(source, output, **options)
        assert all("embd" in note or "embed" in note for note in report.notes if "moments" in note)
        assert not [note for note in report.notes if "importance" in note or "estimat" in note]


FAMILIES: dict[str, dict[str, Any]] = {
    "Qwen3": {"head_dim": 16},
    "Phi3": {"pad_token_id": 0},
    "GPTNeoX": {},
    "Falcon": {"ffn_hidden_size": 96},
    "Mixtral": {"num_local_experts": 4},
    "OPT": {"ffn_dim": 96, "word_embed_proj_dim": 32},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_matrix_of_a_family_is_known(family: str, tmp_path: pathlib.Path) -> None:
    source = model(tmp_path / "model", family, **FAMILIES[family])
    sums, products = collected(source, tmp_path)
    in_groups = {name for group in members(tmp_path).values() for name in group}
    weights = safetensors.numpy.load_file(source / "model.safetensors")
    coded = {name for name, values in weights.items() if values.ndim == 2 and "embed" not in name}
    assert coded and coded <= in_groups
    for name in coded:
        assert sums[name + ".in_sum2"].shape == (1, weights[name].shape[1])
        assert sums[name + ".out_sum2"].shape == (1, weights[name].shape[0]) and sums[name + ".out_sum2"].max() > 0
    for product in products.values():
        assert np.array_equal(product, product.T) and np.linalg.eigvalsh(product.astype(np.float64)).min() > -1e-4


def test_matrices_stored_as_inputs_by_outputs_have_no_entry_by_column(tmp_path: pathlib.Path) -> None:
    torch.manual_seed(7)
    config = transformers.GPT2Config(vocab_size=320, n_embd=64, n_layer=2, n_head=4)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "model")
    sums, _ = collected(tmp_path / "model", tmp_path)
    assert [name for name in sums if name.endswith(".in_sum2")] == ["transformer.wte.weight.in_sum2"]


def test_the_cache_knows_a_model_by_its_content(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lines: list[str] = []
    options: dict[str, Any] = {"tokens": 64, "length": 16}
    first = calibrate.cached(folder, progress=lines.append, **options)
    assert first.imatrix and pathlib.Path(first.imatrix).is_relative_to(tmp_path / "llmcodec")
    assert not any("has the moments" in line for line in lines)
    assert calibrate.cached(folder, progress=lines.append, **options) == first and "has the moments" in lines[-1]
    other = model(tmp_path / "other", "Llama", intermediate_size=128)
    assert calibrate.cached(other, **options) != first
    assert calibrate.cached(folder, seed=2, **options) != first


def test_two_runs_do_not_write_one_file_together(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    refused: list[str] = []

    def during(line: str) -> None:
        if "gradients" in line:
            with pytest.raises(llmcodec.UnsupportedError, match="another calibration") as caught:
                calibrate.collect(folder, imatrix=tmp_path / "i.gguf", **RANDOM)
            refused.append(str(caught.value))

    calibrate.collect(folder, imatrix=tmp_path / "i.gguf", progress=during, **RANDOM)
    assert len(refused) == 1
    calibrate.collect(folder, imatrix=tmp_path / "i.gguf", **RANDOM)


def test_one_switch_of_compress(folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("llmcodec.calibrate._options.TOKENS", 256)
    report = llmcodec.compress(folder, tmp_path / "a", step=0.5, calibrate="self")
    [imatrix_file] = (tmp_path / "cache").rglob("imatrix.gguf")
    [moments] = (tmp_path / "cache").rglob("moments.safetensors")
    same = llmcodec.compress(folder, tmp_path / "b", step=0.5, importance=imatrix_file, hessian=moments)
    assert report.bytes - same.bytes < 300  # the call that is recorded
    assert llmcodec.plan(folder, step=0.5, calibrate="self").predicted_bytes > 0
    with pytest.raises(llmcodec.InvalidArgumentError, match="calibrate makes what"):
        llmcodec.compress(folder, tmp_path / "c", calibrate="self", hessian=moments)
    with pytest.raises(llmcodec.InvalidArgumentError, match="models in files"):
        llmcodec.torch.save_file({"a": torch.zeros(4, 4)}, tmp_path / "d", calibrate="self")


def test_what_cannot_be_run_is_said(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    outputs: dict[str, Any] = {"imatrix": tmp_path / "i.gguf"}
    (tmp_path / "t.txt").write_text("few words")
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"words": 1}\n')
    (tmp_path / "no").mkdir()
    (tmp_path / "no/config.json").write_text('{"model_type": "nothing"}')
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (tmp_path / "absent", {}, llmcodec.InvalidArgumentError, "no such file"),
        (tmp_path, {}, llmcodec.UnsupportedError, "config.json"),
        (tmp_path / "no", {}, llmcodec.UnsupportedError, "transformers does not run it"),
        (folder, {"text": tmp_path / "t.txt"}, llmcodec.UnsupportedError, "no tokenizer"),
        (folder, {"text": tmp_path / "gone.txt"}, llmcodec.InvalidArgumentError, "no such file"),
        (folder, {"random": True, "text": tmp_path / "t.txt"}, llmcodec.InvalidArgumentError, "exclude"),
        (folder, {"chat": 0.5, "tokens": 64, "length": 16}, llmcodec.InvalidArgumentError, "chat template"),
        (folder, {"length": 1}, llmcodec.InvalidArgumentError, "2 tokens"),
        (folder, {"imatrix": folder}, llmcodec.InvalidArgumentError, "output"),
    ]
    for source, options, kind, reason in cases:
        with pytest.raises(kind, match=reason):
            calibrate.collect(source, **(outputs | options))
    assert not (tmp_path / "i.gguf").exists()


def test_the_command(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    options = ["--tokens", "64", "--length", "16", "--dtype", "float32"]
    command = [sys.executable, "-m", "llmcodec.calibrate", str(folder), *options]
    done = subprocess.run([*command, "-o", str(tmp_path / "h.safetensors")], capture_output=True, text=True, check=True)
    assert "about 1 min" in done.stderr and (tmp_path / "h.safetensors").exists()
    failed = subprocess.run([*command, "--imatrix", "/no/such/folder/i"], capture_output=True, text=True)
    assert failed.returncode == 1 and failed.stderr.startswith("error: /no/such/folder/i")


def with_tokenizer(path: pathlib.Path) -> pathlib.Path:
    """A model whose tokenizer knows words w3 to w319, puts <s> before every text, and has a chat template."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    model(path, "Llama")
    words = {"<unk>": 0, "<s>": 1, "user": 2} | {f"w{number}": number for number in range(3, 320)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")
    fast.chat_template = "{% for m in messages %}{{ '<s> ' + m.role + ' ' + m.content }}{% endfor %}"
    fast.save_pretrained(path)
    return path


def test_a_text_is_read_by_the_model_s_tokenizer(tmp_path: pathlib.Path) -> None:
    source = with_tokenizer(tmp_path / "model")
    words = [3 + 7 * number % 317 for number in range(100)]
    (tmp_path / "t.txt").write_text(" ".join(f"w{word}" for word in words))
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": " ".join(f"w{word}" for word in words)}) + "\n\n")
    options: dict[str, Any] = {"random": False, "length": 16, "tokens": 80}
    found, products = collected(source, tmp_path, text=tmp_path / "t.txt", **options)
    assert found["lm_head.weight.counts"].item() == 80
    tokens = torch.tensor([1, *words][:80]).reshape(5, 16)
    near(found["model.layers.0.mlp.up_proj.weight.in_sum2"][0], plain_inputs(source, tokens).square().sum(0))
    assert collected(source, tmp_path, text=tmp_path / "t.jsonl", **options)[1].keys() == products.keys()


def plain_inputs(source: pathlib.Path, tokens: torch.Tensor) -> torch.Tensor:
    found: list[torch.Tensor] = []
    whole = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    whole.model.layers[0].mlp.up_proj.register_forward_hook(
        lambda _module, inputs, _output: found.append(inputs[0].flatten(0, 1))
    )
    whole(input_ids=tokens)
    return found[0].detach()


def test_self_written_text_starts_as_texts_or_chats_do(tmp_path: pathlib.Path) -> None:
    source = with_tokenizer(tmp_path / "model")
    written = _sequences.written_sequences(
        transformers.AutoModelForCausalLM.from_pretrained(source).eval(),
        transformers.AutoTokenizer.from_pretrained(source),
        8,
        12,
        seed=1,
        chat=0.25,
        say=lambda _line: None,
    )
    assert written.shape == (8, 12) and written.max() < 320
    assert (written[:, 0] == 1).all() and (written[6:, 1] == 2).all() and len(set(written[:6, 1].tolist())) > 2
    assert len({tuple(row) for row in written.tolist()}) == 8


def test_first_tokens_are_drawn_by_frequency() -> None:
    ids = random_sequences(2000, 200, 500, 1).flatten()
    counts = torch.bincount(ids, minlength=2000).double()
    share = 1 / (torch.arange(2000).double() + 500)
    assert abs(float(counts[:500].sum() / len(ids) - share[:500].sum() / share.sum())) < 0.01
    assert counts[-1] > 0
