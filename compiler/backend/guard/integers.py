"""How long integers can grow: 9 ** 9 ** 9 would never end.

A bound on the bits of every plain integer, made of those of its parts; arrays don't grow.

    n = 9            4 bits
    n = n * n        8 bits, and so on: refused beyond MOST_BITS
"""

from __future__ import annotations

import ast
import math

from .admitted import EXPONENT_BITS, MOST_BITS, RANGE_BITS
from .refusal import refuse


class Integers:
    """The names of integers, and how many bits each can have."""

    def __init__(self) -> None:
        self.bits: dict[str, float] = {}

    def enter(self, constants: set[str]) -> None:
        """A function begins: it knows the module's constants."""
        self.bits = {name: b for name, b in self.bits.items() if name in constants}

    def forget(self, name: str) -> None:
        """The name holds something else now."""
        self.bits.pop(name, None)

    def power(self, node: ast.BinOp) -> None:
        """Powers of integers grow without bound, 9 ** 9 ** 9; of arrays they don't."""
        bits = self.length(node)
        if bits is not None and bits > MOST_BITS:
            refuse(node, "a power of integers that is too long")
        exponent = self.length(node.right)
        if exponent is not None and exponent > EXPONENT_BITS:
            refuse(node, "an exponent that is too large")

    def length(self, node: ast.expr) -> float | None:
        """At most how many bits a plain integer has; None for anything else."""
        match node:
            case ast.Constant(value=int() as value):
                return math.log2(abs(value) + 1)
            case ast.Name(id=name):
                return self.bits.get(name)
            case ast.UnaryOp(operand=operand):
                return self.length(operand)
            case ast.Call(func=ast.Name(id="abs" | "max"), args=args):
                found = [self.length(a) for a in args]
                return max((b for b in found if b is not None), default=None)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self.length(left), self.length(right)
                if a is None or b is None:
                    return None
                if isinstance(op, ast.Pow):
                    return (a + 1) * 2 ** min(b, 64.0)
                return a + b + 1
        return None

    def measure(self, name: str, value: ast.expr, node: ast.AST | None = None) -> None:
        """Remember how long the integer `name` can be."""
        bits = self.length(value)
        if bits is None:
            self.forget(name)
        elif bits > MOST_BITS:
            refuse(node or value, "arithmetic of integers that grows too long")
        else:
            self.bits[name] = bits

    def counted(self, node: ast.Call) -> None:
        """Refuse a loop of too many steps."""
        for argument in node.args:
            bits = self.length(argument)
            if bits is not None and bits > RANGE_BITS:
                refuse(node, "a range that is too long")
