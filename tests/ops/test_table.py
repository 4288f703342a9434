"""The op table: every record's derivatives, of first to third order, by complex step."""

from __future__ import annotations

import numpy as np
import optable
import pytest
from reference import evaluate

from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.op import REGISTRY, Op

IDS = [op.name for op in optable.PRIMITIVES]


@pytest.mark.parametrize("op", optable.PRIMITIVES, ids=IDS)
def test_derivatives(op: Op) -> None:
    optable.check_op(op, orders=3)


@pytest.mark.parametrize("op", optable.PRIMITIVES, ids=IDS)
def test_the_record_is_complete(op: Op) -> None:
    assert op.numpy is not None and op.text is not None and op.latex is not None
    assert op.result.isidentifier(), "a value needs a name when nothing else names it"
    assert (op.vjp is None) == (op.jvp is None)
    assert op.family in ("elementwise", "linear", "special", "discrete")
    if op.samples.excluded:
        assert ":" in op.samples.excluded, "what is excluded, and why"


def test_every_op_of_the_contract_exists() -> None:
    names = """input param state noise seed const size zero iota add sub mul div neg exp expm1
        log log1p sin cos tanh sigmoid softplus log_softplus sqrt erf abs sign floor pow power
        maximum minimum where lt le eq and or not cast stop xlogy sum max logsumexp softmax
        any all argmax cumsum argsort broadcast reshape transpose slice unslice concat take
        scatter_add pick put one_hot take_along put_along einsum2"""
    assert set(names.split()) <= set(REGISTRY.ops)
    tested = {op.name for op in optable.PRIMITIVES}
    leaves = {op.name for op in REGISTRY.ops.values() if op.family == "leaf"}
    assert set(names.split()) <= tested | leaves


SMOOTH = [
    op
    for op in optable.DIFFERENTIABLE
    if op.family == "elementwise" and op.name not in ("where", "cast")
]


@pytest.mark.parametrize("op", SMOOTH, ids=[op.name for op in SMOOTH])
def test_central_differences(op: Op) -> None:
    """The complex step and the rules could share a mistake; differences share none."""
    rng = optable.rng_for(op.name, "central")
    for attrs in op.samples.attrs:
        arrays = [optable.draw(r, (20,), rng) for r in op.samples.args]
        arrays = optable.apart(op, arrays, rng)
        graph = Graph()
        xs = optable.leaves(graph, op, arrays, op.samples.args)
        y = graph.apply(op.name, *xs, **attrs)
        at = dict(zip(xs, arrays, strict=True))
        for x, value in zip(xs, arrays, strict=True):
            h = 2.0**-17 * np.maximum(0.1, np.abs(value))
            up = evaluate([y], {**at, x: value + h})[0]
            down = evaluate([y], {**at, x: value - h})[0]
            slope = evaluate([grad(y, x)], at)[0]
            error = np.abs((up - down) / (2 * h) - slope)
            size = np.maximum(1, np.abs(slope)) + np.abs(up)
            assert np.max(error / size) < 1e-6, (op.name, attrs)
