"""The gamma function and its kin, and the normal law, against arithmetic of 50 digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from test_templates import run

from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.backend import guard
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.node import Node
from gradc.compiler.ir.op import REGISTRY

mp = mpmath.mp
rng = np.random.default_rng(8)


def around(point: float, n: int = 20) -> Any:
    """Points on both sides of one, at every distance from it."""
    return point + rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-15, -1, n)


BOTH = np.concatenate([rng.uniform(-9, 9, 60), 10.0 ** rng.uniform(-300, 0, 20)])
TAIL = np.concatenate([rng.uniform(-38, -5, 60), [-38.4, -37.5, -6.0, 0.0]])
POSITIVE = np.concatenate(
    [
        rng.uniform(0, 3, 60),
        rng.uniform(3, 30, 40),
        10.0 ** rng.uniform(-300, 300, 60),
        *(around(p) for p in (1.0, 2.0, 1.4616321449683622, 0.5, 2.5, 8.0)),
        [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 7.0, 8.0, 9.0],
    ]
)
MODEST = POSITIVE[(POSITIVE > 1e-40) & (POSITIVE < 1e40)]
NEGATIVE = -rng.uniform(0.01, 30, 60)


def computed(name: str, xs: Any, **attrs: Any) -> Any:
    graph = Graph()
    y = graph.apply(name, graph.leaf("param", "x", np.shape(xs)), **attrs)
    return run(y, y.op.numpy, [np.asarray(xs)], float)


def check(got: Any, xs: Any, exact: Callable[[Any], Any], slack: float) -> None:
    with mpmath.workdps(50):
        for x, value in zip(xs, got, strict=True):
            want = exact(mp.mpf(float(x)))
            assert abs(value - want) <= slack * max(abs(want), 1e-307), (x, value, want)


def test_normal_cdf() -> None:
    for xs in (BOTH, TAIL):
        check(computed("normal_cdf", xs), xs, lambda x: mp.ncdf(x), 1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_erf_in_blocks(dtype: Any) -> None:
    """To two units of the last digit of 1, in the place of its argument or beside it."""
    scope: dict[str, Any] = {"np": np}
    exec(REGISTRY["erf"].prelude_out, scope)
    for xs in (BOTH, TAIL, around(0.0), np.linspace(-7, 7, 101)):
        x = np.append(xs, [np.inf, -np.inf, np.nan, 0.0]).astype(dtype)
        room, out = np.empty((4, 7), dtype), np.empty_like(x)
        with np.errstate(all="raise", under="ignore", invalid="ignore"):
            scope["erf_into"](x, out, room)
        eps = np.finfo(dtype).eps
        for value, found in zip(x[:-4], out, strict=False):
            assert abs(float(found) - math.erf(value)) <= 2 * eps, value
        np.testing.assert_array_equal(out[-4:], [1, -1, np.nan, 0])
        scope["erf_into"](x, x, room)
        np.testing.assert_array_equal(x, out)


def test_lgamma() -> None:
    check(computed("lgamma", POSITIVE), POSITIVE, mp.loggamma, 1e-15)


def test_digamma() -> None:
    check(computed("digamma", POSITIVE), POSITIVE, lambda x: mp.psi(0, x), 1e-15)


@pytest.mark.parametrize("order", [1, 2, 3, 6, 11])
def test_polygamma(order: int) -> None:
    xs = MODEST[:: order // 3 + 1] if order < 6 else MODEST[MODEST > 1e-20][::6]
    got = computed("polygamma", xs, order=order)
    check(got, xs, lambda x: mp.psi(order, x), 4e-15)


def test_below_zero() -> None:
    """Relative to the terms of the reflection, which cancel near the roots."""
    with mpmath.workdps(30):
        for x, value in zip(NEGATIVE, computed("lgamma", NEGATIVE), strict=True):
            far = abs(mp.loggamma(1 - x))
            assert abs(value - mp.loggamma(x).real) <= 4e-15 * (far + 1)
        for x, value in zip(NEGATIVE, computed("digamma", NEGATIVE), strict=True):
            size = abs(mp.psi(0, 1 - x)) + abs(mp.pi * mp.cot(mp.pi * x))
            assert abs(value - mp.psi(0, x)) <= 4e-15 * size
    for order in (1, 2, 3):
        got = computed("polygamma", NEGATIVE, order=order)
        with mpmath.workdps(30):
            for x, value in zip(NEGATIVE, got, strict=True):
                size = abs(mp.psi(order, 1 - x)) + abs(mp.psi(order, x))
                assert abs(value - mp.psi(order, x)) <= 1e-14 * size


def test_ends() -> None:
    ends = np.array([np.inf, -np.inf, np.nan, 0.0])
    np.testing.assert_array_equal(computed("normal_cdf", ends), [1, 0, np.nan, 0.5])
    got = computed("lgamma", np.array([np.inf, np.nan, 0.0, -1.0, -7.0]))
    np.testing.assert_array_equal(got, [np.inf, np.nan, np.inf, np.inf, np.inf])
    got = computed("digamma", np.array([np.inf, np.nan, 0.0]))
    np.testing.assert_array_equal(got, [np.inf, np.nan, -np.inf])
    got = computed("polygamma", np.array([np.inf, np.nan, 0.0]), order=1)
    np.testing.assert_array_equal(got, [0, np.nan, np.inf])
    assert computed("lgamma", np.array([1.0, 2.0])).tolist() == [0, 0]


def test_no_warning_where_nothing_is_wrong() -> None:
    """Nothing overflows or is divided by zero in a branch that is not taken."""
    for name in ("normal_cdf", "lgamma", "digamma", "polygamma"):
        scope: dict[str, Any] = {"np": np}
        exec(REGISTRY[name].prelude, scope)
        xs = np.array([-2.5, 0.3, 1.0, 1.4, 2.0, 5.0, 30.0, 1e5])
        with np.errstate(all="raise", under="ignore"):
            scope[name](xs, 3) if name == "polygamma" else scope[name](xs)


def test_the_derivatives_are_a_chain() -> None:
    graph = Graph()
    x = graph.leaf("param", "x", ())
    d: Node = graph.apply("lgamma", x)
    for name, order in (("digamma", 0), ("polygamma", 1), ("polygamma", 2)):
        d = grad(d, x)
        assert d.is_a(name) and d.attrs.get("order", 0) == order
    assert graph.apply("polygamma", x, order=0).is_a("digamma")


@pytest.mark.parametrize(
    "name", [op.name for op in REGISTRY.ops.values() if op.prelude]
)
def test_the_guard_admits_every_function_of_a_module(name: str) -> None:
    op = REGISTRY[name]
    for prelude in filter(None, (op.prelude, op.prelude_out)):
        guard.check("import numpy as np\n\n\n" + prelude)
