"""What all printers of formulas share: one walk over the tree, and where brackets stand.

A notation prints the parts: names, numbers, signs. `Printer` walks the tree and puts brackets by
the table of `formula.py`; `Typeset` is the mathematics of the blackboard, with fractions, raised
exponents, A B and a ⊙ b, which LaTeX and MathML have in common.

    class Text(Printer[str]): …
    Text().said(f)
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, Generic, TypeVar

from gradc.records import record

from ..backend.names import GREEK
from .formula import (
    BINDS,
    Apply,
    Binary,
    Binds,
    Formula,
    Index,
    Minus,
    Name,
    Not,
    Number,
    Size,
    Slope,
    Transposed,
    rank,
)

T = TypeVar("T")
Written = tuple[T, Binds]
"""What is printed, and how tightly its outermost sign binds."""


class Printer(ABC, Generic[T]):
    """Prints formulas as `T`."""

    RAISED: ClassVar = Binds.POWER  # a transpose, and what else stands above the line
    NEGATED: ClassVar = Binds.POWER  # what follows a `not` without brackets

    def __init__(self, naming: Naming | None = None) -> None:
        self.naming = naming or Naming()

    def said(self, f: Formula) -> T:
        """The formula, whatever stands around it."""
        return self.written(f)[0]

    def within(self, f: Formula, least: Binds) -> T:
        """The formula beside a sign that binds so tightly."""
        shown, binds = self.written(f)
        return shown if binds >= least else self.bracketed(shown)

    def written(self, f: Formula) -> tuple[T, Binds]:
        match f:
            case Name():
                raised = self.naming.letters(f.text).above
                return self.name(f.text), self.RAISED if raised else Binds.ATOM
            case Number(name=""):
                return self.number(f)
            case Number():
                return self.name(f.name), Binds.ATOM
            case Size():
                return self.size(f.text), size_binds(f.text)
            case Minus():
                return self.minus(self.within(f.x, Binds.PRODUCT)), Binds.SUM
            case Not():
                return self.negated(self.within(f.x, self.NEGATED)), Binds.NOT
            case Transposed():
                return self.transposed(self.within(f.x, Binds.ATOM)), self.RAISED
            case Slope():
                return self.called(self.slope(f.function), [self.said(f.x)]), Binds.ATOM
            case Index():
                return self.index(f)
            case Apply():
                return self.apply(f)
            case Binary():
                return self.binary(f)

    def binary(self, f: Binary) -> tuple[T, Binds]:
        """A sign between its operands; left to right without brackets."""
        binds = BINDS[f.sign]
        left = self.within(f.left, Binds.SUM if binds == Binds.COMPARE else binds)
        return self.between(left, f.sign, self.within(f.right, Binds(binds + 1))), binds

    def apply(self, f: Apply) -> tuple[T, Binds]:
        inside = [self.said(a) for a in f.args]
        inside += [self.option(key, value) for key, value in f.options]
        return self.called(self.function(f.function), inside), Binds.ATOM

    def index(self, f: Index) -> tuple[T, Binds]:
        parts = [self.slice(p) if isinstance(p, str) else self.said(p) for p in f.parts]
        return self.indexed(self.within(f.x, Binds.ATOM), parts), Binds.ATOM

    # ---------------------------------------------------------------- the notation
    @abstractmethod
    def name(self, name: str) -> T:
        """A name of the program, or of an adjoint of it."""

    @abstractmethod
    def number(self, f: Number) -> tuple[T, Binds]:
        """A number without a name."""

    @abstractmethod
    def size(self, text: str) -> T:
        """A polynomial of sizes: `2 * N + width`."""

    @abstractmethod
    def bracketed(self, inner: T) -> T: ...

    @abstractmethod
    def minus(self, inner: T) -> T: ...

    @abstractmethod
    def negated(self, inner: T) -> T: ...

    @abstractmethod
    def transposed(self, inner: T) -> T: ...

    @abstractmethod
    def between(self, left: T, sign: str, right: T) -> T: ...

    @abstractmethod
    def function(self, name: str) -> T: ...

    @abstractmethod
    def slope(self, name: str) -> T:
        """The derivative of a function: `tanh'`."""

    @abstractmethod
    def called(self, function: T, inside: Sequence[T]) -> T: ...

    @abstractmethod
    def option(self, key: str, value: str) -> T:
        """`axis = 0` among the arguments of a function."""

    @abstractmethod
    def indexed(self, x: T, parts: Sequence[T]) -> T: ...

    @abstractmethod
    def slice(self, text: str) -> T:
        """`1:`, `:width`, or `*` for an axis that is added."""


class Typeset(Printer[T]):
    """Mathematics in two dimensions."""

    def binary(self, f: Binary) -> tuple[T, Binds]:
        match f.sign:
            case "/":
                above, below = self.said(f.left), self.said(f.right)
                return self.fraction(above, below), Binds.POWER
            case "^":
                base = self.within(f.left, Binds.ATOM)
                return self.power(base, self.said(f.right)), Binds.POWER
            case "*" | "@":
                return self.product(f), BINDS[f.sign]
        return super().binary(f)

    def product(self, f: Binary) -> T:
        """A B, a ⊙ b, 2 x: kinds are kept apart by brackets where they meet."""
        kind = product_kind(f)
        left = self.within(f.left, Binds.PRODUCT)
        if isinstance(f.left, Binary) and f.left.sign in "*@":
            loose = kind == "⊙" and product_kind(f.left) == " "
            if product_kind(f.left) != kind and not loose:
                left = self.bracketed(self.said(f.left))
        right = self.within(f.right, Binds.SIGN)
        if isinstance(f.right, Number) and not f.right.name and f.right.value < 0:
            right = self.bracketed(right)
        if kind == "⊙":
            return self.times(left, "⊙", right)
        dotted = kind == " " and _needs_dot(f.right)
        return self.times(left, "·" if dotted else " ", right)

    def index(self, f: Index) -> tuple[T, Binds]:
        if f.parts == (":", "*"):  # a column beside itself, as often as needed
            return self.repeated(self.within(f.x, Binds.ATOM)), Binds.PRODUCT
        return super().index(f)

    def apply(self, f: Apply) -> tuple[T, Binds]:
        match f.function:
            case "exp":
                return self.power(self.euler(), self.said(f.args[0])), Binds.POWER
            case "sqrt":
                return self.root(self.said(f.args[0])), Binds.ATOM
            case "abs":
                return self.absolute(self.said(f.args[0])), Binds.ATOM
            case "where":
                return self.where(*f.args)
            case "sum" if f.over and ("keep", "true") not in f.options:
                over = [self.size(d) for d in f.over]
                return self.sum(over, self.within(f.args[0], Binds.PRODUCT)), Binds.SUM
        return super().apply(f)

    def where(self, c: Formula, a: Formula, b: Formula) -> tuple[T, Binds]:
        """Iverson's brackets where the rest is nothing, cases otherwise."""
        if b == Number(0):
            first = self.within(a, Binds.PRODUCT)
            if isinstance(a, Binary) and a.sign in "*@" and product_kind(a) == "@":
                first = self.bracketed(self.said(a))
            sign = "⊙" if rank(a) or rank(c) else " "
            return self.times(first, sign, self.iverson(self.said(c))), Binds.PRODUCT
        return self.cases(self.said(a), self.said(c), self.said(b)), Binds.SUM

    # ---------------------------------------------------------------- the notation
    @abstractmethod
    def fraction(self, above: T, below: T) -> T: ...

    @abstractmethod
    def power(self, base: T, exponent: T) -> T: ...

    @abstractmethod
    def times(self, left: T, sign: str, right: T) -> T:
        """The sign is "⊙" entry by entry, "·" before digits, " " otherwise."""

    @abstractmethod
    def euler(self) -> T:
        """The number e, upright: a variable may have its name."""

    @abstractmethod
    def root(self, inner: T) -> T: ...

    @abstractmethod
    def absolute(self, inner: T) -> T: ...

    @abstractmethod
    def sum(self, over: Sequence[T], inner: T) -> T: ...

    @abstractmethod
    def iverson(self, condition: T) -> T: ...

    @abstractmethod
    def cases(self, first: T, condition: T, second: T) -> T: ...

    @abstractmethod
    def repeated(self, column: T) -> T:
        """A column as often as a matrix beside it has columns: b 1ᵀ."""


def _needs_dot(f: Formula) -> bool:
    """Does it begin with a digit, or is it a fraction? `x 2` and `2 ½` are misread."""
    match f:
        case Binary(sign="/"):
            return True
        case Binary(sign="^"):
            return _needs_dot(f.left)
        case Number():
            return not f.name
        case Size():
            return f.text.isdigit()
    return False


def product_kind(f: Binary) -> str:
    """`@` of matrices, ⊙ entry by entry, a space where a number is among them."""
    if f.sign == "@":
        return "@"
    return "⊙" if rank(f.left) > 0 and rank(f.right) > 0 else " "


# ------------------------------------------------------------------------------ names
LAYER = re.compile(r"[zaWbδ]\d+")


@record
class Letters:
    """A name taken apart: a base, what stands below it, and the layer above it.

    `adjoint`: the whole is below a δ.
    """

    base: str
    below: tuple[str, ...] = ()
    above: str = ""
    adjoint: bool = False


@record
class Naming:
    """What names stand for, so that they are set as one writes them.

    `adjoints` are names of adjoints; with `layers`, z1 is the z of layer 1. The names of
    `apart` would look like others, `h_1` like `h1`, and keep their numbers in brackets.
    """

    adjoints: Collection[str] = ()
    layers: bool = False
    apart: Collection[str] = ()

    def letters(self, name: str) -> Letters:
        """`W1` is W with 1 below it, `h_in` h with in, `d_z2` the adjoint of z2."""
        if name in self.adjoints and name.startswith("d_"):
            own = self.letters(name[2:])
            return Letters(own.base, own.below, own.above, adjoint=True)
        if self.layers and LAYER.fullmatch(name):
            return Letters(name[0], (), name[1:])
        base, *below = name.rstrip("_").split("_") if name.strip("_") else [name]
        if name in self.apart:
            below = [f"[{part}]" if part.isdigit() else part for part in below]
            below += ["_"] * (len(name) - len(name.rstrip("_")))
        found = re.fullmatch(r"(\D+?)(\d+)", base)
        if found:
            base, below = found[1], [found[2], *below]
        return Letters(base, tuple(below))


def naming_of(
    names: Iterable[str], adjoints: Collection[str] = (), layers: bool = False
) -> Naming:
    """How some names are told apart."""
    plain = Naming(adjoints, layers)
    alike: dict[Letters, list[str]] = {}
    for name in dict.fromkeys(names):
        if name not in adjoints:  # these follow the name below the δ
            alike.setdefault(plain.letters(name), []).append(name)
    apart = [
        name
        for same in alike.values()
        for name in sorted(same, key=lambda n: (n.count("_"), n))[1:]
    ]
    return Naming(adjoints, layers, frozenset(apart))


def greek(word: str) -> str:
    """The name of a Greek letter, which is given by name or as itself; "" for others."""
    word = GREEK.get(word, word)
    return word if word in GREEK.values() else ""


# ---------------------------------------------------------------------------- numbers
def digits_and_power(value: float) -> tuple[str, str]:
    """`2e-05` is ("2", "-5"); what has no exponent is ("0.1", "")."""
    head, _, power = repr(value).partition("e")
    return head, str(int(power)) if power else ""


def size_binds(text: str) -> Binds:
    if " + " in text or " - " in text or text.startswith("-"):
        return Binds.SUM
    return Binds.PRODUCT if " " in text else Binds.ATOM
