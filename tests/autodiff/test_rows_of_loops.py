"""The proof about rows through run-time loops: what is proved holds for batches."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from reference import evaluate

from gradc.compiler import driver
from gradc.compiler.ir.program import Program
from gradc.compiler.source import Source

DECLARED = {
    "x": "input x: [N, T, 2]",
    "z": "input z: [N, 3]",
    "W": "param W: [2, 3] = 0.3",
    "U": "param U: [3, 3] = 0.2",
}
PROVED = {
    "carried": "h = z\nfor t in T { h = tanh(x[:, t] @ W + h @ U) }\nloss = mean(h^2)",
    "collected": "h = z\nfor t in T { h = tanh(x[:, t] @ W + h @ U); y[:, t] = h }\n"
    "loss = mean((y - 1)^2)",
    "from zero": "h: [N, 3] = 0\nfor t in T { h = h + tanh(x[:, t] @ W + h @ U) }\n"
    "loss = sum(h^2)",
    "nested": "h = z\nfor t in T { for k in 2 { h = sin(h @ U) + x[:, t] @ W } }\n"
    "loss = mean(h)",
    "drawn": "s = z\nfor t in 3 { random e: [N, 3] = normal(0, 1); s = s * 0.9 + e }\n"
    "loss = mean(s^2)",
    "differentiated": "fn e(s) = sum(tanh(s @ U)^2, axis = -1)\ns = z\n"
    "for t in 3 { s = s - 0.1 * grad(e(s), s) }\nloss = mean(s^2)",
}
REFUSED = {
    "centred": "h = z\nfor t in T { h = h - mean(h, axis = 0) }\nloss = mean(h^2)",
    "summed": "s = 0\nh = z\nfor t in T { s = s + sum(h)^2; h = sin(h) }\nloss = s + mean(h)",
    "over rows": "s: [3] = 0\nfor n in N { s = tanh(s + z[n]) }\nloss = mean(s)",
    "later": "a = z\nb = z\nfor t in T { b = b * 0 + a; a = a - mean(a) }\nloss = mean(b^2)",
}


def lowered(body: str) -> Program:
    read = set(re.findall(r"\w+", body))
    head = [line for name, line in DECLARED.items() if name in read or name == "x"]
    source = Source.from_text("rows.net", "\n".join([*head, body, ""]))
    program: Program = driver.build(source, until="dag").value
    return program


@pytest.mark.parametrize("name", PROVED)
def test_what_is_proved_holds_for_batches(name: str) -> None:
    program = lowered(PROVED[name])
    total = program.training.total
    assert total is not None
    assert total.rows in ("mean", "sum")
    rng = np.random.default_rng(0)
    sizes = {"N": 6, "T": 3}
    leaves: dict[Any, Any] = {}
    for i in program.inputs:
        leaves[i.node] = rng.standard_normal(
            [sizes.get(str(d), 0) or int(str(d)) for d in i.node.shape]
        )
    for p in program.params:
        leaves[p.node] = rng.standard_normal([d.integer or 0 for d in p.node.shape])
    rows = {i.node: 0 for i in program.inputs}
    for n in program.noises:
        shape = [sizes.get(str(d), 0) or int(str(d)) for d in n.shape]
        leaves[n] = rng.standard_normal(shape)
        rows[n] = [str(d) for d in n.shape].index("N")
    (whole,) = evaluate([total.node], leaves, sizes)
    found = 0.0
    for low, high in ((0, 2), (2, 6)):
        cut = {
            n: v.take(range(low, high), axis=rows[n]) if n in rows else v
            for n, v in leaves.items()
        }
        (part,) = evaluate([total.node], cut, {**sizes, "N": high - low})
        found += part * ((high - low) / 6 if total.rows == "mean" else 1)
    np.testing.assert_allclose(found, whole, rtol=1e-12)


@pytest.mark.parametrize("name", REFUSED)
def test_rows_that_mix_are_not_proved(name: str) -> None:
    total = lowered(REFUSED[name]).training.total
    assert total is not None
    assert total.rows is None
