"""Constants: `const n = expr` to a number, and what `--set n=…` replaces it with.

In comes an expression of numbers, bools, earlier constants and a few functions, out comes an
int, a float or a bool. Nothing is unbounded: whole numbers stay below 2^63, reals finite.

    >>> from .parser import parse
    >>> source = Source.from_text("a.net", "const n = 4 * 2^3")
    >>> evaluate(parse(source).statements[0].value, {}.get)
    32
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import names
from ..errors.form import CompileError, Diagnostic, Reporter
from ..source import Source, Span
from . import ast
from .modules import Value
from .parser import parse
from .scan import Limits

LARGEST = 2**63 - 1
"""The largest whole number that a constant may have."""

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "abs": abs,
    "floor": math.floor,
    "max": max,
    "min": min,
}
_PREDEFINED = {"pi": math.pi, "π": math.pi, "inf": math.inf}


class NotConstant(Exception):
    """An expression has no value at compile time; carries what to say of it."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic)


def evaluate(expr: ast.Expr, lookup: Callable[[str], Value | None]) -> Value:
    """Return the value of an expression of constants, or raise `NotConstant`."""
    match expr:
        case ast.Bool(value=truth):
            return truth
        case ast.Number(value=number):
            return _bounded(expr.span, number)
        case ast.Name(text=name):
            found = lookup(name)
            if found is None:
                found = _PREDEFINED.get(name)
            if found is None:
                raise NotConstant(names.not_constant(expr.span, name))
            return found
        case ast.Unary(symbol="not"):
            return not _truth(expr.operand, lookup)
        case ast.Unary():
            value = _number(expr.operand, lookup)
            return _bounded(expr.span, -value if expr.symbol == "-" else value)
        case ast.Chain(symbols=("and" | "or" as joint, *_)):
            truths = [_truth(operand, lookup) for operand in expr.operands]
            return all(truths) if joint == "and" else any(truths)
        case ast.Chain():
            total = _number(expr.operands[0], lookup)
            for symbol, span, operand in expr.steps():
                total = _arithmetic(symbol, span, total, _number(operand, lookup))
            return total
        case ast.Power():
            base = _number(expr.base, lookup)
            exponent = _number(expr.exponent, lookup)
            return _power(expr.symbol_span, base, exponent)
        case ast.Compare():
            left = evaluate(expr.left, lookup)
            right = evaluate(expr.right, lookup)
            return _compare(expr.symbol, left, right)
        case ast.If():
            chosen = expr.yes if _truth(expr.condition, lookup) else expr.no
            return evaluate(chosen, lookup)
        case ast.Call(name=ast.Name(text=name)) if name in _FUNCTIONS:
            return _call(expr, lookup)
        case _:
            raise NotConstant(names.not_constant(expr.span, ""))


def _number(expr: ast.Expr, lookup: Callable[[str], Value | None]) -> int | float:
    value = evaluate(expr, lookup)
    if isinstance(value, bool):
        raise NotConstant(names.constant_kind(expr.span, "a number", "true or false"))
    return value


def _truth(expr: ast.Expr, lookup: Callable[[str], Value | None]) -> bool:
    value = evaluate(expr, lookup)
    if not isinstance(value, bool):
        raise NotConstant(names.constant_kind(expr.span, "true or false", "a number"))
    return value


def _bounded(span: Span, value: int | float) -> int | float:
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise NotConstant(names.constant_too_large(span))
    elif math.isnan(value):
        raise NotConstant(names.constant_undefined(span))
    return value


def _arithmetic(
    symbol: str, span: Span, left: int | float, right: int | float
) -> int | float:
    try:
        match symbol:
            case "+":
                return _bounded(span, left + right)
            case "-":
                return _bounded(span, left - right)
            case "*":
                return _bounded(span, left * right)
            case "/":
                if isinstance(left, int) and isinstance(right, int):
                    whole, rest = divmod(left, right)
                    return left / right if rest else _bounded(span, whole)
                return _bounded(span, left / right)
    except ZeroDivisionError:
        raise NotConstant(names.constant_undefined(span)) from None
    except OverflowError:
        raise NotConstant(names.constant_too_large(span)) from None
    raise NotConstant(names.not_constant(span, ""))


def _power(span: Span, base: int | float, exponent: int | float) -> int | float:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        # Bounded before it is computed: 9^9^9 has 370 million digits.
        if abs(base) > 1 and exponent * math.log2(abs(base)) > 64:
            raise NotConstant(names.constant_too_large(span))
        return _bounded(span, base**exponent)
    try:
        value = float(base) ** exponent
    except ZeroDivisionError:
        raise NotConstant(names.constant_undefined(span)) from None
    except OverflowError:
        raise NotConstant(names.constant_too_large(span)) from None
    if isinstance(value, complex):
        raise NotConstant(names.constant_undefined(span))
    return _bounded(span, value)


def _compare(symbol: str, left: Value, right: Value) -> bool:
    match symbol:
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right


def _call(expr: ast.Call, lookup: Callable[[str], Value | None]) -> int | float:
    wanted = 2 if expr.name.text in ("max", "min") else 1
    if len(expr.args) != wanted or any(arg.name is not None for arg in expr.args):
        raise NotConstant(names.not_constant(expr.span, ""))
    values = [_number(arg.value, lookup) for arg in expr.args]
    try:
        return _bounded(expr.span, _FUNCTIONS[expr.name.text](*values))
    except OverflowError:
        raise NotConstant(names.constant_too_large(expr.span)) from None
    except ValueError:
        raise NotConstant(names.constant_undefined(expr.span)) from None


def parse_override(
    name: str, text: str, limits: Limits, reporter: Reporter
) -> ast.Expr | None:
    """Return the expression of `--set name=text`, or report that it is none.

    The same grammar as in a file: the text is parsed as the right side of an equation.
    """
    source = Source.from_text(f"--set {name}", f"value = {text}")
    try:
        statements = parse(source, limits).statements
    except CompileError:
        statements = ()
    match statements:
        case (ast.Define(targets=(target,), type=None, value=value),) if (
            target.indices is None
        ):
            return value
    reporter.report(names.bad_override(name, text))
    return None
