"""Functions on the field: a random value for each argument, and the identities that count.

Of exp, a source may use its derivative, exp(-x) = 1 / exp(x), exp(2x) = exp(x)² and that log
is its inverse; all of that holds here, and nothing else does. So a gradient that is right
only because of a lucky number is found out, and a sigmoid by way of exp is that by way of tanh.

    exp     a random square for each x; for 2^k x and -x what follows
    log     the inverse, where the value came from exp; else a random value, with log(1 / x)
            = -log(x) and log(x²) = 2 log(x)
    sin     a random point of the circle, with cos
    sqrt    the root, where there is one; else a value of which the derivative alone is right
    x^y     a random value for each x and y, and x^(y + k) with it
    other   a random value and the derivative
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

from .field import SQRT_PI, Element, P, is_square, square_root

NEAR = 8  # exp(2^k x) for k from -NEAR to NEAR are related
drawn = random.Random(61)
exponentials: dict[int, int] = {0: 1}
logarithms: dict[int, int] = {1: 0}
others: dict[tuple[Any, ...], int] = {}
roots: list[int] = []  # what roots were taken of


def forget(seed: int) -> None:
    """Begin anew: other random values."""
    drawn.seed(seed)
    for memory in (exponentials, logarithms, others):
        memory.clear()
    exponentials[0], logarithms[1] = 1, 0


def anything(*key: Any) -> int:
    """A random value, the same for the same key."""
    if key not in others:
        others[key] = drawn.randrange(1, P)
    return others[key]


def exponential(x: int) -> int:
    if x in exponentials:
        return exponentials[x]
    half = pow(2, -1, P)
    found = None
    down = up = x
    for k in range(NEAR + 1):
        if down in exponentials:  # exp(x) = exp(x / 2^k)^(2^k)
            found = pow(exponentials[down], 2**k, P)
            break
        if up in exponentials:
            found = exponentials[up]
            for _ in range(k):
                found = square_root(found)
            break
        down, up = down * half % P, up * 2 % P
    if found is None:
        found = pow(drawn.randrange(2, P - 1), 2, P)
    exponentials[x], exponentials[-x % P] = found, pow(found, -1, P)
    logarithms[found], logarithms[pow(found, -1, P)] = x, -x % P
    return found


def logarithm(y: int) -> int:
    x = known_logarithm(y)
    if x is None and (a := logarithms.get((y - 1) % P)) is not None:
        # log(1 + e^a) = a + log(1 + e^-a), as softplus is computed
        mirrored = known_logarithm(y * pow(y - 1, -1, P) % P)
        x = None if mirrored is None else (a + mirrored) % P
    x = drawn.randrange(1, P) if x is None else x
    logarithms[y], logarithms[pow(y, -1, P)] = x, -x % P
    if is_square(y):
        exponentials[x], exponentials[-x % P] = y, pow(y, -1, P)
    return x


def known_logarithm(y: int) -> int | None:
    """log(y), where that of y^(2^k) or of a root is known."""
    for k in range(4):
        power = pow(y, 2**k, P)
        if power in logarithms:
            return logarithms[power] * pow(2**k, -1, P) % P
    root, k = y, 0
    while k < 4 and is_square(root):
        root, k = square_root(root), k + 1
        if root in logarithms:
            return logarithms[root] * 2**k % P
    return None


def made(
    x: Element, value: int, slope: int, shadow: Callable[[float], float]
) -> Element:
    try:
        seen = shadow(x.shadow)
    except (ValueError, OverflowError, ZeroDivisionError):
        seen = math.nan
    return Element(value, slope * x.tangent, seen)


# --------------------------------------------------------------------- the functions
def exp(x: Element) -> Element:
    if x.shadow == -math.inf:
        return Element(0, 0, 0.0)
    y = exponential(x.value)
    return made(x, y, y, math.exp)


def log(x: Element) -> Element:
    if x.value == 0:
        return Element(0, 0, -math.inf)
    return made(x, logarithm(x.value), pow(x.value, -1, P), math.log)


def expm1(x: Element) -> Element:
    return exp(x) - 1


def log1p(x: Element) -> Element:
    return log(1 + x)


def tanh(x: Element) -> Element:
    up, down = exp(x), exp(-x)
    found = (up - down) / (up + down)
    return Element(found.value, found.tangent, math.tanh(x.shadow))


def sinh(x: Element) -> Element:
    return (exp(x) - exp(-x)) / 2


def cosh(x: Element) -> Element:
    return (exp(x) + exp(-x)) / 2


def circle(x: int) -> tuple[int, int]:
    """sin and cos: one is odd, the other even."""
    t = odd_value("circle", x)
    i = pow(1 + t * t, -1, P)
    return 2 * t * i % P, (1 - t * t) * i % P


def sin(x: Element) -> Element:
    s, c = circle(x.value)
    return made(x, s, c, math.sin)


def cos(x: Element) -> Element:
    s, c = circle(x.value)
    return made(x, c, -s, math.cos)


def tan(x: Element) -> Element:
    return sin(x) / cos(x)


def sqrt(x: Element) -> Element:
    roots.append(x.value)
    y = square_root(x.value)
    if y == 0:
        return Element(0, 0, math.sqrt(max(x.shadow, 0)))
    return made(x, y, pow(2 * y, -1, P), math.sqrt)


def odd_value(name: str, x: int) -> int:
    """A random value with f(-x) = -f(x)."""
    if x == 0:
        return 0
    return anything(name, x) if x < P - x else P - anything(name, P - x)


def odd(
    name: str, x: Element, slope: Element, shadow: Callable[[float], float]
) -> Element:
    return made(x, odd_value(name, x.value), slope.value, shadow)


def arctan(x: Element) -> Element:
    return odd("arctan", x, 1 / (1 + x * x), math.atan)


def arcsin(x: Element) -> Element:
    return odd("arcsin", x, 1 / leg(x), math.asin)


def arccos(x: Element) -> Element:
    return made(x, anything("arccos", x.value), (-1 / leg(x)).value, math.acos)


def leg(x: Element) -> Element:
    """√((1 - x) (1 + x))"""
    return sqrt((1 - x) * (1 + x))


def erf(x: Element) -> Element:
    return odd("erf", x, exp(-x * x) * Element(2 * pow(SQRT_PI, -1, P)), math.erf)


def normal_cdf(x: Element) -> Element:
    density = exp(-x * x / 2) * Element.of(1 / math.sqrt(2 * math.pi))
    half = Element.of(0.5)
    centred = odd("normal_cdf", x, density, lambda r: math.erf(r / math.sqrt(2)) / 2)
    return half + centred


def lgamma(x: Element) -> Element:
    slope = digamma(Element(x.value, 0, x.shadow))
    return made(x, anything("lgamma", x.value), slope.value, math.lgamma)


def digamma(x: Element) -> Element:
    return polygamma(x, 0)


def polygamma(x: Element, order: int) -> Element:
    value = anything("polygamma", order, x.value)
    slope = anything("polygamma", order + 1, x.value)
    return made(x, value, slope, lambda r: float(mpmath.psi(order, r)))


def power(x: Element, exponent: Any) -> Element:
    if isinstance(exponent, np.ndarray):
        exponent = exponent[()]
    if isinstance(exponent, Element) and (exponent.tangent or not _known(exponent)):
        return varying_power(x, exponent)
    p = exponent.shadow if isinstance(exponent, Element) else float(exponent)
    whole = math.floor(p)
    rest = Fraction(p).limit_denominator(64) - whole
    if rest == 0:
        found = raised(x, whole)
    elif rest == Fraction(1, 2):
        found = raised(x, whole) * sqrt(x)
    else:
        found = raised(x, whole) * exp(log(x) * Element.of(p - whole))
    shadow = (
        x.shadow**p
        if x.shadow > 0 or (rest == 0 and (x.shadow or p >= 0))
        else math.nan
    )
    return Element(found.value, found.tangent, shadow)


def varying_power(x: Element, y: Element) -> Element:
    """x^y, with x^(y + k) = x^y x^k for small whole k."""
    value = None
    for k in sorted(range(-4, 5), key=abs):
        key = ("power", x.value, (y.value + k) % P)
        if key in others:
            value = others[key] * pow(x.value, -k, P) % P
            break
    if value is None:
        value = anything("power", x.value, y.value)
    by_x = value * y.value * pow(x.value, -1, P)
    tangent = by_x * x.tangent + value * logarithm(x.value) * y.tangent
    try:
        shadow = x.shadow**y.shadow if x.shadow > 0 else math.nan
    except OverflowError:
        shadow = math.inf
    return Element(value, tangent, shadow)


def _known(x: Element) -> bool:
    """Is it a number of the source?"""
    return Element.of(x.shadow).value == x.value


def raised(x: Element, n: int) -> Element:
    if n < 0:
        return raised(x.inverse(), -n)
    found = Element(1, 0, 1.0)
    for bit in bin(n)[2:]:
        found = found * found
        if bit == "1":
            found = found * x
    return found


def rint(x: Element) -> Element:
    return Element.of(round(x.shadow))


def floor(x: Element) -> Element:
    return Element.of(math.floor(x.shadow))


METHODS: dict[str, Callable[..., Element]] = {
    f.__name__: f
    for f in (
        exp, log, expm1, log1p, tanh, sinh, cosh, sin, cos, tan, sqrt,
        arctan, arcsin, arccos, rint, floor,
    )
}  # fmt: skip
METHODS["conjugate"] = lambda x: x

# Functions that an emitted module defines itself, by polynomials: these stand in for them.
HELPERS: dict[str, Callable[..., Any]] = {
    function.__name__: np.vectorize(
        lambda x, *more, function=function: function(Element.of(x), *more), [object]
    )
    for function in (erf, normal_cdf, lgamma, digamma, polygamma)
}


def erf_into(x: Any, out: Any, room: Any) -> None:
    """As -O2 has it: written where it is told."""
    out[...] = HELPERS["erf"](x)


HELPERS["erf_into"] = erf_into
