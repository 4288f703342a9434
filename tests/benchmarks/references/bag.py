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
    """What a text adds to the table is one row for all of its words: as many rows are added
    as places are met, those of the k-th word that has a place at once."""
    E, W, b, V, c = (P[name] for name in options["names"])
    G_E, G_W, G_b, G_V, G_c = (G[name] for name in options["names"])
    text = data["bag"]
    n, steps = text.shape
    index, width = text.reshape(-1), E.shape[1]
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
        for places, texts in _rounds(index, steps):
            G_E[places] += d_h.take(texts, 0, mode="clip")
        return value / rows

    return run


def _rounds(index: Array, steps: int) -> list[tuple[Array, Array]]:
    """The places that have a k-th word, and the texts that it stands in."""
    order = np.argsort(index, kind="stable")
    found = index[order]
    starts = np.flatnonzero(np.diff(found, prepend=-1))
    lengths = np.diff(starts, append=len(found))
    rank = np.arange(len(found)) - np.repeat(starts, lengths)
    return [
        (found[rank == k], order[rank == k] // steps)
        for k in range(int(rank.max()) + 1)
    ]
