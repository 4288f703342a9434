"""`gradc explore`: a page that shows the program, its graph and both passes side by side.

gradc explore mlp.net -o mlp.html            # one file; open it in a browser
gradc explore f.net --at x=1,w=0.5 -o f.html # with the value of everything
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from argparse import Namespace
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from .cost import sizes_of
from .exits import Exit, UsageError
from .options import Parser, add_common, sizes
from .programs import one_blas_thread
from .terminal import Terminal
from .tracing import Numbers, shown, traced

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
    made.add_argument(
        "--at",
        metavar="x=1,w=0.5|FILE:ROW",
        action="append",
        default=[],
        help="values beside the formulas; what is not given is drawn",
    )
    made.add_argument(
        "--size", metavar="N=8", action="append", default=[], help="a size"
    )
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Write the page."""
    from gradc.compiler.explain.explorer import explorer, nodes_of

    one_blas_thread()
    trace, options, folder = traced(args)
    if not trace.plan.functions:
        raise UsageError("nothing-to-draw", f"{trace.program.name} computes nothing")
    if args.at:
        numbers = Numbers(trace, options, args, folder, args.at)
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
    return _filled(
        (folder / "page.html").read_text("utf-8"),
        {
            "policy": policy,
            "title": escape(made.name),
            "style": style,
            "text_title": escape(made.text.title),
            "text": _listed(made.text, "t"),
            "graph": _graph(made),
            "forward_title": escape(made.forward.title),
            "forward": _listed(made.forward, "f"),
            "backward": _listed(made.backward, "b"),
            "data": data,
            "script": script,
        },
    )


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """In one pass: what is put in is never searched for places."""
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], template)


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _listed(listing: Listing, letter: str) -> str:
    rows = []
    for k, line in enumerate(listing.lines, listing.first):
        note = ' class="note"' if line.lstrip().startswith("#") else ""
        rows.append(
            f'<li id="{letter}{k}" data-i data-n="{k}" tabindex="-1"{note}>{escape(line)}</li>'
        )
    return f"<ol>{''.join(rows)}</ol>"


def _graph(made: Explorer) -> str:
    """The drawing: a box a value, a smaller one beside it for its adjoint."""
    from gradc.compiler.explain.layering import layered
    from gradc.compiler.explain.svg import CHARACTER, LINE, MARGIN, size_of, texts

    boxes = made.drawing.boxes
    index = {b.id: k for k, b in enumerate(boxes)}
    arrows = [(index[a.tail], index[a.head]) for a in made.drawing.arrows]
    chip = [
        len(made.chips[b.id]) * CHARACTER + MARGIN if b.id in made.chips else 0.0
        for b in boxes
    ]
    sizes_ = [size_of(b) for b in boxes]
    placed = layered(
        [(w + c, h) for (w, h), c in zip(sizes_, chip, strict=True)], arrows
    )
    out = []
    wide = high = 1.0
    for (tail, head), way in zip(arrows, placed.bends, strict=True):
        (x, y), (x2, y2) = placed.centres[tail], placed.centres[head]
        points = [(x, y + sizes_[tail][1] / 2), *way, (x2, y2 - sizes_[head][1] / 2)]
        d = "L".join(f"{a + 8:.0f},{b + 8:.0f}" for a, b in points)
        out.append(f'<path d="M{d}"/>')
    for k, b in enumerate(boxes):
        (w, h), c = sizes_[k], chip[k]
        left = placed.centres[k][0] - (w + c) / 2 + 8
        top = placed.centres[k][1] - h / 2 + 8
        wide, high = max(wide, left + w + c + 8), max(high, top + h + 8)
        name = escape(" ".join(texts(b)))
        out.append(
            f'<g id="v{k}" data-i class="{b.kind}" tabindex="-1" role="img" aria-label="{name}">'
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{w:.0f}" height="{h:.0f}" rx="5"/>'
        )
        for i, words in enumerate(texts(b)):
            kind = ' class="small"' if i else ""
            base = top + MARGIN / 2 + (i + 0.75) * LINE
            out.append(
                f'<text{kind} x="{left + w / 2:.0f}" y="{base:.0f}">{escape(words)}</text>'
            )
        out.append("</g>")
        if c:
            said = escape(made.chips[b.id])
            out.append(
                f'<g id="a{k}" data-i class="adjoint" tabindex="-1" role="img" '
                f'aria-label="adjoint {said}"><rect x="{left + w:.0f}" y="{top:.0f}" '
                f'width="{c:.0f}" height="{h:.0f}" rx="5"/><text x="{left + w + c / 2:.0f}" '
                f'y="{top + h / 2 + 4:.0f}">{said}</text></g>'
            )
    size = f'width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(out)}</svg>'
