"""Which instructions an op becomes: one function an op, with `out=` wherever NumPy has it.

In: a node whose arguments have values. Out: instructions in its frame, and its value. An
elementwise op says its form in its record (`numpy_out`); an op without any is computed by its
expression of -O1 and copied into its place, in parts where that can be (`parts.py`). Forms of
products of matrices stand in `products.py`, of reductions in `sums.py`, of gathering and
scattering in `gathers.py`, of windows in `windows.py`.
"""

from __future__ import annotations

import math
import re

from ...ir.dims import Dim, size
from ...ir.node import Node
from ..bodies import is_loop, is_projection
from ..pyast import number
from ..views import ATOMS
from . import fixed, gathers, layouts, parts, products, sums, windows
from .frame import Form, Frame, core_of, same_layout
from .values import TOKEN, Value

HOLE = re.compile(r"\{(-?[\w.]+)\}")
BLOCK = 16384
"""Numbers that a function works on at a time: more than calls cost, less than a cache holds."""
FEW = 4096  # numbers of an array: see `_few`
ROWS = 4
COMPARISONS = ("lt", "le", "eq")
LAYOUT = ("reshape", "transpose", "broadcast")


def define(frame: Frame, n: Node) -> None:
    """Write the instructions of one line."""
    if is_projection(n):  # its loop has made it
        _placed(frame, n, frame.value(n))
        return
    if n in frame.squares:
        return  # its sum is taken at once
    known = frame.values.get(n)
    if known is not None:
        _placed(frame, n, known)
        return
    if is_loop(n):
        frame.unit.loop(frame, n)
        return
    if fixed.is_fixed(frame, n):
        _placed(frame, n, frame.value(n))
        return
    source = n.args[0] if n in frame.views.folded else n
    form = FORMS.get(source.op.name)
    if n.op.name in ATOMS or (frame.views.is_view(n) and n.op.name != "cast"):
        frame.values[n] = frame.value(n)
        _placed(frame, n, frame.values[n])
        return
    if not n.shape:
        special = SCALARS.get(source.op.name)
        if special is not None and special(frame, n):
            _placed(frame, n, frame.values[n])
            return
        _number(frame, n)
        _placed(frame, n, frame.values[n])
        return
    if form is None and source.op.writes and source is n:
        form = elementwise
    if form is None or not form(frame, n):
        fallback(frame, n)
    _placed(frame, n, frame.values[n])


def _placed(frame: Frame, n: Node, v: Value) -> None:
    """A result that was not computed where it is wanted is copied there."""
    wanted = frame.destination.get(n)
    if wanted is None or v is wanted:
        return
    if not n.shape:
        frame.emit(f"{wanted.token}[...] = {v.token}", wanted)
    else:
        frame.emit(f"np.copyto({wanted.token}, {v.token})", wanted)


def _number(frame: Frame, n: Node) -> None:
    """Numbers are Python's or NumPy's scalars, with names: nothing to plan."""
    value = frame.out.value(n, top=True)
    frame.values[n] = frame.local(n, value.expr.text, value.dtype)


def fallback(frame: Frame, n: Node) -> None:
    """The expression of -O1, put into its place."""
    if parts.in_parts(frame, n):
        return
    expression = frame.out.value(n, top=True)
    out = frame.make(n)
    text = expression.expr.text
    made = None if TOKEN.fullmatch(text) else parts.spare(n)  # a copy makes nothing
    frame.emit(f"{out.token}[...] = {text}", out, temporary=made)
    frame.values[n] = out


# ------------------------------------------------------------------------ elementwise
def elementwise(frame: Frame, n: Node) -> bool:
    """The record's `numpy_out`: one call, or several that go on with `{out}`."""
    made = n.op.numpy_out
    if n.op.numpy_out_absolute is not None and n not in frame.unit.accurate:
        made = n.op.numpy_out_absolute
    if callable(made):
        made = made(n)
    if made is None or (n.kind == "bool" and n.op.name in COMPARISONS):
        return False
    lines = [made] if isinstance(made, str) else list(made)
    one_line = n.op.family == "elementwise" and len(lines) == 1
    if any("{room}" in line for line in lines):
        return in_blocks(frame, n, lines[0])
    holes = {k: frame.operand(a) for k, a in zip(n.op.args, n.args, strict=True)}
    read = frame.table.read_in("".join(holes.values()))
    row = next((v for v in read if _is_row(v, n)), None)
    if len(lines) > 1 or not _few(frame, n):
        row = None
    out = frame.make_as(n, read) if row is None else frame.make(n)
    row = row if out.contiguous else None
    scratch: list[Value] = []
    if row is not None:  # spread in the place of the result, which no operand has then
        holes = {k: t.replace(row.token, out.token) for k, t in holes.items()}
        lines = [f"{{out}}[...] = {row.token}", *lines]

    def fill(found: re.Match[str]) -> str:
        key = found[1]
        if key == "out":
            return out.token
        if key == "t":
            if not scratch:
                scratch.append(frame.new(n.shape, n.kind, "scratch"))
            return scratch[0].token
        if key in holes:
            return holes[key]
        return frame.number(float(key)).token

    text = [HOLE.sub(fill, line) for line in lines]
    over = [
        v
        for v in read
        if row is None and (one_line if n.op.inplace is None else n.op.inplace)
    ]
    frame.emit(text, out, over, scratch=scratch)
    frame.values[n] = out
    return True


def _few(frame: Frame, n: Node) -> bool:
    """Is it known to have so few numbers that a row is spread in its place first? To assign
    it takes .2 µs, to have a ufunc broadcast it .6."""
    sizes = [frame.unit.plan.expected(d) for d in n.shape]
    known = [s for s in sizes if s is not None]
    return len(known) == len(sizes) and math.prod(known) <= FEW


def _is_row(v: Value, n: Node) -> bool:
    """Does it stand for all rows of a matrix?"""
    return len(n.shape) == 2 and v.shape == n.shape[1:] and v.kind == n.kind == "real"


def in_blocks(frame: Frame, n: Node, call: str) -> bool:
    """A function of the module, which goes over its argument in blocks."""
    x = frame.value(n.args[0])
    out = frame.make_as(n, [x])
    if not same_layout(x, out):
        x, out = frame.copied(x), frame.make(n)
        if not out.contiguous:
            return False
    whole = size(n.shape)
    known = whole.integer
    width = whole if known is not None and known < BLOCK else Dim.of(BLOCK)
    room = frame.new((Dim.of(ROWS), width), n.kind, "room")
    frame.unit.scope.preludes.setdefault(f"{n.op.name}_into", n.op.prelude_out)
    holes = {"x": core_of(x), "out": core_of(out), "room": room}
    line = HOLE.sub(lambda found: holes[found[1]].token, call)
    frame.emit(line, out, [x], scratch=[room])
    frame.values[n] = out
    return True


def quotient(frame: Frame, n: Node) -> bool:
    """By a power of two it is a product, to the bit."""
    value = _number_under(n.args[1])
    if value is None or n.kind != "real" or not _power_of_two(value):
        return elementwise(frame, n)
    x = frame.operand(n.args[0])
    over = frame.table.read_in(x)
    out = frame.make_as(n, over)
    factor = frame.number(1 / value).token
    frame.emit(f"np.multiply({x}, {factor}, out={out.token})", out, over)
    frame.values[n] = out
    return True


def _power_of_two(value: float) -> bool:
    """Such that its reciprocal is exact in any precision."""
    return math.frexp(abs(value))[0] == 0.5 and 2**-100 < abs(value) < 2**100


def power(frame: Frame, n: Node) -> bool:
    """Squares and roots by what is faster than a power."""
    (x,), exponent = n.args, n.attrs["exponent"]
    operand = frame.operand(x)
    out = frame.make_as(n, frame.table.read_in(operand))
    o = out.token
    lines = {
        2: [f"np.multiply({operand}, {operand}, out={o})"],
        0.5: [f"np.sqrt({operand}, out={o})"],
        -1: [f"np.reciprocal({operand}, out={o})"],
        -0.5: [f"np.sqrt({operand}, out={o})", f"np.reciprocal({o}, out={o})"],
        -2: [
            f"np.multiply({operand}, {operand}, out={o})",
            f"np.reciprocal({o}, out={o})",
        ],
    }.get(exponent)
    if lines is None or n.kind != "real":
        lines = [f"np.power({operand}, {number(exponent).text}, out={o})"]
    frame.emit(lines, out, frame.table.read_in(operand))
    frame.values[n] = out
    return True


def extremum(frame: Frame, n: Node) -> bool:
    """`maximum(x, 0)` of an array with zeros of its shape; otherwise the record's form."""
    if n.kind != "real":
        return False
    a, b = n.args
    for zero, x in ((a, b), (b, a)):
        core = zero
        while core.is_a("broadcast"):
            core = core.args[0]
        if not (core.is_a("zero") or (core.is_a("const") and core.attrs["value"] == 0)):
            continue
        operand = frame.operand(x)
        read = frame.table.read_in(operand)
        if read[0].shape != n.shape:
            continue
        out = frame.make_as(n, read)
        shape = core_of(out).shape if out.origin else n.shape
        zeros = frame.zeros(shape)
        if out.origin:
            zeros = frame.turned(zeros, out.origin[1])
        line = f"np.{n.op.name}({operand}, {zeros.token}, out={out.token})"
        frame.emit(line, out, read)
        frame.values[n] = out
        return True
    return elementwise(frame, n)


UFUNC = {"lt": "less", "le": "less_equal", "eq": "equal"}
TURNED = {"lt": "greater", "le": "greater_equal", "eq": "equal"}


def comparison(frame: Frame, n: Node) -> bool:
    """A comparison; one that only masks is held as 0 and 1 in reals, and may take the place
    of what it compares."""
    a, b = n.args
    readers = frame.users.get(n, [])
    mask = bool(readers) and all(
        (r.is_a("masked") and r.args[1] is n and r.args[0] is not n)
        or (r.is_a("cast") and r.kind == "real")
        for r in readers
    )
    mask = mask and n not in frame.destination and n not in frame.kept
    mask = mask and a.kind == "real"  # else NumPy converts the result in a buffer
    x, y = frame.operand(a), frame.operand(b)
    out = frame.make(n, "real" if mask else "bool")
    out.mask = mask
    name = UFUNC[n.op.name]
    if not frame.table.read_in(x)[0].shape:
        x, y, name = y, x, TURNED[n.op.name]
    over = frame.table.read_in(x + y)
    frame.emit(f"np.{name}({x}, {y}, out={out.token})", out, over)
    frame.values[n] = out
    return True


def masked(frame: Frame, n: Node) -> bool:
    """An adjoint times a mask of zeros and ones."""
    g = frame.operand(n.args[0])
    mask = fixed.mask_under(frame, n.args[1])
    if mask is None:
        c = frame.operand(n.args[1])
    else:
        base, *_ = frame.table.read_in(g)
        c = fixed.bounds(frame, mask, "1", "0", _by_columns(base)).token
    over = frame.table.read_in(g + c)
    out = frame.make_as(n, over)
    if over[-1].kind == "bool" and over[-1].shape == n.shape:
        # as numbers first: a product of two kinds goes through buffers of NumPy's own
        o = out.token
        frame.emit([f"np.copyto({o}, {c})", f"np.multiply({g}, {o}, out={o})"], out)
    else:
        frame.emit(f"np.multiply({g}, {c}, out={out.token})", out, over)
    frame.values[n] = out
    return True


def where(frame: Frame, n: Node) -> bool:
    """`b`, with `a` copied over it where the condition holds."""
    c, a, b = n.args
    if n.kind == "bool":
        return False
    mask = fixed.mask_under(frame, c)
    value = _number_under(b)
    if mask is not None and value is not None and _fixed_where(frame, n, mask, value):
        return True
    condition, first = frame.operand(c), frame.operand(a)
    if value is not None:  # no array of one number has to be read, however it lies
        out = frame.make(n)
        line = f"np.copyto({out.token}, {first}, where={condition})"
        frame.emit([f"{out.token}.fill({number(value).text})", line], out)
        frame.values[n] = out
        return True
    second = frame.operand(b)
    out = frame.make(n)
    (base,) = frame.table.read_in(second)
    line = f"np.copyto({out.token}, {first}, where={condition})"
    frame.emit(line, out, [base], base=base, reads=[base])
    frame.values[n] = out
    return True


def _fixed_where(frame: Frame, n: Node, mask: Node, value: float) -> bool:
    """`a`, with a number where a mask that the sizes decide does not hold."""
    a = n.args[1]
    first = frame.operand(a)
    (base,) = frame.table.read_in(first)
    if base.shape != n.shape:
        return False
    out = frame.make_as(n, [base])
    frame.values[n] = out
    if math.isinf(value) and n.kind == "real" and _of_products(a):
        name, opposite = ("minimum", "np.inf") if value < 0 else ("maximum", "-np.inf")
        inside = number(value).text
        bounds = fixed.bounds(frame, mask, opposite, inside, _by_columns(out))
        line = f"np.{name}({first}, {bounds.token}, out={out.token})"
        frame.emit(line, out, [base])
        return True
    outside = fixed.outside(frame, mask, _by_columns(out))
    zero = frame.number(value).token if n.kind == "real" else number(value).text
    line = f"np.copyto({out.token}, {zero}, where={outside.token})"
    frame.emit(line, out, [base], base=base, reads=[base])
    return True


def _by_columns(v: Value) -> bool:
    """Do its last two axes lie the other way round?"""
    return v.origin is not None and v.origin[1][-1] < v.origin[1][-2]


def _number_under(n: Node) -> float | None:
    """The number that `n` is everywhere."""
    while n.op.name == "broadcast":
        n = n.args[0]
    if n.op.name == "zero":
        return 0
    return n.attrs["value"] if n.op.name == "const" else None


def _of_products(n: Node) -> bool:
    """Is it a product of matrices, scaled or not? It is a number unless the data are none,
    so that no NaN has to be kept out."""
    while n.op.name in ("mul", "div", "neg", *LAYOUT):
        if n.op.name in ("mul", "div") and not (
            n.args[1].op.name == "broadcast" and not n.args[1].args[0].shape
        ):
            return False
        n = n.args[0]
    return n.is_a("einsum2")


def cast(frame: Frame, n: Node) -> bool:
    """Truth values or whole numbers as reals."""
    x = n.args[0]
    v = frame.value(x) if not x.is_a("broadcast") else None
    if v is not None and v.mask and n.kind == "real":
        frame.values[n] = v
        return True
    if n.kind != "real":
        return False
    out = frame.make(n)
    frame.emit(f"np.copyto({out.token}, {frame.operand(x)})", out)
    frame.values[n] = out
    return True


# ------------------------------------------------------------------------ layout
def concat(frame: Frame, n: Node) -> bool:
    """Parts beside one another; products lie there already."""
    whole = frame.wholes.get(n)
    if whole is not None:
        for k, a in enumerate(n.args):
            if (n, k) not in frame.written:
                part = layouts.part_of(frame, n, k)
                frame.emit(f"np.copyto({part.token}, {frame.operand(a)})", part)
        frame.values[n] = whole
        return True
    axis = n.attrs["axis"]
    parts = ", ".join(frame.value(a).token for a in n.args)
    out = frame.make(n)
    lone = "," if len(n.args) == 1 else ""
    frame.emit(f"np.concatenate(({parts}{lone}), axis={axis}, out={out.token})", out)
    frame.values[n] = out
    return True


def unslice(frame: Frame, n: Node) -> bool:
    """Zeros with a part set."""
    x = frame.operand(n.args[0])
    out = frame.make(n)
    inside = frame.index(n)
    frame.emit([f"{out.token}.fill(0)", f"{out.token}[{inside}] = {x}"], out)
    frame.values[n] = out
    return True


def slice_on(frame: Frame, n: Node) -> bool:
    """`base` with a part added to."""
    base, x = frame.value(n.args[0]), frame.operand(n.args[1])
    out = frame.make(n)
    sign = "-" if n.attrs["minus"] else "+"
    line = f"{out.token}[{frame.index(n)}] {sign}= {x}"
    frame.emit(line, out, [base], base=base, reads=[base])
    frame.values[n] = out
    return True


def cumsum(frame: Frame, n: Node) -> bool:
    """Running sums, from the end where `reverse` says so."""
    axis = n.attrs["axis"]
    x, out = frame.value(n.args[0]), frame.make(n)
    turn = ""
    if n.attrs["reverse"]:
        turn = "[" + ":, " * axis + "::-1]"
    line = f"np.cumsum({x.token}{turn}, axis={axis}, out={out.token}{turn})"
    frame.emit(line, out)
    frame.values[n] = out
    return True


def einsum2(frame: Frame, n: Node) -> bool:
    return products.product(frame, n)


FORMS: dict[str, Form] = {
    "einsum2": einsum2,
    "maximum": extremum,
    "minimum": extremum,
    "pow": power,
    "div": quotient,
    "lt": comparison,
    "le": comparison,
    "eq": comparison,
    "masked": masked,
    "where": where,
    "cast": cast,
    "concat": concat,
    "unslice": unslice,
    "slice_on": slice_on,
    "cumsum": cumsum,
    **sums.FORMS,
    **gathers.FORMS,
    **windows.FORMS,
}
SCALARS: dict[str, Form] = {"einsum2": products.scalar_product, **sums.SCALARS}
