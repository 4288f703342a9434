"""Values at hand: what random DAGs take their arguments from.

Every node that is grown has its value beside it, so that an argument can be asked for by what
it holds: away from a kink, above a bound, of a shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from reference import dim_value, evaluate

from gradc.compiler.ir.dims import ONE, Dim, Shape
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node

SIZES = {"N": 3, "D": 2}
N, D = Dim.symbol("N"), Dim.symbol("D")
DIMS = (N, N, D, ONE, Dim.of(4))
MARGIN = 1e-3  # from a kink


class Unfit(Exception):
    """This op does not fit here: another is tried."""


class Pool:
    """The nodes of one DAG, with their values."""

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
        raise Unfit

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
            raise Unfit
        self.value(c)
        return c

    def like_shape(self, shape: Shape) -> Node:
        same = [n for n in self.pool if n.shape == shape]
        if same and self.rng.random() < 0.6:
            node: Node = self.pick(same)
            return node
        return self.leaf(shape)

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

    def above(self, low: float) -> Node:
        """A value that nowhere goes down to a bound."""
        return self.any_real(lambda n: bool(np.min(self.of(n), initial=1) > low))

    # ------------------------------------------------------------------------- axes
    def ranked(self, least: int = 1) -> Node:
        return self.any_real(lambda n: len(n.shape) >= least)

    def some_axes(self, x: Node) -> tuple[int, ...]:
        count = int(self.rng.integers(1, len(x.shape) + 1))
        return tuple(sorted(self.rng.permutation(len(x.shape))[:count].tolist()))

    def apart(self, x: Node) -> Node:
        if np.min(np.diff(np.sort(self.value(x).reshape(-1))), initial=1) < MARGIN:
            raise Unfit
        return x

    def axis(self, x: Node) -> int:
        return int(self.rng.integers(len(x.shape)))
