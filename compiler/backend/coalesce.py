"""One variable for all versions of a value: the names of rolled functions, chosen and checked.

In a loop a name drops its copy: ``h = h + y`` both reads and makes `h`, as when a compiler
leaves SSA form. That is right only if every read finds the version that it means, so each
rolled function is executed once symbolically: every iteration, every name. Where a read would
find another value, a name is kept apart (``h = h0`` before the loop, ``h_before`` inside), and
where that does not help, the function cannot be rolled so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gradc.records import record

from ..ir.node import Node
from .names import Names, base_of, copy_of
from .plan import Plan
from .rolled import TOKEN, Loop, Rolled, Unit, Version, marked, outside, reads
from .sources import Source, sources
from .statements import BlockText, Statement


class Clash(Exception):
    """A read would find another value than it means."""

    def __init__(self, variable: str) -> None:
        super().__init__(variable)
        self.variable = variable


@record
class Symbols:
    """What the marked names of a module stand for."""

    plan: Plan
    names: Names
    flat: Mapping[
        str, str
    ]  # how each is spelt outside of loops, where nothing is rolled
    params: Mapping[str, Source]
    saved: list[str]  # by forward, in order
    values: set[str]

    @classmethod
    def of(cls, plan: Plan, names: Names, flat: Mapping[str, str]) -> Symbols:
        params = {names.of[n]: source for n, source in sources(plan.program).items()}
        saved = [names.of[n] for n in plan.saved]
        return cls(plan, names, flat, params, saved, set(names.of.values()))


def settle(symbols: Symbols, name: str, rolled: Rolled) -> bool:
    """Choose spellings until the function is right; False where none is."""
    for loop in rolled.loops:
        if name == "forward" and loop.saves and not _place(symbols, loop):
            return False
    wishes: dict[str, str] = {}  # a value outside of a loop -> the loop's variable
    for loop in rolled.loops:
        for base, distance in _carried(symbols, loop):
            wishes.setdefault(loop.units[0].version(base, distance), base)
        for value, variable in _leaving(loop).items():
            wishes.setdefault(value, variable)
    apart: dict[str, str] = {}  # a value of no copy -> a name that no loop has
    given = {symbols.names.of[n] for n in symbols.plan.functions[name].leaves}
    for _ in range(len(wishes) + len(symbols.values)):
        rolled.spelling = spelling = {**symbols.flat, **wishes, **apart}
        _bridge(symbols, rolled)
        try:
            _Execution(symbols, name, rolled).run()
        except Clash as clash:
            failed = clash.variable
        else:
            rolled.inside = _inside(symbols, name, rolled)
            return True
        dropped = [v for v, variable in wishes.items() if variable == failed]
        if not dropped:
            if failed not in symbols.values or failed in {*apart, *given}:
                return False
            taken = {*spelling, *spelling.values(), *symbols.values}
            apart[failed] = _apart(failed, taken | set(symbols.names.bases))
        for v in dropped:
            del wishes[v]
    return False


def _apart(value: str, taken: set[str]) -> str:
    """Another name for a value of no copy that a loop's variable would overwrite."""
    k = 2
    while f"{value}_{k}" in taken:
        k += 1
    return f"{value}_{k}"


def _place(symbols: Symbols, loop: Loop) -> bool:
    """Where a copy's values are appended: the last place that has them all."""
    unit = loop.units[0]
    holds: dict[str, int] = {}  # variable -> distance of the version that it has
    for base, distance in loop.saves:
        if distance < 0 or unit.version(base) in symbols.params:
            holds[loop.variable(base, distance)] = distance
    loop.append_at = -1
    targets = [s.target for s in unit.statements]
    for k in range(len(targets) + 1):
        if all(holds.get(loop.variable(b, d)) == d for b, d in loop.saves):
            loop.append_at = k
        if k < len(targets):
            base, made = base_of(targets[k]), unit.distance(targets[k])
            if made is not None:
                holds[loop.variable(base, made)] = made
    return loop.append_at >= 0


def _carried(symbols: Symbols, loop: Loop) -> list[Version]:
    """What a copy reads before it makes it, other than parameters and saved values."""
    unit = loop.units[0]
    made: set[str] = set()
    if loop.backward and loop.list_name:
        made |= {unit.version(b, d) for b, d in loop.saves}
    out: dict[Version, None] = {}
    for s in unit.statements:
        for value in marked(reads(s)):
            distance = unit.distance(value)
            if value in made or value in symbols.params or distance is None:
                continue
            out.setdefault((base_of(value), distance))
        made.add(s.target)
    return list(out)


def _leaving(loop: Loop) -> dict[str, str]:
    """Values of the last copy that is run -> the variable that holds each."""
    unit = loop.units[-1]
    out: dict[str, str] = {}
    for s in unit.statements:
        distance = unit.distance(s.target)
        if distance is not None:
            out[s.target] = loop.variable(base_of(s.target), distance)
    return out


def _bridge(symbols: Symbols, rolled: Rolled) -> None:
    """`h = h0` before a loop, and `h3 = h` after it where a later block reads it."""
    later: set[str] = set()

    def read(statements: Iterator[Statement]) -> None:
        for s in statements:
            later.update(TOKEN.findall(s.text))

    for entry in reversed(rolled.entries):
        read(iter(outside(entry)))
        if isinstance(entry, BlockText):
            continue
        entry.head, entry.tail = [], []
        for base, distance in _carried(symbols, entry):
            value = entry.units[0].version(base, distance)
            spelt = rolled.spelling.get(value, base_of(value))
            if spelt != base:
                entry.head.append(f"{base} = {spelt}")
        for value, variable in _leaving(entry).items():
            spelt = rolled.spelling.get(value, base_of(value))
            if value in later and spelt != variable:
                entry.tail.append(f"{spelt} = {variable}")
        for unit in entry.units:
            read(unit.statements)


class _Execution:
    """A rolled function, run symbolically: which value each variable holds."""

    def __init__(self, symbols: Symbols, name: str, rolled: Rolled) -> None:
        self.symbols, self.name, self.rolled = symbols, name, rolled
        self.holds: dict[str, str] = {}

    def spell(self, value: str) -> str:
        return self.rolled.spelling.get(value, base_of(value))

    def run(self) -> None:
        """Raise `Clash` where a variable holds another value than is read."""
        of, params = self.symbols.names.of, self.symbols.params
        function = self.symbols.plan.functions[self.name]
        backward = self.name == "backward"
        given = [of[n] for n in (self.rolled.saved if backward else function.leaves)]
        if not backward:  # flat copies are unpacked below, where they are read
            given = [v for v in given if v not in params or not copy_of(v)]
        for value in [*given, *_flat_params(self.symbols, self.name, self.rolled)]:
            self.holds[self.spell(value)] = value
        for entry in self.rolled.entries:
            for s in outside(entry):
                self.statement(s, self.spell)
            if isinstance(entry, Loop):
                self.loop(entry)
        results = [of[n] for k, n in function.results if k not in self.rolled.stored]
        if self.name == "forward":
            results = [of[n] for n in self.rolled.saved] + results
        for value in results:
            variable = self.spell(value)
            if self.holds.get(variable, "" if copy_of(value) else value) != value:
                raise Clash(variable)

    def expect(self, variable: str, value: str) -> None:
        if self.holds.get(variable) != value:
            raise Clash(variable)

    def statement(self, s: Statement, named: Callable[[str], str]) -> None:
        for token in TOKEN.findall(reads(s)):
            variable = named(token)
            known = token in self.symbols.values
            if known and self.holds.get(variable, token) != token:
                raise Clash(variable)
            if "⟦" in token and variable not in self.holds:
                raise Clash(variable)
        self.holds[named(s.target)] = s.target

    def loop(self, loop: Loop) -> None:
        for base, distance in _carried(self.symbols, loop):
            value = loop.units[0].version(base, distance)
            self.expect(self.spell(value), value)
            self.holds[base] = value
        for unit in loop.units:
            self.copy(loop, unit)
        for value, variable in _leaving(loop).items():
            if f"{self.spell(value)} = {variable}" in loop.tail:
                self.holds[self.spell(value)] = value

    def copy(self, loop: Loop, unit: Unit) -> None:
        """One iteration."""

        def named(value: str) -> str:
            return loop.spelt(unit, value, self.rolled.spelling)

        if self.name == "backward":
            for base, distance in loop.saves:
                variable = loop.variable(base, distance)
                self.holds[variable] = unit.version(base, distance)
        else:
            for base, old in loop.before.items():
                value = unit.version(base, -1)
                self.expect(base, value)
                self.holds[old] = value
            for value in unit.own(self.symbols.params):
                self.holds[named(value)] = value
        appends = loop.append_at if self.name == "forward" else -1
        last = -1
        for last, s in enumerate(unit.statements):
            if last == appends:
                self.append(loop, unit)
            self.statement(s, named)
        if last + 1 == appends:
            self.append(loop, unit)
        for base in loop.stored:
            self.expect(base, unit.version(base))

    def append(self, loop: Loop, unit: Unit) -> None:
        """`layers.append((h, y, W))`"""
        for base, distance in loop.saves:
            self.expect(loop.variable(base, distance), unit.version(base, distance))


def _flat_params(symbols: Symbols, name: str, rolled: Rolled) -> list[str]:
    """Copies' parameters that are unpacked at the top, since no loop unpacks them."""
    if name == "backward":
        return []
    out: dict[str, None] = {}
    for entry in rolled.entries:
        found = [v for s in outside(entry) for v in marked(s.text)]
        if isinstance(entry, Loop):
            own = {v for u in entry.units for v in u.own(symbols.params)}
            found += [v for u in entry.units for v in u.marked() if v not in own]
        out.update(dict.fromkeys(v for v in found if v in symbols.params))
    if name == "forward":
        results = [n for _, n in symbols.plan.functions[name].results]
        returned = [symbols.names.of[n] for n in (*rolled.saved, *results)]
        marks = [v for v in returned if v in symbols.params and copy_of(v)]
        out.update(dict.fromkeys(marks))
    return list(out)


def _inside(symbols: Symbols, name: str, rolled: Rolled) -> set[Node]:
    """The parameters that only loops read, which they unpack."""
    flat = set(_flat_params(symbols, name, rolled))
    units = [u for loop in rolled.loops for u in loop.units]
    own = {v for u in units for v in u.own(symbols.params)}
    return {symbols.params[v].node for v in own - flat}
