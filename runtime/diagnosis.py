"""Where a number stopped being finite: the first value of `forward` that is infinite or NaN.

In: a network and the arguments of a step that went wrong. Out: the equation and its line in
the `.net`. The step is run once more under a trace, which looks at each new local variable;
the comment above the line in the emitted source says which equation it belongs to.

    first_nonfinite(network, theta, arrays)     # "e in `h = exp(x)`  mlp.net:8"
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .network import Network, Noise, State

_EQUATION = re.compile(r"\s*# (.*?)\s{2,}(\S+:\d+)\s*$")


def first_nonfinite(
    network: Network,
    theta: NDArray[Any],
    arrays: Sequence[Any],
    state: State | None = None,
    noise: Noise | None = None,
) -> str | None:
    """The first value that is not finite, with its equation; None where all are.

    A mask of -inf is ordinary: NaN and +inf go first.
    """
    found: list[tuple[str, int]] = []
    masks: list[tuple[str, int]] = []
    seen: dict[str, int] = {}
    previous = [0]

    def look(frame: FrameType, event: str, _: Any) -> Any:
        for name, value in frame.f_locals.items():
            if seen.get(name) == id(value):
                continue
            seen[name] = id(value)
            if isinstance(value, dict | tuple) or found:
                continue
            values = np.asarray(value)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                only_masks = not (np.isnan(values) | (values == np.inf)).any()
                (masks if only_masks else found).append((name, previous[0]))
        previous[0] = frame.f_lineno
        return look

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename == network.filename:
            return look(frame, event, _)
        return None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        with np.errstate(all="ignore"):
            network.call("forward", theta, arrays, state, noise)
    finally:
        sys.settrace(before)
    if not found and not masks:
        return None
    name, line = (found or masks)[0]
    return _equation(network, name, line)


def _equation(network: Network, name: str, line: int) -> str:
    if name in network.inputs:
        return f"the input {name}"
    lines = network.source.splitlines()
    for number in range(line - 1, -1, -1):
        match = _EQUATION.match(lines[number]) if number < len(lines) else None
        if match:
            return f"{name} in `{match[1]}`  {match[2]}"
        if number < len(lines) and lines[number].startswith("def "):
            break
    return name
