"""The module's text at `-O2`: the same mathematics on planned buffers.

In: a `Plan` of level 2. Out: Python that imports NumPy alone, in black's layout, and what a
runtime has to know of its buffers. `buffers` makes the memory of a step, `forward` and
`backward` write into it (`out=`), `evaluate` and `predict` are those of `-O1`.

    made = emit(schedule(joint, options), options)
    made.text, made.work
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ...ir.dims import ONE, Dim, Poly, Shape, size
from ...ir.node import Node
from ...ir.op import Kind
from ...records import record
from ..comments import Commentary
from ..layout import broken
from ..memory import Storage, at_most, largest, taken_as_one
from ..names import MARKED
from ..plan import Plan, Settings
from ..pyast import WIDTH, Expr, docstring, fill_text, index_text, item, listing, name
from ..readable import Module
from ..sizes import dim_expr
from ..sources import TABLES, sources, tables
from .build import Unit
from .frame import EXTERNAL
from .values import LINE, TOKEN, Instruction, Root, Value

SUMMARY = {
    "forward": "Return the loss, and what backward reads beside `work`.",
    "backward": "Fill and return the adjoints of the parameters, by path.",
}
PLANNED = ("forward", "backward")
BLANK = {"real": "np.nan", "int": "-1", "bool": "True"}  # of --poison
DTYPE = {"real": "dtype", "int": "np.intp", "bool": "np.bool_"}
KINDS: tuple[Kind, ...] = ("real", "int", "bool")


@record
class Emission:
    """A module of level 2. `work`: an entry of the signature, see `buffers_entry`."""

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
        self.writer: _Writer | None = None

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
        writer = _Writer(self)
        made = [*writer.functions(), *rest]
        self.work = writer.entry()
        self._used_constants(made, before)
        return made

    def _used_constants(self, functions: list[list[str]], before: set[str]) -> None:
        """The constants that stand in what was written, and no others."""
        text = "\n".join(t for lines in functions for t in lines)
        for c in sorted(self.scope.used_constants - before):
            if not re.search(rf"\b{self.names.symbols[c]}\b", text):
                self.scope.used_constants.discard(c)


class _Writer:
    """The three functions."""

    def __init__(self, module: FastModule) -> None:
        self.module, self.plan, self.names = module, module.plan, module.names
        if self.plan.rows:
            self.names.symbols[self.plan.rows] = "rows"
        self.unit = Unit(self.plan, self.names, module.scope)
        self.layout = self.unit.layout
        self.given = {
            v.storage: v.root for v in self.unit.gradients.values() if v.storage
        }
        self.chained: dict[Root, Root] = {}  # a value -> what takes its place at once
        self.before: dict[Root, Root] = {}  # and back
        self.names_of_slots: list[str] = []
        self.views: dict[tuple[str, str], str] = {}  # of a variable -> its variable
        self.texts: dict[str, str] = {}  # variable -> where it lies
        self.sizes: dict[Poly, Expr] = {}  # in Python
        self.defined: dict[str, str] = {}  # variable -> the text that makes it
        self.headers: list[Dim] = []  # of each variable, how many array objects it is
        self.used: dict[str, dict[str, None]] = {"forward": {}, "backward": {}}
        self.saved: dict[str, None] = {}
        self.entries: dict[str, list[str]] = {}  # of `work`, by function
        constants = self.unit.table.constants.values()
        self.all_zeros = [size(r.shape) for r in constants if r.zeros]
        self.zeros = [(d, "") for d in largest(self.all_zeros)]
        self._chain(self.unit.instructions)
        self._name_slots()
        self._name_all(self.unit.instructions)

    # ------------------------------------------------------------------ names
    def _chain(self, instructions: Sequence[Instruction]) -> None:
        """Which values are made in the place of another one, at once."""
        for i in instructions:
            self._chain(i.body)
            if i.out is None or i.out.storage is None:
                continue
            candidates = [*i.over, *([i.base] if i.base is not None else [])]
            if i.out.root.entry:
                continue
            for v in candidates:
                if not v.whole or v.storage is None or v.root is i.out.root:
                    continue
                if self.layout.same(v.storage, i.out.storage):
                    self.before[i.out.root] = v.root
                    alike = v.root.shape == i.out.root.shape
                    alike = alike and not i.body  # of a loop: two values by name
                    if alike and v.root.function == i.out.root.function:
                        self.chained[v.root] = i.out.root
                    break

    def _name_slots(self) -> None:
        for k, _ in enumerate(self.layout.slots, 1):
            self.names_of_slots.append(self.names.take(f"slot_{k}"))

    def _name_all(self, instructions: Sequence[Instruction]) -> None:
        """A name for every variable, in order."""
        for i in instructions:
            values = self.unit.table.read_in("".join(i.lines))
            values += [*([i.out] if i.out else []), *i.scratch]
            for v in values:
                named = v.root.storage is not None or v.root.made
                if named and not v.root.entry:
                    self.name(v.root)
            self._name_all(i.body)

    def name(self, root: Root) -> str:
        """The marked name of a variable."""
        if root.name:
            return root.name
        path = [root]
        while True:  # along the chain, to the first with a name of its own
            r = path[-1]
            home = self.layout.home(r.storage) if r.storage else None
            if home is not None and self._is_gradient(r, home):
                made = self._gradient(self.given[home])
                r = self.given[home]
                break
            if r.name or self._own(r) or r not in self.chained:
                made = r.name or self._give(r)
                break
            path.append(self.chained[r])
        if not any(
            r.name for r in path
        ):  # a value that both functions compute: two places
            text = self._made(path[-1])
            if self.texts.setdefault(made, text) != text:
                bare, _, copy = made.partition("⟦")
                made = self.names.take(bare, _copy_of(copy))
                self.texts[made] = text
        for r in path:
            r.name = made
            if r.node is not None:
                self.names.of.setdefault(r.node, made)
        return made

    def _is_gradient(self, r: Root, home: Storage) -> bool:
        """Is it a gradient in the place that the caller gives, in its shape?"""
        return home.given and self.given[home].shape == r.shape

    def _own(self, r: Root) -> bool:
        """Does the program, or a hint, name the value?"""
        n = r.node
        if n is None or r.made:
            return False
        f = self.plan.functions[r.function]
        return n in f.bound or n in self.names.hints

    def _give(self, r: Root) -> str:
        if r.node is not None:
            return self.names.name(r.node, r.function == "backward")
        return self.names.take(r.wish or "value")

    def _gradient(self, root: Root) -> str:
        if not root.name:
            table = {p.path: p.node for p in self.plan.program.params}
            table |= {i.name: i.node for i in self.plan.program.inputs}
            base, copy = self.names.adjoint_base(table[root.path])
            known = self.names.of.get(root.node) if root.node else None
            others = {v.root.name for v in self.unit.gradients.values()}
            if known is None or known in others:  # one zero is many gradients
                known = self.names.take(base, copy)
            root.name = known
            if root.path in self.plan.turned:
                bare, _, mark = known.partition("⟦")
                root.name = self.names.take(f"{bare}_T", _copy_of(mark))
            if root.node is not None:
                self.names.of.setdefault(root.node, known)
        return root.name

    # ------------------------------------------------------------------ text of values
    def variable(self, v: Value) -> str:
        """The variable that holds a value of the plan; noted as made in `buffers`."""
        base = self.name(v.root)
        if base not in self.defined:
            self.defined[base] = self._made(v.root)
            self.headers.append(ONE)
        if not v.how:
            return base
        key = (base, v.how)
        known = self.views.get(key)
        if known is None:
            bare, _, mark = base.partition("⟦")
            known = self.names.take(bare + _suffix(v), _copy_of(mark))
            self.views[key] = known
            self.defined[known] = v.how.replace("{}", base)
            steps = v.how.startswith("list(")
            self.headers.append(v.shape[0] if steps else ONE)
        return known

    def _made(self, root: Root) -> str:
        """How `buffers` makes a variable."""
        if root.zeros:
            return self._part_of_zeros(root)
        if root.made:
            return root.made
        assert root.storage is not None
        home = self.layout.home(root.storage)
        if home.given:
            path = self.given[home].path
            text = f'gradients["{path}"]' + ".T" * (path in self.plan.turned)
            same = self._is_gradient(root, home)
            return text if same else f"{text}.reshape({self._sizes(root.shape)})"
        k = self.layout.place[home]
        if root.spaced:
            rows, columns = root.shape[0], size(root.shape[1:])
            spaced = (rows, columns + LINE)
            text = self._placed(self.names_of_slots[k], self.rooms[k], spaced)
            index = index_text([(None, None, None), (None, self._size(columns), None)])
            text = item(name(text), index).text
            inside = self._sizes(root.shape)
            return text if len(root.shape) == 2 else f"{text}.reshape({inside})"
        return self._placed(self.names_of_slots[k], self.rooms[k], root.shape)

    def _part_of_zeros(self, root: Root) -> str:
        """A view of the zeros that all share."""
        taken = size(root.shape)
        k = next(k for k, (d, _) in enumerate(self.zeros) if at_most(taken, d))
        most, text = self.zeros[k]
        room = self._room(most, [d for d in self.all_zeros if at_most(d, most)])
        if not text:
            text = self.names.take("all_zeros")
            self.zeros[k] = (most, text)
            self.defined[text] = f"np.zeros({room}, dtype)"
        return self._placed(text, room, root.shape)

    def _placed(self, text: str, room: str, shape: Shape) -> str:
        """So many elements of an array that has `room`, in a shape."""
        stop = self._size(size(shape))
        if stop.text != room:
            text = item(name(text), index_text([(None, stop, None)])).text
        return text if len(shape) == 1 else f"{text}.reshape({self._sizes(shape)})"

    def _sizes(self, shape: Sequence[Dim]) -> str:
        return ", ".join(self._size(d).text for d in shape) or "()"

    def _size(self, d: Dim) -> Expr:
        """A size as `buffers` writes it."""
        made = self.sizes.get(d.written)
        if made is None:
            made = self.sizes[d.written] = dim_expr(d, self._spell)
        return made

    def _spell(self, symbol: str) -> str:
        (
            self.module.scope.used_constants.add(symbol)
            if (symbol in self.module.scope.constants)
            else None
        )
        return self.names.symbols.get(symbol, symbol)

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
        known = self.variable(v)
        self.used[function].setdefault(known)
        return known

    # ------------------------------------------------------------------ functions
    def functions(self) -> list[list[str]]:
        comments = Commentary(self.plan, self.names)
        bodies = {k: self._body(k, comments) for k in ("forward", "backward")}
        self.flat = self.names.flat()
        forward, backward = self._forward(bodies), self._backward(bodies)
        return [self._buffers(), forward, backward]

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
            for slot in self.layout.freed.get(self.unit.uses[i], []):
                blank = BLANK[self.layout.slots[slot].kind]
                text = self.names_of_slots[slot]
                self.used[i.function].setdefault(text)
                out.append(f"{pad}{text}.fill({blank})")
        return out

    def _in_place(self, i: Instruction) -> bool:
        assert i.base is not None and i.out is not None
        a, b = i.base.storage, i.out.storage
        if not i.base.whole or a is None or b is None:
            return False
        return self.layout.same(a, b)

    def _note(self, i: Instruction) -> str:
        """`  # in place of h`."""
        if i.out is None:
            return ""
        before = self.before.get(i.out.root)
        if before is None or self.name(before) == self.name(i.out.root):
            return ""
        return f"  # in place of {self.name(before)}"

    def _final(self, text: str) -> str:
        if "⟦" not in text:
            return text
        return MARKED.sub(lambda m: self.flat.get(m[0], m[1]), text)

    def _finish(self, lines: list[str]) -> list[str]:
        """Final names; no remark where a line has no room for it."""
        out: list[str] = []
        for line in lines:
            text = self._final(line)
            if len(text) > WIDTH and "  # in place of" in text:
                text = text[: text.index("  # in place of")]
            out.append(text)
        return out

    def _sizes_used(self, lines: list[str], function: str) -> list[str]:
        """The sizes that the lines name: entries of `work`, first."""
        text = "\n".join(t.partition("#")[0] for t in lines)
        found = []
        for symbol in self.symbols:
            spelling = self.names.symbols.get(symbol, symbol)
            if re.search(rf"(?<![\w.]){re.escape(spelling)}(?!\w)", text):
                found.append(spelling)
        return found

    @cached_property
    def rooms(self) -> list[str]:
        """The elements of each slot."""
        slots = self.layout.slots
        return [self._room(slot.size, (s.size for s in slot.tenants)) for slot in slots]

    @cached_property
    def never_zero(self) -> frozenset[str]:
        """The sizes of the data that the program refuses where they are 0."""
        program = self.plan.program
        found = {s for p in program.params for d in p.node.shape for s in d.symbols()}
        for check in program.checks:
            least = check.kind == "at_least" and (check.right.integer or 0) >= 1
            if least or check.kind == "nonzero":
                symbols = check.left.symbols()
                found.update(s for s in symbols if check.left == Dim.symbol(s))
        return frozenset(found)

    @cached_property
    def symbols(self) -> list[str]:
        """All sizes of the program, those of its inputs first."""
        known = list(self.plan.program.symbols)
        sizes = {d for v in self.unit.table.values for d in v.shape}
        rest = {s for d in sizes for s in d.symbols()}
        return known + sorted(rest - set(known) - {self.plan.rows})

    def _unpacked(self, function: str, lines: list[str]) -> list[str]:
        """`h, zeros, p = work["forward"]`."""
        sizes = self._sizes_used(lines, function)
        items = [*sizes, *(self._final(u) for u in self.used[function])]
        self.entries[function] = items
        return _unpacking(items, f'work["{function}"]')

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
        flat, self.module.flat = self.module.names.flat(), self.flat
        for table in TABLES:
            rows = [
                (self._final(self.names.of[n]), known[n].path)
                for n in f.leaves
                if n in known and known[n].table == table
            ]
            lines += self.module._unpack(table, rows)
        self.module.flat = flat
        text = "\n".join(t.partition("#")[0] for t in bodies["backward"])
        if plan.rows and re.search(r"(?<![\w.])rows(?!\w)", text):
            self.saved.setdefault("rows")
        saved = [self._final(s) for s in self.saved]
        lines += self._unpacked("forward", [*body, result, *(t for _, t in states)])
        if len(lines) > start:
            lines.append("")
        lines += body
        final = self._final(result)
        if not states:
            return lines + listing(f"return {final}, (", saved, ")", 4, lone=True)
        lines += listing("saved = (", saved, ")", 4, lone=True)
        entries = [f'"{path}": {self._final(t)}' for path, t in states]
        lines += listing("state = {", entries, "}", 4)
        return [*lines, f"    return {final}, saved, state"]

    def _backward(self, bodies: dict[str, list[str]]) -> list[str]:
        body = self._finish(bodies["backward"])
        lines = ["def backward(saved, d_loss, work):"]
        lines += docstring([SUMMARY["backward"]], 4)
        items = [self._final(s) for s in self.saved]
        if items:
            lines += _unpacking(items, "saved")
        lines += self._unpacked("backward", body)
        return [*lines, "", *body, '    return work["gradients"]']

    # ------------------------------------------------------------------ buffers
    def _buffers(self) -> list[str]:
        self.arguments = [self.names.symbols.get(s, s) for s in self._all_sizes]
        head = [*self.arguments, "dtype", "gradients=None"]
        lines = listing("def buffers(", head, "):", 0, call=True)
        lines += docstring(self._described(), 4)
        paths = {p.path: p.node.shape for p in self.plan.program.params}
        paths |= {i.name: i.node.shape for i in self.plan.program.inputs}
        made = []
        for path in self.unit.gradients:
            turned = path in self.plan.turned
            shape = self._shape(paths[path][::-1] if turned else paths[path])
            made.append(f'"{path}": np.empty({shape}, dtype)' + ".T" * turned)
        lines += listing("gradients = gradients or {", made, "}", 4)
        for k, slot in enumerate(self.layout.slots):
            made_ = f"np.empty({self.rooms[k]}, {DTYPE[slot.kind]})"
            lines.append(f"    {self.names_of_slots[k]} = {made_}")
        lines += self._definitions()
        items = {k: self.entries[k] for k in ("forward", "backward")}
        lines.append("    return {")
        for key, names in items.items():
            lines += _tuple(f'        "{key}": (', names, "),", 8)
        lines += ['        "gradients": gradients,', "    }"]
        return lines

    def _room(self, most: Dim, held: Iterable[Dim]) -> str:
        """The elements of an array for all of `held`, the largest of which is `most`: where
        there is no row, what knows no rows has its place."""
        ones = taken_as_one(most, held, self.never_zero)
        if not ones:
            return self._size(most).text

        def spell(symbol: str) -> str:
            text = self._spell(symbol)
            return f"max({text}, 1)" if symbol in ones else text

        return dim_expr(most, spell).text

    def _definitions(self) -> list[str]:
        """A variable a line. What lies in one place in one shape is one array, which NumPy sees:
        where two overlap it asks how (.25 µs a call), but not where they are the same.
        """
        lines: list[str] = []
        first: dict[str, str] = {}
        for variable, text in self.defined.items():
            left, right = self._final(variable), self._final(text)
            known = first.setdefault(right, left)
            if known != left and not right.startswith("np."):  # memory of its own
                right = known
            if left != right:
                lines.append(f"    {left} = {right}")
        return lines

    def _shape(self, shape: Sequence[Dim]) -> str:
        text = self._sizes(shape) if shape else ""
        return f"({text},)" if len(shape) == 1 else f"({text})"

    @cached_property
    def _all_sizes(self) -> list[str]:
        """The sizes that `buffers` takes. Asked for once its text is known."""
        texts = [*self.defined.values()]
        texts += [self._size(s.size).text for s in self.layout.slots]
        texts += [n for items in self.entries.values() for n in items]
        texts += [self._sizes(v.shape) for v in self.unit.gradients.values()]
        everything = " ; ".join(texts)
        return [
            s
            for s in self.symbols
            if re.search(
                rf"(?<![\w.]){re.escape(self.names.symbols.get(s, s))}(?!\w)",
                everything,
            )
        ]

    def _described(self) -> list[str]:
        """The plan, slot by slot."""
        lines = ["Return the memory of a step: a plan in which values share it.", ""]
        named = self._tenants()
        for k, slot in enumerate(self.layout.slots):
            tenants: dict[str, None] = {}
            for s in slot.tenants:
                tenants.setdefault(self._final(named.get(s, "")))
            tenants.pop("", None)
            kind = {"real": "", "int": ", whole numbers", "bool": ", truth values"}
            count = self._size(slot.size).text
            text = f"{self.names_of_slots[k]} ({count}{kind[slot.kind]}): "
            shown = list(tenants)
            if len(shown) > 12:
                shown = [*shown[:11], f"… {len(shown) - 11} more"]
            words = (text + ", ".join(shown) + ".").split(" ")
            first, *rest = fill_text(words, WIDTH - 6)
            lines += [first, *(f"  {t}" for t in rest)]
        entry = self.entry()
        numbers = self._amount(entry["reals"])
        constants = self._amount(entry["constants"])
        text = f"In all {numbers} numbers, and {constants} of constants."
        lines += ["", *fill_text(text.split(" "), WIDTH - 4)]
        return lines

    def _tenants(self) -> dict[Storage, str]:
        """The first name of what lies in a storage."""
        found: dict[Storage, str] = {}
        for v in self.unit.table.values:
            if v.root.storage is not None and v.root.name:
                found.setdefault(v.root.storage, v.root.name)
        return found

    def _amount(self, dim: Any) -> str:
        terms = {tuple(m[2]): m[0] for m in dim} if isinstance(dim, list) else None
        if terms is None:
            return f"{dim:,}"
        poly = Poly(terms)
        return str(poly)

    def entry(self) -> dict[str, Any]:
        """What the signature says of the buffers: sizes to call them with, elements, and
        `headers`, the array objects: a loop's views are one for each step."""
        constants = dict.fromkeys(KINDS, Poly({}))
        for root in self.unit.table.constants.values():
            if root.name in self.defined and not root.zeros:
                held = constants[root.kind]
                constants[root.kind] = held + size(root.shape).value
        for d, text in self.zeros:
            if text:
                constants["real"] = constants["real"] + d.value
        temporary = largest(size(s) for s in self._temporaries(self.unit.instructions))

        def json(poly: Poly) -> Any:
            return Dim(poly, poly).json()

        spare, headers = Poly({}), Poly({})
        for d in temporary:
            spare = spare + d.value
        for d in self.headers:
            headers = headers + d.value
        return {
            "sizes": self._all_sizes,
            "rows": bool(self.plan.rows),
            "gradients": {
                path: [d.json() for d in v.shape]
                for path, v in self.unit.gradients.items()
            },
            "reals": json(self.layout.total("real")),
            "integers": json(self.layout.total("int") + constants["int"]),
            "truths": json(self.layout.total("bool") + constants["bool"]),
            "constants": json(constants["real"]),
            "temporary": json(spare),
            "headers": json(headers),
        }

    def _temporaries(self, instructions: Sequence[Instruction]) -> list[Any]:
        found = []
        for i in instructions:
            if i.temporary is not None:
                found.append(i.temporary)
            found += self._temporaries(i.body)
        return found


# ------------------------------------------------------------------------ layout
def _copy_of(mark: str) -> tuple[int, ...]:
    return tuple(int(c) for c in mark.rstrip("⟧").split(",") if c)


def _suffix(v: Value) -> str:
    """What a view is called after what it is a view of."""
    how = v.how
    if how.startswith("list("):
        return "_steps"
    if how.startswith("kernel_places("):
        return "_places"
    if how.endswith(".T"):
        return "_T"
    if how.endswith("]"):
        return "_part"
    if ".reshape(" in how and how.endswith(")") and "swapaxes" not in how:
        return {1: "_flat", 2: "_rows"}.get(len(v.shape), "_view")
    return "_turned"


def _unpacking(items: Sequence[str], source: str) -> list[str]:
    """`a, b = work["forward"]`."""
    if not items:
        return []
    if len(items) == 1:
        return [f"    ({items[0]},) = {source}"]
    one = "    " + ", ".join(items) + f" = {source}"
    if len(one) <= WIDTH:
        return [one]
    return listing("(", items, f") = {source}", 4, lone=True)


def _tuple(head: str, items: Sequence[str], tail: str, indent: int) -> list[str]:
    pad = " " * indent
    lone = "," if len(items) == 1 else ""
    one = f"{head}{', '.join(items)}{lone}{tail}"
    if len(one) <= WIDTH:
        return [one]
    return [head, *(f"{pad}    {i}," for i in items), f"{pad}{tail}"]
