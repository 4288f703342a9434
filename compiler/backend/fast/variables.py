"""The variables of a planned module: what each is called, and where it lies.

In: a plan of level 2. Out: a name for every value of its instructions, and the line of
`buffers` that makes it: a part of a slot, a gradient, a view, a constant. Values that are made
in place of each other at once have one name, unless the program named them.

    held = Variables(plan, names, scope)
    held.variable(value)        "h_rows", and `buffers` has h_rows = h.reshape(…)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from ...ir.dims import ONE, Dim, Poly, Shape, size
from ..expressions import Scope
from ..memory import Storage, at_most, largest, taken_as_one
from ..names import MARKED, Names
from ..plan import Plan
from ..pyast import Expr, index_text, item
from ..pyast import name as named
from ..sizes import dim_expr
from .build import Unit
from .values import LINE, Instruction, Root, Value


class Variables:
    """Names and places, given as they are asked for."""

    def __init__(self, plan: Plan, names: Names, scope: Scope) -> None:
        self.plan, self.names, self.scope = plan, names, scope
        if plan.rows:
            names.symbols[plan.rows] = "rows"
        self.unit = Unit(plan, names, scope)
        self.layout = self.unit.layout
        self.given = {
            v.storage: v.root for v in self.unit.gradients.values() if v.storage
        }
        self.chained: dict[Root, Root] = {}  # a value -> what takes its place at once
        self.before: dict[Root, Root] = {}  # and back
        self.flat: dict[str, str] = {}  # a marked name -> the final one
        self.slots: list[str] = []  # their names
        self.views: dict[tuple[str, str], str] = {}  # of a variable -> its variable
        self.texts: dict[str, str] = {}  # variable -> where it lies
        self.sizes: dict[Poly, Expr] = {}  # in Python
        self.defined: dict[str, str] = {}  # variable -> the text that makes it
        self.headers: list[Dim] = []  # of each variable, how many array objects it is
        constants = self.unit.table.constants.values()
        self.all_zeros = [size(r.shape) for r in constants if r.zeros]
        self.zeros = [(d, "") for d in largest(self.all_zeros)]
        self._chain(self.unit.instructions)
        self._name_slots()
        self._name_all(self.unit.instructions)

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
            self.slots.append(self.names.take(f"slot_{k}"))

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
            return text if same else f"{text}.reshape({self.sizes_text(root.shape)})"
        k = self.layout.place[home]
        if root.spaced:
            rows, columns = root.shape[0], size(root.shape[1:])
            spaced = (rows, columns + LINE)
            text = self._placed(self.slots[k], self.rooms[k], spaced)
            index = index_text(
                [(None, None, None), (None, self.size_text(columns), None)]
            )
            text = item(named(text), index).text
            inside = self.sizes_text(root.shape)
            return text if len(root.shape) == 2 else f"{text}.reshape({inside})"
        return self._placed(self.slots[k], self.rooms[k], root.shape)

    def _part_of_zeros(self, root: Root) -> str:
        """A view of the zeros that all share."""
        taken = size(root.shape)
        k = next(k for k, (d, _) in enumerate(self.zeros) if at_most(taken, d))
        most, text = self.zeros[k]
        room = self.room(most, [d for d in self.all_zeros if at_most(d, most)])
        if not text:
            text = self.names.take("all_zeros")
            self.zeros[k] = (most, text)
            self.defined[text] = f"np.zeros({room}, dtype)"
        return self._placed(text, room, root.shape)

    def _placed(self, text: str, room: str, shape: Shape) -> str:
        """So many elements of an array that has `room`, in a shape."""
        stop = self.size_text(size(shape))
        if stop.text != room:
            text = item(named(text), index_text([(None, stop, None)])).text
        return text if len(shape) == 1 else f"{text}.reshape({self.sizes_text(shape)})"

    def sizes_text(self, shape: Sequence[Dim]) -> str:
        return ", ".join(self.size_text(d).text for d in shape) or "()"

    def size_text(self, d: Dim) -> Expr:
        """A size as `buffers` writes it."""
        made = self.sizes.get(d.written)
        if made is None:
            made = self.sizes[d.written] = dim_expr(d, self._spell)
        return made

    def _spell(self, symbol: str) -> str:
        if symbol in self.scope.constants:
            self.scope.used_constants.add(symbol)
        return self.names.symbols.get(symbol, symbol)

    def room(self, most: Dim, held: Iterable[Dim]) -> str:
        """The elements of an array for all of `held`, the largest of which is `most`: where
        there is no row, what knows no rows has its place."""
        ones = taken_as_one(most, held, self.never_zero)
        if not ones:
            return self.size_text(most).text

        def spell(symbol: str) -> str:
            text = self._spell(symbol)
            return f"max({text}, 1)" if symbol in ones else text

        return dim_expr(most, spell).text

    @cached_property
    def rooms(self) -> list[str]:
        """The elements of each slot."""
        slots = self.layout.slots
        return [self.room(slot.size, (s.size for s in slot.tenants)) for slot in slots]

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

    def final(self, text: str) -> str:
        if "⟦" not in text:
            return text
        return MARKED.sub(lambda m: self.flat.get(m[0], m[1]), text)


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
