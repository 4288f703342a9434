"""Forward mode: tangents pushed through the nodes, by the same records as reverse mode.

In: nodes with their tangents. Out: the tangents of the outputs, None where there is none.

    forward([y], {x: dx})[y]      # the derivative of y in the direction dx
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..ir.graph import topological
from ..ir.node import Node
from .reverse import deriving


def forward(
    outputs: Iterable[Node], tangents: Mapping[Node, Node]
) -> dict[Node, Node | None]:
    """Push `tangents` forward to `outputs`."""
    outputs = list(outputs)
    moving: dict[Node, Node] = dict(tangents)
    for node in topological(outputs, stop=set(tangents)):
        if node in moving or node.op.jvp is None:
            continue
        along = tuple(moving.get(a) for a in node.args)
        if all(t is None for t in along):
            continue
        with deriving(node.graph), node.graph.at(node.origin):
            t = node.op.jvp(along, node, *node.args, **node.attrs)
        if t is not None and t.op.name != "zero":
            moving[node] = t
    return {y: moving.get(y) for y in outputs}
