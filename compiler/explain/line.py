"""What `gradc explain FILE:LINE` says: one line of the program, stage by stage.

In: a trace and the number of a line. Out: sections (`page.py`), or the same as JSON.
"""

from __future__ import annotations

from typing import Any

from ..ir.dims import show
from ..ir.node import Node
from .derivation import derivations
from .page import Code, Prose, Row, Section, Statement
from .parts import Fresh
from .provenance import (
    EmittedLine,
    Record,
    Trace,
    record_of,
    syntax,
    written,
)
from .reading import read_all
from .report import Extra

MOST_COPIES = 3  # of a repeat, beyond which only the first are shown


def line_sections(
    trace: Trace, line: int
) -> tuple[list[Section], set[str], dict[str, Node]]:
    """All that came of a line, which names are adjoints, and the nodes of names."""
    record = record_of(trace)
    sections = [_text(record, line)]
    leaves = record.leaves(line)
    nodes = [*leaves, *record.nodes(line)]
    if not nodes:
        words = (
            "nothing is computed here: what it says is used where it is called or named"
        )
        sections.append(Section("", (Prose(words),)))
        return sections, set(), {}
    sections.append(_dag(record, nodes))
    values, adjoints, signs, named = _formulas(record, nodes)
    if values.rows:
        sections.append(values)
    if adjoints.rows:
        sections.append(adjoints)
    sections += _emitted(record, line, leaves)
    return sections, signs, named


def _text(record: Record, line: int) -> Section:
    trace = record.trace
    statement = record.statement(line)
    rows: list[Row] = []
    if statement is None:
        rows.append(Code((trace.source.line_text(line),), "net"))
    else:
        source = trace.source
        first = statement.span.line
        last = source.position(max(statement.span.end - 1, statement.span.start))[0]
        rows.append(
            Code(tuple(source.line_text(k) for k in range(first, last + 1)), "net")
        )
        rows.append(Prose("as a tree"))
        rows.append(Code(tuple(syntax(statement)[:MOST_LINES])))
    copies = len(record.equations(line))
    if copies > 1:
        rows.append(Prose(f"it became {copies} equations: one for each copy or line"))
    return Section(f"{trace.source.name}:{line}", tuple(rows))


MOST_LINES = 60


def _dag(record: Record, nodes: list[Node]) -> Section:
    """The nodes, as `--emit grad` numbers them."""
    rows = []
    for n in nodes:
        name = record.trace.named.of.get(n, "")
        adjoint = record.trace.joint.adjoints.get(n)
        k = None if adjoint is None else record.numbers.get(adjoint)
        rows.append(
            (
                f"%{record.numbers[n]}",
                written(record, n),
                show(n.shape) if n.shape else n.kind,
                name,
                "" if k is None else f"adjoint %{k}",
            )
        )
    widths = [max(len(r[i]) for r in rows) for i in range(4)]
    lines = tuple(
        "  ".join(
            [*(c.ljust(w) for c, w in zip(r[:4], widths, strict=True)), r[4]]
        ).rstrip()
        for r in rows
    )
    return Section(f"Nodes of the graph ({len(nodes)})", (Code(lines),))


def _formulas(
    record: Record, nodes: list[Node]
) -> tuple[Section, Section, set[str], dict[str, Node]]:
    """The named values among them, their adjoints, the names of all adjoints, and the nodes
    of the names that stand here."""
    trace = record.trace
    here = {trace.named.of[n] for n in nodes if n in trace.named.of}
    values: list[Row] = []
    adjoints: list[Row] = []
    told: set[str] = set()
    named: dict[str, Node] = {}
    signs: set[str] = set()
    for d in derivations(trace.program, trace.named):
        signs |= {s.name for s in d.steps}
        parts = {p.name: p for p in d.parts}
        loops = {loop.name: loop for loop in d.loops}

        extra = Extra(parts.values(), loops.values())
        for v in d.values:
            if v.name in here and v.formula is not None and v.name not in told:
                told.add(v.name)
                named[v.name] = v.node
                values += extra.before(v.formula)
                note = show(v.node.shape) if v.node.shape else ""
                values.append(Statement(v.name, (v.formula,), note))
        for s in d.steps:
            if s.primal in here:
                named[s.name] = s.whole
                adjoints += extra.before(s.formula)
                formulas = (s.formula,) if s.chain is None else (s.chain, s.formula)
                note = show(s.shape) if s.shape else ""
                adjoints.append(Statement(s.name, formulas, note))
    left = [n for n in nodes if trace.named.of.get(n) in here - told and n.args]
    if left:  # what no loss reads: metrics and outputs
        names = trace.named.of
        reading = read_all(left, names.get, Fresh(names.values()))
        for part in reading.parts:
            values.append(Statement(part.name, (part.formula,), depth=1))
        for n in left:
            note = show(n.shape) if n.shape else ""
            values.append(Statement(names[n], (reading.formulas[n],), note))
            named[names[n]] = n
    sections = Section("Values", tuple(values)), Section("Adjoints", tuple(adjoints))
    return (*sections, signs, named)


def _emitted(record: Record, line: int, leaves: list[Node]) -> list[Section]:
    """The lines of each function, with their numbers."""
    found: list[EmittedLine] = []
    for e in record.equations(line):
        found += record.block(e)
    for leaf in leaves:
        name = record.trace.written.names.get(leaf, "")
        adjoint = f"d_{name}"
        found += [
            x for x in record.emitted if name in x.targets or adjoint in x.targets
        ]
    rows: dict[str, dict[int, str]] = {}
    for x in found:
        table = rows.setdefault(x.function, {})
        for k in range(x.first, x.last + 1):
            table[k] = record.text[k - 1]
    sections = []
    for function, table in rows.items():
        shown = tuple(f"{k:>5}  {text}" for k, text in sorted(table.items()))
        sections.append(Section(f"Emitted, {function}", (Code(shown, "python"),)))
    return sections


def line_document(trace: Trace, line: int) -> dict[str, Any]:
    """The same as data."""
    record = record_of(trace)
    nodes = [*record.leaves(line), *record.nodes(line)]
    return {
        "version": 1,
        "name": trace.program.name,
        "line": line,
        "text": trace.source.line_text(line),
        "equations": [e.index for e in record.equations(line)],
        "nodes": [
            {
                "id": record.numbers[n],
                "text": written(record, n),
                "name": trace.named.of.get(n, ""),
                "emitted": [[x.function, x.first, x.last] for x in record.lines(n)],
            }
            for n in nodes
        ],
        "emitted": [
            [x.function, x.first, x.last]
            for e in record.equations(line)
            for x in record.block(e)
        ],
    }
