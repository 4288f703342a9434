"""A training step in shards: slices of a batch, computed side by side, added up by a tree.

In: a network whose loss is proved to be a sum over rows of a row's own term (its module, of
-O2, takes the rows of the whole batch as an argument). Out: a `Step` as of `Network.stepper`.

A batch is cut into K slices, and K follows from the sizes alone. Each slice is a call of
`forward` and `backward`, with BLAS on one thread; their gradients are added in pairs, those
sums in pairs again. How many threads there are decides who computes a slice and nothing
else: the bits of a run are the same for 1, 2 and 16 of them. Where that can be and pays, all
threads but the first are processes (`apart.py`), which no lock of Python holds up.

    step = stepper(network, theta, nabla, {}, Parallel(threads=2))
    loss = step(arrays, noise)                     # fills ∇

Slices of one thread share their buffers (`workers.py`), so K decides the memory of a step as
well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .network import Network, Noise, State, Step
from .records import record
from .sizes import evaluate
from .workers import Cut, Sum, Task, Worker

if TYPE_CHECKING:
    from .apart import Apart
    from .teams import Team

Array = NDArray[Any]

MOST = 16  # shards
LEAST_SECONDS = 1e-3  # of a shard: handing it to a thread takes a twentieth of that
LEAST_OF_TWO = 0.5e-3  # of one of two: no other cut gains as much as the first
LEAST_ADDED = 1 << 18  # numbers: fewer are added by one thread
LEAST_ROWS = 256  # of a shard's products: adding a gradient costs what 7 to 16 rows do
LARGE = 1 << 21  # numbers in the buffers of a shard that is cut again, to save memory
FEWEST_ROWS = 128  # as long as they have so many rows
ROWS_OF_TWO = 120  # of one of two: half a batch of 256, less what biases count for
# What the rule counts with, on every machine: K is a matter of the program and the batch.
PRODUCTS = 80e9  # operations of a product of matrices a second
BYTES = 10e9  # of memory a second
TOUCHED = 12  # bytes for each element of elementwise work
HANDED_OVER = 1e-6  # seconds a call: two threads hand Python's lock over, twice


@record
class Parallel:
    """How a step is shared out: `shards` of 0 are as many as the sizes say. Of the threads all
    but the first are processes if `apart`; None: where that can be and pays."""

    threads: int = 1
    shards: int = 0
    apart: bool | None = None


def number_of_shards(network: Network, sizes: Mapping[str, int], asked: int = 0) -> int:
    """K for a batch of these sizes: a power of two, 1 where rows mix.

    The largest for which each shard

    * takes a millisecond,
    * has 256 rows in the mean of its products: rows of the batch, or of all steps or places
      where weights are shared by them,
    * has the `least_rows` of the batch that its program has use for (images, which lie with the
      batch last, and recurrences);

    or two, if each has half of that. Of shards with large buffers there are twice as many, and
    again, down to 128 rows.
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
    fewest = plan.get("least_rows", 1)
    most = min(
        rows,
        _parts(rows, fewest, fewest / 2),
        _parts(seconds, LEAST_SECONDS, LEAST_OF_TWO),
    )
    count = _power(min(most, _parts(average, LEAST_ROWS, ROWS_OF_TWO)))
    least = _power(min(most, average / FEWEST_ROWS))
    while count < least and _numbers(network, sizes, count) > LARGE:
        count *= 2
    return count


def _parts(whole: float, least: float, of_two: float) -> float:
    """How many parts have so much each; or two, if those have `of_two`."""
    return max(whole / least, min(whole / of_two, 2))


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


# --------------------------------------------------------------------------------- a step
class _Sharded:
    """The step: see the module."""

    def __init__(
        self,
        network: Network,
        theta: Array,
        nabla: Array,
        parallel: Parallel,
    ) -> None:
        self.network, self.theta, self.nabla = network, theta, nabla
        self.parallel, self.task = parallel, Task(network)
        self.cuts: dict[tuple[Any, ...], Cut] = {}
        self.workers: list[Worker] = []
        self.team: Team | None = None
        self.apart: Apart | None = None
        self.apart_pays = parallel.apart  # None: nobody has asked yet

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
        runs = [
            range(cut.shards * t // threads, cut.shards * (t + 1) // threads)
            for t in range(threads)
        ]
        try:
            if threads > 1 and self._pays_apart(cut, arrays):
                loss = self._by_processes(runs, cut, arrays, noise, d_loss)
                if loss is not None:
                    return loss
            return self._by_threads(runs, cut, arrays, noise, d_loss)
        except IndexError as error:
            raise self.network.outside(error) from error
        finally:
            for worker in self.workers:
                worker.forget()

    def _cut(self, arrays: Sequence[Array], noise: Noise | None) -> Cut:
        shapes = tuple([array.shape for array in arrays])
        found = self.cuts.get(shapes)
        if found is None:
            sizes = self.network.all_sizes(arrays, noise)
            rows = sizes[self.task.row_dim]
            shards = number_of_shards(self.network, sizes, self.parallel.shards)
            at = [rows * i // shards for i in range(shards + 1)]
            slices = tuple(slice(at[i], at[i + 1]) for i in range(shards))
            found = self.cuts[shapes] = Cut(shards, rows, sizes, slices)
        return found

    def _worker(self, t: int) -> Worker:
        """Of this process; the first writes into ∇."""
        while t >= len(self.workers):
            first = np.zeros_like(self.nabla) if self.workers else self.nabla
            more = partial(np.zeros_like, self.nabla)
            self.workers.append(Worker(self.task, self.theta, first, more))
        return self.workers[t]

    def _by_threads(
        self,
        runs: Sequence[range],
        cut: Cut,
        arrays: Sequence[Array],
        noise: Noise | None,
        d_loss: float,
    ) -> float:
        workers = [self._worker(t) for t in range(len(runs))]
        work = [
            partial(worker.run, shards, cut, arrays, noise, d_loss)
            for worker, shards in zip(workers, runs, strict=True)
        ]
        self._all(work)
        return self._gathered([s for worker in workers for s in worker.sums])

    def _pays_apart(self, cut: Cut, arrays: Sequence[Array]) -> bool:
        """Do processes compute the shards? Where they can be, and copying θ and a batch for
        them takes less time than threads take to hand Python's lock over."""
        if self.apart_pays is None:
            from .teams import may_fork

            threads = min(self.parallel.threads, cut.shards)
            inputs = sum(array.nbytes for array in arrays)
            copied = self.theta.nbytes + inputs * (threads - 1) / threads
            calls = self._worker(0).calls(cut, arrays) * cut.shards / threads
            self.apart_pays = copied / BYTES < calls * HANDED_OVER and may_fork()
        return self.apart_pays

    def _by_processes(
        self,
        runs: Sequence[range],
        cut: Cut,
        arrays: Sequence[Array],
        noise: Noise | None,
        d_loss: float,
    ) -> float | None:
        """The loss; None where somebody has killed a process. Then threads do the step again,
        and go on, to the same bits."""
        if self.apart is None:
            from .apart import Apart

            self.apart = Apart(self.task, self.theta, self.nabla)
        own, others = self._worker(0), None
        try:
            self.apart.begin(runs[1:], cut, arrays, noise, d_loss)
            own.run(runs[0], cut, arrays, noise, d_loss)
            others = self.apart.finish()
        finally:
            if others is None:  # who is in the midst of the step is not asked any more
                self.apart = None
        if others is None:
            self.apart_pays = False
            own.forget()
            return None
        return self._gathered([*own.sums, *others])

    def _gathered(self, sums: list[Sum]) -> float:
        """The sums of the workers, paired up. The first shard of all was written into ∇, so
        that the last sum is there."""
        joined = []
        while len(sums) > 1:
            pairs = [a.precedes(b.level, b.index) for a, b in pairwise(sums)]
            i = pairs.index(True)
            first, second = sums[i : i + 2]
            joined.append((first.gradient, second.gradient))
            sums[i : i + 2] = [first.with_next(second.loss)]
        self._add(joined)
        return sums[0].loss

    def _add(self, pairs: Sequence[tuple[Array, Array]]) -> None:
        """The second of each pair to the first, in turn, on all threads where that pays."""
        size = self.nabla.size
        few = len(pairs) * size < LEAST_ADDED
        threads = 1 if few else self.parallel.threads

        def part(lo: int, hi: int) -> Callable[[], None]:
            def work() -> None:
                for a, b in pairs:
                    np.add(a[lo:hi], b[lo:hi], a[lo:hi])

            return work

        at = [size * t // threads for t in range(threads + 1)]
        self._all([part(lo, hi) for lo, hi in pairwise(at)])

    def _all(self, work: Sequence[Callable[[], None]]) -> None:
        """Each piece of work on a thread."""
        if len(work) == 1:
            work[0]()
            return
        if self.team is None:
            from .teams import Team

            self.team = Team(self.parallel.threads)
        self.team.run(work)
