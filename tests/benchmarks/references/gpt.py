"""A small GPT: rows of all positions, heads as batched products."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .driving import Arena, Array, Run
from .gated import K0, K1
from .mlp import add, cross_entropy, dot, exp, maximum, mm, mul, sub, tanh

EPS = 1e-5
BARE = {
    "ln1": "norm1.gain", "qkv": "attend.q.linear.W", "o": "attend.linear.W",
    "ln2": "norm2.gain", "fc": "mlp.linear1.W", "pr": "mlp.linear2.W",
}  # fmt: skip
BIASED = {
    "ln1": "transformer.h.layernorm.gain", "ln1_b": "transformer.h.layernorm.bias",
    "qkv": "transformer.h.attention.q.dense.W", "qkv_b": "transformer.h.attention.q.dense.b",
    "o": "transformer.h.attention.dense.W", "o_b": "transformer.h.attention.dense.b",
    "ln2": "transformer.m.layernorm.gain", "ln2_b": "transformer.m.layernorm.bias",
    "fc": "transformer.m.dense1.W", "fc_b": "transformer.m.dense1.b",
    "pr": "transformer.m.dense2.W", "pr_b": "transformer.m.dense2.b",
}  # fmt: skip
ERF = 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429
"""Abramowitz, Stegun 7.1.26: erf(x) to 1.5e-7 for x >= 0, by e^(-x²) and 1 / (1 + .3275911 x)."""


def gelu_by_tanh(u: Array, m: Array, f1: Array, f2: Array, arena: Arena) -> Run:
    """m = gelu(u), by tanh; u becomes its derivative. f1 and f2 are room."""
    one, half = arena.full(1), arena.full(0.5)
    k0, k01, k3 = arena.full(K0), arena.full(K0 * K1), arena.full(3 * K0 * K1)

    def run() -> None:
        mul(u, u, f2)
        mul(f2, k01, f1)
        add(f1, k0, f1)
        mul(f1, u, f1)
        tanh(f1, f1)
        mul(f2, k3, f2)
        add(f2, k0, f2)
        mul(u, half, u)
        mul(u, f1, m)
        add(m, u, m)
        mul(f2, u, f2)
        mul(f1, f1, u)
        sub(one, u, u)
        mul(f2, u, f2)
        mul(f1, half, f1)
        add(f2, f1, f2)
        add(f2, half, u)

    return run


def gelu_by_erf(u: Array, m: Array, f1: Array, f2: Array, arena: Arena) -> Run:
    """As `gelu_by_tanh`, by Φ. In blocks that stay in the cache; in double precision, which
    is there to be checked, number by number."""
    piece = 8192
    half, one, p = arena.full(0.5), arena.full(1), arena.full(0.3275911 / math.sqrt(2))
    density, minus = arena.full(1 / math.sqrt(2 * math.pi)), arena.full(-0.5)
    factors = [arena.full(a / 2) for a in reversed(ERF)]
    copysign = np.copysign
    U, M, A, B = (a.reshape(-1) for a in (u, m, f1, f2))
    cuts = [slice(i, min(i + piece, U.size)) for i in range(0, U.size, piece)]
    parts = [(U[c], M[c], A[c], B[c]) for c in cuts]
    exact = arena.dtype == np.float64

    def run() -> None:
        for z, y, e, t in parts:
            mul(z, z, e)
            mul(e, minus, e)
            exp(e, e)  # e^(-z² / 2)
            if exact:
                t[:] = [0.5 + 0.5 * math.erf(x / math.sqrt(2)) for x in z]
            else:
                np.absolute(z, t)
                mul(t, p, t)
                add(t, one, t)
                np.divide(one, t, t)
                mul(t, factors[0], y)
                for a in factors[1:]:
                    add(y, a, y)
                    mul(y, t, y)
                mul(y, e, y)  # 1 - Φ(|z|)
                sub(half, y, y)
                copysign(y, z, y)
                add(y, half, t)  # Φ(z)
            mul(z, t, y)
            mul(e, density, e)
            mul(z, e, z)
            add(z, t, z)

    return run


def program(
    P: dict[str, Array],
    G: dict[str, Array],
    data: Mapping[str, Array],
    rows: int,
    lr: float,
    arena: Arena,
    options: Mapping[str, Any],
) -> Run:
    """`options`: depth and heads; whether there are biases, a gelu by erf and an output of
    its own, as in the library's transformer, or none and an output tied to the input. The
    parameters are called as in the programs."""
    depth, heads, biased = (
        options["depth"],
        options["heads"],
        options.get("biased", False),
    )
    ids, target = data["text"], data["target"]
    b, T = ids.shape
    R = b * T
    word, position = P["word"], P["position"]
    V, C = word.shape
    hs = C // heads
    index = ids.reshape(-1)
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    present = index[order][starts]
    X, dX, dn, tmp = (arena(name, R, C) for name in ("X", "dX", "dn", "tmp"))
    f1, f2, f3 = (arena(name, R, 4 * C) for name in ("f1", "f2", "f3"))
    q, k, v = (arena(name, R, C) for name in ("q", "k", "v"))
    gelu_of = gelu_by_erf if biased else gelu_by_tanh
    row, one_over = arena("row", R), arena.full(1 / C, C)
    column = row[:, None]
    ones, one = arena.full(1, R), arena.full(1)
    eps, scale = arena.full(EPS), arena.full(hs**-0.5)
    mask = np.where(np.tri(T, dtype=bool), 0, -1e30).astype(arena.dtype)
    dA, peak = arena("dA", b, heads, T, T), arena("peak", b, heads, T, 1)
    ones_T = arena.full(1, T)
    peaks = peak[..., 0]
    by_head = (b, T, heads, hs)

    def head(a: Array) -> Array:
        return a.reshape(by_head).transpose(0, 2, 1, 3)

    def saved(name: str, i: int, *shape: int) -> Array:
        return arena(f"{name}{i}", *shape)

    layers = []
    for i in range(depth):
        path = f"h[{i}]."
        names = BIASED if biased else BARE
        w = {key: P[path + name] for key, name in names.items()}
        g = {key: G[path + name] for key, name in names.items()}
        s = {
            key: saved(key, i, R, C)
            for key in ("x1", "n1", "x2", "n2", "q", "k", "v", "y")
        }
        s |= {key: saved(key, i, R) for key in ("i1", "i2")}
        s |= {key: saved(key, i, R, 4 * C) for key in ("u", "m")}
        s["A"] = saved("A", i, b, heads, T, T)
        parts = [w["qkv"][:, j * C : (j + 1) * C] for j in range(3)]
        g_parts = [g["qkv"][:, j * C : (j + 1) * C] for j in range(3)]
        biases = [w["qkv_b"][j * C : (j + 1) * C] for j in range(3)] if biased else []
        gelu = gelu_of(s["u"], s["m"], f1, f2, arena)
        layers.append((w, g, s, parts, g_parts, biases, gelu))
    at_the_end = "logits.layernorm" if biased else "logits.norm"
    last_gain, g_last_gain = P[f"{at_the_end}.gain"], G[f"{at_the_end}.gain"]
    last_bias, g_last_bias = P.get(f"{at_the_end}.bias"), G.get(f"{at_the_end}.bias")
    if biased:
        out, g_out = P["logits.dense.W"], G["logits.dense.W"]
        out_b, g_out_b = P["logits.dense.b"], G["logits.dense.b"]
    else:
        out, g_out = word.T, G["word"].T
    xf, nf, i_f = arena("xf", R, C), arena("nf", R, C), arena("if", R)
    z = arena("z", R, V)
    loss = cross_entropy(z, target, lr / (rows * T), arena)
    X3, dX3 = X.reshape(b, T, C), dX.reshape(b, T, C)
    gword, gposition = G["word"], G["position"]
    sums = arena("sums", V, C)[: len(present)]
    heads_of_dy, heads_q, heads_k, heads_v = head(dn), head(q), head(k), head(v)
    total = 1 / (rows * T)
    sqrt, divide = np.sqrt, np.divide

    def norm(
        x: Array,
        gain: Array,
        bias: Array | None,
        hat: Array,
        inverse: Array,
        out: Array,
    ) -> None:
        dot(x, one_over, row)
        sub(x, column, hat)
        mul(hat, hat, out)
        dot(out, one_over, row)
        add(row, eps, row)
        sqrt(row, row)
        divide(one, row, inverse)
        mul(hat, inverse[:, None], hat)
        mul(hat, gain, out)
        if bias is not None:
            add(out, bias, out)

    def norm_back(
        dy: Array,
        gain: Array,
        hat: Array,
        inverse: Array,
        g: Array,
        g_bias: Array | None,
    ) -> None:
        """dX += the gradient through the norm; dy is destroyed."""
        if g_bias is not None:
            dot(ones, dy, g_bias)
        mul(dy, hat, tmp)
        dot(ones, tmp, g)
        dot(tmp, gain * one_over, row)
        mul(dy, gain, dy)
        mul(hat, column, tmp)
        sub(dy, tmp, tmp)
        dot(dy, one_over, row)
        sub(tmp, column, tmp)
        mul(tmp, inverse[:, None], tmp)
        add(dX, tmp, dX)

    def run() -> Any:
        word.take(index, 0, X, "clip")
        add(X3, position[:T], X3)
        for w, _, s, parts, _, biases, gelu in layers:
            A, u, m = s["A"], s["u"], s["m"]
            norm(X, w["ln1"], w.get("ln1_b"), s["x1"], s["i1"], s["n1"])
            for key, part in zip("qkv", parts, strict=True):
                mm(s["n1"], part, s[key])
            for key, bias in zip("qkv", biases, strict=False):
                add(s[key], bias, s[key])
            mul(s["q"], scale, s["q"])
            mm(head(s["q"]), head(s["k"]).swapaxes(2, 3), A)
            add(A, mask, A)
            maximum.reduce(A, 3, None, peak, True)
            sub(A, peak, A)
            exp(A, A)
            mm(A, ones_T, peaks)
            divide(one, peak, peak)
            mul(A, peak, A)
            mm(A, head(s["v"]), head(s["y"]))
            mm(s["y"], w["o"], tmp)
            if biased:
                add(tmp, w["o_b"], tmp)
            add(X, tmp, X)
            norm(X, w["ln2"], w.get("ln2_b"), s["x2"], s["i2"], s["n2"])
            mm(s["n2"], w["fc"], u)
            if biased:
                add(u, w["fc_b"], u)
            gelu()
            mm(m, w["pr"], tmp)
            if biased:
                add(tmp, w["pr_b"], tmp)
            add(X, tmp, X)
        norm(X, last_gain, last_bias, xf, i_f, nf)
        mm(nf, out, z)
        if biased:
            add(z, out_b, z)
        value = loss()
        mm(nf.T, z, g_out)
        if biased:
            dot(ones, z, g_out_b)
        mm(z, out.T, dn)
        dX.fill(0)
        norm_back(dn, last_gain, xf, i_f, g_last_gain, g_last_bias)
        for w, g, s, parts, g_parts, _, _ in reversed(layers):
            A = s["A"]
            mm(s["m"].T, dX, g["pr"])
            if biased:
                dot(ones, dX, g["pr_b"])
            mm(dX, w["pr"].T, f3)
            mul(f3, s["u"], f3)
            mm(s["n2"].T, f3, g["fc"])
            if biased:
                dot(ones, f3, g["fc_b"])
            mm(f3, w["fc"].T, dn)
            norm_back(dn, w["ln2"], s["x2"], s["i2"], g["ln2"], g.get("ln2_b"))
            mm(s["y"].T, dX, g["o"])
            if biased:
                dot(ones, dX, g["o_b"])
            mm(dX, w["o"].T, dn)
            mm(A.swapaxes(2, 3), heads_of_dy, heads_v)
            mm(heads_of_dy, head(s["v"]).swapaxes(2, 3), dA)
            mul(dA, A, dA)
            mm(dA, ones_T, peaks)
            mul(A, peak, A)
            sub(dA, A, dA)
            mm(dA, head(s["k"]), heads_q)
            mul(q, scale, q)
            mm(dA.swapaxes(2, 3), head(s["q"]), heads_k)  # q carries the scale already
            for d, g_part in zip((q, k, v), g_parts, strict=True):
                mm(s["n1"].T, d, g_part)
            for d, g_bias in zip(
                (q, k, v), g["qkv_b"].reshape(3, C) if biased else (), strict=False
            ):
                dot(ones, d, g_bias)
            mm(q, parts[0].T, dn)
            mm(k, parts[1].T, tmp)
            add(dn, tmp, dn)
            mm(v, parts[2].T, tmp)
            add(dn, tmp, dn)
            norm_back(dn, w["ln1"], s["x1"], s["i1"], g["ln1"], g.get("ln1_b"))
        dX.take(order, 0, tmp, "clip")
        if biased:
            gword.fill(0)
        add.reduceat(tmp, starts, 0, None, sums)
        gword[present] += sums
        gposition[T:] = 0
        add.reduce(dX3, 0, None, gposition[:T])
        return value * total

    return run
