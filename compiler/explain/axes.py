"""What is said of axes: shapes, slices, the axes of a sum, the attributes of an operation."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.dims import ONE, Dim, Shape
from ..ir.node import Node
from .formula import Formula, Index

STEPS = ("strides", "dilations")


def joined(a: Shape, b: Shape) -> Shape:
    """The shape of two operands by NumPy's rule; they are known to fit."""
    short, long = sorted((a, b), key=len)
    pad = len(long) - len(short)
    out = list(long)
    for i, d in enumerate(short):
        if out[pad + i] == ONE:
            out[pad + i] = d
    return tuple(out)


def shown_shape(shape: Shape) -> str:
    return "[" + ", ".join(str(d) for d in shape) + "]"


def numbers(values: Sequence[int]) -> str:
    return "[" + ", ".join(str(v) for v in values) + "]"


def axes_option(axes: Sequence[int]) -> tuple[tuple[str, str], ...]:
    if len(axes) == 1:
        return (("axis", str(axes[0])),)
    return (("axis", numbers(axes)),)


def sizes_over(axes: Sequence[int], shape: Shape) -> tuple[str, ...]:
    """The sizes that a sum goes over; none where they do not say which axes these are."""
    rest = [d for i, d in enumerate(shape) if i not in axes]
    if any(shape[i] in rest for i in axes):
        return ()
    return tuple(str(shape[i]) for i in axes)


def indexed(f: Formula, parts: tuple[str, ...], rank: int) -> Formula:
    """`x[:, 1]` for the entry 0 of `x[:, 1:2]`."""
    match f:
        case Index(x, inner) if len(inner) <= len(parts) and "*" not in parts:
            bounds = [str(p).split(":") for p in inner]
            if all(isinstance(p, str) for p in inner) and all(
                len(b) == 2 for b in bounds
            ):
                bounds += [["", ""]] * (len(parts) - len(inner))
                whole = [p if isinstance(p, str) else "" for p in inner]
                whole += [":"] * (len(parts) - len(inner))
                made = tuple(
                    w if p == ":" else b[0] or "0"
                    for p, w, b in zip(parts, whole, bounds, strict=True)
                )
                return Index(x, made, rank)
    return Index(f, parts, rank)


def new_axes(before: Shape, after: Shape) -> tuple[str, ...] | None:
    """`x[:, *]` or `x[:, 0]`, where a reshape only adds or drops axes of size one."""
    if [d for d in before if d != ONE] != [d for d in after if d != ONE]:
        return None
    wide = [d for d in before if d != ONE]
    if len(after) == len(wide):  # drops
        return tuple("0" if d == ONE else ":" for d in before)
    if len(before) == len(wide):  # adds
        return tuple("*" if d == ONE else ":" for d in after)
    return None


def slices(n: Node) -> tuple[str, ...]:
    """`1:, :, ::-1`."""
    parts = []
    x = n.args[0]
    rows = zip(
        n.attrs["starts"], n.attrs["stops"], n.attrs["steps"], x.shape, strict=True
    )
    for start, stop, step, whole in rows:
        low = "" if is_number(start, 0) and step > 0 else str(start)
        high = "" if stop == whole and step > 0 else str(stop)
        if step < 0:
            low = "" if start == whole - 1 else str(start)
            high = "" if is_number(stop, -1) else str(stop)
        part = f"{low}:{high}" + (f":{step}" if step != 1 else "")
        parts.append(part)
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return tuple(parts)


def is_number(d: Dim | int, value: int) -> bool:
    return d == value if isinstance(d, int) else d.integer == value


def options(n: Node) -> tuple[tuple[str, str], ...]:
    """The attributes of an operation, as they are read back; steps of 1 go without."""
    return tuple(
        (key, attribute(value))
        for key, value in n.attrs.items()
        if key != "kind" and not (key in STEPS and all(v == 1 for v in value))
    )


def attribute(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(attribute(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
