"""The computational graph as a drawing: boxes and arrows, before anybody places them.

In: a trace. Out: a `Drawing`: forward by operation or by layer, with the adjoints beside it
where they are wanted, and a value in each box where one is known. DOT and Mermaid are
printed from it; `svg.py` draws it when a layout has given every box a place.

    print(dot(draw(trace, level="op", adjoints=True)))
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..ir.dims import show
from ..ir.graph import topological
from ..ir.node import Node
from ..ir.program import Mode
from .derivation import Step, derivations
from .formula import Formula, names_in
from .provenance import Trace
from .text import text

Kind = Literal["input", "param", "value", "loss", "output", "adjoint", "layer"]
Level = Literal["op", "layer"]
INLINE = frozenset({"const", "size", "zero", "iota"})
LONGEST = 44  # characters of a line in a box
SIGNS = {"einsum2": "@", "add": "+", "sub": "−", "mul": "×", "div": "÷", "neg": "−"}


@dataclass(frozen=True)
class Box:
    """One box: a name in front, further lines below it."""

    id: str
    title: str
    lines: tuple[str, ...]
    kind: Kind
    value: str = ""
    line: int = 0  # of the program


@dataclass(frozen=True)
class Arrow:
    """From one box to another. `local`: it says that an adjoint reads a value."""

    tail: str
    head: str
    label: str = ""
    local: bool = False


@dataclass(frozen=True)
class Drawing:
    """Boxes in the order of the computation, and arrows between them."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


Values = Mapping[str, str]  # id of a box -> its value


def draw(
    trace: Trace, level: Level = "op", adjoints: bool = False
) -> tuple[Drawing, dict[str, Node]]:
    """The drawing, and the node whose value each box could show."""
    made = by_op(trace) if level == "op" else _by_layer(trace)
    drawing, nodes, box_of = made
    if adjoints:
        drawing, more = _with_adjoints(trace, drawing, box_of, level)
        nodes |= more
    return drawing, nodes


def with_values(drawing: Drawing, values: Values) -> Drawing:
    """The same with a value in each box that has one."""
    boxes = tuple(
        Box(b.id, b.title, b.lines, b.kind, values.get(b.id, ""), b.line)
        for b in drawing.boxes
    )
    return Drawing(drawing.name, boxes, drawing.arrows)


def roots_of(mode: Mode, everything: bool = False) -> list[Node]:
    """What a drawing ends in: the losses, or the outputs of a program without.

    `everything`: the metrics and outputs beside the losses too.
    """
    roots = [r.node for r in mode.losses]
    if mode.total is not None:
        roots.append(mode.total.node)
    if mode.total is None or everything:
        roots += [r.node for r in (*mode.outputs, *mode.metrics)]
    return list(dict.fromkeys(roots))


# ----------------------------------------------------------------------- by operation
Made = tuple[Drawing, dict[str, Node], dict[Node, str]]


def by_op(trace: Trace, everything: bool = False) -> Made:
    """A box for each operation. `everything`: metrics and outputs beside the losses."""
    mode = trace.program.training
    roots = roots_of(mode, everything)
    ends = _ends(mode, everything)
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    nodes: dict[str, Node] = {}
    box_of: dict[Node, str] = {}
    for n in _computed(roots):
        if n.op.name == "broadcast" and n.args[0] in box_of and n not in ends:
            box_of[n] = box_of[n.args[0]]  # the same value, more often
            continue
        id_ = f"n{len(boxes)}"
        box_of[n] = id_
        boxes.append(_box(trace, n, id_, ends.get(n, "value")))
        if n.op.family != "tuple":
            nodes[id_] = n
        for k, a in enumerate(n.args):
            if a in box_of:
                label = n.op.args[k] if _ordered(n) and k < len(n.op.args) else ""
                arrows.append(Arrow(box_of[a], id_, label))
    return Drawing(trace.program.name, tuple(boxes), tuple(arrows)), nodes, box_of


def _computed(roots: list[Node]) -> list[Node]:
    """The values in order, without numbers, sizes, and what is made of these alone."""
    fixed: set[Node] = set()
    order = []
    ends = set(roots)
    for n in topological(roots):
        made = bool(n.args) and all(a in fixed for a in n.args)
        if n not in ends and (n.op.name in INLINE or made):
            fixed.add(n)
        else:
            order.append(n)
    return order


def _ordered(n: Node) -> bool:
    """Does it matter which argument is which?"""
    return len(n.args) > 1 and n.op.name in ("sub", "div", "power", "where", "lt", "le")


def _ends(mode: Mode, everything: bool = False) -> dict[Node, Kind]:
    """What a drawing ends in, and as what."""
    found: dict[Node, Kind] = {n: "output" for n in roots_of(mode, everything)}
    if mode.total is not None:
        found |= {n: "loss" for n in roots_of(mode)}
    return found


def _box(trace: Trace, n: Node, id_: str, kind: Kind) -> Box:
    name = trace.named.of.get(n, "")
    shape = show(n.shape) if n.shape else ""
    span = n.origin.span
    line = span.line if hasattr(span, "line") else 0
    if not n.args:
        kind = "param" if n.op.name == "param" else "input"
        return Box(id_, name or str(n.attrs.get("name")), _lines(shape), kind, "", line)
    operation = _operation(n)
    title = name or operation
    lines = _lines(operation if name else "", shape)
    return Box(id_, title, lines, kind, "", line)


def _lines(*parts: str) -> tuple[str, ...]:
    return tuple(p if len(p) <= LONGEST else p[: LONGEST - 1] + "…" for p in parts if p)


def _operation(n: Node) -> str:
    """`+`, `tanh`, `x^3`, `sum over N`: what is done, without its arguments."""
    if n.op.name in SIGNS:
        return SIGNS[n.op.name]
    if n.op.name == "pow":
        return f"^{n.attrs['exponent']}"
    if n.op.name == "sum":
        over = ", ".join(str(n.args[0].shape[i]) for i in n.attrs["axes"])
        return f"sum over {over}"
    if n.op.name == "maximum" and any(_is_zero(a) for a in n.args):
        return "relu"
    return n.op.name


def _is_zero(n: Node) -> bool:
    while n.op.name == "broadcast":
        n = n.args[0]
    return n.op.name == "const" and n.attrs["value"] == 0


# --------------------------------------------------------------------------- by layer
Key = tuple[object, ...]


def _by_layer(trace: Trace) -> Made:
    """One box for what a layer, or an equation without one, computes."""
    roots = roots_of(trace.program.training)
    order = _computed(roots)
    group = _groups(order)
    ends = _ends(trace.program.training)
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
        return Box(id_, name, _lines(shape), "input", "", line), last
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
    lines = _lines(f"→ {shown}" if shown else "", ", ".join(params), shape)
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


# ----------------------------------------------------------------------- with adjoints
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
                Box(id_, s.name, _lines(f"= {formula}", shape), "adjoint", "", 0)
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


# -------------------------------------------------------------------------------- text
COLORS: dict[Kind, tuple[str, str]] = {  # fill, line
    "input": ("#e8eef7", "#5b7aa8"),
    "param": ("#fdf0d5", "#b98320"),
    "value": ("#f4f4f4", "#777777"),
    "layer": ("#f4f4f4", "#777777"),
    "loss": ("#fbe3e4", "#b5454a"),
    "output": ("#efe6f7", "#7d55a5"),
    "adjoint": ("#e6f4ea", "#3f8f5b"),
}


def dot(drawing: Drawing) -> str:
    """For Graphviz."""
    lines = [f"digraph {_quoted(drawing.name)} {{"]
    lines.append('  node [shape=box, style="rounded,filled", fontname="Helvetica"];')
    lines.append('  edge [fontname="Helvetica", fontsize=10];')
    for b in drawing.boxes:
        fill, line = COLORS[b.kind]
        label = "\\n".join(_escaped(t) for t in (b.title, *b.lines, b.value) if t)
        lines.append(f'  {b.id} [label="{label}", fillcolor="{fill}", color="{line}"];')
    for a in drawing.arrows:
        attributes = []
        if a.label:
            attributes.append(f'label="{_escaped(a.label)}"')
        if a.local:
            attributes.append("style=dashed, constraint=false, arrowhead=none")
        shown = f" [{', '.join(attributes)}]" if attributes else ""
        lines.append(f"  {a.tail} -> {a.head}{shown};")
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _quoted(words: str) -> str:
    return f'"{_escaped(words)}"'


def mermaid(drawing: Drawing) -> str:
    """For Mermaid: a flowchart, as Markdown pages render it."""
    lines = ["flowchart TB"]
    for b in drawing.boxes:
        label = "<br>".join(_entities(t) for t in (b.title, *b.lines, b.value) if t)
        lines.append(f'  {b.id}["{label}"]:::{b.kind}')
    for a in drawing.arrows:
        if a.local:
            lines.append(f"  {a.tail} -.- {a.head}")
        elif a.label:
            lines.append(f'  {a.tail} -->|"{_entities(a.label)}"| {a.head}')
        else:
            lines.append(f"  {a.tail} --> {a.head}")
    for kind in dict.fromkeys(b.kind for b in drawing.boxes):
        fill, line = COLORS[kind]
        lines.append(f"  classDef {kind} fill:{fill},stroke:{line},color:#222")
    return "\n".join(lines) + "\n"


def _entities(words: str) -> str:
    table = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "#": "#35;"}
    shown = re.sub(r"[&<>\"#]", lambda m: table[m[0]], words)
    return shown.replace("\n", "<br>")
