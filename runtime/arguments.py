"""The arguments of an emitted function: converted and checked before it is called.

In: an entry of the signature and what a caller gave. Out: an array of the entry's kind, or a
`ValueError` that names the argument, cites the line of the program and says both shapes.

    converted("mlp.net", entry, [[1, 2]], np.dtype("float32"))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sizes import limits, show_shape, show_type

Array = NDArray[Any]


def check_shape(
    net: str, what: str, entry: Mapping[str, Any], array: Array, shape: tuple[int, ...]
) -> None:
    """`ValueError` where a state or a draw has not the shape that the program says."""
    if array.shape != shape:
        raise ValueError(
            f"{what} {entry['path']} is {list(array.shape)}; {net}:{entry['line']} says "
            f"{show_shape(entry['shape'])}, here {list(shape)}"
        )


def converted(
    net: str, entry: Mapping[str, Any], value: Any, dtype: np.dtype[Any]
) -> Array:
    """One argument as an array of the input's kind, in the dtype of the run."""
    name, kind = entry["name"], entry["kind"]
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged lists
        raise ValueError(f"{name} is no array: {error}") from None
    fits = {"real": "fiu", "int": "iu", "bool": "b"}[kind]
    if np.issubdtype(dtype, np.complexfloating) and kind == "real":
        fits += "c"
    if array.dtype.kind not in fits:
        raise ValueError(
            f"{name} is {array.dtype}; {net}:{entry['line']} says input {name}: "
            f"{show_type(entry)} ({kind})"
        )
    if array.ndim != len(entry["shape"]):
        raise ValueError(
            f"{name} is {list(array.shape)}; {net}:{entry['line']} says input {name}: "
            f"{show_type(entry)}"
        )
    if kind == "real":
        return array.astype(dtype, copy=False)
    if kind == "int":
        return array.astype(np.int64, copy=False)
    return array


def check_range(
    entry: Mapping[str, Any], array: Array, sizes: Mapping[str, int]
) -> None:
    """`ValueError` where an int input holds a value outside of the range of its use."""
    bounds = limits(entry, sizes)
    if bounds is None or not array.size:
        return
    low, high = bounds
    wrong = (array < low) | (array >= high)
    if wrong.any():
        first = np.argwhere(wrong)[0]
        used = f"from {low} to {high - 1}" if low < high else "into what is empty"
        raise ValueError(
            f"{entry['name']}{[int(i) for i in first]} is {array[tuple(first)]}; "
            f"{entry['name']} is used as an index, {used}"
        )
