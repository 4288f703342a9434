"""A worker computes some of the shards of a step, in memory of its own.

In: a batch and how it is cut. Out: sums of the gradients of neighbouring shards, each a whole
subtree of the tree by which all are added up.

Shards of one worker share its buffers. The gradient of the second of a pair is added to that
of the first in parts (`accumulation.py`): of whole vectors there are few.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .accumulation import Accumulation, arrays_in
from .buffers import Buffers, moved
from .records import record
from .sizes import symbols

if TYPE_CHECKING:
    from .network import Network, Noise

Array = NDArray[Any]


@record
class Cut:
    """How a batch of certain shapes is cut: for each shard its slices of the rows."""

    shards: int
    rows: int
    sizes: Mapping[str, int]
    slices: tuple[slice, ...]

    def part(self, shards: range) -> Cut:
        """For arrays that begin where a run of shards does: their slices, by the same numbers."""
        start = self.slices[shards.start].start
        slices = tuple(slice(s.start - start, s.stop - start) for s in self.slices)
        return Cut(self.shards, self.rows, self.sizes, slices)


class Task:
    """What the workers on a step have in common: the program, and where its arrays have rows."""

    def __init__(self, network: Network) -> None:
        signature = network.signature
        self.network = network
        self.row_dim: str = signature["shards"]["row_dim"]
        self.passes_rows: bool = signature["work"]["rows"]
        needs = signature["functions"]["forward"]
        self.takes_parameters: bool = needs["params"]
        self.random = bool(needs.get("noise"))
        entries = [network.inputs[name] for name in needs["inputs"]]
        self.axes = [self._axis(entry["shape"]) for entry in entries]
        self.noise_axes = {
            entry["path"]: self._axis(entry["shape"])
            for entry in network.draws("forward")
        }
        self._lock = threading.Lock()
        self._accumulation: Accumulation | None = None

    def _axis(self, shape: Sequence[Any]) -> int | None:
        """Where an array has the rows."""
        found = [i for i, dim in enumerate(shape) if self.row_dim in symbols(dim)]
        return found[0] if found else None

    def parts(self, arrays: Sequence[Array], rows: slice) -> list[Array]:
        """Some rows of the inputs."""
        return [part(a, axis, rows) for a, axis in zip(arrays, self.axes, strict=True)]

    def drawn(self, noise: Noise, rows: slice) -> dict[str, Array]:
        """Some rows of what is random."""
        return {p: part(noise[p], axis, rows) for p, axis in self.noise_axes.items()}

    def accumulation(self, work: Mapping[str, Any], own: Array) -> Accumulation:
        """How a gradient is added to another in parts: one for all workers."""
        with self._lock:
            if self._accumulation is None:
                self._accumulation = Accumulation(self.network, work, own)
            return self._accumulation


@record
class Sum:
    """The sum of the shards from `index` 2^`level` on: their losses and their gradients."""

    level: int
    index: int
    loss: float
    gradient: Array

    def precedes(self, level: int, index: int) -> bool:
        """Is it the first of a pair whose second is this one?"""
        return (self.level, self.index + 1) == (level, index) and index % 2 == 1

    def with_next(self, loss: float) -> Sum:
        """The pair's, once the second's gradient is added in the place of the first."""
        return Sum(self.level + 1, self.index // 2, self.loss + loss, self.gradient)


class Worker:
    """Who computes a run of shards: its buffers, vectors for gradients, and sums that wait.

    The gradient of the first shard goes to `first`, others to what `more` makes.
    """

    def __init__(
        self, task: Task, theta: Array, first: Array, more: Callable[[], Array]
    ) -> None:
        network = task.network
        self.task = task
        self.leading = (network.views(theta),) if task.takes_parameters else ()
        self.more = more
        self.vectors = [first]
        self.free = [first]
        self.sums: list[Sum] = []
        made, signature = network.module["buffers"], network.signature
        self.buffers = Buffers(made, signature, first.dtype, network.views(first))
        self.room = first[:0]  # for the parts of a gradient that is added to a sum
        self.pairs: dict[int, tuple[tuple[Array, Array], ...]] = {}

    def calls(self, cut: Cut, arrays: Sequence[Array]) -> int:
        """About how many of NumPy's functions a shard calls: each has a place to write to."""
        own = cut.slices[0]
        shapes = tuple([part.shape for part in self.task.parts(arrays, own)])
        sizes = {**cut.sizes, self.task.row_dim: own.stop}
        work = self.work((own.stop, shapes), sizes, self.vectors[0])
        return sum(1 for _ in arrays_in((work["forward"], work["backward"])))

    def vector(self) -> Array:
        """Where the gradient of the next shard goes: of a run's first shard, `first`."""
        if not self.free:
            self.vectors.append(self.more())
            return self.vectors[-1]
        return self.free.pop()

    def work(
        self, shapes: Hashable, sizes: Mapping[str, int], vector: Array
    ) -> dict[str, Any]:
        """Buffers for a shard whose gradient goes there."""
        own = self.vectors[0]
        if vector is own:
            work: dict[str, Any] = self.buffers.of(shapes, lambda: sizes)[0]
            return work
        return self.buffers.other(
            shapes, lambda: sizes, vector, lambda work: moved(work, own, vector)
        )

    def work_in_parts(
        self, shapes: Hashable, sizes: Mapping[str, int], parts: Accumulation
    ) -> dict[str, Any]:
        """Buffers for a shard whose gradient is added up as it is made."""
        own = self.vectors[0]
        if not self.room.size:
            self.room = parts.room(own.dtype)
        return self.buffers.other(
            shapes,
            lambda: sizes,
            self.room,
            lambda work: parts.work(work, own, self.room),
        )

    def pairs_of(
        self, total: Array, parts: Accumulation
    ) -> tuple[tuple[Array, Array], ...]:
        """What is added to what: see `Accumulation.pairs`."""
        found = self.pairs.get(id(total))
        if found is None:
            found = self.pairs[id(total)] = parts.pairs(total, self.room)
        return found

    def partner(self, index: int) -> Sum | None:
        """The shard before, where it waits for this one."""
        waits = bool(self.sums) and self.sums[-1].precedes(0, index)
        return self.sums[-1] if waits else None

    def add(self, found: Sum) -> None:
        """Add a shard's to what waits for it, like a binary counter."""
        while self.sums and self.sums[-1].precedes(found.level, found.index):
            waiting = self.sums.pop()
            if found.gradient is not waiting.gradient:
                np.add(waiting.gradient, found.gradient, out=waiting.gradient)
                self.free.append(found.gradient)
            found = waiting.with_next(found.loss)
        self.sums.append(found)

    def forget(self) -> None:
        """The sums of the last step: their memory is free again."""
        self.free = self.vectors[::-1]
        self.sums.clear()

    def run(
        self,
        shards: range,
        cut: Cut,
        arrays: Sequence[Array],
        noise: Noise | None,
        d_loss: float,
    ) -> None:
        """Some shards of a step, one after another: what they add up to is in `sums`."""
        for i in shards:
            partner = self.partner(i)
            into = partner.gradient if partner else self.vector()
            adding = partner is not None
            loss = self._shard(i, into, cut, arrays, noise or {}, d_loss, adding)
            self.add(Sum(0, i, loss, into))

    def _shard(
        self,
        shard: int,
        into: Array,
        cut: Cut,
        arrays: Sequence[Array],
        noise: Noise,
        d_loss: float,
        adding: bool,
    ) -> float:
        """Its loss; its gradient is written `into` a vector, or `adding` to what is there."""
        task, own = self.task, cut.slices[shard]
        rows, parts = own.stop - own.start, task.parts(arrays, own)
        drawn = (task.drawn(noise, own),) if task.random else ()
        shapes = tuple([part.shape for part in parts])
        sizes = {**cut.sizes, task.row_dim: rows}
        key = (rows, shapes)
        if adding:
            added = task.accumulation(
                self.work(key, sizes, self.vectors[0]), self.vectors[0]
            )
            work = self.work_in_parts(key, sizes, added)
        else:
            work = self.work(key, sizes, into)
        whole = (cut.rows,) if task.passes_rows else ()
        module = task.network.module
        loss, saved, *_ = module["forward"](*self.leading, *drawn, *parts, work, *whole)
        if adding:
            added.adding(saved, d_loss, work, self.pairs_of(into, added))
        else:
            module["backward"](saved, d_loss, work)
        return float(loss)


def part(array: Any, axis: int | None, rows: slice) -> Any:
    """A slice of the rows, where an array has any."""
    if axis is None:
        return array
    return array[(slice(None),) * axis + (rows,)]
