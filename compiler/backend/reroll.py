"""Repeated layers stay repeated: neighbouring blocks that are alike become a loop.

In: the statements of every function, their names marked with their copy. Out: the same
functions with loops in them. The DAG stays unrolled; here each copy's index is replaced by
its distance to the block's own, and neighbouring copies whose code and comments are then
equal become ``for i in range(n)``. The odd copy (no ``d_x`` at the first, another width)
stays a block; `forward` and `backward` agree on the range.

What the variables of a loop hold is a matter of `coalesce.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..ir.program import Equation
from .coalesce import Symbols, settle
from .comments import Commentary
from .names import Names, base_of, copy_of
from .plan import Plan
from .rolled import TOKEN, Loop, Rolled, Unit, Version, marked, outside, pattern
from .statements import BlockText, Statement


class Run(NamedTuple):
    """Neighbouring copies of one repeat that are alike."""

    group: int
    outer: tuple[int, ...]  # the copies of the repeats around it
    low: int
    high: int

    def holds(self, unit: Unit | BlockText) -> bool:
        return (
            isinstance(unit, Unit)
            and (unit.group, unit.copy[:-1]) == (self.group, self.outer)
            and self.low <= unit.index <= self.high
        )


def roll(
    plan: Plan,
    names: Names,
    bodies: Mapping[str, list[BlockText]],
    comments: Commentary,
    flat: Mapping[str, str],
) -> dict[str, Rolled]:
    """Roll what can be rolled, function by function."""
    functions = {
        name: Rolled(list(blocks), list(plan.saved), spelling=dict(flat))
        for name, blocks in bodies.items()
    }
    if any(e.copy for e in plan.program.equations):
        roller = _Roller(Symbols.of(plan, names, flat), bodies, comments)
        functions.update(roller.run())
    return functions


class _Roller:
    def __init__(
        self,
        symbols: Symbols,
        bodies: Mapping[str, list[BlockText]],
        comments: Commentary,
    ) -> None:
        self.symbols, self.bodies, self.comments = symbols, bodies, comments
        self.functions = symbols.plan.functions
        self.params = symbols.params
        self.local = self._local()

    def run(self) -> dict[str, Rolled]:
        """The functions that have loops."""
        found: dict[str, Rolled] = {}
        if "backward" in self.bodies:
            both = _intersect(self._runs("forward"), self._runs("backward"))
            while both and not found:
                found = self._pair(both)
                both.pop()
        for name in ("evaluate", "predict"):
            chosen = self._runs(name) if name in self.bodies else []
            while chosen and name not in found:
                rolled = Rolled(self._entries(name, chosen))
                if settle(self.symbols, name, rolled):  # nothing is saved
                    found[name] = rolled
                chosen.pop()
        return found

    # ------------------------------------------------------------------ copies
    def _equation(self, block: BlockText) -> Equation | None:
        equations = self.symbols.plan.program.equations
        return (
            equations[block.equation] if 0 <= block.equation < len(equations) else None
        )

    def _local(self) -> dict[int, frozenset[str]]:
        """For each repeat, the bases of what its copies make, and of their parameters."""
        table: dict[int, set[str]] = {}
        foreign: dict[int, set[str]] = {}
        for block in (b for blocks in self.bodies.values() for b in blocks):
            e = self._equation(block)
            if e is None or not e.copy:
                continue
            local = table.setdefault(e.group, set())
            others = foreign.setdefault(e.group, set())
            for s in block.statements:
                at, base = copy_of(s.target), base_of(s.target)
                near = at[:-1] == e.copy[:-1] and len(at) == len(e.copy)
                if near and e.copy[-1] - at[-1] in (0, 1):
                    local.add(base)
                else:  # such as the adjoint of what every copy reads
                    others.add(base)
                for value in marked(s.text):  # a copy's own weights
                    if value in self.params and copy_of(value) == e.copy:
                        local.add(base_of(value))
        return {group: frozenset(b - foreign[group]) for group, b in table.items()}

    def _units(self, name: str) -> list[Unit | BlockText]:
        out: list[Unit | BlockText] = []
        for block in self.bodies[name]:
            e = self._equation(block)
            if e is None or not e.copy:
                out.append(block)
                continue
            last = out[-1] if out else None
            if isinstance(last, Unit) and (last.group, last.copy) == (e.group, e.copy):
                last.blocks.append(block)
            else:
                local = self.local.get(e.group, frozenset())
                out.append(Unit(e.group, e.copy, [block], local))
        return out

    def _is_common(self, s: Statement) -> bool:
        """Does a copy make here what all of them read?"""
        return s.node in self.symbols.names.common

    # ------------------------------------------------------------------ runs
    def _runs(self, name: str) -> list[Run]:
        """Neighbouring copies that are alike, at least two."""
        step = -1 if name == "backward" else 1
        runs: list[list[Unit]] = []
        before: tuple[object, ...] | None = (
            None  # of the copy before, if it is next door
        )
        for unit in self._units(name):
            if not isinstance(unit, Unit):
                before = None
                continue
            signature = self._signature(name, unit)
            if (
                before == signature
                and (last := runs[-1][-1]).group == unit.group
                and last.copy[:-1] == unit.copy[:-1]
                and last.index + step == unit.index
                and self._same_paths(last, unit)
            ):
                runs[-1].append(unit)
            else:
                runs.append([unit])
            before = signature
        found = []
        for units in runs:
            first, indices = units[0], [u.index for u in units]
            if len(units) > 1:
                outer = first.copy[:-1]
                found.append(Run(first.group, outer, min(indices), max(indices)))
        return found

    def _signature(self, name: str, unit: Unit) -> tuple[object, ...]:
        """What alike copies have in common: code and comments, with distances in them."""
        parts: list[object] = []
        for block in unit.blocks:
            e = self._equation(block)
            assert e is not None
            backward, comments = name == "backward", self.comments
            rules = (comments.rules if backward else comments.remarks)(block.equation)
            code = [s.text for s in block.statements if not self._is_common(s)]
            if code:
                spoken, done = (tuple(map(unit.relative, t)) for t in (rules, code))
                parts.append((e.body, e.text, spoken, done))
        return tuple(parts)

    def _same_paths(self, a: Unit, b: Unit) -> bool:
        """Parameters of two copies differ in the copy's number alone."""
        for value in a.own(self.params):
            old = self.params[value]
            new = self.params.get(b.version(base_of(value)))
            if new is None or pattern(old.path, a.index) != pattern(new.path, b.index):
                return False
        return True

    # ------------------------------------------------------------------ loops
    def _entries(self, name: str, runs: Sequence[Run]) -> list[BlockText | Loop]:
        """The blocks of a function, and a loop in place of each run."""
        entries: list[BlockText | Loop] = []
        loops: dict[Run, Loop] = {}
        for unit in self._units(name):
            run = next((r for r in runs if r.holds(unit)), None)
            if not isinstance(unit, Unit):
                entries.append(unit)
            elif run is None:
                entries.extend(unit.blocks)
            else:
                if run not in loops:
                    entries.append(loops.setdefault(run, Loop([])))
                self._into(loops[run], unit)
        return entries

    def _into(self, loop: Loop, unit: Unit) -> None:
        """A copy joins a loop; what all copies read goes before the loop."""
        blocks = []
        for block in unit.blocks:
            own = [s for s in block.statements if not self._is_common(s)]
            loop.common += [s for s in block.statements if self._is_common(s)]
            if own:
                blocks.append(BlockText(block.equation, own))
        loop.units.append(Unit(unit.group, unit.copy, blocks, unit.local))

    def _pair(self, runs: Sequence[Run]) -> dict[str, Rolled]:
        """forward and backward, with what each copy saves in lists; none if they differ."""
        forward = Rolled(self._entries("forward", runs))
        backward = Rolled(self._entries("backward", runs))
        there = {loop.key: loop for loop in forward.loops}
        covered: set[str] = set()
        for loop in backward.loops:
            twin, saves = there.get(loop.key), self._saves(loop)
            if twin is None or saves is None:
                return {}
            if saves:
                number = len(forward.lists) + 1
                label = self._unused("layers" if number == 1 else f"layers_{number}")
                forward.lists.append(label)
                backward.lists.append(label)
                loop.list_name = twin.list_name = label
                loop.saves = twin.saves = saves
            for base in sorted(b for b, d in saves if d < 0 and (b, 0) in saves):
                old = self._unused(f"{base}_before")
                loop.before[base] = twin.before[base] = old
            covered |= {u.version(b, d) for u in loop.units for b, d in saves}
            backward.stored |= self._store("backward", loop)
            forward.stored |= self._store("forward", twin)
        left = covered - self._read_outside(backward)
        pairs = zip(self.symbols.plan.saved, self.symbols.saved, strict=True)
        forward.saved = backward.saved = [n for n, v in pairs if v not in left]
        both = {"forward": forward, "backward": backward}
        done = all(settle(self.symbols, name, rolled) for name, rolled in both.items())
        return both if done else {}

    def _unused(self, name: str) -> str:
        while name in self.symbols.values:
            name += "_"
        return name

    def _read_outside(self, rolled: Rolled) -> set[str]:
        """What the blocks outside of loops, and the result, read."""
        plan, of = self.symbols.plan, self.symbols.names.of
        found = [t for e in rolled.entries for s in outside(e) for t in _tokens(s)]
        found += [of[n] for _, n in plan.functions["backward"].results]
        for n, value in zip(plan.saved, self.symbols.saved, strict=True):
            sized = any(d.symbols() for d in n.shape) and plan.program.symbols
            if sized and not copy_of(value):
                found.append(value)
        return set(found)

    def _saves(self, loop: Loop) -> list[Version] | None:
        """What a copy of backward reads of forward, in order; None where it cannot."""
        rank = {value: i for i, value in enumerate(self.symbols.saved)}
        unit = loop.units[0]
        found: dict[Version, tuple[bool, int]] = {}
        for value in unit.marked():
            distance, base = unit.distance(value), base_of(value)
            if value not in rank or distance is None:
                continue
            if distance not in (0, -1):
                return None
            found[base, distance] = (unit.version(base) in self.params, rank[value])
        for u in loop.units:
            if any(u.version(*version) not in rank for version in found):
                return None
        return sorted(found, key=lambda version: found[version])

    def _store(self, function: str, loop: Loop) -> set[str]:
        """Adjoints of the copies' parameters, and new states, go into a dict by path."""
        results = {
            self.symbols.names.of[n]: key for key, n in self.functions[function].results
        }
        keys: set[str] = set()
        first = loop.units[0]
        for value in sorted({s.target for s in first.statements} & results.keys()):
            if copy_of(value) != first.copy:
                continue
            path = pattern(results[value], first.index)
            copies = {u.index: u.version(base_of(value)) for u in loop.units}
            found = {i: results[v] for i, v in copies.items() if v in results}
            if [pattern(key, i) for i, key in found.items()] == [path] * len(copies):
                loop.stored[base_of(value)] = path
                keys.update(found.values())
        return keys


def _tokens(s: Statement) -> list[str]:
    names: list[str] = TOKEN.findall(s.text)
    return names


def _intersect(a: Sequence[Run], b: Sequence[Run]) -> list[Run]:
    """The copies that two functions can roll, at least two of each run."""
    out = []
    for one in a:
        for other in b:
            if one[:2] == other[:2]:
                low, high = max(one.low, other.low), min(one.high, other.high)
                if low < high:
                    out.append(one._replace(low=low, high=high))
    return out
