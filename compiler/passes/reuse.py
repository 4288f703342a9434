"""Products that are at hand: the derivative of a gate reads what the gate made.

    h = t * s,  d * t * s * (1 - s)    ->    d * h * (1 - s)

Two factors of a product whose own product is a value of the program are that value: a pass
less over memory, where the value is there for the next layer's weights anyway. Only where
memory is planned: elsewhere the chain rule is easier to read by its factors.
"""

from __future__ import annotations

from ..ir.node import Node
from .patterns import Rewriter, Rule, rule

FACTORS = 6
"""Factors of a product that are looked at."""


@rule("mul", safety="~")
def product_at_hand(rw: Rewriter, n: Node) -> Node | None:
    """`d * t * s` -> `d * h`, for a value h = t * s that has an adjoint."""
    a, b = n.args
    if n.kind != "real" or not n.shape or b not in rw.primals or n in rw.primals:
        return None
    spine: list[Node] = (
        []
    )  # products from the outermost inwards, along the first argument
    while a.is_a("mul") and rw.free(a) and len(spine) < FACTORS:
        spine.append(a)
        whole = _at_hand(rw, a.args[1], b)
        if whole is not None:
            out = rw.make("mul", a.args[0], whole)
            for product in reversed(spine[:-1]):
                out = rw.make("mul", out, product.args[1])
            return out
        a = a.args[0]
    return None


def _at_hand(rw: Rewriter, x: Node, y: Node) -> Node | None:
    """The value of the program that is x * y."""
    if x is y or x not in rw.primals or x.is_a("broadcast") or y.is_a("broadcast"):
        return None
    for pair in ((x, y), (y, x)):
        made = rw.graph.apply("mul", *pair)
        if made in rw.primals:
            return made
    return None


RULES: tuple[Rule, ...] = (product_at_hand,)
