"""Constructor rules that keep formulas stable: log(1 + exp(x)) becomes softplus(x).

They belong to the constructors, so -O0 is as stable as -O2. A rule differs from what it
replaces only where that one over- or underflows or cancels, and is better there. Patterns
look through reshape, transpose, slices and picks, to a fixed depth; no rule makes a node
that it would match again, so every constructor takes constant time.

    log(softmax(z)[:, 0])        z[:, 0] - logsumexp(z)[:, 0]
    1 - sigmoid(x)               sigmoid(-x), but in a derivative y * (1 - y) is left
    log(exp(x) + exp(y))         logsumexp of the two
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..ir.dims import ONE, Shape
from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import Attrs, Simplify
from .zeros import number

Args = tuple[Node, ...]
Wrap = Callable[[Node], Node]

_MOVES = frozenset({"reshape", "transpose", "slice", "broadcast", "pick", "take"})
_DEPTH = 8


def beneath(x: Node) -> tuple[Node, Wrap]:
    """What lies under layout and picks, and how to bring another value to its place."""
    chain: list[Node] = []
    while x.op.name in _MOVES and len(chain) < _DEPTH:
        chain.append(x)
        x = x.args[0]

    def wrap(value: Node) -> Node:
        for n in reversed(chain):
            value = n.graph.apply(n.op.name, value, *n.args[1:], **n.attrs)
        return value

    return x, wrap


def kept(x: Node) -> Node:
    """The reduction under `x`, if `x` is nothing but that, spread over its axes again."""
    rank = len(x.shape)
    inner = x.args[0] if x.op.name == "broadcast" else x
    shape = (ONE,) * (rank - len(inner.shape)) + inner.shape
    while inner.op.name == "reshape":
        inner = inner.args[0]
    return inner if inner.shape == shape else x


def spread(x: Node, shape: Shape) -> Node:
    return x.graph.broadcast(x, shape)


def _through(of: Callable[[Node], Node | None]) -> Simplify:
    """A rule on one argument, that sees through layout."""

    def rule(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
        core, wrap = beneath(args[0])
        value = of(core)
        return None if value is None else wrap(value)

    return rule


def _apply(op: str, *args: Node) -> Node:
    return args[0].graph.apply(op, *args)


def _opposite(a: Node, b: Node) -> bool:
    return (a.op.name == "neg" and a.args[0] is b) or (
        b.op.name == "neg" and b.args[0] is a
    )


def _valid(condition: Node, value: Node) -> Node:
    """`value` where it is what the formula means, NaN elsewhere."""
    return value.graph.apply("where", condition, value, math.nan)


# ------------------------------------------------------------------------ logarithms
def _log(x: Node) -> Node | None:
    match x.op.name:
        case "exp":
            return x.args[0]
        case "sigmoid":
            return -_apply("softplus", -x.args[0])
        case "softplus":
            return _apply("log_softplus", x.args[0])
        case "softmax":
            return _log_softmax(x)
        case "sqrt":
            return 0.5 * _apply("log", x.args[0])
        case "sum" if x.args[0].op.name == "exp":
            return x.graph.apply("logsumexp", x.args[0].args[0], **x.attrs)
        case "add":
            return _log_of_sum(*x.args)
        case "sub" if number(x.args[0]) == 1:
            return _apply("log1p", -x.args[1])
        case "neg" if x.args[0].op.name == "expm1":
            return _log_one_minus_exp(x.args[0].args[0])
        case "mul" if _is_exponential(x.args[0]) or _is_exponential(x.args[1]):
            return _apply("log", x.args[0]) + _apply("log", x.args[1])
        case "div" if (
            number(x.args[0]) == 1
            or _is_exponential(x.args[0])
            or _is_exponential(x.args[1])
        ):
            if number(x.args[0]) == 1:
                return -_apply("log", x.args[1])
            return _apply("log", x.args[0]) - _apply("log", x.args[1])
    return None


def _is_exponential(x: Node) -> bool:
    """Positive, and its logarithm is a simpler formula."""
    core, _ = beneath(x)
    return core.op.name in ("exp", "sigmoid", "softmax") or (
        core.op.name == "sum" and core.args[0].op.name == "exp"
    )


def _log_softmax(x: Node) -> Node:
    z = x.args[0]
    return z - spread(z.graph.apply("logsumexp", z, **x.attrs), z.shape)


def _log_of_sum(a: Node, b: Node) -> Node | None:
    if number(a) == 1:
        return _apply("log1p", b)
    if number(b) == 1:
        return _apply("log1p", a)
    if a.op.name == "exp" and b.op.name == "exp":
        return log_add_exp(a.args[0], b.args[0])
    return None


def log_add_exp(a: Node, b: Node) -> Node:
    """log(e^a + e^b), as a logsumexp along a new axis: smooth where a = b."""
    graph, shape = a.graph, a.shape
    column = (*shape, ONE)
    both = graph.apply(
        "concat",
        graph.apply("reshape", a, shape=column),
        graph.apply("reshape", b, shape=column),
        axis=len(shape),
    )
    total = graph.apply("logsumexp", both, axes=(len(shape),))
    return graph.apply("reshape", total, shape=shape)


def _log_one_minus_exp(u: Node) -> Node:
    """log(1 - e^u) for u < 0: each side of -log 2 has the formula that does not cancel."""
    graph = u.graph
    near = u + _apply("log", _apply("expm1", -u))
    far = _apply("log1p", -_apply("exp", u))
    return graph.apply("where", graph.apply("lt", -math.log(2), u), near, far)


def _log1p(x: Node) -> Node | None:
    match x.op.name:
        case "exp":
            return _apply("softplus", x.args[0])
        case "expm1":
            return x.args[0]
        case "neg" if x.args[0].op.name == "sigmoid":
            return -_apply("softplus", x.args[0].args[0])
    return None


# ---------------------------------------------------------------------- exponentials
def _exp(x: Node) -> Node | None:
    graph = x.graph
    match x.op.name:
        case "log":
            u = x.args[0]
            return _valid(graph.apply("le", 0, u), u)
        case "log_softplus":
            return _apply("softplus", x.args[0])
        case "neg" if x.args[0].op.name == "softplus":
            return _apply("sigmoid", -x.args[0].args[0])
        case "sub":
            z, total = x.args[0], kept(x.args[1])
            if total.op.name == "logsumexp" and total.args[0] is z:
                return graph.apply("softmax", z, **total.attrs)
    return None


def _sigmoid(x: Node) -> Node | None:
    """sigmoid(log(p / (1 - p))) is p, for a probability p."""
    p: Node | None = None
    if x.op.name == "log" and x.args[0].op.name == "div":
        p, rest = x.args[0].args
        if not (
            rest.op.name == "sub" and rest.args[1] is p and number(rest.args[0]) == 1
        ):
            return None
    elif x.op.name == "sub" and all(a.op.name in ("log", "log1p") for a in x.args):
        p, rest = x.args[0].args[0], x.args[1].args[0]
        if [a.op.name for a in x.args] != ["log", "log1p"] or not _opposite(p, rest):
            return None
    if p is None:
        return None
    graph = x.graph
    inside = graph.apply("and", graph.apply("le", 0, p), graph.apply("le", p, 1))
    return _valid(inside, p)


def _sqrt(x: Node) -> Node | None:
    if x.op.name == "mul" and x.args[0] is x.args[1]:
        return _apply("abs", x.args[0])
    return None


UNARY: dict[str, tuple[Simplify, ...]] = {
    "log": (_through(_log),),
    "log1p": (_through(_log1p),),
    "exp": (_through(_exp),),
    "sigmoid": (_through(_sigmoid),),
    "sqrt": (_through(_sqrt),),
}
"""The rules of the ops of one argument, by name."""


# ------------------------------------------------------------------------ arithmetic
def add(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    if number(b) == -1 and a.op.name == "exp":
        return _apply("expm1", a.args[0])
    if number(a) == -1 and b.op.name == "exp":
        return _apply("expm1", b.args[0])
    for one, rest in ((a, b), (b, a)):  # 1 + -y is 1 - y, where that matters
        if number(one) == 1 and rest.op.name == "neg":
            return sub(graph, (one, rest.args[0]), {})
    return None


def sub(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    if number(b) == 1:
        if a.op.name == "exp":
            return _apply("expm1", a.args[0])
        if a.op.name == "sigmoid" and not graph.deriving:
            return -_apply("sigmoid", -a.args[0])
    if number(a) == 1:
        if b.op.name == "exp":
            return -_apply("expm1", b.args[0])
        if b.op.name == "sigmoid" and not graph.deriving:
            return _apply("sigmoid", -b.args[0])
    return None


def mul(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    if a is b and a.op.name == "sqrt":
        x = a.args[0]
        return _valid(graph.apply("le", 0, x), x)
    return None


def div(graph: Graph, args: Args, attrs: Attrs) -> Node | None:
    a, b = args
    u = _one_plus_exp(b)
    if u is not None:
        if a.op.name == "exp" and a.args[0] is u:
            return _apply("sigmoid", u)
        share = _apply("sigmoid", -u)
        return share if number(a) == 1 else a * share
    if a.op.name == "exp":
        total = kept(b)
        if total.op.name == "sum" and total.args[0] is a:
            return graph.apply("softmax", a.args[0], **total.attrs)
    return _odds(a, b)


def _one_plus_exp(x: Node) -> Node | None:
    """u, if x is 1 + exp(u)."""
    if x.op.name == "add":
        for one, e in (x.args, x.args[::-1]):
            if number(one) == 1 and e.op.name == "exp":
                return e.args[0]
    return None


def _odds(a: Node, b: Node) -> Node | None:
    """sigmoid(u) / (1 - sigmoid(u)) is exp(u)."""
    if a.op.name == "sigmoid" and b.op.name == "sigmoid":
        u, v = a.args[0], b.args[0]
        if _opposite(u, v):
            return _apply("exp", u)
    if a.op.name == "sigmoid" and _is_rest(b, a):
        return _apply("exp", a.args[0])
    if b.op.name == "sigmoid" and _is_rest(a, b):
        return _apply("exp", -b.args[0])
    return None


def _is_rest(x: Node, p: Node) -> bool:
    return x.op.name == "sub" and x.args[1] is p and number(x.args[0]) == 1
