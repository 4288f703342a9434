"""Charts as SVG, drawn with nothing but text: curves, points, a matrix of counts.

In: numbers. Out: a `figure` or a `table` of HTML, coloured by the classes of the page.

    lines("loss", [Curve("training loss", [1, 2], [0.9, 0.4])], best=2)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .records import record

WIDE, HIGH = 460.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 10.0, 8.0, 24.0
MOST = 1000  # points of a curve or a cloud
DECADES = 100.0  # a range so wide is shown in powers of ten


@record
class Curve:
    """A name, and values over places."""

    name: str
    places: Sequence[float]
    values: Sequence[float]


@record
class Axis:
    """Numbers to places between two ends; `log` in powers of ten."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value stands."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        part = (value - low) / (high - low) if high > low else 0.5
        return self.start + part * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round numbers within the range."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(
                math.log10(self.high)
            )
            powers = [10.0**n for n in range(first, last + 1)]
            if len(powers) >= 2:
                return powers
            return [self.low, self.high]
        span = self.high - self.low
        if not span > 0:
            return [self.low]
        step = 10 ** math.floor(math.log10(span / 4))
        step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= 5)
        count = math.floor(self.high / step + 1e-9) - math.ceil(self.low / step - 1e-9)
        first = math.ceil(self.low / step - 1e-9)
        return [(first + i) * step for i in range(count + 1)]


def axis(values: Sequence[float], start: float, stop: float, free: bool = True) -> Axis:
    """The axis that shows these; `free`: it may be of powers of ten."""
    there = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(there), max(there)
    log = free and low > 0 and high / low >= DECADES
    if low == high:
        margin = abs(low) / 2 or 0.5
        low, high = low - margin, high + margin
    return Axis(low, high, start, stop, log)


def lines(title: str, curves: Sequence[Curve], best: float | None) -> str:
    """Curves over the epochs; `best` is marked."""
    x = axis([p for c in curves for p in c.places], LEFT, WIDE - RIGHT, free=False)
    y = axis([v for c in curves for v in c.values], HIGH - BOTTOM, TOP)
    parts = [_grid(x, y)]
    if best is not None:
        at = x.at(best)
        parts.append(
            f'<line class="best" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP:.0f}" '
            f'y2="{HIGH - BOTTOM:.0f}"><title>best: epoch {best:g}</title></line>'
        )
    for number, curve in enumerate(curves):
        every = max(1, math.ceil(len(curve.values) / MOST))
        points: list[tuple[float, float]] = []
        pieces: list[str] = []
        pairs = list(zip(curve.places, curve.values, strict=True))
        shown = pairs[::every] + ([pairs[-1]] if (len(pairs) - 1) % every else [])
        for place, value in [*shown, (math.nan, math.nan)]:
            if math.isfinite(value) and (not y.log or value > 0):
                points.append((x.at(place), y.at(value)))
                continue
            if len(points) == 1:
                px, py = points[0]
                pieces.append(
                    f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="3"/>'
                )
            elif points:
                path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
                pieces.append(f'<polyline class="curve" points="{path}"/>')
            points = []
        parts.append(f'<g class="s{number % 3}">{"".join(pieces)}</g>')
    legend = "".join(
        f'<span class="s{i % 3}"><i></i></span>{escape(c.name)}'
        for i, c in enumerate(curves)
    )
    return _figure(title, parts, legend if len(curves) > 1 else "", "epoch")


def scatter(
    across: str,
    up: str,
    places: NDArray[Any],
    values: NDArray[Any],
    level: float | None = None,
) -> str:
    """Points, a sample if there are many; a line where they would be right."""
    rows = np.linspace(0, len(places) - 1, min(len(places), MOST)).astype(int)
    px, py = places[rows], values[rows]
    x = axis(list(px), LEFT, WIDE - RIGHT, free=False)
    y = axis(
        [*py, *([level] if level is not None else [])], HIGH - BOTTOM, TOP, free=False
    )
    ends = [(v, level if level is not None else v) for v in (x.low, x.high)]
    (x0, y0), (x1, y1) = ((x.at(a), y.at(b)) for a, b in ends)
    parts = [
        _grid(x, y),
        f'<clipPath id="in"><rect x="{LEFT}" y="{TOP}" width="{WIDE - RIGHT - LEFT}" '
        f'height="{HIGH - BOTTOM - TOP}"/></clipPath>',
        f'<line class="best" clip-path="url(#in)" x1="{x0:.1f}" y1="{y0:.1f}" '
        f'x2="{x1:.1f}" y2="{y1:.1f}"/>',
        '<g class="s0">',
        *(
            f'<circle class="dot" cx="{x.at(float(a)):.1f}" cy="{y.at(float(b)):.1f}" r="2.5"/>'
            for a, b in zip(px, py, strict=True)
            if math.isfinite(a) and math.isfinite(b)
        ),
        "</g>",
    ]
    return _figure(f"{up} over {across}", parts, "", across)


def matrix(classes: Sequence[str], counts: NDArray[np.int64]) -> str:
    """A table whose cells are darker the larger their share of the row is."""
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in classes)
    rows = []
    for i, name in enumerate(classes):
        cells = []
        for j, count in enumerate(counts[i]):
            colour = "--c" if i == j else "--b"
            # A mistake is to be seen, even if it is one of a hundred.
            least = 0 if i == j else 18
            share = round(least + (70 - least) * float(shares[i, j]))
            style = (
                f' style="background:color-mix(in srgb,var({colour}) {share}%,transparent)"'
                if count
                else ""
            )
            cells.append(f"<td{style}>{int(count) or '·'}</td>")
        rows.append(f"<tr><th scope=row>{escape(name)}</th>{''.join(cells)}</tr>")
    return (
        f'<table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _grid(x: Axis, y: Axis) -> str:
    parts = []
    for tick in y.ticks():
        at = y.at(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT:.0f}" x2="{WIDE - RIGHT:.0f}" y1="{at:.1f}" '
            f'y2="{at:.1f}"/><text x="{LEFT - 6:.0f}" y="{at + 4:.1f}" text-anchor="end">'
            f"{tick:.4g}</text>"
        )
    for tick in x.ticks():
        parts.append(
            f'<text x="{x.at(tick):.1f}" y="{HIGH - 6:.0f}" text-anchor="middle">{tick:.4g}</text>'
        )
    return "".join(parts)


def _figure(title: str, parts: Sequence[str], legend: str, across: str) -> str:
    beside = f' <span class="legend">{legend}</span>' if legend else ""
    return (
        f"<figure><figcaption>{escape(title)}{beside}</figcaption>"
        f'<svg viewBox="0 0 {WIDE:.0f} {HIGH:.0f}" role="img" '
        f'aria-label="{escape(title)} over {escape(across)}">{"".join(parts)}</svg></figure>'
    )
