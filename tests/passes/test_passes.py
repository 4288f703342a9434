"""The passes together: value kept, idempotent, deterministic, linear, and how they read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from calls import calls
from reference import evaluate

from gradc.compiler.autodiff.reverse import differentiate, grad
from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.ir.graph import Graph, ancestors, topological
from gradc.compiler.ir.node import Node, Origin
from gradc.compiler.ir.program import (
    Binding,
    Equation,
    Joint,
    Mode,
    Param,
    Program,
    Root,
)
from gradc.compiler.ops import contraction, derived
from gradc.compiler.passes import ALGEBRA, PASSES, run_pass, run_passes, tidy
from gradc.compiler.passes.mapping import State, bound_in, roots_of
from gradc.compiler.passes.patterns import Rewriter, Rule
from gradc.compiler.passes.uses import count_uses

Make = Callable[[int], "Builder"]
SIZES = {"N": 4, "T": 3}
N, T = Dim.symbol("N"), Dim.symbol("T")
HIDDEN = Dim.constant("hidden", 5)


class Builder:
    """A program by hand: equations, bindings, losses, parameters."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.equations: list[Equation] = []
        self.bindings: list[Binding] = []
        self.params: list[Param] = []
        self.losses: list[Root] = []
        self.outputs: list[Root] = []

    def input(self, name: str, *shape: Dim | int, kind: str = "real") -> Node:
        return self.graph.leaf("input", name, shape, kind)

    def param(self, name: str, *shape: Dim | int) -> Node:
        node = self.graph.leaf("param", name, shape)
        fill = self.graph.broadcast(self.graph.const(0), as_shape(shape))
        self.params.append(Param(name, node, fill, 1, name))
        return node

    def bind(self, name: str, node: Node) -> Node:
        number = len(self.equations)
        self.equations.append(Equation(number, name, number + 1))
        self.bindings.append(Binding(number, name, node))
        self.graph.origin = Origin(number + 1)
        return node

    def loss(self, name: str, node: Node) -> Node:
        self.losses.append(Root(name, node, len(self.equations)))
        return self.bind(name, node)

    def output(self, name: str, node: Node) -> Node:
        self.outputs.append(Root(name, node, len(self.equations)))
        return self.bind(name, node)

    def joint(self) -> Joint:
        total = None
        if self.losses:
            total = self.losses[0]
            node = total.node
            for other in self.losses[1:]:
                node = node + other.node
            if len(self.losses) > 1:
                total = Root("loss", self.bind("loss", node), len(self.equations) - 1)
        mode = Mode(
            tuple(self.bindings), tuple(self.losses), (), tuple(self.outputs), total
        )
        return differentiate(
            Program(
                "test.net",
                "0" * 64,
                (),
                self.graph,
                (),
                (),
                tuple(self.params),
                tuple(self.equations),
                mode,
                mode,
            )
        )


def cross_entropy(scores: Node, label: Node) -> Node:
    last = len(scores.shape) - 1
    lse = scores.graph.apply("logsumexp", scores, axes=(last,))
    return derived.mean(derived.squeeze(lse, (last,)) - derived.pick(scores, label))


def digits(b: Builder) -> dict[str, Node]:
    """relu, cross-entropy and a weight decay: what the architecture shows."""
    g = b.graph
    x, digit = b.input("x", N, T), b.input("digit", N, kind="int")
    W1, b1 = b.param("W1", T, HIDDEN), b.param("b1", HIDDEN)
    W2, b2 = b.param("W2", HIDDEN, 3), b.param("b2", 3)
    z = g.hint(contraction.matmul(g, x, W1) + g.broadcast(b1, (N, HIDDEN)), "z")
    h = b.bind("h", g.apply("maximum", z, 0))
    out = (N, Dim.of(3))
    scores = contraction.matmul(g, h, W2) + g.broadcast(b2, out)
    b.bind("scores", scores)
    b.loss("fit", cross_entropy(scores, digit))
    decay = g.const(1e-4, name="lambda")
    b.loss("decay", decay * (derived.total(W1 * W1) + derived.total(W2 * W2)))
    return {"h": h, "scores": scores, "digit": digit, "W1": W1, "W2": W2, "x": x}


def after(joint: Joint, node: Node) -> Node:
    return joint.image[node]


# ------------------------------------------------------------------- how it reads
def test_cross_entropy_reads_as_by_hand() -> None:
    """d_scores = e / total;  d_scores[np.arange(N), digit] -= 1;  *= d_loss / N."""
    b = Builder()
    v = digits(b)
    raw = b.joint()
    joint = run_passes(raw, 1)
    g = b.graph
    adjoint = joint.adjoints[after(joint, v["scores"])]
    m = g.apply("max", v["scores"], axes=(1,))
    e = g.apply("exp", v["scores"] - g.broadcast(m, v["scores"].shape))
    total = g.apply("sum_over", e, axes=(1,), keep=True)
    p = e / g.broadcast(total, e.shape)
    one = g.broadcast(g.const(1), (N,))
    seed = g.leaf("seed", "d_loss", ())
    put = g.apply("put_on", p, v["digit"], one, minus=True)
    assert adjoint is put * g.broadcast(seed / g.size(N), put.shape)
    live = topological(roots_of(joint))
    assert len([n for n in live if n.is_a("exp")]) == 1  # forward and backward share it
    assert not any(n.is_a("softmax", "logsumexp", "put", "one_hot") for n in live)


def test_weight_decay_reads_as_by_hand() -> None:
    """d_W1 = 2 * lambda_ * d_loss * W1."""
    b = Builder()
    v = digits(b)
    joint = run_passes(b.joint(), 1)
    g = b.graph
    s = 2 * g.const(1e-4, name="lambda") * g.leaf("seed", "d_loss", ())
    expected = g.broadcast(s, v["W1"].shape) * v["W1"]
    assert expected in ancestors([joint.gradients["W1"]])


def test_relu_backward_is_a_product_with_the_mask() -> None:
    b = Builder()
    v = digits(b)
    joint = run_passes(b.joint(), 1)
    h = after(joint, v["h"])
    masks = [n for n in topological(roots_of(joint)) if n.is_a("masked")]
    assert [n.args[0] for n in masks] == [joint.adjoints[h]]
    assert masks[0].args[1] is b.graph.apply("lt", 0, h)


def test_quadratic_cost_reads_as_by_hand() -> None:
    """d_a = (a - target) * (d_loss / N)."""
    b = Builder()
    g = b.graph
    digit, W = b.input("digit", N, kind="int"), b.param("W", N, 3)
    a = b.bind("a", g.apply("sigmoid", W))
    difference = derived.one_hot(digit, Dim.of(3)) - a
    b.loss("C", derived.total(difference * difference) / (2 * g.size(N)))
    joint = run_passes(b.joint(), 1)
    seed = g.leaf("seed", "d_loss", ())
    target = derived.one_hot(digit, Dim.of(3))
    expected = (a - target) * g.broadcast(seed / g.size(N), a.shape)
    assert joint.adjoints[a] is expected
    d_a = expected
    assert joint.gradients["W"] is d_a * a * (1 - a)


def test_a_named_put_is_a_one_hot() -> None:
    """The labels' part of an adjoint that other equations go on adding to."""
    b = Builder()
    g = b.graph
    digit, W = b.input("digit", N, kind="int"), b.param("W", N, 3)
    z = b.bind("z", g.apply("sin", W))
    b.loss("picked", -derived.mean(derived.pick(z, digit)))
    b.loss("square", derived.total(z * z))
    live = topological(roots_of(run_passes(b.joint(), 1)))
    assert not any(n.is_a("put") for n in live)
    assert any(n.is_a("one_hot", "put_on") for n in live)


def test_mean_is_one_value() -> None:
    b = Builder()
    w = b.param("w", N)
    b.loss("L", derived.mean(w * w))
    joint = run_passes(b.joint(), 1)
    assert joint.program.training.losses[0].node is b.graph.apply(
        "mean_over", w * w, axes=(0,), keep=False
    )


def test_layernorm_backward_is_the_textbook_s() -> None:
    """No term twice: means of what goes back, not sums divided by sizes."""
    b = Builder()
    g = b.graph
    x = b.bind("h", g.apply("sin", b.param("x", N, T)))
    centred = x - g.broadcast(derived.mean(x, (1,), keep=True), x.shape)
    root = g.apply("sqrt", derived.mean(centred * centred, (1,), keep=True) + 1e-5)
    b.loss("L", derived.total(g.apply("tanh", centred / g.broadcast(root, x.shape))))
    live = topological(roots_of(run_passes(b.joint(), 1)))
    backward = [n for n in live if n.is_a("mean_over")]
    assert len(backward) == 4  # two forward, two backward
    assert not any(n.is_a("div") and n.args[1].is_a("size") for n in live)


# ------------------------------------------------------------------- late expansion
def walked(g: Graph, rules: tuple[Rule, ...], roots: list[Node]) -> dict[Node, Node]:
    order = topological(roots)
    return Rewriter(g, rules).walk(order, count_uses(order, roots))


def expanded(x: Node, level: int = 0) -> list[Node]:
    p = x.graph.apply("softmax", x, axes=(1,))
    out = walked(x.graph, PASSES[1].rules, [p])[p]
    return topological([out])


@pytest.mark.parametrize(
    ("make", "guarded"),
    [
        (lambda g: g.leaf("param", "w", (N, T)), False),
        (lambda g: g.leaf("input", "x", (N, T)), True),
        (lambda g: g.apply("sin", g.leaf("input", "x", (N, T))), False),
        (lambda g: g.leaf("input", "x", (N, T)) * 0.5, False),
        (lambda g: g.apply("log", g.leaf("param", "w", (N, T))) + 1, True),
        (lambda g: g.leaf("param", "w", (N, T - 1)), True),  # T may be 1
        (
            lambda g: g.apply(
                "where",
                derived.causal_mask(g.leaf("param", "w", (T, T)), T),
                g.leaf("param", "w", (T, T)),
                g.broadcast(g.const(-np.inf), (T, T)),
            ),
            True,
        ),
    ],
)
def test_guards_stand_where_minus_infinity_can_come_in(
    make: object, guarded: bool
) -> None:
    g = Graph()
    nodes = expanded(make(g))
    assert any(n.is_a("finite") for n in nodes) == guarded


def test_masked_rows_have_no_nan() -> None:
    """-inf entries weigh nothing; a row of nothing else is zero, its lse -inf."""
    g = Graph()
    x = g.leaf("input", "x", (N, T))
    p = g.apply("softmax", x, axes=(1,))
    lse = g.apply("logsumexp", x, axes=(1,))
    table = walked(g, PASSES[1].rules, [p, lse])
    at = np.array([[0.0, -np.inf, 1.0], [-np.inf] * 3, [800.0, 0, 0], [-800.0] * 3])
    before = evaluate([p, lse], {x: at}, SIZES)
    now = evaluate([table[p], table[lse]], {x: at}, SIZES)
    for a, c in zip(before, now, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-15)
    assert now[1][1, 0] == -np.inf and not np.isnan(now[0]).any()


# ------------------------------------------------------------------- tables
def test_names_follow_their_values() -> None:
    b = Builder()
    digits(b)
    raw = b.joint()
    joint = run_passes(raw, 1)
    live = ancestors(roots_of(joint))
    before = [x.name for x in raw.program.training.bindings]
    assert [x.name for x in joint.program.training.bindings] == before
    assert all(x.node in live for x in joint.program.training.bindings)
    assert joint.program.evaluation is joint.program.training
    assert set(joint.gradients) == set(raw.gradients)
    assert all(a in live for a in joint.adjoints.values())
    assert all(p in live for _, _, p in joint.partials)
    assert joint.before is raw
    for path, node in raw.gradients.items():
        assert joint.image[node] is joint.gradients[path]
    names = {name for n in live if (name := b.graph.hints.get(n, ("",))[0])}
    assert {"shifted", "e", "total", "z"} <= names


def test_what_is_unreachable_loses_its_binding() -> None:
    b = Builder()
    w = b.param("w", N)
    b.bind("dead", b.graph.apply("exp", w))
    b.loss("L", derived.total(w * w))
    joint = run_passes(b.joint(), 1)
    assert [x.name for x in joint.program.training.bindings] == ["L"]


def test_level_0_rewrites_nothing_but_softmax() -> None:
    b = Builder()
    digits(b)
    raw = b.joint()
    joint = run_passes(raw, 0)
    kept = [n for n in topological(roots_of(raw)) if after(joint, n) is n]
    rewritten = [n for n in topological(roots_of(raw)) if after(joint, n) is not n]
    assert len(kept) > 20
    for n in rewritten:
        assert after(joint, n).op is n.op or n.is_a("softmax", "logsumexp")


# ------------------------------------------------------------------- properties
UNARY = ("sin", "tanh", "sigmoid", "exp", "softplus", "neg", "cos", "erf")
BINARY = ("add", "sub", "mul", "mul", "add", "sub", "maximum", "div")


def random_program(seed: int) -> Builder:
    """A random program with shared values, names, broadcasts and every family of ops."""
    rng = np.random.default_rng(seed)
    b = Builder()
    g = b.graph
    full = (N, T)
    pool: list[Node] = [b.param("A", N, T), b.param("B", N, T)]
    pool.append(g.broadcast(b.param("r", T), full))
    pool.append(g.broadcast(b.param("c", N, 1), full))
    s = b.param("s")
    square = b.param("Q", T, T)
    index = b.input("i", N, kind="int")

    def small(n: Node) -> Node:
        return n if n.op.family == "leaf" else g.apply("tanh", n)

    def step() -> Node:
        a, c = (pool[rng.integers(max(0, len(pool) - 5), len(pool))] for _ in "ab")
        kind = rng.integers(0, 14)
        match kind:
            case 0 | 1:
                return g.apply(str(rng.choice(UNARY)), small(a))
            case 2 | 3 | 4:
                op = str(rng.choice(BINARY))
                return g.apply(op, a, c * c + 1 if op == "div" else small(c))
            case 5:
                return a * g.broadcast(s, full) * float(rng.choice([2, -1, 0.5, -3]))
            case 6:
                return g.apply("softmax", a, axes=(int(rng.integers(0, 2)),))
            case 7:
                axis = int(rng.integers(0, 2))
                lse = g.apply("logsumexp", a, axes=(axis,))
                return g.broadcast(lse, full) - a
            case 8:
                spec = "ij,jk->ik" if rng.random() < 0.5 else "ij,kj->ik"
                return g.apply("einsum2", small(a), square, spec=spec)
            case 9:
                axes = ((0,), (1,), (0, 1))[int(rng.integers(0, 3))]
                return a - g.broadcast(derived.mean(a, axes, keep=True), full)
            case 10:
                positive = g.apply("lt", g.broadcast(g.const(0.1), full), a)
                return g.apply("where", positive, small(c), a)
            case 11:
                first = derived.cut(a, 1, 0, 1)
                second = derived.cut(c, 1, 1, T)
                return g.apply("concat", first, second, axis=1)
            case 12:
                picked = g.apply(
                    "reshape", derived.pick(a, index), shape=as_shape((N, 1))
                )
                return a * g.broadcast(picked, full)
            case _:
                turned = g.apply("transpose", small(a), perm=(1, 0))
                product = g.apply("einsum2", turned, c, spec="ij,jk->ik")
                return g.apply(
                    "einsum2", small(a), product / g.size(N), spec="ij,jk->ik"
                )

    for k in range(int(rng.integers(4, 14))):
        node = step()
        pool.append(b.bind(f"v{k}", node) if rng.random() < 0.35 else node)
    b.loss("first", derived.mean(small(pool[-1]) * small(pool[-2])))
    if rng.random() < 0.5:
        b.loss("second", 0.5 * derived.total(small(pool[-3]) * small(pool[-3])))
    b.output("out", g.apply("softmax", pool[-1], axes=(1,)))
    return b


def random_scalars(seed: int) -> Builder:
    """Formulas of two numbers with their first and second derivatives."""
    rng = np.random.default_rng(seed)
    b = Builder()
    g = b.graph
    x, y = b.param("x"), b.param("y")
    pool = [x, y, x * y]
    for k in range(int(rng.integers(3, 8))):
        a, c = (pool[rng.integers(0, len(pool))] for _ in "ac")
        node = [
            lambda a=a: g.apply(str(rng.choice(UNARY[:5])), g.apply("sin", a)),
            lambda a=a, c=c: a * c,
            lambda a=a, c=c: a / (1 + c * c),
            lambda a=a, c=c: float(rng.choice([2, -1, 0.5, 3])) * a - c,
            lambda a=a: g.apply("pow", g.apply("cos", a), exponent=3),
            lambda a=a: 1 / g.apply("exp", g.apply("sin", a)),
            lambda a=a: g.apply("sqrt", a * a + 1),
        ][int(rng.integers(0, 7))]()
        pool.append(b.bind(f"v{k}", node) if rng.random() < 0.4 else node)
    f = b.output("f", g.apply("sin", pool[-1]) * g.apply("cos", pool[-2]))
    g.deriving = True
    f_x = b.output("f_x", grad(f, x))
    b.output("f_xy", grad(f_x, y))
    b.loss("L", f)
    return b


def leaf_values(joint: Joint, roots: Iterable[Node], seed: int) -> dict[Node, object]:
    rng = np.random.default_rng(seed + 1)
    values: dict[Node, object] = {}
    for n in topological(roots):
        if n.is_a("input", "param", "seed"):
            shape = tuple(d.integer or SIZES[str(d)] for d in n.shape)
            if n.kind == "int":
                values[n] = rng.integers(0, 3, shape)
            else:
                values[n] = rng.uniform(0.3, 1.2, shape) * rng.choice([-1, 1], shape)
    return values


PROGRAMS = [
    pytest.param(make, seed, id=f"{name}-{seed}")
    for name, make in (("arrays", random_program), ("scalars", random_scalars))
    for seed in range(60)  # each rule fires within fifty
]


@pytest.mark.parametrize(("make", "seed"), PROGRAMS)
def test_every_pass_keeps_values(make: Make, seed: int) -> None:
    joint = make(seed).joint()
    roots = roots_of(joint)
    at = leaf_values(joint, roots, seed)
    before = evaluate(roots, at, SIZES)
    state = State(joint)
    for p in PASSES:
        run_pass(state, p)
        now = evaluate([state.image(r) for r in roots], at, SIZES)
        for a, b in zip(before, now, strict=True):
            assert np.all(np.abs(a - b) <= 1e-10 * np.maximum(1, np.abs(a))), p.name


@pytest.mark.parametrize(("make", "seed"), PROGRAMS)
def test_idempotent(make: Make, seed: int) -> None:
    """opt(opt(d)) is opt(d): interning makes it a check of identity."""
    for level in (0, 1):
        once = run_passes(make(seed).joint(), level)
        again = run_passes(once, level)
        assert roots_of(again) == roots_of(once)
        assert bound_in(again) == bound_in(once)


@pytest.mark.parametrize("seed", range(0, 150, 10))
def test_deterministic(seed: int) -> None:
    def printed() -> list[str]:
        joint = run_passes(random_program(seed).joint(), 1)
        return [
            f"{n!r} {[repr(a) for a in n.args]} {sorted(n.attrs)}"
            for n in topological(roots_of(joint))
        ]

    assert printed() == printed()


@pytest.mark.parametrize(("make", "seed"), PROGRAMS[::3])
def test_the_algebra_runs_out_of_work_before_fuel(make: Make, seed: int) -> None:
    joint = make(seed).joint()
    state = State(joint)
    rw = Rewriter(joint.program.graph, ALGEBRA)
    rw.walk(state.order, state.uses, state.bound)
    assert not rw.exhausted


def test_tidy_leaves_names_alone() -> None:
    g = Graph()
    x, y = g.leaf("input", "x", (N,)), g.leaf("input", "y", (N,))
    d = x - y
    root = -(d * 2)
    assert tidy(g, [root], [d])[root] is -(d * 2)
    assert tidy(g, [root])[root] is (y - x) * 2


# ------------------------------------------------------------------- work
def chain(n: int) -> Joint:
    """n equations, each of which reads the one before twice."""
    b = Builder()
    g = b.graph
    w, h = b.param("w", N), b.param("h0", N)
    for k in range(n):
        h = b.bind(f"h{k}", g.apply("tanh", h * w) - 0.5 * h)
    b.loss("L", derived.mean(h * h))
    return b.joint()


def test_work_is_linear() -> None:
    """Twice the equations take twice the calls: no walk starts again."""

    def work(n: int) -> int:
        joint = chain(n)
        return calls(lambda: run_passes(joint, 1))

    work(10)  # what is done once
    assert work(300) < 2.05 * work(150)


def test_deep_chains_need_no_stack() -> None:
    joint = run_passes(chain(1000), 1)
    assert set(joint.gradients) == {"w", "h0"}


def test_slices_go_back_into_one_buffer() -> None:
    """x[t] for every t: the adjoint is filled piece by piece, never n arrays of size n."""
    b = Builder()
    g = b.graph
    n = 100
    x = b.param("x", n)
    total: Node = g.const(0)
    for t in range(n):
        total = total + g.apply("sin", derived.element(x, 0, t))
    b.loss("L", total)
    raw = b.joint()
    joint = run_passes(raw, 1)
    live = topological(roots_of(joint))
    assert not any(k.is_a("add") and k.shape == as_shape((n,)) for k in live)
    at = {x: np.linspace(-1, 1, n), raw.seed: np.asarray(1.0)}
    (got,) = evaluate([joint.gradients["x"]], at)
    np.testing.assert_allclose(got, np.cos(at[x]), rtol=1e-13)
