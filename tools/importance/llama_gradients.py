# SPDX-License-Identifier: BSD-3-Clause
"""How much each output of every linear layer matters: gradients of a Llama-architecture model, with numpy alone.

    gradients = LlamaGradients(model)                       # a LlamaModel
    loss = gradients.run(tokens, generator, observer)       # tokens [length], one sequence

For every position a token is drawn from the model's own distribution; the loss is the sum of -log p of these tokens. The
mean of the squared gradients is then the Fisher information, the curvature of the KL divergence between the model and
itself with changed weights (Martens 2014, "New insights and perspectives on the natural gradient method", section 9).
No right answers are needed, so tokens may be text or noise.

The observer is called with the group's name (llama_numpy.GROUPS), its inputs x [length, columns] and, for every weight
of the group, the gradient of the loss by the weight's outputs [length, rows]; groups come from the last layer to the
first, "output" before all. All in float32.
"""
import numpy as np

from llama_numpy import members, rotate, softmax


class LlamaGradients:
    def __init__(self, model):
        self.model, self.shape = model, model.shape
        self.head = model.tensors["token_embd.weight" if model.tied else "output.weight"]

    def run(self, tokens, generator, observer):
        """Mean negative log likelihood of the later half of `tokens`: shows that the model runs as it should."""
        angles = self.model._angles(0, len(tokens))
        x = self.model.tensors["token_embd.weight"][tokens]
        tape = []
        for layer in range(self.shape.layers):
            x, attention = self._attention(layer, x, angles)
            x, feed_forward = self._feed_forward(layer, x)
            tape.append((attention, feed_forward))
        loss, dx = self._head(x, tokens, generator, observer)
        for layer in reversed(range(self.shape.layers)):
            attention, feed_forward = tape.pop()
            dx = self._feed_forward_back(layer, feed_forward, dx, observer)
            dx = self._attention_back(layer, attention, dx, angles, observer)
        return loss

    def _weight(self, layer, name):
        return self.model.tensors[f"blk.{layer}.{name}.weight"]

    def _attention(self, layer, x, angles):
        shape, length = self.shape, len(x)
        h = self.model._norm(x, f"blk.{layer}.attn_norm.weight")
        heads = lambda name, count: (h @ self._weight(layer, name).T).reshape(length, count, -1).transpose(1, 0, 2)
        q = rotate(heads("attn_q", shape.heads), angles)
        repeat = shape.heads // shape.kv_heads
        k = np.repeat(rotate(heads("attn_k", shape.kv_heads), angles), repeat, 0)
        v = np.repeat(heads("attn_v", shape.kv_heads), repeat, 0)
        mask = np.triu(np.full((length, length), -1e9, np.float32), 1)
        p = softmax(q @ k.transpose(0, 2, 1) * np.float32(shape.head_size**-0.5) + mask)
        mixed = (p @ v).transpose(1, 0, 2).reshape(length, -1)
        return x + mixed @ self._weight(layer, "attn_output").T, (x, h, q, k, v, p, mixed)

    def _attention_back(self, layer, kept, dx, angles, observer):
        x, h, q, k, v, p, mixed = kept
        shape, length = self.shape, len(x)
        observe(observer, f"blk.{layer}.attn_output", mixed, [dx])
        d_mixed = (dx @ self._weight(layer, "attn_output")).reshape(length, shape.heads, -1).transpose(1, 0, 2)
        dp = d_mixed @ v.transpose(0, 2, 1)
        ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * np.float32(shape.head_size**-0.5)
        # Key and value heads are shared by neighbouring query heads: their gradients add up.
        shared = lambda g: g.reshape(shape.kv_heads, -1, length, shape.head_size).sum(1)
        dq = rows_of(rotate(ds @ k, angles, back=True))
        dk = rows_of(rotate(shared(ds.transpose(0, 2, 1) @ q), angles, back=True))
        dv = rows_of(shared(p.transpose(0, 2, 1) @ d_mixed))
        observe(observer, f"blk.{layer}.attn_qkv", h, [dq, dk, dv])
        dh = dq @ self._weight(layer, "attn_q") + dk @ self._weight(layer, "attn_k") + dv @ self._weight(layer, "attn_v")
        return dx + self._norm_back(x, f"blk.{layer}.attn_norm.weight", dh)

    def _feed_forward(self, layer, x):
        h = self.model._norm(x, f"blk.{layer}.ffn_norm.weight")
        gate, up = h @ self._weight(layer, "ffn_gate").T, h @ self._weight(layer, "ffn_up").T
        sigmoid = 1 / (1 + np.exp(-gate))
        inner = gate * sigmoid * up
        return x + inner @ self._weight(layer, "ffn_down").T, (x, h, gate, up, sigmoid, inner)

    def _feed_forward_back(self, layer, kept, dx, observer):
        x, h, gate, up, sigmoid, inner = kept
        observe(observer, f"blk.{layer}.ffn_down", inner, [dx])
        d_inner = dx @ self._weight(layer, "ffn_down")
        d_up = d_inner * gate * sigmoid
        d_gate = d_inner * up * sigmoid * (1 + gate * (1 - sigmoid))
        observe(observer, f"blk.{layer}.ffn_gate_up", h, [d_gate, d_up])
        dh = d_gate @ self._weight(layer, "ffn_gate") + d_up @ self._weight(layer, "ffn_up")
        return dx + self._norm_back(x, f"blk.{layer}.ffn_norm.weight", dh)

    def _head(self, x, tokens, generator, observer):
        hidden = self.model._norm(x, "output_norm.weight")
        gradient = softmax(hidden @ self.head.T)
        half, every = len(tokens) // 2, np.arange(len(tokens))
        loss = float(-np.log(gradient[every[half:-1], tokens[half + 1 :]]).mean())
        gradient[every, drawn(gradient, generator)] -= 1
        observer("output", hidden, {members("output", self.model.tied)[0]: gradient})
        return loss, self._norm_back(x, "output_norm.weight", gradient @ self.head)

    def _norm_back(self, x, name, dy):
        scale = 1 / np.sqrt(np.mean(x * x, -1, keepdims=True) + np.float32(self.shape.epsilon))
        d = dy * self.model.tensors[name]
        return scale * d - x * scale**3 * np.mean(d * x, -1, keepdims=True)


def drawn(distributions, generator):
    """One index from each row of probabilities."""
    cumulated = np.cumsum(distributions, -1)
    chosen = (cumulated < generator.random((len(distributions), 1)) * cumulated[:, -1:]).sum(-1)
    return np.minimum(chosen, distributions.shape[1] - 1)


def observe(observer, group, x, gradients):
    observer(group, x, dict(zip(members(group, tied=False), gradients)))


def rows_of(heads):
    """[heads, length, head] -> [length, heads * head]."""
    return heads.transpose(1, 0, 2).reshape(heads.shape[1], -1)
