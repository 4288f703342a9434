"""The derivative as a chain of local derivatives, link by link.

In: a program, and the values that have a name (`stations.py`). Out: a `Derivation`: for each
named value between the losses and what is asked for, its adjoint in terms of the adjoints of
the values that read it. Reverse mode itself cuts the chain: wherever it meets a named value
it goes on with a fresh leaf in place of the adjoint found so far.

    d_z2 = d_a * sigmoid'(z2)  = d_a * a * (1 - a)
    d_W2 = a1' @ d_z2
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gradc.records import record

from ..autodiff.reverse import groups, reverse, seeds
from ..ir.dims import Shape
from ..ir.graph import topological
from ..ir.node import Node
from ..ir.program import Program, Root
from ..passes import tidy
from .formula import Formula, Name, Slope, names_in, times
from .parts import Fresh, Part
from .reading import LoopText, read_all
from .stations import Stations

SLOPES = {"maximum": "relu"}
SMOOTH = frozenset("""
    exp expm1 log log1p sin cos tan tanh sinh cosh sigmoid softplus sqrt erf arctan arcsin
    arccos normal_cdf lgamma digamma log_softplus abs
    """.split())


@record
class Value:
    """A named value, and what it is made of; None for a leaf."""

    node: Node
    name: str
    formula: Formula | None


@record
class Step:
    """The adjoint of a named value.

    `formula` says it in terms of other adjoints, `chain` with the slope of a function in
    place of what that is (None where it says no more). `whole` is the adjoint as reverse
    mode has it, uncut: the node whose value every formula has to have.
    """

    node: Node
    name: str  # d_z2
    primal: str  # z2
    formula: Formula
    chain: Formula | None
    whole: Node
    through: tuple[str, ...]  # the named values by which it reaches the loss

    @property
    def shape(self) -> Shape:
        return self.node.shape

    @property
    def reads(self) -> tuple[str, ...]:
        """The names that it speaks of, and the value whose adjoint it is."""
        said = names_in(self.formula)
        if self.chain is not None:
            said += names_in(self.chain)
        return (*said, self.primal)

    @property
    def equation(self) -> int:
        return self.node.origin.equation


@record
class Derivation:
    """One sweep: losses, the values on the way in order, and the adjoints from the last."""

    losses: tuple[str, ...]
    targets: tuple[str, ...]  # names of what was asked for
    values: tuple[Value, ...]
    steps: tuple[Step, ...]
    parts: tuple[
        Part, ...
    ]  # what the formulas of values and steps speak of, beside names
    loops: tuple[LoopText, ...]

    def of(self, target: str) -> Derivation:
        """What of it leads to one target."""
        says: dict[str, tuple[str, ...]] = {s.name: s.reads for s in self.steps}
        says |= {p.name: tuple(names_in(p.formula)) for p in self.parts}
        says |= {loop.name: loop.reads for loop in self.loops}
        for v in self.values:
            says[v.name] = () if v.formula is None else tuple(names_in(v.formula))
        wanted: set[str] = set()
        stack = [f"d_{target}"]
        while stack:
            name = stack.pop()
            if name not in wanted:
                wanted.add(name)
                stack += says.get(name, ())
        return Derivation(
            self.losses,
            (target,),
            tuple(v for v in self.values if v.name in wanted),
            tuple(s for s in self.steps if s.name in wanted),
            tuple(p for p in self.parts if p.name in wanted),
            tuple(loop for loop in self.loops if loop.name in wanted),
        )


def derivations(
    program: Program, named: Stations, wrt: tuple[str, ...] = ()
) -> list[Derivation]:
    """A derivation for each group of parameters that the same losses train."""
    return [_derive(roots, wanted, named) for roots, wanted in groups(program, wrt)]


def derive(program: Program, named: Stations, key: str) -> Derivation | None:
    """What leads to one parameter (or input, by name); None where no loss moves it."""
    inputs = tuple(i.name for i in program.inputs if i.name == key)
    for roots, wanted in groups(program, inputs):
        if key in wanted:
            made = _derive(roots, {key: wanted[key]}, named)
            return made.of(named.of[wanted[key]])
    return None


def _derive(
    roots: list[Root], wanted: Mapping[str, Node], everything: Stations
) -> Derivation:
    named = everything.below(r.node for r in roots)
    graph = roots[0].node.graph
    one = graph.const(1)
    targets = list(wanted.values())
    whole = reverse(seeds(roots, one), targets).adjoints
    found: dict[Node, Node] = {}

    def cut(node: Node, adjoint: Node) -> Node:
        if named(node) is None:
            return adjoint
        found[node] = adjoint
        return graph.leaf("seed", named.adjoint(node), node.shape)

    reverse(seeds(roots, one), targets, meet=cut)
    links = {n: g for n, g in found.items() if n in whole}
    forward = [n for n in topological(r.node for r in roots) if named(n) is not None]
    table = tidy(graph, [*links.values(), *forward], list(named.of))
    moved = {table.get(n, n): name for n, name in named.of.items()}
    fresh = Fresh([*named.of.values(), *(f"d_{name}" for name in named.of.values())])
    made = [table.get(n, n) for n in forward if n.args]
    reading = read_all(
        [*made, *(table.get(g, g) for g in links.values())], moved.get, fresh
    )
    readers = _readers(found, named)
    steps = []
    for node, link in links.items():
        now = table.get(link, link)
        formula = (
            Name(moved[now], len(now.shape)) if now in moved else reading.formulas[now]
        )
        steps.append(
            Step(
                node,
                named.adjoint(node),
                named.of[node],
                formula,
                _slope(node, readers.get(node, ()), named),
                whole[node],
                tuple(named.of[r] for r in readers.get(node, ())),
            )
        )
    values = tuple(
        Value(n, named.of[n], reading.formulas[table.get(n, n)] if n.args else None)
        for n in forward
    )
    losses = tuple(named.of.get(r.node, r.name or "loss") for r in roots)
    return Derivation(
        losses,
        tuple(named.of[n] for n in targets if n in named.of),
        values,
        tuple(steps),
        reading.parts,
        reading.loops,
    )


def _readers(
    found: Mapping[Node, Node], named: Callable[[Node], str | None]
) -> dict[Node, list[Node]]:
    """For each named value, the named values that read it without another in between."""
    readers: dict[Node, list[Node]] = {}
    for user in sorted(found, key=lambda n: -n.serial):
        seen: set[Node] = set()
        stack = list(user.args)
        while stack:
            n = stack.pop()
            if n in seen:
                continue
            seen.add(n)
            if named(n) is not None:
                readers.setdefault(n, []).append(user)
            else:
                stack.extend(n.args)
    return readers


def _slope(node: Node, readers: Iterable[Node], named: Stations) -> Formula | None:
    """`d_a * sigmoid'(z)` where all that reads `z` is `a = sigmoid(z)`."""
    users = list(readers)
    if len(users) != 1 or node not in users[0].args:
        return None
    (user,) = users
    name = user.op.name
    if name not in SMOOTH:
        from ..ops.zeros import number

        rest = [a for a in user.args if a is not node]
        if name not in SLOPES or len(rest) != 1 or number(rest[0]) != 0:
            return None
        name = SLOPES[name]
    rank = len(node.shape)
    slope = Slope(name, Name(named.of[node], rank))
    return times(Name(named.adjoint(user), rank), slope)
