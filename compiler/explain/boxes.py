"""Boxes and arrows, before anybody places them: what a drawing of a graph is.

Who makes one: `drawing.py`. Who prints one: `diagrams.py` for Graphviz and Mermaid, `svg.py` when
a layout has given every box a place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from gradc.records import record

Kind = Literal["input", "param", "value", "loss", "output", "adjoint", "layer"]


@record
class Box:
    """One box: a name in front, further lines below it."""

    id: str
    title: str
    lines: tuple[str, ...]
    kind: Kind
    value: str = ""
    line: int = 0  # of the program


@record
class Arrow:
    """From one box to another. `local`: it says that an adjoint reads a value."""

    tail: str
    head: str
    label: str = ""
    local: bool = False


@record
class Drawing:
    """Boxes in the order of the computation, and arrows between them."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


Values = Mapping[str, str]  # id of a box -> its value


def with_values(drawing: Drawing, values: Values) -> Drawing:
    """The same with a value in each box that has one."""
    boxes = tuple(replace(b, value=values.get(b.id, "")) for b in drawing.boxes)
    return replace(drawing, boxes=boxes)


COLORS: dict[Kind, tuple[str, str]] = {  # fill, line
    "input": ("#e8eef7", "#5b7aa8"),
    "param": ("#fdf0d5", "#b98320"),
    "value": ("#f4f4f4", "#777777"),
    "layer": ("#f4f4f4", "#777777"),
    "loss": ("#fbe3e4", "#b5454a"),
    "output": ("#efe6f7", "#7d55a5"),
    "adjoint": ("#e6f4ea", "#3f8f5b"),
}
