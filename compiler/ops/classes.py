"""Elementwise and linear ops: both derivatives from one declaration.

An *elementwise* op declares how each argument's partial scales a tangent: as the Jacobian
is diagonal, the same line serves the cotangent (VJP) and the tangent (JVP). A *linear* op
declares its adjoint. The few *special* ops write both rules by hand.

Templates: Python text with a hole ``{name}`` per argument (``{xs0}``, ``{xs1}``, … for a
variadic op), ``{value}``-like holes for sizes, and ``{dtype}`` for the dtype of the
program's real numbers (that of any real array at hand). A template that depends on the
node is a function returning text, or ``(text, holes)`` where each further hole is a `Dim`
or a tuple of them (a shape). Functions of ops that can drop axes take ``keep=False``.

    >>> tanh = elementwise("tanh", "x", partials=(lambda t, out, x: t * (1 - out * out),))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir.dims import Dim, Shape
from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Infer, Kind, Op

Hole = Dim | tuple[Dim, ...]
Text = str | tuple[str, dict[str, Hole]]
Partial = Callable[..., "Node | None"]


class InferError(ValueError):
    """Arguments that an op does not take: lowering should have refused the program."""


def same_shape(name: str, args: tuple[Node, ...]) -> Shape:
    shape = args[0].shape
    for a in args[1:]:
        if a.shape != shape:
            raise InferError(f"{name}: shapes {[n.shape for n in args]} differ")
    return shape


def numeric(name: str) -> Infer:
    """Equal shapes; int op int is int, real op real is real."""

    def infer(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
        if len(args) == 2:  # most are
            a, b = args
            if a.kind == b.kind != "bool" and a.shape == b.shape:
                return a.shape, a.kind
        kinds = {a.kind for a in args}
        if len(kinds) != 1 or "bool" in kinds:
            raise InferError(f"{name}: kinds {[a.kind for a in args]}")
        return same_shape(name, args), args[0].kind

    return infer


def real(name: str) -> Infer:
    """Equal shapes, real arguments, a real result."""

    def infer(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
        for a in args:
            if a.kind != "real":
                raise InferError(f"{name}: kinds {[a.kind for a in args]}")
        return same_shape(name, args), "real"

    return infer


def comparison(name: str) -> Infer:
    """Equal shapes and kinds; the result is a truth value."""

    def infer(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
        if len({a.kind for a in args}) != 1:
            raise InferError(f"{name}: kinds {[a.kind for a in args]}")
        return same_shape(name, args), "bool"

    return infer


def logic(name: str) -> Infer:
    """Truth values in, a truth value out."""

    def infer(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
        if any(a.kind != "bool" for a in args):
            raise InferError(f"{name}: kinds {[a.kind for a in args]}")
        return same_shape(name, args), "bool"

    return infer


def lifted(name: str) -> Callable[[Graph, tuple[Node, ...], Attrs], Node | None]:
    """op(broadcast(s), broadcast(t)) of scalars s, t is broadcast(op(s, t))."""

    def lift(graph: Graph, args: tuple[Node, ...], attrs: Attrs) -> Node | None:
        shape = args[0].shape
        if not shape:
            return None
        for a in args:
            if a.op.name != "broadcast" or a.args[0].shape or a.shape != shape:
                return None
        scalars = tuple(a.args[0] for a in args)
        return graph.broadcast(graph.apply(name, *scalars, **attrs), shape)

    return lift


def elementwise(
    name: str,
    args: str,
    partials: tuple[Partial | None, ...] = (),
    infer: Infer | None = None,
    simplify: tuple[Any, ...] = (),
    **fields: Any,
) -> Op:
    """Declare an op whose Jacobian is diagonal.

    `partials` has a function ``(t, out, *args, **attrs)`` per argument: the partial
    derivative times `t`; None where there is no dependence. No partials at all: the op is
    piecewise constant.
    """
    names = tuple(args.split())

    def vjp(g: Node, out: Node, *xs: Node, **attrs: Any) -> tuple[Node | None, ...]:
        return tuple([p(g, out, *xs, **attrs) if p else None for p in partials])

    def jvp(
        tangents: tuple[Node | None, ...], out: Node, *xs: Node, **attrs: Any
    ) -> Node | None:
        total: Node | None = None
        for p, t in zip(partials, tangents, strict=True):
            if p is not None and t is not None:
                part = p(t, out, *xs, **attrs)
                if part is not None:
                    total = part if total is None else total + part
        return total

    return REGISTRY.add(
        Op(
            name=name,
            args=names,
            family="elementwise",
            infer=infer or real(name),
            vjp=vjp if partials else None,
            jvp=jvp if partials else None,
            simplify=(lifted(name), *simplify),
            **fields,
        )
    )


def linear(
    name: str,
    args: str,
    adjoint: Callable[..., Node],
    infer: Infer,
    simplify: tuple[Any, ...] = (),
    slot: int = 0,
    **fields: Any,
) -> Op:
    """Declare an op that is linear in one argument, by its adjoint.

    ``adjoint(g, *args, **attrs)`` is the cotangent of the argument in `slot`; the tangent
    is the op itself, applied to the argument's tangent.
    """
    names = tuple(args.split())

    def vjp(g: Node, out: Node, *xs: Node, **attrs: Any) -> tuple[Node | None, ...]:
        back = adjoint(g, *xs, **attrs)
        return tuple(back if i == slot else None for i in range(len(xs)))

    def jvp(
        tangents: tuple[Node | None, ...], out: Node, *xs: Node, **attrs: Any
    ) -> Node | None:
        t = tangents[slot]
        if t is None:
            return None
        moved = tuple(t if i == slot else x for i, x in enumerate(xs))
        return out.graph.apply(name, *moved, **attrs)

    return REGISTRY.add(
        Op(
            name=name,
            args=names,
            family="linear",
            infer=infer,
            vjp=vjp,
            jvp=jvp,
            simplify=simplify,
            **fields,
        )
    )
