"""The stability rules: which node a formula becomes, and how good its numbers are.

Every formula, single patterns and pairs of them, is held against arithmetic of 700 digits
on a grid of extreme points: the error may not exceed that of the naive formula, nor a few
units in the last place of what goes into it. So for its derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from reference import evaluate

from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node
from gradc.compiler.ops import derived

mp = mpmath.mp
GRID = [0.0] + [
    s * v
    for v in (1e-300, 1e-8, 0.3, 1.0, 37.0, 41.0, 88.0, 709.0, 745.0, 1e5)
    for s in (1, -1)
]
EPS = 2.0**-52
# e^-745 beside 1, to double precision, behind the step of a derivative, which is 1e-330:
# small beside the smallest point.
DIGITS = 700


class Numbers:
    """The functions of formulas, for nodes and for numbers of many digits."""

    def __init__(self, exact: bool) -> None:
        self.exact = exact

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not self.exact:
            return lambda x: x.graph.apply(name, x)
        if name == "sigmoid":
            return lambda x: 1 / (1 + mp.exp(-x))
        if name == "softplus":
            return lambda x: mp.log(1 + mp.exp(x))
        function: Callable[..., Any] = getattr(mp, name)
        return function


NODES, EXACT = Numbers(False), Numbers(True)
Formula = Callable[[Any, Any], Any]

# name: (formula, what it becomes at the root, domain)
FORMULAS: dict[str, tuple[Formula, str, tuple[float, float]]] = {
    "log(1+x)": (lambda f, x: f.log(1 + x), "log1p", (-1, math.inf)),
    "log(x+1)": (lambda f, x: f.log(x + 1), "log1p", (-1, math.inf)),
    "log(1-x)": (lambda f, x: f.log(1 - x), "log1p", (-math.inf, 1)),
    "exp(x)-1": (lambda f, x: f.exp(x) - 1, "expm1", (-math.inf, math.inf)),
    "1-exp(x)": (lambda f, x: 1 - f.exp(x), "neg", (-math.inf, math.inf)),
    "-1+exp(x)": (lambda f, x: -1 + f.exp(x), "expm1", (-math.inf, math.inf)),
    "log(1+exp)": (lambda f, x: f.log(1 + f.exp(x)), "softplus", (-math.inf, math.inf)),
    "log(exp+1)": (lambda f, x: f.log(f.exp(x) + 1), "softplus", (-math.inf, math.inf)),
    "log1p(exp)": (lambda f, x: f.log1p(f.exp(x)), "softplus", (-math.inf, math.inf)),
    "log sigmoid": (lambda f, x: f.log(f.sigmoid(x)), "neg", (-math.inf, math.inf)),
    "log(1-sigmoid)": (
        lambda f, x: f.log(1 - f.sigmoid(x)),
        "neg",
        (-math.inf, math.inf),
    ),
    "log1p(-sigmoid)": (
        lambda f, x: f.log1p(-f.sigmoid(x)),
        "neg",
        (-math.inf, math.inf),
    ),
    "1/(1+exp(-x))": (
        lambda f, x: 1 / (1 + f.exp(-x)),
        "sigmoid",
        (-math.inf, math.inf),
    ),
    "1/(exp(x)+1)": (lambda f, x: 1 / (f.exp(x) + 1), "sigmoid", (-math.inf, math.inf)),
    "exp/(1+exp)": (
        lambda f, x: f.exp(x) / (1 + f.exp(x)),
        "sigmoid",
        (-math.inf, math.inf),
    ),
    "x/(1+exp(-x))": (lambda f, x: x / (1 + f.exp(-x)), "mul", (-math.inf, math.inf)),
    "1-sigmoid": (lambda f, x: 1 - f.sigmoid(x), "sigmoid", (-math.inf, math.inf)),
    "odds": (
        lambda f, x: f.sigmoid(x) / (1 - f.sigmoid(x)),
        "exp",
        (-math.inf, math.inf),
    ),
    "logit of sigmoid": (lambda f, x: f.sigmoid(f.log(x / (1 - x))), "where", (0, 1)),
    "logit as difference": (
        lambda f, x: f.sigmoid(f.log(x) - f.log(1 - x)),
        "where",
        (0, 1),
    ),
    "log exp": (lambda f, x: f.log(f.exp(x)), "param", (-math.inf, math.inf)),
    "exp log": (lambda f, x: f.exp(f.log(x)), "where", (0, math.inf)),
    "sqrt of square": (lambda f, x: f.sqrt(x * x), "abs", (-math.inf, math.inf)),
    "square of sqrt": (lambda f, x: f.sqrt(x) * f.sqrt(x), "where", (0, math.inf)),
    "log softplus": (
        lambda f, x: f.log(f.softplus(x)),
        "log_softplus",
        (-math.inf, math.inf),
    ),
    "log log1p exp": (
        lambda f, x: f.log(f.log(1 + f.exp(x))),
        "log_softplus",
        (-math.inf, math.inf),
    ),
    "exp log log1p exp": (
        lambda f, x: f.exp(f.log(f.log(1 + f.exp(x)))),
        "softplus",
        (-math.inf, math.inf),
    ),
    "log sqrt": (lambda f, x: f.log(f.sqrt(x)), "mul", (0, math.inf)),
    "log 1/x": (lambda f, x: f.log(1 / x), "neg", (0, math.inf)),
    "log(exp(x)/3)": (lambda f, x: f.log(f.exp(x) / 3), "sub", (-math.inf, math.inf)),
    "log(exp(x)*3)": (lambda f, x: f.log(f.exp(x) * 3), "add", (-math.inf, math.inf)),
    "log(1-exp(x))": (lambda f, x: f.log(1 - f.exp(x)), "where", (-math.inf, 0)),
    "log1p(expm1)": (
        lambda f, x: f.log1p(f.exp(x) - 1),
        "param",
        (-math.inf, math.inf),
    ),
    "exp log sigmoid": (
        lambda f, x: f.exp(f.log(1 / (1 + f.exp(-x)))),
        "sigmoid",
        (-math.inf, math.inf),
    ),
    "bce of a logit": (
        lambda f, x: -0.25 * f.log(f.sigmoid(x)) - 0.75 * f.log(1 - f.sigmoid(x)),
        "sub",
        (-math.inf, math.inf),
    ),
    "log(exp(x)+exp(2))": (
        lambda f, x: f.log(f.exp(x) + f.exp(0 * x + 2)),
        "reshape",
        (-math.inf, math.inf),
    ),
    "log odds": (
        lambda f, x: f.log(f.sigmoid(x) / (1 - f.sigmoid(x))),
        "param",
        (-math.inf, math.inf),
    ),
    "log(1-1/(1+exp))": (
        lambda f, x: f.log(1 - 1 / (1 + f.exp(-x))),
        "neg",
        (-math.inf, math.inf),
    ),
    "log of squared root": (
        lambda f, x: f.log(f.sqrt(x * x) + 1),
        "log1p",
        (-math.inf, math.inf),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_becomes(name: str) -> None:
    formula, root, _ = FORMULAS[name]
    graph = Graph()
    assert formula(NODES, graph.leaf("param", "x", ())).op.name == root
    over = formula(NODES, graph.leaf("param", "y", as_shape((2, 3))))
    assert over.op.name == root, "for an array the same"


@pytest.mark.parametrize("name", FORMULAS)
def test_numbers(name: str) -> None:
    formula, _, (low, high) = FORMULAS[name]
    graph = Graph()
    x = graph.leaf("param", "x", ())
    y = formula(NODES, x)
    slope = grad(y, x)
    with mpmath.workdps(DIGITS):
        for point in GRID:
            if not low < point < high:
                continue
            try:
                exact = mp.mpf(point)
                want = float(formula(EXACT, exact))
                rate = float(
                    mp.diff(lambda t: formula(EXACT, t), exact, h=mp.mpf(10) ** -330)
                )
            except (OverflowError, ZeroDivisionError, ValueError):
                continue  # they do not reach e^-100000 beside 1
            if math.isinf(want) and abs(point) > 2000:
                continue  # the same
            got, tangent = evaluate([y, slope], {x: np.float64(point)})
            judge(name, point, float(got), want)
            if point != 0 or "root" not in name:
                judge(f"slope of {name}", point, float(tangent), rate)


def judge(name: str, point: float, got: float, want: float) -> None:
    if math.isinf(want):
        assert got == want, (name, point, got, want)
    else:
        slack = 8 * EPS * max(abs(want), min(1.0, abs(point)), EPS)
        # A sum keeps the error of its larger part.
        if (
            "bce" in name
            or "/3" in name
            or "*3" in name
            or "slope" in name
            or "exp(2)" in name
        ):
            slack = 8 * EPS * max(abs(want), 1, abs(point))
        assert abs(got - want) <= slack, (name, point, got, want)


# ------------------------------------------------------------------ softmax and its kin
def leaf(shape: tuple[int, ...] = (2, 3)) -> Node:
    return Graph().leaf("param", "z", as_shape(shape))


def a(op: str, *args: Any, **attrs: Any) -> Node:
    return args[0].graph.apply(op, *args, **attrs)


def ops_of(*roots: Node) -> set[str]:
    return {n.op.name for n in topological(roots)}


def test_softmax_written_out() -> None:
    z = leaf()
    e = a("exp", z)
    want = a("softmax", z, axes=(1,))
    assert e / z.graph.broadcast(derived.total(e, (1,), keep=True), z.shape) is want
    dropped = derived.expand(derived.total(e, (1,)), 1)
    assert e / z.graph.broadcast(dropped, z.shape) is want
    along = z.graph.broadcast(derived.total(e, (0,)), z.shape)
    assert e / along is a("softmax", z, axes=(0,))
    whole = z.graph.broadcast(derived.total(e), z.shape)
    assert e / whole is a("softmax", z, axes=(0, 1))


def test_softmax_over_a_square_is_not_mistaken() -> None:
    z = leaf((3, 3))
    e = a("exp", z)
    wrong = z.graph.broadcast(derived.total(e, (1,)), z.shape)  # a row over the columns
    assert (e / wrong).op.name == "div"


def test_logsumexp_written_out() -> None:
    z = leaf()
    total = derived.total(a("exp", z), (1,))
    assert a("log", total) is derived.reduce("logsumexp", z, (1,))
    mean = derived.mean(a("exp", z), (1,))
    assert {"logsumexp", "sub"} <= ops_of(a("log", mean))
    assert "exp" not in ops_of(a("log", mean))


def test_log_of_softmax_looks_through_layout() -> None:
    z = leaf((4, 3))
    p = a("softmax", z, axes=(1,))
    want = derived.log_softmax(z, (1,))
    assert a("log", p) is want
    for move in (
        lambda x: derived.element(x, 1, 2),
        lambda x: derived.swap(x),
        lambda x: derived.cut(derived.swap(x), 0, 0, 2),
        lambda x: a("reshape", x, shape=as_shape((12,))),
    ):
        assert a("log", move(p)) is move(want)
    label = z.graph.leaf("input", "label", as_shape((4,)), "int")
    assert a("log", derived.pick(p, label)) is derived.pick(want, label)
    assert a("exp", want) is p


def test_log_of_a_sum_of_two_exponentials() -> None:
    graph = Graph()
    x, y = graph.leaf("param", "x", ()), graph.leaf("param", "y", ())
    f = a("log", a("exp", x) + a("exp", y))
    second = grad(grad(f, x), x)
    for p, q in ((0.0, 0.0), (1e5, -1e5), (700.0, 710.0), (-800.0, -801.0)):
        got, slope, curve = evaluate([f, grad(f, x), second], {x: p, y: q})
        s = 1 / (1 + math.exp(min(q - p, 700)))
        np.testing.assert_allclose(got, max(p, q) + math.log1p(math.exp(-abs(p - q))))
        np.testing.assert_allclose([slope, curve], [s, s * (1 - s)], atol=1e-15)


def test_a_derivative_keeps_its_text() -> None:
    """y (1 - y) in a derivative is not turned into two sigmoids."""
    graph = Graph()
    x = graph.leaf("param", "x", ())
    y = a("sigmoid", x)
    d = grad(y, x)
    assert d is grad(y, x)
    assert ops_of(d) == {"param", "sigmoid", "const", "sub", "mul"}
    assert (1 - y).op.name == "sigmoid", "but in a program's own text it is"


def test_logarithm_of_a_size_is_left() -> None:
    graph = Graph()
    x = graph.leaf("param", "x", (Dim.symbol("N"),))
    y = a("log", derived.mean(a("exp", x)))
    want = derived.reduce("logsumexp", x, (0,)) - a("log", graph.size(Dim.symbol("N")))
    assert y is want


def test_rules_terminate_and_are_linear() -> None:
    """A chain of every pattern, 10 000 long, makes a bounded number of nodes a link."""
    graph = Graph()
    x = graph.leaf("param", "x", as_shape((2,)))
    for formula, root, _ in FORMULAS.values():
        if root == "param":
            continue
        y, start = x, len(graph)
        for _ in range(300):
            y = formula(NODES, y)
        assert len(graph) - start < 300 * 40
