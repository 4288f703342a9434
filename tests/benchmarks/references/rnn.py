"""A tanh RNN over characters: all but h @ Wh taken out of time, the bias in the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .driving import Arena, Array, Run
from .mlp import add, cross_entropy, dot, mm, mul, sub, tanh


def program(
    P: dict[str, Array],
    G: dict[str, Array],
    data: Mapping[str, Array],
    rows: int,
    lr: float,
    arena: Arena,
    options: Mapping[str, Any],
) -> Run:
    """Parameters Wx (a table), Wh, bh, Wo, bo."""
    Wx, Wh, bh, Wo, bo = (P[k] for k in ("Wx", "Wh", "bh", "Wo", "bo"))
    ids = np.ascontiguousarray(data["text"].T)
    target = np.ascontiguousarray(data["target"].T)
    T, n = ids.shape
    k, v = Wh.shape[0], bo.size
    index = ids.reshape(-1)
    # The sum over equal characters: rows in their order, then one sum for each run of them.
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    present = index[order][starts]
    table, WhT = arena("table", *Wx.shape), arena("WhT", k, k)
    states = arena("states", T + 1, n, k)
    states[0] = 0
    entering, leaving = states[:-1].reshape(-1, k), states[1:].reshape(-1, k)
    x, d = arena("x", T, n, k), arena("d", T, n, k)
    x_rows, d_rows = x.reshape(-1, k), d.reshape(-1, k)
    z, back = arena("z", T * n, v), arena("back", n, k)
    slope = arena("slope", T, n, k)
    ordered, sums = arena("x", T, n, k).reshape(-1, k), arena("sums", v, k)
    sums_here = sums[: len(present)]
    loss = cross_entropy(z, target, lr / (rows * T), arena)
    one, ones, WoT = arena.full(1), arena.full(1, T * n), Wo.T
    leavingT, enteringT = leaving.T, entering.T
    out = states[1:]
    gWx, gWh, gbh, gWo, gbo = (G[p] for p in ("Wx", "Wh", "bh", "Wo", "bo"))
    forward = [(states[t], x[t], states[t + 1]) for t in range(T)]
    backward = [(d[t], slope[t], d[t - 1]) for t in range(T - 1, 0, -1)]
    d0, slope0 = d[0], slope[0]
    total = 1 / (rows * T)

    def run() -> Any:
        add(Wx, bh, table)
        np.copyto(WhT, Wh.T)
        table.take(index, 0, x_rows, "clip")
        for h, a, after in forward:
            mm(h, Wh, after)
            add(after, a, after)
            tanh(after, after)
        mm(leaving, Wo, z)
        add(z, bo, z)
        value = loss()
        mm(leavingT, z, gWo)
        dot(ones, z, gbo)
        mm(z, WoT, d_rows)
        mul(out, out, slope)
        sub(one, slope, slope)
        for g, s, before in backward:
            mul(g, s, g)
            mm(g, WhT, back)
            add(before, back, before)
        mul(d0, slope0, d0)
        mm(enteringT, d_rows, gWh)
        d_rows.take(order, 0, ordered, "clip")
        add.reduceat(ordered, starts, 0, None, sums_here)
        gWx.fill(0)
        gWx[present] = sums_here
        dot(arena.full(1, len(present)), sums_here, gbh)
        return value * total

    return run
