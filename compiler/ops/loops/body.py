"""The body of a loop: its formals, and which values of it depend on which.

A *carry* enters the step, a *slice* is a sequence's entry at the step, a *capture* the same
at every step. Bodies are closed: nothing in one but formals stands for a value outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...ir.dims import Shape
from ...ir.graph import Graph, rebuild, topological
from ...ir.node import Node
from ...ir.op import Kind

Args = tuple[Node, ...]
ROLES = ("carry", "slice", "capture")


def formal(
    graph: Graph, role: str, index: int, shape: Shape, kind: Kind, tag: int = 0
) -> Node:
    """A formal argument of a body. In a finished loop the tag is 0."""
    return graph.apply(
        "formal", role=role, index=index, shape=shape, kind=kind, tag=tag
    )


def parts(loop: Node) -> tuple[Args, Args, Args]:
    """The initial carries, the sequences and the captures of a loop."""
    n, m = loop.attrs["carries"], loop.attrs["sequences"]
    return loop.args[:n], loop.args[n : n + m], loop.args[n + m :]


def formals(loop: Node) -> tuple[Args, Args, Args]:
    """The formals that stand for them in the body."""
    g = loop.graph
    inits, sequences, captures = parts(loop)
    return (
        tuple(formal(g, "carry", i, x.shape, x.kind) for i, x in enumerate(inits)),
        tuple(
            formal(g, "slice", i, x.shape[1:], x.kind) for i, x in enumerate(sequences)
        ),
        tuple(formal(g, "capture", i, x.shape, x.kind) for i, x in enumerate(captures)),
    )


def depends_on(roots: Iterable[Node], tag: int = 0) -> dict[Node, frozenset[str]]:
    """For every node below the roots, the roles of the formals that it is made of."""
    found: dict[Node, frozenset[str]] = {}
    nothing: frozenset[str] = frozenset()
    for n in topological(roots):
        if n.op.name == "formal" and n.attrs["tag"] == tag:
            found[n] = frozenset((n.attrs["role"],))
        else:
            found[n] = nothing.union(*(found[a] for a in n.args))
    return found


def replaced(
    graph: Graph, roots: Iterable[Node], new: Mapping[Node, Node]
) -> list[Node]:
    """The roots with some nodes below them replaced (bodies of inner loops are closed)."""
    roots = list(roots)
    table: dict[Node, Node] = {}
    for n in topological(roots, stop=new.keys()):
        if n in new:
            table[n] = new[n]
            continue
        table[n] = rebuilt(graph, n, table)
    return [table[r] for r in roots]


def rebuilt(graph: Graph, n: Node, table: Mapping[Node, Node]) -> Node:
    """The node on the arguments that the table has for its own."""
    args = tuple(table[a] for a in n.args)
    if args == n.args:
        return n
    with graph.at(n.origin):
        made = rebuild(graph, n, args)
    if n in graph.hints:
        graph.hint(made, *graph.hints[n])
    return made
