"""An elementwise derivative in one piece: d_z = d_a * f'(z), and f'(z) beside f(z).

Comes in: a joint program after the rules, for planned buffers. Goes out: the same, where a
chain of elementwise operations leads from one adjoint to another and reads two values or
more that nothing else reads any more. The chain is linear in the adjoint, so it is a product
with what forward knows; `forward` computes that product's other factor, the slope, and saves
it instead of all that it is made of.

    d * t / 2 + d * y * (1 - u^2) * (k + c * y^2)
    ->  slope = (t + y * (1 - u^2) * (2 * k + 2 * c * y^2)) / 2        in forward
        d * slope

A gelu by tanh so saves one array where it had saved four, and its backward is one call.
Terms are put over common factors, the longest first: the slope takes no more operations than
the chain did. Class `~`: the order of products changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field, replace

from gradc.records import record

from ..ir.dims import size
from ..ir.graph import ancestors
from ..ir.node import Node
from ..ir.program import Joint
from . import affine
from .mapping import State, program_roots
from .patterns import Rewriter

LONGEST = 48
"""Operations of a chain: what is longer is looked at in parts."""

LINEAR = frozenset({"add", "sub", "mul", "div", "neg"})


def slopes_ahead(joint: Joint) -> Joint:
    """The program with every slope that pays; `Joint.ahead` lists them."""
    if joint.seed is None:
        return joint
    state = State(joint)
    chains = _Search(state).chains()
    if not chains:
        return joint
    made: dict[Node, Node] = {}

    def maker(chain: _Chain) -> Callable[[Mapping[Node, Node]], Node]:
        def make(new: Mapping[Node, Node]) -> Node:
            slope = made[chain.top] = _slope(rw, chain, new)
            state.graph.hint(slope, "slope")
            return state.graph.apply("mul", new[chain.base], slope)

        return make

    rw = Rewriter(state.graph, affine.RULES)
    instead = {chain.top: maker(chain) for chain in chains}
    state.move(rw.walk(state.order, state.uses, instead=instead))
    image = {n: state.image(m) for n, m in joint.image.items()} or state.table
    return replace(state.joint, image=image, ahead=tuple(made.values()))


# ---------------------------------------------------------------------------- the search
@record
class _Chain:
    """The elementwise operations between two adjoints, those that come first at the front;
    of each, the operand that is linear in the adjoint comes by `linear`."""

    base: Node
    top: Node
    inside: tuple[Node, ...]
    linear: Mapping[Node, tuple[Node, ...]]


class _Search:
    """What a joint program's backward reads of its forward, and by which chains."""

    def __init__(self, state: State) -> None:
        self.order = state.order
        joint = state.joint
        forward = ancestors(program_roots(joint.program))
        self.backward = [n for n in self.order if n not in forward]
        self.moves: set[Node] = set()  # what depends on the seed
        for n in self.order:
            if n is joint.seed or any(a in self.moves for a in n.args):
                self.moves.add(n)
        results = set(joint.gradients.values())
        self.readers: dict[Node, set[Node | None]] = {}
        for n in self.backward:
            for a in n.args:
                self.readers.setdefault(a, set()).add(n)
        for n in results:
            self.readers.setdefault(n, set()).add(None)
        self.forward = forward
        self.saved_by: dict[Node, set[Node | None]] = {}
        for n, by in self.readers.items():
            if n in forward:
                self.saved_by.setdefault(_core(n), set()).update(by)

    def chains(self) -> list[_Chain]:
        """The chains that pay, none inside of another."""
        found: list[_Chain] = []
        taken: set[Node] = set()
        for n in reversed(self.backward):
            if n in taken or not self._arguments(n):
                continue
            chain = self._chain(n)
            if chain is not None and self._pays(chain):
                found.append(chain)
                taken.update(chain.inside)
        return found

    def _arguments(self, n: Node) -> tuple[Node, ...]:
        """The operands through which `n` is linear in an adjoint; none: no such operation."""
        if n.op.name not in LINEAR or n not in self.moves or not n.shape:
            return ()
        linear = tuple(a for a in n.args if a in self.moves)
        whole = n.op.name in ("add", "sub")
        if len(linear) != (len(n.args) if whole else 1):
            return ()
        if n.is_a("div") and linear[0] is not n.args[0]:
            return ()
        return linear if n.kind == "real" else ()

    def _chain(self, top: Node) -> _Chain | None:
        """From `top` down to the last adjoint that all of its ways lead through."""
        linear: dict[Node, tuple[Node, ...]] = {}
        frontier = {top}
        best: tuple[Node, int] | None = None
        while len(linear) < LONGEST:
            n = max(frontier, key=lambda m: m.serial)
            arguments = self._arguments(n)
            inside = n is top or self.readers[n] <= set(linear)
            if not arguments or not inside:
                break
            linear[n] = arguments
            frontier.discard(n)
            frontier.update(arguments)
            first, *more = frontier
            if not more and not first.is_a("broadcast"):  # else it is but a scalar
                best = first, len(linear)
        if best is None:
            return None
        base, count = best
        inside_ = tuple(reversed(list(linear)[:count]))
        return _Chain(base, top, inside_, linear)

    def _pays(self, chain: _Chain) -> bool:
        """Are there at least two arrays that need not be saved, for one that is?"""
        region = set(chain.inside)
        before: set[Node] = set()
        after = 1
        whole = size(chain.top.shape)
        pending = {a for n in chain.inside for a in n.args if a not in chain.linear[n]}
        while pending:
            n = max(pending, key=lambda m: m.serial)
            pending.discard(n)
            if n in self.forward:
                core = _core(n)
                if core.op.family != "leaf" and size(core.shape) == whole:
                    before.add(core)
            elif n.op.family == "leaf" or not n.args:
                continue
            elif self.readers[n] <= region or n.op.view:
                region.add(n)
                pending.update(n.args)
            elif size(n.shape) == whole:
                after += 1
        return sum(self.saved_by[n] <= region for n in before) > after


def _core(n: Node) -> Node:
    """What a view of a view is a view of."""
    while n.op.view and n.args:
        n = n.args[0]
    return n


# ----------------------------------------------------------------------------- the slope
@record(frozen=False)
class _Term:
    """A product: scalars, arrays, and arrays that it is divided by."""

    negative: bool = False
    scalars: list[tuple[Node, bool]] = field(
        default_factory=list
    )  # and is it divided by
    factors: Counter[Node] = field(default_factory=Counter)
    divisors: Counter[Node] = field(default_factory=Counter)

    def times(self, n: Node, divided: bool = False) -> _Term:
        core = n.args[0] if n.is_a("broadcast") and n.args[0].shape == () else None
        made = replace(
            self,
            scalars=list(self.scalars),
            factors=Counter(self.factors),
            divisors=Counter(self.divisors),
        )
        if core is not None:
            if (core, not divided) in made.scalars:
                made.scalars.remove((core, not divided))
            else:
                made.scalars.append((core, divided))
        else:
            (made.divisors if divided else made.factors)[n] += 1
        return made


def _slope(rw: Rewriter, chain: _Chain, new: Mapping[Node, Node]) -> Node:
    """What the base is multiplied by, of new nodes.

    Several terms that several operations read are put together before, else a chain of
    `h = sin(h) + h^2` would have twice as many with each step.
    """
    terms: dict[Node, list[_Term]] = {chain.base: [_Term()]}
    total = _Sum(rw, chain.top)
    read = Counter(a for n in chain.inside for a in chain.linear[n])
    for n in chain.inside:
        a, *rest = n.args
        if n.is_a("add", "sub"):
            second = terms[rest[0]]
            if n.is_a("sub"):
                second = [replace(t, negative=not t.negative) for t in second]
            terms[n] = [*terms[a], *second]
        elif n.is_a("neg"):
            terms[n] = [replace(t, negative=not t.negative) for t in terms[a]]
        else:
            (linear,) = chain.linear[n]
            other = rest[0] if linear is a else a
            terms[n] = [t.times(new[other], n.is_a("div")) for t in terms[linear]]
        if read[n] > 1 and len(terms[n]) > 1:
            terms[n] = [_Term().times(total.of(terms[n]))]
    return total.of(terms[chain.top])


class _Sum:
    """Terms to one node, common factors first."""

    def __init__(self, rw: Rewriter, like: Node) -> None:
        self.rw, self.graph, self.shape = rw, rw.graph, like.shape

    def of(self, terms: list[_Term]) -> Node:
        """The sum of all terms. What two share most goes before a bracket first."""
        terms = list(terms)
        read = Counter(f for t in terms for f in t.factors)
        self.rw.shared.update(f for f, times in read.items() if times > 1)
        while len(terms) > 1:
            i, j = self._nearest(terms)
            second, first = terms.pop(j), terms[i]
            terms[i] = self._together(first, second)
        return self._product(terms[0])

    def _nearest(self, terms: list[_Term]) -> tuple[int, int]:
        best, pair = -1, (0, 1)
        for j in range(1, len(terms)):
            for i in range(j):
                s, t = terms[i], terms[j]
                shared = (s.factors & t.factors).total()
                shared += (s.divisors & t.divisors).total()
                if shared > best:
                    best, pair = shared, (i, j)
        return pair

    def _together(self, s: _Term, t: _Term) -> _Term:
        """`a * b + a * c` as `a * (b + c)`."""
        factors, divisors = s.factors & t.factors, s.divisors & t.divisors
        scalars = list((Counter(s.scalars) & Counter(t.scalars)).elements())
        rests = []
        for term in (s, t):
            own = list(term.scalars)
            for x in scalars:
                own.remove(x)
            rests.append(
                _Term(False, own, term.factors - factors, term.divisors - divisors)
            )
        a, b = (self._product(r) for r in rests)
        if s.negative and not t.negative:
            made, negative = self.graph.apply("sub", b, a), False
        else:
            op = "add" if s.negative == t.negative else "sub"
            made, negative = self.graph.apply(op, a, b), s.negative and t.negative
        return _Term(negative, scalars, factors, divisors).times(made)

    def _product(self, t: _Term) -> Node:
        graph = self.graph
        scalar: Node | None = None
        for x, divided in t.scalars:
            if scalar is None:
                scalar = graph.apply("div", graph.const(1), x) if divided else x
            else:
                scalar = graph.apply("div" if divided else "mul", scalar, x)
        if t.negative:
            one = scalar if scalar is not None else graph.const(1)
            scalar = graph.apply("neg", one)
        made: Node | None = None
        for factor in t.factors.elements():
            made = factor if made is None else graph.apply("mul", made, factor)
        if scalar is not None and made is not None and not t.divisors:
            return self.rw.make("mul", made, graph.broadcast(scalar, self.shape))
        if made is None:
            made = graph.broadcast(
                scalar if scalar is not None else graph.const(1), self.shape
            )
        elif scalar is not None:
            made = self.rw.make("mul", made, graph.broadcast(scalar, self.shape))
        for divisor in t.divisors.elements():
            made = graph.apply("div", made, divisor)
        return made
