"""Passes: DAG to DAG, between reverse mode and the scheduler.

Comes in: a `Joint`, the program with its derivatives. Goes out: a `Joint` of the same
values, in fewer operations, in the form in which a person would have written them.
A pass is a table of rules (`patterns.py`); what names stand for follows the nodes
(`mapping.py`).

    run_passes(joint, level=1)      # PASSES in order
    tidy(graph, [adjoint])          # the algebra alone: what the comments of code show
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from gradc.records import record

from ..ir.graph import Graph, topological
from ..ir.node import Node
from ..ir.program import Joint
from . import (
    affine,
    expand,
    fold,
    gates,
    idioms,
    linear,
    logistic,
    normalisers,
    pieces,
    pools,
    products,
    reuse,
    selections,
    sums,
)
from .before import before_derivatives as before_derivatives
from .bodies import everything
from .mapping import State
from .patterns import Rewriter, Rule
from .slopes import slopes_ahead
from .uses import count_uses

ALGEBRA: tuple[Rule, ...] = (
    *fold.RULES,
    *products.RULES,
    *sums.RULES,
    *linear.RULES,
)


@record
class Pass:
    """A table of rules and the level from which on it runs."""

    name: str
    level: int
    rules: tuple[Rule, ...]
    reason: str

    def concerns(self, order: Iterable[Node]) -> bool:
        """Is there any node that its rules look at?"""
        ops = {op for r in self.rules for op in r.ops}
        return any(n.op.name in ops for n in everything(order))


PASSES: tuple[Pass, ...] = (
    Pass(
        "algebra",
        1,
        ALGEBRA,
        "First, while softmax and logsumexp are whole: their product rules cancel here.",
    ),
    Pass(
        "expand",
        0,
        expand.RULES,
        "At every level: NumPy has no softmax. After the algebra, so that one exp is left.",
    ),
    Pass(
        "idioms",
        1,
        (*idioms.RULES, *pools.RULES, *gates.RULES),
        "Its ops have no rules, and the scheduler has to see the fused value.",
    ),
    Pass(
        "planned",
        2,
        (
            *pools.PLANNED,
            *normalisers.RULES,
            *reuse.RULES,
            *selections.RULES,
            *pieces.RULES,
            *logistic.PLANNED,
            *affine.RULES,
        ),
        "Last: not as one would write it, each step of it in memory that is there.",
    ),
)

PLANNED = 2
"""The level of planned buffers."""

WALKS = 4
"""How often a pass walks, and all of them in turn, where a walk leaves more to do: a value
that two had read has one reader, say. Few programs need a second walk."""


def run_passes(joint: Joint, level: int = 1) -> Joint:
    """Every pass of the level, in order. The result remembers what it was before."""
    state = State(joint)
    passes = [p for p in PASSES if p.level <= level]
    for _ in range(WALKS):
        state.fences.clear()
        walks = [rw for p in passes if (rw := run_pass(state, p)) is not None]
        if not (walks and state.fences_moved(walks[-1])):
            break
    image = {n: state.image(m) for n, m in joint.image.items()} or state.table
    made = replace(state.joint, before=joint.before or joint, image=image)
    return slopes_ahead(made) if level >= PLANNED else made


def run_pass(state: State, p: Pass) -> Rewriter | None:
    """One pass, walked until nothing is left to do: its last walk, if there was any."""
    rw = None
    before = set(state.fences)
    for _ in range(WALKS):
        if not p.concerns(state.order):
            break
        rw = Rewriter(state.graph, p.rules)
        table = rw.walk(state.order, state.uses, state.bound, state.adjoints)
        changed = state.move(table)
        before = {table.get(n, n) for n in before}
        state.fences = rw.shared | rw.bound
        if not changed:
            break
        if not state.fences_moved(rw) and all(rw.has_seen(n) for n in state.order):
            break
    state.fences |= before
    return rw


def tidy(
    graph: Graph, roots: Iterable[Node], bound: Collection[Node] = ()
) -> dict[Node, Node]:
    """The algebra alone, as a table old -> new: for mathematics that is only shown."""
    roots = list(roots)
    order = topological(roots)
    return Rewriter(graph, ALGEBRA).walk(order, count_uses(order, roots), bound)
