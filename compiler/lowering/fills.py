"""How a parameter gets its first value: `he()`, `normal(0, 0.02)`, a number, an expression.

A fill becomes a node over constants, sizes and `noise` leaves: the standard draw (normal, or
uniform on [0, 1)) of the parameter's shape, under its path, with scale and shift around
it. `init` is emitted from these nodes.

    he() for W: [d, n]      sqrt(2 / d) * noise("W", normal)
"""

from __future__ import annotations

from ..errors import axes as axes_prose
from ..errors import program as prose
from ..ir.dims import Dim, Shape, plain
from ..ir.dims import size as elements
from ..ir.graph import ancestors
from ..ir.node import Node
from ..source import Span
from .arguments import tensor_of
from .context import Lowering
from .operators import as_kind, filled
from .values import Fill, Items, Mistake, Thing, Unknown, Value, what

FORBIDDEN = ("input", "param", "state", "seed")


def fill(
    lo: Lowering, thing: Thing, path: str, shape: Shape, span: Span
) -> Node | Unknown:
    """The node of a parameter's first value, of just this shape."""
    match thing:
        case Unknown():
            return thing
        case Value():
            return _expression(lo, thing, path, shape, span)
        case Items():
            return _expression(lo, tensor_of(lo, thing, span), path, shape, span)
        case Fill():
            return _draw(lo, thing, path, shape)
        case _:
            raise Mistake(prose.fill_is_no_value(span, path, what(thing)))


def _expression(
    lo: Lowering, value: Value, path: str, shape: Shape, span: Span
) -> Node:
    if value.kind == "bool":
        raise Mistake(prose.fill_kind(span, path, value.text()))
    if value.shape and value.shape != shape:
        raise Mistake(prose.fill_shape(span, path, shape, value.shape))
    for node in ancestors([value.node]):
        if node.is_a(*FORBIDDEN):
            raise Mistake(prose.fill_from_data(span, path, str(node.attrs["name"])))
    node = as_kind(lo, value, "real")
    return filled(lo, Value(node, value.shape), shape).node


def _draw(lo: Lowering, fill: Fill, path: str, shape: Shape) -> Node:
    g = lo.graph

    def noise(law: str) -> Node:
        return g.apply("noise", name=path, shape=plain(shape), kind="real", law=law)

    args = [as_kind(lo, a, "real") for a in fill.args]
    for a in fill.args:
        if a.shape:
            raise Mistake(prose.fill_argument(fill.span, fill.law, a.text()))
    match fill.law:
        case "normal":
            return _shifted(lo, noise("normal"), fill.args[1], fill.args[0])
        case "uniform":
            low, high = args
            width = g.apply("sub", high, low)
            drawn = g.apply("mul", noise("uniform"), width)
            return drawn if _is_zero(fill.args[0]) else g.apply("add", drawn, low)
        case "he":
            fan_in, _ = fans(shape)
            scale = g.apply("sqrt", g.apply("div", g.const(2), g.size(fan_in)))
            return g.apply("mul", noise("normal"), scale)
        case "glorot":
            fan_in, fan_out = fans(shape)
            ratio = g.apply("div", g.const(6), g.size(fan_in + fan_out))
            limit = g.hint(g.apply("sqrt", ratio), "limit")
            centred = g.apply(
                "sub", g.apply("mul", noise("uniform"), g.const(2)), g.const(1)
            )
            return g.apply("mul", centred, limit)
        case "orthogonal":
            if len(shape) != 2 or (
                shape[0] != shape[1] and None in (shape[0].integer, shape[1].integer)
            ):
                raise Mistake(prose.fill_orthogonal(fill.span, path, shape))
            return noise("orthogonal")
        case "bernoulli":
            hit = g.apply("lt", noise("uniform"), args[0])
            return g.apply("cast", hit, kind="real")
        case _:
            raise Mistake(axes_prose.fill_draws_int(fill.span, fill.law))


def _shifted(lo: Lowering, node: Node, scale: Value, shift: Value) -> Node:
    """scale * node + shift, without what does nothing."""
    if scale.number != 1:
        node = lo.graph.apply("mul", node, as_kind(lo, scale, "real"))
    if not _is_zero(shift):
        node = lo.graph.apply("add", node, as_kind(lo, shift, "real"))
    return node


def _is_zero(value: Value) -> bool:
    return value.number is not None and value.number == 0


def fans(shape: Shape) -> tuple[Dim, Dim]:
    """Fan-in: all axes but the last; fan-out: all but the last but one.

    A vector counts as one column, a scalar as a matrix of one entry.
    """
    if len(shape) == 1:
        return shape[0], Dim.of(1)
    return elements(shape[:-1]), elements((*shape[:-2], *shape[-1:]))
