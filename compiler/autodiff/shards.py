"""A loss that is computed shard by shard: what it is on a slice of the rows.

Stage: before reverse mode, at `-O2`. In: a program whose loss is proved to be a mean or a sum
over independent rows (`rows.py`). Out: the program whose loss, on a slice of n rows, is the
slice's share of the loss on all of them, and the name of the size that stands for the rows
of the whole batch. The shares of a partition add up to the loss, and so do their gradients:

    mean over N of e + decay    ->    sum of e / rows + decay * n / rows
"""

from __future__ import annotations

from dataclasses import replace

from ..ir.dims import Dim, Poly
from ..ir.graph import Graph, rewrite, topological
from ..ir.node import Node
from ..ir.program import Program
from .rows import Structure, row_structures

ROWS = "rows"
LINEAR = ("neg", "stop", "cast", "reshape", "broadcast")


def sharded(program: Program) -> tuple[Program, str]:
    """The program with its loss by shares, and the size of the whole; or as it is, and ''."""
    training = program.training
    total = training.total
    row_dim = shared_rows(program)
    if total is None or row_dim is None:
        return program, ""
    name = ROWS
    while name in program.symbols or name in {c.name for c in program.constants}:
        name += "_"
    share = _Share(program.graph, row_dim, name)
    made = share.of(total.node)
    if total.node is made:
        return program, ""
    bindings = tuple(
        replace(b, node=share.whole[b.node]) if b.node in share.whole else b
        for b in training.bindings
    )
    alone = replace(total, node=made)
    losses = tuple(
        (
            alone
            if r.node is total.node
            else replace(r, node=share.whole.get(r.node, r.node))
        )
        for r in training.losses
    )
    updated = replace(training, bindings=bindings, losses=losses, total=alone)
    return replace(program, training=updated), name


def shared_rows(program: Program) -> str | None:
    """The row dim whose slices each give a share of the loss, where there is one.

    A state is of all rows, and a loss that trains some parameters only is not split.
    """
    training, total = program.training, program.training.total
    if total is None or total.rows not in ("mean", "sum"):
        return None
    if program.states or any(r.over is not None for r in training.losses):
        return None
    return total.row_dim


def mixing_line(program: Program) -> int | None:
    """The line where rows meet, in a program whose loss is no sum over them.

    None too where no rows meet, but the loss goes over those of several tables.
    """
    total = program.training.total
    if total is None or shared_rows(program) is not None:
        return None
    if program.states:
        return program.states[0].line
    lines = {e.index: e.line for e in program.equations}
    for entry in program.inputs:
        first = entry.node.shape[0] if entry.node.shape else None
        if first is None or len(first.symbols()) != 1:
            continue
        found = row_structures([total.node], first)[total.node]
        if found.rows not in ("mean", "sum", "free"):
            by = found.by or total.node
            return lines.get(by.origin.equation) or lines.get(total.equation) or None
    limited = [r.equation for r in program.training.losses if r.over is not None]
    return lines.get(limited[0]) or None if limited else None


def _number(graph: Graph, x: Node) -> Node | None:
    """`x / N` of one element, as a quotient of numbers."""
    if x.op.name not in ("mul", "div"):
        return None
    a, b = x.args
    if b.op.name != "broadcast" or b.args[0].shape:
        return None
    return graph.apply(x.op.name, graph.apply("reshape", a, shape=()), b.args[0])


class _Share:
    """One loss."""

    def __init__(self, graph: Graph, row_dim: str, rows: str) -> None:
        self.graph, self.row_dim, self.rows = graph, row_dim, rows
        self.whole: dict[Node, Node] = {}

    def of(self, total: Node) -> Node:
        """The share of the loss."""
        states = row_structures([total], self.row_dim)

        def counted(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node | None:
            """Numbers of rows are those of the whole batch; a sum of all is one number
            before it is divided by them."""
            if node.op.name == "reshape" and not node.shape:
                return _number(graph, args[0])
            if (
                node.op.name != "size"
                or self.row_dim not in node.attrs["dim"].symbols()
            ):
                return None
            dim: Dim = node.attrs["dim"]
            moved = Dim(self._moved(dim.value), self._moved(dim.written))
            return graph.size(moved, node.kind)

        self.whole = rewrite(self.graph, [total], counted)
        return self._weighted(total, states)

    def _moved(self, poly: Poly) -> Poly:
        terms = {
            tuple(sorted(self.rows if s == self.row_dim else s for s in m)): c
            for m, c in poly.terms
        }
        return Poly(terms)

    def _weighted(self, total: Node, states: dict[Node, Structure]) -> Node:
        """Terms free of rows times n / rows, down to the sums over rows."""
        graph, made = self.graph, dict(self.whole)
        here, all_rows = Dim.symbol(self.row_dim), Dim.symbol(self.rows)
        inside = {total}
        for n in sorted(topological([total]), key=lambda n: -n.serial):
            if n in inside and states[n].state == "sum" and self._parts(n, states):
                inside.update(self._parts(n, states))
        for n in topological([total]):
            if n not in inside:
                continue
            with graph.at(n.origin):
                if not self._has_free(n, states):
                    continue
                if states[n].state == "free":
                    weight = graph.size(here) / graph.size(all_rows)
                    made[n] = self.whole[n] * weight
                else:
                    parts = self._parts(n, states)
                    if parts:
                        args = [
                            made[a] if a in parts else self.whole[a] for a in n.args
                        ]
                        made[n] = graph.apply(n.op.name, *args, **n.attrs)
        return made[total]

    def _has_free(self, n: Node, states: dict[Node, Structure]) -> bool:
        """Is a term free of rows among those that `n` adds up?"""
        stack = [n]
        while stack:
            m = stack.pop()
            if states[m].state == "free":
                return True
            stack.extend(self._parts(m, states))
        return False

    @staticmethod
    def _parts(n: Node, states: dict[Node, Structure]) -> tuple[Node, ...]:
        """The arguments that carry a part of the sum each; none where `n` is the sum."""
        match n.op.name:
            case "add" | "sub":
                return n.args
            case "where":
                return n.args[1:]
            case "mul":
                return tuple(a for a in n.args if states[a].state == "sum")
            case "div":
                return n.args[:1]
            case name if name in LINEAR and states[n.args[0]].state == "sum":
                return n.args
        return ()
