"""Windows in rows, windows added up, and products with a kernel at each of its places.

In: a reshape of windows, a `fold`, or a `conv_transpose`. Windows are copied in one call, as
they are laid out; in backward again, where others come after them: the copies of many
convolutions then share the memory of the largest, and to make one is a small part of the
products that read it. What a convolution passes to its input is a product for each row of
the kernel, whose parts are added in their places while they are in the cache; a product
with the whole kernel takes as long, and memory for as many copies as the kernel has rows.
"""

from __future__ import annotations

from ...ir.dims import Dim, size
from ...ir.node import Node
from ...ops.layout import inverse
from ..plan import Plan
from ..views import gathers
from . import products
from .frame import Form, Frame

LETTERS = "nhw"


def gathered(frame: Frame, n: Node) -> bool:
    """Windows in rows: copied from their view as they are laid out."""
    first = frame.unit.frames["forward"] if n in frame.unit.gathered_again else frame
    v = first.value(n.args[0])
    if v.contiguous:
        frame.values[n] = frame.reshaped(v, n.shape, n)
        return True
    order = frame.unit.orders.get(n)
    if order is None or order[-1] != 0 or n in frame.destination:
        out = frame.make(n)
    else:  # rows of a product, the batch last
        lying = tuple(n.shape[i] for i in order)
        out = frame.turned(frame.new_spaced(lying, n=n), inverse(order))
    target = frame.reshaped(out, v.shape)
    frame.emit(f"np.copyto({target.token}, {v.token})", out)
    frame.values[n] = out
    return True


def again(plan: Plan) -> set[Node]:
    """Windows in rows that backward copies anew: all that are saved, but for the last."""
    rows = (n for n in plan.saved if n.is_a("reshape") and gathers(n))
    saved = sorted(rows, key=lambda n: n.serial)
    return set(saved[:-1])


FOLD = '''def fold_into(total, g, axes, strides, dilations):
    """Set total to zeros, with each window of g (its last axes) added in its place."""
    total.fill(0)
    windows = np.moveaxis(g, range(total.ndim, g.ndim), range(len(axes)))
    for offset in np.ndindex(windows.shape[: len(axes)]):
        place, part = total, windows[offset]
        for axis, i, stride, dilation in zip(axes, offset, strides, dilations):
            start = i * dilation
            stop = start + stride * part.shape[axis]
            place = place.swapaxes(0, axis)[start:stop:stride].swapaxes(0, axis)
        np.add(place, part, out=place)
'''


def fold(frame: Frame, n: Node) -> bool:
    """Windows added up where they lie."""
    v, a = frame.value(n.args[0]), n.attrs
    out = frame.make(n)
    frame.unit.scope.preludes.setdefault("fold_into", FOLD)
    how = f"{a['axes']}, {a['strides']}, {a['dilations']}"
    frame.emit(f"fold_into({out.token}, {v.token}, {how})", out)
    frame.values[n] = out
    return True


PLACES = '''def kernel_places(image, kernel, counts, strides, dilations):
    """Return what each place of a kernel reads of the image [c, H, W, N]: views."""
    places = []
    for offset in np.ndindex(kernel):
        place = image
        for axis, i in enumerate(offset, 1):
            start, stride = i * dilations[axis - 1], strides[axis - 1]
            stop = start + stride * counts[axis - 1]
            place = place.swapaxes(0, axis)[start:stop:stride].swapaxes(0, axis)
        places.append(place)
    return places
'''
SPREAD = '''def spread_into(image, rows, g, parts, room, places):
    """Set the image to zeros, with the product of each row of the kernel and g added, each
    part of it in its place. parts is room for one product, as rows and cut into parts.
    """
    image.fill(0)
    for k, row in enumerate(rows):
        np.matmul(row, g, out=room)
        for place, part in zip(places[k * len(parts) :], parts):
            np.add(place, part, out=place)
'''


def spread(frame: Frame, n: Node) -> bool:
    """Products with each row of a kernel, added up in an image that has the batch last."""
    g, kernel = n.args
    rank = len(n.shape)
    axes = tuple(range(1, rank - 1))
    last = (rank - 1, *axes, 0)
    if n in frame.destination or frame.unit.orders.get(n) != last:
        return False
    *above, k, c, inner = kernel.shape
    counts = g.shape[1:-1]
    letters = LETTERS[: rank - 1]
    lying = letters[1:] + letters[0]
    matrix = products.matrix(frame, frame.value(g), letters + "o", "o", lying)
    rows = frame.reshaped(
        frame.copied(frame.value(kernel)), (size(above), k * c, inner)
    )
    room = frame.new_spaced((k * c, *counts, n.shape[0]), "room")
    flat = frame.reshaped(room, (k * c, size(g.shape[:-1])))
    room = frame.reshaped(room, (k, c, *counts, n.shape[0]))
    out = frame.make(n)
    image = frame.turned(out, last)
    sizes = tuple(d.integer for d in kernel.shape[:-2])
    there = f"{sizes}, ({_listed(frame, counts)}), {n.attrs['strides']}"
    how = f"kernel_places({{}}, {there}, {n.attrs['dilations']})"
    places = frame.table.view(image, how, image.shape)
    parts = frame.table.view(room, "list({})", room.shape)
    preludes = frame.unit.scope.preludes
    preludes.setdefault("kernel_places", PLACES)
    preludes.setdefault("spread_into", SPREAD)
    given = (image, rows, matrix, parts, flat, places)
    call = f"spread_into({', '.join(v.token for v in given)})"
    frame.emit(call, out, scratch=[room])
    frame.values[n] = out
    return True


def _listed(frame: Frame, sizes: tuple[Dim, ...]) -> str:
    """What stands inside of a tuple of sizes."""
    return frame.text(sizes) + "," * (len(sizes) == 1)


FORMS: dict[str, Form] = {
    "reshape": gathered,
    "fold": fold,
    "conv_transpose": spread,
}
