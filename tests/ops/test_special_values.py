"""Special values against arithmetic of 50 digits, and the table of conventions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from optable import PRIMITIVES
from reference import evaluate
from test_templates import run

from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.node import Node
from gradc.compiler.ops import derived

mpmath.mp.dps = 50
INF, NAN = math.inf, math.nan
GRID = [0.0, -0.0, INF, -INF, NAN]
GRID += [s * v for v in (1e-300, 1e-8, 1.0, 37.0, 88.8, 710.0, 1e5) for s in (1, -1)]

mp = mpmath.mp


def _sigmoid(x: Any) -> Any:
    return mp.exp(x) / (1 + mp.exp(x)) if x < 0 else 1 / (1 + mp.exp(-x))


def _softplus(x: Any) -> Any:
    with mpmath.workdps(1000 if abs(x) < 2000 else 50):
        return +(mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x)))


def _log_softplus(x: Any) -> Any:
    return x - mp.exp(x) / 2 if x < -200 else mp.log(_softplus(x))


def _slope_of_log_softplus(x: Any) -> Any:
    return 1 - mp.exp(x) / 2 if x < -200 else _sigmoid(x) / _softplus(x)


Exact = Callable[[Any], Any]
# name: function, derivative, by arithmetic of 50 digits.
EXACT: dict[str, tuple[Exact, Exact]] = {
    "exp": (mp.exp, mp.exp),
    "expm1": (mp.expm1, mp.exp),
    "log": (mp.log, lambda x: 1 / x),
    "log1p": (mp.log1p, lambda x: 1 / (1 + x)),
    "sin": (mp.sin, mp.cos),
    "cos": (mp.cos, lambda x: -mp.sin(x)),
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2),
    "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "softplus": (_softplus, _sigmoid),
    "log_softplus": (_log_softplus, _slope_of_log_softplus),
    "sqrt": (mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x))),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "abs": (abs, mp.sign),
    "sign": (mp.sign, lambda x: mp.mpf(0)),
    "floor": (mp.floor, lambda x: mp.mpf(0)),
    "neg": (lambda x: -x, lambda x: mp.mpf(-1)),
    "tan": (mp.tan, lambda x: mp.sec(x) ** 2),
    "arctan": (mp.atan, lambda x: 1 / (1 + x * x)),
    "arcsin": (mp.asin, lambda x: 1 / mp.sqrt((1 - x) * (1 + x))),
    "arccos": (mp.acos, lambda x: -1 / mp.sqrt((1 - x) * (1 + x))),
    "sinh": (mp.sinh, mp.cosh),
    "cosh": (mp.cosh, mp.sinh),
}
# Computed by functions of the module: `test_special_functions.py`.
MADE = {"normal_cdf", "lgamma", "digamma", "polygamma"}
# Where 50-digit arithmetic has no number to give: limits and conventions.
LIMITS: dict[str, dict[float, tuple[float, float]]] = {
    "exp": {INF: (INF, INF), -INF: (0, 0)},
    "expm1": {INF: (INF, INF), -INF: (-1, 0)},
    "log": {0.0: (-INF, INF), INF: (INF, 0)},
    "log1p": {INF: (INF, 0), -1.0: (-INF, INF)},
    "tanh": {INF: (1, 0), -INF: (-1, 0)},
    "sigmoid": {INF: (1, 0), -INF: (0, 0)},
    "softplus": {INF: (INF, 1), -INF: (0, 0)},
    "log_softplus": {INF: (INF, 0), -INF: (-INF, 1)},
    "sqrt": {0.0: (0, INF), INF: (INF, 0)},
    "erf": {INF: (1, 0), -INF: (-1, 0)},
    "abs": {0.0: (0, 0), INF: (INF, 1), -INF: (INF, -1)},
    "sign": {INF: (1, 0), -INF: (-1, 0)},
    "floor": {INF: (INF, 0), -INF: (-INF, 0)},
    "neg": {INF: (-INF, -1), -INF: (INF, -1)},
    "arctan": {INF: (math.pi / 2, 0), -INF: (-math.pi / 2, 0)},
    "arcsin": {1.0: (math.pi / 2, INF), -1.0: (-math.pi / 2, INF)},
    "arccos": {1.0: (0, -INF), -1.0: (math.pi, -INF)},
    "sinh": {INF: (INF, INF), -INF: (-INF, INF)},
    "cosh": {INF: (INF, INF), -INF: (INF, -INF)},
}
DOMAIN = {
    "log": (-1e-320, INF),
    "sqrt": (-1e-320, INF),
    "log1p": (-1.0000001, INF),
    "arcsin": (-1, 1),
    "arccos": (-1, 1),
}


def exact(name: str, x: float) -> tuple[float, float] | None:
    """Function and derivative, NaN where there is none; None: no claim is made."""
    if x in LIMITS.get(name, {}):
        return LIMITS[name][x]
    low, high = DOMAIN.get(name, (-INF, INF))
    if math.isnan(x) or not low <= x <= high:
        return NAN, NAN
    if math.isinf(x):
        return None
    f, d = EXACT[name]
    with np.errstate(all="ignore"):
        return float(f(mp.mpf(x))), float(d(mp.mpf(x)))


def near(got: float, want: float, slack: float) -> bool:
    if math.isnan(want) or math.isinf(want) or want == 0:
        return bool(np.array_equal(got, want, equal_nan=True)) or (
            want == 0 and abs(got) <= slack
        )
    return abs(got - want) <= slack * max(abs(want), 1e-290)


def test_no_function_of_one_argument_is_left_out() -> None:
    ones = {
        op.name
        for op in PRIMITIVES
        if op.family == "elementwise" and len(op.args) == 1 and op.vjp is not None
    }
    assert ones <= set(EXACT) | MADE | {"pow", "cast", "stop"}


@pytest.mark.parametrize("name", sorted(EXACT))
def test_values(name: str) -> None:
    """The template and the reference, within an ulp or so, at every point of the grid."""
    grid = [*GRID, -1.0, 0.46875, 0.5, -0.4999, 2.0, 4.0, 6.5, -5.9, 0.1, -36.9, -745.1]
    graph = Graph()
    x = graph.leaf("param", "x", ())
    y = graph.apply(name, x)
    slope = grad(y, x)
    for point in grid:
        wanted = exact(name, point)
        if wanted is None:
            continue
        at = np.float64(point)
        got = run(y, y.op.numpy, [at], float)
        assert near(got, wanted[0], 1e-15), (name, point, got, wanted[0])
        assert near(evaluate([y], {x: at})[0], wanted[0], 1e-15)
        # y (1 - y) and e + 1 lose digits where they are small beside 1.
        got = evaluate([slope], {x: at})[0]
        loss = 1e-15 if name in ("tanh", "sigmoid", "expm1") else 0
        if math.isnan(wanted[0]) and not math.isnan(point):
            continue  # outside of the domain the value says so, the slope need not
        if point == 0:
            got = abs(got) if math.isinf(got) else got  # 1 / -0.0
        ok = near(got, wanted[1], 3e-15) or abs(got - wanted[1]) <= loss
        if name in ("floor", "sign"):
            ok = got == 0
        if name in ("abs", "neg") and math.isnan(point):
            continue
        assert ok, (name, point, got, wanted[1])


# ------------------------------------------------------------- the table of conventions
def slopes(build: Callable[..., Node], *at: Any) -> list[Any]:
    """The gradient of the sum of what `build` makes, by each of its arguments."""
    graph = Graph()
    xs = [graph.leaf("param", f"x{k}", np.shape(v)) for k, v in enumerate(at)]
    y = build(*xs)
    values = dict(zip(xs, map(np.asarray, at), strict=True))
    return [evaluate([grad(y, x)], values)[0].tolist() for x in xs]


def apply(op: str, *args: Any, **attrs: Any) -> Node:
    graph = next(a.graph for a in args if isinstance(a, Node))
    return graph.apply(op, *args, **attrs)


def clip(x: Node) -> Node:
    return apply("minimum", apply("maximum", x, -1), 1)


def test_kinks() -> None:
    assert slopes(lambda x: apply("abs", x), 0.0) == [0]
    assert slopes(lambda x: apply("maximum", x, 0), 0.0) == [0]
    assert slopes(lambda x: apply("maximum", 0, x), 0.0) == [0]
    assert slopes(lambda x: apply("minimum", x, 2), 2.0) == [0]
    assert slopes(lambda x, y: apply("maximum", x, y), 3.0, 3.0) == [0.5, 0.5]
    assert slopes(lambda x, y: apply("minimum", x, y), 3.0, 3.0) == [0.5, 0.5]
    assert slopes(lambda x: apply("maximum", x, x), 3.0) == [1]
    assert slopes(lambda x: apply("max", x, axes=(0,)), [1.0, 3.0, 3.0]) == [
        [0, 0.5, 0.5]
    ]
    assert slopes(lambda x: apply("max", x, axes=(0,)), [1.0] * 4) == [[0.25] * 4]
    assert slopes(clip, [-1.0, 0.5, 1.0, 2.0, -3.0]) == [[0, 1, 0, 0, 0]]
    assert slopes(lambda x: apply("sign", x), 0.0) == [0]
    assert slopes(lambda x: apply("floor", x), 1.0) == [0]


def test_norm_at_zero() -> None:
    def build(x: Node) -> Node:
        return derived.norm2(x, (0,))

    assert slopes(build, [0.0, 0.0]) == [[0, 0]]
    np.testing.assert_allclose(slopes(build, [3.0, 4.0]), [[0.6, 0.8]], rtol=1e-15)
    assert np.isnan(slopes(build, [NAN, 1.0])).all()


def test_product_with_zeros() -> None:
    def build(x: Node) -> Node:
        return derived.prod(x, (0,))

    assert slopes(build, [0.0, 2.0, 3.0]) == [[6, 0, 0]]
    assert slopes(build, [0.0, 2.0, 5.0, 3.0, 4.0]) == [[120, 0, 0, 0, 0]]
    assert slopes(build, [0.0, 0.0, 3.0]) == [[0, 0, 0]]


def test_deviation_of_a_constant() -> None:
    assert np.isnan(slopes(lambda x: derived.std(x, (0,)), [1.0, 1.0])).all()
    finite = slopes(lambda x: derived.std(x, (0,), eps=1e-5), [1.0, 1.0])
    assert np.isfinite(finite).all()


def test_all_minus_infinity() -> None:
    def build(x: Node) -> Node:
        return apply("logsumexp", x, axes=(0,))

    assert slopes(build, [-INF, -INF]) == [[0, 0]]
    got = slopes(build, [-INF, 0.0, 0.0])
    assert got == [[0, 0.5, 0.5]]
    assert slopes(lambda x: apply("softmax", x, axes=(0,)), [-INF, -INF]) == [[0, 0]]


def test_powers() -> None:
    def power(x: Node, y: Node) -> Node:
        return apply("power", x, y)

    assert slopes(power, 0.0, 2.0)[1] == 0
    assert math.isnan(slopes(power, -2.0, 2.0)[1])
    assert slopes(power, -2.0, 2.0)[0] == -4
    assert slopes(power, 0.0, 0.0)[0] == 0
    assert slopes(power, 0.0, 1.0)[0] == 1
    assert slopes(power, 2.0, 0.0)[0] == 0

    def cube(x: Node) -> Node:
        return apply("pow", x, exponent=3)

    graph = Graph()
    x = graph.leaf("param", "x", ())
    d = cube(x)
    for want in (0, 0, 6, 0):
        d = grad(d, x)
        assert evaluate([d], {x: 0.0})[0] == want
    assert d.op.name == "zero", "the chain of derivatives ends exactly"


def test_mixed_derivative_of_power_at_exponent_zero() -> None:
    """d/dy d/dx x^y is 1/x at y = 0: a mask on y = 0 alone would lose it."""
    graph = Graph()
    x, y = graph.leaf("param", "x", ()), graph.leaf("param", "y", ())
    for d in (
        grad(grad(apply("power", x, y), x), y),
        grad(grad(apply("power", x, y), y), x),
    ):
        np.testing.assert_allclose(evaluate([d], {x: 2.0, y: 0.0})[0], 0.5)


def test_xlogy() -> None:
    def build(x: Node, y: Node) -> Node:
        return apply("xlogy", x, y)

    graph = Graph()
    x, y = graph.leaf("param", "x", ()), graph.leaf("param", "y", ())
    assert evaluate([apply("xlogy", x, y)], {x: 0.0, y: 0.0})[0] == 0
    assert slopes(build, 0.0, 0.0)[1] == 0
    assert slopes(build, 0.0, 2.0) == [math.log(2.0), 0]
