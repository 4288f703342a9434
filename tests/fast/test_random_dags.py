"""Every random DAG of a run at `-O2`, against the reference interpreter: twice on the same
buffers, which are poisoned with NaN wherever nothing is read any more."""

from __future__ import annotations

import numpy as np
import pytest
from fast.running import Fast
from random_dags import program_of, random_dag
from reference import evaluate

from gradc.compiler import Options, driver
from gradc.compiler.autodiff.reverse import differentiate

RUN, PART = 300, 15


def agrees(seed: int) -> None:
    """One DAG: loss and gradients, to rounding."""
    dag = random_dag(seed)
    program = program_of(dag)
    joint = differentiate(program)
    assert joint.seed is not None
    at = {**dag.leaves, joint.seed: 1.0}
    want, *wanted = evaluate([dag.loss, *joint.gradients.values()], at, dag.sizes)
    module = Fast(driver.compile_program(program, Options(level=2, poison=True)))
    values = {p.path: dag.leaves[p.node] for p in program.params}
    values |= {i.name: dag.leaves[i.node] for i in program.inputs}
    work = module.buffers(dag.sizes) if module.work else None
    before = {n: np.array(v) for n, v in dag.leaves.items()}
    for _ in range(2):
        loss, found = module.step(values, work=work)
        assert abs(loss - want) <= 1e-12 * max(1, abs(want)), seed
        assert set(found) == set(joint.gradients)
        for path, value in zip(joint.gradients, wanted, strict=True):
            assert np.shape(found[path]) == np.shape(value), (seed, path)
            scale = max(1.0, float(np.max(np.abs(value), initial=0)))
            error = np.max(np.abs(found[path] - value), initial=0)
            assert error <= 1e-12 * scale, (seed, path)
    for n, v in dag.leaves.items():
        assert np.array_equal(v, before[n], equal_nan=True), (seed, "modified", n)


@pytest.mark.parametrize("start", range(0, RUN, PART))
def test_agrees(start: int) -> None:
    for seed in range(start, start + PART):
        agrees(seed)
