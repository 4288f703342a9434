"""Every random DAG of a run, emitted at every level, against the reference interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from random_dags import Dag, program_of, random_dag
from reference import STEP, evaluate

from gradc.compiler.autodiff.reverse import differentiate
from gradc.compiler.backend import guard, readable
from gradc.compiler.backend.schedule import schedule
from gradc.compiler.backend.signature import signature
from gradc.compiler.driver import Options
from gradc.compiler.ir.dims import Dim
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.program import Joint
from gradc.compiler.passes import run_passes

RUN, PART = 300, 15
LEVELS = (0, 1)


class Emitted:
    """A DAG as a module: checked by the guard, executed, and called with its leaves."""

    def __init__(self, dag: Dag, joint: Joint, options: Options) -> None:
        self.dag, self.program = dag, joint.program
        plan = schedule(run_passes(joint, options.level), options)
        self.text = readable.emit(plan, options)
        self.takes = signature(plan)["functions"]["forward"]
        self.scope: dict[str, Any] = {}
        exec(compile(guard.check(self.text), "<dag>", "exec"), self.scope)

    def forward(self, moved: dict[Any, Any] | None = None, dtype: Any = float) -> Any:
        at = {**self.dag.leaves, **(moved or {})}
        values = {
            n: v.astype(dtype) if v.dtype == float and v.dtype != dtype else v
            for n, v in at.items()
        }
        params = {p.path: values[p.node] for p in self.program.params}
        inputs = {i.name: values[i.node] for i in self.program.inputs}
        first = [params] if self.takes["params"] else []
        with np.errstate(all="ignore"):
            return self.scope["forward"](
                *first, *(inputs[k] for k in self.takes["inputs"])
            )

    def gradients(self, saved: Any, d_loss: float = 1.0) -> dict[str, Any]:
        with np.errstate(all="ignore"):
            found: dict[str, Any] = self.scope["backward"](saved, d_loss)
        return found


def arrays(values: Any) -> list[Any]:
    """Copies of the arrays among some values."""
    return [np.array(v) for v in values if isinstance(v, np.ndarray)]


@pytest.mark.parametrize("start", range(0, RUN, PART))
def test_emitted(start: int) -> None:
    for seed in range(start, start + PART):
        dag = random_dag(seed)
        joint = differentiate(program_of(dag))
        assert joint.seed is not None
        at = {**dag.leaves, joint.seed: 1.0}
        roots = [dag.loss, *joint.gradients.values()]
        want, *wanted = evaluate(roots, at, dag.sizes)
        given = arrays(dag.leaves.values())
        for level in LEVELS:
            module = Emitted(dag, joint, Options(level=level))
            loss, saved = module.forward()
            assert abs(loss - want) <= 1e-13 * max(1, abs(want)), (seed, level)
            kept = arrays(saved)
            doubled = module.gradients(saved, 2.0)
            found = module.gradients(saved)
            for a, b in zip(
                given + kept, arrays([*dag.leaves.values(), *saved]), strict=True
            ):
                assert np.array_equal(a, b, equal_nan=True), (seed, "modified")
            assert set(found) == set(joint.gradients)
            for path, value in zip(joint.gradients, wanted, strict=True):
                assert np.shape(found[path]) == np.shape(value), (seed, level, path)
                scale = max(1.0, float(np.max(np.abs(value), initial=0)))
                error = np.max(np.abs(found[path] - value), initial=0)
                assert error <= 1e-12 * scale, (seed, level, path)
                twice = np.max(np.abs(doubled[path] - 2 * value), initial=0)
                assert twice <= 2e-12 * scale, (seed, level, path)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(start, marks=[pytest.mark.more] if start >= RUN // 5 else [])
        for start in range(0, RUN, PART)
    ],
)
def test_complex_step_on_the_emitted_source(start: int) -> None:
    """The analytic form of the source gives its own gradients: this is what `check` does."""
    for seed in range(start, start + PART):
        dag = random_dag(2000 + seed)
        joint = differentiate(program_of(dag))
        level = seed % 2
        module = Emitted(dag, joint, Options(level=level))
        analytic = Emitted(dag, joint, Options(level=level, complex=True))
        rng = np.random.default_rng(seed)
        found = module.gradients(module.forward()[1])
        moved, slope = {}, 0.0
        for p in joint.program.params:
            along = rng.uniform(-1, 1, np.shape(dag.leaves[p.node]))
            moved[p.node] = dag.leaves[p.node] + 1j * STEP * along
            slope += float(np.sum(found[p.path] * along)) if p.path in found else 0.0
        stepped = np.imag(analytic.forward(moved)[0]) / STEP
        assert abs(stepped - slope) <= 1e-11 * max(1, abs(slope)), seed


def test_float32_stays_float32() -> None:
    for seed in range(3000, 3030):
        dag = random_dag(seed)
        module = Emitted(dag, differentiate(program_of(dag)), Options(level=seed % 2))
        loss, saved = module.forward(dtype=np.float32)
        assert np.asarray(loss).dtype == np.float32, seed
        for path, value in module.gradients(saved).items():
            # a gradient that is nothing but a number may be Python's own
            assert (value * np.float32(1)).dtype == np.float32, (seed, path)


def test_the_text_is_deterministic() -> None:
    texts = []
    for _ in range(2):
        dag = random_dag(11)
        joint = differentiate(program_of(dag))
        texts.append(Emitted(dag, joint, Options(level=1)).text)
    assert texts[0] == texts[1]


def test_backward_reads_what_no_value_of_forward_needs() -> None:
    """The sum of a row with one entry is that entry, wherever it was put."""
    graph = Graph()
    w = graph.leaf("param", "w", (Dim.of(3),))
    i = graph.leaf("input", "i", (Dim.of(3),), "int")
    row = graph.apply("sum", graph.apply("put", i, w, size=Dim.of(4)), axes=(1,))
    loss = graph.apply("sum", graph.apply("sin", row), axes=(0, 1))
    loss = graph.apply("reshape", loss, shape=())
    leaves = {w: np.array([1.0, 2.0, 3.0]), i: np.array([0, 3, 1])}
    dag = Dag(graph, loss, leaves, {})
    for level in LEVELS:
        module = Emitted(dag, differentiate(program_of(dag)), Options(level=level))
        found = module.gradients(module.forward()[1])
        assert np.allclose(found["w"], np.cos(leaves[w]), rtol=1e-15)
