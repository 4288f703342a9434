"""A scalar in closed form: one formula over the leaves, its shared parts as `where t1 = …`.

In: nodes of single numbers. Out: a formula for each, over inputs, parameters and constants,
and the parts that are read more than once, in an order in which they can be worked out. The
text of n-fold x <- sin(x) x is as long as n, not as 2^n.

    d_w = t2 * x * (1 - t1)      where  t1 = sigmoid(w * x),  t2 = …
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradc.records import record

from ..ir.dims import ONE
from ..ir.graph import ancestors
from ..ir.node import Node
from ..passes import tidy
from .formula import Formula, names_in
from .parts import Fresh, Part
from .reading import read_all
from .stations import Stations


@record
class ClosedForm:
    """Formulas by node, and what they speak of beside the leaves."""

    formulas: Mapping[Node, Formula]
    parts: tuple[Part, ...]

    def parts_of(self, node: Node) -> list[Part]:
        """The parts that one formula needs, in order."""
        known = {p.name: p for p in self.parts}
        wanted: set[str] = set()
        stack = names_in(self.formulas[node])
        while stack:
            name = stack.pop()
            if name in known and name not in wanted:
                wanted.add(name)
                stack += names_in(known[name].formula)
        return [p for p in self.parts if p.name in wanted]


def is_scalar(nodes: Iterable[Node]) -> bool:
    """Is everything that the nodes are made of a single number?"""
    return all(
        all(d == ONE for d in n.shape) and n.op.family != "tuple"
        for n in ancestors(nodes)
    )


def closed_form(roots: Iterable[Node], named: Stations) -> ClosedForm:
    """The roots over the leaves of the program."""
    wanted = list(dict.fromkeys(roots))
    graph = wanted[0].graph
    table = tidy(graph, wanted)
    leaves = {n: name for n, name in named.of.items() if not n.args}
    made = {n: table.get(n, n) for n in wanted}
    reading = read_all(made.values(), leaves.get, Fresh(leaves.values()))
    return ClosedForm({n: reading.formulas[m] for n, m in made.items()}, reading.parts)
