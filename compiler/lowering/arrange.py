"""Functions that move axes about: rearrange, reshape, concat, stack, split, flip, pad, einsum.

In come bound arguments, out come reshape, transpose, slice, concat, unslice and einsum2
nodes. A size that must divide exactly (`rearrange(z, "n t (h d) -> n h t d", h = 6)`) is
proved here, or left as a load-time check where the data decide.
"""

from __future__ import annotations

from ..errors import axes as axes_prose
from ..errors import broadcasting as broadcasting_prose
from ..errors import kinds as kinds_prose
from ..errors import sizes as sizes_prose
from ..errors.form import Diagnostic
from ..ir.dims import ONE, Dim, Shape, plain
from ..ir.dims import size as elements
from ..ir.node import Node
from ..source import Span
from . import patterns
from .arguments import Args, Function, Silent
from .calls import Passed
from .context import Lowering
from .operators import Given, as_kind
from .scopes import Scope, View
from .sizes import as_size, quotient
from .values import Items, Mistake, Several, Thing, Unknown, Value, value_of


# ------------------------------------------------------------------------- rearrange
def _rearrange(lo: Lowering, a: Args) -> Value:
    given = a.value("x")
    text = a.text("pattern") or ""
    span = a.passed("pattern").span
    try:
        left, right = patterns.parse(text)
        _check_pattern(left, right)
    except patterns.BadPattern as bad:
        raise Mistake(axes_prose.bad_pattern(span, text, str(bad))) from None
    x = given.value
    fixed = sum(1 for g in left if g != patterns.REST)
    rest = x.rank - fixed
    if rest < 0 or (rest and fixed == len(left)):
        raise Mistake(axes_prose.pattern_rank(span, text, a.first_text(), x.shape))
    sizes = _letter_sizes(a, left, right)
    names: list[str] = []
    split: list[Dim] = []
    axis = 0
    for group in left:
        if group == patterns.REST:
            names += [f"...{i}" for i in range(rest)]
            split += x.shape[axis : axis + rest]
            axis += rest
            continue
        size = x.shape[axis]
        axis += 1
        if group == ("1",):
            if not size.stretch and size.integer != 1:
                raise Mistake(
                    axes_prose.pattern_one(span, text, a.first_text(), x.shape)
                )
            continue
        split += _split_axis(lo, a, group, size, sizes, span)
        names += group
    g = lo.graph
    node = x.node
    if node.shape != plain(split):
        node = g.apply("reshape", node, shape=plain(split))
    order: list[str] = []
    final: list[Dim] = []
    by_name = dict(zip(names, split, strict=True))
    for group in right:
        if group == patterns.REST:
            rests = [n for n in names if n.startswith("...")]
            order += rests
            final += [by_name[n] for n in rests]
        elif group == ("1",):
            final.append(ONE)
        else:
            order += group
            size = ONE
            for name in group:
                size = size * (ONE if by_name[name].stretch else by_name[name])
            final.append(by_name[group[0]] if len(group) == 1 else size)
    perm = tuple(names.index(n) for n in order)
    if perm != tuple(range(len(perm))):
        node = g.apply("transpose", node, perm=perm)
    shape = lo.sized(tuple(final), a.span, "the result")
    if node.shape != plain(shape):
        node = g.apply("reshape", node, shape=plain(shape))
    return value_of(node, shape)


def _check_pattern(
    left: tuple[patterns.Group, ...], right: tuple[patterns.Group, ...]
) -> None:
    here = [n for g in left for n in g if n != "1"]
    there = [n for g in right for n in g if n != "1"]
    for name in here:
        if name not in there:
            raise patterns.BadPattern(f"`{name}` is missing on its right")
    for name in there:
        if name not in here:
            raise patterns.BadPattern(f"`{name}` is not on its left")
    for group in right:
        if "..." in group and len(group) > 1:
            raise patterns.BadPattern("`...` cannot stand in parentheses")


def _letter_sizes(
    a: Args, left: tuple[patterns.Group, ...], right: tuple[patterns.Group, ...]
) -> dict[str, tuple[Dim, Span]]:
    """The sizes that are given by keyword: `h = heads`."""
    names = {n for g in left for n in g}
    sizes: dict[str, tuple[Dim, Span]] = {}
    for key, argument in a.bound.items():
        if key in ("x", "pattern") or not isinstance(argument, Passed):
            continue
        if key not in names:
            raise Mistake(axes_prose.unknown_letter(argument.span, key, sorted(names)))
        given = a.as_value(argument, key)
        dim = as_size(given.value, given.span, given.text())
        sizes[key] = (a.lo.whole(dim, given.span, given.text()), given.span)
    return sizes


def _split_axis(
    lo: Lowering,
    a: Args,
    group: patterns.Group,
    size: Dim,
    sizes: dict[str, tuple[Dim, Span]],
    span: Span,
) -> list[Dim]:
    """The sizes of the names in a group, whose product is the axis."""
    if len(group) == 1:
        if group[0] in sizes and sizes[group[0]][0] != size:
            given, place = sizes[group[0]]
            raise Mistake(axes_prose.letter_size(place, group[0], given, size))
        return [size]
    open_names = [n for n in group if n not in sizes]
    known = ONE
    for name in group:
        if name in sizes:
            known = known * sizes[name][0]
    if len(open_names) > 1:
        raise Mistake(axes_prose.open_letters(span, group, open_names))
    size = ONE if size.stretch else size
    if not open_names:
        if known != size:
            raise Mistake(axes_prose.letter_size(span, " ".join(group), known, size))
        return [sizes[n][0] for n in group]
    rest = quotient(size, known) if known.integer != 0 else None
    if rest is None:
        letters = " ".join(n for n in group if n in sizes)
        raise Mistake(
            sizes_prose.not_dividing(
                a.span,
                (_local_name(lo, size), size),
                (letters, known),
                lo.shared.overrides,
            )
        )
    text = f"{size} / {known}"
    lo.whole(rest, span, text)
    return [rest if n not in sizes else sizes[n][0] for n in group]


def _local_name(lo: Lowering, size: Dim) -> str:
    """What the functions around call a size: `c`, which is `width` outside."""
    scope: Scope | View | None = lo.scope
    levels = []
    while isinstance(scope, Scope):
        levels.append(scope)
        scope = scope.outer
    if scope is not None:
        levels += [outer for outer, _ in scope.levels]
    for level in levels:
        for name, value in level.sizes.items():
            dim = value.dim if isinstance(value, Value) else None
            if dim is not None and dim.written == size.written and name != str(dim):
                return name
    return ""


# --------------------------------------------------------------------------- reshape
def _reshape(lo: Lowering, a: Args) -> Value:
    given = a.value("x")
    thing, span = a.thing("shape"), a.passed("shape").span
    things = thing.items if isinstance(thing, Items) else (thing,)
    dims: list[Dim | None] = []
    for one in things:
        if isinstance(one, Unknown):
            raise Silent
        if not isinstance(one, Value):
            raise Mistake(axes_prose.wants_whole(span, "reshape", "shape"))
        if one.dim is not None and one.dim.integer == -1:
            dims.append(None)
        else:
            dims.append(lo.whole(as_size(one, span, span.text), span, span.text))
    total = elements(given.value.shape)
    if dims.count(None) > 1:
        raise Mistake(sizes_prose.two_open_sizes(span))
    if None in dims:
        rest = ONE
        for d in dims:
            rest = rest * (ONE if d is None else d)
        fitting = quotient(total, rest) if rest.integer != 0 else None
        if fitting is None:
            raise Mistake(
                sizes_prose.reshape_size(span, given.value.shape, total, rest)
            )
        lo.whole(fitting, span, f"{total} / {rest}")
        dims = [fitting if d is None else d for d in dims]
    shape = lo.sized(tuple(d for d in dims if d is not None), span, "the result")
    if elements(shape) != total:
        raise Mistake(
            sizes_prose.reshape_size(span, given.value.shape, total, elements(shape))
        )
    lo.same(elements(shape), total, a.span)
    return value_of(lo.graph.apply("reshape", given.value.node, shape=shape), shape)


# ----------------------------------------------------------------------- concat, stack
def _together(lo: Lowering, values: list[Given]) -> list[Node]:
    """The nodes of several values, in one kind."""
    kinds = {v.value.kind for v in values if not v.value.known}
    for v in values:
        if v.value.kind == "bool":
            raise Mistake(
                kinds_prose.bool_argument(v.span, "concat", v.text(), v.value.text())
            )
    kind = (
        "int"
        if kinds == {"int"}
        and all(v.value.kind == "int" or v.value.whole for v in values)
        else "real"
    )
    return [as_kind(lo, v.value, "int" if kind == "int" else "real") for v in values]


def _concat(lo: Lowering, a: Args) -> Value:
    values = a.many("x")
    first = values[0].value
    if not first.shape:
        raise Mistake(axes_prose.needs_axis(values[0].span, "concat", "a scalar"))
    axis = a.axis(first.shape)
    total = first.shape[axis]
    for v in values[1:]:
        shape = v.value.shape
        agree = len(shape) == first.rank and all(
            i == axis or p == q
            for i, (p, q) in enumerate(zip(first.shape, shape, strict=False))
        )
        if not agree:
            raise Mistake(_conflict(lo, values[0], v, "other axes must agree", axis))
        for i, (p, q) in enumerate(zip(first.shape, shape, strict=True)):
            if i != axis:
                lo.same(p, q, a.span)
        total = total + shape[axis]
    if len(values) == 1:
        return first
    if any(v.value.shape[axis].stretch for v in values):
        raise Mistake(axes_prose.concat_stretch(a.span))
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    lo.sized(shape, a.span, "the result")
    return value_of(lo.graph.apply("concat", *_together(lo, values), axis=axis), shape)


def _conflict(
    lo: Lowering, a: Given, b: Given, rule: str, axis: int = -1
) -> Diagnostic:
    homes: dict[str, tuple[int, str]] = {}
    for given in (a, b):
        span = lo.shared.input_shapes.get(given.span.text)
        if span is not None:
            homes[given.span.text] = (span.line, given.span.text)
    return broadcasting_prose.dim_conflict(
        b.span,
        rule,
        (a.text("the first"), a.value.shape),
        (b.text("this one"), b.value.shape),
        axis,
        {name: line for name, (line, _) in homes.items()},
    )


def _stack(lo: Lowering, a: Args) -> Value:
    values = a.many("x")
    first = values[0].value
    for v in values[1:]:
        if v.value.shape != first.shape:
            raise Mistake(_conflict(lo, values[0], v, "stacked shapes must be equal"))
        for p, q in zip(first.shape, v.value.shape, strict=True):
            lo.same(p, q, a.span)
    rank = first.rank + 1
    axis = rank - 1
    if a.has("axis"):
        thing, span = a.thing("axis"), a.passed("axis").span
        number = a.integer(thing, span, "axis")
        if not -rank <= number < rank:
            raise Mistake(
                axes_prose.axis_range(
                    span, "stack", number, a.first_text(), first.shape
                )
            )
        axis = number % rank
    g = lo.graph
    with_axis = (*first.shape[:axis], ONE, *first.shape[axis:])
    nodes = [
        g.apply("reshape", n, shape=plain(with_axis)) for n in _together(lo, values)
    ]
    shape = (*first.shape[:axis], Dim.of(len(values)), *first.shape[axis:])
    lo.sized(shape, a.span, "the result")
    if len(nodes) == 1:
        return value_of(nodes[0], shape)
    return value_of(g.apply("concat", *nodes, axis=axis), shape)


# ------------------------------------------------------------------------ split, flip
def _split(lo: Lowering, a: Args) -> Several:
    given = a.value("x")
    count = a.integer(a.thing("n"), a.passed("n").span, "n")
    x = given.value
    if not x.shape:
        raise Mistake(axes_prose.needs_axis(given.span, "split", "a scalar"))
    axis = a.axis(x.shape)
    if not 1 <= count <= 1000:
        raise Mistake(axes_prose.split_count(a.passed("n").span, count))
    size = ONE if x.shape[axis].stretch else x.shape[axis]
    part = quotient(size, Dim.of(count))
    if part is None:
        raise Mistake(
            sizes_prose.not_dividing(
                a.span, ("", size), ("", Dim.of(count)), lo.shared.overrides
            )
        )
    lo.whole(part, a.span, f"{size} / {count}")
    values: list[Thing] = []
    for i in range(count):
        starts = tuple(part * i if k == axis else Dim.of(0) for k in range(x.rank))
        stops = tuple(
            part * (i + 1) if k == axis else d for k, d in enumerate(plain(x.shape))
        )
        node = lo.graph.apply(
            "slice", x.node, starts=starts, stops=stops, steps=(1,) * x.rank
        )
        shape = tuple(part if k == axis else d for k, d in enumerate(x.shape))
        values.append(value_of(node, shape))
    return Several(tuple(values), "split")


def _flip(lo: Lowering, a: Args) -> Value:
    given = a.value("x")
    x = given.value
    if not x.shape:
        raise Mistake(axes_prose.needs_axis(given.span, "flip", "a scalar"))
    axes = a.axes(x.shape, (-1,))
    steps = tuple(-1 if i in axes else 1 for i in range(x.rank))
    sizes = plain(x.shape)
    starts = tuple(d - 1 if i in axes else Dim.of(0) for i, d in enumerate(sizes))
    stops = tuple(Dim.of(-1) if i in axes else d for i, d in enumerate(sizes))
    node = lo.graph.apply("slice", x.node, starts=starts, stops=stops, steps=steps)
    return value_of(node, x.shape)


def _pad(lo: Lowering, a: Args) -> Value:
    """pad(x, before, after): zeros in front of and behind an axis."""
    node, shape = a.real("x")
    if not shape:
        raise Mistake(axes_prose.needs_axis(a.passed("x").span, "pad", "a scalar"))
    axis = a.axis(shape)
    before, after = a.size("before"), a.size("after")
    base = plain(shape)
    size = before + base[axis] + after
    final = (*shape[:axis], size, *shape[axis + 1 :])
    lo.sized(final, a.span, "the result")
    starts = tuple(before if i == axis else Dim.of(0) for i in range(len(shape)))
    stops = tuple(before + d if i == axis else d for i, d in enumerate(base))
    made = lo.graph.apply(
        "unslice",
        node,
        shape=plain(final),
        starts=starts,
        stops=stops,
        steps=(1,) * len(shape),
    )
    return value_of(made, final)


# ---------------------------------------------------------------------------- einsum
def _einsum(lo: Lowering, a: Args) -> Value:
    """Pairwise from left to right; what only one operand has is summed first."""
    text, span = a.text("pattern") or "", a.passed("pattern").span
    values = a.many("x")
    try:
        operands, result = patterns.einsum(text)
    except patterns.BadPattern as bad:
        raise Mistake(axes_prose.bad_pattern(span, text, str(bad))) from None
    if len(operands) != len(values):
        raise Mistake(
            axes_prose.einsum_operands(span, text, len(operands), len(values))
        )
    sizes: dict[str, Dim] = {}
    nodes: list[tuple[Node, list[str]]] = []
    for names, given in zip(operands, values, strict=True):
        value = given.value
        if value.kind == "bool":
            raise Mistake(
                kinds_prose.bool_argument(
                    given.span, "einsum", given.text(), value.text()
                )
            )
        if len(names) != value.rank:
            raise Mistake(
                axes_prose.pattern_rank(given.span, text, given.text(), value.shape)
            )
        for name, d in zip(names, plain(value.shape), strict=True):
            if name in sizes and sizes[name] != d:
                raise Mistake(axes_prose.einsum_size(given.span, name, sizes[name], d))
            if name in sizes:
                lo.same(sizes[name], d, a.span)
            sizes.setdefault(name, d)
        nodes.append(_diagonal(lo, as_kind(lo, value, "real"), names))
    for name in result:
        if name not in sizes:
            raise Mistake(
                axes_prose.bad_pattern(span, text, f"`{name}` is not on its left")
            )
    if len(set(result)) != len(result):
        raise Mistake(
            axes_prose.bad_pattern(span, text, "an axis stands twice on its right")
        )
    if len(sizes) > 26:
        raise Mistake(axes_prose.bad_pattern(span, text, "it names more than 26 axes"))
    letters = dict(zip(sizes, "abcdefghijklmnopqrstuvwxyz", strict=False))
    node, names = nodes[0]
    for k, (other, more) in enumerate(nodes[1:], start=1):
        later = {n for _, ns in nodes[k + 1 :] for n in ns} | set(result)
        node, names = _summed(lo, node, names, later | set(more))
        other, more = _summed(lo, other, more, later | set(names))
        kept = [n for n in dict.fromkeys([*names, *more]) if n in later]
        if k == len(nodes) - 1:
            kept = list(result)
        left, right, out = (
            "".join(letters[n] for n in ns) for ns in (names, more, kept)
        )
        lo.sized(tuple(sizes[n] for n in kept), a.span, "the product")
        node = lo.graph.apply("einsum2", node, other, spec=f"{left},{right}->{out}")
        names = kept
    node, names = _summed(lo, node, names, set(result))
    if names != result:
        perm = tuple(names.index(n) for n in result)
        node = lo.graph.apply("transpose", node, perm=perm)
    return value_of(node, tuple(sizes[n] for n in result))


def _diagonal(lo: Lowering, node: Node, names: list[str]) -> tuple[Node, list[str]]:
    """A name that stands twice in one operand runs along the diagonal of its axes."""
    while len(set(names)) != len(names):
        name = next(n for n in names if names.count(n) > 1)
        i = names.index(name)
        j = names.index(name, i + 1)
        rest = [k for k in range(len(names)) if k not in (i, j)]
        node = lo.graph.apply("transpose", node, perm=(*rest, i, j))
        places = node.shape[:-1]
        index = lo.graph.apply("iota", shape=places, axis=len(rest), kind="int")
        node = lo.graph.apply("pick", node, index)
        names = [*(names[k] for k in rest), name]
    return node, names


def _summed(
    lo: Lowering, node: Node, names: list[str], keep: set[str]
) -> tuple[Node, list[str]]:
    axes = tuple(i for i, n in enumerate(names) if n not in keep)
    if not axes:
        return node, names
    node = lo.graph.apply("sum", node, axes=axes)
    shape: Shape = tuple(d for i, d in enumerate(node.shape) if i not in axes)
    return (
        lo.graph.apply("reshape", node, shape=shape),
        [n for n in names if n in keep],
    )


FUNCTIONS: dict[str, Function] = {
    "rearrange": _rearrange,
    "reshape": _reshape,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "flip": _flip,
    "pad": _pad,
    "einsum": _einsum,
}
