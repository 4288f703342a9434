"""Gradients that are added to a sum in parts: the bits of whole vectors, in less memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from gradc.accumulation import Accumulation
from gradc.buffers import Buffers
from gradc.execution import computing
from gradc.network import Network
from gradc.shards import Parallel, stepper

from .test_shards import PROGRAMS, SIZES, batch_of, network_of

DEEP = (
    "input x: [N, D]\nparam w: [D, D] = normal(0, 1)\nh = x @ w\n"
    "repeat 6 { h = tanh(dense(h, 32)) }\nloss = mean(dense(h, 1)^2)\n"
)


def made(text: str) -> tuple[Network, Any, Any, Any]:
    """A network, θ, a vector of 2 for what was there before, and buffers over it."""
    network = network_of(text)
    theta = network.bind({k: SIZES[k] for k in network.frozen}).init(0, np.float64)
    total = np.full_like(theta, 2)
    views = network.views(total)
    buffers = Buffers(network.module["buffers"], network.signature, theta.dtype, views)
    return network, theta, total, buffers


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_added_is_the_gradient(name: str) -> None:
    network, theta, total, buffers = made(PROGRAMS[name])
    arrays, noise = batch_of(network)
    expected = np.empty_like(theta)
    with computing():
        network.stepper(theta, expected, {})(arrays, noise)
        work, *rows = buffers.of(0, lambda: network.all_sizes(arrays, noise))
        parts = Accumulation(network, work, total)
        room = parts.room(theta.dtype)
        room.fill(np.nan)
        needs = network.signature["functions"]["forward"]
        given = [network.views(theta)] if needs["params"] else []
        given += [noise] if needs.get("noise") else []
        moved = parts.work(work, total, room)
        _, saved, *_ = network.module["forward"](*given, *arrays, moved, *rows)
        assert (total == 2).all()  # nothing but the sum is touched
        parts.adding(saved, 1.0, moved, parts.pairs(total, room))
    np.testing.assert_array_equal(total, expected + 2)


def test_parts_take_the_room_of_few_layers() -> None:
    network, theta, total, buffers = made(DEEP)
    arrays, noise = batch_of(network)
    work, *_ = buffers.of(0, lambda: network.all_sizes(arrays, noise))
    parts = Accumulation(network, work, total)
    assert parts.length < 0.5 * theta.size
    assert len(set(parts.starts)) < len(parts.starts)  # some take turns


def test_shards_of_one_thread_take_no_second_vector() -> None:
    network = network_of(DEEP.replace("32", "96"))
    arrays, noise = batch_of(network, 8)
    theta = network.bind({"D": SIZES["D"]}).init(0, np.float64)
    nabla = np.empty_like(theta)
    own = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    held = []
    for shards in (1, 2):
        tracemalloc.start()
        step = stepper(network, theta, nabla, {}, Parallel(1, shards))
        step(arrays, noise)
        found = tracemalloc.take_snapshot().filter_traces([own]).statistics("lineno")
        tracemalloc.stop()
        held.append(sum(s.size for s in found))
    assert held[1] - held[0] < 0.6 * theta.nbytes


def test_sizes_in_turn_lie_in_the_same_memory() -> None:
    """Shards of 3 and of 4 rows take no more than those of 4."""
    network = network_of(DEEP.replace("32", "8"))
    theta = network.bind({"D": SIZES["D"]}).init(0, np.float64)
    views = network.views(np.empty_like(theta))
    own = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    held = []
    for batches in ((400,), (300, 400), (300, 400, 300, 200)):
        buffers = Buffers(
            network.module["buffers"], network.signature, theta.dtype, views
        )
        tracemalloc.start()
        for n in batches:
            buffers.of(n, lambda n=n: {**network.sizes, "N": n})
        found = tracemalloc.take_snapshot().filter_traces([own]).statistics("lineno")
        tracemalloc.stop()
        held.append(sum(s.size for s in found))
    assert max(held) < 1.05 * held[0]
