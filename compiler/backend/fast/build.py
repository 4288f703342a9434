"""`forward` and `backward` as instructions with a plan of their memory.

In: a scheduled plan. Out: the instructions of both functions, in order, and the layout of
what they write. The two are planned as one sequence: a saved value is a storage that is
still alive when `forward` returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from ...ir.dims import size
from ...ir.node import Node
from ..expressions import Scope
from ..memory import Layout, Storage, Use, plan
from ..names import Names
from ..plan import Function, Plan
from ..views import ATOMS
from . import forms, images, loops, scores, sums, weights, windows
from .accuracy import accurate
from .frame import Frame
from .values import Instruction, Root, Table, Value


class Unit:
    """The instructions of a module."""

    def __init__(self, module: Plan, names: Names, scope: Scope) -> None:
        self.plan, self.names, self.scope = module, names, scope
        self.table = Table()
        self.frames: dict[str, Frame] = {}
        self.gradients: dict[str, Value] = {}
        self.new_states: list[tuple[str, Value]] = []
        self.loss: Value | None = None
        self.ranged = {
            i.node
            for i in module.program.inputs
            if i.low is not None and i.high is not None
        }
        self.scales: dict[tuple[Node, str], Value] = {}
        (_, loss), *states = module.functions["forward"].results
        results = [n for _, n in (*states, *module.functions["backward"].results)]
        self.accurate = accurate([loss, *results], [loss])
        self.operations: dict[Node, int] = {}  # of what depends on sizes alone
        self.orders = images.orders(module)  # of axes in memory
        self.orders |= scores.orders(module, self.orders)
        self.orders |= weights.orders(module)
        self.gathered_again = windows.again(module)
        self._forward(module.functions["forward"])
        self._backward(module.functions["backward"])
        self.instructions = [i for f in self.frames.values() for i in f.instructions]
        self.uses: dict[Instruction, Use] = {}
        self.layout: Layout = plan([self._use(i) for i in self.instructions])

    @cached_property
    def start(self) -> str:
        """What counts the blocks of an op that is computed in parts."""
        return self.names.take("start")

    # ------------------------------------------------------------------ functions
    def _forward(self, f: Function) -> None:
        frame = self.frames["forward"] = Frame(self, f, self.plan.views, "forward")
        frame.kept = set(self.plan.saved)
        self._run(frame)
        (_, loss), *states = f.results
        self.loss = frame.value(loss)
        self.new_states = [(path, frame.value(n)) for path, n in states]
        kept = [v for _, v in self.new_states]
        frame.emit([], None, reads=[self.loss, *kept])

    def _backward(self, f: Function) -> None:
        frame = self.frames["backward"] = Frame(self, f, self.plan.views, "backward")
        frame.places = self.frames["forward"].places
        later: list[tuple[Node, Value]] = []
        for path, n in f.results:
            lies = path in self.plan.turned
            root = Root(
                "real",
                n.shape[::-1] if lies else n.shape,
                Storage(size(n.shape), "real", given=True),
                path=path,
                node=n,
                function="backward",
            )
            v = self.table.whole(root)
            v = self.gradients[path] = frame.turned(v, (1, 0)) if lies else v
            ready = n in f.at_hand or n.op.name in ATOMS or n.op.family == "leaf"
            if ready or n in frame.destination or n not in f.lines:
                later.append((n, v))
            else:
                frame.destination[n] = v
        self._run(frame)
        frame.at = None
        for n, v in later:
            self._copied(frame, n, v)

    def _copied(self, frame: Frame, n: Node, v: Value) -> None:
        """A gradient that is a value of its own besides."""
        core = n
        while core.op.name == "broadcast":
            core = core.args[0]
        if core.op.name == "zero":
            frame.emit(f"{v.token}.fill(0)", v)
        elif not core.shape:
            frame.emit(f"{v.token}[...] = {frame.value(core).token}", v)
        else:
            frame.emit(f"np.copyto({v.token}, {frame.operand(n)})", v)

    def _run(self, frame: Frame) -> None:
        for block in frame.f.blocks:
            frame.equation = block.equation
            for n in sums.beside(frame, block.lines):
                frame.at = n
                forms.define(frame, n)

    def define(self, frame: Frame, n: Node) -> None:
        """Write a value that has no line, where a form asks for it."""
        forms.define(frame, n)

    def loop(self, frame: Frame, n: Node) -> None:
        """Write a loop: its body is made of the same forms."""
        loops.write_loop(frame, n)

    def saved_value(self, frame: Frame, n: Node) -> Value:
        """A value of `forward`, as `backward` reads it."""
        if n in self.gathered_again and frame.function == "backward":
            windows.gathered(frame, n)
            return frame.values[n]
        return self.frames["forward"].value(n)

    def scale(self, frame: Frame, n: Node) -> str:
        """Arithmetic of sizes and `d_loss` as an array of no axes: made once, or at the
        head of the function where a call decides it."""
        text = frame.out.value(n).expr.text
        if not self.decided_late(n):
            made = f"np.array({text}, dtype)"
            return self.table.constant(("scale", text), "real", (), made, "scale").token
        key = (n, frame.function)
        known = self.scales.get(key)
        if known is None:
            made = "np.empty((), dtype)"
            known = self.table.constant(
                ("late", text, frame.function), "real", (), made, "scale"
            )
            self.scales[key] = known
            top = self.frames[frame.function]
            top.emit(f"{known.token}[...] = {text}", None, writes=[known])
        return known.token

    def decided_late(self, n: Node) -> bool:
        """Does a call decide this number, and not the sizes of its buffers?"""
        stack, seen = [n], set()
        while stack:
            m = stack.pop()
            if m in seen:
                continue
            seen.add(m)
            if m.op.name == "seed":
                return True
            if m.op.name == "size" and self.plan.rows in m.attrs["dim"].symbols():
                return True
            stack.extend(m.args)
        return False

    # ------------------------------------------------------------------ memory
    def _use(self, i: Instruction) -> Use:
        """An instruction as the planner sees it."""
        writes = [i.out] if i.out is not None else []
        writes += [*i.writes, *i.scratch]
        written = _storages(writes)
        read = self.table.read_in("".join(i.lines))
        reads = [s for s in _storages([*read, *i.reads]) if s not in written]
        if i.base is not None:
            reads += [s for s in _storages([i.base]) if s not in reads]
        over = [s for s in _storages(i.over) if s not in written]
        body = tuple(self._use(b) for b in i.body)
        use = self.uses[i] = Use(tuple(written), tuple(reads), tuple(over), body)
        return use


def _storages(values: Iterable[Value]) -> list[Storage]:
    found = (v.storage for v in values)
    return list(dict.fromkeys(s for s in found if s is not None))
