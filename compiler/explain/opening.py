"""Loops opened: a program in which values inside of run-time loops have adjoints of their own.

In: a program, and nodes of the bodies of its loops. Out: the same program, but that to each of
these nodes a sequence of zeros is added, one entry a step. Its values are what they were, and
the adjoint of the sequence is the adjoint of the node at every step: what a reverse loop
computes on its way, and keeps to itself.

    opened = open_loops(program, {loop: [h]})
    opened.at(loop, h)               # h at every step, the steps in front
    opened.probes[loop, h]           # an input of zeros; its adjoint is that of h
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradc.records import record

from ..ir.graph import Graph, rebuild, topological
from ..ir.node import Node
from ..ir.program import Binding, Input, Mode, Program, Root
from ..ops.loops import formal

Watched = Mapping[Node, Sequence[Node]]


@record
class Opened:
    """The program, what each node became, and the inputs that were added."""

    program: Program
    image: Mapping[Node, Node]
    inside: Mapping[
        Node, Mapping[Node, Node]
    ]  # loop -> node of its body -> what became
    probes: Mapping[tuple[Node, Node], Node]

    def at(self, loop: Node, node: Node) -> Node:
        """A value of the body (the image of one, or one made of these) at every step."""
        graph = loop.graph
        within = self.inside[loop].get(node, node)
        return graph.apply("each", self.image[loop], value=within)


def open_loops(program: Program, watched: Watched) -> Opened:
    """Add the zeros. Nodes of loops within loops are not reached."""
    graph, mode = program.graph, program.training
    roots = [r.node for r in (*mode.losses, *mode.metrics, *mode.outputs)]
    roots += [b.node for b in mode.bindings]
    roots += [node for _, node in mode.updates]
    if mode.total is not None:
        roots.append(mode.total.node)
    image: dict[Node, Node] = {}
    inside: dict[Node, dict[Node, Node]] = {}
    probes: dict[tuple[Node, Node], Node] = {}
    wanted = _values(topological(roots))
    for n in topological(roots):
        args = tuple(image[a] for a in n.args)
        with graph.at(n.origin):
            if n.op.name == "loop":
                made = _opened(
                    graph, n, args, watched.get(n, ()), wanted[n], inside, probes
                )
            elif "value" in n.attrs and n.args and n.args[0].op.name == "loop":
                value = inside[n.args[0]].get(n.attrs["value"], n.attrs["value"])
                made = graph.apply(n.op.name, args[0], value=value)
            else:
                made = n if args == n.args else rebuild(graph, n, args)
        if n in graph.hints:
            graph.hint(made, *graph.hints[n])
        image[n] = made
    inputs = tuple(Input(str(leaf.attrs["name"]), leaf, 0) for leaf in probes.values())
    changed = Mode(
        tuple(
            Binding(b.equation, b.name, image[b.node], b.copy) for b in mode.bindings
        ),
        tuple(_moved(r, image) for r in mode.losses),
        tuple(_moved(r, image) for r in mode.metrics),
        tuple(_moved(r, image) for r in mode.outputs),
        None if mode.total is None else _moved(mode.total, image),
        tuple((path, image[node]) for path, node in mode.updates),
    )
    made_of = replace(
        program,
        inputs=(*program.inputs, *inputs),
        training=changed,
        evaluation=changed,
    )
    return Opened(made_of, image, inside, probes)


def _values(order: list[Node]) -> dict[Node, list[Node]]:
    """The body nodes that are read off each loop."""
    found: dict[Node, list[Node]] = {}
    for n in order:
        if n.op.name == "loop":
            found.setdefault(n, [])
        elif "value" in n.attrs and n.args and n.args[0].op.name == "loop":
            found.setdefault(n.args[0], []).append(n.attrs["value"])
    return found


def _moved(root: Root, image: Mapping[Node, Node]) -> Root:
    return replace(root, node=image[root.node])


def _opened(
    graph: Graph,
    loop: Node,
    args: tuple[Node, ...],
    watched: Sequence[Node],
    values: Sequence[Node],
    inside: dict[Node, dict[Node, Node]],
    probes: dict[tuple[Node, Node], Node],
) -> Node:
    """The loop with a sequence of zeros for each watched node of its body."""
    carries, sequences = loop.attrs["carries"], loop.attrs["sequences"]
    steps = loop.attrs["steps"]
    chosen = set(watched)
    new: dict[Node, Node] = {}
    leaves: list[Node] = []
    for n in topological([*loop.attrs["body"], *values, *watched]):
        arguments = tuple(new[a] for a in n.args)
        with graph.at(n.origin):
            made = n if arguments == n.args else rebuild(graph, n, arguments)
            if n in chosen:
                place = sequences + len(leaves)
                leaf = graph.leaf("input", f"probe{len(probes)}", (steps, *n.shape))
                probes[loop, n] = leaf
                leaves.append(leaf)
                made = made + formal(graph, "slice", place, n.shape, n.kind)
        new[n] = made
    inside[loop] = new
    if not leaves and args == loop.args:
        return loop
    split = carries + sequences
    with graph.at(loop.origin):
        opened = graph.apply(
            "loop",
            *args[:split],
            *leaves,
            *args[split:],
            **{
                **loop.attrs,
                "sequences": sequences + len(leaves),
                "body": tuple(new[n] for n in loop.attrs["body"]),
            },
        )
    if loop in graph.loops:
        graph.loops.setdefault(opened, graph.loops[loop])
    return opened
