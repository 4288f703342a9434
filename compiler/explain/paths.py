"""The derivative as a sum over paths: how many there are, and each of them where they are few.

In: a program and a parameter. Out: the number of ways that lead from it to the losses, an
exact whole number found by one sweep over the edges; for few paths, each with its product of
local derivatives. The sum of these is the adjoint; reverse mode gets it with one product an
edge.

    census(program, "y")                 # paths, nodes, edges, products
    ways(program, "w", named)            # each path: what it passes, what it contributes
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from gradc.records import record

from ..autodiff.reverse import active, groups, reverse, seeds
from ..ir.node import Node
from ..ir.program import Program, Root
from ..passes import tidy
from .formula import Formula, Name
from .parts import Fresh, Part
from .reading import read_all
from .stations import Stations

FEW = 16  # paths that are shown one by one


@record
class Census:
    """What a sum over paths and what reverse mode would have to do."""

    paths: int
    nodes: int  # of the forward pass, from the parameter to the losses
    edges: int  # local derivatives: one product each in reverse mode
    meetings: int  # additions in reverse mode: where a value is read more than once
    products: int  # of a sum path by path: one for each edge of each path
    loops: int  # loops on the way, each of which counts as one operation

    @property
    def additions(self) -> int:
        return max(self.paths - 1, 0)


@record
class Link:
    """One stretch of a path between two named values, and its local derivative.

    For single numbers the derivative itself; for arrays what it makes of a cotangent g.
    """

    above: str
    below: str
    derivative: Formula


@record
class Way:
    """One path from the losses down to a parameter, and what it contributes."""

    stations: tuple[str, ...]  # from the parameter to the loss
    links: tuple[Link, ...]
    share: Formula
    node: Node  # the contribution, to be worked out


@record
class Ways:
    """All paths of a parameter; what they have in common is in `parts`."""

    census: Census
    ways: tuple[Way, ...]
    total: Formula
    adjoint: Node
    parts: tuple[Part, ...]


def ends(program: Program) -> list[Root]:
    """Where the paths lead: to the losses, or to the first output of a program without."""
    mode = program.training
    if mode.total is not None:
        return list(mode.losses)
    return [r for r in mode.outputs if r.node.kind == "real"][:1]


def _covering(program: Program, key: str) -> tuple[list[Root], Node] | None:
    """The roots that a parameter or input leads to, and its node."""
    if program.training.total is None:
        nodes = {i.name: i.node for i in program.inputs}
        nodes |= {p.path: p.node for p in program.params}
        roots = ends(program)
        return (roots, nodes[key]) if roots else None
    inputs = tuple(i.name for i in program.inputs if i.name == key)
    for roots, wanted in groups(program, inputs):
        if key in wanted:
            return roots, wanted[key]
    return None


def census(program: Program, key: str) -> Census | None:
    """Count the paths of a parameter (or input); None where no loss moves it."""
    found = _covering(program, key)
    return None if found is None else count(*found)


def count(roots: list[Root], start: Node) -> Census:
    """One sweep from the losses: each edge hands on what is counted behind it."""
    last: dict[Node, int] = {}
    for r in roots:
        last[r.node] = last.get(r.node, 0) + 1
    order = active(last, [start])
    reached = set(order)
    paths: dict[Node, int] = dict(last)
    length: dict[Node, int] = {}
    edges = meetings = loops = 0
    for n in reversed(order):
        here = paths.get(n, 0)
        if not here or n is start or n.op.vjp is None:
            continue
        loops += n.op.name == "loop"
        for a in dict.fromkeys(n.args):  # x * x reads x once, with the slope 2 x
            if a in reached:
                edges += 1
                meetings += a in paths
                paths[a] = paths.get(a, 0) + here
                length[a] = length.get(a, 0) + length.get(n, 0) + here
    total = paths.get(start, 0)
    nodes = sum(1 for n in order if paths.get(n) and n.op.family != "tuple")
    return Census(total, nodes, edges, meetings, length.get(start, 0), loops)


def ways(
    program: Program, key: str, everything: Stations, most: int = FEW
) -> Ways | None:
    """Each path; None where there are none or too many, or one leads through a loop."""
    found = _covering(program, key)
    if found is None:
        return None
    roots, start = found
    counted = count(roots, start)
    if not 0 < counted.paths <= most or counted.loops:
        return None
    named = everything.below(r.node for r in roots)
    graph = start.graph
    one = graph.const(1)
    adjoint = reverse(seeds(roots, one), [start]).adjoints[start]
    routes = _routes(roots, start)
    shares = [_pulled(route, one) for route in routes]
    table = tidy(graph, [*shares, adjoint], list(named.of))
    moved = {table.get(n, n): name for n, name in named.of.items()}
    cuts = [_cut(route, named) for route in routes]
    plain = dict.fromkeys(g for cut in cuts for _, _, g in cut)
    locals_ = tidy(graph, plain, list(named.of)) if plain else {}
    moved |= {locals_.get(n, n): name for n, name in named.of.items()}
    fresh = Fresh([*named.of.values(), "g"])
    made = [table.get(n, n) for n in (*shares, adjoint)]
    reading = read_all([*made, *(locals_.get(g, g) for g in plain)], moved.get, fresh)

    def said(node: Node) -> Formula:
        name = moved.get(node)
        return reading.formulas[node] if name is None else Name(name, len(node.shape))

    listed = tuple(
        Way(
            tuple(dict.fromkeys(_names(route, named)))[::-1],
            tuple(
                Link(above, below, said(locals_.get(g, g))) for above, below, g in cut
            ),
            said(table.get(share, share)),
            share,
        )
        for route, cut, share in zip(routes, cuts, shares, strict=True)
    )
    total = said(table.get(adjoint, adjoint))
    return Ways(counted, listed, total, adjoint, reading.parts)


Route = list[Node]  # from the loss down to the parameter


def _routes(roots: list[Root], start: Node) -> list[Route]:
    """Every path from a loss down to the start, in order."""
    reached = set(active([r.node for r in roots], [start]))
    found: list[Route] = []
    stack: list[tuple[Node, Route]] = [(r.node, []) for r in reversed(roots)]
    while stack:
        n, route = stack.pop()
        if n is start:
            found.append([*route, n])
            continue
        if n not in reached or n.op.vjp is None:
            continue
        for a in reversed(dict.fromkeys(n.args)):
            if a in reached:
                stack.append((a, [*route, n]))
    return found


def _pulled(route: Route, g: Node) -> Node:
    """What a cotangent becomes along a path: one share of each rule, the others left out."""
    for n, below in pairwise(route):
        graph = n.graph
        assert n.op.vjp is not None
        with graph.at(n.origin):
            shares = n.op.vjp(g, n, *n.args, **n.attrs)
            mine = [s for a, s in zip(n.args, shares, strict=True) if a is below and s]
            if not mine:
                return graph.zero(route[-1].shape)
            g = mine[0]
            for share in mine[1:]:
                g = g + share
    return g


def _names(route: Route, named: Mapping[Node, str] | Stations) -> list[str]:
    of = named.of if isinstance(named, Stations) else named
    return [of[n] for n in route if n in of]


def _cut(route: Route, named: Stations) -> list[tuple[str, str, Node]]:
    """The stretches between named values, each with its own derivative."""
    at = [i for i, n in enumerate(route) if named(n) is not None]
    pieces = []
    for first, last in pairwise(at):
        above, below = route[first], route[last]
        graph = above.graph
        scalar = not above.shape and not below.shape
        g = graph.const(1) if scalar else graph.leaf("seed", "g", above.shape)
        pieces.append(
            (named.of[above], named.of[below], _pulled(route[first : last + 1], g))
        )
    return pieces
