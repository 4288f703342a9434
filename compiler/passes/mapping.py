"""A joint program through a table old -> new: what names stand for follows the nodes.

Comes in: a `Joint` and the table that a pass made. Goes out: a `Joint` whose roots,
bindings, partial sums, gradients and primal -> adjoint table are mapped. A replacement
inherits the name of what it replaces; what the roots no longer reach loses its binding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..ir.graph import SERIAL, Graph, ancestors
from ..ir.node import Node
from ..ir.program import Binding, Joint, Mode, Program, Root
from .patterns import Rewriter
from .uses import count_uses


def roots_of(joint: Joint) -> list[Node]:
    """What has to be computed, in a fixed order, each once."""
    roots = dict.fromkeys(program_roots(joint.program))
    for node in joint.gradients.values():
        roots.setdefault(node)
    return list(roots)


def program_roots(program: Program) -> list[Node]:
    """The same of a program without its derivatives."""
    roots: dict[Node, None] = {}
    for mode in _modes(program):
        for root in (*mode.losses, *mode.metrics, *mode.outputs):
            roots.setdefault(root.node)
        if mode.total is not None:
            roots.setdefault(mode.total.node)
        for _, node in mode.updates:
            roots.setdefault(node)
    return list(roots)


def bound_in(joint: Joint) -> set[Node]:
    """The nodes that have a name: no rule looks through them.

    They are the values of equations, the roots, and, for each equation and each named
    value or parameter, the last partial sum that the equation adds to its adjoint:
    earlier ones would forbid to factor what one equation contributes.
    """
    bound = set(roots_of(joint))
    named = named_in(joint.program)
    last: dict[tuple[int, Node], Node] = {}
    for equation, primal, partial in joint.partials:
        if primal in named or primal.op.family == "leaf":
            last[equation, primal] = partial
    return bound | named | set(last.values())


def named_in(program: Program) -> set[Node]:
    """The values of equations."""
    return {b.node for mode in _modes(program) for b in mode.bindings}


class State:
    """What the walks see of a joint program, and the table of all of them so far."""

    def __init__(self, joint: Joint) -> None:
        self.joint = joint
        self.graph = joint.program.graph
        self._look(ancestors(roots_of(joint)))
        self.table = {n: n for n in self.order}
        self.fences: set[Node] = set()  # what no rule took apart, as it is now

    def _look(self, live: set[Node]) -> None:
        self.order = sorted(live, key=SERIAL)
        self.uses = count_uses(self.order, roots_of(self.joint))
        self.bound = bound_in(self.joint)
        self.adjoints = adjoints_in(self.joint)

    def image(self, node: Node) -> Node:
        return self.table.get(node, node)

    def move(self, table: Mapping[Node, Node]) -> bool:
        """Take the nodes that a walk made. False: there was nothing to change."""
        if all(old is new for old, new in table.items()):
            return False
        self.table = {old: table.get(now, now) for old, now in self.table.items()}
        self.joint, live = map_joint(self.joint, table)
        self._look(live)
        return True

    def fences_moved(self, rw: Rewriter) -> bool:
        """Has a fence lost its name or its second reader, or a value gained one?"""
        return any(
            (
                (n in self.fences and n not in self.bound)
                if self.uses[n] < 2
                else not (n in self.fences or n.op.family == "leaf" or rw.cheap(n))
            )
            for n in self.order
        )


def adjoints_in(joint: Joint) -> dict[Node, tuple[Node, ...]]:
    """Whose adjoint, or partial sum of one, each node is."""
    table: dict[Node, tuple[Node, ...]] = {}
    for primal, adjoint in joint.adjoints.items():
        others = table.get(adjoint)
        table[adjoint] = (primal,) if others is None else (*others, primal)
    for _, primal, partial in joint.partials:
        table.setdefault(partial, (primal,))
    return table


def map_joint(joint: Joint, table: Mapping[Node, Node]) -> tuple[Joint, set[Node]]:
    """The joint program after a walk, and what its roots reach."""

    gradients = {path: table.get(n, n) for path, n in joint.gradients.items()}
    program = _map_modes(joint.program, lambda mode: _map_roots(mode, table))
    moved = replace(joint, program=program, gradients=gradients)
    live = ancestors(roots_of(moved))
    program = _map_modes(program, lambda mode: _map_bindings(mode, table, live))
    adjoints: dict[Node, Node] = {}
    for primal, adjoint in joint.adjoints.items():
        now = table.get(adjoint, adjoint)
        if now in live:
            adjoints.setdefault(table.get(primal, primal), now)
    partials = tuple(
        [
            (equation, table.get(primal, primal), now)
            for equation, primal, partial in joint.partials
            if (now := table.get(partial, partial)) in live
        ]
    )
    move_hints(program.graph, table)
    moved = replace(moved, program=program, adjoints=adjoints, partials=partials)
    return moved, live


def map_program(program: Program, table: Mapping[Node, Node]) -> Program:
    """The same of a program without its derivatives."""
    program = _map_modes(program, lambda mode: _map_roots(mode, table))
    live = ancestors(program_roots(program))
    move_hints(program.graph, table)
    return _map_modes(program, lambda mode: _map_bindings(mode, table, live))


def _map_modes(program: Program, change: Callable[[Mode], Mode]) -> Program:
    """Training and evaluation, which may be one."""
    training = change(program.training)
    same = program.evaluation is program.training
    evaluation = training if same else change(program.evaluation)
    return replace(program, training=training, evaluation=evaluation)


def move_hints(graph: Graph, table: Mapping[Node, Node]) -> None:
    """A replacement inherits the name that was proposed for what it replaces."""
    for node, (name, instance) in list(graph.hints.items()):
        moved = table.get(node)
        if moved is not None and moved is not node:
            graph.hint(moved, name, instance)


def _modes(program: Program) -> tuple[Mode, ...]:
    if program.evaluation is program.training:
        return (program.training,)
    return (program.training, program.evaluation)


def _map_roots(mode: Mode, table: Mapping[Node, Node]) -> Mode:
    def each(roots: tuple[Root, ...]) -> tuple[Root, ...]:
        return tuple([replace(r, node=table.get(r.node, r.node)) for r in roots])

    return replace(
        mode,
        losses=each(mode.losses),
        metrics=each(mode.metrics),
        outputs=each(mode.outputs),
        total=None if mode.total is None else each((mode.total,))[0],
        updates=tuple((path, table.get(n, n)) for path, n in mode.updates),
    )


def _map_bindings(mode: Mode, table: Mapping[Node, Node], live: set[Node]) -> Mode:
    kept: list[Binding] = []
    for b in mode.bindings:
        node = table.get(b.node, b.node)
        if node in live:
            kept.append(b if node is b.node else replace(b, node=node))
    return replace(mode, bindings=tuple(kept))
