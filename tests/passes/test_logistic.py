"""A sigmoid written as a tanh is one; numbers go into the sums that they multiply."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of
from fast.test_programs import agrees

from gradc.compiler import Options, Source, driver
from gradc.compiler.ir.graph import topological

HEAD = (
    "input x: [N, 5]\ninput y: [N, 5]\nparam W, V: [5, 5] = normal(0, 0.5)\nz = x @ W\n"
)
TAIL = "\nloss = mse(h @ V, y)\n"
SIGMOIDS = {
    "a gelu": "h = gelu_tanh(z)",
    "halved": "h = (1 + tanh(z)) / 2",
    "a half in front": "h = 0.5 * z * (1 + tanh(3 * z))",
    "a half inside": "h = z * (tanh(z) / 2 + 0.5)",
    "the other way": "h = (tanh(z) + 1) * (x * 0.5)",
    "quarter by two": "h = 0.25 * (1 + tanh(z)) * z * 2",
}
NONE = {
    "not halved": "h = z * (1 + tanh(z))",
    "a third": "h = (1 + tanh(z)) / 3",
    "minus": "h = (1 - tanh(z)) / 2",
    "two": "h = (2 + tanh(z)) / 2",
    "read twice": "t = 1 + tanh(z)\nh = t / 2 + exp(t)",
}
AFFINE = (
    {  # and how many passes over memory make h of z, where nothing is learnt before
        "a gelu": ("h = gelu_tanh(z)", 8),
        "scaled": ("h = tanh(3 * (z * (1 + 0.5 * z^2)))", 5),
        "divided": ("h = tanh(z * (1 - z^2 / 7) / 3)", 5),
        "a factor of both": ("h = exp(0.3 * (z - 0.1 * z^3))", 5),
        "a root": ("h = sin(sqrt(2 / pi) * (2 - 3 * z))", 3),
        "a size": ("h = sin((1 + 3 * z) / N)", 3),
        "negative": ("h = sin(-3 * (1 - 2 * z) * z)", 4),
        "read twice": ("u = 1 + 3 * z\nh = sin(2 * u) + cos(u)", None),
        "no number": ("param k = 0.5\nh = sin(k * (1 + 3 * z))", None),
        "sigmoid of it": ("h = sigmoid(1 + 3 * z)", 5),
        "sigmoid of a multiple": ("h = sigmoid(3 * z)", 4),
        "sigmoid of twice": ("h = sigmoid(2 * z)", 3),
        "sigmoid of minus": ("h = z * sigmoid(-1.702 * z)", 5),
        "sigmoid of a fraction": ("h = sigmoid(z / 6)", 4),
        "accurate": ("h = log(sigmoid(2 * z) + sigmoid(-4 * z))", None),
    }
)


def ops_of(equation: str, level: int) -> list[str]:
    source = Source.from_text("logistic.net", HEAD + equation + TAIL)
    joint = driver.build(source, Options(level=level), until="grad").value
    return [n.op.name for n in topological([joint.program.training.total.node])]


@pytest.mark.parametrize("name", SIGMOIDS)
def test_a_tanh_that_is_a_sigmoid(name: str) -> None:
    ops = ops_of(SIGMOIDS[name], 2)
    assert "sigmoid" in ops and "tanh" not in ops
    assert "tanh" in ops_of(SIGMOIDS[name], 1)
    agrees(HEAD + SIGMOIDS[name] + TAIL, float, 1e-12)


@pytest.mark.parametrize("name", NONE)
def test_a_tanh_that_is_none(name: str) -> None:
    assert "tanh" in ops_of(NONE[name], 2)
    agrees(HEAD + NONE[name] + TAIL, float, 1e-12)


@pytest.mark.parametrize("name", AFFINE)
def test_numbers_go_into_sums(name: str) -> None:
    equation, passes = AFFINE[name]
    text = HEAD + equation + TAIL
    agrees(text, float, 1e-12)
    if passes is not None:
        given = text.replace("z = x @ W", "z = x").replace("param W, V", "param V")
        forward = compiled(given).source.partition("def backward")[0]
        lines = forward[forward.index("    # h = ") :].partition("    # loss")[0]
        touched = re.findall(r"^ +np\.(?!dot).*", lines, re.M)
        assert len(touched) == passes, touched


def test_a_gelu_keeps_its_tail() -> None:
    """Far below 0 it is a small number, which 1 + tanh(u) has not."""
    text = "input x: [N]\nparam w = 1\nh = gelu_tanh(x * w)\nloss = sum(log(-h))\n"
    plain, module = drawn(text, {"N": 3}), Fast(compiled(text))
    values = {**values_of(plain), "x": np.array([-5.0, -5.2, -5.4]), "w": np.array(1.0)}
    loss, _ = module.step(values)
    u = np.sqrt(2 / np.pi) * (values["x"] + 0.044715 * values["x"] ** 3)
    wanted = np.sum(np.log(-values["x"] * np.exp(2 * u) / (1 + np.exp(2 * u))))
    assert loss == pytest.approx(wanted, rel=1e-13)


def test_a_gate_of_tanh_reads_its_product() -> None:
    """d * (s - h * t): three calls where d * s * (1 - t^2) has four."""
    gate = "h = tanh(z) * sigmoid(x @ V)\nloss = mse(h @ V, y)\n"
    backward = compiled(HEAD + gate).source.partition("def backward")[2]
    assert "np.subtract(s, " in backward and "np.multiply(t, t" not in backward
    plain, module = drawn(HEAD + gate, {"N": 4}), Fast(
        compiled(HEAD + gate, poison=True)
    )
    _, saved, *_ = plain.call("forward")
    wanted = plain.module["backward"](saved)
    assert largest_error(module.step(values_of(plain))[1], wanted) < 1e-13
