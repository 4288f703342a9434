"""The computational graph as a drawing: forward, and with the adjoints beside it.

In: a trace. Out: a `Drawing`, by operation or by layer, and the node whose value each box could
show. Arrows between adjoints run from the loss to the parameters.

    drawing, nodes = draw(trace, level="op", adjoints=True)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ..ir.dims import show
from ..ir.node import Node
from .boxes import Arrow, Box, Drawing
from .by_layer import by_layer
from .by_op import by_op, lines_in
from .derivation import Step, derivations
from .formula import Formula, names_in
from .provenance import Trace
from .text import text

Level = Literal["op", "layer"]


def draw(
    trace: Trace, level: Level = "op", adjoints: bool = False
) -> tuple[Drawing, dict[str, Node]]:
    """The drawing, and the node whose value each box could show."""
    made = by_op(trace) if level == "op" else by_layer(trace)
    drawing, nodes, box_of = made
    if adjoints:
        drawing, more = _with_adjoints(trace, drawing, box_of, level)
        nodes |= more
    return drawing, nodes


def _with_adjoints(
    trace: Trace, drawing: Drawing, box_of: Mapping[Node, str], level: Level
) -> tuple[Drawing, dict[str, Node]]:
    """A box for each adjoint, mirrored: arrows run from the loss to the parameters."""
    boxes = list(drawing.boxes)
    arrows = list(drawing.arrows)
    nodes: dict[str, Node] = {}
    shown = _shown(box_of)
    for d in derivations(trace.program, trace.named):
        by_name = {s.name: s for s in d.steps}
        ids: dict[str, str] = {}
        for s in d.steps:
            if s.node not in box_of:
                continue
            if level == "layer" and not (s.node.op.name == "param" or s.node in shown):
                continue
            id_ = f"a{len(nodes)}"
            ids[s.name] = id_
            nodes[id_] = s.whole
            shape = show(s.shape) if s.shape else ""
            formula = text(s.chain or s.formula)
            boxes.append(
                Box(id_, s.name, lines_in(f"= {formula}", shape), "adjoint", "", 0)
            )
            arrows.append(Arrow(box_of[s.node], id_, "", True))
        parts = {p.name: p.formula for p in d.parts}
        for s in d.steps:
            if s.name not in ids:
                continue
            for name in _sources(s.formula, by_name, ids, parts):
                arrows.append(Arrow(ids[name], ids[s.name]))
    return Drawing(drawing.name, tuple(boxes), tuple(arrows)), nodes


def _shown(box_of: Mapping[Node, str]) -> set[Node]:
    """The last node of each box."""
    last: dict[str, Node] = {}
    for n, id_ in box_of.items():
        last[id_] = n
    return set(last.values())


def _sources(
    f: Formula,
    by_name: Mapping[str, Step],
    ids: Mapping[str, str],
    parts: Mapping[str, Formula],
) -> list[str]:
    """The adjoints that have a box from which this one is made, maybe over others."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    stack = names_in(f)
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in ids:
            found.setdefault(name)
        elif name in parts:
            stack += names_in(parts[name])
        elif name in by_name:
            stack += names_in(by_name[name].formula)
    return sorted(found, key=list(ids).index)
