"""Figures and outputs over whole tables, in evaluation mode.

In: a network, θ, a part of the data. Out: the loss, each named loss and each metric as values
over the whole table. Where they are all proved to be means or sums over independent rows (or
free of data), a long table is gone through chunk by chunk; otherwise it is one call.

    figures(network, theta, data.held_out)      # {"loss": 0.07, "accuracy": 0.983}
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Part
from .network import Network

CHUNK = 1024  # rows


def figures(
    network: Network, theta: NDArray[Any], part: Part, chunk: int = CHUNK
) -> dict[str, float]:
    """The loss, each named loss and each metric over a part."""
    if not network.has("evaluate"):
        return {}
    names = network.signature["functions"]["evaluate"]["inputs"]
    with np.errstate(all="ignore"):
        dim = _long_table(network, part, names, chunk)
        if dim is None:
            values = network.call("evaluate", theta, part.arrays(names))
            return {name: float(value) for name, value in values.items()}
        return _gather(network, theta, part, names, dim, chunk)


def _roots(network: Network) -> dict[str, Any]:
    """The losses and metrics by name."""
    signature = network.signature
    return {
        root["name"]: root for root in (*signature["losses"], *signature["metrics"])
    }


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
    return dim


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
) -> dict[str, float]:
    rows_of = {name: root["rows"] for name, root in _roots(network).items()}
    total = network.signature["total"]
    if "loss" not in rows_of and _gathers(total, dim):
        rows_of["loss"] = total["rows"]
    parts: dict[str, list[float]] = {}
    count = part.tables[dim].rows
    for arrays, rows in part.chunks(names, dim, chunk):
        values = network.call("evaluate", theta, arrays)
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
    network: Network, theta: NDArray[Any], part: Part
) -> dict[str, NDArray[Any]]:
    """Every output of the program over a part, in one call."""
    names = network.signature["functions"]["predict"]["inputs"]
    with np.errstate(all="ignore"):
        values = network.call("predict", theta, part.arrays(names))
    return {name: np.asarray(value) for name, value in values.items()}
