"""A formula as MathML: what a browser sets as mathematics without a library.

In: a formula, and which names are adjoints: `d_z2` is set as δ with a subscript. Out: a tree
of lists, `["mfrac", ["mi", "a"], ["mn", "2"]]`: a name, attributes if there are any, and what
stands inside, which JSON keeps as it is. A reader builds elements of it one by one, so text of
a program can never become markup.

    mathml(f, Naming({"d_z2"}))    # ["mrow", ["msub", ["mi", "δ"], …], …]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..backend.names import GREEK
from .formula import Binds, Formula, Number
from .printing import Naming, Typeset, digits_and_power, greek

Tree = list[Any]  # [name, {attributes}?, Tree | str, …]
SIGNS = {"<=": "≤", ">=": "≥", "==": "=", "and": "∧", "or": "∨", "-": "−"}
FUNCTIONS = {"sigmoid": "σ"}
UPRIGHT = {"mathvariant": "normal"}
THIN = ["mspace", {"width": "0.17em"}]


def mathml(f: Formula, naming: Naming | None = None) -> Tree:
    """The formula as a tree of MathML."""
    return MathML(naming).said(f)


def mathml_name(name: str, naming: Naming | None = None) -> Tree:
    """`W1` is W with a subscript, `d_z2` the adjoint δ of z2."""
    return MathML(naming).name(name)


def _word(word: str) -> Tree:
    """A name's part: digits as a number, a Greek word as its letter."""
    if word.isdigit():
        return ["mn", word]
    return ["mi", _LETTERS.get(greek(word), word) or "_"]


_LETTERS = {word: letter for letter, word in GREEK.items()}


def _row(*parts: Tree) -> Tree:
    return parts[0] if len(parts) == 1 else ["mrow", *parts]


def _sign(text: str, tight: bool = False) -> Tree:
    return ["mo", {"lspace": "0", "rspace": "0"}, text] if tight else ["mo", text]


def _enclosed(left: str, inner: Tree, right: str) -> Tree:
    return ["mrow", _sign(left), inner, _sign(right)]


def _separated(parts: Sequence[Tree]) -> list[Tree]:
    """With commas between them."""
    made: list[Tree] = []
    for k, part in enumerate(parts):
        made += [_sign(","), part] if k else [part]
    return made


class MathML(Typeset[Tree]):
    """Elements of MathML."""

    def name(self, name: str) -> Tree:
        parts = self.naming.letters(name)
        shown = _word(parts.base)
        below = _row(*_separated([_word(w) for w in parts.below]))
        above = _enclosed("(", _word(parts.above), ")")
        match bool(parts.below), bool(parts.above):
            case True, True:
                shown = ["msubsup", shown, below, above]
            case True, False:
                shown = ["msub", shown, below]
            case False, True:
                shown = ["msup", shown, above]
        return ["msub", ["mi", "δ"], shown] if parts.adjoint else shown

    def number(self, f: Number) -> tuple[Tree, Binds]:
        if isinstance(f.value, bool):
            return ["mi", str(f.value).lower()], Binds.ATOM
        if f.value < 0:
            shown, _ = self.number(Number(-f.value))
            return _row(_sign("−", tight=True), shown), Binds.SIGN
        if f.value == float("inf"):
            return ["mi", "∞"], Binds.ATOM
        head, power = digits_and_power(f.value)
        if not power:
            return ["mn", head], Binds.ATOM
        tens: Tree = ["msup", ["mn", "10"], ["mn", power.replace("-", "−")]]
        if head == "1":
            return tens, Binds.POWER
        return _row(["mn", head], _sign("·"), tens), Binds.PRODUCT

    def size(self, text: str) -> Tree:
        parts: list[Tree] = []
        for word in re.findall(r"[^\W\d]\w*|\d+|\S", text):
            if word == "*":
                parts.append(THIN)
            elif word[0].isalnum() or word[0] == "_":
                parts.append(self.name(word))
            else:
                parts.append(_sign(SIGNS.get(word, word)))
        return _row(*parts)

    def bracketed(self, inner: Tree) -> Tree:
        return _enclosed("(", inner, ")")

    def minus(self, inner: Tree) -> Tree:
        return _row(_sign("−", tight=True), inner)

    def negated(self, inner: Tree) -> Tree:
        return _row(_sign("¬"), inner)

    def transposed(self, inner: Tree) -> Tree:
        return ["msup", inner, ["mi", UPRIGHT, "T"]]

    def between(self, left: Tree, sign: str, right: Tree) -> Tree:
        return _row(left, _sign(SIGNS.get(sign, sign)), right)

    def function(self, name: str) -> Tree:
        return ["mi", UPRIGHT, FUNCTIONS.get(name, name)]

    def slope(self, name: str) -> Tree:
        return ["msup", self.function(name), _sign("′")]

    def called(self, function: Tree, inside: Sequence[Tree]) -> Tree:
        return _row(function, ["mrow", _sign("("), *_separated(inside), _sign(")")])

    def option(self, key: str, value: str) -> Tree:
        return _row(["mi", key], _sign("="), self._value(value))

    def _value(self, value: str) -> Tree:
        if value.startswith('"'):
            return ["mtext", value.strip('"')]
        if value.startswith("["):
            inside = [self.size(v) for v in value[1:-1].split(", ")]
            return ["mrow", _sign("["), *_separated(inside), _sign("]")]
        return self.size(value)

    def indexed(self, x: Tree, parts: Sequence[Tree]) -> Tree:
        return _row(x, ["mrow", _sign("["), *_separated(parts), _sign("]")])

    def slice(self, text: str) -> Tree:
        return ["mtext", text]

    def fraction(self, above: Tree, below: Tree) -> Tree:
        return ["mfrac", above, below]

    def power(self, base: Tree, exponent: Tree) -> Tree:
        return ["msup", base, exponent]

    def times(self, left: Tree, sign: str, right: Tree) -> Tree:
        return _row(left, THIN if sign == " " else _sign(sign), right)

    def euler(self) -> Tree:
        return ["mi", UPRIGHT, "e"]

    def root(self, inner: Tree) -> Tree:
        return ["msqrt", inner]

    def absolute(self, inner: Tree) -> Tree:
        return _enclosed("|", inner, "|")

    def sum(self, over: Sequence[Tree], inner: Tree) -> Tree:
        return _row(["munder", _sign("∑"), _row(*_separated(over))], inner)

    def iverson(self, condition: Tree) -> Tree:
        return _enclosed("[", condition, "]")

    def cases(self, first: Tree, condition: Tree, second: Tree) -> Tree:
        rows: list[Tree] = [
            ["mtr", ["mtd", first], ["mtd", condition]],
            ["mtr", ["mtd", second], ["mtd", ["mtext", "otherwise"]]],
        ]
        return _row(_sign("{"), ["mtable", *rows])

    def repeated(self, column: Tree) -> Tree:
        ones = ["msup", ["mn", {"mathvariant": "bold"}, "1"], ["mi", UPRIGHT, "T"]]
        return _row(column, THIN, ones)
