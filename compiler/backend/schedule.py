"""From a joint program to a plan: the order of the textbook's lines.

Stage: after the passes, before the emitters. In: a `Joint`. Out: a `Plan` with `forward`,
`backward`, `evaluate` and `predict`, as far as the program has a use for them.

A function is its roots and what is at hand; reachability says what is computed in it. A
bound node stands in its equation's block or in the first block that needs it, any other
node in the first block that uses it, and nothing before its arguments. `backward` lists the
blocks reversed. What `backward` reads of `forward` is saved, through views; inputs and
parameters come first.

    h = relu(x @ W)         forward:  equation 0: z, h       saved: x, W, h
    loss = sum(h^2)                   equation 1: loss
                            backward: equation 1: d_h;  equation 0: d_z, d_W
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from ..ir.dims import told
from ..ir.graph import ancestors
from ..ir.node import Node
from ..ir.program import Joint, Mode
from .bodies import body_of, indexed, is_loop, is_projection
from .lines import choose_lines
from .numbers import is_number
from .plan import Block, Bound, Function, Plan, Recompute, Settings
from .recompute import cheap, inside_blocks
from .views import ATOMS, DEEPEST, Views

Name = Literal["forward", "backward", "evaluate", "predict"]


def schedule(joint: Joint, options: Settings, numbers: bool = False) -> Plan:
    """Decide what each function of the module computes, where, and in how many lines.

    `numbers`: where the program has single numbers alone, they are to be Python's own.
    """
    program = joint.program
    training, evaluation = program.training, program.evaluation
    live = ancestors(_all_roots(joint))
    primal_bound = _primal(training)
    adjoint_bound = _adjoint(joint, primal_bound)
    evaluation_bound = primal_bound if evaluation is training else _primal(evaluation)
    views = Views(
        sorted(live, key=lambda n: n.serial),
        [*primal_bound, *evaluation_bound, *adjoint_bound],
    )
    numbers = numbers and all(map(is_number, live))
    order = list(range(len(program.equations)))
    leaves = [i.node for i in program.inputs] + [p.node for p in program.params]
    leaves += [s.node for s in program.states] + list(program.noises)
    adjoints = set(joint.adjoints.values())
    functions: dict[str, Function] = {}
    shared: set[Node] = set()  # a line in one function is a line in all
    chains: dict[Node, Node] = {}

    def add(
        name: Name,
        results: Sequence[tuple[str, Node]],
        bound: dict[Node, Bound],
        at_hand: Iterable[Node] = leaves,
        keep: Iterable[Node] = (),
        collected: Iterable[Node] = (),
        again: Iterable[Node] = (),
    ) -> Function:
        backward = name == "backward"
        planned = options.level > 1 and name in ("forward", "backward")
        scheduler = _Scheduler(
            views,
            name,
            results,
            at_hand,
            bound,
            leaves,
            0 if planned else options.level,
            adjoints,
            collected,
            again,
        )
        scheduler.function.numbers = numbers
        scheduler.ahead = options.recompute == "blocks"
        scheduler.slopes = frozenset(joint.ahead) if name == "forward" else frozenset()
        made = scheduler.run(order[::-1] if backward else order, shared, keep)
        functions[name] = made
        if planned:  # an operation a line: a line of its own kind
            return made
        shared.update(made.lines)
        for first, whole in chains.items():
            if first in made.lines and whole in made.lines:
                made.chains.setdefault(first, whole)
        chains.update(made.chains)
        return made

    saved: tuple[Node, ...] = ()
    if training.total is not None and joint.gradients:
        total = training.total
        gradients = list(joint.gradients.items())
        results = [("loss", total.node), *_new_states(joint)]
        again, keep = _saved(
            joint, views, [n for _, n in results], options.recompute or "none"
        )
        collected = [
            n for n in keep if is_projection(n) or n in joint.ahead or _is_argument(n)
        ]
        keep |= _alike(joint, views, keep)
        forward = add("forward", results, primal_bound, keep=keep, collected=collected)
        saved = _saved_order(leaves, forward, keep)
        add("backward", gradients, adjoint_bound, at_hand=saved, again=again)
    if evaluation.total is not None:
        figures = {"loss": evaluation.total.node}
        for root in (*evaluation.losses, *evaluation.metrics):
            figures.setdefault(root.name or "loss", root.node)
        alike = functions.get("forward")
        if (
            alike is not None
            and evaluation is training
            and not program.states
            and options.level < 2
            and all(n in alike.lines for n in figures.values())
        ):  # it computes what forward does, and saves nothing
            functions["evaluate"] = replace(
                alike, name="evaluate", results=tuple(figures.items())
            )
        else:
            add("evaluate", list(figures.items()), evaluation_bound)
    outputs = [(root.name, root.node) for root in evaluation.outputs]
    if evaluation.total is None:
        outputs += [(root.name, root.node) for root in evaluation.metrics]
    if outputs:
        add("predict", outputs, evaluation_bound)
    return Plan(joint, views, options.level, functions, saved, numbers=numbers)


def _all_roots(joint: Joint) -> list[Node]:
    roots = list(joint.gradients.values())
    for mode in (joint.program.training, joint.program.evaluation):
        roots += [r.node for r in (*mode.losses, *mode.metrics, *mode.outputs)]
        roots += [n for _, n in mode.updates]
        if mode.total is not None:
            roots.append(mode.total.node)
    return roots


def _new_states(joint: Joint) -> list[tuple[str, Node]]:
    """What each state is after a step of training; without an update, what it was."""
    updates = dict(joint.program.training.updates)
    return [(s.path, updates.get(s.path, s.node)) for s in joint.program.states]


def _primal(mode: Mode) -> dict[Node, Bound]:
    """The values of the user's equations; the first of two names for one node."""
    bound: dict[Node, Bound] = {}
    for b in mode.bindings:
        if b.node.op.family != "leaf":
            bound.setdefault(b.node, Bound(b.equation, b.name, b.copy))
    total = mode.total
    if total is not None and total.node.op.family != "leaf" and total.equation >= 0:
        bound.setdefault(total.node, Bound(total.equation, total.name))
    return bound


def _adjoint(joint: Joint, primal: dict[Node, Bound]) -> dict[Node, Bound]:
    """The last partial sum that each equation adds to the adjoint of a named value."""
    last: dict[tuple[int, Node], Node] = {}
    for equation, node, partial in joint.partials:
        if node in primal or node.op.family == "leaf":
            last[equation, node] = partial
    sources = {p.path: p.node for p in joint.program.params}
    sources |= {i.name: i.node for i in joint.program.inputs}
    returned = set(sources.values())
    bound: dict[Node, Bound] = {}
    for (equation, node), partial in last.items():
        if partial.op.family == "leaf" or partial in primal:
            continue
        name = primal[node].name if node in primal else str(node.attrs.get("name", ""))
        copy = primal[node].copy if node in primal else ()
        bound.setdefault(
            partial, Bound(equation, name, copy, node in returned, primal=node)
        )
    for path, adjoint in joint.gradients.items():
        if path in sources and adjoint.op.name in ATOMS:  # no loss moves with it
            bound.setdefault(adjoint, Bound(0, path, (), True, sources[path]))
    return bound


def _saved(
    joint: Joint, views: Views, results: Sequence[Node], how: Recompute
) -> tuple[set[Node], set[Node]]:
    """The forward values that backward reads: those that it computes again, and those
    that are saved, through what it takes again."""
    gradients = list(joint.gradients.values())
    forward = ancestors(results)
    # what backward alone reads off a loop of forward is collected there, and an input
    # that no value of forward needs is an argument of it all the same
    beyond = ancestors(gradients, stop=forward)
    collected = {n for n in beyond if is_projection(n) and n.args[0] in forward}
    collected |= {n for n in beyond if n not in forward and _is_argument(n)}
    collected.update(joint.ahead if how != "blocks" else ())
    if not collected <= forward:
        forward |= ancestors(collected)
        beyond = ancestors(gradients, stop=forward)
    read = [a for n in beyond if n not in forward for a in n.args]
    read += gradients
    if how == "blocks":
        again = inside_blocks(joint, views, forward, [*results, *collected])
        return again, _read_of(views, forward, read, again)
    saved = _read_of(views, forward, read)
    if how == "none":
        return set(), saved
    again = cheap(views, saved, {r.equation for r in joint.program.training.losses})
    return again, _read_of(views, forward, read, again)


def _is_argument(n: Node) -> bool:
    return n.op.name in ("input", "param", "state", "noise")


def _read_of(
    views: Views,
    forward: Collection[Node],
    read: Iterable[Node],
    again: Collection[Node] = (),
) -> set[Node]:
    """What has to be saved so that `read` can be read, or be taken again."""
    stack = list(read)
    saved: set[Node] = set()
    seen: set[Node] = set()
    while stack:
        n = stack.pop()
        if n in seen or n not in forward:
            continue
        seen.add(n)
        if n.op.name in ATOMS or n.op.name == "seed" or views.trivial(n):
            continue
        if views.is_view(n) or views.retaken(n) or n in again:
            stack.extend(n.args)
        else:
            saved.add(n)
    return saved


def _alike(joint: Joint, views: Views, saved: set[Node]) -> set[Node]:
    """Parameters that backward needs for the shape or type of an adjoint alone."""
    sources = {p.path: p.node for p in joint.program.params}
    sources |= {i.name: i.node for i in joint.program.inputs}
    wanted = {
        sources[path]
        for path, n in joint.gradients.items()
        if path in sources and sources[path].shape and views.constant(n)
    }
    if not wanted and not any(n.kind == "real" for n in saved):
        wanted = {
            sources[path] for path in list(joint.gradients)[:1] if path in sources
        }
    return wanted


def _saved_order(
    leaves: Sequence[Node], forward: Function, saved: set[Node]
) -> tuple[Node, ...]:
    computed = [n for b in forward.blocks for n in b.lines if n in saved]
    return (*[n for n in leaves if n in saved], *computed)


def _leaves(leaves: Sequence[Node], live: set[Node]) -> tuple[Node, ...]:
    """What a function reads of the outside, and inputs that tell it a size it needs."""
    read = {n for n in leaves if n in live}
    needed: set[str] = set()
    shapes = {id(n.shape): n.shape for n in live}  # most are one and the same tuple
    for shape in shapes.values():
        for d in shape:
            needed.update(d.symbols())
    for n in live:
        if n.op.name == "size":
            needed.update(n.attrs["dim"].symbols())
    needed -= set(told([n.shape for n in leaves if n in read]))
    able = [n for n in leaves if n in read or n.op.name in ("input", "param")]
    found = told([n.shape for n in able])
    while needed:
        symbol = min(needed)
        needed.discard(symbol)
        if symbol in found and able[found[symbol].shape] not in read:
            read.add(able[found[symbol].shape])
            needed.update(found[symbol].given)
            needed -= set(told([n.shape for n in leaves if n in read]))
    return tuple(n for n in leaves if n in read)


class _Scheduler:
    """One function."""

    def __init__(
        self,
        views: Views,
        name: Name,
        results: Sequence[tuple[str, Node]],
        at_hand: Iterable[Node],
        bound: dict[Node, Bound],
        leaves: Sequence[Node],
        level: int,
        adjoints: set[Node],
        collected: Iterable[Node] = (),
        again: Iterable[Node] = (),
    ) -> None:
        self.adjoints = adjoints if name == "backward" else set()
        self.views = views
        self.level = level
        self.ahead = False  # does what is computed again stand first in its block?
        self.slopes: frozenset[Node] = frozenset()  # that forward computes for backward
        self.leaves = leaves
        hand = frozenset(at_hand)
        self.live = ancestors([*(n for _, n in results), *collected], stop=hand)
        self.indexed = {x for n in self.live if is_loop(n) for x in indexed(n)}
        self.roots = {n for _, n in results if n not in hand}
        self.function = Function(
            name,
            tuple(results),
            hand,
            _leaves(leaves, self.live),
            {n: b for n, b in bound.items() if n in self.live and n not in hand},
        )
        self.nodes = self._computed()
        self.function.computed = self.nodes
        self.function.again = {n for n in again if n in self.live and n not in hand}
        self._base: dict[Node, Node] = {}

    def _computed(self) -> list[Node]:
        """The live nodes that are computed here, arguments first; no views, no atoms."""
        f, views = self.function, self.views
        out: list[Node] = []
        depth: dict[Node, int] = {}
        for n in sorted(self.live, key=lambda n: n.serial):
            if n in f.at_hand or n.op.family == "leaf" or n.op.name in ATOMS:
                if n in self.roots and n.op.name in ATOMS:
                    out.append(n)
                continue
            if n in views.absorbed:
                continue
            needed = n in f.bound or n in self.roots or n in self.indexed
            if views.is_view(n) and not needed:
                depth[n] = depth.get(n.args[0], 0) + 1
                if depth[n] < DEEPEST:
                    continue
                depth[n] = 0
            out.append(n)
        return out

    def base(self, n: Node) -> Node:
        """What a reader of `n` reads: `n` itself, or what a view of it is a view of."""
        path: list[Node] = []
        while n not in self.visible and n not in self.function.at_hand:
            known = self._base.get(n)
            if known is not None:
                n = known
                break
            if n.op.name in ATOMS or n.op.family == "leaf" or not n.args:
                break
            path.append(n)
            n = n.args[0]
        for p in path:
            self._base[p] = n
        return n

    def run(
        self, order: Sequence[int], shared: set[Node], keep: Iterable[Node]
    ) -> Function:
        f, nodes = self.function, self.nodes
        self.visible = set(nodes)
        reads: dict[Node, list[Node]] = (
            {}
        )  # node -> what it reads, argument by argument
        uses: dict[Node, list[Node]] = {}
        for n in nodes:
            # a folded reshape reads what its reduction reads
            args = n.args[0].args if n in self.views.folded else n.args
            reads[n] = [b for a in args if (b := self.base(a)) in self.visible]
            for b in reads[n]:
                uses.setdefault(b, []).append(n)
        rank = {equation: i for i, equation in enumerate(order)}
        place = self._places(rank, reads, uses)
        f.lines = choose_lines(
            f,
            self.views,
            reads,
            uses,
            shared,
            set(keep),
            self.roots,
            self.level,
            self.base,
        )
        blocks: list[list[Node]] = [[] for _ in order] or [[]]
        self._fill(blocks, place, reads)
        self._bodies(shared)
        f.blocks = [
            Block(order[i] if order else -1, block)
            for i, block in enumerate(blocks)
            if block
        ]
        return f

    def _bodies(self, shared: set[Node]) -> None:
        """The loops: what is read off each, and the lines of a step."""
        f = self.function
        read: dict[Node, list[Node]] = {n: [] for n in self.nodes if is_loop(n)}
        for n in self.nodes:
            if is_projection(n):
                read[n.args[0]].append(n)

        def scheduled(roots: Sequence[Node], views: Views) -> Function:
            results = [("", n) for n in roots]
            step = _Scheduler(views, f.name, results, (), {}, (), self.level, set())
            made = step.run([], shared, roots)
            shared.update(made.lines)
            return made

        for loop, projections in read.items():
            f.bodies[loop] = body_of(loop, projections, scheduled)

    def _places(
        self,
        rank: dict[int, int],
        reads: dict[Node, list[Node]],
        uses: dict[Node, list[Node]],
    ) -> dict[Node, int]:
        """The block of each node: where it is bound or first used, after its arguments."""
        bound = self.function.bound
        place: dict[Node, int] = {}
        last = max(len(rank) - 1, 0)
        for n in reversed(self.nodes):
            first = last
            for u in uses.get(n, ()):
                if place[u] < first:
                    first = place[u]
            if n in bound:
                first = min(first, rank.get(bound[n].equation, last))
            elif n in self.adjoints or is_loop(
                n
            ):  # the rule that makes it is that of its equation
                first = min(first, rank.get(n.origin.equation, last))
            elif n not in uses:
                first = rank.get(n.origin.equation, last)
            place[n] = first
        for n in self.nodes:
            at = place[n]
            for b in reads[n]:
                if place[b] > at:
                    at = place[b]
            place[n] = at
        return place

    def _fill(
        self,
        blocks: list[list[Node]],
        place: dict[Node, int],
        reads: dict[Node, list[Node]],
    ) -> None:
        """Depth first from a block's bindings; adjoints of parameters before values."""
        f = self.function
        members: list[list[Node]] = [[] for _ in blocks]
        for n in self.nodes:
            if n in f.lines:
                members[place[n]].append(n)
        done: set[Node] = set()
        lines = f.lines

        declared = {n: i for i, n in enumerate(self.leaves)}
        layers: dict[str, int] = {}  # parameters of one layer stay together
        for n, b in f.bound.items():
            if b.parameter and n in f.lines:
                layer = b.name.rpartition(".")[0]
                layers[layer] = min(layers.get(layer, n.serial), n.serial)

        def rank(n: Node) -> tuple[int, int, int]:
            if self.ahead and n in f.again:
                return (-1, n.serial, 0)
            bound = f.bound.get(n)
            if bound is not None and bound.parameter and bound.primal is not None:
                layer = layers.get(bound.name.rpartition(".")[0], 0)
                return (0, layer, declared.get(bound.primal, len(declared)))
            return (1, n.serial, 0)

        states = {n for path, n in f.results if path} if f.name == "forward" else set()

        def last(n: Node) -> tuple[bool, bool]:
            """A slope before the value beside it, which can then lie where its argument is;
            the state after a step last: what the equation itself says goes before."""
            return n not in self.slopes, n in states and n not in f.bound

        order = rank if f.name == "backward" else last
        for i, block in enumerate(blocks):
            for start in sorted(members[i], key=order):
                stack = [(start, False)]
                while stack:
                    n, finished = stack.pop()
                    if finished:
                        block.append(n)
                        continue
                    if n in done:
                        continue
                    done.add(n)
                    if n in lines:
                        stack.append((n, True))
                    for read in reversed(reads[n]):
                        if read not in done:
                            stack.append((read, False))
