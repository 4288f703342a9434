"""Reverse mode: from the nodes of a program to the nodes of its gradient.

In: outputs with their cotangents, and the nodes to differentiate by. Out: the adjoint of
every node between them. The loop visits nodes from the last to the first, asks the record
of each for its rule and adds up what comes to each argument. The adjoints are nodes like
any others: they share what they need of the primal, and can be differentiated again.

    dy = grad(y, x)                    # a node of the shape of x
    joint = differentiate(program)     # every parameter's, for d_loss
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field

from gradc.records import record

from ..ir.graph import SERIAL, Graph
from ..ir.node import Node
from ..ir.program import Joint, Program, Root

Partial = tuple[int, Node, Node]


@record(frozen=False)
class Sweep:
    """What one run of the loop found.

    `adjoints`: node -> adjoint, none for a node whose adjoint is the structural zero.
    `partials`, in order: (equation, node, sum so far), one whenever a node adds to the
    adjoint of an argument.
    """

    adjoints: dict[Node, Node] = field(default_factory=dict)
    partials: list[Partial] = field(default_factory=list)


def reverse(
    outputs: Mapping[Node, Node],
    wrt: Collection[Node],
    within: Collection[Node] | None = None,
    meet: Callable[[Node, Node], Node] | None = None,
) -> Sweep:
    """Pull the cotangents of `outputs` back to `wrt`.

    Only active nodes are visited: real ones, between the two. With `within`, the sweep does
    not go on to the arguments of other nodes: the chain rule of one equation is read off
    this way. `meet(node, adjoint)` is told each adjoint when it is complete, and what it
    returns goes on in its place: so the chain is cut into links.
    """
    sweep = Sweep(dict(outputs))
    order = active(outputs, wrt, within)
    if not order:
        return sweep
    graph = order[0].graph
    saved, graph.deriving = (graph.deriving, graph.origin), True
    try:
        _pull_back(sweep, graph, order, within, meet)
    finally:
        graph.deriving, graph.origin = saved
    return sweep


def _pull_back(
    sweep: Sweep,
    graph: Graph,
    order: list[Node],
    within: Collection[Node] | None,
    meet: Callable[[Node, Node], Node] | None,
) -> None:
    """Visit the active nodes from the last; what is made comes from where a node does."""
    reached = set(order)
    adjoints, partials = sweep.adjoints, sweep.partials
    spread: dict[Node, int] = {}  # a leaf in a larger shape -> who added to it last
    for node in reversed(order):
        g = adjoints.get(node)
        if g is None or g.op.name == "zero":
            adjoints.pop(node, None)
            continue
        if meet is not None and node.op.family != "tuple":
            g = adjoints[node] = meet(node, g)
        vjp = node.op.vjp
        if vjp is None or not node.args or not (within is None or node in within):
            continue
        graph.origin = node.origin
        shares = vjp(g, node, *node.args, **node.attrs)
        touched = _add(adjoints, node.args, shares, reached)
        # Equations share `b` in the shape of the rows: it belongs to none of them.
        equation = spread.get(node, node.origin.equation)
        for argument in touched:
            if argument.op.view and argument.args[0].op.family == "leaf":
                spread[argument] = equation
            if argument.op.family != "tuple":
                partials.append((equation, argument, adjoints[argument]))
        if node.op.family == "tuple":  # a loop has cotangents, which are no array
            del adjoints[node]


def _add(
    adjoints: dict[Node, Node],
    arguments: Iterable[Node],
    shares: Iterable[Node | None],
    reached: Collection[Node],
) -> list[Node]:
    """Add each share to the adjoint of its argument; return the arguments that got one."""
    touched: dict[Node, None] = {}
    for argument, share in zip(arguments, shares, strict=True):
        if share is None or share.op.name == "zero" or argument not in reached:
            continue
        so_far = adjoints.get(argument)
        adjoints[argument] = share if so_far is None else so_far + share
        touched[argument] = None
    return list(touched)


def active(
    outputs: Iterable[Node],
    wrt: Collection[Node],
    within: Collection[Node] | None = None,
) -> list[Node]:
    """The real nodes between `wrt` and `outputs`, arguments first."""
    sources = set(wrt)
    seen: set[Node] = set()
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if within is None or node in within:
                stack.extend(node.args)
    between: set[Node] = set()
    order = []
    for node in sorted(seen, key=SERIAL):
        if node.kind == "real" and (
            node in sources
            or (node.op.vjp is not None and any(a in between for a in node.args))
        ):
            between.add(node)
            order.append(node)
    return order


@contextmanager
def deriving(graph: Graph) -> Iterator[None]:
    """What is made in this block is a derivative: it keeps y * (1 - y) as it is."""
    saved, graph.deriving = graph.deriving, True
    try:
        yield
    finally:
        graph.deriving = saved


def grad(y: Node, x: Node) -> Node:
    """The derivative of a scalar, or of the sum of an array, by `x`: `grad` of the language.

    Structurally zero if no path with a derivative leads from `x` to `y`.
    """
    one = y.graph.broadcast(y.graph.const(1), y.shape)
    found = reverse({y: one}, [x]).adjoints.get(x)
    return y.graph.zero(x.shape) if found is None else found


# ------------------------------------------------------------------------- programs
def differentiate(program: Program, wrt: tuple[str, ...] = ()) -> Joint:
    """The gradients of a program: by every parameter that a loss trains, and by `wrt`.

    Parameters that the same losses cover are one group, and one sweep from the sum of
    these losses. A parameter that losses reach only through `stop` is frozen; one that
    they reach only where derivatives are zero has the gradient zero.
    """
    graph, mode = program.graph, program.training
    graph.deriving = True  # from here on, for the passes too
    if not mode.losses:
        frozen = tuple(p.path for p in program.params)
        return Joint(program, None, {}, {}, (), frozen)
    seed = graph.leaf("seed", "d_loss", ())
    gradients: dict[str, Node] = {}
    adjoints: dict[Node, Node] = {}
    partials: list[Partial] = []
    for roots, wanted in groups(program, wrt):
        sweep = reverse(seeds(roots, seed), list(wanted.values()))
        for key, node in wanted.items():
            gradients[key] = sweep.adjoints.get(node) or graph.zero(node.shape)
        for node, adjoint in sweep.adjoints.items():
            adjoints.setdefault(node, adjoint)
        partials.extend(sweep.partials)
    ordered = [p.path for p in program.params] + [i.name for i in program.inputs]
    return Joint(
        program,
        seed,
        {key: gradients[key] for key in ordered if key in gradients},
        adjoints,
        tuple(partials),
        tuple(p.path for p in program.params if p.path not in gradients),
    )


def groups(
    program: Program, wrt: tuple[str, ...] = ()
) -> Iterator[tuple[list[Root], dict[str, Node]]]:
    """Losses, and the parameters (and inputs) that just they train: one sweep each."""
    mode = program.training
    found: dict[tuple[int, ...], dict[str, Node]] = {}
    for p in program.params:
        covering = tuple(i for i, r in enumerate(mode.losses) if covers(r, p.path))
        found.setdefault(covering, {})[p.path] = p.node
    everything = tuple(range(len(mode.losses)))
    for i in program.inputs:
        if i.name in wrt:
            found.setdefault(everything, {})[i.name] = i.node
    for covering, targets in found.items():
        losses = [mode.losses[i] for i in covering]
        whole = mode.total if covering == everything else None
        roots = losses if whole is None else [whole]
        reached = trained(r.node for r in roots)
        wanted = {k: n for k, n in targets.items() if n in reached or k in wrt}
        if wanted:
            yield roots, wanted


def covers(loss: Root, path: str) -> bool:
    """Does the loss train the parameter of this path? `over a` names a or what lies below."""
    if loss.over is None:
        return True
    return any(path == a or path.startswith((f"{a}.", f"{a}[")) for a in loss.over)


def seeds(roots: Iterable[Root], seed: Node) -> dict[Node, Node]:
    """Every root has the cotangent d_loss; twice, if two losses are one value."""
    found: dict[Node, Node] = {}
    for r in roots:
        found[r.node] = found[r.node] + seed if r.node in found else seed
    return found


def trained(roots: Iterable[Node]) -> set[Node]:
    """What the roots depend on other than through `stop` and whole numbers."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if node.op.name != "stop" and node.kind == "real":
                stack.extend(node.args)
    return seen
