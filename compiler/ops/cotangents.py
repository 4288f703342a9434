"""The cotangent of a loop: a tuple, an entry for each projection that is read.

Reverse mode hands it to the loop's rule. The sum of two of one loop is a tuple again.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.graph import Graph
from ..ir.node import Node


def cotangents(graph: Graph, pairs: Mapping[Node, Node]) -> Node:
    """The cotangent of a loop: of each projection that is read, its own."""
    return graph.apply("cotangents", *pairs.values(), of=tuple(pairs))


def merged(a: Node, b: Node) -> Node:
    """The sum of two cotangents of one loop."""
    pairs = dict(zip(a.attrs["of"], a.args, strict=True))
    for projection, g in zip(b.attrs["of"], b.args, strict=True):
        pairs[projection] = pairs[projection] + g if projection in pairs else g
    return cotangents(a.graph, pairs)
