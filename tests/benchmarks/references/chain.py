"""-log σ(w₃ σ(w₂ σ(w₁ x))) for Python's numbers, in one function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .driving import Array


def build(
    parameters: Mapping[str, Array], data: Mapping[str, Array], lr: float
) -> tuple[Callable[[], float], Callable[[], dict[str, Any]]]:
    w1, w2, w3 = (float(parameters[k]) for k in ("w1", "w2", "w3"))
    x, exp, log = float(data["x"]), math.exp, math.log

    def step() -> float:
        nonlocal w1, w2, w3
        a = 1.0 / (1.0 + exp(-w1 * x))
        b = 1.0 / (1.0 + exp(-w2 * a))
        c = 1.0 / (1.0 + exp(-w3 * b))
        d = c - 1.0
        e = d * w3 * b * (1.0 - b)
        f = e * w2 * a * (1.0 - a)
        w3 -= lr * d * b
        w2 -= lr * e * a
        w1 -= lr * f * x
        return -log(c)

    return step, lambda: {"w1": w1, "w2": w2, "w3": w3}
