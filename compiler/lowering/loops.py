"""`for t in T { … }`: a loop at run time.

The body is lowered once, on the formals of a `Draft` (`ops/loops`): names from outside
that it continues are carries, `x[:, t]` is the step's slice of a sequence, whatever else it
reads from outside is a capture. Behind the loop a carried name holds the last step's value,
and `y[:, t] = e` has become a value with the steps on that axis.

    for t in T { h = tanh(x[:, t] @ W + h @ U); y[:, t] = h }
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace

from gradc.records import record

from ..errors import loops as prose
from ..frontend import ast
from ..ir.dims import Dim, Shape, plain
from ..ir.graph import ancestors
from ..ir.node import Node
from ..ir.program import Binding
from ..ops.loops import Draft
from ..source import Span
from . import paths
from .context import Lowering
from .operators import as_kind
from .scopes import Scope
from .values import UNKNOWN, Mistake, Thing, Unknown, Value, value_of, what

Block = Callable[[Lowering, Sequence[ast.Statement]], "Thing | None"]


@record(frozen=False)
class Loop:
    """A loop whose body is being lowered."""

    draft: Draft
    name: str  # of the index
    step: Node  # the number of the step, as the body sees it
    collected: dict[str, tuple[int, Value, ast.Name]] = field(default_factory=dict)

    def sequence(self, lo: Lowering, x: Node, axis: int) -> Node | None:
        """`x` at this step along an axis, if x is the same at every step."""
        if any(self.draft.own(n) is not None for n in ancestors([x])):
            return None
        if x.shape[axis] != self.draft.steps:
            return None
        rank = len(x.shape)
        perm = (axis, *(i for i in range(rank) if i != axis))
        return self.draft.slice(lo.graph.apply("transpose", x, perm=perm))


def loop(
    lo: Lowering,
    statement: ast.For,
    block: Block,
    numbers: dict[int, int],
    equation: int,
) -> None:
    """Lower a `for`; `numbers` are those of its layer calls, `equation` is its own, or -1
    inside a function."""
    steps = _steps(lo, statement)
    if steps is None:
        for name in paths.defined_in(statement.body):
            scope = lo.scope.continued(name) or lo.scope
            scope.define(name, UNKNOWN, statement.span.line)
        return
    draft = Draft(lo.graph, steps)
    counted = lo.graph.apply("iota", shape=(steps,), axis=0, kind="int")
    at = Loop(draft, statement.index.text, draft.slice(counted))
    scope = Scope(lo.scope)
    scope.define(
        statement.index.text,
        value_of(at.step),
        statement.index.span.line,
        "index",
    )
    carried = _carried(lo, statement, scope, draft)
    frame = replace(lo.frame, scope=scope, top=False, numbers=numbers)
    lo.loops.append(at)
    try:
        with lo.inside(frame):
            block(lo, statement.body)
    finally:
        lo.loops.pop()
    _finish(lo, statement, at, scope, carried, equation)


def _steps(lo: Lowering, statement: ast.For) -> Dim | None:
    thing = lo.evaluate(lo, statement.count)
    span = statement.count.span
    if isinstance(thing, Unknown):
        return None
    if not isinstance(thing, Value) or thing.dim is None:
        found = thing.text() if isinstance(thing, Value) else what(thing)
        raise Mistake(prose.steps_not_a_size(span, span.text, found))
    number = thing.dim.integer
    if number is not None and number < 0:
        raise Mistake(prose.steps_not_a_size(span, span.text, str(number)))
    if number is not None and number > lo.shared.limits.elements:
        raise Mistake(prose.too_many_steps(span, thing.dim, lo.shared.limits.elements))
    return lo.whole(thing.dim, span, span.text)


def _carried(
    lo: Lowering, statement: ast.For, scope: Scope, draft: Draft
) -> dict[str, Value | Unknown]:
    """The names from outside that the body continues, with what they start as."""
    found: dict[str, Value | Unknown] = {}
    for name in paths.defined_in(statement.body):
        home = lo.scope.continued(name)
        if home is None:
            continue
        start = home.values[name]
        if not isinstance(start, Value):
            found[name] = UNKNOWN
            scope.define(name, UNKNOWN, home.lines[name])
            continue
        value = Value(as_kind(lo, start, start.kind), start.shape)
        found[name] = value
        scope.define(
            name, value_of(draft.carry(value.node), value.shape), home.lines[name]
        )
    return found


def collect(lo: Lowering, target: ast.Target, value: Value | Unknown) -> None:
    """`y[:, t] = value`."""
    at = lo.loops[-1]
    name, items = target.name, target.indices or ()
    places = [
        k
        for k, item in enumerate(items)
        if isinstance(item, ast.Name) and item.text == at.name
    ]
    whole = [
        isinstance(i, ast.Slice) and i.start is None and i.stop is None for i in items
    ]
    if len(places) != 1 or sum(whole) != len(items) - 1:
        raise Mistake(prose.collect_place(name.span, name.text, at.name))
    if isinstance(value, Unknown):
        lo.scope.define(name.text, UNKNOWN, name.span.line)
        return
    if len(items) > value.rank + 1:
        raise Mistake(prose.collect_rank(name.span, name.text, len(items), value.shape))
    if name.text in at.collected:
        raise Mistake(prose.collected_twice(name.span, name.text))
    at.collected[name.text] = (places[0], value, name)


def _finish(
    lo: Lowering,
    statement: ast.For,
    at: Loop,
    scope: Scope,
    carried: dict[str, Value | Unknown],
    equation: int,
) -> None:
    """Close the body and give the names behind the loop their values."""
    g, draft = lo.graph, at.draft
    names = [n for n, start in carried.items() if isinstance(start, Value)]
    nexts: list[Node] = []
    for name in names:
        start, after = carried[name], scope.values[name]
        assert isinstance(start, Value)
        if not isinstance(after, Value):
            carried[name] = UNKNOWN
            nexts.append(draft.carry_of(names.index(name)))
            continue
        home = lo.scope.continued(name)
        line = home.lines[name] if home is not None else 0
        nexts.append(_next(lo, statement, name, start, after, line))
    values = [v.node for _, v, _ in at.collected.values()]
    g.origin = lo.origin(lo.user_call or statement.span)
    made, projected = draft.finish(nexts, values)
    g.loops.setdefault(made, (at.name, tuple(names)))
    for k, name in enumerate(names):
        home = lo.scope.continued(name) or lo.scope
        start = carried[name]
        thing: Value | Unknown = UNKNOWN
        if isinstance(start, Value):
            thing = value_of(g.apply("last", made, index=k), start.shape)
            _bind(lo, name, thing.node, equation)
        home.define(name, thing, statement.span.line)
        home.texts[name] = statement.count
    for name, node in zip(at.collected, projected, strict=True):
        axis, value, where = at.collected[name]
        each = g.apply("each", made, value=node)
        rank = value.rank + 1
        perm = [*range(1, rank)]
        perm.insert(axis, 0)
        whole = g.apply("transpose", each, perm=tuple(perm))
        shape: Shape = (*value.shape[:axis], draft.steps, *value.shape[axis:])
        lo.sized(shape, where.span, f"`{name}`")
        lo.scope.define(name, value_of(whole, shape), where.span.line)
        _bind(lo, name, whole, equation)


def _next(
    lo: Lowering, statement: ast.For, name: str, start: Value, after: Value, line: int
) -> Node:
    """A carry's next value, which has the shape and kind that it came with."""
    span = _equation_of(statement, name)
    place = lo.place(span)
    if after.shape != start.shape and after.shape != ():
        raise Mistake(prose.loop_shape(place, name, start.shape, after.shape, line))
    if after.kind != start.kind and not after.whole:
        raise Mistake(prose.loop_kind(place, name, start.kind, after.kind))
    return lo.graph.broadcast(as_kind(lo, after, start.kind), plain(start.shape))


def _equation_of(statement: ast.For, name: str) -> Span:
    """Where the body gives a name its last value."""
    found = statement.span
    for node in ast.walk(statement):
        if isinstance(node, ast.Define):
            for target in node.targets:
                if target.name.text == name:
                    found = target.name.span
    return found


def _bind(lo: Lowering, name: str, node: Node, equation: int) -> None:
    if equation >= 0:
        lo.bindings.append(Binding(equation, name, node, lo.frame.copy))
    else:
        lo.hint(node, name)
