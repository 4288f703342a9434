"""Choices between multiples of one value, without choosing: a leaky relu and its derivative.

NumPy's `where` and `copyto(where=…)` take forty times as long as a product, since a processor
cannot foresee the choice. A multiple of what is positive, and another of what is not, is a
maximum; a choice between two multiples of a value is the value times a chosen number:

    where(x > 0, x, 0.01 x)     ->    max(x, 0.01 x)
    where(c, d, 0.01 d)         ->    d * (0.01 + 0.99 c)      c as 0 or 1

Only where memory is planned, for it is not how one writes it.
"""

from __future__ import annotations

import math

from ..ir.node import Node
from .patterns import Rewriter, Rule, is_number, number, rule, scalar_under


@rule("where", safety="=")
def maximum_of_multiples(rw: Rewriter, n: Node) -> Node | None:
    """`where(x > 0, x, s x)` -> `max(x, s x)`, for 0 < s <= 1."""
    c, a, b = n.args
    if n.kind != "real" or not n.shape or not c.is_a("lt", "le"):
        return None
    low, high = c.args
    if is_number(rw, high, 0) or high.is_a("zero"):
        x, a, b = low, b, a
    elif is_number(rw, low, 0) or low.is_a("zero"):
        x = high
    else:
        return None
    core, factor = multiple(rw, b)
    if a is not x or core is not x or not 0 < factor <= 1:
        return None
    return rw.make("maximum", x, b)


@rule("where", safety="~")
def chosen_factor(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, k d, m d)` -> `d * (m + (k - m) * c)`, for numbers k and m but 0."""
    c, a, b = n.args
    if n.kind != "real" or not n.shape or c.shape != n.shape:
        return None
    (d, k), (other, m) = multiple(rw, a), multiple(rw, b)
    if d is not other or k == m or d.is_a("broadcast"):
        return None
    chosen = rw.make("cast", c, kind="real")
    spread = [rw.graph.broadcast(rw.const(v), n.shape) for v in (k - m, m)]
    factor = rw.make("add", rw.make("mul", chosen, spread[0]), spread[1])
    return rw.make("mul", d, factor)


def multiple(rw: Rewriter, n: Node) -> tuple[Node, float]:
    """(x, s) of `s * x` or `x / (1 / s)`, for a number s that is finite and not 0; else
    (n, 1)."""
    if n.is_a("mul", "div") and rw.free(n):
        pairs = [n.args] if n.is_a("div") else [n.args, n.args[::-1]]
        for x, spread in pairs:
            s = scalar_under(rw, spread)
            value = None if s is None else number(s)
            if value and math.isfinite(value) and math.isfinite(1 / value):
                return x, 1 / value if n.is_a("div") else value
    return n, 1


RULES: tuple[Rule, ...] = (maximum_of_multiples, chosen_factor)
