"""Functions made of ops: no rules, so nothing to get wrong.

Lowering's built-in functions call these. Axes are whole numbers from 0; `keep` says whether
a reduced axis stays, with size 1.

    mean(x, (0,))        sum(x) / N, reshaped
    prod(x, (1,))        a pairwise tree of products: right with any number of zeros
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.dims import ONE, Dim, Shape, as_dim
from ..ir.dims import size as count
from ..ir.node import Node, Number
from .slices import flipped, pieces

Axes = tuple[int, ...]


def all_axes(x: Node) -> Axes:
    return tuple(range(len(x.shape)))


# ------------------------------------------------------------------------ layout
def squeeze(x: Node, axes: Axes) -> Node:
    """Drop axes of size 1."""
    shape = tuple(d for i, d in enumerate(x.shape) if i not in axes)
    return x.graph.apply("reshape", x, shape=shape)


def expand(x: Node, axis: int) -> Node:
    """Put an axis of size 1 before `axis`."""
    shape = (*x.shape[:axis], ONE, *x.shape[axis:])
    return x.graph.apply("reshape", x, shape=shape)


def cut(x: Node, axis: int, start: Dim | int, stop: Dim | int, step: int = 1) -> Node:
    """A slice along one axis."""
    starts = tuple(as_dim(start) if i == axis else Dim.of(0) for i in all_axes(x))
    stops = tuple(as_dim(stop) if i == axis else d for i, d in enumerate(x.shape))
    steps = tuple(step if i == axis else 1 for i in all_axes(x))
    return x.graph.apply("slice", x, starts=starts, stops=stops, steps=steps)


def element(x: Node, axis: int, place: Dim | int) -> Node:
    """``x[:, place]``: one element of an axis, which goes."""
    return squeeze(cut(x, axis, place, as_dim(place) + 1), (axis,))


def flip(x: Node, axis: int) -> Node:
    return flipped(x, axis)


def swap(x: Node) -> Node:
    """The transpose of the last two axes."""
    n = len(x.shape)
    return x.graph.apply("transpose", x, perm=(*range(n - 2), n - 1, n - 2))


def concat(xs: Sequence[Node], axis: int) -> Node:
    return xs[0].graph.apply("concat", *xs, axis=axis)


def stack(xs: Sequence[Node], axis: int) -> Node:
    """Join along a new axis."""
    return concat([expand(x, axis) for x in xs], axis)


def split(x: Node, sizes: Sequence[Dim], axis: int) -> list[Node]:
    """Cut into parts of these sizes."""
    return pieces(x, sizes, axis)


def pad(x: Node, before: Dim | int, after: Dim | int, axis: int) -> Node:
    """Zeros before and after, along one axis."""
    n = x.shape[axis]
    shape = tuple(
        as_dim(before) + n + after if i == axis else d for i, d in enumerate(x.shape)
    )
    starts = tuple(as_dim(before) if i == axis else Dim.of(0) for i in all_axes(x))
    stops = tuple(starts[i] + d for i, d in enumerate(x.shape))
    steps = (1,) * len(shape)
    return x.graph.apply(
        "unslice", x, shape=shape, starts=starts, stops=stops, steps=steps
    )


# ------------------------------------------------------------------------ reductions
def reduce(op: str, x: Node, axes: Axes, keep: bool = False) -> Node:
    """`sum`, `max`, `logsumexp`, `any` or `all` over axes."""
    y = x.graph.apply(op, x, axes=tuple(sorted(axes)))
    return y if keep else squeeze(y, axes)


def total(x: Node, axes: Axes | None = None, keep: bool = False) -> Node:
    """The sum over `axes`, or of everything."""
    return reduce("sum", x, all_axes(x) if axes is None else axes, keep)


def mean(x: Node, axes: Axes | None = None, keep: bool = False) -> Node:
    """The sum divided by how many there are."""
    axes = all_axes(x) if axes is None else axes
    number = count([x.shape[a] for a in axes])
    return total(x, axes, keep) / x.graph.size(number)


def minimum_of(x: Node, axes: Axes, keep: bool = False) -> Node:
    """The smallest: minus the largest of minus x."""
    return -reduce("max", -x, axes, keep)


def argmax(x: Node, axis: int, keep: bool = False) -> Node:
    y = x.graph.apply("argmax", x, axis=axis)
    return y if keep else squeeze(y, (axis,))


def prod(x: Node, axes: Axes, keep: bool = False) -> Node:
    """The product, as a balanced tree: no division, so zeros are no trouble.

    Every axis needs a size that is known now; ValueError otherwise.
    """
    for axis in axes:
        n = x.shape[axis].integer
        if n is None:
            raise ValueError(f"prod: the size {x.shape[axis]} is not known")
        if n == 0:
            shape = tuple(ONE if i == axis else d for i, d in enumerate(x.shape))
            x = x.graph.broadcast(x.graph.const(1, x.kind), shape)
        while n > 1:
            half = n // 2
            pairs = cut(x, axis, 0, half) * cut(x, axis, half, 2 * half)
            odd = cut(x, axis, 2 * half, n)
            x = concat([pairs, odd], axis) if n % 2 else pairs
            n = half + n % 2
    return x if keep else squeeze(x, axes)


def var(x: Node, axes: Axes, keep: bool = False) -> Node:
    """The mean square deviation, in two passes: never E[x^2] - E[x]^2."""
    deviation = x - x.graph.broadcast(mean(x, axes, keep=True), x.shape)
    return mean(deviation * deviation, axes, keep)


def std(x: Node, axes: Axes, keep: bool = False, eps: Number = 0) -> Node:
    return x.graph.apply("sqrt", var(x, axes, keep) + eps)


def norm2(x: Node, axes: Axes, keep: bool = False) -> Node:
    """sqrt(sum(x^2)), with derivative 0 at x = 0."""
    g = x.graph
    square = total(x * x, axes, keep=True)
    y = g.apply("where", g.apply("eq", square, 0), 0, g.apply("sqrt", square))
    return y if keep else squeeze(y, axes)


def log_softmax(x: Node, axes: Axes) -> Node:
    lse = x.graph.apply("logsumexp", x, axes=tuple(sorted(axes)))
    return x - x.graph.broadcast(lse, x.shape)


def cumsum(x: Node, axis: int) -> Node:
    return x.graph.apply("cumsum", x, axis=axis, reverse=False)


def sort(x: Node, axis: int) -> Node:
    order = x.graph.apply("argsort", x, axis=axis)
    return x.graph.apply("take_along", x, order, axis=axis)


# ----------------------------------------------------------------------- comparisons
def gt(a: Node, b: Node) -> Node:
    return a.graph.apply("lt", b, a)


def ge(a: Node, b: Node) -> Node:
    return a.graph.apply("le", b, a)


def ne(a: Node, b: Node) -> Node:
    return a.graph.apply("not", a.graph.apply("eq", a, b))


def real(x: Node) -> Node:
    """Whole numbers and truth values as real numbers."""
    return x.graph.apply("cast", x, kind="real")


# -------------------------------------------------------------------------- indexing
def take(x: Node, index: Node, axis: int = 0) -> Node:
    return x.graph.apply("take", x, index, axis=axis)


def pick(x: Node, index: Node) -> Node:
    return x.graph.apply("pick", x, index)


def one_hot(index: Node, size: Dim) -> Node:
    return index.graph.apply("one_hot", index, size=size)


def causal_mask(x: Node, n: Dim) -> Node:
    """bool[n, n]: may row i look at column j? j <= i. `x` is any node of the graph."""
    graph, shape = x.graph, (n, n)
    i = graph.apply("iota", shape=shape, axis=0, kind="int")
    j = graph.apply("iota", shape=shape, axis=1, kind="int")
    return graph.apply("le", j, i)


def filled(x: Node, shape: Shape) -> Node:
    """A scalar in every place of a shape."""
    return x.graph.broadcast(x, shape)
