"""Products of matrices: `np.matmul` and `np.dot` into their places, transposes folded in.

In: a contraction. Its letters fall into four groups: of a batch, rows (of the first operand
alone), columns (of the second alone), and those that are summed. Where each group lies
together in memory, the operands are views, turned and with groups merged, and BLAS reads
them as they lie; an operand that lies otherwise is copied first.

    "tnk,tnm->km"     np.dot(x.reshape(T * N, k).T, d.reshape(T * N, m), out=d_W)
"""

from __future__ import annotations

from ...ir.dims import ONE, Shape, size
from ...ir.node import Node
from ...ops.contraction import letters
from . import layouts
from .frame import Frame
from .sums import sum_into
from .values import Value


def product(frame: Frame, n: Node) -> bool:
    """Write a contraction."""
    sa, sb, so = letters(n.attrs["spec"])
    inner = "".join(c for c in sa if c in sb and c not in so)
    batch = "".join(c for c in so if c in sa and c in sb)
    if not inner:
        return _outer(frame, n, sa, sb, so)
    if sa == sb and so == batch:
        return _rows_times_rows(frame, n, sa, inner)
    rows = "".join(c for c in so if c in sa and c not in batch)
    columns = "".join(c for c in so if c in sb and c not in batch)
    a, b = frame.value(n.args[0]), frame.value(n.args[1])
    order = _order(frame, n)
    if order is not None:  # rows and columns in the order in which they lie
        lying = [so[i] for i in order if so[i] not in batch]
        lying.sort(key=lambda c: n.shape[so.index(c)] != ONE)  # which lies anywhere
        rows, columns = ("".join(c for c in lying if c in g) for g in (rows, columns))
        swapped = lying[0] in columns
    else:
        swapped = so != batch + rows + columns and so == batch + columns + rows
    if swapped:
        a, b, sa, sb, rows, columns = b, a, sb, sa, columns, rows
    turned = False
    if order is None and so == rows + columns:
        own = _memory_order(a, sa, rows)
        axes = tuple(so.index(c) for c in own + columns)
        if own != rows and _goes_by_rows(frame, n, axes):
            turned, rows = True, own
    inner = _memory_order(a, sa, inner)
    first = _matrix(frame, a, sa, batch, rows, inner)
    second = _matrix(frame, b, sb, batch, inner, columns)
    if not batch:
        second = frame.for_steps(second)
    if turned:
        out = frame.laid_out(n, tuple((rows + columns).index(c) for c in so))
    elif order is None or n in frame.destination:
        out = layouts.place(frame, n)
    else:
        out = frame.make(n)
    target = _matrix_view(frame, out, so, batch, rows, columns)
    if target is None and n not in frame.destination:
        out = frame.make(n)
        target = _matrix_view(frame, out, so, batch, rows, columns)
    if target is None:  # rows and columns by turns in the result: apart, and turned
        together = batch + rows + columns
        out = frame.laid_out(n, tuple(together.index(c) for c in so))
        target = _matrix_view(frame, out, so, batch, rows, columns)
        assert target is not None
    # np.dot begins .35 µs sooner, but takes no batch, and wants a contiguous place
    plain = not batch and (target.contiguous or not (rows and columns))
    plain &= not (first.root.spaced or second.root.spaced)
    call = "np.dot" if plain else "np.matmul"
    frame.emit(f"{call}({first.token}, {second.token}, out={target.token})", out)
    frame.values[n] = out
    return True


def _order(frame: Frame, n: Node) -> tuple[int, ...] | None:
    """The order in which the axes of an image lie, or of a matrix whose place is turned."""
    if n not in frame.destination:
        return frame.unit.orders.get(n)
    origin = frame.destination[n].origin
    return origin[1] if origin is not None and len(n.shape) == 2 else None


def _goes_by_rows(frame: Frame, n: Node, order: tuple[int, ...]) -> bool:
    """May the axes of a product lie in this order, that of its first operand's rows? All who
    read it go row by row, or turn it so, and nobody wants it in a place of its own."""
    if n in frame.destination:
        return False
    for r in layouts.readings(frame).get(n, ()):
        if r.views:
            first = r.views[0]
            if not first.is_a("transpose") or tuple(first.attrs["perm"]) != order:
                return False
            continue
        axes = tuple(r.reader.attrs.get("axes", ()))
        along = r.reader.is_a("max", "sum", "sum_over") and axes == (len(order) - 1,)
        elementwise = r.reader.op.family == "elementwise"
        if not (along or elementwise or r.reader.is_a("einsum2", "pick")):
            return False
    return True


def matrix(frame: Frame, v: Value, spec: str, first: str, second: str) -> Value:
    """An operand as a matrix, its axes in two groups: a view where they lie so."""
    return _matrix(frame, v, spec, "", first, second)


def scalar_product(frame: Frame, n: Node) -> bool:
    """The sum of products of two arrays."""
    sa, sb, _ = letters(n.attrs["spec"])
    if sa != sb:
        turned = frame.turned(frame.value(n.args[1]), [sb.index(c) for c in sa])
    else:
        turned = frame.value(n.args[1])
    a = frame.flat(frame.copied(frame.value(n.args[0])))
    b = frame.flat(frame.copied(turned))
    frame.values[n] = frame.local(n, f"np.dot({a.token}, {b.token})")
    return True


def _memory_order(v: Value, spec: str, group: str) -> str:
    """The letters of a group in the order in which they lie in memory."""
    if v.origin is not None:
        perm = v.origin[1]
        lying = [""] * len(spec)
        for i, p in enumerate(perm):
            lying[p] = spec[i]
        spec = "".join(lying)
    return "".join(c for c in spec if c in group)


def _matrix(
    frame: Frame, v: Value, spec: str, batch: str, first: str, second: str
) -> Value:
    """An operand as [batch …, first, second], each group one axis; copied if need be."""
    made = _matrix_view(frame, v, spec, batch, first, second)
    if made is not None:
        return made
    wanted = batch + first + second
    turned = frame.turned(v, [spec.index(c) for c in wanted])
    copy = frame.copied(turned)
    made = _matrix_view(frame, copy, wanted, batch, first, second)
    assert made is not None
    return made


def _matrix_view(
    frame: Frame, v: Value, spec: str, batch: str, first: str, second: str
) -> Value | None:
    """The same without copying, or None."""
    core, lying = v, spec
    if v.origin is not None:
        core, perm = v.origin
        at = [""] * len(spec)
        for i, p in enumerate(perm):
            at[p] = spec[i]
        lying = "".join(at)
    sizes = dict(zip(spec, v.shape, strict=True))
    groups = [g for g in (first, second) if g]
    simple = all(len(g) == 1 for g in groups)
    if not simple:
        single = [c for g in groups for c in g if sizes[c] == ONE]  # lies anywhere
        lying = "".join(c for c in lying if c not in single)
        parts = {g: "".join(c for c in g if c not in single) for g in groups}
        if not core.contiguous or any(p not in lying for p in parts.values()):
            return None
        order = [g for g, p in parts.items() if not p]
        k = 0
        while k < len(lying):
            found = (g for g, p in parts.items() if p and lying.startswith(p, k))
            group = next(found, lying[k])
            order.append(group)
            k += len(parts.get(group, group))
        shape: Shape = tuple(size([sizes[c] for c in g]) for g in order)
        core = frame.reshaped(core, shape)
    else:
        order = list(lying)
    wanted = [*batch, *groups]
    perm_ = [order.index(g) for g in wanted]
    made = frame.turned(core, perm_)
    if batch and len(groups) < 2:  # a vector for each of a batch: a matrix of one row
        at_end = bool(first)
        index = ", ".join([":"] * len(batch) + ([":", "None"] if at_end else ["None"]))
        shape = (
            (*made.shape, ONE) if at_end else (*made.shape[:-1], ONE, made.shape[-1])
        )
        if not groups:
            return None
        made = frame.table.view(made, f"{{}}[{index}]", shape)
    return made


def _outer(frame: Frame, n: Node, sa: str, sb: str, so: str) -> bool:
    """Nothing is summed: a product of elements, spread over the axes."""
    parts = []
    for arg, spec in zip(n.args, (sa, sb), strict=True):
        ordered = "".join(c for c in so if c in spec)
        v = frame.turned(frame.value(arg), [spec.index(c) for c in ordered])
        index = [":" if c in spec else "None" for c in so]
        while index and index[0] == "None":
            index.pop(0)
        if "None" in index:
            shape = tuple(
                d if c in spec else ONE
                for c, d in zip(
                    so[len(so) - len(index) :], n.shape[-len(index) :], strict=True
                )
            )
            v = frame.table.view(v, f"{{}}[{', '.join(index)}]", shape)
        parts.append(v)
    out = frame.make(n)
    line = f"np.multiply({parts[0].token}, {parts[1].token}, out={out.token})"
    frame.emit(line, out, [p for p in parts if p.shape == n.shape])
    frame.values[n] = out
    return True


def _rows_times_rows(frame: Frame, n: Node, spec: str, inner: str) -> bool:
    """`(a * b).sum(axis)`: the products, then their sums."""
    a, b = frame.value(n.args[0]), frame.value(n.args[1])
    whole = frame.new(a.shape, "real", "products")
    frame.emit(f"np.multiply({a.token}, {b.token}, out={whole.token})", whole, [a, b])
    axes = tuple(i for i, c in enumerate(spec) if c in inner)
    out = frame.make(n)
    sum_into(frame, whole, axes, out)
    frame.values[n] = out
    return True
