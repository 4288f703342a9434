"""The buffer plan: which arrays of a step share memory.

In: what each instruction reads and writes, in order, as *storages* (memory for one array,
its size a polynomial in the sizes of the data). Out: a place for each storage in one of few
*slots*, and what dies after each instruction. Pure: it knows neither ops nor text.

* A storage lives from its first write through any view to its last read through any view.
* An instruction may say whose place its result can take (`over`): of those that die there,
  the first one gives its place to the result.
* Slots are filled with the largest storages first, those of one size in order: each takes
  the smallest slot that nobody is in while it lives (of equal ones the last that was left),
  else a new one. So small ones lie where large ones are not at the time, and no slot is
  larger than what it was made for. Sizes are compared as polynomials; where that decides
  nothing, nothing is shared.
* A loop is one instruction with a body: what it touches outside lives for all of it, and
  what only its body touches shares memory within one step.

    plan([Use((a,), ()), Use((b,), (a,), over=(a,))]).place     # {a: 0, b: 0}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from fractions import Fraction
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import product as choices

from gradc.records import record

from ..ir.dims import Coefficient, Dim, Poly
from ..ir.op import Kind


@record(eq=False)
class Storage:
    """Memory for one array. `given`: it is the caller's (a gradient), not planned here."""

    size: Dim
    kind: Kind
    given: bool = False


@record(eq=False)
class Use:
    """One instruction: its result comes first among what it writes, scratch after it."""

    writes: tuple[Storage, ...]
    reads: tuple[Storage, ...]
    over: tuple[Storage, ...] = ()  # whose place the result may take
    body: tuple[Use, ...] = ()  # of a loop


@record(frozen=False)
class Slot:
    """One array that several storages use in turn."""

    kind: Kind
    size: Dim
    tenants: list[Storage] = field(default_factory=list)


@record(frozen=False)
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


TYPICAL = 64  # what a size of the data is taken to be where sizes are put in order


def plan(uses: Sequence[Use]) -> Layout:
    """Assign places. What nobody writes first is taken to be there from the start."""
    layout = Layout()
    _merge(uses, layout)
    lives = _Lives(layout)
    lives.run(uses)
    _fill(lives, layout)
    return layout


def _typical(d: Dim) -> Fraction:
    """A size for data of a typical size."""
    return sum((c * TYPICAL ** len(m) for m, c in d.value.terms), Fraction(0))


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


@record(frozen=False, eq=False)
class _Tenant:
    """Storages that follow one another in one place, each made of the one before."""

    storages: list[Storage]
    start: int  # both in the order of all instructions, those of bodies among them
    end: int = -1

    @property
    def kind(self) -> Kind:
        return self.storages[0].kind

    @property
    def size(self) -> Dim:
        return self.storages[0].size


class _Lives:
    """Who lives when: one pass over the instructions."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.tenants: list[_Tenant] = []
        self.of: dict[Storage, _Tenant] = {}
        self.dying: dict[Use, list[_Tenant]] = {}
        self.now = -1

    def run(self, uses: Sequence[Use]) -> None:
        """One sequence: the whole program, or the body of a loop."""
        layout = self.layout
        last = last_touch(uses, layout)
        mine: set[Storage] = set()  # written first in this sequence, so freed in it
        for i, use in enumerate(uses):
            self.now += 1
            here = [
                s
                for s in dict.fromkeys(map(layout.home, touched(use)))
                if s in mine and last.get(s) == i
            ]
            for k, w in enumerate(use.writes):
                w = layout.home(w)
                if w.given or w in self.of:
                    continue
                before = self._taken(w, use, here) if k == 0 else None
                if before is not None:
                    here.remove(before)
                    mine.discard(before)
                    self.of[w] = self.of[before]
                    self.of[w].storages.append(w)
                else:
                    self.of[w] = _Tenant([w], self.now)
                    self.tenants.append(self.of[w])
                mine.add(w)
                if last[w] == i:
                    here.append(w)
            if use.body:
                self.run(use.body)
            mine.difference_update(here)
            self.dying[use] = [self.of[s] for s in here]
            for tenant in self.dying[use]:
                tenant.end = self.now

    def _taken(self, w: Storage, use: Use, dying: list[Storage]) -> Storage | None:
        for s in map(self.layout.home, use.over):
            if s in dying and s.kind == w.kind and s.size == w.size:
                return s
        return None


Gap = tuple[int, int, int, int]  # which sizes, minus its start, its end, and the slot


class _Slots:
    """Slots, filled with the largest tenants first."""

    def __init__(self) -> None:
        self.sizes: list[tuple[Kind, Dim]] = []
        self.tenants: list[list[_Tenant]] = []  # in order

    def fill(self, tenants: Sequence[_Tenant], never: int) -> None:
        """Tenants of one kind and size, in order. `never`: when nothing is left to do."""
        kind, size = tenants[0].kind, tenants[0].size
        waiting: list[tuple[int, Gap]] = []
        known: dict[Dim, int] = {}  # slots that hold one, the smallest size the first
        for k in range(len(self.sizes) - 1, -1, -1):
            if self.sizes[k][0] == kind and at_most(size, self.sizes[k][1]):
                rank = known.setdefault(self.sizes[k][1], len(known))
                waiting += self._gaps(k, rank, never)
        heapify(waiting)
        mine = known.setdefault(size, -1)
        free: list[Gap] = []
        for tenant in tenants:
            while waiting and waiting[0][0] < tenant.start:
                heappush(free, heappop(waiting)[1])
            short: list[Gap] = []
            found: Gap | None = None
            while free and found is None:
                gap = heappop(free)
                if gap[2] > tenant.end:
                    found = gap
                elif gap[2] > tenant.start:
                    short.append(gap)
            for gap in short:
                heappush(free, gap)
            if found is None:
                self.sizes.append((kind, size))
                self.tenants.append([])
                found = (mine, 1, never, len(self.sizes) - 1)
            rank, _, end, k = found
            self.tenants[k].append(tenant)
            heappush(waiting, (tenant.end, (rank, -tenant.end, end, k)))
        for lodged in self.tenants:
            lodged.sort(key=lambda t: t.start)

    def _gaps(self, k: int, rank: int, never: int) -> Iterator[tuple[int, Gap]]:
        """When nobody is in a slot, with when that begins."""
        begin = -1
        for tenant in self.tenants[k]:
            if tenant.start - begin > 1:
                yield begin, (rank, -begin, tenant.start, k)
            begin = tenant.end
        yield begin, (rank, -begin, never, k)


def _fill(lives: _Lives, layout: Layout) -> None:
    """Give every tenant its slot; slots are numbered as they are first used."""
    classes: dict[tuple[Kind, Dim], list[_Tenant]] = {}
    for tenant in lives.tenants:
        classes.setdefault((tenant.kind, tenant.size), []).append(tenant)
    slots = _Slots()
    for key in sorted(classes, key=lambda key: -_typical(key[1])):
        slots.fill(classes[key], lives.now + 1)
    order = sorted(range(len(slots.sizes)), key=lambda k: slots.tenants[k][0].start)
    place: dict[_Tenant, int] = {}
    for k in order:
        lodged = slots.tenants[k]
        place.update((t, len(layout.slots)) for t in lodged)
        slot = Slot(*slots.sizes[k], [s for t in lodged for s in t.storages])
        layout.slots.append(slot)
    layout.place.update((s, place[t]) for s, t in lives.of.items())
    for use, dying in lives.dying.items():
        layout.freed[use] = [place[t] for t in dying]


# ------------------------------------------------------------------------ sizes
def at_most(a: Dim, b: Dim) -> bool:
    """Is a <= b whatever the sizes of the data are, each at least 1? False: unknown."""
    if a.integer is not None and b.integer is not None:
        return a.integer <= b.integer
    return _never_above(a.value, b.value)


@lru_cache(maxsize=4096)
def _never_above(a: Poly, b: Poly, ones: frozenset[str] | None = None) -> bool:
    """With 1 + u for every symbol, or for `ones`, no coefficient of b - a is negative."""
    p = b + a.scaled(-1)
    if all(c >= 0 for _, c in p.terms):
        return True
    if len(p.terms) > 40 or any(len(m) > 8 for m, _ in p.terms):
        return False
    total: dict[tuple[str, ...], Coefficient] = {}
    for monomial, c in p.terms:
        moved = (ones is None or s in ones for s in monomial)
        for kept in choices(*((False, True) if m else (True,) for m in moved)):
            key = tuple(s for s, keep in zip(monomial, kept, strict=True) if keep)
            total[key] = total.get(key, 0) + c
    return all(c >= 0 for c in total.values())


def taken_as_one(
    most: Dim, held: Iterable[Dim], never_zero: frozenset[str] = frozenset()
) -> frozenset[str]:
    """The sizes of the data for which 1 is put where they are 0, so that `most` is even then
    as large as all of `held`, each of which is `at_most` it: N, of 3 in 3 N."""
    symbols = frozenset(most.symbols()) - never_zero
    some = [frozenset(), *(frozenset((s,)) for s in sorted(symbols))]
    pairs = [(d.value, most.value) for d in dict.fromkeys(held)]
    for ones in some:
        known = ones | never_zero
        if all(_never_above(*pair, known) for pair in pairs):
            return ones
    return symbols


def largest(sizes: Iterable[Dim]) -> list[Dim]:
    """The sizes that no other one is known to reach: a maximum, as far as it is known."""
    kept: list[Dim] = []
    for d in sizes:
        if any(at_most(d, k) for k in kept):
            continue
        kept = [k for k in kept if not at_most(k, d)]
        kept.append(d)
    return kept
