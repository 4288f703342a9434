"""What the hand-written programs share: one θ, memory that is used again, a team of threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Run = Callable[[], Any]


def flat(parameters: Mapping[str, Array], dtype: Any) -> tuple[Array, dict[str, Array]]:
    """One vector with all parameters, and the views of it by name."""
    theta = np.empty(sum(p.size for p in parameters.values()), dtype)
    views, start = {}, 0
    for name, p in parameters.items():
        views[name] = theta[start : start + p.size].reshape(p.shape)
        views[name][...] = p
        start += p.size
    return theta, views


class Arena:
    """Arrays by name: the slices that one thread works through in turn share them."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.arrays: dict[tuple[Any, ...], Array] = {}

    def __call__(self, name: str, *shape: int) -> Array:
        key = (name, *shape)
        if key not in self.arrays:
            self.arrays[key] = np.empty(shape, self.dtype)
        return self.arrays[key]

    def full(self, value: float, *shape: int) -> Array:
        """An array of one value, which nobody writes into; of no axes: a fast scalar."""
        key = ("full", value, *shape)
        if key not in self.arrays:
            self.arrays[key] = np.full(shape, value, self.dtype)
        return self.arrays[key]


class Team:
    """The caller and threads - 1 helpers that sleep until there is work."""

    def __init__(self, threads: int) -> None:
        self.work: list[Run] = [lambda: None] * threads
        self.go = [threading.Lock() for _ in range(threads)]
        self.done = [threading.Lock() for _ in range(threads)]
        for i in range(1, threads):
            self.go[i].acquire()
            self.done[i].acquire()
            threading.Thread(target=self._serve, args=(i,), daemon=True).start()

    def _serve(self, i: int) -> None:
        while True:
            self.go[i].acquire()
            self.work[i]()
            self.done[i].release()

    def run(self, work: list[Run]) -> None:
        self.work = work
        for lock in self.go[1:]:
            lock.release()
        work[0]()
        for lock in self.done[1:]:
            lock.acquire()


def build(
    program: Callable[..., Run],
    parameters: Mapping[str, Array],
    data: Mapping[str, Array],
    lr: float,
    dtype: Any,
    options: Mapping[str, Any],
    blocks: int = 1,
    threads: int = 1,
) -> tuple[Callable[[], float], dict[str, Array]]:
    """A step over the batch in blocks * threads slices, and the parameters it changes."""
    theta, P = flat(parameters, dtype)
    rows = len(next(iter(data.values())))
    cuts = np.linspace(0, rows, blocks * threads + 1).astype(int)
    totals, jobs = [], []
    losses = [0.0] * threads
    for t in range(threads):
        total, sums = flat(parameters, dtype)
        part, gradients = flat(parameters, dtype) if blocks > 1 else (total, sums)
        arena = Arena(dtype)
        runs = []
        for b in range(blocks):
            rows_of = slice(cuts[t * blocks + b], cuts[t * blocks + b + 1])
            own = {k: v[rows_of] for k, v in data.items()}
            into = gradients if b else sums
            runs.append(program(P, into, own, rows, lr, arena, options))
        totals.append(total)
        jobs.append(_job(runs, total, part, losses, t))
    subtract = np.subtract
    if threads == 1:
        job, total = jobs[0], totals[0]

        def alone() -> float:
            job()
            subtract(theta, total, theta)
            return losses[0]

        return alone, P
    team = Team(threads)
    at = np.linspace(0, theta.size, threads + 1).astype(int)
    updates = [
        _update(theta[lo:hi], [g[lo:hi] for g in totals])
        for lo, hi in itertools.pairwise(at)
    ]

    def together() -> float:
        team.run(jobs)
        team.run(updates)
        return sum(losses)

    return together, P


def _job(runs: list[Run], total: Array, part: Array, losses: list[Any], t: int) -> Run:
    """One thread's slices, one after another, their gradients added up."""
    if len(runs) == 1:
        (only,) = runs

        def single() -> None:
            losses[t] = only()

        return single

    def several() -> None:
        loss = runs[0]()
        for run in runs[1:]:
            loss += run()
            np.add(total, part, total)
        losses[t] = loss

    return several


def _update(theta: Array, gradients: list[Array], piece: int = 65536) -> Run:
    """θ minus the threads' gradients, in pieces that stay in the cache."""
    cuts = range(0, theta.size, piece)
    pieces = [
        (theta[i : i + piece], [g[i : i + piece] for g in gradients]) for i in cuts
    ]
    subtract = np.subtract

    def update() -> None:
        for part, terms in pieces:
            for g in terms:
                subtract(part, g, part)

    return update
