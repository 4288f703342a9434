"""Node: one value of the DAG. Immutable and interned: ``a is b`` is equality of values.

Nodes are made by ``Graph.apply`` alone. Operators build further nodes, so a derivative
rule reads like its mathematics: ``g * (1 - out * out)``. Python numbers become constants,
scalars are broadcast; any other broadcasting is a ``broadcast`` node that stands there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradc.records import record

from .dims import Shape
from .op import Kind, Op

if TYPE_CHECKING:
    from .graph import Graph

Number = int | float | bool


@record
class Origin:
    """Where a node comes from: no part of its identity.

    ``equation`` is the index of the user's equation in ``Program.equations`` (-1: none),
    ``span`` the text that made the node, ``instances`` the layer and fn instances around
    it with their written numbers (``("h", "dense1")``), ``copy`` the indices in
    the repeats around it. Reverse mode copies the primal's origin to its adjoints, so
    that the gradient of a line knows its line.
    """

    equation: int = -1
    span: Any = None
    instances: tuple[str, ...] = ()
    copy: tuple[int, ...] = ()


class Node:
    """``op`` applied to ``args`` with ``attrs``; shape and kind follow from the record."""

    __slots__ = ("args", "attrs", "graph", "kind", "op", "origin", "serial", "shape")

    def __init__(
        self,
        graph: Graph,
        op: Op,
        args: tuple[Node, ...],
        attrs: dict[str, Any],
        shape: Shape,
        kind: Kind,
        serial: int,
        origin: Origin,
    ) -> None:
        self.graph = graph
        self.op = op
        self.args = args
        self.attrs = attrs  # never modified
        self.shape = shape
        self.kind = kind
        self.serial = serial  # arguments have smaller serials: a topological order
        self.origin = origin

    def is_a(self, *names: str) -> bool:
        return self.op.name in names

    def __repr__(self) -> str:
        dims = ", ".join(str(d) for d in self.shape)
        return f"%{self.serial} {self.op.name}[{dims}]"

    # Operators: for rules and passes. Comparisons stay methods, since == is identity.
    def __add__(self, other: Node | Number) -> Node:
        return self.graph.apply("add", self, other)

    def __radd__(self, other: Number) -> Node:
        return self.graph.apply("add", other, self)

    def __sub__(self, other: Node | Number) -> Node:
        return self.graph.apply("sub", self, other)

    def __rsub__(self, other: Number) -> Node:
        return self.graph.apply("sub", other, self)

    def __mul__(self, other: Node | Number) -> Node:
        return self.graph.apply("mul", self, other)

    def __rmul__(self, other: Number) -> Node:
        return self.graph.apply("mul", other, self)

    def __truediv__(self, other: Node | Number) -> Node:
        return self.graph.apply("div", self, other)

    def __rtruediv__(self, other: Number) -> Node:
        return self.graph.apply("div", other, self)

    def __neg__(self) -> Node:
        return self.graph.apply("neg", self)

    def __pow__(self, exponent: Number) -> Node:
        return self.graph.apply("pow", self, exponent=exponent)
