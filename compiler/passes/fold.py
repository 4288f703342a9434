"""Constant folding: arithmetic of unnamed numbers, bounded.

It runs after differentiation and after the stability rules have seen the program, which a
number in place of `exp(2)` would hide. Named constants never fold: `2 * lambda_` stays.
Quotients fold only where the result is exact and as short, so that 1/3 stays a division
(and the source runs over rationals too). What is no arithmetic (`sqrt(2)`, `exp(3)`)
folds always: NumPy would make a float64 scalar of it, which promotes float32 arrays.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ..ir.node import Node
from .patterns import Rewriter, Rule, number, rule

LARGEST = 1e15
"""A larger number (or a smaller than its inverse) is clearer as it was written."""

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "sqrt": math.sqrt,
    "erf": math.erf,
    "normal_cdf": lambda x: math.erfc(-x / math.sqrt(2)) / 2,
    "abs": abs,
    "floor": math.floor,
}


@rule("add", "sub", "mul", "div", "neg", "pow", safety="~")
def fold_arithmetic(rw: Rewriter, n: Node) -> Node | None:
    """`2 * 3` -> `6`; `0.5 / 2` -> `0.25`; `1 / 3` stays."""
    values = _numbers(n)
    if values is None:
        return None
    result = _arithmetic(n, values)
    if result is None or not math.isfinite(result) or abs(result) > LARGEST:
        return None
    if result != 0 and abs(result) < 1 / LARGEST:
        return None
    return rw.graph.const(result)


def _arithmetic(n: Node, values: list[int | float]) -> int | float | None:
    a = values[0]
    b = values[-1]
    match n.op.name:
        case "add":
            return _decimal(a, b, operator.add)
        case "sub":
            return _decimal(a, b, operator.sub)
        case "mul":
            return _decimal(a, b, operator.mul)
        case "neg":
            return -a
        case "div":
            if b == 0:
                return None
            quotient = a / b
            short = len(repr(quotient)) <= max(len(repr(a)), len(repr(b))) + 2
            return quotient if quotient * b == a and short else None
        case "pow":
            try:
                power = a ** n.attrs["exponent"]
            except (OverflowError, ZeroDivisionError):
                return None
            return power if isinstance(power, int | float) else None
    return None


def _decimal(
    a: int | float, b: int | float, combine: Callable[[Any, Any], Any]
) -> int | float:
    """The sum, difference or product of what is written: `1 - 0.9` is 0.1, not 0.0999…"""
    if isinstance(a, int) and isinstance(b, int):
        return int(combine(a, b))
    if not math.isfinite(a) or not math.isfinite(b):
        return float(combine(a, b))
    try:
        return float(combine(Fraction(repr(a)), Fraction(repr(b))))
    except OverflowError:
        return math.inf


@rule(*FUNCTIONS, safety="~")
def fold_function(rw: Rewriter, n: Node) -> Node | None:
    """`exp(2)` -> `7.38905609893065`."""
    values = _numbers(n)
    if values is None or (n.is_a("sqrt") and isinstance(values[0], int)):
        return None  # `2**0.5` is a Python number, and says where it comes from
    try:
        result = FUNCTIONS[n.op.name](values[0])
    except (OverflowError, ValueError):
        return None
    return rw.graph.const(result) if math.isfinite(result) else None


def _numbers(n: Node) -> list[int | float] | None:
    if n.shape != () or n.kind != "real" or not n.args:
        return None
    values = []
    for a in n.args:
        if a.op.name != "const" or (value := number(a)) is None:
            return None
        values.append(value)
    return values


RULES: tuple[Rule, ...] = (fold_arithmetic, fold_function)
