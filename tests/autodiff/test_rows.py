"""The proof about rows: against programs that are cut into batches and put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from reference import evaluate

from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.autodiff.rows import row_structure
from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.node import Node
from gradc.compiler.ops import derived as d
from gradc.compiler.ops.contraction import matmul

N, T = Dim.symbol("N"), Dim.symbol("T")


class Net:
    """Leaves to build with."""

    def __init__(self) -> None:
        self.graph = Graph()
        leaf = self.graph.leaf
        self.x = leaf("input", "x", (N, Dim.of(3)))
        self.y = leaf("input", "y", (N,))
        self.seq = leaf("input", "seq", (N, T, Dim.of(2)))
        self.label = leaf("input", "label", (N,), "int")
        self.labels = leaf("input", "labels", (N, T), "int")
        self.W = leaf("param", "W", as_shape((3, 4)))
        self.E = leaf("param", "E", as_shape((4, 3)))
        self.v = leaf("param", "v", as_shape((3,)))
        self.z = matmul(self.graph, self.x, self.W)

    def a(self, op: str, *args: Any, **attrs: Any) -> Node:
        return self.graph.apply(op, *args, **attrs)

    def decay(self) -> Node:
        return d.total(self.W * self.W)

    def entropy(self) -> Node:
        return d.reduce("logsumexp", self.z, (1,)) - d.pick(self.z, self.label)

    def size(self, dim: Dim) -> Node:
        return self.graph.size(dim)

    def ones(self, axis: int) -> Node:
        """Ones in one row or column of zeros, as the derivative of a slice has them."""
        one = [N, Dim.of(4)]
        one[axis] = Dim.of(1)
        inside = self.graph.broadcast(self.graph.const(1), tuple(one))
        starts, steps = as_shape((0, 0)), (1, 1)
        given = {"shape": (N, Dim.of(4)), "starts": starts, "stops": tuple(one)}
        return self.a("unslice", inside, **given, steps=steps)

    def squares(self) -> Node:
        """A regular, symmetric matrix for each row."""
        three = self.a("iota", shape=(Dim.of(3),), axis=0, kind="int")
        eye = d.one_hot(three, Dim.of(3))
        outer = self.a("einsum2", self.x, self.x, spec="ni,nj->nij")
        return outer + self.graph.broadcast(eye, outer.shape)

    def solved(self) -> Node:
        """As many right sides of one system as there are rows, in columns."""
        wide = self.a("einsum2", self.v, self.v, spec="i,j->ij")
        three = self.a("iota", shape=(Dim.of(3),), axis=0, kind="int")
        matrix = wide + d.one_hot(three, Dim.of(3))
        return self.a("solve", matrix, d.swap(self.x))


Build = Callable[[Net], Node]
SCALARS: dict[str, tuple[Build, str | None]] = {
    "mean square": (lambda n: d.mean((d.total(n.x, (1,)) - n.y) * n.y), "mean"),
    "sum square": (lambda n: d.total(n.x * n.x), "sum"),
    "sum / N": (lambda n: d.total(n.x) / n.size(N), "mean"),
    "sum of x / N": (lambda n: d.total(n.x / n.size(N)), "mean"),
    "sum times 1 / N": (lambda n: 1 / n.size(N) * d.total(n.x), "mean"),
    "sum / 2 N": (lambda n: d.total(n.x) / (2 * n.size(N)), "mean"),
    "cross-entropy": (lambda n: d.mean(n.entropy()), "mean"),
    "mean + decay": (lambda n: d.mean(n.entropy()) + 0.1 * n.decay(), "mean"),
    "decay + mean": (lambda n: 0.1 * n.decay() + d.mean(n.entropy()), "mean"),
    "sum + decay": (lambda n: d.total(n.y) + n.decay(), None),
    "decay": (lambda n: n.decay(), "free"),
    "decay / N": (lambda n: n.decay() / n.size(N), None),
    "mean + decay / N": (lambda n: d.mean(n.y) + n.decay() / n.size(N), None),
    "mean + sum": (lambda n: d.mean(n.y) + d.total(n.y), None),
    "mean - mean": (lambda n: d.mean(n.y) - d.mean(n.z), "mean"),
    "mean times weight": (lambda n: d.mean(n.y) * d.total(n.v), "mean"),
    "accuracy": (
        lambda n: d.mean(d.real(n.a("eq", d.argmax(n.z, 1), n.label))),
        "mean",
    ),
    "root of mean": (lambda n: n.a("sqrt", d.mean(n.y * n.y)), None),
    "product of means": (lambda n: d.mean(n.y) * d.mean(n.y), None),
    "variance": (lambda n: d.var(n.y, (0,)), None),
    "max": (lambda n: d.reduce("max", n.y, (0,)), None),
    "mean over tokens": (
        lambda n: d.mean(n.a("reshape", n.seq, shape=(N * T, Dim.of(2)))),
        "mean",
    ),
    "sum over tokens": (
        lambda n: d.total(n.a("reshape", n.a("sin", n.seq), shape=(N * T * 2,))),
        "sum",
    ),
    "sum / T": (lambda n: d.total(n.seq) / n.size(T), "sum"),
    "turned": (lambda n: d.mean(d.swap(n.z)), "mean"),
    "einsum over rows": (
        lambda n: d.total(n.a("einsum2", n.x, n.z, spec="nd,nh->dh")),
        "sum",
    ),
    "gram": (lambda n: d.total(n.a("einsum2", n.x, n.x, spec="nd,md->nm")), None),
    "embedding": (lambda n: d.mean(d.take(n.E, n.labels)), "mean"),
    "one row": (lambda n: d.element(n.y, 0, 0), None),
    "all but one": (lambda n: d.total(d.cut(n.y, 0, 1, N)), None),
    "backwards": (lambda n: d.total(d.flip(n.y, 0) * n.y), None),
    "running": (lambda n: d.total(d.cumsum(n.y, 0)), None),
    "running over time": (lambda n: d.mean(d.cumsum(n.seq, 1)), "mean"),
    "softmax over rows": (
        lambda n: d.total(n.a("softmax", n.y, axes=(0,)) * n.y),
        None,
    ),
    "masked": (
        lambda n: d.mean(n.a("where", n.a("lt", 0, n.y), n.y, n.graph.zero((N,)))),
        "mean",
    ),
    "stop": (lambda n: d.mean(n.a("stop", n.y) * n.y), "mean"),
    "number": (lambda n: n.graph.const(3), "free"),
    "size": (lambda n: n.size(N), None),
    "gradient of rows": (lambda n: d.mean(grad(n.a("sin", n.y), n.y)), "mean"),
    "joined": (
        lambda n: d.mean(d.concat([n.x, n.z], 1)),
        "mean",
    ),
    "a column of ones": (lambda n: d.mean(n.ones(1) * n.z), "mean"),
    "a row of ones": (lambda n: d.mean(n.ones(0) * n.z), None),
    "systems": (
        lambda n: d.mean(d.total(n.a("solve", n.squares(), d.expand(n.x, 2)), (1, 2))),
        "mean",
    ),
    "columns of a system": (lambda n: d.total(n.solved() * n.solved()), "sum"),
    "factors": (lambda n: d.total(n.a("cholesky", n.squares())), "sum"),
    "determinants": (lambda n: d.mean(n.a("logdet", n.squares())), "mean"),
    "one matrix of all rows": (
        lambda n: n.a(
            "logdet",
            n.a("einsum2", n.x, n.x, spec="ni,nj->ij")
            + d.squeeze(d.cut(n.squares(), 0, 0, 1), (0,)),
        ),
        None,
    ),
}


@pytest.mark.parametrize("name", SCALARS)
def test_verdict(name: str) -> None:
    build, want = SCALARS[name]
    assert row_structure(build(Net()), "N").rows == want


@pytest.mark.parametrize("name", SCALARS)
def test_batches_put_together(name: str) -> None:
    """What is called a mean or a sum over rows is one."""
    build, verdict = SCALARS[name]
    net = Net()
    node = build(net)
    rng = np.random.default_rng(0)
    whole: dict[Any, Any] = {
        net.x: rng.normal(size=(5, 3)),
        net.y: rng.normal(size=5),
        net.seq: rng.normal(size=(5, 2, 2)),
        net.label: rng.integers(0, 4, 5),
        net.labels: rng.integers(0, 4, (5, 2)),
        net.W: rng.normal(size=(3, 4)),
        net.E: rng.normal(size=(4, 3)),
        net.v: rng.normal(size=3),
    }

    def value(rows: slice, n: int) -> float:
        part = {k: v[rows] if k.op.name == "input" else v for k, v in whole.items()}
        return float(evaluate([node], part, {"N": n, "T": 2})[0])

    full, a, b = value(slice(0, 5), 5), value(slice(0, 2), 2), value(slice(2, 5), 3)
    together = {"mean": (2 * a + 3 * b) / 5, "sum": a + b, "free": a}
    if verdict is None:
        assert not np.isclose(together["mean"], full) or not np.isclose(a + b, full)
    else:
        np.testing.assert_allclose(together[verdict], full, rtol=1e-13)


def test_rows_of_a_value_and_the_mixing_operation() -> None:
    net = Net()
    rows = row_structure(net.z, "N")
    assert rows.state == "rows" and rows.axis == 0
    mean = d.mean(net.z, (0,))
    normed = net.z - net.graph.broadcast(mean, net.z.shape)
    mixed = row_structure(normed, "N")
    assert mixed.state == "mixed" and mixed.by is not None and mixed.by.is_a("sum")
    gram = net.a("einsum2", net.x, net.x, spec="nd,md->nm")
    assert row_structure(gram, "N").by is gram


def test_with_a_source_the_rest_is_held_fixed() -> None:
    """For grad(y, x): another input may mix rows as it likes."""
    net = Net()
    other = net.graph.broadcast(d.mean(net.y), (N,))
    y = net.a("sin", d.element(net.x, 1, 0)) * other
    assert row_structure(y, "N").state == "mixed"
    found = row_structure(y, "N", source=net.x)
    assert found.state == "rows" and found.axis == 0
    column = d.total(net.x, (0,), keep=True)
    crossed = net.graph.broadcast(column, net.x.shape) + net.x
    assert row_structure(crossed, "N", source=net.x).state == "mixed"
    column = d.expand(y, 1)
    assert row_structure(column, N, source=net.x).axis == 0


def test_an_intermediate_value_as_source() -> None:
    net = Net()
    h = net.a("tanh", net.z)
    out = d.total(net.a("exp", h), (1,))
    assert row_structure(out, "N", source=h).state == "rows"
    hidden = net.graph.leaf("input", "h", (N, N))
    mixed = net.a("einsum2", hidden, h, spec="nm,mk->nk")
    assert row_structure(mixed, "N", source=h).state == "sum"


def test_long_chains_do_not_recurse() -> None:
    net = Net()
    y = net.y
    for _ in range(20_000):
        y = net.a("sin", y)
    assert row_structure(d.mean(y), "N").rows == "mean"
