"""Maxima over windows, as a person who has measured writes them.

NumPy's `max` over two short axes takes seven times as long as the maximum of slices that are
every other row. The share of a maximum goes to where it is reached by a product, not by a
choice: what it is divided by is a number of places, so nothing infinite comes in.

    x.reshape(N, 14, 2, 14, 2, 16).max(axis=(2, 4))
    ->  rows = np.maximum(x[:, ::2], x[:, 1::2]); np.maximum(rows[:, :, ::2], rows[:, :, 1::2])
"""

from __future__ import annotations

from math import prod

from gradc.records import record

from ..ir.dims import ONE, Dim, Shape
from ..ir.node import Node
from ..ops.contraction import letters
from .patterns import Rewriter, Rule, number, rule, scalar_under

MOST = 4  # elements along one axis of a window: beyond, one call of `max` is shorter


@record
class Cut:
    """Windows of `size` along an axis, a `stride` apart."""

    axis: int
    size: int
    stride: int
    dilation: int
    count: Dim


@rule("max", safety="=")
def maximum_of_slices(rw: Rewriter, n: Node) -> Node | None:
    """`max` over the axes of windows -> `np.maximum` of slices, one axis at a time."""
    x = n.args[0]
    cuts = windows_under(n)
    if x.kind != "real" or not cuts or any(cut.size > MOST for cut in cuts):
        return None
    made = x.args[0]
    for cut in cuts:
        parts = [_slice(rw, made, cut, i) for i in range(cut.size)]
        made = parts[0]
        for part in parts[1:]:
            made = rw.make("maximum", made, part)
        if cut is not cuts[-1]:
            rw.graph.hint(made, "row_max")
    return rw.make("reshape", made, shape=n.shape)


def windows_under(n: Node) -> list[Cut] | None:
    """The windows that a reduction is taken over; None or [] where it is over none."""
    x, axes = n.args[0], n.attrs["axes"]
    cuts = _split_axes(x, axes)
    return _window_axes(x, axes) if cuts is None else cuts


def _split_axes(x: Node, axes: tuple[int, ...]) -> list[Cut] | None:
    """The windows that a reshape makes: `[N, 28, …]` as `[N, 14, 2, …]`."""
    if not x.is_a("reshape") or len(x.shape) - len(axes) != len(x.args[0].shape):
        return None
    cuts: list[Cut] = []
    old = 0
    new = 0
    while old < len(x.args[0].shape):
        size = x.args[0].shape[old]
        if new + 1 in axes:
            k = x.shape[new + 1].integer
            if new in axes or k is None or x.shape[new] * k != size:
                return None
            cuts.append(Cut(old, k, k, 1, x.shape[new]))
            new += 2
        elif new in axes or x.shape[new] != size:
            return None
        else:
            new += 1
        old += 1
    return cuts


def _window_axes(x: Node, axes: tuple[int, ...]) -> list[Cut] | None:
    """The windows of the op of that name."""
    if not x.is_a("windows"):
        return None
    a, rank = x.attrs, len(x.args[0].shape)
    if axes != tuple(range(rank, len(x.shape))):
        return None
    return [
        Cut(axis, size, stride, dilation, x.shape[axis])
        for axis, size, stride, dilation in zip(
            a["axes"], a["sizes"], a["strides"], a["dilations"], strict=True
        )
    ]


def _slice(rw: Rewriter, x: Node, cut: Cut, i: int) -> Node:
    """The i-th element of every window along an axis."""
    start = i * cut.dilation
    stop = cut.count * cut.stride + start
    size = x.shape[cut.axis].integer
    if size is not None and stop.integer is not None:
        stop = Dim.of(min(size, stop.integer))
    starts = tuple(Dim.of(start * (j == cut.axis)) for j in range(len(x.shape)))
    stops: Shape = (*x.shape[: cut.axis], stop, *x.shape[cut.axis + 1 :])
    steps = tuple(cut.stride if j == cut.axis else 1 for j in range(len(x.shape)))
    return rw.make("slice", x, starts=starts, stops=stops, steps=steps)


@rule("where", safety="~")
def share_of_maximum(rw: Rewriter, n: Node) -> Node | None:
    """`where(mask, d / count, 0)` -> `d / count * mask`, over windows."""
    c, g, zero = n.args
    if not zero.is_a("zero") or n.kind != "real":
        return None
    flat = g.is_a("reshape") and rw.unbound(g)
    spread = g.args[0] if flat else g
    if not (spread.is_a("broadcast") and rw.unbound(spread)):
        return None
    share = spread.args[0]
    divided = share
    while divided.is_a("mul", "div") and _by_number(rw, divided):
        divided = divided.args[0]
    if not (divided.is_a("div") and len(share.shape) > 2):
        return None
    where = rw.make("reshape", c, shape=spread.shape) if flat else c
    if not _of_maximum(rw, divided.args[0]):
        gated = _gated(rw, where, share) if divided is share else None
        if gated is None:
            return None
        share, where = gated
        spread = rw.broadcast(share, spread.shape)
    made = rw.make("masked", spread, where)
    for node, name in ((share, "share"), (made, "d_windows")):
        rw.graph.hint(node, name)
    return rw.make("reshape", made, shape=n.shape) if flat else made


def _by_number(rw: Rewriter, n: Node) -> bool:
    """Is the second operand a number? A maximum may have been taken before it."""
    s = scalar_under(rw, n.args[1])
    return s is not None and bool(number(s))


def _of_maximum(rw: Rewriter, d: Node) -> bool:
    """Is it the adjoint of a maximum, or of a multiple of one?"""
    primals = rw.adjoint_of.get(d, ())
    if not primals and d.is_a("reshape"):
        primals = rw.adjoint_of.get(d.args[0], ())
    for p in primals:
        while p.is_a("reshape") or (p.is_a("mul", "div") and _by_number(rw, p)):
            p = p.args[0]
        if p.is_a("max") or (p.is_a("maximum") and p.args[0].is_a("slice")):
            return True
    return False


def _gated(rw: Rewriter, c: Node, share: Node) -> tuple[Node, Node] | None:
    """The share and its mask, where what comes in has a mask as well: relu's, after the pool.

    `where(hit & (h > 0), d / count, 0)` is `where(hit, d * (h > 0) / count, 0)`, and the
    product `d * (h > 0)` is a quarter of it.
    """
    if not (c.is_a("and") and rw.unbound(c)):
        return None
    d, count = share.args
    spread = next((a for a in c.args if a.is_a("broadcast")), None)
    if spread is None or spread.args[0].shape != share.shape:
        return None
    hit = c.args[c.args[0] is spread]
    gate = spread.args[0]
    gate = gate.args[0] if gate.is_a("reshape") else gate
    d = rw.make("reshape", d, shape=gate.shape)
    d = rw.make("where", gate, d, rw.graph.zero(gate.shape))
    if not d.is_a("masked"):
        return None
    return rw.make("div", rw.make("reshape", d, shape=share.shape), count), hit


@rule("sum", "sum_over", "mean_over", safety="~")
def sum_of_slices(rw: Rewriter, n: Node) -> Node | None:
    """A sum over short axes -> a sum of slices, one axis at a time.

    Not over leading or trailing axes, which are a product with ones.
    """
    x, axes = n.args[0], n.attrs["axes"]
    rank = len(x.shape)
    first, last = tuple(range(len(axes))), tuple(range(rank - len(axes), rank))
    sizes = [x.shape[i].integer or MOST + 1 for i in axes]
    if x.kind != "real" or axes in (first, last) or max(sizes) > MOST:
        return None
    made = x
    for axis, k in zip(axes, sizes, strict=True):
        cut = Cut(axis, k, k, 1, ONE)
        parts = [_slice(rw, made, cut, i) for i in range(k)]
        made = parts[0]
        for part in parts[1:]:
            made = rw.make("add", made, part)
    if n.is_a("mean_over"):
        count = rw.graph.const(prod(sizes))
        made = rw.make("div", made, rw.graph.broadcast(count, made.shape))
    return rw.make("reshape", made, shape=n.shape)


@rule("fold", safety="~")
def product_at_each_place(rw: Rewriter, n: Node) -> Node | None:
    """`fold` of a product with a kernel -> the product at each place of the kernel, added.

    What is folded would have as many values for each of g as the kernel has places.
    """
    a, rank = n.attrs, len(n.shape)
    turned = n.args[0]
    if a["axes"] != tuple(range(1, rank - 1)) or not turned.is_a("transpose"):
        return None
    count = len(a["axes"])  # [N, h, w, k, k, c] -> [N, h, w, c, k, k]
    perm = (*range(rank - 1), rank - 1 + count, *range(rank - 1, rank - 1 + count))
    whole = turned.args[0]
    product = whole.args[0] if whole.is_a("reshape") else whole
    if turned.attrs["perm"] != perm or not (
        product.is_a("einsum2") and rw.free(product)
    ):
        return None
    if not (rw.unbound(turned) and rw.unbound(whole)):
        return None
    sa, sb, so = letters(product.attrs["spec"])
    g, kernel = product.args
    places, summed = so[: rank - 1], sa[-1]
    inside = so[rank - 1 :]
    if sa != places + summed or sorted(sb) != sorted(inside + summed):
        return None
    kernel = rw.make("transpose", kernel, perm=tuple(map(sb.index, inside + summed)))
    sizes = whole.shape[rank - 1 :]
    kernel = rw.make("reshape", kernel, shape=(*sizes, g.shape[-1]))
    more = {k: a[k] for k in ("strides", "dilations")}
    return rw.make("conv_transpose", g, kernel, shape=n.shape, **more)


RULES: tuple[Rule, ...] = (maximum_of_slices, share_of_maximum, product_at_each_place)
PLANNED: tuple[Rule, ...] = (sum_of_slices,)  # with memory for what comes between
