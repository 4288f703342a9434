r"""A formula as LaTeX, by the commands that every renderer of mathematics knows.

In: a formula, and which names are adjoints: `d_z2` is printed as \delta_{z_2}. Out: one
line without dollar signs.

    latex(f, {"d_z2"})     # \delta_{z_{2}} \, W_{2}^{\top} \odot \sigma'\left(z_{1}\right)
"""

from __future__ import annotations

import re
from collections.abc import Collection

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

SIGNS = {
    "+": "+",
    "-": "-",
    "<": "<",
    "<=": r"\le",
    ">": ">",
    ">=": r"\ge",
    "==": "=",
    "and": r"\land",
    "or": r"\lor",
}
FUNCTIONS = {
    "sigmoid": r"\sigma",
    "sin": r"\sin",
    "cos": r"\cos",
    "tan": r"\tan",
    "sinh": r"\sinh",
    "cosh": r"\cosh",
    "tanh": r"\tanh",
    "log": r"\log",
    "exp": r"\exp",
    "max": r"\max",
    "min": r"\min",
    "arctan": r"\arctan",
    "arcsin": r"\arcsin",
    "arccos": r"\arccos",
}
LETTERS = frozenset(GREEK.values())
LAYER = re.compile(r"[zaWbδ]\d+")


def latex(f: Formula, adjoints: Collection[str] = (), layers: bool = False) -> str:
    """One line of mathematics. `layers`: z1 is the z of layer 1, z^{(1)}."""
    return _Printer(adjoints, layers).written(f)[0]


def latex_name(name: str, adjoints: Collection[str] = (), layers: bool = False) -> str:
    """`W1` is W_{1}, `d_z2` the adjoint \\delta_{z_{2}}, `loss` upright."""
    if name in adjoints and name.startswith("d_"):
        return rf"\delta_{{{latex_name(name[2:], (), layers)}}}"
    if layers and LAYER.fullmatch(name):
        return f"{_letters(name[0])}^{{({name[1:]})}}"
    base, *rest = name.rstrip("_").split("_") if name.strip("_") else [name]
    found = re.fullmatch(r"(\D+?)(\d+)", base)
    if found:
        base, rest = found[1], [found[2], *rest]
    shown = _letters(base)
    return f"{shown}_{{{','.join(_letters(r) for r in rest)}}}" if rest else shown


def _letters(word: str) -> str:
    if word in GREEK:
        word = GREEK[word]
    if word in LETTERS:
        return f"\\{word}"
    if len(word) <= 1 or word.isdigit():
        return word or r"\_"
    return rf"\mathrm{{{word}}}"


def latex_text(text: str) -> str:
    """Plain words in a text command."""
    return re.sub(r"([_&%$#{}])", r"\\\1", text)


class _Printer:
    def __init__(self, adjoints: Collection[str], layers: bool) -> None:
        self.adjoints, self.layers = adjoints, layers

    def written(self, f: Formula) -> tuple[str, Binds]:
        match f:
            case Name():
                shown = latex_name(f.text, self.adjoints, self.layers)
                raised = self.layers and LAYER.fullmatch(f.text)
                return shown, Binds.POWER if raised else Binds.ATOM
            case Number():
                return _number(f)
            case Size():
                return _size(f.text)
            case Minus():
                return "-" + self.within(f.x, Binds.PRODUCT), Binds.SUM
            case Not():
                return r"\lnot " + self.within(f.x, Binds.POWER), Binds.NOT
            case Transposed():
                return self.within(f.x, Binds.ATOM) + r"^{\top}", Binds.POWER
            case Slope():
                name = FUNCTIONS.get(f.function) or _operator(f.function)
                return f"{name}'{self.call([f.x])}", Binds.ATOM
            case Index():
                parts = r",\, ".join(
                    p if isinstance(p, str) else self.written(p)[0] for p in f.parts
                )
                x = self.within(f.x, Binds.ATOM)
                if f.parts == (":", "*"):  # a column beside itself, as often as needed
                    return rf"{x} \, \mathbf{{1}}^{{\top}}", Binds.PRODUCT
                return rf"{x}\left[{parts}\right]", Binds.ATOM
            case Apply():
                return self.apply(f)
            case Binary():
                return self.binary(f)

    def within(self, f: Formula, least: Binds) -> str:
        shown, binds = self.written(f)
        return shown if binds >= least else rf"\left({shown}\right)"

    def call(self, args: list[Formula]) -> str:
        inside = r",\, ".join(self.written(a)[0] for a in args)
        return rf"\left({inside}\right)"

    def binary(self, f: Binary) -> tuple[str, Binds]:
        binds = BINDS[f.sign]
        match f.sign:
            case "/":
                top, bottom = self.written(f.left)[0], self.written(f.right)[0]
                return rf"\frac{{{top}}}{{{bottom}}}", Binds.POWER
            case "^":
                base = self.within(f.left, Binds.ATOM)
                return f"{base}^{{{self.written(f.right)[0]}}}", Binds.POWER
            case "*" | "@":
                return self.product(f), binds
        left = self.within(f.left, Binds.SUM if binds == Binds.COMPARE else binds)
        right = self.within(f.right, Binds(binds + 1))
        return f"{left} {SIGNS[f.sign]} {right}", binds

    def product(self, f: Binary) -> str:
        """`A B`, `a \\odot b`, `2 x`: kinds are kept apart by brackets where they meet."""
        wide = f.sign == "*" and rank(f.left) > 0 and rank(f.right) > 0
        kind = "@" if f.sign == "@" else ("odot" if wide else "scalar")
        left = self.within(f.left, Binds.PRODUCT)
        if isinstance(f.left, Binary) and f.left.sign in "*@" and _kind(f.left) != kind:
            loose = kind == "odot" and _kind(f.left) == "scalar"
            if not loose:
                left = rf"\left({self.written(f.left)[0]}\right)"
        right = self.within(f.right, Binds.SIGN)
        if right.startswith("-"):
            right = rf"\left({right}\right)"
        if wide:
            return rf"{left} \odot {right}"
        if right[0].isdigit() or right.startswith(r"\frac{"):
            return rf"{left} \cdot {right}"
        return rf"{left} \, {right}"

    def apply(self, f: Apply) -> tuple[str, Binds]:
        name, args = f.function, list(f.args)
        match name:
            case "exp":
                return f"e^{{{self.written(args[0])[0]}}}", Binds.POWER
            case "sqrt":
                return rf"\sqrt{{{self.written(args[0])[0]}}}", Binds.ATOM
            case "abs":
                return rf"\left|{self.written(args[0])[0]}\right|", Binds.ATOM
            case "where":
                return self.where(*args)
            case "sum" if not _kept(f):
                over = r",\, ".join(_size(d)[0] for d in f.over)
                summed = self.within(args[0], Binds.PRODUCT)
                return rf"\sum_{{{over}}} {summed}", Binds.SUM
        shown = FUNCTIONS.get(name) or _operator(name)
        inside = [self.written(a)[0] for a in args]
        inside += [rf"\mathrm{{{k}}} = {_option(v)}" for k, v in f.options]
        return rf"{shown}\left({_joined(inside)}\right)", (Binds.ATOM)

    def where(self, c: Formula, a: Formula, b: Formula) -> tuple[str, Binds]:
        """Iverson's brackets where the rest is nothing, cases otherwise."""
        condition = self.written(c)[0]
        if b == Number(0):
            first = self.within(a, Binds.PRODUCT)
            sign = r"\odot" if rank(a) or rank(c) else r"\,"
            if isinstance(a, Binary) and a.sign in "*@" and _kind(a) == "@":
                first = rf"\left({first}\right)"
            return rf"{first} {sign} \left[{condition}\right]", Binds.PRODUCT
        first, second = self.written(a)[0], self.written(b)[0]
        return (
            rf"\begin{{cases}} {first} & {condition} \\ {second} & \text{{otherwise}} "
            r"\end{cases}"
        ), Binds.SUM


def _joined(parts: list[str]) -> str:
    return r",\, ".join(parts)


def _kept(f: Apply) -> bool:
    return ("keep", "true") in f.options


def _kind(f: Binary) -> str:
    if f.sign == "@":
        return "@"
    return "odot" if rank(f.left) > 0 and rank(f.right) > 0 else "scalar"


def _operator(name: str) -> str:
    return rf"\operatorname{{{latex_text(name)}}}"


def _option(value: str) -> str:
    if value.startswith('"'):
        return rf"\text{{{latex_text(value.strip(chr(34)))}}}"
    if value in ("true", "false"):
        return rf"\mathrm{{{value}}}"
    if value.startswith("["):
        inside = [_size(v)[0] for v in value[1:-1].split(", ")]
        return rf"\left[{_joined(inside)}\right]"
    return _size(value)[0]


def _number(f: Number) -> tuple[str, Binds]:
    if f.name:
        return latex_name(f.name), Binds.ATOM
    if isinstance(f.value, bool):
        return rf"\mathrm{{{str(f.value).lower()}}}", Binds.ATOM
    if f.value in (float("inf"), float("-inf")):
        sign = "-" if f.value < 0 else ""
        return rf"{sign}\infty", Binds.SIGN if sign else Binds.ATOM
    shown = repr(f.value)
    if "e" in shown:
        digits, _, power = shown.partition("e")
        head = "" if digits == "1" else rf"{digits} \cdot "
        tens = rf"{head}10^{{{int(power)}}}"
        return tens, Binds.PRODUCT if head else Binds.POWER
    if f.value != f.value:
        return r"\mathrm{nan}", Binds.ATOM
    return shown, Binds.ATOM if f.value >= 0 else Binds.SIGN


def _size(text: str) -> tuple[str, Binds]:
    """A polynomial of sizes: `2 * N + width`."""
    shown = re.sub(r"[^\W\d]\w*", lambda m: latex_name(m[0]), text)
    shown = shown.replace(" * ", r" \, ")
    if " + " in text or " - " in text or text.startswith("-"):
        return shown, Binds.SUM
    return shown, Binds.PRODUCT if " " in text else Binds.ATOM
