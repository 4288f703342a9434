"""`gradc explain`: where a gradient comes from, in formulas that one can check.

gradc explain mlp.net                         # the derivation, link by link
gradc explain mlp.net:10                      # all that came of one line
gradc explain mlp.net --param W1 --columns    # one parameter, in the books' form
gradc explain f.net --at x=1,w1=0.5 --paths   # with numbers, path by path
gradc explain broadcast                       # what an error means
"""

from __future__ import annotations

import json
import re
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from ..blas import prepare_blas
from .exits import Exit, UsageError
from .options import Parser, add_common, positive
from .terminal import Terminal
from .tracing import Numbers, add_point, numbers_of, parameter_of, shown, traced

if TYPE_CHECKING:
    from gradc.compiler.explain.provenance import Trace
    from gradc.compiler.ir.node import Node

SUMMARY = "the derivation of a gradient, a line, or an error"


def parser() -> Parser:
    """The flags of `gradc explain`."""
    made = Parser(
        "explain",
        __doc__.splitlines()[0],
        examples=__doc__.split("\n\n", 1)[1],
    )
    made.add_argument(
        "file",
        metavar="FILE[:LINE]|ID",
        help="a .net file (- for stdin), a line of it, or the id of an error",
    )
    made.add_argument("--param", metavar="W1", help="one parameter (or input) alone")
    made.add_argument(
        "--paths", action="store_true", help="the sum over paths: how many, and each"
    )
    made.add_argument(
        "--most",
        type=positive,
        metavar="N",
        help="show up to so many paths one by one (16)",
    )
    add_point(made)
    made.add_argument(
        "--columns",
        action="store_true",
        help="an example is a column, as in the books: z = W x + b",
    )
    made.add_argument("--format", choices=("text", "latex", "md"), default="text")
    add_common(made)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Print the derivation, what came of a line, or an essay."""
    from gradc.compiler.errors.essays import essay, essays

    if re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", args.file):
        text = essay(args.file)
        if text is not None:
            essay_ = {"version": 1, "id": args.file, "text": text}
            terminal.product(json.dumps(essay_) if args.json else text)
            return Exit.OK
        from .options import suggestion

        raise UsageError(
            "no-file",
            f"`{args.file}` is neither a file nor the id of an error",
            help=suggestion(args.file, essays()) or "see `gradc explain --help`",
        )
    prepare_blas()
    line: int | None = None
    found = re.fullmatch(r"(.+):(\d+)", args.file)
    if found:
        args.file, line = found[1], int(found[2])
    trace, options, folder = traced(args)
    numbers = numbers_of(args, trace, options, folder)
    if line is not None:
        return explain_line(trace, line, args, numbers, terminal)
    terminal.product(explained(trace, args, numbers))
    return Exit.OK


def explained(trace: Trace, args: Namespace, numbers: Numbers | None) -> str:
    """All that is asked for, on one page."""
    from gradc.compiler.explain.page import (
        Prose,
        Section,
        document,
        in_columns,
        render,
    )
    from gradc.compiler.explain.report import (
        chosen,
        closed_report,
        derivation_report,
        paths_report,
        wanted_nodes,
    )

    key = None if args.param is None else parameter_of(trace, args.param)
    sections: list[Section] = []
    adjoints: set[str] = set()
    layers = False
    found = chosen(trace, key)
    if key is not None and not found and trace.program.training.total is not None:
        raise UsageError(
            "no-gradient",
            f"no loss of {trace.program.name} moves `{args.param}`: it has no gradient",
        )
    if args.paths:
        keys = [key] if key is not None else list(trace.joint.gradients)
        if not keys and trace.program.training.total is None:
            inputs = trace.program.inputs
            keys = [i.name for i in inputs if i.node.kind == "real"]
        if not keys:
            raise UsageError(
                "no-loss",
                f"{trace.program.name} has nothing that paths could start from",
            )
        more = {} if args.most is None else {"most": args.most}
        report, nodes = paths_report(trace, keys, **more)
        report.sections = with_values(report.sections, nodes, numbers)
        sections += report.sections
        adjoints |= report.adjoints
    else:
        closed, nodes = closed_report(trace, key)
        if numbers is not None:
            sections.append(Section("", (Prose(numbers.said()),)))
        if found:
            wanted = wanted_nodes(found)
            values = values_of(wanted, numbers, args.columns)
            report = derivation_report(trace, found, values, books=args.columns)
            sections += report.sections
            adjoints |= report.adjoints
            layers = report.layers
        sections += with_values(closed.sections, nodes, numbers)
        adjoints |= closed.adjoints
    if not sections:
        raise UsageError(
            "no-gradient",
            f"{trace.program.name} has neither a loss nor a formula of single numbers",
            help="a line of it can be explained: gradc explain FILE:LINE",
        )
    if args.columns:
        sections = in_columns(sections)
    if args.json:
        made = document(trace.program.name, sections, adjoints, layers)
        return json.dumps(made, ensure_ascii=False)
    return render(sections, args.format, adjoints, layers)


def values_of(
    wanted: dict[str, Node], numbers: Numbers | None, columns: bool = False
) -> dict[str, str]:
    """The values of nodes, as they are printed; matrices turned where examples are columns."""
    if numbers is None or not wanted:
        return {}
    found = numbers.of(wanted)
    if columns:
        found = {k: a.T if a.ndim == 2 else a for k, a in found.items()}
    return {name: shown(array) for name, array in found.items()}


def with_values(
    sections: list[Any], nodes: dict[str, Node], numbers: Numbers | None
) -> list[Any]:
    """The same sections, with a value beside each statement whose node is known."""
    from dataclasses import replace

    from gradc.compiler.explain.page import Statement

    values = values_of(nodes, numbers)
    if not values:
        return sections

    def row(at: Any) -> Any:
        if isinstance(at, Statement) and at.left in values:
            return replace(at, value=values[at.left])
        return at

    return [replace(s, rows=tuple(row(r) for r in s.rows)) for s in sections]


def explain_line(
    trace: Trace,
    line: int,
    args: Namespace,
    numbers: Numbers | None,
    terminal: Terminal,
) -> Exit:
    """All that came of one line, with values where there are numbers."""
    from gradc.compiler.explain.line import line_document, line_sections
    from gradc.compiler.explain.page import Prose, Section, render

    lines = trace.source.text.count("\n") + 1
    if not 1 <= line <= lines:
        raise UsageError(
            "no-line", f"{trace.source.name} has no line {line}; it has {lines}"
        )
    sections, adjoints, nodes = line_sections(trace, line)
    if args.json:
        document = line_document(trace, line)
        if numbers is not None:
            document["values"] = values_of(nodes, numbers)
        terminal.product(json.dumps(document, ensure_ascii=False))
        return Exit.OK
    if numbers is not None:
        sections = with_values(sections, nodes, numbers)
        sections.insert(0, Section("", (Prose(numbers.said()),)))
    terminal.product(render(sections, args.format, adjoints))
    return Exit.OK
