"""What backward computes again, where forward could have saved it.

Part of the schedule. In: what backward reads of forward. Out: the values of that which are
not saved but taken again, of what is saved. They are the same operations on the same
values, a random draw included, which is an argument and no operation: gradients are equal
to the last bit. Views, sizes and masks are always taken again (`views.py`); beyond that

    none     nothing
    cheap    elementwise values at most MOST operations away from what is saved anyway:
             `d / root` of a layer norm, `y^2` of a gelu, a product of gates
    blocks   all that stands inside of a block, from what goes into it: a block is a copy
             of a `repeat`, or outside of one a layer with parameters, and what functions
             make of that alone, an activation; a value that another block reads is saved

For blocks, forward runs almost twice, and a stack of L alike blocks holds L + 1 values that
lead from one to the next, and what is inside of one, not of L (Chen et al. 2016,
arXiv:1604.06174). Loops (`for`) are saved as ever, whatever block they stand in.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..ir.node import Node
from ..ir.program import Joint
from .bodies import is_loop, is_projection
from .views import ATOMS, Views

MOST = 2
"""Operations that are done again rather than saved, for `cheap`."""

CHEAP = frozenset(
    {"add", "sub", "mul", "div", "neg", "maximum", "minimum", "masked", "where", "cast"}
)

Block = tuple[object, ...]


def cheap(views: Views, saved: Collection[Node], last: Collection[int]) -> set[Node]:
    """Of what would be saved, what a few operations make of the rest and of leaves.

    Nothing of the equations `last`, those of losses: backward reads it at once.
    """
    again: set[Node] = set()
    kept = set(saved)
    for n in sorted(saved, key=lambda n: n.serial):
        if n.shape and n.op.family != "leaf" and n.origin.equation not in last:
            found = _near(views, n, kept)
            if found:
                again |= found
                kept.discard(n)
    return again


def _near(views: Views, n: Node, kept: set[Node]) -> set[Node]:
    """The operations that make `n` of leaves and of what is kept, where they are cheap and
    at most MOST; else none."""
    found: set[Node] = set()
    stack = [n]
    while stack:
        m = stack.pop()
        if m in found:
            continue
        if not _is_cheap(m) or m.shape != n.shape:  # a pool reads four times its size
            return set()
        found.add(m)
        if len(found) > MOST:
            return set()
        for a in m.args:
            while views.is_view(a):
                a = a.args[0]
            ready = a in kept or a.op.family == "leaf" or a.op.name in ATOMS
            if not ready and not views.trivial(a):
                stack.append(a)
    return found


def _is_cheap(n: Node) -> bool:
    squared = n.op.name == "pow" and n.attrs["exponent"] == 2
    return n.op.name in CHEAP or squared


def inside_blocks(
    joint: Joint, views: Views, forward: Collection[Node], results: Sequence[Node]
) -> set[Node]:
    """The values of forward that no other block reads, and that are no result."""
    order = sorted(forward, key=lambda n: n.serial)
    block = _blocks(joint, order)
    readers: dict[Node, set[Block]] = {n: set() for n in order}
    outside: Block = ()
    for n in results:
        readers[n].add(outside)
    for n in reversed(order):
        by = readers[n] if views.is_view(n) else {block.get(n, outside)}
        for a in n.args:
            readers[a] |= by
    return {
        n
        for n, b in block.items()
        if readers[n] <= {b} and not (is_loop(n) or is_projection(n))
    }


def _plain(n: Node) -> bool:
    """Is it a parameter, an input or a number, spread or not?"""
    while n.op.name == "broadcast":
        n = n.args[0]
    return n.op.family == "leaf" or n.op.name in ATOMS or not n.shape


def _blocks(joint: Joint, order: Sequence[Node]) -> dict[Node, Block]:
    """The block of every value that stands in one."""
    equations = joint.program.equations
    losses = {r.equation for r in joint.program.training.losses}
    leaves = {p.node for p in joint.program.params}
    block: dict[Node, Block] = {}
    with_parameters: set[Block] = set()
    for n in order:
        at = n.origin.equation
        if n.op.family == "leaf" or not 0 <= at < len(equations):
            continue
        if equations[at].group >= 0:
            block[n] = ("repeat", equations[at].group, *equations[at].copy)
            with_parameters.add(block[n])
        elif len(n.origin.instances) > 1:
            block[n] = ("layer", at, *n.origin.instances[:2])
            if not leaves.isdisjoint(n.args):
                with_parameters.add(block[n])
        elif n.origin.instances and at not in losses:
            inside = {block[a] for a in n.args if a in block}
            if len(inside) == 1 and all(a in block or _plain(a) for a in n.args):
                block[n] = inside.pop()
    return {n: b for n, b in block.items() if b in with_parameters}
