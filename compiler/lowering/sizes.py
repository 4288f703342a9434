"""Arithmetic at compile time, and values as sizes.

In come values that are known (`2`, `hidden`, `N`, `training`), out come numbers and `Dim`s:
what `4 * width` is as a size, whether `width / heads` is whole, whether `T / 2` has to be
checked when the data are there. The nodes of such expressions are made elsewhere
(`operators.py`): knowing a value never changes what is computed.

    >>> quotient(Dim.constant("width", 384), Dim.constant("heads", 6)).described()
    'width / heads=64'
"""

from __future__ import annotations

import math

from ..errors import sizes as sizes_prose
from ..ir.dims import Dim, Poly
from ..ir.node import Number
from ..ir.program import Check
from ..source import Span
from .values import Mistake, Value

BIGGEST = 1 << 53  # whole numbers up to here are exact, as int and as real
DEGREE = 32  # a size's polynomial has at most this degree and twice as many terms


def quotient(a: Dim, b: Dim) -> Dim | None:
    """`a / b` as a size, or None where that is no polynomial, or not whole."""
    made = a.divided(b)
    if made is None or a.written.divided(b.written) is not None:
        return made
    # The written form has no quotient (width / heads): it stays one opaque word.
    left, right = (
        f"({d.written})" if len(d.written.terms) > 1 else str(d.written) for d in (a, b)
    )
    if "*" in right or "/" in right:
        right = f"({right})" if not right.startswith("(") else right
    opaque = f"{left} / {right}"
    return made if len(opaque) > 60 else Dim(made.value, Poly({(opaque,): 1}))


def luck(a: Dim, b: Dim) -> bool:
    """Whether two sizes are equal only as long as no constant is overridden.

    A quotient of constants (`width / heads`) is left alone: what it becomes under
    another value is not known.
    """
    if not a.same_by_luck(b):
        return False
    return not any("/" in s for d in (a, b) for s in d.written.symbols())


def fold(symbol: str, a: Value, b: Value) -> tuple[Number | None, Dim | None]:
    """What is known at compile time of `a symbol b`: a number, a size.

    Raises OverflowError and ZeroDivisionError; the caller knows the place.
    """
    dim: Dim | None = None
    if a.dim is not None and b.dim is not None:
        match symbol:
            case "+":
                dim = a.dim + b.dim
            case "-":
                dim = a.dim - b.dim
            case "*":
                dim = _product(a.dim, b.dim)
            case "/":
                if b.dim.integer == 0:
                    raise ZeroDivisionError
                dim = quotient(a.dim, b.dim)
            case "^":
                dim = _power(a.dim, b.dim)
    if dim is not None and len(dim.value.terms) > 2 * DEGREE:
        dim = None
    if dim is not None and dim.integer is not None:
        if abs(dim.integer) > BIGGEST:
            return float(dim.integer), None
        return dim.integer, dim
    if a.number is None or b.number is None:
        return None, dim
    x, y = a.number, b.number
    number: Number
    match symbol:
        case "+":
            number = x + y
        case "-":
            number = x - y
        case "*":
            number = x * y
        case "/":
            number = x / y
        case _:
            try:
                number = math.pow(x, y)
            except ValueError:
                return None, None  # (-8)^(1/3), 0^-1: what NumPy makes of it
    return known(number)


def known(number: Number) -> tuple[Number, Dim | None]:
    """A number and, if it is whole, the size that it is."""
    if isinstance(number, bool):
        return number, None
    if isinstance(number, float):
        if math.isinf(number) or math.isnan(number):
            return number, None
        if number.is_integer() and abs(number) <= BIGGEST:
            number = int(number)
    if isinstance(number, int):
        return number, Dim.of(number)
    return number, None


def degree(dim: Dim) -> int:
    """The highest degree of either form."""
    return max(
        (len(m) for p in (dim.value, dim.written) for m, _ in p.terms), default=0
    )


def _product(a: Dim, b: Dim) -> Dim | None:
    if degree(a) + degree(b) > DEGREE:
        return None
    if len(a.written.terms) * len(b.written.terms) > 16 * DEGREE:
        return None
    return a * b


def _power(base: Dim, exponent: Dim) -> Dim | None:
    n = exponent.integer
    if n is None or n < 0 or n > 64:
        return None
    if base.integer is not None and n * math.log2(max(2, abs(base.integer))) > 53:
        return None
    out: Dim | None = Dim.of(1)
    for _ in range(n):
        out = None if out is None else _product(out, base)
    return out


def as_size(value: Value, span: Span, text: str) -> Dim:
    """The size that a value is, where the text asks for one; raises `Mistake`.

    A fraction of a size of the data (`T / 2`) is let pass: `whole_check` gives the
    condition under which it is whole.
    """
    if value.dim is None:
        if value.number is not None:
            raise Mistake(sizes_prose.size_not_whole(span, text, value.number))
        raise Mistake(sizes_prose.size_from_data(span, text, value.text()))
    number = value.dim.integer
    if number is not None and number < 0:
        raise Mistake(sizes_prose.negative_size(span, text, number))
    return value.dim


def whole_check(dim: Dim, span: Span, text: str) -> Check | None:
    """The load-time check that a size with fractions in it is whole, if it needs one."""
    if dim.whole:
        return None
    denominator = math.lcm(*(c.denominator for _, c in dim.value.terms))
    whole = dim * denominator
    return Check(
        "divides",
        whole,
        Dim.of(denominator),
        span.line,
        text,
        f"`{text}` is no whole number: {denominator} does not divide {whole}",
    )


def nonzero_check(dim: Dim, span: Span, text: str) -> Check | None:
    """The load-time check that a divisor is not 0, if it is a size that may be."""
    if dim.integer is not None:
        return None
    terms = dict(dim.value.terms)
    if () in terms and all(c > 0 for c in terms.values()):
        return None  # N + 1
    return Check(
        "nonzero",
        dim,
        Dim.of(0),
        span.line,
        text,
        f"`{text}` divides by {dim}, which is 0",
    )
