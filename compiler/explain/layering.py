"""Places for boxes and arrows, layer by layer (the method of Sugiyama, Tagawa and Toda, 1981).

In: the sizes of the boxes, and arrows between them that have no cycle. Out: the centre of each
box and the points that each arrow passes. A box stands below all that it needs, a box that
needs nothing right above its first reader. Arrows over several layers pass through places of
their own; the order in a layer follows the mean of the neighbours, and given the order, the
places are the ones closest to the neighbours' mean that leave the gaps (isotonic regression).

    placed = layered([(60, 30), (60, 30)], [(0, 1)])
    placed.centres[1]     # (30.0, 83.0)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gradc.records import record

Point = tuple[float, float]
ACROSS = 22.0  # between the boxes of a layer
DOWN = 38.0  # between layers
LANE = 8.0  # width of the place that an arrow takes in a layer that it passes
ORDER_SWEEPS = 8
PLACE_SWEEPS = 8
PER_BOX = (
    4  # places for passing arrows a box, on average; longer arrows are drawn direct
)


@record
class Placed:
    """Centres of the boxes; for each arrow, the points between its ends."""

    centres: list[Point]
    bends: list[list[Point]]


def layered(sizes: Sequence[Point], arrows: Sequence[tuple[int, int]]) -> Placed:
    """Place boxes of these widths and heights. Deterministic."""
    layer = layers_of(len(sizes), arrows)
    widths = [w for w, _ in sizes]
    links: list[tuple[int, int]] = []  # between neighbouring layers
    lanes: list[list[int]] = [[] for _ in arrows]
    level = list(layer)
    room = PER_BOX * len(sizes)
    by_length = sorted(
        range(len(arrows)),
        key=lambda k: (layer[arrows[k][1]] - layer[arrows[k][0]], k),
    )
    for k in by_length:
        tail, head = arrows[k]
        passed = range(layer[tail] + 1, layer[head])
        if len(passed) > room:
            continue
        room -= len(passed)
        at = tail
        for between in passed:
            lane = len(level)
            level.append(between)
            widths.append(LANE)
            lanes[k].append(lane)
            links.append((at, lane))
            at = lane
        links.append((at, head))
    rows: list[list[int]] = [[] for _ in range(max(level, default=-1) + 1)]
    for k, at in enumerate(level):
        rows[at].append(k)
    above: list[list[int]] = [[] for _ in level]
    below: list[list[int]] = [[] for _ in level]
    for tail, head in links:
        above[head].append(tail)
        below[tail].append(head)
    _sort(rows, above, below)
    x = _across(rows, above, below, widths, len(sizes))
    tops = _down(rows, sizes)
    points = [(x[k], tops[level[k]]) for k in range(len(level))]
    return Placed(points[: len(sizes)], [[points[k] for k in way] for way in lanes])


def layers_of(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way to each box; what needs nothing stands above its first reader."""
    into: list[int] = [0] * count
    heads: list[list[int]] = [[] for _ in range(count)]
    for tail, head in arrows:
        heads[tail].append(head)
        into[head] += 1
    free = [k for k in range(count) if not into[k]]
    sources = list(free)
    layer = [0] * count
    for k in free:  # grows while it is read
        for head in heads[k]:
            layer[head] = max(layer[head], layer[k] + 1)
            into[head] -= 1
            if not into[head]:
                free.append(head)
    for k in sources:
        layer[k] = min((layer[head] - 1 for head in heads[k]), default=0)
    return layer


def _sort(
    rows: list[list[int]], above: list[list[int]], below: list[list[int]]
) -> None:
    """Order each row by the mean of its neighbours, downwards and upwards in turn."""
    place = [0.0] * len(above)
    for row in rows:
        for i, k in enumerate(row):
            place[k] = float(i)
    for sweep in range(ORDER_SWEEPS):
        near, order = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
        for row in order:
            key = {
                k: (
                    sum(place[m] for m in near[k]) / len(near[k])
                    if near[k]
                    else place[k]
                )
                for k in row
            }
            row.sort(key=lambda k: key[k])
            for i, k in enumerate(row):
                place[k] = float(i)


def _across(
    rows: list[list[int]],
    above: list[list[int]],
    below: list[list[int]],
    widths: list[float],
    boxes: int,
) -> list[float]:
    x = [0.0] * len(widths)
    for row in rows:
        at = 0.0
        for k in row:
            x[k] = at + widths[k] / 2
            at += widths[k] + ACROSS
    for sweep in range(PLACE_SWEEPS):
        near, order = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
        for row in order:
            wanted = [
                sum(x[m] for m in near[k]) / len(near[k]) if near[k] else x[k]
                for k in row
            ]
            weights = [1.0 + len(near[k]) + 3.0 * (k >= boxes) for k in row]
            _settle(row, wanted, weights, widths, x)
    low = min((x[k] - widths[k] / 2 for k in range(len(x))), default=0.0)
    return [v - low for v in x]


def _settle(
    row: list[int],
    wanted: list[float],
    weights: list[float],
    widths: list[float],
    x: list[float],
) -> None:
    """The places closest to the wanted ones, in this order and with gaps (pool adjacent
    violators)."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + ACROSS)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, members
    for want, offset, weight in zip(wanted, offsets, weights, strict=True):
        mean, total, many = want - offset, weight, 1
        while blocks and blocks[-1][0] >= mean:
            m, w, n = blocks.pop()
            mean = (m * w + mean * total) / (w + total)
            total, many = total + w, many + n
        blocks.append((mean, total, many))
    i = 0
    for mean, _, many in blocks:
        for _ in range(many):
            x[row[i]] = mean + offsets[i]
            i += 1


def _down(rows: list[list[int]], sizes: Sequence[Point]) -> list[float]:
    """The height of the middle of each layer."""
    tops: list[float] = []
    at = 0.0
    for row in rows:
        high = max((sizes[k][1] for k in row if k < len(sizes)), default=0.0)
        tops.append(at + high / 2)
        at += high + DOWN
    return tops
