"""Values of the copies of a `repeat` in a `fn` or `layer`: `h[i]`, or one variable for all.

In: the blocks of functions that share their values (`forward` and `backward`), with runs of
alike copies. Out: where each value is. What stands at one place in all copies of a run is a
*family*, its members numbered like the copies. A family whose members something outside of its
run reads is a dict by number, `h[i]`; one that only its own copies read is a variable, `z`;
the adjoints of the copies' parameters stand in the dict of the results at once.

    h = x                                       h[0] = x
    for i in range(8):                          for i in range(8):
        W = params[f"u.h[{i}].W"]                   W = params[f"u.h[{i}].W"]
        h = np.tanh(h @ W)                          h[i + 1] = np.tanh(h[i] @ W)

What comes of it is run symbolically, every copy of every run, before it is taken
(`symbolic.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import count
from typing import NamedTuple

from gradc.records import record

from .names import RESERVED, base_of, copy_of
from .rolled import RESULTS, TOKEN, pattern, reads
from .runs import Item, Run, statements_of
from .sources import Source
from .statements import Statement

Cell = (
    str  # the marked name of a value: of all its versions where it is changed in place
)


@record(frozen=False, eq=False)
class Family:
    """Values at one place of all copies, by number."""

    members: dict[int, Cell] = field(default_factory=dict)
    given: dict[int, Cell] = field(
        default_factory=dict
    )  # members with a name of their own
    makers: list[Run] = field(default_factory=list)
    kind: str = ""  # "dict", "variable" or "result"
    leaves: bool = False  # does anything behind the loop read the last one?
    name: str = ""

    @property
    def offset(self) -> int:
        """What is added to all numbers, so that none is below 0."""
        return -min(0, *self.members, *self.given)


class Hole(NamedTuple):
    """What a place in the lines of a run reads or makes, copy by copy."""

    cells: tuple[Cell, ...]
    family: Family | None = None  # None: one value for all, or a leaf by path
    shift: int = 0  # the member's number less the copy's


def is_leaf(hole: Hole) -> bool:
    """Is it a leaf of each copy, which is read by path?"""
    return hole.family is None and len(set(hole.cells)) > 1


class Place(NamedTuple):
    """A variable, or a key of a dict."""

    name: str
    key: object = None


@record(frozen=False, eq=False)
class Part:
    """One function: its blocks, what it is given, what it returns."""

    name: str
    blocks: list[tuple[int, list[Item]]]  # equation, lines and runs
    given: list[Cell]
    results: list[tuple[str, Cell]]

    @property
    def items(self) -> Iterator[Item]:
        for _, items in self.blocks:
            yield from items

    @property
    def runs(self) -> list[Run]:
        return [item for item in self.items if isinstance(item, Run)]


class Refused(Exception):
    """A run, or all of them, cannot be written as a loop."""


class Families:
    """The families of functions that share their values."""

    def __init__(
        self,
        parts: Sequence[Part],
        saved: Sequence[Cell],
        sources: Mapping[Cell, Source],
        cells: Collection[Cell],
        own: Collection[Cell],
        lasting: Collection[Cell],
        hinted: Collection[Cell],
        flat: Mapping[Cell, str],
    ) -> None:
        """`own`: what the program or its data name, which is no member of a family but has
        its place; `lasting`: what keeps its name where it is none; `hinted`: what has its
        name from the text of a function."""
        self.parts, self.saved, self.sources = parts, saved, sources
        self.cells, self.own, self.lasting = cells, own, lasting
        self.hinted, self.flat = hinted, flat
        self.of: dict[Cell, tuple[Family, int]] = {}
        self.holes: dict[Run, list[list[Hole]]] = {}  # of each statement of a segment
        self.names: dict[Cell, str] = {}
        self.taken: set[str] = set()
        self._entering: dict[Run, list[tuple[Family, int, Cell]]] = {}
        self.leaf_names: dict[tuple[Cell, ...], str] = {}  # in runs
        self.made: dict[Cell, str] = {}  # the function that makes it
        self.changed: set[Cell] = set()
        for part in parts:
            for s in (s for item in part.items for s in statements_of(item)):
                self.made.setdefault(s.target, part.name)
                self.changed |= {s.target} if s.update else set()
        for part in parts:
            for k, (equation, items) in enumerate(part.blocks):
                bound = [x for item in items for x in self._bound(part, item)]
                part.blocks[k] = (equation, bound)
        self.families = list(dict.fromkeys(f for f, _ in self.of.values()))
        self._kinds()
        self._name()

    # ------------------------------------------------------------------ binding
    def tokens(self, s: Statement) -> list[Cell]:
        """The cells that a line names, in order."""
        return [t for t in TOKEN.findall(s.text) if t in self.cells]

    def _bound(self, part: Part, item: Item) -> list[Item]:
        """A run whose values are families, or its statements where they cannot be."""
        if isinstance(item, Statement):
            return [item]
        before = dict(self.of)
        kept = {
            f: (dict(f.members), dict(f.given), [*f.makers]) for f, _ in before.values()
        }
        try:
            self.holes[item] = self._holes(part, item)
        except Refused:
            self.of = before
            for family, (members, given, makers) in kept.items():
                family.members, family.given, family.makers = members, given, makers
            return [*statements_of(item)]
        return [item]

    def _holes(self, part: Part, run: Run) -> list[list[Hole]]:
        """The families of what a run makes, then of what it reads."""
        columns = [*zip(*run.segments, strict=True)]
        for column in columns:
            targets = tuple(s.target for s in column)
            if len(set(targets)) > 1:
                self._bind(part, run, targets, made=True)
            elif not column[0].update:
                raise Refused
        out: list[list[Hole]] = []
        for column in columns:
            rows = [self.tokens(s) for s in column]
            out.append([self._bind(part, run, t) for t in zip(*rows, strict=True)])
        return out

    def _bind(
        self, part: Part, run: Run, cells: tuple[Cell, ...], made: bool = False
    ) -> Hole:
        """Give the values of a hole their places."""
        if len(set(cells)) == 1:
            return Hole(cells)
        if len(set(cells)) < len(cells):
            raise Refused
        sources = [self.sources.get(c) for c in cells]
        if all(sources):
            paths = {
                (s.table, pattern(s.path, n))
                for s, n in zip(sources, run.copies, strict=True)
                if s is not None
            }
            if len(paths) > 1:
                raise Refused
            return Hole(cells)
        known = [
            (self.of[c], n)
            for c, n in zip(cells, run.copies, strict=True)
            if c in self.of
        ]
        if known:
            (family, at), n = known[-1]  # of a carry, the first is what it starts from
            shift = at - n
        else:
            family, shift = Family(), 0
        if made:
            family.makers.append(run)
        for cell, n in zip(cells, run.copies, strict=True):
            self._put(part, cell, family, n + shift, made)
        return Hole(cells, family, shift)

    def _put(self, part: Part, cell: Cell, family: Family, at: int, made: bool) -> None:
        """A value becomes a member; one that has another place is a member as well."""
        if self.of.get(cell) == (family, at) or family.given.get(at) == cell:
            return
        if at in family.members or at in family.given:
            raise Refused
        own = cell in self.own or cell in self.of or cell not in self.made
        makers = {self.made[c] for c in family.members.values()}
        if not own and not made and family.makers and cell not in self.hinted:
            own = self.stem(cell) not in map(self.stem, family.members.values())
        if not own or (made and cell not in self.of):
            if makers - {self.made[cell]}:
                raise Refused
            family.members[at] = cell
            self.of[cell] = family, at
            return
        if made or cell in self.changed or makers != {part.name}:
            raise Refused
        family.given[at] = cell

    # ------------------------------------------------------------------ kinds
    def _kinds(self) -> None:
        """What is read in its own run alone is a variable; adjoints to return are results."""
        outside = set(self.saved)
        for part in self.parts:
            for item in part.items:
                if isinstance(item, Statement):
                    outside.update(TOKEN.findall(reads(item)))
        paths: dict[Cell, str] = {}
        barred = set(self.saved)
        for part in self.parts:
            for path, cell in part.results:
                if part.name not in RESULTS or cell in paths:
                    barred.add(cell)
                paths[cell] = path
        for family in self.families:
            members = family.members
            keys = {pattern(paths[c], n) for n, c in members.items() if c in paths}
            if len(keys) == 1 and paths.keys() - barred >= set(members.values()):
                family.kind = "result"
                for cell in paths.keys() - barred - self.of.keys():
                    self._join(family, cell, paths[cell], keys)
                continue
            outward = [n for n, c in members.items() if c in outside or c in paths]
            family.kind = "variable" if self._is_local(family, outward) else "dict"

    def _join(self, family: Family, cell: Cell, path: str, keys: set[str]) -> None:
        """The adjoint of a copy that is like no other stands with theirs."""
        base = {base_of(c) for c in family.members.values()}
        copy = copy_of(cell)
        if not copy or base_of(cell) not in base or copy[-1] in family.members:
            return
        if {pattern(path, copy[-1])} == keys:
            family.members[copy[-1]] = cell
            self.of[cell] = family, copy[-1]

    def _is_local(self, family: Family, outward: Collection[int]) -> bool:
        """Is each member read in the copy that makes it, or before it is made in the next?

        `outward`: the members that something outside of runs reads: the last one may be.
        """
        if len(family.makers) != 1:
            return False
        (run,) = family.makers
        family.leaves = bool(outward)
        if any(n != run.copies[-1] for n in outward):
            return False
        for other, lines in self.holes.items():
            made = False
            for line, s in zip(lines, other.segments[0], strict=True):
                for hole in line:
                    if hole.family is not family or hole.cells[0] == s.target:
                        continue
                    if other is not run or hole.shift not in (0, -run.step):
                        return False
                    if made != (hole.shift == 0):
                        return False
                made |= self.of.get(s.target, (None, 0))[0] is family
        return True

    # ------------------------------------------------------------------ names
    def _name(self) -> None:
        """`z`, `z_2`, … in the order of the lines. Variables of copies share theirs."""
        inside = {c for part in self.parts for c in self.leaves_inside(part)}
        inside -= {c for part in self.parts for c in self.read_outside(part)}
        kept = {*self.own, *self.lasting} - inside
        taken = set(RESERVED) | {self.flat.get(c, base_of(c)) for c in kept}
        shared: dict[str, list[str]] = {}  # names that runs use inside of themselves
        within: dict[Run, dict[str, int]] = {}

        def free(stem: str) -> str:
            made = next(
                name
                for k in count(1)
                if (name := stem if k == 1 else f"{stem}_{k}") not in taken
            )
            taken.add(made)
            return made

        self._name_leaves(taken, free)
        for cell in self._in_order():
            family = self.of[cell][0] if cell in self.of else None
            if family is None:
                plain = self.flat.get(cell, base_of(cell))
                self.names[cell] = plain if cell in kept else free(self.stem(plain))
            elif family.name:
                continue
            elif family.kind == "variable":
                (run,) = family.makers
                stem = self._stem_of(family)
                started = set(family.members) - {*run.copies}
                if family.leaves or started:  # it lives before the loop, or behind it
                    family.name = self._named(family, free)
                    continue
                uses = within.setdefault(run, {})
                k = uses[stem] = uses.get(stem, 0) + 1
                names = shared.setdefault(stem, [])
                while len(names) < k:
                    names.append(free(stem))
                family.name = names[k - 1]
            elif family.kind == "dict":
                family.name = self._named(family, free)
            else:
                family.name = base_of(cell)

        self.taken = taken

    def _name_leaves(self, taken: set[str], free: Callable[[str], str]) -> None:
        """One variable for the leaves at a place of all copies: `W` for `W⟦0⟧`, `W⟦1⟧`, …"""
        named: dict[str, str] = {}  # by path: in all runs the same
        for run, lines in self.holes.items():
            used: dict[str, str] = {}  # in this run: of two copies at once, two names
            for hole in (h for line in lines for h in line if is_leaf(h)):
                first = hole.cells[0]
                path = pattern(self.sources[first].path, run.copies[0])
                base = base_of(first)
                if path not in named:
                    named[path] = base if base != first else free(self.stem(base))
                    taken.add(named[path])
                if used.setdefault(named[path], path) != path:
                    named[path] = free(base)
                    used[named[path]] = path
                self.leaf_names[hole.cells] = named[path]

    def leaves(self, part: Part) -> list[Source]:
        """The leaves that runs of a function read by path."""
        holes = [h for run in part.runs for line in self.holes[run] for h in line]
        return [self.sources[c] for h in holes if is_leaf(h) for c in h.cells]

    def outside_names(self) -> dict[Cell, str]:
        """A name of its own for each value: `h3` for `h[3]`, as for copies of other repeats."""
        found = {cell: self.place(cell).name for cell in self.cells}
        for family in self.families:
            joint = "_" if family.name[-1].isdigit() else ""
            for at, cell in sorted(family.members.items()):
                name = f"{family.name}{joint}{at + family.offset}"
                if family.kind == "result":
                    name = self.flat.get(cell, base_of(cell))
                while name in self.taken:
                    name += "_"
                self.taken.add(name)
                found[cell] = name
        return found

    def _in_order(self) -> list[Cell]:
        found: dict[Cell, None] = {}
        for part in self.parts:
            for item in part.items:
                for s in statements_of(item):
                    found.update(dict.fromkeys([*self.tokens(s), s.target]))
            found.update(dict.fromkeys(cell for _, cell in part.results))
        return list(found)

    def _named(self, family: Family, free: Callable[[str], str]) -> str:
        """The program's own name for one of the members, else a free one."""
        own = [c for c in family.members.values() if c in self.own]
        return (
            self.flat.get(own[-1], base_of(own[-1]))
            if own
            else free(self._stem_of(family))
        )

    def _stem_of(self, family: Family) -> str:
        """What a family is called: as the text of the function says, or as what is made."""
        cells = list(family.members.values())
        cell = next((c for c in reversed(cells) if c in self.hinted), cells[0])
        return self.stem(base_of(cell))

    def stem(self, name: str) -> str:
        """A name without the number that was put behind it since it was taken."""
        head, _, number = name.rpartition("_")
        taken = head in self.cells or head.removeprefix("d_") in self.cells
        return head if number.isdigit() and taken else name

    # ------------------------------------------------------------------ places
    def place(self, cell: Cell) -> Place:
        """Where a value is outside of loops."""
        family, at = self.of.get(cell, (None, 0))
        if family is None:
            return Place(self.names.get(cell, self.flat.get(cell, base_of(cell))))
        if family.kind == "dict":
            return Place(family.name, at + family.offset)
        if family.kind == "result":
            return Place(family.name, cell)
        return Place(family.name)

    def place_in(self, run: Run, hole: Hole, n: int) -> Place:
        """Where the value of a hole is in copy `n` of a run."""
        if len(set(hole.cells)) == 1:
            return self.place(hole.cells[0])
        if hole.family is None:
            return Place(self.leaf_names[hole.cells])
        if hole.family.kind == "dict":
            return Place(hole.family.name, n + hole.shift + hole.family.offset)
        if hole.family.kind == "result":
            return Place(hole.family.name, hole.family.members[n + hole.shift])
        return Place(hole.family.name)

    def is_result(self, cell: Cell) -> bool:
        """Does it stand in the dict of the results at once?"""
        return cell in self.of and self.of[cell][0].kind == "result"

    def seen(self, part: Part) -> list[Cell]:
        """All cells of a function."""
        found = [
            c
            for item in part.items
            for s in statements_of(item)
            for c in self.tokens(s)
        ]
        return [*dict.fromkeys([*found, *part.given, *(c for _, c in part.results)])]

    def leaves_inside(self, part: Part) -> set[Cell]:
        """The leaves that only runs read, each copy its own."""
        holes = [h for run in part.runs for line in self.holes[run] for h in line]
        inside = {cell for hole in holes if is_leaf(hole) for cell in hole.cells}
        return inside - self.read_outside(part)

    def read_outside(self, part: Part) -> set[Cell]:
        """What stands in a line outside of runs, or is one value for all of a run's copies."""
        found: set[Cell] = set()
        for item in part.items:
            if isinstance(item, Statement):
                found.update(self.tokens(item))
                continue
            holes = [h for line in self.holes[item] for h in line]
            found.update(h.cells[0] for h in holes if len(set(h.cells)) == 1)
            found.update(cell for _, _, cell in self.entering(item))
        return found

    def entering(self, run: Run) -> list[tuple[Family, int, Cell]]:
        """The values with another name that a run's families begin with."""
        known = self._entering.get(run)
        if known is None:
            holes = (h.family for line in self.holes[run] for h in line)
            known = self._entering[run] = [
                (family, at, cell)
                for family in dict.fromkeys(holes)
                if family is not None and run in family.makers
                for at, cell in family.given.items()
            ]
        return known
