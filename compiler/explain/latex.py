r"""A formula as LaTeX, by the commands that every renderer of mathematics knows.

In: a formula, and which names are adjoints: `d_z2` is printed as \delta_{z_2}. Out: one
line without dollar signs.

    latex(f, Naming({"d_z2"}))     # \delta_{z_{2}} \, W_{2}^{\top} \odot \sigma'\left(z_{1}\right)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .formula import Binds, Formula, Number
from .printing import Naming, Typeset, digits_and_power, greek

SIGNS = {"<=": r"\le", ">=": r"\ge", "==": "=", "and": r"\land", "or": r"\lor"}
TIMES = {"⊙": r"\odot", "·": r"\cdot", " ": r"\,"}
KNOWN = {
    "sigmoid": r"\sigma",
    **{
        name: rf"\{name}"
        for name in (
            "sin cos tan sinh cosh tanh log max min arctan arcsin arccos".split()
        )
    },
}


def latex(f: Formula, naming: Naming | None = None) -> str:
    """One line of mathematics."""
    return Latex(naming).said(f)


def latex_name(name: str, naming: Naming | None = None) -> str:
    """`W1` is W_{1}, `d_z2` the adjoint \\delta_{z_{2}}, `loss` upright."""
    return Latex(naming).name(name)


def latex_text(text: str) -> str:
    """Plain words in a text command."""
    return re.sub(r"([_&%$#{}])", r"\\\1", text)


def _word(word: str) -> str:
    if greek(word):
        return rf"\{greek(word)}"
    if len(word) <= 1 or word.isdigit():
        return r"\_" if word in ("", "_") else word
    if word.startswith("["):
        return word
    return rf"\mathrm{{{word}}}"


class Latex(Typeset[str]):
    """Commands and braces."""

    def name(self, name: str) -> str:
        parts = self.naming.letters(name)
        shown = _word(parts.base)
        if parts.below:
            shown += f"_{{{','.join(_word(w) for w in parts.below)}}}"
        if parts.above:
            shown += f"^{{({parts.above})}}"
        return rf"\delta_{{{shown}}}" if parts.adjoint else shown

    def number(self, f: Number) -> tuple[str, Binds]:
        if isinstance(f.value, bool):
            return rf"\mathrm{{{str(f.value).lower()}}}", Binds.ATOM
        if f.value != f.value:
            return r"\mathrm{nan}", Binds.ATOM
        negative = f.value < 0
        if f.value in (float("inf"), float("-inf")):
            return (r"-\infty", Binds.SIGN) if negative else (r"\infty", Binds.ATOM)
        head, power = digits_and_power(f.value)
        if not power:
            return head, Binds.SIGN if negative else Binds.ATOM
        tens = f"10^{{{power}}}"
        if head == "1":
            return tens, Binds.POWER
        return rf"{head} \cdot {tens}", Binds.PRODUCT

    def size(self, text: str) -> str:
        shown = re.sub(r"[^\W\d]\w*", lambda m: self.name(m[0]), text)
        return shown.replace(" * ", r" \, ")

    def bracketed(self, inner: str) -> str:
        return rf"\left({inner}\right)"

    def minus(self, inner: str) -> str:
        return f"-{inner}"

    def negated(self, inner: str) -> str:
        return rf"\lnot {inner}"

    def transposed(self, inner: str) -> str:
        return rf"{inner}^{{\top}}"

    def between(self, left: str, sign: str, right: str) -> str:
        return f"{left} {SIGNS.get(sign, sign)} {right}"

    def function(self, name: str) -> str:
        return KNOWN.get(name) or rf"\operatorname{{{latex_text(name)}}}"

    def slope(self, name: str) -> str:
        return f"{self.function(name)}'"

    def called(self, function: str, inside: Sequence[str]) -> str:
        return rf"{function}\left({_joined(inside)}\right)"

    def option(self, key: str, value: str) -> str:
        return rf"\mathrm{{{latex_text(key)}}} = {self._value(value)}"

    def _value(self, value: str) -> str:
        if value.startswith('"'):
            return rf"\text{{{latex_text(value.strip(chr(34)))}}}"
        if value in ("true", "false"):
            return rf"\mathrm{{{value}}}"
        if value.startswith("["):
            inside = [self.size(v) for v in value[1:-1].split(", ")]
            return rf"\left[{_joined(inside)}\right]"
        return self.size(value)

    def indexed(self, x: str, parts: Sequence[str]) -> str:
        return rf"{x}\left[{_joined(parts)}\right]"

    def slice(self, text: str) -> str:
        return text if text == "*" else ":".join(self.size(p) for p in text.split(":"))

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def times(self, left: str, sign: str, right: str) -> str:
        return f"{left} {TIMES[sign]} {right}"

    def euler(self) -> str:
        return r"\mathrm{e}"

    def root(self, inner: str) -> str:
        return rf"\sqrt{{{inner}}}"

    def absolute(self, inner: str) -> str:
        return rf"\left|{inner}\right|"

    def sum(self, over: Sequence[str], inner: str) -> str:
        return rf"\sum_{{{_joined(over)}}} {inner}"

    def iverson(self, condition: str) -> str:
        return rf"\left[{condition}\right]"

    def cases(self, first: str, condition: str, second: str) -> str:
        return (
            rf"\begin{{cases}} {first} & {condition} \\ {second} & \text{{otherwise}} "
            r"\end{cases}"
        )

    def repeated(self, column: str) -> str:
        return rf"{column} \, \mathbf{{1}}^{{\top}}"


def _joined(parts: Sequence[str]) -> str:
    return r",\, ".join(parts)
