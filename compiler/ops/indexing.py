"""Indexing by whole numbers: linear in what is indexed, no gradient for the index.

take and scatter_add, pick and put, take_along and put_along are adjoint pairs. Repeated
indices add up in the adjoints: `total[index] += g` would silently drop them.

    pick(z, label) = z[…, label]         put(label, g, 10): zeros with g at the labels
"""

from __future__ import annotations

from ..ir.dims import Shape, as_dim
from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Kind, Op
from . import zeros
from .classes import Hole, InferError, Text, linear
from .samples import REAL, Case, Samples, index

Args = tuple[Node, ...]

SCATTER_ADD = '''def scatter_add(g, index, axis, size):
    """Return zeros, with the slices of g added along axis where index says."""
    rows = g.reshape(g.shape[:axis] + (index.size,) + g.shape[axis + index.ndim :])
    rows, index = np.moveaxis(rows, axis, 0), index.reshape(-1)
    order = np.argsort(index, kind="stable")
    places = index[order]
    first = places != np.concatenate((places[:1] - 1, places[:-1]))
    starts = np.arange(index.size)[first]
    total = np.zeros((size,) + rows.shape[1:], g.dtype)
    total[places[first]] = np.add.reduceat(rows[order], starts, axis=0)
    return np.moveaxis(total, 0, axis)
'''

PUT_ALONG = '''def put_along(g, index, axis, size):
    """Return zeros, with the entries of g added along axis where index says."""
    g, index = np.moveaxis(g, axis, -1), np.moveaxis(index, axis, -1)
    total = np.zeros(g.shape[:-1] + (size,), g.dtype)
    rows = np.arange(g.size) // max(g.shape[-1], 1)
    np.add.at(total.reshape(-1), rows * size + index.reshape(-1), g.reshape(-1))
    return np.moveaxis(total, -1, axis)
'''


def _whole(name: str, node: Node) -> None:
    if node.kind != "int":
        raise InferError(f"{name}: an index of kind {node.kind}")


def _same_everywhere(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    """Of a scalar spread over a shape, every index takes that scalar."""
    x, i = args
    if x.op.name != "broadcast" or x.args[0].shape:
        return None
    if "axis" not in attrs:
        return graph.broadcast(x.args[0], i.shape)
    axis = attrs["axis"]
    return graph.broadcast(x.args[0], x.shape[:axis] + i.shape + x.shape[axis + 1 :])


# ------------------------------------------------------------- slices along an axis
def _take_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (x, i), axis = args, attrs["axis"]
    _whole("take", i)
    if not 0 <= axis < len(x.shape):
        raise InferError(f"take: axis {axis} of {len(x.shape)}")
    return x.shape[:axis] + i.shape + x.shape[axis + 1 :], x.kind


def _scatter_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (g, i), axis, size = args, attrs["axis"], as_dim(attrs["size"])
    _whole("scatter_add", i)
    last = axis + len(i.shape)
    if g.shape[axis:last] != i.shape:
        raise InferError(f"scatter_add: {g.shape} by {i.shape} at {axis}")
    return (*g.shape[:axis], size, *g.shape[last:]), g.kind


def _take_text(node: Node) -> Text:
    before = ":, " * node.attrs["axis"]
    return f"{{x}}[{before}{{index}}]"


def _scatter_text(node: Node) -> Text:
    holes: dict[str, Hole] = {"size": as_dim(node.attrs["size"])}
    if not node.args[0].shape:  # one number at one place; it may be a Python float
        return "(np.arange({size}) == {index}) * {g}", holes
    return f"scatter_add({{g}}, {{index}}, {node.attrs['axis']}, {{size}})", holes


def _scatter_update(node: Node) -> Text | None:
    """A statement on rows; along another axis the function is clearer."""
    return None if node.attrs["axis"] else "np.add.at({base}, {index}, {g})"


linear(
    "take",
    "x index",
    lambda g, x, i, axis: g.graph.apply(
        "scatter_add", g, i, axis=axis, size=x.shape[axis]
    ),
    _take_infer,
    (*zeros.vanishing("take"), _same_everywhere),
    numpy=_take_text,
    text="{x}[{index}]",
    latex=r"{x}_{{{index}}}",
    result="gathered",
    samples=Samples(
        (REAL, index(3)),
        (
            Case(((3,), (4,)), {"axis": 0}),
            Case(((3, 2), (2, 2)), {"axis": 0}),
            Case(((2, 3), (4,)), {"axis": 1}, (REAL, index(3))),
            Case(((2, 1, 3), (3,)), {"axis": 0}, (REAL, index(2))),
            Case(((3, 2), ()), {"axis": 0}),
            Case(((3, 2), (0,)), {"axis": 0}),
        ),
    ),
)
linear(
    "scatter_add",
    "g index",
    lambda g, x, i, axis, size: g.graph.apply("take", g, i, axis=axis),
    _scatter_infer,
    zeros.vanishing("scatter_add"),
    numpy=_scatter_text,
    update=_scatter_update,
    prelude=SCATTER_ADD,
    text="scatter({g}, {index})",
    latex=r"\operatorname{{scatter}}\left({g}, {index}\right)",
    result="table",
    call=True,
    samples=Samples(
        (REAL, index(3)),
        (
            Case(((4,), (4,)), {"axis": 0, "size": as_dim(3)}),
            Case(((2, 2, 3), (2, 2)), {"axis": 0, "size": as_dim(3)}),
            Case(((2, 4, 3), (4,)), {"axis": 1, "size": as_dim(3)}),
            Case(((2,), ()), {"axis": 0, "size": as_dim(3)}),
        ),
    ),
    note="Repeated indices add up.",
)


# -------------------------------------------------------- one entry of the last axis
def _pick_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    x, i = args
    _whole("pick", i)
    if x.shape[:-1] != i.shape or not x.shape:
        raise InferError(f"pick: {x.shape} by {i.shape}")
    return i.shape, x.kind


def _put_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    i, g = args
    _whole("put", i)
    if i.shape != g.shape:
        raise InferError(f"put: {g.shape} by {i.shape}")
    return (*g.shape, as_dim(attrs["size"])), g.kind


def places(i: Node) -> tuple[str, dict[str, Hole]]:
    """The index that picks one entry a row: ``np.arange(N), label``."""
    rank = len(i.shape)
    parts, holes = [], {}
    for k, d in enumerate(i.shape):
        after = ", None" * (rank - 1 - k)
        holes[f"n{k}"] = d
        row = f"np.arange({{n{k}}})"
        parts.append(f"{row}[:{after}]" if after else row)
    return ", ".join([*parts, "{index}"]), dict(holes)


def _pick_text(node: Node) -> Text:
    inside, holes = places(node.args[1])
    return f"{{x}}[{inside}]", holes


def _put_text(node: Node) -> Text:
    """As one expression: the value where the class is the index."""
    holes: dict[str, Hole] = {"size": node.shape[-1]}
    if not node.args[0].shape:
        return "np.where(np.arange({size}) == {index}, {g}, 0)", holes
    return (
        "np.where(np.arange({size}) == {index}[..., None], {g}[..., None], 0)",
        holes,
    )


def _put_update(node: Node) -> Text:
    inside, holes = places(node.args[0])
    return f"{{base}}[{inside}] += {{g}}", holes


linear(
    "pick",
    "x index",
    lambda g, x, i: g.graph.apply("put", i, g, size=x.shape[-1]),
    _pick_infer,
    (*zeros.vanishing("pick"), _same_everywhere),
    numpy=_pick_text,
    text="pick({x}, {index})",
    latex=r"{x}_{{{index}}}",
    result="picked",
    samples=Samples(
        (REAL, index(3)),
        (
            Case(((3,), ()), {}),
            Case(((2, 3), (2,)), {}),
            Case(((1, 3), (1,)), {}),
            Case(((2, 1, 3), (2, 1)), {}),
            Case(((0, 3), (0,)), {}),
        ),
    ),
)
linear(
    "put",
    "index g",
    lambda g, i, x, size: g.graph.apply("pick", g, i),
    _put_infer,
    zeros.vanishing("put", (1,)),
    slot=1,
    numpy=_put_text,
    update=_put_update,
    text="put({index}, {g})",
    latex=r"{g} \, e_{{{index}}}",
    result="placed",
    samples=Samples(
        (index(3), REAL),
        (
            Case(((), ()), {"size": as_dim(3)}),
            Case(((2,), (2,)), {"size": as_dim(3)}),
            Case(((2, 1), (2, 1)), {"size": as_dim(3)}),
            Case(((0,), (0,)), {"size": as_dim(3)}),
        ),
    ),
)


def _one_hot_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (i,) = args
    _whole("one_hot", i)
    return (*i.shape, as_dim(attrs["size"])), "real"


def _one_hot_text(node: Node) -> Text:
    return "np.eye({size}, dtype={dtype})[{index}]", {"size": node.shape[-1]}


REGISTRY.add(
    Op(
        name="one_hot",
        args=("index",),
        family="discrete",
        infer=_one_hot_infer,
        numpy=_one_hot_text,
        text="one_hot({index})",
        latex=r"e_{{{index}}}",
        result="target",
        call=True,
        samples=Samples(
            (index(3),),
            tuple(Case((s,), {"size": as_dim(3)}) for s in ((), (3,), (2, 1), (0,))),
        ),
        note="1 at the index, 0 elsewhere. No gradient.",
    )
)


# ------------------------------------------------------------------ entry by entry
def _along_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (x, i), axis = args, attrs["axis"]
    _whole("take_along", i)
    if len(x.shape) != len(i.shape) or any(
        p != q
        for k, (p, q) in enumerate(zip(x.shape, i.shape, strict=True))
        if k != axis
    ):
        raise InferError(f"take_along: {x.shape} by {i.shape} along {axis}")
    return i.shape, x.kind


def _put_along_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    (g, i), axis = args, attrs["axis"]
    _whole("put_along", i)
    if g.shape != i.shape:
        raise InferError(f"put_along: {g.shape} by {i.shape}")
    size = as_dim(attrs["size"])
    return tuple(size if k == axis else d for k, d in enumerate(g.shape)), g.kind


def _put_along_text(node: Node) -> Text:
    holes: dict[str, Hole] = {"size": as_dim(node.attrs["size"])}
    return f"put_along({{g}}, {{index}}, {node.attrs['axis']}, {{size}})", holes


linear(
    "take_along",
    "x index",
    lambda g, x, i, axis: g.graph.apply(
        "put_along", g, i, axis=axis, size=x.shape[axis]
    ),
    _along_infer,
    zeros.vanishing("take_along"),
    numpy=lambda node: (
        f"np.take_along_axis({{x}}, {{index}}, axis={node.attrs['axis']})"
    ),
    text="{x}[{index}]",
    latex=r"{x}_{{{index}}}",
    result="sorted_x",
    call=True,
    samples=Samples(
        (REAL, index(3)),
        (
            Case(((3,), (4,)), {"axis": 0}),
            Case(((2, 3), (2, 3)), {"axis": 1}),
            Case(((3, 2), (2, 2)), {"axis": 0}),
            Case(((2, 1, 3), (2, 1, 2)), {"axis": 2}),
        ),
    ),
)
linear(
    "put_along",
    "g index",
    lambda g, x, i, axis, size: g.graph.apply("take_along", g, i, axis=axis),
    _put_along_infer,
    zeros.vanishing("put_along"),
    numpy=_put_along_text,
    prelude=PUT_ALONG,
    text="scatter({g}, {index})",
    latex=r"\operatorname{{scatter}}\left({g}, {index}\right)",
    result="placed",
    call=True,
    samples=Samples(
        (REAL, index(3)),
        (
            Case(((4,), (4,)), {"axis": 0, "size": as_dim(3)}),
            Case(((2, 2), (2, 2)), {"axis": 1, "size": as_dim(3)}),
            Case(((2, 2), (2, 2)), {"axis": 0, "size": as_dim(3)}),
        ),
    ),
    note="Repeated indices add up.",
)
