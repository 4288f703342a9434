"""Means of words' vectors, and a perceptron behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .driving import Arena, Array, Run
from .mlp import add, cross_entropy, dot, maximum, mm, mul


def program(
    P: dict[str, Array],
    G: dict[str, Array],
    data: Mapping[str, Array],
    rows: int,
    lr: float,
    arena: Arena,
    options: Mapping[str, Any],
) -> Run:
    """What a text adds to the table is one row for all of its words. Of the words that have
    one place the last is written with those of all other places, what came before it is
    added number by number."""
    E, W, b, V, c = (P[name] for name in options["names"])
    G_E, G_W, G_b, G_V, G_c = (G[name] for name in options["names"])
    text = data["bag"]
    n, steps = text.shape
    index, width = text.reshape(-1), E.shape[1]
    texts, numbers = np.repeat(np.arange(n), steps), np.arange(n * steps)
    last, flat, columns = np.empty(len(E), int), G_E.reshape(-1), np.arange(width)
    taken, h, d_h = (
        arena("taken", n, steps, width),
        arena("h", n, width),
        arena("d", n, width),
    )
    u, d_u, z = arena("u", n, len(b)), arena("d_u", n, len(b)), arena("z", n, len(c))
    shares, ones = arena.full(1 / steps, 1, steps), arena.full(1, n)
    zeros, zero, share = arena.full(0, n, len(b)), arena.full(0), arena.full(1 / steps)
    loss = cross_entropy(z, data["y"], lr / rows, arena)

    def run() -> Any:
        E.take(index, 0, taken.reshape(-1, width), "clip")
        mm(shares, taken, h[:, None])
        mm(h, W, u)
        add(u, b, u)
        maximum(u, zeros, out=u)
        mm(u, V, z)
        add(z, c, z)
        value = loss()
        mm(u.T, z, G_V)
        dot(ones, z, G_c)
        mm(z, V.T, d_u)
        np.greater(u, zero, out=u)
        mul(d_u, u, d_u)
        mm(h.T, d_u, G_W)
        dot(ones, d_u, G_b)
        mm(d_u, W.T, d_h)
        mul(d_h, share, d_h)
        G_E.fill(0)
        last[index] = numbers
        final = last[index] == numbers
        G_E[index[final]] = d_h.take(texts[final], 0)
        before = np.flatnonzero(~final)
        places = index[before][:, None] * width + columns
        np.add.at(flat, places.reshape(-1), d_h.take(texts[before], 0).reshape(-1))
        return value / rows

    return run
