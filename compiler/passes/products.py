"""Products: signs out, scalars to the smallest tensor, numbers in front.

The rules that bring scalar factors into the normal form of `monomials.py`: so
`2 * (target - a) * (d_loss / (2 * N))`, with its sign, is `(a - target) * (d_loss / N)`
however the chain rule came by it.
"""

from __future__ import annotations

from ..ir.node import Node
from .monomials import (
    FACTORED,
    FACTORS,
    Monomial,
    coefficient,
    inverse,
    is_product,
    merged,
    number_in,
    opens,
    scaled,
    split,
)
from .patterns import (
    SIGNED,
    Rewriter,
    Rule,
    negated,
    number,
    rule,
    scalar_under,
)


@rule("mul", "div", safety="~")
def scalar_product(rw: Rewriter, n: Node) -> Node | None:
    """`2 * (x * 3) / (4 * N)` -> `3 * x / (2 * N)`, for a scalar."""
    if n.shape != () or n.kind != "real" or _two_factors(rw, n):
        return None
    a, b = n.args
    if a is b and n.is_a("mul") and not (opens(a) and rw.free(a) and number_in(a)):
        return None
    if n.is_a("div") and not rw.static(b):
        x = negated(rw, b)
        if x is not None:
            return rw.make("neg", rw.make("div", a, x))
        x = negated(rw, a)
        if x is not None:
            return rw.make("neg", rw.make("div", x, b))
        if number(a) is not None and coefficient(rw, b) is None:
            return None
        quotient = Monomial().quotient(rw, n)
        return None if quotient is None else quotient.reduced().node(rw)
    product = Monomial().times(rw, a).times(rw, b, inverse=n.is_a("div"))
    product.reduced()
    out = product.node(rw)
    if product.negative:
        return rw.make("neg", out)
    return None if out is n else out


def _two_factors(rw: Rewriter, n: Node) -> bool:
    """Is it `x * b`, `2 * b` or `2 * x * b` of values that are nothing else: normal?"""
    if n.op.name != "mul":
        return False
    a, b = n.args
    if a is b or not _plain(rw, b):
        return False
    if a.op.name == "mul" and a not in rw.bound:  # 2 * x * b
        a, x = a.args
        return _whole_number(a) and x is not b and _plain(rw, x)
    return _plain(rw, a) or _whole_number(a)


def _plain(rw: Rewriter, n: Node) -> bool:
    """Is it one factor, whatever it is made of?"""
    return n.op.name not in SPECIAL or (n in rw.bound and n.op.name in COMPOUND)


def _whole_number(n: Node) -> bool:
    value = number(n)
    return isinstance(value, int) and value > 1


SPECIAL = FACTORED | {"size", "seed", "exp"}
"""The ops that a normal form of scalars knows of."""

COMPOUND = FACTORED - {"const"}
"""Of these, the ones that are one factor where they have a name."""


@rule("mul", "div", safety="~")
def scalar_factor(rw: Rewriter, n: Node) -> Node | None:
    """`(x * s) * t` -> `x * (s * t)`, `(x * s) * y` -> `(x * y) * s`."""
    if n.shape == () or n.kind != "real":
        return None
    a, b = n.args
    if a is b:
        return None
    if n.is_a("mul"):
        s = scalar_under(rw, a)
        if s is not None and scalar_under(rw, b) is None:
            if rw.static(s) or split(rw, b) is not None or _smaller(rw, b) is not None:
                return rw.make("mul", b, a)
            return None
    left = split(rw, a)
    if n.is_a("div"):
        s = scalar_under(rw, b)
        if s is not None:
            core, product = left or (a, Monomial())
            out = scaled(rw, core, product.times(rw, s, inverse=True))
            return None if out is n else out
        if scalar_under(rw, a) is not None:
            return None
        below = split(rw, b)
        if left is None and below is None:
            return None
        core, product = left or (a, Monomial())
        if below is not None:
            product, b = merged(product, inverse(below[1])), below[0]
        return scaled(rw, rw.make("div", core, b), product)
    s = scalar_under(rw, b)
    if s is not None:
        core, product = left or (a, Monomial())
        product.times(rw, s)
        small = _smaller(rw, core)
        if small is not None:
            return rw.broadcast(scaled(rw, small, product), n.shape)
        met = _met_inside(rw, core, product)
        if met is not None:
            return met
        out = scaled(rw, core, product)
        return None if out is n else out
    right = split(rw, b)
    if left is None and right is None:
        return None
    core, product = left or (a, Monomial())
    if right is not None:
        other, factor = right
        core = rw.make("mul", core, other)
        product = merged(product, factor)
    else:
        core = rw.make("mul", core, b)
    return scaled(rw, core, product)


def _smaller(rw: Rewriter, core: Node) -> Node | None:
    """The tensor under a broadcast: a scalar factor belongs there."""
    if core.is_a("broadcast") and rw.unbound(core) and core.args[0].shape != ():
        return core.args[0]
    return None


def _met_inside(rw: Rewriter, core: Node, s: Monomial) -> Node | None:
    """`(t * x) * s` -> `(t * s) * x`, where the smaller tensor t has a scalar factor too."""
    if not (opens(core) and rw.free(core)):
        return None
    for t, x in (core.args, core.args[::-1]):
        small = _smaller(rw, t)
        parts = None if small is None else split(rw, small)
        if parts is not None:
            inner = scaled(rw, parts[0], merged(parts[1], s))
            return rw.make("mul", x, rw.broadcast(inner, core.shape))
    return None


@rule("mul", safety="~")
def left_to_right(rw: Rewriter, n: Node) -> Node | None:
    """`d * (a * b)` -> `d * a * b`: what one writes, and the same number of products."""
    a, b = n.args
    if n.shape == () or not (opens(b) and rw.free(b)) or a.is_a("broadcast"):
        return None
    return rw.make("mul", rw.make("mul", a, b.args[0]), b.args[1])


@rule("mul", safety="~")
def by_reciprocal(rw: Rewriter, n: Node) -> Node | None:
    """`b * (s / y)` -> `(b / y) * s`, for a number or another scalar s."""
    a, b = n.args
    if a.op.name != "div" and b.op.name != "div":
        return None
    for x, r in ((a, b), (b, a)):
        if not (r.op.name == "div" and rw.unbound(r)) or rw.static(r):
            continue
        if n.shape == ():
            if number(r.args[0]) == 1:
                return rw.make("div", x, r.args[1])
            continue
        if not rw.free(r):
            continue
        s = scalar_under(rw, r.args[0])
        if s is not None and scalar_under(rw, x) is None:
            return scaled(rw, rw.make("div", x, r.args[1]), Monomial().times(rw, s))
    return None


@rule("mul", "div", safety="=")
def sign_of_product(rw: Rewriter, n: Node) -> Node | None:
    """`(-a) * b` -> `-(a * b)`: signs go out, where they meet and cancel."""
    a, b = n.args
    if a.op.name not in SIGNED and b.op.name not in SIGNED:
        return None
    if a is b and n.is_a("mul"):
        x = negated(rw, a)
        return None if x is None else rw.make("mul", x, x)
    x = negated(rw, a)
    if x is not None:
        return rw.make("neg", rw.make(n.op.name, x, b))
    x = negated(rw, b)
    if x is not None:
        return rw.make("neg", rw.make(n.op.name, a, x))
    return None


@rule("neg", safety="=")
def sign_of_sign(rw: Rewriter, n: Node) -> Node | None:
    """`-(-x)` -> `x`."""
    return negated(rw, n.args[0])


@rule("neg", safety="=")
def sign_of_difference(rw: Rewriter, n: Node) -> Node | None:
    """`-(a - b)` -> `b - a`."""
    return swapped(rw, n.args[0])


@rule("neg", safety="=")
def sign_into_factor(rw: Rewriter, n: Node) -> Node | None:
    """`-((a - b) * s)` -> `(b - a) * s`: no operation left to pay for the sign."""
    x = n.args[0]
    if not (is_product(x) and rw.free(x)):
        return None
    spine = [x]  # products from the outermost inwards, along the first argument
    while len(spine) < FACTORS:
        a = spine[-1].args[0]
        turned = swapped(rw, a)
        if turned is not None:
            return _respined(rw, spine, turned)
        if not (is_product(a) and rw.free(a)):
            break
        spine.append(a)
    for depth, product in enumerate(spine):
        turned = swapped(rw, product.args[1])
        if turned is not None:
            inner = rw.make(product.op.name, product.args[0], turned)
            return _respined(rw, spine[:depth], inner)
    return None


def _respined(rw: Rewriter, spine: list[Node], inner: Node) -> Node:
    for product in reversed(spine):
        inner = rw.make(product.op.name, inner, product.args[1])
    return inner


def swapped(rw: Rewriter, n: Node) -> Node | None:
    """`b - a` for `a - b`.

    Also where `a - b` is read elsewhere, if both are values that have to be kept anyway:
    then the difference is taken twice, the sign never, and nothing more is saved.
    """
    if not n.is_a("sub") or n in rw.bound:
        return None
    a, b = n.args
    if n in rw.shared and not (_kept(rw, a) and _kept(rw, b)):
        return None
    return rw.make("sub", b, a)


def _kept(rw: Rewriter, n: Node) -> bool:
    while n.op.view and n.args and rw.unbound(n):
        n = n.args[0]
    return n.op.family == "leaf" or n in rw.bound or n.is_a("one_hot", "eq", "lt")


RULES: tuple[Rule, ...] = (
    sign_of_sign,
    sign_of_difference,
    sign_into_factor,
    sign_of_product,
    scalar_product,
    scalar_factor,
    left_to_right,
    by_reciprocal,
)
