"""Masked gradients, emitted: no NaN up to the second order where other systems have one.

A branch that `where` does not choose may have any derivative: infinite, or none. PyTorch and
JAX multiply it by 0, which is NaN; their users choose the argument of the branch by a second
`where`. Here nothing flows into the branch. The first three rows have their NaN there, as
autograd-style JAX runs gave: `sqrt` and `log` at 0 and -1, `exprel` at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gradc.compiler import Options, Source, compile_source
from gradc.network import Network

LEVELS = (0, 1)


@dataclass(frozen=True)
class Row:
    """y as a function of x: [N], the points, and the first and second derivatives there."""

    y: str
    x: list[float]
    first: list[float]
    second: list[float]
    before: str = ""


def e(k: int, x: float) -> float:
    """The k-th derivative of (e^x - 1) / x, by its series Σ x^n / ((n + k + 1) n!)."""
    total, term = 0.0, 1.0
    for n in range(60):
        total += term / (n + k + 1)
        term *= x / (n + 1)
    return total


ROWS = {
    "sqrt": Row(
        "where(x > 0, sqrt(x), x)",
        [0, -1, 1, 4, 9],
        [1, 1, 1 / 2, 1 / 4, 1 / 6],
        [0, 0, -1 / 4, -1 / 32, -1 / 108],
    ),
    "log": Row(
        "where(x > 0, log(x), x^2)",
        [0, -1, 1, 4, 9],
        [0, -2, 1, 1 / 4, 1 / 9],
        [2, 2, -1, -1 / 16, -1 / 81],
    ),
    "exprel": Row(
        "where(abs(x) < 1e-4, 1 + x / 2 + x^2 / 6 + x^3 / 24, expm1(x) / x)",
        [0, 1e-5, 1, 2, 3],
        [e(1, x) for x in (0, 1e-5, 1, 2, 3)],
        [e(2, x) for x in (0, 1e-5, 1, 2, 3)],
    ),
    "entropy": Row(
        "where(x > 0, x * log(x), 0)",
        [0, 1, 2, 0.5],
        [0, 1, 1 + np.log(2), 1 - np.log(2)],
        [0, 1, 1 / 2, 2],
    ),
    "quotient": Row(
        "where(x == 0, x, 1 / x)", [0, 1, -2], [1, -1, -1 / 4], [0, 2, -1 / 4]
    ),
    "power": Row(
        "where(x > 0, x^1.5, 0)", [0, -1, 4], [0, 0, 3], [0, 0, 3 / 8]
    ),
    "outside of the domain": Row(
        "where(abs(x) < 1, arcsin(x), x)", [0, 2, -1, 1], [1, 1, 1, 1], [0, 0, 0, 0]
    ),
    "overflow": Row(
        "where(x < 100, exp(x), x)", [0, 1000, 1e5], [1, 1, 1], [1, 0, 0]
    ),
    "one mask in another": Row(
        "where(x > 0, where(x > 1, sqrt(x - 1), log(x)), x^3)",
        [0, 1, -1, 5, 0.5],
        [0, 1, 3, 1 / 4, 2],
        [0, -1, -6, -1 / 32, -4],
    ),
    "through a function": Row(
        "sqrt(where(x > 0, x, 1)) * where(x > 0, 1, 0)",
        [0, -1, 4],
        [0, 0, 1 / 4],
        [0, 0, -1 / 32],
    ),
    "step by step": Row(
        "h",
        [0, -1, 16],
        [1, 1, 1 / 32],
        [0, 0, -3 / 16 / 16**1.75],
        "h = x\nfor t in 2 { h = where(h > 0, sqrt(h), h) }",
    ),
    "in columns": Row(
        "sum(where(z > 0, sqrt(z), z), axis = 1) / 3",
        [0, -1, 4],
        [1, 1, 1 / 4],
        [0, 0, -1 / 32],
        "z = flip(stack(x, x, x, axis = 1), axis = 1)",
    ),
}  # fmt: skip


def network(text: str, level: int) -> Network:
    compiled = compile_source(Source.from_text("mask.net", text), Options(level=level))
    return Network(compiled.source, compiled.signature)


def quietly(call: Any, *args: Any, **inputs: Any) -> Any:
    with np.errstate(all="ignore"):
        return call(*args, **inputs)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ROWS)
def test_by_the_rows_of_an_input(name: str, level: int) -> None:
    row = ROWS[name]
    net = network(
        f"input x: [N]\n{row.before}\ny = {row.y}\noutput first = grad(y, x)\n"
        "output second = grad(first, x)\ntrain { dtype = float64 }\n",
        level,
    )
    found = quietly(net.predict, net.init(seed=0), x=np.array(row.x, float))
    np.testing.assert_allclose(found["first"], row.first, 1e-9, 1e-12)
    np.testing.assert_allclose(found["second"], row.second, 1e-7, 1e-12)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ROWS)
def test_by_a_parameter(name: str, level: int) -> None:
    """Of half the squared gradient: each entry's first times second derivative."""
    row = ROWS[name]
    net = network(
        f"param x: [{len(row.x)}] = 0\n{row.before}\ny = {row.y}\n"
        "loss = sum(grad(sum(y), x)^2) / 2\ntrain { dtype = float64 }\n",
        level,
    )
    theta = np.array(row.x, float)
    loss, nabla = quietly(net.value_and_grad, theta)
    assert loss == pytest.approx(np.sum(np.square(row.first)) / 2, rel=1e-9)
    want = np.array(row.first) * row.second
    np.testing.assert_allclose(nabla, want, 1e-7, 1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_a_row_of_attention_with_nothing_to_see(level: int) -> None:
    """softmax of -inf alone is 0, and so are its derivatives, of any order."""
    net = network(
        "param s: [3, 4] = 0\ninput seen: bool[3, 4]\ninput v: [3, 4]\n"
        "p = softmax(where(seen, s, -inf))\nL = sum(p * v)\n"
        "loss = L + sum(grad(L, s)^2)\nmetric top = max(p)\n"
        "train { dtype = float64 }\n",
        level,
    )
    rng = np.random.default_rng(0)
    seen = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]], bool)
    inputs = {"seen": seen, "v": rng.normal(size=(3, 4))}
    theta = rng.normal(size=12)
    loss, nabla = quietly(net.value_and_grad, theta, **inputs)
    slopes = nabla.reshape(3, 4)
    assert np.isfinite(loss) and np.all(np.isfinite(slopes))
    assert np.all(slopes[~seen] == 0) and np.all(slopes[0][seen[0]] != 0)
    for k in np.flatnonzero(seen[0]):
        h = np.zeros(12)
        h[k] = 1e-5
        up, down = (
            quietly(net.value_and_grad, theta + sign * h, **inputs)[0]
            for sign in (1, -1)
        )
        assert slopes[0, k] == pytest.approx((up - down) / 2e-5, rel=1e-6)
