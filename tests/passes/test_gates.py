"""Masks where an adjoint comes in: only where what it is multiplied by is finite."""

from __future__ import annotations

import pytest
from fast.test_programs import agrees

from gradc.compiler.driver import Options, build
from gradc.compiler.ir.dims import as_shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node
from gradc.compiler.ops.bounds import bound, finite, positive
from gradc.compiler.source import Source

FINITE = {
    "a root of squares": lambda x, w: x / (x * x + 1e-5) ** 0.5,
    "a mean": lambda x, w: x - total(x) / 3,
    "bounded": lambda x, w: x.graph.apply("tanh", x * w) * x**2,
    "not nought": lambda x, w: w / (total(x**2) + 2),
    "a bell": lambda x, w: w * x.graph.apply("exp", -(x * x) / 2),
}
INFINITE = {
    "a quotient": lambda x, w: x / w,
    "a root": lambda x, w: (x * x) ** 0.5 / (x * x) ** 0.5,
    "a bare root": lambda x, w: (x + 1) ** 0.5,
    "a power": lambda x, w: x**-1,
    "a logarithm": lambda x, w: x.graph.apply("log", x * x),
    "a difference": lambda x, w: x / (x * x - 1e-5),
    "a negative": lambda x, w: x / (x + 1e-5),
    "no bell": lambda x, w: x.graph.apply("exp", -(x * w)),
    "a bell upside down": lambda x, w: x.graph.apply("exp", -(x * x) / -2),
}


def total(x: Node) -> Node:
    made = x.graph.apply("sum", x, axes=(0,))
    return x.graph.broadcast(made, x.shape)


@pytest.mark.parametrize("name", [*FINITE, *INFINITE])
def test_what_is_finite(name: str) -> None:
    g = Graph()
    x, w = (g.leaf("input", k, as_shape((3, 2))) for k in "xw")
    made = {**FINITE, **INFINITE}[name](x, w)
    assert finite(made) == (name in FINITE)


def test_signs() -> None:
    g = Graph()
    x = g.leaf("input", "x", as_shape((3,)))
    assert positive(x * x + 1) and positive((total(x**4) + 0.1) ** 0.5)
    assert not positive(x * x) and not positive(x + 1) and not positive(1 - x * x)
    assert not positive((x * x + 1e-30) * (x * x + 1e-30))  # 0 in single precision
    assert positive(x.graph.apply("exp", x) + 1) and not positive(1 + abs_log(x))
    deep = x * x + 1
    for _ in range(100_000):  # each node is looked at once, without recursion
        deep = deep + deep
    assert positive(deep) and bound(deep).finite


def abs_log(x: Node) -> Node:
    """Not below 0, but NaN where x is."""
    return x.graph.apply("abs", x.graph.apply("log", x))


def wheres(text: str) -> int:
    """The choices in `backward`."""
    joint = build(Source.from_text("t.net", text), Options(level=1), "opt").value
    return sum(n.is_a("where") for n in topological(joint.gradients.values()))


NORMAL = "input x: [N, 6, 5, 2]\nh = x |> conv(4, 3) |> {} |> relu\nloss = mean(h^2)\n"


@pytest.mark.parametrize("norm", ["batchnorm", "groupnorm(2)", "layernorm"])
def test_a_normalisation_is_masked_once(norm: str) -> None:
    text = NORMAL.format(norm)
    assert not wheres(text)
    agrees(text, float, 1e-12)


@pytest.mark.parametrize("activation", ["silu", "softsign", "gelu"])
def test_a_sum_of_products_is_masked_in_each(activation: str) -> None:
    text = (
        "input x: [N, 6, 6, 2]\n"
        f"h = x |> conv(3, 3) |> {activation} |> maxpool(2)\nloss = mean(h^2)\n"
    )
    assert not wheres(text)
    agrees(text, float, 1e-12)


def test_what_may_be_infinite_keeps_its_mask() -> None:
    text = "input x: [N]\nparam w = 1\nloss = sum(relu(log(w * x)))\n"
    assert wheres(text)


def test_what_may_be_nan_keeps_its_mask() -> None:
    text = (
        "input a, b: [N, 3]\nparam u: [3] = 1\nparam W: [3, 2] = normal(0, 1)\n"
        "k = where(b > 0, a * u / (1 + abs(log(b))), 0) @ W\nloss = mean(k^2)\n"
    )
    assert wheres(text) == wheres(text.replace("log(b)", "b")) + 1


def test_a_pool_behind_a_normalisation() -> None:
    agrees(
        "input x: [N, 6, 5, 2]\nh = x |> conv(4, 3) |> batchnorm |> relu |> maxpool(2)\n"
        "loss = mean(h^2)\n",
        float,
        1e-12,
    )
