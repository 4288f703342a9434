"""Reverse mode: what it visits, what it adds up, how it grows."""

from __future__ import annotations

import numpy as np
import pytest
from calls import calls
from reference import directional, evaluate

from gradc.compiler import ops
from gradc.compiler.autodiff.reverse import covers, differentiate, grad, reverse
from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node, Origin
from gradc.compiler.ir.program import Equation, Input, Mode, Param, Program, Root
from gradc.compiler.ir.verify import verify_joint


def program(graph: Graph, losses: list[Root], total: Node | None = None) -> Program:
    """A program around some losses; its leaves are found, not given."""
    nodes = topological([r.node for r in losses]) if losses else []
    params = tuple(
        Param(n.attrs["name"], n, graph.const(0), 1, n.attrs["name"])
        for n in nodes
        if n.op.name == "param"
    )
    inputs = tuple(Input(n.attrs["name"], n, 1) for n in nodes if n.op.name == "input")
    summed = total
    for r in losses:
        if total is None:
            summed = r.node if summed is None else summed + r.node
    root = Root("loss", summed, 0) if summed is not None else None
    mode = Mode((), tuple(losses), (), (), root)
    equation = Equation(0, "", 1)
    return Program("t.net", "", (), graph, (), inputs, params, (equation,), mode, mode)


def scalar(graph: Graph, name: str) -> Node:
    return graph.leaf("param", name, ())


# ----------------------------------------------------------------------- differentiate
def test_one_loss() -> None:
    graph = Graph()
    w, x = scalar(graph, "w"), graph.leaf("input", "x", ())
    loss = graph.apply("sin", w * x)
    joint = differentiate(program(graph, [Root("loss", loss, 0)]))
    verify_joint(joint)
    assert list(joint.gradients) == ["w"] and joint.frozen == ()
    assert joint.seed is not None and joint.seed.op.name == "seed"
    assert x not in joint.adjoints, "an input's adjoint is not asked for"
    at = {w: 0.3, x: 2.0, joint.seed: 1.5}
    got = evaluate([joint.gradients["w"]], at)[0]
    np.testing.assert_allclose(got, 1.5 * 2 * np.cos(0.6))


def test_adjoints_of_inputs_by_wrt() -> None:
    graph = Graph()
    w, x = scalar(graph, "w"), graph.leaf("input", "x", ())
    joint = differentiate(program(graph, [Root("loss", w * x, 0)]), ("x",))
    assert list(joint.gradients) == ["w", "x"]
    assert joint.gradients["x"] is joint.seed * w


def test_losses_over_some_parameters() -> None:
    graph = Graph()
    g, d, e = (scalar(graph, n) for n in ("g.W", "d.W", "d2.W"))
    first = Root("first", g * d + e, 0, over=("g",))
    second = Root("second", graph.apply("sin", g * d), 0, over=("d",))
    joint = differentiate(program(graph, [first, second]))
    verify_joint(joint)
    seed = joint.seed
    assert seed is not None
    assert joint.frozen == ("d2.W",), "covered by no loss, although one depends on it"
    at = {g: 2.0, d: 3.0, seed: 1.0}
    values = evaluate([joint.gradients["g.W"], joint.gradients["d.W"]], at)
    np.testing.assert_allclose(values, [3.0, 2 * np.cos(6.0)])


def test_a_path_covers_what_lies_below_it() -> None:
    loss = Root("a", Graph().const(1), 0, over=("h",))
    assert covers(loss, "h") and covers(loss, "h.W") and covers(loss, "h[0].W")
    assert not covers(loss, "h2.W") and not covers(loss, "g.h.W")


def test_frozen_by_stop_and_zero_by_floor() -> None:
    graph = Graph()
    a, b, c = (scalar(graph, n) for n in "abc")
    loss = a + graph.apply("stop", b) * a + graph.apply("floor", c) * a
    joint = differentiate(program(graph, [Root("loss", loss, 0)]))
    assert joint.frozen == ("b",)
    assert joint.gradients["c"].op.name == "zero"


def test_two_losses_that_are_one_value() -> None:
    graph = Graph()
    w, v = scalar(graph, "w"), scalar(graph, "v")
    loss = w * w
    roots = [Root("p", loss, 0, over=("w",)), Root("q", loss, 0), Root("r", v * w, 0)]
    joint = differentiate(program(graph, roots))
    assert joint.seed is not None
    at = {w: 3.0, v: 5.0, joint.seed: 1.0}
    got = evaluate([joint.gradients["w"], joint.gradients["v"]], at)
    np.testing.assert_allclose(got, [2 * 2 * 3 + 5, 3])


def test_no_loss() -> None:
    graph = Graph()
    joint = differentiate(program(graph, []))
    assert joint.seed is None and joint.gradients == {}


def test_partials_name_the_equation_and_the_sum_so_far() -> None:
    graph = Graph()
    w = scalar(graph, "w")
    with graph.at(Origin(equation=0)):
        y = graph.apply("sin", w)
    with graph.at(Origin(equation=1)):
        z = y * w
    with graph.at(Origin(equation=2)):
        loss = z + y
    joint = differentiate(program(graph, [Root("loss", loss, 2)]))
    assert [(k, n) for k, n, _ in joint.partials] == [
        (2, z),
        (2, y),
        (1, y),
        (1, w),
        (0, w),
    ]
    last = {(k, n): g for k, n, g in joint.partials}
    assert last[0, w] is joint.gradients["w"] is joint.adjoints[w]
    assert last[1, y] is joint.adjoints[y] and last[2, y] is joint.seed


def test_origins_are_those_of_the_primal() -> None:
    graph = Graph()
    w = scalar(graph, "w")
    with graph.at(Origin(equation=4, instances=("h", "dense1"))):
        y = graph.apply("tanh", w)
    d = grad(y, w)
    assert d.origin == y.origin and d.origin.equation == 4


# ------------------------------------------------------------------- what is visited
def test_only_active_nodes_are_visited() -> None:
    graph = Graph()
    w, x = scalar(graph, "w"), graph.leaf("input", "x", ())
    dead = graph.apply("exp", graph.apply("sin", x))
    y = w * dead
    sweep = reverse({y: graph.const(1)}, [w])
    assert set(sweep.adjoints) == {y, w}


def test_by_an_intermediate_value() -> None:
    graph = Graph()
    x = scalar(graph, "x")
    h = graph.apply("sin", x)
    y = h * h + x
    np.testing.assert_allclose(evaluate([grad(y, h)], {x: 0.5})[0], 2 * np.sin(0.5))


def test_within_one_equation() -> None:
    graph = Graph()
    x = scalar(graph, "x")
    a = graph.apply("sin", x)
    b = graph.apply("exp", a)
    sweep = reverse({b: graph.leaf("seed", "d_b", ())}, [a], within=[b])
    assert set(sweep.adjoints) == {a, b}


def test_no_path_is_the_structural_zero() -> None:
    graph = Graph()
    x, y = scalar(graph, "x"), scalar(graph, "y")
    assert grad(graph.apply("exp", y), x).op.name == "zero"
    assert grad(graph.apply("floor", x), x).op.name == "zero"


def test_vectors_as_sums_of_their_rows() -> None:
    graph = Graph()
    x = graph.leaf("param", "x", as_shape((3,)))
    got = evaluate([grad(graph.apply("sin", x), x)], {x: np.array([0.0, 1.0, 2.0])})[0]
    np.testing.assert_allclose(got, np.cos([0.0, 1.0, 2.0]))


# ------------------------------------------------------------------------------ growth
def test_paths_multiply_and_nodes_do_not() -> None:
    """y <- sin(y) y: 2^n paths; nodes grow linearly, to second order too."""
    counts = []
    for n in (10, 20, 60):
        graph = Graph()
        x = scalar(graph, "x")
        y = x
        for _ in range(n):
            y = graph.apply("sin", y) * y
        d = grad(y, x)
        d2 = grad(d, x)
        counts.append([len(topological([r])) for r in (y, d, d2)])
    first, second, third = counts
    assert first[0] == 21 and third[0] == 121
    for k in range(3):
        assert third[k] - second[k] == 4 * (second[k] - first[k])
    assert third[1] <= 6 * third[0]


def chain(links: int) -> tuple[Graph, Node, Node]:
    graph = Graph()
    x = scalar(graph, "x")
    y = x
    for _ in range(links):
        y = graph.apply("sin", y) + 0.5
    return graph, x, y


def test_a_chain_of_100_000_nodes() -> None:
    _, x, y = chain(50_000)
    assert len(topological([y])) > 100_000
    d = grad(y, x)
    assert len(topological([d])) < 300_000


def test_work_is_linear() -> None:
    def work(links: int) -> int:
        _, x, y = chain(links)
        return calls(lambda: grad(y, x))

    work(10)  # what is done once
    assert work(2_000) < 2.05 * work(1_000)


def test_many_slices_of_one_value() -> None:
    """x[:, t] for every t: one buffer is added to, a bounded number of nodes a slice."""
    sizes = []
    for steps in (50, 500):
        graph = Graph()
        x = graph.leaf("param", "x", (Dim.symbol("N"), Dim.of(steps)))
        total: Node = graph.const(0)
        for t in range(steps):
            part = ops.derived.element(x, 1, t)
            total = total + ops.derived.total(part * (1.0 + t))
        before = len(graph)
        d = grad(total, x)
        sizes.append(len(graph) - before)
    assert sizes[1] <= 10.5 * sizes[0]
    adds = [n for n in topological([d]) if n.is_a("add") and n.shape == x.shape]
    slices = [n for n in topological([d]) if n.is_a("unslice")]
    assert len(adds) == len(slices) - 1 == 499
    value = evaluate([d], {x: np.zeros((2, 500))}, {"N": 2})[0]
    np.testing.assert_allclose(value, np.broadcast_to(1.0 + np.arange(500), (2, 500)))


def test_gradient_of_gradient_is_symmetric() -> None:
    graph = Graph()
    x = graph.leaf("param", "x", as_shape((4,)))
    w = graph.leaf("input", "W", as_shape((4, 4)))
    h = graph.apply("tanh", graph.apply("einsum2", w, x, spec="ij,j->i"))
    loss = ops.derived.total(graph.apply("softmax", h, axes=(0,)) * h)
    g = grad(loss, x)
    rng = np.random.default_rng(0)
    at = {x: rng.normal(size=4), w: rng.normal(size=(4, 4))}
    eye = np.eye(4)
    hessian = np.array(
        [evaluate([grad(ops.derived.element(g, 0, i), x)], at)[0] for i in range(4)]
    )
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-14)
    steps = np.array([directional(g, at, {x: eye[i]}) for i in range(4)])
    np.testing.assert_allclose(hessian, steps, atol=1e-13)


def test_metamorphic_linearity() -> None:
    graph = Graph()
    x = graph.leaf("param", "x", as_shape((3,)))
    f = ops.derived.total(graph.apply("sin", x))
    g = ops.derived.total(graph.apply("exp", x))
    at = {x: np.array([0.1, -0.4, 2.0])}
    both, p, q = evaluate([grad(2 * f + 3 * g, x), grad(f, x), grad(g, x)], at)
    np.testing.assert_allclose(both, 2 * p + 3 * q, rtol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_dead_branch_changes_nothing(steps: int) -> None:
    graph = Graph()
    x = scalar(graph, "x")
    y = x
    for _ in range(steps):
        y = graph.apply("sin", y)
    d = grad(y, x)
    graph.apply("exp", y)
    assert grad(y, x) is d
