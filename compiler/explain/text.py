"""A formula as text, in the notation of the language.

`@` multiplies matrices, `*` entries, `'` transposes, `tanh'(z)` is the slope of tanh at z.
Brackets stand only where they are needed, by the table of `formula.py`.

    text(f)      # (d_z2 @ W2') * sigmoid'(z1)
"""

from __future__ import annotations

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
)

SPACED = frozenset({"+", "-", "*", "/", "@", "<", "<=", ">", ">=", "==", "or", "and"})


def text(f: Formula) -> str:
    """One line."""
    return _written(f)[0]


def _written(f: Formula) -> tuple[str, Binds]:
    match f:
        case Name():
            return f.text, Binds.ATOM
        case Number():
            return _number(f)
        case Size():
            return f.text, _size_binds(f.text)
        case Minus():
            return "-" + within(f.x, Binds.PRODUCT), Binds.SUM
        case Not():
            return "not " + within(f.x, Binds.COMPARE), Binds.NOT
        case Transposed():
            return within(f.x, Binds.ATOM) + "'", Binds.ATOM
        case Slope():
            return f"{f.function}'({text(f.x)})", Binds.ATOM
        case Index():
            parts = ", ".join(p if isinstance(p, str) else text(p) for p in f.parts)
            return f"{within(f.x, Binds.ATOM)}[{parts}]", Binds.ATOM
        case Apply():
            inside = [text(a) for a in f.args]
            inside += [f"{key} = {value}" for key, value in f.options]
            return f"{f.function}({', '.join(inside)})", Binds.ATOM
        case Binary():
            return _binary(f), BINDS[f.sign]


def within(f: Formula, least: Binds) -> str:
    shown, binds = _written(f)
    return shown if binds >= least else f"({shown})"


def _binary(f: Binary) -> str:
    binds = BINDS[f.sign]
    if f.sign == "^":
        right = within(f.right, Binds.POWER)
        return f"{within(f.left, Binds.ATOM)}^{right}"
    left = within(f.left, _left_binds(f))
    right = within(f.right, Binds(binds + 1))
    return f"{left} {f.sign} {right}"


def _left_binds(f: Binary) -> Binds:
    """`a * b * c`, but `(A @ B) * c`: kinds of product are kept apart for the eye."""
    binds = BINDS[f.sign]
    mixed = isinstance(f.left, Binary) and "@" in (f.sign, f.left.sign)
    if binds == Binds.PRODUCT and mixed:
        return Binds.SIGN
    if binds == Binds.COMPARE:
        return Binds.SUM
    return binds


def _number(f: Number) -> tuple[str, Binds]:
    if f.name:
        return f.name, Binds.ATOM
    if isinstance(f.value, bool):
        return ("true" if f.value else "false"), Binds.ATOM
    shown = repr(f.value)
    return shown, Binds.ATOM if f.value >= 0 or f.value != f.value else Binds.SIGN


def _size_binds(shown: str) -> Binds:
    if " + " in shown or " - " in shown or shown.startswith("-"):
        return Binds.SUM
    return Binds.PRODUCT if " " in shown else Binds.ATOM
