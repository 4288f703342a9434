"""Measured: the time of each line of a module, and of other ways to a gradient.

    times = line_times(trace, options, sizes, "float32")     # {"forward": {"mlp.net:10": ms}}
    print(compare(trace, options, sizes).text())

Times are those of the process, the least of several runs: what else runs on the machine can
only make a run slower.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import process_time, thread_time_ns
from typing import TYPE_CHECKING, Any

from ..records import record
from .exits import UsageError
from .terminal import columns

if TYPE_CHECKING:
    from gradc.compiler import Options
    from gradc.compiler.explain.provenance import Trace

    from ..network import Network

SPENT = 0.5  # seconds of measuring, about
MOST_ENTRIES = 24  # of the gradient that differences are measured on


# ------------------------------------------------------------------------------ lines
def line_times(
    trace: Trace, options: Options, sizes: Mapping[str, int], dtype: str
) -> dict[str, dict[str, float]]:
    """Milliseconds by function and line of the program, of the -O1 module."""
    from gradc.compiler.backend.guard import check
    from gradc.compiler.driver import compile_program
    from gradc.compiler.explain.provenance import emitted_lines

    from ..network import Network

    compiled = compile_program(trace.program, replace(options, level=1, wrt=()))
    if "forward" not in compiled.signature["functions"]:
        raise UsageError(
            "no-loss", f"{trace.program.name} has no loss, so there is no step to time"
        )
    tree = check(compiled.source)
    place = {line.first: line.place for line in emitted_lines(compiled.source)}
    spent: dict[str, dict[str, int]] = {"forward": {}, "backward": {}}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name in spent:
            function.body = _clocked(function, place)
    ast.fix_missing_locations(tree)
    network = Network(compiled.source, compiled.signature, tree=tree)
    last = [0]

    def clock(function: str, where: str) -> None:
        now = thread_time_ns()
        if where:
            table = spent[function]
            table[where] = table.get(where, 0) + now - last[0]
        last[0] = thread_time_ns()

    network.module["clock"] = clock
    step = _step(network, sizes, dtype)
    step()
    best: dict[str, dict[str, float]] = {"forward": {}, "backward": {}}
    started = process_time()
    runs = 0
    while runs < 3 or process_time() - started < SPENT:
        for table in spent.values():
            table.clear()
        step()
        runs += 1
        for function_, table in spent.items():
            for where, nanoseconds in table.items():
                ms = nanoseconds / 1e6
                best[function_][where] = min(ms, best[function_].get(where, ms))
    return best


def _clocked(function: ast.FunctionDef, place: Mapping[int, str]) -> list[ast.stmt]:
    """The statements of a function, each followed by a look at the clock."""
    made: list[ast.stmt] = []
    for s in function.body:
        where = place.get(s.lineno, "")
        if isinstance(s, ast.For):
            inside = [
                place.get(b.lineno, "") for b in ast.walk(s) if hasattr(b, "lineno")
            ]
            where = next((w for w in inside if w), "")
        if isinstance(s, ast.Return):
            made.append(s)
            continue
        if not made:
            made.append(_look(function.name, ""))
        made += [s, _look(function.name, where)]
    return made


def _look(function: str, where: str) -> ast.stmt:
    arguments: list[ast.expr] = [ast.Constant(function), ast.Constant(where)]
    return ast.Expr(ast.Call(ast.Name("clock", ast.Load()), arguments, []))


def _step(network: Network, sizes: Mapping[str, int], dtype: str) -> Callable[[], Any]:
    """One forward and one backward pass at a point."""
    import numpy as np

    from ..points import choose_sizes, find_point

    known = choose_sizes(network.signature, dict(sizes))
    network.bind(known)
    point = find_point(network, known, seed=0)
    if point is None:
        raise UsageError(
            "no-point", f"the loss of {network.name} is finite nowhere near"
        )
    theta = point.theta.astype(dtype)
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in point.arrays]
    noise = {
        k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in point.noise.items()
    }
    state = network.as_state(point.state, dtype) if point.state else {}
    backward = network.module["backward"]

    def step() -> Any:
        with np.errstate(all="ignore"):
            _, saved, *_ = network.call("forward", theta, arrays, state, noise)
            return backward(saved)

    return step


# --------------------------------------------------------------------------- compare
@record
class Method:
    """One way to a whole gradient: how long, how often forward, how wrong."""

    name: str
    seconds: float  # for all parameters
    evaluations: str
    error: float  # largest, relative, on the entries that were measured
    crossing: float  # parameters from which on backprop is faster


@record
class Comparison:
    """Backprop and three kinds of differences on one net."""

    parameters: int
    entries: int
    forward: float
    methods: tuple[Method, ...]

    def text(self) -> str:
        """A table, and where the crossing lies."""
        n = self.parameters
        rows = [["gradient by", "time", "forward passes", "error", "crossing"]]
        for m in self.methods:
            rows.append(
                [
                    m.name,
                    f"{_seconds(m.seconds)}",
                    m.evaluations,
                    f"{m.error:.0e}" if m.error else "0",
                    "" if m.name == "backprop" else f"{m.crossing:.1f} parameters",
                ]
            )
        table = columns(rows, right=(1, 2, 3, 4))
        back, first = self.methods[0], self.methods[1]
        passes = back.seconds / self.forward if self.forward else 0.0
        behind = (
            f"{n:,} parameters. Backprop costs {passes:.1f} forward passes, whatever their "
            f"number;\nforward differences cost {n + 1:,}, "
            f"{first.seconds / back.seconds:,.0f} times as much. They are the cheaper way\n"
            f"below {max(first.crossing, 1):.1f} parameters. "
            f"(Differences were measured on {self.entries} entries.)"
        )
        return f"{table}\n\n{behind}"


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:,.3g} {unit}" if value < 1e3 else f"{value:,.0f} s"
    return f"{value * 1e6:.2g} µs"


def compare(trace: Trace, options: Options, sizes: Mapping[str, int]) -> Comparison:
    """Measure backprop, and each kind of difference on some entries of the gradient."""
    import numpy as np

    from gradc.compiler.driver import compile_program

    from ..points import choose_sizes, find_point
    from .programs import load

    plain = replace(options, level=1, wrt=())
    network = load(compile_program(trace.program, plain))
    if not network.has("backward"):
        raise UsageError(
            "no-loss", f"{trace.program.name} has no loss, so there is no gradient"
        )
    analytic = load(compile_program(trace.program, replace(plain, complex=True)))
    known = choose_sizes(network.signature, dict(sizes))
    network.bind(known)
    analytic.bind(known).lie_like(network)
    point = find_point(network, known, seed=0)
    if point is None:
        raise UsageError(
            "no-point", f"the loss of {network.name} is finite nowhere near"
        )
    theta = point.theta
    backward = network.module["backward"]

    def loss(at: Any, net: Any = network) -> Any:
        with np.errstate(all="ignore"):
            return net.call("forward", at, point.arrays, point.state, point.noise)[0]

    def gradient() -> Any:
        with np.errstate(all="ignore"):
            _, saved, *_ = network.call(
                "forward", theta, point.arrays, point.state, point.noise
            )
            return backward(saved)

    n = network.trained
    found = gradient()
    truth = np.zeros(n)
    for p in network.places:
        if p.trained:
            p.view(truth)[...] = found[p.path]
    order = np.random.Generator(np.random.Philox(0)).permutation(n)
    entries = np.sort(order[: min(n, MOST_ENTRIES)])
    forward = least(lambda: loss(theta))
    complex_theta = theta.astype(complex)
    one_complex = least(lambda: loss(complex_theta, analytic))
    back = least(gradient)
    scale = max(float(np.max(np.abs(truth[entries]), initial=0.0)), 1e-30)
    at_start = float(loss(theta))

    def forward_difference(k: int) -> float:
        h = np.sqrt(np.finfo(float).eps) * max(1.0, abs(theta[k]))
        moved = theta.copy()
        moved[k] += h
        return float((loss(moved) - at_start) / h)

    def central_difference(k: int) -> float:
        h = np.cbrt(np.finfo(float).eps) * max(1.0, abs(theta[k]))
        up, down = theta.copy(), theta.copy()
        up[k] += h
        down[k] -= h
        return float((loss(up) - loss(down)) / (2 * h))

    def complex_step(k: int) -> float:
        moved = complex_theta.copy()
        moved[k] += 1e-30j
        return float(np.imag(loss(moved, analytic)) / 1e-30)

    def error(difference: Callable[[int], float]) -> float:
        return float(max(abs(difference(int(k)) - truth[k]) for k in entries) / scale)

    rows = (
        ("forward differences", forward, forward_difference, f"{n + 1:,}", 1),
        ("central differences", 2 * forward, central_difference, f"{2 * n:,}", 0),
        ("complex step", one_complex, complex_step, f"{n:,} complex", 0),
    )
    methods = [Method("backprop", back, "1 and backward", 0.0, 0.0)]
    for name, each, difference, evaluations, base in rows:
        total = n * each + base * forward
        crossing = (back - base * forward) / each if each else 0.0
        methods.append(Method(name, total, evaluations, error(difference), crossing))
    return Comparison(n, len(entries), forward, tuple(methods))


def least(run: Callable[[], Any]) -> float:
    """The least time of a call, in seconds: single calls too short for the clock together."""
    run()
    many = 1
    while True:
        started = process_time()
        for _ in range(many):
            run()
        spent = process_time() - started
        if spent > 0.02 or many >= 1 << 14:
            break
        many *= 4
    best = spent / many
    begun = process_time()
    for _ in range(4):
        if process_time() - begun > SPENT:
            break
        started = process_time()
        for _ in range(many):
            run()
        best = min(best, (process_time() - started) / many)
    return best
