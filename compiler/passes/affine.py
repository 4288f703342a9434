"""A number that multiplies `a + b x` goes into a and b: a pass over memory less.

    k * y * (1 + c * y^2)       ->    y * (k + k c * y^2)
    k * (y + c * y^2 * y)       ->    y * (k + k c * y^2)

Only where memory is planned: what one writes is shorter.
"""

from __future__ import annotations

from ..ir.node import Node
from .monomials import Monomial
from .patterns import Rewriter, Rule, number, rule, scalar_under

FACTORS = 8
"""Factors of a product that are looked at."""
DEEP = 6
"""Operations of a number that are looked at."""

ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg", "pow", "sqrt", "cast"})

Factor = tuple[Node, bool]  # and does it divide


@rule("mul", "div", safety="~")
def scale_into_affine(rw: Rewriter, n: Node) -> Node | None:
    """`k * y * (a + b * x)` -> `y * (k a + k b * x)`, for numbers a, b and k."""
    if n.kind != "real" or not n.shape or not _has_sum(n):
        return None
    factors = _factors(rw, n)
    k = _take_number(rw, factors)
    return None if k is None else _into_one(rw, factors, k)


def scaled(rw: Rewriter, n: Node, k: Node) -> Node | None:
    """`n` times the number `k` in no more operations than `n` has; None: there is no way."""
    factors = _factors(rw, n)
    if any(_number(rw, f) is not None for f, _ in factors):
        return None
    return _into_one(rw, factors, k)


def made_of_numbers(n: Node, depth: int = DEEP) -> bool:
    """Is it arithmetic of numbers, constants and sizes? Then it costs next to nothing."""
    if n.is_a("const", "size"):
        return True
    if not depth or n.shape or n.op.name not in ARITHMETIC:
        return False
    return all(made_of_numbers(a, depth - 1) for a in n.args)


def number_times(rw: Rewriter, a: Node, b: Node) -> Node:
    """The product of two such numbers, in normal form."""
    product = Monomial().times(rw, a).times(rw, b).reduced()
    made = rw.simplify(product.node(rw))
    if not product.negative:
        return made
    value = number(made)
    return rw.const(-value) if value is not None else rw.make("neg", made)


# ------------------------------------------------------------------------- products
def _has_sum(n: Node) -> bool:
    """Is there a sum or difference among the factors? Few products have one."""
    for _ in range(FACTORS):
        inner = None
        for a in n.args:
            name = a.op.name
            if name == "add" or name == "sub":
                return True
            if inner is None and (name == "mul" or name == "div"):
                inner = a
        if inner is None:
            return False
        n = inner
    return False


def _factors(rw: Rewriter, n: Node) -> list[Factor]:
    """The factors of a product, those in front first."""
    behind: list[Factor] = []
    m = n
    while len(behind) < FACTORS and (m is n or rw.free(m)):
        if m.is_a("mul") and m.args[0] is not m.args[1]:
            a, b = m.args
            if scalar_under(rw, a) is not None:
                a, b = b, a
            behind.append((b, False))
            m = a
        elif m.is_a("div"):
            behind.append((m.args[1], True))
            m = m.args[0]
        else:
            break
    return [(m, False), *reversed(behind)]


def _product(rw: Rewriter, factors: list[Factor]) -> Node:
    """Of factors one of which does not divide."""
    first, *more = sorted(factors, key=lambda factor: factor[1])
    out = first[0]
    for other, divides in more:
        out = rw.make("div" if divides else "mul", out, other)
    return out


def _number(rw: Rewriter, n: Node) -> Node | None:
    """The number that stands in every place, if one does."""
    s = scalar_under(rw, n)
    return s if s is not None and made_of_numbers(s) else None


def _take_number(rw: Rewriter, factors: list[Factor]) -> Node | None:
    """The one number among the factors, which is taken out of them."""
    found = [(f, d, s) for f, d in factors if (s := _number(rw, f)) is not None]
    if len(found) != 1:
        return None
    f, divides, s = found[0]
    factors.remove((f, divides))
    return rw.graph.apply("div", rw.const(1), s) if divides else s


# --------------------------------------------------------------------------- sums
def _into_one(rw: Rewriter, factors: list[Factor], k: Node) -> Node | None:
    """The product of the factors and k, where one of them takes k in."""
    for i, (f, divides) in enumerate(factors):
        if divides or not (f.is_a("add", "sub") and rw.free(f)):
            continue
        for j in (0, 1):
            made = _into_sum(rw, f, j, k)
            if made is not None:
                return _product(rw, [*factors[:i], (made, False), *factors[i + 1 :]])
    return None


def _into_sum(rw: Rewriter, n: Node, j: int, k: Node) -> Node | None:
    """`k * (a + b * x)` or `k * (a + b * x * a)`, where a is the operand at `j`."""
    a, term = n.args[j], n.args[1 - j]
    if not (term.is_a("mul", "div") and rw.free(term)):
        return None
    factors = _factors(rw, term)
    b = _take_number(rw, factors)
    if b is None:
        return None
    alone = _number(rw, a)
    if alone is None:
        if (a, False) not in factors:
            return None
        factors.remove((a, False))
    if all(divides for _, divides in factors):
        return None
    first = k if alone is None else number_times(rw, k, alone)
    second = rw.graph.broadcast(number_times(rw, k, b), n.shape)
    parts = [
        rw.graph.broadcast(first, n.shape),
        rw.make("mul", _product(rw, factors), second),
    ]
    made = rw.make(n.op.name, *(parts if j == 0 else parts[::-1]))
    return made if alone is not None else rw.make("mul", a, made)


RULES: tuple[Rule, ...] = (scale_into_affine,)
