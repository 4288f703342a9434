"""Scalar factors in normal form: what a tensor is multiplied by, taken apart and put together.

A scalar factor is a `Monomial`: a number, then named constants, sizes and the seed, then
whatever else, over a denominator of numbers, constants and sizes. A tensor keeps at most
one scalar factor, outermost: `mul(core, broadcast(s))`, or `div(core, broadcast(d))`
where the numerator is 1. The rules that bring it there are those of `products.py`.

    core, s = split(rw, n)        # x and (2 a / N), of 2 * x * (a / N)
    n = scaled(rw, core, s)

Named constants are never merged with numbers: `2 * lambda_ * d_loss` stays readable.
"""

from __future__ import annotations

import math
from dataclasses import field

from gradc.records import record

from ..ir.node import Node
from .patterns import (
    Rewriter,
    number,
    scalar_under,
)

FACTORS = 16
"""A longer product is left as it was written: collecting it again and again at each of
its factors would take quadratic time."""


FACTORED = frozenset({"const", "neg", "mul", "div", "pow"})
"""The ops that a monomial takes apart; any other is one factor."""


# --------------------------------------------------------------------------- scalars
@record(frozen=False)
class Monomial:
    """A scalar as sign * (over / under) * up / down."""

    negative: bool = False
    over: int | float = 1
    under: int | float = 1
    up: list[Node] = field(default_factory=list)
    down: list[Node] = field(default_factory=list)

    def times(self, rw: Rewriter, s: Node, inverse: bool = False) -> Monomial:
        """Multiply by a scalar, taking apart what is free and cheap to take apart."""
        stack = [(s, inverse)]
        while stack:
            n, under = stack.pop()
            op = n.op.name
            if op not in FACTORED:
                (self.down if under else self.up).append(n)
                continue
            value = number(n)
            if value is not None and value != 0 and math.isfinite(value):
                self.negative ^= value < 0
                if under:
                    self.under *= abs(value)
                else:
                    self.over *= abs(value)
                continue
            opens = rw.free(n) or (rw.unbound(n) and rw.static(n))
            if opens:
                opens = len(self.up) + len(self.down) + len(stack) < FACTORS
            if opens and op == "neg":
                self.negative = not self.negative
                stack.append((n.args[0], under))
            elif opens and op == "mul" and (not under or rw.static(n)):
                stack += [(n.args[1], under), (n.args[0], under)]
            elif opens and not under and 2 < _exponent(n) < FACTORS:
                stack += [(n.args[0], under)] * _exponent(n)
            elif opens and op == "div" and rw.static(n.args[1]):
                if not under or rw.static(n):
                    stack += [(n.args[1], not under), (n.args[0], under)]
                else:
                    self.down.append(n)
            elif op == "div" and n.shape == () and rw.free(n) and not under:
                if self.quotient(rw, n) is None:
                    self.up.append(n)
            else:
                (self.down if under else self.up).append(n)
        return self

    def quotient(self, rw: Rewriter, n: Node) -> Monomial | None:
        """Multiply by `2 * x / (3 * k)` as 2/3 and `x / k`: the numbers come out.

        None where there is no number: products of quotients stay as they are, for a
        numerator or a denominator in one piece might overflow.
        """
        above, below = coefficient(rw, n.args[0]), coefficient(rw, n.args[1])
        if below is None and above is None:
            return None
        over, x = above or (1, n.args[0])
        under, k = below or (1, n.args[1])
        self.over, self.under = self.over * over, self.under * under
        self.up.append(rw.settled(rw.graph.apply("div", x, k)))
        return self

    def reduced(self) -> Monomial:
        """Numbers merged as far as that is exact, sizes cancelled, factors in order."""
        if self.down:
            for s in [n for n in self.up if n.op.name == "size"]:
                if s in self.down:
                    self.up.remove(s)
                    self.down.remove(s)
        over, under = self.over, self.under
        if isinstance(over, int) and isinstance(under, int):
            common = math.gcd(over, under)
            over, under = over // common, under // common
        elif under != 1:
            quotient = over / under
            if quotient * under == over and len(repr(quotient)) <= len(repr(over)) + 2:
                over, under = quotient, 1
        self.over, self.under = _whole(over), _whole(under)
        if len(self.up) > 1:
            self._cancel_exponentials()
        if len(self.up) > 2 and sum(_rank(n) == 3 for n in self.up) > 2:
            self.up.sort(key=_text)  # the same product in any order
        self.up.sort(key=_rank)
        self.down.sort(key=_rank)
        return self

    def _cancel_exponentials(self) -> None:
        """`(1 / e) * e` -> `1`, for an exponential e: 0 or infinite by rounding only.

        So the derivative of 1 / exp(u) is -1 / exp(u) times that of u.
        """
        for e in [n for n in self.up if n.op.name == "exp"]:
            for q in self.up:
                if q.is_a("div") and q.args[1] is e and number(q.args[0]) == 1:
                    self.up.remove(e)
                    self.up.remove(q)
                    break

    def _over_one_divisor(self, rw: Rewriter) -> Node | None:
        """`2 * d_loss * x / k` for 2, d_loss and `x / k`: nothing can overflow by that."""
        if self.down or self.under != 1 or not self._more_than_one:
            return None
        if not any(n.op.name == "div" for n in self.up):
            return None
        dynamic = [n for n in self.up if not rw.static(n)]
        if len(dynamic) != 1:
            return None
        q = dynamic[0]
        if not (q.op.name == "div" and rw.free(q)):
            return None
        rest = [n for n in self.up if n is not q]
        product = Monomial(False, self.over, 1, rest).times(rw, q.args[0]).reduced()
        if product.negative or product.down or product.under != 1:
            return None
        return rw.graph.apply("div", product.numerator(rw), q.args[1])

    @property
    def _more_than_one(self) -> bool:
        return len(self.up) > 1 or bool(self.down) or (self.over, self.under) != (1, 1)

    @property
    def numerator_is_one(self) -> bool:
        return not self.up and self.over == 1

    def numerator(self, rw: Rewriter) -> Node:
        return _product(rw, self.over, self.up)

    def denominator(self, rw: Rewriter) -> Node | None:
        if not self.down and self.under == 1:
            return None
        return _product(rw, self.under, self.down)

    def node(self, rw: Rewriter) -> Node:
        """The scalar without its sign."""
        for i, r in enumerate(self.up):
            over = _divisors(rw, r) if r.op.name == "div" else None
            if over is not None and self._more_than_one:
                rest = Monomial(
                    False, self.over, self.under, self.up[:i] + self.up[i + 1 :]
                )
                rest.down = self.down
                out = rest.node(rw)
                for divisor in over:
                    out = rw.graph.apply("div", rw.settled(out), divisor)
                return out
        whole = self._over_one_divisor(rw)
        if whole is not None:
            return whole
        below = self.denominator(rw)
        above = self.numerator(rw)
        if below is None:
            return above
        return rw.graph.apply("div", rw.settled(above), rw.settled(below))


def is_product(n: Node) -> bool:
    """A product or quotient whose first factor can take a sign: not a square."""
    return opens(n) or n.op.name == "div"


def opens(n: Node) -> bool:
    """Is it a product of different factors? A square is one factor."""
    return n.op.name == "mul" and n.args[0] is not n.args[1]


def _divisors(rw: Rewriter, r: Node) -> list[Node] | None:
    """[k, m] of `1 / k / m`."""
    divisors: list[Node] = []
    while r.is_a("div") and rw.unbound(r) and not rw.static(r):
        divisors.append(r.args[1])
        r = r.args[0]
    return divisors[::-1] if divisors and number(r) == 1 else None


def coefficient(rw: Rewriter, n: Node) -> tuple[int | float, Node] | None:
    """(2, x) of `2 * x`, (2, 1) of `2`: a positive number in front."""
    value = number(n)
    if value is not None:
        return (value, rw.const(1)) if value > 0 and value != 1 else None
    spine: list[Node] = []
    while opens(n) and rw.free(n) and len(spine) < FACTORS:
        spine.append(n)
        n = n.args[0]
    value = number(n) if spine else None
    if value is None or not value > 0 or not math.isfinite(value):
        return None
    rest = spine[-1].args[1]
    for product in reversed(spine[:-1]):
        rest = rw.settled(rw.graph.apply("mul", rest, product.args[1]))
    return value, rest


def _exponent(n: Node) -> int:
    exponent = n.attrs["exponent"] if n.op.name == "pow" else 0
    return exponent if isinstance(exponent, int) else 0


def number_in(n: Node) -> bool:
    """Is its first factor a number? Then its square has one too."""
    return number(n.args[0]) is not None


def _whole(value: int | float) -> int | float:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53:
        return int(value)
    return value


_RANKS = {"const": 0, "size": 1, "seed": 2}


def _rank(n: Node) -> int:
    """Named constants, sizes, the seed, then the rest in the order of the text."""
    return _RANKS.get(n.op.name, 3)


def _powers(rw: Rewriter, factors: list[Node]) -> list[Node]:
    """The factors, equal ones as one power, where the first of them stood."""
    if len(set(factors)) == len(factors):
        return list(factors)
    times: dict[Node, int] = {}
    for n in factors:
        times[n] = times.get(n, 0) + 1
    return [
        n if k == 1 else rw.settled(rw.graph.apply("pow", n, exponent=k))
        for n, k in times.items()
    ]


def _text(n: Node, depth: int = 4) -> str:
    """What it says, as far as that orders factors: names first, and no serial numbers."""
    if not n.args:
        return f" {n.attrs.get('name') or n.attrs.get('value') or n.attrs.get('dim')}"
    if depth == 0:
        return n.op.name
    inside = ",".join(_text(a, depth - 1) for a in n.args)
    return f"{n.op.name}{n.attrs.get('exponent', '')}({inside})"


def _product(rw: Rewriter, value: int | float, factors: list[Node]) -> Node:
    nodes = _powers(rw, factors)
    if value != 1 or not nodes:
        nodes.insert(0, rw.const(value))
    out = nodes[0]
    for n in nodes[1:]:
        out = rw.graph.apply("mul", rw.settled(out), n)
    return out


# --------------------------------------------------------------------------- tensors
def split(rw: Rewriter, n: Node) -> tuple[Node, Monomial] | None:
    """`n` as core times a scalar, where it is written so and may be taken apart."""
    if n.op.name not in ("mul", "div") or n.shape == () or not rw.free(n):
        return None
    if n.is_a("mul"):
        s = scalar_under(rw, n.args[1])
        if s is not None:
            return n.args[0], Monomial().times(rw, s)
        s = scalar_under(rw, n.args[0])
        if s is not None:
            return n.args[1], Monomial().times(rw, s)
    if n.is_a("div"):
        s = scalar_under(rw, n.args[1])
        if s is not None and scalar_under(rw, n.args[0]) is None:
            return n.args[0], Monomial().times(rw, s, inverse=True)
    return None


def scaled(rw: Rewriter, core: Node, s: Monomial) -> Node:
    """The core times the scalar, in normal form; the sign outermost."""
    s.reduced()
    if core.shape == ():
        out = _scalar_times(rw, core, s)
    elif s.numerator_is_one:
        below = s.denominator(rw)
        out = core
        if below is not None:
            below = rw.graph.broadcast(rw.settled(below), core.shape)
            out = rw.graph.apply("div", core, below)
    else:
        factor = rw.graph.broadcast(rw.settled(s.node(rw)), core.shape)
        out = rw.graph.apply("mul", core, factor)
    return rw.make("neg", out) if s.negative else out


def _scalar_times(rw: Rewriter, core: Node, s: Monomial) -> Node:
    product = Monomial(s.negative, s.over, s.under, list(s.up), list(s.down))
    s.negative = False
    product.times(rw, core).reduced()
    out = product.node(rw)
    return rw.make("neg", out) if product.negative else out


def merged(a: Monomial, b: Monomial) -> Monomial:
    return Monomial(
        a.negative ^ b.negative,
        a.over * b.over,
        a.under * b.under,
        a.up + b.up,
        a.down + b.down,
    )


def inverse(s: Monomial) -> Monomial:
    return Monomial(s.negative, s.under, s.over, s.down, s.up)
