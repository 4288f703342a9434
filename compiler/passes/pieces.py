"""A function in two pieces, at a number, as the sum of its pieces: an elu without choosing.

    where(x > 0, x, expm1(x))          ->    max(x, 0) + expm1(min(x, 0))
    where(x > 0, d, d * (e + 1))       ->    d * where(x > 0, 1, e + 1)
    where(x > 0, 1, exp(x))            ->    exp(min(x, 0))

On its own side of 0 a piece reads x, on the other it reads 0: what it is there is a number, to
be worked out here. Where both are 0 there, the choice is the sum of the pieces; where one is a
number everywhere, it is the other, and a multiple of the condition. Beyond its side a piece
may be infinite, and the sum is not.

Only where memory is planned: a choice that no processor can foresee takes as long as ten to
forty other operations, but it is how one writes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..ir.node import Node
from ..ops.bounds import finite, is_constant
from .patterns import Rewriter, Rule, is_number, rule

MOST = 24
"""Operations of a piece: what is longer is chosen."""

FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "abs": abs,
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "neg": lambda x: -x,
    "sign": lambda x: (x > 0) - (x < 0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "sin": math.sin,
    "cos": math.cos,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
}
OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "maximum": max,
    "minimum": min,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
}
WORKED_OUT = frozenset({*FUNCTIONS, *OPERATIONS, "masked", "where", "not", "cast"})
"""What is worked out at 0, of numbers; a truth value counts as 0 or 1."""


class Split(NamedTuple):
    """A choice by the sign of `x`: what holds above 0 and what below."""

    x: Node
    above: Node
    below: Node


def split_at_zero(rw: Rewriter, n: Node) -> Split | None:
    """The two pieces of a choice whose condition compares a value with 0."""
    c, a, b = n.args
    if not c.is_a("lt", "le"):
        return None
    low, high = c.args
    if _is_zero(rw, low):
        return Split(high, a, b)
    return Split(low, b, a) if _is_zero(rw, high) else None


def _is_zero(rw: Rewriter, n: Node) -> bool:
    return n.is_a("zero") or is_number(rw, n, 0)


# ------------------------------------------------------------------------ a common factor
@rule("where", safety="~")
def common_factor(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, d * f, d * g)` -> `d * where(c, f, g)`: of an adjoint, or what is finite."""
    c, a, b = n.args
    if n.kind != "real" or not n.shape:
        return None
    masked = a.is_a("zero") or b.is_a("zero")  # one product already, but for its choice
    for d in _factors(rw, b if a.is_a("zero") else a):
        if d.is_a("broadcast", "zero") or d.op.family == "leaf":
            continue
        f, g = _without(rw, a, d), _without(rw, b, d)
        if f is None or g is None:
            continue
        chosen = rw.make("where", c, f, g)
        if not (masked and chosen.is_a("where")):
            return rw.make("mul", d, chosen)
    return None


def _factors(rw: Rewriter, n: Node) -> list[Node]:
    """The value itself, and what it is a product or a choice of."""
    found: list[Node] = []
    stack = [n]
    while stack and len(found) < MOST:
        m = stack.pop()
        found.append(m)
        if rw.free(m):
            match m.op.name:
                case "mul":
                    stack += m.args
                case "div" | "masked" | "neg":
                    stack.append(m.args[0])
                case "where":
                    stack.append(m.args[2 if m.args[1].is_a("zero") else 1])
    return found


def _without(rw: Rewriter, n: Node, d: Node, depth: int = 6) -> Node | None:
    """`f` of a value `d * f`."""
    if n is d:
        return rw.broadcast(rw.const(1), n.shape)
    if n.is_a("zero"):  # 0 times what is infinite were not 0
        return n if d in rw.adjoint_of or finite(d) else None
    if not depth or not rw.free(n):
        return None
    match n.op.name:
        case "mul":
            for x, other in (n.args, n.args[::-1]):
                f = _without(rw, x, d, depth - 1)
                if f is not None and not f.is_a("zero"):
                    return other if is_number(rw, f, 1) else rw.make("mul", f, other)
        case "div" | "masked":
            f = _without(rw, n.args[0], d, depth - 1)
            if f is not None and n.is_a("masked") and is_number(rw, f, 1):
                return rw.make("cast", n.args[1], kind="real")
            return None if f is None else rw.make(n.op.name, f, n.args[1])
        case "neg":
            f = _without(rw, n.args[0], d, depth - 1)
            return None if f is None else rw.make("neg", f)
        case "where":
            f, g = (_without(rw, a, d, depth - 1) for a in n.args[1:])
            if f is not None and g is not None:
                return rw.make("where", n.args[0], f, g)
    return None


# --------------------------------------------------------------------------- two pieces
@rule("where", safety="~")
def sum_of_pieces(rw: Rewriter, n: Node) -> Node | None:
    """`where(x > 0, f(x), g(x))` -> `f(max(x, 0)) + g(min(x, 0))`, where both are 0 at 0."""
    if n.kind != "real" or not n.shape or n.args[0].shape != n.shape:
        return None
    split = split_at_zero(rw, n)
    if split is None or split.x.shape != n.shape:
        return None
    x, above, below = split
    values = [at_zero(rw, piece, x) for piece in (above, below)]
    if values[0] is None or values[1] is None:
        return None
    upper, lower = values[0], values[1]
    if _fixed(above) is not None and _comparable(upper, lower):
        return _on_top(rw, _clamped(rw, below, x, "minimum"), lower, upper, n, True)
    if _fixed(below) is not None and _comparable(lower, upper):
        return _on_top(rw, _clamped(rw, above, x, "maximum"), upper, lower, n, False)
    if upper == lower == 0:
        pieces = (_clamped(rw, above, x, "maximum"), _clamped(rw, below, x, "minimum"))
        return rw.make("add", *pieces)
    return None


@rule("where", safety="~")
def sum_of_arms(rw: Rewriter, n: Node) -> Node | None:
    """`where(c, a, b)` -> `a * c + b * (1 - c)`, of what is finite, as nobody foresees c."""
    c, a, b = n.args
    if n.kind != "real" or not n.shape or not _unforeseen(c):
        return None
    if not (finite(a) and finite(b)):
        return None
    if c.is_a("lt", "le") and all(finite(x) for x in c.args):
        other = rw.make("le" if c.is_a("lt") else "lt", *c.args[::-1])
    else:
        other = rw.make("not", c)
    terms = [_under(rw, x, mask) for x, mask in ((a, c), (b, other)) if _fixed(x) != 0]
    return rw.make("add", *terms) if len(terms) == 2 else terms[0]


def _unforeseen(c: Node) -> bool:
    """Is it a comparison of values of each place, not one for whole rows, nor of places?"""
    if c.is_a("and", "or"):
        return any(_unforeseen(a) for a in c.args)
    if not c.is_a("lt", "le", "eq") or is_constant(c):
        return False
    return any(a.kind == "real" and not a.is_a("broadcast", "zero") for a in c.args)


def _under(rw: Rewriter, x: Node, mask: Node) -> Node:
    if not x.is_a("broadcast"):
        return rw.make("masked", x, mask)
    chosen = rw.make("cast", mask, kind="real")
    return chosen if _fixed(x) == 1 else rw.make("mul", chosen, x)


def _fixed(piece: Node) -> float | None:
    """The number that a piece is everywhere, if it is one."""
    core = piece.args[0] if piece.is_a("broadcast") else piece
    if core.is_a("zero"):
        return 0.0
    if core.shape or not core.is_a("const") or core.kind != "real":
        return None
    value: float = core.attrs["value"]
    return value


def _comparable(value: float, there: float) -> bool:
    """Is a value still exact, or nearly, if it is `there` and what is missing?"""
    return value == 0 or abs(value) >= abs(there) / 16


def _on_top(
    rw: Rewriter, piece: Node, there: float, value: float, n: Node, above: bool
) -> Node:
    """A piece, which is `there` on the other side of 0, where it is to be `value`."""
    if there == value:
        return piece
    c = n.args[0]
    low, high = c.args
    turned = rw.make("le" if c.is_a("lt") else "lt", high, low)
    if _is_zero(rw, low) != above:  # the condition holds on the piece's own side
        c, turned = turned, c
    if value == 0:
        return rw.make("masked", piece, turned)
    chosen = rw.make("cast", c, kind="real")
    if value == 1 and there == 0 and piece.is_a("masked"):
        rest, own = piece.args
        x = c.args[1 if above else 0]
        around = own.is_a("lt") and c.is_a("lt") and own.args == c.args[::-1]
        if (
            around and at_zero(rw, rest, x) == 1
        ):  # the slope of an elu: but at 0, the rest
            at = rw.make("eq", *c.args)
            return rw.make("sub", rest, rw.make("cast", at, kind="real"))
    step = value - there
    if abs(step) == 1:
        return rw.make("add" if step > 0 else "sub", piece, chosen)
    scale = rw.broadcast(rw.const(step), n.shape)
    return rw.make("add", piece, rw.make("mul", chosen, scale))


def _inside(rw: Rewriter, piece: Node, x: Node) -> list[Node] | None:
    """What a piece is made of, operands first, numbers and x included; None where that is
    not elementwise, or is too much."""
    order: list[Node] = []
    done: set[Node] = set()
    stack = [piece]
    while stack:
        n = stack[-1]
        if n in done:
            stack.pop()
            continue
        if n is x or _fixed(n) is not None:
            args: tuple[Node, ...] = ()
        elif n in rw.adjoint_of and finite(n):
            args = ()  # it is there, whatever it is made of
        elif (
            n.op.name in FUNCTIONS
            or n.op.name in OPERATIONS
            or n.is_a("masked", "where", "not", "cast")
        ):
            args = n.args
        elif finite(n):
            args = ()  # a value of another making: what 0 multiplies may be any number
        else:
            return None
        missing = [a for a in args if a not in done]
        if missing:
            stack += missing
            if len(stack) + len(order) > 2 * MOST:
                return None
            continue
        stack.pop()
        done.add(n)
        order.append(n)
    return order if len(order) <= 2 * MOST else None


def at_zero(rw: Rewriter, piece: Node, x: Node) -> float | None:
    """The value of a piece where x is 0; None where it is no number, or none is known."""
    order = _inside(rw, piece, x)
    if order is None:
        return None
    known: dict[Node, float | None] = {}
    for n in order:
        try:
            value = _value(n, x, known)
        except (ValueError, ZeroDivisionError, OverflowError):
            value = None
        known[n] = value if value is None or math.isfinite(value) else None
    return known[piece]


def _value(n: Node, x: Node, known: Mapping[Node, float | None]) -> float | None:
    if n is x:
        return 0.0
    fixed = _fixed(n)
    if fixed is not None:
        return fixed
    if not all(a in known for a in n.args):
        return None
    values = [known[a] for a in n.args]
    numbers = [v for v in values if v is not None]
    if n.is_a("where") and values[0] is not None:
        return values[1 if values[0] else 2]
    if len(numbers) < len(values):  # 0 times any number is 0
        rest = [a for a, v in zip(n.args, values, strict=True) if v is None]
        vanishes = n.is_a("mul", "masked") and 0 in numbers
        return (
            0.0
            if vanishes and all(a.kind == "bool" or finite(a) for a in rest)
            else None
        )
    match n.op.name, numbers:
        case "cast", [v]:
            return v
        case "not", [v]:
            return float(not v)
        case "masked", [v, c]:
            return v if c else 0.0
        case name, [v] if name in FUNCTIONS:
            return float(FUNCTIONS[name](v))
        case name, [v, w] if name in OPERATIONS:
            return float(OPERATIONS[name](v, w))
    return None


def _clamped(rw: Rewriter, piece: Node, x: Node, by: str) -> Node:
    """The piece of `max(x, 0)` or `min(x, 0)`. What is alike beyond 0 and at it stays."""
    new: dict[Node, Node] = {}
    for n in _inside(rw, piece, x) or ():
        if n is x:
            new[n] = rw.make(by, x, rw.broadcast(rw.const(0), x.shape))
        elif not n.args or _fixed(n) is not None or _settled(rw, n, x, by):
            new[n] = n
        else:
            args = tuple(new.get(a, a) for a in n.args)
            new[n] = n if args == n.args else rw.make(n.op.name, *args, **n.attrs)
    return new[piece]


def _settled(rw: Rewriter, n: Node, x: Node, by: str) -> bool:
    """Does a clamp or a comparison of x with 0 say of all that lies beyond what it says of 0?"""
    if x not in n.args or not any(_is_zero(rw, a) for a in n.args):
        return False
    if n.is_a("lt", "le"):
        above = n.args[1] is x
        return n.is_a("lt") == (above == (by == "maximum"))
    return n.is_a(by)


RULES: tuple[Rule, ...] = (sum_of_pieces, common_factor, sum_of_arms)
