"""Sums and differences: signs, equal terms, common factors, pieces of one tensor.

`s * A - s * B` is `(A - B) * s`: so softmax and one-hot of a cross-entropy meet under one
scalar. A common factor goes out only where that saves an operation: where both products
are read here alone.
"""

from __future__ import annotations

import math

from ..ir.dims import Dim
from ..ir.node import Node
from .monomials import FACTORS, Monomial, scaled, split
from .patterns import (
    Rewriter,
    Rule,
    negated,
    number,
    rule,
    scalar_under,
)


@rule("add", safety="=")
def plus_minus(rw: Rewriter, n: Node) -> Node | None:
    """`a + (-b)` -> `a - b`, `(-a) + b` -> `b - a`."""
    a, b = n.args
    x = negated(rw, b)
    if x is not None:
        return rw.make("sub", a, x)
    x = negated(rw, a)
    return None if x is None else rw.make("sub", b, x)


@rule("sub", safety="=")
def minus_minus(rw: Rewriter, n: Node) -> Node | None:
    """`a - (-b)` -> `a + b`, `(-a) - b` -> `-(a + b)`."""
    a, b = n.args
    x = negated(rw, b)
    if x is not None:
        return rw.make("add", a, x)
    if a.is_a("const", "broadcast") or a in rw.repeated:
        return None  # nothing would be gained: -a is computed for another value
    x = negated(rw, a)
    return None if x is None else rw.make("neg", rw.make("add", x, b))


@rule("add", safety="=")
def twice(rw: Rewriter, n: Node) -> Node | None:
    """`x + x` -> `2 * x`."""
    a, b = n.args
    return rw.make("mul", a, 2) if a is b and n.kind == "real" else None


@rule("add", "sub", safety="~")
def twice_in_a_row(rw: Rewriter, n: Node) -> Node | None:
    """`(x - p) - p` -> `x - 2 * p`, `(p - x) + p` -> `2 * p - x`."""
    a, b = n.args
    if not (a.is_a("add", "sub") and rw.free(a)) or n.kind != "real":
        return None
    if a.op is n.op and a.args[1] is b:
        return rw.make(n.op.name, a.args[0], rw.make("mul", b, 2))
    if n.is_a("add") and a.args[0] is b:
        return rw.make(a.op.name, rw.make("mul", b, 2), a.args[1])
    return None


@rule("add", "sub", safety="~")
def constants_meet(rw: Rewriter, n: Node) -> Node | None:
    """`(x + 1) - 3` -> `x - 2`, numbers only."""
    a, b = n.args
    last = _number(rw, b)
    if last is None or n.kind != "real" or not (a.is_a("add", "sub") and rw.free(a)):
        return None
    first = _number(rw, a.args[1])
    if first is None:
        return None
    total = (first if a.is_a("add") else -first) + (last if n.is_a("add") else -last)
    return rw.make("add", a.args[0], total)


def _number(rw: Rewriter, n: Node) -> int | float | None:
    s = n if n.shape == () else scalar_under(rw, n)
    return None if s is None else number(s)


@rule("add", "sub", safety="~")
def common_scalar(rw: Rewriter, n: Node) -> Node | None:
    """`A * s - B * s` -> `(A - B) * s`; the one-hot of a `put` counts as such a product."""
    if n.shape == () or n.kind != "real":
        return None
    left, right = _parts(rw, n.args[0]), _parts(rw, n.args[1])
    if left is None or right is None:
        return None
    (x, s), (y, t) = left, right
    s.reduced()
    t.reduced()
    if _key(s) != _key(t) or not (s.up or s.down or s.over != 1 or s.under != 1):
        return None
    op = "sub" if (s.negative ^ t.negative) ^ n.is_a("sub") else "add"
    return scaled(rw, rw.make(op, x, y), s)


def _parts(rw: Rewriter, n: Node) -> tuple[Node, Monomial] | None:
    found = split(rw, n)
    if found is not None:
        return found
    s = scalar_under(rw, n)
    if s is not None:
        return rw.graph.broadcast(rw.const(1), n.shape), Monomial().times(rw, s)
    if n.is_a("put") and rw.free(n):
        index, g = n.args
        s = scalar_under(rw, g)
        if s is not None:
            size: Dim = n.attrs["size"]
            return rw.make("one_hot", index, size=size), Monomial().times(rw, s)
        found = split(rw, g)
        if found is not None:
            return rw.make("put", index, found[0], **n.attrs), found[1]
    return None


def _key(s: Monomial) -> tuple[object, ...]:
    return (s.over, s.under, tuple(s.up), tuple(s.down))


@rule("add", "sub", safety="~")
def common_factors(rw: Rewriter, n: Node) -> Node | None:
    """`4 * x * s * e - 2 * s * e` -> `2 * (2 * x - 1) * s * e`, for scalars."""
    if n.shape != () or n.kind != "real":
        return None
    p, q = (Monomial().times(rw, a) for a in n.args)
    rest = list(q.up)
    common: list[Node] = []
    for f in p.up:
        if f in rest:
            rest.remove(f)
            common.append(f)
    if not any(not rw.static(f) for f in common):
        return None
    over = 1
    if isinstance(p.over, int) and isinstance(q.over, int):
        over = math.gcd(p.over, q.over)
    for s in (p, q):
        s.over = s.over // over if isinstance(s.over, int) else s.over
        for f in common:
            s.up.remove(f)
    op = "sub" if (p.negative ^ q.negative) ^ n.is_a("sub") else "add"
    inner = rw.make(op, p.reduced().node(rw), q.reduced().node(rw))
    out = Monomial(p.negative, over, 1, common).times(rw, inner)
    made = out.reduced().node(rw)
    return rw.make("neg", made) if out.negative else made


@rule("add", "sub", safety="~")
def common_factor(rw: Rewriter, n: Node) -> Node | None:
    """`a * b + a * c` -> `a * (b + c)`, where both products are read here alone."""
    p, q = n.args
    if n.kind != "real" or n.shape == () or not (p.is_a("mul") and rw.free(p)):
        return None
    if q.is_a("mul") and rw.free(q) and p is not q:
        for i in (0, 1):
            for j in (0, 1):
                if p.args[i] is q.args[j] and not rw.static(p.args[i]):
                    other = rw.make(n.op.name, p.args[1 - i], q.args[1 - j])
                    if i == 0:
                        return rw.make("mul", p.args[0], other)
                    return rw.make("mul", other, p.args[1])
    return None


@rule("add", "sub", safety="~")
def one_and_factor(rw: Rewriter, n: Node) -> Node | None:
    """`d + d * a` -> `d * (1 + a)`, where d has a name: as many operations, one term."""
    p, q = n.args
    if n.kind != "real" or n.shape == () or p is q:
        return None
    for d, product in ((p, q), (q, p)):
        if not (product.is_a("mul", "div") and rw.free(product)) or rw.free(d):
            continue
        rest = _without(rw, product, d)
        if rest is None:
            continue
        one = rw.graph.broadcast(rw.const(1), n.shape)
        terms = (one, rest) if d is p else (rest, one)
        return rw.make("mul", d, rw.make(n.op.name, *terms))
    return None


def _without(rw: Rewriter, product: Node, d: Node) -> Node | None:
    """The rest of the product once its factor `d` is taken out."""
    a, b = product.args
    if product.is_a("mul"):
        if a is b:
            return None
        if a is d:
            return b
        if b is d:
            return a
    if a.is_a("mul") and rw.free(a) and a.args[0] is not a.args[1]:
        rest = _without(rw, a, d)
        return None if rest is None else rw.make(product.op.name, rest, b)
    return None


@rule("sub", safety="~")
def softmax_backward(rw: Rewriter, n: Node) -> Node | None:
    """`g * y - y * sum(g * y)` -> `y * (g - sum(g * y))`: as it is written by hand.

    The product `g * y` is read twice, so this saves nothing; it costs nothing either.
    """
    gy, rest = n.args
    if not (gy.is_a("mul") and gy not in rw.bound):
        return None
    if not (rest.is_a("mul") and rw.free(rest)):
        return None
    for y, total in (rest.args, rest.args[::-1]):
        if y not in gy.args or not (total.is_a("broadcast") and rw.unbound(total)):
            continue
        if total.args[0].is_a("sum") and total.args[0].args[0] is gy:
            g = gy.args[1] if gy.args[0] is y else gy.args[0]
            return rw.make("mul", y, rw.make("sub", g, total))
    return None


@rule("where", safety="=")
def where_same(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, x, x)` -> `x`; `where(not c, a, b)` -> `where(c, b, a)`."""
    c, a, b = n.args
    if a is b:
        return a
    if c.is_a("not") and rw.unbound(c):
        return rw.make("where", c.args[0], b, a)
    return None


@rule("where", safety="~")
def where_of_nothing(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, p * d, 0)` -> `p * d` for p = softmax(where(c, s, -inf)), 0 beyond c as it is.

    A d that is no number there is a row that has none: the sum of p * d is over all of it.
    """
    c, a, b = n.args
    for kept, zero, on in ((a, b, True), (b, a, False)):
        if not zero.is_a("zero"):
            continue
        for factor in _numerator(kept):
            if factor.is_a("softmax") and _shut_out(factor.args[0], c, on):
                return kept
    return None


def _numerator(n: Node) -> list[Node]:
    """The factors of a product, those of a denominator left out."""
    found: list[Node] = []
    stack = [n]
    while stack and len(found) < FACTORS:
        m = stack.pop()
        if m.is_a("mul"):
            stack += m.args
        elif m.is_a("div", "neg"):
            stack.append(m.args[0])
        else:
            found.append(m)
    return found


def _shut_out(x: Node, c: Node, on: bool) -> bool:
    """Is `x` -inf wherever c is not `on`?"""
    if not x.is_a("where") or x.args[0] is not c:
        return False
    core = x.args[2 if on else 1]
    while core.is_a("broadcast"):
        core = core.args[0]
    return number(core) == -math.inf


@rule("where", safety="~")
def where_of_scaled(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, a * s, b * s)` -> `where(c, a, b) * s`."""
    if n.shape == () or n.kind != "real":
        return None
    left, right = split(rw, n.args[1]), split(rw, n.args[2])
    if left is None or right is None:
        return None
    (x, s), (y, t) = left, right
    s.reduced()
    t.reduced()
    if _key(s) != _key(t) or s.negative != t.negative:
        return None
    return scaled(rw, rw.make("where", n.args[0], x, y), s)


@rule("add", "sub", safety="=")
def complementary_masks(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, a, 0) + where(not c and m, b, 0)` -> `where(c, a, where(m, b, 0))`."""
    p, q = n.args
    if not all(
        x.is_a("where") and x.args[2].is_a("zero") and rw.free(x) for x in n.args
    ):
        return None
    zero = p.args[2]
    for here, there in ((p, q), (q, p)):
        rest = _beside(here.args[0], there.args[0])
        if rest is None:
            continue
        a, b = here.args[1], there.args[1]
        if n.is_a("sub"):
            a, b = (a, rw.make("neg", b)) if here is p else (rw.make("neg", a), b)
        return rw.make("where", here.args[0], a, rw.make("where", rest, b, zero))
    return None


def _beside(c: Node, other: Node) -> Node | None:
    """m, where `other` is "not c, and m"."""
    if not other.is_a("and"):
        return None
    for x, m in (other.args, other.args[::-1]):
        if x.is_a("not") and x.args[0] is c:
            return m
    return None


@rule("lt", "le", safety="=")
def mask_of_minimum(rw: Rewriter, n: Node) -> Node | None:
    """`min(z, 0) < 0` -> `z < 0`, where z has a name anyway."""
    a, b = n.args
    if not (a.is_a("minimum") and n.is_a("lt") and b in a.args):
        return None
    z = a.args[0] if a.args[1] is b else a.args[1]
    return rw.make("lt", z, b) if not rw.free(z) else None


@rule("add", "sub", safety="=")
def where_meets_where(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, a, b) + where(c, d, e)` -> `where(c, a + d, b + e)`."""
    p, q = n.args
    if not (p.is_a("where") and q.is_a("where") and p.args[0] is q.args[0]):
        return None
    if not (rw.free(p) and rw.free(q)):
        return None
    c = p.args[0]
    return rw.make(
        "where",
        c,
        rw.make(n.op.name, p.args[1], q.args[1]),
        rw.make(n.op.name, p.args[2], q.args[2]),
    )


RULES: tuple[Rule, ...] = (
    plus_minus,
    minus_minus,
    where_meets_where,
    complementary_masks,
    mask_of_minimum,
    where_of_nothing,
    where_of_scaled,
    common_scalar,
    common_factors,
    common_factor,
    twice_in_a_row,
    one_and_factor,
    softmax_backward,
    twice,
    constants_meet,
    where_same,
)
