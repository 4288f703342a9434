"""A loop while it is written. What needs no carry is hoisted out of it.

draft = Draft(graph, steps)
h, x = draft.carry(h0), draft.slice(xs)
loop, (y,) = draft.finish([next_h], [y])     # graph.apply("each", loop, value=y)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import partial, reduce

from gradc.records import record

from ...ir.dims import Dim, Shape
from ...ir.graph import Graph, topological
from ...ir.node import Node
from ..bounds import FIXED
from .body import ROLES, depends_on, formal, rebuilt, replaced
from .lifting import ALL, REWRITING, lifted

GROUPED = ("add", "mul")


@record(frozen=False)
class Draft:
    """A loop while it is written: its formals bear a tag, which no other loop has.

    `carry`, `slice` and `capture` give the formal of an outer value; `finish` closes the
    body: whatever in it does not depend on the step becomes a capture, what does not
    depend on a carry is hoisted, formals are numbered by first use.
    """

    graph: Graph
    steps: Dim
    reverse: bool = False
    tag: int = 0
    outer: dict[str, list[Node]] = field(default_factory=lambda: {r: [] for r in ROLES})

    places: dict[tuple[str, Node], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graph.drafts += 1
        self.tag = self.graph.drafts

    def carry(self, init: Node) -> Node:
        """The formal of a new carry that starts as `init`."""
        carries = self.outer["carry"]
        carries.append(init)
        return formal(
            self.graph, "carry", len(carries) - 1, init.shape, init.kind, self.tag
        )

    def carry_of(self, index: int) -> Node:
        """The formal of the carry of that number."""
        init = self.outer["carry"][index]
        return formal(self.graph, "carry", index, init.shape, init.kind, self.tag)

    def slice(self, sequence: Node) -> Node:
        """The formal of a sequence (T first) at the step's place."""
        return self._formal("slice", sequence, sequence.shape[1:])

    def capture(self, value: Node) -> Node:
        """The formal of a value that is the same at every step."""
        return self._formal("capture", value, value.shape)

    def _formal(self, role: str, value: Node, shape: Shape) -> Node:
        known = self.outer[role]
        place = self.places.setdefault((role, value), len(known))
        if place == len(known):
            known.append(value)
        return formal(self.graph, role, place, shape, value.kind, self.tag)

    def own(self, node: Node) -> Node | None:
        """The outer value of one of this draft's formals."""
        if node.op.name == "formal" and node.attrs["tag"] == self.tag:
            value: Node = self.outer[node.attrs["role"]][node.attrs["index"]]
            return value
        return None

    def finish(
        self, nexts: Sequence[Node], values: Sequence[Node]
    ) -> tuple[Node, list[Node]]:
        """The loop, and `values` (to be projected) in terms of its formals."""
        roots = [*nexts, *values]
        roots = self._closed(roots)
        if REWRITING[-1]:
            roots = self._hoisted(roots, len(nexts))
        return self._numbered(roots[: len(nexts)], roots[len(nexts) :])

    def _closed(self, roots: list[Node]) -> list[Node]:
        """Outer values that the body reads become captures."""
        inside = depends_on(roots, self.tag)
        new: dict[Node, Node] = {}
        for n in (r for r in roots if not inside[r] and not _costless(r)):
            new[n] = self.capture(n)
        for n in topological(roots):
            if inside[n]:
                for a in n.args:
                    if not inside[a] and a not in new and not _costless(a):
                        new[a] = self.capture(a)
        return replaced(self.graph, roots, new)

    def _hoisted(self, roots: list[Node], carried: int) -> list[Node]:
        """Maximal work without a carry below it is done for all steps at once."""
        if ALL[-1]:
            roots = _regrouped(self.graph, roots, depends_on(roots, self.tag))
        inside = depends_on(roots, self.tag)
        border: dict[Node, None] = {}
        for n in topological(roots[:carried]):
            if "carry" in inside[n]:
                for a in n.args:
                    if inside[a] and "carry" not in inside[a]:
                        border.setdefault(a)
        new: dict[Node, Node] = {}
        leaves = {
            n: (self.own(n), n.attrs["role"] == "slice")
            for n in inside
            if self.own(n) is not None and n.attrs["role"] != "carry"
        }
        for n in border:
            if not (_heavy(n, inside) or (ALL[-1] and _is_work(n))):
                continue
            value, varies = lifted(self.graph, n, self.steps, leaves)
            if value is not None:
                new[n] = self.slice(value) if varies else self.capture(value)
        if new and not self.graph.deriving:
            self.graph.remark(self.graph.origin.equation, "hoisted")
        return replaced(self.graph, roots, new)

    def _numbered(
        self, nexts: list[Node], values: list[Node]
    ) -> tuple[Node, list[Node]]:
        """Formals in order of first use; sequences and captures without one are dropped."""
        g, roots = self.graph, [*nexts, *values]
        used = [n for n in topological(roots) if self.own(n) is not None]
        used.sort(key=lambda n: (ROLES.index(n.attrs["role"]), n.attrs["index"]))
        new: dict[Node, Node] = {}
        kept: dict[str, list[Node]] = {"slice": [], "capture": []}
        for n in used:
            role, index = n.attrs["role"], n.attrs["index"]
            if role != "carry":
                kept[role].append(self.outer[role][index])
                index = len(kept[role]) - 1
            new[n] = formal(g, role, index, n.shape, n.kind)
        done = replaced(g, roots, new)
        loop = g.apply(
            "loop",
            *self.outer["carry"],
            *kept["slice"],
            *kept["capture"],
            carries=len(nexts),
            sequences=len(kept["slice"]),
            body=tuple(done[: len(nexts)]),
            steps=self.steps,
            reverse=self.reverse,
        )
        return loop, done[len(nexts) :]


def _costless(n: Node) -> bool:
    """A number, or a number in some shape: written wherever it is read."""
    while n.op.name in ("broadcast", "reshape", "cast") and n.args:
        n = n.args[0]
    return n.op.name in FIXED


def _regrouped(
    graph: Graph, roots: list[Node], inside: Mapping[Node, frozenset[str]]
) -> list[Node]:
    """Sums and products with what needs no carry first: of `x + h @ W + b` that is `x + b`, of
    `d * t * s` it is `t * s`, which are hoisted then."""
    order = list(topological(roots))
    readers = Counter(a for n in order for a in n.args)
    readers.update(roots)

    def joins(n: Node, op: str) -> bool:
        """Is it a part of the one sum, or product, that reads it?"""
        return n.op.name == op and "carry" in inside[n] and readers[n] == 1

    inner = {
        a for n in order if n.op.name in GROUPED for a in n.args if joins(a, n.op.name)
    }
    table: dict[Node, Node] = {}
    for n in order:
        op = n.op.name
        if op in GROUPED and n not in inner and "carry" in inside[n]:
            free: list[Node] = []
            carried: list[Node] = []
            stack = list(reversed(n.args))
            while stack:
                m = stack.pop()
                if joins(m, op):
                    stack.extend(reversed(m.args))
                else:
                    (carried if "carry" in inside[m] else free).append(table[m])
            if len(free) > 1 and len(carried) < 8:
                with graph.at(n.origin):
                    whole = reduce(partial(graph.apply, op), free)
                    rest = (*carried, whole) if op == "mul" else (whole, *carried)
                    table[n] = reduce(partial(graph.apply, op), rest)
                if n in graph.hints:
                    graph.hint(table[n], *graph.hints[n])
                continue
        table[n] = rebuilt(graph, n, table)
    return [table[r] for r in roots]


def _is_work(n: Node) -> bool:
    """Is there anything to compute, or is it a formal as it stands, spread perhaps?"""
    while n.op.view and n.args:
        n = n.args[0]
    return n.op.family != "leaf"


def _heavy(n: Node, inside: Mapping[Node, frozenset[str]]) -> bool:
    """Is there more to do below `n` than elementwise work, which stays where it is read?"""
    seen: set[Node] = set()
    stack = [n]
    while stack:
        m = stack.pop()
        if m in seen or not inside.get(m):
            continue
        seen.add(m)
        if m.op.family not in ("leaf", "elementwise") and not m.op.view:
            return True
        stack.extend(m.args)
    return False
