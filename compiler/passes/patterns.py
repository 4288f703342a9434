"""Rules and the walk that applies them: the machinery of every pass.

A *rule* looks at one node, whose arguments are already in normal form, and returns a
better node of the same value or None. A `Rewriter` takes the nodes below some roots once,
arguments before users, rebuilds each on its new arguments and tries the rules of its op
until none fires. The result is a table old -> new; who owns names maps them through it.

A *fence* is a value that has a name of its own: it is bound to an equation, or read by
two. A rule may look through an argument only if it is `free`; so the steps of the chain
rule that a reader sees stay the steps that are computed. Views, and arithmetic of sizes,
constants and the seed, are taken again instead of named: only a binding fences those. So
is a sign, which mostly meets another or ends in a scalar.

    >>> @rule("neg", safety="=")                          # doctest: +SKIP
    ... def double_negation(rw, n):
    ...     x = n.args[0]
    ...     return x.args[0] if x.is_a("neg") and rw.free(x) else None
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from gradc.records import record

from ..ir.graph import Graph, rebuild
from ..ir.node import Node, Number
from .bodies import LOOPED, Bodies
from .uses import results_alone

Safety = Literal["=", "~"]
"""`=` bitwise, NaN and infinity included (but for the sign of a zero); `~` rounding."""


@record
class Rule:
    """One rewrite: the ops at whose nodes it is tried, and what it may change."""

    name: str
    ops: tuple[str, ...]
    safety: Safety
    apply: Callable[[Rewriter, Node], Node | None]
    doc: str = ""


def rule(*ops: str, safety: Safety) -> Callable[[Callable[..., Any]], Rule]:
    """Make a rule of a function `(rewriter, node) -> node | None`."""

    def make(function: Callable[[Rewriter, Node], Node | None]) -> Rule:
        return Rule(function.__name__, ops, safety, function, function.__doc__ or "")

    return make


class Rewriter:
    """One walk: the rules, the fences met so far, and what is known of static scalars."""

    def __init__(self, graph: Graph, rules: Iterable[Rule]) -> None:
        self.graph = graph
        self.rules: dict[str, list[Callable[[Rewriter, Node], Node | None]]] = {}
        for r in rules:
            for op in r.ops:
                self.rules.setdefault(op, []).append(r.apply)
        self.bound: set[Node] = set()  # new nodes that a binding stands for
        self.shared: set[Node] = set()  # new nodes that two values read: fences
        self.repeated: set[Node] = set()  # what two read, but is cheap: no fences
        self.adjoint_of: dict[Node, tuple[Node, ...]] = {}  # new adjoint -> its primals
        self.primals: set[Node] = set()  # the new values that have an adjoint
        self.final = False  # is the node at hand a result that nothing else reads?
        self.named = False  # has the node at hand a name?
        self._static: dict[Node, bool] = {}
        self._normal: set[Node] = set()
        self._fuel = 0

    # ------------------------------------------------------------------- looking
    def free(self, n: Node) -> bool:
        """May a rule take this argument apart?"""
        return n not in self.bound and n not in self.shared and n.op.family != "leaf"

    def unbound(self, n: Node) -> bool:
        """May a rule look through this view, or repeat this cheap value?"""
        return n not in self.bound

    def static(self, n: Node) -> bool:
        """Is it arithmetic of numbers, constants, sizes and the seed alone?"""
        known = self._static.get(n)
        if known is None:
            if n.op.name in STATIC and n.shape == () and n.kind != "bool":
                known = True
                for a in n.args:
                    if not self.static(a):
                        known = False
                        break
            else:
                known = _static_leaf(n)
            self._static[n] = known
        return known

    # ------------------------------------------------------------------- making
    def make(self, op: str, *args: Node | Number, **attrs: Any) -> Node:
        """The node of `op`, in normal form if its arguments are."""
        return self.simplify(self.graph.apply(op, *args, **attrs))

    def broadcast(self, x: Node, shape: tuple[Any, ...]) -> Node:
        return x if x.shape == shape else self.make("broadcast", x, shape=shape)

    def const(self, value: Number) -> Node:
        return self.graph.const(value)

    def simplify(self, n: Node) -> Node:
        """Try the rules of the node's op until none fires."""
        normal = self._normal
        while n not in normal:
            for apply in self.rules.get(n.op.name, ()):
                better = apply(self, n)
                if better is not None and better is not n:
                    self._fuel -= 1
                    if self._fuel <= 0:
                        return n
                    n = better
                    break
            else:
                normal.add(n)
        return n

    def cheap(self, n: Node) -> bool:
        """Is it taken again where it is read twice?"""
        if n.op.view or n.op.name == "neg":
            return True
        return n.shape == () and (self.static(n) or _light(n))

    # ------------------------------------------------------------------- the walk
    def inside(self) -> Rewriter:
        """The same rules, for the body of a loop."""
        inner = Rewriter(self.graph, ())
        inner.rules = self.rules
        return inner

    def walk(
        self,
        order: Sequence[Node],
        uses: Mapping[Node, int],
        bound: Collection[Node] = (),
        adjoints: Mapping[Node, tuple[Node, ...]] = MappingProxyType({}),
        instead: Mapping[
            Node, Callable[[Mapping[Node, Node]], Node]
        ] = MappingProxyType({}),
    ) -> dict[Node, Node]:
        """Map the nodes of `order`, arguments before users.

        `uses`: how many values read each; `bound`: those that have a name; `adjoints`:
        whose adjoint a node is; `instead`: nodes that are made of the table so far.
        """
        graph = self.graph
        bodies = Bodies(order)
        saved = graph.origin, graph.deriving
        graph.deriving = True  # 1 - sigmoid(x) of a derivative stays what it is
        finals = results_alone(order, uses)
        primals = {p for ps in adjoints.values() for p in ps}
        new: dict[Node, Node] = {}
        # A rule that fires without end would be a mistake in the tables: the walk then
        # stops improving, and the tests see that the fuel ran out.
        self._fuel = 1000 + 40 * len(order)
        rules = self.rules
        try:
            for n in order:
                graph.origin = n.origin
                named = n in bound
                self.final, self.named = n in finals, named
                args = n.args
                if args:
                    args = tuple([new[a] for a in args])
                if n in instead:
                    made = instead[n](new)
                elif n.op.name in LOOPED:
                    made = bodies.map(self, n, args)
                else:
                    made = n if args == n.args else rebuild(graph, n, args)
                    if made.op.name in rules:
                        made = self.simplify(made)
                new[n] = made
                if n in adjoints:
                    self.adjoint_of[made] = adjoints[n]
                if n in primals:
                    self.primals.add(made)
                if named:
                    self.bound.add(made)
                if not made.shape and made.op.name in STATIC:
                    self.static(made)  # bottom-up: no deep recursion later
                if uses[n] > 1:
                    (self.repeated if self.cheap(made) else self.shared).add(made)
        finally:
            graph.origin, graph.deriving = saved
        return new

    def settled(self, n: Node) -> Node:
        """Take it that no rule applies: arithmetic of sizes that is in normal form."""
        if self.static(n):
            self._normal.add(n)
        return n

    def has_seen(self, n: Node) -> bool:
        """Is it in normal form? (A constructor may have made it out of others.)"""
        return n in self._normal or n.op.name not in self.rules

    @property
    def exhausted(self) -> bool:
        return self._fuel <= 0


# ---------------------------------------------------------------------- small matchers
LIGHT = 2


def _light(n: Node) -> bool:
    """A scalar such as 2 * x or -x / y: read twice, it is written twice, with no name."""
    if n.op.name not in PRODUCTS or n.kind != "real":
        return False
    factors = 0
    stack = [n]
    while stack and factors <= LIGHT:
        m = stack.pop()
        op = m.op.name
        if op == "neg":
            stack.append(m.args[0])
        elif op == "div" or (op == "mul" and m.args[0] is not m.args[1]):
            stack += m.args
        elif op not in SCALARS:
            factors += 1
    return factors <= LIGHT


PRODUCTS = frozenset({"mul", "div", "neg"})
SCALARS = frozenset({"const", "size", "seed"})


STATIC = frozenset({"add", "sub", "mul", "div", "neg", "cast"})


def _static_leaf(n: Node) -> bool:
    op = n.op.name
    return op == "const" or op == "size" or (op == "seed" and n.shape == ())


def number(n: Node) -> int | float | None:
    """The value of an unnamed real constant. Named ones stand for themselves."""
    if n.op.name != "const" or n.kind != "real" or n.attrs["name"]:
        return None
    value: int | float = n.attrs["value"]
    return value


def scalar_under(rw: Rewriter, n: Node) -> Node | None:
    """`s`, where `n` is the scalar s in a larger shape."""
    if n.op.name != "broadcast" or n in rw.bound:
        return None
    s = n.args[0]
    return s if s.shape == () else None


def is_number(rw: Rewriter, n: Node, value: float) -> bool:
    """Is it this number, in whatever shape?"""
    s = n if n.shape == () else scalar_under(rw, n)
    return s is not None and number(s) == value


SIGNED = frozenset({"neg", "const", "broadcast", "put", "where", "mul", "div"})


def negated(rw: Rewriter, n: Node) -> Node | None:
    """`x`, where `n` is written as -x and the sign can be taken off for nothing."""
    op = n.op.name
    if op not in SIGNED:
        return None
    if op == "neg":
        return n.args[0] if rw.free(n) or (rw.static(n) and rw.unbound(n)) else None
    if op == "const":
        value = number(n)
        if value is not None and (value < 0 or str(value) == "-0.0"):
            return rw.const(-value)
        return None
    if op == "broadcast" and rw.unbound(n):
        x = negated(rw, n.args[0])
        return None if x is None else rw.broadcast(x, n.shape)
    if op == "put" and rw.free(n):
        x = negated(rw, n.args[1])
        return None if x is None else rw.make("put", n.args[0], x, **n.attrs)
    if op == "where" and rw.free(n) and n.args[2].is_a("zero"):
        x = negated(rw, n.args[1])
        return None if x is None else rw.make("where", n.args[0], x, n.args[2])
    if (op == "mul" or op == "div") and rw.static(n) and rw.unbound(n):
        x = negated(rw, n.args[0])
        return None if x is None else rw.make(op, x, n.args[1])
    return None
