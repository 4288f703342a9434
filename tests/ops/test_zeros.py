"""The structural zero and masked cotangents: NaN-free gradients, whatever is masked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from reference import evaluate

from gradc.compiler.autodiff.reverse import deriving, grad
from gradc.compiler.ir.dims import as_shape
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.node import Node
from gradc.compiler.ops import derived, zeros


def leaf(shape: tuple[int, ...] = (5,)) -> Node:
    return Graph().leaf("param", "x", as_shape(shape))


def a(op: str, *args: Any, **attrs: Any) -> Node:
    graph = next(x.graph for x in args if isinstance(x, Node))
    return graph.apply(op, *args, **attrs)


def at(node: Node, x: Node, value: Any) -> list[float]:
    return evaluate([node], {x: np.asarray(value)})[0].tolist()


def test_zero_stays_zero() -> None:
    x = leaf()
    z = x.graph.zero(x.shape)
    for node in (z * x, x * z, z / x, -z, z * math.nan, z / 0.0, z - z, z + z):
        assert node is z
    assert x + z is x and z + x is x and x - z is x and z - x is -x
    assert x * 0 is not z and (x * 0).op.name == "mul", "a written 0 is a number"
    assert a("sum", z, axes=(0,)).op.name == "zero"
    assert a("einsum2", z, x, spec="i,i->").op.name == "zero"
    assert a("reshape", z, shape=as_shape((5, 1))) is x.graph.zero(as_shape((5, 1)))
    assert a("where", a("lt", 0, x), z, z) is z


def test_masks_take_in_what_is_done_to_them() -> None:
    x = leaf()
    c = a("lt", 0, x)
    m = zeros.masked(c, x)
    other = zeros.masked(c, a("exp", x), False)
    assert m * a("log", x) is zeros.masked(c, x * a("log", x))
    assert a("log", x) * m is zeros.masked(c, a("log", x) * x)
    assert m / x is zeros.masked(c, x / x)
    assert -m is zeros.masked(c, -x)
    assert m + m is zeros.masked(c, x + x)
    assert m + other is a("where", c, x, a("exp", x))
    assert m - other is a("where", c, x, -a("exp", x))
    assert a("where", c, a("where", c, x, 1 + x), 2 * x) is a("where", c, x, 2 * x)
    assert a("where", a("not", c), x, 2 * x) is a("where", c, 2 * x, x)
    for move in (
        lambda y: a("reshape", y, shape=as_shape((1, 5))),
        lambda y: derived.flip(y, 0),
        lambda y: derived.cut(y, 0, 1, 3),
        lambda y: y.graph.broadcast(y, as_shape((2, 5))),
    ):
        assert move(m) is zeros.masked(move(c), move(x))


def test_where_sqrt() -> None:
    x = leaf()
    y = a("where", a("lt", 0, x), a("sqrt", x), x)
    point = [0.0, -1.0, 1.0, 4.0, 9.0]
    assert at(grad(y, x), x, point) == [1, 1, 0.5, 0.25, 1 / 6]
    assert np.isfinite(at(grad(grad(y, x), x), x, point)).all()


def test_where_log_or_square_to_second_order() -> None:
    x = leaf()
    y = a("where", a("lt", 0, x), a("log", x), x * x)
    second = grad(grad(y, x), x)
    assert at(second, x, [0.0, -1.0, 1.0, 4.0, 9.0]) == [2, 2, -1, -1 / 16, -1 / 81]
    third = grad(second, x)
    assert at(third, x, [0.0, -1.0, 1.0, 2.0, 4.0]) == [0, 0, 2, 0.25, 2 / 64]


def test_exprel_to_second_order() -> None:
    """(e^x - 1) / x with its series near 0: the mask of the quotient holds 0 / 0."""
    x = leaf()
    small = a("lt", a("abs", x), 1e-4)
    series = 1 + x / 2 + x * x / 6
    y = a("where", small, series, a("expm1", x) / x)
    got = at(grad(grad(y, x), x), x, [0.0, 1e-5, 1.0, 2.0, 3.0])
    want = [1 / 3, 1 / 3, 0.7182818, 1.5972640, 3.6454705]
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_mask_survives_layout() -> None:
    x = leaf((2, 3))
    turned = derived.swap(x)
    y = a("where", a("lt", 0, turned), a("sqrt", turned), 0)
    d = grad(grad(y, x), x)
    assert np.isfinite(at(d, x, [[0.0, 1.0, -1.0], [4.0, 0.0, 2.0]])).all()


def test_nested_masks_are_one() -> None:
    """A chain of relus makes a bounded number of nodes a link, and masks do not nest."""
    x = leaf((3,))
    y = x
    for _ in range(200):
        y = a("maximum", y * 1.5, 0)
    before = len(x.graph)
    d = grad(y, x)
    assert len(x.graph) - before < 200 * 12
    assert zeros.mask(d) is not None and zeros.mask(zeros.mask(d)[1]) is None
    np.testing.assert_allclose(at(d, x, [1.0, -1.0, 0.0]), [1.5**200, 0, 0])


def test_neutral_elements() -> None:
    x = leaf()
    assert x + 0 is x and 0 + x is x and x * 1 is x and 1 * x is x and x / 1 is x
    assert x - 0 is x and 0 - x is -x and a("neg", -x) is x and x * -1 is -x
    y = a("exp", x)
    assert (x + -y).op.name == "add", "what the author writes as -y keeps its name"
    with deriving(x.graph):
        assert x + -y is x - y and -x + y is y - x
        assert a("sub", x, -y) is x + y
    named = x.graph.const(1, name="one")
    assert (
        x * named
    ).op.name == "mul", "a constant with a name may be another tomorrow"


def test_scalars_are_lifted_out_of_broadcasts() -> None:
    graph = Graph()
    s, t = graph.leaf("param", "s", ()), graph.leaf("param", "t", ())
    shape = as_shape((2, 3))
    assert graph.broadcast(s, shape) * graph.broadcast(t, shape) is graph.broadcast(
        s * t, shape
    )
    assert a("exp", graph.broadcast(s, shape)) is graph.broadcast(a("exp", s), shape)
    assert a(
        "reshape", graph.broadcast(s, shape), shape=as_shape((6,))
    ) is graph.broadcast(s, as_shape((6,)))


def test_layout_collapses() -> None:
    x = leaf((2, 3))
    assert derived.swap(derived.swap(x)) is x
    assert a("reshape", a("reshape", x, shape=as_shape((6,))), shape=x.shape) is x
    assert derived.cut(x, 1, 0, 3) is x
    part = derived.cut(x, 1, 1, 3)
    back = a("unslice", part, shape=x.shape, **part.attrs)
    assert a("slice", back, **part.attrs) is part
    y = leaf((1, 3))
    wide = y.graph.broadcast(
        y.graph.broadcast(y, as_shape((2, 3))), as_shape((4, 2, 3))
    )
    assert wide.args[0] is y
    assert derived.total(y, (0,), keep=True) is y, "a sum over one element"


def test_powers_by_the_table() -> None:
    x = leaf()

    def power(c: float) -> Node:
        return a("pow", x, exponent=c)

    assert power(1) is x and power(2) is x * x and power(2.0) is x * x
    assert power(-1) is 1 / x and power(0.5) is a("sqrt", x)
    assert power(0) is x.graph.broadcast(x.graph.const(1), x.shape)
    assert power(3.0) is power(3)
