"""What the copies of a `repeat` have in common: values that no copy has a part in.

In: a plan. Out: the nodes that several copies read and that depend on nothing of a copy, such
as the mask of causal attention. They belong to no copy: they are named without one, and
a loop over the copies has them before it.

    repeat 6 { h = h + attention(h, 4, causal = true) }     mask, sqrt(width / 4)
"""

from __future__ import annotations

from ..ir.graph import ancestors
from ..ir.node import Node
from ..ir.program import Mode
from .plan import Plan
from .views import ATOMS

Copy = tuple[int, tuple[int, ...]]  # the repeat, and the indices of the copy
OUTSIDE: Copy = (-1, ())


def roots_of(mode: Mode) -> list[Node]:
    """All that a mode computes."""
    roots = [r.node for r in (*mode.losses, *mode.metrics, *mode.outputs)]
    if mode.total is not None:
        roots.append(mode.total.node)
    return roots + [n for _, n in mode.updates]


def common_to_copies(plan: Plan) -> frozenset[Node]:
    """The values that at least two copies read and none has a part in."""
    program = plan.program
    equations = program.equations
    if not any(e.copy for e in equations):
        return frozenset()
    modes = (program.training, program.evaluation)
    roots = [n for mode in modes for n in roots_of(mode)]
    live = sorted(
        ancestors([*roots, *plan.joint.gradients.values()]), key=lambda n: n.serial
    )

    def copy(n: Node) -> Copy:
        k = n.origin.equation
        if 0 <= k < len(equations) and equations[k].copy:
            return equations[k].group, equations[k].copy
        return OUTSIDE

    own = {b.node for mode in modes for b in mode.bindings if b.copy}
    own |= {p.node for p in (*program.params, *program.states) if p.copy}
    own |= {n for n in program.noises if copy(n) != OUTSIDE}
    for n in live:
        if n.op.name == "seed" or any(a in own for a in n.args):
            own.add(n)
    readers: dict[Node, set[Copy]] = {}
    for n in reversed(live):
        through = {copy(n)} if n in own else readers.get(n, set())
        for a in n.args:
            if a not in own:
                # two are enough to know that there are several
                known = readers.setdefault(a, set())
                if len(known) < 2:
                    known |= through - {OUTSIDE}
    return frozenset(
        n
        for n, copies in readers.items()
        if len(copies) > 1 and n.op.family != "leaf" and n.op.name not in ATOMS
    )
