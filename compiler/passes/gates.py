"""Masks at the one place where they come in, not in all that is made of a masked adjoint.

A cotangent under relu's mask takes what is done to it inside, since a local derivative may
be infinite where the mask is false, and 0 * inf is no number. Behind a normalisation that
makes three choices out of one. Where all factors are finite, whatever the data, the adjoint
is masked as it comes in, and its products need no mask of their own:

    where(h > 0, d_h * gain / root, 0)    ->    d_h * (h > 0) * gain / root

What is finite, and what is at least some positive number, such as the root of a mean of
squares plus 1e-5, is a matter of `ops/bounds.py`.
"""

from __future__ import annotations

from ..ir.node import Node
from ..ops.bounds import finite, positive
from .patterns import Rewriter, Rule, rule


@rule("where", safety="~")
def masked_factor(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, d * b, 0)` -> `d * c * b`, for an adjoint as it came in and a finite b."""
    c, x, zero = n.args
    if not zero.is_a("zero") or n.kind != "real" or not rw.unbound(x):
        return None
    if x.is_a("reshape"):
        a = x.args[0]
        inner = _masked(rw, rw.make("reshape", c, shape=a.shape), a)
        return None if inner is None else rw.make("reshape", inner, shape=n.shape)
    if x.is_a("neg"):
        inner = _masked(rw, c, x.args[0])
        return None if inner is None else rw.make("neg", inner)
    if x.is_a("add", "sub") and rw.free(x):
        parts = [_masked(rw, c, a) for a in x.args]
        both = [a for a in parts if a is not None]
        return rw.make(x.op.name, *both) if len(both) == len(parts) else None
    if not x.is_a("mul", "div"):
        return None
    a, b = x.args
    if a is b or not x.shape:
        return None
    if finite(b) if x.is_a("mul") else positive(b):
        inner = _masked(rw, c, a)
        if inner is not None:
            return rw.make(x.op.name, inner, b)
    if x.is_a("mul") and finite(a):
        inner = _masked(rw, c, b)
        if inner is not None:
            return rw.make("mul", a, inner)
    return None


def _masked(rw: Rewriter, c: Node, x: Node) -> Node | None:
    """`x` under a mask, if that is a product with it."""
    made = rw.make("where", c, x, rw.graph.zero(x.shape))
    return None if made.is_a("where") else made


RULES: tuple[Rule, ...] = (masked_factor,)
