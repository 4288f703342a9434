"""Perceptrons so small that calls count: features as rows, biases in a row of ones.

Every weight is stored turned and beside its bias, [W'|b], so that a product with [h; 1] adds
the bias and the product with [h; 1]' is the gradient of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .driving import Array
from .mlp import add, dot, mm, mul, sub, tanh


def build(
    parameters: Mapping[str, Array],
    data: Mapping[str, Array],
    lr: float,
    dtype: Any,
    options: Mapping[str, Any],
) -> tuple[Callable[[], float], dict[str, Array]]:
    """A step of sum (a - y)² / (2 N); the last layer is a sigmoid's, others are as said."""
    layers = options["layers"]
    n = len(data["x"])
    sizes = [parameters[w].shape for w, _, _ in layers]
    theta = np.empty(sum(k * (d + 1) for d, k in sizes), dtype)
    g = np.empty_like(theta)
    A, GA, start = [], [], 0
    P: dict[str, Array] = {}
    for (w, b, _), (d, k) in zip(layers, sizes, strict=True):
        stop = start + k * (d + 1)
        a = theta[start:stop].reshape(k, d + 1)
        a[:, :d], a[:, d] = parameters[w].T, parameters[b]
        P[w], P[b] = a[:, :d].T, a[:, d]
        A.append(a)
        GA.append(g[start:stop].reshape(k, d + 1))
        start = stop
    X = np.ones((n, sizes[0][0] + 1), dtype)
    X[:, :-1] = data["x"]
    y = np.ascontiguousarray(data["y"].T.astype(dtype))
    H = [np.ones((k + 1, n), dtype) for _, k in sizes]
    h = [a[:-1] for a in H]
    D = [np.empty_like(a) for a in h]
    T = [np.empty_like(a) for a in h]
    one, half = np.array(1, dtype), np.array(0.5, dtype)
    c = np.array(lr / n, dtype)
    o, d, t, flat = h[-1], D[-1], T[-1], D[-1].reshape(-1)
    below = [X.T, *H[:-1]]
    forward = [(A[i], below[i], h[i], layers[i][2] == "sigmoid") for i in range(len(A))]
    backward = [
        (A[i + 1][:, :-1].T, D[i + 1], D[i], h[i], T[i], layers[i][2] == "sigmoid")
        for i in reversed(range(len(A) - 1))
    ]
    gradients = [(D[i], below[i].T, GA[i]) for i in range(len(A))]
    scale = 0.5 / n

    def step() -> float:
        for a, inp, out, sigmoid in forward:
            mm(a, inp, out)
            if sigmoid:
                mul(out, half, out)
                tanh(out, out)
                mul(out, half, out)
                add(out, half, out)
            else:
                tanh(out, out)
        sub(o, y, d)
        loss = dot(flat, flat)
        mul(o, o, t)
        sub(o, t, t)
        mul(t, c, t)
        mul(d, t, d)
        for wT, above, out, a, spare, sigmoid in backward:
            mm(wT, above, out)
            mul(a, a, spare)
            sub(a if sigmoid else one, spare, spare)
            mul(out, spare, out)
        for e, inT, into in gradients:
            mm(e, inT, into)
        sub(theta, g, theta)
        return float(loss) * scale

    return step, P
