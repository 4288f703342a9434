"""A formula as text, in the notation of the language.

`@` multiplies matrices, `*` entries, `'` transposes, `tanh'(z)` is the slope of tanh at z.

    text(f)      # (d_z2 @ W2') * sigmoid'(z1)
"""

from __future__ import annotations

from collections.abc import Sequence

from .formula import BINDS, Binary, Binds, Formula, Number
from .printing import Printer


def text(f: Formula) -> str:
    """One line."""
    return _TEXT.said(f)


class Text(Printer[str]):
    """The language's own notation."""

    RAISED = Binds.ATOM
    NEGATED = Binds.COMPARE

    def binary(self, f: Binary) -> tuple[str, Binds]:
        """`a * b * c`, but `(A @ B) * c`: kinds of product are kept apart for the eye."""
        binds = BINDS[f.sign]
        if f.sign == "^":
            right = self.within(f.right, Binds.POWER)
            return f"{self.within(f.left, Binds.ATOM)}^{right}", binds
        mixed = isinstance(f.left, Binary) and "@" in (f.sign, f.left.sign)
        if binds == Binds.PRODUCT and mixed:
            left = self.within(f.left, Binds.SIGN)
            return f"{left} {f.sign} {self.within(f.right, Binds.SIGN)}", binds
        return super().binary(f)

    def name(self, name: str) -> str:
        return name

    def number(self, f: Number) -> tuple[str, Binds]:
        if isinstance(f.value, bool):
            return str(f.value).lower(), Binds.ATOM
        return repr(f.value), Binds.SIGN if f.value < 0 else Binds.ATOM

    def size(self, text: str) -> str:
        return text

    def bracketed(self, inner: str) -> str:
        return f"({inner})"

    def minus(self, inner: str) -> str:
        return f"-{inner}"

    def negated(self, inner: str) -> str:
        return f"not {inner}"

    def transposed(self, inner: str) -> str:
        return f"{inner}'"

    def between(self, left: str, sign: str, right: str) -> str:
        return f"{left} {sign} {right}"

    def function(self, name: str) -> str:
        return name

    def slope(self, name: str) -> str:
        return f"{name}'"

    def called(self, function: str, inside: Sequence[str]) -> str:
        return f"{function}({', '.join(inside)})"

    def option(self, key: str, value: str) -> str:
        return f"{key} = {value}"

    def indexed(self, x: str, parts: Sequence[str]) -> str:
        return f"{x}[{', '.join(parts)}]"

    def slice(self, text: str) -> str:
        return text


_TEXT = Text()
