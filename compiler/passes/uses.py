"""Who reads what: the counts by which a pass knows a value that may be taken apart.

Comes in: nodes, arguments before users, and the roots among them. Goes out: for each node
how many values read it. A view, or a sign, is no reader of its own: those who read it are.

    count_uses([x, y, x + y], [x + y])     # {x: 1, y: 1, x + y: 1}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..ir.node import Node


def results_alone(order: Sequence[Node], uses: Mapping[Node, int]) -> set[Node]:
    """The results that nothing else reads."""
    read: set[Node] = set()
    for n in order:
        read.update(n.args)
    return {n for n in order if uses[n] == 1 and n not in read}


def count_uses(order: Sequence[Node], roots: Iterable[Node]) -> dict[Node, int]:
    """How many values read each node, counted through views and signs.

    A root is read once more.
    """
    uses = dict.fromkeys(order, 0)
    for r in roots:
        uses[r] += 1
    for n in reversed(order):
        through = uses[n] if n.op.view or n.op.name == "neg" else 1
        args = n.args
        if len(args) == 2 and args[0] is not args[1]:
            uses[args[0]] += through
            uses[args[1]] += through
        elif len(args) == 1:
            uses[args[0]] += through
        else:
            for a in dict.fromkeys(args):
                uses[a] += through
    return uses
