"""A `repeat` inside of a `fn` or `layer`, rolled up in the text: the third part of rolling.

In: the functions after `reroll.py`, which is for a `repeat` of the program's own. Out: those
that have runs of alike copies in their blocks (`runs.py`), printed with a loop for each
(`run_lines.py`), their values in families (`families.py`), which `symbolic.py` checks. A
function with both kinds of `repeat` keeps the copies inside of its blocks one by one.

    fn u(x) { h = x;  repeat 8 { h = dense(h, 20, tanh) };  return h }
    v_x = grad(u(x), x)
"""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.node import Node
from .families import Families, Part, Refused
from .names import Names
from .plan import Plan
from .rolled import Printed, Rolled
from .run_lines import RunLines
from .runs import Item, runs_of
from .sources import sources
from .symbolic import check

TOGETHER = (("forward", "backward"), ("evaluate",), ("predict",))  # who share values


def roll_inside(
    plan: Plan, names: Names, functions: dict[str, Rolled], flat: Mapping[str, str]
) -> None:
    """Print the functions that have runs in their blocks as such."""
    for together in TOGETHER:
        chosen = {name: functions[name] for name in together if name in functions}
        apart = any(plan.functions[n].again or f.loops for n, f in chosen.items())
        if chosen and not apart:
            _roll_together(plan, names, chosen, flat)


def _roll_together(
    plan: Plan, names: Names, chosen: Mapping[str, Rolled], flat: Mapping[str, str]
) -> None:
    parts = [_part(plan, names, name, rolled) for name, rolled in chosen.items()]
    if not any(part.runs for part in parts):
        return
    families = _families(plan, names, parts, flat)
    try:
        check(families)
    except Refused:
        return
    called = families.outside_names()
    for part in parts:
        rolled = chosen[part.name]
        lines = RunLines(families, part)
        for equation, items in part.blocks:
            text = lines.begun(items)
            text += [line for item in items for line in lines.lines(item)]
            rolled.printed.append(Printed(equation, text, lines.rules(items)))
        for cell in families.seen(part):
            rolled.spelling[cell] = lines.spelt(cell)
            rolled.called[cell] = called[cell]
            if cell in families.of:
                rolled.variables[cell] = families.of[cell][0].name
        rolled.stored = {path for path, c in part.results if families.is_result(c)}
        inside = families.leaves_inside(part)
        leaves = plan.functions[part.name].leaves
        rolled.inside = {n for n in leaves if names.of[n] in inside}
    if "backward" in chosen:
        _save(plan, names, families, chosen)


def _part(plan: Plan, names: Names, name: str, rolled: Rolled) -> Part:
    """A function with the runs of its blocks."""
    f, of, equations = plan.functions[name], names.of, plan.program.equations
    cells = set(of.values())
    blocks: list[tuple[int, list[Item]]] = []
    for b in rolled.blocks:
        outer = len(equations[b.equation].copy) if b.equation >= 0 else 0
        blocks.append((b.equation, runs_of(b.statements, outer, cells)))
    given = plan.saved if name == "backward" else f.leaves
    results = [(path, of[n]) for path, n in f.results]
    return Part(name, blocks, [of[n] for n in given], results)


def _families(
    plan: Plan, names: Names, parts: list[Part], flat: Mapping[str, str]
) -> Families:
    """The families of these functions, and what keeps the name that it has."""
    of, shared = names.of, any(part.name == "backward" for part in parts)
    bound = [x for part in parts for x in plan.functions[part.name].bound.items()]
    return Families(
        parts,
        [of[n] for n in plan.saved] if shared else [],
        {of[n]: source for n, source in sources(plan.program).items()},
        set(of.values()),
        own={m for n, m in of.items() if n.op.family == "leaf"}
        | {of[n] for n, b in bound if n in of and not b.parameter},
        lasting={of[n] for n, b in bound if n in of and b.parameter},
        hinted={of[n] for n in names.hints if n in of},
        flat=flat,
    )


def _save(
    plan: Plan, names: Names, families: Families, chosen: Mapping[str, Rolled]
) -> None:
    """What forward hands to backward: dicts of members whole, leaves of copies by table."""
    backward = families.parts[-1]
    read = families.read_outside(backward)
    tables = dict.fromkeys(s.table for s in families.leaves(backward))
    singles: list[Node] = []
    unpacked: list[Node] = []
    dicts: dict[str, None] = {}
    for n in plan.saved:
        cell = names.of[n]
        if cell in families.of:
            dicts.setdefault(families.place(cell).name)
        elif cell in families.sources and families.sources[cell].table in tables:
            unpacked += [n] if cell in read else []
        elif cell in read:
            singles.append(n)
    chosen["backward"].unpacked = unpacked
    chosen["forward"].inside -= set(singles)
    for rolled in chosen.values():
        rolled.saved, rolled.lists = singles, [*tables, *dicts]
