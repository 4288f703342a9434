"""A drawing as SVG, when every box has a place.

In: a drawing, the centre of each box, and the bends of arrows. Out: one self-contained SVG:
no script, no link, its colours for a light and a dark page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from .boxes import COLORS, Box, Drawing

CHARACTER = 7.2  # width of one, in the font of a box
LINE = 16  # height of a line
MARGIN = 10
DARK = {
    "input": ("#22344f", "#7fa3d6"),
    "param": ("#4a3711", "#dca94b"),
    "value": ("#2c2c2c", "#999999"),
    "layer": ("#2c2c2c", "#999999"),
    "loss": ("#4d2225", "#e07e83"),
    "output": ("#3a2850", "#b48ede"),
    "adjoint": ("#1d3b28", "#6dbf8b"),
}

Point = tuple[float, float]


def size_of(box: Box) -> Point:
    """Width and height of a box."""
    lines = texts(box)
    widest = max(len(line) for line in lines)
    return widest * CHARACTER + 2 * MARGIN, len(lines) * LINE + MARGIN


def texts(box: Box) -> list[str]:
    """The lines in a box."""
    return [
        t
        for part in (box.title, *box.lines, box.value)
        if part
        for t in part.split("\n")
    ]


def svg(
    drawing: Drawing,
    places: Mapping[str, Point],
    bends: Sequence[Sequence[Point]] = (),
) -> str:
    """The picture. `bends`: for each arrow, the points that it passes."""
    sizes = {b.id: size_of(b) for b in drawing.boxes}
    low_x = min(
        (places[b.id][0] - sizes[b.id][0] / 2 for b in drawing.boxes), default=0
    )
    low_y = min(
        (places[b.id][1] - sizes[b.id][1] / 2 for b in drawing.boxes), default=0
    )
    high_x = max(
        (places[b.id][0] + sizes[b.id][0] / 2 for b in drawing.boxes), default=1
    )
    high_y = max(
        (places[b.id][1] + sizes[b.id][1] / 2 for b in drawing.boxes), default=1
    )
    for way in bends:
        for x, _ in way:
            low_x, high_x = min(low_x, x), max(high_x, x)
    width, height = high_x - low_x + 2 * MARGIN, high_y - low_y + 2 * MARGIN

    def at(point: Point) -> str:
        return f"{point[0] - low_x + MARGIN:.1f},{point[1] - low_y + MARGIN:.1f}"

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(drawing.name)}">',
        f"<title>{escape(drawing.name)}</title>",
        f"<style>{_style()}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z"/>'
        "</marker></defs>",
    ]
    for k, a in enumerate(drawing.arrows):
        way = list(bends[k]) if k < len(bends) else []
        start = _leave(places[a.tail], sizes[a.tail], way[0] if way else places[a.head])
        end = _leave(places[a.head], sizes[a.head], way[-1] if way else places[a.tail])
        points = " L".join(at(p) for p in (start, *way, end))
        kind = "local" if a.local else "arrow"
        out.append(f'<path class="{kind}" d="M{points}"/>')
        if a.label:
            beside = (end[0] + 9, end[1] - 5)
            above = 'x="{}" y="{}"'.format(*at(beside).split(","))
            out.append(f'<text class="label" {above}>{escape(a.label)}</text>')
    for b in drawing.boxes:
        out += _box(b, places[b.id], sizes[b.id], (low_x - MARGIN, low_y - MARGIN))
    return "\n".join([*out, "</svg>"]) + "\n"


def _leave(centre: Point, size: Point, towards: Point) -> Point:
    """Where an arrow leaves a box: its border, on the way to a point."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    if not dx and not dy:
        return centre
    scale = min(
        size[0] / 2 / abs(dx) if dx else float("inf"),
        size[1] / 2 / abs(dy) if dy else float("inf"),
    )
    return centre[0] + dx * scale, centre[1] + dy * scale


def _box(b: Box, centre: Point, size: Point, origin: Point) -> list[str]:
    x = centre[0] - size[0] / 2 - origin[0]
    y = centre[1] - size[1] / 2 - origin[1]
    line = f' data-line="{b.line}"' if b.line else ""
    out = [f'<g id="{b.id}" class="{b.kind}"{line}>']
    out.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" rx="6"/>'
    )
    middle = x + size[0] / 2
    for k, words in enumerate(texts(b)):
        kind = "title" if k == 0 else "more"
        base = y + MARGIN / 2 + (k + 0.75) * LINE
        out.append(
            f'<text class="{kind}" x="{middle:.1f}" y="{base:.1f}">{escape(words)}</text>'
        )
    return [*out, "</g>"]


def _style() -> str:
    rules = [
        "text{font:12px ui-monospace,Menlo,Consolas,monospace;text-anchor:middle;fill:#222}",
        ".title{font-weight:600}.label{font-size:10px;fill:#666}",
        ".arrow,.local{fill:none;stroke:#666}.arrow{marker-end:url(#head)}",
        ".local{stroke-dasharray:4 3;opacity:.6}marker path{fill:#666}",
    ]
    rules += [f".{k} rect{{fill:{f};stroke:{s}}}" for k, (f, s) in COLORS.items()]
    dark = [
        "text{fill:#eee}.label{fill:#aaa}.arrow,.local{stroke:#aaa}marker path{fill:#aaa}"
    ]
    dark += [f".{k} rect{{fill:{f};stroke:{s}}}" for k, (f, s) in DARK.items()]
    return "".join(rules) + "@media(prefers-color-scheme:dark){" + "".join(dark) + "}"
