"""Bounds: what is proved of a value, whatever the data are.

Interval arithmetic with one end. Each node has two facts, made of those of its arguments: a
*lower* bound, and whether it is *finite*. Leaves are finite and have no bound. Overflow is
left out of account, but for what grows as fast as exp does. A lower bound says besides that
the value is not NaN.

    x * x + 1e-5      at least 1e-5, finite
    exp(x)            at least 0, perhaps infinite
    exp(-(x * x))     at least 0, finite
    sqrt(x)           nothing: NaN where x is below 0

A product of matrices counts as finite: else all that it stands in is lost anyway.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..ir.node import Node

NOTHING = -math.inf
ENOUGH = 1e30  # a larger bound says no more
TINY = 2.0**-126  # the smallest normal number in single precision

FIXED = frozenset({"const", "size", "zero", "iota"})
"""Leaves that no data decide: a number, a size, the structural zero, a row of places."""
CLOSED = FIXED | frozenset("""
    input param state noise seed
    add sub mul neg maximum minimum abs sign floor tanh sigmoid sigmoid_of_minus softplus
    softplus_of_minus erf normal_cdf sin cos sum sum_over mean_over max
    reshape transpose broadcast slice unslice concat cast windows fold where stop masked
    """.split())
"""What is finite where its arguments are."""
PRODUCTS = frozenset({"einsum2", "conv_transpose"})
SAME = frozenset("broadcast reshape transpose slice max mean_over stop drawn".split())
"""What is never below the least of its argument."""
LEAST = {
    "exp": 0.0,
    "abs": 0.0,
    "softplus": 0.0,
    "softplus_of_minus": 0.0,
    "sigmoid": 0.0,
    "sigmoid_of_minus": 0.0,
    "normal_cdf": 0.0,
    "cosh": 1.0,
    "tanh": -1.0,
    "erf": -1.0,
    "expm1": -1.0,
}
"""The least value of a function, whatever number it is given."""


class Bound(NamedTuple):
    """The two facts of one value."""

    lower: float
    finite: bool

    @property
    def number(self) -> bool:
        """Is it proved not to be NaN?"""
        return self.finite or self.lower > NOTHING


def finite(node: Node) -> bool:
    """Is it finite wherever the leaves are?"""
    return bound(node).finite


def positive(node: Node) -> bool:
    """Is it at least some positive number?"""
    return bound(node).lower >= TINY


def never_zero(node: Node) -> bool:
    """Is it proved to be no zero? NaN and infinity may be."""
    if node.op.name == "const":
        return bool(node.attrs["value"] != 0)
    return bound(node).lower > 0


def bound(node: Node) -> Bound:
    """What is known of a value. Every node of a graph is looked at once."""
    known = node.graph.bounds
    stack = [node]
    while stack:
        n = stack[-1]
        missing = [a for a in n.args if a not in known]
        if missing:
            stack += missing
            continue
        stack.pop()
        if n not in known:
            args = [known[a] for a in n.args]
            known[n] = Bound(min(_lower(n, args), ENOUGH), _is_finite(n, args))
    made: Bound = known[node]
    return made


def _is_finite(n: Node, args: list[Bound]) -> bool:
    match n.op.name:
        case "const":
            return bool(abs(n.attrs["value"]) < math.inf)
        case "div":
            kept = args[1].lower >= TINY
        case "sqrt":
            kept = args[0].lower >= 0
        case "exp":
            return _at_most_zero(n.args[0])
        case "pow":
            exponent = n.attrs["exponent"]
            whole = isinstance(exponent, int) and exponent >= 0
            kept = whole or args[0].lower >= TINY
        case name if name in PRODUCTS:
            return True
        case name:
            kept = name in CLOSED
    if not kept:
        return False
    return all(a.finite or n.args[i].kind != "real" for i, a in enumerate(args))


def _at_most_zero(n: Node) -> bool:
    """Is it minus what is at least 0, times or over positive numbers?"""
    known = n.graph.bounds
    while (
        n.is_a("mul", "div") and known[n.args[1]].lower > 0 and known[n.args[1]].finite
    ):
        n = n.args[0]
    return n.is_a("neg") and known[n.args[0]].lower >= 0


def _lower(n: Node, args: list[Bound]) -> float:
    name = n.op.name
    if name in LEAST:
        return LEAST[name] if args[0].number else NOTHING
    if name in SAME:
        return args[0].lower
    match name:
        case "const":
            value = n.attrs["value"]
            return float(min(value, ENOUGH)) if value > -math.inf else NOTHING
        case "size":
            return 1.0
        case "zero" | "iota":
            return 0.0
        case "add":
            return args[0].lower + args[1].lower
        case "mul":
            return _product(n, *args)
        case "div":
            a, b = args
            return 0.0 if a.finite and a.lower >= 0 and b.lower > 0 else NOTHING
        case "pow":
            return _power(args[0], n.attrs["exponent"])
        case "sqrt":
            return math.sqrt(args[0].lower) if args[0].lower >= 0 else NOTHING
        case "maximum":
            whole = all(a.number for a in args)
            return max(a.lower for a in args) if whole else NOTHING
        case "minimum" | "concat":
            return min(a.lower for a in args)
        case "where":
            return min(a.lower for a in args[1:])
        case "sum" | "sum_over":  # of no terms, perhaps
            return 0.0 if args[0].lower >= 0 else NOTHING
    return NOTHING


def _product(n: Node, a: Bound, b: Bound) -> float:
    """At least 0, or what the bounds make: 0 too, where that underflows."""
    if n.args[0] is n.args[1]:
        return max(a.lower, 0.0) ** 2 if a.number else NOTHING
    if a.lower < 0 or b.lower < 0:
        return NOTHING
    # infinity times 0 is not a number
    safe = (a.finite or b.lower > 0) and (b.finite or a.lower > 0)
    return a.lower * b.lower if safe else NOTHING


def _power(x: Bound, exponent: float) -> float:
    if x.lower > 0:
        return float(min(x.lower, 1.0) ** exponent) if exponent > 0 else 0.0
    even = exponent % 2 == 0
    return 0.0 if x.lower == 0 or (even and x.number) else NOTHING


NUMBERS = 32  # how many nodes a constant may be made of, to be recognised


def is_constant(node: Node) -> bool:
    """Is it made of numbers and sizes alone?"""
    stack, seen = [node], 0
    while stack:
        n = stack.pop()
        seen += 1
        if seen > NUMBERS or (n.op.family == "leaf" and n.op.name not in FIXED):
            return False
        stack.extend(n.args)
    return True
