"""Constructor rules: the structural zero, masked cotangents, neutral elements.

`Zero` says "no gradient": it stays zero times NaN. A *masked cotangent* where(c, a, Zero)
takes what is done to it inside: where(c, a, Zero) * d is where(c, a * d, Zero), so an
infinite local derivative outside of the mask never meets a 0. As these rules are in the
constructors, they hold at every level, and for the derivative of a derivative too.

Nested masks are merged into one, so every rule looks one node deep and a chain of 100 000
masks is linear.

    where(x > 0, sqrt(x), x)   has derivative 1 at 0, of every order finite
"""

from __future__ import annotations

from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Simplify
from .cotangents import merged

Args = tuple[Node, ...]


def is_zero(node: Node) -> bool:
    """Is it the structural zero? (The number 0 is not.)"""
    return node.op.name == "zero"


def number(node: Node) -> int | float | None:
    """The value of a nameless number, seen through a broadcast."""
    op = node.op.name
    if op == "broadcast":
        node = node.args[0]
        op = node.op.name
    if op == "const" and node.kind != "bool" and not node.attrs["name"]:
        value: int | float = node.attrs["value"]
        return value
    return None


def mask(node: Node) -> tuple[Node, Node, bool] | None:
    """(condition, value, kept) of a masked cotangent: `kept` is where(c, value, Zero)."""
    if node.op.name == "where":
        c, a, b = node.args
        if b.op.name == "zero":
            return c, a, True
        if a.op.name == "zero":
            return c, b, False
    return None


def masked(condition: Node, value: Node, kept: bool = True) -> Node:
    """where(condition, value, Zero), or where(condition, Zero, value) if not `kept`."""
    graph = value.graph
    zero = graph.zero(value.shape)
    pair = (value, zero) if kept else (zero, value)
    return graph.apply("where", condition, *pair)


# ------------------------------------------------------------------------------ rules
NOTEWORTHY = frozenset({"zero", "const", "broadcast", "where", "neg", "cotangents"})
"""The ops of which the rules of arithmetic look for one among their arguments."""
NUMBERS = frozenset({"const", "broadcast"})


def add(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    if a.op.name not in NOTEWORTHY and b.op.name not in NOTEWORTHY:
        return None
    if a.op.name == "cotangents":  # of one loop: tuples are added entry by entry
        return merged(a, b)
    if is_zero(a) or number(a) == 0:
        return b
    if is_zero(b) or number(b) == 0:
        return a
    if graph.deriving:  # what the author named -x keeps its name
        if b.op.name == "neg":
            return a - b.args[0]
        if a.op.name == "neg":
            return b - a.args[0]
    return _merged(graph, "add", a, b)


def sub(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    if a.op.name not in NOTEWORTHY and b.op.name not in NOTEWORTHY:
        return None
    if is_zero(b) or number(b) == 0:
        return a
    if is_zero(a) or number(a) == 0:
        return -b
    if b.op.name == "neg" and graph.deriving:
        return a + b.args[0]
    return _merged(graph, "sub", a, b)


def _merged(graph: Graph, op: str, a: Node, b: Node) -> Node | None:
    """Two masks of one condition are one mask; two that complete each other a choice."""
    p = mask(a)
    q = mask(b) if p else None
    if p is None or q is None or p[0] is not q[0]:
        return None
    c, x, kept = p
    y = q[1]
    if kept is q[2]:
        return masked(c, graph.apply(op, x, y), kept)
    y = -y if op == "sub" else y
    return graph.apply("where", c, *((x, y) if kept else (y, x)))


def mul(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    first, second = a.op.name, b.op.name
    if first not in NOTEWORTHY and second not in NOTEWORTHY:
        return None
    if first == "zero":
        return a
    if second == "zero":
        return b
    p = number(a) if first in NUMBERS else None
    q = number(b) if second in NUMBERS else None
    if p == 1:
        return b
    if q == 1:
        return a
    if p == -1:
        return -b
    if q == -1:
        return -a
    m = mask(a) if first == "where" else None
    if m is not None:
        return masked(m[0], m[1] * b, m[2])
    m = mask(b) if second == "where" else None
    if m is not None:
        return masked(m[0], a * m[1], m[2])
    return None


def div(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    if is_zero(a):
        return a
    q = number(b)
    if q == 1:
        return a
    if q == -1:
        return -a
    m = mask(a)
    if m is not None:
        return masked(m[0], m[1] / b, m[2])
    return None


def neg(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    (x,) = args
    if is_zero(x):
        return x
    if x.op.name == "neg":
        return x.args[0]
    if x.op.name == "const" and not x.attrs["name"]:
        return graph.const(-x.attrs["value"], x.kind)
    m = mask(x)
    if m is not None:
        return masked(m[0], -m[1], m[2])
    return None


def where(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    c, a, b = args
    if a is b:
        return a
    if c.op.name == "not":
        return graph.apply("where", c.args[0], b, a)
    if a.op.name == "where" and a.args[0] is c:
        return graph.apply("where", c, a.args[1], b)
    if b.op.name == "where" and b.args[0] is c:
        return graph.apply("where", c, a, b.args[2])
    if is_zero(b):
        m = mask(a)
        if m is not None:
            return masked(_both(graph, c, True, m[0], m[2]), m[1])
    if is_zero(a):
        m = mask(b)
        if m is not None:
            return masked(_both(graph, c, False, m[0], m[2]), m[1])
    return None


def _both(graph: Graph, c: Node, keep_c: bool, d: Node, keep_d: bool) -> Node:
    c = c if keep_c else graph.apply("not", c)
    d = d if keep_d else graph.apply("not", d)
    return graph.apply("and", c, d)


def not_(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    (x,) = args
    return x.args[0] if x.op.name == "not" else None


def cast(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    (x,) = args
    kind = attrs["kind"]
    if x.kind == kind:
        return x
    if x.op.name == "size":
        return graph.size(x.attrs["dim"], kind)
    if x.op.name == "const" and x.kind == "int" and kind == "real":
        return graph.const(x.attrs["value"], "real", x.attrs["name"])
    return None


def moved(name: str) -> tuple[Simplify, ...]:
    """For a layout op: L(Zero) is Zero, and L goes inside of a masked cotangent."""

    def move(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
        (x,) = args
        m = mask(x)
        if m is None:
            return None
        condition = graph.apply(name, m[0], **attrs)
        return masked(condition, graph.apply(name, m[1], **attrs), m[2])

    return (*vanishing(name), move)


def vanishing(name: str, slots: tuple[int, ...] = (0,)) -> tuple[Simplify, ...]:
    """For a linear op: with a Zero in a slot, the result is Zero in its shape."""

    def vanish(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
        if any(args[i].op.name == "zero" for i in slots):
            shape, kind = REGISTRY[name].infer(args, attrs)
            return graph.zero(shape, kind)
        return None

    return (vanish,)
