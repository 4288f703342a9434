"""Which values of a program a derivation stops at, and what they are called.

In: the joint program as reverse mode left it, the plan and the names of the emitted module.
Out: `Stations`: the nodes of the un-optimised graph that have a name, by node. They are the
leaves, the values of the user's equations, and every value that has a line of its own in
`forward`, so that a derivation, the drawing and the emitted source speak of the same things
by the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradc.records import record

from ..backend.plan import Plan
from ..ir.graph import ancestors
from ..ir.node import Node
from ..ir.program import Joint

UNNAMED = frozenset({"const", "size", "zero", "iota", "seed", "formal"})


@record
class Stations:
    """Named values. Names are unique."""

    of: dict[Node, str]

    def __call__(self, node: Node) -> str | None:
        return self.of.get(node)

    def below(self, roots: Iterable[Node]) -> Stations:
        """Those that the roots are made of."""
        live = ancestors(roots)
        return Stations({n: name for n, name in self.of.items() if n in live})

    def adjoint(self, node: Node) -> str:
        """What the adjoint of a named value is called."""
        return f"d_{self.of[node]}"


def stations(joint: Joint, plan: Plan, names: dict[Node, str]) -> Stations:
    """The named values of the training form."""
    program = joint.program
    mode = program.training
    chosen: dict[Node, str] = {}
    taken: set[str] = set()

    def give(node: Node, wanted: str) -> None:
        if node in chosen or node.op.name in UNNAMED:
            return
        name, k = wanted, 1
        while name in taken:
            k += 1
            name = f"{wanted}_{k}"
        taken.add(name)
        chosen[node] = name

    leaves = [i.node for i in program.inputs]
    leaves += [p.node for p in (*program.params, *program.states)]
    leaves += list(program.noises)
    for node in leaves:
        give(node, names.get(node, str(node.attrs.get("name"))))
    for b in mode.bindings:
        image = joint_image(plan, b.node)
        copy = "".join(f"_{c + 1}" for c in b.copy)
        give(b.node, names.get(image, plain(b.name) + copy))
    if mode.total is not None:
        give(mode.total.node, mode.total.name or "loss")
    roots = [mode.total.node] if mode.total is not None else []
    roots += [r.node for r in (*mode.losses, *mode.outputs, *mode.metrics)]
    for node in _with_lines(plan, roots):
        image = joint_image(plan, node)
        if image in names:
            give(node, names[image])
    return Stations(chosen)


def joint_image(plan: Plan, node: Node) -> Node:
    """What a node of the un-optimised program became."""
    return plan.joint.image.get(node, node)


def plain(name: str) -> str:
    """A name as code has it."""
    return re.sub(r"\W", "_", name) or "value"


def _with_lines(plan: Plan, roots: list[Node]) -> list[Node]:
    """Values that are lines of the module; of several that became one line, the last."""
    lines: set[Node] = set()
    for key in ("forward", "predict"):
        f = plan.functions.get(key)
        if f is not None:
            lines |= f.lines
    last: dict[Node, Node] = {}
    for node in sorted(ancestors(roots), key=lambda n: n.serial):
        image = joint_image(plan, node)
        if image in lines and node.op.family not in ("leaf", "tuple"):
            last[image] = node
    return sorted(last.values(), key=lambda n: n.serial)
