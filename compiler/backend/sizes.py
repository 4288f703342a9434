"""Sizes as Python: `N`, `4 * width`, `(T - 1) // 2`, and where a function gets `N` from.

In: a `Dim` and how symbols are spelt. Out: an expression in whole numbers.

    dim_expr(2 * N + hidden, spell)        # 2 * N + hidden
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from fractions import Fraction
from math import lcm

from ..ir.dims import Dim, Poly
from .pyast import Expr, binary, name, negative, number

Spell = Callable[[str], str]


def dim_expr(dim: Dim, spell: Spell) -> Expr:
    """The size as the program wrote it, with constants by name."""
    return poly_expr(dim.written, spell)


def poly_expr(poly: Poly, spell: Spell) -> Expr:
    common = lcm(*(c.denominator for _, c in poly.terms)) if poly.terms else 1
    total: Expr | None = None
    for monomial, coefficient in poly.terms:
        factor = int(coefficient * common)
        term: Expr | None = None
        if abs(factor) != 1 or not monomial:
            term = number(abs(factor))
        for symbol in monomial:
            s = symbol_expr(symbol, spell)
            term = s if term is None else binary(ast.Mult, term, s)
        assert term is not None
        if total is None:
            total = negative(term) if factor < 0 else term
        else:
            total = binary(ast.Sub if factor < 0 else ast.Add, total, term)
    if total is None:
        total = number(0)
    return total if common == 1 else binary(ast.FloorDiv, total, number(common))


def symbol_expr(symbol: str, spell: Spell) -> Expr:
    """A name; a quotient of constants, `width / heads`, stands as one symbol too."""
    if symbol.isidentifier():
        return name(spell(symbol))
    return _composite(ast.parse(symbol, mode="eval").body, spell)


def _composite(tree: ast.expr, spell: Spell) -> Expr:
    match tree:
        case ast.Name(id=text):
            return name(spell(text))
        case ast.Constant(value=int(value)):
            return number(value)
        case ast.BinOp(left=left, op=op, right=right):
            kind = ast.FloorDiv if isinstance(op, ast.Div) else type(op)
            return binary(kind, _composite(left, spell), _composite(right, spell))
    raise ValueError(f"no size: {ast.unparse(tree)}")


def solve_for(symbol: str, dim: Dim, at: Expr, spell: Spell) -> Expr:
    """`symbol` from the number that an axis has: a size that is linear in it turned round."""
    parts = dim.value.linear(symbol)
    assert parts is not None, f"{dim} tells no {symbol}"
    common = lcm(*(c.denominator for _, c in dim.value.terms))
    down = parts[0].terms[0][1] < 0  # 9 - N = n: N = 9 - n
    slope, rest = (p.scaled(Fraction(-common if down else common)) for p in parts)
    if common != 1:
        at = binary(ast.Mult, at, number(common))
    less = rest.scaled(Fraction(-1))
    if down:
        at = binary(ast.Sub, poly_expr(less, spell), at) if rest.terms else negative(at)
    elif rest.terms and all(c < 0 for _, c in rest.terms):
        at = binary(ast.Add, at, poly_expr(less, spell))
    elif rest.terms:
        at = binary(ast.Sub, at, poly_expr(rest, spell))
    if slope.integer == 1:
        return at
    return binary(ast.FloorDiv, at, poly_expr(slope, spell))


def shape_text(shape: tuple[Dim, ...], spell: Spell) -> str:
    """`(N, hidden)`, for comments and docstrings."""
    inside = ", ".join(dim_expr(d, spell).text.replace("//", "/") for d in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"
