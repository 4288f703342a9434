"""An expression of one step of a loop, for all steps at once: with the steps in front.

tanh(x_t @ W + b)    for every t is    tanh(x @ W + b)    of the whole sequence x
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ...ir.dims import ONE, Dim
from ...ir.graph import Graph, rebuild, topological
from ...ir.node import Node

Leaves = Mapping[Node, tuple[Node | None, bool]]
"""The outer value of a formal (or of a collected node), and whether it has the steps in front."""
REWRITING = [True]
ALL = [False]


@contextmanager
def rewriting(on: bool) -> Iterator[None]:
    """Switch the three rewrites on or off (they change cost, never values)."""
    REWRITING.append(on)
    try:
        yield
    finally:
        REWRITING.pop()


@contextmanager
def hoisting_all(on: bool = True) -> Iterator[None]:
    """Take elementwise work without a carry out of loops too: fewer calls, more memory."""
    ALL.append(on)
    try:
        yield
    finally:
        ALL.pop()


def lifted(
    graph: Graph,
    root: Node,
    steps: Dim,
    leaves: Leaves,
) -> tuple[Node | None, bool]:
    """`root` for all steps at once, and whether it varies; (None, True) if it cannot be."""
    found: dict[Node, tuple[Node, bool]] = {}
    for n in topological([root], stop=leaves.keys()):
        if n in leaves:
            value, varies = leaves[n]
            if value is None:
                return None, True
            found[n] = (value, varies)
            continue
        args = [found[a] for a in n.args]
        if not any(varies for _, varies in args):
            found[n] = (rebuild(graph, n, tuple(v for v, _ in args)), False)
            continue
        with graph.at(n.origin):
            made = _lift(graph, n, args, steps)
        if made is None:
            return None, True
        if n in graph.hints:
            graph.hint(made, *graph.hints[n])
        found[n] = (made, True)
    return found[root]


def spread(graph: Graph, x: Node, steps: Dim) -> Node:
    """A value that does not vary, repeated for every step."""
    return graph.broadcast(x, (steps, *x.shape))


def _lift(
    graph: Graph, n: Node, args: list[tuple[Node, bool]], steps: Dim
) -> Node | None:
    """`n` on operands with the steps in front; None where there is no such form."""
    name, a = n.op.name, n.attrs
    x, varies = args[0]
    shape = (steps, *n.shape)
    if n.op.family == "elementwise":
        full = [v if var else spread(graph, v, steps) for v, var in args]
        return graph.apply(name, *full, **a)
    if name == "einsum2":
        return _lift_product(graph, a["spec"], args)
    if name in ("take", "scatter_add"):
        if varies or a["axis"] != 0 or name == "scatter_add":
            return None
        return graph.apply("take", x, args[1][0], axis=0)
    if name in ("pick", "put", "one_hot", "concat"):
        full = [v if var else spread(graph, v, steps) for v, var in args]
        moved = {**a, "axis": a["axis"] + 1} if name == "concat" else a
        return graph.apply(name, *full, **moved)
    if len(args) != 1:
        return None
    if name == "broadcast":
        lead = len(n.shape) - len(n.args[0].shape)
        column = (steps, *([ONE] * lead), *n.args[0].shape)
        return graph.broadcast(graph.apply("reshape", x, shape=column), shape)
    if name == "reshape":
        return graph.apply("reshape", x, shape=shape)
    if name == "transpose":
        return graph.apply("transpose", x, perm=(0, *(p + 1 for p in a["perm"])))
    if "axes" in a:
        return graph.apply(name, x, **{**a, "axes": tuple(i + 1 for i in a["axes"])})
    if name in ("argmax", "cumsum", "argsort"):
        return graph.apply(name, x, **{**a, "axis": a["axis"] + 1})
    if name in ("slice", "unslice"):
        whole = {
            "starts": (Dim.of(0), *a["starts"]),
            "stops": (steps, *a["stops"]),
            "steps": (1, *a["steps"]),
        }
        if name == "unslice":
            whole["shape"] = shape
        return graph.apply(name, x, **whole)
    return None


def _lift_product(graph: Graph, spec: str, args: list[tuple[Node, bool]]) -> Node:
    """The steps are one more axis of the product: a batch of it, or rows of a matrix."""
    inputs, output = spec.split("->")
    left, right = inputs.split(",")
    t = fresh(spec)
    marked = [
        t + s if var else s for s, (_, var) in zip((left, right), args, strict=True)
    ]
    nodes = [v for v, _ in args]
    return graph.apply("einsum2", *nodes, spec=f"{marked[0]},{marked[1]}->{t}{output}")


def fresh(spec: str) -> str:
    """A letter that no operand has."""
    return next(c for c in "tuvwxyzabcdefghijklmnopqrs" if c not in spec)
