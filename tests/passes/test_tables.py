"""Work moved from gathered rows to the table: where it pays, and with the same gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fast.running import Fast

from gradc.compiler import Options, Source, driver
from gradc.compiler.ir.graph import topological

HEAD = """input text: int[N, T]
param E: [7, 20] = 1
param W: [20, 5] = 1
param b: [20] = 1
param c: [5] = 1
"""
TAIL = """
loss = sum(sin(y)) / N + sum(E) + sum(W) + sum(b) + sum(c)
train { batch = 16 }
"""
MOVED = {
    "bias": "y = E[text] + b",
    "difference": "y = b - 2 * E[text]",
    "chain": "y = (E[text] + b) * b - sin(b)",
    "product": "y = E[text] @ W",
    "layer": "x = E[text]\ny = x @ W + c",
    "four products": "x = E[text]\ny = x @ W + sin(x @ W + c) + sin(x @ (2 * W))",
    "steps": "for t in T { y[:, t] = tanh(E[text[:, t]] @ W + c) }",
    "carried": (
        "h: [N, 5] = 0\n"
        "for t in T { h = tanh(E[text[:, t]] @ W + c + h)\ny[:, t] = h }"
    ),
}
LEFT = {
    "by place": "param p: [T, 20] = 1\ny = E[text] + p",
    "other rows": "y = E[text] + E[text * 0]",
    "not finite": "y = log(E[text])",
    "read twice": "x = E[text]\ny = sin(x) + (x + b)",
    "shallow": "y = reshape(c, [1, 5])[0 * text] @ reshape(c, [5, 1])",
}


def prepared(body: str, level: int = 2, head: str = HEAD) -> Any:
    source = Source.from_text("test.net", head + body + TAIL)
    return driver.build(source, Options(level=level), until="grad").value


def of_rows(joint: Any) -> set[str]:
    """The ops other than views whose result is as large as what is gathered."""
    return {
        n.op.name
        for n in topological([joint.program.training.total.node])
        if {"N", "T"} <= {s for d in n.shape for s in d.symbols()}
        and n.kind == "real"
        and not n.op.view
    }


@pytest.mark.parametrize("name", MOVED)
def test_moves_to_the_table(name: str) -> None:
    plain, moved = (of_rows(prepared(MOVED[name], k)) for k in (1, 2))
    assert moved < plain
    assert not {"einsum2", "mul", "sub"} & moved


@pytest.mark.parametrize("name", LEFT)
def test_left_alone(name: str) -> None:
    plain, moved = (of_rows(prepared(LEFT[name], k)) for k in (1, 2))
    assert plain == moved


def test_a_table_of_more_rows_than_are_taken_is_left_alone() -> None:
    head = HEAD.replace("E: [7,", "E: [400,")
    for name in ("bias", "product"):
        assert of_rows(prepared(MOVED[name], head=head)) == of_rows(
            prepared(MOVED[name], 1, head)
        )


@pytest.mark.parametrize("name", [*MOVED, *LEFT])
def test_same_gradients(name: str) -> None:
    body = (MOVED | LEFT)[name]
    source = Source.from_text("test.net", HEAD + body + TAIL)
    plain, fast = (
        Fast(driver.compile_source(source, Options(level=k, poison=k == 2)))
        for k in (0, 2)
    )
    rng = np.random.default_rng(3)
    values: dict[str, Any] = {"text": rng.integers(0, 6, (4, 3))}
    sizes = {"T": 3}
    for entry in fast.signature["parameters"]:
        shape = [d if isinstance(d, int) else sizes["T"] for d in entry["shape"]]
        values[entry["path"]] = rng.random(shape) + 0.5
    loss, gradients = fast.step(values)
    wanted_loss, wanted = plain.step(values)
    np.testing.assert_allclose(loss, wanted_loss, rtol=1e-12)
    for path, value in wanted.items():
        np.testing.assert_allclose(gradients[path], value, rtol=1e-11, atol=1e-12)
