"""A run-time loop as a Python `for`.

In: a loop of a scheduled function (`bodies.py`). Out: its statements: what the carries
start as, the arrays that are collected, `for t in range(T):`, the lines of a step with
what they store, and the names of what is read off the loop afterwards.

    h = np.zeros((N, 16), x.dtype)
    hs = np.empty((T, N, 16), x.dtype)
    for t in range(T):
        h = np.tanh(a[t] + h @ Wh)
        hs[t] = h

A carry is one variable, rebound at every step: by the line that computes its next value
where nothing reads the old one any more, else at the end of the step. Nothing of a step is
changed in place that outlives it.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir.dims import Shape
from ..ir.node import Node
from .bodies import Body, is_projection, sequence_core
from .expressions import REAL, WEAK, Expressions, Value
from .lines import statement_only
from .pyast import item, name
from .sizes import shape_text
from .statements import FOREVER, Statement, Writer

STEP = "    "


class FunctionWriter(Writer):
    """One function to statements."""

    def join_starts(self, n: Node) -> None:
        join_starts(self, n)

    def loop(self, n: Node) -> list[Statement]:
        return _Loop(self, self.f.bodies[n]).statements()


def join_starts(w: Writer, loop: Node) -> None:
    """What a carry starts as has its name, where nothing else reads it."""
    for p in w.f.bodies[loop].projections:
        if p.op.name != "last":
            continue
        k = p.attrs["index"]
        first = loop.args[k]
        alone = w.last_read.get(first) == w.order[loop]
        plain = first in w.f.lines and not is_projection(first)
        taken = first in w.joined or first in w.joined.values()
        mine, its = w.f.bound.get(first), w.f.bound.get(p)
        if mine is not None and mine.primal is None:  # the user's own value
            taken = taken or its is None or its.name != mine.name
        if plain and alone and not taken and not read_again(w, loop, k):
            w.joined[first] = p


def read_again(w: Writer, loop: Node, k: int) -> bool:
    """Does another argument of the loop, as it is written, read what carry k starts as?"""
    first = loop.args[k]
    stack = [x for i, x in enumerate(loop.args) if i != k]
    while stack:
        n = stack.pop()
        if n is first:
            return True
        if n not in w.f.lines and n not in w.f.at_hand:
            stack.extend(n.args)
    return False


class _Step(Expressions):
    """The expressions of a step: formals stand for what the loop around has."""

    def __init__(self, loop: _Loop) -> None:
        outer = loop.outer.out
        super().__init__(
            outer.scope,
            loop.body.views,
            loop.f,
            loop.name,
            outer.like,
            outer.complex,
            outer.keep_dtype,
        )
        self.loop = loop
        self.symbols_used = outer.symbols_used
        self.results = set()

    def value(self, n: Node, top: bool = False) -> Value:
        if n.op.name == "formal":
            return self.formal(n)
        return super().value(n, top)

    def formal(self, n: Node) -> Value:
        """A carry's variable, `x[t]`, or the value outside."""
        loop, node = self.loop, self.loop.body.loop
        role, k = n.attrs["role"], n.attrs["index"]
        if role == "carry":
            dtype = REAL if n.kind == "real" else n.kind
            return Value(name(loop.variables[k]), n.shape, dtype)
        outer = loop.outer.out
        if role == "capture":
            place = node.attrs["carries"] + node.attrs["sequences"] + k
            return outer.value(node.args[place])
        core, varies = sequence_core(node, k)
        if not varies:
            return outer.value(core)
        if core.op.name == "iota":
            return Value(name(loop.index), (), WEAK)
        v = outer.value(core)
        return Value(item(v.expr, loop.index), core.shape[1:], v.dtype)

    def _dtypes(
        self, n: Node, args: list[Value], called: bool
    ) -> tuple[list[Value], str]:
        weak = n.op.name in ("add", "sub", "mul", "neg")
        if weak and n.kind == "int" and all(v.dtype == WEAK for v in args):
            return args, WEAK  # of the number of the step, which is Python's
        return super()._dtypes(n, args, called)

    def chosen(self, n: Node, drop: bool = False) -> tuple[str, dict[str, object]]:
        if n.op.name == "not" and not n.shape:  # of a Python bool, `~` is a number
            return "np.logical_not({x})", {}
        return super().chosen(n, drop)


class _Loop(FunctionWriter):
    """One loop to statements."""

    def __init__(self, outer: Writer, body: Body) -> None:
        super().__init__(outer.plan, body.function, outer.names, outer.out.scope)
        self.outer, self.body = outer, body
        self.views = body.views
        self.complex = outer.complex
        self.depth: int = getattr(outer, "depth", 0) + 1
        self.indent = outer.indent + len(STEP)
        self.local = self.names.inside.setdefault(body.loop, {})
        self.variables: dict[int, str] = {}
        self.index = self.names.index(body.loop, self.depth)
        self.out = _Step(self)
        self.out.lines = self.lines
        self.stores: dict[Node, list[str]] = {}  # value -> `{}` is where it goes
        self.direct: dict[Node, str] = {}  # a next value -> its carry's variable

    # ------------------------------------------------------------------ names
    def name(self, n: Node) -> str:
        while n in self.joined:
            n = self.joined[n]
        if n in self.direct:
            return self.direct[n]
        known = self.local.get(n)
        if known is None:
            shown = n.args[0] if n in self.views.folded else n
            base, _ = self.names.proposed(shown)
            known = self.names.take(base, self.body.loop.origin.copy)
            self.local[n] = known
        return known

    def like(self) -> str:
        return self.outer.like()

    # ------------------------------------------------------------------ statements
    def statements(self) -> list[Statement]:
        """Everything before, in and after the loop."""
        before = self._start()
        self._liveness()
        self._join()
        self._choose_direct()
        self.readers = {
            r for n, read in self.at_line.items() for r in read if r is not n
        }
        self.readers.update(self.joined, self.joined.values())
        inside: list[Statement] = []
        self._store_formals(inside)
        for block in self.f.blocks:
            for n in block.lines:
                self._line(n, inside)
                self._stored(n, inside)
        self._rebind(inside)
        steps = self.outer.out.dim(self.body.loop.attrs["steps"]).text
        counted = f"range({steps})"
        if self.body.loop.attrs["reverse"]:
            counted = f"reversed({counted})"
        head = Statement(f"for {self.index} in {counted}:", self.index, update=True)
        inside = [replace(s, text=STEP + s.text) for s in inside]
        self.outer.out.symbols_used |= self.out.symbols_used
        if not inside:
            return [*before, *self._finish()]
        return [*before, head, *inside, *self._finish()]

    def _start(self) -> list[Statement]:
        """What carries start as, and room for what is collected."""
        out: list[Statement] = []
        for k in self.body.carries:
            variable = self.variables[k] = self._variable(k)
            value = self._initial(k)
            if value != variable:
                out.append(self._given(variable, value, self.body.loop.args[k].shape))
        states: dict[int, list[Node]] = {}
        lines = [n for b in self.f.blocks for n in b.lines]
        place = {n: i for i, n in enumerate(lines)}

        def rank(p: Node) -> int:
            return -1 if p.op.name == "last" else place.get(p.attrs["value"], -1)

        for p in sorted(self.body.projections, key=rank):
            if p.op.name == "each":
                carried = self._carry_of(p.attrs["value"])
                if carried is not None:
                    states.setdefault(carried, []).append(p)
                else:
                    self._collect(p, out)
            elif p.op.name == "total":
                target = self.outer.name(p)
                zero = self._zeros(p.shape, p.kind)
                out.append(self._given(target, zero, p.shape))
                self._note(p)
                self._store(p.attrs["value"], f"{target} += {{}}")
        self.after: list[Statement] = []
        for k, projections in states.items():
            self._states(k, projections, out)
        return out

    def _carry_of(self, value: Node) -> int | None:
        """The carry whose value this is, before or after the step."""
        if value.op.name == "formal" and value.attrs["role"] == "carry":
            return int(value.attrs["index"])
        for k in self.body.carries:
            if self.body.next(k) is value:
                return k
        return None

    def _variable(self, k: int) -> str:
        """The name of carry k: that of its last value, else of its first, else its own."""
        loop = self.body.loop
        for p in self.body.projections:
            if p.op.name == "last" and p.attrs["index"] == k:
                known = self.outer.name(p)
                if known not in self.variables.values():
                    return known
        first = loop.args[k]
        outer = self.outer
        if first in outer.f.lines and first not in outer.joined:
            alone = outer.last_read.get(first) == outer.order.get(loop)
            known = outer.name(first)
            again = read_again(outer, loop, k)
            if alone and not again and known not in self.variables.values():
                return known
        own = self.names.carries.get((loop, k))
        if own is None:
            names = self.names.plan.program.graph.loops.get(loop, ("", ()))[1]
            wish = names[k] if k < len(names) else "carry"
            own = self.names.take(wish, loop.origin.copy)
            self.names.carries[loop, k] = own
        return own

    def _initial(self, k: int) -> str:
        """The text of what a carry starts as: an array, whatever it is written as."""
        out, first = self.outer.out, self.body.loop.args[k]
        value = out.full(first)
        if value.dtype == WEAK and first.kind == "real":
            like = self._dtype("real")
            return f"np.full((), {value.expr.text}{like})"
        return value.expr.text

    def _given(self, target: str, text: str, shape: Shape) -> Statement:
        comment = shape_text(shape, self.outer._symbol) if shape else ""
        return Statement(f"{target} = {text}", target, comment)

    def _dtype(self, kind: str) -> str:
        """`, x.dtype`: what an array of such values holds."""
        if kind != "real":
            return ", np.intp" if kind == "int" else ", np.bool_"
        if self.complex:  # of `check`, where some values are complex and some real
            return ", np.complex128"
        like = self.like()
        return f", {like}.dtype" if like else ""

    def _zeros(self, shape: Shape, kind: str) -> str:
        if not shape:
            return "0.0" if kind == "real" else "0"
        return f"np.zeros({self.outer.out.shape(shape).text}{self._dtype(kind)})"

    def _empty(self, shape: Shape, kind: str) -> str:
        return f"np.empty({self.outer.out.shape(shape).text}{self._dtype(kind)})"

    def _note(self, p: Node) -> None:
        self.outer.out.dtypes[p] = REAL if p.kind == "real" else p.kind

    def _store(self, value: Node, text: str) -> None:
        self.stores.setdefault(value, []).append(text)

    def _collect(self, p: Node, out: list[Statement]) -> None:
        value = p.attrs["value"]
        unnamed = p not in self.names.of and p not in self.outer.f.bound
        plain = value.op.family != "leaf" and self._carry_of(value) is None
        if unnamed and plain and not self._adjoint(p):  # `s_2_at[t] = s_2`
            base = self.name(value).partition("⟦")[0]
            copy = self.body.loop.origin.copy
            self.names.of[p] = self.names.take(f"{base}_at", copy)
        target = self.outer.name(p)
        out.append(self._given(target, self._empty(p.shape, p.kind), p.shape))
        self._note(p)
        self._store(p.attrs["value"], f"{target}[{self.index}] = {{}}")

    def _adjoint(self, p: Node) -> bool:
        return self.backward and self.names.primal_of(p) is not None

    def _states(self, k: int, projections: list[Node], out: list[Statement]) -> None:
        """A carry before or after each step; for both, one array of T + 1 entries."""
        entering = [p for p in projections if p.attrs["value"].op.name == "formal"]
        leaving = [p for p in projections if p.attrs["value"].op.name != "formal"]
        if not (entering and leaving):
            for p in projections:
                self._collect(p, out)
            return
        (before,), (after,) = entering, leaving
        loop = self.body.loop
        shape = (loop.attrs["steps"] + 1, *before.shape[1:])
        wish = f"{self.variables[k].split('⟦')[0]}_all"
        array = self.local.get(before)
        if array is None:
            array = self.names.take(wish, loop.origin.copy)
            self.local[before] = array
        out.append(self._given(array, self._empty(shape, before.kind), shape))
        reverse = loop.attrs["reverse"]
        start, place = ("-1", self.index) if reverse else ("0", f"{self.index} + 1")
        out.append(
            Statement(f"{array}[{start}] = {self.variables[k]}", array, update=True)
        )
        self._store(after.attrs["value"], f"{array}[{place}] = {{}}")
        early, late = ("[:-1]", "[1:]") if not reverse else ("[1:]", "[:-1]")
        for p, part in ((before, early), (after, late)):
            self._note(p)
            target = self.outer.name(p)
            self.after.append(self._given(target, array + part, p.shape))

    # ------------------------------------------------------------------ a step
    def _formals(self, n: Node) -> set[int]:
        """The carries that the line of `n` reads as they entered."""
        found: set[int] = set()
        seen: set[Node] = set()
        stack = list(n.args)
        while stack:
            m = stack.pop()
            if m in seen:
                continue
            seen.add(m)
            if m.op.name == "formal":
                if m.attrs["role"] == "carry":
                    found.add(m.attrs["index"])
            elif m not in self.f.lines:
                stack.extend(m.args)
        return found

    def _choose_direct(self) -> None:
        """Next values that may take their carry's variable as soon as they are there."""
        lines = [n for b in self.f.blocks for n in b.lines]
        reading = [self._formals(n) for n in lines]
        at_end: set[int] = set()
        for k in self.body.carries:
            after = self.body.next(k)
            if after.op.name == "formal" and after.attrs["role"] == "carry":
                at_end.add(after.attrs["index"])
        for k in self.body.carries:
            after = self.body.next(k)
            if after not in self.order or after in self.direct or k in at_end:
                continue
            if after in self.joined or self._read_later(k, after, reading):
                continue
            self.direct[after] = self.variables[k]
        for n in [*self.stores, *(self.body.next(k) for k in self.body.carries)]:
            self.last_read[n] = FOREVER

    def _read_later(self, k: int, after: Node, reading: list[set[int]]) -> bool:
        """Is the old value of carry k read once its variable holds the next one?"""
        # `d = base.copy()` comes first, what is added then may not read the old d
        first = self.order[after] + (not statement_only(after))
        if is_projection(after):  # written by its loop, at every step of it
            first = self.order[after.args[0]]
        for n in self.joined:
            end = n
            while end in self.joined:
                end = self.joined[end]
            if end is after and n in self.order:
                first = min(first, self.order[n] + (not statement_only(n)))
        return any(k in r for r in reading[first:])

    def _store_formals(self, into: list[Statement]) -> None:
        """What enters a step, or is the same at every step, is stored first."""
        for value, texts in self.stores.items():
            if value in self.order:
                continue
            text = self.out.value(value).expr.text
            for t in texts:
                into.append(Statement(t.format(text), "", update=True))

    def _stored(self, n: Node, into: list[Statement]) -> None:
        """The stores of a value, behind its line, or in place of it."""
        texts = self.stores.get(n, ())
        if not texts:
            return
        line = into[-1]
        own = f"{self.name(n)} = "
        if len(texts) == 1 and not self._read(n) and line.text.startswith(own):
            into.pop()
            right = line.text[len(own) :]
            into.append(Statement(texts[0].format(right), "", update=True))
            return
        for t in texts:
            into.append(Statement(t.format(self.name(n)), "", update=True))

    def _read(self, n: Node) -> bool:
        """Does anything but a store read the value?"""
        if n in self.direct or any(self.body.next(k) is n for k in self.body.carries):
            return True
        return n in self.readers

    def _rebind(self, into: list[Statement]) -> None:
        """The other carries, all at once."""
        left, right = [], []
        for k in self.body.carries:
            after = self.body.next(k)
            if self.direct.get(after) == self.variables[k]:
                continue
            text = self.out.full(after).expr.text
            if text != self.variables[k]:
                left.append(self.variables[k])
                right.append(text)
        if left:
            text = f"{', '.join(left)} = {', '.join(right)}"
            into.append(Statement(text, left[0], update=True))

    def _finish(self) -> list[Statement]:
        """The names of what is read off the loop."""
        out = list(self.after)
        for p in self.body.projections:
            if p.op.name == "last":
                self._note(p)
                target = self.outer.name(p)
                variable = self.variables[p.attrs["index"]]
                if target != variable:
                    out.append(self._given(target, variable, p.shape))
        return out
