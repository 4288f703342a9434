"""A sigmoid that is written as a tanh, and a tanh that is computed for a sigmoid.

    (1 + tanh(u)) / 2    ->    sigmoid(2 u)                      before derivatives are taken
    sigmoid(s x)         ->    sigmoid_of_twice((s / 2) x)       where memory is planned

The two are one function. As a sigmoid its derivative is y (1 - y), made of what is there, and
one that multiplies it reads the product (`reuse.py`): a gelu by tanh, z (1 + tanh(u)) / 2, is
a gate. Where memory is planned a sigmoid is a tanh again (`fast/accuracy.py`), of half its
argument: a number that multiplies the argument takes that half in, and a pass is saved.
"""

from __future__ import annotations

from ..ir.node import Node
from . import affine
from .monomials import split
from .patterns import Rewriter, Rule, is_number, number, rule, scalar_under

FACTORS = 8
"""Factors of a product that are looked at."""


@rule("mul", "div", safety="~")
def logistic_of_tanh(rw: Rewriter, n: Node) -> Node | None:
    """`z * (1 + tanh(u)) / 2` -> `z * sigmoid(2 u)`."""
    if n.kind != "real" or not n.shape:
        return None
    factors, scale = _factors(rw, n)
    if scale != 0.5:
        return None
    for i, f in enumerate(factors):
        u = _one_and_tanh(rw, f)
        if u is not None:
            factors[i] = _sigmoid_of_two(rw, u)
            out = factors[0]
            for other in factors[1:]:
                out = rw.graph.apply("mul", out, other)
            return out
    return None


@rule("add", safety="~")
def logistic_of_half_tanh(rw: Rewriter, n: Node) -> Node | None:
    """`tanh(u) / 2 + 1 / 2` -> `sigmoid(2 u)`."""
    if n.kind != "real" or not n.shape:
        return None
    for half, term in (n.args, n.args[::-1]):
        s = scalar_under(rw, half)
        if s is None or _value(rw, s) != 0.5 or not rw.free(term):
            continue
        factors, scale = _factors(rw, term)
        t = factors[0]
        if scale == 0.5 and len(factors) == 1 and t.is_a("tanh") and rw.free(t):
            return _sigmoid_of_two(rw, t.args[0])
    return None


def _factors(rw: Rewriter, n: Node) -> tuple[list[Node], float]:
    """The factors of a product in order, and the number that multiplies them."""
    scale, stack = 1.0, [n]
    found: list[Node] = []
    while stack:
        m = stack.pop()
        s = scalar_under(rw, m)
        value = None if s is None else _value(rw, s)
        opens = len(found) + len(stack) < FACTORS and (m is n or rw.free(m))
        if value:
            scale *= value
        elif opens and m.is_a("mul") and m.args[0] is not m.args[1]:
            stack += m.args[::-1]
        elif opens and m.is_a("div") and (below := _number_under(rw, m.args[1])):
            scale /= below
            stack.append(m.args[0])
        else:
            found.append(m)
    return found, scale


def _number_under(rw: Rewriter, n: Node) -> float | None:
    s = scalar_under(rw, n)
    return None if s is None else _value(rw, s)


def _value(rw: Rewriter, s: Node) -> float | None:
    """The number that a scalar is: `2`, or `1 / 2` as it was written."""
    if s.is_a("div") and rw.unbound(s):
        above, below = number(s.args[0]), number(s.args[1])
        return above / below if above is not None and below else None
    return number(s)


def _one_and_tanh(rw: Rewriter, n: Node) -> Node | None:
    """`u`, where `n` is 1 + tanh(u)."""
    if not (n.is_a("add") and rw.free(n)):
        return None
    for one, t in (n.args, n.args[::-1]):
        if is_number(rw, one, 1) and t.is_a("tanh") and rw.free(t):
            return t.args[0]
    return None


def _sigmoid_of_two(rw: Rewriter, u: Node) -> Node:
    two = rw.graph.broadcast(rw.const(2), u.shape)
    return rw.graph.apply("sigmoid", rw.graph.apply("mul", u, two))


# ------------------------------------------------------------------ where memory is planned
@rule("sigmoid", "sigmoid_of_minus", safety="~")
def half_into_multiple(rw: Rewriter, n: Node) -> Node | None:
    """`sigmoid(s * x)` -> `sigmoid_of_twice(s / 2 * x)`, for a number s."""
    if n.kind != "real" or not n.shape:
        return None
    half = rw.const(-0.5 if n.is_a("sigmoid_of_minus") else 0.5)
    x = n.args[0]
    parts = split(rw, x)
    if parts is None:
        whole = affine.scaled(rw, x, half)
        return None if whole is None else rw.graph.apply("sigmoid_of_twice", whole)
    x, s = parts
    if not all(affine.made_of_numbers(f) for f in (*s.up, *s.down)):
        return None
    half = affine.number_times(rw, s.node(rw), half)
    if s.negative:
        half = affine.number_times(rw, half, rw.const(-1))
    if number(half) != 1:
        x = rw.make("mul", x, rw.graph.broadcast(half, x.shape))
    return rw.graph.apply("sigmoid_of_twice", x)


BEFORE: tuple[Rule, ...] = (logistic_of_tanh, logistic_of_half_tanh)
PLANNED: tuple[Rule, ...] = (half_into_multiple,)
