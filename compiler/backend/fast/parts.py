"""What NumPy has no `out=` for, some places at a time.

In: an op that is computed by its expression of -O1, which makes arrays of its own, some as
large as its result and larger. Out: a loop over blocks along an axis of which it does nothing
but go along, so that what it makes is small, whatever the sizes are.

    for start in range(0, N, 170):
        order[start : start + 170] = x[start : start + 170].argsort(axis=1, kind="stable")
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...ir.dims import Dim, Shape, size
from ...ir.node import Node
from .frame import Frame

ROOM = 512
"""Numbers of a block: a function with a dozen arrays of so many takes less than 64 KiB."""
FEW = 64
"""Rows of a matrix that is decomposed for each block of what it is solved for."""
MATRICES = {"solve": 2, "inv": 4, "logdet": 2, "cholesky": 4}
"""How many arrays as large as its first argument NumPy makes for a function of LAPACK."""


def in_parts(frame: Frame, n: Node) -> bool:
    """The expression of -O1, a block at a time, where there is an axis to go along."""
    sliced, axes = _parted(frame, n)
    axis = _longest(n.shape, axes)
    whole = size(n.shape).integer
    if axis is None or (whole is not None and whole < ROOM):
        return False
    values = [frame.value(a) for a in sliced]
    text = frame.out.value(n, top=True).expr.text
    if any(text.count(v.token) != 1 or v.shape[axis] != n.shape[axis] for v in values):
        return False
    out = frame.make(n)
    start = frame.unit.start
    block = _block(frame, axis, [n.shape, *(a.shape for a in sliced)])
    part = "[" + ":, " * axis + f"{start} : {start} + {block}]"
    for v in values:
        text = text.replace(v.token, v.token + part)
    lines = [
        f"for {start} in range(0, {frame.out.dim(n.shape[axis]).text}, {block}):",
        f"    {out.token}{part} = {text}",
    ]
    frame.emit(lines, out)
    frame.values[n] = out
    return True


def _parted(frame: Frame, n: Node) -> tuple[Sequence[Node], Iterable[int]]:
    """The arguments that have an axis where the result has it, and which axes those are."""
    folded = n in frame.views.folded
    source = n.args[0] if folded else n
    rank, axis = len(source.shape), source.attrs.get("axis", 0)
    match source.op.name:
        case "argmax" if folded:
            return source.args, range(axis)
        case _ if folded:
            return (), ()
        case "argsort" | "argmax" | "take_along" | "put_along":
            return n.args, [a for a in range(rank) if a != axis]
        case "scatter_add":
            return n.args[:1], range(axis)
        case "take" if axis == 0:
            return n.args[1:], range(len(n.args[1].shape))
        case "take":
            return n.args[:1], range(axis)
        case "solve" if rank == 2 and (n.shape[0].integer or ROOM) <= FEW:
            return n.args[1:], range(1, 2)  # columns
        case "solve" | "inv" | "cholesky" | "logdet":
            return n.args, range(len(n.args[0].shape) - 2)
        case _ if n.op.family == "elementwise" and n.op.prelude:
            return n.args, range(rank)
    return (), ()


def _longest(shape: Shape, axes: Iterable[int]) -> int | None:
    """The first of the axes whose size the data decide, else the longest."""
    known = [a for a in axes if shape[a].integer != 1]
    return max(
        known,
        key=lambda a: (shape[a].integer is None, shape[a].integer or -a),
        default=None,
    )


def _block(frame: Frame, axis: int, shapes: Iterable[Shape]) -> str:
    """How many places of an axis make a block of arrays with these shapes."""
    widths = dict.fromkeys(size(s[:axis] + s[axis + 1 :]) for s in shapes)
    width = sum(widths, Dim.of(0))
    if width.integer is not None:
        return str(max(1, ROOM // max(1, width.integer)))
    return f"max({ROOM} // max({frame.out.dim(width).text}, 1), 1)"


def spare(n: Node) -> Shape:
    """What its expression makes beside its result, as the shape of one array."""
    count = MATRICES.get(n.op.name)
    return n.shape if count is None else (Dim.of(count), *n.args[0].shape)
