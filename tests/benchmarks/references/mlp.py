"""Perceptrons of any depth, rows of the batch as rows: relu, tanh or sigmoid.

`out=` everywhere, the masks and derivatives of the activations in the memory of the
activations themselves, the mean's factor and the learning rate in the smallest array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .driving import Arena, Array, Run

mm, dot, add, sub, mul = np.matmul, np.dot, np.add, np.subtract, np.multiply
exp, tanh, maximum, greater = np.exp, np.tanh, np.maximum, np.greater


def activate(kind: str, h: Array, arena: Arena) -> Run:
    """h = act(h)"""
    zeros, half = arena.full(0, *h.shape), arena.full(0.5)

    def relu() -> None:
        maximum(h, zeros, out=h)

    def sigmoid() -> None:
        mul(h, half, h)
        tanh(h, h)
        mul(h, half, h)
        add(h, half, h)

    return {"relu": relu, "sigmoid": sigmoid, "tanh": lambda: tanh(h, h)}[kind]


def deactivate(kind: str, h: Array, d: Array, arena: Arena) -> Run:
    """d *= act'(z), from h = act(z), which is overwritten."""
    zero, one = arena.full(0), arena.full(1)
    spare = arena("spare", *h.shape) if kind == "sigmoid" else h

    def relu() -> None:
        greater(h, zero, out=h)
        mul(d, h, d)

    def of_tanh() -> None:
        mul(h, h, h)
        sub(one, h, h)
        mul(d, h, d)

    def sigmoid() -> None:
        mul(h, h, spare)
        sub(h, spare, h)
        mul(d, h, d)

    return {"relu": relu, "sigmoid": sigmoid, "tanh": of_tanh}[kind]


def cross_entropy(
    z: Array, label: Array, factor: float, arena: Arena
) -> Callable[[], Any]:
    """The sum of a slice's losses; z becomes `factor` times its gradient."""
    rows, k = z.shape
    scores, at = z.reshape(-1), np.arange(rows) * k + label.reshape(-1)
    total, c = arena("total", rows), arena.full(factor)
    column, ones, log = total[:, None], arena.full(1, k), np.log
    turned = arena("turned", k, rows) if k <= 16 else None

    def run() -> Any:
        if turned is None:
            maximum.reduce(z, 1, None, column, True)
        else:
            np.copyto(turned, z.T)
            maximum.reduce(turned, 0, None, total)
        sub(z, column, z)
        loss = -scores.take(at).sum()
        exp(z, z)
        dot(z, ones, total)
        loss += log(total).sum()
        np.divide(c, total, total)
        mul(z, column, z)
        scores[at] -= c
        return loss

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
    """`options["layers"]`: (weight, bias, activation), the last one's activation empty."""
    x, layers = data["x"], options["layers"]
    n = len(x)
    W, b = [P[w] for w, _, _ in layers], [P[v] for _, v, _ in layers]
    GW, Gb = [G[w] for w, _, _ in layers], [G[v] for _, v, _ in layers]
    h = [arena(f"h{i}", n, w.shape[1]) for i, w in enumerate(W)]
    d = [arena(f"d{i}", *a.shape) for i, a in enumerate(h)]
    inputs, ones = [x, *h], arena.full(1, n)
    kinds = [kind for _, _, kind in layers[:-1]]
    forward = [
        (inputs[i], W[i], h[i], b[i], activate(kinds[i], h[i], arena))
        for i in range(len(kinds))
    ]
    above = [*d[:-1], h[-1]]
    backward = [
        (above[i], h[i - 1].T, GW[i], Gb[i], W[i].T, d[i - 1],
         deactivate(kinds[i - 1], h[i - 1], d[i - 1], arena))
        for i in reversed(range(1, len(layers)))
    ]  # fmt: skip
    z, last, below = h[-1], W[-1], h[-2]
    loss = cross_entropy(z, data["y"], lr / rows, arena)
    xT, first, GW0, Gb0, bias = x.T, above[0], GW[0], Gb[0], b[-1]

    def run() -> Any:
        for a, w, out, v, act in forward:
            mm(a, w, out)
            add(out, v, out)
            act()
        mm(below, last, z)
        add(z, bias, z)
        value = loss()
        for g, aT, gw, gb, wT, out, derivative in backward:
            mm(aT, g, gw)
            dot(ones, g, gb)
            mm(g, wT, out)
            derivative()
        mm(xT, first, GW0)
        dot(ones, first, Gb0)
        return value / rows

    return run
