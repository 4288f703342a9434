"""Which values get a name so that others can speak of them: `t1`, `t2`.

A value that is read twice and is worth a name, or that ends a long way, is a part. What the
program names itself needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gradc.records import record

from ..ir.node import Node
from .formula import Formula

Named = Callable[[Node], "str | None"]
COSTLESS = frozenset({"broadcast", "reshape", "cast", "stop", "drawn", "neg"})
LONGEST = 40  # operations in one formula: beyond, a part of it gets a name


@record
class Part:
    """A value that nobody named, and that is read more than once: `t1`."""

    name: str
    node: Node
    formula: Formula


class Fresh:
    """Names that nothing else has: t1, t2, …"""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)
        self.last: dict[str, int] = {}

    def __call__(self, base: str, bare: bool = False) -> str:
        if bare and base not in self.taken:
            self.taken.add(base)
            return base
        k = self.last.get(base, 0) + 1
        while f"{base}{k}" in self.taken:
            k += 1
        self.last[base] = k
        self.taken.add(f"{base}{k}")
        return f"{base}{k}"


def inner(roots: Iterable[Node], named: Named) -> list[Node]:
    """The nodes that have to be said, arguments first."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            stack.extend(a for a in n.args if a not in seen and named(a) is None)
    return sorted(seen, key=lambda n: n.serial)


def shared(inner: list[Node], roots: list[Node], named: Named) -> list[Node]:
    """Those that get a name: read twice and worth one, or at the end of a long way."""
    uses: dict[Node, int] = {}
    for n in inner:
        for a in dict.fromkeys(n.args):
            uses[a] = uses.get(a, 0) + 1
    weight: dict[Node, int] = {}
    chosen: list[Node] = []
    ends = set(roots)
    for n in inner:
        below = sum(weight.get(a, 0) for a in n.args)
        own = 0 if n.op.name in COSTLESS or not n.args else 1
        weight[n] = below + own
        if n.op.family in ("leaf", "tuple") or n.op.name == "broadcast":
            continue
        often = uses.get(n, 0) + (n in ends) > 1 and weight[n] > 1 and uses.get(n, 0)
        if often or (weight[n] > LONGEST and n not in ends):
            if named(n) is None:
                chosen.append(n)
            weight[n] = 0
        elif n in ends and named(n) is not None:
            weight[n] = 0
    return chosen
