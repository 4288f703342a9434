"""Workers in processes of their own: what they read and write lies in memory that all see.

In: a batch, how it is cut, and the runs of shards that others compute. Out: their sums, as of
`workers.py`, after the caller has computed a run of its own.

    apart = Apart(task, theta, nabla)
    apart.begin(runs[1:], cut, arrays, noise, d_loss)
    own.run(runs[0], cut, arrays, noise, d_loss)
    sums = [*own.sums, *apart.finish()]

For each step θ is copied into that memory, and each worker's rows of the batch and of the
draws; gradients are written there and read there. What has another form than in the step
before, that is, which shards of which shapes, is sent as a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .buffers import LINE
from .records import record
from .teams import Fork, Lost, shared
from .workers import Cut, Sum, Task, Worker

if TYPE_CHECKING:
    from .network import Noise

Array = NDArray[Any]

WAITING = (
    5  # vectors of a worker: a run of 16 shards has sums of so many levels at once
)
SPARE = 4  # so many times the room of the first batch is kept free for others


@record
class _Place:
    """An array in the room of a worker: where, and what it is like."""

    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def of(self, room: Array) -> Array:
        return np.ndarray(self.shape, self.dtype, room, self.start)


@record
class _Message:
    """A run of shards, how the arrays in the room are cut, and where they are."""

    shards: range
    cut: Cut
    inputs: tuple[_Place, ...]
    draws: tuple[tuple[str, _Place], ...]


class Apart:
    """The processes, as many as there are runs."""

    def __init__(self, task: Task, theta: Array, nabla: Array) -> None:
        self._task, self._theta, self._nabla = task, theta, nabla
        self._shared = shared(theta.size, theta.dtype)
        self._processes: list[_Process] = []
        self._busy: list[_Process] = []

    def begin(
        self,
        runs: Sequence[range],
        cut: Cut,
        arrays: Sequence[Array],
        noise: Noise | None,
        d_loss: float,
    ) -> None:
        """Let each compute a run."""
        np.copyto(self._shared, self._theta)
        self._busy = []
        for t, shards in enumerate(runs):
            rows = slice(
                cut.slices[shards.start].start, cut.slices[shards.stop - 1].stop
            )
            inputs = self._task.parts(arrays, rows)
            draws = self._task.drawn(noise or {}, rows)
            needed = _bytes([*inputs, *draws.values()])
            if t == len(self._processes):
                self._processes.append(self._process(needed))
            elif needed > self._processes[t].room.size:
                self._processes[t] = self._process(needed)
            process = self._processes[t]
            process.begin(shards, cut, inputs, draws, d_loss)
            self._busy.append(process)

    def finish(self) -> list[Sum] | None:
        """The sums of all, in the order of the runs; None where somebody has killed one."""
        found: list[Sum] = []
        try:
            for process in self._busy:
                found += process.finish()
        except Lost:
            return None
        return found

    def _process(self, room: int) -> _Process:
        return _Process(self._task, self._shared, self._nabla, SPARE * room)


class _Process:
    """One of them, as the others see it."""

    def __init__(self, task: Task, theta: Array, nabla: Array, room: int) -> None:
        self.vectors = [shared(nabla.size, nabla.dtype) for _ in range(WAITING)]
        self.room = shared(room, np.uint8)
        self.d_loss = shared(1, np.float64)
        self.answer = shared(1 + 4 * WAITING, np.float64)
        self.told: tuple[Any, ...] = ()
        self.views: list[Array] = []
        self.fork = Fork(self._working(task, theta))

    # ------------------------------------------------------------------ in this process
    def begin(
        self,
        shards: range,
        cut: Cut,
        inputs: Sequence[Array],
        draws: Noise,
        d_loss: float,
    ) -> None:
        given = [*inputs, *draws.values()]
        form = (shards, cut, [(array.shape, array.dtype) for array in given])
        message = None
        if form != self.told:
            places = list(_places(given))
            self.told, self.views = form, [place.of(self.room) for place in places]
            message = _Message(
                shards,
                cut.part(shards),
                tuple(places[: len(inputs)]),
                tuple(zip(draws, places[len(inputs) :], strict=True)),
            )
        for view, array in zip(self.views, given, strict=True):
            np.copyto(view, array)
        self.d_loss[0] = d_loss
        self.fork.begin(message)

    def finish(self) -> Iterator[Sum]:
        self.fork.finish()
        count, *numbers = self.answer.tolist()
        for i in range(int(count)):
            level, index, loss, vector = numbers[4 * i : 4 * i + 4]
            yield Sum(int(level), int(index), loss, self.vectors[int(vector)])

    # ----------------------------------------------------------------------- in the fork
    def _working(self, task: Task, theta: Array) -> Callable[[_Message], None]:
        """What it does: the shards that it was told."""
        vectors, room, d_loss, answer = (
            self.vectors,
            self.room,
            self.d_loss,
            self.answer,
        )
        worker: Worker | None = None
        known: _Message | None = None
        arrays: list[Array] = []
        noise: dict[str, Array] = {}

        def work(message: _Message) -> None:
            nonlocal worker, known, arrays, noise
            if worker is None:
                worker = Worker(task, theta, vectors[0], iter(vectors[1:]).__next__)
            if message is not known:
                known = message
                arrays = [place.of(room) for place in message.inputs]
                noise = {path: place.of(room) for path, place in message.draws}
            worker.forget()
            worker.run(message.shards, message.cut, arrays, noise, float(d_loss[0]))
            found: list[float] = [len(worker.sums)]
            for s in worker.sums:
                (vector,) = [i for i, v in enumerate(vectors) if v is s.gradient]
                found += [s.level, s.index, s.loss, vector]
            answer[: len(found)] = found

        return work


def _places(arrays: Sequence[Array]) -> Iterator[_Place]:
    """One behind another, each on a line of its own."""
    start = 0
    for array in arrays:
        yield _Place(start, array.shape, array.dtype)
        start += -(-array.nbytes // LINE) * LINE


def _bytes(arrays: Sequence[Array]) -> int:
    """The room that they take."""
    return sum(-(-array.nbytes // LINE) * LINE for array in arrays)
