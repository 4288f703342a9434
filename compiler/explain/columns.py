"""Rows turned into columns: the form of the books, whatever the text of a program says.

A program writes a batch as rows, `z = x @ W + b` with x of [N, k]. The books write one
example as a column, z = W x + b. Here every matrix stands for its transpose, a vector stays
one: (A B)' = B' A', and a vector that is added to each row is added to each column.

    columns(d_z2 @ W2')     # W2' @ d_z2, where both names stand for their transposes
"""

from __future__ import annotations

from dataclasses import replace

from .formula import (
    Apply,
    Binary,
    Formula,
    Index,
    Minus,
    Name,
    Not,
    Number,
    Size,
    Slope,
    Transposed,
    mapped,
    rank,
)
from .products import flipped

REDUCED = frozenset(
    {"sum", "mean", "max", "any", "all", "logsumexp", "softmax", "argmax"}
)
BY_ENTRY = frozenset("""
    relu where max min exp expm1 log log1p sin cos tan tanh sinh cosh sigmoid softplus sqrt
    erf arctan arcsin arccos normal_cdf lgamma digamma log_softplus abs sign floor stop xlogy
    """.split())


def columns(f: Formula) -> Formula:
    """The formula of the transpose where it is a matrix, of the value itself where not."""
    match f:
        case Name() | Number() | Size():
            return f
        case Binary(sign="@"):
            return _product(f)
        case Binary():
            left, right = _aligned((f.left, f.right))
            return replace(f, left=left, right=right)
        case Minus() | Not() | Slope():
            return replace(f, x=columns(f.x))
        case Transposed() if rank(f) == 2:
            return flipped(columns(f.x))
        case Apply() if f.function in REDUCED and len(f.args) == 1:
            made = _reduction(f)
            if made is not None:
                return made
        case Apply() if f.function in BY_ENTRY and not f.options:
            return replace(f, args=_aligned(f.args))
    return _turned(f)


def _product(f: Binary) -> Formula:
    a, b = rank(f.left), rank(f.right)
    left, right = columns(f.left), columns(f.right)
    if (a, b) == (2, 2):
        return Binary("@", right, left)
    if (a, b) == (2, 1):
        return Binary("@", flipped(left), right)
    if (a, b) == (1, 2):
        return Binary("@", right, left)
    return Binary("@", left, right) if (a, b) == (1, 1) else _turned(f)


def _aligned(args: tuple[Formula, ...]) -> tuple[Formula, ...]:
    """Entry by entry: a vector beside a matrix is a column of it."""
    most = max(rank(a) for a in args)
    if most > 2:
        return tuple(_turned(a) for a in args)
    made = [columns(a) for a in args]
    if most < 2:
        return tuple(made)
    return tuple(
        Index(m, (":", "*"), 2) if rank(a) == 1 else m
        for a, m in zip(args, made, strict=True)
    )


def _reduction(f: Apply) -> Formula | None:
    """Axis 0 becomes axis 1, and the last axis, which needs no word, axis 0."""
    (x,) = f.args
    if rank(x) != 2:
        return replace(f, args=(columns(x),)) if rank(x) < 2 else None
    options = dict(f.options)
    match options.get("axis"):
        case "0":
            options["axis"] = "1"
        case "1":
            options["axis"] = "0"
        case None if f.function == "softmax":
            options["axis"] = "0"
        case None | "[0, 1]":
            pass
        case _:
            return None
    order = sorted(options.items(), key=lambda item: item[0] != "axis")
    return replace(f, args=(columns(x),), options=tuple(order))


def _turned(f: Formula) -> Formula:
    """Whatever it is: the names inside turned back, and the whole turned."""

    def back(at: Formula) -> Formula:
        return Transposed(at) if isinstance(at, Name) and at.rank == 2 else at

    made = mapped(f, back)
    return flipped(made) if rank(f) == 2 else made
