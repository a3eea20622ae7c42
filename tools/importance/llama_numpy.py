# SPDX-License-Identifier: BSD-3-Clause
"""A Llama-architecture model from a GGUF file, run with numpy alone.

    model = LlamaModel.load("model.gguf")
    hidden = model.forward(tokens)                # tokens [batch, length] -> normed hidden state [batch, length, width]
    logits = model.logits(hidden[:, -1])

Layers that read the same inputs form one group: q, k and v; gate and up. "output" is the normed hidden state before the
head. llama_gradients.py shows the inputs of every group.
"""
import dataclasses

import gguf
import numpy as np

# Group of a layer -> the weights (GGUF names without "blk.N." and ".weight") that multiply the group's inputs.
GROUPS = {
    "attn_qkv": ("attn_q", "attn_k", "attn_v"),
    "attn_output": ("attn_output",),
    "ffn_gate_up": ("ffn_gate", "ffn_up"),
    "ffn_down": ("ffn_down",),
}


@dataclasses.dataclass
class Shape:
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    rope_base: float


class KvCache:
    """Keys and values of all layers for `batch` sequences of at most `length` tokens."""

    def __init__(self, shape, batch, length):
        size = (shape.layers, batch, shape.kv_heads, length, shape.head_size)
        self.keys, self.values = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.used = 0


class LlamaModel:
    def __init__(self, shape, tensors, fields):
        self.shape, self.tensors, self.fields = shape, tensors, fields
        self.tied = "output.weight" not in tensors

    @staticmethod
    def load(path):
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        architecture = fields["general.architecture"]
        if architecture != "llama":
            raise SystemExit(f"{path}: architecture {architecture!r}, this script runs 'llama' only")
        tensors = {}
        for tensor in reader.tensors:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            tensors[tensor.name] = np.ascontiguousarray(values, np.float32)
        unknown = [name for name in tensors if "_exps" in name or name.endswith(".bias")]
        if unknown:
            raise SystemExit(f"{path}: tensors that this script does not run: {', '.join(unknown[:4])}")
        get = lambda key: fields["llama." + key]
        heads = get("attention.head_count")
        shape = Shape(
            layers=get("block_count"),
            width=get("embedding_length"),
            heads=heads,
            kv_heads=fields.get("llama.attention.head_count_kv", heads),
            head_size=fields.get("llama.attention.key_length", get("embedding_length") // heads),
            epsilon=get("attention.layer_norm_rms_epsilon"),
            rope_base=fields.get("llama.rope.freq_base", 10000.0),
        )
        return LlamaModel(shape, tensors, fields)

    def forward(self, tokens, cache=None):
        """tokens [batch, length] that follow what `cache` holds -> normed hidden state [batch, length, width]."""
        cache = cache or KvCache(self.shape, tokens.shape[0], tokens.shape[1])
        angles = self._angles(cache.used, tokens.shape[1])
        x = self.tensors["token_embd.weight"][tokens]
        for layer in range(self.shape.layers):
            x = x + self._attention(layer, x, angles, cache)
            x = x + self._feed_forward(layer, x)
        cache.used += tokens.shape[1]
        return self._norm(x, "output_norm.weight")

    def logits(self, hidden):
        return hidden @ self.tensors["token_embd.weight" if self.tied else "output.weight"].T

    def _norm(self, x, name):
        scale = 1 / np.sqrt(np.mean(x * x, -1, keepdims=True) + np.float32(self.shape.epsilon))
        return x * scale * self.tensors[name]

    def _linear(self, layer, name, x):
        return x @ self.tensors[f"blk.{layer}.{name}.weight"].T

    def _angles(self, first, count):
        size = self.shape.head_size
        frequency = self.shape.rope_base ** (-np.arange(0, size, 2) / size)
        if "rope_freqs.weight" in self.tensors:
            frequency = frequency / self.tensors["rope_freqs.weight"]
        angles = np.arange(first, first + count)[:, None] * frequency
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def _heads(self, x, count, angles=None):
        """[batch, length, count * head] -> [batch, count, length, head], rotated where angles are given."""
        x = x.reshape(*x.shape[:2], count, self.shape.head_size).transpose(0, 2, 1, 3)
        return x if angles is None else rotate(x, angles)

    def _attention(self, layer, x, angles, cache):
        shape = self.shape
        h = self._norm(x, f"blk.{layer}.attn_norm.weight")
        batch, length = h.shape[:2]
        end = cache.used + length
        query = self._heads(self._linear(layer, "attn_q", h), shape.heads, angles)
        cache.keys[layer, :, :, cache.used:end] = self._heads(self._linear(layer, "attn_k", h), shape.kv_heads, angles)
        cache.values[layer, :, :, cache.used:end] = self._heads(self._linear(layer, "attn_v", h), shape.kv_heads)
        repeat = shape.heads // shape.kv_heads
        query = query.reshape(batch, shape.kv_heads, repeat * length, shape.head_size)
        scores = query @ cache.keys[layer, :, :, :end].transpose(0, 1, 3, 2)
        scores = scores.reshape(batch, shape.heads, length, end) * np.float32(shape.head_size**-0.5)
        if length > 1:
            scores += np.triu(np.full((length, end), -1e9, np.float32), 1 + cache.used)
        scores = softmax(scores).reshape(batch, shape.kv_heads, repeat * length, end)
        mixed = (scores @ cache.values[layer, :, :, :end]).reshape(batch, shape.heads, length, shape.head_size)
        mixed = mixed.transpose(0, 2, 1, 3).reshape(batch, length, -1)
        return self._linear(layer, "attn_output", mixed)

    def _feed_forward(self, layer, x):
        h = self._norm(x, f"blk.{layer}.ffn_norm.weight")
        gate = self._linear(layer, "ffn_gate", h)
        inner = gate / (1 + np.exp(-gate)) * self._linear(layer, "ffn_up", h)
        return self._linear(layer, "ffn_down", inner)


def rotate(x, angles, back=False):
    """Neighbouring pairs of [..., length, head], as ggml does; back: the transposed rotation, of gradients."""
    cosine, sine = angles
    sine = -sine if back else sine
    even, odd = x[..., 0::2], x[..., 1::2]
    rotated = np.empty(x.shape, x.dtype)
    rotated[..., 0::2] = even * cosine - odd * sine
    rotated[..., 1::2] = even * sine + odd * cosine
    return rotated


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def members(group, tied):
    """GGUF names of the weights that read the inputs of `group`."""
    if group == "output":
        return ["token_embd.weight" if tied else "output.weight"]
    block, kind = group.rsplit(".", 1)
    return [f"{block}.{name}.weight" for name in GROUPS[kind]]
