"""The module's text at `-O2`: the same mathematics on planned buffers.

In: a `Plan` of level 2. Out: Python that imports NumPy alone, in black's layout, and what a
runtime has to know of its buffers. `buffers` makes the memory of a step, `forward` and
`backward` write into it (`out=`), `evaluate` and `predict` are those of `-O1`.

    made = emit(schedule(joint, options), options)
    made.text, made.work
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from gradc.records import record

from ...ir.node import Node
from ..comments import Commentary
from ..layout import broken
from ..plan import Plan, Settings
from ..pyast import WIDTH, docstring, listing, taking
from ..readable import Module
from ..sources import TABLES, sources, tables
from .buffers import Buffers
from .frame import EXTERNAL
from .values import TOKEN, Instruction, Value
from .variables import Variables

SUMMARY = {
    "forward": "Return the loss, and what backward reads beside `work`.",
    "backward": "Fill and return the adjoints of the parameters, by path.",
}
PLANNED = ("forward", "backward")
BLANK = {"real": "np.nan", "int": "-1", "bool": "True"}  # of --poison


@record
class Emission:
    """A module of level 2. `work`: an entry of the signature, see `Buffers.entry`."""

    text: str
    work: dict[str, Any] | None
    names: dict[Node, str]


def emit(plan: Plan, options: Settings) -> Emission:
    """The text of the module, and what its buffers take."""
    module = FastModule(plan, bool(getattr(options, "poison", False)))
    text = broken(module.text())
    flat = module.names.flat()
    names = {n: flat.get(m, m) for n, m in module.names.of.items()}
    return Emission(text, module.work, names)


class FastModule(Module):
    """One emission."""

    def __init__(self, plan: Plan, poison: bool) -> None:
        super().__init__(plan, complex=False)
        self.poison = poison
        self.work: dict[str, Any] | None = None

    def functions(self) -> list[list[str]]:
        """`buffers`, `forward` and `backward`, then the functions of -O1."""
        before = set(self.scope.used_constants)  # by `init`
        whole = self.plan
        others = {k: f for k, f in whole.functions.items() if k not in PLANNED}
        self.plan = replace(whole, functions=others, saved=())
        rest = super().functions()  # first: so that its names are those of -O1
        self.plan = whole
        if "forward" not in self.plan.functions:
            return rest
        held = Variables(whole, self.names, self.scope)
        writer = _Functions(self, held)
        planned = writer.functions()
        buffers = Buffers(held, writer.entries)
        made = [buffers.text(), *planned, *rest]
        self.work = buffers.entry()
        self._used_constants(made, before)
        return made

    def _used_constants(self, functions: list[list[str]], before: set[str]) -> None:
        """The constants that stand in what was written, and no others."""
        text = "\n".join(t for lines in functions for t in lines)
        for c in sorted(self.scope.used_constants - before):
            if not re.search(rf"\b{self.names.symbols[c]}\b", text):
                self.scope.used_constants.discard(c)


class _Functions:
    """`forward` and `backward`."""

    def __init__(self, module: FastModule, held: Variables) -> None:
        self.module, self.held = module, held
        self.plan, self.names, self.unit = held.plan, held.names, held.unit
        self.used: dict[str, dict[str, None]] = {"forward": {}, "backward": {}}
        self.saved: dict[str, None] = {}
        self.entries: dict[str, list[str]] = {}  # of `work`, by function

    def render(self, text: str, function: str) -> str:
        """Text with names in place of tokens."""

        def one(found: re.Match[str]) -> str:
            v = self.unit.table.values[int(found[1])]
            return self.spelt(v, function)

        found = 1
        while found:  # what a value is may have tokens in it
            text, found = TOKEN.subn(one, text)
        return text

    def spelt(self, v: Value, function: str) -> str:
        root = v.root
        if root.entry or (root.storage is None and not root.made):
            n = root.node
            outer = n is not None and n.op.name in EXTERNAL
            if function == "backward" and (outer or root.function == "forward"):
                self.saved.setdefault(root.local)
            return v.how.replace("{}", root.local) if v.how else root.local
        known = self.held.variable(v)
        self.used[function].setdefault(known)
        return known

    def functions(self) -> list[list[str]]:
        comments = Commentary(self.plan, self.names)
        bodies = {k: self._body(k, comments) for k in ("forward", "backward")}
        self.held.flat = self.names.flat()
        forward, backward = self._forward(bodies), self._backward(bodies)
        return [forward, backward]

    def _body(self, function: str, comments: Commentary) -> list[str]:
        """The blocks of one function: comments and statements, names still marked."""
        lines: list[str] = []
        frame = self.unit.frames[function]
        blocks: list[tuple[int, list[Instruction]]] = []
        for i in frame.instructions:
            if not blocks or blocks[-1][0] != i.equation:
                blocks.append((i.equation, []))
            blocks[-1][1].append(i)
        for equation, instructions in blocks:
            code: list[str] = []
            for i in instructions:
                code += self._statement(i, 4)
            if not code:
                continue
            if lines:
                lines.append("")
            if equation >= 0:
                lines += comments.block(function, equation, 4, lambda t: t)
            lines += code
        return lines

    def _statement(self, i: Instruction, indent: int) -> list[str]:
        """The lines of one instruction."""
        pad = " " * indent
        out: list[str] = []
        note = self._note(i)
        if i.base is not None and i.out is not None and not self._in_place(i):
            out.append(pad + self.render(i.copy, i.function))
        for k, line in enumerate(i.lines):
            text = pad + self.render(line, i.function)
            out.append(text + (note if k == 0 else ""))
        for b in i.body:
            out += self._statement(b, indent + 4)
        if self.module.poison and i.lines:  # what is returned is copied after the last
            for slot in self.held.layout.freed.get(self.unit.uses[i], []):
                blank = BLANK[self.held.layout.slots[slot].kind]
                text = self.held.slots[slot]
                self.used[i.function].setdefault(text)
                out.append(f"{pad}{text}.fill({blank})")
        return out

    def _in_place(self, i: Instruction) -> bool:
        assert i.base is not None and i.out is not None
        a, b = i.base.storage, i.out.storage
        if not i.base.whole or a is None or b is None:
            return False
        return self.held.layout.same(a, b)

    def _note(self, i: Instruction) -> str:
        """`  # in place of h`."""
        if i.out is None:
            return ""
        before = self.held.before.get(i.out.root)
        if before is None or self.held.name(before) == self.held.name(i.out.root):
            return ""
        return f"  # in place of {self.held.name(before)}"

    def _finish(self, lines: list[str]) -> list[str]:
        """Final names; no remark where a line has no room for it."""
        out: list[str] = []
        for line in lines:
            text = self.held.final(line)
            if len(text) > WIDTH and "  # in place of" in text:
                text = text[: text.index("  # in place of")]
            out.append(text)
        return out

    def _sizes_used(self, lines: list[str], function: str) -> list[str]:
        """The sizes that the lines name: entries of `work`, first."""
        text = "\n".join(t.partition("#")[0] for t in lines)
        found = []
        for symbol in self.held.symbols:
            spelling = self.names.symbols.get(symbol, symbol)
            if re.search(rf"(?<![\w.]){re.escape(spelling)}(?!\w)", text):
                found.append(spelling)
        return found

    def _unpacked(self, function: str, lines: list[str]) -> list[str]:
        """`h, zeros, p = work["forward"]`."""
        sizes = self._sizes_used(lines, function)
        items = [*sizes, *(self.held.final(u) for u in self.used[function])]
        self.entries[function] = items
        return taking(items, f'work["{function}"]')

    def _forward(self, bodies: dict[str, list[str]]) -> list[str]:
        plan, unit = self.plan, self.unit
        f = plan.functions["forward"]
        known = sources(plan.program)
        loss = unit.loss
        assert loss is not None
        result = self.render(loss.token, "forward")
        states = [
            (path, self.render(v.token, "forward") + ".copy()" * bool(v.shape))
            for path, v in unit.new_states
        ]
        body = self._finish(bodies["forward"])
        arguments: list[str] = [*tables(plan.program, f.name, f.leaves)]
        arguments += [self.names.of[n] for n in f.leaves if n not in known]
        arguments.append("work")
        if plan.rows:
            arguments.append("rows")
        lines = listing("def forward(", arguments, "):", 0, call=True)
        lines += docstring([SUMMARY["forward"]], 4)
        start = len(lines)
        flat, self.module.flat = self.module.names.flat(), self.held.flat
        for table in TABLES:
            rows = [
                (self.held.final(self.names.of[n]), known[n].path)
                for n in f.leaves
                if n in known and known[n].table == table
            ]
            lines += self.module._unpack(table, rows)
        self.module.flat = flat
        text = "\n".join(t.partition("#")[0] for t in bodies["backward"])
        if plan.rows and re.search(r"(?<![\w.])rows(?!\w)", text):
            self.saved.setdefault("rows")
        saved = [self.held.final(s) for s in self.saved]
        lines += self._unpacked("forward", [*body, result, *(t for _, t in states)])
        if len(lines) > start:
            lines.append("")
        lines += body
        final = self.held.final(result)
        if not states:
            return lines + listing(f"return {final}, (", saved, ")", 4, lone=True)
        lines += listing("saved = (", saved, ")", 4, lone=True)
        entries = [f'"{path}": {self.held.final(t)}' for path, t in states]
        lines += listing("state = {", entries, "}", 4)
        return [*lines, f"    return {final}, saved, state"]

    def _backward(self, bodies: dict[str, list[str]]) -> list[str]:
        body = self._finish(bodies["backward"])
        lines = ["def backward(saved, d_loss, work):"]
        lines += docstring([SUMMARY["backward"]], 4)
        items = [self.held.final(s) for s in self.saved]
        if items:
            lines += taking(items, "saved")
        lines += self._unpacked("backward", body)
        return [*lines, "", *body, '    return work["gradients"]']
