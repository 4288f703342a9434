"""Sizes: polynomials over symbolic dims, and the broadcasting rules B1 to B4.

A size in a program is an integer, a constant (``hidden``), a size that the data bind
(``N``), or a polynomial of those (``4 * width``, ``T - 1``, ``H / 2``). ``Dim`` keeps
two polynomials: ``value``, in which constants are replaced by their numbers and which
decides equality, and ``written``, in which they still stand by name and which is what a
person reads. Two dims are equal iff their values have the same normal form.

    >>> N, hidden = Dim.symbol("N"), Dim.constant("hidden", 64)
    >>> str(2 * N + hidden), hidden == Dim.of(64), N == Dim.symbol("n")
    ('2 * N + hidden', True, False)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from gradc.records import record

Monomial = tuple[str, ...]  # sorted symbols; a symbol may repeat: N * N
Coefficient = Fraction | int
JsonDim = int | list[list[object]]


class Poly:
    """A polynomial with rational coefficients in normal form: immutable, hashable."""

    __slots__ = ("_hash", "integer", "terms")

    def __init__(self, terms: Mapping[Monomial, Coefficient]) -> None:
        # whole coefficients as `int`: they are compared and hashed a thousand times
        items = [
            (m, c.numerator if c.denominator == 1 else c) for m, c in terms.items() if c
        ]
        items.sort(key=lambda t: (-len(t[0]), t[0]))
        self.terms = tuple(items)
        self.integer = _integer(self.terms)  # where no symbol is in it
        self._hash = hash(self.terms)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Poly)
            and self._hash == other._hash
            and self.terms == other.terms
        )

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Poly) -> Poly:
        return _sum(self, other)

    def scaled(self, factor: Coefficient) -> Poly:
        return _scaled(self, factor)

    def __mul__(self, other: Poly) -> Poly:
        return _product(self, other)

    def divided(self, other: Poly) -> Poly | None:
        """The exact quotient by a monomial, or by a multiple of self; else None."""
        if not other.terms:
            return None
        if len(other.terms) == 1:
            ((m, c),) = other.terms
            out: dict[Monomial, Fraction] = {}
            for n, d in self.terms:
                rest = list(n)
                for s in m:
                    if s not in rest:
                        return None
                    rest.remove(s)
                out[tuple(rest)] = Fraction(d) / c
            return Poly(out)
        if not self.terms:
            return self
        ratio = Fraction(self.terms[0][1]) / other.terms[0][1]
        return Poly({(): ratio}) if other.scaled(ratio) == self else None

    def symbols(self) -> tuple[str, ...]:
        if self.integer is not None:
            return ()
        return tuple(sorted({s for m, _ in self.terms for s in m}))

    def linear(self, symbol: str) -> tuple[Poly, Poly] | None:
        """`(a, b)` of `a * symbol + b`; None where a power of the symbol is in it."""
        slope: dict[Monomial, Coefficient] = {}
        rest: dict[Monomial, Coefficient] = {}
        for m, c in self.terms:
            if m.count(symbol) > 1:
                return None
            if symbol in m:
                at = m.index(symbol)
                slope[m[:at] + m[at + 1 :]] = c
            else:
                rest[m] = c
        return Poly(slope), Poly(rest)

    def __str__(self) -> str:
        parts: list[str] = []
        for m, c in self.terms:
            sign = "-" if c < 0 else "+"
            top, below = abs(c.numerator), c.denominator
            body = " * ".join(m)
            if top != 1 or not m:
                body = f"{top} * {body}" if m else str(top)
            if below != 1:
                body = f"{body} / {below}"
            if parts:
                parts.append(f" {sign} {body}")
            else:
                parts.append(f"-{body}" if sign == "-" else body)
        return "".join(parts) or "0"


def _integer(terms: tuple[tuple[Monomial, Coefficient], ...]) -> int | None:
    if not terms:
        return 0
    if len(terms) > 1 or terms[0][0]:
        return None
    c = terms[0][1]
    return c.numerator if c.denominator == 1 else None


# A program has few different sizes and asks for the same ones over and over.


@lru_cache(maxsize=4096)
def _sum(a: Poly, b: Poly) -> Poly:
    total = dict(a.terms)
    for m, c in b.terms:
        total[m] = total.get(m, 0) + c
    return Poly(total)


@lru_cache(maxsize=4096)
def _scaled(a: Poly, factor: Coefficient) -> Poly:
    return Poly({m: c * factor for m, c in a.terms})


@lru_cache(maxsize=4096)
def _product(a: Poly, b: Poly) -> Poly:
    total: dict[Monomial, Coefficient] = {}
    for m, c in a.terms:
        for n, d in b.terms:
            key = _cancelled(tuple(sorted(m + n)))
            total[key] = total.get(key, 0) + c * d
    return Poly(total)


def _cancelled(m: Monomial) -> Monomial:
    """`heads * (width / heads)` is `width`: a quotient that was taken is exact."""
    for s in m:
        top, _, below = s.partition(" / ")
        if below in m and top.isidentifier():
            rest = list(m)
            rest.remove(s)
            rest.remove(below)
            return tuple(sorted([*rest, top]))
    return m


class Dim:
    """One size. Equality and hash look at ``value`` (and ``stretch``) alone."""

    __slots__ = ("_hash", "stretch", "value", "written")
    value: Poly
    written: Poly
    stretch: bool
    _hash: int

    def __init__(self, value: Poly, written: Poly, stretch: bool = False) -> None:
        put = object.__setattr__
        put(self, "value", value)
        put(self, "written", written)
        put(self, "stretch", stretch)
        put(self, "_hash", hash((value, stretch)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a size does not change: {name}")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Dim)
            and self.value == other.value
            and self.stretch is other.stretch
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Dim({self.described()})"

    @staticmethod
    def of(number: int) -> Dim:
        return _number(number)

    @staticmethod
    def symbol(name: str) -> Dim:
        poly = Poly({(name,): 1})
        return Dim(poly, poly)

    @staticmethod
    def constant(name: str, number: int) -> Dim:
        return Dim(_number(number).value, Poly({(name,): 1}))

    def __add__(self, other: Dim | int) -> Dim:
        o = as_dim(other)
        return Dim(self.value + o.value, self.written + o.written)

    def __sub__(self, other: Dim | int) -> Dim:
        return self + as_dim(other) * -1

    def __mul__(self, other: Dim | int) -> Dim:
        o = as_dim(other)
        return Dim(self.value * o.value, self.written * o.written)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Dim | int) -> Dim:
        return as_dim(other) - self

    def divided(self, other: Dim | int) -> Dim | None:
        """The quotient, or None where it is not a polynomial (or not whole).

        A quotient such as ``T / 2`` keeps a rational coefficient: whoever asks for it
        has to record a load-time check that 2 divides T.
        """
        o = as_dim(other)
        value = self.value.divided(o.value)
        if value is None or (not value.symbols() and value.integer is None):
            return None
        written = self.written.divided(o.written)
        return Dim(value, value if written is None else written)

    @property
    def integer(self) -> int | None:
        """The number, where no size of the data is in it."""
        return self.value.integer

    @property
    def whole(self) -> bool:
        """False where a coefficient is a fraction: a load-time check is needed."""
        return all(c.denominator == 1 for _, c in self.value.terms)

    def symbols(self) -> tuple[str, ...]:
        """The sizes that the data bind, sorted."""
        return self.value.symbols()

    def same_by_luck(self, other: Dim) -> bool:
        """Equal, but not any more once a constant is overridden."""
        return self == other and self.written != other.written

    def __str__(self) -> str:
        return "*" if self.stretch else str(self.written)

    def described(self) -> str:
        """``hidden=64``: the name and what it stands for; ``784``; ``N``."""
        name = str(self)
        if self.stretch or self.written == self.value:
            return name
        return f"{name}={self.value}"

    def json(self) -> JsonDim:
        """An integer, or monomials ``[numerator, denominator, [symbols]]``."""
        if self.integer is not None:
            return self.integer
        return [[c.numerator, c.denominator, list(m)] for m, c in self.value.terms]


@lru_cache(maxsize=4096)
def _number(number: int) -> Dim:
    poly = Poly({(): number})
    return Dim(poly, poly)


Shape = tuple[Dim, ...]

ONE = Dim.of(1)
STRETCH = Dim(ONE.value, ONE.written, stretch=True)
"""An axis of size 1 that fits any size: made only by ``x[:, *]`` or ``keep = true``.

It is a matter of the language's types: in the DAG it is 1 and a ``broadcast`` node says
what became of it.
"""


def as_dim(value: Dim | int) -> Dim:
    return value if isinstance(value, Dim) else Dim.of(value)


def as_shape(dims: Iterable[Dim | int]) -> Shape:
    return tuple([d if isinstance(d, Dim) else Dim.of(d) for d in dims])


def plain(shape: Sequence[Dim]) -> Shape:
    """The shape in the DAG: stretch axes are 1."""
    return tuple(ONE if d.stretch else d for d in shape)


def size(shape: Sequence[Dim]) -> Dim:
    """The number of elements."""
    total = ONE
    for d in shape:
        if d is not ONE and not d.stretch:
            total = d if total is ONE else total * d
    return total


@record
class Told:
    """Which axis of which shape tells a size, and the sizes that have to be known before."""

    shape: int
    axis: int
    given: tuple[str, ...] = ()


def told(shapes: Sequence[Shape]) -> dict[str, Told]:
    """The sizes that shapes tell, each by one axis, in an order in which they can be found.

    An axis tells a size that stands in it linearly, beside sizes that are known by then:
    `[N, D * N]` tells N and D, `[N * N]` and `[N + D]` tell none. An axis that is a size
    alone comes before one that has to be solved for it.
    """
    found: dict[str, Told] = {}
    for simple in (True, False):
        before = -1
        while len(found) > before:
            before = len(found)
            for k, shape in enumerate(shapes):
                for axis, d in enumerate(shape):
                    symbols = d.symbols()
                    new = [s for s in symbols if s not in found]
                    if len(new) != 1 or (simple and d != Dim.symbol(new[0])):
                        continue
                    if d.value.linear(new[0]) is not None:
                        given = tuple(s for s in symbols if s != new[0])
                        found[new[0]] = Told(k, axis, given)
    return found


def show(shape: Sequence[Dim], described: bool = False) -> str:
    """``[N, hidden]``, as a program writes it (``[N, hidden=64]`` if described)."""
    return "[" + ", ".join(d.described() if described else str(d) for d in shape) + "]"


@record
class Mismatch:
    """Why two shapes do not broadcast: ``reason`` is 'sizes' or 'ambiguous'."""

    reason: str
    axis: int = -1  # counted from the end: -1 is the last axis of the larger shape


def broadcast(a: Shape, b: Shape) -> Shape | Mismatch:
    """The shape of ``a + b`` by the rules B1 to B3, or why there is none.

    B1 a scalar fits everything. B2 the smaller shape is the tail of the larger, and no
    data dim makes that ambiguous (``[N, N] + [N]``). B3 a stretch axis fits any size.
    A real axis of size 1 does not stretch. Compared are names, never equal numbers:
    ``[N, 32, 32, 32] + [32]`` is fine.
    """
    if not a or not b:
        return a or b
    large, small = (a, b) if len(a) >= len(b) else (b, a)
    out = list(large)
    for i in range(1, len(small) + 1):
        p, q = large[-i], small[-i]
        if p.stretch:
            out[-i] = q
        elif q.stretch or p == q:
            out[-i] = p if not p.stretch else q
        else:
            return Mismatch("sizes", -i)
    if len(small) < len(large):
        ambiguous = _ambiguous(large, small)
        if ambiguous is not None:
            return Mismatch("ambiguous", ambiguous)
    return tuple(out)


def _ambiguous(large: Shape, small: Shape) -> int | None:
    """The axis at which a tail with data dims would fit the larger shape elsewhere too.

    A stretch axis is no such place: whoever wrote it left room for just this.
    """
    if not any(d.symbols() for d in small if not d.stretch):
        return None
    n, k = len(large), len(small)
    for start in range(n - k):
        window = large[start : start + k]
        if all(p == q and not p.stretch for p, q in zip(window, small, strict=True)):
            return start - n
    return None
