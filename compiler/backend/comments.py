"""What stands above a block: the equation, its line, and in `backward` the chain rule.

In: a plan, the names, and the statements of every function. Out: comment lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..ir.program import Equation
from .names import Names
from .plan import Plan
from .pyast import WIDTH, printable
from .statements import BlockText


class Commentary:
    """The comments of one module."""

    def __init__(
        self, plan: Plan, names: Names, bodies: Mapping[str, list[BlockText]]
    ) -> None:
        self.plan, self.names, self.bodies = plan, names, bodies

    def equation(self, e: Equation, indent: int, prefix: str = "") -> str:
        """`# h = relu(x @ W1 + b1)            mlp.net:10`"""
        left = " " * indent + "# " + printable(prefix + e.text)
        if not e.line:
            return left
        place = f"{printable(e.file or self.plan.program.name)}:{e.line}"
        gap = max(WIDTH - len(left) - len(place), 2)
        return left + " " * gap + place

    def block(
        self,
        function: str,
        block: BlockText,
        indent: int,
        spell: Callable[[str], str],
    ) -> list[str]:
        equations = self.plan.program.equations
        if not 0 <= block.equation < len(equations):
            return []
        e = equations[block.equation]
        prefix = f"{e.repeat}: " if e.repeat and e.copy else ""
        return [self.equation(e, indent, prefix)]
