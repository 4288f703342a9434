"""The losses of the workloads for other libraries, in the forms that their users write.

`torch_loss[family](P, D, options)` takes tensors by name. `array_loss[family](np, P, D, options)`
is for libraries with NumPy's face (autograd, JAX), `jax_loss` where JAX has a better way.
`tangent_loss[name]` are functions in the subset of Python that Tangent reads.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

K0, K1, EPS = 0.7978845608028654, 0.044715, 1e-5
CNN = [
    "h.conv1.K", "h.conv1.b", "h.conv2.K", "h.conv2.b",
    "h.dense.W", "h.dense.b", "scores.dense.W", "scores.dense.b",
]  # fmt: skip
# Of a block of a GPT: norm, query, key and value, output, norm, two layers of a perceptron.
GPT = "norm1", "attend.q.linear", "attend.linear", "norm2", "mlp.linear1", "mlp.linear2"
LIBRARY = tuple(
    f"transformer.{name}"
    for name in (
        "h.layernorm", "h.attention.q.dense", "h.attention.dense",
        "m.layernorm", "m.dense1", "m.dense2",
    )
)  # fmt: skip


# ------------------------------------------------------------------------------ PyTorch
def _torch_mlp(P: Any, D: Any, o: Any) -> Any:
    import torch

    acts = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    a = D["x"]
    for W, b, kind in o["layers"]:
        a = torch.addmm(P[b], a, P[W])
        a = acts[kind](a) if kind else a
    if o["layers"][-1][2]:
        return ((a - D["y"]) ** 2).sum() / (2 * len(a))
    return torch.nn.functional.cross_entropy(a, D["y"])


def _torch_gated(P: Any, D: Any, o: Any) -> Any:
    import torch

    F = torch.nn.functional
    acts = {
        "tanh": torch.tanh,
        "silu": F.silu,
        "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    }
    h = D["x"]
    for W, b, V, c, kind in o["layers"]:
        z, s = torch.addmm(P[b], h, P[W]), torch.sigmoid(torch.addmm(P[c], h, P[V]))
        h = acts[kind](z) * s + (h if o.get("residual") else 0)
    return F.mse_loss(h, D["y"])


def _torch_rnn(P: Any, D: Any, o: Any) -> Any:
    import torch

    F, text = torch.nn.functional, D["text"].t()
    below = F.embedding(text, P[o["embed"]]) if "embed" in o else None
    for kind, W, U, b in o["layers"]:
        z = F.embedding(text, P[W]) if below is None else below @ P[W]
        h, c, states = z.new_zeros(z.shape[1], P[U].shape[0]), 0, []
        for x in z + P[b]:
            x = torch.addmm(x, h, P[U])
            if kind == "lstm":
                i, f, g, out = x.chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(out) * torch.tanh(c)
            else:
                h = torch.tanh(x)
            states.append(h)
        below = torch.stack(states)
    W, b = o["last"]
    z = torch.addmm(P[b], below.flatten(0, 1), P[W])
    return F.cross_entropy(z, D["target"].t().reshape(-1))


def _torch_cnn(P: Any, D: Any, o: Any) -> Any:
    import torch

    F = torch.nn.functional
    K1, b1, K2, b2, W3, b3, W4, b4 = (P[k] for k in CNN)
    act = {"relu": F.relu, "tanh": torch.tanh}[o["activation"]]
    a, pad = D["x"].permute(0, 3, 1, 2), "same" if o.get("same") else "valid"
    for K, b in ((K1, b1), (K2, b2)):
        z = F.conv2d(a, K.permute(3, 2, 0, 1), b, padding=pad)
        a = F.max_pool2d(act(z), 2)
    a = act(torch.addmm(b3, a.permute(0, 2, 3, 1).reshape(len(a), -1), W3))
    return F.cross_entropy(torch.addmm(b4, a, W4), D["y"])


def _torch_gpt(P: Any, D: Any, o: Any) -> Any:
    import torch

    F = torch.nn.functional
    b, T = D["text"].shape
    C = P["word"].shape[1]
    names, tied = (LIBRARY, False) if o.get("biased") else (GPT, True)

    def norm(x: Any, path: str) -> Any:
        return F.layer_norm(x, (C,), P[path + ".gain"], P.get(path + ".bias"), EPS)

    def dense(x: Any, path: str) -> Any:
        return F.linear(x, P[path + ".W"].t(), P.get(path + ".b"))

    x = F.embedding(D["text"], P["word"]) + P["position"][:T]
    for i in range(o["depth"]):
        norm1, into, out, norm2, up, down = (f"h[{i}].{n}" for n in names)
        q, k, v = (
            a.view(b, T, o["heads"], -1).transpose(1, 2)
            for a in dense(norm(x, norm1), into).split(C, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + dense(y.transpose(1, 2).reshape(b, T, C), out)
        u = F.gelu(dense(norm(x, norm2), up), approximate="tanh" if tied else "none")
        x = x + dense(u, down)
    if tied:
        z = norm(x, "logits.norm") @ P["word"].t()
    else:
        z = dense(norm(x, "logits.layernorm"), "logits.dense")
    return F.cross_entropy(z.view(-1, z.shape[-1]), D["target"].view(-1))


def _torch_residual(P: Any, D: Any, o: Any) -> Any:
    import torch

    F = torch.nn.functional
    h = torch.addmm(P["h.dense.b"], D["x"], P["h.dense.W"])
    for i in range(o["depth"]):
        p = f"h[{i}].block."
        gain, bias = P[p + "layernorm.gain"], P[p + "layernorm.bias"]
        a = F.layer_norm(h, (h.shape[1],), gain, bias, EPS)
        y = F.silu(torch.addmm(P[p + "dense1.b"], a, P[p + "dense1.W"]))
        h = h + torch.addmm(P[p + "dense2.b"], y, P[p + "dense2.W"])
    z = torch.addmm(P["scores.dense.b"], h, P["scores.dense.W"])
    return F.cross_entropy(z, D["y"])


def _torch_bag(P: Any, D: Any, o: Any) -> Any:
    import torch

    F = torch.nn.functional
    E, W, b, V, c = (P[k] for k in o["names"])
    h = F.embedding(D["bag"], E).mean(1)
    z = torch.addmm(c, torch.relu(torch.addmm(b, h, W)), V)
    return F.cross_entropy(z, D["y"])


def _torch_chain(P: Any, D: Any, o: Any) -> Any:
    import torch

    s = torch.sigmoid
    return -torch.log(s(P["w3"] * s(P["w2"] * s(P["w1"] * D["x"]))))


torch_loss = {
    "small": _torch_mlp, "mlp": _torch_mlp, "gated": _torch_gated, "rnn": _torch_rnn,
    "cnn": _torch_cnn, "gpt": _torch_gpt, "chain": _torch_chain,
    "residual": _torch_residual, "bag": _torch_bag,
}  # fmt: skip


# ---------------------------------------------------- libraries with the face of NumPy
def _sigmoid(np: Any, z: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-z))


def _cross_entropy(np: Any, z: Any, hot: Any) -> Any:
    """Mean over all rows; `hot` has the labels as vectors: gathers are slow in autograd."""
    m = np.max(z, axis=-1, keepdims=True)
    lse = np.log(np.sum(np.exp(z - m), axis=-1, keepdims=True)) + m
    return np.sum(hot * (lse - z)) / (z.size // z.shape[-1])


def _array_mlp(np: Any, P: Any, D: Any, o: Any) -> Any:
    acts = {
        "relu": lambda z: np.maximum(z, 0.0),
        "tanh": np.tanh,
        "sigmoid": lambda z: _sigmoid(np, z),
    }
    a = D["x"]
    for W, b, kind in o["layers"]:
        a = np.dot(a, P[W]) + P[b]
        a = acts[kind](a) if kind else a
    if o["layers"][-1][2]:
        return np.sum((a - D["y"]) ** 2) / (2 * len(D["x"]))
    return _cross_entropy(np, a, D["hot"])


def _gelu(np: Any, z: Any) -> Any:
    return 0.5 * z * (1.0 + np.tanh(K0 * (z + K1 * z * z * z)))


def _gelu_by_erf(np: Any, z: Any) -> Any:
    """By the error function of the library that `np` belongs to."""
    special = importlib.import_module(np.__name__.replace("numpy", "scipy.special"))
    return 0.5 * z * (1.0 + special.erf(z / 2**0.5))


def _array_gated(np: Any, P: Any, D: Any, o: Any) -> Any:
    acts = {
        "tanh": np.tanh,
        "silu": lambda z: z * _sigmoid(np, z),
        "gelu_tanh": lambda z: _gelu(np, z),
    }
    h = D["x"]
    for W, b, V, c, kind in o["layers"]:
        y = acts[kind](np.dot(h, P[W]) + P[b]) * _sigmoid(np, np.dot(h, P[V]) + P[c])
        h = h + y if o.get("residual") else y
    return np.mean((h - D["y"]) ** 2)


def _cell(np: Any, kind: str, z: Any, c: Any) -> Any:
    """The next h and c of what a cell's weights made."""
    if kind != "lstm":
        return np.tanh(z), c
    k = z.shape[1] // 4
    i, f, out = (_sigmoid(np, z[:, j * k : (j + 1) * k]) for j in (0, 1, 3))
    c = f * c + i * np.tanh(z[:, 2 * k : 3 * k])
    return out * np.tanh(c), c


def _array_rnn(np: Any, P: Any, D: Any, o: Any) -> Any:
    rows, steps = D["text"].shape
    zeros = [
        np.zeros((rows, P[U].shape[0]), D["hot_text"].dtype)
        for _, _, U, _ in o["layers"]
    ]
    h, c, loss = list(zeros), list(zeros), 0.0
    W_last, b_last = o["last"]
    for t in range(steps):
        x = D["hot_text"][:, t]
        if "embed" in o:
            x = np.dot(x, P[o["embed"]])
        for i, (kind, W, U, b) in enumerate(o["layers"]):
            z = np.dot(x, P[W]) + np.dot(h[i], P[U]) + P[b]
            h[i], c[i] = _cell(np, kind, z, c[i])
            x = h[i]
        z = np.dot(x, P[W_last]) + P[b_last]
        loss = loss + _cross_entropy(np, z, D["hot"][:, t])
    return loss / steps


def _array_cnn(np: Any, P: Any, D: Any, o: Any) -> Any:
    K1, b1, K2, b2, W3, b3, W4, b4 = (P[k] for k in CNN)
    act = np.tanh if o["activation"] == "tanh" else lambda z: np.maximum(z, 0.0)

    def conv(a: Any, K: Any, b: Any) -> Any:
        k = K.shape[0]
        if o.get("same"):
            edge = (k // 2, k // 2)
            a = np.pad(a, ((0, 0), edge, edge, (0, 0)), "constant")
        n = a.shape[1] - k + 1
        places = [(i, j) for i in range(k) for j in range(k)]
        cols = np.concatenate([a[:, i : i + n, j : j + n] for i, j in places], axis=3)
        return act(np.dot(cols, np.reshape(K, (-1, K.shape[3]))) + b)

    def pool(a: Any) -> Any:
        n, h, w, c = a.shape
        a = a[:, : h // 2 * 2, : w // 2 * 2]
        return np.max(np.reshape(a, (n, h // 2, 2, w // 2, 2, c)), axis=(2, 4))

    a = pool(conv(pool(conv(D["x"], K1, b1)), K2, b2))
    a = act(np.dot(np.reshape(a, (a.shape[0], -1)), W3) + b3)
    return _cross_entropy(np, np.dot(a, W4) + b4, D["hot"])


def _array_gpt(np: Any, P: Any, D: Any, o: Any) -> Any:
    b, T = D["text"].shape
    C, heads = P["word"].shape[1], o["heads"]

    names, tied = (LIBRARY, False) if o.get("biased") else (GPT, True)
    gelu = _gelu if tied else _gelu_by_erf

    def norm(x: Any, path: str) -> Any:
        d = x - np.mean(x, axis=-1, keepdims=True)
        d = d / np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + EPS)
        return d * P[path + ".gain"] + P.get(path + ".bias", 0.0)

    def dense(x: Any, path: str) -> Any:
        return np.dot(x, P[path + ".W"]) + P.get(path + ".b", 0.0)

    mask = np.triu(np.full((T, T), -1e30), 1).astype(D["hot"].dtype)
    x = P["word"][D["text"]] + P["position"][:T]
    for i in range(o["depth"]):
        norm1, into, out, norm2, up, down = (f"h[{i}].{n}" for n in names)
        a = dense(norm(x, norm1), into)
        q, k, v = (
            np.transpose(
                np.reshape(a[:, :, j * C : (j + 1) * C], (b, T, heads, -1)),
                (0, 2, 1, 3),
            )
            for j in range(3)
        )
        s = np.matmul(q, np.transpose(k, (0, 1, 3, 2))) * (C // heads) ** -0.5 + mask
        e = np.exp(s - np.max(s, axis=-1, keepdims=True))
        y = np.matmul(e / np.sum(e, axis=-1, keepdims=True), v)
        x = x + dense(np.reshape(np.transpose(y, (0, 2, 1, 3)), (b, T, C)), out)
        x = x + dense(gelu(np, dense(norm(x, norm2), up)), down)
    if tied:
        z = np.dot(norm(x, "logits.norm"), np.transpose(P["word"]))
    else:
        z = dense(norm(x, "logits.layernorm"), "logits.dense")
    return _cross_entropy(np, z, D["hot"])


def _array_residual(np: Any, P: Any, D: Any, o: Any) -> Any:
    h = np.dot(D["x"], P["h.dense.W"]) + P["h.dense.b"]
    for i in range(o["depth"]):
        p = f"h[{i}].block."
        d = h - np.mean(h, axis=-1, keepdims=True)
        d = d / np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + EPS)
        a = d * P[p + "layernorm.gain"] + P[p + "layernorm.bias"]
        z = np.dot(a, P[p + "dense1.W"]) + P[p + "dense1.b"]
        h = h + np.dot(z * _sigmoid(np, z), P[p + "dense2.W"]) + P[p + "dense2.b"]
    z = np.dot(h, P["scores.dense.W"]) + P["scores.dense.b"]
    return _cross_entropy(np, z, D["hot"])


def _array_bag(np: Any, P: Any, D: Any, o: Any) -> Any:
    E, W, b, V, c = (P[k] for k in o["names"])
    h = np.mean(E[D["bag"]], axis=1)
    z = np.dot(np.maximum(np.dot(h, W) + b, 0.0), V) + c
    return _cross_entropy(np, z, D["hot"])


def _array_chain(np: Any, P: Any, D: Any, o: Any) -> Any:
    def s(z: Any) -> Any:
        return _sigmoid(np, z)

    return -np.log(s(P["w3"] * s(P["w2"] * s(P["w1"] * D["x"]))))


array_loss = {
    "small": _array_mlp, "mlp": _array_mlp, "gated": _array_gated, "rnn": _array_rnn,
    "cnn": _array_cnn, "gpt": _array_gpt, "chain": _array_chain,
    "residual": _array_residual, "bag": _array_bag,
}  # fmt: skip


# ---------------------------------------------------------------------------------- JAX
def _jax_rnn(jnp: Any, P: Any, D: Any, o: Any) -> Any:
    import jax

    text = D["text"].T
    below = P[o["embed"]][text] if "embed" in o else None
    for kind, W, U, b in o["layers"]:

        def cell(h: Any, x: Any, kind: str = kind, U: str = U) -> Any:
            h = _cell(jnp, kind, x + h[0] @ P[U], h[1])
            return h, h[0]

        z = (P[W][text] if below is None else below @ P[W]) + P[b]
        zeros = jnp.zeros((z.shape[1], P[U].shape[0]), z.dtype)
        _, below = jax.lax.scan(cell, (zeros, zeros), z)
    W, b = o["last"]
    z = jax.nn.log_softmax(below @ P[W] + P[b])
    return -jnp.sum(D["hot"].swapaxes(0, 1) * z) / D["text"].size


def _jax_cnn(jnp: Any, P: Any, D: Any, o: Any) -> Any:
    import jax

    K1, b1, K2, b2, W3, b3, W4, b4 = (P[k] for k in CNN)

    act = {"relu": jax.nn.relu, "tanh": jnp.tanh}[o["activation"]]
    pad = "SAME" if o.get("same") else "VALID"

    def conv(a: Any, K: Any, b: Any) -> Any:
        z = jax.lax.conv_general_dilated(
            a, K, (1, 1), pad, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return act(z + b)

    def pool(a: Any) -> Any:
        window = (1, 2, 2, 1)
        return jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, window, window, "VALID")

    a = pool(conv(pool(conv(D["x"], K1, b1)), K2, b2))
    a = act(a.reshape(len(a), -1) @ W3 + b3)
    return -jnp.sum(D["hot"] * jax.nn.log_softmax(a @ W4 + b4)) / len(a)


jax_loss = array_loss | {"rnn": _jax_rnn, "cnn": _jax_cnn}


# ------------------------------------------------------------------------------ Tangent
def _tangent_w1(W1, b1, W2, b2, x, y):
    a1 = 1.0 / (1.0 + np.exp(-(np.dot(x, W1) + b1)))
    a2 = 1.0 / (1.0 + np.exp(-(np.dot(a1, W2) + b2)))
    d = a2 - y
    return np.sum(d * d) / 20.0


def _tangent_w2(W1, b1, W2, b2, x, y):
    a1 = np.maximum(np.dot(x, W1) + b1, 0.0)
    z = np.dot(a1, W2) + b2
    lse = np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return np.sum(y * (lse - z)) / 32.0


def _tangent_w3(W1, b1, W2, b2, W3, b3, x, y):
    a1 = np.maximum(np.dot(x, W1) + b1, 0.0)
    a2 = np.maximum(np.dot(a1, W2) + b2, 0.0)
    z = np.dot(a2, W3) + b3
    lse = np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return np.sum(y * (lse - z)) / 256.0


def _tangent_w4(W1, V1, W2, V2, W3, V3, b1, c1, b2, c2, b3, c3, x, y):
    h1 = np.tanh(np.dot(x, W1) + b1) / (1.0 + np.exp(-(np.dot(x, V1) + c1)))
    h2 = np.tanh(np.dot(h1, W2) + b2) / (1.0 + np.exp(-(np.dot(h1, V2) + c2)))
    z = np.dot(h2, W3) + b3
    t = 0.5 * z * (1.0 + np.tanh(0.7978845608028654 * (z + 0.044715 * z * z * z)))
    h3 = t / (1.0 + np.exp(-(np.dot(h2, V3) + c3)))
    d = h3 - y
    return np.sum(d * d) / 1048576.0


def _tangent_w5(Wx, Wh, bh, Wo, bo, x, y, h0):
    h = h0
    loss = 0.0
    for t in range(32):
        a = x[t]
        b = y[t]
        h = np.tanh(np.dot(a, Wx) + np.dot(h, Wh) + bh)
        z = np.dot(h, Wo) + bo
        lse = np.log(np.sum(np.exp(z), axis=1, keepdims=True))
        loss = loss + np.sum(b * (lse - z)) / 1024.0
    return loss


def _tangent_w8(w1, w2, w3, x):
    a1 = 1.0 / (1.0 + np.exp(-(w1 * x)))
    a2 = 1.0 / (1.0 + np.exp(-(w2 * a1)))
    a3 = 1.0 / (1.0 + np.exp(-(w3 * a2)))
    return -np.log(a3)


tangent_loss = {
    "W1": (_tangent_w1, ("x", "y")), "W2": (_tangent_w2, ("x", "hot")),
    "W3": (_tangent_w3, ("x", "hot")), "W4": (_tangent_w4, ("x", "y")),
    "W5": (_tangent_w5, ("turned_text", "turned_hot", "h0")), "W8": (_tangent_w8, ("x",)),
}  # fmt: skip
