"""Loops at -O2: what a step of one computes, and what is computed for all steps at once."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of

LSTM = """input x: [N, T, 5]
h = lstm(x, 4)
loss = mean((h - 0.1)^2)
"""
GATES = """input x: [N, T, 4]
param U: [4, 4] = normal(0, 1)
h: [N, 4] = 0.5
for t in T {
  a = x[:, t] * tanh(h @ U) * exp(-x[:, t]) * h
  h = a + x[:, t]^2 + h + sin(x[:, t])
  states[:, t] = h
}
loss = mean(states^2)
"""

FIRST = """input x: [N, T, 3]
param U: [3, 3] = normal(0, 1)
param b: [3] = normal(0, 1)
h: [N, 3] = {start}
for t in T {{
  h = {step}
  states[:, t] = h
}}
loss = sum(states^2) + sum(b^2){more}
"""


def recurrence(step: str, start: str = "0", more: str = "") -> str:
    return FIRST.format(start=start, step=step, more=more)


RNN = recurrence("tanh(x[:, t] + b + h @ U)")
"""Of the first step nothing but a tanh is left."""
OTHERS = {
    "rnn": RNN,
    "another start": recurrence("tanh(x[:, t] + h @ U)", start="0.5"),
    "a product with it": recurrence("sin(x[:, t] * (b + h @ U))"),
    "a gate": recurrence("x[:, t] * sigmoid(b + h @ U) + h * b"),
    "a sum": recurrence("x[:, t] + (h + b) @ U"),
    "no function": recurrence("x[:, t] + h @ U"),
    "its end": recurrence("tanh(x[:, t] + h @ U)", more=" + sum(h^3)"),
    "a square": recurrence("tanh((x[:, t] + h @ U)^2 + h @ U)"),
}


def steps(text: str, function: str) -> list[list[str]]:
    """The calls of each loop of a function."""
    tree = ast.parse(compiled(text).source)
    (whole,) = (n for n in tree.body if getattr(n, "name", "") == function)
    loops = [n for n in ast.walk(whole) if isinstance(n, ast.For)]
    return [[ast.unparse(line) for line in loop.body] for loop in loops]


def test_factors_without_a_carry_are_multiplied_at_once() -> None:
    """Of an adjoint each gate makes one product a step: five with that of the cell."""
    (backward,) = steps(LSTM, "backward")
    assert sum("np.multiply" in line for line in backward) == 6
    assert not any("np.subtract" in line for line in backward)


def test_what_is_grouped_anew_is_the_same() -> None:
    for text in (LSTM, GATES):
        plain, module = drawn(text), Fast(compiled(text, poison=True))
        loss, saved, *_ = plain.call("forward")
        wanted = plain.module["backward"](saved)
        for _ in range(2):
            value, found = module.step(values_of(plain))
            assert abs(value - loss) <= 1e-12
            assert largest_error(found, wanted) <= 1e-12


def test_a_loop_from_zeros_has_a_product_less() -> None:
    for function in ("forward", "backward"):
        (loop,) = steps(RNN, function)
        assert loop[0].startswith("np.dot(") and len(loop) == 3
    assert compiled(RNN).source.count("    np.tanh(") == 2  # before the loop, and in it


@pytest.mark.parametrize("name", OTHERS)
def test_the_first_step_is_the_same_apart(name: str) -> None:
    plain = drawn(OTHERS[name])
    x = np.random.default_rng(3).standard_normal((2, 5, 3))
    module = Fast(compiled(OTHERS[name], poison=True))
    for count in (5, 1, 2):
        plain.inputs["x"] = x[:, :count]
        loss, saved, *_ = plain.call("forward")
        wanted = plain.module["backward"](saved)
        for _ in range(2):
            value, found = module.step(values_of(plain))
            assert abs(value - loss) <= 1e-12 * max(1, abs(loss))
            assert largest_error(found, wanted) <= 1e-12
