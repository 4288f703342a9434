"""Which sigmoids and erfs keep their relative accuracy, and that all of them agree with -O0."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of

ABSOLUTE = {
    "a gate": "h = (x @ W) * sigmoid(x @ V)\nloss = mse(h @ W, y)",
    "an answer": "p = sigmoid(x @ W)\nloss = mse(p, y)",
    "what is left": "p = (x @ W) * (1 - sigmoid(x @ V))\nloss = mse(p, y)",
    "a slope": "h = silu(x @ W)\nloss = mse(h, y)",
    "a carry": "h: [N, 6] = 0\nfor t in 3 { h = sigmoid(x @ W + h @ V) }\nloss = mse(h, y)",
    "a maximum": "h = silu(x @ W)\nloss = mean((max(h, axis = 1) - 1)^2)",
    "an exponent": "h = exp(sigmoid(x @ W))\nloss = mean(h / sum(h))",
}
RELATIVE = {
    "a share": "p = sigmoid(x @ W)\nloss = mse(p / sum(p, axis = 1, keep = true), y)",
    "a share of two": "p = sigmoid(x @ W)\nloss = mse(p / (p + sigmoid(x @ V)), y)",
    "a logarithm": "p = sigmoid(x @ W) * sigmoid(x @ V)\nloss = -mean(log(p + 1e-9))",
    "a root": "h = sqrt(sigmoid(x @ W))\nloss = mse(h, y)",
    "over a root": "z = 30 * (x @ W)\nloss = mean(sqrt(softplus(z)) * y)",
    "the loss": "loss = mean(sigmoid(x @ W))",
    "compared": "p = sigmoid(x @ W)\nloss = mse(where(p > 1e-9, p, y), y)",
    "a maximum of two": "p = sigmoid(x @ W)\nm = max(p, 1e-9)\nloss = mse(where(m == p, p, y), y)",
    "by a loop": (
        "p = sigmoid(x @ W)\nh: [N] = 0\nfor t in 6 { h = h + log(p[:, t] + 1e-9) * x[:, 0] }\n"
        "loss = mean(h)"
    ),
    "in a loop": (
        "c: [N, 6] = 0\nfor t in 3 { c = c * sigmoid(x @ V) + sigmoid(x @ W) * sigmoid(x) }\n"
        "loss = mean(log(c))"
    ),
}


ERF = {
    "a gelu": "h = gelu(x @ W)\nloss = mse(h @ V, y)",
    "turned": "h = erf((x @ W)') @ x\nloss = mean(h^2)",
    "a row": "param b: [6] = normal(0, 1)\nh = x * gelu(b)\nloss = mse(h, y)",
    "the log of an erf": "loss = mean(log(erf(x @ W)^2 + 1e-9))",
}
PROGRAMS = ABSOLUTE | RELATIVE | ERF


def program(name: str) -> str:
    """With the inputs and parameters that it reads."""
    body = PROGRAMS[name]
    given = "input x: [N, 6]\n" + (
        "input y: [N, 6]\n" if re.search(r"\by\b", body) else ""
    )
    for w in "WV":
        given += f"param {w}: [6, 6] = normal(0, 0.5)\n" if f"@ {w}" in body else ""
    return given + body + "\n"


def planned(name: str) -> str:
    """`forward` and `backward`, without the functions of -O1."""
    return compiled(program(name)).source.partition("def evaluate")[0]


@pytest.mark.parametrize("name", ABSOLUTE)
def test_an_absolute_error_is_enough(name: str) -> None:
    assert "np.tanh" in planned(name) and "np.reciprocal" not in planned(name)


@pytest.mark.parametrize("name", RELATIVE)
def test_a_relative_error_matters(name: str) -> None:
    assert "np.tanh" not in planned(name) and "np.exp" in planned(name)


@pytest.mark.parametrize("name", ERF)
def test_erf_near_zero(name: str) -> None:
    by_blocks = "erf_into(" in planned(name)
    assert by_blocks == (name != "the log of an erf")


@pytest.mark.parametrize("name", PROGRAMS)
def test_far_from_zero(name: str) -> None:
    """As at -O0 where the arguments are hundreds, too."""
    plain = drawn(program(name), {"N": 5})
    plain.inputs["x"] = plain.inputs["x"] * 40
    with np.errstate(all="ignore"):
        wanted_loss, saved, *_ = plain.call("forward")
        wanted = plain.module["backward"](saved)
    module = Fast(compiled(program(name), poison=True))
    loss, gradients = module.step(values_of(plain))
    assert loss == pytest.approx(wanted_loss, rel=1e-12, nan_ok=True)
    assert largest_error(gradients, wanted) < 1e-12
