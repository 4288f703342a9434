"""What changes before derivatives are taken: the same losses and gradients, in fewer steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backend.executing import Emitted

from gradc.compiler import Options, Source, driver
from gradc.compiler.ir.graph import topological

HEAD = "input x: [N, 7, 6, 2]\nparam w: [2] = 1\nparam b: [2] = 1\n"
TAIL = "\nloss = sum(p * sin(3 * p)) + sum(b * w)\n"
MOVED = {
    "relu": "p = maxpool(relu(x * w + b))",
    "minimum": "p = maxpool(min(x * w + b, 0.5))",
    "tanh": "p = maxpool(tanh(x * w - b))",
    "sigmoid": "p = maxpool(sigmoid(2 * (x * w) / 3))",
    "exp": "p = maxpool(exp(x * w))",
    "elu": "p = maxpool(elu(x * w + b))",
    "leaky": "p = maxpool(leaky_relu(x * w - b))",
    "a step": "p = maxpool(where(x * w > 0, 1 + exp(x * w), tanh(x * w)))",
    "overlapping": "p = pool2d(softplus(x * w), 3, stride = 2)",
}
LEFT = {
    "falling": "p = maxpool(-(x * w))",
    "gelu": "p = maxpool(gelu(x * w))",
    "a step down": "p = maxpool(where(x * w > 0, x * w, 1 + tanh(x * w)))",
    "falls below": "p = maxpool(where(x * w > 0, x * w, -(x * w)))",
    "negative factor": "p = maxpool(-2 * (x * w))",
    "two learn": "p = maxpool(max(x * w, b))",
    "of each place": "p = maxpool(x * w + sin(x))",
    "read twice": "h = relu(x * w)\np = maxpool(h) + mean(h)",
    "named": "h = relu(x * w)\np = maxpool(h)",
    "over channels": "p = max(relu(x * w), axis = 3)",
}


def prepared(text: str, level: int) -> Any:
    source = Source.from_text("test.net", HEAD + text + TAIL)
    return driver.build(source, Options(level=level), until="grad").value


def below_maximum(text: str, level: int = 1) -> set[str]:
    """The ops of what a maximum over windows is taken of."""
    joint = prepared(text, level)
    nodes = topological([joint.program.training.total.node])
    (largest,) = (n for n in nodes if n.op.name == "max")
    return {n.op.name for n in topological([largest.args[0]])}


@pytest.mark.parametrize("name", MOVED)
def test_moves_behind_the_maximum(name: str) -> None:
    plain, moved = below_maximum(MOVED[name], 0), below_maximum(MOVED[name])
    assert moved < plain
    assert moved <= {
        "input",
        "param",
        "mul",
        "broadcast",
        "slice",
        "reshape",
        "windows",
    }


@pytest.mark.parametrize("name", LEFT)
def test_left_alone(name: str) -> None:
    assert below_maximum(LEFT[name]) == below_maximum(LEFT[name], 0)


def test_names_are_no_fences_where_memory_is_planned() -> None:
    assert below_maximum(LEFT["named"], 2) < below_maximum(LEFT["named"], 0)


@pytest.mark.parametrize("name", MOVED)
def test_same_gradients(name: str) -> None:
    """With ties of two, three and four, at 0 and elsewhere; what is no number stays none."""
    plain, moved = (Emitted(prepared(MOVED[name], k), k) for k in (0, 1))
    rng = np.random.default_rng(7)
    x = rng.integers(-2, 3, size=(5, 7, 6, 2)) / 2
    x[0], x[1, :4] = 0, -1.0
    values = {"w": np.array([1.0, 2.0]), "b": np.array([0.5, -0.5])}
    for odd in (0.0, np.nan):
        x[2, 3, 3, 0] = odd
        found = []
        for module in (plain, moved):
            module.inputs["x"] = x
            module.params.update(values)
            with np.errstate(all="ignore"):
                loss, saved, *_ = module.call("forward")
                found.append((loss, module.module["backward"](saved)))
        (loss, wanted), (other, gradients) = found
        np.testing.assert_allclose(other, loss, rtol=1e-13)
        for path, value in wanted.items():
            value = np.where(np.isnan(gradients[path]), odd + value, value)
            np.testing.assert_allclose(gradients[path], value, rtol=1e-12, atol=1e-13)
