"""Layout ops: what gives all of a value another shape. All linear, in adjoint pairs.

broadcast and sum, reshape and reshape, transpose and its inverse. What takes a part of a
value, or puts parts together, is in `slices.py`.

    >>> transpose = linear("transpose", "x", lambda g, x, perm: ..., infer)
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.dims import ONE, Shape, as_shape
from ..ir.dims import size as count
from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import Attrs, Kind
from . import zeros
from .classes import Hole, InferError, Text, linear
from .samples import REAL, Case, Samples

Args = tuple[Node, ...]


# ------------------------------------------------------------------------ broadcast
def _broadcast_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (x,), shape = args, as_shape(attrs["shape"])
    tail = shape[len(shape) - len(x.shape) :]
    if len(x.shape) > len(shape) or any(
        p not in (q, ONE) for p, q in zip(x.shape, tail, strict=True)
    ):
        raise InferError(f"broadcast: {x.shape} to {shape}")
    return shape, x.kind


def unbroadcast(g: Node, shape: Shape) -> Node:
    """Sum `g` over what a broadcast from `shape` filled: the only un-broadcast there is."""
    lead = len(g.shape) - len(shape)
    axes = tuple(
        i
        for i, d in enumerate(g.shape)
        if i < lead or (shape[i - lead] == ONE and d != ONE)
    )
    total = g.graph.apply("sum", g, axes=axes) if axes else g
    return (
        total if total.shape == shape else g.graph.apply("reshape", total, shape=shape)
    )


def _broadcast_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    (x,), shape = args, as_shape(attrs["shape"])
    if x.shape == shape:
        return x
    if x.op.name == "broadcast":
        return graph.apply("broadcast", x.args[0], shape=shape)
    return None


linear(
    "broadcast",
    "x",
    lambda g, x, shape: unbroadcast(g, x.shape),
    _broadcast_infer,
    (*zeros.moved("broadcast"), _broadcast_rule),
    numpy=lambda node: ("np.broadcast_to({x}, {shape})", {"shape": node.shape}),
    text="{x}",
    latex="{x}",
    result="x",
    weight=0,
    view=True,
    samples=Samples(
        (REAL,),
        (
            Case(((),), {"shape": as_shape((2, 3))}),
            Case(((1,),), {"shape": as_shape((3,))}),
            Case(((3,),), {"shape": as_shape((2, 3))}),
            Case(((1, 3),), {"shape": as_shape((2, 3))}),
            Case(((2, 1, 3),), {"shape": as_shape((2, 4, 3))}),
            Case(((2, 1),), {"shape": as_shape((4, 2, 3))}),
            Case(((1, 3),), {"shape": as_shape((0, 3))}),
        ),
    ),
)


# -------------------------------------------------------------- reshape and transpose
def _reshape_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (x,), shape = args, as_shape(attrs["shape"])
    if count(x.shape) != count(shape):
        raise InferError(f"reshape: {x.shape} to {shape}")
    return shape, x.kind


def _reshape_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    (x,), shape = args, as_shape(attrs["shape"])
    if x.shape == shape:
        return x
    if x.op.name == "reshape":
        return graph.apply("reshape", x.args[0], shape=shape)
    if x.op.name == "broadcast" and x.args[0].shape == ():
        return graph.broadcast(x.args[0], shape)
    if x.shape == ():
        return graph.broadcast(x, shape)
    return None


def _reshape_text(node: Node) -> Text:
    """A scalar out of axes of size 1 is an index; the rest is what it is."""
    x = node.args[0]
    if not node.shape:
        return f"{{x}}[{', '.join('0' for _ in x.shape)}]"
    inserted = _inserted(x.shape, node.shape)
    if inserted is not None:
        return f"{{x}}[{inserted}]"
    dropped = _inserted(node.shape, x.shape)
    if dropped is not None:
        return f"{{x}}[{dropped.replace('None', '0')}]"
    if node.shape[1:] and all(d.integer is not None for d in node.shape[1:]):
        rest = ", ".join(str(d.integer) for d in node.shape[1:])
        if node.shape[0].integer is None and x.shape[0].integer is None:
            return "{x}.reshape({n}, " + rest + ")", {"n": node.shape[0]}
    holes: dict[str, Hole] = {f"n{i}": d for i, d in enumerate(node.shape)}
    sizes = ", ".join(f"{{n{i}}}" for i in range(len(node.shape)))
    return f"{{x}}.reshape({sizes})", holes


def _inserted(small: Shape, large: Shape) -> str | None:
    """The index that puts axes of size 1 into `small`: ``:, None``."""
    if not small or len(large) <= len(small):
        return None
    parts, i = [], 0
    for j, d in enumerate(large):
        rest = len(large) - j
        if i < len(small) and small[i] == d and (d != ONE or rest == len(small) - i):
            parts.append(":")
            i += 1
        elif d == ONE:
            parts.append("None")
        else:
            return None
    if i != len(small):
        return None
    while parts and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


linear(
    "reshape",
    "x",
    lambda g, x, shape: g.graph.apply("reshape", g, shape=x.shape),
    _reshape_infer,
    (*zeros.moved("reshape"), _reshape_rule),
    numpy=_reshape_text,
    text="{x}",
    latex="{x}",
    result="x",
    weight=0,
    view=True,
    samples=Samples(
        (REAL,),
        (
            Case(((),), {"shape": as_shape((1, 1))}),
            Case(((1,),), {"shape": ()}),
            Case(((3,),), {"shape": as_shape((3, 1))}),
            Case(((2, 3),), {"shape": as_shape((6,))}),
            Case(((2, 1, 3),), {"shape": as_shape((2, 3))}),
            Case(((2, 1, 3),), {"shape": as_shape((3, 2))}),
            Case(((0, 3),), {"shape": as_shape((3, 0))}),
        ),
    ),
)


def _transpose_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (x,), perm = args, attrs["perm"]
    if sorted(perm) != list(range(len(x.shape))):
        raise InferError(f"transpose: {perm} of {len(x.shape)} axes")
    return tuple(x.shape[p] for p in perm), x.kind


def inverse(perm: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `perm`."""
    return tuple(sorted(range(len(perm)), key=lambda i: perm[i]))


def _transpose_rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    (x,), perm = args, attrs["perm"]
    if perm == tuple(range(len(perm))):
        return x
    if x.op.name == "transpose":
        inner = x.attrs["perm"]
        return graph.apply("transpose", x.args[0], perm=tuple(inner[p] for p in perm))
    if x.op.name == "broadcast" and x.args[0].shape == ():
        return graph.broadcast(x.args[0], tuple(x.shape[p] for p in perm))
    return None


def _transpose_text(node: Node) -> Text:
    perm = node.attrs["perm"]
    rank = len(perm)
    if perm == tuple(reversed(range(rank))):
        return "{x}.T"
    moved = [i for i in range(rank) if perm[i] != i]
    if len(moved) == 2:
        if moved == [rank - 2, rank - 1]:
            return "{x}.swapaxes(-1, -2)"
        return f"{{x}}.swapaxes({moved[0]}, {moved[1]})"
    return f"{{x}}.transpose({', '.join(map(str, perm))})"


linear(
    "transpose",
    "x",
    lambda g, x, perm: g.graph.apply("transpose", g, perm=inverse(perm)),
    _transpose_infer,
    (*zeros.moved("transpose"), _transpose_rule),
    numpy=_transpose_text,
    text="{x}'",
    latex=r"{x}^{{\top}}",
    precedence=3,
    result="turned",
    weight=0,
    view=True,
    samples=Samples(
        (REAL,),
        (
            Case(((2, 3),), {"perm": (1, 0)}),
            Case(((1, 3),), {"perm": (1, 0)}),
            Case(((2, 1, 3),), {"perm": (2, 0, 1)}),
            Case(((2, 4, 3),), {"perm": (0, 2, 1)}),
            Case(((0, 3),), {"perm": (1, 0)}),
        ),
    ),
)
