"""Figures and outputs over whole tables, in evaluation mode.

In: a network, θ, a part of the data. Out: the loss, each named loss and each metric as values
over the whole table. Where they are all proved to be means or sums over independent rows (or
free of data), a long table is gone through chunk by chunk; otherwise it is one call. What the
program draws is drawn for the whole table, with index 0, so that figures repeat.

    figures(network, theta, data.held_out)      # {"loss": 0.07, "accuracy": 0.983}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Part
from .network import Network, Noise, State
from .sizes import symbols

CHUNK = 1024  # rows


def figures(
    network: Network,
    theta: NDArray[Any],
    part: Part,
    chunk: int = CHUNK,
    state: State | None = None,
) -> dict[str, float]:
    """The loss, each named loss and each metric over a part.

    `state` is what the program remembers: that of the network, if it is left out.
    """
    if not network.has("evaluate"):
        return {}
    names = network.signature["functions"]["evaluate"]["inputs"]
    state = _state(network, theta) if state is None else state
    noise = _noise(network, "evaluate", part, theta.dtype)
    with np.errstate(all="ignore"):
        dim = _long_table(network, part, names, chunk)
        if dim is None:
            arrays = part.arrays(names)
            values = network.call("evaluate", theta, arrays, state, noise)
            return {name: float(value) for name, value in values.items()}
        return _gather(network, theta, part, names, dim, chunk, state, noise)


def _state(network: Network, theta: NDArray[Any]) -> State:
    """The state of the network's run, or what its state starts as."""
    return network.state or network.initial_state(network.seed, theta.dtype)


def _noise(
    network: Network,
    function: str,
    part: Part,
    dtype: Any,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, NDArray[Any]]:
    """The draws of a function for whole tables: index 0 of the network's seed."""
    if not network.draws(function):
        return {}
    names = network.signature["functions"][function]["inputs"]
    bound = network.sizes_of(function, part.arrays(names))
    known = {**(sizes or {}), **part.rows, **bound}
    return network.draw(function, known, network.seed, 0, dtype)


def _roots(network: Network) -> dict[str, Any]:
    """The losses and metrics by name."""
    signature = network.signature
    return {
        root["name"]: root for root in (*signature["losses"], *signature["metrics"])
    }


def chunked(network: Network, part: Part, chunk: int = CHUNK) -> str | None:
    """The table that `figures` goes through chunk by chunk; None where it is one call."""
    if not network.has("evaluate"):
        return None
    names = network.signature["functions"]["evaluate"]["inputs"]
    return _long_table(network, part, names, chunk)


def _long_table(
    network: Network, part: Part, names: Sequence[str], chunk: int
) -> str | None:
    """The table to go through in chunks, if there is one, it is long and all are proved."""
    tables = [
        table
        for table in part.tables.values()
        if table.rows > chunk and any(name in table.columns for name in names)
    ]
    if not tables:
        return None
    dim = max(tables, key=lambda table: table.rows).dim
    for root in _roots(network).values():
        if not _gathers(root, dim):
            return None
    for entry in network.draws("evaluate"):
        if any(dim in symbols(d) and not _is(d, dim) for d in entry["shape"]):
            return None  # 2 N draws, say: which of them belong to these rows?
    return dim


def _is(dim: Any, name: str) -> bool:
    """Whether a DIM is a symbol and nothing else."""
    return not isinstance(dim, int) and list(dim) == [[1, 1, [name]]]


def _gathers(root: Any, dim: str) -> bool:
    return root["rows"] == "free" or (
        root["rows"] in ("mean", "sum") and root["row_dim"] == dim
    )


def _gather(
    network: Network,
    theta: NDArray[Any],
    part: Part,
    names: Sequence[str],
    dim: str,
    chunk: int,
    state: State,
    noise: Noise,
) -> dict[str, float]:
    rows_of = {name: root["rows"] for name, root in _roots(network).items()}
    total = network.signature["total"]
    if "loss" not in rows_of and _gathers(total, dim):
        rows_of["loss"] = total["rows"]
    parts: dict[str, list[float]] = {}
    count = part.tables[dim].rows
    axes = {
        entry["path"]: [i for i, d in enumerate(entry["shape"]) if _is(d, dim)]
        for entry in network.draws("evaluate")
    }
    start = 0
    for arrays, rows in part.chunks(names, dim, chunk):
        cut = slice(start, start + rows)
        mine = {
            path: array[
                tuple(
                    cut if i in axes[path] else slice(None) for i in range(array.ndim)
                )
            ]
            for path, array in noise.items()
        }
        start += rows
        values = network.call("evaluate", theta, arrays, state, mine)
        for name, value in values.items():
            weight = rows / count if rows_of.get(name) == "mean" else 1.0
            parts.setdefault(name, []).append(float(value) * weight)
    found = {
        name: values[-1] if rows_of.get(name) == "free" else math.fsum(values)
        for name, values in parts.items()
    }
    if "loss" not in rows_of:
        # A sum over rows beside a mean is neither, but the loss is the sum of its parts.
        found["loss"] = sum(found[root["name"]] for root in network.signature["losses"])
    return found


def outputs(
    network: Network,
    theta: NDArray[Any],
    part: Part,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, NDArray[Any]]:
    """Every output of the program over a part, in one call.

    `sizes` are those of draws that no input binds: how many samples, say.
    """
    names = network.signature["functions"]["predict"]["inputs"]
    state = _state(network, theta)
    noise = _noise(network, "predict", part, theta.dtype, sizes)
    with np.errstate(all="ignore"):
        values = network.call("predict", theta, part.arrays(names), state, noise)
    return {name: np.asarray(value) for name, value in values.items()}
