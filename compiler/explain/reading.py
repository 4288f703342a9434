"""A DAG read as mathematics.

In: nodes, and which of them stand by name. Out: a `Formula` for each node that was asked
for. What a formula leaves out is decided here: a broadcast is invisible where the other
operand says the shape, kept axes where a reshape drops them again. What is left means the
same array by NumPy's rules, so the text can be read back.

    reading = read_all([adjoint], {W: "W", h: "h"}.get, Fresh(["W", "h"]))
    reading.formulas[adjoint]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gradc.records import record

from ..ir.dims import ONE, Dim, Shape, size
from ..ir.node import Node
from .axes import (
    attribute,
    axes_option,
    indexed,
    is_number,
    joined,
    new_axes,
    options,
    shown_shape,
    sizes_over,
    slices,
)
from .formula import (
    Apply,
    Binary,
    Formula,
    Index,
    Name,
    Not,
    Number,
    Size,
    minus,
    names_in,
    negated,
    over,
    plus,
    times,
    weight,
)
from .parts import Fresh, Named, Part, inner, shared
from .products import contraction, flipped, transposed


class Read(NamedTuple):
    """A formula and the shape that it has as it stands, before it is filled up."""

    formula: Formula
    shape: Shape


COMPARISONS = {"lt": "<", "le": "<=", "eq": "=="}
PROJECTIONS = frozenset({"last", "each", "total"})
SHORT = 2  # operations of what a loop reads at every step, to stand where it is read
REDUCTIONS = frozenset({"sum", "max", "any", "all", "logsumexp"})


@record
class Carry:
    """What a loop hands from step to step: where it starts, what each step makes of it."""

    name: str
    start: Formula
    after: Formula


@record
class LoopText:
    """A loop as text: its memory, what it reads at each step, what it computes there."""

    name: str  # loop1
    index: str
    steps: str
    reverse: bool
    carries: tuple[Carry, ...]
    slices: tuple[tuple[str, Formula], ...]  # x_t is entry t of …
    captures: tuple[tuple[str, Formula], ...]
    loops: tuple[LoopText, ...]
    lines: tuple[tuple[str, Formula], ...]  # in order; the carries change after them

    @property
    def reads(self) -> tuple[str, ...]:
        """The names that it speaks of, its own among them."""
        said = [f for _, f in (*self.slices, *self.captures, *self.lines)]
        said += [f for c in self.carries for f in (c.start, c.after)]
        inner = [name for loop in self.loops for name in loop.reads]
        return tuple(dict.fromkeys([n for f in said for n in names_in(f)] + inner))


@record(frozen=False)
class Reading:
    """Several nodes as formulas, with the parts and loops that these speak of."""

    formulas: dict[Node, Formula]
    parts: tuple[Part, ...]
    loops: tuple[LoopText, ...]


def read_all(
    roots: Iterable[Node],
    named: Named,
    fresh: Fresh,
    given: Callable[[Node], Read | None] | None = None,
) -> Reading:
    """Read some nodes. A root is read even if it has a name; below it, names end.

    `given`: what a leaf is, where that is short and so stands in place of a name.
    """
    wanted = list(dict.fromkeys(roots))
    needed = inner(wanted, named)
    parts = {n: fresh("t") for n in shared(needed, wanted, named)}

    def known(n: Node) -> str | None:
        return parts.get(n) or named(n)

    reader = Reader(known, fresh, given)
    reader.collect(needed)
    made = tuple(Part(name, n, reader.read(n)) for n, name in parts.items())
    formulas = {n: reader.read(n) for n in wanted}
    return Reading(formulas, made, tuple(reader.loops.values()))


class Reader:
    """Reads nodes; what was read once is remembered.

    `named` gives the name of a node that is printed by it. The node that is asked for is
    read even if it has one.
    """

    def __init__(
        self,
        named: Named,
        fresh: Fresh,
        given: Callable[[Node], Read | None] | None = None,
    ) -> None:
        self.named = named
        self.fresh = fresh
        self.given = given
        self.loops: dict[Node, LoopText] = {}
        self.collected: dict[Node, list[Node]] = {}  # loop -> body values read off it
        self.values: dict[tuple[Node, Node], str] = {}  # (loop, body value) -> its name
        self._known: dict[Node, Read] = {}

    def collect(self, nodes: Iterable[Node]) -> None:
        """Which values of the bodies of loops are read."""
        for n in nodes:
            if n.op.name in PROJECTIONS:
                found = self.collected.setdefault(n.args[0], [])
                if "value" in n.attrs and n.attrs["value"] not in found:
                    found.append(n.attrs["value"])

    def read(self, node: Node) -> Formula:
        """What a node is, in terms of what has a name."""
        for n in inner([node], self.named):
            if n is node or n in self._known:
                continue
            self._known[n] = self._node(n)
        return self.exact(self._node(node), node)

    def _arg(self, n: Node) -> Read:
        name = self.named(n)
        if name is not None:
            return Read(Name(name, len(n.shape)), n.shape)
        return self._known[n]

    # ------------------------------------------------------------------ shapes
    def exact(self, read: Read, node: Node) -> Formula:
        """The formula, filled to the shape of its node where something depends on that."""
        if read.shape == node.shape:
            return read.formula
        shape = (("shape", shown_shape(node.shape)),)
        return Apply("broadcast", (read.formula,), shape, len(node.shape))

    def _full(self, n: Node) -> Formula:
        return self.exact(self._arg(n), n)

    # ------------------------------------------------------------------ nodes
    def _node(self, n: Node) -> Read:
        if n.op.family == "elementwise" or n.op.name == "masked":
            return self._elementwise(n)
        if not n.args:
            return self._leaf(n)
        if n.op.name == "broadcast":
            return self._arg(n.args[0])
        if n.op.family == "tuple":
            if n not in self.loops:
                self.loops[n] = self._loop(n)
            return Read(Name(self.loops[n].name), ())
        formula = self._shaped(n)
        return Read(formula, n.shape)

    def _leaf(self, n: Node) -> Read:
        given = self.given(n) if self.given is not None else None
        if given is not None:
            return given
        match n.op.name:
            case "const":
                name = str(n.attrs.get("name") or "")
                return Read(Number(n.attrs["value"], name), ())
            case "size":
                return Read(Size(str(n.attrs["dim"])), ())
            case "zero":
                return Read(Number(0), ())
            case "iota":
                options = (("steps", str(n.shape[0])),)
                return Read(Apply("iota", (), options, 1), n.shape)
        return Read(Name(str(n.attrs.get("name", n.op.name)), len(n.shape)), n.shape)

    def _elementwise(self, n: Node) -> Read:
        reads = [self._arg(a) for a in n.args]
        shape: Shape = ()
        for r in reads:
            shape = joined(shape, r.shape)
        fs = [r.formula for r in reads]
        return Read(self._combined(n, fs, len(shape)), shape)

    def _combined(self, n: Node, fs: list[Formula], rank: int) -> Formula:
        match n.op.name:
            case "add":
                return plus(*fs)
            case "sub":
                return minus(*fs)
            case "mul":
                return times(*fs)
            case "div":
                return self._mean(n, rank) or over(*fs)
            case "neg":
                return negated(fs[0])
            case "pow":
                return Binary("^", fs[0], Number(n.attrs["exponent"]))
            case "power":
                return Binary("^", *fs)
            case "lt" | "le" | "eq":
                return comparison(COMPARISONS[n.op.name], *fs)
            case "and" | "or":
                return Binary(n.op.name, *fs)
            case "not":
                return Not(fs[0])
            case "maximum" | "minimum":
                if n.op.name == "maximum" and Number(0) in fs:
                    other = fs[0] if fs[1] == Number(0) else fs[1]
                    return Apply("relu", (other,), (), rank)
                return Apply(
                    {"maximum": "max"}.get(n.op.name, "min"), tuple(fs), (), rank
                )
            case "cast" | "drawn":
                kind = n.attrs.get("kind", "real")
                if n.op.name == "drawn" or kind == "real":
                    return fs[0]
                return Apply("cast", tuple(fs), (("kind", repr(kind)),), rank)
            case "masked":
                return Apply("where", (fs[1], fs[0], Number(0)), (), rank)
        return Apply(n.op.name, tuple(fs), options(n), rank)

    def _mean(self, n: Node, rank: int) -> Formula | None:
        """A sum over its number of entries."""
        total, count = n.args
        while count.op.name == "broadcast":
            count = count.args[0]
        if self.named(total) is not None:
            return None
        said = self._arg(total).formula
        while total.op.name in ("reshape", "broadcast"):
            total = total.args[0]
            if self.named(total) is not None:
                return None
        if total.op.name != "sum" or not isinstance(said, Apply):
            return None
        entries = size([total.args[0].shape[i] for i in total.attrs["axes"]])
        if count.op.name == "size":
            known = count.attrs["dim"]
        elif count.op.name == "const" and isinstance(count.attrs["value"], int):
            known = Dim.of(count.attrs["value"])
        else:
            return None
        if said.function != "sum" or known != entries:
            return None
        return Apply("mean", said.args, said.options, rank, said.over)

    def _shaped(self, n: Node) -> Formula:
        match n.op.name:
            case "last":
                loop = self._arg(n.args[0]).formula
                assert isinstance(loop, Name)
                carry = self.loops[n.args[0]].carries[n.attrs["index"]]
                inside = (loop, Name(carry.name, len(n.shape)))
                return Apply("last", inside, (), len(n.shape))
            case "each" | "total":
                loop = self._arg(n.args[0]).formula
                value = n.attrs["value"]
                name = Name(self.values[n.args[0], value], len(value.shape))
                return Apply(n.op.name, (loop, name), (), len(n.shape))
            case "einsum2":
                return contraction(
                    self._full(n.args[0]), self._full(n.args[1]), n.attrs["spec"]
                )
            case "sum" | "max" | "any" | "all" | "logsumexp" | "softmax":
                return self._reduction(n)
            case "reshape":
                return self._reshape(n)
            case "transpose":
                return transposed(self._full(n.args[0]), n.attrs["perm"])
            case "unslice" if all(is_number(d, 1) for d in n.attrs["steps"]):
                return self._padded(n)
            case "slice":
                return Index(self._full(n.args[0]), slices(n), len(n.shape))
            case "take":
                axis = n.attrs["axis"]
                x, index = self._full(n.args[0]), self._full(n.args[1])
                parts: list[str | Formula] = [":"] * len(n.args[0].shape)
                parts[axis] = index
                while parts[-1] == ":":
                    parts.pop()
                return Index(x, tuple(parts), len(n.shape))
            case "one_hot":
                size = (("size", str(n.shape[-1])),)
                return Apply("one_hot", (self._full(n.args[0]),), size, len(n.shape))
            case "put":
                size = (("size", str(n.shape[-1])),)
                args = tuple(self._full(a) for a in n.args)
                return Apply("put", args, size, len(n.shape))
        args = tuple(self._full(a) for a in n.args)
        return Apply(n.op.name, args, options(n), len(n.shape))

    def _padded(self, n: Node) -> Formula:
        """Zeros around an array: how many before and behind it, axis by axis."""
        before = n.attrs["starts"]
        behind = [
            whole - stop for whole, stop in zip(n.shape, n.attrs["stops"], strict=True)
        ]
        said = (
            ("before", attribute(tuple(before))),
            ("behind", attribute(tuple(behind))),
        )
        return Apply("pad", (self._full(n.args[0]),), said, len(n.shape))

    def _reduction(self, n: Node) -> Formula:
        x = n.args[0]
        axes: Sequence[int] = n.attrs["axes"]
        options = axes_option(axes)
        if n.op.name == "softmax":
            options = () if axes == (len(x.shape) - 1,) else options
            return Apply("softmax", (self._full(x),), options, len(n.shape))
        options += (("keep", "true"),)
        over = sizes_over(axes, x.shape)
        return Apply(n.op.name, (self._full(x),), options, len(n.shape), over)

    def _reshape(self, n: Node) -> Formula:
        x = n.args[0]
        if x.op.name in REDUCTIONS and self.named(x) is None:
            axes = tuple(x.attrs["axes"])
            left = tuple(d for i, d in enumerate(x.shape) if i not in axes)
            if left == n.shape:
                made = self._dropped(x, axes)
                assert made is not None
                return made
        if len(x.shape) == 2 and n.shape == x.shape[::-1] and ONE in n.shape:
            return flipped(self._full(x))
        parts = new_axes(x.shape, n.shape)
        if parts is not None and "*" not in parts:
            axes = tuple(i for i, p in enumerate(parts) if p == "0")
            made = self._dropped(x, axes)
            if made is not None:
                return made
        if parts is not None:
            return indexed(self._full(x), parts, len(n.shape))
        shape = (("shape", shown_shape(n.shape)),)
        return Apply("reshape", (self._full(x),), shape, len(n.shape))

    def _dropped(self, n: Node, axes: tuple[int, ...]) -> Formula | None:
        """The node without these axes, which have size 1; None where it needs a text."""
        if self.named(n) is not None:
            return None
        if all(d == ONE for d in n.shape) and not self._arg(n).shape:
            return self._arg(n).formula
        rank = len(n.shape) - len(axes)
        if n.op.name in REDUCTIONS and tuple(n.attrs["axes"]) == axes:
            every = len(axes) == len(n.shape)
            options = () if every else axes_option(axes)
            over = sizes_over(axes, n.args[0].shape)
            return Apply(n.op.name, (self._full(n.args[0]),), options, rank, over)
        if n.op.name in ("argmax",) and (n.attrs["axis"],) == axes:
            options = (("axis", str(axes[0])),)
            return Apply("argmax", (self._full(n.args[0]),), options, rank)
        if n.op.name == "broadcast" and not n.args[0].shape:
            return self._arg(n.args[0]).formula
        if n.op.name in ("add", "sub", "mul", "div", "neg", "log", "exp", "sqrt"):
            inside = [self._dropped(a, axes) for a in n.args]
            if any(f is None for f in inside):
                return None
            fs = [f for f in inside if f is not None]
            if n.op.name == "div":
                mean = self._mean_of(n, fs[0])
                if mean is not None:
                    return mean
            return self._combined(n, fs, rank)
        return None

    def _mean_of(self, n: Node, said: Formula) -> Formula | None:
        """`mean(x)`, where the sum above has lost its axes."""
        made = self._mean(n, 0)
        if (
            isinstance(made, Apply)
            and isinstance(said, Apply)
            and said.function == "sum"
        ):
            return Apply("mean", said.args, said.options, said.rank, said.over)
        return None

    # ------------------------------------------------------------------ loops
    def _loop(self, loop: Node) -> LoopText:
        """The loop; the values of its body that are read off it get a name each."""
        n, m = loop.attrs["carries"], loop.attrs["sequences"]
        index, names = loop.graph.loops.get(loop, ("", ()))
        fresh = self.fresh
        outer = [self._full(a) for a in loop.args]
        own: dict[tuple[str, int], str] = {}
        for k in range(n):
            wanted = names[k] if k < len(names) else ""
            wanted = re.sub(r"\W", "_", wanted)
            own["carry", k] = fresh(f"{wanted}_t", bare=True) if wanted else fresh("c")
        slices, captures = [], []
        inline: dict[int, Read] = {}
        for k, f in enumerate(outer[n : n + m]):
            base = f"{f.text}_t" if isinstance(f, Name) else ""
            own["slice", k] = fresh(base, bare=True) if base else fresh("e")
            slices.append((own["slice", k], f))
        for k, f in enumerate(outer[n + m :]):
            read = self._arg(loop.args[n + m + k])
            if weight(read.formula) <= SHORT:
                inline[k] = read
                continue
            own["capture", k] = fresh("k")
            captures.append((own["capture", k], f))

        def named(x: Node) -> str | None:
            if x.op.name != "formal":
                return None
            return own.get((x.attrs["role"], x.attrs["index"]))

        def known(x: Node) -> Read | None:
            if x.op.name == "formal" and x.attrs["role"] == "capture":
                return inline.get(x.attrs["index"])
            return None

        values = self.collected.get(loop, [])
        roots = [*loop.attrs["body"], *values]
        said_ = [r for r in roots if r.op.name != "formal"]
        reading = read_all(said_, named, fresh, known)
        lines = [(p.name, p.formula) for p in reading.parts]
        said = {p.node: p.name for p in reading.parts}
        for v in values:
            name = named(v) or said.get(v)
            if name is None:
                name = fresh("v")
                lines.append((name, reading.formulas[v]))
            self.values[loop, v] = name
        carries = []
        for k, after in enumerate(loop.attrs["body"]):
            text = said.get(after) or named(after) or self.values.get((loop, after))
            formula = Name(text, len(after.shape)) if text else reading.formulas[after]
            carries.append(Carry(own["carry", k], outer[k], formula))
        return LoopText(
            fresh("loop"),
            index or "t",
            str(loop.attrs["steps"]),
            bool(loop.attrs["reverse"]),
            tuple(carries),
            tuple(slices),
            tuple(captures),
            reading.loops,
            tuple(lines),
        )


# ------------------------------------------------------------------------ notation
def comparison(sign: str, a: Formula, b: Formula) -> Formula:
    """`h > 0` reads better than `0 < h`."""
    if isinstance(a, Number) and sign in ("<", "<="):
        return Binary(sign.replace("<", ">"), b, a)
    return Binary(sign, a, b)
