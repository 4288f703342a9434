"""Masks at the one place where they come in, not in all that is made of a masked adjoint.

A cotangent under relu's mask takes what is done to it inside, since a local derivative may
be infinite where the mask is false, and 0 * inf is no number. Behind a normalisation that
makes three choices out of one. Where all factors are finite, whatever the data, the adjoint
is masked as it comes in, and its products need no mask of their own:

    where(h > 0, d_h * gain / root, 0)    ->    d_h * (h > 0) * gain / root

Finite is what a sum, a product or a bounded function makes of finite numbers, and a quotient
by what is at least some positive number, such as the root of a mean of squares plus 1e-5.
A product of matrices counts as finite: else all that it stands in is lost anyway.
"""

from __future__ import annotations

from ..ir.node import Node
from .patterns import Rewriter, Rule, rule

BELOW = 12  # operations that a sign is followed through

CLOSED = frozenset("""
    input param state noise size zero seed iota
    add sub mul neg maximum minimum abs tanh sigmoid erf sin cos sum sum_over mean_over max
    reshape transpose broadcast slice unslice concat cast windows fold where stop masked
    """.split())
"""What is finite where its arguments are (overflow apart)."""
PRODUCTS = frozenset({"einsum2", "conv_transpose"})
"""What counts as finite: where it is not, whole rows are lost, masked or not."""
SAME_SIGN = frozenset(
    "sum sum_over mean_over max reshape transpose broadcast slice".split()
)


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
    if not x.is_a("mul", "div"):
        return None
    a, b = x.args
    if a is b or not x.shape:
        return None
    signs = rw.facts.setdefault("signs", Signs())
    if finite(b, signs) if x.is_a("mul") else signs.positive(b):
        inner = _masked(rw, c, a)
        if inner is not None:
            return rw.make(x.op.name, inner, b)
    if x.is_a("mul") and finite(a, signs):
        inner = _masked(rw, c, b)
        if inner is not None:
            return rw.make("mul", a, inner)
    return None


def _masked(rw: Rewriter, c: Node, x: Node) -> Node | None:
    """`x` under a mask, if that is a product with it."""
    made = rw.make("where", c, x, rw.graph.zero(x.shape))
    return None if made.is_a("where") else made


def finite(n: Node, signs: Signs | None = None) -> bool:
    """Is it finite wherever the leaves are, but for overflow?"""
    signs = signs or Signs()
    known = signs.finite
    stack = [n]
    while stack:
        m = stack[-1]
        if m in known:
            stack.pop()
        elif m.op.name in PRODUCTS or not _keeps_finite(m, signs):
            known[m] = m.op.name in PRODUCTS
        else:
            args = [a for a in m.args if a.kind == "real"]
            missing = [a for a in args if a not in known]
            if not missing:
                known[m] = all(known[a] for a in args)
            stack += missing
    return known[n]


def _keeps_finite(n: Node, signs: Signs) -> bool:
    """Is it finite where its arguments are?"""
    name = n.op.name
    if name in CLOSED:
        return True
    if name == "const":
        return bool(abs(n.attrs["value"]) < float("inf"))
    if name == "div":
        return signs.positive(n.args[1])
    if name == "sqrt":
        return signs.positive(n.args[0])
    if name == "pow":
        exponent = n.attrs["exponent"]
        whole = isinstance(exponent, int) and exponent >= 0
        return whole or signs.positive(n.args[0])
    return False


class Signs:
    """What is known of signs and of what is finite, each node looked at once."""

    def __init__(self) -> None:
        self.finite: dict[Node, bool] = {}
        self.known: dict[tuple[Node, bool], bool] = {}

    def positive(self, n: Node, depth: int = BELOW) -> bool:
        """At least some positive number."""
        return self._look(n, True, depth)

    def not_negative(self, n: Node, depth: int = BELOW) -> bool:
        """Never below 0."""
        return self._look(n, False, depth)

    def _look(self, n: Node, strict: bool, depth: int) -> bool:
        key = (n, strict)
        if key not in self.known:
            self.known[key] = False  # while it is looked at, and where it is too deep
            look = self._positive if strict else self._not_negative
            self.known[key] = depth > 0 and look(n, depth - 1)
        return self.known[key]

    def _positive(self, n: Node, depth: int) -> bool:
        args = n.args
        match n.op.name:
            case "size":
                return True
            case "const":
                return bool(n.attrs["value"] > 0)
            case "add":
                return any(
                    self.positive(a, depth) and self.not_negative(b, depth)
                    for a, b in (args, args[::-1])
                )
            case "mul":
                return all(self.positive(a, depth) for a in args)
            case "maximum":
                return any(self.positive(a, depth) for a in args)
            case "pow":
                return n.attrs["exponent"] > 0 and self.positive(args[0], depth)
            case "sqrt" | "broadcast" | "reshape" | "transpose" | "slice":
                return self.positive(args[0], depth)
        return False

    def _not_negative(self, n: Node, depth: int) -> bool:
        args = n.args
        match n.op.name:
            case "abs" | "zero" | "exp" | "sigmoid" | "softplus" | "size":
                return True
            case "const":
                return bool(n.attrs["value"] >= 0)
            case "pow":
                exponent = n.attrs["exponent"]
                even = isinstance(exponent, int) and not exponent % 2
                return even or self.not_negative(args[0], depth)
            case "mul":
                same = args[0] is args[1]
                return same or all(self.not_negative(a, depth) for a in args)
            case "add" | "div" | "minimum":
                return all(self.not_negative(a, depth) for a in args)
            case "maximum":
                return any(self.not_negative(a, depth) for a in args)
            case name if name in SAME_SIGN or name == "sqrt":
                return self.not_negative(args[0], depth)
        return False


RULES: tuple[Rule, ...] = (masked_factor,)
