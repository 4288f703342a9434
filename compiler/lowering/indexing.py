"""Indexing: `x[2]`, `x[1:5, :, 0]`, `x[..., -1]`, `x[:, *]`, `E[tokens]`.

Numbers and slices may be sizes (`x[:T - 1]`); what their bounds need of the data becomes a
load-time check. An int tensor gathers along its axis, and its axes take that axis's place.
A slice may not leave the axis: what NumPy would clip silently is an error here.

    position[:T]      with position: [256, d]   ->  [T, d], and T <= 256 is checked later
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradc.records import record

from ..errors import indexing as indexing_prose
from ..errors import loops as loops_prose
from ..frontend import ast
from ..ir.dims import ONE, STRETCH, Dim, plain
from ..ir.node import Node
from ..ir.program import Check
from ..source import Span
from .context import Lowering
from .operators import Given, as_kind
from .values import Mistake, Unknown, Value, value_of

Evaluate = Callable[[ast.Expr], Value | Unknown]


@record
class _Gather:
    """An int tensor, and its position among the parts."""

    part: int
    index: Value
    span: Span


@record
class _Part:
    """One item of the index, on its axis: a slice [start, stop), maybe dropped after."""

    start: Dim
    stop: Dim
    axis: Dim
    drop: bool = False


def index(
    lo: Lowering, base: Given, items: Sequence[ast.IndexItem], evaluate: Evaluate
) -> Value | Unknown:
    """`base[items]`."""
    x = base.value
    taking = [i for i in items if not isinstance(i, ast.Stretch | ast.Rest)]
    rests = [i for i in items if isinstance(i, ast.Rest)]
    if len(rests) > 1:
        raise Mistake(indexing_prose.two_rests(rests[1].span))
    if len(taking) > x.rank:
        raise Mistake(
            indexing_prose.too_many_indices(
                taking[x.rank].span, base.text("this"), x.text(), len(taking)
            )
        )
    missing = x.rank - len(taking)
    parts: list[_Part | None] = []  # None: a stretch axis
    gathers: list[_Gather] = []
    axis = 0
    pending = list(items)
    if not rests:
        pending += [ast.Rest(span=base.span)]
    for item in pending:
        if isinstance(item, ast.Stretch):
            parts.append(None)
            continue
        if isinstance(item, ast.Rest):
            for _ in range(missing):
                parts.append(_Part(Dim.of(0), x.shape[axis], x.shape[axis]))
                axis += 1
            continue
        size = x.shape[axis]
        axis += 1
        if isinstance(item, ast.Slice):
            bounds = _slice(lo, item, size, base, evaluate)
            if isinstance(bounds, Unknown):
                return bounds
            parts.append(bounds)
            continue
        value = evaluate(item)
        if isinstance(value, Unknown):
            return value
        if value.known and not value.shape and value.kind != "bool":
            parts.append(_element(lo, Given(value, item.span), size, base))
        elif value.kind == "int":
            if value.shape and any(g.index.shape for g in gathers):
                raise Mistake(indexing_prose.two_gathers(item.span, base.text("x")))
            if size.stretch:
                raise Mistake(
                    indexing_prose.gather_stretch(item.span, base.text("this"))
                )
            gathers.append(_Gather(len(parts), value, item.span))
            parts.append(_Part(Dim.of(0), size, size))
        else:
            raise Mistake(
                indexing_prose.index_kind(
                    item.span, item.span.text, value.text(), value.kind
                )
            )
    return _build(lo, base, parts, gathers)


def _build(
    lo: Lowering,
    base: Given,
    parts: list[_Part | None],
    gathers: Sequence[_Gather],
) -> Value:
    x, g = base.value, lo.graph
    taken = [p for p in parts if p is not None]
    node = x.node
    if any(p.start != Dim.of(0) or p.stop != p.axis for p in taken):
        starts = tuple(p.start for p in taken)
        stops = tuple(ONE if p.axis.stretch else p.stop for p in taken)
        node = g.apply(
            "slice", node, starts=starts, stops=stops, steps=(1,) * len(taken)
        )
    shape: list[Dim] = []
    at: dict[int, int] = {}  # a gathered axis in the shape without dropped axes
    for k, part in enumerate(parts):
        if part is None:
            shape.append(STRETCH)
        elif any(k == gather.part for gather in gathers):
            at[k] = len(shape)
            shape.append(part.axis)
        elif not part.drop:
            shape.append(STRETCH if part.axis.stretch else part.stop - part.start)
    final = lo.sized(tuple(shape), base.span, "the result")
    if node.shape != plain(final):
        node = g.apply("reshape", node, shape=plain(final))
    # Steps first, the outermost loop's before its inner ones'; what is a tensor comes last.
    steps = [loop.step for loop in lo.loops]
    order = sorted(
        gathers,
        key=lambda gather: (
            bool(gather.index.shape),
            (
                steps.index(gather.index.node)
                if gather.index.node in steps
                else len(steps)
            ),
            gather.part,
        ),
    )
    while order:
        gather, *order = order
        indices, axis = gather.index, at[gather.part]
        loop = next((l for l in reversed(lo.loops) if l.step is indices.node), None)
        _steps_inside(lo, indices, gather.span, base, final[axis])
        slice_ = loop.sequence(lo, node, axis) if loop is not None else None
        if slice_ is None:
            node = g.apply("take", node, as_kind(lo, indices, "int"), axis=axis)
        else:  # the step's part of a sequence
            node = slice_
        final = (*final[:axis], *indices.shape, *final[axis + 1 :])
        at = {k: a - (a > axis) for k, a in at.items()}
        lo.sized(final, gather.span, "what is gathered")
    return value_of(node, final)


def _steps_inside(
    lo: Lowering, index: Value, span: Span, base: Given, size: Dim
) -> None:
    """Require that `t`, `t + 1`, `t - 1` lie inside at every step of the loop of t."""
    for loop in lo.loops:
        offset = _offset(index.node, loop.step)
        if offset is None:
            continue
        end = loop.draft.steps + offset
        rest = (size - end).integer
        if offset < 0 or (rest is not None and rest < 0):
            shape, text = base.value.shape, base.text("this")
            over = offset if offset < 0 else -(rest or 0)
            raise Mistake(
                loops_prose.step_outside(
                    span, text, shape, size, loop.name, loop.draft.steps, over
                )
            )
        _inside(lo, end, size, span, base, element=True)


def _offset(index: Node, step: Node) -> int | None:
    """k, where the index is `step + k`."""
    if index is step:
        return 0
    if index.op.name not in ("add", "sub") or step not in index.args:
        return None
    other = index.args[1] if index.args[0] is step else index.args[0]
    if other.op.name != "const" or (index.op.name == "sub" and other is index.args[0]):
        return None
    k = int(other.attrs["value"])
    return -k if index.op.name == "sub" else k


def _element(lo: Lowering, at: Given, size: Dim, base: Given) -> _Part:
    """The single element `x[at]`; -1 is the last."""
    dim = at.value.dim
    if dim is None or not dim.whole:
        raise Mistake(
            indexing_prose.index_kind(
                at.span, at.span.text, str(at.value.number), "real"
            )
        )
    if size.stretch:
        size = ONE
    number = dim.integer
    start = dim
    if number is not None and number < 0:
        start = size + dim
    _inside(lo, start + 1, size, at.span, base, element=True)
    _not_negative(lo, start, at.span, base, size)
    return _Part(start, start + 1, size, drop=True)


def _slice(
    lo: Lowering, item: ast.Slice, size: Dim, base: Given, evaluate: Evaluate
) -> _Part | Unknown:
    """`a:b`; a missing end is the axis's, a negative one counts from behind."""
    if item.start is None and item.stop is None:
        return _Part(Dim.of(0), size, size)
    if size.stretch:
        raise Mistake(indexing_prose.slice_stretch(item.span, base.text("this")))
    ends: list[Dim] = []
    for expr, default in ((item.start, Dim.of(0)), (item.stop, size)):
        if expr is None:
            ends.append(default)
            continue
        value = evaluate(expr)
        if isinstance(value, Unknown):
            return value
        dim = value.dim
        if dim is None or not dim.whole:
            raise Mistake(
                indexing_prose.slice_bound(
                    expr.span, expr.span.text, value.text(), value.known
                )
            )
        if dim.integer is not None and dim.integer < 0:
            dim = size + dim
        ends.append(dim)
    start, stop = ends
    if item.start is not None:
        _not_negative(lo, start, item.span, base, size)
    if item.stop is not None:
        _inside(lo, stop, size, item.span, base, element=False)
        _not_negative(lo, stop, item.span, base, size)
    _ordered(lo, start, stop, item.span, base)
    return _Part(start, stop, size)


def _inside(
    lo: Lowering, end: Dim, size: Dim, span: Span, base: Given, element: bool
) -> None:
    """Require end <= size, now or when the data are there."""
    rest = (size - end).integer
    if rest is None:
        text = base.text("this")
        lo.require(
            Check(
                "at_least",
                size,
                end,
                lo.place(span).line,
                f"{text}[{span.text}]",
                f"`{text}[{span.text}]` needs an axis of at least {end}, but it has {size}",
            )
        )
    elif rest < 0:
        raise Mistake(
            indexing_prose.index_range(
                span, base.text("this"), base.value.shape, size, element
            )
        )


def _not_negative(lo: Lowering, start: Dim, span: Span, base: Given, size: Dim) -> None:
    number = start.integer
    if number is None:
        if all(c > 0 for _, c in start.value.terms):
            return
        text = base.text("this")
        lo.require(
            Check(
                "at_least",
                start,
                Dim.of(0),
                lo.place(span).line,
                f"{text}[{span.text}]",
                f"`{text}[{span.text}]` begins before the first element",
            )
        )
    elif number < 0:
        raise Mistake(
            indexing_prose.index_range(
                span, base.text("this"), base.value.shape, size, False
            )
        )


def _ordered(lo: Lowering, start: Dim, stop: Dim, span: Span, base: Given) -> None:
    """Require start <= stop: an empty slice is fine, a backward one is not."""
    length = (stop - start).integer
    if length is None:
        if start == Dim.of(0):
            return
        text = base.text("this")
        lo.require(
            Check(
                "at_least",
                stop,
                start,
                lo.place(span).line,
                f"{text}[{span.text}]",
                f"`{text}[{span.text}]` ends before it begins",
            )
        )
    elif length < 0:
        raise Mistake(
            indexing_prose.backward_slice(
                span, base.text("this"), str(start), str(stop)
            )
        )
