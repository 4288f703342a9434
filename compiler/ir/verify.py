"""Invariants of the DAG, checked between passes under test.

In: roots (or a whole `Joint`). Out: nothing, or `Broken` with the node and what is wrong:
an argument made after its user or in another graph, a shape that the record would not
infer, elementwise arguments of unequal shapes, a gradient of another shape than its
parameter's.

    verify([loss])
"""

from __future__ import annotations

from collections.abc import Iterable

from .graph import Graph, topological
from .node import Node
from .program import Joint


class Broken(AssertionError):
    """A node that no stage should have made."""


def verify(roots: Iterable[Node]) -> None:
    """Check every node below the roots."""
    roots = list(roots)
    graphs: set[Graph] = {n.graph for n in roots}
    if len(graphs) > 1:
        raise Broken("roots of more than one graph")
    for node in topological(roots):
        _check(node, roots[0].graph)


def _check(node: Node, graph: Graph) -> None:
    op = node.op
    if node.graph is not graph:
        raise Broken(f"{node} is of another graph")
    for a in node.args:
        if a.serial >= node.serial:
            raise Broken(f"{node} is older than its argument {a}")
    if any(d.stretch for d in node.shape):
        raise Broken(f"{node} has a stretch axis")
    if not op.variadic and len(node.args) != len(op.args):
        raise Broken(f"{node} has {len(node.args)} arguments")
    if op.family == "elementwise" and len({a.shape for a in node.args}) > 1:
        raise Broken(f"{node}: shapes {[a.shape for a in node.args]}")
    try:
        shape, kind = op.infer(node.args, node.attrs)
    except ValueError as error:
        raise Broken(f"{node}: {error}") from error
    if (shape, kind) != (node.shape, node.kind):
        raise Broken(f"{node} should be {kind}{shape}")


def verify_joint(joint: Joint) -> None:
    """Check a program with its derivatives."""
    program = joint.program
    roots = list(joint.gradients.values())
    for mode in (program.training, program.evaluation):
        roots += [b.node for b in mode.bindings]
        roots += [r.node for r in (*mode.losses, *mode.metrics, *mode.outputs)]
        roots += [node for _, node in mode.updates]
    if roots:
        verify(roots)
    shapes = {p.path: p.node.shape for p in program.params}
    shapes |= {i.name: i.node.shape for i in program.inputs}
    for key, gradient in joint.gradients.items():
        if gradient.shape != shapes[key]:
            raise Broken(f"the gradient of {key} has shape {gradient.shape}")
    for primal, adjoint in joint.adjoints.items():
        if adjoint.shape != primal.shape:
            raise Broken(f"the adjoint of {primal} has shape {adjoint.shape}")
