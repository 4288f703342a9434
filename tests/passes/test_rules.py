"""Every rule alone, switched on and off, on a DAG that holds its pattern.

A rule of class "=" must leave every bit, whatever stands around it (NaN and infinity
included, zeros but for their sign); one of class "~" the value to 1e-12. Each case says
what the rule makes of it, so a rule that stops firing fails as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import numpy as np
import pytest
from reference import evaluate

from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node
from gradc.compiler.ops import derived
from gradc.compiler.passes import ALGEBRA, expand, idioms
from gradc.compiler.passes.patterns import Rewriter, Rule
from gradc.compiler.passes.uses import count_uses

RULES = {r.name: r for r in (*ALGEBRA, *expand.RULES, *idioms.RULES)}
SIZES = {"N": 4, "T": 3, "K": 5}
N, T, K = (Dim.symbol(s) for s in SIZES)

Build = Callable[["Leaves"], Node]


class Leaves:
    """The values that a pattern stands on, by name; each is a parameter of the graph."""

    def __init__(self, wrap: bool) -> None:
        self.graph = Graph()
        self.graph.deriving = True
        self.wrap = wrap
        self.made: dict[str, Node] = {}
        self.bound: set[Node] = set()

    def __call__(self, name: str, *shape: Dim | int, kind: str = "real") -> Node:
        if name not in self.made:
            leaf = self.graph.leaf("input", name, shape, kind)
            self.made[name] = leaf
        x = self.made[name]
        if self.wrap and kind == "real":  # a value with a name of its own
            x = self.graph.apply("sin", x)
            self.bound.add(x)
        return x

    def scalar(self, name: str, shape: tuple[Dim, ...]) -> Node:
        return self.graph.broadcast(self(name), shape)

    def seed(self) -> Node:
        self.made.setdefault("d_loss", self.graph.leaf("seed", "d_loss", ()))
        return self.made["d_loss"]

    def size(self) -> Node:
        return self.graph.size(N)


def x(g: Leaves) -> Node:
    return g("x", N, T)


def y(g: Leaves) -> Node:
    return g("y", N, T)


def z(g: Leaves) -> Node:
    return g("z", N, T)


def index(g: Leaves) -> Node:
    return g("i", N, kind="int")


def ones(shape: tuple[Dim, ...]) -> dict[str, object]:
    return {"shape": shape}


def window(axis: int, start: int, stop: int, rank: int = 1) -> dict[str, object]:
    return {
        "starts": as_shape(start if i == axis else 0 for i in range(rank)),
        "stops": as_shape(stop if i == axis else 6 for i in range(rank)),
        "steps": (1,) * rank,
    }


def unslice(g: Leaves, name: str, start: int, stop: int) -> Node:
    part = g(name, stop - start)
    return g.graph.apply(
        "unslice", part, shape=as_shape((6,)), **window(0, start, stop)
    )


def total(a: Node, *axes: int) -> Node:
    return a.graph.apply("sum", a, axes=axes)


def apply(op: str, *args: Node, **attrs: object) -> Node:
    return args[0].graph.apply(op, *args, **attrs)


def positive(g: Leaves) -> Node:
    zero = g.graph.broadcast(g.graph.const(0), (N, T))
    return apply("lt", zero, x(g))


def masked(c: Node, a: Node) -> Node:
    return apply("where", c, a, a.graph.zero(a.shape))


def chances(g: Leaves, c: Node, a: Node, on: bool = True) -> Node:
    """softmax(where(c, a, -inf)), or of what `c` is not."""
    none = g.graph.broadcast(g.graph.const(-math.inf), a.shape)
    kept = apply("where", c, a, none) if on else apply("where", c, none, a)
    return apply("softmax", kept, axes=(1,))


def shifted(a: Node) -> tuple[Node, Node]:
    """(logsumexp as it is expanded, a - max)."""
    m = apply("max", a, axes=(1,))
    s = a - a.graph.broadcast(m, a.shape)
    e = apply("exp", s)
    return apply("log", apply("sum_over", e, axes=(1,), keep=True)) + m, s


CASES: dict[str, list[Build]] = {
    # folding
    "fold_arithmetic": [
        lambda g: x(g) * (g.graph.const(0.5) / 2),
        lambda g: x(g) * (g.graph.const(2) * 3 - 7),
    ],
    "fold_function": [lambda g: x(g) * apply("exp", g.graph.const(1.5))],
    # products
    "sign_of_sign": [lambda g: -g.graph.broadcast(-g("r", T), (N, T))],
    "sign_of_difference": [lambda g: -(x(g) - y(g))],
    "sign_into_factor": [
        lambda g: -((x(g) - y(g)) * z(g)),
        lambda g: -(z(g) * (x(g) - y(g)) / x(g)),
    ],
    "sign_of_product": [
        lambda g: (-x(g)) * y(g),
        lambda g: x(g) / (-y(g)),
        lambda g: x(g) * g.graph.broadcast(-g("r", T), (N, T)),
    ],
    "scalar_product": [
        lambda g: (2 * (3 * g.seed())) / (4 * g.size()),
        lambda g: g("s") * 2 * (g("t") * -3),
        lambda g: (g("s") * 0.5) / 4,
    ],
    "scalar_factor": [
        lambda g: (x(g) * g.scalar("s", (N, T))) * g.scalar("t", (N, T)),
        lambda g: (x(g) * g.scalar("s", (N, T))) * y(g),
        lambda g: x(g) * (g.scalar("s", (N, T)) * y(g)),
        lambda g: x(g) / (y(g) * 2),
        lambda g: (x(g) / 2) / 3,
        lambda g: g.graph.broadcast(g("r", T), (N, T)) * 2,
    ],
    "left_to_right": [lambda g: x(g) * (y(g) * z(g))],
    "by_reciprocal": [lambda g: x(g) * (1 / y(g)), lambda g: x(g) * (0.5 / y(g))],
    # sums
    "plus_minus": [
        lambda g: x(g) + g.graph.broadcast(-g("r", T), (N, T)),
        lambda g: x(g) * -2 + apply("put", index(g), -g("v", N), size=T),
    ],
    "minus_minus": [
        lambda g: x(g) - g.graph.broadcast(-g("r", T), (N, T)),
    ],
    "twice": [lambda g: x(g) + x(g)],
    "twice_in_a_row": [lambda g: x(g) - y(g) - y(g), lambda g: x(g) + y(g) + y(g)],
    "constants_meet": [lambda g: (x(g) + 1) - 3, lambda g: (x(g) - 1.5) + 1.5],
    "common_scalar": [
        lambda g: x(g) * g.scalar("s", (N, T)) - y(g) * g.scalar("s", (N, T)),
        lambda g: x(g) * g.scalar("s", (N, T)) + y(g) * g.scalar("s", (N, T)),
        lambda g: (
            apply("put", index(g), g.scalar("s", (N,)), size=T)
            + x(g) * g.scalar("s", (N, T))
        ),
    ],
    "common_factors": [
        lambda g: 4 * g("s") * g("t") - 2 * (g("t") * g("u")),
        lambda g: g("s") * g("t") * g("u") + g("s"),
        lambda g: -g("s") * g("t") - g("s") * g("u"),
    ],
    "common_factor": [
        lambda g: x(g) * y(g) + x(g) * z(g),
        lambda g: y(g) * x(g) - z(g) * x(g),
    ],
    "one_and_factor": [
        lambda g: x(g) + x(g) * y(g),
        lambda g: x(g) * z(g) * y(g) - x(g),
    ],
    "softmax_backward": [
        lambda g: (
            x(g) * y(g) - y(g) * g.graph.broadcast(total(x(g) * y(g), 1), (N, T))
        ),
    ],
    "where_same": [],
    "where_meets_where": [
        lambda g: (
            apply("where", positive(g), x(g), y(g))
            + apply("where", positive(g), z(g), x(g))
        ),
    ],
    "complementary_masks": [
        lambda g: (
            masked(positive(g), x(g))
            + masked(
                apply("and", apply("lt", y(g), z(g)), apply("not", positive(g))),
                y(g),
            )
        ),
    ],
    "mask_of_minimum": [
        lambda g: masked(
            apply(
                "lt",
                apply("minimum", x(g), g.graph.broadcast(g.graph.const(0), (N, T))),
                g.graph.broadcast(g.graph.const(0), (N, T)),
            ),
            y(g),
        ),
    ],
    "where_of_nothing": [
        lambda g: masked(positive(g), chances(g, positive(g), x(g)) * y(g)),
        lambda g: apply(
            "where",
            positive(g),
            g.graph.zero((N, T)),
            -chances(g, positive(g), x(g), on=False) / y(g),
        ),
    ],
    "where_of_scaled": [
        lambda g: apply(
            "where",
            positive(g),
            x(g) * g.scalar("s", (N, T)),
            y(g) * g.scalar("s", (N, T)),
        ),
    ],
    # linear ops
    "sign_comes_out": [
        lambda g: total(-x(g), 0),
        lambda g: apply("transpose", -x(g), perm=(1, 0)),
        lambda g: apply("pick", -x(g), index(g)),
    ],
    "scalar_comes_out": [
        lambda g: total(x(g) * g.scalar("s", (N, T)), 1),
        lambda g: apply("reshape", x(g) / 2, shape=(T, N)),
        lambda g: apply("pick", x(g) * 2, index(g)),
    ],
    "sum_of_sum": [lambda g: total(total(x(g), 0), 1)],
    "sum_of_broadcast": [
        lambda g: total(g.graph.broadcast(g("r", T), (N, T)), 0),
        lambda g: total(g.graph.broadcast(g("r", T), (N, T)), 0, 1),
    ],
    "sum_of_reshape": [
        lambda g: total(apply("reshape", x(g), shape=as_shape((N, 1, T))), 2),
        lambda g: total(apply("reshape", x(g), shape=as_shape((T, N))), 0, 1),
    ],
    "sum_of_transpose": [
        lambda g: total(apply("transpose", x(g), perm=(1, 0)), 0),
        lambda g: total(apply("transpose", g("w", N, T, K), perm=(1, 2, 0)), 0),
        lambda g: total(apply("transpose", g("w", N, T, K), perm=(1, 2, 0)), 1),
    ],
    "sum_of_placed": [
        lambda g: total(apply("put", index(g), g("v", N), size=T), 1),
        lambda g: total(apply("one_hot", index(g), size=T), 1),
    ],
    "sum_of_product": [
        lambda g: total(x(g) * g.graph.broadcast(g("r", T), (N, T)), 1),
    ],
    "sum_into_product": [
        lambda g: total(apply("einsum2", x(g), g("w", N, T, K), spec="ij,ijk->ijk"), 0),
    ],
    "transpose_into_product": [
        lambda g: apply(
            "einsum2",
            apply("transpose", x(g), perm=(1, 0)),
            g("w", N, K),
            spec="ij,jk->ik",
        ),
    ],
    "transpose_of_product": [
        lambda g: apply(
            "transpose",
            apply("einsum2", x(g), g("w", T, K), spec="ij,jk->ik"),
            perm=(1, 0),
        ),
    ],
    "sign_out_of_product": [
        lambda g: apply("einsum2", -x(g), g("w", T, K), spec="ij,jk->ik"),
        lambda g: apply("einsum2", x(g), -g("w", T, K), spec="ij,jk->ik"),
    ],
    "scalar_out_of_product": [
        lambda g: apply("einsum2", x(g) * 2, g("r", T), spec="ij,j->i"),
    ],
    "broadcast_into_product": [
        lambda g: apply(
            "einsum2",
            x(g),
            g.graph.broadcast(g("c", K), (T, K)),
            spec="ij,jk->ik",
        ),
        lambda g: apply("einsum2", x(g), g.scalar("s", (N, K)), spec="ij,ik->jk"),
        lambda g: apply(
            "einsum2",
            g.graph.broadcast(g("r", T), (N, T)),
            g("w", N, T, K),
            spec="ij,ijk->ik",
        ),
    ],
    "layout_of_layout": [],
    "softmax_of_broadcast": [
        lambda g: apply("softmax", g.graph.broadcast(g("r", T), (N, T)), axes=(1,)),
        lambda g: apply(
            "softmax", g.graph.broadcast(apply("sin", g("r", T)), (N, T)), axes=(0,)
        ),
        lambda g: apply(
            "logsumexp", g.graph.broadcast(apply("sin", g("r", T)), (N, T)), axes=(0,)
        ),
    ],
    "slice_of_concat": [
        lambda g: apply(
            "slice",
            apply("concat", g("p", 2), g("q", 3), g("r", 1), axis=0),
            **window(0, 2, 5),
        ),
    ],
    "slice_of_unslice": [],
    "concat_of_slices": [
        lambda g: apply(
            "concat",
            apply("slice", g("p", 6), **window(0, 1, 3)),
            apply("slice", g("p", 6), **window(0, 3, 5)),
            axis=0,
        ),
    ],
    "pieces_tile": [
        lambda g: unslice(g, "p", 0, 2) + unslice(g, "q", 2, 5),
        lambda g: unslice(g, "p", 3, 6) + unslice(g, "q", 1, 3),
    ],
    "repeated_work": [
        lambda g: (
            g.graph.broadcast(g("r", T), (N, T)) * g.graph.broadcast(g("q", T), (N, T))
        ),
        lambda g: apply("exp", g.graph.broadcast(g("r", T), (N, T))),
    ],
    # late expansion
    "expand": [
        lambda g: apply("softmax", x(g), axes=(1,)),
        lambda g: apply("logsumexp", x(g), axes=(0,)),
        lambda g: apply("logsumexp", apply("log", apply("exp", x(g)) + 1), axes=(0, 1)),
    ],
    # idioms
    "drop_axes": [
        lambda g: apply(
            "reshape", apply("mean_over", x(g), axes=(0,), keep=True), shape=(T,)
        ),
    ],
    "mean": [
        lambda g: derived.mean(x(g)),
        lambda g: 5 * derived.total(x(g)) / (2 * g.graph.size(N * T)),
        lambda g: derived.mean(x(g), (1,), keep=True) * 2,
        lambda g: total(x(g), 1) / g("c", N, 1) / 3 / g.graph.size(T),
        lambda g: derived.mean(g("k", 6)),
    ],
    "mean_of_truth": [
        lambda g: apply(
            "mean_over", derived.real(positive(g)), axes=(0, 1), keep=False
        ),
    ],
    "log_total": [
        lambda g: (
            derived.squeeze(shifted(x(g))[0], (1,)) - apply("pick", x(g), index(g))
        ),
        lambda g: x(g) - g.graph.broadcast(shifted(x(g))[0], (N, T)),
    ],
    "put_on_base": [
        lambda g: x(g) * y(g) + apply("put", index(g), g("v", N), size=T),
        lambda g: x(g) * y(g) - apply("one_hot", index(g), size=T),
        lambda g: (
            apply("scatter_add", g("v", N), index(g), axis=0, size=Dim.of(6))
            + apply("exp", g("k", 6))
        ),
        lambda g: apply("exp", g("k", 6)) + unslice(g, "p", 1, 3),
    ],
    "placed_scalar": [],  # likewise
    "mask_as_factor": [],  # needs adjoints: test_passes.py
    "of_minus": [
        lambda g: apply("sigmoid", -x(g)),
        lambda g: apply("softplus", -x(g)) * apply("sin", -x(g)),
    ],
    "small_power": [lambda g, n=n: apply("pow", x(g), exponent=n) for n in range(3, 9)],
    "settle_sign": [
        lambda g: -(x(g) * g.scalar("s", (N, T))),
        lambda g: -(x(g) * y(g) / z(g)),
        lambda g: -(2 * g.seed() / g.size()),
    ],
    "scalar_first": [lambda g: x(g) * 2, lambda g: (x(g) / y(g)) * 3],
}


def walk(rw: Rewriter, root: Node, bound: Collection[Node] = ()) -> Node:
    order = topological([root])
    return rw.walk(order, count_uses(order, [root]), bound)[root]


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e300, -1e-300])


def test_every_rule_has_a_case() -> None:
    """The rules without one are there for what the constructors do anyway."""
    assert set(CASES) == set(RULES)
    bare = {name for name, cases in CASES.items() if not cases}
    assert bare == {
        "placed_scalar",
        "where_same",
        "layout_of_layout",
        "slice_of_unslice",
        "mask_as_factor",
    }


def cases() -> list[object]:
    return [
        pytest.param(
            RULES[name], build, wrap, id=f"{name}-{i}-{'in' if wrap else 'leaf'}"
        )
        for name, builds in CASES.items()
        for i, build in enumerate(builds)
        for wrap in (False, True)
    ]


@pytest.mark.parametrize(("rule", "build", "wrap"), cases())
def test_on_and_off(rule: Rule, build: Build, wrap: bool) -> None:
    leaves = Leaves(wrap)
    root = build(leaves)
    rw = Rewriter(leaves.graph, [rule])
    new = walk(rw, root, leaves.bound)
    assert new is not root, "the rule did not fire"
    assert not rw.exhausted
    assert new.shape == root.shape and new.kind == root.kind
    agree(rule, leaves, root, new)


@pytest.mark.parametrize(("rule", "build", "wrap"), cases())
def test_of_equal_sizes(
    rule: Rule, build: Build, wrap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rule tells axes apart by their sizes: here all are of one."""
    monkeypatch.setitem(globals(), "T", N)
    monkeypatch.setitem(globals(), "K", N)
    leaves = Leaves(wrap)
    root = build(leaves)
    agree(rule, leaves, root, walk(Rewriter(leaves.graph, [rule]), root, leaves.bound))


def agree(rule: Rule, leaves: Leaves, root: Node, new: Node) -> None:
    rng = np.random.default_rng(0)
    for draw in range(6):
        values = {}
        for name, leaf in leaves.made.items():
            shape = tuple(d.integer or SIZES[str(d)] for d in leaf.shape)
            if leaf.kind == "int":
                values[leaf] = rng.integers(0, 3, shape)
            elif rule.safety == "=" and draw >= 3:
                values[leaf] = rng.choice(SPECIAL, shape)
            else:
                values[leaf] = rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
            assert name
        before, after = evaluate([root, new], values, SIZES)
        if rule.safety == "=":
            np.testing.assert_array_equal(before, after)
        else:
            scale = np.maximum(1, np.abs(before))
            assert np.all(np.abs(before - after) <= 1e-12 * scale)


@pytest.mark.parametrize(
    "name", ["common_factor", "left_to_right", "sign_of_difference"]
)
def test_a_name_is_a_fence(name: str) -> None:
    """The same patterns, where the inner value is bound, are left alone."""
    leaves = Leaves(wrap=False)
    root = CASES[name][0](leaves)
    rw = Rewriter(leaves.graph, [RULES[name]])
    assert walk(rw, root, set(root.args)) is root


def test_what_two_read_is_a_fence() -> None:
    leaves = Leaves(wrap=False)
    d = x(leaves) - y(leaves)
    inner = d * z(leaves)
    root = -(inner + apply("exp", inner * x(leaves)))
    rw = Rewriter(leaves.graph, [RULES["left_to_right"]])
    assert walk(rw, root) is root
