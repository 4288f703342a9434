"""Late expansion: softmax and logsumexp as what NumPy computes.

    m = max(x);  shifted = x - m;  e = exp(shifted);  total = sum(e)
    logsumexp = log(total) + m;    softmax = e / total

It runs after everything else has seen the two functions whole, and it is interning that
makes forward and backward of a cross-entropy share m, e and total: one exp for both.

A row of -inf, or an empty one, has no finite maximum and no positive total. Both guards
(m -> 0, total -> 1) are written only where a -inf can come in: from a -inf or a logarithm
of the program, an operand that is an input itself, or an axis that may be empty.
"""

from __future__ import annotations

import math

from ..ir.dims import Shape
from ..ir.node import Node
from .patterns import Rewriter, Rule, rule

NEGATIVE_INFINITY = -math.inf

PASSING = ("add", "sub", "neg", "mul", "div", "where", "maximum", "minimum", "sum")
PASSING_LAYOUT = (
    "broadcast",
    "reshape",
    "transpose",
    "slice",
    "concat",
    "stop",
    "cast",
)
PASSING_INDEX = ("take", "pick", "unslice", "put", "scatter_add")


@rule("logsumexp", "softmax", safety="~")
def expand(rw: Rewriter, n: Node) -> Node:
    """`softmax(x)` -> `e / total`, `logsumexp(x)` -> `log(total) + m`."""
    x, axes = n.args[0], n.attrs["axes"]
    graph = rw.graph
    empty = may_be_empty(x.shape, axes)
    guarded = empty or admits_minus_infinity(x)
    m = rw.make("max", x, axes=axes)
    if empty:
        m = rw.make("max_over", x, axes=axes, keep=True)
    graph.hint(m, "m")
    if guarded:
        zero = graph.broadcast(rw.const(0), m.shape)
        m = graph.hint(rw.make("where", rw.make("finite", m), m, zero), "m")
    shifted = rw.make("sub", x, graph.broadcast(m, x.shape))
    e = graph.hint(rw.make("exp", graph.hint(shifted, "shifted")), "e")
    # not the op `sum`: the constructors would make a softmax of the quotient again
    total = graph.hint(rw.make("sum_over", e, axes=axes, keep=True), "total")
    if n.is_a("logsumexp"):
        return rw.make("add", rw.make("log", total), m)
    if guarded:
        none = rw.make("eq", total, graph.broadcast(rw.const(0), total.shape))
        one = graph.broadcast(rw.const(1), total.shape)
        total = rw.make("where", none, one, total)
    return graph.hint(rw.make("div", e, graph.broadcast(total, e.shape)), "p")


def may_be_empty(shape: Shape, axes: tuple[int, ...]) -> bool:
    """Can there be no element to take the maximum of? Sizes of the data are positive."""
    for axis in axes:
        value = shape[axis].value
        least = sum(c for _, c in value.terms)  # the size where every symbol is 1
        if least <= 0:
            return True
    return False


def admits_minus_infinity(x: Node) -> bool:
    """Can a -inf reach this operand other than by overflow?"""
    seen: set[Node] = set()
    stack = [(x, True)]  # a node, and whether nothing but layout lies between
    while stack:
        n, direct = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if n.is_a("const"):
            if n.attrs["value"] in (math.inf, NEGATIVE_INFINITY):
                return True
        elif n.is_a("log"):
            if not n.args[0].is_a("size"):
                return True
        elif n.is_a("input"):
            if direct:
                return True
        elif n.is_a(*PASSING, *PASSING_LAYOUT, *PASSING_INDEX):
            still = direct and n.is_a(*PASSING_LAYOUT, "where")
            stack += [(a, still) for a in n.args if a.kind == "real"]
    return False


RULES: tuple[Rule, ...] = (expand,)
