"""How images lie in memory: the batch last, the channels first.

In: the scheduled functions. Out: for the nodes that hold images, the order of their axes in
memory, the outermost first: (3, 1, 2, 0) for [N, H, W, c]. Shapes stay what they are; a value
is a turned view of the array that holds it.

A window, or a slice that a pool takes, then has runs of whole batches, and a convolution is
a product of matrices whose long side is places times batch: no copy turns anything. Where
axes 1 and 2 of x are under windows:

    x        [N, H, W, c]           (c, H, W, N)
    windows  [N, h, w, c, k, k]     (k, k, c, h, w, N)
    patches  [N, h, w, k * k * c]   (k * k * c, h, w, N)      K' @ patches
    z        [N, h, w, n]           (n, h, w, N)

The rule: what windows are taken of (or folded into), where axis 0 is under no window, is an
image. So is what stands beside one in an elementwise operation, as its operand or its
result; a part of one, and what it is a part of; a product that keeps the axis of the batch;
and a reshape that leaves axes beside one another which lie so. Anything else is an edge,
where values are copied once: the data, a flattened image, a sum. A batch that is known to
have fewer than FEWEST rows has no runs that are worth it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.graph import topological, users
from ...ir.node import Node
from ...ops.contraction import letters
from ..plan import Plan
from .reshapes import Order, moved

FEWEST = 16
ALIKE = frozenset(
    "slice unslice slice_on concat stop cast masked where broadcast".split()
)
"""Ops beside the elementwise ones whose result lies as their arguments do."""


def orders(plan: Plan) -> dict[Node, Order]:
    """The order of the axes of every node that holds images."""
    nodes = _nodes(plan)
    seeds = _seeds(plan, nodes)
    if not seeds:
        return {}
    readers = users(nodes)
    found: dict[Node, Order] = {}
    queue: list[Node] = []

    def mark(pairs: Iterable[tuple[Node, Order | None]]) -> None:
        for n, order in pairs:
            if order is None or n in found:
                continue
            if n.op.family != "leaf" and n.op.name not in ("size", "zero"):
                found[n] = order
                queue.append(n)

    for seed in seeds:
        base = seed.args[0] if seed.is_a("windows") else seed
        axes = _windowed(seed)
        rest = [i for i in range(1, len(base.shape)) if i not in axes]
        mark([(base, (*rest, *axes, 0))])
    while queue:
        n = queue.pop()
        order = found[n]
        mark((a, _below(n, a, order)) for a in n.args)
        mark((m, _above(m, n, order)) for m in readers.get(n, ()))
    for n in list(found):
        if n.is_a("reshape") and _flat_edge(n.args[0], n, found):
            found[n.args[0]] = (*range(1, len(n.args[0].shape)), 0)
    return found


def some_images(plan: Plan) -> bool:
    """Are there any that lie so?"""
    return bool(_seeds(plan, _nodes(plan)))


def _nodes(plan: Plan) -> list[Node]:
    functions = (plan.functions[name] for name in ("forward", "backward"))
    return topological(n for f in functions for _, n in f.results)


def _seeds(plan: Plan, nodes: Iterable[Node]) -> list[Node]:
    """Windows of images, and what is folded into them."""
    return [n for n in nodes if _windowed(n) and _many(plan, n)]


def _flat_edge(a: Node, n: Node, found: dict[Node, Order]) -> bool:
    """Is `a` a product that is an image in rows? It comes out with the batch last, too."""
    if a in found or not a.is_a("einsum2") or found[n][-1] != 0:
        return False
    sa, sb, so = letters(a.attrs["spec"])
    return a.shape[0] == n.shape[0] and (so[0] in sa) != (so[0] in sb)


def _windowed(n: Node) -> tuple[int, ...]:
    """The axes of an image that windows lie on, where the op is one of windows."""
    if n.is_a("windows", "fold"):
        return tuple(n.attrs["axes"])
    return tuple(range(1, len(n.shape) - 1)) if n.is_a("conv_transpose") else ()


def _many(plan: Plan, n: Node) -> bool:
    """Do windows leave axis 0 alone, and is that a batch of some rows, as far as is known?"""
    if 0 in _windowed(n):
        return False
    rows = plan.expected(n.shape[0])
    return rows is None or rows >= FEWEST


# ------------------------------------------------------------------------ along an op
def _below(n: Node, a: Node, order: Order) -> Order | None:
    """The order of an argument of `n`, whose own is known."""
    match n.op.name:
        case "reshape":
            return moved(n.shape, a.shape, order)
        case "transpose":
            return tuple(n.attrs["perm"][i] for i in order)
        case "windows":
            return tuple(i for i in order if i < len(a.shape))
        case "fold":
            return (*range(len(n.shape), len(a.shape)), *order)
        case "conv_transpose":
            return order if a is n.args[0] else None
        case "einsum2":
            return _operand(n, a, order)
    return order if _alike(n, a, order) else None


def _above(n: Node, a: Node, order: Order) -> Order | None:
    """The order of `n`, one of whose arguments has a known one."""
    match n.op.name:
        case "reshape":
            return moved(a.shape, n.shape, order)
        case "transpose":
            perm = n.attrs["perm"]
            return tuple(perm.index(i) for i in order)
        case "windows":
            return (*range(len(a.shape), len(n.shape)), *order)
        case "fold":
            return tuple(i for i in order if i < len(n.shape))
        case "conv_transpose":
            return order if a is n.args[0] else None
        case "einsum2":
            return _product(n, a, order)
    return order if _alike(n, a, order) else None


def _alike(n: Node, a: Node, order: Order) -> bool:
    """Does the op leave the axes where they are, those of the batch with them?"""
    if n.op.family != "elementwise" and n.op.name not in ALIKE:
        return False
    batch = order[-1]
    return len(a.shape) == len(n.shape) and a.shape[batch] == n.shape[batch]


def _product(n: Node, a: Node, order: Order) -> Order | None:
    """A product that keeps the batch: what it adds comes first."""
    sa, sb, so = letters(n.attrs["spec"])
    own = sa if n.args[0] is a else sb
    lying = [own[i] for i in order]
    if lying[-1] not in so or lying[-1] in (sb if own is sa else sa):
        return None
    first = [c for c in so if c not in lying]
    return tuple(so.index(c) for c in (*first, *(c for c in lying if c in so)))


def _operand(n: Node, a: Node, order: Order) -> Order | None:
    """An operand of a product that has the batch from it: what is summed comes first."""
    sa, sb, so = letters(n.attrs["spec"])
    if n.args[0] is n.args[1]:
        return None
    own, other = (sa, sb) if n.args[0] is a else (sb, sa)
    lying = [so[i] for i in order]
    if lying[-1] not in own or lying[-1] in other:
        return None
    first = [c for c in own if c not in lying]
    return tuple(own.index(c) for c in (*first, *(c for c in lying if c in own)))
