"""The module's text: `-O0` and `-O1`, the source that people read.

Stage: the last one. In: a `Plan`. Out: Python that imports NumPy alone, in black's layout.

    text = emit(schedule(joint, options), options)

Blocks follow the program's equations, `backward` mirrors them; above each block stand the
equation, its line in the program, and in `backward` the chain rule of that equation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from gradc.records import record

from ..ir.dims import told
from ..ir.node import Node
from ..ir.program import Param
from .comments import Commentary
from .cost import Cost, count
from .expressions import Scope
from .fills import Fills, draw_sizes, drawn_twice, fill_expression, init_sizes
from .header import header
from .inside import roll_inside
from .layout import broken
from .loop_lines import loop_lines
from .loops import FunctionWriter
from .names import Names, base_of
from .numbers import as_numbers
from .plan import Function, Plan, Settings
from .pyast import (
    WIDTH,
    docstring,
    fill_text,
    item,
    listing,
    number,
    printable,
    remarked,
    taking,
    unpacking,
)
from .pyast import name as named
from .reroll import roll
from .rolled import RESULTS, TOKEN, Loop, Printed, Rolled
from .sizes import dim_expr, poly_expr, solve_for
from .sources import TABLES, Table, sources, tables
from .statements import BlockText, Writer

SUMMARY = {
    "forward": "Return the loss, and what backward reads.",
    "backward": "Return the adjoint of every parameter: forward, from its last line up.",
    "evaluate": "Return the losses and the metrics.",
    "predict": "Return the outputs.",
}


@record
class Emission:
    """The text of a module, and the names that its values have in it.

    `variables`: where copies share one, or a dict, which `h3` is a part of: `h`.
    """

    text: str
    names: dict[Node, str]
    variables: dict[Node, str]


def emit(plan: Plan, options: Settings) -> str:
    """The text of the module."""
    return emission(plan, options).text


def emission(plan: Plan, options: Settings) -> Emission:
    """The module, with the names outside of its loops."""
    module = Module(plan, bool(getattr(options, "complex", False)))
    text = broken(module.text())
    flat = module.names.flat() | module.called
    names = {n: flat.get(m, base_of(m)) for n, m in module.names.of.items()}
    variables = module.variables
    shared = {n: variables[m] for n, m in module.names.of.items() if m in variables}
    return Emission(text, names, shared)


class Module:
    """One emission."""

    def __init__(self, plan: Plan, complex: bool) -> None:
        self.plan = plan
        self.complex = complex
        self.names = Names(plan)
        program = plan.program
        self.scope = Scope(
            {c.name: c.value for c in program.constants}, self.names.symbols
        )
        self.cost: Cost | None = count(plan) if plan.functions else None
        self.called: dict[str, str] = {}  # beside loops inside of blocks
        self.variables: dict[str, str] = {}  # in them

    def text(self) -> str:
        plan = self.plan
        functions: list[list[str]] = []
        if plan.program.params or plan.program.states:
            functions.append(self.init())
        if plan.program.noises:
            functions.append(self.draw())
        functions += self.functions()
        parts = [
            docstring(header(plan, self.names, self.cost), 0),
            ["", "import numpy as np"],
        ]
        head = self.constants()
        if head:
            parts.append(["", *head])
        if plan.program.params:
            parts.append(["", *self.shapes("PARAMETERS", plan.program.params)])
        if plan.program.states:
            parts.append(["", *self.shapes("STATE", plan.program.states)])
        for prelude in self.scope.preludes.values():
            parts.append(["", "", *prelude.rstrip("\n").split("\n")])
        for lines in functions:
            parts.append(["", "", *lines])
        return "\n".join(line for part in parts for line in part) + "\n"

    def functions(self) -> list[list[str]]:
        """The functions of the plan, as lines."""
        plan = self.plan
        scheduled = plan.functions
        writers: dict[str, Writer] = {}
        bodies: dict[str, list[BlockText]] = {}
        for key, f in scheduled.items():
            writer = writers[key] = FunctionWriter(
                plan, f, self.names, self.scope, self.complex
            )
            if key in ("evaluate", "predict"):
                for other in writers.values():
                    if other.f.name != "backward":
                        writer.known |= other.written
            forward = scheduled.get("forward")
            if key == "evaluate" and forward and f.blocks is forward.blocks:
                writer.out.symbols_used = writers["forward"].out.symbols_used
                bodies[key] = bodies["forward"]
            else:
                bodies[key] = self._as_called(f, writer.run())
        comments = Commentary(plan, self.names)
        self.flat = self.names.flat()
        rolled = roll(plan, self.names, bodies, comments, self.flat)
        roll_inside(plan, self.names, rolled, self.flat)
        extra = self._extra_sizes(writers, rolled)
        functions = []
        for name in (
            "predict",
            "evaluate",
            "backward",
            "forward",
        ):  # the last one's win
            if name in rolled:
                self.called |= rolled[name].called
                self.variables |= rolled[name].variables
        for key, f in scheduled.items():
            self.flat = rolled[key].spelling
            self._renames = any(  # of marked names we know
                old != new for old, new in self.flat.items() if "⟦" not in old
            )
            functions.append(
                self.function(f, writers[key], rolled[key], comments, extra)
            )
        for done in writers.values():
            # It knows its writer: else only the collector would free what they hold.
            del done.out
        return functions

    def _as_called(self, f: Function, blocks: list[BlockText]) -> list[BlockText]:
        """In evaluation `h` is called so, though in training it is but a part of `h`."""
        of, results = self.names.of, {n for _, n in f.results}
        table = {
            of[n]: of[twin]
            for n, twin in self.names.stands_for.items()
            if n.op.family != "leaf" and n not in results and n in of and twin in of
        }
        if not table or f.name not in ("evaluate", "predict"):
            return blocks

        def named(text: str) -> str:
            return TOKEN.sub(lambda m: table.get(m[0], m[0]), text)

        return [
            BlockText(
                b.equation,
                [
                    replace(s, text=named(s.text), target=table.get(s.target, s.target))
                    for s in b.statements
                ],
            )
            for b in blocks
        ]

    # ------------------------------------------------------------------ head
    def constants(self) -> list[str]:
        """The constants that the code names."""
        return [
            f"{self.names.symbols[c.name]} = {number(c.value).text}"
            for c in self.plan.program.constants
            if c.name in self.scope.used_constants
        ]

    def shapes(self, title: str, params: Sequence[Param]) -> list[str]:
        """PARAMETERS: path -> shape; a size that the data bind stands as its name."""
        items = []
        for p in params:
            sizes = []
            for d in p.node.shape:
                text = dim_expr(d, str).text if d.integer is None else str(d.integer)
                if d.integer is None:
                    text = '"' + poly_expr(d.value, str).text + '"'
                sizes.append(text)
            inside = ", ".join(sizes) + ("," if len(sizes) == 1 else "")
            items.append(f'"{p.path}": ({inside})')
        lines = listing(f"{title} = {{", items, "}", 0)
        lying = [p.path for p in params if p.path in self.plan.turned]
        if lying:
            text = f"Each column lies together in θ: {', '.join(lying)}."
            lines += [f"# {line}" for line in fill_text(text.split(" "), WIDTH - 2)]
        return lines

    def init(self) -> list[str]:
        """`init(rng, D)`: every fill, in order of evaluation."""
        program = self.plan.program
        out = Fills(self.scope, self.plan.views)
        sizes = [self.spell(s) for s in init_sizes(self.plan)]
        lines = [f"def init(rng{''.join(', ' + s for s in sizes)}):"]
        what = "parameters, and the first state" if program.states else "parameters"
        lines += docstring([f"Return fresh {what}: arrays by path."], 4)
        for k, n in enumerate(drawn_twice([*program.params, *program.states]), 1):
            text = f"draw_{k}"
            lines.append(
                f"    {text} = {out.draw(n.attrs.get('law', 'normal'), n.shape).text}"
            )
            out.shared[n] = text

        def filled(params: Sequence[Param]) -> list[str]:
            return [f'"{p.path}": {fill_expression(out, p).text}' for p in params]

        if not program.states:
            return lines + listing("return {", filled(program.params), "}", 4)
        lines += listing("params = {", filled(program.params), "}", 4)
        lines += listing("state = {", filled(program.states), "}", 4)
        return [*lines, "    return params, state"]

    def draw(self) -> list[str]:
        """`draw(rng, N)`: a standard draw for each `random`, in order."""
        out = Fills(self.scope, self.plan.views)
        sizes = [self.spell(s) for s in draw_sizes(self.plan)]
        lines = [f"def draw(rng{''.join(', ' + s for s in sizes)}):"]
        lines += docstring(["Return what chance gives to one call: arrays by path."], 4)
        items = [
            f'"{n.attrs["name"]}": {out.draw(n.attrs["law"], n.shape).text}'
            for n in self.plan.program.noises
        ]
        return lines + listing("return {", items, "}", 4)

    # ------------------------------------------------------------------ functions
    def _extra_sizes(
        self, writers: dict[str, Writer], rolled: dict[str, Rolled]
    ) -> list[str]:
        """Sizes that backward needs and can take from no saved array: saved as numbers."""
        if "backward" not in writers:
            return []
        writer = writers["backward"]
        plain = rolled["backward"].saved
        found = told([n.shape for n in plain])
        return [
            s for s in self.symbols(writer) if s in writer.out.symbols_used - set(found)
        ]

    def _size_lines(self, used: Collection[str], arrays: Sequence[Node]) -> list[str]:
        """Where a function takes its sizes from, and those that it takes them from."""
        found = told([n.shape for n in arrays])
        wanted: set[str] = set()
        stack = [s for s in used if s in found]
        while stack:
            s = stack.pop()
            if s not in wanted:
                wanted.add(s)
                stack += found[s].given
        # In the order of the inputs, but for a size that needs another one first.
        plain = [
            s for s in self.plan.program.symbols if s in wanted and not found[s].given
        ]
        lines = []
        for s in dict.fromkeys([*plain, *(s for s in found if s in wanted)]):
            n, axis = arrays[found[s].shape], found[s].axis
            text = self.flat.get(self.names.of[n], self.names.of[n])
            at = item(named(f"{text}.shape"), str(axis))
            made = solve_for(s, n.shape[axis], at, self.spell)
            lines.append(f"{self.spell(s)} = {made.text}")
        return lines

    def symbols(self, writer: Writer) -> list[str]:
        """The sizes of the program, those that inputs tell first."""
        known = list(self.plan.program.symbols)
        return known + sorted(writer.out.symbols_used - set(known))

    def spell(self, symbol: str) -> str:
        return self.names.symbols.get(symbol, symbol)

    def function(
        self,
        f: Function,
        writer: Writer,
        rolled: Rolled,
        comments: Commentary,
        extra: Sequence[str],
    ) -> list[str]:
        """One function: head, what it unpacks, blocks, result."""
        plan = self.plan
        backward = f.name == "backward"
        known = sources(plan.program)
        unpacked = [n for n in f.leaves if n in known and n not in rolled.inside]
        inputs = [n for n in f.leaves if n not in known]
        if backward:
            arguments = ["saved", "d_loss=1.0"]
        else:
            arguments = [*tables(plan.program, f.name, f.leaves)]
            arguments += [self.names.of[n] for n in inputs]
        lines = listing(f"def {f.name}(", arguments, "):", 0, call=True)
        summary = SUMMARY[f.name]
        if backward and any(path in _inputs(plan) for path, _ in f.results):
            summary = summary.replace(
                "every parameter", "every parameter and input asked for"
            )
        lines += docstring(fill_text(summary.split(" "), WIDTH - 7), 4)
        start = len(lines)
        if backward:
            items = [self._final(self.names.of[n]) for n in rolled.saved]
            items += [self.spell(s) for s in extra]
            items += rolled.lists
            lines += taking(items, "saved")
            unpacked = rolled.unpacked
        for table in TABLES:
            rows = [
                (self._final(self.names.of[n]), known[n].path)
                for n in unpacked
                if known[n].table == table
            ]
            lines += self._unpack(table, rows, plan.numbers)
        if not backward and plan.numbers:
            real = [n for n in inputs if n.kind == "real"]
            lines += as_numbers([self._final(self.names.of[n]) for n in real])
        arrays = list(rolled.saved) if backward else inputs + unpacked
        used = set(writer.out.symbols_used)
        if backward:
            used -= set(extra)
        elif f.name == "forward":
            used |= set(extra)
        found = self._size_lines(used, arrays)
        ranks = {self._final(self.names.of[n]): len(n.shape) for n in arrays}
        lines += ["    " + line for line in _together(found, ranks)]
        if rolled.stored:
            lines.append(f"    {RESULTS[f.name]} = {{}}")
        bare = len(lines) == start
        for entry in rolled.printed or rolled.entries:
            if not bare:
                lines.append("")
            bare = False
            if isinstance(entry, Printed):
                lines += comments.block(f.name, entry.equation, 4, entry.spell)
                lines += entry.lines
            elif isinstance(entry, Loop):
                lines += self._loop(entry, comments, f)
            else:
                lines += self._block(entry, comments, f, 4)
        lines += self._result(f, rolled, extra)
        return lines

    def _block(
        self, block: BlockText, comments: Commentary, f: Function, indent: int
    ) -> list[str]:
        lines = [
            self._final_text(t)
            for t in comments.block(f.name, block.equation, indent, self._final_text)
        ]
        pad = " " * indent
        for s in block.statements:
            lines.append(remarked(pad + self._final_text(s.text), s.comment))
        return lines

    def _loop(self, loop: Loop, comments: Commentary, f: Function) -> list[str]:
        known = sources(self.plan.program)
        return loop_lines(
            loop,
            f.name,
            self.plan.program.equations,
            comments,
            {self.names.of[n]: source for n, source in known.items()},
            self.flat,
        )

    def _final(self, marked: str) -> str:
        return self.flat.get(marked, marked)

    def _final_text(self, text: str) -> str:
        if "⟦" not in text and not self._renames:
            return text
        return TOKEN.sub(lambda m: self.flat.get(m[0], base_of(m[0])), text)

    def _unpack(
        self, table: Table, items: list[tuple[str, str]], numbers: bool = False
    ) -> list[str]:
        """`W1, b1 = params["W1"], params["b1"]`, as many as fit on a line."""
        entry = 'float({}["{}"])' if numbers else '{}["{}"]'
        rows = [(name, entry.format(table, path)) for name, path in items]
        left, right = (", ".join(row[i] for row in rows) for i in (0, 1))
        one = f"    {left} = {right}"
        return [one] if rows and len(one) <= WIDTH else unpacking(rows, 4)

    def _result(self, f: Function, rolled: Rolled, extra: Sequence[str]) -> list[str]:
        def text(n: Node) -> str:
            return self._final(self.names.of[n])

        if f.name == "forward":
            items = [text(n) for n in rolled.saved]
            items += [self.spell(s) for s in extra]
            items += rolled.lists
            (_, loss), *states = f.results
            if not states:
                return listing(f"return {text(loss)}, (", items, ")", 4, lone=True)
            lines = listing("saved = (", items, ")", 4, lone=True)
            lines += self._table(f.name, states, rolled)
            return [*lines, f"    return {text(loss)}, saved, {RESULTS[f.name]}"]
        if rolled.stored:
            lines = self._table(f.name, f.results, rolled)
            return [*lines, f"    return {RESULTS[f.name]}"]
        items = [f'"{key}": {text(n)}' for key, n in f.results]
        return listing("return {", items, "}", 4)

    def _table(
        self, function: str, results: Sequence[tuple[str, Node]], rolled: Rolled
    ) -> list[str]:
        """The dict of results, or what loops have not put into it."""
        items = [
            f'"{key}": {self._final(self.names.of[n])}'
            for key, n in results
            if key not in rolled.stored
        ]
        if rolled.stored and not items:
            return []
        sign = "|=" if rolled.stored else "="
        return listing(f"{RESULTS[function]} {sign} {{", items, "}", 4)


def _together(lines: Sequence[str], ranks: Mapping[str, int]) -> list[str]:
    """`N, T = x.shape` for `N = x.shape[0]`, `T = x.shape[1]`, where x has two axes."""
    found = [re.fullmatch(r"(\w+) = (\w+)\.shape\[(\d+)\]", text) for text in lines]
    parts = [m.groups() if m else ("", "", "") for m in found]
    out: list[str] = []
    i = 0
    while i < len(lines):
        array = parts[i][1]
        rank = ranks.get(array, 0)
        run = parts[i : i + rank]
        if rank > 1 and [p[1:] for p in run] == [(array, str(k)) for k in range(rank)]:
            out.append(f"{', '.join(p[0] for p in run)} = {array}.shape")
            i += rank
        else:
            out.append(lines[i])
            i += 1
    return out


def _inputs(plan: Plan) -> set[str]:
    return {i.name for i in plan.program.inputs}


__all__ = ["Callable", "emit", "printable", "re"]
