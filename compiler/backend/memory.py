"""The buffer plan: which arrays of a step share memory.

In: what each instruction reads and writes, in order, as *storages* (memory for one array,
its size a polynomial in the sizes of the data). Out: a place for each storage in one of few
*slots*, and what dies after each instruction. Pure: it knows neither ops nor text.

* A storage lives from its first write through any view to its last read through any view.
* An instruction may say whose place its result can take (`over`): of those that die there,
  the first one gives its place to the result.
* Slots are filled in one pass: what died is freed, and the result gets the smallest free
  slot that holds it (of equal ones the last that was freed), else the largest free one is
  enlarged, else a new one is opened; what lives from one function into the next, one of its
  own size alone. A slot is as large as its largest tenant. Sizes are compared as
  polynomials; where that decides nothing, nothing is shared.
* A loop is one instruction with a body: what it touches outside lives for all of it, and
  what only its body touches shares memory within one step.

    plan([Use((a,), ()), Use((b,), (a,), over=(a,))]).place     # {a: 0, b: 0}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import product as choices

from ..ir.dims import Coefficient, Dim, Poly
from ..ir.op import Kind


@dataclass(frozen=True, eq=False)
class Storage:
    """Memory for one array. `given`: it is the caller's (a gradient), not planned here."""

    size: Dim
    kind: Kind
    given: bool = False


@dataclass(frozen=True, eq=False)
class Use:
    """One instruction: its result comes first among what it writes, scratch after it."""

    writes: tuple[Storage, ...]
    reads: tuple[Storage, ...]
    over: tuple[Storage, ...] = ()  # whose place the result may take
    body: tuple[Use, ...] = ()  # of a loop


@dataclass
class Slot:
    """One array that several storages use in turn."""

    kind: Kind
    size: Dim
    tenants: list[Storage] = field(default_factory=list)


@dataclass
class Layout:
    """Where everything lies."""

    slots: list[Slot] = field(default_factory=list)
    place: dict[Storage, int] = field(default_factory=dict)
    merged: dict[Storage, Storage] = field(default_factory=dict)  # into a given one
    freed: dict[Use, list[int]] = field(default_factory=dict)  # slots empty after it

    def same(self, a: Storage, b: Storage) -> bool:
        """Do two storages lie in one place?"""
        a, b = self.home(a), self.home(b)
        return a is b or (
            a in self.place and b in self.place and self.place[a] == self.place[b]
        )

    def home(self, s: Storage) -> Storage:
        """The storage itself, or the given one that it is a part of the way to."""
        while s in self.merged:
            s = self.merged[s]
        return s

    def total(self, kind: Kind) -> Poly:
        """The elements of all slots of one kind."""
        total = Poly({})
        for slot in self.slots:
            if slot.kind == kind:
                total = total + slot.size.value
        return total


ROOM = 4  # how many times its own size a slot may have that a value takes: `sparing`
TYPICAL = 64  # what a size of the data is taken to be where two plans are compared


def plan(uses: Sequence[Use], boundary: int = 0, sparing: bool = False) -> Layout:
    """Assign places. What nobody writes first is taken to be there from the start.

    `boundary`: how many instructions come before a call returns and another one goes on.
    `sparing`: tried as well, where values are of very different sizes, is that a small one
    takes no large slot, so that the next large one finds it. The plan that needs less is taken.
    """
    layout = Layout()
    _merge(uses, layout)
    _Planner(layout, _saved(uses, boundary, layout)).run(uses)
    if sparing:
        other = Layout(merged=layout.merged)
        _Planner(other, _saved(uses, boundary, other), sparing).run(uses)
        if _typical(other) < _typical(layout):
            return other
    return layout


def _typical(layout: Layout) -> Fraction:
    """The elements of a plan for data of a typical size."""
    terms = layout.total("real").terms
    return sum((c * TYPICAL ** len(m) for m, c in terms), Fraction(0))


# ------------------------------------------------------------------------ lifetimes
def touched(use: Use) -> list[Storage]:
    """All storages of an instruction, those of its body with it."""
    found: dict[Storage, None] = {}
    stack = [use]
    while stack:
        u = stack.pop()
        found.update(dict.fromkeys((*u.writes, *u.reads)))
        stack.extend(u.body)
    return list(found)


def last_touch(uses: Sequence[Use], home: Layout) -> dict[Storage, int]:
    """The index of the last instruction that touches each storage."""
    last: dict[Storage, int] = {}
    for i, use in enumerate(uses):
        for s in touched(use):
            last[home.home(s)] = i
    return last


def _saved(uses: Sequence[Use], boundary: int, home: Layout) -> set[Storage]:
    """What lives across the boundary, and what lies in its place before it."""
    written: set[Storage] = set()
    for use in uses[:boundary]:
        written.update(touched(use))
    saved = {s for use in uses[boundary:] for s in touched(use) if s in written}
    for use in reversed(uses[:boundary]):
        if use.writes and use.writes[0] in saved:
            saved.update(s for s in use.over if not s.given)
    return {home.home(s) for s in saved}


def _merge(uses: Sequence[Use], layout: Layout) -> None:
    """Partial results on the way to a given array lie in it from the start.

    `d_W = A + B` with A dying is A in the place of d_W, then B added.
    """
    first: dict[Storage, int] = {}
    last: dict[Storage, int] = {}
    for i, use in enumerate(uses):
        for s in touched(use):
            first.setdefault(s, i)
            last[s] = i
    for i in range(len(uses) - 1, -1, -1):
        use = uses[i]
        if not use.writes or not use.over or use.body:
            continue
        target = layout.home(use.writes[0])
        if not target.given or first[use.writes[0]] != i:
            continue
        for s in use.over:
            fits = not s.given and s.kind == target.kind and s.size == target.size
            if fits and last[s] == i and s not in layout.merged:
                layout.merged[s] = target
                break


class _Planner:
    """One pass over the instructions."""

    def __init__(
        self, layout: Layout, saved: set[Storage], sparing: bool = False
    ) -> None:
        self.layout = layout
        self.saved = saved
        self.sparing = sparing
        self.free: list[int] = []

    def run(self, uses: Sequence[Use]) -> None:
        """One sequence: the whole program, or the body of a loop."""
        layout = self.layout
        last = last_touch(uses, layout)
        mine: set[Storage] = set()  # placed in this sequence, so freed in it
        for i, use in enumerate(uses):
            dying = [
                s
                for s in map(layout.home, touched(use))
                if s in mine and last.get(s) == i
            ]
            dying = list(dict.fromkeys(dying))
            for k, w in enumerate(use.writes):
                w = layout.home(w)
                if w.given or w in layout.place:
                    continue
                taken = self._taken(w, use, dying) if k == 0 else None
                if taken is not None:
                    dying.remove(taken)
                    mine.discard(taken)
                    layout.place[w] = layout.place[taken]
                    layout.slots[layout.place[w]].tenants.append(w)
                else:
                    self._open(w)
                mine.add(w)
                if last[w] == i:
                    dying.append(w)
            if use.body:
                self.run(use.body)
            for s in dying:
                mine.discard(s)
                self.free.append(layout.place[s])
            layout.freed[use] = [layout.place[s] for s in dying]

    def _taken(self, w: Storage, use: Use, dying: list[Storage]) -> Storage | None:
        for s in map(self.layout.home, use.over):
            if s in dying and s.kind == w.kind and s.size == w.size:
                return s
        return None

    def _open(self, w: Storage) -> None:
        """The smallest free slot that holds it, the largest enlarged, or a new one.

        What is saved takes none that is larger than itself: it would be so for long.
        """
        slots = self.layout.slots
        free = [k for k in self.free if slots[k].kind == w.kind]
        if w in self.saved:
            fits = at_most if self.sparing else Dim.__eq__
            free = [k for k in free if fits(slots[k].size, w.size)]
        fitting = [k for k in free if at_most(w.size, slots[k].size)]
        if self.sparing:
            fitting = [k for k in fitting if at_most(slots[k].size, w.size * ROOM)]
        chosen: int | None = None
        if fitting:
            chosen = fitting[0]
            for k in fitting[1:]:  # of equal ones that freed last: it is in the cache
                if at_most(slots[k].size, slots[chosen].size):
                    chosen = k
        else:
            for k in free:
                if not at_most(slots[k].size, w.size):
                    continue
                if chosen is None or at_most(slots[chosen].size, slots[k].size):
                    chosen = k
            if chosen is not None:
                slots[chosen].size = w.size
        if chosen is None:
            slots.append(Slot(w.kind, w.size))
            chosen = len(slots) - 1
        else:
            self.free.remove(chosen)
        self.layout.place[w] = chosen
        slots[chosen].tenants.append(w)


# ------------------------------------------------------------------------ sizes
def at_most(a: Dim, b: Dim) -> bool:
    """Is a <= b whatever the sizes of the data are, each at least 1? False: unknown."""
    if a.integer is not None and b.integer is not None:
        return a.integer <= b.integer
    return _never_above(a.value, b.value)


@lru_cache(maxsize=4096)
def _never_above(a: Poly, b: Poly) -> bool:
    """With 1 + u for every symbol, no coefficient of b - a is negative."""
    p = b + a.scaled(-1)
    if all(c >= 0 for _, c in p.terms):
        return True
    if len(p.terms) > 40 or any(len(m) > 8 for m, _ in p.terms):
        return False
    total: dict[tuple[str, ...], Coefficient] = {}
    for monomial, c in p.terms:
        for kept in choices((False, True), repeat=len(monomial)):
            key = tuple(s for s, keep in zip(monomial, kept, strict=True) if keep)
            total[key] = total.get(key, 0) + c
    return all(c >= 0 for c in total.values())


def largest(sizes: Iterable[Dim]) -> list[Dim]:
    """The sizes that no other one is known to reach: a maximum, as far as it is known."""
    kept: list[Dim] = []
    for d in sizes:
        if any(at_most(d, k) for k in kept):
            continue
        kept = [k for k in kept if not at_most(k, d)]
        kept.append(d)
    return kept
