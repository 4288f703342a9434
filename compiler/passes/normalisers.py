"""What a normaliser divides by, and the scales beside it.

    (e / total - one_hot) * s  ->  e * (s / total) - s * one_hot
    gain * d / root            ->  d / root * gain              before derivatives are taken

`total` has a number for each row of `e`, so the first is a pass over `e` less: the derivative
of a softmax with cross-entropy. By the second the quotient is a value, which the derivatives
by gain, root and d all read. Only where memory is planned: it is not how one writes it.
"""

from __future__ import annotations

from ..ir.node import Node
from .patterns import Rewriter, Rule, rule, scalar_under


@rule("mul", safety="~")
def scale_into_normaliser(rw: Rewriter, n: Node) -> Node | None:
    """`(e / total) * s` -> `e * (s / total)`, with what is put on it scaled as well."""
    if n.kind != "real" or not n.shape:
        return None
    for x, spread in (n.args, n.args[::-1]):
        s = scalar_under(rw, spread)
        if s is None:
            continue
        put = x if x.is_a("put_on") and rw.free(x) else None
        ratio = x if put is None else put.args[0]
        if not (ratio.is_a("div") and rw.free(ratio)):
            continue
        e, below = ratio.args
        if not (below.is_a("broadcast") and rw.unbound(below)):
            continue
        total = below.args[0]
        if not total.shape or e.is_a("broadcast"):
            continue
        share = rw.make("div", rw.broadcast(s, total.shape), total)
        rw.graph.hint(share, "share")
        made = rw.make("mul", e, rw.broadcast(share, n.shape))
        if put is None:
            return made
        _, index, g = put.args
        number = scalar_under(rw, g) if g.shape else g
        if number is not None and not number.shape:
            put_in = rw.broadcast(rw.make("mul", number, s), g.shape)
        else:
            put_in = rw.make("mul", g, rw.broadcast(s, g.shape))
        return rw.make("put_on", made, index, put_in, **put.attrs)
    return None


@rule("div", safety="~")
def quotient_before_scale(rw: Rewriter, n: Node) -> Node | None:
    """`(g * x) / r` -> `(x / r) * g`, where g and r are smaller than x."""
    a, r = n.args
    if n.kind != "real" or not (r.is_a("broadcast") and r.args[0].shape):
        return None
    if not (a.is_a("mul") and rw.free(a)):
        return None
    for g, x in (a.args, a.args[::-1]):
        if g.is_a("broadcast") and g.args[0].shape and not x.is_a("broadcast"):
            return rw.make("mul", rw.make("div", x, r), g)
    return None


BEFORE: tuple[Rule, ...] = (quotient_before_scale,)
RULES: tuple[Rule, ...] = (scale_into_normaliser,)
