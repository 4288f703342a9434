"""A run-time loop on planned buffers.

In: a loop of a scheduled function. Out: one instruction with a body. The states of a carry
that anybody collects are one array of T + 1 entries: a step reads entry t and writes entry
t + 1. A carry that nobody collects is one array, changed at every step. What is collected
is written where it stays, once: what is computed on the way has an array of its own, which
stays in the nearest cache. `buffers` makes the lists of the steps' views, so that a step is

    for h_before, a, h in zip(h_before_steps, a_steps, h_steps):
        np.dot(h_before, Wh, out=z)
        np.add(z, a, out=z)
        np.tanh(z, out=h)

For the plan a loop is one instruction: what it touches outside lives for all of it.
"""

from __future__ import annotations

from typing import Any

from gradc.records import record

from ...ir.dims import Dim, Shape
from ...ir.node import Node
from ...ir.op import Kind
from ..bodies import Body, sequence_core
from ..expressions import WEAK
from . import first_step, forms, gathers
from .frame import Frame
from .values import Instruction, Root, Value

STRIDE = 128
"""Numbers of a row, and multiples of it, by which columns meet few sets of a cache."""
LINE = 16
"""Numbers by which such rows are set apart: a cache line."""


@record(frozen=False)
class Entry:
    """A variable of the loop and what it goes over: entries of an array, or another text."""

    name: str
    over: str
    root: Root | None = None
    array: Value | None = None


def write_loop(frame: Frame, loop: Node) -> None:
    """Write the loop, and give its projections their values."""
    Loop(frame, frame.f.bodies[loop]).write()


class StepFrame(Frame):
    """One step of a loop: formals stand for entries of arrays, carries, values outside."""

    def __init__(self, loop: Loop) -> None:
        outer = loop.outer
        super().__init__(
            outer.unit, loop.body.function, loop.body.views, outer.function
        )
        self.of_loop = loop
        self.equation = outer.equation
        self.depth: int = getattr(outer, "depth", 0) + 1
        self.given: dict[str, Value] = {}

    def _value(self, n: Node) -> Value:
        if n.op.name != "formal":
            return super()._value(n)
        v = self.of_loop.formal(n)
        if v.shape == n.shape:
            return v
        spread = self.new(n.shape, n.kind, "spread")
        self.emit(f"np.copyto({spread.token}, {v.token})", spread)
        return spread

    def operand(self, n: Node) -> str:
        while n.op.name in ("broadcast", "stop", "drawn") and n not in self.values:
            if n.op.name == "broadcast" and n in self.f.lines:
                break
            n = n.args[0]
        if n.op.name == "formal":
            return self.of_loop.operand(n)
        return super().operand(n)

    def make(self, n: Node, kind: Kind | None = None) -> Value:
        wanted = self.destination.get(n)
        if wanted is not None:
            return wanted
        return self.new(n.shape, kind or n.kind, self._proposed(n))

    def _proposed(self, n: Node) -> str:
        shown = n.args[0] if n in self.views.folded else n
        return self.unit.names.proposed(shown)[0]

    def name(self, n: Node) -> str:
        """Of a number: one for this loop, since bodies of two loops may share nodes."""
        copy = self.of_loop.body.loop.origin.copy
        return self.unit.names.take(self._proposed(n), copy)

    def for_steps(self, second: Value) -> Value:
        outer = self.of_loop.outer
        if second.origin is None or second.origin[1] != (1, 0):
            return second
        if second.root.storage is not None or second.root.function != "outside":
            return second
        while isinstance(outer, StepFrame):
            outer = outer.of_loop.outer
        key = (second.root, second.how)
        known = outer.turned_copies.get(key)
        if known is None:
            wish = f"{second.root.local.partition('⟦')[0]}_turned"
            known = outer.new(second.shape, second.kind, wish)
            _turn(outer, second.origin[0], known)
            outer.turned_copies[key] = known
        return known

    def comes_checked(self, index: Node, among: Dim) -> bool:
        if index.op.name != "formal" or index.attrs["role"] == "carry":
            return False
        loop, outer = self.of_loop.body.loop, self.of_loop.outer
        place = loop.attrs["carries"] + index.attrs["index"]
        if index.attrs["role"] == "capture":
            place += loop.attrs["sequences"]
        return gathers.checked(outer, loop.args[place], among)


def _turn(frame: Frame, matrix: Value, turned: Value) -> None:
    """Copy a matrix with its columns as rows.

    A column of rows of 128 numbers lies 512 bytes apart, and such places share few sets of the
    nearest cache. From rows that are a line longer it takes half the time, with what it takes to
    copy them there; a fourth for 128 x 512.
    """
    rows, columns = (d.integer for d in matrix.shape)
    view = frame.turned(matrix, (1, 0))
    lines: list[str] = []
    scratch: list[Value] = []
    if rows and columns and rows >= STRIDE // 2 and columns % STRIDE == 0:
        wide = frame.new((matrix.shape[0], matrix.shape[1] + LINE), matrix.kind, "wide")
        part = frame.table.view(wide, f"{{}}[:, :{columns}]", matrix.shape)
        lines.append(f"np.copyto({part.token}, {matrix.token})")
        view, scratch = frame.turned(part, (1, 0)), [wide]
    lines.append(f"np.copyto({turned.token}, {view.token})")
    frame.emit(lines, turned, scratch=scratch)


class Loop:
    """One loop to one instruction."""

    def __init__(self, outer: Frame, body: Body) -> None:
        self.outer, self.body = outer, body
        self.loop = body.loop
        self.steps: Dim = self.loop.attrs["steps"]
        self.reverse: bool = self.loop.attrs["reverse"]
        self.table = outer.table
        self.step = StepFrame(self)
        self.entries: list[Entry] = []
        self.zeros: dict[int, Instruction] = {}  # carry -> what fills it with zeros
        self.slices: dict[int, Value] = {}
        self.carried: dict[int, Value] = {}
        self.counter: Value | None = None
        self.touched: list[Value] = []  # arrays of the plan that steps write
        self.collected: list[tuple[Value, Root]] = []  # and their entries at a step
        self.read: list[tuple[Value, Root]] = []  # sequences, and theirs
        self.ends: list[tuple[Value, Node]] = []  # carry <- next value, after the step

    # ------------------------------------------------------------------ variables
    def variable(self, wish: str) -> str:
        return self.outer.unit.names.take(wish, self.loop.origin.copy)

    def index(self) -> Value:
        """The number of the step."""
        if self.counter is None:
            name = self.outer.unit.names.index(self.loop, self.step.depth)
            root = Root("int", (), local=name, function="step")
            self.counter = self.table.whole(root)
            count = self.outer.out.dim(self.steps).text
            turns = f"range({count})"
            if self.reverse:
                turns = f"reversed({turns})"
            self.entries.append(Entry(name, turns))
        return self.counter

    def entry(self, array: Value, shape: Shape, wish: str) -> Value:
        """A step's own entry of an array that has the steps in front."""
        name = self.variable(wish)
        root = Root(
            array.kind,
            shape,
            storage=array.root.storage if shape else None,
            local=name,
            function="step",
            entry=True,
        )
        self.entries.append(Entry(name, self.over(array, shape), root, array))
        return self.table.value(root, shape, array.kind)

    def over(self, array: Value, shape: Shape, part: str = "") -> str:
        """The entries of an array in the order of the steps, all or a part of them."""
        turned = ("[::-1]" if self.reverse else "") + part
        static = array.root.storage is not None and not array.root.entry
        if static and shape:
            return self.table.view(array, f"list({{}}{turned})", array.shape).token
        return f"{array.token}{turned}"

    # ------------------------------------------------------------------ formals
    def formal(self, n: Node) -> Value:
        """What a formal stands for, in the shape that it has there."""
        role, k = n.attrs["role"], n.attrs["index"]
        if role == "carry":
            return self.carried[k]
        if role == "capture":
            place = self.loop.attrs["carries"] + self.loop.attrs["sequences"] + k
            return self.outer.value(self.loop.args[place])
        known = self.slices.get(k)
        if known is None:
            known = self.slices[k] = self._slice(n, k)
        return known

    def _slice(self, n: Node, k: int) -> Value:
        core, varies = sequence_core(self.loop, k)
        if not varies:
            return self.outer.value(core)
        if core.op.name == "iota" and not n.shape:
            self.step.out.dtypes[n] = WEAK
            return self.index()
        array = self.outer.value(core)
        wish = self._wish(core)
        entry = self.entry(array, core.shape[1:], f"{wish}_t")
        self.read.append((array, entry.root))
        return entry

    def _wish(self, core: Node) -> str:
        of = self.outer.unit.names.of
        n = core
        while n not in of and n.op.name in ("transpose", "reshape", "slice"):
            n = n.args[0]
        if n in of:
            return of[n].partition("⟦")[0]
        return self.outer.unit.names.proposed(core)[0]

    def operand(self, n: Node) -> str:
        """As NumPy broadcasts it."""
        if n.attrs["role"] == "capture":
            place = self.loop.attrs["carries"] + self.loop.attrs["sequences"]
            return self.outer.operand(self.loop.args[place + n.attrs["index"]])
        if n in self.step.values:
            return self.step.values[n].token
        return self.formal(n).token

    # ------------------------------------------------------------------ the loop
    def write(self) -> None:
        outer, step, body = self.outer, self.step, self.body
        wanted = {p: p.attrs.get("value") for p in body.projections}
        step.kept = {v for v in wanted.values() if v is not None}
        step.kept |= {body.next(k) for k in body.carries}
        self.order = [n for b in body.function.blocks for n in b.lines]
        self.at = {n: i for i, n in enumerate(self.order)}
        for k in body.carries:
            self._carry(k)
        stores: dict[Node, list[Any]] = {}
        for p in body.projections:
            self._projection(p, stores)
        for value, targets in stores.items():
            if value not in self.at or not value.shape:
                continue
            first = targets[0]
            if value not in step.destination and first.shape == value.shape:
                step.destination[value] = first
        early = [v for v in stores if v not in self.at]
        for value in early:
            self._store(value, stores[value])
        for n in self.order:
            step.at = n
            forms.define(step, n)
            if n in stores:
                self._store(n, stores[n])
        step.at = None
        self._totals()
        self._rebind()
        first = first_step.apart(self)
        out, over = self._in_place()
        instruction = Instruction(
            outer.function,
            outer.equation,
            self.loop,
            [*first, self._head()],
            out,
            over,
            body=step.instructions,
            writes=self.touched,
            reads=[],
        )
        if not step.instructions:
            return
        outer.instructions.append(instruction)

    def _head(self) -> str:
        if not self.entries:
            self.index()
        names = ", ".join(e.name for e in self.entries)
        if len(self.entries) == 1:
            return f"for {names} in {self.entries[0].over}:"
        return f"for {names} in zip({', '.join(e.over for e in self.entries)}):"

    # ------------------------------------------------------------------ carries
    def _carry(self, k: int) -> None:
        """Where a carry lies, and what it starts as."""
        body, outer = self.body, self.outer
        init = self.loop.args[k]
        after = body.next(k)
        wish = self._carry_name(k)
        if not init.shape:
            name = self.variable(wish)
            root = Root(init.kind, (), local=name, function=outer.function)
            v = self.carried[k] = self.table.whole(root)
            start = outer.out.value(init).expr.text
            outer.emit(f"{name} = {start}", None, writes=[v])
            self.ends.append((v, after))
            return
        before = [
            p
            for p in body.projections
            if p.op.name == "each" and self._is_carry(p.attrs["value"], k)
        ]
        leaving = [
            p
            for p in body.projections
            if p.op.name == "each" and p.attrs["value"] is after
        ]
        plain = after.op.name != "formal" and not self._next_of_earlier(k)
        if plain and (before or leaving):
            self._states(k, wish, before, leaving)
            return
        array = outer.new(init.shape, init.kind, wish)
        self._start(k, array, init)
        self.carried[k] = array
        self.touched.append(array)
        for p in body.projections:
            if p.op.name == "last" and p.attrs["index"] == k:
                outer.values[p] = array
        if self._direct(k, after):
            self.step.destination[after] = array
        else:
            self.ends.append((array, after))

    def _carry_name(self, k: int) -> str:
        names = self.loop.graph.loops.get(self.loop, ("", ()))[1]
        return names[k] if k < len(names) else "carry"

    def _is_carry(self, value: Node, k: int) -> bool:
        return (
            value.op.name == "formal"
            and value.attrs["role"] == "carry"
            and value.attrs["index"] == k
        )

    def _next_of_earlier(self, k: int) -> bool:
        """Is this carry's next value that of another carry too?"""
        after = self.body.next(k)
        return any(self.body.next(j) is after for j in self.body.carries if j != k)

    def _start(self, k: int, target: Value, init: Node) -> None:
        core = init
        while core.op.name == "broadcast":
            core = core.args[0]
        if core.op.name == "zero" or (core.is_a("const") and not core.attrs["value"]):
            self.zeros[k] = self.outer.emit(f"{target.token}.fill(0)", target)
        elif not core.shape and core.op.name in ("const", "size"):
            text = self.outer.out.value(core).expr.text
            self.outer.emit(f"{target.token}.fill({text})", target)
        else:
            self.outer.emit(
                f"np.copyto({target.token}, {self.outer.operand(init)})", target
            )

    def _states(
        self, k: int, wish: str, before: list[Node], leaving: list[Node]
    ) -> None:
        """All states of a carry in one array: T + 1 entries."""
        outer, init = self.outer, self.loop.args[k]
        after = self.body.next(k)
        shape = (self.steps + 1, *init.shape)
        states = outer.new(shape, init.kind, f"{wish}_all")
        self.touched.append(states)
        first, last = ("-1", "0") if self.reverse else ("0", "-1")
        start = self.table.view(states, f"{{}}[{first}]", init.shape, True)
        self._start(k, start, init)
        early, late = ("[1:]", "[:-1]") if self.reverse else ("[:-1]", "[1:]")
        inner = (self.steps, *init.shape)
        enter = self.table.view(states, f"{{}}{early}", inner, True)
        leave = self.table.view(states, f"{{}}{late}", inner, True)
        self.carried[k] = self.entry(enter, init.shape, f"{wish}_before")
        self.step.destination[after] = self.entry(leave, init.shape, wish)
        for p in before:
            outer.values[p] = enter
        for p in leaving:
            outer.values[p] = leave
        for p in self.body.projections:
            if p.op.name == "last" and p.attrs["index"] == k:
                outer.values[p] = self.table.view(
                    states, f"{{}}[{last}]", init.shape, True
                )

    def _direct(self, k: int, after: Node) -> bool:
        """May the next value be written over the carry, where it is computed?"""
        if after not in self.at or after in self.step.destination:
            return False
        if any(self._is_carry(self.body.next(j), k) for j in self.body.carries):
            return False
        later = self.order[self.at[after] :]
        return not any(self._reads(n, k) for n in later)

    def _reads(self, n: Node, k: int) -> bool:
        """Does the line of `n` read carry k?"""
        stack, seen = list(n.args), set()
        while stack:
            m = stack.pop()
            if m in seen:
                continue
            seen.add(m)
            if self._is_carry(m, k):
                return True
            if m not in self.body.function.lines:
                stack.extend(m.args)
        return False

    def _rebind(self) -> None:
        """The next values of the carries, all at once, where they did not go at once."""
        step = self.step
        late: list[tuple[Value, str]] = []
        left, right = [], []
        for target, after in self.ends:
            if not target.shape:
                text = step.out.value(after).expr.text
                if text != target.token:
                    left.append(target.root.local)
                    right.append(text)
                continue
            source = step.operand(after)
            found = self.table.read_in(source)
            if found and any(found[0].root is t.root for t, _ in self.ends):
                copy = step.new(after.shape, after.kind, "next")
                step.emit(f"np.copyto({copy.token}, {source})", copy)
                source = copy.token
            late.append((target, source))
        for target, source in late:
            if source != target.token:
                step.emit(f"np.copyto({target.token}, {source})", target)
        if left:
            step.emit(f"{', '.join(left)} = {', '.join(right)}", None)
        for p in self.body.projections:
            if p.op.name == "last" and p not in self.outer.values:
                self.outer.values[p] = self.carried[p.attrs["index"]]

    # ------------------------------------------------------------------ projections
    def _projection(self, p: Node, stores: dict[Node, list[Any]]) -> None:
        outer = self.outer
        if p in outer.values or p.op.name == "last":
            return
        value = p.attrs["value"]
        if p.op.name == "total":
            self._total(p)
            return
        array = outer.destination.get(p) or outer.new(
            p.shape, p.kind, self._collected(p)
        )
        self.touched.append(array)
        outer.values[p] = array
        if value.shape:
            wish = self.step._proposed(value) if value in self.at else "entry"
            entry = self.entry(array, value.shape, wish)
            self.collected.append((array, entry.root))
            stores.setdefault(value, []).append(entry)
        else:
            stores.setdefault(value, []).append(array)

    def _collected(self, p: Node) -> str:
        names = self.outer.unit.names
        if p in names.of:
            return names.of[p].partition("⟦")[0]
        primal = names.primal_of(p) if self.outer.function == "backward" else None
        if primal is not None:
            return names.adjoint_base(primal)[0]
        return names.proposed(p)[0]

    def _store(self, value: Node, targets: list[Any]) -> None:
        """Put a value into each of its entries that it was not computed in."""
        step = self.step
        for target in targets:
            if not value.shape:
                step.emit(
                    f"{target.token}[{self.index().token}] = {step.operand(value)}",
                    target,
                )
            elif step.destination.get(value) is not target:
                step.emit(f"np.copyto({target.token}, {step.operand(value)})", target)

    def _total(self, p: Node) -> None:
        outer = self.outer
        if not p.shape:
            name = outer.unit.names.take(self._collected(p), self.loop.origin.copy)
            root = Root(p.kind, (), local=name, function=outer.function)
            v = self.table.whole(root)
            outer.emit(f"{name} = {'0.0' if p.kind == 'real' else '0'}", None)
        else:
            v = outer.destination.get(p) or outer.new(
                p.shape, p.kind, self._collected(p)
            )
            self.touched.append(v)
            outer.emit(f"{v.token}.fill(0)", v)
        outer.values[p] = v

    def _totals(self) -> None:
        for p in self.body.projections:
            if p.op.name != "total":
                continue
            v = self.outer.values[p]
            value = self.step.operand(p.attrs["value"])
            if p.shape:
                self.step.emit(f"np.add({v.token}, {value}, out={v.token})", v)
            else:
                self.step.emit(f"{v.token} += {value}", None)

    # ------------------------------------------------------------------ in place
    def _all(self, i: Instruction) -> list[Value]:
        values = self.table.read_in("".join(i.lines))
        values += [*([i.out] if i.out else []), *i.scratch, *i.reads, *i.writes]
        for b in i.body:
            values += self._all(b)
        return values

    def _in_place(self) -> tuple[Value | None, list[Value]]:
        """What is collected that may lie in the place of a sequence, and those sequences: a
        step has read its slice when it writes its entry."""
        touched = [self._all(i) for i in self.step.instructions]
        for array, entry in self.collected:
            if array.storage is None or array.storage.given or not array.whole:
                continue
            over = [
                sequence
                for sequence, part in self.read
                if sequence.whole
                and sequence.shape == array.shape
                and sequence.kind == array.kind
                and self._read_before(entry, part, touched)
            ]
            if over:
                return array, over
        return None, []

    def _read_before(self, entry: Root, part: Root, touched: list[list[Value]]) -> bool:
        """Is a slice read for the last time before the entry is written, or as it is?"""
        storage = part.storage
        at = [k for k, values in enumerate(touched) if _among(entry, values)]
        last = [k for k, values in enumerate(touched) if _among(part, values)]
        if storage is None or not at or not last or last[-1] > at[0]:
            return False
        for values in touched:
            if any(v.storage is storage and v.root is not part for v in values):
                return False
        if last[-1] < at[0]:
            return True
        i = self.step.instructions[at[0]]
        alone = i.node is not None and i.node.op.family == "elementwise"
        read = self.table.read_in("".join(i.lines))
        whole = all(not v.how for v in read if v.root is part or v.root is entry)
        return alone and whole and len(i.lines) == 1 and not i.body and i.base is None


def _among(root: Root, values: list[Value]) -> bool:
    return any(v.root is root for v in values)
