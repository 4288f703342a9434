"""What depends on sizes alone: computed once, in `buffers`, and read at every step.

In: a node. Out: whether it is arithmetic of places and numbers, as a causal mask is, or the
sines of positions; and the constant that holds it. A mask may also be had turned about, or
as bounds: `np.minimum(s, bounds)` is s where the mask holds and -inf elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ir.node import Node
from ...ir.op import Kind
from ..expressions import Expressions
from ..views import ATOMS
from .values import Value

if TYPE_CHECKING:
    from .frame import Frame

MOST = 24
"""Operations in the text of one constant: what takes more is computed as anything else."""

LAYOUT = frozenset({"broadcast", "reshape", "transpose", "slice", "cast"})
NEVER = MOST + 1


def is_fixed(frame: Frame, n: Node) -> bool:
    """Is `n` an array that the sizes decide, and not a mere view of one, or a number?"""
    if not n.shape or n.op.name in ATOMS:
        return False
    if n.op.name != "cast" and frame.views.is_view(n):
        return False
    return _operations(frame, n) <= MOST


def _operations(frame: Frame, n: Node) -> int:
    """Of the text that computes `n` of sizes; NEVER where that is too long or impossible."""
    known = frame.unit.operations
    stack = [n]
    while stack:
        m = stack[-1]
        if m in known:
            stack.pop()
            continue
        if not _of_sizes(frame, m):
            known[m] = NEVER
        else:
            missing = [a for a in m.args if a not in known]
            if missing and not any(known.get(a) == NEVER for a in m.args):
                stack += missing
                continue
            own = 0 if m.op.name in ATOMS else 1
            known[m] = min(NEVER, own + sum(known.get(a, NEVER) for a in m.args))
        stack.pop()
    return known[n]


def _of_sizes(frame: Frame, n: Node) -> bool:
    """Is `n` an op that may stand in such a text?"""
    if n.op.name == "size":
        return frame.unit.plan.rows not in n.attrs["dim"].symbols()
    if n.op.name in ATOMS or n.op.name in LAYOUT:
        return True
    return n.op.family in ("elementwise", "discrete") and n.op.name != "argsort"


def constant(frame: Frame, n: Node) -> Value:
    """The array that holds `n`."""
    dtype = ", dtype" if n.kind == "real" else ""
    bound = frame.f.bound.get(n)
    wish = bound.name if bound else frame.unit.names.proposed(n)[0]
    made = f"np.array({_text(frame, n)}{dtype})"
    return frame.table.constant(("fixed", n), n.kind, n.shape, made, wish)


def outside(frame: Frame, c: Node, by_columns: bool) -> Value:
    """Where the mask `c` does not hold."""
    made = f"np.logical_not({_text(frame, c)})"
    return _lying(frame, c, ("not", c), "bool", made, "outside", by_columns)


def bounds(frame: Frame, c: Node, inside: str, outside: str, by_columns: bool) -> Value:
    """One number where the mask `c` holds, and another elsewhere."""
    made = f"np.where({_text(frame, c)}, {inside}, {outside}).astype(dtype)"
    key = ("bounds", c, inside, outside)
    return _lying(frame, c, key, "real", made, "bounds", by_columns)


def _lying(
    frame: Frame,
    c: Node,
    key: tuple[object, ...],
    kind: Kind,
    made: str,
    wish: str,
    by_columns: bool,
) -> Value:
    """A constant of the shape of `c`; a matrix `by_columns` where what it meets lies so."""
    if not by_columns or len(c.shape) != 2:
        return frame.table.constant(key, kind, c.shape, made, wish)
    whole = (*key, "by columns")
    turned = f"{made}.T.copy()"
    v = frame.table.constant(whole, kind, c.shape[::-1], turned, wish)
    return frame.turned(v, (1, 0))


def _text(frame: Frame, n: Node) -> str:
    plain = Expressions(
        frame.unit.scope, frame.views, None, lambda n: "", lambda: "", keep_dtype=False
    )
    return plain.full(n, top=True).expr.text


def mask_under(frame: Frame, n: Node) -> Node | None:
    """The fixed mask that `n` is, without the axes that it is repeated on in front."""
    while n.op.name == "broadcast":
        n = n.args[0]
    core = n
    while core.op.name == "reshape":
        core = core.args[0]
    return n if core.kind == "bool" and is_fixed(frame, core) else None
