"""The detective: where a number stopped being finite, by line and value.

In: a network and the arguments of a step that went wrong. Out: what became infinite or NaN,
the equation in which that happened first, its place in the `.net`, and the values that it was
computed from. The step is run once more under a trace: after each line of the emitted source
the arrays that the line names are looked at; the comment above the line says which equation it
belongs to. `forward` comes first, then `backward`.

    found = diagnose(network, theta, nabla, loss, arrays)
    found.what          # "loss became inf"
    found.lines[0]      # "first value that is not finite: e in `h = exp(x)`  mlp.net:8"
    found.lines[1]      # "e: 3 of 640 entries; from z, max |z| = 8.1e+03"
"""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .network import Network, Noise, State
from .records import record

_EQUATION = re.compile(r"\s*# (.*?)\s{2,}(\S+:\d+)\s*$")
SHOWN = 3  # of the values that a line is computed from


@record
class NonFinite:
    """What became infinite or NaN, and further lines on where and from what.

    `place` is that of the equation in which it began, `mlp.net:8`, where one is known.
    """

    what: str
    lines: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Read off the first line."""
        found = re.search(r"`  (\S+:\d+)$", self.lines[0]) if self.lines else None
        return found[1] if found else ""


@record(frozen=False)
class Culprit:
    """The first local variable of an emitted function that is not finite.

    `source` are the finite variables that its line reads, with their values at that time.
    """

    name: str
    line: int
    bad: NDArray[Any]
    source: list[tuple[str, NDArray[Any]]] = field(default_factory=list)
    masked: bool = False  # it reads what was -inf before


def diagnose(
    network: Network,
    theta: NDArray[Any],
    nabla: NDArray[Any],
    loss: float,
    arrays: Sequence[Any],
    state: State | None = None,
    noise: Noise | None = None,
) -> NonFinite:
    """Say what is not finite after a step, replay it, and say where that began.

    `state` is what the program remembered before the step.
    """
    for place in network.places:
        if not np.isfinite(theta[place.start : place.stop]).all():
            return NonFinite(
                f"parameter {place.path} became infinite or NaN",
                ("the last update was too large for it",),
            )
    if math.isfinite(loss):
        path = next(
            place.path
            for place in network.places
            if not np.isfinite(nabla[place.start : place.stop]).all()
        )
        what = f"the gradient of {path} became infinite or NaN"
    else:
        word = "nan" if math.isnan(loss) else "inf" if loss > 0 else "-inf"
        what = f"loss became {word}"
    return NonFinite(what, first_nonfinite(network, theta, arrays, state, noise))


def first_nonfinite(
    network: Network,
    theta: NDArray[Any],
    arrays: Sequence[Any],
    state: State | None = None,
    noise: Noise | None = None,
) -> tuple[str, ...]:
    """The first value that is not finite with its equation, and what it came from; nothing
    where all are finite.

    A mask of -inf is ordinary: NaN and +inf go first.
    """

    def steps() -> None:
        if network.signature.get("work") is not None:
            step = network.stepper(theta, np.zeros_like(theta), dict(state or {}))
            step(arrays, noise)
            return
        saved = network.call("forward", theta, arrays, state, noise)[1]
        backward = network.module.get("backward")
        if backward is not None:
            backward(saved)

    names = network.signature["functions"]["forward"]["inputs"]
    for name, array in zip(names, arrays, strict=True):
        values = _reals(array)
        if values is not None and (np.isnan(values) | (values == np.inf)).any():
            return (f"first value that is not finite: the input {name}",)
    watch = _Watch(network)
    with np.errstate(all="ignore"):
        watch.run(steps)
    found = watch.found or watch.mask
    masked = watch.found is not None and watch.found.masked and watch.mask is not None
    if masked and not _asked_for(network, watch.mask):
        found = watch.mask  # NaN of what was -inf already: that is where it began
    if found is None:
        return ()
    bad = int((~np.isfinite(found.bad)).sum())
    where = _equation(network, found.name, found.line)
    lines = [f"first value that is not finite: {where}"]
    counted = f"{found.name}: {bad:,} of {found.bad.size:,} entries"
    if found.bad.ndim == 0:
        counted = f"{found.name} is {float(found.bad)}"
    if found.source:
        counted += f"; computed from {', '.join(map(_range, found.source[:SHOWN]))}"
    return (*lines, counted)


def _asked_for(network: Network, mask: Culprit | None) -> bool:
    """Does the line of a -inf say so, as that of a mask does?"""
    return mask is None or "inf" in network.source.splitlines()[mask.line - 1]


def _range(item: tuple[str, NDArray[Any]]) -> str:
    name, values = item
    if not values.size:
        return f"{name}, which is empty"
    low, high = float(values.min()), float(values.max())
    if low == high:
        return f"{name} = {low:.3g}"
    return f"{name} from {low:.3g} to {high:.3g}"


class _Watch:
    """A trace that looks at the variables of each line once it has been executed."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.found: Culprit | None = None
        self.mask: Culprit | None = None
        self._names, self._filled = _names_by_line(network.source)
        self._finite: dict[str, Any] = {}
        self._before: dict[str, NDArray[Any]] = {}
        self._line = 0

    def run(self, steps: Callable[[], object]) -> None:
        """Run under the trace; what the steps raise is of no interest here."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            steps()
        except (ArithmeticError, ValueError):
            pass  # a factorisation of what is not finite
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if self.found or code.co_filename != self.network.filename:
            return None
        if code.co_name == "buffers":  # of memory that nobody has written yet
            return None
        self._line = 0
        return self._look

    def _look(self, frame: FrameType, event: str, _: Any) -> Any:
        if self.found:
            return None
        if self._line and event in ("line", "return"):
            self._judge(frame)
        self._line = frame.f_lineno
        self._before = {
            name: np.array(values)
            for name in self._names.get(self._line, ())
            if name not in self._filled.get(self._line, ())
            and (values := _reals(_value(name, frame.f_locals))) is not None
        }
        return self._look

    def _judge(self, frame: FrameType) -> None:
        """The line that has just been executed: did it make something that is not finite?"""
        for name in self._names.get(self._line, ()):
            values = _reals(_value(name, frame.f_locals))
            if values is None or np.isfinite(values).all():
                continue
            old = self._before.get(name)
            if old is not None and not np.isfinite(old).all():
                continue  # it was so before
            source = [
                (_called(other, frame.f_locals), seen)
                for other, seen in self._before.items()
                if seen.dtype.kind == "f" and np.isfinite(seen).all()
            ]
            masked = any(
                seen.dtype.kind == "f" and not np.isfinite(seen).all()
                for seen in self._before.values()
            )
            called = _called(name, frame.f_locals)
            culprit = Culprit(called, self._line, np.array(values), source, masked)
            if (np.isnan(values) | (values == np.inf)).any():
                self.found = culprit
                return
            self.mask = self.mask or culprit


def _value(name: str, variables: Mapping[str, Any]) -> Any:
    """What a variable holds, or an entry of one: `h`, `h[8]`, `h[i + 1]`."""
    base, _, index = name.partition("[")
    held = variables.get(base)
    if not index:
        return held
    number = _number(index.rstrip("]"), variables)
    return held.get(number) if isinstance(held, dict) else None


def _called(name: str, variables: Mapping[str, Any]) -> str:
    """`h[3]` for `h[i + 1]` in the copy 2 of a loop."""
    base, _, index = name.partition("[")
    return f"{base}[{_number(index.rstrip(']'), variables)}]" if index else name


def _number(index: str, variables: Mapping[str, Any]) -> int | None:
    """What an index is: `8`, `i`, `i + 1`, `i - 1`."""
    at, _, more = index.replace(" - ", " + -").partition(" + ")
    number = int(at) if at.isdigit() else variables.get(at)
    return number + int(more or 0) if isinstance(number, int) else None


def _reals(value: Any) -> NDArray[Any] | None:
    """A real array or number; None for all else."""
    if not isinstance(value, np.ndarray | np.floating | float):
        return None
    values = np.asarray(value)
    return values if values.dtype.kind == "f" else None


def _names_by_line(
    source: str,
) -> tuple[dict[int, tuple[str, ...]], dict[int, set[str]]]:
    """The variables that a statement names, by its first line; those it sets go first. And
    those whose memory it fills (`out=`) without a look at what was there."""
    names: dict[int, tuple[str, ...]] = {}
    filled: dict[int, set[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt) or not _computes(node):
            continue
        places = [n for n in ast.walk(node) if isinstance(n, ast.Name | ast.Subscript)]
        places = [n for n in places if isinstance(n, ast.Name) or _entry(n)]
        places.sort(key=lambda n: (n.lineno, n.col_offset))
        target = _target(node)
        stored = [n for n in places if isinstance(n.ctx, ast.Store) or n is target]
        read = [ast.unparse(n) for n in places if n not in stored]
        names[node.lineno] = tuple(dict.fromkeys([*map(ast.unparse, stored), *read]))
        if target is not None and target.id not in read:
            filled[node.lineno] = {target.id}
    return names, filled


def _entry(node: ast.Subscript) -> bool:
    """Is it the value of a copy, `h[8]`, `h[i + 1]`?"""
    match node:
        case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=int())):
            return True
        case ast.Subscript(value=ast.Name(), slice=ast.Name()):
            return True
        case ast.Subscript(
            value=ast.Name(),
            slice=ast.BinOp(
                left=ast.Name(),
                op=ast.Add() | ast.Sub(),
                right=ast.Constant(value=int()),
            ),
        ):
            return True
    return False


def _computes(node: ast.stmt) -> bool:
    """Does it make a number? Heads of loops and what takes names out of `saved` and `work` do
    not: what they name may be memory that nobody has written yet."""
    match node:
        case ast.FunctionDef() | ast.For() | ast.While() | ast.If():
            return False
        case ast.Assign(value=ast.Name()):
            return False
        case ast.Assign(value=ast.Subscript(slice=ast.Constant(value=str()))):
            return False
    return True


def _target(node: ast.stmt) -> ast.Name | None:
    """`h` of `np.tanh(z, out=h)`, of `np.copyto(h, z)` and of `h[...] = z`."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="copyto"), args=args)):
            target = args[0]
        case ast.Assign(
            targets=[ast.Subscript(value=target, slice=ast.Constant(value=index))]
        ) if (index is ...):
            pass
        case ast.Expr(value=ast.Call(keywords=words)):
            outs = [w.value for w in words if w.arg == "out"]
            if not outs:
                return None
            target = outs[0]
        case _:
            return None
    return target if isinstance(target, ast.Name) else None


def _equation(network: Network, name: str, line: int) -> str:
    lines = network.source.splitlines()
    for number in range(line - 1, -1, -1):
        match = _EQUATION.match(lines[number]) if number < len(lines) else None
        if match:
            return f"{name} in `{match[1]}`  {match[2]}"
        if number < len(lines) and lines[number].startswith("def "):
            break
    return name
