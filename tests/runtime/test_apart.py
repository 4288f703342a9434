"""Shards in processes: the bits of threads, whatever comes, and no process that is left over."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from typing import Any

import numpy as np
import pytest

from gradc.errors import DataError
from gradc.network import Network
from gradc.shards import Parallel, stepper
from gradc.teams import Fork, may_fork, shared

from .test_shards import PROGRAMS, batch_of, network_of, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked")


def stepping(network: Network, parallel: Parallel) -> tuple[Any, Any, Any]:
    """A step, θ, and ∇."""
    theta = network.init(seed=0, dtype=np.float64)
    nabla = np.zeros_like(theta)
    return stepper(network, theta, nabla, {}, parallel), theta, nabla


def children() -> list[Any]:
    """The processes that this one has made."""
    gc.collect()
    return multiprocessing.active_children()


@pytest.mark.parametrize("name", ["dropout", "recurrent", "shared input"])
def test_processes_compute_the_same_bits(name: str) -> None:
    network = network_of(PROGRAMS[name])
    for threads, cut in ((2, 2), (2, 8), (3, 8)):
        loss, nabla = run(network, Parallel(threads, cut, apart=False))
        found, bits = run(network, Parallel(threads, cut, apart=True))
        assert found == loss and np.array_equal(bits, nabla), (threads, cut)
    assert not children()  # a step that nobody has any more takes them with it


def test_parameters_rates_and_sizes_in_turn() -> None:
    """The memory of a process is made for a batch, and again where one is far larger."""
    network = network_of(PROGRAMS["recurrent"])
    steps = [stepping(network, Parallel(2, 4, apart)) for apart in (False, True)]
    begun = []
    for rows, rate in (
        (5, 1.0),
        (5, 0.5),
        (1, 0.5),
        (400, 0.5),
        (13, 0.25),
        (400, 2.0),
    ):
        arrays, _ = batch_of(network, rows)
        losses = []
        for step, theta, nabla in steps:
            losses.append(step(arrays, None, rate))
            theta -= nabla
        assert losses[0] == losses[1]
        assert np.array_equal(steps[0][1], steps[1][1])
        begun.append([child.pid for child in children()])
    assert all(len(found) == 1 for found in begun[:2] + begun[3:])
    assert begun[1] == begun[2] != begun[3] == begun[5]


def test_an_error_of_a_process_is_an_error_of_the_step() -> None:
    network = network_of("input i: int[N]\nparam E: [4] = 1\nloss = mean(E[2 * i])\n")
    step, _, nabla = stepping(network, Parallel(2, 2, apart=True))
    with pytest.raises(DataError, match="index that lies outside"):
        step([np.array([0, 1, 0, 9])])
    assert step([np.array([0, 1, 0, 1])]) == 1 and nabla.sum() == 1  # it goes on
    assert len(children()) == 1


def test_threads_go_on_where_a_process_is_killed() -> None:
    network = network_of(PROGRAMS["mean"])
    arrays, _ = batch_of(network)
    step, _, nabla = stepping(network, Parallel(2, 4, apart=True))
    loss, before = step(arrays), nabla.copy()
    (child,) = children()
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    for _ in range(2):
        nabla.fill(np.nan)
        assert step(arrays) == loss and np.array_equal(nabla, before)
    assert not children()


def test_whoever_has_threads_is_not_forked() -> None:
    """A lock that another thread holds would be held in the fork for ever."""
    held = threading.Event()
    other = threading.Thread(target=held.wait)
    other.start()
    try:
        assert not may_fork()
    finally:
        held.set()
        other.join()


class Odd(Exception):
    """It cannot be made of its arguments, and so not be sent."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize(
    ("error", "kind"), [(KeyError("x"), KeyError), (Odd(1, 2), RuntimeError)]
)
def test_errors_come_back(error: Exception, kind: type[Exception]) -> None:
    seen = shared(1, np.int64)

    def work(message: Exception | int) -> None:
        seen[0] += 1
        if isinstance(message, Exception):
            raise message
        if message == 2:
            raise error

    fork = Fork(work)
    fork.begin(2)
    with pytest.raises(kind, match="x" if kind is KeyError else "Odd: 1 and 2"):
        fork.finish()
    fork.begin(3)
    fork.finish()
    fork.begin()
    fork.finish()
    assert seen[0] == 3
