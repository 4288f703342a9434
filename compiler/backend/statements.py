"""The statements of one function: assignments, and updates in place where they are safe.

In: a scheduled function and the names of the module. Out: per equation, statements whose
names are still marked with their copy.

An update (`d_W += …`, `d[np.arange(N), y] -= 1`) changes its first argument. It is used
only where that argument is a line of this function, freshly allocated (no view, input or
saved value), last read here, of equal shape, and both have one name. Nothing that a caller
handed in, or that `forward` saved, is ever modified.
"""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from dataclasses import field
from functools import cached_property

from gradc.records import record

from ..ir.dims import Shape
from ..ir.graph import topological
from ..ir.node import Node
from .bodies import is_loop, is_projection
from .expressions import DOUBLE, REAL, WEAK, Expressions, Scope, Value
from .lines import changes_first, statement_only
from .names import Names, base_of
from .numbers import Numbers
from .plan import Function, Plan
from .pyast import WIDTH, binary
from .sizes import shape_text
from .views import ATOMS

MARKS = re.compile(r"⟦[^⟧]*⟧")
VALUE = re.compile(r"(?<![\w.])([^\W\d]\w*?)(?:_\d+)?(?:⟦[^⟧]*⟧)?(?![\w(=.⟦])")
FOREVER = 1 << 60
LONG_VIEW = 25  # characters; a name for less saves no line
ACCUMULATE = frozenset({"add", "sub"})


@record(frozen=False)
class Statement:
    """One line of code. `target` is the marked name that it binds or changes."""

    text: str
    target: str
    comment: str = ""  # the shape
    node: Node | None = None
    update: bool = False


@record(frozen=False)
class Written:
    """An assignment, and what it depended on: another function may say the same."""

    reads: list[Node]
    statement: Statement
    dtype: str
    fresh: bool
    symbols: set[str]


@record(frozen=False)
class BlockText:
    """The statements of one equation."""

    equation: int
    statements: list[Statement] = field(default_factory=list)


def visible_length(text: str) -> int:
    """How long the line will be, about: a mark becomes a digit or nothing."""
    return len(MARKS.sub("", text)) + 1 if "⟦" in text else len(text)


class Writer(ABC):
    """One function to statements: all but its loops, see `loops.FunctionWriter`."""

    def __init__(
        self, plan: Plan, f: Function, names: Names, scope: Scope, complex: bool = False
    ) -> None:
        self.plan, self.f, self.names = plan, f, names
        self.views = plan.views
        self.complex = complex
        self.backward = f.name == "backward"
        self.lines = set(f.lines)  # grows where a line has to be split
        kind = Numbers if f.numbers else Expressions
        self.out = kind(scope, plan.views, f, self.name, self.like, complex=complex)
        self.out.lines = self.lines
        self.split: set[Node] = set()  # lines of which a part was split off
        self.shapes: dict[Shape, str] = {}
        self.written: dict[Node, Written] = {}
        self.known: dict[Node, Written] = {}  # what other functions wrote
        self.owned: set[Node] = set()
        self.order: dict[Node, int] = {}
        self.last_read: dict[Node, int] = {}
        self.joined = f.joined
        self.joined.clear()
        self.current: dict[str, Node] = {}  # a name -> the value that it holds
        self.copied: set[Node] = set()  # bases that are copied before they are changed
        self.like_used = False
        self.copies = 0  # repeats around the block at hand

    # ------------------------------------------------------------------ names
    def name(self, n: Node) -> str:
        while n in self.joined:
            n = self.joined[n]
        known = self.names.of.get(n)
        return known if known is not None else self._give(n)

    def _give(self, n: Node) -> str:
        bound = self.f.bound.get(n)
        if bound is not None and bound.primal is not None:
            base, copy = self.names.adjoint_base(bound.primal)
            key = f"{base}{copy}"
            holder = self.current.get(key)
            # a statement whose base is not ours is two lines: a copy, and the change
            copied = statement_only(n) and not (
                holder is n.args[0] and holder in self.owned
            )
            at = self.order.get(n, 0) - copied
            if holder is not None and self.last_read.get(holder, -1) <= at:
                given = self.names.of[n] = self.names.of[holder]
            else:
                given = self.names.of[n] = self.names.take(base, copy)
            self.current[key] = n
            return given
        return self.names.name(n, self.backward)

    def like(self) -> str:
        """An array whose type real values take."""
        hand = self.plan.saved if self.backward else self.f.leaves
        real = [n for n in hand if n.kind == "real"]
        plain = [n for n in real if "⟦" not in self.names.of.get(n, "⟦")]
        if not real:
            return ""
        return self.name((plain or real)[0])

    # ------------------------------------------------------------------ liveness
    def _liveness(self) -> None:
        """The last line that reads each line, through views that are lines themselves."""
        lines = [n for b in self.f.blocks for n in b.lines]
        self.order = {n: i for i, n in enumerate(lines)}
        at_line: dict[Node, list[Node]] = {n: self.reads(n) for n in lines}
        last: dict[Node, int] = {n: i for n, i in self.order.items()}
        for n, i in self.order.items():
            for r in at_line[n]:
                last[r] = max(last.get(r, -1), i)
        kept = self.plan.saved if self.f.name == "forward" else ()
        for n in (*kept, *(n for _, n in self.f.results)):
            last[n] = FOREVER
            while self.views.is_view(n):
                n = n.args[0]
                last[n] = FOREVER
        for n in reversed(lines):  # a view that lives keeps what it is a view of
            if self.views.is_view(n):
                for r in at_line[n]:
                    last[r] = max(last[r], last[n])
        self.last_read = last
        self.at_line = at_line

    def reads(self, n: Node) -> list[Node]:
        """The lines and values at hand that the line of `n` reads."""
        out: dict[Node, None] = {}
        stack = list(n.args)
        lines, hand = self.f.lines, self.f.at_hand
        while stack:
            m = stack.pop()
            if m in lines or m in hand:
                out.setdefault(m)
            else:
                stack.extend(m.args)
        return list(out)

    # ------------------------------------------------------------------ updates
    def _join(self) -> None:
        """Which values share a name, because one is made of the other in place."""
        for first, total in self.f.chains.items():
            if first in self.f.lines and self.last_read.get(first) == self.order.get(
                total
            ):
                self.joined[first] = total
        for b in self.f.blocks:
            for n in b.lines:
                if is_loop(n):
                    self.join_starts(n)
                if not changes_first(n):
                    continue
                a = n.args[0]
                if a not in self.f.lines or a.shape != n.shape:
                    continue
                chain = statement_only(n) or statement_only(a)
                if (
                    chain
                    and a not in self.f.bound
                    and a not in self.joined
                    and self.last_read.get(a) == self.order[n]
                    and (not statement_only(n) or self._fresh(a))
                ):
                    self.joined[a] = n

    def _fresh(self, a: Node) -> bool:
        """Will the line of `a` allocate the array that it names?"""
        if self.views.is_view(a) or a in self.f.at_hand:
            return False
        return a in self.f.lines

    def _updated(self, n: Node) -> int | None:
        """Where the other argument stands, if the line of `n` may change one."""
        if len(n.args) < 2:
            return None
        candidates = [(n.args[0], 1)]
        if n.op.name == "add":
            candidates.append((n.args[1], 0))
        for a, other in candidates:
            if (
                a in self.owned
                and a.shape == n.shape
                and a.kind == n.kind
                and self.last_read.get(a, FOREVER) <= self.order[n]
                and self.name(n) == self.name(a)
                and (not self.complex or statement_only(n))
                and (statement_only(n) or a not in self.turned)
                and not (self.f.numbers and n.op.number is not None)
                and self.out.dtypes.get(a, REAL) != WEAK
            ):
                return other
        return None

    @cached_property
    def turned(self) -> set[Node]:
        """Values whose axes may lie in another order in memory.

        What is made of one anew may lie otherwise than what is made in its place, and a sum
        over it has other bits: which of the two a line says must not depend on what else
        there is a line for.
        """
        found: set[Node] = set()
        for n in topological([n for _, n in self.f.results]):
            if len(n.shape) < 2 or n.op.name == "einsum2":
                continue
            if n.op.name == "transpose" or any(a in found for a in n.args):
                found.add(n)
        return found

    # ------------------------------------------------------------------ statements
    def run(self) -> list[BlockText]:
        self._liveness()
        self._join()
        blocks = []
        for b in self.f.blocks:
            block = BlockText(b.equation)
            equations = self.plan.program.equations
            known = 0 <= b.equation < len(equations)
            self.copies = len(equations[b.equation].copy) if known else 0
            self.indent = 8 if self.copies else 4
            for n in b.lines:
                self._line(n, block.statements)
            blocks.append(block)
        return blocks

    def _line(self, n: Node, into: list[Statement]) -> None:
        if is_loop(n):
            into += self.loop(n)
            return
        if is_projection(n):  # the lines of its loop have made it
            return
        other = None
        if n not in self.views.folded and changes_first(n):
            other = self._updated(n)
        if other is not None:
            target = self.name(n)
            text = self.out.update(n, target, other)
            if self._fits(n, text, "", into):
                self.owned.add(n)
                into.append(Statement(text, target, "", n, update=True))
            return
        if statement_only(n):
            self._copied(n, into)
            return
        if self._added(n, into):
            return
        target = self.name(n)
        reads = self.at_line.get(n)
        again = self.known.get(n)
        if (
            again is not None
            and again.reads == reads
            and again.statement.target == target
            and not any(self.out.dtypes.get(r) == DOUBLE for r in reads or ())
        ):  # as in forward, word for word
            self.out.dtypes[n] = again.dtype
            self.out.symbols_used |= again.symbols
            if again.fresh:
                self.owned.add(n)
            into.append(again.statement)
            return
        before, self.out.symbols_used = self.out.symbols_used, set()
        value = self._whole(n, target)
        text = f"{target} = {value.expr.text}"
        used = self.out.symbols_used
        self.out.symbols_used = before | used
        comment = self._shape(n)
        if not self._fits(n, text, comment, into):
            return
        if (
            visible_length(text) + self.indent + (4 + len(comment)) * bool(comment)
            > WIDTH
        ):
            comment = ""
        self.out.dtypes[n] = value.dtype
        if not self.views.is_view(n) and "broadcast_to(" not in text:
            self.owned.add(n)
        statement = Statement(text, target, comment, n)
        alike = ".dtype" in text  # of an array that another function may lack
        if reads is not None and n not in self.split and not alike:
            fresh = n in self.owned
            self.written[n] = Written(reads, statement, value.dtype, fresh, used)
        into.append(statement)

    def _shape(self, n: Node) -> str:
        """The comment that says the shape; none on a scalar."""
        if not n.shape:
            return ""
        known = self.shapes.get(n.shape)
        if known is None:
            known = self.shapes[n.shape] = shape_text(n.shape, self._symbol)
        return known

    def _added(self, n: Node, into: list[Statement]) -> bool:
        """`d_W = d_W + a + b` is `d_W += a + b`, where the first part is ours."""
        if self.complex or n.op.name not in ACCUMULATE or n.kind != "real":
            return False
        parts: list[tuple[str, Node]] = []
        m = n
        while m.op.name in ACCUMULATE and (m is n or m not in self.lines):
            parts.append((m.op.name, m.args[1]))
            m = m.args[0]
        if (
            len(parts) < 2
            or parts[-1][0] != "add"
            or m not in self.owned
            or m in self.turned
            or m.shape != n.shape
            or self.last_read.get(m, FOREVER) > self.order[n]
            or self.name(m) != self.name(n)
        ):
            return False
        values = [(sign, self.out.value(p)) for sign, p in reversed(parts)]
        if any(v.dtype != REAL for _, v in values):
            return False
        total = values[0][1].expr
        for sign, v in values[1:]:
            total = binary(ast.Add if sign == "add" else ast.Sub, total, v.expr)
        text = f"{self.name(n)} += {total.text}"
        if not self._fits(n, text, "", into):
            return True
        self.owned.add(n)
        self.out.dtypes[n] = REAL
        into.append(Statement(text, self.name(n), "", n, update=True))
        return True

    @abstractmethod
    def join_starts(self, n: Node) -> None:
        """A carry and what it starts as have one name, where nothing else reads it."""

    @abstractmethod
    def loop(self, n: Node) -> list[Statement]:
        """The lines of a run-time loop: a body is a function, so it is written by one of us."""

    def _symbol(self, symbol: str) -> str:
        return self.out.scope.symbols.get(symbol, symbol)

    def _whole(self, n: Node, target: str) -> Value:
        """The right side, in its full shape."""
        value = self.out.value(n, top=True)
        if value.shape == n.shape:
            return value
        alike = ""
        bound = self.f.bound.get(n)
        primals = [bound.primal] if bound and bound.primal else []
        primals += [p for p in self.f.at_hand if p.op.name == "param"][:0]
        for p in primals:
            if p in self.f.at_hand and p.shape == n.shape:
                alike = self.name(p)
        return self.out.stretch(value, n.shape, alike, n.kind)

    def _copied(self, n: Node, into: list[Statement]) -> None:
        """A statement whose base is not ours to change: it gets a copy first."""
        base = n.args[0]
        target = self.name(n)
        start = self.out.full(base)
        text = f"{target} = {start.expr.within(12)}.copy()"
        into.append(Statement(text, target, self._shape(n), base))
        self.owned.add(n)
        into.append(Statement(self.out.update(n, target), target, "", n, update=True))

    def _fits(self, n: Node, text: str, comment: str, into: list[Statement]) -> bool:
        """Whether the line fits; where not, a part of it gets a line first, and again."""
        shape = len(comment) + 4 if comment else 0
        length = visible_length(text)
        if len(n.origin.copy) > self.copies:  # alike copies have the same lines
            length = len(VALUE.sub(r"\1[i]", text))
        if length + self.indent + shape <= WIDTH:
            return True
        parts = self._parts(n)
        if not parts and length + self.indent > WIDTH:
            parts = self._long_views(n)
        if not parts:
            return True
        part = self._worth(parts, length)
        self.split.add(n)
        self.lines.add(part)
        self.order[part] = self.order[n]
        self.last_read[part] = self.order[n]
        self._line(part, into)
        self._line(n, into)
        return False

    def _worth(self, parts: list[Node], length: int) -> Node:
        """The part whose own line and the rest are most alike in length, hinted first."""
        tree = list(parts)
        for p in tree:
            if len(tree) < 40:
                tree.extend(q for q in self._parts(p) if q not in tree)

        def rank(p: Node) -> tuple[bool, int, int]:
            own = visible_length(self.out.value(p).expr.text) + 20
            rest = length - own + 26
            fits = max(own, rest) + self.indent <= WIDTH and p in self.names.hints
            return (not fits, max(own, rest), p.serial)

        return min(tree, key=rank)

    def _parts(self, n: Node) -> list[Node]:
        """The operations nested into the line of `n`, outermost first."""
        source = n.args[0] if n in self.views.folded else n
        out: list[Node] = []
        stack = list(source.args)
        while stack:
            m = stack.pop()
            if m in self.lines or m in self.f.at_hand or m.op.family == "leaf":
                continue
            if m.op.name in ATOMS or self.views.trivial(m):
                continue
            if self.views.is_view(m):
                stack.extend(m.args)
            elif m not in out:
                out.append(m)
        return out

    def _long_views(self, n: Node) -> list[Node]:
        """The views with much text that are nested into the line of `n`."""
        source = n.args[0] if self.views.is_view(n) or n in self.views.folded else n
        views = [
            m for m in source.args if m not in self.lines and self.views.is_view(m)
        ]
        return [
            m
            for m in dict.fromkeys(views)
            if visible_length(self.out.value(m).expr.text) >= LONG_VIEW
        ]


def names_in(text: str) -> list[str]:
    """The marked or plain names that occur in a statement."""
    return re.findall(r"[^\W\d]\w*(?:⟦[^⟧]*⟧)?", text)


__all__ = ["BlockText", "Statement", "Writer", "base_of", "names_in"]
