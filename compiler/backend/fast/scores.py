"""How scores lie in memory: the axis along which they are normalised comes before the rows.

In: the scheduled functions. Out: for the nodes between batched products of matrices along
whose last axis a maximum is taken, the order of their axes in memory: (0, 3, 1, 2) for the
scores [N, heads, T, K] of an attention. Shapes stay what they are; a value is a turned view
of the array that holds it.

A maximum along rows takes one number after another, 1 ns each; from row to row, runs of heads
times T of them at once, a fifth of that. What subtracts it, or divides by a sum, then adds
runs to runs as well. BLAS writes and reads products so at no cost.

The rule: a maximum along the last axis, and all that stands beside what it is taken of in
elementwise operations, forward and backward, if nothing of it comes from anywhere but such
products, smaller arrays and what the sizes alone decide, and nobody but such products and sums
along that axis reads it. A mask of the data, noise or a copy would be read against its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...ir.dims import ONE
from ...ir.graph import topological, users
from ...ir.node import Node
from ...ops.contraction import letters
from ..plan import Plan
from .reshapes import Order

FEWEST = 16
"""Rows from which on their runs are worth it, where their number is known."""
REDUCTIONS = frozenset({"max", "max_over", "sum", "sum_over", "mean_over"})
BESIDE = frozenset({"masked", "where", "stop"})
"""Ops beside the elementwise ones whose result lies as their arguments do."""
DEEP = 24
"""Operations of a mask that are looked at."""


def orders(plan: Plan, known: Mapping[Node, Order]) -> dict[Node, Order]:
    """The order of the axes of every node that holds scores; `known`: what has one."""
    functions = [plan.functions[name] for name in ("forward", "backward")]
    seeds = [n.args[0] for f in functions for n in f.computed if _normalises(n)]
    if not seeds:
        return {}
    results = [n for f in functions for _, n in f.results]
    nodes = topological(results)
    readers, found = users(nodes), dict[Node, Order]()
    apart = {*results, *known}
    for seed in seeds:
        if seed not in found:
            scores = _beside(seed, readers)
            if scores is not None and apart.isdisjoint(scores):
                found.update(dict.fromkeys(scores, _order(len(seed.shape))))
    return found


def _order(rank: int) -> Order:
    """(0, 3, 1, 2) of four axes, (0, 2, 1) of three."""
    batch = range(rank - 2)
    return (*batch[:-1], rank - 1, *batch[-1:], rank - 2) if rank > 3 else (0, 2, 1)


def _normalises(n: Node) -> bool:
    """Is it a maximum along the last axis of a batch of matrices?"""
    if not n.is_a("max", "max_over") or n.kind != "real":
        return False
    shape = n.args[0].shape
    if len(shape) < 3 or tuple(n.attrs["axes"]) != (len(shape) - 1,):
        return False
    rows = shape[-2].integer
    return rows is None or rows >= FEWEST


def _beside(
    seed: Node, readers: Mapping[Node, Sequence[Node]]
) -> dict[Node, None] | None:
    """All that has to lie as the seed does; None where something cannot."""
    found: dict[Node, None] = {seed: None}
    queue = [seed]
    while queue:
        n = queue.pop()
        beside: list[Node] = []
        if not _is_product(n):
            if n.op.family != "elementwise" and n.op.name not in BESIDE:
                return None
            for a in n.args:
                if _smaller(a) or (a.kind == "bool" and _of_sizes(a)):
                    continue
                if a.kind != "real" or a.shape != n.shape:
                    return None
                beside.append(a)
        for m in readers.get(n, ()):
            if m.is_a("einsum2"):
                continue
            if m.op.name in REDUCTIONS:
                if tuple(m.attrs["axes"]) != (len(n.shape) - 1,):
                    return None
                continue
            if m.kind != "real" or m.shape != n.shape:
                return None
            beside.append(m)
        for m in beside:
            if m not in found:
                found[m] = None
                queue.append(m)
    return found


def _is_product(n: Node) -> bool:
    """Is it a batch of matrices, each a product of two?"""
    if not n.is_a("einsum2"):
        return False
    sa, sb, so = letters(n.attrs["spec"])
    inner = [c for c in sa if c in sb and c not in so]
    batch, row, column = so[:-2], so[-2], so[-1]
    apart = (row in sa) != (row in sb) and (column in sa) != (column in sb)
    if not inner or not apart or (row in sa) == (column in sa):
        return False
    return all(c in sa and c in sb for c in batch)


def _smaller(n: Node) -> bool:
    """Is it one number for each row or column?"""
    if not n.is_a("broadcast"):
        return n.is_a("zero")
    spread = n.args[0].shape
    return len(spread) < 2 or ONE in spread[-2:]


def _of_sizes(n: Node) -> bool:
    """Is it a mask of places and numbers alone, which may be had turned?"""
    stack, seen = [n], 0
    while stack and seen <= DEEP:
        m = stack.pop()
        seen += 1
        if not m.args and not m.is_a("const", "size", "iota", "zero"):
            return False
        stack += m.args
    return not stack
