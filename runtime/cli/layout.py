"""Places for the boxes of a drawing: a layered layout (Sugiyama), adjoints beside it.

In: a drawing. Out: the centre of each box, and the points that each arrow passes. Layers are
the longest paths from the inputs, which is what a computation is. The order within them, with
few crossings, is igraph's, an extra, `pip install 'gradc[graph]'`: a C library with wheels for
every platform and a release or two a year, so that no program has to be installed beside
Python. The places follow from the order and the widths of the boxes. An adjoint stands on the
layer of its value, mirrored, so that its arrows run the other way.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .exits import Exit, Failure

if TYPE_CHECKING:
    from gradc.compiler.explain.drawing import Drawing

Point = tuple[float, float]
GAP = 26.0  # between boxes
SWEEPS = 200  # of the reduction of crossings
POINT = 4.0  # the room that an arrow takes on a layer that it passes
MOST_POINTS = 20_000  # boxes and such points; beyond, long arrows are straight


def layout(drawing: Drawing) -> tuple[dict[str, Point], list[list[Point]]]:
    """The places; `Failure` where igraph is not installed."""
    from gradc.compiler.explain.svg import size_of

    try:
        import igraph
    except ImportError:
        raise Failure(
            Exit.USAGE,
            "SVG needs the layout library igraph, which is not installed",
            id="needs-igraph",
            notes=(
                ("help", "pip install 'gradc[graph]'; or --format dot, for Graphviz"),
            ),
        ) from None
    sizes = {b.id: size_of(b) for b in drawing.boxes}
    forward = [b.id for b in drawing.boxes if b.kind != "adjoint"]
    inside = set(forward)
    arrows = [
        a
        for a in drawing.arrows
        if a.tail in inside and a.head in inside and not a.local
    ]
    index = {id_: k for k, id_ in enumerate(forward)}
    ends = [(index[a.tail], index[a.head]) for a in arrows]
    layers = _layers(len(forward), ends)
    edges: list[tuple[int, int]] = []
    ways: dict[tuple[str, str], list[int]] = {}  # the points that an arrow passes
    for a, (tail, head) in zip(arrows, ends, strict=True):
        way: list[int] = []
        for layer in range(layers[tail] + 1, layers[head]):
            if len(layers) < MOST_POINTS:
                way.append(len(layers))
                layers.append(layer)
        edges += list(pairwise([tail, *way, head]))
        ways[a.tail, a.head] = way
    graph: Any = igraph.Graph(n=len(layers), edges=edges, directed=True)
    found = graph.layout_sugiyama(layers=layers, hgap=1.0, vgap=1.0, maxiter=SWEEPS)
    widths = [sizes[id_][0] for id_ in forward]
    widths += [POINT] * (len(layers) - len(forward))
    rows = _rows(layers, [x for x, _ in found.coords])
    columns = _columns(rows, edges, widths)
    beside = {a.head: a.tail for a in drawing.arrows if a.local}
    tops = _tops(drawing, sizes, layers, index, beside)
    places = {id_: (columns[k], tops[layers[k]]) for id_, k in index.items()}
    places |= _mirrored(drawing, sizes, places, beside)
    bends = [
        [(columns[k], tops[layers[k]]) for k in ways.get((a.tail, a.head), [])]
        for a in drawing.arrows
    ]
    return places, bends


def _layers(count: int, ends: list[tuple[int, int]]) -> list[int]:
    """Each box stands below all that it needs, a leaf just above who reads it first."""
    into: list[list[int]] = [[] for _ in range(count)]
    out: list[list[int]] = [[] for _ in range(count)]
    for tail, head in ends:
        into[head].append(tail)
        out[tail].append(head)
    waiting = [len(tails) for tails in into]
    order = [k for k in range(count) if not waiting[k]]
    layer = [0] * count
    for k in order:  # grows
        for head in out[k]:
            layer[head] = max(layer[head], layer[k] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                order.append(head)
    for k in range(count):
        if not into[k] and out[k]:
            layer[k] = min(layer[head] for head in out[k]) - 1
    return layer


def _rows(layers: list[int], across: list[float]) -> list[list[int]]:
    """The boxes and points of each layer, from left to right."""
    rows: list[list[int]] = [[] for _ in range(max(layers, default=0) + 1)]
    for k, layer in enumerate(layers):
        rows[layer].append(k)
    for row in rows:
        row.sort(key=lambda k: across[k])
    return rows


def _columns(
    rows: list[list[int]], edges: list[tuple[int, int]], widths: list[float]
) -> list[float]:
    """Each near the middle of its neighbours, in the order of its row, without overlap."""
    above: list[list[int]] = [[] for _ in widths]
    below: list[list[int]] = [[] for _ in widths]
    for tail, head in edges:
        above[head].append(tail)
        below[tail].append(head)
    at = [0.0] * len(widths)
    for row in rows:
        _place(row, [0.0] * len(row), widths, at)
    for sweep in range(16):
        down = sweep % 2 == 0
        near = above if down else below
        for row in rows if down else rows[::-1]:
            wanted = [
                sum(at[m] for m in near[k]) / len(near[k]) if near[k] else at[k]
                for k in row
            ]
            _place(row, wanted, widths, at)
    return at


def _place(
    row: list[int], wanted: list[float], widths: list[float], at: list[float]
) -> None:
    """The least squares of what is wanted, with room between: pool adjacent violators."""
    offset = [0.0]
    for left, right in pairwise(row):
        offset.append(offset[-1] + (widths[left] + widths[right]) / 2 + GAP)
    blocks: list[tuple[float, int]] = []  # mean, members
    for want, room in zip(wanted, offset, strict=False):
        mean, many = want - room, 1
        while blocks and blocks[-1][0] >= mean:
            before, members = blocks.pop()
            mean = (mean * many + before * members) / (many + members)
            many += members
        blocks.append((mean, many))
    k = 0
    for mean, many in blocks:
        for _ in range(many):
            at[row[k]] = mean + offset[k]
            k += 1


def _tops(
    drawing: Drawing,
    sizes: dict[str, Point],
    layers: list[int],
    index: dict[str, int],
    beside: dict[str, str],
) -> dict[int, float]:
    """The height at which each layer stands."""
    high = dict.fromkeys(layers, 0.0)
    for b in drawing.boxes:
        k = index.get(b.id, index.get(beside.get(b.id, ""), 0))
        high[layers[k]] = max(high[layers[k]], sizes[b.id][1])
    tops: dict[int, float] = {}
    y = 0.0
    for layer in sorted(high):
        tops[layer] = y + high[layer] / 2
        y += high[layer] + 1.5 * GAP
    return tops


def _mirrored(
    drawing: Drawing,
    sizes: dict[str, Point],
    places: dict[str, Point],
    beside: dict[str, str],
) -> dict[str, Point]:
    """The adjoints, to the right of everything, on the heights of their values."""
    right = max((x + sizes[id_][0] / 2 for id_, (x, _) in places.items()), default=0.0)
    rows: dict[float, list[str]] = {}
    for b in drawing.boxes:
        if b.kind == "adjoint" and b.id in beside:
            rows.setdefault(places[beside[b.id]][1], []).append(b.id)
    found: dict[str, Point] = {}
    for y, row in rows.items():
        row.sort(key=lambda id_: -places[beside[id_]][0])
        widths = [sizes[id_][0] for id_ in row]
        at = [0.0] * len(row)
        wanted = [right - places[beside[id_]][0] for id_ in row]
        _place(list(range(len(row))), wanted, widths, at)
        for id_, x in zip(row, at, strict=True):
            found[id_] = (x, y)
    left = min((x - sizes[id_][0] / 2 for id_, (x, _) in found.items()), default=0.0)
    shift = right + 2.5 * GAP - left
    return {id_: (x + shift, y) for id_, (x, y) in found.items()}
