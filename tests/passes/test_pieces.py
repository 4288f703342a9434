"""A function in two pieces is the sum of its pieces; an adjoint comes before a choice."""

from __future__ import annotations

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of

HEAD = "input x, y: [N, 5]\nparam W: [5, 5] = normal(0, 0.5)\nz = x @ W\n"
TAIL = "\nloss = mse(h, y)\n"
WITHOUT = {
    "elu": "h = elu(z)",
    "with a number": "h = elu(z, 0.4)",
    "scaled": "h = selu(z)",
    "as one writes it": "h = where(z > 0, z, exp(z) - 1)",
    "the other way": "h = where(z < 0, 1 - cos(z), z^2)",
    "from zero on": "h = where(z >= 0, z, tanh(z) / 2)",
    "a square root": "h = where(z > 0, sqrt(z + 1) - 1, z)",
    "nothing below": "h = where(z > 0, z^2, 0)",
    "a number below": "h = where(z > 0, exp(z), 1)",
    "a step": "h = where(z > 0, cos(z), -2)",
    "a learnt slope": "param a = 0.3\nh = where(z > 0, z, a * z)",
    "a slope for each": "param a: [5] = 0.3\nh = where(z > 0, z, a * z)",
    "of two that are finite": "h = where(z > y, tanh(z), x)",
    "a huber": "h = where(abs(z) < 1, z^2 / 2, abs(z) - 0.5)",
    "nothing between": "h = where(z > 0.5, z - 0.5, where(z < -0.5, z + 0.5, 0))",
    "both hold": "h = where(z > 0 and y > 0, z, 3)",
    "twice": "u = where(z > 0, z, exp(z) - 1)\nh = where(u > 0, u, tanh(u))",
}
WITH = {
    "a gap between two": "h = where(z > 0, z + 1, exp(z))",
    "not at 0": "h = where(z > 1, z, exp(z))",
    "of whole rows": "h = where(mean(y, axis = 1, keep = true) > 0, z, sin(z))",
    "no number at 0": "h = where(z > 0, log(z), 0)",
    "a small number": "h = log(where(z > 0, 1e-30, exp(z)) + 1e-31)",
    "a learnt number": "param a = 0.3\nh = where(z > 0, z, a * (exp(z) - 1))",
    "by another": "h = where(y > 0, z, exp(z))",
}
CASES = WITHOUT | WITH


@pytest.mark.parametrize("name", CASES)
def test_values_are_the_same(name: str) -> None:
    text = HEAD + CASES[name] + TAIL
    plain = drawn(text, {"N": 6})
    plain.inputs["x"][0] = [0, 0, 0, 0, 0]
    plain.inputs["x"][1] *= 3000  # where a piece of the other side is infinite
    with np.errstate(all="ignore"):
        wanted_loss, saved, *_ = plain.call("forward")
        wanted = plain.module["backward"](saved)
    module = Fast(compiled(text, poison=True))
    with np.errstate(all="ignore"):
        loss, found = module.step(values_of(plain))
    assert loss == pytest.approx(wanted_loss, rel=1e-13, nan_ok=True)
    assert largest_error(found, wanted) < 1e-13


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_chosen(name: str) -> None:
    source = compiled(HEAD + CASES[name] + TAIL).source
    steps = source.partition("def forward")[2].partition("def evaluate")[0]
    assert ("where=" in steps) == (name in WITH)
