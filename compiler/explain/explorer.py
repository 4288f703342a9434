"""What the explorer page shows: a program, its graph, its two passes, and what came of what.

In: a trace, a number for each size, and values of nodes where there are any. Out: an
`Explorer`: the graph with places, and for each of its values the lines of the text and of the
emitted functions, formulas as MathML, operations and bytes. All of it is in what JSON has. What
belongs to what is the provenance that `gradc explain FILE:LINE` prints.

    made = explorer(trace, {"N": 64})
    made.document["items"][4]["forward"]      # the lines of `forward` that compute it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..autodiff.reverse import groups, reverse, seeds
from ..backend.cost import costs, evaluate
from ..backend.plan import Plan
from ..ir.node import Node
from ..passes import tidy
from .costs import MOVES, Costs, Sizes, count
from .derivation import derivations
from .drawing import Drawing, by_op
from .formula import Formula, Name, names_in
from .mathml import mathml, mathml_name
from .page import Prose, Row, Statement
from .provenance import EmittedLine, Record, Trace, lines_of, record_of
from .reading import Fresh, LoopText, Part, read_all
from .report import Extra, shape_note
from .stations import UNNAMED

Values = Mapping[Node, str]
FORWARDS = ("forward", "evaluate", "predict")  # the first that a program has is shown


@dataclass(frozen=True)
class Listing:
    """Lines of source with the number of the first."""

    title: str
    first: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Explorer:
    """All that the page needs."""

    name: str
    drawing: Drawing
    chips: dict[str, str]  # box -> the name of its adjoint
    text: Listing
    forward: Listing
    backward: Listing
    document: dict[str, Any]


@dataclass(frozen=True)
class _Said:
    """A formula, and what has to be said before it."""

    formulas: tuple[Formula, ...]
    parts: Mapping[str, Part]
    loops: Mapping[str, LoopText]


def nodes_of(trace: Trace) -> list[Node]:
    """The nodes whose values the page could show: those of boxes, and their adjoints."""
    _, nodes, _ = by_op(trace)
    seeded = seeded_adjoints(trace) if nodes else {}
    found = dict.fromkeys(nodes.values())
    every = [*found, *(seeded[n] for n in found if n in seeded)]
    return [n for n in dict.fromkeys(every) if n.op.name not in UNNAMED]


def seeded_adjoints(trace: Trace) -> dict[Node, Node]:
    """The adjoint of every value, for a loss whose own adjoint is 1."""
    found: dict[Node, Node] = {}
    for roots, wanted in groups(trace.program, ()):
        one = roots[0].node.graph.const(1)
        made = reverse(seeds(roots, one), list(wanted.values())).adjoints
        for n, adjoint in made.items():
            found.setdefault(n, adjoint)
    return found


def explorer(
    trace: Trace, sizes: Sizes, values: Values | None = None, numbers: str = ""
) -> Explorer:
    """The page's data. `numbers` says where the values come from."""
    record = record_of(trace)
    drawing, _, box_of = by_op(trace)
    owner: dict[str, Node] = {}
    for n, id_ in box_of.items():
        owner.setdefault(id_, n)  # the first: broadcasts of it come later
    adjoints = {
        id_: trace.joint.adjoints[n]
        for id_, n in owner.items()
        if n in trace.joint.adjoints and n.op.family != "tuple"
    }
    named = trace.named
    first = next(f for f in (*FORWARDS, "init") if f in trace.plan.functions)
    forward, backward = record.reached(first), record.reached("backward")
    values = values or {}
    seeded = seeded_adjoints(trace) if values else {}
    said, said_adjoint, signs = _formulas(trace, owner, adjoints)
    flops = _flops(trace.plan, first, sizes)
    flops_back = _flops(trace.plan, "backward", sizes)
    lines, by_node = _lines(record)
    items: list[dict[str, Any]] = []
    for box in drawing.boxes:
        n = owner[box.id]
        image = trace.plan.joint.image.get(n, n)
        item: dict[str, Any] = {
            "id": box.id,
            "kind": box.kind,
            "title": box.title,
            "what": n.op.name,
            "shape": shape_note(n.shape) if n.op.family != "tuple" else "",
            "lines": by_node.get(n) or [k for k in [record.line_of(n)] if k],
            "place": _place(record, n),
            "forward": _numbers(forward.get(n, ())),
            "rows": _rows(named(n) or "", said.get(n), signs),
            "flops": flops.get(image),
            "value": values.get(n, ""),
        }
        adjoint = adjoints.get(box.id)
        if adjoint is not None:
            image = trace.plan.joint.image.get(adjoint, adjoint)
            own = named.adjoint(n) if named(n) is not None else ""
            item["adjoint"] = {
                "name": own,
                "backward": _numbers(backward.get(adjoint, ())),
                "rows": _rows(own or "δ", said_adjoint.get(n), signs),
                "flops": flops_back.get(image),
                "value": values.get(seeded.get(n, adjoint), ""),
            }
        items.append(item)
    index = {item["id"]: k for k, item in enumerate(items)}
    arrows = [[index[a.tail], index[a.head]] for a in drawing.arrows]
    found = count(trace.plan, trace.written.names, sizes)
    document = {
        "version": 1,
        "name": trace.program.name,
        "sizes": dict(sizes),
        "numbers": numbers,
        "functions": [first, "backward"],
        "items": items,
        "arrows": arrows,
        "lines": _with_costs(lines, found, trace),
    }
    chips = {box: items[index[box]]["adjoint"]["name"] or "δ" for box in adjoints}
    return Explorer(
        trace.program.name,
        drawing,
        chips,
        Listing(trace.source.name, 1, tuple(trace.source.text.split("\n"))),
        _listing(record, first),
        _listing(record, "backward"),
        document,
    )


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
    reading = read_all([n for n in roots if n not in moved], moved.get, fresh)
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


def _rows(name: str, said: _Said | None, signs: set[str]) -> list[dict[str, Any]]:
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
    return [_row(r, signs) for r in (*before, Statement(name, said.formulas))]


def _row(row: Row, signs: set[str]) -> dict[str, Any]:
    if isinstance(row, Prose):
        return {"words": row.words, "depth": row.depth}
    assert isinstance(row, Statement)
    sign = "←" if row.sign == "<-" else row.sign
    made: list[Any] = ["mrow"]
    if row.left:
        made.append(mathml_name(row.left, signs))
    for f in row.formulas:
        made += [["mo", sign]] if len(made) > 1 else []
        made.append(mathml(f, signs))
    return {"math": made, "note": row.note, "depth": row.depth}


# ------------------------------------------------------------------------------ lines
def _lines(record: Record) -> tuple[dict[int, dict[str, Any]], dict[Node, list[int]]]:
    """For each line that computes: its equations' emitted lines; for nodes: their lines."""
    trace = record.trace
    last = trace.source.text.count("\n") + 1
    found: dict[int, dict[str, Any]] = {}
    by_node: dict[Node, list[int]] = {}
    told: set[tuple[int, int]] = set()
    for number in range(1, last + 1):
        statement = record.statement(number)
        span = (number, number) if statement is None else lines_of(statement.span)
        if span in told:
            continue
        told.add(span)
        nodes = record.nodes(number)
        leaf = record.leaf(number)
        if leaf is not None:
            nodes = [leaf, *nodes]
        emitted: dict[str, list[EmittedLine]] = {}
        for e in record.equations(number):
            for line in record.block(e):
                emitted.setdefault(line.function, []).append(line)
        if not nodes and not emitted:
            continue
        for n in nodes:
            own = record.line_of(n)
            here = [own] if own and span[0] <= own <= span[1] else [*_range(span)]
            by_node.setdefault(n, here)
        entry = {
            "emitted": {f: _numbers(lines) for f, lines in emitted.items()},
            "first": span[0],
            "last": span[1],
        }
        for k in _range(span):
            found[k] = entry
    return found, by_node


def _range(span: tuple[int, int]) -> range:
    return range(span[0], span[1] + 1)


def _with_costs(
    lines: Mapping[int, dict[str, Any]], found: Costs, trace: Trace
) -> dict[str, Any]:
    """The lines, as JSON has keys, with what they cost."""
    by_place = {line.place: line for line in found.lines}
    made = {}
    for number, entry in lines.items():
        cost = by_place.get(f"{trace.source.name}:{entry['first']}")
        more = {}
        if cost is not None:
            more = {
                "flops": [cost.forward.flops, cost.backward.flops],
                "bytes": [cost.forward.bytes, cost.backward.bytes],
                "kept": cost.kept,
            }
        made[str(number)] = {**entry, **more}
    return made


def _place(record: Record, n: Node) -> str:
    """`mlp.net:10`, or nothing for what nobody wrote."""
    k = n.origin.equation
    equations = record.trace.program.equations
    if not 0 <= k < len(equations) or not equations[k].line:
        return ""
    return record.place(equations[k])


def _numbers(lines: Iterable[EmittedLine]) -> list[int]:
    """The numbers of lines of the module, each once."""
    return sorted({k for x in lines for k in range(x.first, x.last + 1)})


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


def _flops(plan: Plan, function: str, sizes: Sizes) -> dict[Node, float]:
    """The operations of each node of a function, as `gradc cost` counts them."""
    f = plan.functions.get(function)
    if f is None:
        return {}
    return {
        n: (
            0.0
            if n.op.name in MOVES and n not in plan.views.folded
            else evaluate(cost, dict(sizes))
        )
        for n, cost in costs(plan, f)
    }
