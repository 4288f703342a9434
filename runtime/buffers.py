"""The memory of a step, for modules that plan it.

In: a module of `-O2` and where its gradients go. Out: the `work` that its `forward` and
`backward` are given: views of few arrays, made once for each set of sizes. One `work` serves
one call at a time.

    buffers = Buffers(module["buffers"], signature, theta.dtype, views_of_nabla)
    work = buffers.of(shapes, lambda: sizes)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sizes import Signature, evaluate

Array = NDArray[Any]
LINE = 64  # bytes of a cache line
MOST = 4  # sets of sizes whose buffers are kept: a batch, the last one, held-out data


def zeros(count: int, dtype: Any) -> Array:
    """So many zeros, for θ or ∇: they begin with a cache line.

    An allocator gives any multiple of 16 bytes, where BLAS on two threads takes 5 to 10 %
    longer for a step (784-128-10, 32 rows).
    """
    kind = np.dtype(dtype)
    if kind.hasobject:
        return np.zeros(count, kind)
    room = np.zeros(count * kind.itemsize + LINE, np.uint8)
    start = -room.__array_interface__["data"][0] % LINE
    return room[start : start + count * kind.itemsize].view(kind)


class Buffers:
    """What `buffers` of one module made, by the shapes of the inputs."""

    def __init__(
        self,
        make: Callable[..., dict[str, Any]],
        signature: Signature,
        dtype: Any,
        gradients: Mapping[str, Array],
    ) -> None:
        self._make, self._dtype, self._gradients = make, dtype, gradients
        self._plan: Mapping[str, Any] = signature["work"]
        row_dim = signature["total"]["row_dim"] if self._plan["rows"] else None
        self._row_dim: str | None = row_dim
        self._made: dict[Hashable, tuple[Any, ...]] = {}
        self._moved: dict[tuple[Hashable, int], dict[str, Any]] = {}

    def of(
        self, shapes: Hashable, sizes: Callable[[], Mapping[str, int]]
    ) -> tuple[Any, ...]:
        """The last arguments of `forward`: `work`, and the rows where it asks for them."""
        found = self._made.get(shapes)
        if found is None:
            if len(self._made) >= MOST:
                self._made.clear()
                self._moved.clear()
            known = sizes()
            found = (self._work(known),)
            if self._row_dim is not None:
                found += (known[self._row_dim],)
            self._made[shapes] = found
        return found

    def filling(
        self,
        shapes: Hashable,
        sizes: Callable[[], Mapping[str, int]],
        own: Array,
        vector: Array,
    ) -> dict[str, Any]:
        """`work` in the same memory, but with its gradients in another vector than `own`."""
        work: dict[str, Any] = self.of(shapes, sizes)[0]
        if vector is own:
            return work
        key = (shapes, id(vector))
        found = self._moved.get(key)
        if found is None:
            found = self._moved[key] = moved(work, own, vector)
        return found

    def _work(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        gradients = {
            path: (
                self._gradients[path]
                if path in self._gradients
                else np.empty([evaluate(d, sizes) for d in shape], self._dtype)
            )
            for path, shape in self._plan["gradients"].items()
        }
        arguments = [sizes[name] for name in self._plan["sizes"]]
        return self._make(*arguments, self._dtype, gradients)


def moved(work: Any, own: Array, vector: Array) -> Any:
    """The same tuples, lists and dicts of arrays, views of `own` being views of `vector`."""
    match work:
        case dict():
            return {key: moved(value, own, vector) for key, value in work.items()}
        case tuple() | list():
            return type(work)([moved(value, own, vector) for value in work])
        case np.ndarray():
            start = work.__array_interface__["data"][0] - own.ctypes.data
            if 0 <= start < own.nbytes:
                return np.ndarray(work.shape, work.dtype, vector, start, work.strides)
    return work
