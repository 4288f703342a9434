"""Sums and maxima along axes, as products with ones where that is faster.

In: a reduction. Over leading axes, or over trailing ones, of what lies together in memory, a
sum is a product with ones (`np.dot(ones, d, out=…)`): BLAS adds several rows at a time, and
`np.add.reduce` along rows is 5 times slower. Over axes in the middle it is a batch of such
products, 2 to 8 times as fast. Anything else is `np.add.reduce`.
"""

from __future__ import annotations

from ...ir.dims import ONE, Dim, Shape, size
from ...ir.node import Node
from ...ops.layout import inverse
from .frame import Form, Frame, core_of
from .values import Value

NARROW, MANY = 48, 80
"""Columns up to which a maximum along rows is taken along columns of a turned copy, and up to
which of rows of several axes: there are hundreds of them. 512 rows of 65 take 17 µs for 24."""


def beside(frame: Frame, lines: list[Node]) -> list[Node]:
    """The lines of a block, each sum next to what it sums: that is in the cache then."""
    place = {n: i for i, n in enumerate(lines)}

    def key(n: Node) -> tuple[int, int]:
        r = n.args[0] if n in frame.views.folded else n
        summed = r.is_a("sum", "sum_over") and bool(n.shape) and r.args[0] in place
        return (place[r.args[0]] if summed else place[n], place[n])

    return sorted(lines, key=key)


def sum_into(
    frame: Frame, x: Value, axes: tuple[int, ...], out: Value, mean: bool = False
) -> None:
    """The sum of `x` over `axes`, into `out` (with or without the axes), or its mean."""
    rank = len(x.shape)
    count = size([x.shape[a] for a in axes])
    rest = size([d for i, d in enumerate(x.shape) if i not in axes])
    real = x.kind == "real" and not x.mask
    if real and x.contiguous and out.contiguous:
        if axes == tuple(range(len(axes))):
            table = frame.reshaped(x, (count, rest))
            ones = (_shares(frame, count) if mean else frame.ones(count)).token
            target = frame.flat(out)
            frame.emit(f"np.dot({ones}, {table.token}, out={target.token})", out)
            return
        if axes == tuple(range(rank - len(axes), rank)):
            table = frame.reshaped(x, (rest, count))
            ones = (_shares(frame, count) if mean else frame.ones(count)).token
            target = frame.flat(out)
            frame.emit(f"np.dot({table.token}, {ones}, out={target.token})", out)
            return
        first, last = axes[0], axes[-1]
        if len(axes) == last + 1 - first:
            table = frame.reshaped(
                x, (size(x.shape[:first]), count, size(x.shape[last + 1 :]))
            )
            ones = (_shares(frame, count) if mean else frame.ones(count)).token
            target = frame.reshaped(out, (table.shape[0], table.shape[2]))
            frame.emit(f"np.matmul({ones}, {table.token}, out={target.token})", out)
            return
    reduce(frame, "add", x, axes, out)
    if mean:
        text = frame.out.dim(count).text
        frame.emit(f"np.divide({out.token}, {text}, out={out.token})", out)


def _shares(frame: Frame, count: Dim) -> Value:
    """Of each of so many in their mean: a product with them saves a division."""
    text = frame.out.dim(count)
    made = f"np.full({text.text}, 1 / {text.within(12)}, dtype)"
    return frame.unit.table.constant(
        ("shares", count), "real", (count,), made, "shares"
    )


def reduce(
    frame: Frame, ufunc: str, x: Value, axes: tuple[int, ...], out: Value
) -> None:
    """`np.add.reduce` and its like."""
    axis = axes[0] if len(axes) == 1 else axes
    target = frame.reshaped(out, _dropped(x.shape, axes)) if out.contiguous else out
    keep = ", keepdims=True" if len(target.shape) == len(x.shape) else ""
    line = f"np.{ufunc}.reduce({x.token}, axis={axis}{keep}, out={target.token})"
    frame.emit(line, out)


def layout(
    frame: Frame, n: Node, x: Value, axes: tuple[int, ...]
) -> tuple[Value, tuple[int, ...], Value, Value]:
    """A reduction of a turned array, in the order in which it lies: the array, its axes, the
    value of `n`, and where that is written."""
    if x.origin is None:
        out = frame.make_flat(n)
        return x, axes, out, out
    core, perm = x.origin
    own = tuple(sorted(perm[a] for a in axes))
    if len(n.shape) == len(x.shape):
        inner = perm
    else:
        rest = [j for j in range(len(perm)) if j not in own]
        inner = tuple(rest.index(p) for i, p in enumerate(perm) if i not in axes)
    lying = inverse(inner)
    several = [i for i in lying if n.shape[i] != ONE]
    if n not in frame.unit.orders and several == sorted(several):
        out = frame.make_flat(n)  # but for axes of 1 it lies in the order of its axes
        target = frame.reshaped(out, tuple(n.shape[i] for i in lying))
        return core, own, out, target
    if n in frame.destination:
        out = frame.make(n)
    else:
        out = frame.laid_out(n, inner)
    return core, own, out, frame.turned(out, lying)


def _dropped(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def _source(frame: Frame, n: Node) -> tuple[Node, tuple[int, ...]]:
    """The reduction itself, where `n` is the reshape that drops its axes; and its axes."""
    r = n.args[0] if n in frame.views.folded else n
    return r, tuple(r.attrs["axes"])


def total(frame: Frame, n: Node) -> bool:
    """A sum."""
    r, axes = _source(frame, n)
    if n.kind != "real":
        return False
    x, axes, out, target = layout(frame, n, frame.value(r.args[0]), axes)
    sum_into(frame, x, axes, target)
    frame.values[n] = out
    return True


def mean(frame: Frame, n: Node) -> bool:
    """A mean."""
    r, axes = _source(frame, n)
    if r.args[0].kind != "real":
        return False
    x, axes, out, target = layout(frame, n, frame.value(r.args[0]), axes)
    sum_into(frame, x, axes, target, mean=True)
    frame.values[n] = out
    return True


def maximum(frame: Frame, n: Node) -> bool:
    """A maximum along axes."""
    r, axes = _source(frame, n)
    if n.kind == "bool" or r.is_a("max_over"):
        return False
    x, axes, value, out = layout(frame, n, frame.value(r.args[0]), axes)
    width = x.shape[-1].integer
    last = axes == (len(x.shape) - 1,) and out.contiguous
    most = NARROW if len(x.shape) == 2 else MANY
    if last and width is not None and width <= most and len(x.shape) > 1:
        table = frame.rows(frame.copied(x))
        turned = frame.new((table.shape[1], table.shape[0]), n.kind, "turned")
        view = frame.turned(table, (1, 0))
        target = frame.flat(out)
        frame.emit(
            [
                f"np.copyto({turned.token}, {view.token})",
                f"np.maximum.reduce({turned.token}, axis=0, out={target.token})",
            ],
            out,
            scratch=[turned],
        )
    else:
        reduce(frame, "maximum", x, axes, out)
    frame.values[n] = value
    return True


# ------------------------------------------------------------------------ to one number
def scalar_total(frame: Frame, n: Node) -> bool:
    """A sum of everything; of squares it is a product of the array with itself."""
    r = n.args[0] if n in frame.views.folded else n
    text = _all(frame, r)
    if text is None:
        return False
    frame.values[n] = frame.local(n, text)
    return True


def scalar_mean(frame: Frame, n: Node) -> bool:
    r = n.args[0] if n in frame.views.folded else n
    text = _all(frame, r)
    if text is None:
        return False
    count = frame.out.dim(size(r.args[0].shape)).within(12)
    frame.values[n] = frame.local(n, f"{text} / {count}")
    return True


def _all(frame: Frame, r: Node) -> str | None:
    x = r.args[0]
    if x.kind != "real" or r.kind != "real" or not x.shape:
        return None
    if x in frame.squares:
        v = frame.value(x.args[0])
        if len(x.args) == 1 or x.args[0] is x.args[1]:
            a = frame.flat(frame.copied(core_of(v)))
            return f"np.dot({a.token}, {a.token})"
        a = frame.flat(frame.copied(v))
        b = frame.flat(frame.copied(frame.value(x.args[1])))
        return f"np.dot({a.token}, {b.token})"
    v = frame.value(x)
    if len(v.shape) == 1 and v.contiguous:
        return f"np.dot({v.token}, {frame.ones(v.shape[0]).token})"
    return f"{v.token}.sum()"


FORMS: dict[str, Form] = {
    "sum": total,
    "sum_over": total,
    "mean_over": mean,
    "max": maximum,
}
SCALARS: dict[str, Form] = {
    "sum": scalar_total,
    "sum_over": scalar_total,
    "mean_over": scalar_mean,
}
