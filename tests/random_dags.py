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

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from random_ops import Grower
from random_values import SIZES, Unfit

from gradc.compiler import ops
from gradc.compiler.autodiff.reverse import trained
from gradc.compiler.ir.dims import Dim
from gradc.compiler.ir.graph import Graph, topological
from gradc.compiler.ir.node import Node
from gradc.compiler.ir.program import (
    Binding,
    Equation,
    Input,
    Mode,
    Param,
    Program,
    Root,
)
from gradc.compiler.ops import REGISTRY

MOST = 60  # nodes

NOT_DRAWN = {
    "zero": "made by derivatives alone",
    "state": "written like a parameter",
    "noise": "written like an input",
    "seed": "the cotangent of the loss",
}
# By name, so that the DAG of a seed does not depend on which module declares an op first.
OPS = sorted(
    op.name
    for op in REGISTRY.ops.values()
    if op.samples is not None or op.name in ("iota", "size")
)
# Asked for more often: what fits seldom (domains), or is simplified away (not).
SELDOM = """
    tan log not arcsin max arccos log1p or all and any inv logdet polygamma cholesky
    pow maximum where minimum power xlogy lgamma digamma
    """.split()
TURNS = [*OPS, *SELDOM]


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


def random_dag(seed: int, wanted: int | None = None) -> Dag:
    """The DAG of a seed. Seeds in a row ask for the ops in turn."""
    grower = Grower(seed)
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
        except Unfit:
            failures += 1
            continue
        asked.append(op)
        if len(topological([*grower.unused, node])) + 5 * len(grower.unused) > MOST:
            break
    loss = _loss(grower)
    reached = set(topological([loss]))
    leaves = {n: v for n, v in grower.leaves.items() if n in reached}
    return Dag(grower.graph, loss, leaves, dict(SIZES), asked)


def _loss(grower: Grower) -> Node:
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
    shapes = [n.node.shape for n in inputs]
    used = {s for h in shapes for d in h for s in d.symbols() if d == Dim.symbol(s)}
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
