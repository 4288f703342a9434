"""A scale goes into the normaliser of rows, and changes no value."""

from __future__ import annotations

import numpy as np
import pytest
from fast.running import compiled
from fast.test_programs import agrees
from reference import evaluate

from gradc.compiler.ir.dims import as_shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node
from gradc.compiler.passes import normalisers
from gradc.compiler.passes.patterns import Rewriter
from gradc.compiler.passes.uses import count_uses

SHAPE = as_shape((4, 3, 5))


def build(puts: str, scale: str, bound: bool = False) -> tuple[Node, Node]:
    g = Graph()
    e = g.leaf("input", "e", SHAPE)
    total = g.leaf("input", "total", as_shape((4, 3, 1)))
    s = g.leaf("input", "s", ()) if scale == "number" else g.const(0.25)
    ratio = x = e / g.broadcast(total, SHAPE)
    if puts:
        index = g.leaf("input", "index", SHAPE[:2], "int")
        one = g.broadcast(g.const(1), SHAPE[:2])
        value = one if puts == "ones" else g.leaf("input", "v", SHAPE[:2])
        x = g.apply("put_on", x, index, value, minus=True)
    spread = g.broadcast(s, SHAPE)
    root = x * spread if scale == "number" else spread * x
    return root, ratio if bound else root


def rewritten(root: Node, bound: Node) -> Node:
    order = topological([root])
    rw = Rewriter(root.graph, normalisers.RULES)
    return rw.walk(order, count_uses(order, [root]), {bound})[root]


@pytest.mark.parametrize("puts", ["", "ones", "values"])
@pytest.mark.parametrize("scale", ["number", "constant"])
def test_goes_into_the_normaliser(puts: str, scale: str) -> None:
    root, bound = build(puts, scale)
    made = rewritten(root, bound)
    divisions = [n for n in topological([made]) if n.is_a("div")]
    assert [n.shape for n in divisions] == [as_shape((4, 3, 1))]
    rng = np.random.default_rng(1)
    values = {
        "e": rng.random((4, 3, 5)),
        "total": rng.random((4, 3, 1)) + 1,
        "s": np.array(0.3),
        "v": rng.random((4, 3)),
        "index": rng.integers(0, 5, (4, 3)),
    }
    before, after = evaluate([root, made], values, {})
    np.testing.assert_allclose(after, before, rtol=1e-14, atol=1e-16)


def test_a_ratio_with_a_name_is_left_alone() -> None:
    root, ratio = build("", "number", bound=True)
    assert rewritten(root, ratio) is root


def test_a_quotient_comes_before_the_scale() -> None:
    """A layer norm saves one array, and its backward divides no array but adjoints."""
    text = (
        "input x, y: [N, 6]\nparam W: [6, 6] = normal(0, 1)\n"
        "h = layernorm(x @ W)\nloss = mse(h, y)\n"
    )
    agrees(text, float, 1e-12)
    forward, _, backward = compiled(text).source.partition("def backward")
    assert "np.multiply(gain" not in forward
    backward = backward.partition("def evaluate")[0]
    assert all(t.startswith("(d_") for t in backward.split("np.divide")[1:])
