"""Loops at -O2: what a step of one computes, and what is computed for all steps at once."""

from __future__ import annotations

import ast

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
