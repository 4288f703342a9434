"""The check of one op: derivatives of first to third order against the complex step.

Used by the op table tests, which run it over the registry, and by the mutation tests,
which run it over broken records and want it to fail.

    check_op(REGISTRY["tanh"])        # raises AssertionError
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zlib import crc32

import numpy as np
from reference import STEP, evaluate

from gradc.compiler.autodiff.forward import forward
from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.node import Node
from gradc.compiler.ir.op import Op
from gradc.compiler.ir.verify import verify
from gradc.compiler.ops import REGISTRY
from gradc.compiler.ops.samples import Case, Range

SHAPES = ((), (1,), (3,), (2, 3), (1, 3), (2, 1, 3), (0, 3))
POINTS = 120
LEAST = 50  # of them with a finite derivative
TOLERANCE = 1e-12

PRIMITIVES = [
    op for op in REGISTRY.ops.values() if op.samples is not None and op.family != "leaf"
]
"""Every op that a program or a derivative can hold (the emitter's own have no samples)."""
DIFFERENTIABLE = [op for op in PRIMITIVES if op.vjp is not None]


def rng_for(*key: Any) -> np.random.Generator:
    return np.random.default_rng(crc32(repr(key).encode()))


# ------------------------------------------------------------------------------ points
def draw(r: Range, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Values of moderate size from a range."""
    if r.kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if r.kind == "int":
        return rng.integers(int(r.low), int(r.high), shape)
    low, high = max(r.low, -2.5), min(r.high, 2.5)
    x = rng.uniform(low + 0.05 * (high - low), high - 0.05 * (high - low), shape)
    for point in r.except_:
        x = np.where(np.abs(x - point) < 0.1, x + 0.3, x)
    return np.asarray(x)


def spread(r: Range, rng: np.random.Generator, n: int = POINTS) -> Any:
    """Values from the whole of a range: half near, half of every magnitude."""
    if r.kind != "real":
        return draw(r, (n,), rng)
    near = draw(r, (n // 2,), rng)
    size = 10.0 ** rng.uniform(-r.decades, r.decades, 4000)
    size[::3] = 10.0 ** rng.uniform(-6, 6, size[::3].size)
    ends = [e for e in (r.low, r.high) if np.isfinite(e)]
    base = np.concatenate([[0.0], ends])
    far = rng.choice(base, size.size) + size * rng.choice([-1.0, 1.0], size.size)
    bounded = [np.abs(e) for e in ends]
    if len(bounded) == 2:
        far = np.concatenate([far, rng.uniform(r.low, r.high, size.size // 2)])
    far = far[(far > r.low) & (far < r.high)]
    far = far[~np.isin(far, r.except_)]
    return np.concatenate([near, rng.choice(far, n - n // 2, replace=False)])


# ------------------------------------------------------------------------------ checks
def leaves(
    graph: Graph, op: Op, arrays: list[Any], ranges: tuple[Range, ...]
) -> list[Node]:
    """A leaf for every argument: real ones are parameters."""
    made = []
    for k, (x, r) in enumerate(zip(arrays, ranges, strict=True)):
        kind: Any = r.kind
        made.append(graph.leaf("param", f"x{k}", np.shape(x), kind))
    return made


def ranges_of(op: Op, case: Case | None, count: int) -> tuple[Range, ...]:
    ranges: tuple[Range, ...] = (case.args if case else None) or op.samples.args
    return ranges + ranges[-1:] * (count - len(ranges))


def check_op(op: Op, orders: int = 3) -> None:
    """All checks of one op."""
    for case in cases(op):
        check_case(op, case, orders)
    if op.family == "elementwise":
        check_points(op, orders)


def cases(op: Op) -> Iterator[Case]:
    """The cases of the record, or every shape class with every set of attributes."""
    if op.samples.cases:
        yield from op.samples.cases
        return
    for k, attrs in enumerate(op.samples.attrs):
        for shape in SHAPES if k == 0 else SHAPES[3:4]:
            yield Case((shape,) * len(op.args), attrs)


def apart(op: Op, arrays: list[Any], rng: np.random.Generator) -> list[Any]:
    """Keep away from ties, which are kinks, and from singular matrices."""
    if op.samples.matrices:
        a = arrays[0]
        eye = np.eye(a.shape[-1])
        if op.samples.matrices == "regular":
            return [a + 4 * eye, *arrays[1:]]
        return [a @ a.swapaxes(-1, -2) + 2 * eye + 0.2 * a, *arrays[1:]]
    if not op.samples.distinct:
        return arrays
    if len(arrays) == 1:
        x = arrays[0]
        steps = rng.permutation(x.size).reshape(x.shape)
        return [steps * 0.37 + 0.1 * x - 0.17 * x.size]
    a, b = arrays
    return [a, np.where(np.abs(a - b) < 0.05, b + 0.2, b)]


def check_case(op: Op, case: Case, orders: int = 3) -> None:
    """One set of shapes: every entry of every argument, in every order."""
    rng = rng_for(op.name, case.shapes, str(case.attrs))
    ranges = ranges_of(op, case, len(case.shapes))
    arrays = [draw(r, s, rng) for r, s in zip(ranges, case.shapes, strict=True)]
    arrays = apart(op, arrays, rng)
    graph = Graph()
    xs = leaves(graph, op, arrays, ranges)
    at: dict[Any, Any] = dict(zip(xs, arrays, strict=True))
    y = graph.apply(op.name, *xs, **case.attrs)
    real = [x for x in xs if x.kind == "real"]
    if op.vjp is None or y.kind != "real" or not real:
        if real and y.kind == "real":
            assert all(grad(y, x).op.name == "zero" for x in real)
        return
    check_jvp(op, y, real, at, rng)
    total = weighted(graph, [y], at, rng)
    for order in range(1, orders + 1):
        slopes = [grad(total, x) for x in real]
        verify(slopes)
        for x, slope in zip(real, slopes, strict=True):
            assert slope.shape == x.shape, (op, slope)
            got = evaluate([slope], at)[0]
            want = entrywise(total, x, at)
            close(got, want, f"{op.name} {case.shapes} order {order} by {x}")
        total = weighted(graph, slopes, at, rng)


def weighted(
    graph: Graph, ys: list[Node], at: dict[Any, Any], rng: np.random.Generator
) -> Node:
    """The sum of all entries with random weights."""
    total: Node = graph.const(0)
    for y in ys:
        w = graph.leaf("input", f"w{len(at)}", y.shape)
        at[w] = rng.uniform(0.5, 1.5, tuple(d.integer for d in y.shape))
        s = w * y
        if s.shape:
            s = graph.apply("sum", s, axes=tuple(range(len(s.shape))))
            s = graph.apply("reshape", s, shape=())
        total = total + s
    return total


def entrywise(total: Node, x: Node, at: dict[Any, Any]) -> Any:
    """The gradient of `total` by complex step, entry by entry of x."""
    value = at[x]
    out = np.zeros(np.shape(value))
    for place in np.ndindex(np.shape(value)):
        moved = value.astype(complex)
        moved[place] += 1j * STEP
        out[place] = np.imag(evaluate([total], {**at, x: moved})[0]) / STEP
    return out


def check_jvp(
    op: Op, y: Node, real: list[Node], at: dict[Any, Any], rng: np.random.Generator
) -> None:
    """<w, J v> is <J' w, v>: forward and reverse mode say the same."""
    graph = y.graph
    assert op.jvp is not None, f"{op} has a vjp and no jvp"
    for x in real:
        v = graph.leaf("input", f"v{x.serial}", x.shape)
        at[v] = rng.uniform(-1, 1, np.shape(at[x]))
        (t,) = forward([y], {x: v}).values()
        w = graph.leaf("input", f"u{x.serial}", y.shape)
        at[w] = rng.uniform(-1, 1, tuple(d.integer for d in y.shape))
        axes = tuple(range(len(y.shape)))
        total = graph.apply("sum", w * y, axes=axes) if axes else w * y
        back = evaluate([grad(total, x)], at)[0]
        ahead = np.zeros(np.shape(at[w])) if t is None else evaluate([t], at)[0]
        a, b = np.sum(at[w] * ahead), np.sum(back * at[v])
        size = np.sum(np.abs(at[w] * ahead)) + np.sum(np.abs(back * at[v]))
        assert np.abs(a - b) <= 1e-13 * max(1, size), (op, a, b)
        assert t is None or t.shape == y.shape


def check_points(op: Op, orders: int = 3) -> None:
    """Elementwise ops: at points over the whole domain, by every sequence of arguments."""
    for attrs in op.samples.attrs:
        rng = rng_for(op.name, str(attrs), "points")
        ranges = op.samples.args
        arrays = [spread(r, rng) for r in ranges]
        if op.samples.distinct and len(arrays) == 2:
            keep = arrays[0] != arrays[1]
            arrays = [a[keep] for a in arrays]
        graph = Graph()
        xs = leaves(graph, op, arrays, ranges)
        at: dict[Any, Any] = dict(zip(xs, arrays, strict=True))
        y = graph.apply(op.name, *xs, **attrs)
        real = [x for x in xs if x.kind == "real"]
        if op.vjp is None or y.kind != "real" or not real:
            return
        layer = {(): y}
        for _ in range(orders):
            following = {}
            for path, node in layer.items():
                for k, x in enumerate(real):
                    slope = grad(node, x)
                    got = evaluate([slope], at)[0]
                    # Small beside x: near an edge a larger step would cross it.
                    h = np.where(np.abs(at[x]) < 1e-15, 1e-10 * np.abs(at[x]), STEP)
                    h = np.where(h == 0, STEP, h)
                    moved = {**at, x: at[x] + 1j * h}
                    with np.errstate(over="ignore"):
                        want = np.imag(evaluate([node], moved)[0]) / h
                    name = f"{op.name}{attrs} by {(*path, k)}"
                    close(got, want, name, points=arrays)
                    assert np.isfinite(want).sum() >= LEAST, f"{name}: few points"
                    following[(*path, k)] = slope
            layer = following


def close(got: Any, want: Any, what: str, points: Any = None) -> None:
    """Within 1e-12 of max(1, |value|), wherever the derivative is finite."""
    got, want = np.broadcast_arrays(got, want)
    finite = np.isfinite(want)
    got, want = got[finite], want[finite]
    error = np.abs(got - want) / np.maximum(1, np.abs(want))
    if error.size and not np.max(error) <= TOLERANCE:
        worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
        where = [p[finite][worst] for p in points] if points is not None else worst
        raise AssertionError(f"{what}: {got[worst]!r}, not {want[worst]!r}, at {where}")
