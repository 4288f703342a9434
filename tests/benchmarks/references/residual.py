"""Residual blocks: layer norm, silu between two products, rows of the batch as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .driving import Arena, Array, Run
from .mlp import add, cross_entropy, dot, mm, mul, sub, tanh

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
    """`options["depth"]` blocks between two dense layers; parameters are called as in the
    program."""
    x = data["x"]
    n = len(x)
    W_in, W_out = P["h.dense.W"], P["scores.dense.W"]
    c = W_in.shape[1]
    h, g, a, t = (arena(name, n, c) for name in "hgat")
    e, s = arena("e", n, 2 * c), arena("s", n, 2 * c)
    z = arena("z", n, W_out.shape[1])
    row, mean = arena("row", n), arena.full(1 / c, c)
    column, ones, one, half = row[:, None], arena.full(1, n), *map(arena.full, (1, 0.5))
    eps = arena.full(EPS)
    loss = cross_entropy(z, data["y"], lr / rows, arena)
    blocks = []
    for i in range(options["depth"]):
        path = f"h[{i}].block."
        names = (
            "layernorm.gain",
            "layernorm.bias",
            "dense1.W",
            "dense1.b",
            "dense2.W",
            "dense2.b",
        )
        kept = (
            arena(f"hat{i}", n, c), arena(f"a{i}", n, c), arena(f"inverse{i}", n)[:, None],
            arena(f"slope{i}", n, 2 * c), arena(f"y{i}", n, 2 * c),
        )  # fmt: skip
        blocks.append(
            ([P[path + k] for k in names], [G[path + k] for k in names], kept)
        )
    sqrt, divide = np.sqrt, np.divide

    def forward() -> None:
        for (gain, bias, W1, b1, W2, b2), _, (hat, out, inverse, slope, y) in blocks:
            dot(h, mean, row)
            sub(h, column, hat)
            mul(hat, hat, out)
            dot(out, mean, row)
            add(row, eps, row)
            sqrt(row, row)
            divide(one, column, inverse)
            mul(hat, inverse, hat)
            mul(hat, gain, out)
            add(out, bias, out)
            mm(out, W1, slope)
            add(slope, b1, slope)
            mul(slope, half, s)
            tanh(s, s)
            mul(s, half, s)
            add(s, half, s)
            mul(slope, s, y)  # silu(z) = z σ(z), whose slope is σ + silu (1 - σ)
            sub(one, s, slope)
            mul(slope, y, slope)
            add(slope, s, slope)
            mm(y, W2, t)
            add(t, b2, t)
            add(h, t, h)

    def backward() -> None:
        for (gain, _, W1, _, W2, _), into, kept in reversed(blocks):
            g_gain, g_bias, g_W1, g_b1, g_W2, g_b2 = into
            hat, out, inverse, slope, y = kept
            dot(ones, g, g_b2)
            mm(y.T, g, g_W2)
            mm(g, W2.T, e)
            mul(e, slope, e)
            dot(ones, e, g_b1)
            mm(out.T, e, g_W1)
            mm(e, W1.T, a)
            dot(ones, a, g_bias)
            mul(a, hat, t)
            dot(ones, t, g_gain)
            mul(a, gain, a)
            mul(a, hat, t)
            dot(t, mean, row)
            mul(hat, column, t)
            dot(a, mean, row)
            sub(a, t, a)
            sub(a, column, a)
            mul(a, inverse, a)
            add(g, a, g)

    def run() -> Any:
        mm(x, W_in, h)
        add(h, P["h.dense.b"], h)
        forward()
        mm(h, W_out, z)
        add(z, P["scores.dense.b"], z)
        value = loss()
        mm(h.T, z, G["scores.dense.W"])
        dot(ones, z, G["scores.dense.b"])
        mm(z, W_out.T, g)
        backward()
        mm(x.T, g, G["h.dense.W"])
        dot(ones, g, G["h.dense.b"])
        return value / rows

    return run
