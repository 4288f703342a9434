"""What pays before the derivative is taken: it changes what is saved, and what is derived.

A maximum over windows comes before the bias and the relu that stand after a convolution, not
behind them: on a quarter of the data where windows are 2 by 2, and so is their derivative.

    maxpool(relu(conv(x) + b))  ->  relu(maxpool(conv(x)) + b)

Why that is the same. `f` never decreases and is alike at all places of a window, so
`max f(z) = f(max z)`, to the last bit but for NaN out of infinities. A window's adjoint goes,
in even shares, to where `f(z)` is largest; then `f'` multiplies it. Where `f` grows there,
`f(z)` is largest where `z` is, and the shares are the same. Where it does not (relu at or
below 0, whose kinks have derivative 0), `f'` is 0 at all of them, and so it is at `max z`.
What is left are values of z that rounding makes equal under f: the class is `~`.
"""

from __future__ import annotations

from ..ir.dims import ONE, Shape, size
from ..ir.graph import topological
from ..ir.node import Node
from ..ir.program import Program
from . import logistic, normalisers, tables
from .mapping import map_program, named_in, program_roots
from .patterns import Rewriter, Rule, number, rule
from .pieces import at_zero, split_at_zero
from .pools import windows_under
from .uses import count_uses

NAMES_ARE_FENCES = 1  # the level at which a value with a name stays as it was written


@rule("max", safety="~")
def monotone_after_maximum(rw: Rewriter, n: Node) -> Node | None:
    """`max f(z)` over windows -> `f(max z)`, where f never decreases."""
    views = _views(rw, n)
    if not views:
        return None
    x = views[-1].args[0]
    if not rw.free(x) or size(n.shape) == size(x.shape):
        return None
    k = _grows_with(x)
    if k is None:
        return None
    z = x.args[k]
    others = [_at_windows(rw, a, n) for i, a in enumerate(x.args) if i != k]
    if any(a is None for a in others):
        return None
    rw.graph.remark(n.origin.equation, "maximum", _spoken(x))
    for view in reversed(views):
        z = rw.graph.apply(view.op.name, z, **view.attrs)
    largest = rw.make("max", z, **n.attrs)
    made: list[Node] = [a for a in others if a is not None]
    made.insert(k, rw.make("reshape", largest, shape=_places(n)))
    return rw.make("reshape", rw.make(x.op.name, *made, **x.attrs), shape=n.shape)


@rule("max", safety="~")
def pieces_after_maximum(rw: Rewriter, n: Node) -> Node | None:
    """The same of a function in two pieces: an elu, a leaky relu."""
    views = _views(rw, n)
    if not views:
        return None
    x = views[-1].args[0]
    if not (x.is_a("where") and rw.free(x)) or size(n.shape) == size(x.shape):
        return None
    split = split_at_zero(rw, x)
    if split is None or split.x.shape != x.shape:
        return None
    z, *pieces = split
    above, below = (at_zero(rw, piece, z) for piece in pieces)
    if above is None or below is None or above < below:
        return None
    if not all(_never_falls(piece, z) for piece in pieces):
        return None
    largest = z
    for view in reversed(views):
        largest = rw.graph.apply(view.op.name, largest, **view.attrs)
    largest = rw.make("max", largest, **n.attrs)
    made = rw.make("reshape", largest, shape=_places(n))
    moved = _of_maximum(rw, x, z, made, n)
    if moved is None:
        return None
    rw.graph.remark(n.origin.equation, "maximum", "a function in two pieces")
    return rw.make("reshape", moved, shape=n.shape)


STEPS = 12
"""Operations that a piece may be long."""


def _never_falls(piece: Node, z: Node) -> bool:
    """Does an elementwise function of z never decrease with it?"""
    stack, steps = [piece], 0
    while stack:
        n = stack.pop()
        steps += 1
        if n is z or _value(n) is not None:
            continue
        if steps > STEPS:
            return False
        if n.is_a("add", "maximum", "minimum"):
            stack += n.args
            continue
        k = _grows_with(n)
        if k is None or not all(_value(a) is not None for a in _others(n, k)):
            return False
        stack.append(n.args[k])
    return True


def _others(n: Node, k: int) -> tuple[Node, ...]:
    return n.args[:k] + n.args[k + 1 :]


def _of_maximum(rw: Rewriter, x: Node, z: Node, largest: Node, n: Node) -> Node | None:
    """x as a function of z, of the largest z of each window."""
    new: dict[Node, Node] = {z: largest}
    stack = [x]
    while stack:
        m = stack[-1]
        if m not in new and _value(m) is not None:
            number_there = _at_windows(rw, m, n)
            if number_there is None:
                return None
            new[m] = number_there
        if m in new:
            stack.pop()
            continue
        missing = [a for a in m.args if a not in new]
        if missing:
            stack += missing
            continue
        new[m] = rw.make(m.op.name, *(new[a] for a in m.args), **m.attrs)
    return new[x]


def _spoken(x: Node) -> str:
    """An elementwise op, as a comment calls it."""
    if x.op.name == "maximum" and any(_value(a) == 0 for a in x.args):
        return "relu"
    signs = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
    return signs.get(x.op.name, x.op.name)


def _views(rw: Rewriter, n: Node) -> list[Node]:
    """The views between a maximum over windows and what they are taken of, outermost first."""
    first = n.args[0]
    if first.kind != "real" or not windows_under(n):
        return []
    views = [first]
    if not rw.unbound(first):
        return []
    while views[-1].args[0].is_a("slice") and rw.unbound(views[-1].args[0]):
        views.append(views[-1].args[0])
    return views


def _places(n: Node) -> Shape:
    """The shape of the windows' places, without those inside."""
    axes = n.attrs["axes"]
    return tuple(d for i, d in enumerate(n.shape) if i not in axes)


def _grows_with(x: Node) -> int | None:
    """The argument with which an elementwise op never decreases, the others being alike at
    all places of a window; None where there is none."""
    if x.op.monotone:
        return 0
    match x.op.name:
        case "add":
            return 1 if _spread(x.args[0]) else 0 if _spread(x.args[1]) else None
        case "sub":
            return 0 if _spread(x.args[1]) else None
        case "maximum" | "minimum":  # a tie with what has a derivative is shared
            return next((1 - i for i in (0, 1) if _value(x.args[i]) is not None), None)
        case "mul":
            for i in (0, 1):
                factor = _value(x.args[i])
                if factor is not None and factor > 0:
                    return 1 - i
        case "div":
            divisor = _value(x.args[1])
            return 0 if divisor is not None and divisor > 0 else None
    return None


def _spread(n: Node) -> bool:
    return n.is_a("broadcast")


def _value(n: Node) -> float | None:
    """The number that stands in every place."""
    core = n.args[0] if n.is_a("broadcast") else n
    if core.is_a("zero"):
        return 0
    return number(core) if not core.shape else None


def _at_windows(rw: Rewriter, a: Node, n: Node) -> Node | None:
    """An operand that all places of a window share, once for each window."""
    if a.is_a("zero"):
        return rw.graph.zero(_places(n))
    if not a.is_a("broadcast"):
        return None
    core = a.args[0]
    first = len(a.shape) - len(core.shape)
    windowed = [cut.axis for cut in windows_under(n) or ()]
    if any(i >= first and core.shape[i - first] != ONE for i in windowed):
        return None
    return rw.broadcast(core, _places(n))


RULES: tuple[Rule, ...] = (monotone_after_maximum, pieces_after_maximum)


def before_derivatives(program: Program, level: int) -> Program:
    """The program as its derivative is best taken of.

    Walked twice where a maximum moved: what the pieces of a function had read is then read by
    the maximum alone, which moves on.
    """
    if level < NAMES_ARE_FENCES:
        return program
    prepared, moved = _walked(program, level)
    return _walked(prepared, level)[0] if moved else prepared


def _walked(program: Program, level: int) -> tuple[Program, bool]:
    """The program after the rules, and whether pieces came behind a maximum."""
    roots = program_roots(program)
    order = topological(roots)
    rules = RULES
    fences = set(roots)
    if level == NAMES_ARE_FENCES:
        fences |= named_in(program)
    else:
        rules += normalisers.BEFORE
        if any(n.op.name == "tanh" for n in order):
            rules += logistic.BEFORE
        rules += tables.rules(tables.batch_of(program))
    concerned = {op for r in rules for op in r.ops}
    if not any(n.op.name in concerned for n in order):
        return program, False
    rw = Rewriter(program.graph, rules)
    table = rw.walk(order, count_uses(order, roots), fences)
    moved = any(n.is_a("max") and _over_pieces(n) and table[n] is not n for n in order)
    return map_program(program, table), moved


def _over_pieces(n: Node) -> bool:
    """Is a maximum taken of views of a choice?"""
    x = n.args[0]
    while x.op.view and x.args:
        x = x.args[0]
    return x.is_a("where")
