"""A product that is at hand is read, not taken again."""

from __future__ import annotations

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of

HEAD = "input x: [N, 5]\ninput y: [N, 5]\nparam W, V, U: [5, 5] = normal(0, 0.5)\n"
GATED = "h = tanh(x @ W) * sigmoid(x @ V)\nloss = mse(h @ U, y)\n"
CASES = {
    "a gate": GATED,
    "the other way": "h = sigmoid(x @ V) * tanh(x @ W)\nloss = mse(h @ U, y)\n",
    "three": "h = tanh(x @ W) * sigmoid(x @ V) * exp(x @ U)\nloss = mse(h, y)\n",
    "a square": "h = tanh(x @ W)\np = h * h * sigmoid(x @ V)\nloss = mse(p @ U, y)\n",
    "in a loop": (
        "h: [N, 5] = 0\nfor t in 3 { h = tanh(x @ W + h @ U) * sigmoid(x @ V) }\n"
        "loss = mse(h, y)\n"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_the_same(name: str) -> None:
    plain = drawn(HEAD + CASES[name], {"N": 4})
    with np.errstate(all="ignore"):
        wanted_loss, saved, *_ = plain.call("forward")
        wanted = plain.module["backward"](saved)
    module = Fast(compiled(HEAD + CASES[name], poison=True))
    loss, found = module.step(values_of(plain))
    assert loss == pytest.approx(wanted_loss, rel=1e-13)
    assert largest_error(found, wanted) < 1e-13


def test_a_gate_reads_its_product() -> None:
    """d * h * (1 - s): no product of the adjoint with both factors."""
    text = compiled(HEAD + GATED).source
    backward = text.partition("def backward")[2].partition("def evaluate")[0]
    assert backward.count("np.multiply(d_h, h") == 1
    lines = [t for t in backward.splitlines() if "np.multiply" in t]
    assert len(lines) <= 8


def test_halves_are_products() -> None:
    text = (
        HEAD + "h = tanh(x @ W) / 8\np = h / 3\nloss = mse(p @ V, y) + mse(p @ U, y)\n"
    )
    forward = compiled(text).source.partition("def backward")[0]
    assert "0.125" in forward and "np.divide" in forward
