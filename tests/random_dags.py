"""Random well-typed DAGs: 5 to 60 nodes, with sharing, broadcasting and axes of size 1.

A DAG is grown node by node, its values at hand all the while: what comes near a kink, leaves
the domain of an op or grows too large is not taken (the intervals of the values decide).
Of the ops that fit, those that a run of seeds has asked for least come first, so over a
run every op occurs often. The same seed gives the same DAG.

    dag = random_dag(7)
    dag.loss, dag.leaves          # a scalar node; each leaf with its values
    program_of(dag)               # the same as a `Program`: parameters, inputs, one loss
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from reference import dim_value, evaluate

from gradc.compiler import ops
from gradc.compiler.autodiff.reverse import trained
from gradc.compiler.ir.dims import ONE, Dim, Shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node
from gradc.compiler.ir.op import REGISTRY
from gradc.compiler.ir.program import (
    Binding,
    Equation,
    Input,
    Mode,
    Param,
    Program,
    Root,
)

SIZES = {"N": 3, "D": 2}
N, D = Dim.symbol("N"), Dim.symbol("D")
DIMS = (N, N, D, ONE, Dim.of(4))
MARGIN = 1e-3  # from a kink
LARGEST = 60.0
MOST = 60  # nodes

LEAVES = ("input", "param", "state", "noise", "seed", "const", "zero")
NOT_DRAWN = {
    "zero": "made by derivatives alone",
    "state": "written like a parameter",
    "noise": "written like an input",
    "seed": "the cotangent of the loss",
}
OPS = [
    op.name
    for op in REGISTRY.ops.values()
    if op.samples is not None or op.name in ("iota", "size")
]
# Asked for more often: what fits seldom (domains), or is simplified away (not).
SELDOM = """
    tan log not arcsin max arccos log1p or all and any inv logdet polygamma cholesky
    pow maximum where minimum power
    """.split()
TURNS = [*OPS, *SELDOM]
SMOOTH = {
    "exp",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "softplus",
    "log_softplus",
    "erf",
    "expm1",
}


@dataclass
class Dag:
    """A scalar loss with the leaves that it is made of, and their values."""

    graph: Graph
    loss: Node
    leaves: dict[Node, Any]
    sizes: dict[str, int]
    asked: list[str] = field(default_factory=list)  # the ops that it was asked to hold

    @property
    def params(self) -> list[Node]:
        return [n for n in self.leaves if n.op.name == "param"]

    @property
    def nodes(self) -> list[Node]:
        return topological([self.loss])


class _Grower:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.graph = Graph()
        self.values: dict[Node, Any] = {}
        self.leaves: dict[Node, Any] = {}
        self.pool: list[Node] = []  # what may be an argument
        self.unused: dict[Node, None] = {}

    # ------------------------------------------------------------------------ leaves
    def shape(self, most: int = 3) -> Shape:
        rank = int(self.rng.choice([0, 1, 2, 2, 3])) if most > 2 else most
        return tuple(DIMS[int(self.rng.integers(len(DIMS)))] for _ in range(rank))

    def numbers(self, shape: Shape) -> tuple[int, ...]:
        return tuple(dim_value(d, SIZES) for d in shape)

    def leaf(self, shape: Shape) -> Node:
        op = "param" if self.rng.random() < 0.7 else "input"
        name = f"{'w' if op == 'param' else 'x'}{len(self.leaves)}"
        node = self.graph.leaf(op, name, shape)
        self.put(node, self.rng.uniform(-2, 2, self.numbers(shape)))
        self.pool.append(node)
        return node

    def index(self, shape: Shape, high: int) -> Node:
        node = self.graph.leaf("input", f"i{len(self.leaves)}", shape, "int")
        self.put(node, self.rng.integers(0, high, self.numbers(shape)))
        return node

    def put(self, node: Node, value: Any) -> None:
        self.leaves[node] = np.asarray(value)
        self.values[node] = np.asarray(value)

    # ----------------------------------------------------------------------- choices
    def pick(self, items: Iterable[Any]) -> Any:
        items = list(items)
        return items[int(self.rng.integers(len(items)))]

    def any_real(self, fits: Callable[[Node], bool] = lambda n: True) -> Node:
        """A value at hand (often one that is used already), or a new leaf."""
        found = [n for n in self.pool if fits(n)]
        fresh = [n for n in found if n in self.unused]
        if found and self.rng.random() < 0.9:
            share = self.rng.random() < 0.4 or not fresh
            node: Node = self.pick(found if share else fresh)
            return node
        for _ in range(40):
            shape = self.shape()
            trial = self.graph.leaf("param", "trial", shape)
            if fits(trial):
                return self.leaf(shape)
        raise _Unfit

    def like(self, x: Node) -> Node:
        """A second argument: of the same shape, or of a smaller one that is spread."""
        same = [n for n in self.pool if n.shape == x.shape and n is not x]
        kind = self.rng.random()
        if same and kind < 0.5:
            node: Node = self.pick(same)
            return node
        if kind < 0.75 or not x.shape:
            return self.leaf(x.shape)
        cut = int(self.rng.integers(0, len(x.shape) + 1))
        tail = x.shape[cut:]
        tail = tuple(ONE if self.rng.random() < 0.3 else d for d in tail)
        return self.spread(self.leaf(tail), x.shape)

    def spread(self, x: Node, shape: Shape) -> Node:
        y = self.graph.broadcast(x, shape)
        self.value(y)
        return y

    def value(self, node: Node) -> Any:
        """The value, of what is new below the node too."""
        for n in topological([node], stop=self.values):
            if n not in self.values:
                known = {a: self.values[a] for a in n.args}
                self.values[n] = evaluate([n], known, SIZES)[0]
        return self.values[node]

    def flag(self, shape: Shape) -> Node:
        """Truth values: a comparison that is not near to turning."""
        a = self.any_real(lambda n: n.shape == shape)
        b = self.like(a)
        c = self.graph.apply(self.pick(["lt", "le"]), a, b)
        if np.min(np.abs(self.value(a) - self.value(b)), initial=1) < MARGIN:
            raise _Unfit
        self.value(c)
        return c

    # ------------------------------------------------------------------------ growing
    def grow(self, op: str) -> Node:
        special = getattr(self, f"op_{op}", None)
        if special is None and REGISTRY[op].family != "elementwise":
            made = self.from_case(op)
        else:
            made = special() if special else self.elementwise(op)
        value = self.value(made)
        if value.dtype == float:
            if (
                not np.isfinite(value).all()
                or np.max(np.abs(value), initial=0) > LARGEST
            ):
                raise _Unfit
            if value.size > 64:
                raise _Unfit
        elif made.kind != "real":
            made = self.as_real(made)
        self.pool.append(made)
        self.unused[made] = None
        for n in topological([made]):
            if n is not made:
                self.unused.pop(n, None)
        return made

    def as_real(self, node: Node) -> Node:
        """Truth values and whole numbers go on as factors."""
        real = self.graph.apply("cast", node, kind="real")
        x = self.like_shape(real.shape)
        scaled = x * self.graph.apply("tanh", real)
        self.value(scaled)
        return scaled

    def like_shape(self, shape: Shape) -> Node:
        same = [n for n in self.pool if n.shape == shape]
        if same and self.rng.random() < 0.6:
            node: Node = self.pick(same)
            return node
        return self.leaf(shape)

    def elementwise(self, op: str) -> Node:
        graph = self.graph
        match op:
            case "log" | "sqrt" | "power":
                x = self.any_real(lambda n: bool(np.min(self.of(n), initial=1) > 0.05))
                y = self.like(x)
                return graph.apply(op, x, y) if op == "power" else graph.apply(op, x)
            case "log1p":
                x = self.any_real(lambda n: bool(np.min(self.of(n), initial=1) > -0.9))
                return graph.apply(op, x)
            case "div":
                b = self.any_real(
                    lambda n: bool(np.min(np.abs(self.of(n)), initial=1) > 0.1)
                )
                return graph.apply(op, self.like(b), b)
            case "pow":
                e = self.pick([3, -2, 4, 1.5, -0.5])
                low = -np.inf if e in (3, 4) else 0.2
                x = self.any_real(lambda n: bool(np.min(self.of(n), initial=1) > low))
                return graph.apply("pow", x, exponent=e)
            case "abs" | "sign":
                x = self.any_real(self.off(0.0))
                return graph.apply(op, x)
            case "floor":
                x = self.any_real(lambda n: self.off_whole(n))
                return graph.apply(op, x) * 0.1 + x
            case "maximum" | "minimum" | "lt" | "le" | "eq":
                a = self.any_real()
                b = self.like(a) if self.rng.random() < 0.7 else graph.const(0)
                if np.min(np.abs(self.value(a) - self.of(b)), initial=1) < MARGIN:
                    raise _Unfit
                return graph.apply(op, a, b)
            case "lgamma" | "digamma" | "polygamma":
                x = self.any_real(lambda n: bool(np.min(self.of(n), initial=1) > 0.2))
                attrs = {"order": self.pick([1, 2])} if op == "polygamma" else {}
                return graph.apply(op, x, **attrs)
            case "arcsin" | "arccos" | "tan":
                x = self.any_real(
                    lambda n: bool(np.max(np.abs(self.of(n)), initial=0) < 0.95)
                )
                return graph.apply(op, x)
            case "xlogy":
                y = self.any_real(lambda n: bool(np.min(self.of(n), initial=1) > 0.05))
                return graph.apply(op, self.like(y), y)
            case "and" | "or":
                a = self.flag(self.shape())
                return graph.apply(op, a, self.flag(a.shape))
            case "not":
                return graph.apply(op, self.flag(self.shape()))
            case "cast":
                return self.as_real(self.flag(self.shape()))
            case "where":
                a = self.any_real()
                return graph.apply(op, self.flag(a.shape), a, self.like(a))
            case "add" | "sub" | "mul":
                a = self.any_real()
                other = self.like(a) if self.rng.random() < 0.8 else graph.const(1.5)
                return graph.apply(op, a, other)
            case "stop":
                x = self.any_real()
                return graph.apply("stop", x) * self.like(x)
            case _:
                return graph.apply(op, self.any_real())

    def from_case(self, op: str) -> Node:
        """An op that this file does not know: one of the cases of its record."""
        record = REGISTRY[op]
        case = self.pick(c for c in record.samples.cases if 0 not in sum(c.shapes, ()))
        ranges = case.args or record.samples.args
        args = []
        for k, shape in enumerate(case.shapes):
            r = ranges[min(k, len(ranges) - 1)]
            dims = tuple(Dim.of(d) for d in shape)
            if r.kind == "int":
                args.append(self.index(dims, int(r.high)))
            elif k == 0 and record.samples.matrices:
                args.append(self.regular(dims))
            else:
                args.append(self.like_shape(dims))
        return self.graph.apply(op, *args, **case.attrs)

    def regular(self, shape: Shape) -> Node:
        """A matrix that is diagonally dominant, and so definite."""
        x = self.graph.apply("tanh", self.like_shape(shape))
        rows = self.graph.apply("iota", shape=shape[-1:], axis=0, kind="int")
        eye = self.graph.apply("one_hot", rows, size=shape[-1])
        made = x + self.graph.broadcast(eye * 6, shape)
        self.value(made)
        return made

    def of(self, node: Node) -> Any:
        """The value; for a leaf that is only tried, nothing that any domain takes."""
        if node.op.name == "const":
            return self.value(node)
        return self.values[node] if node in self.values else np.full((1,), -9.0)

    def off(self, kink: float) -> Callable[[Node], bool]:
        return lambda n: bool(np.min(np.abs(self.of(n) - kink), initial=1) > MARGIN)

    def off_whole(self, n: Node) -> bool:
        x = self.of(n)
        return n in self.values and bool(
            np.min(np.abs(x - np.round(x)), initial=1) > MARGIN
        )

    # ----------------------------------------------------------------- ops with shapes
    def ranked(self, least: int = 1) -> Node:
        return self.any_real(lambda n: len(n.shape) >= least)

    def some_axes(self, x: Node) -> tuple[int, ...]:
        count = int(self.rng.integers(1, len(x.shape) + 1))
        return tuple(sorted(self.rng.permutation(len(x.shape))[:count].tolist()))

    def reduced(self, op: str) -> Node:
        x = self.ranked()
        y = self.graph.apply(op, x, axes=self.some_axes(x))
        if op == "max" and y is not x:
            gaps = np.sort(self.value(x).reshape(-1))
            if np.min(np.diff(gaps), initial=1) < MARGIN:
                raise _Unfit
        if self.rng.random() < 0.5:
            return y
        shape = tuple(d for d in y.shape if d != ONE)
        return self.graph.apply("reshape", y, shape=shape)

    def op_sum(self) -> Node:
        return self.reduced("sum")

    def op_max(self) -> Node:
        return self.reduced("max")

    def op_logsumexp(self) -> Node:
        return self.reduced("logsumexp")

    def op_softmax(self) -> Node:
        x = self.ranked()
        return self.graph.apply("softmax", x, axes=self.some_axes(x))

    def flags(self, op: str) -> Node:
        c = self.flag(self.ranked().shape)
        return self.graph.apply(op, c, axes=self.some_axes(c))

    def op_any(self) -> Node:
        return self.flags("any")

    def op_all(self) -> Node:
        return self.flags("all")

    def op_argmax(self) -> Node:
        x = self.ranked()
        return self.graph.apply("argmax", self.apart(x), axis=self.axis(x))

    def op_argsort(self) -> Node:
        x = self.ranked()
        return self.graph.apply("argsort", self.apart(x), axis=self.axis(x))

    def apart(self, x: Node) -> Node:
        if np.min(np.diff(np.sort(self.value(x).reshape(-1))), initial=1) < MARGIN:
            raise _Unfit
        return x

    def axis(self, x: Node) -> int:
        return int(self.rng.integers(len(x.shape)))

    def op_cumsum(self) -> Node:
        x = self.ranked()
        back = bool(self.rng.integers(2))
        return self.graph.apply("cumsum", x, axis=self.axis(x), reverse=back)

    def op_broadcast(self) -> Node:
        x = self.any_real(lambda n: len(n.shape) <= 2)
        filled = tuple(self.pick(DIMS) if d == ONE else d for d in x.shape)
        lead = (self.pick(DIMS),) if len(x.shape) < 2 or self.rng.random() < 0.5 else ()
        return self.graph.broadcast(x, lead + filled)

    def op_reshape(self) -> Node:
        x = self.ranked()
        shape = list(x.shape)
        if self.rng.random() < 0.4 and len(shape) > 1:
            k = int(self.rng.integers(len(shape) - 1))
            shape[k : k + 2] = [shape[k] * shape[k + 1]]
        else:
            shape.insert(int(self.rng.integers(len(shape) + 1)), ONE)
        if len(shape) > 4:
            raise _Unfit
        return self.graph.apply("reshape", x, shape=tuple(shape))

    def op_transpose(self) -> Node:
        x = self.ranked(2)
        perm = tuple(self.rng.permutation(len(x.shape)).tolist())
        return self.graph.apply("transpose", x, perm=perm)

    def bounds(self, x: Node) -> dict[str, Any]:
        starts, stops, steps = [], [], []
        for d in x.shape:
            n = dim_value(d, SIZES)
            kind = self.rng.random()
            if kind < 0.3 and n > 1:  # drop the first or the last
                first = bool(self.rng.integers(2))
                starts.append(Dim.of(1 if first else 0))
                stops.append(d if first else d - 1)
                steps.append(1)
            elif kind < 0.5:
                starts.append(d - 1)
                stops.append(Dim.of(-1))
                steps.append(-1)
            elif kind < 0.7 and d.integer == 4:
                starts.append(Dim.of(0))
                stops.append(d)
                steps.append(2)
            else:
                starts.append(Dim.of(0))
                stops.append(d)
                steps.append(1)
        return {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}

    def op_slice(self) -> Node:
        x = self.ranked()
        return self.graph.apply("slice", x, **self.bounds(x))

    def op_unslice(self) -> Node:
        x = self.ranked()
        axis = self.axis(x)
        before, after = (int(self.rng.integers(1, 3)) for _ in range(2))
        return ops.derived.pad(x, before, after, axis)

    def op_concat(self) -> Node:
        x = self.ranked()
        others = [self.like(x) for _ in range(int(self.rng.integers(1, 3)))]
        return self.graph.apply("concat", x, *others, axis=self.axis(x))

    # ---------------------------------------------------------------------- indexing
    def op_take(self) -> Node:
        x = self.ranked()
        axis = self.axis(x)
        i = self.index((self.pick(DIMS),), dim_value(x.shape[axis], SIZES))
        return self.graph.apply("take", x, i, axis=axis)

    def op_scatter_add(self) -> Node:
        g = self.ranked()
        axis = self.axis(g)
        i = self.index((g.shape[axis],), 4)
        return self.graph.apply("scatter_add", g, i, axis=axis, size=Dim.of(4))

    def op_pick(self) -> Node:
        x = self.ranked()
        i = self.index(x.shape[:-1], dim_value(x.shape[-1], SIZES))
        return self.graph.apply("pick", x, i)

    def op_put(self) -> Node:
        g = self.any_real(lambda n: len(n.shape) <= 2)
        return self.graph.apply("put", self.index(g.shape, 4), g, size=Dim.of(4))

    def op_one_hot(self) -> Node:
        shape = self.shape()[:2]
        return self.graph.apply("one_hot", self.index(shape, 4), size=Dim.of(4))

    def op_take_along(self) -> Node:
        x = self.ranked()
        axis = self.axis(x)
        i = self.index(x.shape, dim_value(x.shape[axis], SIZES))
        return self.graph.apply("take_along", x, i, axis=axis)

    def op_put_along(self) -> Node:
        g = self.ranked()
        i = self.index(g.shape, 4)
        return self.graph.apply("put_along", g, i, axis=self.axis(g), size=Dim.of(4))

    def op_iota(self) -> Node:
        return self.graph.apply("iota", shape=self.ranked().shape, axis=0, kind="int")

    def op_size(self) -> Node:
        x = self.any_real()
        return x / self.graph.size(self.pick([N, D, N * D]))

    # -------------------------------------------------------------------- contraction
    def op_einsum2(self) -> Node:
        a = self.ranked()
        letters = "ijkl"[: len(a.shape)]
        kind = self.rng.random()
        drop = letters[int(self.rng.integers(len(letters)))]
        size = a.shape[letters.index(drop)]
        if kind < 0.5:  # a product of matrices along one axis
            b = self.leaf((size, self.pick(DIMS)))
            spec = f"{letters},{drop}m->{letters.replace(drop, '')}m"
        elif kind < 0.75:  # with an axis in common
            b, rest = self.like(a), letters.replace(drop, "")
            spec = f"{letters},{letters}->{rest}"
        else:
            b = self.leaf((self.pick(DIMS),))
            spec = f"{letters},m->{letters}m" if len(letters) < 3 else ""
            if not spec:
                raise _Unfit
        return self.graph.apply("einsum2", a, b, spec=spec)


class _Unfit(Exception):
    """This op does not fit here: another is tried."""


def random_dag(seed: int, wanted: int | None = None) -> Dag:
    """The DAG of a seed. Seeds in a row ask for the ops in turn."""
    grower = _Grower(seed)
    rng = grower.rng
    for _ in range(2):
        grower.leaf(grower.shape())
    steps = int(wanted or rng.integers(4, 26))
    asked, failures = [], 0
    turn = seed * 11
    while len(asked) < steps and failures < 200:
        op = TURNS[turn % len(TURNS)] if rng.random() < 0.9 else grower.pick(OPS)
        turn += 1
        try:
            node = grower.grow(op)
        except _Unfit:
            failures += 1
            continue
        asked.append(op)
        if len(topological([*grower.unused, node])) + 5 * len(grower.unused) > MOST:
            break
    loss = _loss(grower)
    reached = set(topological([loss]))
    leaves = {n: v for n, v in grower.leaves.items() if n in reached}
    return Dag(grower.graph, loss, leaves, dict(SIZES), asked)


def _loss(grower: _Grower) -> Node:
    """The mean of what nothing else uses, squashed so that no part drowns the others."""
    graph = grower.graph
    total: Node | None = None
    for node in grower.unused:
        part = graph.apply("sin", node) if node.kind == "real" else node
        if part.shape:
            part = ops.derived.mean(part)
        more = part if total is None else total + part
        if total is None or len(topological([more])) <= MOST - 2:
            total = more
    if total is None:
        total = ops.derived.mean(graph.apply("sin", grower.pool[-1]))
    if not any(n.op.name == "param" for n in trained([total])):
        w = graph.leaf("param", "w", ())
        grower.put(w, grower.rng.uniform(-2, 2))
        total = total * w
    while len(topological([total])) < 5:
        total = graph.apply("tanh", total) * 1.5
    return total


def program_of(dag: Dag) -> Program:
    """The DAG as a checked program: one equation, one loss; inputs of 0 bind the sizes."""
    nodes = dag.nodes
    inputs = tuple(Input(n.attrs["name"], n, 1) for n in nodes if n.op.name == "input")
    params = tuple(
        Param(n.attrs["name"], n, dag.graph.const(0), 1, n.attrs["name"])
        for n in nodes
        if n.op.name == "param"
    )
    used = {s for n in inputs for d in n.node.shape for s in d.symbols()}
    missing = {s for n in nodes for d in n.shape for s in d.symbols()} - used
    missing |= {
        s for n in nodes if n.op.name == "size" for s in n.attrs["dim"].symbols()
    } - used
    loss = dag.loss
    for s in sorted(missing | set(dag.sizes) - used):  # an input binds every size
        leaf = dag.graph.leaf("input", f"bind{s}", (Dim.symbol(s),))
        dag.leaves[leaf] = np.zeros(dag.sizes[s])
        inputs = (*inputs, Input(f"bind{s}", leaf, 1))
        loss = loss + ops.derived.mean(leaf)
    root = Root("loss", loss, 0)
    mode = Mode((Binding(0, "loss", loss),), (root,), (), (), root)
    return Program(
        name="random.net",
        sha256="0" * 64,
        doc=(),
        graph=dag.graph,
        constants=(),
        inputs=inputs,
        params=params,
        equations=(Equation(0, "loss = …", 1, "random.net"),),
        training=mode,
        evaluation=mode,
    )
