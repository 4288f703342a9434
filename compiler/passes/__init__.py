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
from dataclasses import dataclass, replace

from ..ir.graph import Graph, topological
from ..ir.node import Node
from ..ir.program import Joint
from . import expand, fold, idioms, linear, products, sums
from .mapping import adjoints_in, bound_in, map_joint, roots_of
from .patterns import Rewriter, Rule

ALGEBRA: tuple[Rule, ...] = (
    *fold.RULES,
    *products.RULES,
    *sums.RULES,
    *linear.RULES,
)


@dataclass(frozen=True)
class Pass:
    """A table of rules, from which level on it runs, and how often at most.

    More than once, where what one walk takes away makes a value free for the next.
    """

    name: str
    level: int
    rules: tuple[Rule, ...]
    reason: str
    walks: int = 1


PASSES: tuple[Pass, ...] = (
    Pass(
        "algebra",
        1,
        ALGEBRA,
        "First, while softmax and logsumexp are whole: their product rules cancel here.",
        walks=4,
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
        idioms.RULES,
        "Last: its ops have no rules, and the scheduler has to see the fused value.",
        walks=2,
    ),
)


def run_passes(joint: Joint, level: int = 1) -> Joint:
    """Every pass of the level, in order. The result remembers what it was before."""
    before = joint if joint.before is None else joint.before
    image = dict(joint.image)
    if not image:
        image = {n: n for n in topological(roots_of(joint))}
    for p in PASSES:
        if p.level <= level:
            joint, tables = run_pass(joint, p)
            for table in tables:
                image = {old: table.get(now, now) for old, now in image.items()}
    return replace(joint, before=before, image=image)


def run_pass(joint: Joint, p: Pass) -> tuple[Joint, list[dict[Node, Node]]]:
    """One pass, walked until nothing changes: the joint, and the table of each walk."""
    tables: list[dict[Node, Node]] = []
    for _ in range(p.walks):
        rw = Rewriter(joint.program.graph, p.rules)
        table = rw.walk(roots_of(joint), bound_in(joint), adjoints_in(joint))
        if all(old is new for old, new in table.items()):
            break
        joint = map_joint(joint, table)
        tables.append(table)
    return joint, tables


def tidy(
    graph: Graph, roots: Iterable[Node], bound: Collection[Node] = ()
) -> dict[Node, Node]:
    """The algebra alone, as a table old -> new: for mathematics that is only shown."""
    return Rewriter(graph, ALGEBRA).walk(list(roots), bound)
