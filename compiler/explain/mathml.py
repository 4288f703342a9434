"""A formula as MathML: what a browser sets as mathematics without a library.

In: a formula, and which names are adjoints: `d_z2` is set as δ with a subscript. Out: a tree
of lists, `["mfrac", ["mi", "a"], ["mn", "2"]]`: a name, attributes if there are any, and what
stands inside, which JSON keeps as it is. A reader builds elements of it one by one, so text of
a program can never become markup; `markup` prints it, escaped, for a reader that takes text.

    mathml(f, {"d_z2"})    # ["mrow", ["msub", ["mi", "δ"], …], …]
"""

from __future__ import annotations

import re
from collections.abc import Collection
from html import escape
from typing import Any

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

Tree = list[Any]  # [name, {attributes}?, Tree | str, …]
SIGNS = {"<=": "≤", ">=": "≥", "==": "=", "and": "∧", "or": "∨", "-": "−"}
FUNCTIONS = {"sigmoid": "σ"}
TIGHT = {"lspace": "0", "rspace": "0"}


def mathml(f: Formula, adjoints: Collection[str] = ()) -> Tree:
    """The formula as a tree of MathML."""
    return _Printer(adjoints).written(f)[0]


def mathml_name(name: str, adjoints: Collection[str] = ()) -> Tree:
    """`W1` is W with a subscript, `d_z2` the adjoint δ of z2."""
    if name in adjoints and name.startswith("d_"):
        return ["msub", ["mi", "δ"], mathml_name(name[2:])]
    base, *rest = name.rstrip("_").split("_") if name.strip("_") else [name]
    found = re.fullmatch(r"(\D+?)(\d+)", base)
    if found:
        base, rest = found[1], [found[2], *rest]
    if not rest:
        return _letters(base)
    return ["msub", _letters(base), _row(*_separated([_letters(r) for r in rest]))]


def markup(tree: Tree) -> str:
    """The tree as text, escaped."""
    name, *inside = tree
    given = inside.pop(0) if inside and isinstance(inside[0], dict) else {}
    attributes = "".join(f' {k}="{escape(str(v))}"' for k, v in given.items())
    content = "".join(
        escape(part) if isinstance(part, str) else markup(part) for part in inside
    )
    return f"<{name}{attributes}>{content}</{name}>"


def _letters(word: str) -> Tree:
    """A name's part: digits as a number, a Greek word as its letter."""
    if word.isdigit():
        return ["mn", word]
    return ["mi", _GREEK.get(word, word) or "_"]


_GREEK = {word: letter for letter, word in GREEK.items()}


def _row(*parts: Tree) -> Tree:
    return parts[0] if len(parts) == 1 else ["mrow", *parts]


def _sign(text: str, tight: bool = False) -> Tree:
    return ["mo", dict(TIGHT), text] if tight else ["mo", text]


def _bracketed(*inside: Tree, left: str = "(", right: str = ")") -> Tree:
    return ["mrow", _sign(left), *inside, _sign(right)]


def _separated(parts: list[Tree]) -> list[Tree]:
    """With commas between them."""
    made: list[Tree] = []
    for k, part in enumerate(parts):
        made += [_sign(","), part] if k else [part]
    return made


class _Printer:
    def __init__(self, adjoints: Collection[str]) -> None:
        self.adjoints = adjoints

    def written(self, f: Formula) -> tuple[Tree, Binds]:
        """The tree, and how tightly its outermost sign binds."""
        match f:
            case Name():
                return mathml_name(f.text, self.adjoints), Binds.ATOM
            case Number():
                return _number(f)
            case Size():
                return _size(f.text)
            case Minus():
                inner = self.within(f.x, Binds.PRODUCT)
                return _row(_sign("−", tight=True), inner), Binds.SUM
            case Not():
                return _row(_sign("¬"), self.within(f.x, Binds.POWER)), Binds.NOT
            case Transposed():
                above: Tree = ["mi", {"mathvariant": "normal"}, "T"]
                return ["msup", self.within(f.x, Binds.ATOM), above], Binds.POWER
            case Slope():
                name = ["msup", _function(f.function), _sign("′")]
                return _row(name, self.call([f.x])), Binds.ATOM
            case Index():
                return self.index(f), Binds.ATOM
            case Apply():
                return self.apply(f)
            case Binary():
                return self.binary(f)

    def within(self, f: Formula, least: Binds) -> Tree:
        shown, binds = self.written(f)
        return shown if binds >= least else _bracketed(shown)

    def call(self, args: list[Formula]) -> Tree:
        return _bracketed(*_separated([self.written(a)[0] for a in args]))

    def index(self, f: Index) -> Tree:
        parts = [
            ["mtext", p] if isinstance(p, str) else self.written(p)[0] for p in f.parts
        ]
        inside = _bracketed(*_separated(parts), left="[", right="]")
        return _row(self.within(f.x, Binds.ATOM), inside)

    def binary(self, f: Binary) -> tuple[Tree, Binds]:
        binds = BINDS[f.sign]
        match f.sign:
            case "/":
                return [
                    "mfrac",
                    self.written(f.left)[0],
                    self.written(f.right)[0],
                ], Binds.POWER
            case "^":
                base = self.within(f.left, Binds.ATOM)
                return ["msup", base, self.written(f.right)[0]], Binds.POWER
            case "*" | "@":
                return self.product(f), binds
        left = self.within(f.left, Binds.SUM if binds == Binds.COMPARE else binds)
        right = self.within(f.right, Binds(binds + 1))
        return _row(left, _sign(SIGNS.get(f.sign, f.sign)), right), binds

    def product(self, f: Binary) -> Tree:
        """A B, a ⊙ b, 2 x: kinds are kept apart by brackets where they meet."""
        kind = _kind(f)
        left = self.within(f.left, Binds.PRODUCT)
        if isinstance(f.left, Binary) and f.left.sign in "*@":
            loose = kind == "⊙" and _kind(f.left) == " "
            if _kind(f.left) != kind and not loose:
                left = _bracketed(self.written(f.left)[0])
        right = self.within(f.right, Binds.SIGN)
        if isinstance(f.right, Minus) or _is_negative(f.right):
            right = _bracketed(self.written(f.right)[0])
        if kind == "⊙":
            return _row(left, _sign("⊙"), right)
        if right[0] in ("mn", "mfrac"):
            return _row(left, _sign("·"), right)
        return _row(left, ["mspace", {"width": "0.17em"}], right)

    def apply(self, f: Apply) -> tuple[Tree, Binds]:
        name, args = f.function, list(f.args)
        match name:
            case "exp":
                return ["msup", ["mi", "e"], self.written(args[0])[0]], Binds.POWER
            case "sqrt":
                return ["msqrt", self.written(args[0])[0]], Binds.ATOM
            case "abs":
                inside = self.written(args[0])[0]
                return _bracketed(inside, left="|", right="|"), Binds.ATOM
            case "where":
                return self.where(*args)
            case "sum" if ("keep", "true") not in f.options:
                over = _row(*_separated([_size(d)[0] for d in f.over]))
                summed = self.within(args[0], Binds.PRODUCT)
                return _row(["munder", _sign("∑"), over], summed), Binds.SUM
        inside = [self.written(a)[0] for a in args]
        inside += [_row(["mi", k], _sign("="), _option(v)) for k, v in f.options]
        return _row(_function(name), _bracketed(*_separated(inside))), Binds.ATOM

    def where(self, c: Formula, a: Formula, b: Formula) -> tuple[Tree, Binds]:
        """Iverson's brackets where the rest is nothing, cases otherwise."""
        condition = self.written(c)[0]
        if b == Number(0):
            first = self.within(a, Binds.PRODUCT)
            if isinstance(a, Binary) and a.sign in "*@" and _kind(a) == "@":
                first = _bracketed(self.written(a)[0])
            held = _bracketed(condition, left="[", right="]")
            return _row(first, _sign("⊙"), held), Binds.PRODUCT
        rows: list[Tree] = [
            ["mtr", ["mtd", self.written(a)[0]], ["mtd", condition]],
            ["mtr", ["mtd", self.written(b)[0]], ["mtd", ["mtext", "otherwise"]]],
        ]
        return _row(_sign("{"), ["mtable", *rows]), Binds.SUM


def _kind(f: Binary) -> str:
    if f.sign == "@":
        return "@"
    return "⊙" if rank(f.left) > 0 and rank(f.right) > 0 else " "


def _is_negative(f: Formula) -> bool:
    return isinstance(f, Number) and not f.name and f.value < 0


def _function(name: str) -> Tree:
    return ["mi", {"mathvariant": "normal"}, FUNCTIONS.get(name, name)]


def _option(value: str) -> Tree:
    if value.startswith('"'):
        return ["mtext", value.strip('"')]
    if value.startswith("["):
        inside = [_size(v)[0] for v in value[1:-1].split(", ")]
        return _bracketed(*_separated(inside), left="[", right="]")
    return _size(value)[0]


def _number(f: Number) -> tuple[Tree, Binds]:
    if f.name:
        return mathml_name(f.name), Binds.ATOM
    if isinstance(f.value, bool):
        return ["mi", str(f.value).lower()], Binds.ATOM
    if f.value < 0:
        return _row(_sign("−", tight=True), _positive(-f.value)), Binds.SIGN
    shown = _positive(f.value)
    return shown, Binds.PRODUCT if shown[0] == "mrow" else Binds.ATOM


def _positive(value: float) -> Tree:
    if value == float("inf"):
        return ["mi", "∞"]
    digits, power, exponent = repr(value).partition("e")
    if not power:
        return ["mn", digits]
    tens: Tree = ["msup", ["mn", "10"], ["mn", str(int(exponent)).replace("-", "−")]]
    return tens if digits == "1" else _row(["mn", digits], _sign("·"), tens)


def _size(text: str) -> tuple[Tree, Binds]:
    """A polynomial of sizes: `2 * N + width`."""
    parts: list[Tree] = []
    for word in re.findall(r"[^\W\d]\w*|\d+|\S", text):
        if word == "*":
            parts.append(["mspace", {"width": "0.17em"}])
        elif word[0].isalnum() or word[0] == "_":
            parts.append(mathml_name(word) if not word.isdigit() else ["mn", word])
        else:
            parts.append(_sign(SIGNS.get(word, word)))
    shown = _row(*parts) if parts else ["mrow"]
    if " + " in text or " - " in text or text.startswith("-"):
        return shown, Binds.SUM
    return shown, Binds.PRODUCT if " " in text else Binds.ATOM
