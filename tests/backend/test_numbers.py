"""Programs of single numbers at -O2: Python's own, with the edges that NumPy has."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from gradc.compiler import Options, compile_source
from gradc.compiler.backend.guard import check
from gradc.compiler.source import Source
from gradc.network import Network

EDGES = (0.0, 1.0, -1.0, 0.3, -2.5, 1e200, -1e200, 1e-200, 800.0, -800.0)
EDGES = (*EDGES, math.inf, -math.inf, math.nan)
FUNCTIONS = (
    "a + b", "a - b", "a * b", "a / b", "-a", "1 / a", "a / (1 + b^2)", "a / (b^2)",
    "a^2", "a^3", "a^-2", "a^0.5", "a^-1.5", "a^5", "(a - b)^2", "a^b",
    "exp(a)", "log(a)", "log1p(a)", "expm1(a)", "sqrt(a)", "sin(a)", "tan(a)", "tanh(a)",
    "sigmoid(a)", "sigmoid(-a)", "softplus(a)", "softplus(-a)", "log(sigmoid(a * b))",
    "log(softplus(a))", "erf(a)", "cosh(a)", "arctan(a)", "lgamma(a)",
    "max(a, b)", "max(a, 0)", "max(1, a)", "min(a, b)", "min(a, 1)", "abs(a)", "sign(a)",
    "floor(a)", "where(a < b, a, b)", "where(a <= 0 or b == 1, a, 2)",
    "where(not (a > b), 0, b)", "relu(a * b)", "a / exp(b)", "b / max(a, 1)",
)  # fmt: skip


def module(text: str, level: int) -> dict[str, Any]:
    """What the emitted module defines, by a guard that let it pass."""
    source = Source.from_text("numbers.net", text)
    compiled = compile_source(source, Options(level=level))
    space: dict[str, Any] = {}
    exec(compile(check(compiled.source), "numbers", "exec"), space)
    return space


@pytest.mark.parametrize("function", FUNCTIONS)
def test_edges_are_those_of_numpy(function: str) -> None:
    text = f"param a, b = 1\nloss l = {function}\nloss m = 0.5 * a + 0.25 * b\n"
    fast, plain = module(text, 2), module(text, 1)
    for a, b in itertools.product(EDGES, repeat=2):
        params = {"a": np.array(a), "b": np.array(b)}
        with np.errstate(all="ignore"):
            loss, saved = fast["forward"](params)
            found = fast["evaluate"](params) | {"loss": loss} | fast["backward"](saved)
            loss, saved = plain["forward"](params)
            expected = plain["evaluate"](params) | plain["backward"](saved)
        for key, value in expected.items():
            assert type(found[key]) in (float, int), (key, found[key])
            said = f"{key} at {a}, {b}"
            np.testing.assert_allclose(found[key], value, 1e-12, 0, err_msg=said)


def test_numbers_come_as_arrays_and_go_as_floats() -> None:
    text = """input x
input n: int
param w = 2
h = max(0, w * x)
loss l = where(n == 1, h / w, h)
output p = max(0, w * x)
"""
    source = Source.from_text("numbers.net", text)
    compiled = compile_source(source, Options(level=2))
    assert "w = float(params" in compiled.source and "x = float(x)" in compiled.source
    assert "np.where" not in compiled.source and "np.maximum" not in compiled.source
    network = Network(compiled.source, compiled.signature)
    theta = network.init(0, np.float32)
    loss, nabla = network.value_and_grad(theta, x=3.0, n=1)
    assert (loss, nabla.tolist(), nabla.dtype) == (3.0, [0.0], np.float32)
    assert network.predict(theta, x=-1.0)["p"].dtype.kind == "f"


def test_a_metric_of_an_array_keeps_numpys_form() -> None:
    text = "input x: [N]\nparam w = 2\nloss l = w^2\nmetric m = max(sum(x), w)\n"
    source = compile_source(Source.from_text("n.net", text), Options(level=2)).source
    assert "float(params" not in source and "np.maximum" in source
