"""`gradc explore`: a page that shows the program, its graph and both passes side by side.

gradc explore mlp.net -o mlp.html            # one file; open it in a browser
gradc explore f.net --at x=1,w=0.5 -o f.html # with the value of everything
gradc explore digits.net --data digits.csv.gz -o digits.html
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from ..blas import prepare_blas
from .cost import sizes_of
from .exits import Exit, UsageError
from .options import Parser, add_common, sizes
from .terminal import Terminal
from .tracing import add_point, numbers_of, shown, traced

if TYPE_CHECKING:
    from gradc.compiler.explain.explorer import Explorer, Listing

SUMMARY = "a page that links the program, its graph and both passes"


def parser() -> Parser:
    """The flags of `gradc explore`."""
    made = Parser(
        "explore", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1]
    )
    made.add_argument("file", metavar="FILE", help="a .net file, or - for stdin")
    made.add_argument("-o", dest="out", metavar="PAGE.html", help="(default: stdout)")
    add_point(made)
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Write the page."""
    from gradc.compiler.explain.explorer import explorer, nodes_of

    prepare_blas()
    trace, options, folder = traced(args)
    if not trace.plan.functions:
        raise UsageError("nothing-to-draw", f"{trace.program.name} computes nothing")
    numbers = numbers_of(args, trace, options, folder)
    if numbers is not None:
        nodes = nodes_of(trace)
        found = numbers.of({f"n{k}": n for k, n in enumerate(nodes)})
        values = {n: shown(found[f"n{k}"]) for k, n in enumerate(nodes)}
        made = explorer(trace, numbers.sizes, values, numbers.said())
    else:
        made = explorer(trace, sizes_of(trace, sizes(args.size)))
    if args.json:
        terminal.product(json.dumps(made.document, ensure_ascii=False))
        return Exit.OK
    text = page(made)
    if args.out:
        with open(args.out, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    else:
        terminal.product(text)
    return Exit.OK


def page(made: Explorer) -> str:
    """The page: no request leaves it, and only its own script and style are let run."""
    folder = files(__package__) / "explorer"
    style = (folder / "page.css").read_text("utf-8")
    script = (folder / "page.js").read_text("utf-8")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; "
        f"style-src '{_digest(style)}'; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    )
    data = json.dumps(made.document, ensure_ascii=True, separators=(",", ":"))
    for c in "<>&":  # inside a script element no markup is read, but its end is
        data = data.replace(c, f"\\u{ord(c):04x}")
    kinds = {box.kind for box in made.drawing.boxes} | (
        {"adjoint"} if made.chips else set()
    )
    legend = "".join(
        f'<span class="{kind}">{words}</span>'
        for kind, words in LEGEND.items()
        if kind in kinds
    )
    return _filled(
        (folder / "page.html").read_text("utf-8"),
        {
            "policy": policy,
            "title": escape(made.name),
            "numbers": escape(str(made.document["numbers"])),
            "style": style,
            "text": _listed(made.text, "t"),
            "text_title": _titles(made.text),
            "legend": legend,
            "graph": _graph(made),
            "forward_title": _titles(made.forward),
            "forward": _listed(made.forward, "f"),
            "backward": _listed(made.backward, "b")
            or '<p class="none">without a loss there is nothing to go back from</p>',
            "data": data,
            "script": script,
        },
    )


LEGEND = {
    "input": "input",
    "param": "parameter",
    "value": "value",
    "output": "output, metric",
    "loss": "loss",
    "adjoint": "adjoint, ∂loss/∂value",
}


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """In one pass: what is put in is never searched for places."""
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], template)


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _titles(listings: Sequence[Listing]) -> str:
    return escape(", ".join(x.title for x in listings))


def _listed(listings: Sequence[Listing], letter: str) -> str:
    """Rows with the numbers of their own file; `id`s go on from one to the next."""
    out: list[str] = []
    for listing in listings:
        rows = []
        for k, line in enumerate(listing.lines):
            row = listing.first + k
            note = ' class="note"' if line.lstrip().startswith("#") else ""
            number = k + 1 if letter == "t" else row
            rows.append(
                f'<li id="{letter}{row}" data-i data-n="{number}" tabindex="-1"{note}>'
                f"{escape(line)}</li>"
            )
        title = escape(listing.title)
        head = f"<h3>{title}</h3>" if letter == "t" and out else ""
        out.append(f'{head}<ol aria-label="{title}">{"".join(rows)}</ol>')
    return "".join(out)


GAP = 8.0  # around the drawing


def _graph(made: Explorer) -> str:
    """The drawing: a box a value, a smaller one beside it for its adjoint."""
    from gradc.compiler.explain.layering import layered
    from gradc.compiler.explain.svg import CHARACTER, MARGIN, size_of, texts

    boxes = made.drawing.boxes
    index = {b.id: k for k, b in enumerate(boxes)}
    arrows = [(index[a.tail], index[a.head]) for a in made.drawing.arrows]
    chips = [made.chips.get(b.id, ()) for b in boxes]
    chip = [max(map(len, c)) * CHARACTER + 1.6 * MARGIN if c else 0.0 for c in chips]
    sizes_ = [size_of(b) for b in boxes]
    placed = layered(
        [(w + c, h) for (w, h), c in zip(sizes_, chip, strict=True)], arrows
    )
    low = min((x for way in placed.bends for x, _ in way), default=0.0)
    shift = GAP - min(low, 0.0)
    out = []
    wide = high = 1.0
    for k, ((tail, head), way) in enumerate(zip(arrows, placed.bends, strict=True)):
        (x, y), (x2, y2) = placed.centres[tail], placed.centres[head]
        start = (x - chip[tail] / 2, y + sizes_[tail][1] / 2)  # the middle of the value
        points = [start, *way, (x2 - chip[head] / 2, y2 - sizes_[head][1] / 2)]
        wide = max(wide, *(a + shift + GAP for a, _ in points))
        d = "L".join(f"{a + shift:.0f},{b + GAP:.0f}" for a, b in points)
        out.append(f'<path id="e{k}" d="M{d}"/>')
    for k, b in enumerate(boxes):
        (w, h), c = sizes_[k], chip[k]
        left = placed.centres[k][0] - (w + c) / 2 + shift
        top = placed.centres[k][1] - h / 2 + GAP
        wide, high = max(wide, left + w + c + GAP), max(high, top + h + GAP)
        out.append(_box(f"v{k}", b.kind, texts(b), (left, top, w, h)))
        if c:
            place = (left + w, top, c, h)
            out.append(_box(f"a{k}", "adjoint", chips[k], place, "adjoint "))
    size = f'width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="group" aria-label="graph" {size}>'
        f'{"".join(out)}</svg>'
    )


def _box(
    id_: str,
    kind: str,
    words: Sequence[str],
    place: tuple[float, float, float, float],
    said: str = "",
) -> str:
    """A box at left, top, of a width and a height, its lines in the middle."""
    from gradc.compiler.explain.svg import LINE

    left, top, w, h = place
    name = escape(said + " ".join(words))
    lines = []
    first = top + (h - len(words) * LINE) / 2
    for i, text in enumerate(words):
        kind_ = ' class="small"' if i else ""
        base = first + (i + 0.75) * LINE
        lines.append(
            f'<text{kind_} x="{left + w / 2:.0f}" y="{base:.0f}">{escape(text)}</text>'
        )
    return (
        f'<g id="{id_}" data-i class="{kind}" tabindex="-1" role="button" '
        f'aria-label="{name}"><rect x="{left:.0f}" y="{top:.0f}" width="{w:.0f}" '
        f'height="{h:.0f}" rx="5"/>{"".join(lines)}</g>'
    )
