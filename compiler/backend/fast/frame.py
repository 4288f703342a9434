"""One function, or one step of a loop, as instructions on values.

In: scheduled nodes, one a line. Out: a list of `Instruction`s, in the same order, whose text
names values by tokens. A node's value is a whole array of the plan, a view of one, or a
Python name (a number, or what came in). Which instructions an op becomes stands in
`forms.py`; what this module knows is what is common to all of them: operands, views,
constants, results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...ir.dims import ONE, Dim, Shape, as_shape, size
from ...ir.node import Node
from ...ir.op import Kind
from ...ops.layout import inverse
from ...ops.slices import index_text
from ..expressions import BOOL, REAL, WEAK, Expressions
from ..expressions import Value as Expression
from ..memory import Storage
from ..plan import Function
from ..pyast import Expr, name, number, template
from ..views import ATOMS, Views
from . import fixed
from .reshapes import moved
from .values import LINE, Instruction, Root, Table, Value

if TYPE_CHECKING:
    from .build import Unit
    from .layouts import Reading

EXTERNAL = ("input", "param", "state", "noise")
NUMBERS = {0: "zero", 1: "one", 2: "two", 0.5: "half", -1: "minus_one"}


class Lines(Expressions):
    """Expressions of -O1 inside of a frame: its values stand there by their tokens."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(
            frame.unit.scope,
            frame.views,
            frame.f,
            lambda n: frame.value(n).token,
            lambda: frame.number(0).token,
        )
        self.frame = frame

    def value(self, n: Node, top: bool = False) -> Expression:
        if n.op.name == "formal" or (not top and n in self.frame.values):
            v = self.frame.value(n)
            kind = BOOL if v.kind == "bool" else v.kind
            dtype = self.dtypes.get(n, kind)
            return Expression(name(v.token), n.shape, dtype)
        return super().value(n, top)


class Frame:
    """What one function, or one step, has computed so far."""

    def __init__(self, unit: Unit, f: Function, views: Views, function: str) -> None:
        self.unit, self.f, self.views, self.function = unit, f, views, function
        self.table: Table = unit.table
        self.values: dict[Node, Value] = {}
        self.instructions: list[Instruction] = []
        self.destination: dict[Node, Value] = {}  # node -> where it is to be computed
        self.equation = -1
        self.at: Node | None = None  # the line that is being written
        self.out = Lines(self)
        self.users: dict[Node, list[Node]] = {}
        self._squares: set[Node] | None = None
        self.kept: set[Node] = set()  # read after this function
        self.places: dict[tuple[object, ...], Value] = {}
        self.turned_copies: dict[tuple[Root, str], Value] = {}  # for steps of loops
        self.readings: dict[Node, list[Reading]] | None = None  # of products
        self.wholes: dict[Node, Value] = {}  # arrays that are put together, begun
        self.written: set[tuple[Node, int]] = set()  # their parts that lie there
        for n in f.computed:
            source = n.args[0] if n in views.folded else n
            for a in dict.fromkeys(source.args):
                self.users.setdefault(a, []).append(n)

    # ------------------------------------------------------------------ instructions
    def emit(
        self,
        lines: str | Sequence[str],
        out: Value | None = None,
        over: Sequence[Value] = (),
        **more: Any,
    ) -> Instruction:
        """Write an instruction. `over`: values whose place the result may take."""
        lines = [lines] if isinstance(lines, str) else list(lines)
        read = self.table.read_in("".join(lines))
        fit = [
            self._home(v)
            for v in over
            if out is not None
            and same_layout(v, out)
            and all(same_layout(r, v) for r in read if r.root is v.root)
        ]
        base = more.get("base")
        if base is not None and out is not None:
            more["copy"] = f"np.copyto({out.token}, {base.token})"
            more["base"] = self._home(base) if same_layout(base, out) else base
        made = Instruction(
            self.function,
            self.equation,
            self.at,
            lines,
            None if out is None else core_of(out),
            fit,
            **more,
        )
        self.instructions.append(made)
        return made

    def _home(self, v: Value) -> Value:
        """All of the array that a value is a view of."""
        core = core_of(v)
        return self.table.whole(v.root) if all_of(core) and not core.whole else core

    def new(self, shape: Shape, kind: Kind = "real", wish: str = "") -> Value:
        """An array of the plan that no node is named after."""
        root = Root(
            kind, shape, Storage(size(shape), kind), wish=wish, function=self.function
        )
        return self.table.whole(root)

    def new_spaced(self, shape: Shape, wish: str = "", n: Node | None = None) -> Value:
        """The same for rows that BLAS reads side by side: see `LINE`."""
        storage = Storage(shape[0] * (size(shape[1:]) + LINE), "real")
        root = Root("real", shape, storage, wish=wish, node=n, function=self.function)
        root.spaced = True
        return self.table.whole(root)

    def make(self, n: Node, kind: Kind | None = None) -> Value:
        """Where the value of `n` is to be computed: a gradient, or an array of the plan."""
        wanted = self.destination.get(n)
        if wanted is not None:
            return wanted
        order = self.unit.orders.get(n)
        if order is not None:
            return self.laid_out(n, inverse(order), kind)
        return self._array(n, n.shape, kind)

    def make_flat(self, n: Node) -> Value:
        """`make`, lying in the order of the axes: for what is written by another shape, which
        of a turned array would be one of a copy. Where it is wanted elsewhere, it is copied
        there afterwards."""
        wanted = self.destination.get(n)
        if wanted is not None and wanted.contiguous:
            return wanted
        return self._array(n, n.shape, None)

    def _array(self, n: Node, shape: Shape, kind: Kind | None) -> Value:
        """An array of the plan that `n` is the value of, or is copied from to its place."""
        kind = kind or n.kind
        if n in self.destination:
            return self.new(shape, kind, "laid_out")
        storage = Storage(size(shape), kind)
        root = Root(kind, shape, storage, node=n, function=self.function)
        return self.table.whole(root)

    def make_as(self, n: Node, operands: Sequence[Value]) -> Value:
        """`make`, with the axes lying in memory as they do in the operands."""
        full = [v for v in operands if v.shape == n.shape]
        perms = {v.origin[1] for v in full if v.origin is not None}
        known = n in self.destination or n in self.unit.orders
        if known or len(perms) != 1 or any(v.contiguous for v in full):
            return self.make(n)
        return self.laid_out(n, perms.pop())

    def laid_out(
        self, n: Node, perm: tuple[int, ...], kind: Kind | None = None
    ) -> Value:
        """An array for `n` whose axes lie in another order: axis i is axis perm[i] of it."""
        lying = tuple(n.shape[i] for i in inverse(perm))
        return self.turned(self._array(n, lying, kind), perm)

    def local(self, n: Node, text: str, dtype: str = REAL) -> Value:
        """A Python name for a number; a number that is wanted in some place goes there."""
        wanted = self.destination.get(n)
        if wanted is not None:
            self.emit(f"{wanted.token}[...] = {text}", wanted)
            return wanted
        marked = self.name(n)
        v = self.table.value(
            Root(n.kind, n.shape, local=marked, node=n, function=self.function),
            n.shape,
            n.kind,
        )
        self.out.dtypes[n] = dtype
        self.emit(f"{v.token} = {text}", None, writes=[v])
        return v

    def name(self, n: Node) -> str:
        return self.unit.names.name(n, self.function == "backward")

    def text(self, shape: Sequence[Dim]) -> str:
        """The sizes of a shape, as arguments."""
        return ", ".join(self.out.dim(d).text for d in shape)

    def index(self, n: Node) -> str:
        """What stands in brackets where a part of `n` is written."""
        text, given = index_text(n.shape, n.attrs)
        holes = {"x": Expr("x")} | {k: self.out._attribute(d) for k, d in given.items()}
        return template(f"{{x}}[{text}]").fill(holes).text[2:-1]

    @property
    def squares(self) -> set[Node]:
        """Products that are summed to one number at once, and never stand anywhere."""
        if self._squares is None:
            self._squares = {n for n in self.f.computed if self._summed_square(n)}
        return self._squares

    def _summed_square(self, n: Node) -> bool:
        if n.kind != "real" or not n.shape or n in self.kept or n in self.f.bound:
            return False
        if not (n.is_a("mul") or (n.is_a("pow") and n.attrs["exponent"] == 2)):
            return False
        if any(self._spread_number(a) for a in n.args):
            return False
        users = self.users.get(n, ())
        readers = [r.args[0] if r in self.views.folded else r for r in users]
        if any(r.shape for r in users):
            return False
        return bool(readers) and all(
            r.is_a("sum", "sum_over", "mean_over")
            and len(r.attrs["axes"]) == len(n.shape)
            and r.kind == "real"
            for r in readers
        )

    @staticmethod
    def _spread_number(n: Node) -> bool:
        return n.is_a("broadcast")

    def comes_checked(self, index: Node, among: Dim) -> bool:
        """Is this index checked outside of the loop around?"""
        return False

    def for_steps(self, second: Value) -> Value:
        """The second operand of a product: in a loop, a turned matrix from outside is copied
        once, since BLAS is slow with few rows and a turned one."""
        return second

    # ------------------------------------------------------------------ constants
    def number(self, value: float, shown: str = "") -> Value:
        """A number as an array of no axes: what NumPy reads fastest."""
        if value in NUMBERS:
            wish = NUMBERS[value]
        else:
            wish = shown if shown.isidentifier() else "number"
        text = shown or number(value).text
        made = f"np.array({text}, dtype)"
        return self.table.constant(("number", text), "real", (), made, wish)

    def ones(self, count: Dim) -> Value:
        made = f"np.ones({self.out.dim(count).text}, dtype)"
        return self.table.constant(("ones", count), "real", (count,), made, "ones")

    def zeros(self, shape: Shape) -> Value:
        """Zeros to compare with, of full shape: `maximum` is slow with a single number."""
        v = self.table.constant(("zeros", shape), "real", shape, "0", "zeros")
        v.root.zeros = True
        return v

    def filled(self, shape: Shape, text: str, kind: Kind = "real") -> Value:
        """A number in every place."""
        dtype = {"real": "dtype", "int": "np.intp", "bool": "np.bool_"}[kind]
        inside = self.out.shape(shape).text
        made = f"np.full({inside}, {text}, {dtype})"
        return self.table.constant(
            ("full", shape, text, kind), kind, shape, made, "full"
        )

    # ------------------------------------------------------------------ values
    def value(self, n: Node) -> Value:
        """The value of `n` in its whole shape; a view of it is made where it is asked for."""
        known = self.values.get(n)
        if known is None:
            known = self.values[n] = self._value(n)
        return known

    def _value(self, n: Node) -> Value:
        found = self.outside(n)
        if found is not None:
            return found
        if fixed.is_fixed(self, n):
            return fixed.constant(self, n)
        match n.op.name:
            case "stop" | "drawn":
                return self.value(n.args[0])
            case "reshape" if n not in self.views.folded:
                return self.reshaped(self.value(n.args[0]), n.shape, n)
            case "transpose":
                return self.turned(self.value(n.args[0]), n.attrs["perm"])
            case "slice":
                return self.part(n)
            case "broadcast":
                return self._spread(n)
            case "windows":
                return self._windows(n)
        if n.op.name in ATOMS or self.views.trivial(n):
            return self._atom(n)
        if self.views.is_view(n):  # a cast
            self.unit.define(self, n)
            return self.values[n]
        raise KeyError(f"{n} was not computed in {self.function}")

    def outside(self, n: Node) -> Value | None:
        """What comes into the function: an argument, or a value of another function."""
        if n.op.name in EXTERNAL or n.op.name == "seed":
            local = "d_loss" if n.op.name == "seed" else self.unit.names.of[n]
            root = Root(n.kind, n.shape, local=local, node=n, function="outside")
            return self.table.whole(root)
        return self.unit.saved_value(self, n) if n in self.f.at_hand else None

    def _atom(self, n: Node) -> Value:
        """Numbers, sizes, places: constants of the module, or text."""
        if n.op.name == "iota":
            axis = n.attrs["axis"]
            wide = size(n.shape)
            dtype = ", dtype" if n.kind == "real" else ""
            made = f"np.arange({self.out.dim(n.shape[axis]).text}{dtype})"
            if n.shape[axis] != wide:
                made = self.out.full(n, top=True).expr.text
                made = f"np.array({made})"
            elif len(n.shape) > 1:
                made += f".reshape({self.text(n.shape)})"
            key = ("iota", n.shape, axis, n.kind)
            return self.table.constant(key, n.kind, n.shape, made, "places")
        if n.shape:  # a structural zero
            return self.filled(n.shape, "0", n.kind)
        found = self.out.value(n, top=True)
        root = Root(n.kind, (), local=found.expr.within(12), function="text")
        self.out.dtypes[n] = found.dtype
        return self.table.whole(root)

    def _spread(self, n: Node) -> Value:
        """A broadcast in its whole shape: where an op needs one."""
        core = n
        while core.op.name in ("broadcast", "reshape") and core.args:
            core = core.args[0]
        if core.op.name in ("const", "size", "zero") and core.op.name != "zero":
            return self.filled(n.shape, self.out.value(core).expr.text, n.kind)
        if core.op.name == "zero":
            return self.filled(n.shape, "0", n.kind)
        out = self.make(n)
        self.emit(f"np.copyto({out.token}, {self.operand(n.args[0])})", out)
        return out

    def operand(self, n: Node) -> str:
        """What stands in an elementwise call: NumPy broadcasts what the node says it does."""
        while n.op.name in ("broadcast", "stop", "drawn") and n not in self.values:
            if n.op.name == "broadcast" and n in self.f.lines:
                break
            n = n.args[0]
        if not n.shape and n not in self.values and n not in self.f.at_hand:
            if self.views.trivial(n):
                return self.scalar(n)
            if n.op.name == "reshape":
                return self.operand(n.args[0])
        if n.op.name == "reshape" and all(d == ONE for d in n.shape):
            inner = n.args[0]
            if not inner.shape and n not in self.values and n not in self.f.lines:
                return self.operand(inner)
        return self.value(n).token

    def scalar(self, n: Node) -> str:
        """Arithmetic of sizes, constants and `d_loss`, as an array of no axes."""
        if n.kind != "real":
            return self.value(n).token
        if n.op.name == "zero":
            return self.number(0).token
        if n.op.name == "const":
            text = self.out.value(n).expr.text
            value = n.attrs["value"]
            if value in NUMBERS and not n.attrs.get("name"):
                return self.number(value).token
            return self.number(float("nan"), text).token
        return self.unit.scale(self, n)

    # ------------------------------------------------------------------ views
    def reshaped(self, v: Value, shape: Shape, n: Node | None = None) -> Value:
        """`v` in another shape: a view where its memory allows, else a copy."""
        if v.shape == shape:
            return v
        if not v.contiguous:
            turned = self._reshaped_turned(v, shape)
            if turned is not None:
                return turned
            index = index_of_ones(v.shape, shape)
            if index is not None:
                return self.table.view(v, f"{{}}[{index}]", shape)
            if splits(v.shape, shape):
                return self.table.view(v, f"{{}}.reshape({self.text(shape)})", shape)
            v = self.copied(v, n)
        if v.root.spaced and not v.root.keeps_rows(shape):
            copy = self.new(v.shape, v.kind, "laid_out")
            self.emit(f"np.copyto({copy.token}, {v.token})", copy)
            v = copy
        if not v.shape and not v.root.storage:  # a number
            copy = self.new(shape, v.kind, "cell")
            self.emit(f"{copy.token}[...] = {v.token}", copy)
            return copy
        inside = self.text(shape) or "()"
        return self.table.view(v, f"{{}}.reshape({inside})", shape, contiguous=True)

    def _reshaped_turned(self, v: Value, shape: Shape) -> Value | None:
        """A turned value in another shape, turned likewise; None where that is to be copied.

        What is turned so that a batch comes last keeps it last in the copy.
        """
        if v.origin is None:
            return None
        core, perm = v.origin
        order = moved(v.shape, shape, inverse(perm))
        if order is None:
            last = perm[0] == len(perm) - 1 and v.shape[0] == shape[0]
            if not last or len(shape) < 2:
                return None
            rest = tuple(range(1, len(perm)))
            copy = self.new((*v.shape[1:], v.shape[0]), v.kind, "laid_out")
            self.emit(
                f"np.copyto({copy.token}, {self.turned(v, (*rest, 0)).token})", copy
            )
            core, order = copy, (*range(1, len(shape)), 0)
        whole = self.reshaped(core, tuple(shape[i] for i in order))
        return self.turned(whole, inverse(order))

    def flat(self, v: Value) -> Value:
        return self.reshaped(v, (size(v.shape),))

    def rows(self, v: Value) -> Value:
        """All but the last axis in one."""
        if len(v.shape) == 2:
            return v
        return self.reshaped(v, (size(v.shape[:-1]), *v.shape[-1:]))

    def copied(self, v: Value, n: Node | None = None) -> Value:
        """The same values, lying in the order of the axes."""
        if v.contiguous:
            return v
        copy = self.new(v.shape, v.kind, "laid_out")
        self.emit(f"np.copyto({copy.token}, {v.token})", copy)
        copy.mask = v.mask
        return copy

    def turned(self, v: Value, perm: Sequence[int]) -> Value:
        perm = tuple(perm)
        rank = len(perm)
        if perm == tuple(range(rank)):
            return v
        shape = tuple(v.shape[p] for p in perm)
        core, before = v.origin or (
            (v, tuple(range(rank))) if v.contiguous else (None, ())
        )
        if core is not None:
            perm = tuple(before[p] for p in perm)
            if perm == tuple(range(rank)):
                return core
            v = core
        moved = [i for i in range(rank) if perm[i] != i]
        if perm == tuple(reversed(range(rank))):
            how = "{}.T"
        elif len(moved) == 2:
            how = f"{{}}.swapaxes({moved[0]}, {moved[1]})"
        else:
            how = f"{{}}.transpose({', '.join(map(str, perm))})"
        origin = (core, perm) if core is not None else None
        return self.table.view(v, how, shape, origin=origin)

    def part(self, n: Node) -> Value:
        """A slice."""
        v = self.value(n.args[0])
        full = tuple(
            s == 1 and a == Dim.of(0) and b == d
            for a, b, s, d in zip(
                as_shape(n.attrs["starts"]),
                as_shape(n.attrs["stops"]),
                n.attrs["steps"],
                v.shape,
                strict=True,
            )
        )
        contiguous = v.contiguous and all(full[1:]) and n.attrs["steps"][0] == 1
        return self._by_template(n, contiguous)

    def _windows(self, n: Node) -> Value:
        """Windows are taken of an image as it is to lie: of the data in a copy."""
        x = n.args[0]
        v, order = self.value(x), self.unit.orders.get(n)
        if order is not None and v.contiguous:
            perm = inverse([i for i in order if i < len(x.shape)])
            lying = tuple(x.shape[i] for i in inverse(perm))
            copy = self.turned(self.new(lying, x.kind, "image"), perm)
            self.emit(f"np.copyto({copy.token}, {v.token})", copy)
            self.values[x] = copy
        return self._by_template(n)

    def _by_template(self, n: Node, contiguous: bool = False) -> Value:
        """A view by the template of its record."""
        v = self.value(n.args[0])
        text, given = self.out.chosen(n)
        made = template(text)
        holes = {n.op.args[0]: Expr("{}")}
        for key in made.reads:
            if key not in holes:
                if key in given:
                    holes[key] = self.out._attribute(given[key])
                else:
                    holes[key] = self.out._described(n, key, [])
        return self.table.view(v, made.fill(holes).text, n.shape, contiguous)


def core_of(v: Value) -> Value:
    """The array that a turned value is a view of, all of it; else the value itself."""
    return v.origin[0] if v.origin is not None and all_of(v.origin[0]) else v


def same_layout(a: Value, b: Value) -> bool:
    """Are both whole arrays of one shape and kind, whose axes lie in the same order?"""
    x, y = (v.origin[0] if v.origin is not None else v for v in (a, b))
    turned = (a.origin and a.origin[1]) == (b.origin and b.origin[1])
    return (
        not (x.root.spaced or y.root.spaced)
        and all_of(x)
        and (all_of(y) or y.root.entry)
        and turned
        and a.shape == b.shape
        and x.kind == y.kind
    )


def all_of(v: Value) -> bool:
    """Is it a whole array of the plan, in its own shape or in another one?"""
    if v.whole:
        return True
    root = v.root
    plain = v.contiguous and root.storage is not None and not root.entry
    return plain and size(v.shape) == size(root.shape)


def index_of_ones(old: Shape, new: Shape) -> str | None:
    """`:, None, 0`: the index that puts axes of size 1 in, or takes them out; else None."""
    parts: list[str] = []
    i = j = 0
    while i < len(old) or j < len(new):
        if i < len(old) and j < len(new) and old[i] == new[j]:
            parts.append(":")
            i, j = i + 1, j + 1
        elif j < len(new) and new[j] == ONE:
            parts.append("None")
            j += 1
        elif i < len(old) and old[i] == ONE:
            parts.append("0")
            i += 1
        else:
            return None
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts) or None


def splits(old: Shape, new: Shape) -> bool:
    """Is `new` the same with some axes cut in parts? That is a view, however they lie."""
    j = 0
    for d in old:
        if j == len(new):
            return False
        product = new[j]
        j += 1
        while product != d and j < len(new):
            product = product * new[j]
            j += 1
        if product != d:
            return False
    return j == len(new)


Form = Callable[["Frame", Node], bool]


__all__ = ["EXTERNAL", "REAL", "WEAK", "Form", "Frame", "Lines"]
