"""Graph: the interning table, and traversals that never recurse.

    >>> g = Graph()                                    # doctest: +SKIP
    >>> x = g.leaf("input", "x", (N,))                 # doctest: +SKIP
    >>> g.apply("exp", x) is g.apply("exp", x)         # doctest: +SKIP
    True

Interning belongs to a graph, not to the process. ``apply`` runs the record's constructor
rules first (structural zeros, neutral elements, the stability rules): they hold at every
level. Serial numbers grow from arguments to users, so sorting by serial *is* a
topological order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from .dims import Dim, Shape, as_shape
from .node import Node, Number, Origin
from .op import REGISTRY, Kind


class Graph:
    """The nodes of one program and its derivatives."""

    def __init__(self, limit: int = 10_000_000) -> None:
        self._table: dict[tuple[Any, ...], Node] = {}
        # Integers, the most frequent leaves: (value, kind, name) -> node of the table.
        self._integers: dict[tuple[Number, Kind, str], Node] = {}
        self._serial = 0
        self.limit = limit
        self.origin = Origin()  # given to every node that is made; see `at`
        self.hints: dict[Node, tuple[str, int]] = {}  # node -> (name, instance number)
        # Set by reverse mode: what is made now is a derivative. It keeps y * (1 - y),
        # which in a program's own text becomes sigmoid(x) * sigmoid(-x).
        self.deriving = False
        # loop -> its index and its carries, by the user's names
        self.loops: dict[Node, tuple[str, tuple[str, ...]]] = {}
        # loop -> what its body is made of: the roles of the formals below each node
        self.roles: dict[Node, dict[Node, frozenset[str]]] = {}
        self.bounds: dict[Node, Any] = {}  # what is proved of values: ops/bounds.py
        # equation -> what of it is computed in another order than it says, and of what
        self.remarks: dict[int, dict[str, list[str]]] = {}
        self.drafts = 0  # loops begun: each tags its formals with a number of its own

    def __len__(self) -> int:
        return self._serial

    def clear(self) -> None:
        """Forget the nodes, which know their graph: the last reader of one frees it.

        Else that takes the collector of cycles, and for a large graph half as long as all
        that was done with it.
        """
        self._table.clear()
        self._integers.clear()
        self.hints.clear()
        self.loops.clear()
        self.roles.clear()
        self.bounds.clear()

    # ------------------------------------------------------------------ making nodes
    @contextmanager
    def at(self, origin: Origin) -> Iterator[None]:
        """Nodes made in this block come from `origin`."""
        saved, self.origin = self.origin, origin
        try:
            yield
        finally:
            self.origin = saved

    def leaf(
        self, op: str, name: str, shape: Iterable[Dim | int], kind: Kind = "real"
    ) -> Node:
        """An `input`, `param`, `state`, `noise` or `seed`, by name (or path)."""
        return self.intern(
            op, (), {"name": name, "shape": as_shape(shape), "kind": kind}
        )

    def const(self, value: Number, kind: Kind | None = None, name: str = "") -> Node:
        """A number. `kind` defaults to real (bool for a bool); `name` is the const's.

        A whole number is kept as an int: it prints as ``2``, and NumPy treats it as
        weakly typed like any Python number.
        """
        if kind is None:
            kind = "bool" if isinstance(value, bool) else "real"
        if value.__class__ is int:
            known = self._integers.get((value, kind, name))
            if known is None:
                known = self.intern(
                    "const", (), {"value": value, "kind": kind, "name": name}
                )
                self._integers[value, kind, name] = known
            return known
        if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53:
            value = value if str(value) == "-0.0" else int(value)
        return self.intern("const", (), {"value": value, "kind": kind, "name": name})

    def size(self, dim: Dim, kind: Kind = "real") -> Node:
        """A size as a value: ``N`` in ``sum(…) / N``. A plain integer is a `const`."""
        if dim.integer is not None and dim.written == dim.value:
            return self.const(dim.integer, kind)
        return self.intern("size", (), {"dim": dim, "kind": kind})

    def zero(self, shape: Iterable[Dim | int], kind: Kind = "real") -> Node:
        """The structural zero: 'no gradient', which stays zero times NaN."""
        return self.intern("zero", (), {"shape": as_shape(shape), "kind": kind})

    def apply(self, op: str, *args: Node | Number, **attrs: Any) -> Node:
        """The node of `op`, or what the constructor rules make of it.

        Python numbers become constants; in an elementwise op, scalars are broadcast to
        the shape of the others. Anything else must have the shapes that `infer` asks for.
        """
        record = REGISTRY.ops[op]
        nodes: tuple[Node, ...] = args  # type: ignore[assignment]
        for a in args:
            if a.__class__ is not Node:
                nodes = tuple(
                    [n if isinstance(n, Node) else self.const(n) for n in args]
                )
                break
        if record.family == "elementwise" and len(nodes) > 1:
            nodes = self._equal_shapes(nodes)
        for rule in record.simplify:
            replaced = rule(self, nodes, attrs)
            if replaced is not None:
                return replaced
        return self.intern(op, nodes, attrs)

    def broadcast(self, x: Node, shape: Shape) -> Node:
        """`x` in a larger shape: missing leading axes and axes of size 1 are filled."""
        return x if x.shape == shape else self.apply("broadcast", x, shape=shape)

    def hint(self, node: Node, name: str, instance: int = 0) -> Node:
        """Propose a name for a value that the user did not name. The first one wins."""
        if node.op.family != "leaf":
            self.hints.setdefault(node, (name, instance))
        return node

    def remark(self, equation: int, what: str, *about: str) -> None:
        """Of this equation something is computed in another order than it says."""
        known = self.remarks.setdefault(equation, {}).setdefault(what, [])
        known += [word for word in about if word not in known]

    def _equal_shapes(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        shape = nodes[0].shape
        for n in nodes:
            if n.shape is not shape and len(n.shape) != len(shape):
                break
        else:
            return nodes
        shape = max((n.shape for n in nodes), key=len)
        return tuple([n if n.shape else self.broadcast(n, shape) for n in nodes])

    def intern(self, op: str, args: tuple[Node, ...], attrs: dict[str, Any]) -> Node:
        key: tuple[Any, ...] = (op, args)
        if attrs:
            key = (op, args, *[(k, _key(attrs[k])) for k in sorted(attrs)])
        node = self._table.get(key)
        if node is None:
            record = REGISTRY.ops[op]
            shape, kind = record.infer(args, attrs)
            node = Node(
                self, record, args, attrs, shape, kind, self._serial, self.origin
            )
            self._serial += 1
            if self._serial > self.limit:
                raise GraphTooLarge(self.limit)
            self._table[key] = node
        return node


class GraphTooLarge(Exception):
    """More nodes than the limit allows: the driver makes a diagnostic of it."""


def _key(value: Any) -> Any:
    """1, 1.0 and True are equal in Python but are three constants; 0.0 and -0.0 two."""
    kind = value.__class__
    if kind is str or kind is Dim:
        return value
    if kind is tuple:
        return tuple([_key(v) for v in value])
    if kind is float:
        return (kind, value.hex())
    return (kind, value)


# ---------------------------------------------------------------------- traversals
SERIAL = attrgetter("serial")
"""The key by which nodes are sorted: arguments before users."""


def ancestors(roots: Iterable[Node], stop: Collection[Node] = ()) -> set[Node]:
    """Every node that the roots depend on, roots included; `stop` nodes end a path."""
    seen: set[Node] = set()
    stack = list(roots)
    pop, push, add = stack.pop, stack.extend, seen.add
    while stack:
        node = pop()
        if node not in seen:
            add(node)
            if node.args and node not in stop:
                push(node.args)
    return seen


def topological(roots: Iterable[Node], stop: Collection[Node] = ()) -> list[Node]:
    """The ancestors, arguments before users, in the order in which they were made."""
    return sorted(ancestors(roots, stop), key=SERIAL)


def depends(node: Node, on: Node) -> bool:
    """Is `on` among the ancestors of `node`? Visits only what was made after `on`."""
    seen: set[Node] = set()
    stack = [node]
    while stack:
        n = stack.pop()
        if n is on:
            return True
        if n.serial > on.serial and n not in seen:
            seen.add(n)
            stack.extend(n.args)
    return False


def users(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node, the given nodes that read it, in the given order."""
    table: dict[Node, list[Node]] = {}
    for n in nodes:
        for a in dict.fromkeys(n.args):
            table.setdefault(a, []).append(n)
    return table


Rule = Callable[[Graph, Node, tuple[Node, ...]], "Node | None"]


def rewrite(graph: Graph, roots: Iterable[Node], rule: Rule) -> dict[Node, Node]:
    """Map every node below the roots: `rule(graph, node, new_args)` or a plain rebuild.

    Names, bindings and the table primal -> adjoint are mapped through the result by the
    caller (`passes.apply`): a replacement inherits what it replaces.
    """
    new: dict[Node, Node] = {}
    for node in topological(roots):
        args = tuple([new[a] for a in node.args])
        with graph.at(node.origin):
            made = rule(graph, node, args)
            if made is None:
                made = node if args == node.args else rebuild(graph, node, args)
        new[node] = made
    return new


def rebuild(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node:
    """The same op on other arguments."""
    if not node.args:
        return node
    made = graph.apply(node.op.name, *args, **node.attrs)
    if node in graph.loops:
        graph.loops.setdefault(made, graph.loops[node])
    return made


def substitute(graph: Graph, root: Node, mapping: Mapping[Node, Node]) -> Node:
    """`root` with some of its ancestors replaced."""
    return rewrite(graph, [root], lambda g, n, args: mapping.get(n))[root]
