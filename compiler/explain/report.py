"""What `gradc explain` says: sections made of derivations, closed forms, paths and lines.

In: a trace, and values by name where there are any. Out: sections for `page.render`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field

from gradc.records import record

from ..ir.dims import Shape, show
from ..ir.node import Node
from .closed_form import ClosedForm, closed_form, is_scalar
from .derivation import Derivation, derivations, derive
from .formula import Formula, Name, names_in, plus
from .layers import Stack, stack_of
from .page import Prose, Row, Section, Statement
from .parts import Part
from .paths import FEW, Census, Ways, census, ends, ways
from .provenance import Trace
from .reading import LoopText

Shown = Callable[[Node], str]


@record(frozen=False)
class Report:
    """Sections, and what the printers have to know of the names in them."""

    sections: list[Section] = field(default_factory=list)
    adjoints: set[str] = field(default_factory=set)
    layers: bool = False
    books: bool = False  # examples are columns


def wanted_nodes(derivations: Iterable[Derivation]) -> dict[str, Node]:
    """The nodes whose values stand beside the formulas, by their names."""
    found: dict[str, Node] = {}
    for d in derivations:
        found |= {v.name: v.node for v in d.values}
        found |= {s.name: s.whole for s in d.steps}
    return found


def chosen(trace: Trace, key: str | None) -> list[Derivation]:
    """The derivations of one parameter, or of all."""
    if key is None:
        return derivations(trace.program, trace.named)
    made = derive(trace.program, trace.named, key)
    return [] if made is None else [made]


def derivation_report(
    trace: Trace,
    found: Sequence[Derivation],
    values: Mapping[str, str],
    books: bool = False,
) -> Report:
    """Forward and backward, link by link. `books`: with the names of the books' layers."""
    report = Report(books=books)
    for d in found:
        stack = stack_of(d) if books else None
        _one(trace, stack.derivation if stack else d, values, report, stack)
    return report


def _one(
    trace: Trace,
    d: Derivation,
    values: Mapping[str, str],
    report: Report,
    stack: Stack | None,
) -> None:
    known = {new: old for old, new in stack.names.items()} if stack else {}
    report.layers = report.layers or stack is not None
    report.adjoints |= {s.name for s in d.steps}
    losses = ", ".join(d.losses)
    forward: list[Row] = []
    extra = Extra(d.parts, d.loops, report.books)
    for v in d.values:
        if v.formula is None:
            if v.name in values or known.get(v.name) in values:
                value = values.get(known.get(v.name, v.name), "")
                forward.append(Statement(v.name, (), shape_note(v.node.shape), value))
            continue
        forward += extra.before(v.formula)
        value = values.get(known.get(v.name, v.name), "")
        forward.append(
            Statement(v.name, (v.formula,), _note(trace, v.node, report.books), value)
        )
    report.sections.append(Section(f"Forward, to {losses}", tuple(forward)))
    backward: list[Row] = []
    for s in d.steps:
        backward += extra.before(s.formula)
        formulas = (s.formula,) if s.chain is None else (s.chain, s.formula)
        if s.chain == s.formula:
            formulas = (s.formula,)
        value = values.get(known.get(s.name, s.name), "")
        backward.append(
            Statement(s.name, formulas, shape_note(s.shape, report.books), value)
        )
    title = f"Backward, from {losses}: d_v is the adjoint of v, ∂{losses}/∂v"
    if stack is not None:
        title += "; δ that of z, layer by layer"
        if stack.layers[-1].a:
            title += f"; d_a{len(stack.layers)} is ∇_a {losses}"
    report.sections.append(Section(title, tuple(backward)))


class Extra:
    """Parts and loops stand before the first formula that speaks of them."""

    def __init__(
        self, parts: Iterable[Part], loops: Iterable[LoopText], books: bool = False
    ) -> None:
        self.books = books
        self.parts = {p.name: p for p in parts}
        self.loops = {loop.name: loop for loop in loops}

    def before(self, f: Formula) -> list[Row]:
        return self._of(names_in(f))

    def _of(self, names: Iterable[str]) -> list[Row]:
        rows: list[Row] = []
        for name in names:
            part = self.parts.pop(name, None)
            if part is not None:
                rows += self._of(names_in(part.formula))
                note = shape_note(part.node.shape, self.books)
                rows.append(Statement(name, (part.formula,), note, depth=1))
            loop = self.loops.pop(name, None)
            if loop is not None:
                rows += self._of(loop.reads)
                rows += loop_rows(loop)
        return rows


def loop_rows(loop: LoopText, depth: int = 1) -> list[Row]:
    """`loop1: for t from T - 1 down to 0`, its memory and what a step computes."""
    last = str(int(loop.steps) - 1) if loop.steps.isdigit() else f"{loop.steps} - 1"
    way = f"from {last} down to 0" if loop.reverse else f"from 0 to {last}"
    rows: list[Row] = [Prose(f"{loop.name}: for {loop.index} {way}", depth)]
    inside = depth + 1
    for name, f in loop.captures:
        rows.append(Statement(name, (f,), "every step", depth=inside))
    for name, f in loop.slices:
        rows.append(Statement(name, (f,), f"entry {loop.index} of it", depth=inside))
    for c in loop.carries:
        rows.append(
            Statement(c.name, (c.start,), "before the first step", depth=inside)
        )
    for sub in loop.loops:
        rows += loop_rows(sub, inside)
    for name, f in loop.lines:
        rows.append(Statement(name, (f,), depth=inside))
    for c in loop.carries:
        rows.append(
            Statement(c.name, (c.after,), "for the next step", depth=inside, sign="<-")
        )
    return rows


def shape_note(shape: Shape, books: bool = False) -> str:
    """`[N, hidden]`; in the books' form a matrix is turned."""
    if books and len(shape) == 2:
        shape = shape[::-1]
    return show(shape) if shape else ""


def _note(trace: Trace, node: Node, books: bool = False) -> str:
    """The shape, and the line of the program."""
    place = ""
    k = node.origin.equation
    equations = trace.program.equations
    if 0 <= k < len(equations) and equations[k].line:
        e = equations[k]
        place = f"{e.file or trace.program.name}:{e.line}"
    return "  ".join(p for p in (shape_note(node.shape, books), place) if p)


# ------------------------------------------------------------------------ closed forms
def closed_report(trace: Trace, key: str | None) -> tuple[Report, dict[str, Node]]:
    """A program of single numbers in closed form; no sections where it is not one."""
    report = Report()
    wanted = _scalars(trace, key)
    if not wanted or not is_scalar(wanted.values()):
        return report, {}
    form = closed_form(wanted.values(), trace.named)
    rows: list[Row] = []
    told: set[str] = set()
    for name, node in wanted.items():
        rows += closed_rows(name, node, form, told)
    report.adjoints |= {n for n in wanted if n.startswith("d_")}
    report.sections.append(Section("In closed form", tuple(rows)))
    return report, wanted


def closed_rows(name: str, node: Node, form: ClosedForm, told: set[str]) -> list[Row]:
    """`d_w = …`, and below it where t1 = …"""
    rows: list[Row] = [Statement(name, (form.formulas[node],))]
    parts = [p for p in form.parts_of(node) if p.name not in told]
    if parts:
        rows.append(Prose("where", 1))
    for part in parts:
        told.add(part.name)
        rows.append(Statement(part.name, (part.formula,), depth=2))
    return rows


def _scalars(trace: Trace, key: str | None) -> dict[str, Node]:
    """What a closed form is wanted of: gradients, or the outputs of a program without."""
    program = trace.program
    found: dict[str, Node] = {}
    for d in chosen(trace, key):
        targets = {f"d_{t}" for t in d.targets}
        found |= {s.name: s.whole for s in d.steps if s.name in targets}
    if key is None:
        mode = program.training
        found = {r.name: r.node for r in mode.outputs if r.node.kind == "real"} | found
    return found


# ------------------------------------------------------------------------------- paths
def paths_report(
    trace: Trace, keys: Iterable[str], most: int = FEW
) -> tuple[Report, dict[str, Node]]:
    """The paths of parameters: how many, what they cost, and each where they are few."""
    report = Report()
    nodes: dict[str, Node] = {}
    for key in keys:
        counted = census(trace.program, key)
        if counted is None:
            rows: list[Row] = [Prose("no loss moves it: there is no path")]
            report.sections.append(Section(f"Paths from {key}", tuple(rows)))
            continue
        name = _name(trace, key)
        rows = [Prose(line) for line in census_lines(counted)]
        to = ", ".join(r.name or "loss" for r in ends(trace.program))
        report.sections.append(Section(f"Paths from {name} to {to}", tuple(rows)))
        found = ways(trace.program, key, trace.named, most)
        if found is not None:
            section, values = ways_section(name, found)
            nodes |= values
            report.adjoints.add(f"d_{name}")
            report.sections.append(section)
    return report, nodes


def _name(trace: Trace, key: str) -> str:
    """The name in formulas of a parameter's path, or of an input."""
    nodes = {p.path: p.node for p in trace.program.params}
    nodes |= {i.name: i.node for i in trace.program.inputs}
    return trace.named.of.get(nodes[key], key)


def census_lines(c: Census) -> list[str]:
    """The count, beside what reverse mode pays."""
    many = "path" if c.paths == 1 else "paths"
    lines = [
        f"{c.paths} {many} over {c.nodes} forward nodes and {c.edges} edges",
        f"path by path: {_many(c.products, 'product')}, {_many(c.additions, 'addition')}",
        f"reverse mode: {_many(c.edges, 'product')}, {_many(c.meetings, 'addition')}, in "
        "one sweep",
    ]
    if c.loops:
        lines.append(f"a loop counts as one operation; there are {c.loops} on the way")
    return lines


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def ways_section(name: str, found: Ways) -> tuple[Section, dict[str, Node]]:
    """Each path with its product of local derivatives, and their sum."""
    rows: list[Row] = []
    nodes: dict[str, Node] = {}
    total: Formula | None = None
    for part in found.parts:
        rows.append(Statement(part.name, (part.formula,), "shared", depth=1))
    for k, way in enumerate(found.ways, 1):
        label = f"p{k}"
        rows.append(Prose(f"path {k}: {' → '.join(way.stations)}"))
        for link in way.links:
            what = f"∂{link.above}/∂{link.below}"
            takes = "g" in names_in(link.derivative)
            rows.append(
                Statement(
                    what,
                    (link.derivative,),
                    "of a cotangent g" if takes else "",
                    depth=2,
                )
            )
        rows.append(Statement(label, (way.share,), depth=1))
        nodes[label] = way.node
        term = Name(label, len(way.node.shape))
        total = term if total is None else plus(total, term)
    assert total is not None
    nodes[f"d_{name}"] = found.adjoint
    rows.append(Statement(f"d_{name}", (total, found.total)))
    return Section("Each path, and their sum", tuple(rows)), nodes
