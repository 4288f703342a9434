"""Where things lie from the start: heads, parts of a whole, and what sizes alone decide."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of

ATTENTION = """input x: [N, T, 12]
h = x + attention(layernorm(x), 3, causal = true)
loss = mean((h - 0.1)^2)
"""
MASKED = """input x: [N, T, T]
keep = causal_mask(T)
p = softmax(where(keep, log(x), -inf))
q = where(keep, sqrt(x), 0) + where(causal_mask(T), 2, x)
w = where(keep, 0, x)
param a: [T, T] = normal(0, 1)
loss = mean((p * q * a + w)^2)
"""


def parts(text: str) -> dict[str, str]:
    """The source of each function."""
    found = re.split(r"^def (\w+)\(", text, flags=re.M)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_heads_are_copied_nowhere() -> None:
    found = parts(compiled(ATTENTION).source)
    for name in ("forward", "backward"):
        assert "concatenate" not in found[name]
        assert "laid_out" not in found[name]


def test_what_sizes_decide_is_made_once() -> None:
    found = parts(compiled(ATTENTION).source)
    assert "np.arange(T)" in found["buffers"]
    for name in ("forward", "backward"):
        assert "arange" not in found[name] and "less" not in found[name]


@pytest.mark.parametrize("text", [ATTENTION, MASKED], ids=["attention", "masked"])
def test_what_is_masked_stays_out(text: str) -> None:
    """Logarithms and roots of what is below 0, where the mask does not hold."""
    plain, module = drawn(text), Fast(compiled(text, poison=True))
    if text is MASKED:
        x = np.abs(plain.inputs["x"])
        plain.inputs["x"] = np.where(np.tri(x.shape[1], dtype=bool), x, -x)
    with np.errstate(all="ignore"):
        loss, saved, *_ = plain.call("forward")
        wanted = plain.module["backward"](saved)
    for _ in range(2):
        value, found = module.step(values_of(plain))
        assert np.isfinite(value) and abs(value - loss) <= 1e-12
        assert largest_error(found, wanted) <= 1e-12
        assert all(np.isfinite(v).all() for v in found.values())


def test_parts_that_are_no_products_are_copied_into_the_whole() -> None:
    text = """input x: [N, 6]
param A: [6, 3] = normal(0, 1)
param b: [2] = 1
z = concat(x @ A, tanh(x[:, :2]) * b, x @ A, axis = 1)
loss = mean(sin(z)^2)
"""
    plain, module = drawn(text), Fast(compiled(text, poison=True))
    loss, saved, *_ = plain.call("forward")
    wanted = plain.module["backward"](saved)
    value, found = module.step(values_of(plain))
    assert abs(value - loss) <= 1e-12
    assert largest_error(found, wanted) <= 1e-12


def test_what_a_recurrence_has_collected_is_copied_nowhere() -> None:
    """A product of its states has its rows in their order, and so has its adjoint."""
    source = compiled(
        "input text: int[N, T]\nh = text |> embed(5, 4) |> rnn(3)\n"
        "loss = mean((tanh(dense(h, 2)) - 0.1)^2)\n"
    ).source
    found = parts(source)
    copies = re.findall(r"np\.copyto\(\w+, (\w+)", found["forward"] + found["backward"])
    assert set(copies) <= {"text", "U"}
