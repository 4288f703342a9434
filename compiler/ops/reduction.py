"""Reductions: the axes become 1. Dropping them is a reshape, which the emitter fuses.

Sum is linear (its adjoint is broadcast); max, logsumexp and softmax are special and write
both derivatives by hand. The templates take `keep`: with False the axes are gone.

    >>> sum_ = linear("sum", "x", lambda g, x, axes: g.graph.broadcast(g, x.shape), ...)
"""

from __future__ import annotations

from typing import Any

from ..ir.dims import ONE, Shape
from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Infer, Kind, Op
from . import zeros
from .classes import InferError, Text, linear
from .samples import REAL, TRUTH, Case, Range, Samples


def kept_shape(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """The shape after a reduction over `axes`."""
    return tuple(ONE if i in axes else d for i, d in enumerate(shape))


def _axes(name: str, x: Node, attrs: Attrs) -> tuple[int, ...]:
    axes: tuple[int, ...] = attrs["axes"]
    if list(axes) != sorted(set(axes)) or any(not 0 <= a < len(x.shape) for a in axes):
        raise InferError(f"{name}: axes {axes} of {len(x.shape)}")
    return axes


def _reduced(name: str, kinds: tuple[Kind, ...], shaped: bool = True) -> Infer:
    def infer(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
        (x,) = args
        if x.kind not in kinds:
            raise InferError(f"{name}: kind {x.kind}")
        axes = _axes(name, x, attrs)
        return (kept_shape(x.shape, axes) if shaped else x.shape), x.kind

    return infer


def _nothing_to_do(graph: Graph, args: tuple[Node, ...], attrs: Attrs) -> Node | None:
    """A reduction over axes of size 1 changes nothing."""
    (x,) = args
    return x if all(x.shape[a] == ONE for a in attrs["axes"]) else None


def axis_text(node: Node, keep: bool) -> str:
    """``axis=1, keepdims=True``; empty where everything is reduced and dropped."""
    axes = node.attrs["axes"]
    parts = []
    if len(axes) < len(node.args[0].shape):
        parts.append(f"axis={axes[0] if len(axes) == 1 else axes}")
    if keep:
        parts.append("keepdims=True")
    return ", ".join(parts)


def _method(name: str) -> Any:
    def template(node: Node, keep: bool = True) -> Text:
        return f"{{x}}.{name}({axis_text(node, keep)})"

    return template


def _over(word: str) -> Any:
    def text(node: Node) -> str:
        if len(node.attrs["axes"]) == len(node.args[0].shape):
            return f"{word}({{x}})"
        return f"{word}({{x}}, axis = {_written(node.attrs['axes'])})"

    return text


def _written(axes: tuple[int, ...]) -> str:
    return str(axes[0]) if len(axes) == 1 else str(list(axes))


_SHAPES: tuple[tuple[int, ...], ...] = ((3,), (2, 3), (1, 3), (2, 1, 3))
_CASES = tuple(
    Case((shape,), {"axes": axes})
    for shape in _SHAPES
    for axes in {(0,), (len(shape) - 1,), tuple(range(len(shape)))}
)
_EMPTY = (Case(((0, 3),), {"axes": (0,)}), Case(((0, 3),), {"axes": (1,)}))

linear(
    "sum",
    "x",
    lambda g, x, axes: g.graph.broadcast(g, x.shape),
    _reduced("sum", ("real", "int")),
    (*zeros.vanishing("sum"), _nothing_to_do),
    numpy=_method("sum"),
    numpy_out=lambda node: f"np.sum({{x}}, {axis_text(node, True)}, out={{out}})",
    text=_over("sum"),
    latex=r"\sum {x}",
    precedence=4,
    result="total",
    call=True,
    cost=lambda node: node.args[0].shape,
    samples=Samples((REAL,), (*_CASES, *_EMPTY)),
)


# -------------------------------------------------------------------------- special
def _special(name: str, infer: Infer, vjp: Any, jvp: Any, **fields: Any) -> Op:
    fields.setdefault("cost", lambda node: node.args[0].shape)
    return REGISTRY.add(
        Op(
            name=name,
            args=("x",),
            family="special",
            infer=infer,
            vjp=vjp,
            jvp=jvp,
            text=_over(name),
            latex=rf"\operatorname{{{{{name}}}}}\left({{x}}\right)",
            **fields,
        )
    )


def _largest(out: Node, x: Node) -> tuple[Node, Node]:
    """Where the maximum is reached, and how often."""
    g = x.graph
    mask = g.apply("eq", x, g.broadcast(out, x.shape))
    axes = tuple(i for i, d in enumerate(x.shape) if d != out.shape[i])
    return mask, g.apply("sum", g.apply("cast", mask, kind="real"), axes=axes)


def _max_vjp(g: Node, out: Node, x: Node, axes: tuple[int, ...]) -> tuple[Node, ...]:
    mask, count = _largest(out, x)
    return (zeros.masked(mask, g.graph.broadcast(g / count, x.shape)),)


def _max_jvp(
    tangents: tuple[Node | None, ...], out: Node, x: Node, axes: tuple[int, ...]
) -> Node | None:
    (t,) = tangents
    if t is None:
        return None
    mask, count = _largest(out, x)
    return out.graph.apply("sum", zeros.masked(mask, t), axes=axes) / count


def _max_complex(node: Node, keep: bool = True) -> Text:
    """The mean of those whose real part is the largest: ties are shared evenly."""
    over = axis_text(node, True)
    mask = f"(np.real({{x}}) == np.real({{x}}).max({over}))"
    where = axis_text(node, keep)
    return f"np.where({mask}, {{x}}, 0).sum({where}) / {mask}.sum({where})"


_special(
    "max",
    _reduced("max", ("real", "int")),
    _max_vjp,
    _max_jvp,
    simplify=(_nothing_to_do,),
    numpy=_method("max"),
    numpy_complex=_max_complex,
    numpy_out=lambda node: f"np.max({{x}}, {axis_text(node, True)}, out={{out}})",
    result="largest",
    call=True,
    samples=Samples((REAL,), _CASES, distinct=True),
    note="A tie of k is shared evenly, 1/k each. An empty axis is an error.",
)


def _softmax_vjp(
    g: Node, out: Node, x: Node, axes: tuple[int, ...]
) -> tuple[Node | None, ...]:
    return (_centred(g, out, axes),)


def _softmax_jvp(
    tangents: tuple[Node | None, ...], out: Node, x: Node, axes: tuple[int, ...]
) -> Node | None:
    (t,) = tangents
    return None if t is None else _centred(t, out, axes)


def _centred(t: Node, p: Node, axes: tuple[int, ...]) -> Node:
    """p * t - p * sum(p * t): the Jacobian of softmax, which is symmetric."""
    scaled = t * p
    total = p.graph.apply("sum", scaled, axes=axes)
    return scaled - p * p.graph.broadcast(total, p.shape)


def _shift(node: Node) -> str:
    return f"np.exp({{x}} - {{x}}.max({axis_text(node, True)}))"


def _softmax_numpy(node: Node) -> Text:
    e = _shift(node)
    return f"{e} / {e}.sum({axis_text(node, True)})"


def _logsumexp_numpy(node: Node, keep: bool = True) -> Text:
    where = axis_text(node, keep)
    total = f"{_shift(node)}.sum({where})"
    return f"np.log({total}) + {{x}}.max({where})"


_special(
    "softmax",
    _reduced("softmax", ("real",), shaped=False),
    _softmax_vjp,
    _softmax_jvp,
    numpy=_softmax_numpy,
    result="p",
    weight=7,
    call=True,
    samples=Samples((Range(-800, 800),), (*_CASES, _EMPTY[1])),
    note="Expanded late, sharing its exponentials with logsumexp. All -infinity gives 0.",
)
_special(
    "logsumexp",
    _reduced("logsumexp", ("real",)),
    lambda g, out, x, axes: (
        g.graph.broadcast(g, x.shape) * g.graph.apply("softmax", x, axes=axes),
    ),
    lambda tangents, out, x, axes: (
        None
        if tangents[0] is None
        else out.graph.apply(
            "sum", tangents[0] * out.graph.apply("softmax", x, axes=axes), axes=axes
        )
    ),
    numpy=_logsumexp_numpy,
    result="lse",
    weight=7,
    call=True,
    samples=Samples((Range(-800, 800),), _CASES),
    note="Shifted by the maximum; -infinity, with gradient 0, where everything is.",
)


# ------------------------------------------------------------------------- discrete
def _discrete(name: str, infer: Infer, **fields: Any) -> Op:
    return REGISTRY.add(
        Op(
            name=name,
            args=("x",),
            family="discrete",
            infer=infer,
            latex=rf"\operatorname{{{{{name}}}}}\left({{x}}\right)",
            call=True,
            cost=lambda node: node.args[0].shape,
            **fields,
        )
    )


for _name in ("any", "all"):
    _discrete(
        _name,
        _reduced(_name, ("bool",)),
        simplify=(_nothing_to_do,),
        numpy=_method(_name),
        text=_over(_name),
        result="found" if _name == "any" else "every",
        samples=Samples((TRUTH,), _CASES),
    )


def _one_axis(shaped: bool) -> Infer:
    def infer(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
        (x,), axis = args, attrs["axis"]
        if not 0 <= axis < len(x.shape):
            raise InferError(f"axis {axis} of {len(x.shape)}")
        return (kept_shape(x.shape, (axis,)) if shaped else x.shape), "int"

    return infer


def _argmax_text(x: str) -> Any:
    def template(node: Node, keep: bool = True) -> Text:
        axis = node.attrs["axis"]
        if keep:
            return f"{x}.argmax(axis={axis}, keepdims=True)"
        return f"{x}.argmax(axis={axis})"

    return template


_AXIS_CASES = tuple(
    Case((shape,), {"axis": axis}) for shape in _SHAPES for axis in {0, len(shape) - 1}
)
_discrete(
    "argmax",
    _one_axis(True),
    numpy=_argmax_text("{x}"),
    numpy_complex=_argmax_text("np.real({x})"),
    text=lambda node: f"argmax({{x}}, axis = {node.attrs['axis']})",
    result="best",
    samples=Samples((REAL,), _AXIS_CASES, distinct=True),
    note="The first of equals. No gradient.",
)
_discrete(
    "argsort",
    _one_axis(False),
    numpy=lambda node: f"{{x}}.argsort(axis={node.attrs['axis']}, kind='stable')",
    numpy_complex=lambda node: (
        f"np.real({{x}}).argsort(axis={node.attrs['axis']}, kind='stable')"
    ),
    text=lambda node: f"argsort({{x}}, axis = {node.attrs['axis']})",
    result="order",
    samples=Samples((REAL,), _AXIS_CASES, distinct=True),
    note="Stable: equals stay in order. No gradient.",
)


# -------------------------------------------------------------------------- running
def _running(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
    (x,), axis = args, attrs["axis"]
    if not 0 <= axis < len(x.shape) or x.kind == "bool":
        raise InferError(f"cumsum: axis {axis} of {x}")
    return x.shape, x.kind


def _cumsum_text(node: Node) -> Text:
    axis = node.attrs["axis"]
    if not node.attrs["reverse"]:
        return f"{{x}}.cumsum(axis={axis})"
    flip = f"np.flip({{x}}, axis={axis})"
    return f"np.flip({flip}.cumsum(axis={axis}), axis={axis})"


linear(
    "cumsum",
    "x",
    lambda g, x, axis, reverse: g.graph.apply(
        "cumsum", g, axis=axis, reverse=not reverse
    ),
    _running,
    zeros.vanishing("cumsum"),
    numpy=_cumsum_text,
    text=lambda node: f"cumsum({{x}}, axis = {node.attrs['axis']})",
    latex=r"\operatorname{{cumsum}}\left({x}\right)",
    result="running",
    call=True,
    samples=Samples(
        (REAL,),
        tuple(
            Case(c.shapes, {**c.attrs, "reverse": reverse})
            for c in _AXIS_CASES
            for reverse in (False, True)
        ),
    ),
)
