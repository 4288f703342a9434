"""Memory of a step at -O2, of every workload and every sample: planned, and as measured."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradc.cli.programs import load
from gradc.compiler import Options, compile_file
from gradc.compiler.explain.costs import planned_peak
from gradc.execution import computing
from gradc.points import choose_sizes, find_point
from gradc.sizes import bind

from .workloads import WORKLOADS

SAMPLES = Path(__file__).parent.parent / "samples"
SLACK = 64 * 1024
ROWS = {
    "N": 96,
    "P": 96,
    "B": 96,
    "T": 24,
}  # of the samples, where they have such sizes
UNTRAINED = ("01_chain", "02_derivatives")  # of single numbers
LARGE = ("W3", "W3-tanh", "W4-deep", "08_nanogpt")  # seconds each: pytest -m more


def cases() -> list[Any]:
    names = [*WORKLOADS]
    names += [p.stem for p in sorted(SAMPLES.glob("[01]*.net"))]
    return [
        pytest.param(name, marks=[pytest.mark.more] if name in LARGE else [])
        for name in names
        if name not in UNTRAINED
    ]


@pytest.mark.parametrize("name", cases())
def test_a_step_takes_what_is_planned(name: str) -> None:
    """Within 10 % and 64 KiB; the steps that follow make no array of any size."""
    work = WORKLOADS.get(name)
    path = work.path if work else SAMPLES / f"{name}.net"
    constants = work.constants if work else {}
    compiled = compile_file(path, Options(level=2, overrides=constants))
    plan = compiled.signature["work"]
    if plan is None:
        pytest.fail("nothing is planned") if name != "W8" else None
        return
    network = load(compiled)
    if work:
        shapes = {k: v.shape for k, v in work.data(np.random.default_rng(0)).items()}
        sizes = bind(network.signature, shapes, {})
    else:
        given = {k: v for k, v in ROWS.items() if k in network.signature["sizes"]}
        sizes = choose_sizes(network.signature, given)
    network.bind(sizes)
    point = find_point(network, sizes, seed=0)
    assert point is not None
    theta = point.theta.astype(np.float32)
    arrays, noise = single(point.arrays), single(point.noise)
    state = single(point.state)
    nabla = np.zeros_like(theta)

    def step(stepper: Any) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        stepper(arrays, noise)
        return tracemalloc.get_traced_memory()[1] - before

    network.stepper(theta, nabla, state)(arrays, noise)  # what is loaded once
    tracemalloc.start()
    try:
        stepper = network.stepper(theta, nabla, state)
        with computing():
            first, again = step(stepper), step(stepper)
    finally:
        tracemalloc.stop()
    planned = planned_peak(plan, sizes, 4) - theta.nbytes  # nabla was there before
    assert abs(first - planned) <= 0.1 * planned + SLACK, (first, planned)
    assert again < SLACK, again


def single(values: Any) -> Any:
    """Arrays in the precision of a training."""
    if isinstance(values, dict):
        return {k: single(v) for k, v in values.items()}
    return (
        [single(v) for v in values]
        if isinstance(values, list | tuple)
        else (values.astype(np.float32) if values.dtype.kind == "f" else values)
    )
