"""Families, checked: functions with loops in them, run symbolically.

Each place holds a value by name, and every line of every copy has to find the values that it
means: so what is printed computes what was scheduled, however the families were found.
"""

from __future__ import annotations

from collections.abc import Mapping

from .families import Cell, Families, Place, Refused, is_leaf
from .rolled import TOKEN, reads
from .runs import Run
from .statements import Statement

EMPTY: Mapping[Cell, Place] = {}


def check(families: Families) -> None:
    """Run the functions symbolically; `Refused` where a line reads another value."""
    for part in families.parts:
        holds: dict[Place, Cell] = {families.place(c): c for c in part.given}
        for family in dict.fromkeys(
            families.of[c][0] for c in part.given if c in families.of
        ):
            for at, cell in family.given.items():
                holds[Place(family.name, at + family.offset)] = cell
        for item in part.items:
            if isinstance(item, Statement):
                _line(families, holds, item)
            else:
                _run(families, holds, item)
        for _, cell in part.results:
            _expect(families, holds, families.place(cell), cell)
        if part.name == "forward":
            for cell in families.saved:
                _expect(families, holds, families.place(cell), cell)


def _line(
    families: Families,
    holds: dict[Place, Cell],
    s: Statement,
    table: Mapping[Cell, Place] = EMPTY,
) -> None:
    """One line. `table`: where its values are, if not where they are outside of loops."""
    for cell in (t for t in TOKEN.findall(reads(s)) if t in families.cells):
        _expect(families, holds, table.get(cell) or families.place(cell), cell)
    holds[table.get(s.target) or families.place(s.target)] = s.target


def _run(families: Families, holds: dict[Place, Cell], run: Run) -> None:
    """Each copy of a run, in the order of its loop."""
    for family, at, cell in families.entering(run):
        _expect(families, holds, families.place(cell), cell)
        key = None if family.kind == "variable" else at + family.offset
        holds[Place(family.name, key)] = cell
    lines = families.holes[run]
    for k, (n, segment) in enumerate(zip(run.copies, run.segments, strict=True)):
        for hole in (h for line in lines for h in line if is_leaf(h)):
            holds[families.place_in(run, hole, n)] = hole.cells[k]
        for s, line in zip(segment, lines, strict=True):
            table = {h.cells[k]: families.place_in(run, h, n) for h in line}
            _line(families, holds, s, table)


def _expect(
    families: Families, holds: Mapping[Place, Cell], place: Place, cell: Cell
) -> None:
    """Does a place hold the value? What nobody makes, such as an input, is always there."""
    if holds.get(place, "" if cell in families.made else cell) != cell:
        raise Refused
