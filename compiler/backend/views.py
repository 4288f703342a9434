"""What costs nothing: views, sizes and constants, and what is simply written again.

Stage: the backend's first look at a joint program. In: its nodes. Out: for every node,
whether it is computed, read through, or an atom that is written where it is used.

* An *atom* is a constant, a size, a structural zero, an index along an axis.
* A *view* shares its argument's storage: a reader of the view reads the argument.
* A reduction keeps its axes in the DAG; a reshape that drops them again is no view but
  the reduction itself, ``x.sum(axis=0)``, where nobody reads the reduction otherwise: it
  is `folded`.
* A reshape of windows is no view either: it copies each of them (`gathers`).
* *Trivial* is arithmetic of sizes, constants and ``d_loss``: never named, never saved.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..ir.dims import ONE
from ..ir.node import Node

ATOMS = frozenset({"const", "size", "zero", "iota"})
VIEWS = frozenset({"broadcast", "reshape", "transpose", "slice", "stop"})
SIZES = frozenset({"const", "size", "seed"})
ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg", "pow"})
ARITHMETIC_OF_SIZES = ARITHMETIC | {"cast"}
OF_SIZES = ARITHMETIC_OF_SIZES | SIZES
REDUCTIONS = frozenset({"sum", "max", "any", "all", "argmax"})
COMPARISONS = frozenset({"lt", "le", "eq", "not", "and", "or"})
MOST_REPEATED = 4  # operations of sizes that are repeated rather than named
DEEPEST = 8  # views upon views before one of them gets a line


class Views:
    """The classification of the live nodes of one module."""

    def __init__(self, live: Iterable[Node], bound: Iterable[Node]) -> None:
        self._trivial: dict[Node, int] = {}
        named = set(bound)
        readers: dict[Node, int] = {}
        drops: dict[Node, list[Node]] = {}
        for n in live:
            args = n.args
            for a in args if len(args) < 2 else dict.fromkeys(args):
                readers[a] = readers.get(a, 0) + 1
            if n.op.name == "reshape" and drops_axes(n):
                drops.setdefault(n.args[0], []).append(n)
        self.folded: set[Node] = {
            reshape
            for reduction, reshapes in drops.items()
            if reduction not in named and readers[reduction] == len(reshapes)
            for reshape in reshapes
        }
        self.absorbed: set[Node] = {reshape.args[0] for reshape in self.folded}
        self.own: set[Node] = set()  # the user's value, where a view is all that it is
        self.cast: set[Node] = set()  # `keep = (u < p).astype(…)`: an array of reals
        for n in sorted(named, key=lambda n: n.serial):
            while n.op.name in ("stop", "drawn") and readers.get(n.args[0]) == 1:
                self.own.add(n)
                n = n.args[0]
            if n.op.name == "cast" and n.kind == "real" != n.args[0].kind:
                self.cast.add(n)

    def is_view(self, n: Node) -> bool:
        """Read through wherever it stands (unless the user named it)."""
        op = n.op
        name = op.name
        if name == "cast":
            own = n in self.own
            return not own and n.args[0].kind != "real" and n not in self.cast
        if name == "reshape":
            return n not in self.own and n not in self.folded and not gathers(n)
        if name in VIEWS or op.view:
            return bool(n.args) and n not in self.own
        return False

    def trivial(self, n: Node) -> bool:
        """Arithmetic of sizes, constants and the seed, short enough to be repeated."""
        known = self._trivial.get(n)
        if known is None:
            known = self.operations_of_sizes(n)
        return known <= MOST_REPEATED

    def operations_of_sizes(self, n: Node) -> int:
        """How many operations; beyond MOST_REPEATED for anything but such arithmetic."""
        known = self._trivial.get(n)
        if known is not None:
            return known
        if n.shape or n.op.name not in OF_SIZES:
            self._trivial[n] = MOST_REPEATED + 1
            return MOST_REPEATED + 1
        stack = [n]
        while stack:
            m = stack[-1]
            if m in self._trivial:
                stack.pop()
                continue
            op = m.op.name
            if op in SIZES:
                self._trivial[m] = 0
            elif m.shape or m.kind != "real" or op not in ARITHMETIC_OF_SIZES:
                self._trivial[m] = MOST_REPEATED + 1
            else:
                missing = [a for a in m.args if a not in self._trivial]
                if missing:
                    stack.extend(missing)
                    continue
                total = 1 + sum(self._trivial[a] for a in m.args)
                self._trivial[m] = min(total, MOST_REPEATED + 1)
            stack.pop()
        return self._trivial[n]

    def retaken(self, n: Node) -> bool:
        """A mask such as `h > 0`: computed again in backward, never saved."""
        return (
            n.op.name in ("lt", "le", "eq", "not")
            and n.kind == "bool"
            and sum(not self.constant(a) for a in n.args) <= 1
        )

    def constant(self, n: Node) -> bool:
        """A number under any views."""
        while self.is_view(n):
            n = n.args[0]
        return n.op.name in ATOMS or self.trivial(n)


def gathers(n: Node) -> bool:
    """Is `n` a reshape that has to copy: windows that lie over one another, in rows?"""
    x = n.args[0]
    while x.op.name in ("transpose", "slice"):
        x = x.args[0]
    return n.op.name == "reshape" and x.op.name == "windows"


def drops_axes(n: Node) -> bool:
    """Is `n` a reshape that takes out exactly the axes that a reduction kept as ones?"""
    if n.op.name != "reshape":
        return False
    x = n.args[0]
    axes = reduced(x)
    if not axes or any(x.shape[i] != ONE for i in axes):
        return False
    return n.shape == tuple(d for i, d in enumerate(x.shape) if i not in axes)


def reduced(n: Node) -> tuple[int, ...]:
    """The axes that a reduction keeps as ones; () for any other op."""
    if n.op.name not in REDUCTIONS and not n.attrs.get("keep"):
        return ()
    axes = n.attrs.get("axes")
    if axes is None:
        axis = n.attrs.get("axis")
        return () if axis is None else (int(axis),)
    return tuple(axes)
