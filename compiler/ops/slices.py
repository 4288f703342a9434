"""Parts of values: slice and unslice, concat and slices. All linear, in adjoint pairs.

A slice holds a start, a stop and a step for every axis; with a negative step the start is
the first element taken and the stop lies one before the last, -1 for "down to the first".
Both are sizes: `T - 1` as well as 3.

    >>> slice_ = linear("slice", "x", lambda g, x, starts, stops, steps: ..., infer)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.dims import Dim, Shape, as_dim, as_shape
from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Kind, Op
from . import zeros
from .classes import Hole, InferError, Text, linear
from .samples import REAL, Case, Samples

Args = tuple[Node, ...]


def length(start: Dim | int, stop: Dim | int, step: int) -> Dim:
    """How many elements a slice takes of an axis."""
    span = as_dim(stop) - start if step > 0 else as_dim(start) - stop
    if abs(step) == 1:
        return span
    if span.integer is not None:
        return Dim.of(-(-span.integer // abs(step)))
    share = span.divided(abs(step))
    if share is None:
        raise InferError(f"slice: a step of {step} in {span}")
    return share


def _bounds(attrs: Attrs) -> tuple[Shape, Shape, tuple[int, ...]]:
    return as_shape(attrs["starts"]), as_shape(attrs["stops"]), tuple(attrs["steps"])


def _slice_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (x,), (starts, stops, steps) = args, _bounds(attrs)
    if not len(starts) == len(stops) == len(steps) == len(x.shape):
        raise InferError(f"slice: {len(starts)} axes of {len(x.shape)}")
    return tuple(map(length, starts, stops, steps)), x.kind


def _unslice_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (x,), (starts, stops, steps) = args, _bounds(attrs)
    if x.shape != tuple(map(length, starts, stops, steps)):
        raise InferError(f"unslice: {x.shape} into {starts}:{stops}:{steps}")
    return as_shape(attrs["shape"]), x.kind


def _whole(shape: Shape, starts: Shape, stops: Shape, steps: tuple[int, ...]) -> bool:
    zero = Dim.of(0)
    return all(s == 1 for s in steps) and all(
        a == zero and b == d for a, b, d in zip(starts, stops, shape, strict=True)
    )


def _slice_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    (x,), (starts, stops, steps) = args, _bounds(attrs)
    if any(isinstance(d, int) for d in (*attrs["starts"], *attrs["stops"])):
        return graph.apply("slice", x, starts=starts, stops=stops, steps=steps)
    if _whole(x.shape, starts, stops, steps):
        return x
    if x.op.name == "unslice" and _bounds(x.attrs) == (starts, stops, steps):
        return x.args[0]
    if x.op.name == "broadcast" and x.args[0].shape == ():
        return graph.broadcast(x.args[0], tuple(map(length, starts, stops, steps)))
    return None


def _unslice_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    """What is left to the op is steps of 1: flips and gaps are made of others."""
    (x,), (starts, stops, steps) = args, _bounds(attrs)
    shape = as_shape(attrs["shape"])
    if all(s == 1 for s in steps):
        if any(isinstance(d, int) for d in (*attrs["starts"], *attrs["stops"])):
            return graph.apply(
                "unslice", x, shape=shape, starts=starts, stops=stops, steps=steps
            )
        return x if _whole(shape, starts, stops, steps) else None
    for i, s in enumerate(steps):
        n = x.shape[i]
        if s < 0:
            x = flipped(x, i)
            first, stop = starts[i] + s * (n - 1), starts[i] + 1
            starts, stops = _set(starts, i, first), _set(stops, i, stop)
    for i, s in enumerate(steps):
        if abs(s) != 1:
            n = x.shape[i]
            places = graph.apply("iota", shape=(n,), axis=0, kind="int")
            places = places * graph.const(abs(s), "int") + graph.size(starts[i], "int")
            x = graph.apply("scatter_add", x, places, axis=i, size=shape[i])
            starts, stops = _set(starts, i, Dim.of(0)), _set(stops, i, shape[i])
    ones = (1,) * len(steps)
    return graph.apply(
        "unslice", x, shape=shape, starts=starts, stops=stops, steps=ones
    )


def _set(dims: Shape, axis: int, value: Dim) -> Shape:
    return (*dims[:axis], value, *dims[axis + 1 :])


def flipped(x: Node, axis: int) -> Node:
    """`x` backwards along `axis`."""
    n = x.shape[axis]
    zeros_ = tuple(Dim.of(0) for _ in x.shape)
    return x.graph.apply(
        "slice",
        x,
        starts=_set(zeros_, axis, n - 1),
        stops=_set(x.shape, axis, Dim.of(-1)),
        steps=tuple(-1 if i == axis else 1 for i in range(len(x.shape))),
    )


def index_text(
    shape: Shape, attrs: Attrs, drop: tuple[int, ...] = ()
) -> tuple[str, dict[str, Hole]]:
    """What stands in brackets: ``:, 1:n - 1``. An axis in `drop` (one element) is an index."""
    starts, stops, steps = _bounds(attrs)
    parts: list[str] = []
    holes: dict[str, Hole] = {}

    def written(name: str, d: Dim) -> str:
        if d.written.integer is not None:
            return str(d.written.integer)
        holes[name] = d
        return f"{{{name}}}"

    for i, (d, a, b, s) in enumerate(zip(shape, starts, stops, steps, strict=True)):
        if i in drop:
            parts.append(
                "-1" if a == d - 1 and a.integer is None else written(f"a{i}", a)
            )
            continue
        first, last = (Dim.of(0), d) if s > 0 else (d - 1, Dim.of(-1))
        low = "" if a == first else written(f"a{i}", a)
        beyond = (b - d).integer if s > 0 else None
        if b == last or (beyond is not None and beyond > 0):
            high = ""  # behind the end: of a stride that does not reach it
        elif s > 0 and (left := (d - b).integer) is not None and d.integer is None:
            high = str(-left)
        else:
            high = written(f"b{i}", b)
        parts.append(f"{low}:{high}" + ("" if s == 1 else f":{s}"))
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts), holes


def _index_words(node: Node) -> str:
    """The same for comments, sizes by name."""
    inside, holes = index_text(node.args[0].shape, node.attrs)
    return inside.format(**{name: str(hole) for name, hole in holes.items()})


def _slice_text(node: Node, drop: tuple[int, ...] = ()) -> Text:
    inside, holes = index_text(node.args[0].shape, node.attrs, drop)
    return f"{{x}}[{inside}]", holes


def _unslice_update(node: Node) -> Text:
    inside, holes = index_text(node.shape, node.attrs)
    return f"{{base}}[{inside}] += {{x}}", holes


def _unslice_text(node: Node) -> Text:
    starts, stops, _ = _bounds(node.attrs)
    holes: dict[str, Hole] = {}

    def written(name: str, d: Dim) -> str:
        if d.integer is not None:
            return str(d.integer)
        holes[name] = d
        return f"{{{name}}}"

    pads = [
        f"({written(f'a{i}', a)}, {written(f'z{i}', d - b)})"
        for i, (d, a, b) in enumerate(zip(node.shape, starts, stops, strict=True))
    ]
    return f"np.pad({{x}}, ({', '.join(pads)},))", holes


def _cut(*bounds: tuple[int, int, int]) -> dict[str, Any]:
    starts, stops, steps = zip(*bounds, strict=True)
    return {"starts": as_shape(starts), "stops": as_shape(stops), "steps": steps}


_CUTS = (
    ((3,), _cut((1, 3, 1))),
    ((3,), _cut((2, -1, -1))),
    ((4,), _cut((0, 4, 2))),
    ((4,), _cut((3, -1, -2))),
    ((2, 3), _cut((0, 2, 1), (1, 2, 1))),
    ((2, 3), _cut((1, -1, -1), (0, 3, 1))),
    ((2, 3), _cut((0, 2, 1), (0, 3, 2))),
    ((1, 3), _cut((0, 1, 1), (0, 1, 1))),
    ((2, 1, 3), _cut((1, 2, 1), (0, 1, 1), (2, -1, -1))),
    ((0, 3), _cut((0, 0, 1), (1, 3, 1))),
)


def _taken(attrs: dict[str, Any]) -> tuple[int, ...]:
    sizes = map(length, attrs["starts"], attrs["stops"], attrs["steps"])
    return tuple(d.integer or 0 for d in sizes)


linear(
    "slice",
    "x",
    lambda g, x, **cut: g.graph.apply("unslice", g, shape=x.shape, **cut),
    _slice_infer,
    (*zeros.moved("slice"), _slice_rule),
    numpy=_slice_text,
    text=lambda node: f"{{x}}[{_index_words(node)}]",
    latex="{x}",
    result="part",
    weight=0,
    view=True,
    samples=Samples((REAL,), tuple(Case((s,), cut) for s, cut in _CUTS)),
)
linear(
    "unslice",
    "x",
    lambda g, x, shape, **cut: g.graph.apply("slice", g, **cut),
    _unslice_infer,
    (*zeros.vanishing("unslice"), _unslice_rule),
    numpy=_unslice_text,
    update=_unslice_update,
    text="{x}",
    latex="{x}",
    result="padded",
    call=True,
    samples=Samples(
        (REAL,),
        tuple(
            Case((_taken(cut),), {"shape": as_shape(shape), **cut})
            for shape, cut in _CUTS
        ),
    ),
    note="Zeros with a slice set. A sum of several is one buffer, added to slice by slice.",
)


# ---------------------------------------------------------------------------- concat
def _concat_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    axis = attrs["axis"]
    first = args[0]
    total = first.shape[axis]
    for a in args[1:]:
        if a.kind != first.kind or len(a.shape) != len(first.shape):
            raise InferError("concat: kinds or ranks differ")
        if any(
            p != q
            for i, (p, q) in enumerate(zip(a.shape, first.shape, strict=True))
            if i != axis
        ):
            raise InferError(f"concat: {a.shape} after {first.shape} along {axis}")
        total = total + a.shape[axis]
    return (
        tuple(total if i == axis else d for i, d in enumerate(first.shape)),
        first.kind,
    )


def pieces(g: Node, sizes: Sequence[Dim], axis: int) -> list[Node]:
    """`g` cut along `axis` into parts of these sizes."""
    parts, start = [], Dim.of(0)
    for s in sizes:
        stop = start + s
        starts = tuple(start if i == axis else Dim.of(0) for i in range(len(g.shape)))
        stops = tuple(stop if i == axis else d for i, d in enumerate(g.shape))
        steps = (1,) * len(g.shape)
        parts.append(g.graph.apply("slice", g, starts=starts, stops=stops, steps=steps))
        start = stop
    return parts


def _concat_vjp(g: Node, out: Node, *xs: Node, axis: int) -> tuple[Node | None, ...]:
    return tuple(pieces(g, [x.shape[axis] for x in xs], axis))


def _concat_jvp(
    tangents: tuple[Node | None, ...], out: Node, *xs: Node, axis: int
) -> Node | None:
    if all(t is None for t in tangents):
        return None
    filled = tuple(
        out.graph.zero(x.shape) if t is None else t
        for t, x in zip(tangents, xs, strict=True)
    )
    return out.graph.apply("concat", *filled, axis=axis)


def _concat_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    if len(args) == 1:
        return args[0]
    if all(a.op.name == "zero" for a in args):
        shape, kind = _concat_infer(args, attrs)
        return graph.zero(shape, kind)
    return None


def _concat_text(node: Node) -> Text:
    parts = ", ".join(f"{{xs{i}}}" for i in range(len(node.args)))
    return f"np.concatenate(({parts}), axis={node.attrs['axis']})"


REGISTRY.add(
    Op(
        name="concat",
        args=("xs",),
        family="linear",
        infer=_concat_infer,
        vjp=_concat_vjp,
        jvp=_concat_jvp,
        simplify=(_concat_rule,),
        variadic=True,
        numpy=_concat_text,
        text=lambda node: (
            "concat(" + ", ".join(f"{{xs{i}}}" for i in range(len(node.args))) + ")"
        ),
        latex=lambda node: (
            r"\left["
            + r" \; ".join(f"{{xs{i}}}" for i in range(len(node.args)))
            + r"\right]"
        ),
        result="joined",
        call=True,
        samples=Samples(
            (REAL,),
            (
                Case(((3,), (3,)), {"axis": 0}),
                Case(((1, 3), (2, 3), (1, 3)), {"axis": 0}),
                Case(((2, 3), (2, 1)), {"axis": 1}),
                Case(((2, 1, 3), (2, 2, 3)), {"axis": 1}),
                Case(((0, 3), (2, 3)), {"axis": 0}),
            ),
        ),
    )
)
