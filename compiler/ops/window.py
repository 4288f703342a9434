"""Windows: every window of a tensor as axes of its own, and their sum back. A linear pair.

`windows` is a view (nothing is copied); `fold` is its adjoint, col2im. Convolution,
pooling, transposed convolution and all their derivatives of any order are
these two with einsum2, max, slice and unslice: there is no rule for a convolution.

    x (N, H, W, c)  windows over axes (1, 2) of 3 by 3  ->  (N, H - 2, W - 2, c, 3, 3)

An input whose size the stride does not divide just works, since `fold` is given the
extent of what the windows were taken from.
"""

from __future__ import annotations

from typing import Any

from ..ir.dims import Dim, Shape, as_shape
from ..ir.node import Node
from ..ir.op import Attrs, Kind
from . import zeros
from .classes import InferError, Text, linear
from .samples import REAL, Case, Samples

Args = tuple[Node, ...]


def windows_along(extent: Dim, size: int, stride: int, dilation: int) -> Dim | None:
    """How many windows fit; None where that is no polynomial in the sizes."""
    free = extent - ((size - 1) * dilation + 1)
    if stride == 1:
        return free + 1
    if free.integer is not None:
        return Dim.of(free.integer // stride + 1)
    share = free.divided(stride)
    return None if share is None else share + 1


def _counts(shape: Shape, attrs: Attrs) -> Shape:
    found = []
    for axis, size, stride, dilation in zip(
        attrs["axes"], attrs["sizes"], attrs["strides"], attrs["dilations"], strict=True
    ):
        n = windows_along(shape[axis], size, stride, dilation)
        if n is None or (n.integer is not None and n.integer < 0):
            raise InferError(f"windows: {size} every {stride} in {shape[axis]}")
        found.append(n)
    return tuple(found)


def _windowed(shape: Shape, attrs: Attrs) -> Shape:
    out = list(shape)
    for axis, n in zip(attrs["axes"], _counts(shape, attrs), strict=True):
        out[axis] = n
    return (*out, *as_shape(attrs["sizes"]))


def _windows_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    return _windowed(args[0].shape, attrs), args[0].kind


def _fold_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    shape = as_shape(attrs["shape"])
    if args[0].shape != _windowed(shape, attrs):
        raise InferError(f"fold: {args[0].shape} into {shape}")
    return shape, args[0].kind


def _windows_text(node: Node) -> Text:
    axes: tuple[int, ...] = node.attrs["axes"]
    strides, dilations = node.attrs["strides"], node.attrs["dilations"]
    spans = tuple(
        (k - 1) * d + 1 for k, d in zip(node.attrs["sizes"], dilations, strict=True)
    )
    text = f"np.lib.stride_tricks.sliding_window_view({{x}}, {spans}, {axes})"
    rank = len(node.args[0].shape)
    steps = [1] * rank + list(dilations)
    for axis, stride in zip(axes, strides, strict=True):
        steps[axis] = stride
    while steps and steps[-1] == 1:
        steps.pop()
    if steps:
        text += "[" + ", ".join(":" if s == 1 else f"::{s}" for s in steps) + "]"
    return text


FOLD = '''def fold(g, shape, axes, strides, dilations):
    """Return zeros of a shape, with each window of g (its last axes) added in its place."""
    total = np.zeros(shape, g.dtype)
    windows = np.moveaxis(g, range(len(shape), g.ndim), range(len(axes)))
    for offset in np.ndindex(windows.shape[: len(axes)]):
        place, part = total, windows[offset]
        for axis, i, stride, dilation in zip(axes, offset, strides, dilations):
            start = i * dilation
            stop = start + stride * part.shape[axis]
            place = place.swapaxes(0, axis)[start:stop:stride].swapaxes(0, axis)
        place += part
    return total
'''


def _fold_text(node: Node) -> Text:
    a = node.attrs
    text = f"fold({{x}}, {{shape}}, {a['axes']}, {a['strides']}, {a['dilations']})"
    return text, {"shape": node.shape}


def _cut(
    axes: tuple[int, ...],
    sizes: tuple[int, ...],
    strides: tuple[int, ...] = (),
    dilations: tuple[int, ...] = (),
) -> dict[str, Any]:
    ones = (1,) * len(axes)
    return {
        "axes": axes,
        "sizes": sizes,
        "strides": strides or ones,
        "dilations": dilations or ones,
    }


_CUTS = (
    ((5,), _cut((0,), (2,))),
    ((6,), _cut((0,), (3,), (2,))),  # the stride leaves an element over
    ((2, 5), _cut((1,), (2,), (2,), (2,))),
    ((4, 5), _cut((0, 1), (2, 3))),
    ((1, 5, 4, 2), _cut((1, 2), (3, 2), (2, 1))),
    ((0, 4), _cut((1,), (2,))),
)

linear(
    "windows",
    "x",
    lambda g, x, **cut: g.graph.apply("fold", g, shape=x.shape, **cut),
    _windows_infer,
    zeros.vanishing("windows"),
    numpy=_windows_text,
    text="windows({x})",
    latex=r"\operatorname{{windows}}\left({x}\right)",
    result="windows",
    weight=1,
    view=True,
    call=True,
    samples=Samples((REAL,), tuple(Case((shape,), cut) for shape, cut in _CUTS)),
    note="A view of every window; what the stride leaves over is in none.",
)
linear(
    "fold",
    "x",
    lambda g, x, shape, **cut: g.graph.apply("windows", g, **cut),
    _fold_infer,
    zeros.vanishing("fold"),
    numpy=_fold_text,
    prelude=FOLD,
    text="fold({x})",
    latex=r"\operatorname{{fold}}\left({x}\right)",
    result="folded",
    call=True,
    samples=Samples(
        (REAL,),
        tuple(
            Case(
                (tuple(d.integer or 0 for d in _windowed(as_shape(shape), cut)),),
                {"shape": as_shape(shape), **cut},
            )
            for shape, cut in _CUTS
        ),
    ),
    note="Windows that overlap add up.",
)
