"""What is known of a whole program once it is lowered: ranges, rows, classes, what is unused.

In come both runs of lowering, out comes the `Program`. Everything here is read off the graph:
which input is used as an index and how far it may go, which losses are means over
independent rows, which parameter no loss depends on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gradc.records import record

from ..autodiff import rows
from ..errors import loops as loops_prose
from ..errors import program as prose
from ..errors import sizes as sizes_prose
from ..ir.dims import Dim, Shape, told
from ..ir.dims import size as count
from ..ir.graph import ancestors, topological
from ..ir.node import Node, Origin
from ..ir.program import Equation, Input, Mode, Program, Root, Rows
from ..ops.loops import parts as loop_parts
from .context import Lowering, Made, Shared

if TYPE_CHECKING:
    from ..frontend.resolve import Resolved

# What hands on an index as it is, element by element.
MOVING = ("reshape", "broadcast", "slice", "transpose", "stop")
# What keeps the order of the entries of a row.
MONOTONE = ("softmax", "exp", "log", "sigmoid", "tanh", "softplus", "stop")


def program(
    resolved: Resolved, shared: Shared, training: Lowering, evaluation: Lowering
) -> Program:
    """The checked program."""
    _check_sizes(shared)
    _check_overs(shared, training)
    _check_unused(shared, training)
    _check_draws(shared, training)
    equations = list(shared.equations.values())
    mode = _mode(shared, training, equations)
    other = mode if evaluation is training else _mode(shared, evaluation, equations)
    roots = [r.node for m in (mode, other) for r in (*m.losses, *m.metrics, *m.outputs)]
    picks = _picks(roots)
    inputs = tuple(_ranged(i, picks) for i in shared.inputs.values())
    for warning in shared.lucky.values():
        shared.reporter.report(warning)
    return Program(
        name=resolved.program.source.name,
        sha256=resolved.sha256,
        doc=tuple(resolved.program.doc.split("\n")) if resolved.program.doc else (),
        graph=shared.graph,
        constants=tuple(shared.constants.values()),
        inputs=inputs,
        params=tuple(m.param for m in shared.params.values()),
        equations=tuple(equations),
        training=mode,
        evaluation=other,
        checks=tuple(shared.checks.values()),
        train=resolved.train,
        stratify=_stratify(mode.losses, inputs),
        classes_of=_classes_of(mode.losses, other.outputs),
        states=tuple(m.param for m in shared.states.values()),
        noises=_noises([*roots, *(n for _, n in mode.updates)]),
    )


def _check_sizes(shared: Shared) -> None:
    """Every size of the data can be told from the shapes of the inputs."""
    shapes = {name: i.node.shape for name, i in shared.inputs.items()}
    known = told(list(shapes.values()))
    for name in shared.sizes:
        axes = [
            (d, shared.input_shapes[owner])
            for owner, shape in shapes.items()
            for d in shape
            if name in d.symbols()
        ]
        if axes and name not in known:
            texts = dict.fromkeys(str(d) for d, _ in axes)
            shared.reporter.report(
                sizes_prose.size_untold(axes[0][1], name, list(texts))
            )


def elements(shape: Shape) -> Dim:
    """The number of elements."""
    return count(shape)


def matches(pattern: str, path: str) -> bool:
    """Whether a path matches a pattern, in which `*` stands for any characters."""
    parts = [re.escape(part) for part in pattern.split("*")]
    return re.fullmatch(".*".join(parts), path) is not None


# ------------------------------------------------------------------------------ modes
def _mode(shared: Shared, lo: Lowering, equations: list[Equation]) -> Mode:
    dims = row_dims(shared)
    losses = tuple(_rows(r, dims) for r in lo.losses)
    total: Root | None = losses[0] if len(losses) == 1 else None
    if len(losses) > 1:
        text = "loss = " + " + ".join(r.name for r in losses)
        sums = [e for e in equations if e.line == 0]
        if not sums:
            sums = [Equation(len(equations), text, 0)]
            equations += sums
        index = sums[0].index
        with shared.graph.at(Origin(index)):
            node = losses[0].node
            for r in losses[1:]:
                node = node + r.node
        total = _rows(Root("loss", node, index), dims)
    return Mode(
        bindings=tuple(lo.bindings),
        losses=losses,
        metrics=tuple(_rows(r, dims) for r in lo.metrics),
        outputs=tuple(lo.outputs),
        total=total,
        updates=tuple(lo.updates.items()) if lo.training else (),
    )


def row_dims(shared: Shared) -> tuple[str, ...]:
    """The sizes that stand first in inputs' shapes and nowhere else in an input or
    parameter: the rows of a table."""
    first: dict[str, None] = {}
    elsewhere: set[str] = set()
    for input_ in shared.inputs.values():
        for i, d in enumerate(input_.node.shape):
            if i == 0 and d == Dim.symbol(str(d)):
                first.setdefault(str(d))
            else:
                elsewhere.update(d.symbols())
    for made in shared.params.values():
        for d in made.param.node.shape:
            elsewhere.update(d.symbols())
    return tuple(name for name in first if name not in elsewhere)


def _rows(root: Root, dims: Sequence[str]) -> Root:
    """The root with what was proved of its rows: a mean or sum over those of one table."""
    found: list[tuple[Rows, str]] = []
    for dim in dims:
        verdict = rows.row_structure(root.node, dim).rows
        if verdict is None:
            return root
        if verdict != "free":
            found.append((verdict, dim))
    if not found:
        return replace(root, rows="free")
    if len(found) > 1:
        return root
    return replace(root, rows=found[0][0], row_dim=found[0][1])


# -------------------------------------------------------------------- unused, covered
def _check_overs(shared: Shared, lo: Lowering) -> None:
    for name in lo.overs:
        a = name.text
        if not any(p == a or p.startswith((f"{a}.", f"{a}[")) for p in shared.params):
            shared.reporter.report(
                prose.over_nothing(name.span, a, list(shared.params))
            )


def _check_unused(shared: Shared, lo: Lowering) -> None:
    """A parameter that no loss depends on, not even through `stop`, is a mistake."""
    if not lo.losses:
        return
    used = ancestors(r.node for r in lo.losses)
    smooth, jumps = _smoothly(r.node for r in lo.losses)
    for path, made in shared.params.items():
        if made.param.node in used:
            if made.param.node not in smooth and not shared.reporter.has_errors:
                _check_flat(shared, path, made, jumps)
            continue
        if made.call == made.span:
            shared.reporter.report(prose.unused_param(made.span, made.param.name, path))
        else:
            shared.reporter.report(
                prose.unused_param(made.call, made.param.name, path, made.span)
            )


FLAT = frozenset({"floor", "sign"})  # real, with the derivative 0


def _smoothly(roots: Iterable[Node]) -> tuple[set[Node], list[Node]]:
    """What the roots depend on with a derivative, or behind a `stop` or a draw;
    and where the other ways end: at comparisons, indices, floor and sign."""
    roots = list(roots)
    stopped = [n for n in ancestors(roots) if n.is_a("stop", "drawn")]
    seen = ancestors(stopped)
    jumps: dict[Node, None] = {}
    smooth: set[Node] = set()
    stack = roots
    while stack:
        n = stack.pop()
        if n in smooth:
            continue
        smooth.add(n)
        measured = n.kind != "real" and any(a.kind == "real" for a in n.args)
        if n.op.name in FLAT or measured:
            jumps.setdefault(n)
        else:
            stack.extend(n.args)
    return seen | smooth, list(jumps)


def _check_flat(shared: Shared, path: str, made: Made, jumps: Sequence[Node]) -> None:
    """A parameter that a loss depends on, but with the derivative 0 everywhere."""
    through = [n for n in jumps if made.param.node in ancestors([n])]
    first = max(through, key=lambda n: n.serial)
    span = first.origin.span
    line = span.line if span is not None else 0
    text = "a comparison" if first.kind == "bool" else f"`{first.op.name}`"
    shared.reporter.report(prose.flat_param(made.call, path, text, line))


def _noises(roots: Iterable[Node]) -> tuple[Node, ...]:
    """The draws that the program makes, in order."""
    return tuple(n for n in topological(roots) if n.is_a("noise"))


def _check_draws(shared: Shared, lo: Lowering) -> None:
    """No loss may need the gradient of a draw by the parameters of its law."""
    for root in lo.losses:
        seen: set[Node] = set()
        stack = [root.node]
        while stack:
            node = stack.pop()
            if node in seen or node.is_a("stop") or node.kind != "real":
                continue
            seen.add(node)
            if node.is_a("drawn"):
                below = [n for n in topological([node]) if n.is_a("param")]
                if below:
                    paths = [str(n.attrs["name"]) for n in below]
                    name, line = str(node.attrs["name"]), int(node.attrs["line"])
                    said = loops_prose.grad_through_random(
                        lo.loss_spans[root.name], name, line, paths
                    )
                    shared.reporter.report(said)
                    return
            stack.extend(node.args)


# ------------------------------------------------------------- ints used as an index
def _source(node: Node) -> Node:
    """What an index comes from, through what only moves its elements."""
    while node.is_a(*MOVING):
        node = node.args[0]
    return node


def _moved(node: Node) -> tuple[Node, int]:
    """What an index comes from, and the number that was added to it: `E[i + 1]`."""
    added = 0
    while True:
        node = _source(node)
        if not node.is_a("add", "sub"):
            return node, added
        a, b = node.args
        if node.is_a("add") and _number(b) is None:
            a, b = b, a
        number = _number(b)
        if number is None:
            return node, added
        node, added = a, added + (number if node.is_a("add") else -number)


def _number(node: Node) -> int | None:
    """The whole number that a node is everywhere."""
    node = _source(node)
    value = node.attrs["value"] if node.is_a("const") else None
    return value if isinstance(value, int) else None


@record
class _Scope:
    """The body of a loop, and where the loop stands: in the program (None) or in a body."""

    loop: Node | None = None
    outer: _Scope | None = None

    def given(self, formal: Node) -> Node | None:
        """What a formal of the body stands for, where that is one value at every step."""
        if self.loop is None or formal.attrs["role"] == "carry":
            return None
        _, sequences, captures = loop_parts(self.loop)
        table = sequences if formal.attrs["role"] == "slice" else captures
        place: int = formal.attrs["index"]
        return table[place]


def _picks(roots: Iterable[Node]) -> list[tuple[Node, int, Dim]]:
    """The inputs that index something, also within a loop's step: by `input + number`, and
    the size of what."""
    found: list[tuple[Node, int, Dim]] = []
    bodies: list[tuple[list[Node], _Scope]] = [(list(roots), _Scope())]
    for inside, scope in bodies:  # which grows
        values: dict[Node, list[Node]] = {}
        for node in topological(inside):
            match node.op.name:
                case "take":
                    index, high = node.args[1], node.args[0].shape[node.attrs["axis"]]
                case "pick":
                    index, high = node.args[1], node.args[0].shape[-1]
                case "one_hot":
                    index, high = node.args[0], node.shape[-1]
                case "loop":
                    values[node] = list(node.attrs["body"])
                    continue
                case "each" | "total":
                    values[node.args[0]].append(node.attrs["value"])
                    continue
                case _:
                    continue
            source, added = _moved(index)
            where: _Scope | None = scope
            while where is not None and source.is_a("formal"):
                outside = where.given(source)
                if outside is None:
                    break
                source, more = _moved(outside)
                added, where = added + more, where.outer
            if source.is_a("input"):
                found.append((source, added, high))
        bodies += [(body, _Scope(loop, scope)) for loop, body in values.items()]
    return found


def _ranged(input_: Input, picks: Sequence[tuple[Node, int, Dim]]) -> Input:
    mine = [(added, high) for node, added, high in picks if node is input_.node]
    if not mine:
        return input_
    low = max(-added for added, _ in mine)
    highs = dict.fromkeys(high - added for added, high in mine)
    known = [h for h in highs if h.integer is not None]
    open_ = [h for h in highs if h.integer is None]  # the data decide which is least
    if known:
        open_.insert(0, min(known, key=lambda h: h.integer or 0))
    return replace(input_, low=Dim.of(low), high=open_[0], also=tuple(open_[1:]))


def _scored(losses: Iterable[Root]) -> list[tuple[Node, Node]]:
    """(input, scores): what the losses pick from, by which input."""
    found: dict[tuple[Node, Node], None] = {}
    for node in topological(r.node for r in losses):
        if node.is_a("pick"):
            source = _source(node.args[1])
            if source.is_a("input"):
                found.setdefault((source, node.args[0]))
        elif node.is_a("one_hot"):
            source = _source(node.args[0])
            if source.is_a("input"):
                found.setdefault((source, node))
        elif node.is_a("sub", "mul", "add"):
            for target, scores in (node.args, node.args[::-1]):
                if target.is_a("one_hot"):
                    source = _source(target.args[0])
                    if source.is_a("input"):
                        found.setdefault((source, scores))
    return list(found)


def _stratify(losses: Iterable[Root], inputs: Sequence[Input]) -> str | None:
    """The only int[N] input by which a loss picks."""
    names = {str(source.attrs["name"]) for source, _ in _scored(losses)}
    fitting = [
        i.name
        for i in inputs
        if i.name in names and i.node.kind == "int" and len(i.node.shape) == 1
    ]
    return fitting[0] if len(fitting) == 1 else None


def _classes_of(losses: Iterable[Root], outputs: Iterable[Root]) -> dict[str, str]:
    """Outputs that are an argmax over what a loss picks from by an input."""
    scores: dict[Node, str] = {}
    for source, node in _scored(losses):
        for n in _same_order(node):
            scores.setdefault(n, str(source.attrs["name"]))
    found: dict[str, str] = {}
    for output in outputs:
        node = output.node
        while node.is_a("reshape"):
            node = node.args[0]
        if not node.is_a("argmax") or node.attrs["axis"] != len(node.shape) - 1:
            continue
        for n in _same_order(node.args[0]):
            if n in scores:
                found[output.name] = scores[n]
                break
    return found


def _same_order(node: Node) -> list[Node]:
    """A node and those below it whose rows have their entries in the same order."""
    found = [node]
    while True:
        if node.is_a(*MONOTONE) or (
            node.is_a("sub") and _is_constant_by_row(node.args[1])
        ):
            node = node.args[0]
        else:
            return found
        found.append(node)


def _is_constant_by_row(node: Node) -> bool:
    """A broadcast along the last axis, such as the logsumexp of a log_softmax."""
    return node.is_a("broadcast") and (
        not node.args[0].shape or node.args[0].shape[-1].integer == 1
    )
