"""Maxima over windows: as slices the same to the last bit, NaN and infinity included."""

from __future__ import annotations

import numpy as np
import pytest
from reference import evaluate

from gradc.compiler.autodiff.reverse import reverse
from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node
from gradc.compiler.passes import pools
from gradc.compiler.passes.patterns import Rewriter, Rule
from gradc.compiler.passes.uses import count_uses

N, H = Dim.symbol("N"), Dim.symbol("H")
SIZES = {"N": 2, "H": 6}


def blocks(x: Node) -> Node:
    g = x.graph
    split = as_shape((N, 3, 2, 4, 3, 3))
    return g.apply("max", g.apply("reshape", x, shape=split), axes=(2, 4))


def symbolic(x: Node) -> Node:
    g = x.graph
    third = H.divided(3)
    assert third is not None
    x = g.leaf("input", "z", (N, H, 4))
    split = g.apply("reshape", x, shape=(N, third, Dim.of(3), Dim.of(4)))
    return g.apply("max", split, axes=(2,))


def overlapping(x: Node) -> Node:
    g = x.graph
    cut = {
        "axes": (1, 2),
        "sizes": (3, 2),
        "strides": (2, 1),
        "dilations": (1, 3),
    }
    return g.apply("max", g.apply("windows", x, **cut), axes=(4, 5))


def rewritten(
    root: Node,
    adjoints: dict[Node, tuple[Node, ...]],
    rules: tuple[Rule, ...] = pools.RULES,
) -> Node:
    order = topological([root])
    rw = Rewriter(root.graph, rules)
    return rw.walk(order, count_uses(order, [root]), (), adjoints)[root]


@pytest.mark.parametrize("build", [blocks, symbolic, overlapping])
def test_maximum_of_slices(build: object) -> None:
    x = Graph().leaf("input", "x", as_shape((N, 6, 12, 3)))
    root = build(x)
    made = rewritten(root, {})
    ops_ = {n.op.name for n in topological([made])}
    assert "max" not in ops_ and "maximum" in ops_
    rng = np.random.default_rng(2)
    values = {"x": rng.normal(size=(2, 6, 12, 3)), "z": rng.normal(size=(2, 6, 4))}
    for array in values.values():
        array.flat[::7], array.flat[3::11] = np.nan, -np.inf
    before, after = evaluate([root, made], values, SIZES)
    assert np.array_equal(before, after, equal_nan=True)


@pytest.mark.parametrize("wide", [(2, 5), (1, 6), (3, 2)])
def test_left_alone(wide: tuple[int, int]) -> None:
    """A long window, and axes that no window makes."""
    k, share = wide
    x = Graph().leaf("input", "x", as_shape((N, k * share)))
    root = x.graph.apply("reshape", x, shape=as_shape((N, k, share)))
    root = x.graph.apply("max", root, axes=(1,) if k == 3 else (2,))
    assert rewritten(root, {}) is root


def test_share_of_maximum() -> None:
    x = Graph().leaf("input", "x", as_shape((N, 6, 4, 3)))
    g = x.graph
    split = g.apply("reshape", x, shape=as_shape((N, 3, 2, 2, 2, 3)))
    largest = g.apply("max", split, axes=(2, 4))
    weight = g.leaf("input", "w", largest.shape)
    sweep = reverse({largest: weight}, [x])
    d = sweep.adjoints[x]
    made = rewritten(d, {weight: (largest,)})
    assert "masked" in {n.op.name for n in topological([made])}
    rng = np.random.default_rng(3)
    values = {
        "x": rng.integers(0, 3, size=(2, 6, 4, 3)).astype(float),
        "w": rng.normal(size=(2, 3, 1, 2, 1, 3)),
    }
    (before,) = evaluate([d], values, SIZES)
    (after,) = evaluate([made], values, SIZES)
    assert np.array_equal(before, after)


@pytest.mark.parametrize("op", ["sum", "sum_over", "mean_over"])
def test_sum_of_slices(op: str) -> None:
    x = Graph().leaf("input", "x", as_shape((N, 3, 2, 4, 3, 3)))
    more = {} if op == "sum" else {"keep": False}
    root = x.graph.apply(op, x, axes=(2, 4), **more)
    made = rewritten(root, {}, pools.PLANNED)
    assert {n.op.name for n in topological([made])} >= {"add", "slice"}
    values = {"x": np.random.default_rng(4).normal(size=(2, 3, 2, 4, 3, 3))}
    before, after = evaluate([root, made], values, SIZES)
    np.testing.assert_allclose(after, before, rtol=1e-13)
    for axes in ((0, 1), (4, 5), (1,)):  # products with ones, and a long axis
        x = Graph().leaf("input", "x", as_shape((2, 5, 2, 4, 3, 3)))
        root = x.graph.apply("sum", x, axes=axes)
        assert rewritten(root, {}, pools.PLANNED) is root


@pytest.mark.parametrize("kernel_first", [False, True])
def test_product_at_each_place(kernel_first: bool) -> None:
    """What a convolution passes to its input, and a transposed convolution."""
    g = Graph()
    x = g.leaf("input", "x", as_shape((2, 3, 2, 4)))
    if kernel_first:  # as conv_transpose2d writes it
        K = g.leaf("input", "K", as_shape((3, 2, 4, 5)))
        whole = g.apply("einsum2", x, K, spec="nhwc,pqco->nhwpqo")
    else:
        K = g.leaf("input", "K", as_shape((3, 2, 5, 4)))
        matrix = g.apply("reshape", K, shape=as_shape((30, 4)))
        made = g.apply("einsum2", x, matrix, spec="nhwo,jo->nhwj")
        whole = g.apply("reshape", made, shape=as_shape((2, 3, 2, 3, 2, 5)))
    turned = g.apply("transpose", whole, perm=(0, 1, 2, 5, 3, 4))
    root = g.apply(
        "fold",
        turned,
        shape=as_shape((2, 8, 7, 5)),  # of which the windows leave a column over
        axes=(1, 2),
        sizes=(3, 2),
        strides=(2, 3),
        dilations=(1, 2),
    )
    after = rewritten(root, {})
    assert {n.op.name for n in topological([after])} <= {
        "conv_transpose",
        "transpose",
        "reshape",
        "input",
    }
    rng = np.random.default_rng(5)
    shape = (3, 2, 4, 5) if kernel_first else (3, 2, 5, 4)
    values = {"x": rng.normal(size=(2, 3, 2, 4)), "K": rng.normal(size=shape)}
    want, got = evaluate([root, after], values, SIZES)
    np.testing.assert_allclose(got, want, rtol=1e-12)
