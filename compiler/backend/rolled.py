"""What a function is after rolling: blocks, and loops over copies of a `repeat`.

A value's name bears the mark of its copy, `h⟦2⟧`. In a loop it is the name without the mark,
and what tells versions apart is their *distance* to the loop's copy: in copy 3, `h⟦2⟧` is
`h` at distance -1, what the copy before has left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

from gradc.records import record

from ..ir.node import Node
from .names import MARKED, base_of, copy_of, mark
from .sources import Source
from .statements import BlockText, Statement

RESULTS = {"forward": "new_state", "backward": "gradients"}  # dicts of results by path
# A name that is read or bound: no `e` of 1e-5, no method, no `axis` of `axis=1`
TOKEN = re.compile(r"(?<![\w.])[^\W\d]\w*+(?:⟦[^⟧]*⟧)?+(?!=)")

Version = tuple[str, int]  # a base and a distance: ("h", -1)


@record(frozen=False)
class Unit:
    """One copy of a repeat in one function: its blocks."""

    group: int
    copy: tuple[int, ...]
    blocks: list[BlockText]
    local: frozenset[str]  # the bases of the values that this repeat makes or owns

    @property
    def index(self) -> int:
        return self.copy[-1]

    @property
    def statements(self) -> Iterator[Statement]:
        for block in self.blocks:
            yield from block.statements

    def distance(self, value: str) -> int | None:
        """How far a version is from this copy; None: it is no version of this repeat."""
        at = copy_of(value)
        near = len(at) == len(self.copy) and at[:-1] == self.copy[:-1]
        return at[-1] - self.index if near and base_of(value) in self.local else None

    def version(self, base: str, distance: int = 0) -> str:
        """The marked name at a distance."""
        return mark(base, (*self.copy[:-1], self.index + distance))

    def marked(self) -> list[str]:
        """The marked names of its statements, in order."""
        return list(dict.fromkeys(v for s in self.statements for v in marked(s.text)))

    def own(self, params: Mapping[str, Source]) -> list[str]:
        """The copy's own parameters that its lines read, in the order of the program."""
        found = {v for v in self.marked() if v in params and copy_of(v) == self.copy}
        return sorted(found, key=lambda v: params[v].rank)

    def relative(self, text: str) -> str:
        """Marks of this repeat become distances: `h⟦2⟧` in copy 3 is `h⟦i-1⟧`."""

        def one(found: re.Match[str]) -> str:
            distance = self.distance(found[0])
            return found[0] if distance is None else f"{found[1]}⟦i{distance:+d}⟧"

        return MARKED.sub(one, text)


@record(frozen=False)
class Loop:
    """A run of copies in one function, as it is printed."""

    units: list[Unit]  # in the order of the function
    list_name: str = ""  # the list of what each copy saves; "" in evaluate and predict
    saves: list[Version] = field(default_factory=list)
    before: dict[str, str] = field(
        default_factory=dict
    )  # base -> name of its old version
    head: list[str] = field(default_factory=list)  # lines before the loop
    tail: list[str] = field(default_factory=list)  # lines after it
    stored: dict[str, str] = field(default_factory=dict)  # name of a result -> key
    append_at: int = -1  # the statement before which the copy's values are saved
    common: list[Statement] = field(default_factory=list)  # of all copies, before it

    @property
    def low(self) -> int:
        return min(u.index for u in self.units)

    @property
    def high(self) -> int:
        return max(u.index for u in self.units)

    @property
    def key(self) -> tuple[int, tuple[int, ...], int]:
        """What the loops over the same copies in two functions have in common."""
        first = self.units[0]
        return first.group, first.copy[:-1], self.low

    @property
    def backward(self) -> bool:
        """Does it go from the last copy to the first?"""
        return self.units[0].index > self.units[-1].index

    def variable(self, base: str, distance: int) -> str:
        if distance < 0 and base in self.before:
            return self.before[base]
        return base

    def spelt(self, unit: Unit, value: str, outside: Mapping[str, str]) -> str:
        """The variable that holds a value inside of the loop, in one of its copies."""
        distance = unit.distance(value)
        if distance is None:
            return outside.get(value, base_of(value))
        return self.variable(base_of(value), distance)


@record(frozen=False)
class Printed:
    """A block whose lines are written, with loops in it."""

    equation: int
    lines: list[str]
    spell: Callable[[str], str]  # of its chain rule


@record(frozen=False)
class Rolled:
    """One function after rolling: blocks and loops, and what is left outside."""

    entries: list[BlockText | Loop]
    saved: list[Node] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)  # names of the lists in `saved`
    stored: set[str] = field(default_factory=set)  # results that loops put into a dict
    inside: set[Node] = field(default_factory=set)
    spelling: dict[str, str] = field(default_factory=dict)
    printed: list[Printed] = field(default_factory=list)  # in place of the entries
    called: dict[str, str] = field(default_factory=dict)  # a name for each value
    variables: dict[str, str] = field(default_factory=dict)  # those that copies share
    unpacked: list[Node] = field(default_factory=list)  # of dicts in `saved`

    @property
    def blocks(self) -> list[BlockText]:
        return [e for e in self.entries if isinstance(e, BlockText)]

    @property
    def loops(self) -> list[Loop]:
        return [e for e in self.entries if isinstance(e, Loop)]


def marked(text: str) -> list[str]:
    """The names with a mark in a line."""
    return [m[0] for m in MARKED.finditer(text)]


def outside(entry: BlockText | Loop) -> list[Statement]:
    """The statements that run once: a block's own, and those before a loop."""
    return entry.statements if isinstance(entry, BlockText) else entry.common


def reads(s: Statement) -> str:
    """What a statement reads: an update its target, too."""
    return s.text if s.update else s.text.partition(" = ")[2]


def pattern(path: str, index: int) -> str:
    """`h[{i}].dense.W` for the path of copy `index`; a later repeat counts on.

    The last number in brackets is the innermost repeat's; without brackets, the number at
    the end is that of the draw of a `random`: `gibbs.h.{i + 1}`.
    """
    found = re.findall(r"\[\d+\]", path)
    last = path.rindex(found[-1]) + 1 if found else 0
    number = re.compile(r"\d+").match(path, last) if found else re.search(r"\d+$", path)
    if number is None or not (found or path[: number.start()].endswith(".")):
        return path
    inside = counted(int(number[0]) - index)
    return f"{path[: number.start()]}{{{inside}}}{path[number.end() :]}"


def counted(more: int) -> str:
    """The number of another copy, seen from copy `i`: `i`, `i + 1`, `i - 1`."""
    return "i" if more == 0 else f"i {'+' if more > 0 else '-'} {abs(more)}"


def counting(low: int, high: int, down: bool) -> str:
    """What a loop over copies counts, from `low` to `high`, or `down` from it."""
    span = f"range({high + 1})" if low == 0 else f"range({low}, {high + 1})"
    return f"reversed({span})" if down else span
