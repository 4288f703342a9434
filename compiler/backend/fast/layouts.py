"""Where a product of matrices is written, so that nobody has to copy it afterwards.

In: a product of a frame. Out: its place. BLAS writes rows as far apart as one likes, so a
product can lie from the start

* in the order of axes that its readers turn it to before they merge some of them: heads
  beside one another in each row, not one head after another;
* in the array that its one reader puts it together with others in: the adjoints of q, k
  and v in one array of three.
"""

from __future__ import annotations

from gradc.records import record

from ...ir.dims import Dim
from ...ir.node import Node
from ...ops.layout import inverse
from ..pyast import index_text
from .frame import Frame, splits
from .values import Value


@record
class Reading:
    """Who reads a product, as which argument, through which views, the first one first."""

    reader: Node
    position: int
    views: tuple[Node, ...]


def readings(frame: Frame) -> dict[Node, list[Reading]]:
    """Of every product of the frame, who reads it through transposes and reshapes."""
    if frame.readings is None:
        frame.readings = {}
        computed = set(frame.f.computed)
        for n in frame.f.computed:
            source = n.args[0] if n in frame.views.folded else n
            for k, x in enumerate(source.args):
                views = [n] if n.is_a("transpose", "reshape") else []
                while x.is_a("transpose", "reshape") and x not in computed:
                    views.append(x)
                    x = x.args[0]
                if x.is_a("einsum2"):
                    found = Reading(source, k, tuple(reversed(views)))
                    frame.readings.setdefault(x, []).append(found)
    return frame.readings


def place(frame: Frame, n: Node) -> Value:
    """Where the product `n` is to be written."""
    if n in frame.destination:
        return frame.destination[n]
    part = _part(frame, n)
    if part is not None:
        return part
    perm = _order(frame, n)
    return frame.make(n) if perm is None else frame.laid_out(n, inverse(perm))


def _order(frame: Frame, n: Node) -> tuple[int, ...] | None:
    """The order in which all readers want the axes, one of them to merge some of them."""
    found = readings(frame).get(n, [])
    merged = False
    perms: set[tuple[int, ...]] = set()
    for r in found:
        if not (r.views and r.views[0].is_a("transpose")):
            return None
        perms.add(tuple(r.views[0].attrs["perm"]))
        merged |= len(r.views) > 1 and len(r.views[1].shape) < len(n.shape)
    return perms.pop() if merged and len(perms) == 1 else None


def _part(frame: Frame, n: Node) -> Value | None:
    """Its part of the one concatenation that reads it, as the axes of `n`."""
    found = readings(frame).get(n, [])
    if len(found) != 1 or n in frame.kept or n in frame.f.bound:
        return None
    reading = found[0]
    whole, k = reading.reader, reading.position
    if not whole.is_a("concat"):
        return None
    for view in reading.views:
        if view.is_a("reshape") and not splits(view.shape, view.args[0].shape):
            return None
    v = part_of(frame, whole, k)
    for view in reversed(reading.views):
        if view.is_a("transpose"):
            v = frame.turned(v, inverse(view.attrs["perm"]))
        else:
            v = frame.reshaped(v, view.args[0].shape)
    frame.written.add((whole, k))
    return v


def part_of(frame: Frame, whole: Node, k: int) -> Value:
    """The place of argument k of a concatenation, whose array is made where need be."""
    made = frame.wholes.get(whole)
    if made is None:
        made = frame.wholes[whole] = frame.make(whole)
    axis = whole.attrs["axis"]
    start = Dim.of(0)
    for a in whole.args[:k]:
        start = start + a.shape[axis]
    x = whole.args[k]
    low, high = (
        None if d in (Dim.of(0), whole.shape[axis]) else frame.out.dim(d)
        for d in (start, start + x.shape[axis])
    )
    index = ":, " * axis + index_text([(low, high, None)])
    return frame.table.view(made, f"{{}}[{index}]", x.shape, contiguous=axis == 0)
