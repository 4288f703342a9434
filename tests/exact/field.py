"""Numbers of GF(2^61 - 1) that NumPy's object arrays take for reals.

An `Element` is a value of the field, a tangent, and the real number that it stands for, its
shadow, which decides comparisons and nothing else. Sums, products and quotients are exact, so
two ways to compute the same polynomial agree to the last bit, whatever their order, and two
different ones agree with probability 2^-55 or so (Schwartz, Zippel). Functions that are no
polynomials are in `oracles.py`.

    x = Element(3, tangent=1, shadow=0.5)
    (1 / (1 + x)).tangent             # -1 / 16 in the field
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

P = 2**61 - 1
SQRT_2 = 2**31  # its square is 2^62 = 2
SQRT_PI = 1_618_033_988_749_894_848 % P  # stands for √π: nothing else is known of it
TWICE = 2**12  # denominators up to here come from sizes


class Element:
    """See above. Everything else that NumPy asks of a scalar goes to a 0-d array."""

    __slots__ = ("shadow", "tangent", "value")

    def __init__(self, value: int, tangent: int = 0, shadow: float = 0.0) -> None:
        self.value = value % P
        self.tangent = tangent % P
        self.shadow = shadow

    @staticmethod
    def of(x: Any) -> Element:
        """What a number of the source, or of NumPy, stands for."""
        if isinstance(x, Element):
            return x
        if isinstance(x, np.ndarray):
            x = x[()]
            if isinstance(x, Element):
                return x
        if isinstance(x, bool | np.bool_ | int | np.integer):
            return Element(int(x), 0, float(x))
        x = float(x)
        if not math.isfinite(x):
            return Element(0, 0, x)
        return Element(constant(x), 0, x)

    # ------------------------------------------------------------------- arithmetic
    def __add__(self, other: Any) -> Element:
        if not isinstance(other, Element):
            if isinstance(other, np.ndarray):
                return NotImplemented
            other = Element.of(other)
        return Element(
            self.value + other.value,
            self.tangent + other.tangent,
            self.shadow + other.shadow,
        )

    __radd__ = __add__

    def __sub__(self, other: Any) -> Element:
        if not isinstance(other, Element):
            if isinstance(other, np.ndarray):
                return NotImplemented
            other = Element.of(other)
        return Element(
            self.value - other.value,
            self.tangent - other.tangent,
            self.shadow - other.shadow,
        )

    def __rsub__(self, other: Any) -> Element:
        return Element.of(other) - self

    def __mul__(self, other: Any) -> Element:
        if not isinstance(other, Element):
            if isinstance(other, np.ndarray):
                return NotImplemented
            other = Element.of(other)
        a, b = self, other
        return Element(
            a.value * b.value,
            a.tangent * b.value + a.value * b.tangent,
            a.shadow * b.shadow,
        )

    __rmul__ = __mul__

    def inverse(self) -> Element:
        if self.value == 0:
            return Element(0, 0, math.copysign(math.inf, self.shadow))
        i = pow(self.value, -1, P)
        shadow = 1 / self.shadow if self.shadow else math.inf
        return Element(i, -self.tangent * i * i, shadow)

    def __truediv__(self, other: Any) -> Element:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self * Element.of(other).inverse()

    def __rtruediv__(self, other: Any) -> Element:
        return Element.of(other) * self.inverse()

    def __neg__(self) -> Element:
        return Element(-self.value, -self.tangent, -self.shadow)

    def __pos__(self) -> Element:
        return self

    def __abs__(self) -> Element:
        return -self if self.shadow < 0 else self

    def __floor__(self) -> Element:
        return Element.of(math.floor(self.shadow))

    # ------------------------------------------------------------------- comparison
    def __eq__(self, other: object) -> Any:
        return np.bool_(self.shadow == Element.of(other).shadow)

    def __ne__(self, other: object) -> Any:
        return np.bool_(self.shadow != Element.of(other).shadow)

    def __lt__(self, other: Any) -> Any:
        return np.bool_(self.shadow < Element.of(other).shadow)

    def __le__(self, other: Any) -> Any:
        return np.bool_(self.shadow <= Element.of(other).shadow)

    def __gt__(self, other: Any) -> Any:
        return np.bool_(self.shadow > Element.of(other).shadow)

    def __ge__(self, other: Any) -> Any:
        return np.bool_(self.shadow >= Element.of(other).shadow)

    def __hash__(self) -> int:
        return hash(self.shadow)

    def __bool__(self) -> bool:
        return self.shadow != 0

    def __float__(self) -> float:
        return self.shadow

    def __repr__(self) -> str:
        return f"<{self.value} for {self.shadow:.3g}>"

    def __getattr__(self, name: str) -> Any:
        if name in SCALAR:
            cell = np.empty((), object)
            cell[()] = self
            return getattr(cell, name)
        from . import oracles

        function = oracles.METHODS.get(name)
        if function is None:
            raise AttributeError(name)
        return lambda *more: function(self, *more)

    def __pow__(self, exponent: Any) -> Element:
        from . import oracles

        return oracles.power(self, exponent)

    def __rpow__(self, base: Any) -> Element:
        from . import oracles

        return oracles.power(Element.of(base), self)


SCALAR = frozenset(
    "shape dtype size ndim T sum mean max min reshape transpose copy ravel swapaxes "
    "astype item any all flat".split()
)


# ------------------------------------------------------------------- numbers of a source
@cache
def constant(x: float) -> int:
    """The element that a float stands for: the rational, or that times roots of 2 and π.

    `1 / N` arrives as a rounded float, and `3 * 0.044715` as another: both are read as the
    numbers that they were before they were rounded, so that a folded constant is still equal
    to what it was folded from. Anything else is the binary fraction that it is.
    """
    for twos in range(2):
        for pis in sorted(range(-4, 5), key=abs):
            root = 2 ** (twos / 2) * math.pi ** (pis / 2)
            found = rational(x / root, 4 if twos or pis else 2)
            if found is not None:
                roots = pow(SQRT_2, twos, P) * pow(SQRT_PI, pis, P)
                return found.numerator * pow(found.denominator, -1, P) * roots % P
    square = rational(x * x, 4)
    if square is not None and square > 0:  # √(c / heads)
        return sign(x) * root_of(square) % P
    n, d = x.as_integer_ratio()
    return n * pow(d, -1, P) % P


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


def rational(x: float, ulps: int) -> Fraction | None:
    """The one of a small denominator, or of few digits, that is within rounding of x."""
    for found in (
        Fraction(x).limit_denominator(TWICE),
        Fraction(f"{x:.9g}"),
        Fraction(x).limit_denominator(10**6),
    ):
        if abs(found - Fraction(x)) <= ulps * Fraction(math.ulp(x)):
            return found
    return None


@cache
def root_of(square: Fraction) -> int:
    """√(n/d) as √(n d) / d, a product of roots of primes; those that have none get one."""
    n = square.numerator * square.denominator
    found, prime = pow(square.denominator, -1, P), 2
    while n > 1:
        power = 0
        while n % prime == 0:
            n, power = n // prime, power + 1
        found = found * pow(prime, power // 2, P) % P
        if power % 2:
            found = found * square_root(prime) % P
        prime = prime + 1 if prime * prime <= n or n == 1 else max(prime + 1, n)
    return found


def is_square(value: int) -> bool:
    return value == 0 or pow(value, (P - 1) // 2, P) == 1


def square_root(value: int) -> int:
    """A root, the one that is a square itself; of a non-square: that of its negative, which
    is a stand-in whose square is not the value."""
    return pow(value if is_square(value) else -value, (P + 1) // 4, P)
