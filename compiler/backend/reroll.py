"""Repeated layers stay repeated: neighbouring blocks that are alike become a loop.

In: the statements of every function, their names marked with their copy. Out: the same
functions with loops in them. The DAG stays unrolled; here each copy's index is replaced by
its distance to the block's own, and neighbouring copies whose code and comments are then
equal become ``for i in range(n)``. The odd copy (no ``d_x`` at the first, another width)
stays a block; `forward` and `backward` agree on the range.

In a loop a name drops its copy: ``h = h + y`` both reads and makes `h`. That is right only
if every read finds the version that it means, so each rolled function is executed once in
the mind (`_check`): every iteration, every name. Where a read would find another value, a
name is kept apart (``h = h0`` before the loop, ``h_before`` inside), and where that does not
help, the copies stay blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..ir.node import Node
from ..ir.program import Equation
from .comments import Commentary
from .names import MARKED, Names, base_of, copy_of, mark
from .plan import Plan
from .pyast import listing
from .sources import Source, sources
from .statements import BlockText, Statement

RESULTS = {"forward": "new_state", "backward": "gradients"}  # dicts of results by path
# A name that is read or bound: no `e` of 1e-5, no method, no `axis` of `axis=1`
TOKEN = re.compile(r"(?<![\w.])[^\W\d]\w*+(?:⟦[^⟧]*⟧)?+(?!=)")
RELATIVE = re.compile(r"(\w+)⟦i([+-]\d+)⟧")


@dataclass
class Unit:
    """One copy of a repeat in one function: its blocks."""

    group: int
    copy: tuple[int, ...]
    blocks: list[BlockText]
    local: frozenset[str]  # the bases of the values that this repeat makes or owns

    @property
    def index(self) -> int:
        return self.copy[-1]

    def distance(self, base: str, at: tuple[int, ...]) -> int | None:
        """How far a version is from this copy; None: it is no version of this repeat."""
        if (
            len(at) != len(self.copy)
            or at[:-1] != self.copy[:-1]
            or base not in self.local
        ):
            return None
        return at[-1] - self.index


@dataclass
class Loop:
    """A run of copies in one function, as it is printed."""

    units: list[Unit]  # in the order of the function
    list_name: str = ""  # the list of what each copy saves; "" in evaluate and predict
    saves: list[tuple[str, int]] = field(default_factory=list)  # (base, distance)
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

    def variable(self, base: str, distance: int) -> str:
        if distance < 0 and base in self.before:
            return self.before[base]
        return base


@dataclass
class Rolled:
    """One function after rolling: blocks and loops, and what is left outside."""

    entries: list[BlockText | Loop]
    saved: list[Node] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)  # names of the lists in `saved`
    stored: set[str] = field(default_factory=set)  # results that loops put into a dict
    inside: set[Node] = field(default_factory=set)
    spelling: dict[str, str] = field(default_factory=dict)


def roll(
    plan: Plan,
    names: Names,
    bodies: Mapping[str, list[BlockText]],
    comments: Commentary,
    flat: Mapping[str, str],
) -> dict[str, Rolled]:
    """Roll what can be rolled, function by function."""
    flat_functions = {
        name: Rolled(list(blocks), list(plan.saved), spelling=dict(flat))
        for name, blocks in bodies.items()
    }
    if not any(e.copy for e in plan.program.equations):
        return flat_functions
    return _Roller(plan, names, bodies, comments, flat).run(flat_functions)


def relative(text: str, unit: Unit) -> str:
    """Marks of this repeat become distances: `h⟦2⟧` in copy 3 is `h⟦i-1⟧`."""

    def one(found: re.Match[str]) -> str:
        distance = unit.distance(found[1], tuple(map(int, found[2].split(","))))
        return found[0] if distance is None else f"{found[1]}⟦i{distance:+d}⟧"

    return MARKED.sub(one, text)


class _Roller:
    def __init__(
        self,
        plan: Plan,
        names: Names,
        bodies: Mapping[str, list[BlockText]],
        comments: Commentary,
        flat: Mapping[str, str],
    ) -> None:
        self.plan, self.names, self.bodies = plan, names, bodies
        self.comments, self.flat = comments, flat
        self.equations = plan.program.equations
        self.params: dict[str, Source] = {
            names.of[n]: source for n, source in sources(plan.program).items()
        }
        self.rank = {v: i for i, v in enumerate(self.params)}
        self.saved = [names.of[n] for n in plan.saved]
        self.values = set(names.of.values())
        self.local = self._local()

    def run(self, functions: dict[str, Rolled]) -> dict[str, Rolled]:
        runs = {name: self._runs(name) for name in functions}
        if "backward" in runs:
            both = _intersect(runs["forward"], runs["backward"])
            made = self._pair(both)
            while made is None and both:
                both.pop()
                made = self._pair(both)
            if made is not None:
                functions["forward"], functions["backward"] = made
        for name in ("evaluate", "predict"):
            if name in runs:
                chosen = runs[name]
                rolled = self._plain(name, chosen)
                while rolled is None and chosen:
                    chosen = chosen[:-1]
                    rolled = self._plain(name, chosen)
                if rolled is not None:
                    functions[name] = rolled
        return functions

    def _local(self) -> dict[int, set[str]]:
        """For each repeat, the bases of what its copies make, and of their parameters."""
        table: dict[int, set[str]] = {}
        foreign: dict[int, set[str]] = {}
        for blocks in self.bodies.values():
            for block in blocks:
                e = self._equation(block)
                if e is not None and e.copy:
                    local = table.setdefault(e.group, set())
                    others = foreign.setdefault(e.group, set())
                    for s in block.statements:
                        at, base = copy_of(s.target), base_of(s.target)
                        near = at[:-1] == e.copy[:-1] and len(at) == len(e.copy)
                        if near and e.copy[-1] - at[-1] in (0, 1):
                            local.add(base)
                        else:  # such as the adjoint of what every copy reads
                            others.add(base)
                        for base, at in _marked_text(s.text):  # a copy's own weights
                            if at == e.copy and mark(base, at) in self.params:
                                local.add(base)
        return {group: local - foreign[group] for group, local in table.items()}

    # ------------------------------------------------------------------ runs
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
                local = frozenset(self.local.get(e.group, ()))
                out.append(Unit(e.group, e.copy, [block], local))
        return out

    def _equation(self, block: BlockText) -> Equation | None:
        if 0 <= block.equation < len(self.equations):
            return self.equations[block.equation]
        return None

    def _signature(self, name: str, unit: Unit) -> tuple[object, ...]:
        parts: list[object] = []
        for block in unit.blocks:
            e = self._equation(block)
            assert e is not None
            rules: tuple[str, ...] = ()
            if name == "backward":
                rules = tuple(
                    relative(r, unit) for r in self.comments.rules(block.equation)
                )
            code = tuple(
                relative(s.text, unit)
                for s in block.statements
                if not self._is_common(s)
            )
            if code:
                parts.append((e.body, e.text, rules, code))
        return tuple(parts)

    def _is_common(self, s: Statement) -> bool:
        """Does a copy make here what all of them read?"""
        return s.node in self.names.common

    def _into(self, loop: Loop, unit: Unit) -> None:
        """A copy joins a loop; what all copies read goes before the loop."""
        blocks = []
        for block in unit.blocks:
            own = [s for s in block.statements if not self._is_common(s)]
            loop.common += [s for s in block.statements if self._is_common(s)]
            if own:
                blocks.append(BlockText(block.equation, own))
        loop.units.append(Unit(unit.group, unit.copy, blocks, unit.local))

    def _runs(self, name: str) -> list[tuple[int, tuple[int, ...], int, int]]:
        """(group, copies of outer repeats, lowest copy, highest copy) of alike copies."""
        step = -1 if name == "backward" else 1
        runs: list[tuple[int, tuple[int, ...], int, int]] = []
        current: list[Unit] = []
        before: tuple[object, ...] = ()

        def close() -> None:
            if len(current) > 1:
                indices = [u.index for u in current]
                first = current[0]
                runs.append((first.group, first.copy[:-1], min(indices), max(indices)))
            current.clear()

        for unit in self._units(name):
            if not isinstance(unit, Unit):
                close()
                continue
            signature = self._signature(name, unit)
            follows = (
                current
                and current[-1].group == unit.group
                and current[-1].copy[:-1] == unit.copy[:-1]
                and unit.index == current[-1].index + step
                and signature == before
                and self._same_paths(current[-1], unit)
            )
            if not follows:
                close()
            current.append(unit)
            before = signature
        close()
        return runs

    def _same_paths(self, a: Unit, b: Unit) -> bool:
        """Parameters of two copies differ in the copy's number alone."""
        for base, at in _marked(a):
            old = self.params.get(mark(base, at))
            if old is None or at != a.copy:
                continue
            new = self.params.get(mark(base, b.copy))
            if new is None or _pattern(old.path, a.index) != _pattern(
                new.path, b.index
            ):
                return False
        return True

    # ------------------------------------------------------------------ building
    def _entries(
        self, name: str, runs: Sequence[tuple[int, tuple[int, ...], int, int]]
    ) -> list[BlockText | Loop]:
        entries: list[BlockText | Loop] = []
        loops: dict[tuple[int, tuple[int, ...], int], Loop] = {}
        for unit in self._units(name):
            if not isinstance(unit, Unit):
                entries.append(unit)
                continue
            for run in runs:
                group, outer, low, high = run
                if (
                    unit.group == group
                    and unit.copy[:-1] == outer
                    and low <= unit.index <= high
                ):
                    key = (group, outer, low)
                    if key not in loops:
                        loops[key] = Loop([])
                        entries.append(loops[key])
                    self._into(loops[key], unit)
                    break
            else:
                entries.extend(unit.blocks)
        return entries

    def _plain(
        self, name: str, runs: Sequence[tuple[int, tuple[int, ...], int, int]]
    ) -> Rolled | None:
        """evaluate and predict: nothing is saved."""
        if not runs:
            return None
        rolled = Rolled(self._entries(name, runs), spelling=dict(self.flat))
        return rolled if self._settle(name, rolled) else None

    def _pair(
        self, runs: Sequence[tuple[int, tuple[int, ...], int, int]]
    ) -> tuple[Rolled, Rolled] | None:
        """forward and backward, with what each copy saves in lists."""
        if not runs:
            return None
        forward = Rolled(self._entries("forward", runs), spelling=dict(self.flat))
        backward = Rolled(self._entries("backward", runs), spelling=dict(self.flat))
        outside = self._read_outside(backward)
        covered: set[str] = set()
        there = {_key(e): e for e in forward.entries if isinstance(e, Loop)}
        number = 0
        for loop in backward.entries:
            if not isinstance(loop, Loop):
                continue
            twin = there.get(_key(loop))
            if twin is None:
                return None
            saves = self._saves(loop)
            if saves is None:
                return None
            if saves:
                number += 1
                label = "layers" if number == 1 else f"layers_{number}"
                while label in self.values:
                    label += "_"
                for part in (loop, twin):
                    part.list_name, part.saves = label, saves
                forward.lists.append(label)
                backward.lists.append(label)
            both = {b for b, d in saves if d < 0} & {b for b, d in saves if d == 0}
            for base in sorted(both):
                old = f"{base}_before"
                while old in self.values:
                    old += "_"
                loop.before[base] = twin.before[base] = old
            for unit in loop.units:
                for base, distance in saves:
                    covered.add(_shifted(base, unit.copy, distance))
            backward.stored |= self._store("backward", loop)
            forward.stored |= self._store("forward", twin)
        forward.saved = backward.saved = [
            n
            for n, value in zip(self.plan.saved, self.saved, strict=True)
            if value not in covered or value in outside
        ]
        for name, rolled in (("forward", forward), ("backward", backward)):
            if not self._settle(name, rolled):
                return None
        return forward, backward

    def _read_outside(self, rolled: Rolled) -> set[str]:
        """What the blocks outside of loops, and the result, read."""
        out: set[str] = set()
        for e in rolled.entries:
            for s in _outside(e):
                out.update(TOKEN.findall(s.text))
        for _, n in self.plan.functions["backward"].results:
            out.add(self.names.of[n])
        symbols = self.plan.program.symbols
        for n, value in zip(self.plan.saved, self.saved, strict=True):
            if "⟦" not in value and any(d.symbols() for d in n.shape) and symbols:
                out.add(value)
        return out

    def _saves(self, loop: Loop) -> list[tuple[str, int]] | None:
        """What a copy of backward reads of forward, as (base, distance), in order."""
        saved = set(self.saved)
        rank = {value: i for i, value in enumerate(self.saved)}
        unit = loop.units[0]
        found: dict[tuple[str, int], int] = {}
        for base, at in _marked(unit):
            value = mark(base, at)
            distance = unit.distance(base, at)
            if value not in saved or distance is None:
                continue
            if distance not in (0, -1):
                return None
            found[base, distance] = rank[value]
        for u in loop.units:
            for base, distance in found:
                if _shifted(base, u.copy, distance) not in saved:
                    return None

        def order(item: tuple[str, int]) -> tuple[bool, int]:
            return (_shifted(item[0], unit.copy, 0) in self.params, found[item])

        return sorted(found, key=order)

    def _store(self, function: str, loop: Loop) -> set[str]:
        """Adjoints of the copies' parameters, and new states, go into a dict by path."""
        results = {
            self.names.of[n]: key for key, n in self.plan.functions[function].results
        }
        keys: set[str] = set()
        first = loop.units[0]
        written = {s.target for b in first.blocks for s in b.statements}
        for value in sorted(written):
            key = results.get(value)
            if key is None or copy_of(value) != first.copy:
                continue
            pattern = _pattern(key, first.index)
            copies = {}
            for u in loop.units:
                other = results.get(_shifted(base_of(value), u.copy, 0))
                if other is None or _pattern(other, u.index) != pattern:
                    break
                copies[u.index] = other
            else:
                loop.stored[base_of(value)] = pattern
                keys.update(copies.values())
        return keys

    # ------------------------------------------------------------------ checking
    def _settle(self, name: str, rolled: Rolled) -> bool:
        """Choose spellings until the function is right; False where none is."""
        loops = [e for e in rolled.entries if isinstance(e, Loop)]
        for loop in loops:
            if name == "forward" and loop.saves and not self._place(loop):
                return False
        wishes: dict[str, str] = {}  # a value outside of a loop -> the loop's variable
        for loop in loops:
            for base, distance in self._carried(loop):
                entering = _shifted(base, loop.units[0].copy, distance)
                wishes.setdefault(entering, base)
            for value, variable in self._leaving(loop).items():
                wishes.setdefault(value, variable)
        apart: dict[str, str] = {}  # a value of no copy -> a name that no loop has
        given = {self.names.of[n] for n in self.plan.functions[name].leaves}
        for _ in range(len(wishes) + len(self.values)):
            spelling = {**self.flat, **wishes, **apart}
            rolled.spelling = spelling
            self._bridges(rolled, spelling)
            failed = self._check(name, rolled, spelling)
            if failed is None:
                self._finish(name, rolled)
                return True
            dropped = [v for v, variable in wishes.items() if variable == failed]
            if not dropped:
                if failed not in self.values or failed in {*apart, *given}:
                    return False
                apart[failed] = self._apart(failed, {*spelling, *spelling.values()})
            for v in dropped:
                del wishes[v]
        return False

    def _apart(self, value: str, taken: set[str]) -> str:
        """Another name for a value of no copy that a loop's variable would overwrite."""
        k = 2
        while f"{value}_{k}" in taken | self.values | set(self.names.bases):
            k += 1
        return f"{value}_{k}"

    def _place(self, loop: Loop) -> bool:
        """Where a copy's values are appended: the last place that has them all."""
        statements = [s for b in loop.units[0].blocks for s in b.statements]
        unit = loop.units[0]
        holds: dict[str, int] = {}  # variable -> distance of the version that it has
        for base, distance in loop.saves:
            if distance < 0 or _shifted(base, unit.copy, 0) in self.params:
                holds[loop.variable(base, distance)] = distance
        best = -1
        for k in range(len(statements) + 1):
            ready = all(holds.get(loop.variable(b, d)) == d for b, d in loop.saves)
            if ready:
                best = k
            if k < len(statements):
                target = statements[k].target
                made = unit.distance(base_of(target), copy_of(target))
                if made is not None:
                    holds[loop.variable(base_of(target), made)] = made
        loop.append_at = best
        return best >= 0

    def _carried(self, loop: Loop) -> list[tuple[str, int]]:
        """What a copy reads before it makes it, other than parameters and saved values."""
        unit = loop.units[0]
        made: set[str] = set()
        out: dict[tuple[str, int], None] = {}
        given = (
            {_shifted(b, unit.copy, d) for b, d in loop.saves}
            if loop.list_name
            else set()
        )
        for block in unit.blocks:
            for s in block.statements:
                for base, at in _marked_text(_right(s)):
                    value = mark(base, at)
                    distance = unit.distance(base, at)
                    if value in made or value in self.params or distance is None:
                        continue
                    if value in given and self._is_backward(loop):
                        continue
                    out.setdefault((base, distance))
                made.add(s.target)
        return list(out)

    def _is_backward(self, loop: Loop) -> bool:
        return len(loop.units) > 1 and loop.units[0].index > loop.units[-1].index

    def _leaving(self, loop: Loop) -> dict[str, str]:
        """Values of the last copy that is run -> the variable that holds each."""
        unit = loop.units[-1]
        out: dict[str, str] = {}
        for block in unit.blocks:
            for s in block.statements:
                base = base_of(s.target)
                distance = unit.distance(base, copy_of(s.target))
                if distance is not None:
                    out[s.target] = loop.variable(base, distance)
        return out

    def _bridges(self, rolled: Rolled, spelling: Mapping[str, str]) -> None:
        """`h = h0` before a loop, and `h3 = h` after it where a later block reads it."""
        later: set[str] = set()
        for entry in reversed(rolled.entries):
            for s in _outside(entry):
                later.update(TOKEN.findall(s.text))
            if isinstance(entry, BlockText):
                continue
            entry.head, entry.tail = [], []
            for base, distance in self._carried(entry):
                value = _shifted(base, entry.units[0].copy, distance)
                spelt = spelling.get(value, base_of(value))
                if spelt != base:
                    entry.head.append(f"{base} = {spelt}")
            for value, variable in self._leaving(entry).items():
                spelt = spelling.get(value, base_of(value))
                if value in later and spelt != variable:
                    entry.tail.append(f"{spelt} = {variable}")
            for u in entry.units:
                for block in u.blocks:
                    for s in block.statements:
                        later.update(TOKEN.findall(s.text))

    def _check(
        self, name: str, rolled: Rolled, spelling: Mapping[str, str]
    ) -> str | None:
        """Run the function in the mind. The variable that held another value, or None."""
        function = self.plan.functions[name]
        env: dict[str, str] = {}

        def spell(value: str) -> str:
            return spelling.get(value, base_of(value))

        def give(value: str) -> None:
            env[spell(value)] = value

        given = rolled.saved if name == "backward" else function.leaves
        for n in given:
            value = self.names.of[n]
            if value in self.params and name != "backward" and "⟦" in value:
                continue  # flat copies are unpacked below, where they are read
            give(value)
        outer = self._flat_params(name, rolled)
        for value in outer:
            give(value)

        def read(text: str, named: Callable[[str], str]) -> str | None:
            for token in TOKEN.findall(text):
                if token in self.values and env.get(named(token), token) != token:
                    return named(token)
                if "⟦" in token and named(token) not in env:
                    return named(token)
            return None

        for entry in rolled.entries:
            for s in _outside(entry):
                failed = read(_right(s), spell)
                if failed is not None:
                    return failed
                env[spell(s.target)] = s.target
            if isinstance(entry, BlockText):
                continue
            failed = self._check_loop(name, entry, env, spell, read)
            if failed is not None:
                return failed
        if name == "forward":
            results = [self.names.of[n] for n in rolled.saved]
        else:
            results = []
        results += [
            self.names.of[n] for k, n in function.results if k not in rolled.stored
        ]
        for value in results:
            if env.get(spell(value), "" if "⟦" in value else value) != value:
                return spell(value)
        return None

    def _check_loop(
        self,
        name: str,
        loop: Loop,
        env: dict[str, str],
        spell: Callable[[str], str],
        read: Callable[[str, Callable[[str], str]], str | None],
    ) -> str | None:
        first = loop.units[0]
        for base, distance in self._carried(loop):
            value = _shifted(base, first.copy, distance)
            outside = spell(value)
            if env.get(outside) != value:
                return outside
            env[base] = value
        for unit in loop.units:

            def named(value: str, unit: Unit = unit) -> str:
                distance = unit.distance(base_of(value), copy_of(value))
                if distance is None:
                    return spell(value)
                return loop.variable(base_of(value), distance)

            for base, old in loop.before.items():
                value = _shifted(base, unit.copy, -1)
                if name != "backward":
                    if env.get(base) != value:
                        return base
                    env[old] = value
            if name == "backward":
                for base, distance in loop.saves:
                    env[loop.variable(base, distance)] = _shifted(
                        base, unit.copy, distance
                    )
            else:
                for value in self._unit_params(unit):
                    env[named(value)] = value
            k = 0
            for block in unit.blocks:
                for s in block.statements:
                    if k == loop.append_at and name == "forward":
                        failed = self._check_saves(loop, unit, env)
                        if failed:
                            return failed
                    failed = read(_right(s), named)
                    if failed is not None:
                        return failed
                    env[named(s.target)] = s.target
                    k += 1
            if k == loop.append_at and name == "forward":
                failed = self._check_saves(loop, unit, env)
                if failed:
                    return failed
            for base in loop.stored:
                value = _shifted(base, unit.copy, 0)
                if env.get(base) != value:
                    return base
        for value, variable in self._leaving(loop).items():
            if f"{spell(value)} = {variable}" in loop.tail:
                env[spell(value)] = value
        return None

    def _check_saves(
        self, loop: Loop, unit: Unit, env: Mapping[str, str]
    ) -> str | None:
        for base, distance in loop.saves:
            variable = loop.variable(base, distance)
            if env.get(variable) != _shifted(base, unit.copy, distance):
                return variable
        return None

    def _unit_params(self, unit: Unit) -> list[str]:
        """The copy's own parameters that its lines read."""
        found = {
            mark(base, at): None
            for base, at in _marked(unit)
            if at == unit.copy and mark(base, at) in self.params
        }
        return sorted(found, key=lambda v: self.rank[v])

    def _flat_params(self, name: str, rolled: Rolled) -> list[str]:
        """Copies' parameters that blocks outside of loops read."""
        if name == "backward":
            return []
        out: dict[str, None] = {}
        for e in rolled.entries:
            for s in _outside(e):
                for token in TOKEN.findall(s.text):
                    if token in self.params and "⟦" in token:
                        out.setdefault(token)
            if isinstance(e, Loop):
                own = {v for u in e.units for v in self._unit_params(u)}
                for u in e.units:
                    for base, at in _marked(u):
                        value = mark(base, at)
                        if value in self.params and value not in own:
                            out.setdefault(value)
        returned = [n for _, n in self.plan.functions[name].results]
        for n in [*rolled.saved, *returned] if name == "forward" else ():
            value = self.names.of[n]
            if value in self.params and "⟦" in value:
                out.setdefault(value)
        return list(out)

    def _finish(self, name: str, rolled: Rolled) -> None:
        """Parameters that only loops read are not unpacked at the top."""
        flat = set(self._flat_params(name, rolled))
        for e in rolled.entries:
            if isinstance(e, Loop):
                for u in e.units:
                    for value in self._unit_params(u):
                        if value not in flat:
                            rolled.inside.add(self.params[value].node)


# ---------------------------------------------------------------------- printing
def loop_lines(
    loop: Loop,
    name: str,
    equations: Sequence[Equation],
    comments: Commentary,
    params: Mapping[str, Source],
    spelling: Mapping[str, str],
    width: int,
) -> list[str]:
    """The lines of one loop."""
    unit = loop.units[0]
    backward = name == "backward"

    def named(token: str) -> str:
        base, at = base_of(token), copy_of(token)
        distance = unit.distance(base, at) if at else None
        if distance is None:
            return spelling.get(token, base)
        return loop.variable(base, distance)

    def spell(text: str) -> str:
        return TOKEN.sub(lambda found: named(found[0]), text)

    table = RESULTS.get(name, "")
    stored: set[str] = set()
    lines: list[str] = []
    begin = [f"    {text}" for text in loop.head]
    if loop.list_name and not backward:
        begin.append(f"    {loop.list_name} = []")
    if not loop.common:
        lines, begin = begin, []
    low, high = loop.low, loop.high
    span = f"range({high + 1})" if low == 0 else f"range({low}, {high + 1})"
    if backward:
        span = f"reversed({span})"
    single = len(unit.blocks) == 1
    if single:
        e = equations[unit.blocks[0].equation]
        lines.append(comments.equation(e, 4, f"{e.repeat}: "))
        if backward:
            lines += comments.chain_rule(e.index, 4, spell)
    else:
        lines.append(f"    # {equations[unit.blocks[0].equation].repeat}")
    lines += [_with_shape(f"    {spell(s.text)}", s, width) for s in loop.common]
    lines += begin
    lines.append(f"    for i in {span}:")
    pad = " " * 8
    if backward and loop.saves:
        at = "i" if low == 0 else f"i - {low}"
        left = [loop.variable(b, d) for b, d in loop.saves]
        one = f"{pad}{', '.join(left)} = {loop.list_name}[{at}]"
        many = listing("(", left, f") = {loop.list_name}[{at}]", 8)
        lines += [one] if len(one) <= width else many
    if not backward:
        lines += _unpacked(unit, params, loop, width)
        for base, old in loop.before.items():
            lines.append(f"{pad}{old} = {base}")
    appended = _appended(loop, width) if loop.saves and not backward else []
    k = 0
    start = len(lines)
    for block in unit.blocks:
        if not single:
            if (
                len(lines) > start
                or (loop.saves and backward)
                or lines[-1].startswith(pad)
            ):
                lines.append("")
            e = equations[block.equation]
            lines.append(comments.equation(e, 8))
            if backward:
                lines += comments.chain_rule(e.index, 8, spell)
        for s in block.statements:
            if k == loop.append_at:
                lines += appended
            text = spell(s.text)
            base = base_of(s.target)
            key = loop.stored.get(base)
            line = pad + text
            if key is not None and _alone(unit, s) and text.startswith(f"{base} = "):
                entry = f'{pad}{table}[f"{key}"]'
                if len(entry + text) - len(base) <= width:
                    line = entry + text[len(base) :]
                    stored.add(base)
            shapes = {t.comment for t in _same_statement(loop, k) if t.comment}
            lines.append(_with_shape(line, s, width) if len(shapes) <= 1 else line)
            if key is not None and base not in stored and _alone(unit, s):
                lines.append(f'{pad}{table}[f"{key}"] = {base}')
                stored.add(base)
            k += 1
    if k == loop.append_at:
        lines += appended
    for base, key in loop.stored.items():
        if base not in stored:
            lines.append(f'{pad}{table}[f"{key}"] = {base}')
    return lines + [f"    {text}" for text in loop.tail]


def _appended(loop: Loop, width: int) -> list[str]:
    """`layers.append((h, y, W))`"""
    names = [loop.variable(b, d) for b, d in loop.saves]
    if len(names) == 1:
        return [f"        {loop.list_name}.append({names[0]})"]
    one = f"        {loop.list_name}.append(({', '.join(names)}))"
    if len(one) <= width:
        return [one]
    inside = listing("(", names, ")", 12)
    return [f"        {loop.list_name}.append(", *inside, "        )"]


def _with_shape(line: str, s: Statement, width: int) -> str:
    """The line with its shape behind it, where there is room."""
    fits = s.comment and len(line) + 4 + len(s.comment) <= width
    return f"{line}  # {s.comment}" if fits else line


def _unpacked(
    unit: Unit, params: Mapping[str, Source], loop: Loop, width: int
) -> list[str]:
    """`W, b = params[f"h[{i}].dense.W"], params[f"h[{i}].dense.b"]`"""
    found = {
        mark(base, at)
        for base, at in _marked(unit)
        if at == unit.copy and mark(base, at) in params
    }
    items = [
        (base_of(v), f'{p.table}[f"{_pattern(p.path, unit.index)}"]')
        for v, p in params.items()
        if v in found
    ]
    lines: list[str] = []
    group: list[tuple[str, str]] = []

    def text(rows: list[tuple[str, str]]) -> str:
        return (
            " " * 8
            + ", ".join(n for n, _ in rows)
            + " = "
            + ", ".join(p for _, p in rows)
        )

    for row in items:
        if group and (
            len(text([*group, row])) > width or _owner(group[-1][1]) != _owner(row[1])
        ):
            lines.append(text(group))
            group = []
        group.append(row)
    if group:
        lines.append(text(group))
    return lines


def _owner(path: str) -> str:
    return path.rpartition(".")[0]


def _outside(entry: BlockText | Loop) -> list[Statement]:
    """The statements that run once: a block's own, and those before a loop."""
    return entry.statements if isinstance(entry, BlockText) else entry.common


def _same_statement(loop: Loop, k: int) -> Iterable[Statement]:
    for u in loop.units:
        statements = [s for b in u.blocks for s in b.statements]
        if k < len(statements):
            yield statements[k]


def _alone(unit: Unit, s: Statement) -> bool:
    """Is the target of `s` written once in the copy, and read nowhere in it?"""
    for b in unit.blocks:
        for t in b.statements:
            if t is not s and (
                t.target == s.target or s.target in TOKEN.findall(t.text)
            ):
                return False
    return True


def _pattern(path: str, index: int) -> str:
    """`h[{i}].dense.W` for the path of copy `index`; a later repeat counts on.

    The last number in brackets is the innermost repeat's; without brackets, the number at
    the end is that of the draw of a `random`: `gibbs.h.{i + 1}`.
    """
    found = re.findall(r"\[\d+\]", path)
    last = path.rindex(found[-1]) + 1 if found else 0
    number = re.compile(r"\d+").match(path, last) if found else re.search(r"\d+$", path)
    if number is None or not (found or path[: number.start()].endswith(".")):
        return path
    offset = int(number[0]) - index
    inside = "i" if offset == 0 else f"i {'+' if offset > 0 else '-'} {abs(offset)}"
    return f"{path[: number.start()]}{{{inside}}}{path[number.end() :]}"


def _shifted(base: str, copy: tuple[int, ...], distance: int) -> str:
    return mark(base, (*copy[:-1], copy[-1] + distance))


def _marked(unit: Unit) -> list[tuple[str, tuple[int, ...]]]:
    out: dict[tuple[str, tuple[int, ...]], None] = {}
    for b in unit.blocks:
        for s in b.statements:
            for item in _marked_text(s.text):
                out.setdefault(item)
    return list(out)


def _marked_text(text: str) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (m[1], tuple(int(c) for c in m[2].split(","))) for m in MARKED.finditer(text)
    ]


def _right(s: Statement) -> str:
    """What a statement reads."""
    if s.update:
        return s.text
    return s.text.partition(" = ")[2]


def _key(loop: Loop) -> tuple[int, tuple[int, ...], int]:
    first = loop.units[0]
    return (first.group, first.copy[:-1], loop.low)


def _intersect(
    a: Sequence[tuple[int, tuple[int, ...], int, int]],
    b: Sequence[tuple[int, tuple[int, ...], int, int]],
) -> list[tuple[int, tuple[int, ...], int, int]]:
    out = []
    for group, outer, low, high in a:
        for other, inner, first, last in b:
            if (group, outer) == (other, inner):
                start, stop = max(low, first), min(high, last)
                if stop > start:
                    out.append((group, outer, start, stop))
    return out
