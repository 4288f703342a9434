"""Chance and memory: `random`, `state` and `update`.

A `random` is an event: every evaluation, and every call that reaches it, draws anew. The
draw is a `noise` leaf, an argument of the emitted functions: a standard normal or a uniform
number on [0, 1) of the declared shape, with the steps of the loops around it in front. What
makes it the law (scale, shift, threshold) is arithmetic around the leaf. A `state` is a leaf
like a parameter that no loss trains; `update` says what it is after a training step.

    random keep: [N, d] = bernoulli(0.9)      cast(noise("keep", uniform) < 0.9)
"""

from __future__ import annotations

from ..errors import loops as prose
from ..errors import program as program_prose
from ..frontend import ast
from ..ir.dims import Dim, Mismatch, Shape, broadcast, plain
from ..ir.graph import ancestors
from ..ir.node import Node
from ..ir.program import Binding, Param
from ..source import Span
from . import fills
from .context import Lowering, Made, indexed
from .operators import as_kind
from .values import UNKNOWN, Fill, Mistake, Unknown, Value, value_of, what


# ---------------------------------------------------------------------------- random
def random(lo: Lowering, statement: ast.Random, equation: int) -> None:
    """`random names: type = law`; `equation` is its own, or -1 inside a function."""
    kind = statement.type.kind if statement.type else "real"
    shape: Shape | None = ()
    if statement.type is not None:
        shape = lo.shape_of(statement.type, lo.scope)
    for name in statement.names:
        thing = UNKNOWN if shape is None else _drawn(lo, statement, name, kind, shape)
        if equation >= 0 and isinstance(thing, Value):
            copy = lo.frame.copy
            lo.bindings.append(Binding(equation, name.text, thing.node, copy))
        lo.scope.define(name.text, thing, name.span.line, "param")


def _drawn(
    lo: Lowering, statement: ast.Random, name: ast.Name, kind: str, shape: Shape
) -> Value | Unknown:
    law = lo.evaluate(lo, statement.fill)
    if isinstance(law, Unknown):
        return law
    span = statement.fill.span
    if not isinstance(law, Fill):
        found = law.text() if isinstance(law, Value) else what(law)
        raise Mistake(prose.not_a_law(span, name.text, found))
    if law.law not in LAWS:
        raise Mistake(prose.law_of_weights(span, law.law))
    good = "int" if law.law == "categorical" else "real"
    if kind != good:
        raise Mistake(prose.law_kind(span, law.law, kind))
    _within(law)
    lo.sized(shape, name.span, f"`{name.text}`")
    path = _event(lo, name.text)
    node = LAWS[law.law](lo, law, path, shape)
    if any(
        n.is_a("param", "input", "formal")
        for a in law.args
        for n in ancestors([a.node])
    ):
        node = lo.graph.apply(
            "drawn", node, name=name.text, line=lo.place(name.span).line
        )
    value = value_of(node, shape)
    lo.hint(value.node, name.text)
    return value


def _event(lo: Lowering, name: str) -> str:
    """The path of this event: the calls that led to it, numbered from 2 when met again."""
    frame = lo.frame
    own = indexed(name, frame.indices.get(name, ()))
    path = ".".join((*frame.calls, own))
    lo.events[path] = lo.events.get(path, 0) + 1
    return path if lo.events[path] == 1 else f"{path}.{lo.events[path]}"


def _noise(lo: Lowering, path: str, law: str, shape: Shape) -> Node:
    """The standard draw: one for every step of the loops around, at this step."""
    steps = tuple(loop.draft.steps for loop in lo.loops)
    whole = (*steps, *plain(shape))
    node = lo.graph.apply("noise", name=path, shape=whole, kind="real", law=law)
    for loop in lo.loops:
        node = loop.draft.slice(node)
    return node


def _argument(lo: Lowering, law: Fill, k: int, shape: Shape) -> Node:
    """An argument of a law in the declared shape."""
    value = law.args[k]
    met = broadcast(shape, value.shape)
    if isinstance(met, Mismatch) or met != shape:
        raise Mistake(prose.law_argument(law.span, law.law, shape, value.shape))
    return lo.graph.broadcast(as_kind(lo, value, "real"), plain(shape))


def _within(law: Fill) -> None:
    """What is known of a law's arguments at compile time."""
    numbers = [value.number for value in law.args]
    match law.law, numbers:
        case "bernoulli", [int() | float() as p] if not 0 <= p <= 1:
            wanted, found = "a probability from 0 to 1", f"{p:g}"
        case "normal", [_, int() | float() as deviation] if deviation < 0:
            wanted, found = "a deviation of at least 0", f"{deviation:g}"
        case "uniform", [int() | float() as low, int() | float() as high] if low > high:
            wanted, found = "its lower end first", f"{low:g}, {high:g}"
        case _:
            return
    raise Mistake(prose.law_range(law.span, law.law, wanted, found))


def _normal(lo: Lowering, law: Fill, path: str, shape: Shape) -> Node:
    node = _noise(lo, path, "normal", shape)
    mean, deviation = law.args
    if deviation.number != 1:
        node = node * _argument(lo, law, 1, shape)
    return node if mean.number == 0 else node + _argument(lo, law, 0, shape)


def _uniform(lo: Lowering, law: Fill, path: str, shape: Shape) -> Node:
    node = _noise(lo, path, "uniform", shape)
    low, high = _argument(lo, law, 0, shape), _argument(lo, law, 1, shape)
    return node * (high - low) + low


def _bernoulli(lo: Lowering, law: Fill, path: str, shape: Shape) -> Node:
    hit = lo.graph.apply(
        "lt", _noise(lo, path, "uniform", shape), _argument(lo, law, 0, shape)
    )
    return lo.graph.apply("cast", hit, kind="real")


def _categorical(lo: Lowering, law: Fill, path: str, shape: Shape) -> Node:
    """How many of the cumulated probabilities (but for the last) the draw has passed."""
    g = lo.graph
    p = law.args[0]
    wanted = (*shape, p.shape[-1]) if p.shape else ()
    met = broadcast(wanted, p.shape) if p.shape else Mismatch("sizes")
    if isinstance(met, Mismatch) or met != wanted:
        raise Mistake(prose.law_argument(law.span, law.law, shape, p.shape))
    classes = p.shape[-1]
    full = g.broadcast(as_kind(lo, p, "real"), plain(wanted))
    passed = g.apply("cumsum", full, axis=len(shape), reverse=False)
    zero, one = Dim.of(0), 1
    cut = {
        "starts": (zero,) * len(wanted),
        "stops": (*plain(shape), classes - 1),
        "steps": (one,) * len(wanted),
    }
    borders = g.apply("slice", passed, **cut)
    draw = _noise(lo, path, "uniform", shape)
    column = g.apply("reshape", draw, shape=(*plain(shape), Dim.of(1)))
    beyond = g.apply("le", borders, g.broadcast(column, borders.shape))
    counted = g.apply("sum", g.apply("cast", beyond, kind="int"), axes=(len(shape),))
    return g.apply("reshape", counted, shape=plain(shape))


LAWS = {
    "normal": _normal,
    "uniform": _uniform,
    "bernoulli": _bernoulli,
    "categorical": _categorical,
}


# ----------------------------------------------------------------------------- state
def state(lo: Lowering, statement: ast.State) -> None:
    """`state names: type = fill`."""
    if statement.type is not None and statement.type.kind != "real":
        lo.report(prose.state_kind(statement.type.span, statement.type.kind))
    shape: Shape | None = ()
    if statement.type is not None:
        shape = lo.shape_of(statement.type, lo.scope)
    for name in statement.names:
        thing: Value | Unknown = UNKNOWN
        if shape is not None:
            node = _leaf(lo, statement, name, shape)
            thing = UNKNOWN if node is None else value_of(node, shape)
        lo.scope.define(name.text, thing, name.span.line, "param")


def _leaf(
    lo: Lowering, statement: ast.State, name: ast.Name, shape: Shape
) -> Node | None:
    """The leaf of a state: the old one when a `fn` is evaluated again."""
    shared, frame = lo.shared, lo.frame
    own = indexed(name.text, frame.indices.get(name.text, ()))
    path = ".".join((*frame.path, own))
    made = shared.states.get(path)
    call = lo.user_call or name.span
    if made is not None:
        if made.owner != (*frame.chain, id(statement)):
            lo.report(program_prose.path_twice(call, path, made.call.line))
            return None
        if made.param.node.shape != shape:
            where = frame.path[0] if frame.path else name.text
            before = made.param.node.shape
            lo.report(
                program_prose.shared_fn_shape(
                    call, where, name.text, shape, before, made.call.line
                )
            )
            return None
        return made.param.node
    lo.sized(shape, name.span, f"`{name.text}`")
    node = lo.graph.leaf("state", path, shape)
    thing = lo.evaluate(lo, statement.fill)
    filling = fills.fill(lo, thing, path, shape, statement.fill.span)
    if isinstance(filling, Unknown):
        return node
    owner = frame.path[0].partition("[")[0] if frame.path else ""
    line = lo.place(name.span).line
    param = Param(
        path,
        node,
        filling,
        line,
        name.text,
        frame.instance,
        owner,
        frame.copy,
        lo.equation,
    )
    owned = (*frame.chain, id(statement))
    shared.states[path] = Made(param, name.span, call, owned)
    return node


def update(lo: Lowering, statement: ast.Update) -> None:
    """`update state = value`: checked in both modes, kept in training."""
    name = statement.name
    held = lo.scope.find(name.text)
    if isinstance(held, Unknown):
        return
    assert isinstance(held, Value)  # resolve has looked
    assert held.node.is_a("state")
    if lo.loops:
        raise Mistake(prose.update_in_loop(name.span, name.text))
    thing = lo.evaluate(lo, statement.value)
    if isinstance(thing, Unknown):
        return
    if not isinstance(thing, Value):
        raise Mistake(prose.update_kind(statement.value.span, name.text, what(thing)))
    if thing.kind == "bool":
        raise Mistake(prose.update_kind(statement.value.span, name.text, "bool"))
    if thing.shape not in ((), held.shape):
        raise Mistake(
            prose.update_shape(statement.value.span, name.text, held.shape, thing.shape)
        )
    path = str(held.node.attrs["name"])
    if path in lo.updates:
        raise Mistake(prose.updated_twice(_place(lo, name.span), name.text, path))
    node = as_kind(lo, thing, "real")
    lo.updates[path] = lo.graph.broadcast(node, plain(held.shape))


def _place(lo: Lowering, span: Span) -> Span:
    return lo.user_call or span
