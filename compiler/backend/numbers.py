"""Programs of single numbers at `-O2`: arithmetic of Python's own numbers.

An operation of Python's floats takes a third of the time of one of NumPy's, and the
elementary functions of NumPy are as fast on them, so `float(np.exp(x))` costs little. Where
Python raises what NumPy calls infinity or NaN (x / 0, x ** 1000, (-1) ** 0.5), the op's form
asks NumPy; products and sums overflow alike in both.

    s = 1 / (1 + float(np.exp(-(w * x))))
    d_z = d_s * s * (1 - s)

In: nodes of no axes. Out: templates, `Op.number` or what follows from `Op.numpy`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..ir.node import Node
from .expressions import Expressions, Scope, Value
from .plan import Function
from .pyast import WIDTH, Expr, name
from .views import Views

LEAVES = frozenset({"input", "param", "state", "noise", "seed", "const", "zero"})
LAYOUT = frozenset({"broadcast", "reshape", "stop", "masked", "finite"})
CHOICES = frozenset({"maximum", "minimum", "where"})
OF_INTEGERS = frozenset({"add", "sub", "mul", "neg", "abs", "where", "stop"})


def is_number(n: Node) -> bool:
    """Has the node a form for single numbers?"""
    if n.shape or (n.op.family != "elementwise" and n.op.name not in LEAVES | LAYOUT):
        return False
    return n.kind != "int" or n.op.family == "leaf" or n.op.name in OF_INTEGERS


def form(n: Node) -> str:
    """The template of a node: the record's, or NumPy's with a float made of the result."""
    source: Any = n.op.number
    if source is None:
        source = next((t for when, t in n.op.choices if when(n)), n.op.numpy)
    text: str = source(n) if callable(source) else source
    calls = "np." in text or n.op.prelude
    if n.op.number is None and n.kind == "real" and calls:
        return f"float({text})"
    return text


class Numbers(Expressions):
    """The expressions of a function of single numbers."""

    def __init__(
        self,
        scope: Scope,
        views: Views,
        f: Function,
        name_of: Callable[[Node], str],
        like: Callable[[], str],
        complex: bool = False,
    ) -> None:
        super().__init__(scope, views, f, name_of, like, complex, keep_dtype=False)

    def chosen(self, n: Node, drop: bool = False) -> tuple[str, dict[str, Any]]:
        return form(n), {}

    def _holes(
        self,
        n: Node,
        args: list[Value],
        reads: Mapping[str, int],
        given: Mapping[str, Any],
    ) -> dict[str, Expr]:
        if (
            n.kind == "real" and n.op.name in CHOICES
        ):  # what is chosen is a float, not 0
            args = [
                (
                    v._replace(expr=name(v.expr.text + ".0"))
                    if v.expr.text.isdigit()
                    else v
                )
                for v in args
            ]
        return super()._holes(n, args, reads, given)


def as_numbers(names: Sequence[str]) -> list[str]:
    """`x, y = float(x), float(y)`: what comes as an array of no axes."""
    if not names:
        return []
    one = f"    {', '.join(names)} = {', '.join(f'float({n})' for n in names)}"
    if len(one) <= WIDTH:
        return [one]
    return [f"    {n} = float({n})" for n in names]


__all__ = ["Numbers", "as_numbers", "form", "is_number"]
