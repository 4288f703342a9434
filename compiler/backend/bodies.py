"""The loops of a function: what of each is needed, and the lines of a step.

Comes in: a loop and the values that a function reads off it. Goes out: a `Body`, the
carries that are alive and the scheduled lines of one step, over formals that are at hand.

    for t in T { h = tanh(x[:, t] @ W + h @ U); y[:, t] = h }
        carries: h        lines: h       projections: each(h)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradc.records import record

from ..ir.graph import topological
from ..ir.node import Node
from .plan import Function
from .views import Views

PROJECTIONS = ("last", "each", "total")


def is_loop(n: Node) -> bool:
    return n.op.name == "loop"


def is_projection(n: Node) -> bool:
    """A value that is read off a loop: it is there when the loop has run."""
    return n.op.name in PROJECTIONS


@record(frozen=False)
class Body:
    """A loop in one function."""

    loop: Node
    projections: tuple[Node, ...]  # that the function reads
    carries: tuple[int, ...]  # the numbers of those that are alive
    function: Function  # the lines of a step
    views: Views

    def next(self, k: int) -> Node:
        """Carry k after the step."""
        after: Node = self.loop.attrs["body"][k]
        return after


# Schedules the values of a step: (values, views) -> their lines.
Schedule = Callable[[Sequence[Node], Views], Function]


def body_of(loop: Node, projections: Sequence[Node], schedule: Schedule) -> Body:
    """What a step of the loop computes for these projections."""
    values = [p.attrs["value"] for p in projections if p.op.name != "last"]
    lasts = [p.attrs["index"] for p in projections if p.op.name == "last"]
    carries = live_carries(loop, lasts, values)
    roots = list(dict.fromkeys([loop.attrs["body"][k] for k in carries] + values))
    views = Views(topological(roots), roots)
    return Body(loop, tuple(projections), carries, schedule(roots, views), views)


def live_carries(
    loop: Node, lasts: Sequence[int], values: Sequence[Node]
) -> tuple[int, ...]:
    """The carries that are read, or that a carry which is read needs."""
    body = loop.attrs["body"]
    found = set(lasts)
    todo = [*values, *(body[k] for k in lasts)]
    while todo:
        fresh = {
            n.attrs["index"]
            for n in topological(todo)
            if n.op.name == "formal" and n.attrs["role"] == "carry"
        } - found
        found |= fresh
        todo = [body[k] for k in sorted(fresh)]
    return tuple(sorted(found))


def sequence_core(loop: Node, index: int) -> tuple[Node, bool]:
    """What a slice is a slice of, without the axes that it is spread over; False if it
    is the same at every step."""
    sequence = loop.args[loop.attrs["carries"] + index]
    rank = len(sequence.shape)
    core = sequence
    while core.op.name == "broadcast":
        inner = core.args[0]
        if len(inner.shape) == rank and inner.shape[0] != sequence.shape[0]:
            return core, True  # of one step only: it is spread over the steps
        core = inner
    return core, len(core.shape) == rank


def indexed(loop: Node) -> list[Node]:
    """The arrays that are read step by step: each has a name."""
    n, m = loop.attrs["carries"], loop.attrs["sequences"]
    cores = [sequence_core(loop, i) for i in range(m)]
    found = [core for core, varies in cores if varies]
    return found + [
        x for x in loop.args[n + m :] if x.op.name == "reshape" and x.args[0].shape
    ]
