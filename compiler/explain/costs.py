"""What a step of training costs: operations and bytes by line, what is kept, parameters.

In: a plan, and a number for each size. Out: `Costs`. Operations are counted as in the header
of an emitted module (`backend/cost.py`): a product of matrices its multiplications and
additions, any other operation one for each element; moving entries about counts as bytes
alone. Bytes are those that the operations read
and write, each by itself: what has to come from memory if nothing stays in a cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradc.records import record

from ..backend.bodies import Body, is_loop, is_projection
from ..backend.cost import costs, evaluate
from ..backend.plan import Function, Plan
from ..backend.views import Views
from ..ir.dims import Dim, size
from ..ir.node import Node
from ..ir.program import Equation

Sizes = Mapping[str, int]
MOVES = frozenset("""
    reshape transpose slice unslice concat windows take take_along pick put put_along one_hot
    broadcast cast stop drawn
    """.split())
"""What copies entries and computes nothing: bytes, but no operations."""


@record
class Work:
    """Operations, and bytes read and written."""

    flops: float = 0.0
    bytes: float = 0.0

    def plus(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)


@record
class LineCost:
    """One line of the program, all its copies together."""

    place: str  # mlp.net:10; "" for what nobody wrote
    text: str
    copies: int
    forward: Work
    backward: Work
    kept: float  # bytes that this line makes and backward reads


@record
class Kept:
    """A value that forward hands to backward."""

    name: str
    bytes: float
    leaf: bool  # an input or a parameter, which is there anyway


@record
class Layer:
    """Parameters under one path."""

    name: str
    count: float
    bytes: float
    trained: bool


@record
class Costs:
    """One step at these sizes."""

    sizes: Sizes
    lines: tuple[LineCost, ...]
    kept: tuple[Kept, ...]
    layers: tuple[Layer, ...]

    @property
    def forward(self) -> Work:
        return _sum(line.forward for line in self.lines)

    @property
    def backward(self) -> Work:
        return _sum(line.backward for line in self.lines)

    @property
    def parameters(self) -> float:
        return sum(layer.count for layer in self.layers)


def _sum(works: Iterable[Work]) -> Work:
    total = Work()
    for w in works:
        total = total.plus(w)
    return total


def count(
    plan: Plan, names: Mapping[Node, str], sizes: Sizes, itemsize: int = 4
) -> Costs:
    """All costs of a step: of `forward` and `backward`, or of what there is instead."""
    functions = plan.functions
    first = functions.get("forward") or functions.get("evaluate")
    first = first or functions.get("predict")
    second = functions.get("backward")
    forward = by_equation(plan, first, sizes, itemsize) if first else {}
    backward = by_equation(plan, second, sizes, itemsize) if second else {}
    saved: dict[int, float] = {}
    kept = []
    for n in plan.saved if second else ():
        leaf = n.op.family == "leaf"
        amount = nbytes(n, sizes, itemsize)
        kept.append(Kept(names.get(n, n.op.name), amount, leaf))
        if not leaf:
            k = n.origin.equation
            saved[k] = saved.get(k, 0.0) + amount
    lines = _lines(plan, forward, backward, saved)
    return Costs(sizes, lines, tuple(kept), _layers(plan, sizes, itemsize))


def _lines(
    plan: Plan,
    forward: Mapping[int, Work],
    backward: Mapping[int, Work],
    saved: Mapping[int, float],
) -> tuple[LineCost, ...]:
    """One entry for each line of the text, in its order."""
    program = plan.program
    found: dict[tuple[str, str], LineCost] = {}
    unknown = Equation(-1, "", 0)
    every = [*program.equations]
    if -1 in forward or -1 in backward:
        every.append(unknown)
    for e in every:
        here = forward.get(e.index, Work()), backward.get(e.index, Work())
        if not (here[0].flops or here[0].bytes or here[1].flops or here[1].bytes):
            continue
        place = f"{e.file or program.name}:{e.line}" if e.line else ""
        key = (place, e.text if not place else "")
        known = found.get(key)
        if known is None:
            known = LineCost(place, e.text, 0, Work(), Work(), 0.0)
        found[key] = LineCost(
            place,
            known.text,
            known.copies + 1,
            known.forward.plus(here[0]),
            known.backward.plus(here[1]),
            known.kept + saved.get(e.index, 0.0),
        )
    return tuple(found.values())


def by_equation(
    plan: Plan, f: Function, sizes: Sizes, itemsize: int
) -> dict[int, Work]:
    """The work of each equation in one function."""
    total: dict[int, Work] = {}
    for n, cost in costs(plan, f):
        k = n.origin.equation
        moved = traffic(plan, f, n, sizes, itemsize)
        moves = n.op.name in MOVES and n not in plan.views.folded
        flops = 0.0 if moves else evaluate(cost, dict(sizes))
        work = Work(flops, moved)
        total[k] = total.get(k, Work()).plus(work)
    return total


def traffic(plan: Plan, f: Function, n: Node, sizes: Sizes, itemsize: int) -> float:
    """The bytes that an operation reads and writes; single numbers and views are free."""
    if is_loop(n):
        body: Body = f.bodies[n]
        steps = number(body.loop.attrs["steps"], sizes)
        inner = sum(
            _moved(body.views, m, sizes, itemsize)
            for m in body.function.computed
            if not is_projection(m) and not is_loop(m)
        )
        return steps * inner
    return _moved(plan.views, n, sizes, itemsize)


def _moved(views: Views, n: Node, sizes: Sizes, itemsize: int) -> float:
    if views.is_view(n) or not n.args or views.trivial(n):
        return 0.0
    total = nbytes(n, sizes, itemsize)
    for a in dict.fromkeys(n.args):
        while a.op.name == "broadcast":  # what is stretched is read, not made
            a = a.args[0]
        if a.shape:
            total += nbytes(a, sizes, itemsize)
    return total


def number(dim: Dim, sizes: Sizes) -> float:
    return evaluate(dim.value, dict(sizes))


def nbytes(n: Node, sizes: Sizes, itemsize: int) -> float:
    """The bytes of a value."""
    each = {"real": itemsize, "int": 8, "bool": 1}[n.kind]
    return number(size(n.shape), sizes) * each


def _layers(plan: Plan, sizes: Sizes, itemsize: int) -> tuple[Layer, ...]:
    """Parameters by the path that they lie under."""
    frozen = set(plan.joint.frozen)
    found: dict[str, list[tuple[float, bool]]] = {}
    for p in plan.program.params:
        name = p.path.rpartition(".")[0] or p.path
        many = number(size(p.node.shape), sizes)
        found.setdefault(name, []).append((many, p.path not in frozen))
    return tuple(
        Layer(
            name,
            sum(many for many, _ in rows),
            sum(many for many, _ in rows) * itemsize,
            all(trained for _, trained in rows),
        )
        for name, rows in found.items()
    )


HEADER = 150  # bytes of an array object with its sizes and strides; measured


def planned_peak(
    work: Mapping[str, object] | None, sizes: Sizes, itemsize: int
) -> float:
    """The bytes of the buffer plan of -O2, gradients among them; 0 without a plan.

    `work` is that entry of a module's signature.
    """
    if not work:
        return 0.0

    def amount(entry: object) -> float:
        if isinstance(entry, int | float):
            return float(entry)
        total = 0.0
        assert isinstance(entry, list)
        for top, bottom, symbols in entry:
            value = top / bottom
            for s in symbols:
                value *= sizes[s]
            total += value
        return total

    total = amount(work["reals"]) * itemsize + amount(work["integers"]) * 8
    total += amount(work["truths"]) + amount(work["constants"]) * itemsize
    # A line without an `out=` form works out an expression, which holds two at a time.
    total += 2 * amount(work["temporary"]) * itemsize
    total += amount(work["headers"]) * HEADER
    gradients = work["gradients"]
    assert isinstance(gradients, dict)
    for shape in gradients.values():
        entries = 1.0
        for d in shape:
            entries *= amount(d)
        total += entries * itemsize
    return total
