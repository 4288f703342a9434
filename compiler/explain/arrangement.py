"""Places for the boxes of a drawing: the forward pass in layers, its adjoints beside it.

In: a drawing. Out: the centre of each box, and the points that each arrow passes. The forward
pass is placed by `layering.py`. An adjoint stands on the height of its value, to the right and
mirrored, so that its arrows run the other way: up where those of the values run down.
"""

from __future__ import annotations

from itertools import pairwise

from .boxes import Drawing
from .layering import layered
from .svg import Point, size_of

GAP = 26.0  # between adjoints of one height
GUTTER = 70.0  # between the two passes


def arrange(drawing: Drawing) -> tuple[dict[str, Point], list[list[Point]]]:
    """The places by box, and for each arrow the points between its ends."""
    sizes = {b.id: size_of(b) for b in drawing.boxes}
    beside = {a.head: a.tail for a in drawing.arrows if a.local}
    forward = [b.id for b in drawing.boxes if b.kind != "adjoint"]
    index = {id_: k for k, id_ in enumerate(forward)}
    high = {id_: sizes[id_][1] for id_ in forward}
    for adjoint, value in beside.items():  # a row is as high as what stands beside it
        high[value] = max(high[value], sizes[adjoint][1])
    arrows = [
        (index[a.tail], index[a.head])
        for a in drawing.arrows
        if a.tail in index and a.head in index
    ]
    placed = layered([(sizes[id_][0], high[id_]) for id_ in forward], arrows)
    places = {id_: placed.centres[k] for id_, k in index.items()}
    rest = iter(placed.bends)
    bends = [
        next(rest) if a.tail in index and a.head in index else []
        for a in drawing.arrows
    ]
    return places | _mirrored(drawing, sizes, places, beside), bends


def _mirrored(
    drawing: Drawing,
    sizes: dict[str, Point],
    places: dict[str, Point],
    beside: dict[str, str],
) -> dict[str, Point]:
    """The adjoints, right of everything: what stands far left there stands far right here."""
    right = max((x + sizes[id_][0] / 2 for id_, (x, _) in places.items()), default=0.0)
    rows: dict[float, list[str]] = {}
    for b in drawing.boxes:
        if b.kind == "adjoint":
            rows.setdefault(places[beside[b.id]][1], []).append(b.id)
    found: dict[str, Point] = {}
    for y, row in rows.items():
        row.sort(key=lambda id_: -places[beside[id_]][0])
        wanted = [right - places[beside[id_]][0] for id_ in row]
        at = [wanted[0]]
        for (before, here), want in zip(pairwise(row), wanted[1:], strict=True):
            least = at[-1] + (sizes[before][0] + sizes[here][0]) / 2 + GAP
            at.append(max(want, least))
        for id_, x in zip(row, at, strict=True):
            found[id_] = (x, y)
    left = min((x - sizes[id_][0] / 2 for id_, (x, _) in found.items()), default=0.0)
    shift = right + GUTTER - left
    return {id_: (x + shift, y) for id_, (x, y) in found.items()}
