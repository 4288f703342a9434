"""Maxima over windows, as a person who has measured writes them.

NumPy's `max` over two short axes takes seven times as long as the maximum of slices that are
every other row. The share of a maximum goes to where it is reached by a product, not by a
choice: what it is divided by is a number of places, so nothing infinite comes in.

    x.reshape(N, 14, 2, 14, 2, 16).max(axis=(2, 4))
    ->  rows = np.maximum(x[:, ::2], x[:, 1::2]); np.maximum(rows[:, :, ::2], rows[:, :, 1::2])
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.dims import Dim, Shape
from ..ir.node import Node
from .patterns import Rewriter, Rule, rule

MOST = 4  # elements along one axis of a window: beyond, one call of `max` is shorter


@dataclass(frozen=True)
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
    if x.kind != "real":
        return None
    cuts = _split_axes(x, n.attrs["axes"])
    cuts = _window_axes(x, n.attrs["axes"]) if cuts is None else cuts
    if not cuts or any(cut.size > MOST for cut in cuts):
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
    if not (share.is_a("div") and len(share.shape) > 2):
        return None
    if not any(p.is_a("max") for p in rw.adjoint_of.get(share.args[0], ())):
        return None
    where = rw.make("reshape", c, shape=spread.shape) if flat else c
    made = rw.make("masked", spread, where)
    for node, name in ((share, "share"), (made, "d_windows")):
        rw.graph.hint(node, name)
    return rw.make("reshape", made, shape=n.shape) if flat else made


RULES: tuple[Rule, ...] = (maximum_of_slices, share_of_maximum)
