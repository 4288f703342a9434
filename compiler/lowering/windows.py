"""Images: conv2d, conv_transpose2d and pool2d, channels last.

In come bound arguments, out come unslice (the padding), windows, einsum2 and max. There is
no op for a convolution, so every derivative of any order falls out of theirs.

    conv2d(x, K)      z[n, i, j, o] = Σ x[n, i + p, j + q, c] K[p, q, c, o]
                      x [N, H, W, c], K [k, k, c, n]  ->  z [N, H, W, n]

A sequence x [N, T, c] with a kernel [k, c, n] goes through the same code: it has one axis
under the window instead of two.

Padding: "valid" is none. "same" is as in TensorFlow and JAX: ⌈H / stride⌉ places, and of an
odd number of zeros the one more comes after. Numbers: one for every side, or one before and
one after for each axis. Padding is zeros for conv2d and takes no part in a maximum or mean.

A size of the data works where the number of windows is a polynomial in it: with stride 1
always, else if the stride divides, which is checked when the data are there.
"""

from __future__ import annotations

from gradc.records import record

from ..errors import windows as prose
from ..ir.dims import ONE, Dim, Shape, plain
from ..ir.dims import size as elements
from ..ir.node import Node
from ..ir.program import Check
from ..ops import derived
from .arguments import Args, Function, Silent
from .context import Lowering
from .values import Items, Mistake, Text, Unknown, Value, value_of

SIZES = 1 << 20  # a stride or a padding beyond this is a mistake


@record
class Axis:
    """One axis under the window."""

    size: Dim
    k: int
    stride: int
    dilation: int
    before: int
    after: int
    cut: int  # what is left out at the end, so that the windows fit exactly
    count: Dim  # of windows

    @property
    def padded(self) -> bool:
        return bool(self.before or self.after)

    @property
    def idle(self) -> bool:
        """The window is a single element, everywhere."""
        return self.k == self.stride == 1 and not self.padded


def _conv(lo: Lowering, a: Args) -> Value:
    x, shape = a.real("x")
    kernel, k_shape = _kernel(a, shape)
    groups = _groups(a, shape, k_shape)
    grid = _grid(lo, a, shape, _sizes(a, k_shape))
    patches = _patches(_fitted(x, grid), grid)
    return _product(lo, a, shape, patches, kernel, groups, grid)


def _product(
    lo: Lowering,
    a: Args,
    shape: Shape,
    patches: Node,
    kernel: Node,
    groups: int,
    grid: tuple[Axis, ...],
) -> Value:
    """One product of matrices: each patch, in one row, times the kernel."""
    g = lo.graph
    counts = tuple(axis.count for axis in grid)
    *window, c, n = kernel.shape
    out = lo.sized((shape[0], *counts, n), a.span, "the result")
    row = elements([*window, c])
    lo.sized((shape[0], *counts, row, Dim.of(groups)), a.span, "what it reads")
    places = "nhw"[: 1 + len(grid)]
    if groups == 1:
        rows = g.apply("reshape", patches, shape=plain((shape[0], *counts, row)))
        lo.hint(rows, "patches")
        matrix = g.apply("reshape", kernel, shape=(row, n))
        made = g.apply("einsum2", rows, matrix, spec=f"{places}j,jo->{places}o")
        return value_of(made, out)
    each = n.divided(groups)
    assert each is not None
    count = Dim.of(groups)
    rank = len(patches.shape)
    split = g.apply("reshape", patches, shape=(*patches.shape[:-1], count, c))
    turned = g.apply(
        "transpose",
        split,
        perm=(rank - 1, *range(rank - 1), rank),
    )
    rows = g.apply("reshape", turned, shape=plain((count, shape[0], *counts, row)))
    lo.hint(rows, "patches")
    matrix = g.apply("reshape", kernel, shape=(row, count, each))
    made = g.apply("einsum2", rows, matrix, spec=f"g{places}j,jgo->{places}go")
    return value_of(g.apply("reshape", made, shape=plain(out)), out)


def _transposed(lo: Lowering, a: Args) -> Value:
    """The adjoint of conv2d by its input: windows with the kernel's values, added up."""
    x, shape = a.real("x")
    kernel, k_shape = _kernel(a, shape)
    groups = _groups(a, shape, k_shape)
    g = lo.graph
    sizes = _sizes(a, k_shape)
    stride, dilation = _whole(a, "stride", 1), _whole(a, "dilation", 1)
    *window, c, n = kernel.shape
    places, inner = "nhw"[: 1 + len(sizes)], "pq"[: len(sizes)]
    spatial = tuple(range(1, 1 + len(sizes)))
    if groups == 1:
        spec = f"{places}c,{inner}co->{places}{inner}o"
        made = g.apply("einsum2", x, kernel, spec=spec)
    else:
        count, each = Dim.of(groups), n.divided(groups)
        assert each is not None
        xs = g.apply("reshape", x, shape=(*x.shape[:-1], count, c))
        ks = g.apply("reshape", kernel, shape=(*window, c, count, each))
        spec = f"{places}gc,{inner}cgo->{places}{inner}go"
        made = g.apply("einsum2", xs, ks, spec=spec)
        flat = (*x.shape[:-1], *window, n)
        made = g.apply("reshape", made, shape=flat)
    rank = len(shape)
    perm = (
        *range(rank - 1),
        len(made.shape) - 1,
        *range(rank - 1, len(made.shape) - 1),
    )
    made = g.apply("transpose", made, perm=perm)
    spans = [(k - 1) * dilation + 1 for k in sizes]
    pads = _pads(a, len(sizes))
    full = tuple(
        (shape[i] - 1) * stride + span for i, span in zip(spatial, spans, strict=True)
    )
    whole = lo.sized((shape[0], *full, n), a.span, "the result")
    made = g.apply(
        "fold",
        made,
        shape=plain(whole),
        axes=spatial,
        sizes=sizes,
        strides=(stride,) * len(sizes),
        dilations=(dilation,) * len(sizes),
    )
    for axis, span in zip(spatial, spans, strict=True):
        _at_least(lo, a, shape[axis], ONE)
        have = made.shape[axis]
        if isinstance(pads, str):
            want = shape[axis] * stride if pads == "same" else have
            spare = max(span - stride, 0) if pads == "same" else 0
            if span < stride and pads == "same":
                made = derived.pad(made, 0, stride - span, axis)
            before, after = spare // 2, spare - spare // 2
        else:
            before, after = pads[axis - 1]
            want = have - before - after
            if want.integer is not None and want.integer < 1:
                raise Mistake(
                    prose.nothing_left(
                        a.passed("pad").span, a.name, have, before + after
                    )
                )
            _at_least(lo, a, have, ONE + before + after)
        if before or after:
            stop = made.shape[axis] - after
            made = derived.cut(made, axis, before, stop)
        assert made.shape[axis] == want
    out = (shape[0], *made.shape[1:])
    return value_of(made, out)


# -------------------------------------------------------------------------- pooling
def _pool(lo: Lowering, a: Args) -> Value:
    x, shape = a.real("x")
    _image(a, shape)
    kind = a.text("kind") if a.has("kind") else "max"
    if kind not in ("max", "mean"):
        raise Mistake(prose.pool_kind(a.passed("kind").span, kind or ""))
    k = _whole(a, "k", 1)
    grid = _grid(lo, a, shape, (k,) * (len(shape) - 2), stride=k)
    for axis in grid:
        if max(axis.before, axis.after) >= k:
            span = a.passed("pad").span
            raise Mistake(prose.pool_pad(span, max(axis.before, axis.after), k))
    out = (shape[0], *(axis.count for axis in grid), shape[-1])
    padded = any(axis.padded for axis in grid)
    if kind == "mean" or not padded:
        fitted, over = _viewed(_fitted(x, grid), grid)
    else:
        fitted, over = _viewed(_fitted(x, grid, -float("inf")), grid)
    if kind == "max":
        made = derived.reduce("max", fitted, over)
    elif not padded:
        made = derived.mean(fitted, over)
    else:
        made = derived.total(fitted, over)
        ones = lo.graph.broadcast(lo.graph.const(1), (ONE, *plain(shape[1:-1]), ONE))
        counted, over = _viewed(_fitted(ones, grid), grid)
        number = derived.total(counted, over)
        made = made / lo.graph.broadcast(number, made.shape)
    return value_of(made, out)


def _viewed(x: Node, grid: tuple[Axis, ...]) -> tuple[Node, tuple[int, ...]]:
    """Every window on axes of its own, and which these are."""
    g = x.graph
    if all(axis.stride == axis.k and axis.dilation == 1 for axis in grid):
        shape: list[Dim] = [x.shape[0]]
        over = []
        for axis in grid:
            over.append(len(shape) + 1)
            shape += [axis.count, Dim.of(axis.k)]
        return g.apply("reshape", x, shape=(*shape, x.shape[-1])), tuple(over)
    rank = len(x.shape)
    return _windows(x, grid), tuple(range(rank, rank + len(grid)))


# -------------------------------------------------------------------------- windows
def _windows(x: Node, grid: tuple[Axis, ...]) -> Node:
    return x.graph.apply(
        "windows",
        x,
        axes=tuple(range(1, 1 + len(grid))),
        sizes=tuple(axis.k for axis in grid),
        strides=tuple(axis.stride for axis in grid),
        dilations=tuple(axis.dilation for axis in grid),
    )


def _patches(x: Node, grid: tuple[Axis, ...]) -> Node:
    """[N, h, w, k, k, c]: the window before the channels, so that both lie together."""
    rank = len(x.shape)
    if all(axis.idle for axis in grid):
        ones = (ONE,) * len(grid)
        return x.graph.apply("reshape", x, shape=(*x.shape[:-1], *ones, x.shape[-1]))
    made = _windows(x, grid)
    perm = (*range(rank - 1), *range(rank, rank + len(grid)), rank - 1)
    return x.graph.apply("transpose", made, perm=perm)


def _fitted(x: Node, grid: tuple[Axis, ...], fill: float = 0) -> Node:
    """The image with its padding, and without what no window reaches."""
    for i, axis in enumerate(grid, start=1):
        if axis.cut:
            x = derived.cut(x, i, 0, x.shape[i] - axis.cut)
    if not any(axis.padded for axis in grid):
        return x
    if not fill:
        befores = (0, *(axis.before for axis in grid), 0)
        afters = (0, *(axis.after for axis in grid), 0)
        starts = tuple(map(Dim.of, befores))
        stops = tuple(map(Dim.__add__, x.shape, befores))
        shape = tuple(map(Dim.__add__, stops, afters))
        steps = (1,) * len(shape)
        return x.graph.apply(
            "unslice", x, shape=shape, starts=starts, stops=stops, steps=steps
        )
    for i, axis in enumerate(grid, start=1):
        ends = []
        for number in (axis.before, axis.after):
            shape = (*x.shape[:i], Dim.of(number), *x.shape[i + 1 :])
            ends.append([x.graph.broadcast(x.graph.const(fill), shape)] * (number > 0))
        x = derived.concat([*ends[0], x, *ends[1]], i) if axis.padded else x
    return x


def _grid(
    lo: Lowering, a: Args, shape: Shape, sizes: tuple[int, ...], stride: int = 1
) -> tuple[Axis, ...]:
    """How the windows lie on each axis."""
    stride = _whole(a, "stride", 1) if a.has("stride") else stride
    dilation = _whole(a, "dilation", 1)
    pads = _pads(a, len(sizes))
    found = []
    for i, k in enumerate(sizes):
        n = ONE if shape[1 + i].stretch else shape[1 + i]
        span = (k - 1) * dilation + 1
        if isinstance(pads, str):
            pad = (0, 0) if pads == "valid" else _same(n, span, stride)
        else:
            pad = pads[i]
        found.append(_laid(lo, a, n, k, stride, dilation, pad, pads == "same"))
    return tuple(found)


def _same(n: Dim, span: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that ⌈n / stride⌉ windows fit."""
    if n.integer is None:
        spare = max(span - stride, 0)  # the stride divides n
    else:
        spare = max((-(-n.integer // stride) - 1) * stride + span - n.integer, 0)
    return spare // 2, spare - spare // 2


def _laid(
    lo: Lowering,
    a: Args,
    n: Dim,
    k: int,
    stride: int,
    dilation: int,
    pad: tuple[int, int],
    same: bool,
) -> Axis:
    span = (k - 1) * dilation + 1
    extent = n + sum(pad)
    if n.integer is not None:
        free = n.integer + sum(pad) - span
        if n.integer < 1 or free < 0:
            raise Mistake(prose.window_size(a.span, a.name, span, n, sum(pad)))
        before, after = pad
        over = free % stride  # no window reaches it: the padding's zeros first
        unused = min(after, over)
        count = Dim.of(free // stride + 1)
        return Axis(
            n, k, stride, dilation, before, after - unused, over - unused, count
        )
    spare = 0
    if same and span < stride:  # the stride divides n: what lies behind is never read
        spare = stride - span
    _at_least(lo, a, n, Dim.of(max(1, span - sum(pad))))
    between = (extent - spare - span).divided(stride)
    assert between is not None
    if not between.whole:
        _dividing(lo, a, n, stride, extent - spare - span, same or span == stride)
    return Axis(n, k, stride, dilation, *pad, spare, between + 1)


def _dividing(
    lo: Lowering, a: Args, n: Dim, stride: int, free: Dim, simple: bool
) -> None:
    text = a.call.text
    if simple:
        said = f"`{a.name}` with stride {stride} needs a multiple of {stride}: {n}"
    else:
        said = f"`{a.name}` needs windows that fit: {stride} does not divide {free}"
    line = lo.place(a.span).line
    lo.require(Check("divides", free, Dim.of(stride), line, text, said))


def _at_least(lo: Lowering, a: Args, size: Dim, least: Dim) -> None:
    """An image as large as the window, where the data decide."""
    if size.integer is not None or (least.integer or 0) < 1:
        return
    line = lo.place(a.span).line
    said = f"`{a.name}` needs {size} to be at least {least}"
    lo.require(Check("at_least", size, least, line, a.call.text, said))


# ------------------------------------------------------------------------ arguments
def _image(a: Args, shape: Shape) -> None:
    if len(shape) not in (3, 4):
        given = a.passed("x").span
        raise Mistake(prose.needs_image(given, a.name, (a.first_text(), shape)))


def _kernel(a: Args, shape: Shape) -> tuple[Node, Shape]:
    _image(a, shape)
    kernel, k_shape = a.real("K")
    if len(k_shape) != len(shape):
        x, k = (a.first_text(), shape), (a.value("K").text("K"), k_shape)
        raise Mistake(prose.kernel_rank(a.passed("K").span, a.name, x, k))
    return kernel, plain(k_shape)


def _groups(a: Args, shape: Shape, k_shape: Shape) -> int:
    """How many; each reads its own channels and makes its own."""
    groups = _whole(a, "groups", 1)
    c, n = k_shape[-2:]
    have = ONE if shape[-1].stretch else shape[-1]
    x, k = (a.first_text(), shape), (a.value("K").text("K"), k_shape)
    if groups > 1:
        for word, d in (("into", have), ("out of", n)):
            if d.integer is None or d.integer % groups:
                span = a.passed("groups").span
                raise Mistake(prose.groups_divide(span, a.name, groups, d, word))
    if c * groups != have:
        span = a.passed("K").span
        raise Mistake(prose.channels(span, a.name, x, k, groups))
    a.lo.same(c * groups, have, a.span, a.call.text)
    return groups


def _sizes(a: Args, k_shape: Shape) -> tuple[int, ...]:
    found = []
    for d in k_shape[:-2]:
        k = d.integer
        if k is None or k < 1:
            k_text = (a.value("K").text("K"), k_shape)
            raise Mistake(prose.kernel_size(a.passed("K").span, a.name, k_text, d))
        found.append(k)
    return tuple(found)


def _whole(a: Args, name: str, default: int) -> int:
    """A whole number from 1 on."""
    if not a.has(name):
        return default
    argument = a.passed(name)
    number = a.integer(a.thing(name), argument.span, name)
    if not 1 <= number <= SIZES:
        raise Mistake(prose.positive(argument.span, a.name, name, number))
    return number


def _pads(a: Args, axes: int) -> str | list[tuple[int, int]]:
    """A word, or what stands before and after on each axis."""
    if not a.has("pad"):
        return "valid" if a.name == "pool2d" else "same"
    thing, span = a.thing("pad"), a.passed("pad").span
    if isinstance(thing, Text):
        if thing.value not in ("same", "valid"):
            raise Mistake(prose.pad_word(span, a.name, thing.value))
        return thing.value
    things = thing.items if isinstance(thing, Items) else (thing,)
    numbers = []
    for one in things:
        if isinstance(one, Unknown):
            raise Silent
        number = one.dim.integer if isinstance(one, Value) and one.dim else None
        if number is None or not 0 <= number <= SIZES:
            raise Mistake(prose.pad_numbers(span, a.name, axes))
        numbers.append(number)
    if not isinstance(thing, Items):
        numbers *= 2 * axes
    if len(numbers) != 2 * axes:
        raise Mistake(prose.pad_numbers(span, a.name, axes))
    return list(zip(numbers[::2], numbers[1::2], strict=True))


FUNCTIONS: dict[str, Function] = {
    "conv2d": _conv,
    "conv_transpose2d": _transposed,
    "pool2d": _pool,
}
