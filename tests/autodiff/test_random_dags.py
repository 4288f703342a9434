"""300 random DAGs a run, their gradients by complex step through the reference."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import random_dags
from random_dags import NOT_DRAWN, random_dag
from reference import directional, evaluate

from gradc.compiler.autodiff.forward import forward
from gradc.compiler.autodiff.reverse import differentiate, grad, reverse
from gradc.compiler.ir.graph import topological
from gradc.compiler.ir.op import REGISTRY
from gradc.compiler.ir.verify import verify, verify_joint

RUN = 300
PART = 30


@pytest.mark.parametrize("start", range(0, RUN, PART))
def test_gradients(start: int) -> None:
    for seed in range(start, start + PART):
        check(seed)


def check(seed: int) -> None:
    dag = random_dag(seed)
    rng = np.random.default_rng(seed)
    size = len(dag.nodes)
    assert 5 <= size <= 60, seed
    sweep = reverse({dag.loss: dag.graph.const(1)}, dag.params)
    grads = [sweep.adjoints.get(p) or dag.graph.zero(p.shape) for p in dag.params]
    verify([dag.loss, *grads])
    # 30: of a few nodes with dear rules, as nested maxima, which share ties
    assert len(topological([dag.loss, *grads])) <= 6 * size + 30, seed
    values = evaluate(grads, dag.leaves, dag.sizes)
    for p, value in zip(dag.params, values, strict=True):
        along = rng.uniform(-1, 1, np.shape(dag.leaves[p]))
        want = directional(dag.loss, dag.leaves, {p: along}, dag.sizes)
        got = np.sum(value * along)
        scale = max(1.0, float(np.sum(np.abs(value * along))))
        assert abs(got - want) <= 1e-12 * scale, (seed, p, got, want)


@pytest.mark.parametrize("start", range(0, RUN, PART))
def test_second_order_and_forward_mode(start: int) -> None:
    """The gradient of <gradient, v>, by complex step; and v through forward mode."""
    for seed in range(start, start + PART):
        dag = random_dag(1000 + seed)
        rng = np.random.default_rng(seed)
        p = dag.params[0]
        slope = grad(dag.loss, p)
        v = dag.graph.leaf("input", "direction", p.shape)
        at = {**dag.leaves, v: rng.uniform(-1, 1, np.shape(dag.leaves[p]))}
        (tangent,) = forward([dag.loss], {p: v}).values()
        product = slope * v
        axes = tuple(range(len(p.shape)))
        if axes:
            product = dag.graph.apply("sum", product, axes=axes)
            product = dag.graph.apply("reshape", product, shape=())
        back = evaluate([product], at, dag.sizes)[0]
        ahead = 0.0 if tangent is None else evaluate([tangent], at, dag.sizes)[0]
        assert abs(back - ahead) <= 1e-12 * max(1, abs(back)), seed
        curve = grad(product, p)
        along = rng.uniform(-1, 1, np.shape(dag.leaves[p]))
        want = directional(product, at, {p: along}, dag.sizes)
        values = evaluate([curve], at, dag.sizes)[0] * along
        scale = max(1.0, float(np.sum(np.abs(values))))
        assert abs(np.sum(values) - want) <= 1e-11 * scale, seed


def test_every_op_occurs_often() -> None:
    seen: Counter[str] = Counter()
    for seed in range(RUN):
        seen.update(n.op.name for n in random_dag(seed).nodes)
    drawn = set(random_dags.OPS) | {"const", "input", "param"}
    assert {op: seen[op] for op in drawn if seen[op] < 20} == {}
    leaves = {op.name for op in REGISTRY.ops.values() if op.family == "leaf"}
    assert leaves - drawn - {"formal"} == set(NOT_DRAWN), "an exclusion has a reason"


def test_the_same_seed_is_the_same_dag() -> None:
    a, b = random_dag(5), random_dag(5)
    assert [repr(n) for n in a.nodes] == [repr(n) for n in b.nodes]


def test_as_programs() -> None:
    for seed in range(20):
        dag = random_dag(seed)
        joint = differentiate(random_dags.program_of(dag))
        verify_joint(joint)
        paths = {p.attrs["name"] for p in dag.params}
        assert set(joint.gradients) | set(joint.frozen) == paths
        for p in dag.params:
            assert joint.gradients.get(p.attrs["name"], None) is not None or (
                grad(dag.loss, p).op.name == "zero"
            )
