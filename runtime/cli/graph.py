"""`gradc graph`: the computational graph, forward and with its adjoints.

gradc graph mlp.net --format svg > mlp.svg   # a picture
gradc graph mlp.net --level layer            # a box a layer, as DOT
gradc graph f.net --grad --at x=1,w=0.5      # values and adjoints in the boxes
"""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from ..blas import prepare_blas
from .exits import Exit, UsageError
from .options import Parser, add_common
from .terminal import Terminal
from .tracing import add_point, numbers_of, shown, traced

SUMMARY = "the computational graph as DOT, SVG or Mermaid"


def parser() -> Parser:
    """The flags of `gradc graph`."""
    made = Parser(
        "graph",
        __doc__.splitlines()[0],
        examples=__doc__.split("\n\n", 1)[1],
    )
    made.add_argument("file", metavar="FILE", help="a .net file, or - for stdin")
    made.add_argument(
        "--format",
        choices=("dot", "svg", "mermaid"),
        default="dot",
        help="dot is plain text",
    )
    made.add_argument(
        "--level",
        dest="box",
        choices=("op", "layer"),
        default="op",
        help="what one box stands for",
    )
    made.add_argument(
        "--grad", action="store_true", help="the adjoints too, from the loss back"
    )
    add_point(made)
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Draw, and print in the format that is asked for."""
    from gradc.compiler.explain.boxes import with_values
    from gradc.compiler.explain.diagrams import dot, mermaid
    from gradc.compiler.explain.drawing import draw

    prepare_blas()
    trace, options, folder = traced(args)
    drawing, nodes = draw(trace, args.box, args.grad)
    if not drawing.boxes:
        raise UsageError("nothing-to-draw", f"{trace.program.name} computes nothing")
    numbers = numbers_of(args, trace, options, folder)
    if numbers is not None:
        found = numbers.of(nodes)
        values = {key: shown(array) for key, array in found.items()}
        drawing = with_values(drawing, values)
    if args.json:
        terminal.product(json.dumps(asdict(drawing), ensure_ascii=False))
        return Exit.OK
    match args.format:
        case "dot":
            terminal.product(dot(drawing))
        case "mermaid":
            terminal.product(mermaid(drawing))
        case _:
            from gradc.compiler.explain.arrangement import arrange
            from gradc.compiler.explain.svg import svg

            places, bends = arrange(drawing)
            terminal.product(svg(drawing, places, bends))
    return Exit.OK
