"""A small GPT without biases: rows of all positions, heads as batched products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .driving import Arena, Array, Run
from .gated import K0, K1
from .mlp import add, cross_entropy, dot, exp, maximum, mm, mul, sub, tanh

EPS = 1e-5


def program(
    P: dict[str, Array],
    G: dict[str, Array],
    data: Mapping[str, Array],
    rows: int,
    lr: float,
    arena: Arena,
    options: Mapping[str, Any],
) -> Run:
    """`options`: depth and heads; parameters by the paths of the program."""
    depth, heads = options["depth"], options["heads"]
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
    row, one_over = arena("row", R), arena.full(1 / C, C)
    column = row[:, None]
    ones, one, half = arena.full(1, R), arena.full(1), arena.full(0.5)
    eps, scale = arena.full(EPS), arena.full(hs**-0.5)
    k0, k01, k3 = arena.full(K0), arena.full(K0 * K1), arena.full(3 * K0 * K1)
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
        names = {
            "ln1": "norm1.gain", "qkv": "attend.q.linear.W", "o": "attend.linear.W",
            "ln2": "norm2.gain", "fc": "mlp.linear1.W", "pr": "mlp.linear2.W",
        }  # fmt: skip
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
        layers.append((w, g, s, parts, g_parts))
    xf, nf, i_f = arena("xf", R, C), arena("nf", R, C), arena("if", R)
    z = arena("z", R, V)
    loss = cross_entropy(z, target, lr / (rows * T), arena)
    X3, dX3 = X.reshape(b, T, C), dX.reshape(b, T, C)
    gword, gposition = G["word"], G["position"]
    sums = arena("sums", V, C)[: len(present)]
    heads_of_dy, heads_q, heads_k, heads_v = head(dn), head(q), head(k), head(v)
    total = 1 / (rows * T)
    sqrt, divide = np.sqrt, np.divide

    def norm(x: Array, gain: Array, hat: Array, inverse: Array, out: Array) -> None:
        dot(x, one_over, row)
        sub(x, column, hat)
        mul(hat, hat, out)
        dot(out, one_over, row)
        add(row, eps, row)
        sqrt(row, row)
        divide(one, row, inverse)
        mul(hat, inverse[:, None], hat)
        mul(hat, gain, out)

    def norm_back(dy: Array, gain: Array, hat: Array, inverse: Array, g: Array) -> None:
        """dX += the gradient through the norm; dy is destroyed."""
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
        for w, _, s, parts, _ in layers:
            A, u, m = s["A"], s["u"], s["m"]
            norm(X, w["ln1"], s["x1"], s["i1"], s["n1"])
            for key, part in zip("qkv", parts, strict=True):
                mm(s["n1"], part, s[key])
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
            add(X, tmp, X)
            norm(X, w["ln2"], s["x2"], s["i2"], s["n2"])
            mm(s["n2"], w["fc"], u)
            # m = gelu(u); u becomes its derivative
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
            mm(m, w["pr"], tmp)
            add(X, tmp, X)
        norm(X, P[options["last"]], xf, i_f, nf)
        mm(nf, word.T, z)
        value = loss()
        mm(z.T, nf, gword)
        mm(z, word, dn)
        dX.fill(0)
        norm_back(dn, P[options["last"]], xf, i_f, G[options["last"]])
        for w, g, s, parts, g_parts in reversed(layers):
            A = s["A"]
            mm(s["m"].T, dX, g["pr"])
            mm(dX, w["pr"].T, f3)
            mul(f3, s["u"], f3)
            mm(s["n2"].T, f3, g["fc"])
            mm(f3, w["fc"].T, dn)
            norm_back(dn, w["ln2"], s["x2"], s["i2"], g["ln2"])
            mm(s["y"].T, dX, g["o"])
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
            mm(q, parts[0].T, dn)
            mm(k, parts[1].T, tmp)
            add(dn, tmp, dn)
            mm(v, parts[2].T, tmp)
            add(dn, tmp, dn)
            norm_back(dn, w["ln1"], s["x1"], s["i1"], g["ln1"])
        dX.take(order, 0, tmp, "clip")
        add.reduceat(tmp, starts, 0, None, sums)
        gword[present] += sums
        gposition[T:] = 0
        add.reduce(dX3, 0, None, gposition[:T])
        return value * total

    return run
