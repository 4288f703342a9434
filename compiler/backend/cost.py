"""What a function computes, in array elements, as polynomials in the sizes.

In: a plan. Out: a count per function. A product of matrices counts its multiplications and
additions, any other operation one for each element that it computes (a reduction: that it
reads); views, indices of the program and arithmetic of single numbers count nothing. The
count is taken from the templates that are emitted, so that it is a count of the source.

    MLP 784-128-10 on N rows: forward N * 203,000, backward N * 405,000: 2.0 times
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from gradc.records import record

from ..ir.dims import Dim, Poly, Shape, size
from ..ir.node import Node
from .bodies import Body, is_loop, is_projection
from .expressions import Expressions, Scope
from .plan import Function, Plan
from .pyast import template
from .views import reduced

NOTHING = Poly({})


@record
class Cost:
    """Elements computed by each function."""

    elements: dict[str, Poly]

    def ratio(self, at: int = 64) -> float | None:
        """backward / forward, at sizes of `at` where the data bind them."""
        forward, backward = self.elements.get("forward"), self.elements.get("backward")
        if forward is None or backward is None:
            return None
        below = evaluate(forward, at)
        return evaluate(backward, at) / below if below else None

    def sentence(self, spell: Callable[[str], str] = str) -> str:
        """`forward 0.20 MFLOP a row, backward 0.41: 2.0 times`."""
        parts = []
        unit, row, scale = _unit(self.elements)
        for i, (name, poly) in enumerate(self.elements.items()):
            if name in ("forward", "backward") or "forward" not in self.elements:
                text = f"{name} {_amount(poly, row, scale)}"
                if i == 0:
                    text += f" {unit}" + (" a row" if row else "")
                parts.append(text)
        sentence = ", ".join(parts)
        ratio = self.ratio()
        return f"{sentence}: {ratio:.1f} times" if ratio is not None else sentence


def evaluate(poly: Poly, at: int | dict[str, int]) -> float:
    """The number, with a size for each symbol."""
    total = Fraction(0)
    for monomial, coefficient in poly.terms:
        value = coefficient
        for s in monomial:
            value *= at if isinstance(at, int) else at[s]
        total += value
    return float(total)


def _unit(elements: dict[str, Poly]) -> tuple[str, str, float]:
    """MFLOP or so, and the symbol whose rows it is given for."""
    symbols = sorted({s for p in elements.values() for s in p.symbols()})
    row = symbols[0] if len(symbols) == 1 else ""
    if not row and "N" in symbols:
        row = "N"
    biggest = max((_per_row(p, row) for p in elements.values()), default=0.0)
    for unit, scale in (("GFLOP", 1e9), ("MFLOP", 1e6), ("kFLOP", 1e3)):
        if biggest >= scale / 10:
            return unit, row, scale
    return "FLOP", row, 1.0


def _per_row(poly: Poly, row: str, at: int = 64) -> float:
    if not row:
        return evaluate(poly, at)
    linear = Poly({m: c for m, c in poly.terms if row in m})
    return evaluate(linear, at) / at


def _amount(poly: Poly, row: str, scale: float) -> str:
    value = _per_row(poly, row) / scale
    if scale == 1.0:
        return f"{value:.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def count(plan: Plan) -> Cost:
    """The elements that each function of the plan computes."""
    known: dict[Node, Poly] = {}
    functions = plan.functions
    if "backward" in functions:  # the two whose ratio is of interest
        functions = {k: functions[k] for k in ("forward", "backward")}
    return Cost({k: elements(plan, f, known) for k, f in functions.items()})


def elements(plan: Plan, f: Function, known: dict[Node, Poly] | None = None) -> Poly:
    """The elements that one function computes; `known`: what each node costs."""
    times: dict[int, tuple[Poly, int]] = {}  # most nodes cost one and the same Poly
    for _, cost in costs(plan, f, known):
        times[id(cost)] = cost, times.get(id(cost), (cost, 0))[1] + 1
    terms: dict[tuple[str, ...], Fraction] = {}
    for cost, often in times.values():
        for monomial, coefficient in cost.terms:
            terms[monomial] = terms.get(monomial, Fraction(0)) + coefficient * often
    return Poly(terms)


def costs(
    plan: Plan, f: Function, known: dict[Node, Poly] | None = None
) -> Iterator[tuple[Node, Poly]]:
    """What each node of a function costs; a loop: all its steps."""
    known = {} if known is None else known
    out = Expressions(Scope({}, {}), plan.views, f, lambda n: "x", lambda: "x")
    for n in f.computed:
        if is_projection(n):
            continue
        cost = _steps(plan, f.bodies[n]) if is_loop(n) else known.get(n)
        if cost is None:
            cost = known[n] = node_cost(out, n)
        yield n, cost


def products(plan: Plan, f: Function) -> Poly:
    """Of what a function computes, the multiplications and additions of its products."""
    terms: dict[tuple[str, ...], Fraction] = {}
    for n in f.computed:
        if is_projection(n):
            continue
        if is_loop(n):
            body = f.bodies[n]
            one = products(replace(plan, views=body.views), body.function)
            steps: Dim = body.loop.attrs["steps"]
            cost = one * steps.value
        elif n.op.name == "einsum2" and not plan.views.is_view(n):
            cost = _contraction(n)
        elif n.op.name == "conv_transpose":
            assert n.op.cost is not None
            cost = size(n.op.cost(n)).value
        else:
            continue
        for monomial, coefficient in cost.terms:
            terms[monomial] = terms.get(monomial, Fraction(0)) + coefficient
    return Poly(terms)


def _steps(plan: Plan, body: Body) -> Poly:
    """All steps of a loop."""
    one = elements(replace(plan, views=body.views), body.function)
    steps: Dim = body.loop.attrs["steps"]
    return one * steps.value


def node_cost(out: Expressions, n: Node) -> Poly:
    """The elements that the template of one node computes."""
    views = out.views
    if views.is_view(n) or not n.args or views.trivial(n):
        return NOTHING
    if n in views.folded:
        n = n.args[0]
    if n.op.cost is not None:
        made = n.op.cost(n)
        if isinstance(made, tuple):
            made = size(made)
        return made.value if isinstance(made, Dim) else Poly({(): made})
    if n.op.name == "einsum2":
        return _contraction(n)
    if n.op.update is not None and n.op.numpy is None:
        return size(n.args[-1].shape).value
    if reduced(n) or n.op.name.endswith("_over"):
        return size(n.args[0].shape).value
    numpy = n.op.numpy
    plain = numpy.__class__ is str and not n.op.choices and not out.complex
    text = numpy if plain else out.chosen(n)[0]
    operations = max(template(text).operations, 1)
    return _times(size(n.shape).value, operations)


@lru_cache(maxsize=4096)
def _times(total: Poly, operations: int) -> Poly:
    return total if operations == 1 else total.scaled(Fraction(operations))


def _contraction(n: Node) -> Poly:
    """Twice the product of all letters' sizes, less one where nothing is summed."""
    left, right = n.args
    return _multiplied(n.attrs["spec"], left.shape, right.shape)


@lru_cache(maxsize=4096)
def _multiplied(spec: str, left: Shape, right: Shape) -> Poly:
    inputs, output = spec.split("->")
    first, second = inputs.split(",")
    sizes = dict(zip(first, left, strict=True))
    sizes |= dict(zip(second, right, strict=True))
    total = size(list(sizes.values())).value
    return total.scaled(Fraction(2 if set(sizes) - set(output) else 1))
