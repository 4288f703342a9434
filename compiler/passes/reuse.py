"""Products that are at hand: the derivative of a gate reads what the gate made.

    h = t * s,  d * t * s * (1 - s)    ->    d * h * (1 - s)
    h = t * s,  d * s * (1 - t^2)      ->    d * (s - h * t)
    h = x / r,  x * (m / r)            ->    h * m

Two factors of a product whose own product is a value of the program are that value: a pass
less over memory, where the value is there for the next layer's weights anyway. So with what
a norm has divided: then nothing reads what it was before. Only where memory is planned:
elsewhere the chain rule is easier to read by its factors.
"""

from __future__ import annotations

from ..ir.node import Node
from .patterns import Rewriter, Rule, is_number, rule

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


@rule("mul", safety="~")
def gate_of_tanh(rw: Rewriter, n: Node) -> Node | None:
    """`d * s * (1 - t^2)` -> `d * (s - h * t)`, for a value h = t * s that has an adjoint."""
    a, b = n.args
    if n.kind != "real" or not n.shape or n in rw.primals:
        return None
    t = _under_one_and_square(rw, b)
    spine: list[Node] = []
    while t is not None and a.is_a("mul") and rw.free(a) and len(spine) < FACTORS:
        spine.append(a)
        s = a.args[1]
        h = _at_hand(rw, s, t)
        if h is not None:
            local = rw.make("sub", s, rw.make("mul", h, t))
            out = a.args[0]
            for product in reversed(spine[:-1]):
                out = rw.make("mul", out, product.args[1])
            return rw.make("mul", out, local)
        a = a.args[0]
    return None


def _under_one_and_square(rw: Rewriter, n: Node) -> Node | None:
    """`t`, where `n` is 1 - t^2."""
    if not (n.is_a("sub") and rw.free(n) and is_number(rw, n.args[0], 1)):
        return None
    square = n.args[1]
    if not rw.free(square):
        return None
    if square.is_a("pow"):
        return square.args[0] if square.attrs["exponent"] == 2 else None
    if square.is_a("mul") and square.args[0] is square.args[1]:
        return square.args[0]
    return None


@rule("mul", safety="~")
def quotient_at_hand(rw: Rewriter, n: Node) -> Node | None:
    """`x * (m / r)` -> `h * m`, for a value h = x / r that has an adjoint; m and r are
    smaller than x."""
    if n.kind != "real" or n in rw.primals:
        return None
    for x, spread in (n.args, n.args[::-1]):
        if x not in rw.primals or not spread.is_a("broadcast"):
            continue
        ratio = spread.args[0]
        if not (ratio.is_a("div") and ratio.shape and rw.free(ratio)):
            continue
        m, r = ratio.args
        h = rw.graph.apply("div", x, rw.graph.broadcast(r, x.shape))
        if h in rw.primals:
            return rw.make("mul", h, rw.broadcast(m, h.shape))
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


RULES: tuple[Rule, ...] = (product_at_hand, gate_of_tanh, quotient_at_hand)
