"""What the explorer page shows: a program, its graph, its two passes, and what came of what.

In: a trace, a number for each size, and values of nodes where there are any. Out: an
`Explorer`: the graph with places, and for each of its values the lines of the text and of the
emitted functions, formulas as MathML, operations and bytes. All of it is in what JSON has. What
belongs to what is the provenance that `gradc explain FILE:LINE` prints.

    made = explorer(trace, {"N": 64})
    made.document["items"][4]["forward"]      # the lines of `forward` that compute it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gradc.records import record

from ..backend.cost import costs, evaluate
from ..ir.node import Node
from ..passes import tidy
from ..source import Source, Span
from .boxes import Drawing, with_values
from .by_op import by_op
from .costs import MOVES, Costs, Sizes, count
from .derivation import derivations
from .formula import Formula, Name, names_in
from .mathml import mathml, mathml_name
from .page import Prose, Row, Statement
from .parts import Fresh, Part
from .printing import Naming, naming_of
from .provenance import EmittedLine, Record, Trace, lines_of, record_of
from .reading import LoopText, read_all
from .report import Extra, shape_note
from .stations import UNNAMED

Values = Mapping[Node, str]
FORWARDS = ("forward", "evaluate", "predict")
SHORT = 24  # characters of a value that stands in a box too


@record
class Listing:
    """Lines of source with the number of the first."""

    title: str
    first: int
    lines: tuple[str, ...]


@record
class Explorer:
    """All that the page needs."""

    name: str
    drawing: Drawing
    chips: dict[str, tuple[str, ...]]  # box -> the name of its adjoint, and its value
    text: tuple[Listing, ...]  # the program, and the files that it uses
    forward: tuple[Listing, ...]
    backward: tuple[Listing, ...]
    document: dict[str, Any]


@record
class _Said:
    """A formula, and what has to be said before it."""

    formulas: tuple[Formula, ...]
    parts: Mapping[str, Part]
    loops: Mapping[str, LoopText]


def nodes_of(trace: Trace) -> list[Node]:
    """The nodes whose values the page could show: those of boxes, and their adjoints."""
    _, nodes, _ = by_op(trace, everything=True)
    adjoints = trace.joint.adjoints
    every = [*nodes.values(), *(adjoints[n] for n in nodes.values() if n in adjoints)]
    return [n for n in dict.fromkeys(every) if n.op.name not in UNNAMED]


def explorer(
    trace: Trace, sizes: Sizes, values: Values | None = None, numbers: str = ""
) -> Explorer:
    """The page's data. `numbers` says where the values come from."""
    record = record_of(trace)
    drawing, _, box_of = by_op(trace, everything=True)
    owner: dict[str, Node] = {}
    for n, id_ in box_of.items():
        owner.setdefault(id_, n)  # the first: broadcasts of it come later
    adjoints = {
        id_: trace.joint.adjoints[n]
        for id_, n in owner.items()
        if n in trace.joint.adjoints and n.op.family != "tuple"
    }
    named = trace.named
    functions = trace.plan.functions
    shown = [f for f in FORWARDS if f in functions] or ["init"]
    forward = _reached(record, shown)
    backward = _reached(record, ["backward"])
    values = values or {}
    said, said_adjoint, signs = _formulas(trace, owner, adjoints)
    naming = naming_of([*named.of.values(), *signs], signs)
    flops = _flops(trace, shown, sizes)
    flops_back = _flops(trace, ["backward"], sizes)
    sheets = Sheets(record, shown)
    paths = {p.node: p.path for p in trace.program.params}
    items: list[dict[str, Any]] = []
    for box in drawing.boxes:
        n = owner[box.id]
        item: dict[str, Any] = {
            "id": box.id,
            "kind": box.kind,
            "title": box.title,
            "what": n.op.name,
            "path": paths.get(n, ""),
            "shape": shape_note(n.shape) if n.op.family != "tuple" else "",
            "lines": sheets.rows_of(n),
            "place": sheets.place(n),
            "forward": forward.get(n) or sheets.emitted(n, box.kind),
            "rows": _rows(named(n) or "", said.get(n), naming),
            "flops": flops.get(_image(trace, n)),
            "value": values.get(n, ""),
        }
        adjoint = adjoints.get(box.id)
        if adjoint is not None:
            own = named.adjoint(n) if named(n) is not None else ""
            one = "1" if values and adjoint.op.name == "seed" else ""
            item["adjoint"] = {
                "name": own,
                "backward": backward.get(adjoint, []),
                "rows": _rows(own or "δ", said_adjoint.get(n), naming),
                "flops": flops_back.get(_image(trace, adjoint)),
                "value": values.get(adjoint, one),
            }
        items.append(item)
    index = {item["id"]: k for k, item in enumerate(items)}
    document = {
        "version": 1,
        "name": trace.program.name,
        "sizes": dict(sizes),
        "numbers": numbers,
        "functions": shown,
        "items": items,
        "arrows": [[index[a.tail], index[a.head]] for a in drawing.arrows],
        "files": [[x.title, x.first, len(x.lines)] for x in sheets.files],
        "lines": sheets.document(
            count(trace.plan, trace.written.names, sizes), trace.program.name
        ),
    }
    chips = {
        box: tuple(t for t in (found["name"] or "δ", _short(found["value"])) if t)
        for box in adjoints
        for found in (items[index[box]]["adjoint"],)
    }
    told = {item["id"]: _short(item["value"]) for item in items}
    return Explorer(
        trace.program.name,
        with_values(drawing, told),
        chips,
        sheets.files,
        tuple(_listing(record, f) for f in shown),
        (_listing(record, "backward"),) if "backward" in functions else (),
        document,
    )


def _image(trace: Trace, n: Node) -> Node:
    return trace.plan.joint.image.get(n, n)


def _short(value: str) -> str:
    """A value that fits into a box."""
    return value if len(value) <= SHORT and "\n" not in value else ""


# --------------------------------------------------------------------------- formulas
def _formulas(
    trace: Trace, owner: Mapping[str, Node], adjoints: Mapping[str, Node]
) -> tuple[dict[Node, _Said], dict[Node, _Said], set[str]]:
    """The formula of each value, that of its adjoint, and which names are adjoints.

    Named values as a derivation says them. What has no name is read in terms of these.
    """
    named = trace.named
    said: dict[Node, _Said] = {}
    back: dict[Node, _Said] = {}
    signs: set[str] = set()
    names: dict[Node, str] = dict(named.of)
    for d in derivations(trace.program, named):
        parts = {p.name: p for p in d.parts}
        loops = {loop.name: loop for loop in d.loops}
        for v in d.values:
            if v.formula is not None:
                said.setdefault(v.node, _Said((v.formula,), parts, loops))
        for step in d.steps:
            formulas = (step.chain, step.formula)
            shown = dict.fromkeys(f for f in formulas if f is not None)
            back.setdefault(step.node, _Said(tuple(shown), parts, loops))
            signs.add(step.name)
            for whole in (step.whole, trace.joint.adjoints.get(step.node)):
                if whole is not None and whole.op.name not in ("const", "zero"):
                    names.setdefault(whole, step.name)
    left = [n for n in owner.values() if n.args and n not in said]
    left_back = {owner[box]: g for box, g in adjoints.items() if owner[box] not in back}
    wanted = [n for n in (*left, *left_back.values()) if n.op.family != "tuple"]
    if not wanted:
        return said, back, signs
    graph = wanted[0].graph
    table = tidy(graph, [*wanted, *names], list(names))
    moved = {table.get(n, n): name for n, name in names.items()}
    moved = {n: name for n, name in moved.items() if n.op.name not in ("const", "size")}
    fresh = Fresh([*names.values(), *signs])
    roots = [table.get(n, n) for n in wanted]
    own = {table.get(n, n) for n in left}  # read although they have a name
    read = [n for n in roots if n in own or n not in moved]
    reading = read_all(read, moved.get, fresh)
    parts = {p.name: p for p in reading.parts}
    loops = {loop.name: loop for loop in reading.loops}

    def of(n: Node) -> _Said:
        now = table.get(n, n)
        formula = reading.formulas.get(now) or Name(moved[now], len(now.shape))
        return _Said((formula,), parts, loops)

    for n in left:
        if n.op.family != "tuple":
            said[n] = of(n)
    for n, g in left_back.items():
        back[n] = of(g)
    return said, back, signs


def _rows(name: str, said: _Said | None, naming: Naming) -> list[dict[str, Any]]:
    """`t1 = …`, what a loop does, and the formula itself."""
    if said is None:
        return []
    reach: dict[str, None] = {}
    stack = [n for f in said.formulas for n in names_in(f)]
    while stack:
        at = stack.pop()
        if at in reach:
            continue
        reach.setdefault(at)
        if at in said.parts:
            stack += names_in(said.parts[at].formula)
        elif at in said.loops:
            stack += said.loops[at].reads
    parts = [said.parts[n] for n in reach if n in said.parts]
    extra = Extra(parts, [said.loops[n] for n in reach if n in said.loops])
    before = [row for f in said.formulas for row in extra.before(f)]
    return [_row(r, naming) for r in (*before, Statement(name, said.formulas))]


def _row(row: Row, naming: Naming) -> dict[str, Any]:
    if isinstance(row, Prose):
        return {"words": row.words, "depth": row.depth}
    assert isinstance(row, Statement)
    sign = "←" if row.sign == "<-" else row.sign
    made: list[Any] = ["mrow"]
    if row.left:
        made.append(mathml_name(row.left, naming))
    for f in row.formulas:
        made += [["mo", sign]] if len(made) > 1 else []
        made.append(mathml(f, naming))
    return {"math": made, "note": row.note, "depth": row.depth}


# ------------------------------------------------------------------------------ lines
class Sheets:
    """The program and the files that it uses, one under the other: rows from 1 on.

    For each row, the emitted lines of what it says; for each node, its rows.
    """

    def __init__(self, record: Record, functions: Sequence[str]) -> None:
        self.record = record
        self.functions = (*functions, "backward")
        main = record.trace.source
        sources = dict.fromkeys([main])
        for n in record.order:
            if isinstance(n.origin.span, Span):
                sources.setdefault(n.origin.span.source)
        self.first: dict[Source, int] = {}
        files: list[Listing] = []
        at = 1
        for source in sources:
            lines = tuple(source.text.removesuffix("\n").split("\n"))
            self.first[source] = at
            files.append(Listing(source.name, at, lines))
            at += len(lines)
        self.files = tuple(files)
        self.entries: dict[int, dict[str, Any]] = {}
        self.by_node: dict[Node, list[int]] = {}
        self._main(len(files[0].lines))
        self._used(main)

    def _main(self, last: int) -> None:
        """The rows of the program: those of a statement share what came of it."""
        record = self.record
        told: set[tuple[int, int]] = set()
        for number in range(1, last + 1):
            statement = record.statement(number)
            span = (number, number) if statement is None else lines_of(statement.span)
            if span in told:
                continue
            told.add(span)
            nodes = [*record.leaves(number), *record.nodes(number)]
            blocks = [x for e in record.equations(number) for x in record.block(e)]
            if not nodes and not blocks:
                continue
            for n in nodes:
                own = record.line_of(n)
                within = span[0] <= own <= span[1]
                self.by_node.setdefault(n, [own] if within else [*_range(span)])
            entry = {
                "emitted": self._by_function(blocks),
                "first": span[0],
                "last": span[1],
            }
            for k in _range(span):
                self.entries[k] = entry

    def _used(self, main: Source) -> None:
        """The rows of the other files, each with the lines of the values made there."""
        found: dict[int, dict[EmittedLine, None]] = {}
        for n in self.record.order:
            span = n.origin.span
            if not isinstance(span, Span) or span.source is main:
                continue
            row = self.first[span.source] + span.line - 1
            self.by_node.setdefault(n, []).insert(0, row)  # the innermost first
            found.setdefault(row, {}).update(dict.fromkeys(self.record.lines(n)))
        for row, lines in sorted(found.items()):
            emitted = self._by_function(lines)
            self.entries[row] = {"emitted": emitted, "first": row, "last": row}

    def _by_function(self, lines: Iterable[EmittedLine]) -> dict[str, list[int]]:
        made: dict[str, list[EmittedLine]] = {}
        for line in lines:
            if line.function in self.functions:
                made.setdefault(line.function, []).append(line)
        return {f: _numbers(xs) for f, xs in made.items()}

    def rows_of(self, n: Node) -> list[int]:
        own = self.record.line_of(n)
        return self.by_node.get(n) or ([own] if own else [])

    def place(self, n: Node) -> str:
        """`mlp.net:10`, or nothing for what nobody wrote."""
        rows = self.rows_of(n)
        if not rows:
            return ""
        at = max((x for x in self.files if x.first <= rows[0]), key=lambda x: x.first)
        return f"{at.title}:{rows[0] - at.first + 1}"

    def emitted(self, n: Node, kind: str) -> list[int]:
        """The lines of a metric or an output whose value is another one in `evaluate`."""
        k = n.origin.equation
        if kind != "output" or not 0 <= k < len(self.record.trace.program.equations):
            return []
        block = self.record.block(self.record.trace.program.equations[k])
        return _numbers(x for x in block if x.function in self.functions[:-1])

    def document(self, found: Costs, name: str) -> dict[str, Any]:
        """The rows, as JSON has keys, with what they cost."""
        by_place = {line.place: line for line in found.lines}
        made = {}
        for row, entry in self.entries.items():
            cost = by_place.get(f"{name}:{entry['first']}")
            more = {}
            if cost is not None and row < self.files[0].first + len(
                self.files[0].lines
            ):
                more = {
                    "flops": [cost.forward.flops, cost.backward.flops],
                    "bytes": [cost.forward.bytes, cost.backward.bytes],
                    "kept": cost.kept,
                }
            made[str(row)] = {**entry, **more}
        return made


def _range(span: tuple[int, int]) -> range:
    return range(span[0], span[1] + 1)


def _numbers(lines: Iterable[EmittedLine]) -> list[int]:
    """The numbers of lines of the module, each once."""
    return sorted({k for x in lines for k in range(x.first, x.last + 1)})


def _reached(record: Record, functions: Iterable[str]) -> dict[Node, list[int]]:
    """The lines of some functions that compute each node."""
    found: dict[Node, list[int]] = {}
    for f in functions:
        for n, lines in record.reached(f).items():
            found.setdefault(n, []).extend(_numbers(lines))
    return found


def _listing(record: Record, function: str) -> Listing:
    """A function of the module as it stands."""
    text = record.text
    start = next(
        (k for k, line in enumerate(text) if line.startswith(f"def {function}(")), None
    )
    if start is None:
        return Listing(function, 1, ())
    end = start + 1
    while end < len(text) and not text[end].startswith(("def ", "class ", "@")):
        end += 1
    while end > start and not text[end - 1].strip():
        end -= 1
    return Listing(function, start + 1, tuple(text[start:end]))


def _flops(trace: Trace, functions: Iterable[str], sizes: Sizes) -> dict[Node, float]:
    """The operations of each node in the first function that has it, as `gradc cost`
    counts them."""
    plan = trace.plan
    found: dict[Node, float] = {}
    for name in functions:
        f = plan.functions.get(name)
        for n, cost in costs(plan, f) if f is not None else ():
            moved = n.op.name in MOVES and n not in plan.views.folded
            if n not in found:
                found[n] = 0.0 if moved else evaluate(cost, dict(sizes))
    return found
