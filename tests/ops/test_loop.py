"""The loop: values and derivatives against loops written out, with the rewrites on and off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from reference import STEP, evaluate

from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node
from gradc.compiler.ops.contraction import matmul
from gradc.compiler.ops.loops import Draft, rewriting

STEPS, ROWS, WIDTH, HIDDEN = 5, 3, 4, 6
Built = tuple[Node, dict[str, Node], Node]


def leaves(g: Graph, **shapes: tuple[int, ...]) -> dict[str, Node]:
    return {k: g.leaf("param", k, s) for k, s in shapes.items()}


def mean_square(x: Node) -> Node:
    axes = tuple(range(len(x.shape)))
    total = x.graph.apply("sum", x * x, axes=axes)
    return x.graph.apply("reshape", total, shape=())


def rnn(g: Graph) -> tuple[Node, dict[str, Node]]:
    """h = tanh(x_t Wx + h Wh + b); y_t = h_t w; the sum of squares of y, and of the last h."""
    p = leaves(
        g, x=(STEPS, ROWS, WIDTH), Wx=(WIDTH, HIDDEN), Wh=(HIDDEN, HIDDEN), b=(HIDDEN,),
        w=(HIDDEN, 2), h=(ROWS, HIDDEN),
    )  # fmt: skip
    draft = Draft(g, Dim.of(STEPS))
    h, x = draft.carry(p["h"]), draft.slice(p["x"])
    b = g.broadcast(p["b"], as_shape((ROWS, HIDDEN)))
    after = g.apply("tanh", matmul(g, x, p["Wx"]) + b + matmul(g, h, p["Wh"]))
    loop, (y,) = draft.finish([after], [matmul(g, after, p["w"])])
    outputs = g.apply("each", loop, value=y)
    last = g.apply("last", loop, index=0)
    return mean_square(outputs) + mean_square(last), p


def lstm(g: Graph) -> tuple[Node, dict[str, Node]]:
    p = leaves(
        g, x=(STEPS, ROWS, WIDTH), h=(ROWS, HIDDEN), c=(ROWS, HIDDEN),
        **{f"W{k}": (WIDTH, HIDDEN) for k in "ifog"},
        **{f"U{k}": (HIDDEN, HIDDEN) for k in "ifog"},
    )  # fmt: skip
    draft = Draft(g, Dim.of(STEPS))
    h, c, x = draft.carry(p["h"]), draft.carry(p["c"]), draft.slice(p["x"])
    gate = {k: matmul(g, x, p[f"W{k}"]) + matmul(g, h, p[f"U{k}"]) for k in "ifog"}
    c2 = g.apply("sigmoid", gate["f"]) * c
    c2 = c2 + g.apply("sigmoid", gate["i"]) * g.apply("tanh", gate["g"])
    h2 = g.apply("sigmoid", gate["o"]) * g.apply("tanh", c2)
    loop, values = draft.finish([h2, c2], [h2])
    return mean_square(g.apply("each", loop, value=values[0])), p


def descent(g: Graph) -> tuple[Node, dict[str, Node]]:
    """Gradient descent inside the model: the body contains a derivative."""
    p = leaves(g, a=(HIDDEN,), s=(HIDDEN,), rate=())
    draft = Draft(g, Dim.of(STEPS))
    s = draft.carry(p["s"])
    energy = mean_square(g.apply("sin", s) * p["a"])
    rate = g.broadcast(p["rate"], s.shape)
    loop, _ = draft.finish([s - rate * grad(energy, s)], [])
    return mean_square(g.apply("last", loop, index=0) - p["a"]), p


def nested(g: Graph) -> tuple[Node, dict[str, Node]]:
    """An inner loop that reads the outer carry, an outer slice and an outer weight."""
    p = leaves(g, x=(STEPS, ROWS, WIDTH), W=(WIDTH, WIDTH), h=(ROWS, WIDTH))
    outer = Draft(g, Dim.of(STEPS))
    h, x = outer.carry(p["h"]), outer.slice(p["x"])
    inner = Draft(g, Dim.of(3))
    v = inner.carry(h)
    after = g.apply("tanh", matmul(g, v, p["W"]) + x)
    small, (seen,) = inner.finish([after], [after * x])
    total = g.apply("total", small, value=seen)
    big, _ = outer.finish([g.apply("last", small, index=0) + 0.1 * total], [])
    return mean_square(g.apply("last", big, index=0)), p


def backwards(g: Graph) -> tuple[Node, dict[str, Node]]:
    p = leaves(g, x=(STEPS, WIDTH), h=(WIDTH,))
    draft = Draft(g, Dim.of(STEPS), reverse=True)
    h, x = draft.carry(p["h"]), draft.slice(p["x"])
    loop, (e,) = draft.finish([g.apply("sin", h) * x + x], [h * x])
    return mean_square(g.apply("each", loop, value=e)), p


PROGRAMS = (rnn, lstm, descent, nested, backwards)
Program = Callable[[Graph], tuple[Node, dict[str, Node]]]


def values(p: dict[str, Node], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        k: 0.5 * rng.standard_normal([d.integer or 0 for d in n.shape])
        for k, n in p.items()
    }


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("on", [True, False], ids=["rewritten", "plain"])
def test_gradients_agree_with_complex_step(program: Program, on: bool) -> None:
    g = Graph()
    with rewriting(on):
        loss, p = program(g)
        gradients = {k: grad(loss, n) for k, n in p.items()}
    at = values(p)
    found = dict(zip(gradients, evaluate(list(gradients.values()), at), strict=True))
    along = values(p, 1)
    moved = {k: v + 1j * STEP * along[k] for k, v in at.items()}
    expected = np.imag(evaluate([loss], moved)[0]) / STEP
    slope = sum(np.sum(found[k] * along[k]) for k in p)
    assert slope == pytest.approx(expected, rel=1e-12, abs=1e-13)
    for k in p:
        one = {**at, k: at[k] + 1j * STEP * along[k]}
        expected = np.imag(evaluate([loss], one)[0]) / STEP
        assert np.sum(found[k] * along[k]) == pytest.approx(
            expected, rel=1e-12, abs=1e-13
        )


@pytest.mark.parametrize("program", PROGRAMS)
def test_second_derivatives_agree_with_complex_step_of_the_first(
    program: Program,
) -> None:
    g = Graph()
    loss, p = program(g)
    name = next(iter(p))
    first = grad(loss, p[name])
    again = mean_square(first)
    gradients = {k: grad(again, n) for k, n in p.items()}
    at, along = values(p), values(p, 1)
    found = dict(zip(gradients, evaluate(list(gradients.values()), at), strict=True))
    moved = {k: v + 1j * STEP * along[k] for k, v in at.items()}
    expected = np.imag(evaluate([again], moved)[0]) / STEP
    slope = sum(np.sum(found[k] * along[k]) for k in p)
    assert slope == pytest.approx(expected, rel=1e-11, abs=1e-13)


def test_rewrites_change_no_value() -> None:
    for program in PROGRAMS:
        found = []
        for on in (True, False):
            g = Graph()
            with rewriting(on):
                loss, p = program(g)
                roots = [loss, *(grad(loss, n) for n in p.values())]
            found.append(evaluate(roots, values(p)))
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def loops(roots: list[Node]) -> list[Node]:
    return [n for n in topological(roots) if n.op.name == "loop"]


def products(loop: Node) -> int:
    return sum(n.op.name == "einsum2" for n in topological(loop.attrs["body"]))


def test_one_product_of_matrices_a_step_each_way() -> None:
    """x W is taken for all steps before the loop, the gradients of weights after it."""
    g = Graph()
    loss, p = rnn(g)
    gradients = [grad(loss, n) for n in p.values()]
    there, back = loops([loss, *gradients])
    assert products(there) == products(back) == 1
    assert there.attrs["reverse"] is False
    assert back.attrs["reverse"] is True


def test_the_same_loop_twice_is_one_node() -> None:
    g = Graph()
    assert rnn(g)[0] is rnn(g)[0]


def test_stop_at_every_step_leaves_no_loop_to_run_backwards() -> None:
    g = Graph()
    p = leaves(g, x=(STEPS, WIDTH), h=(WIDTH,))
    draft = Draft(g, Dim.of(STEPS))
    h, x = draft.carry(p["h"]), draft.slice(p["x"])
    after = g.apply("stop", h) * 0.5 + x
    loop, (e,) = draft.finish([after], [after])
    loss = mean_square(g.apply("each", loop, value=e))
    gradient = grad(loss, p["x"])
    assert [n.attrs["carries"] for n in loops([gradient]) if n.attrs["reverse"]] in (
        [],
        [0],
    )


def test_no_steps() -> None:
    g = Graph()
    n = Dim.symbol("T")
    h, x = g.leaf("input", "h", (3,)), g.leaf("input", "x", (n, 3))
    draft = Draft(g, n)
    c, s = draft.carry(h), draft.slice(x)
    loop, (e,) = draft.finish([c * s], [c + s])
    roots = [
        g.apply("last", loop, index=0),
        g.apply("each", loop, value=e),
        g.apply("total", loop, value=e),
    ]
    at = {"h": np.arange(3.0), "x": np.zeros((0, 3))}
    last, each, total = evaluate(roots, at, {"T": 0})
    np.testing.assert_array_equal(last, at["h"])
    assert each.shape == (0, 3)
    np.testing.assert_array_equal(total, np.zeros(3))


def test_compile_time_does_not_depend_on_the_number_of_steps() -> None:
    g = Graph()
    draft = Draft(g, Dim.of(10**6))
    h = draft.carry(g.leaf("param", "h", (3,)))
    loop, _ = draft.finish([g.apply("tanh", h)], [])
    loss = mean_square(g.apply("last", loop, index=0))
    grad(loss, loop.args[0])
    assert len(g) < 100
