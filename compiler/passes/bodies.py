"""Passes inside loops: the rules of a pass on what a loop does at each step.

Comes in: a loop of the program with the projections of it that are read. Goes out: the
same with a better body. The next carries and the values of all projections are rewritten
by one walk, so that what is collected stays what the recurrence computes; formals that
nothing reads any more are dropped. The values are fences: each has a line of its own.

    loop(h, x, W, b; tanh(x + h @ W))   body over formals only, mapped by `Rewriter.walk`
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..ir.graph import Graph, rebuild, topological
from ..ir.node import Node, Number
from .uses import count_uses


class Walker(Protocol):
    """What a loop asks of the walk that meets it (`patterns.Rewriter`)."""

    graph: Graph

    def make(self, op: str, *args: Node | Number, **attrs: Any) -> Node: ...

    def inside(self) -> Walker: ...

    def walk(
        self,
        order: Sequence[Node],
        uses: Mapping[Node, int],
        bound: Collection[Node] = (),
    ) -> dict[Node, Node]: ...


PROJECTIONS = ("last", "each", "total")
LOOPED = frozenset({"loop", *PROJECTIONS})
"""A loop, and the values that are read off one: `Bodies.map` maps them."""
ROLES = ("carry", "slice", "capture")


def everything(order: Iterable[Node]) -> Iterable[Node]:
    """The nodes of an order and those of the loops' bodies in it."""
    seen: set[Node] = set()
    stack: list[Iterable[Node]] = [order]
    while stack:
        roots: list[Node] = []
        for n in stack.pop():
            yield n
            if n.op.name == "loop":
                roots += n.attrs["body"]
            elif n.op.name in ("each", "total"):
                roots.append(n.attrs["value"])
        fresh = [n for n in topological(roots) if n not in seen]
        if fresh:
            seen.update(fresh)
            stack.append(fresh)


class Bodies:
    """The loops that one walk meets."""

    def __init__(self, order: Iterable[Node]) -> None:
        self.projections: dict[Node, list[Node]] = {}
        for n in order:
            if n.op.name in PROJECTIONS:
                self.projections.setdefault(n.args[0], []).append(n)
        self._values: dict[Node, dict[Node, Node]] = {}  # loop -> old value -> new
        self._carries: dict[Node, dict[int, int]] = {}  # loop -> old number -> new
        self._each: dict[Node, set[Node]] = {}  # loop -> the new values collected

    def map(self, rw: Walker, n: Node, args: tuple[Node, ...]) -> Node:
        """The node on its new arguments, with what it does at each step rewritten."""
        if n.op.name == "loop":
            return self._loop(rw, n, args)
        old, (loop,) = n.args[0], args
        if n.op.name == "last":
            index = self._carries[old][n.attrs["index"]]
            return rw.graph.apply("last", loop, index=index)
        value = self._values[old][n.attrs["value"]]
        if n.op.name == "total" and value in self._each[old]:
            each = rw.graph.intern("each", args, {"value": value})
            whole = rw.make("sum", each, axes=(0,))
            return rw.make("reshape", whole, shape=value.shape)
        return rw.graph.intern(n.op.name, args, {"value": value})

    def _loop(self, rw: Walker, loop: Node, args: tuple[Node, ...]) -> Node:
        graph, body = rw.graph, loop.attrs["body"]
        read = self.projections.get(loop, ())
        values = [p.attrs["value"] for p in read if p.op.name != "last"]
        roots = list(dict.fromkeys([*body, *values]))
        order = topological(roots)
        inner = rw.inside()
        table = inner.walk(order, count_uses(order, roots), set(roots))
        for n in order:
            if n in graph.hints and table[n] is not n:
                graph.hint(table[n], *graph.hints[n])
        carries = _live(
            [p.attrs["index"] for p in read if p.op.name == "last"],
            [table[v] for v in values],
            [table[b] for b in body],
        )
        kept = [table[body[k]] for k in carries]
        slim = _Slim(graph, loop, args, carries, [*kept, *(table[v] for v in values)])
        self._carries[loop] = {k: i for i, k in enumerate(carries)}
        self._values[loop] = {v: slim.table[table[v]] for v in values}
        collected = [p.attrs["value"] for p in read if p.op.name == "each"]
        self._each[loop] = {self._values[loop][v] for v in collected}
        attrs = {
            **loop.attrs,
            "body": tuple(slim.table[b] for b in kept),
            "carries": len(carries),
            "sequences": slim.sequences,
        }
        made = graph.intern("loop", slim.args, attrs)
        known = graph.loops.get(loop)
        if known is not None and made is not loop:
            index, names = known
            graph.loops.setdefault(made, (index, tuple(names[k] for k in carries)))
        return made


def _live(lasts: list[int], values: list[Node], body: list[Node]) -> list[int]:
    """The carries that a projection needs, directly or by way of other carries."""
    found: set[int] = set()
    todo = [*values]
    wanted = list(lasts)
    while todo or wanted:
        for n in topological(todo):
            if n.op.name == "formal" and n.attrs["role"] == "carry":
                wanted.append(n.attrs["index"])
        todo = [body[k] for k in dict.fromkeys(wanted) if k not in found]
        found.update(wanted)
        wanted = []
    return sorted(found)


class _Slim:
    """The formals that are read, numbered anew, and the arguments that they stand for."""

    def __init__(
        self,
        graph: Graph,
        loop: Node,
        args: tuple[Node, ...],
        carries: list[int],
        roots: list[Node],
    ) -> None:
        n, m = loop.attrs["carries"], loop.attrs["sequences"]
        outer = {"carry": args[:n], "slice": args[n : n + m], "capture": args[n + m :]}
        order = topological(roots)
        used = [f for f in order if f.op.name == "formal" and f.attrs["tag"] == 0]
        kept: dict[str, list[int]] = {role: [] for role in ROLES}
        kept["carry"] = carries
        for role in ROLES[1:]:
            indices = {f.attrs["index"] for f in used if f.attrs["role"] == role}
            kept[role] = sorted(indices)
        self.args = tuple(outer[role][i] for role in ROLES for i in kept[role])
        self.sequences = len(kept["slice"])
        new: dict[Node, Node] = {}
        for f in used:
            place = kept[f.attrs["role"]].index(f.attrs["index"])
            new[f] = graph.intern("formal", (), {**f.attrs, "index": place})
        self.table: dict[Node, Node] = {}
        for node in order:
            made = new.get(node, node)
            if node not in new and node.args:
                inner = tuple(self.table[a] for a in node.args)
                if inner != node.args:
                    with graph.at(node.origin):
                        made = _again(graph, node, inner)
                    if node in graph.hints:
                        graph.hint(made, *graph.hints[node])
            self.table[node] = made


def _again(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node:
    """The same op, as it is: no rule shall look at it again."""
    if node.op.name == "loop":
        made = graph.intern("loop", args, node.attrs)
        if node in graph.loops:
            graph.loops.setdefault(made, graph.loops[node])
        return made
    if node.op.name in PROJECTIONS:
        return graph.intern(node.op.name, args, node.attrs)
    return rebuild(graph, node, args)
