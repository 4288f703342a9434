"""A training step in shards: slices of a batch, computed by several threads, added up by a tree.

In: a network whose loss is proved to be a sum over rows of a row's own term (its module, of
-O2, takes the rows of the whole batch as an argument). Out: a `Step` as of `Network.stepper`.

A batch is cut into K slices, and K follows from the sizes alone. Each slice is a call of
`forward` and `backward`, with BLAS on one thread; their gradients are added in pairs, those
sums in pairs again. How many threads there are decides who computes a slice and nothing
else: the bits of a run are the same for 1, 2 and 16 of them.

    step = stepper(network, theta, nabla, {}, Parallel(threads=2))
    loss = step(arrays, noise)                     # fills ∇

Slices of one thread share their buffers, so K decides the memory of a step as well. The
gradient of the second of a pair is added to that of the first in parts (`accumulation.py`), if
one thread computes both: of whole vectors there are few.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .accumulation import Accumulation
from .buffers import Buffers, moved
from .execution import computing
from .network import Network, Noise, State, Step
from .sizes import evaluate, symbols

Array = NDArray[Any]

MOST = 16  # shards
LEAST_SECONDS = 1e-3  # of a shard: handing it to a thread takes a twentieth of that
LEAST_ADDED = 1 << 18  # numbers: fewer are added by one thread
LEAST_ROWS = 256  # of a shard's products: adding a gradient costs what 7 to 16 rows do
LARGE = 1 << 21  # numbers in the buffers of a shard that is cut again, to save memory
LEAST_ROWS_OF_LARGE = 128  # as long as they have so many rows
# What the rule counts with, on every machine: K is a matter of the program and the batch.
PRODUCTS = 80e9  # operations of a product of matrices a second
BYTES = 10e9  # of memory a second
TOUCHED = 12  # bytes for each element of elementwise work


@dataclass(frozen=True)
class Parallel:
    """How a step is shared out: `shards` of 0 are as many as the sizes say."""

    threads: int = 1
    shards: int = 0


def number_of_shards(network: Network, sizes: Mapping[str, int], asked: int = 0) -> int:
    """K for a batch of these sizes: a power of two, 1 where rows mix.

    The largest for which a shard takes a millisecond and has 256 rows in the mean of its
    products: rows of the batch, or of all steps or places where weights are shared by them.
    Of shards with large buffers there are twice as many, and again, down to 128 rows.
    """
    plan = network.signature.get("shards")
    if plan is None or plan["row_dim"] is None:
        return 1
    rows = sizes[plan["row_dim"]]
    if asked:
        return _power(min(asked, rows))
    forward, products, elements = (
        evaluate(plan[k], sizes) for k in ("forward_products", "products", "elements")
    )
    seconds = products / PRODUCTS + elements * TOUCHED / BYTES
    average = forward / (2 * max(network.trained, 1))
    most = min(rows, seconds / LEAST_SECONDS)
    count = _power(min(most, average / LEAST_ROWS))
    least = _power(min(most, average / LEAST_ROWS_OF_LARGE))
    while count < least and _numbers(network, sizes, count) > LARGE:
        count *= 2
    return count


def _power(limit: float) -> int:
    """The largest power of two within a limit, and MOST."""
    return 1 << max(0, int(min(limit, MOST)).bit_length() - 1)


def _numbers(network: Network, sizes: Mapping[str, int], shards: int) -> int:
    """How many the buffers of a shard hold."""
    work, row_dim = network.signature["work"], network.signature["shards"]["row_dim"]
    found: int = evaluate(
        work["reals"], {**sizes, row_dim: -(-sizes[row_dim] // shards)}
    )
    return found


def stepper(
    network: Network,
    theta: Array,
    nabla: Array,
    state: State | None,
    parallel: Parallel,
) -> Step:
    """`network.stepper`, by shards where the program allows them."""
    plan = network.signature.get("shards")
    if plan is None or plan["row_dim"] is None or parallel.shards == 1:
        return network.stepper(theta, nabla, state)
    sharded = _Sharded(network, theta, nabla, parallel)
    return network.stepper(theta, nabla, state, sharded.where_cut)


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


# --------------------------------------------------------------------------- the threads
class Team:
    """Threads that sleep until there is work; the caller is the first of them."""

    def __init__(self, threads: int) -> None:
        self._work: list[Callable[[], None]] = []
        self._errors: list[BaseException | None] = [None] * threads
        self._go = [threading.Lock() for _ in range(threads)]
        self._done = [threading.Lock() for _ in range(threads)]
        for i in range(1, threads):
            self._go[i].acquire()
            self._done[i].acquire()
            threading.Thread(target=self._serve, args=(i,), daemon=True).start()

    def _serve(self, i: int) -> None:
        with computing():  # each thread has its own
            while True:
                self._go[i].acquire()
                self._do(i)
                self._done[i].release()

    def _do(self, i: int) -> None:
        try:
            self._work[i]()
        except BaseException as error:
            self._errors[i] = error

    def run(self, work: Sequence[Callable[[], None]]) -> None:
        """All of the work, one piece a thread; the first error of any of them."""
        self._work = list(work)
        self._errors = [None] * len(self._errors)
        for i in range(1, len(work)):
            self._go[i].release()
        self._do(0)
        for i in range(1, len(work)):
            self._done[i].acquire()
        for error in self._errors:
            if error is not None:
                raise error


# --------------------------------------------------------------------------------- a step
@dataclass(frozen=True)
class _Sum:
    """The sum of the shards from `index` 2^`level` on: their losses and their gradients."""

    level: int
    index: int
    loss: float
    gradient: Array

    def precedes(self, level: int, index: int) -> bool:
        """Is it the first of a pair whose second is this one?"""
        return (self.level, self.index + 1) == (level, index) and index % 2 == 1

    def with_next(self, loss: float) -> _Sum:
        """The pair's, once the second's gradient is added in the place of the first."""
        return _Sum(self.level + 1, self.index // 2, self.loss + loss, self.gradient)


class _Worker:
    """One thread's memory: buffers, vectors for gradients, and sums that wait."""

    def __init__(self, network: Network, first: Array) -> None:
        self.vectors = [first]
        self.free = [first]
        self.sums: list[_Sum] = []
        made, signature = network.module["buffers"], network.signature
        self.buffers = Buffers(made, signature, first.dtype, network.views(first))
        self.room = first[:0]  # for the parts of a gradient that is added to a sum
        self.pairs: dict[int, tuple[tuple[Array, Array], ...]] = {}

    def vector(self) -> Array:
        """Where the gradient of the next shard goes: of a run's first shard, `first`."""
        if not self.free:
            self.vectors.append(np.zeros_like(self.vectors[0]))
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

    def partner(self, index: int) -> _Sum | None:
        """The shard before, where it waits for this one."""
        waits = bool(self.sums) and self.sums[-1].precedes(0, index)
        return self.sums[-1] if waits else None

    def add(self, found: _Sum) -> None:
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


@dataclass(frozen=True)
class _Cut:
    """How a batch of certain shapes is cut: for each shard its slices of the rows."""

    shards: int
    rows: int
    sizes: Mapping[str, int]
    slices: tuple[slice, ...]


class _Sharded:
    """The step: see the module."""

    def __init__(
        self,
        network: Network,
        theta: Array,
        nabla: Array,
        parallel: Parallel,
    ) -> None:
        signature = network.signature
        self.network, self.nabla = network, nabla
        self.parallel = parallel
        self.row_dim: str = signature["shards"]["row_dim"]
        self.passes_rows: bool = signature["work"]["rows"]
        needs = signature["functions"]["forward"]
        self.leading: tuple[Any, ...] = (
            (network.views(theta),) if needs["params"] else ()
        )
        entries = [network.inputs[name] for name in needs["inputs"]]
        self.axes = [self._axis(entry["shape"]) for entry in entries]
        self.noise_axes = {
            entry["path"]: self._axis(entry["shape"])
            for entry in network.draws("forward")
        }
        self.random = bool(needs.get("noise"))
        self.cuts: dict[tuple[Any, ...], _Cut] = {}
        self.workers: list[_Worker] = []
        self.team: Team | None = None
        self.lock = threading.Lock()
        self.accumulation: Accumulation | None = None

    def _axis(self, shape: Sequence[Any]) -> int | None:
        """Where an array has the rows."""
        found = [i for i, dim in enumerate(shape) if self.row_dim in symbols(dim)]
        return found[0] if found else None

    def where_cut(self, arrays: Sequence[Array], noise: Noise | None) -> Step | None:
        """This step, for batches that are cut; those for which K is 1 go whole."""
        return self if self._cut(arrays, noise).shards > 1 else None

    def __call__(
        self,
        arrays: Sequence[Array],
        noise: Noise | None = None,
        d_loss: float = 1.0,
    ) -> float:
        cut = self._cut(arrays, noise)
        threads = min(self.parallel.threads, cut.shards)
        while len(self.workers) < threads:
            first = np.zeros_like(self.nabla) if self.workers else self.nabla
            self.workers.append(_Worker(self.network, first))
        if threads > 1 and self.team is None:
            self.team = Team(self.parallel.threads)
        share = [cut.shards * t // threads for t in range(threads + 1)]
        work = [
            self._run_of(self.workers[t], range(*share[t : t + 2]), cut, arrays, noise, d_loss)
            for t in range(threads)
        ]  # fmt: skip
        try:
            if self.team is None or threads == 1:
                work[0]()
            else:
                self.team.run(work)
            return self._gathered(threads)
        except IndexError as error:
            raise self.network.outside(error) from error
        finally:
            for worker in self.workers:
                worker.forget()

    def _cut(self, arrays: Sequence[Array], noise: Noise | None) -> _Cut:
        shapes = tuple([array.shape for array in arrays])
        found = self.cuts.get(shapes)
        if found is None:
            sizes = self.network.all_sizes(arrays, noise)
            rows = sizes[self.row_dim]
            shards = number_of_shards(self.network, sizes, self.parallel.shards)
            at = [rows * i // shards for i in range(shards + 1)]
            slices = tuple(slice(at[i], at[i + 1]) for i in range(shards))
            found = self.cuts[shapes] = _Cut(shards, rows, sizes, slices)
        return found

    def _run_of(
        self,
        worker: _Worker,
        shards: range,
        cut: _Cut,
        arrays: Sequence[Array],
        noise: Noise | None,
        d_loss: float,
    ) -> Callable[[], None]:
        """What one thread does: a run of shards, one after another."""

        def work() -> None:
            for i in shards:
                partner, own = worker.partner(i), cut.slices[i]
                into = partner.gradient if partner else worker.vector()
                loss = self._shard(
                    worker, into, own, cut, arrays, noise or {}, d_loss, bool(partner)
                )
                worker.add(_Sum(0, i, loss, into))

        return work

    def _shard(
        self,
        worker: _Worker,
        into: Array,
        own: slice,
        cut: _Cut,
        arrays: Sequence[Array],
        noise: Noise,
        d_loss: float,
        adding: bool,
    ) -> float:
        """Its loss; its gradient is written `into` a vector, or `adding` to what is there."""
        rows = own.stop - own.start
        parts = [_part(a, axis, own) for a, axis in zip(arrays, self.axes, strict=True)]
        drawn = (
            {p: _part(noise[p], axis, own) for p, axis in self.noise_axes.items()},
        )
        shapes = tuple([part.shape for part in parts])
        sizes = {**cut.sizes, self.row_dim: rows}
        key = (rows, shapes)
        if adding:
            added = self._added(worker, key, sizes)
            work = worker.work_in_parts(key, sizes, added)
        else:
            work = worker.work(key, sizes, into)
        whole = (cut.rows,) if self.passes_rows else ()
        loss, saved, *_ = self.network.module["forward"](
            *self.leading, *(drawn if self.random else ()), *parts, work, *whole
        )
        if adding:
            added.adding(saved, d_loss, work, worker.pairs_of(into, added))
        else:
            self.network.module["backward"](saved, d_loss, work)
        return float(loss)

    def _added(
        self, worker: _Worker, key: Hashable, sizes: Mapping[str, int]
    ) -> Accumulation:
        """How a gradient is added to another in parts: one for all workers."""
        with self.lock:
            if self.accumulation is None:
                own = worker.vectors[0]
                work = worker.work(key, sizes, own)
                self.accumulation = Accumulation(self.network, work, own)
            return self.accumulation

    def _gathered(self, threads: int) -> float:
        """The sums of the threads, paired up. The first shard of all was written into ∇, so
        that the last sum is there."""
        sums = [s for worker in self.workers[:threads] for s in worker.sums]
        joined = []
        while len(sums) > 1:
            pairs = [a.precedes(b.level, b.index) for a, b in pairwise(sums)]
            i = pairs.index(True)
            first, second = sums[i : i + 2]
            joined.append((first.gradient, second.gradient))
            sums[i : i + 2] = [first.with_next(second.loss)]
        self._add(joined, threads)
        return sums[0].loss

    def _add(self, pairs: Sequence[tuple[Array, Array]], threads: int) -> None:
        """The second of each pair to the first, in turn, on all threads where that pays."""
        size = self.nabla.size
        if len(pairs) * size < LEAST_ADDED or self.team is None:
            threads = 1

        def part(lo: int, hi: int) -> Callable[[], None]:
            def work() -> None:
                for a, b in pairs:
                    np.add(a[lo:hi], b[lo:hi], a[lo:hi])

            return work

        at = [size * t // threads for t in range(threads + 1)]
        work = [part(lo, hi) for lo, hi in pairwise(at)]
        if threads == 1 or self.team is None:
            work[0]()
        else:
            self.team.run(work)


def _part(array: Any, axis: int | None, rows: slice) -> Any:
    """A slice of the rows, where an array has any."""
    if axis is None:
        return array
    return array[(slice(None),) * axis + (rows,)]
