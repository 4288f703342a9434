"""When a value gets a line of its own: the rule of what a reader can hold in the head.

In: one function's nodes with what they read. Out: the set of nodes that are lines. A node
is a line if it is bound, saved, returned, a statement, or read twice. The rest is nested
into the lines until the weight of one (an operation is 1, a view 0) exceeds BUDGET; then
the nearest node that has a proposed name is split off, else the first part of a sum, which
takes the sum's own name and goes on with `+=`, else the heaviest argument.

What is a line in one function is a line in all: `z = x @ W + b` looks the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from ..ir.node import Node
from .bodies import is_loop, is_projection
from .numbers import form
from .plan import Function
from .pyast import template
from .views import Views, gathers

BUDGET = 6


def choose_lines(
    f: Function,
    views: Views,
    reads: Mapping[Node, Sequence[Node]],
    uses: Mapping[Node, Sequence[Node]],
    shared: set[Node],
    saved: set[Node],
    roots: set[Node],
    level: int,
    base: Callable[[Node], Node],
) -> set[Node]:
    """The nodes that are lines in `f`; fills `f.chains`."""
    lines: set[Node] = set()
    for n in f.computed:
        if n in f.bound or n in saved or n in roots:
            lines.add(n)
        elif statement_only(n):
            lines.add(n)
            lines.update(reads[n][:1])
        elif is_loop(n):
            lines.add(n)
            lines.update(b for b in reads[n] if not views.trivial(b))
        elif is_projection(n):
            lines.add(n)
        elif views.trivial(n):
            continue
        elif level == 0 or n in shared or len(uses.get(n, ())) > 1 or views.is_view(n):
            lines.add(n)
    if level > 0:
        _Nesting(f, views, reads, uses, lines, base).run()
    return lines


def statement_only(n: Node) -> bool:
    """An op that is written as a change of its first argument alone (`put`)."""
    return n.op.numpy is None and n.op.update is not None


def changes_first(n: Node) -> bool:
    """Has the op a statement that turns its first argument into the result?

    That of `put` and its like adds to a `{base}` that is no argument: it is the idioms'.
    """
    update = n.op.update
    if update is None or not n.args:
        return False
    if callable(update):
        made = update(n)
        update = made[0] if isinstance(made, tuple) else made
    if update is None or ("{base}" in update and "base" not in n.op.args):
        return False
    return f"{{{n.op.args[0]}}}" in update


def weight(n: Node, views: Views) -> int:
    if n in views.folded:
        return n.args[0].op.weight
    return n.op.weight


@cache
def read_twice(source: str) -> frozenset[str]:
    """The holes of a template that stand in it more than once."""
    return frozenset(
        hole for hole, times in template(source).reads.items() if times > 1
    )


class _Nesting:
    """Weighs what would stand in one line, and splits what is too much."""

    def __init__(
        self,
        f: Function,
        views: Views,
        reads: Mapping[Node, Sequence[Node]],
        uses: Mapping[Node, Sequence[Node]],
        lines: set[Node],
        base: Callable[[Node], Node],
    ) -> None:
        self.base = base
        self.f, self.views, self.reads, self.uses = f, views, reads, uses
        self.lines = lines
        self.weight: dict[Node, int] = {}
        self.product: dict[Node, bool] = {}  # a product of matrices stands inside

    def run(self) -> None:
        for n in self.f.computed:
            kids = self._inside(n)
            if kids and self._force(n, kids):
                kids = self._inside(n)
            self._weigh(n, kids)
            if n.op.variadic and len(n.args) > 3:
                for kid in self._inside(n):  # each part of a concat is a name or short
                    if self.weight[kid] > 1:
                        self.lines.add(kid)
                self._weigh(n, self._inside(n))
                continue
            while self.weight[n] > BUDGET and self._split(n):
                self._weigh_again(n)

    def _inside(self, n: Node) -> list[Node]:
        """What is nested into the line of `n`, one level down, and could be a line."""
        lines, trivial = self.lines, self.views.trivial
        return [b for b in self.reads[n] if b not in lines and not trivial(b)]

    def _weigh(self, n: Node, kids: Sequence[Node]) -> None:
        total = 0 if self.views.is_view(n) else weight(n, self.views)
        product = n.op.name == "einsum2"
        for k in kids:
            total += self.weight[k]
            product = product or self.product[k]
        self.weight[n], self.product[n] = total, product

    def _weigh_again(self, n: Node) -> None:
        """After a split deep inside; what is nested is small, so this is short."""
        inside = self._tree(n)
        for m in reversed(inside):
            self._weigh(m, self._inside(m))

    def _tree(self, n: Node) -> list[Node]:
        """`n` and all that is nested into its line, breadth first."""
        out = [n]
        for m in out:
            out.extend(self._inside(m))
        return out

    def _force(self, n: Node, kids: Sequence[Node]) -> bool:
        """Calls and powers hold no product of matrices; a hole read twice wants a name.

        Whether any of the kids, what is nested into the line of `n`, became a line.
        """
        before = len(self.lines)
        op = n.args[0].op if n in self.views.folded else n.op
        if op.call or op.name in ("pow", "power"):
            self.lines.update(k for k in kids if self.product[k])
        if op.name == "einsum2":
            backward = self.f.name == "backward"
            self.lines.update(k for k in kids if backward or gathers(k))
        if op.name in ("mul", "div") and len(n.args) == 2:
            for k in kids:
                if k.op.name != "einsum2":
                    continue
                others = [a for a in n.args if not self.views.constant(a)]
                if len(others) > 1:
                    self.lines.add(k)
        source = form(n) if self.f.numbers else op.numpy
        if isinstance(source, str):
            for hole, arg in zip(op.args, n.args, strict=False):
                if hole in read_twice(source) and self.base(arg) in kids:
                    self.lines.add(self.base(arg))
        return len(self.lines) > before

    def _split(self, n: Node) -> bool:
        kids = self._inside(n)
        if not kids:
            return False
        hints = n.graph.hints
        for m in self._tree(n)[1:]:
            if m in hints:
                self.lines.add(m)
                return True
        first = self.reads[n][0]
        if (
            n.op.name in ("add", "sub")
            and first in kids
            and n.args[0] is first
            and first.shape == n.shape
        ):
            self.lines.add(first)
            self.f.chains[first] = n
            return True
        self.lines.add(max(kids, key=lambda k: (self.weight[k], -k.serial)))
        return True
