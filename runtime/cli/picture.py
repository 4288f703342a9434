"""The network's picture in a report: a box for each statement, an arrow for each use of a value.

In: a program's text. Out: an SVG. The boxes stand in layers, each below all that it uses, which
is the order in which one reads the equations; nothing has to be installed for it. What the
equations are made of, `gradc graph` draws.

    svg = picture(Source.from_text("mlp.net", text))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from ..records import record

if TYPE_CHECKING:
    from gradc.compiler import Source

WIDEST = 46  # characters of a box
CHARACTER, HEIGHT, GAP, LAYER = 6.7, 26.0, 18.0, 62.0
MOST = 200  # boxes


@record(frozen=False)
class Box:
    """A statement: its kind, what it says, what it defines and reads, its layer."""

    kind: str
    text: str
    defines: tuple[str, ...]
    reads: frozenset[str]
    line: int
    layer: int = 0
    x: float = 0.0

    @property
    def width(self) -> float:
        """In the units of the drawing."""
        return len(self.text) * CHARACTER + 18


def picture(source: Source) -> str:
    """An SVG of the program; empty where it has too many statements to be looked at."""
    boxes = boxes_of(source)
    if not boxes or len(boxes) > MOST:
        return ""
    arrows = place(boxes)
    width = max(box.x + box.width / 2 for box in boxes) + GAP
    height = (max(box.layer for box in boxes) + 1) * LAYER
    parts = [
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" class="net" '
        f'style="max-width:{width:.0f}px" aria-label="the network: {len(boxes)} statements">'
    ]
    for start, end in arrows:
        x0, y0 = start.x, start.layer * LAYER + HEIGHT + 8
        x1, y1 = end.x, end.layer * LAYER + 8
        middle = (y0 + y1) / 2
        parts.append(
            f'<path class="arrow" d="M{x0:.1f} {y0:.1f}C{x0:.1f} {middle:.1f} '
            f'{x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"/>'
        )
    for box in boxes:
        left, top = box.x - box.width / 2, box.layer * LAYER + 8
        parts.append(
            f'<g class="box {box.kind}"><title>line {box.line}</title>'
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
            f'height="{HEIGHT:.0f}" rx="5"/><text x="{box.x:.1f}" y="{top + 17:.1f}">'
            f"{escape(box.text)}</text></g>"
        )
    return "".join([*parts, "</svg>"])


def boxes_of(source: Source) -> list[Box]:
    """The statements that define or use values, in order."""
    from gradc.compiler.frontend import ast
    from gradc.compiler.frontend.parser import parse
    from gradc.compiler.frontend.printer import print_node

    boxes = []
    for statement in parse(source).statements:
        match statement:
            case ast.Input() | ast.Param() | ast.State() | ast.Random():
                kind = type(statement).__name__.lower()
                defines: tuple[str, ...] = tuple(n.text for n in _own(statement))
            case ast.Define():
                kind, defines = "equation", tuple(
                    t.name.text for t in statement.targets
                )
            case ast.Root():
                kind = statement.role
                defines = (statement.name.text,) if statement.name else ()
            case ast.Output():
                kind, defines = "output", (statement.name.text,)
            case ast.Repeat() | ast.For() | ast.Update():
                kind = "equation"
                defines = tuple(
                    node.name.text
                    for node in _walk(statement)
                    if isinstance(node, ast.Target)
                )
            case _:
                continue
        reads = {node.text for node in _walk(statement) if isinstance(node, ast.Name)}
        own = () if isinstance(statement, ast.Repeat | ast.For) else defines
        text = " ".join(print_node(statement, WIDEST).split())
        if len(text) > WIDEST:
            text = text[: WIDEST - 1] + "…"
        boxes.append(
            Box(
                kind,
                text,
                defines,
                frozenset(reads - set(own)) | _continued(statement),
                statement.span.line,
            )
        )
    return boxes


def _own(statement: Any) -> list[Any]:
    """The names that an input, a parameter, … declares."""
    names = getattr(statement, "names", None)
    return list(names) if names is not None else [statement.name]


def _continued(statement: Any) -> frozenset[str]:
    """`h = f(h)`: a name that an equation reads and defines."""
    from gradc.compiler.frontend import ast

    if not isinstance(statement, ast.Define):
        return frozenset()
    read = {node.text for node in _walk(statement.value) if isinstance(node, ast.Name)}
    return frozenset(read & {target.name.text for target in statement.targets})


def _walk(node: Any) -> Iterator[Any]:
    """A node and all below it; spans are no nodes."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack.extend(reversed(item))
        elif dataclasses.is_dataclass(item) and hasattr(item, "span"):
            yield item
            stack.extend(
                getattr(item, field.name)
                for field in reversed(dataclasses.fields(item))
                if field.name not in ("span", "doc", "arrow")
            )


def place(boxes: list[Box]) -> list[tuple[Box, Box]]:
    """Put boxes into layers and beside each other; the arrows come back."""
    latest: dict[str, Box] = {}
    arrows: list[tuple[Box, Box]] = []
    for box in boxes:
        used = {
            id(latest[name]): latest[name]
            for name in sorted(box.reads)
            if name in latest
        }
        for other in used.values():
            arrows.append((other, box))
        box.layer = max((other.layer + 1 for other in used.values()), default=0)
        latest |= {name: box for name in box.defines}
    # A parameter stands right above the first that uses it.
    for box in boxes:
        uses = [end.layer for start, end in arrows if start is box]
        if not any(end is box for _, end in arrows) and uses:
            box.layer = min(uses) - 1
    layers: dict[int, list[Box]] = {}
    for box in boxes:
        layers.setdefault(box.layer, []).append(box)
    widest = max(sum(b.width + GAP for b in row) for row in layers.values())
    for _, row in sorted(layers.items()):
        sources = {
            id(box): [start.x for start, end in arrows if end is box and start.x]
            for box in row
        }
        order = sorted(
            row,
            key=lambda b: (
                sum(sources[id(b)]) / len(sources[id(b)]) if sources[id(b)] else widest
            ),
        )
        x = (widest - sum(b.width + GAP for b in row)) / 2 + GAP
        for box in order:
            box.x = x + box.width / 2
            x += box.width + GAP
    return arrows
