"""Names for values: the program's own first, then what a value is; `v17` is a defect.

In: a plan. Out: a name for every value of the module, given once and the same in all its
functions. In this order: sizes, inputs, parameters and the user's equations; `d_` and the
name of the primal whose adjoint it is; proposed names (`shifted`); the record's `result`
(`z`, `e`, `total`); a number where that is taken.

A value in a copy of a `repeat` has a *marked* name, `h⟦2⟧`, the base and the copy. What it
becomes is decided last: the bare base inside a loop, `h3` outside (`flat`).
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from ..ir.graph import ancestors
from ..ir.node import Node
from ..ir.op import REGISTRY
from ..ir.program import Binding, Param
from .copies import common_to_copies, roots_of
from .plan import Plan

GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ",
        (
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi "
            "rho sigma tau upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma "
            "Phi Psi Omega"
        ).split(),
        strict=True,
    )
)

# Names that the emitter uses itself: all of them may be a user's name, which gets a `_`.
OWN = frozenset("""
    PARAMETERS STATE params state new_state noise saved gradients layers d_loss rng np numpy
    init draw buffers forward backward evaluate predict work rows i
    """.split())
RESERVED = (
    OWN | frozenset(keyword.kwlist) | frozenset(dir(builtins)) | {"match", "case"}
)

TRAINING, EVALUATION = frozenset({"training"}), frozenset({"evaluation"})
BOTH = TRAINING | EVALUATION
AFFINE = 4  # terms of a sum that is still called after its product of matrices
MARK = re.compile(r"⟦([^⟧]*)⟧")
MARKED = re.compile(r"(\w+)⟦([^⟧]*)⟧")


def spelt(text: str) -> str:
    """ASCII: Greek letters by name, `θ_1` is `theta_1`, `∇` does not occur."""
    out = ""
    for i, c in enumerate(text):
        if c in GREEK:
            before = out[-1:].isalpha()
            after = text[i + 1 : i + 2].isalpha()
            out += ("_" if before else "") + GREEK[c] + ("_" if after else "")
        else:
            out += c
    return re.sub(r"\W", "_", out)


def safe(text: str) -> str:
    """A name that is neither Python's, NumPy's nor the emitter's own."""
    text = spelt(text)
    return text + "_" if text in RESERVED or text in functions() else text


@cache
def functions() -> frozenset[str]:
    """What the functions are called that a module may bring along: erf, scatter_add."""
    preludes = [p for op in REGISTRY.ops.values() for p in (op.prelude, op.prelude_out)]
    return frozenset(f for p in preludes for f in re.findall(r"(?m)^def (\w+)", p))


def base_of(name: str) -> str:
    """The name without its copy: `h` of `h⟦2⟧`."""
    return MARK.sub("", name) if "⟦" in name else name


def copy_of(name: str) -> tuple[int, ...]:
    found = MARK.search(name)
    if not found:
        return ()
    return tuple(int(c) for c in found[1].split(","))


def _parts(p: Param) -> list[str]:
    """The names around a parameter, outermost first."""
    path = re.sub(r"\[\d+\]", "", p.path)
    return [spelt(part) for part in path.split(".")[:-1]]


def trailing(text: str) -> str:
    """The number that a layer's name ends in, where it is written more than once."""
    found = re.search(r"\d+$", text)
    return found[0] if found else ""


def mark(base: str, copy: Iterable[int]) -> str:
    inside = ",".join(str(c) for c in copy)
    return f"{base}⟦{inside}⟧" if inside else base


class Names:
    """The allocation of one module."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.of: dict[Node, str] = {}
        self.symbols: dict[str, str] = {}  # a size or a constant -> its name
        self.taken: set[str] = set()  # marked names
        # the last given number
        self.numbers: dict[tuple[str, tuple[int, ...], int, frozenset[str]], int] = {}
        self.user: set[str] = set()  # what the program itself calls something
        self.groups: dict[str, int] = {}  # a base of copies -> the repeat that has it
        self.bases: dict[str, set[tuple[int, ...]]] = {}  # base -> the copies it has
        self.indices: dict[tuple[str, int, tuple[int, ...]], str] = {}  # of loops
        self.inside: dict[Node, dict[Node, str]] = (
            {}
        )  # loop -> names of a step's values
        self.carries: dict[tuple[Node, int], str] = {}  # of a loop
        self.last: dict[str, tuple[int, ...]] = {}  # a carried name's last version
        self.hints = plan.program.graph.hints
        self.common = common_to_copies(plan)
        self.alone: dict[Node, frozenset[str]] = (
            {}
        )  # what one of the two modes computes
        self.stands_for: dict[Node, Node] = {}
        """What evaluation calls `h` and is a part of `h` in training -> that `h`."""
        self.modes: dict[str, frozenset[str]] = {}  # a marked name -> where it is taken
        self.fixed: dict[str, str] = {}  # a value's own name -> the base it got
        self._primal: dict[Node, Node] = {}
        self._user_names()
        self.user = {b for b, copies in self.bases.items() if () in copies}
        self._adjoint_table()

    # ------------------------------------------------------------------ allocation
    def take(
        self,
        base: str,
        copy: tuple[int, ...] = (),
        group: int = -1,
        modes: frozenset[str] = BOTH,
    ) -> str:
        """A free name: `base`, else `base_2`, … Copies of two repeats share no base.

        `modes`: who computes the value; training and evaluation may use a name each.
        """
        base = safe(base)
        name, k = base, 1
        if not self._free(name, copy, group, modes):
            k = self.numbers.get((base, copy, group, modes), 1)
            while not self._free(name, copy, group, modes):
                k += 1
                name = f"{base.rstrip('_')}_{k}"
            self.numbers[base, copy, group, modes] = k
        made = mark(name, copy)
        self.modes[made] = self.modes.get(made, frozenset()) | modes
        if copy and group >= 0:
            self.groups.setdefault(name, group)
        self.taken.add(made)
        self.bases.setdefault(name, set()).add(copy)
        return made

    def _free(
        self, base: str, copy: tuple[int, ...], group: int, modes: frozenset[str]
    ) -> bool:
        copies = self.bases.get(base)
        if copies is None:
            return True
        of_another = self.groups.get(base, group) != group or base in self.user
        if copy and group >= 0 and of_another:
            return False
        return copy not in copies or not modes & self.modes[mark(base, copy)]

    def _group(self, n: Node) -> int:
        """The repeat whose copy a value belongs to; -1: none."""
        if n in self.common:
            return -1
        equations = self.plan.program.equations
        k = n.origin.equation
        return equations[k].group if 0 <= k < len(equations) else -1

    def _user_names(self) -> None:
        program = self.plan.program
        for symbol in program.symbols:
            self.symbols[symbol] = self.take(symbol)
        for c in program.constants:
            self.symbols[c.name] = self.take(c.name)
        for i in program.inputs:
            self.of[i.node] = self.take(i.name)
        if self.plan.joint.seed is not None:
            self.of[self.plan.joint.seed] = "d_loss"
        self._parameters([*program.params, *program.states])
        bindings = list(program.training.bindings)
        twins = self._twins()
        if twins is not None:
            bindings += [b for b in program.evaluation.bindings if b.node not in twins]
        for mode in (program.training, program.evaluation):
            total = mode.total
            if total is not None and total.node not in (twins or {}):
                # `loss = fit + decay`, which nobody wrote
                bindings.append(Binding(total.equation, total.name, total.node))
        self._bindings([b for b in bindings if b.node not in self.of])
        for n, twin in (twins or {}).items():
            self.of.setdefault(n, self.of[twin])
        for n in program.noises:
            if n not in self.of:
                self.of[n] = self._draw(n)
        states = {s.path: self.of[s.node] for s in program.states}
        for path, n in program.training.updates:
            if n not in self.of:
                self.of[n] = self.take(
                    f"new_{base_of(states[path])}", copy_of(states[path])
                )

    def _twins(self) -> dict[Node, Node] | None:
        """What evaluation alone computes -> what training does instead, which has the
        same name: no function computes both. None where the two modes are one."""
        program = self.plan.program
        training, evaluation = program.training, program.evaluation
        if evaluation is training:
            return None
        here = ancestors([*roots_of(training), *self.plan.joint.gradients.values()])
        there = ancestors(roots_of(evaluation))
        self.alone = {n: TRAINING for n in here if n not in there}
        self.alone |= {n: EVALUATION for n in there if n not in here}
        names = {(b.equation, b.name, b.copy): b.node for b in training.bindings}
        pairs = [
            (b.node, names.get((b.equation, b.name, b.copy)))
            for b in evaluation.bindings
        ]
        if training.total is not None and evaluation.total is not None:
            pairs.append((evaluation.total.node, training.total.node))
        found = {n: twin for n, twin in pairs if twin is not None and twin not in there}
        self.stands_for = {n: twin for n, twin in found.items() if n in here}
        return {n: twin for n, twin in found.items() if n not in here}

    def _draw(self, n: Node) -> str:
        """`eps` of `random eps`; `keep_draw` where `keep` is made of the standard draw."""
        path = [p for p in str(n.attrs["name"]).split(".") if not p.isdigit()]
        base = path[-1].partition("[")[0]
        made = {spelt(name) for name, _ in self.hints.values()}
        if spelt(base) in made or () in self.bases.get(safe(base), ()):
            base += "_draw"
        copy, group = self._copy(n), self._group(n)
        wish, k = safe(base), 1
        # It is read at the top and by backward: no copy may have the name of another draw.
        while copies := self.bases.get(wish):
            if group >= 0 and self.groups.get(wish) == group and copy not in copies:
                break
            k += 1
            wish = f"{safe(base)}_{k}"
        return self.take(wish, copy, group)

    def _parameters(self, params: list[Param]) -> None:
        """`W`, `W1`; where several equations have one, `W_scores`; a copy has its mark."""
        plain = [p for p in params if not p.owner]
        for p in plain:
            self.of[p.node] = self.take(p.name, p.copy)
        families: dict[str, dict[str, list[Param]]] = {}
        for p in params:
            if p.owner:
                base = p.name + (str(p.instance) if p.instance else "")
                family = re.sub(r"\[\d+\]", "[]" * len(p.copy), p.path)
                families.setdefault(base, {}).setdefault(family, []).append(p)
        for base, group in families.items():
            single = len(group) == 1 and safe(base) not in self.bases
            chosen: set[str] = set()
            places = Counter(
                part for members in group.values() for part in set(_parts(members[0]))
            )
            for number, members in enumerate(group.values()):
                first = members[0]
                # A repeat's parameters keep the plain name: its body is read most.
                keeps = single or (bool(first.copy) and number == self._first(group))
                name = (
                    base
                    if keeps
                    else self._longer(base, first, chosen | set(self.bases), places)
                )
                if not single and not keeps and len(group) == 1:
                    name = self._longer(base, first, set(self.bases), places)
                chosen.add(name)
                for p in members:
                    self.of[p.node] = self.take(name, p.copy)

    @staticmethod
    def _first(group: dict[str, list[Param]]) -> int:
        for number, members in enumerate(group.values()):
            if members[0].copy:
                return number
        return -1

    @staticmethod
    def _longer(base: str, p: Param, taken: set[str], places: Counter[str]) -> str:
        """`W_scores`: what defines it, or a layer around it that no other one is in."""
        parts = _parts(p)
        owner = [spelt(p.owner)] if p.owner else []
        own = [part for part in [*owner, *parts[:-1]] if places[part] == 1]
        for suffix in (*own, *owner, *reversed(parts), "_".join(parts)):
            if safe(f"{base}_{suffix}") not in taken:
                return f"{base}_{suffix}"
        return base

    def _bindings(self, bindings: list[Binding]) -> None:
        """The user's equations. Versions of one name form families: a repeat with the
        version before its first copy, or a single equation. The last one is bare."""
        versions: dict[str, list[Binding]] = {}
        seen: set[Node] = set()
        for b in bindings:
            if b.node not in seen:
                seen.add(b.node)
                versions.setdefault(b.name, []).append(b)
        for name, group in versions.items():
            if len(group) == 1 and not group[0].copy:
                self.of[group[0].node] = self.take(name)
                continue
            families = self._families(group)
            for number, family in reversed(list(enumerate(families, 1))):
                base = name if number == len(families) else f"{name}{number}"
                while safe(base) in self.bases:
                    base = (
                        f"{name}_{number}" if base == f"{name}{number}" else base + "_"
                    )
                for copy, b in family:
                    self.of[b.node] = self.take(base, copy)
                if len(family) > 1 or family[0][0]:
                    self.last[safe(base)] = family[-1][0]

    def _families(
        self, group: list[Binding]
    ) -> list[list[tuple[tuple[int, ...], Binding]]]:
        """Split the versions of one name into runs that one loop variable could hold."""
        equations = self.plan.program.equations

        def key(b: Binding) -> tuple[int, int]:
            e = equations[b.equation] if 0 <= b.equation < len(equations) else None
            return (e.group, e.body) if e and b.copy else (-1, 0)

        # Within one copy a name may be continued several times: the last is carried.
        carried: dict[int, int] = {}
        for b in group:
            statement, body = key(b)
            if statement >= 0:
                carried[statement] = max(carried.get(statement, 0), body)
        families: list[list[tuple[tuple[int, ...], Binding]]] = []
        at: dict[tuple[int, int], int] = {}
        before: int | None = None  # the family of the plain version just before
        for b in group:
            statement, body = key(b)
            if statement < 0:
                families.append([((), b)])
                before = len(families) - 1
                continue
            k = (statement, body)
            if k not in at:
                if body == carried[statement] and before is not None:
                    index = before
                    ((_, initial),) = families[index]
                    families[index] = [((-1,) * len(b.copy), initial)]
                    at[k] = index
                else:
                    families.append([])
                    at[k] = len(families) - 1
                before = None if body == carried[statement] else before
            families[at[k]].append((b.copy, b))
        # the family that is continued last stands last
        families.sort(key=lambda f: f[-1][1].equation)
        return families

    # ------------------------------------------------------------------ adjoints
    def _adjoint_table(self) -> None:
        """adjoint -> the primal whose name it takes: bound before hinted, outer first."""

        def rank(primal: Node) -> tuple[int, int]:
            named = 0 if primal in self.of else 1 if primal in self.hints else 2
            return (named, -primal.serial)

        for primal, adjoint in self.plan.joint.adjoints.items():
            if rank(primal)[0] == 2 and primal.op.result == "x":
                continue  # another shape of its argument: its adjoint is called what it is
            known = self._primal.get(adjoint)
            if known is None or rank(primal) < rank(known):
                self._primal[adjoint] = primal

    def primal_of(self, adjoint: Node) -> Node | None:
        """The value that an adjoint is named after."""
        return self._primal.get(adjoint)

    def adjoint_base(self, primal: Node) -> tuple[str, tuple[int, ...]]:
        """`d_h` for the adjoint of `h`, with the copy of `h`."""
        known = self.of.get(primal)
        if known is None:
            base, copy = self.proposed(primal)
            known = mark(safe(base).rstrip("_"), copy)
        return "d_" + base_of(known).rstrip("_"), copy_of(known)

    # ------------------------------------------------------------------ other values
    def proposed(self, n: Node) -> tuple[str, tuple[int, ...]]:
        """What a value would be called: its hint, or what the record says of it."""
        copy = self._copy(n)
        hint = self.hints.get(n)
        if hint is None and n in self.plan.views.folded:
            n = n.args[0]
            hint = self.hints.get(n)
        m = n
        while hint is None and m.op.result == "x" and self.plan.views.is_view(m):
            m = m.args[0]  # `q` for the heads of q
            hint = self.hints.get(m)
        if hint is not None:
            base, instance = hint
            return (base + str(instance) if instance else base), copy
        base = self._result(n)
        inside = n.origin.instances
        number = trailing(inside[-1]) if inside else ""
        return (base + number if number and not base[-1].isdigit() else base), copy

    def _copy(self, n: Node) -> tuple[int, ...]:
        """The copy of a repeat that a value belongs to: that of its equation."""
        if n in self.common:
            return ()
        equations = self.plan.program.equations
        k = n.origin.equation
        return equations[k].copy if 0 <= k < len(equations) else n.origin.copy

    def _scaled(self, n: Node) -> str:
        """`scaled_x` for `x / 8 - 1`: one named value and numbers."""
        steps = 0
        while n.op.name in ("add", "sub", "mul", "div") and steps < 4:
            rest = [a for a in n.args if not self.plan.views.constant(a)]
            if len(rest) != 1 or n.args[0] is not rest[0]:
                return ""
            n, steps = rest[0], steps + 1
        if not steps or n not in self.of or len(self.of[n]) > 12:
            return ""
        return "scaled_" + base_of(self.of[n])

    def _of_loop(self, n: Node) -> str:
        """`h_before`, `h_after` for a carry at every step, `z_at` for another value."""
        loop, value = n.args[0], n.attrs["value"]
        _, carries = n.graph.loops.get(loop, ("", ()))
        for k, after in enumerate(loop.attrs["body"][: len(carries)]):
            if after is value:
                return f"{carries[k]}_after"
        if value.op.name == "formal" and value.attrs["role"] == "carry":
            k = value.attrs["index"]
            return f"{carries[k]}_before" if k < len(carries) else "before"
        base, _ = self.proposed(value)
        return f"{base}_at"

    def _result(self, n: Node) -> str:
        if n.op.name == "each":
            return self._of_loop(n)
        scaled = self._scaled(n)
        if scaled:
            return scaled
        if n.op.name in ("add", "sub"):
            m = n  # an affine map stays z
            for _ in range(AFFINE):
                if m.op.name in ("add", "sub"):
                    m = m.args[0]
            if m.op.name == "einsum2" and m not in self.of:
                return m.op.result or "z"
        result = n.op.result or n.op.name
        if "{" in result:  # sin_{x}
            argument = self.of.get(n.args[0], "")
            short = base_of(argument) if len(argument) <= 8 else ""
            result = result.split("{")[0] + short if short else n.op.name
        return result.rstrip("_") or n.op.name

    def name(self, n: Node, backward: bool = False) -> str:
        """The marked name of a value; gives it one where it has none."""
        known = self.of.get(n)
        if known is None:
            primal = self._primal.get(n) if backward else None
            if primal is not None:
                base, copy = self.adjoint_base(primal)
                known = self.of[n] = self.take(base, copy)
            else:
                base, copy = self.proposed(n)
                modes = self.alone.get(n, BOTH)
                known = self.of[n] = self.take(base, copy, self._group(n), modes)
        return known

    # ------------------------------------------------------------------ spelling
    def index(self, loop: Node, depth: int) -> str:
        """The variable that counts the steps: one for all loops of the same depth."""
        wish = self.plan.program.graph.loops.get(loop, ("t", ()))[0]
        copy = loop.origin.copy
        known = self.indices.get((wish, depth, copy))
        repeats = any(e.copy for e in self.plan.program.equations)
        if known is None and wish == "i" and not repeats and "i" not in self.bases:
            self.bases["i"] = {()}
            self.indices[wish, depth, copy] = known = "i"
        if known is None:
            known = self.indices[wish, depth, copy] = self.take(wish, copy)
        return known

    def flat(self) -> dict[str, str]:
        """Marked name -> the name outside of loops: `h1` for copy 0, `h` for the last."""
        table: dict[str, str] = {}
        used = {b for b, copies in self.bases.items() if () in copies}
        for base, copies in self.bases.items():
            copies = copies - {()}
            if not copies:
                continue
            last = self.last.get(base)
            if last is None and base.startswith("d_"):
                last = self.last.get(base[2:])
            if len(copies) == 1 and last is None:
                last = next(iter(copies))
            if base in used:
                last = None
            for copy in sorted(copies):
                if copy == last:
                    text = base
                else:
                    joint = "_" if base[-1].isdigit() or len(copy) > 1 else ""
                    text = base + joint + "_".join(str(c + 1) for c in copy)
                    k = 1
                    while text in used or text in RESERVED or text in self.bases:
                        k += 1
                        text = f"{base}_{'_'.join(str(c + 1) for c in copy)}" + (
                            f"_{k}" if k > 2 else ""
                        )
                used.add(text)
                table[mark(base, copy)] = text
        return table
