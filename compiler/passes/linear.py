"""Linear ops: what goes through a sum, a product of matrices, a reshape or a slice.

Signs and scalar factors come out where the result is no larger than the argument. Sums
merge with sums, with broadcasts and with products; a transpose becomes a part of the
product that reads it; the pieces of one tensor that its slices gave back go into one
buffer, in time linear in their number.
"""

from __future__ import annotations

from ..ir.dims import ONE, Dim, Shape, size
from ..ir.node import Node
from .expand import admits_minus_infinity
from .monomials import scaled, split
from .patterns import Rewriter, Rule, is_number, negated, rule, scalar_under

UNARY = ("sum", "reshape", "transpose", "slice", "cumsum", "pick", "take")
"""Linear in the first argument, the result no larger: signs and scalars come out."""

WIDENING = ("unslice", "scatter_add")
"""Linear, the result larger: signs come out, scalars stay inside."""


@rule(*UNARY, *WIDENING, safety="=")
def sign_comes_out(rw: Rewriter, n: Node) -> Node | None:
    """`sum(-x)` -> `-sum(x)`."""
    if n.args[0].is_a("broadcast"):
        return None
    x = negated(rw, n.args[0])
    if x is None or n.kind != "real":
        return None
    return rw.make("neg", rw.make(n.op.name, x, *n.args[1:], **n.attrs))


@rule(*UNARY, safety="~")
def scalar_comes_out(rw: Rewriter, n: Node) -> Node | None:
    """`sum(x * s)` -> `sum(x) * s`: the factor of the smallest tensor."""
    if n.is_a("take") or n.kind != "real":
        return None
    parts = split(rw, n.args[0])
    if parts is None:
        return None
    core, s = parts
    return scaled(rw, rw.make(n.op.name, core, *n.args[1:], **n.attrs), s)


# --------------------------------------------------------------------------- sums
@rule("sum", safety="~")
def sum_of_sum(rw: Rewriter, n: Node) -> Node | None:
    """`sum(sum(x))` -> one sum."""
    x = n.args[0]
    if not (x.is_a("sum") and rw.free(x)):
        return None
    axes = tuple(sorted({*n.attrs["axes"], *x.attrs["axes"]}))
    return rw.make("sum", x.args[0], axes=axes)


@rule("sum", safety="~")
def sum_of_broadcast(rw: Rewriter, n: Node) -> Node | None:
    """`sum` over axes that a broadcast filled -> a product with their size."""
    x = n.args[0]
    if not (x.is_a("broadcast") and rw.unbound(x)):
        return None
    small = x.args[0]
    filled = filled_axes(x)
    over = [a for a in n.attrs["axes"] if a in filled]
    if not over:
        return None
    count = size([x.shape[a] for a in over])
    shape = list(x.shape)
    for a in over:
        shape[a] = ONE
    out = rw.broadcast(small, tuple(shape))
    rest = tuple(a for a in n.attrs["axes"] if a not in over)
    if rest:
        out = rw.make("sum", out, axes=rest)
    if count == ONE:
        return out
    factor = rw.graph.broadcast(rw.graph.size(count), out.shape)
    return rw.make("mul", out, factor)


def filled_axes(x: Node) -> set[int]:
    """The axes of a broadcast that repeat its argument."""
    small, lead = x.args[0].shape, len(x.shape) - len(x.args[0].shape)
    filled = set(range(lead))
    filled |= {lead + i for i, d in enumerate(small) if d != x.shape[lead + i]}
    return filled


@rule("sum", safety="~")
def sum_of_reshape(rw: Rewriter, n: Node) -> Node | None:
    """A sum through a reshape that only adds or drops axes of size 1, or over all."""
    x = n.args[0]
    if not (x.is_a("reshape") and rw.unbound(x)):
        return None
    source = x.args[0]
    if len(n.attrs["axes"]) == len(x.shape):
        everything = tuple(range(len(source.shape)))
        return rw.make(
            "reshape", rw.make("sum", source, axes=everything), shape=n.shape
        )
    at = _axis_map(x.shape, source.shape)
    if at is None:
        return None
    axes = tuple(sorted({at[a] for a in n.attrs["axes"] if a in at}))
    if not axes:
        return x if n.shape == x.shape else None
    return rw.make("reshape", rw.make("sum", source, axes=axes), shape=n.shape)


def _axis_map(shape: Shape, source: Shape) -> dict[int, int] | None:
    """Which axis of `source` each axis of size other than 1 of `shape` is."""
    here = [i for i, d in enumerate(shape) if d != ONE]
    there = [i for i, d in enumerate(source) if d != ONE]
    if [shape[i] for i in here] != [source[i] for i in there]:
        return None
    return dict(zip(here, there, strict=True))


@rule("sum", safety="~")
def sum_of_transpose(rw: Rewriter, n: Node) -> Node | None:
    """A sum over a transpose is a sum over the tensor itself."""
    x = n.args[0]
    if not (x.is_a("transpose") and rw.unbound(x)):
        return None
    perm = x.attrs["perm"]
    axes = tuple(sorted(perm[a] for a in n.attrs["axes"]))
    out = rw.make("sum", x.args[0], axes=axes)
    # The order of what is left decides: equal sizes say nothing of it.
    left = [perm[a] for a, d in enumerate(n.shape) if d != ONE]
    if left == sorted(left):
        return out if out.shape == n.shape else rw.make("reshape", out, shape=n.shape)
    return rw.make("transpose", out, perm=perm)


@rule("sum", safety="=")
def sum_of_placed(rw: Rewriter, n: Node) -> Node | None:
    """The sum over the axis on which a `put` placed g is g; of a one-hot, 1."""
    x = n.args[0]
    if n.attrs["axes"] != (len(x.shape) - 1,):
        return None
    if x.is_a("put") and rw.free(x):
        return rw.make("reshape", x.args[1], shape=n.shape)
    if x.is_a("one_hot") and rw.unbound(x):
        return rw.broadcast(rw.const(1), n.shape)
    return None


@rule("sum", safety="~")
def sum_of_product(rw: Rewriter, n: Node) -> Node | None:
    """`sum(a * b)` over what both share -> a product of matrices, `a @ b`.

    Only where no axis is left that both have: else it would be a batch of dot products,
    which reads better as a sum.
    """
    x = n.args[0]
    if not (x.is_a("mul") and rw.free(x)) or x.kind != "real":
        return None
    a, b = x.args
    if scalar_under(rw, a) is not None or scalar_under(rw, b) is not None:
        return None
    over = set(n.attrs["axes"])
    (a, in_a), (b, in_b) = _narrow(rw, a), _narrow(rw, b)
    every = set(range(len(x.shape)))
    if in_a is None or in_b is None or not over <= in_a & in_b:
        return None
    if in_a & in_b != over or in_a | in_b != every or len(over) != 1:
        return None
    if len(x.shape) == 1:
        return None
    spec = "{},{}->{}".format(
        *("".join(_letter(i) for i in sorted(axes)) for axes in (in_a, in_b)),
        "".join(_letter(i) for i in sorted(every - over)),
    )
    return rw.make("reshape", rw.make("einsum2", a, b, spec=spec), shape=n.shape)


def _letter(axis: int) -> str:
    return chr(ord("a") + axis)


def _narrow(rw: Rewriter, n: Node) -> tuple[Node, set[int] | None]:
    """The tensor under a broadcast, and on which axes of `n` it stands."""
    rank = len(n.shape)
    if not (n.is_a("broadcast") and rw.unbound(n)):
        return n, set(range(rank))
    small = n.args[0]
    axes = set(range(rank)) - filled_axes(n)
    kept = tuple(n.shape[i] for i in sorted(axes))
    if not kept:
        return n, None
    return (
        small if small.shape == kept else rw.make("reshape", small, shape=kept)
    ), axes


# --------------------------------------------------------------------------- products
def parse_spec(spec: str) -> tuple[str, str, str]:
    """`"ij,jk->ik"` -> `("ij", "jk", "ik")`."""
    left, out = spec.split("->")
    a, b = left.split(",")
    return a, b, out


@rule("einsum2", safety="=")
def transpose_into_product(rw: Rewriter, n: Node) -> Node | None:
    """A transposed operand is another order of letters."""
    specs = list(parse_spec(n.attrs["spec"]))
    args = list(n.args)
    changed = False
    for i in (0, 1):
        x = args[i]
        if x.is_a("transpose") and rw.unbound(x):
            letters = [""] * len(x.shape)
            for position, axis in enumerate(x.attrs["perm"]):
                letters[axis] = specs[i][position]
            specs[i], args[i], changed = "".join(letters), x.args[0], True
    return _einsum(rw, args, specs) if changed else None


@rule("transpose", safety="=")
def transpose_of_product(rw: Rewriter, n: Node) -> Node | None:
    """The transpose of a product is the product in another order of letters."""
    x = n.args[0]
    if not (x.is_a("einsum2") and rw.free(x)):
        return None
    a, b, out = parse_spec(x.attrs["spec"])
    turned = "".join(out[axis] for axis in n.attrs["perm"])
    if len(out) == 2 and len(a) == 2 and len(b) == 2:
        return _einsum(rw, [x.args[1], x.args[0]], [b, a, turned])
    return _einsum(rw, list(x.args), [a, b, turned])


def _einsum(rw: Rewriter, args: list[Node], specs: list[str]) -> Node:
    return rw.make("einsum2", *args, spec=f"{specs[0]},{specs[1]}->{specs[2]}")


@rule("einsum2", safety="=")
def sign_out_of_product(rw: Rewriter, n: Node) -> Node | None:
    """`(-a) @ b` -> `-(a @ b)`."""
    a, b = n.args
    for i, x in enumerate((a, b)):
        if x.is_a("broadcast"):
            continue
        positive = negated(rw, x)
        if positive is not None:
            args = (positive, b) if i == 0 else (a, positive)
            return rw.make("neg", rw.make("einsum2", *args, **n.attrs))
    return None


@rule("einsum2", safety="~")
def scalar_out_of_product(rw: Rewriter, n: Node) -> Node | None:
    """`(a * s) @ b` -> `(a @ b) * s`, where the result is no larger than `a`."""
    a, b = n.args
    for i, x in enumerate((a, b)):
        parts = split(rw, x)
        if parts is None or not no_larger(n.shape, x.shape):
            continue
        core, s = parts
        args = (core, b) if i == 0 else (a, core)
        return scaled(rw, rw.make("einsum2", *args, **n.attrs), s)
    return None


def no_larger(small: Shape, large: Shape) -> bool:
    """Is it certain that `small` has at most as many elements as `large`?"""
    ratio = size(large).divided(size(small))
    if ratio is None:
        return False
    number = ratio.integer
    return number >= 1 if number is not None else ratio.whole


@rule("einsum2", safety="~")
def broadcast_into_product(rw: Rewriter, n: Node) -> Node | None:
    """An operand that repeats itself: sum the other one first, product of less."""
    specs = list(parse_spec(n.attrs["spec"]))
    for i in (0, 1):
        x = n.args[i]
        if not (x.is_a("broadcast") and rw.unbound(x)):
            continue
        filled = filled_axes(x)
        letters, other = specs[i], specs[1 - i]
        gone = [letters[axis] for axis in sorted(filled)]
        small = x.args[0]
        kept = [axis for axis in range(len(x.shape)) if axis not in filled]
        left = "".join(letters[axis] for axis in kept)
        narrow = tuple(x.shape[axis] for axis in kept)
        if small.shape != narrow:
            small = rw.make("reshape", small, shape=narrow)
        summed = [c for c in gone if c in other and c not in specs[2]]
        y = n.args[1 - i]
        rest = other
        if summed:
            axes = tuple(sorted(other.index(c) for c in summed))
            rest = "".join(c for c in other if c not in summed)
            y = rw.make("sum", y, axes=axes)
            shape = tuple(
                d for axis, d in enumerate(n.args[1 - i].shape) if axis not in axes
            )
            y = rw.make("reshape", y, shape=shape)
        out = "".join(c for c in specs[2] if c in left or c in rest)
        parts = [(small, left), (y, rest)]
        if i == 1:
            parts.reverse()
        if not left or not rest:
            core = _times_scalar(rw, parts, out, n)
        else:
            core = _einsum(
                rw,
                [parts[0][0], parts[1][0]],
                [parts[0][1], parts[1][1], out],
            )
        if core is None:
            continue
        return _filled(rw, core, out, specs[2], n.shape)
    return None


def _times_scalar(
    rw: Rewriter, parts: list[tuple[Node, str]], out: str, n: Node
) -> Node | None:
    """The product where one operand has become a scalar."""
    (a, left), (b, right) = parts
    tensor, letters, s = (b, right, a) if not left else (a, left, b)
    if sorted(letters) != sorted(out):
        return None
    if letters != out:
        perm = tuple(letters.index(c) for c in out)
        tensor = rw.make("transpose", tensor, perm=perm)
    if is_number(rw, s, 1):
        return tensor
    return rw.make("mul", tensor, rw.graph.broadcast(s, tensor.shape))


def _filled(rw: Rewriter, core: Node, have: str, want: str, shape: Shape) -> Node:
    """Put back the letters of the result that no operand has any more."""
    if have == want:
        return core
    with_ones = tuple(d if c in have else ONE for c, d in zip(want, shape, strict=True))
    if core.shape != with_ones:
        core = rw.make("reshape", core, shape=with_ones)
    return rw.broadcast(core, shape)


@rule("sum", safety="~")
def sum_into_product(rw: Rewriter, n: Node) -> Node | None:
    """A sum over an axis that both operands have is one more contracted letter."""
    x = n.args[0]
    if not (x.is_a("einsum2") and rw.free(x)):
        return None
    a, b, out = parse_spec(x.attrs["spec"])
    over = [out[axis] for axis in n.attrs["axes"]]
    if not all(c in a and c in b for c in over):
        return None
    rest = "".join(c for c in out if c not in over)
    product = _einsum(rw, list(x.args), [a, b, rest])
    return rw.make("reshape", product, shape=n.shape)


# --------------------------------------------------------------------------- layout
@rule("softmax", "logsumexp", safety="~")
def softmax_of_broadcast(rw: Rewriter, n: Node) -> Node | None:
    """Of what repeats itself: along the axes it is 1/n, across them it is done once."""
    x, axes = n.args[0], n.attrs["axes"]
    if not (x.is_a("broadcast") and rw.unbound(x)):
        return None
    small, filled = x.args[0], filled_axes(x)
    if not filled & set(axes):
        lead = len(x.shape) - len(small.shape)
        inner = tuple(a - lead for a in axes)
        return rw.broadcast(rw.make(n.op.name, small, axes=inner), n.shape)
    if not set(axes) <= filled or admits_minus_infinity(small):
        return None
    count = rw.graph.size(size([x.shape[a] for a in axes]))
    if n.is_a("softmax"):
        return rw.broadcast(rw.make("div", 1, count), n.shape)
    level = rw.broadcast(small, n.shape)
    return rw.make("add", level, rw.broadcast(rw.make("log", count), n.shape))


@rule("transpose", "reshape", "slice", safety="=")
def layout_of_layout(rw: Rewriter, n: Node) -> Node | None:
    """`transpose(broadcast(s))` of a scalar -> `broadcast(s)`."""
    s = scalar_under(rw, n.args[0])
    return None if s is None else rw.broadcast(s, n.shape)


@rule("slice", safety="=")
def slice_of_concat(rw: Rewriter, n: Node) -> Node | None:
    """A slice that is one of the parts of a concatenation is that part."""
    x = n.args[0]
    if not (x.is_a("concat") and rw.unbound(x)):
        return None
    axis = x.attrs["axis"]
    starts, stops, steps = (n.attrs[k] for k in ("starts", "stops", "steps"))
    for i, d in enumerate(x.shape):
        whole = _dim(starts[i]) == Dim.of(0) and _dim(stops[i]) == d
        if steps[i] != 1 or (i != axis and not whole):
            return None
    at = Dim.of(0)
    for part in x.args:
        end = at + part.shape[axis]
        if _dim(starts[axis]) == at and _dim(stops[axis]) == end:
            return part
        at = end
    return None


@rule("slice", safety="=")
def slice_of_unslice(rw: Rewriter, n: Node) -> Node | None:
    """The slice of a buffer that was just filled there."""
    x = n.args[0]
    if not (x.is_a("unslice") and rw.unbound(x)):
        return None
    same = all(n.attrs[k] == x.attrs[k] for k in ("starts", "stops", "steps"))
    return x.args[0] if same else None


@rule("concat", safety="=")
def concat_of_slices(rw: Rewriter, n: Node) -> Node | None:
    """Adjacent slices of one tensor put together again."""
    axis = n.attrs["axis"]
    first = n.args[0]
    if not all(a.is_a("slice") and rw.unbound(a) for a in n.args):
        return None
    x = first.args[0]
    stop = first.attrs["starts"][axis]
    for part in n.args:
        same = all(
            i == axis
            or part.attrs[k][i] == first.attrs[k][i]  # the same window elsewhere
            for k in ("starts", "stops", "steps")
            for i in range(len(x.shape))
        )
        if part.args[0] is not x or not same or part.attrs["steps"][axis] != 1:
            return None
        if _dim(part.attrs["starts"][axis]) != _dim(stop):
            return None
        stop = part.attrs["stops"][axis]
    stops = tuple(stop if i == axis else d for i, d in enumerate(first.attrs["stops"]))
    attrs = {**first.attrs, "stops": stops}
    return rw.make("slice", x, **attrs)


PIECES = 64
"""More pieces of one tensor are added into a buffer one by one, not put together."""


@rule("add", safety="=")
def pieces_tile(rw: Rewriter, n: Node) -> Node | None:
    """Adjoints of adjacent slices -> the adjoint of the slice that they make up."""
    p, q = n.args
    if not (p.is_a("unslice") and q.is_a("unslice") and rw.free(p) and rw.free(q)):
        return None
    axis = _only_axis(p, q)
    if axis is None:
        return None
    for low, high in ((p, q), (q, p)):
        if _dim(low.attrs["stops"][axis]) == _dim(high.attrs["starts"][axis]):
            parts = [*_pieces(low.args[0], axis), *_pieces(high.args[0], axis)]
            if len(parts) > PIECES:
                return None
            stops = list(low.attrs["stops"])
            stops[axis] = high.attrs["stops"][axis]
            return rw.make(
                "unslice",
                rw.make("concat", *parts, axis=axis),
                **{**low.attrs, "stops": tuple(stops)},
            )
    return None


def _pieces(n: Node, axis: int) -> tuple[Node, ...]:
    return n.args if n.is_a("concat") and n.attrs["axis"] == axis else (n,)


def _only_axis(p: Node, q: Node) -> int | None:
    """The one axis on which two windows differ, taken with step 1."""
    keys = ("starts", "stops", "steps")
    differ = [
        i
        for i in range(len(p.shape))
        if any(p.attrs[k][i] != q.attrs[k][i] for k in keys)
    ]
    if len(differ) != 1:
        return None
    axis = differ[0]
    return axis if p.attrs["steps"][axis] == q.attrs["steps"][axis] == 1 else None


def _dim(value: Dim | int) -> Dim:
    return value if isinstance(value, Dim) else Dim.of(value)


@rule("add", "sub", "mul", "div", "exp", "log", "sqrt", "tanh", "sigmoid", safety="=")
def repeated_work(rw: Rewriter, n: Node) -> Node | None:
    """`op(broadcast(a), broadcast(b))` -> `broadcast(op(a, b))`: compute it once."""
    if n.args[0].op.name != "broadcast" or n.kind != "real":
        return None
    if not all(a.is_a("broadcast") and rw.unbound(a) for a in n.args):
        return None
    smalls = [a.args[0] for a in n.args]
    shape = max((s.shape for s in smalls), key=len)
    if not shape or any(s.shape not in (shape, ()) for s in smalls):
        return None
    args = [rw.graph.broadcast(s, shape) for s in smalls]
    return rw.broadcast(rw.make(n.op.name, *args), n.shape)


RULES: tuple[Rule, ...] = (
    layout_of_layout,
    softmax_of_broadcast,
    sign_comes_out,
    scalar_comes_out,
    sum_of_sum,
    sum_of_broadcast,
    sum_of_reshape,
    sum_of_transpose,
    sum_of_placed,
    sum_of_product,
    sum_into_product,
    transpose_into_product,
    transpose_of_product,
    sign_out_of_product,
    scalar_out_of_product,
    broadcast_into_product,
    slice_of_concat,
    slice_of_unslice,
    concat_of_slices,
    pieces_tile,
    repeated_work,
)
