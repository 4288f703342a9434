"""Provenance: all that came of a line of the program, across the stages.

In: a `Trace`, what every stage handed on. Out: a `Record`: the statements of the text, the
equations that they became, the nodes of these, the adjoints of the nodes, what each node
became in the passes, and the lines of the emitted module that compute it. As JSON it is what
a page needs that lights up one pane from another.

    record = record_of(trace)
    record.on_line(10)                    # the nodes, and the emitted lines, of one line
    document(trace)                       # all of it, for JSON
"""

from __future__ import annotations

import ast as python
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gradc.records import record

from ..backend.plan import Plan
from ..backend.readable import Emission
from ..dumps import dump_ast
from ..frontend import ast
from ..ir.dims import show
from ..ir.graph import ancestors
from ..ir.node import Node
from ..ir.program import Equation, Joint, Mode, Program
from ..ir.text import inline_text, node_text
from ..source import Source, Span
from .stations import UNNAMED, Stations

PLACE = re.compile(r"\s*# (?! )(?P<text>.*?)(?: {2,}(?P<place>\S+:\d+))?$")


@record
class Trace:
    """What every stage made of one program, in the order of the stages."""

    source: Source
    tree: ast.Program
    joint: Joint  # as reverse mode left it: adjoints by node
    plan: Plan  # after the passes; `plan.joint.image` says what became of each node
    written: Emission
    named: Stations

    @property
    def program(self) -> Program:
        """The program before any pass."""
        return self.joint.program


@record
class EmittedLine:
    """A statement of the emitted module: where it stands and what it binds."""

    first: int
    last: int
    function: str
    place: str  # mlp.net:10, or the text of an equation that nobody wrote
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """The table of all stages. Nodes are numbered as `--emit grad` numbers them."""

    trace: Trace
    order: tuple[Node, ...]
    adjoint_of: dict[Node, Node]  # adjoint -> whose it is
    emitted: tuple[EmittedLine, ...]
    numbers: dict[Node, int] = field(default_factory=dict)

    @cached_property
    def text(self) -> list[str]:
        """The lines of the emitted module."""
        return self.trace.written.text.split("\n")

    # ------------------------------------------------------------------ one line
    def statement(self, line: int) -> ast.Statement | None:
        """The innermost statement of the text whose lines have this one among them."""
        best: ast.Statement | None = None
        for s in ast.walk(self.trace.tree):
            if not isinstance(s, ast.Statement):
                continue
            first, last = lines_of(s.span)
            if first <= line <= last and (
                best is None or s.span.start >= best.span.start
            ):
                best = s
        return best

    def equations(self, line: int) -> list[Equation]:
        """The equations that the statement of a line became: one for each copy."""
        s = self.statement(line)
        first, last = (line, line) if s is None else lines_of(s.span)
        name = self.trace.source.name
        return [
            e
            for e in self.trace.program.equations
            if first <= e.line <= last and (e.file or name) == name
        ]

    def nodes(self, line: int) -> list[Node]:
        """The values that a line made: not its adjoints."""
        s = self.statement(line)
        first, last = (line, line) if s is None else lines_of(s.span)
        indices = {e.index for e in self.equations(line)}
        made = []
        for n in self.order:
            if n in self.adjoint_of or n not in self.primal:
                continue
            if n.op.family == "leaf":
                continue
            span = n.origin.span
            here = (
                isinstance(span, Span)
                and span.source is self.trace.source
                and first <= span.line <= last
            )
            if here or n.origin.equation in indices:
                made.append(n)
        return made

    @cached_property
    def primal(self) -> set[Node]:
        """What the program computes itself, without its derivatives."""
        program = self.trace.program
        return ancestors(_roots([program.training, program.evaluation]))

    def line_of(self, node: Node) -> int:
        """The line of the text that made a node; 0 where none did, or another file's."""
        span = node.origin.span
        if isinstance(span, Span) and span.source is self.trace.source:
            return span.line
        return 0

    def leaves(self, line: int) -> list[Node]:
        """The inputs, parameters and states that a line declares."""
        program = self.trace.program
        places = [(i.line, i.node) for i in program.inputs]
        places += [(p.line, p.node) for p in (*program.params, *program.states)]
        return [node for at, node in places if at == line and node in self.numbers]

    def lines(self, node: Node) -> list[EmittedLine]:
        """The lines of the module that bind a node (or its image after the passes)."""
        image = self.trace.plan.joint.image.get(node, node)
        name = self.trace.written.names.get(image)
        if name is None or not node.args:
            return []
        k = node.origin.equation
        equations = self.trace.program.equations
        places = {""} if not 0 <= k < len(equations) else {self.place(equations[k])}
        found: dict[str, list[EmittedLine]] = {}
        shared = self.trace.written.variables.get(image, _without_copy(name))
        for wanted in dict.fromkeys((name, shared)):
            here: dict[str, list[EmittedLine]] = {}
            for line in self._binding.get(wanted, ()):
                f = self.trace.plan.functions.get(line.function)
                if f is None or (image not in f.lines and line.function != "backward"):
                    continue
                if line.place in places and line.function not in found:
                    here.setdefault(line.function, []).append(line)
            found |= here  # `h` for `h2` only where a function has no `h2`
        return sorted((x for xs in found.values() for x in xs), key=lambda x: x.first)

    @cached_property
    def _binding(self) -> dict[str, list[EmittedLine]]:
        """The lines that bind a name."""
        table: dict[str, list[EmittedLine]] = {}
        for line in self.emitted:
            for target in dict.fromkeys(line.targets):
                table.setdefault(target, []).append(line)
        return table

    def reached(self, function: str) -> dict[Node, tuple[EmittedLine, ...]]:
        """The lines of a function that compute each node.

        A node without a line of its own is part of the lines of its readers.
        """
        found: dict[Node, dict[EmittedLine, None]] = {}
        for n in reversed(self.order):
            mine = found.setdefault(n, {})
            own = [x for x in self.lines(n) if x.function == function]
            if n.op.family == "leaf" and n.op.name not in UNNAMED:
                name = self.trace.written.names.get(n, "")
                own = [x for x in self._binding.get(name, ()) if x.function == function]
                own += mine
            if own:
                mine = found[n] = dict.fromkeys(own)
            if n.op.family == "leaf":
                continue
            for a in n.args:
                if a.op.name not in UNNAMED:
                    found.setdefault(a, {}).update(mine)
        return {n: tuple(sorted(xs, key=lambda x: x.first)) for n, xs in found.items()}

    def block(self, e: Equation) -> list[EmittedLine]:
        """The lines of an equation, in every function."""
        return [line for line in self.emitted if line.place == self.place(e)]

    def place(self, e: Equation) -> str:
        """How the emitted module cites an equation."""
        if not e.line:
            return e.text
        return f"{e.file or self.trace.program.name}:{e.line}"


def lines_of(span: Span) -> tuple[int, int]:
    """The first and the last line of a span."""
    source = span.source
    end = max(span.end - 1, span.start)
    return span.line, source.position(end)[0]


def _without_copy(name: str) -> str:
    """`h2` outside of a loop is `h` inside it."""
    return re.sub(r"\d+$", "", name)


def _roots(modes: Iterable[Mode]) -> list[Node]:
    roots: dict[Node, None] = {}
    for mode in modes:
        for b in mode.bindings:
            roots.setdefault(b.node)
        for r in (*mode.losses, *mode.metrics, *mode.outputs):
            roots.setdefault(r.node)
        if mode.total is not None:
            roots.setdefault(mode.total.node)
        for _, node in mode.updates:
            roots.setdefault(node)
    return list(roots)


def record_of(trace: Trace) -> Record:
    """Number the nodes and read the emitted module."""
    program = trace.program
    roots = _roots([program.training, program.evaluation])
    roots += list(trace.joint.gradients.values())
    order = tuple(sorted(ancestors(roots), key=lambda n: n.serial))
    adjoint_of: dict[Node, Node] = {}
    for primal, adjoint in trace.joint.adjoints.items():
        if adjoint.op.name != "seed":
            adjoint_of.setdefault(adjoint, primal)
    numbers = {n: k for k, n in enumerate(order)}
    return Record(trace, order, adjoint_of, emitted_lines(trace.written.text), numbers)


def emitted_lines(text: str) -> tuple[EmittedLine, ...]:
    """The assignments of a module, each with the equation that stands above it."""
    comments: dict[int, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        found = PLACE.match(line)
        if found and line.lstrip().startswith("# "):
            words = re.sub(r"^repeat [^:]*: ", "", found["text"])
            comments[number] = found["place"] or words
    found_lines: list[EmittedLine] = []
    for function in python.parse(text).body:
        if not isinstance(function, python.FunctionDef):
            continue
        for s in python.walk(function):
            if not isinstance(s, python.Assign | python.AugAssign):
                continue
            targets = s.targets if isinstance(s, python.Assign) else [s.target]
            names = [
                n.id
                for t in targets
                for n in python.walk(t)
                if isinstance(n, python.Name) and isinstance(n.ctx, python.Store)
            ]
            if isinstance(s, python.AugAssign | python.Assign) and not names:
                names = [
                    n.id
                    for t in targets
                    for n in python.walk(t)
                    if isinstance(n, python.Name)
                ]
            above = [k for k in comments if function.lineno < k < s.lineno]
            place = comments[max(above)] if above else ""
            last = s.end_lineno or s.lineno
            found_lines.append(
                EmittedLine(s.lineno, last, function.name, place, tuple(names))
            )
    return tuple(sorted(found_lines, key=lambda x: x.first))


# ------------------------------------------------------------------------------- JSON
def document(trace: Trace) -> dict[str, Any]:
    """The whole record, in what JSON has."""
    record = record_of(trace)
    program = trace.program
    return {
        "version": 1,
        "name": program.name,
        "text": trace.source.text,
        "source": trace.written.text,
        "equations": [
            {
                "index": e.index,
                "text": e.text,
                "line": e.line,
                "file": e.file or program.name,
                "copy": list(e.copy),
                "emitted": [[x.function, x.first, x.last] for x in record.block(e)],
            }
            for e in program.equations
        ],
        "nodes": [_node(record, n) for n in record.order],
        "gradients": {
            path: record.numbers[n] for path, n in trace.joint.gradients.items()
        },
    }


def _node(record: Record, n: Node) -> dict[str, Any]:
    trace = record.trace
    adjoint = trace.joint.adjoints.get(n)
    primal = record.adjoint_of.get(n)
    span = n.origin.span
    made: dict[str, Any] = {
        "id": record.numbers[n],
        "op": n.op.name,
        "args": [record.numbers[a] for a in n.args],
        "text": written(record, n),
        "shape": show(n.shape, described=True) if n.shape else "",
        "kind": n.kind,
        "name": trace.named.of.get(n, ""),
        "equation": n.origin.equation,
        "line": span.line if isinstance(span, Span) else 0,
        "file": span.source.name if isinstance(span, Span) else "",
        "role": "primal" if n in record.primal else "derivative",
        "adjoint": record.numbers.get(adjoint) if adjoint is not None else None,
        "adjoint_of": record.numbers.get(primal) if primal is not None else None,
        "emitted": [[x.function, x.first, x.last] for x in record.lines(n)],
    }
    return made


def written(record: Record, n: Node) -> str:
    """`einsum2(%1, %4) spec="ij,jk->ik"`, numbers as `--emit grad` has them."""
    names = {a: _operand(record, a) for a in n.args}
    if n.op.name in ("const", "size"):
        return inline_text(n)
    return node_text(n, names)


def _operand(record: Record, n: Node) -> str:
    if n.op.name in ("const", "size"):
        return inline_text(n)
    return f"%{record.numbers[n]}"


def syntax(statement: ast.Statement) -> list[str]:
    """The tree of a statement, a line a node."""
    return dump_ast(statement).split("\n")
