"""The forward pass with a box for each operation.

In: a trace. Out: a drawing, the node whose value each box shows, and the box of each node.
Numbers, sizes and what is made of these alone have none.
"""

from __future__ import annotations

from ..ir.dims import show
from ..ir.graph import topological
from ..ir.node import Node
from ..ir.program import Mode
from .boxes import Arrow, Box, Drawing, Kind
from .provenance import Trace

INLINE = frozenset({"const", "size", "zero", "iota"})
LONGEST = 44  # characters of a line in a box
SIGNS = {"einsum2": "@", "add": "+", "sub": "−", "mul": "×", "div": "÷", "neg": "−"}
Made = tuple[Drawing, dict[str, Node], dict[Node, str]]
"""A drawing, the node whose value each box shows, and the box of each node."""


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


def by_op(trace: Trace, everything: bool = False) -> Made:
    """A box for each operation. `everything`: metrics and outputs beside the losses."""
    mode = trace.program.training
    roots = roots_of(mode, everything)
    ends = ends_of(mode, everything)
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    nodes: dict[str, Node] = {}
    box_of: dict[Node, str] = {}
    for n in computed(roots):
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


def computed(roots: list[Node]) -> list[Node]:
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


def ends_of(mode: Mode, everything: bool = False) -> dict[Node, Kind]:
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
        return Box(
            id_, name or str(n.attrs.get("name")), lines_in(shape), kind, "", line
        )
    operation = _operation(n)
    title = name or operation
    lines = lines_in(operation if name else "", shape)
    return Box(id_, title, lines, kind, "", line)


def lines_in(*parts: str) -> tuple[str, ...]:
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
