"""How messages call an operand: by its text and its shape."""

from __future__ import annotations

from ..ir.dims import Shape, show

Named = tuple[str, Shape]  # an operand's text and shape


def described(shape: Shape) -> str:
    """`a matrix (3, 4)`."""
    return show(shape, described=True) if shape else "a scalar"


def shown(operand: Named) -> str:
    """`W is a matrix (3, 4)`."""
    name, shape = operand
    return f"{name} is {described(shape)}"


def both(left: Named, right: Named) -> str:
    """`W is a matrix (3, 4); x is a vector (5,)`."""
    return f"{shown(left)}; {shown(right)}"
