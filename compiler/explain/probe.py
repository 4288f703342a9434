"""A program whose outputs are the values of another one: how numbers get beside formulas.

In: a program and nodes of its graph by name, adjoints among them. Out: a program that computes
just these. It is compiled, guarded and executed like any other, so that what is shown is what
runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir.graph import Graph, rewrite
from ..ir.node import Node
from ..ir.program import Binding, Mode, Program, Root


def probe(program: Program, wanted: Mapping[str, Node]) -> Program:
    """The program that outputs `wanted`. Its parameters stay those of the program.

    The adjoint of the loss, from which adjoints are made, is 1.
    """
    seeded = rewrite(program.graph, wanted.values(), _one)
    outputs = tuple(
        Root(name, seeded[node], max(node.origin.equation, 0))
        for name, node in wanted.items()
    )
    # Bound, so that no line reads through them.
    bindings = tuple(Binding(r.equation, r.name, r.node) for r in outputs)
    mode = Mode(bindings, (), (), outputs)
    return replace(program, training=mode, evaluation=mode, classes_of={})


def _one(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node | None:
    loss = node.op.name == "seed" and node.attrs["name"] == "d_loss"
    return graph.const(1) if loss else None
