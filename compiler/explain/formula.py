"""One expression tree for all mathematics that is shown.

`reading.py` makes it of a DAG, `text.py` and `latex.py` print it, `columns.py` turns rows
into columns. How tightly an operator binds is decided here, once for all printers.

    Binary("@", Transposed(Name("x", 2)), Name("d_z", 2))        # x' @ d_z
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from fractions import Fraction

from gradc.records import record


class Binds(IntEnum):
    """How tightly: those of the language, loosest first."""

    OR = 0
    AND = 1
    NOT = 2
    COMPARE = 3
    SUM = 4
    PRODUCT = 5
    SIGN = 6
    POWER = 7
    ATOM = 8


BINDS = {
    "or": Binds.OR,
    "and": Binds.AND,
    "<": Binds.COMPARE,
    "<=": Binds.COMPARE,
    ">": Binds.COMPARE,
    ">=": Binds.COMPARE,
    "==": Binds.COMPARE,
    "+": Binds.SUM,
    "-": Binds.SUM,
    "*": Binds.PRODUCT,
    "/": Binds.PRODUCT,
    "@": Binds.PRODUCT,
    "^": Binds.POWER,
}


@record
class Name:
    """A value by its name. `rank`: its axes."""

    text: str
    rank: int = 0


@record
class Number:
    """A constant as it is written, with its name if it has one."""

    value: int | float | bool
    name: str = ""


@record
class Size:
    """A size of the data: `N`, `2 * width`. `text` is that of the language."""

    text: str


@record
class Binary:
    """`left sign right`, for the signs of BINDS."""

    sign: str
    left: Formula
    right: Formula


@record
class Minus:
    x: Formula


@record
class Not:
    x: Formula


@record
class Transposed:
    """The last two axes exchanged."""

    x: Formula


@record
class Index:
    """`x[:, 0]`: an entry a part; a part that is a formula gathers."""

    x: Formula
    parts: tuple[str | Formula, ...]
    rank: int


@record
class Apply:
    """`function(args, option = value)`; `rank` is that of what it gives.

    `over` are the sizes that a reduction goes over, as a sum sign has them.
    """

    function: str
    args: tuple[Formula, ...]
    options: tuple[tuple[str, str], ...] = ()
    rank: int = 0
    over: tuple[str, ...] = ()


@record
class Slope:
    """The derivative of a function of one variable where it was taken: `tanh'(z)`."""

    function: str
    x: Formula


Formula = (
    Name | Number | Size | Binary | Minus | Not | Transposed | Index | Apply | Slope
)


def rank(f: Formula) -> int:
    """The axes of what a formula gives; 0: a single number."""
    match f:
        case Name() | Index() | Apply():
            return f.rank
        case Number() | Size():
            return 0
        case Binary(sign="@"):
            a, b = rank(f.left), rank(f.right)
            return max(a, b, 2) - (a == 1) - (b == 1)
        case Binary():
            return max(rank(f.left), rank(f.right))
        case Minus() | Not() | Transposed() | Slope():
            return rank(f.x)


def children(f: Formula) -> tuple[Formula, ...]:
    """The formulas directly inside."""
    match f:
        case Name() | Number() | Size():
            return ()
        case Binary():
            return (f.left, f.right)
        case Minus() | Not() | Transposed() | Slope():
            return (f.x,)
        case Index():
            return (f.x, *[p for p in f.parts if not isinstance(p, str)])
        case Apply():
            return f.args


def rebuilt(f: Formula, inside: tuple[Formula, ...]) -> Formula:
    """The same operation on other formulas."""
    match f:
        case Name() | Number() | Size():
            return f
        case Binary():
            return replace(f, left=inside[0], right=inside[1])
        case Minus() | Not() | Transposed() | Slope():
            return replace(f, x=inside[0])
        case Index():
            rest = iter(inside[1:])
            parts = tuple(p if isinstance(p, str) else next(rest) for p in f.parts)
            return replace(f, x=inside[0], parts=parts)
        case Apply():
            return replace(f, args=inside)


def mapped(f: Formula, change: Callable[[Formula], Formula]) -> Formula:
    """`change` at every place, from the leaves up."""
    inside = tuple(mapped(c, change) for c in children(f))
    return change(rebuilt(f, inside))


def names_in(f: Formula) -> list[str]:
    """The names that a formula reads, each once, from left to right."""
    found: dict[str, None] = {}
    stack = [f]
    while stack:
        at = stack.pop()
        if isinstance(at, Name):
            found.setdefault(at.text)
        stack.extend(reversed(children(at)))
    return list(found)


def weight(f: Formula) -> int:
    """How many operations it takes to say."""
    total, stack = 0, [f]
    while stack:
        at = stack.pop()
        inside = children(at)
        total += bool(inside)
        stack.extend(inside)
    return total


# ------------------------------------------------------------------------- building
ONE = Number(1)


def plus(a: Formula, b: Formula) -> Formula:
    """a + b, a - b where b is negative, 2 a where both are one."""
    if a == b and not isinstance(a, Number):
        return times(Number(2), a)
    positive = without_sign(b)
    if positive is not None:
        return Binary("-", a, positive)
    first = without_sign(a)
    if first is not None and not isinstance(a, Number):
        return Binary("-", b, first)
    return Binary("+", a, b)


def minus(a: Formula, b: Formula) -> Formula:
    positive = without_sign(b)
    if positive is not None:
        return plus(a, positive)
    if without_sign(a) == b:  # -b - b
        return negated(times(Number(2), b))
    return Binary("-", a, b)


def negated(f: Formula) -> Formula:
    positive = without_sign(f)
    if positive is not None:
        return positive
    if isinstance(f, Number) and not f.name:
        return Number(-f.value)
    if isinstance(f, Binary) and f.sign == "-":
        return Binary("-", f.right, f.left)
    return Minus(f)


def without_sign(f: Formula) -> Formula | None:
    """The formula without its minus; None where it has none in front."""
    match f:
        case Minus():
            return f.x
        case Number(name="") if not isinstance(f.value, bool) and f.value < 0:
            return Number(-f.value)
        case Binary(sign="*" | "/" | "@"):
            inner = without_sign(f.left)
            return None if inner is None else _scaled(f.sign, inner, f.right)
    return None


def _scaled(sign: str, a: Formula, b: Formula) -> Formula:
    if sign == "*" and a == ONE:
        return b
    return Binary(sign, a, b)


def times(a: Formula, b: Formula) -> Formula:
    """a * b: signs come out in front, numbers and scalars stand before arrays."""
    for x, y in ((a, b), (b, a)):
        positive = without_sign(x)
        if positive is not None:
            return negated(times(positive, y) if x is a else times(y, positive))
    if a == ONE:
        return b
    if b == ONE:
        return a
    folded = _folded(a, b)
    if folded is not None:
        return folded
    if a == b:
        return Binary("^", a, Number(2))
    if _lead(b) < _lead(a):
        a, b = b, a
    if isinstance(b, Binary) and b.sign == "*":  # left to right, without brackets
        return times(times(a, b.left), b.right)
    if isinstance(b, Binary) and b.sign == "/" and rank(b.right) == 0:
        return over(times(a, b.left), b.right)
    if isinstance(a, Binary) and a.sign == "/" and rank(a.right) == 0:
        return over(times(a.left, b), a.right)
    if isinstance(a, Binary) and a.sign == "*" and _lead(b) < _lead(a.right):
        return Binary("*", times(a.left, b), a.right)
    return Binary("*", a, b)


def _folded(a: Formula, b: Formula) -> Formula | None:
    """The product of two whole numbers that have no name."""
    for f in (a, b):
        plain = isinstance(f, Number) and not f.name and type(f.value) is int
        if not plain:
            return None
    assert isinstance(a, Number) and isinstance(b, Number)
    return Number(a.value * b.value)


def _lead(f: Formula) -> int:
    """Numbers first, then scalars, then arrays."""
    if isinstance(f, Number) and not f.name:
        return 0
    if isinstance(f, Binary) and f.sign in "*/":
        return max(_lead(f.left), _lead(f.right), 1)
    return 1 if rank(f) == 0 else 2


def over(a: Formula, b: Formula) -> Formula:
    """a / b."""
    positive = without_sign(a)
    if positive is not None:
        return negated(over(positive, b))
    below = without_sign(b)
    if below is not None:
        return negated(over(a, below))
    if b == ONE:
        return a
    if isinstance(a, Binary) and a.sign == "/" and rank(b) == 0:
        return over(a.left, times(a.right, b))
    made = _numbers(a, b)
    return Binary("/", a, b) if made is None else made


def _numbers(a: Formula, b: Formula) -> Formula | None:
    """2 a / 4 is a / 2; nothing where no number cancels."""
    top, rest = _number(a)
    bottom, below = _number(b)
    if top is None or bottom is None or bottom == 0 or top == 0:
        return None
    ratio = Fraction(top, bottom)
    if ratio.numerator == top and ratio.denominator == bottom:
        return None
    above = Number(ratio.numerator) if rest is None else None
    if rest is not None:
        above_ = times(Number(ratio.numerator), rest)
    else:
        assert above is not None
        above_ = above
    if below is None:
        under: Formula = Number(ratio.denominator)
    else:
        under = times(Number(ratio.denominator), below)
    return above_ if under == ONE else Binary("/", above_, under)


def _number(f: Formula) -> tuple[int | None, Formula | None]:
    """The whole number in front of a product, and the rest of it."""
    if isinstance(f, Number):
        plain = (
            not f.name and isinstance(f.value, int) and not isinstance(f.value, bool)
        )
        return (int(f.value) if plain else None), None
    if isinstance(f, Size):
        found = re.fullmatch(r"(\d+) \* ([^-+]+)", f.text)
        return (int(found[1]), Size(found[2])) if found else (None, f)
    if isinstance(f, Binary) and f.sign == "*":
        number, rest = _number(f.left)
        if number is not None:
            return number, f.right if rest is None else Binary("*", rest, f.right)
    return None, f
