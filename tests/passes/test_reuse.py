"""A product that is at hand is read, not taken again."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of
from fast.test_programs import agrees

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


NORMS = {
    "a norm": "d = x @ W\nh = d / sqrt(mean(d^2, axis = -1, keep = true) + 1e-5)\n",
    "a layer norm": "h = layernorm(x @ W)\n",
    "a norm of rows": "d = x @ W\nh = d / sqrt(sum(d^2, axis = -1, keep = true))\n",
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_reads_what_it_has_divided(name: str) -> None:
    """Backward has the quotient, and not the dividend beside it."""
    text = HEAD + NORMS[name] + "loss = mse(h @ V, y) + mse(h @ U, y)\n"
    agrees(text, float, 1e-12)
    forward, _, backward = compiled(text).source.partition("def backward")
    backward = backward.partition("def evaluate")[0]
    divided = r"np\.divide\((\w+), (\w+), out=(\w+)"
    *_, (dividend, divisor, quotient) = re.findall(divided, forward)
    assert f"np.divide({dividend}, {divisor}, " not in backward
    assert quotient == dividend or f"np.multiply({dividend}, " not in backward


def test_a_quotient_that_is_no_value_is_not_made() -> None:
    text = (
        HEAD + "z = x @ W\nm = mean(z, axis = -1, keep = true)\n"
        "h = z * (sin(m) / (m^2 + 1))\nloss = mse(h @ V, y) + mse(h @ U, y)\n"
    )
    agrees(text, float, 1e-12)
    source = compiled(text).source
    assert source.count("np.divide(z") == source.count("np.divide(h") == 0
