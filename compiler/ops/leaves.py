"""Leaves: inputs, parameters, numbers, sizes, the structural zero, iota.

They have no arguments. How a leaf is written is a matter of names, so most have no
template: the emitter knows what a parameter is called.
"""

from __future__ import annotations

import math
from typing import Any

from ..ir.dims import ONE, Shape, as_shape
from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Kind, Op
from .classes import Text


def _declared(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
    return as_shape(attrs["shape"]), attrs["kind"]


def _scalar(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
    return (), attrs["kind"]


def _leaf(name: str, infer: Any, **fields: Any) -> Op:
    return REGISTRY.add(
        Op(name=name, args=(), family="leaf", infer=infer, weight=0, **fields)
    )


def number_text(value: int | float | bool) -> str:
    """A number as Python writes it, with NumPy's names for the two that it cannot."""
    if isinstance(value, float):
        if math.isnan(value):
            return "np.nan"
        if math.isinf(value):
            return "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def _const(node: Node) -> Text:
    return number_text(node.attrs["value"])


def _zero(node: Node) -> Text:
    if not node.shape:
        return "0.0"
    return "np.zeros({shape}, {dtype})", {"shape": node.shape}


def _one_axis(graph: Graph, args: tuple[Node, ...], attrs: Attrs) -> Node | None:
    """Only the plain row of whole numbers is a node: the rest is broadcast and cast."""
    shape, axis = as_shape(attrs["shape"]), attrs["axis"]
    if attrs.get("kind", "int") != "int":
        whole = graph.apply("iota", shape=shape, axis=axis, kind="int")
        return graph.apply("cast", whole, kind=attrs["kind"])
    if len(shape) == 1 and "kind" in attrs:
        return None
    row = graph.apply("iota", shape=(shape[axis],), axis=0, kind="int")
    column = tuple(d if i == axis else ONE for i, d in enumerate(shape))
    return graph.broadcast(graph.apply("reshape", row, shape=column), shape)


def _iota(node: Node) -> Text:
    return "np.arange({n})", {"n": node.shape[0]}


def _size(node: Node) -> Text:
    return "{dim}", {"dim": node.attrs["dim"]}


_leaf("input", _declared)
_leaf("param", _declared)
_leaf("state", _declared)
_leaf("noise", _declared)
_leaf("seed", _declared)
_leaf("const", _scalar, numpy=_const)
_leaf("size", _scalar, numpy=_size)
_leaf(
    "zero",
    _declared,
    numpy=_zero,
    text="0",
    latex="0",
    result="zero",
    note="No gradient, not the number 0: it stays zero times NaN and infinity.",
)
_leaf("iota", _declared, numpy=_iota, result="places", simplify=(_one_axis,))
