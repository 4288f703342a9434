"""The memory of a step, for modules that plan it.

In: a module of `-O2` and where its gradients go. Out: the `work` that its `forward` and
`backward` are given: views of few arrays, made once for each set of sizes. One `work` serves
one call at a time.

    buffers = Buffers(module["buffers"], signature, theta.dtype, views_of_nabla)
    work = buffers.of(shapes, lambda: sizes)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .places import laid
from .records import record
from .sizes import Signature, evaluate

Array = NDArray[Any]
LINE = 64  # bytes of a cache line
MOST = 4  # sets of sizes whose buffers are kept: a batch, the last one, held-out data


def zeros(count: int, dtype: Any) -> Array:
    """So many zeros, for θ or ∇: they begin with a cache line.

    An allocator gives any multiple of 16 bytes, where BLAS on two threads takes 5 to 10 %
    longer for a step (784-128-10, 32 rows).
    """
    made = empty(count, dtype)
    made.fill(0)
    return made


def empty(shape: Any, dtype: Any = float) -> Array:
    """`np.empty`, as emitted modules call it: a row of numbers begins with a cache line.

    What slots of a plan hold are windows and images, too, whose rows of whole batches then do:
    a step of a convolutional network (28×28, 5×5×16, 5×5×32, 64 rows) takes 10 % less time.
    """
    kind = np.dtype(dtype)
    if not isinstance(shape, int) or kind.hasobject:
        return np.empty(shape, kind)
    room = np.empty(shape * kind.itemsize + LINE, np.uint8)
    start = -room.__array_interface__["data"][0] % LINE
    return room[start : start + shape * kind.itemsize].view(kind)


class _Slots:
    """The slots of a plan, in turn, for any sizes: each is as long as it ever had to be.

    What is made for smaller sizes lies in the same memory as what is made for larger ones: a
    call writes whatever it reads there.
    """

    def __init__(self) -> None:
        self.slots: list[Array] = []
        self.grew = False
        self._next = 0

    def begin(self) -> None:
        """From the first one on again."""
        self._next, self.grew = 0, False

    def empty(self, shape: Any, dtype: Any = float) -> Array:
        """The next slot, as `empty` would make it; anything but a row is made anew."""
        kind = np.dtype(dtype)
        if not isinstance(shape, int) or kind.hasobject:
            return np.empty(shape, kind)
        at, self._next = self._next, self._next + 1
        size = shape * kind.itemsize
        if at == len(self.slots):
            self.slots.append(empty(size, np.uint8))
        elif self.slots[at].size < size:
            self.slots[at], self.grew = empty(size, np.uint8), True
        return self.slots[at][:size].view(kind)

    def lent(
        self, make: Callable[..., dict[str, Any]]
    ) -> Callable[..., dict[str, Any]]:
        """The function, with its `np.empty` taking slots."""
        numpy = getattr(make, "__globals__", {}).get("np")
        if not isinstance(make, FunctionType) or numpy is None:
            return make
        own = ModuleType(numpy.__name__)
        vars(own).update({**vars(numpy), "empty": self.empty})
        space = {**make.__globals__, "np": own}
        return FunctionType(make.__code__, space, make.__name__, make.__defaults__)


class Buffers:
    """What `buffers` of one module made, by the shapes of the inputs, in one memory."""

    def __init__(
        self,
        make: Callable[..., dict[str, Any]],
        signature: Signature,
        dtype: Any,
        gradients: Mapping[str, Array],
    ) -> None:
        self._slots = _Slots()
        self._make, self._dtype = self._slots.lent(make), dtype
        self._gradients = gradients
        self._plan: Mapping[str, Any] = signature["work"]
        row_dim = signature["total"]["row_dim"] if self._plan["rows"] else None
        self._row_dim: str | None = row_dim
        parameters = signature["parameters"]
        self._turned = {p["path"] for p in parameters if p.get("turned")}
        self._made: dict[Hashable, tuple[Any, ...]] = {}
        self._others: dict[tuple[Hashable, int], dict[str, Any]] = {}

    def of(
        self, shapes: Hashable, sizes: Callable[[], Mapping[str, int]]
    ) -> tuple[Any, ...]:
        """The last arguments of `forward`: `work`, and the rows where it asks for them."""
        found = self._made.get(shapes)
        if found is None:
            if len(self._made) >= MOST:
                self._made.clear()
                self._others.clear()
            known = sizes()
            self._slots.begin()
            found = (self._work(known),)
            if self._slots.grew:  # what lies in the old ones would keep them
                self._made.clear()
                self._others.clear()
            if self._row_dim is not None:
                found += (known[self._row_dim],)
            self._made[shapes] = found
        return found

    def other(
        self,
        shapes: Hashable,
        sizes: Callable[[], Mapping[str, int]],
        memory: Array,
        moved_to: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> dict[str, Any]:
        """`work`, but with its gradients in other `memory`: made once by `moved_to`."""
        work: dict[str, Any] = self.of(shapes, sizes)[0]
        key = (shapes, id(memory))
        found = self._others.get(key)
        if found is None:
            found = self._others[key] = moved_to(work)
        return found

    def _work(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        gradients = {
            path: (
                self._gradients[path]
                if path in self._gradients
                else self._empty(path, [evaluate(d, sizes) for d in shape])
            )
            for path, shape in self._plan["gradients"].items()
        }
        arguments = [sizes[name] for name in self._plan["sizes"]]
        return self._make(*arguments, self._dtype, gradients)

    def _empty(self, path: str, shape: list[int]) -> Array:
        """The place of a gradient, in the layout of its parameter."""
        memory = np.empty(math.prod(shape), self._dtype)
        return laid(memory, shape, path in self._turned)


@record
class Moved:
    """Bytes `start` to `stop` of one vector lie from byte `to` on in another array."""

    start: int
    stop: int
    to: int


def moved(work: Any, own: Array, memory: Array, parts: Sequence[Moved] = ()) -> Any:
    """The same tuples, lists and dicts of arrays, views of `own` being views of `memory`: of
    all of it in the same order, or of `parts`."""
    match work:
        case dict():
            return {k: moved(value, own, memory, parts) for k, value in work.items()}
        case tuple() | list():
            return type(work)([moved(value, own, memory, parts) for value in work])
        case np.ndarray():
            at = work.__array_interface__["data"][0] - own.ctypes.data
            for part in parts or (Moved(0, own.nbytes, 0),):
                if part.start <= at < part.stop:
                    to = at - part.start + part.to
                    return np.ndarray(work.shape, work.dtype, memory, to, work.strides)
    return work
