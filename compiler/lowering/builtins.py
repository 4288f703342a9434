"""Primitive functions: elementwise maths, reductions, indexing by number, constants.

In come bound arguments, out come nodes: `call` finds the function of a name in a table. What
moves axes about is in `arrange.py`. Reductions keep their axes in the DAG (as 1); dropping
them is a reshape, and `keep = true` makes them stretch axes.

    sum(x, axis = -1)      reshape(sum(x, axes=(1,)), [N])
"""

from __future__ import annotations

import math

from ..errors import axes as axes_prose
from ..errors import indexing as indexing_prose
from ..errors import kinds as kinds_prose
from ..frontend.signatures import ONE_ARGUMENT
from ..ir.dims import ONE, STRETCH, Shape, plain
from ..ir.node import Node
from ..ir.op import Kind
from ..ir.program import Check
from ..ops import derived
from ..source import Span
from . import patterns
from .arguments import Args, Function
from .context import Lowering
from .operators import Given, as_kind, common_shape, elementwise, fit, number_kind
from .sizes import known
from .values import (
    Mistake,
    Text,
    Value,
    value_of,
)


# ---------------------------------------------------------------------- elementwise
def _unary(lo: Lowering, a: Args) -> Value:
    node, shape = a.real("x")
    if a.name == "trigamma":
        return value_of(lo.graph.apply("polygamma", node, order=1), shape)
    return value_of(lo.graph.apply(a.name, node), shape)


def _keeps_int(lo: Lowering, a: Args) -> Value:
    """abs, sign, floor: an int stays one."""
    given = a.value("x")
    value = given.value
    if value.kind == "int":
        if a.name == "floor":
            return value
        return value_of(lo.graph.apply(a.name, value.node), value.shape)
    if a.name in ("abs", "floor") and value.known and value.number is not None:
        return _known_unary(lo, a, value)
    return _unary(lo, a)


def _known_unary(lo: Lowering, a: Args, value: Value) -> Value:
    """|2 - 3| and floor(7 / 2) are still sizes."""
    number = value.number
    assert number is not None
    node, _ = a.real("x")
    if math.isinf(number) or math.isnan(number):
        return _unary(lo, a)
    result = abs(number) if a.name == "abs" else math.floor(number)
    return Value(lo.graph.apply(a.name, node), (), *known(result))


def _where(lo: Lowering, a: Args) -> Value:
    condition, yes, no = a.value("condition"), a.value("a"), a.value("b")
    if condition.value.kind != "bool":
        raise Mistake(
            kinds_prose.where_condition(
                condition.span, condition.text(), condition.value.text()
            )
        )
    if "bool" in (yes.value.kind, no.value.kind):
        if yes.value.kind != no.value.kind:
            raise Mistake(
                kinds_prose.where_kinds(
                    no.span,
                    (yes.text("a"), yes.value.text()),
                    (no.text("b"), no.value.text()),
                )
            )
        kind = yes.value.kind
    else:
        kind = number_kind(lo, "+", yes, no, a.span)
    branches = common_shape(lo, yes, no, "where", no.span)
    both = Given(value_of(yes.value.node, branches), yes.span)
    shape = common_shape(lo, condition, both, "where", condition.span)
    nodes = [as_kind(lo, v.value, kind) for v in (yes, no)]
    g = lo.graph
    chosen = g.apply(
        "where",
        fit(lo, condition.value.node, shape),
        *(fit(lo, n, shape) for n in nodes),
    )
    return value_of(chosen, shape)


def _extremum(lo: Lowering, a: Args) -> Value:
    """max(a, b) is elementwise; with an axis, a pattern or one argument it reduces."""
    if a.has("y") and not isinstance(a.passed("y").thing, Text):
        if a.has("axis") or a.has("keep"):
            raise Mistake(axes_prose.max_of_two_with_axis(a.span, a.name))
        x, y = a.value("x"), a.value("y")
        kind = number_kind(lo, a.name, x, y, a.span)
        shape = common_shape(lo, x, y, a.name, y.span)
        op = "maximum" if a.name == "max" else "minimum"
        made = elementwise(lo, op, kind, shape, x.value, y.value)
        p, q = x.value.number, y.value.number
        if p is not None and q is not None:
            best = max(p, q) if a.name == "max" else min(p, q)
            return Value(made.node, (), *known(best))
        return made
    return _reduction(lo, a)


# ----------------------------------------------------------------------- reductions
def _drop(lo: Lowering, node: Node, shape: Shape, axes: tuple[int, ...]) -> Value:
    final = tuple(d for i, d in enumerate(shape) if i not in axes)
    if len(final) != len(shape):
        node = lo.graph.apply("reshape", node, shape=plain(final))
    return value_of(node, final)


def _reduce(
    lo: Lowering, a: Args, node: Node, shape: Shape, axes: tuple[int, ...]
) -> Node:
    """The reduction itself, axes kept as 1."""
    g = lo.graph
    if not axes:
        return node if a.name != "argmax" else g.const(0, "int")
    match a.name:
        case "mean":
            return derived.mean(node, axes, keep=True)
        case "min":
            return g.apply("neg", g.apply("max", g.apply("neg", node), axes=axes))
        case "prod":
            for axis in axes:
                if shape[axis].integer is None and not shape[axis].stretch:
                    raise Mistake(
                        axes_prose.prod_of_data(
                            a.value_span(), a.first_text(), shape[axis]
                        )
                    )
            return derived.prod(node, axes, keep=True)
        case _:
            return g.apply(a.name, node, axes=axes)


def _reduction(lo: Lowering, a: Args) -> Value:
    given = a.value("x")
    value = given.value
    logical = a.name in ("any", "all")
    if logical and value.kind != "bool":
        raise Mistake(
            kinds_prose.logic_of_numbers(given.span, a.name, given.text(), value.text())
        )
    if not logical and value.kind == "bool" and a.name not in ("sum", "mean"):
        raise Mistake(
            kinds_prose.bool_argument(given.span, a.name, given.text(), value.text())
        )
    keeps_int = a.name in ("sum", "max", "min") and value.kind == "int"
    node = value.node
    if not logical and not keeps_int:
        node = as_kind(lo, value, "real")
    shape = value.shape
    pattern = a.text("y") if a.has("y") else a.text("pattern")
    if pattern is not None:
        return _by_pattern(lo, a, node, shape, pattern)
    axes = a.axes(shape, tuple(range(len(shape))))
    if not shape:
        if a.has("axis"):
            raise Mistake(
                axes_prose.needs_axis(a.passed("axis").span, a.name, "a scalar")
            )
        return value_of(node, ())
    _not_empty(lo, a, shape, axes)
    made = _reduce(lo, a, node, shape, axes)
    if a.flag("keep"):
        kept = tuple(STRETCH if i in axes else d for i, d in enumerate(shape))
        return value_of(made, kept)
    return _drop(lo, made, shape, axes)


def _not_empty(lo: Lowering, a: Args, shape: Shape, axes: tuple[int, ...]) -> None:
    """The largest of nothing is nothing, and so is its mean: such an axis needs an element."""
    if a.name not in ("max", "min", "argmax", "mean", "logsumexp", "softmax"):
        return
    for axis in axes:
        size = shape[axis]
        if size.stretch:
            continue
        if size.integer == 0:
            raise Mistake(
                axes_prose.empty_axis(a.value_span(), a.name, a.first_text(), shape)
            )
        if size.integer is None:
            text = f"{a.name}({a.first_text()})"
            lo.require(
                Check(
                    "at_least",
                    size,
                    ONE,
                    lo.place(a.span).line,
                    text,
                    f"`{text}` needs at least one element along {size}",
                )
            )


def _by_pattern(lo: Lowering, a: Args, node: Node, shape: Shape, text: str) -> Value:
    """`mean(x, "... c -> c")`: the axes that are missing on the right are reduced."""
    span = a.passed("y" if a.has("y") else "pattern").span
    if a.has("axis") or a.has("keep"):
        raise Mistake(axes_prose.pattern_and_axis(span, a.name))
    try:
        left, right = patterns.parse(text)
    except patterns.BadPattern as bad:
        raise Mistake(axes_prose.bad_pattern(span, text, str(bad))) from None
    names = _named_axes(left, shape, span, text, a)
    wanted: list[str] = []
    for group in right:
        for name in group:
            if name == "...":
                wanted += [n for n in names if n.startswith("...")]
            elif name not in names or len(group) != 1:
                raise Mistake(
                    axes_prose.bad_pattern(
                        span, text, f"`{name}` is not an axis on its left"
                    )
                )
            else:
                wanted.append(name)
    axes = tuple(i for i, n in enumerate(names) if n not in wanted)
    kept = [n for n in names if n in wanted]
    if axes:
        _not_empty(lo, a, shape, axes)
        node = _reduce(lo, a, node, shape, axes)
    value = _drop(lo, node, shape, axes)
    if kept != wanted:
        perm = tuple(kept.index(n) for n in wanted)
        node = lo.graph.apply("transpose", value.node, perm=perm)
        value = value_of(node, tuple(value.shape[i] for i in perm))
    return value


def _named_axes(
    left: tuple[patterns.Group, ...], shape: Shape, span: Span, text: str, a: Args
) -> list[str]:
    """A name for each axis; those under `...` are called ...0, ...1."""
    fixed = [g for g in left if g != patterns.REST]
    rest = len(shape) - len(fixed)
    if rest < 0 or (rest and len(fixed) == len(left)):
        raise Mistake(axes_prose.pattern_rank(span, text, a.first_text(), shape))
    names: list[str] = []
    for group in left:
        if group == patterns.REST:
            names += [f"...{i}" for i in range(rest)]
        elif len(group) != 1 or group[0] == "1":
            raise Mistake(
                axes_prose.bad_pattern(
                    span, text, "a reduction names each axis by one word"
                )
            )
        else:
            names.append(group[0])
    return names


def _softmax(lo: Lowering, a: Args) -> Value:
    node, shape = a.real("x")
    axis = a.axis(shape)
    _not_empty(lo, a, shape, (axis,))
    return value_of(lo.graph.apply("softmax", node, axes=(axis,)), shape)


def _logsumexp(lo: Lowering, a: Args) -> Value:
    node, shape = a.real("x")
    if a.has("pattern"):
        return _reduction(lo, a)
    axes = a.axes(shape, (-1,))
    _not_empty(lo, a, shape, axes)
    made = lo.graph.apply("logsumexp", node, axes=axes)
    if a.flag("keep"):
        kept = tuple(STRETCH if i in axes else d for i, d in enumerate(shape))
        return value_of(made, kept)
    return _drop(lo, made, shape, axes)


def _argmax(lo: Lowering, a: Args) -> Value:
    given = a.value("x")
    if given.value.kind == "bool":
        raise Mistake(
            kinds_prose.bool_argument(
                given.span, a.name, given.text(), given.value.text()
            )
        )
    shape = given.value.shape
    if a.has("pattern"):
        raise Mistake(axes_prose.argmax_pattern(a.passed("pattern").span))
    axis = a.axis(shape)
    _not_empty(lo, a, shape, (axis,))
    made = lo.graph.apply("argmax", given.value.node, axis=axis)
    if a.flag("keep"):
        kept = tuple(STRETCH if i == axis else d for i, d in enumerate(shape))
        return value_of(made, kept)
    return _drop(lo, made, shape, (axis,))


def _cumsum(lo: Lowering, a: Args) -> Value:
    node, shape = a.real("x")
    axis = a.axis(shape)
    return value_of(lo.graph.apply("cumsum", node, axis=axis, reverse=False), shape)


def _sort(lo: Lowering, a: Args) -> Value:
    node, shape = a.real("x")
    return value_of(derived.sort(node, a.axis(shape)), shape)


# ------------------------------------------------------------------------- indexing
def _class_index(lo: Lowering, a: Args, name: str) -> Value:
    given = a.value(name)
    if given.value.kind != "int" and not given.value.whole:
        raise Mistake(
            indexing_prose.index_kind(
                given.span, given.text(), given.value.text(), given.value.kind
            )
        )
    value = given.value
    return Value(as_kind(lo, value, "int"), value.shape, value.number, value.dim)


def _one_hot(lo: Lowering, a: Args) -> Value:
    index = _class_index(lo, a, "i")
    size = a.size("n")
    shape = lo.sized((*index.shape, size), a.span, "one_hot")
    return value_of(lo.graph.apply("one_hot", index.node, size=size), shape)


def _pick(lo: Lowering, a: Args) -> Value:
    """pick(x, i): from each row of x the i-th; i has the shape of x's leading axes."""
    given, index = a.value("x"), _class_index(lo, a, "i")
    x = given.value
    if not x.shape or (index.shape and index.shape != x.shape[:-1]):
        raise Mistake(
            indexing_prose.pick_shape(
                a.passed("i").span,
                (given.text("x"), x.shape),
                (a.passed("i").span.text, index.shape),
            )
        )
    for p, q in zip(index.shape, x.shape[:-1], strict=False):
        lo.same(p, q, a.span)
    lead = x.shape[:-1]
    node = lo.graph.broadcast(index.node, plain(lead))
    kind: Kind = "int" if x.kind == "int" else "real"
    return value_of(lo.graph.apply("pick", as_kind(lo, x, kind), node), lead)


def _causal_mask(lo: Lowering, a: Args) -> Value:
    """bool [n, n]: may position i (row) see position j (column)? j <= i."""
    size = a.size("n")
    shape = lo.sized((size, size), a.span, "causal_mask")
    g = lo.graph
    row = g.apply("iota", shape=shape, axis=0, kind="int")
    column = g.apply("iota", shape=shape, axis=1, kind="int")
    return value_of(g.apply("le", column, row), shape)


def _stop(lo: Lowering, a: Args) -> Value:
    given = a.value("x")
    if given.value.kind != "real" or given.value.known:
        return given.value
    return value_of(lo.graph.apply("stop", given.value.node), given.value.shape)


FUNCTIONS: dict[str, Function] = {
    **dict.fromkeys(ONE_ARGUMENT.split(), _unary),
    **dict.fromkeys(("abs", "sign", "floor"), _keeps_int),
    **dict.fromkeys(("sum", "mean", "prod", "any", "all"), _reduction),
    "max": _extremum,
    "min": _extremum,
    "where": _where,
    "logsumexp": _logsumexp,
    "softmax": _softmax,
    "argmax": _argmax,
    "cumsum": _cumsum,
    "sort": _sort,
    "one_hot": _one_hot,
    "pick": _pick,
    "causal_mask": _causal_mask,
    "stop": _stop,
}
