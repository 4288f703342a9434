"""The forward pass with a box for each layer, or for an equation without one.

In: a trace. Out: the same as `by_op.py`. A parameter stands in the box of what reads it first; a
layer that two boxes would need each other of is drawn as several.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.dims import show
from ..ir.node import Node
from .boxes import Arrow, Box, Drawing, Kind
from .by_op import LONGEST, Made, computed, ends_of, lines_in, roots_of
from .provenance import Trace

Key = tuple[object, ...]


def by_layer(trace: Trace) -> Made:
    """One box for what a layer, or an equation without one, computes."""
    roots = roots_of(trace.program.training)
    order = computed(roots)
    group = _groups(order)
    ends = ends_of(trace.program.training)
    members: dict[Key, list[Node]] = {}
    for n in order:
        members.setdefault(group[n], []).append(n)
    ids: dict[Key, str] = {}
    boxes: list[Box] = []
    nodes: dict[str, Node] = {}
    box_of: dict[Node, str] = {}
    for key, inside in members.items():
        visible = [n for n in inside if not _belongs(n)]
        if not visible:
            continue
        id_ = ids[key] = f"g{len(boxes)}"
        box, last = _layer_box(trace, id_, visible, group, ends)
        boxes.append(box)
        if last.op.family != "tuple":
            nodes[id_] = last
        for n in inside:
            box_of[n] = id_
    arrows: dict[tuple[str, str], Arrow] = {}
    for n in order:
        for a in n.args:
            if a not in box_of or n not in box_of:
                continue
            tail, head = box_of[a], box_of[n]
            if tail != head:
                arrows.setdefault((tail, head), Arrow(tail, head))
    drawing = Drawing(trace.program.name, tuple(boxes), tuple(arrows.values()))
    return drawing, nodes, box_of


def _groups(order: list[Node]) -> dict[Node, Key]:
    """What is drawn as one box: no two boxes each need the other."""
    readers: dict[Node, list[Node]] = {}
    for n in order:
        for a in n.args:
            readers.setdefault(a, []).append(n)

    def key(n: Node) -> Key:
        if _belongs(n) and readers.get(n):
            return key(readers[n][0])  # a parameter stands in its layer
        if n.op.family == "leaf":
            return ("leaf", n.attrs.get("name"))
        return ("layer", n.origin.equation, n.origin.instances)

    group = {n: key(n) for n in order}
    for _ in range(8):
        tangled = _tangled(order, group)
        if not tangled:
            break
        rank: dict[Node, int] = {}
        for n in order:
            rank[n] = max(
                (
                    rank[a] + (group[a] != group[n])
                    for a in n.args
                    if a in rank and not _belongs(a) and a.args
                ),
                default=0,
            )
        for n in order:
            if group[n] in tangled and n.op.family != "leaf":
                group[n] = (*group[n], rank[n])
        for n in reversed(order):
            if _belongs(n) and readers.get(n):
                group[n] = group[readers[n][0]]
    return group


def _belongs(n: Node) -> bool:
    """A parameter, or another shape of one: part of whatever reads it."""
    return _leaf(n).op.name == "param"


def _tangled(order: list[Node], group: Mapping[Node, Key]) -> set[Key]:
    """The groups that stand on a cycle of groups (or between two)."""
    before: dict[Key, set[Key]] = {}
    after: dict[Key, set[Key]] = {}
    for n in order:
        before.setdefault(group[n], set())
        after.setdefault(group[n], set())
        for a in n.args:
            if a in group and group[a] != group[n]:
                before[group[n]].add(group[a])
                after.setdefault(group[a], set()).add(group[n])
    left = set(before)
    for table, other in ((before, after), (after, before)):
        count = {k: len(table[k] & left) for k in left}
        free = [k for k in left if not count[k]]
        while free:
            k = free.pop()
            left.discard(k)
            for m in other[k]:
                if m in count and m in left:
                    count[m] -= 1
                    if not count[m]:
                        free.append(m)
    return left


def _layer_box(
    trace: Trace,
    id_: str,
    inside: list[Node],
    group: Mapping[Node, Key],
    ends: Mapping[Node, Kind],
) -> tuple[Box, Node]:
    last = inside[-1]
    shape = show(last.shape) if last.shape else ""
    span = last.origin.span
    line = span.line if hasattr(span, "line") else 0
    if last.op.family == "leaf":
        name = trace.named.of.get(last, str(last.attrs.get("name")))
        return Box(id_, name, lines_in(shape), "input", "", line), last
    names = [trace.named.of[n] for n in inside if n in trace.named.of and n.args]
    params = [
        trace.named.of[a]
        for a in dict.fromkeys(_leaf(a) for n in inside for a in n.args)
        if a.op.name == "param" and a in group and group[a] == group[last]
    ]
    k = last.origin.equation
    equations = trace.program.equations
    equation = equations[k].text if 0 <= k < len(equations) else last.op.name
    title = ".".join(last.origin.instances) or equation
    copy = equations[k].copy if 0 <= k < len(equations) else ()
    if copy and last.origin.instances:
        title += f" [{', '.join(str(c) for c in copy)}]"
    kinds = {ends[n] for n in inside if n in ends}
    kind: Kind = next((k for k in ("loss", "output") if k in kinds), "layer")
    shown = ", ".join(names)
    lines = lines_in(f"→ {shown}" if shown else "", ", ".join(params), shape)
    return (
        Box(
            id_,
            title if len(title) <= LONGEST else title[:43] + "…",
            lines,
            kind,
            "",
            line,
        ),
        last,
    )


def _leaf(n: Node) -> Node:
    while n.op.name in ("broadcast", "reshape") and n.args:
        n = n.args[0]
    return n
