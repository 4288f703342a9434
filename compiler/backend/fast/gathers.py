"""Reading and writing at places that the data name.

In: `take`, `pick` and their adjoints. Where the data's numbers were checked against the size
of what they index (an input of the program, which the runtime checks), NumPy need not check
again: `mode="clip"` writes straight into `out`, and flat places, computed once for forward
and backward, replace pairs of indices. Any other index goes the way of -O1.
"""

from __future__ import annotations

from typing import Any

from ...ir.dims import Dim, size
from ...ir.node import Node
from ...ops.layout import inverse
from .frame import Form, Frame, core_of
from .values import Value


def checked(frame: Frame, index: Node, among: Dim) -> bool:
    """Is every place one of so many? Those of an input are, since the runtime checks its
    range, and where something is the largest, or counted; as they are or laid out anew.
    """
    while index.is_a("transpose", "reshape", "slice", "broadcast"):
        index = index.args[0]
    if index.is_a("iota"):
        return bool(index.shape[index.attrs["axis"]] == among)
    if index.is_a("argmax"):
        return bool(index.args[0].shape[index.attrs["axis"]] == among)
    return index in frame.unit.ranged or frame.comes_checked(index, among)


def rows_together(v: Value) -> bool:
    """Does each row of a table lie in one piece, and do they follow each other?"""
    turned = v.origin is not None and v.origin[1][-1] == len(v.shape) - 1
    return v.contiguous or turned


def rows_of(frame: Frame, v: Value) -> tuple[Value, tuple[int, ...]]:
    """A table whose rows lie together: itself, or what it is turned of, or else a copy; and
    the order of its leading axes there."""
    if v.origin is not None and rows_together(v):
        core, perm = v.origin
        return core, perm[:-1]
    return frame.copied(v), tuple(range(len(v.shape) - 1))


def places(frame: Frame, index: Node, width: Dim, order: tuple[int, ...] = ()) -> Value:
    """`i * width + index[i]`: where row i has its entry, in the flat table, whose rows may
    lie in another order than the axes."""
    if order == tuple(range(len(order))):
        order = ()
    key = (index, width, order)
    known = frame.places.get(key)
    if known is None:
        v = frame.value(index)
        if order:
            v = frame.turned(v, inverse(order))
        v = frame.flat(frame.copied(v))
        step = frame.out.dim(width)
        count = v.shape[0]
        made = f"np.arange({frame.out.dim(count).text}) * {step.within(10)}"
        if width.integer:  # with no array beside it
            made = f"np.arange(0, {frame.out.dim(count * width).text}, {step.text})"
        offsets = frame.table.constant(
            ("offsets", count, width), "int", (count,), made, "offsets"
        )
        known = frame.new((count,), "int", "at")
        frame.emit(f"np.add({v.token}, {offsets.token}, out={known.token})", known)
        frame.places[key] = known
    return known


def pick(frame: Frame, n: Node) -> bool:
    """One entry of each row."""
    x, index = n.args
    if not (index.shape and checked(frame, index, x.shape[-1])):
        return False
    table, order = rows_of(frame, frame.value(x))
    turned = order != tuple(range(len(order)))
    if turned and n in frame.destination:
        return False
    v, at = frame.flat(table), places(frame, index, x.shape[-1], order)
    out = frame.laid_out(n, order) if turned else frame.make_flat(n)
    target = frame.flat(core_of(out))
    frame.emit(f'np.take({v.token}, {at.token}, out={target.token}, mode="clip")', out)
    frame.values[n] = out
    return True


def put(frame: Frame, n: Node) -> bool:
    """Zeros, with one entry of each row set."""
    index, g = n.args
    if not (index.shape and checked(frame, index, n.shape[-1])):
        return False
    at = places(frame, index, n.shape[-1])
    entries = _entries(frame, g)
    out = frame.make_flat(n)
    target = frame.flat(out)
    frame.emit([f"{out.token}.fill(0)", f"{target.token}[{at.token}] = {entries}"], out)
    frame.values[n] = out
    return True


def one_hot(frame: Frame, n: Node) -> bool:
    index = n.args[0]
    if not (index.shape and checked(frame, index, n.shape[-1])):
        return False
    at = places(frame, index, n.shape[-1])
    out = frame.make_flat(n)
    target = frame.flat(out)
    frame.emit([f"{out.token}.fill(0)", f"{target.token}[{at.token}] = 1"], out)
    frame.values[n] = out
    return True


def put_on(frame: Frame, n: Node) -> bool:
    """`base` with one entry of each row added to."""
    base, index, g = n.args
    start = frame.value(base)
    sign = "-" if n.attrs["minus"] else "+"
    out = frame.make_as(n, [start])
    if index.shape and checked(frame, index, n.shape[-1]):
        if not rows_together(out):
            out = frame.make_flat(n)
        table, order = rows_of(frame, out)
        at = places(frame, index, n.shape[-1], order)
        entries = _entries(frame, g, order)
        line = f"{frame.flat(table).token}[{at.token}] {sign}= {entries}"
    else:
        line = frame.out.update(n, out.token)
    frame.emit(line, out, [start], base=start, reads=[start])
    frame.values[n] = out
    return True


def scatter_on(frame: Frame, n: Node) -> bool:
    """`base` with slices added where the index says."""
    base, index, g = (frame.value(a) for a in n.args)
    in_rows = _in_rows(frame, n, n.args[1])
    if in_rows and _is_small(n):
        sums = frame.new(n.shape, "real", "sums")
        _by_one_product(frame, n.args[2], n.args[1], sums)
        out = frame.make_as(n, [base])
        line = f"np.add({base.token}, {sums.token}, out={out.token})"
        frame.emit(line, out, [base, sums])
        frame.values[n] = out
        return True
    out = frame.make_flat(n)
    if in_rows:
        _add_rows(frame, n.args[2], n.args[1], out, base=base, reads=[base])
    else:
        line = f"np.add.at({out.token}, {index.token}, {g.token})"
        frame.emit(line, out, [base], base=base, reads=[base])
    frame.values[n] = out
    return True


def _entries(frame: Frame, g: Node, order: tuple[int, ...] = ()) -> str:
    """What is put: a number stays one."""
    core = g
    while core.is_a("broadcast"):
        core = core.args[0]
    if not core.shape:
        return frame.operand(core)
    v = frame.value(g)
    if order != tuple(range(len(order))):
        v = frame.turned(v, inverse(order))
    return frame.flat(frame.copied(v)).token


BY_PLACE = '''def add_rows(total, g, index, numbers, keys, order, ones, rows, sums):
    """Add each row of g to that row of total which index says; the last five are room.

    Rows come in the order of their places, a block at a time. A product with ones adds up
    those of a block that have one place.
    """
    np.multiply(index, index.size, out=keys)
    np.add(keys, numbers, out=keys)  # a place, and which row goes there
    keys.sort()
    np.remainder(keys, index.size, out=order)
    np.floor_divide(keys, index.size, out=keys)
    for start in range(0, index.size, len(rows)):
        places = keys[start : start + len(rows)]
        count = places.size
        new = places[1:] != places[:-1]
        run = np.cumsum(new)
        places = np.concatenate((places[:1], places[1:][new]))
        which = ones[: places.size, :count]
        which.fill(0)
        which[0, 0] = 1
        which[run, numbers[1:count]] = 1
        some, added = rows[:count], sums[: places.size]
        np.take(g, order[start : start + count], axis=0, out=some, mode="clip")
        np.dot(which, some, out=added)
        known = rows[: places.size]
        np.take(total, places, axis=0, out=known, mode="clip")
        np.add(known, added, out=added)
        total[places] = added
'''
BY_NUMBER = '''def add_narrow_rows(total, g, index, columns, places):
    """Add each row of g to that row of total which index says, number by number.

    columns are those of a row, counted; places is room for a block of rows.
    """
    flat = total.reshape(-1)
    for start in range(0, index.size, len(places)):
        some = index[start : start + len(places)]
        at = places[: some.size]
        np.multiply(some[:, None], columns.size, out=at)
        np.add(at, columns, out=at)
        np.add.at(flat, at.reshape(-1), g[start : start + len(places)].reshape(-1))
'''
APART = '''def add_rows_apart(total, g, index, numbers, last, columns, places, rows, sums):
    """Add each row of g to that row of total which index says, a block of rows at a time.

    Of the rows of a block that have one place the last is added with the last ones of all
    other places, those before it number by number. last, one for each row of total, says
    which row came last, places is room for a few rows, rows and sums are for a block.
    """
    flat = total.reshape(-1)
    for start in range(0, index.size, len(rows)):
        some, of = index[start : start + len(rows)], g[start : start + len(rows)]
        counted = numbers[: some.size]
        last[some] = counted
        final = last[some] == counted
        which = counted[final]
        to = some[which]
        known, added = rows[: to.size], sums[: to.size]
        np.take(total, to, axis=0, out=known, mode="clip")
        np.take(of, which, axis=0, out=added, mode="clip")
        np.add(known, added, out=added)
        total[to] = added
        before = counted[~final]
        for k in range(0, before.size, len(places)):
            which = before[k : k + len(places)]
            at = places[: which.size]
            np.multiply(some[which][:, None], columns.size, out=at)
            np.add(at, columns, out=at)
            np.add.at(flat, at.reshape(-1), of[which].reshape(-1))
'''
SMALL, NARROW, WIDE = 80, 64, 256
"""A table of at most SMALL rows, each at most WIDE, gets its sums by one product with ones and
zeros. Rows of at most NARROW are added number by number, which takes 1.7 ns each and half the
time of what is done otherwise: rows are sorted by place, and summed by products of blocks."""
NUMBERS = 8192  # of a block of narrow rows
LEAST, MOST = 32, 32768
"""Rows of at least LEAST numbers, in blocks of MOST numbers: where the table has as many rows as
a block, few of these have one place, and all others are added at once, in .4 to .6 of the time."""
BLOCK = 128
"""Rows of a block, half as many beyond WIDE: fewer calls on the one hand, on the other ones that
meet nothing. `np.add.reduceat` goes down column by column: 3 times as long at 512, and no faster
at 32."""


def _in_rows(frame: Frame, n: Node, index: Node) -> bool:
    """Can what is scattered into `n` be sorted by place, each place one sum?"""
    return bool(index.shape) and checked(frame, index, n.shape[0])


def _add_rows(
    frame: Frame, g: Node, index: Node, out: Value, first: str = "", **more: Any
) -> None:
    """Add the rows of `g` to those of `out`."""
    i, v = frame.value(index), frame.value(g)
    rank = len(index.shape)
    if v.origin is not None and v.origin[1][rank:] == tuple(
        range(rank, len(v.shape))
    ):  # the rows may come in any order
        v, perm = v.origin
        i = frame.turned(i, inverse(perm[:rank]))
    i = frame.flat(frame.copied(i))
    count, width = i.shape[0], size(out.shape[1:])
    table = frame.reshaped(frame.copied(v), (count, width))
    target = frame.reshaped(out, (out.shape[0], width))
    columns = width.integer
    block = MOST // columns if columns is not None and columns >= LEAST else 0
    if columns is not None and 0 < block <= (out.shape[0].integer or 0):
        call, room = _apart(frame, target, table, i, columns, block)
        lines = [first, call] if first else [call]
        frame.emit(lines, out, more.get("reads", ()), scratch=room, **more)
        return
    if columns is not None and 0 < columns <= NARROW:
        call, room = _number_by_number(frame, target, table, i, columns)
        lines = [first, call] if first else [call]
        frame.emit(lines, out, more.get("reads", ()), scratch=room, **more)
        return
    side = Dim.of(BLOCK if columns is None or columns < WIDE else BLOCK // 2)
    made = f"np.arange({frame.out.dim(count).text})"
    numbers = frame.table.constant(("numbers", count), "int", (count,), made, "numbers")
    room = [
        frame.new((count,), "int", "keys"),
        frame.new((count,), "int", "order"),
        frame.new((side, side), "real", "which"),
        frame.new((side, width), "real", "rows_of_block"),
        frame.new((side, width), "real", "sums_of_block"),
    ]
    frame.unit.scope.preludes.setdefault("add_rows", BY_PLACE)
    given = [target, table, i, numbers, *room]
    call = f"add_rows({', '.join(v.token for v in given)})"
    lines = [first, call] if first else [call]
    frame.emit(lines, out, more.get("reads", ()), scratch=room, **more)


def _number_by_number(
    frame: Frame, target: Value, table: Value, index: Value, columns: int
) -> tuple[str, list[Value]]:
    """The call that adds narrow rows, and its room: single numbers need none."""
    if columns == 1:
        flat = frame.flat(target), index, frame.flat(table)
        return f"np.add.at({', '.join(v.token for v in flat)})", []
    counted, room = _columns(frame, columns)
    frame.unit.scope.preludes.setdefault("add_narrow_rows", BY_NUMBER)
    given = (target, table, index, counted, room)
    return f"add_narrow_rows({', '.join(v.token for v in given)})", [room]


def _columns(frame: Frame, columns: int) -> tuple[Value, Value]:
    """The columns of a row, counted, and room for the places of the numbers of some rows."""
    key, width = ("columns", columns), Dim.of(columns)
    made = f"np.arange({columns})"
    counted = frame.table.constant(key, "int", (width,), made, "columns")
    rows = Dim.of(max(1, NUMBERS // columns))
    return counted, frame.new((rows, width), "int", "places")


def _apart(
    frame: Frame, target: Value, table: Value, index: Value, columns: int, block: int
) -> tuple[str, list[Value]]:
    """The call that adds the rows of a block at once, and its room."""
    counted, places = _columns(frame, columns)
    some = Dim.of(block)
    key, made = ("numbers", some), f"np.arange({block})"
    numbers = frame.table.constant(key, "int", (some,), made, "numbers")
    last = frame.new((target.shape[0],), "int", "last")
    rows = frame.new((some, Dim.of(columns)), "real", "rows_of_block")
    sums = frame.new((some, Dim.of(columns)), "real", "sums_of_block")
    frame.unit.scope.preludes.setdefault("add_rows_apart", APART)
    room = [last, places, rows, sums]
    given = (target, table, index, numbers, last, counted, places, rows, sums)
    return f"add_rows_apart({', '.join(v.token for v in given)})", room


def scatter_add(frame: Frame, n: Node) -> bool:
    """Rows added up where the index says."""
    g, index = n.args
    if n.attrs["axis"] or not _in_rows(frame, n, index):
        return False
    out = frame.make_flat(n)
    if _is_small(n):
        _by_one_product(frame, g, index, out)
    else:
        _add_rows(frame, g, index, out, f"{out.token}.fill(0)")
    frame.values[n] = out
    return True


def _is_small(n: Node) -> bool:
    rows, width = n.shape[0].integer, size(n.shape[1:]).integer
    small = rows is not None and rows <= SMALL
    return small and width is not None and 1 < width <= WIDE


def _by_one_product(frame: Frame, g: Node, index: Node, out: Value) -> None:
    """The rows of `g` times a matrix that says with 0 and 1 where each belongs."""
    v, rank = frame.value(g), len(index.shape)
    order: tuple[int, ...] = ()
    if v.origin is not None and v.origin[1][rank:] == tuple(range(rank, len(v.shape))):
        v, perm = v.origin  # the rows may come in any order
        order = perm[:rank]
    at = places(frame, index, out.shape[0], order)
    count, width = at.shape[0], size(out.shape[1:])
    table = frame.reshaped(frame.copied(v), (count, width))
    which = frame.new((count, out.shape[0]), "real", "which")
    flat, turned = frame.flat(which), frame.turned(which, (1, 0))
    target = frame.reshaped(out, (out.shape[0], width))
    frame.emit(
        [
            f"{which.token}.fill(0)",
            f"{flat.token}[{at.token}] = {frame.number(1).token}",
        ],
        which,
    )
    line = f"np.dot({turned.token}, {table.token}, out={target.token})"
    frame.emit(line, out)


def take(frame: Frame, n: Node) -> bool:
    """Slices of a table."""
    x, index = n.args
    axis = n.attrs["axis"]
    if not checked(frame, index, x.shape[axis]):
        return False
    v, i = frame.value(x), frame.value(index)
    if not index.shape:
        return False
    out = frame.make_flat(n)  # where out lies turned, NumPy makes an array beside it
    frame.emit(
        f"np.take({v.token}, {i.token}, axis={axis}, out={out.token}, " 'mode="clip")',
        out,
    )
    frame.values[n] = out
    return True


FORMS: dict[str, Form] = {
    "pick": pick,
    "put": put,
    "one_hot": one_hot,
    "put_on": put_on,
    "scatter_on": scatter_on,
    "scatter_add": scatter_add,
    "take": take,
}
