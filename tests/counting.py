"""Arrays that count what is computed with them: how much work a function does.

Every operation of NumPy costs one an element that it computes; a product of matrices costs
its multiplications and additions. Views, copies and the arithmetic of sizes cost nothing.

    with counted() as work:
        loss, saved = forward(counting(params), counting(x))
    work.elements
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Work:
    """How many array elements were computed since it was opened."""

    def __init__(self) -> None:
        self.elements = 0


_open: list[Work] = []


@contextmanager
def counted() -> Iterator[Work]:
    """Count what is computed inside."""
    work = Work()
    _open.append(work)
    try:
        yield work
    finally:
        _open.pop()


def spend(elements: int) -> None:
    for work in _open:
        work.elements += elements


def plain(value: Any) -> Any:
    """The same value without the counting, through tuples, lists and dicts."""
    match value:
        case Counting():
            return value.view(np.ndarray)
        case tuple() | list():
            return type(value)(plain(item) for item in value)
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


def counting(value: Any) -> Any:
    """The same value, counting, through tuples, lists and dicts; numbers become arrays."""
    match value:
        case np.ndarray() | np.generic() | float():
            return np.asarray(value).view(Counting)
        case tuple() | list():
            return type(value)(counting(item) for item in value)
        case dict():
            return {key: counting(item) for key, item in value.items()}
    return value


def elements(value: Any) -> int:
    """How many numbers a result holds."""
    if isinstance(value, tuple | list):
        return sum(elements(item) for item in value)
    return int(np.size(value))


def product(a: Any, b: Any, result: Any) -> int:
    """Multiplications and additions of a product of matrices or vectors."""
    inner = np.shape(a)[-1] if np.ndim(a) else 1
    return 2 * int(np.size(result)) * inner


def einsum(pattern: str, *operands: Any) -> int:
    """A multiplication for each operand but the first and an addition, over all indices."""
    sizes: dict[str, int] = {}
    for letters, operand in zip(
        pattern.split("->")[0].split(","), operands, strict=True
    ):
        sizes.update(zip(letters, np.shape(operand), strict=True))
    return len(operands) * math.prod(sizes.values())


# What moves numbers about and computes none.
FREE = {
    np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims,
    np.squeeze, np.broadcast_to, np.shape, np.ndim, np.size, np.copy, np.zeros_like,
    np.empty_like, np.ones_like, np.full_like, np.concatenate, np.stack, np.split, np.flip,
    np.pad, np.take, np.take_along_axis, np.put_along_axis, np.repeat, np.tile, np.diagonal,
}  # fmt: skip


class Counting(np.ndarray):
    """An array whose every use is counted."""

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any
    ) -> Any:
        arguments = [plain(item) for item in inputs]
        options = {name: plain(item) for name, item in options.items()}
        result = getattr(ufunc, method)(*arguments, **options)
        if ufunc is np.matmul:
            spend(product(arguments[0], arguments[1], result))
        elif method == "__call__":
            spend(elements(result))
        elif method == "at":
            spend(elements(arguments[0][arguments[1]]))
        else:  # a reduction reads every element
            spend(elements(arguments[0]))
        out = options.get("out")
        if out is not None:
            return counting(out[0]) if len(out) == 1 else counting(out)
        return counting(result)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any, options: Any
    ) -> Any:
        given = [plain(item) for item in arguments]
        result = function(
            *given, **{name: plain(item) for name, item in options.items()}
        )
        if function in (np.dot, np.vdot, np.inner):
            spend(product(given[0], given[1], result))
        elif function is np.outer:
            spend(elements(result))
        elif function is np.tensordot:
            inner = np.size(given[0]) * np.size(given[1]) // max(1, np.size(result))
            spend(2 * elements(result) * math.isqrt(inner))
        elif function is np.einsum:
            spend(einsum(*given))
        elif function not in FREE:
            spend(max(elements(result), *(elements(item) for item in given)))
        return counting(result)
