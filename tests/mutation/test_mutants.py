"""Every rule, broken in every way: the check of the op table must notice each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import optable
import pytest
from reference import evaluate

sys.path.insert(0, str(Path(__file__).parent))
from mutants import Mutant, installed, mutants

from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.op import Op

OPS = optable.DIFFERENTIABLE


def caught(mutant: Mutant, orders: tuple[int, ...] = (1, 3)) -> bool:
    """Does the check fail? The smallest cases last, the points first: they fail soonest."""
    op = mutant.op
    with installed(mutant):
        checks: list[Callable[[], None]] = []
        if op.family == "elementwise":
            checks.append(lambda: optable.check_points(op, 1))
        cases = sorted(optable.cases(op), key=lambda c: -len(c.shapes[0]))
        for order in orders:
            checks += [partial(optable.check_case, op, case, order) for case in cases]
        for check in checks:
            try:
                check()
            except (AssertionError, ValueError):
                return True
    return False


@pytest.mark.parametrize("op", OPS, ids=[op.name for op in OPS])
def test_all_mutants_are_caught(op: Op) -> None:
    made = list(mutants(op))
    assert len(made) >= 3
    alive = [m.name for m in made if not caught(m)]
    assert alive == []


def test_the_originals_pass() -> None:
    """A check that fails always would catch every mutant too."""
    for op in OPS:
        assert not caught(Mutant(op.name, op), (1,)), op


def test_a_mutant_is_really_used() -> None:
    op = next(op for op in OPS if op.name == "tanh")
    mutant = next(m for m in mutants(op) if m.name == "tanh.sign.0")
    with installed(mutant):
        graph = Graph()
        x = graph.leaf("param", "x", ())
        slope = evaluate([grad(graph.apply("tanh", x), x)], {x: np.float64(0.0)})[0]
    assert slope == -1
