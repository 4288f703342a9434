"""Activations: functions of one tensor, entry by entry, whatever they are called.

In: the nodes of a graph (or of a loop's body). Out: each maximal elementwise function f of one
value r, with f'(r) as a node: `relu(z)` and `max(0, z)`, `x * sigmoid(x)`, `tanh(z) / 2`. What
kind of function it is (does it saturate, where) is seen by looking at it: `curve` is the
same function of a row of numbers of its own.

    for found in functions(order, ends):
        found.root, found.value, slope(found), curve(found, z)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from gradc.records import record

from ..autodiff.reverse import reverse
from ..ir.graph import topological, users
from ..ir.node import Node

FIXED = frozenset({"const", "size", "zero", "iota"})
OPAQUE = frozenset({"stop", "drawn"})  # elementwise, but no function of calculus


@record
class Function:
    """`value` = f(`root`), entry by entry."""

    root: Node
    value: Node


def functions(order: Sequence[Node], ends: Collection[Node]) -> list[Function]:
    """The functions of one value each, in the order of the graph, one a root.

    A root is a real value that is no such function itself: a product of matrices, the sum of
    two values. A function ends where something else reads it. Of several of one root the
    first is taken: what follows are its derivatives, where a program has `grad`.
    """
    source: dict[Node, Node | None] = {}
    for n in order:
        known = list(dict.fromkeys(source.get(a, a) for a in n.args))
        sources = [s for s in known if s is not None]
        if n.op.name in FIXED or (n.args and not sources):
            source[n] = None
        elif n.op.family == "elementwise" and n.op.name not in OPAQUE:
            source[n] = sources[0] if len(sources) == 1 else n
        else:
            source[n] = n
    readers = users(order)
    found: dict[Node, Function] = {}
    for n in order:
        root = source[n]
        if root is None or root is n or n.kind != "real" or root.kind != "real":
            continue
        inside = [r for r in readers.get(n, ()) if source[r] is root]
        if n in ends or len(inside) < len(readers.get(n, ())):
            found.setdefault(root, Function(root, n))
    return list(found.values())


def slope(f: Function) -> Node:
    """f'(r), entry by entry, of the shape of r."""
    graph = f.root.graph
    one = graph.broadcast(graph.const(1), f.value.shape)
    made = reverse({f.value: one}, [f.root]).adjoints.get(f.root)
    return graph.zero(f.root.shape) if made is None else made


def curve(f: Function, z: Node) -> tuple[Node, Node] | None:
    """f(z) and f'(z) of another value z; None where f has constants that are no
    numbers, or are only known with the data."""
    graph = f.root.graph
    new: dict[Node, Node] = {f.root: z}
    for n in topological([f.value], stop=[f.root]):
        if n is f.root:
            continue
        if n.op.name in ("broadcast", "reshape"):
            if new[n.args[0]].shape:
                return None
            new[n] = new[n.args[0]]
        elif n.op.name == "size" and n.attrs["dim"].symbols():
            return None
        elif n.op.name in ("const", "size") or n.op.family == "elementwise":
            new[n] = graph.apply(n.op.name, *_among(n, new), **n.attrs) if n.args else n
        else:
            return None
    value = new[f.value]
    if value.shape != z.shape:
        return None
    return value, slope(Function(z, value))


def _among(n: Node, new: dict[Node, Node]) -> Iterable[Node]:
    return [new[a] for a in n.args]
