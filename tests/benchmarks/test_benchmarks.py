"""The benchmark's contenders agree, and its tables say what was measured.

How fast they are is no test: `python -m tests.benchmarks` measures it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import contenders, worker, workloads
from benchmarks.__main__ import Entry, machine, table
from benchmarks.workloads import MAIN, WORKLOADS, Workload, prepare


@pytest.mark.parametrize("work", WORKLOADS.values(), ids=lambda work: work.name)
def test_what_is_written_by_hand_agrees_with_what_is_generated(work: Workload) -> None:
    start, data = prepare(work)
    rows = max(4, *(blocks * threads for blocks, threads in work.slices))
    data = {k: v[:rows] if v.ndim else v for k, v in data.items()}
    step, values = contenders.find("gradc -O1")(work, start, data, "float64")
    loss, expected = worker.gradient(step, values, work.lr)
    ways = [n for n in contenders.names(work) if n.startswith(("numpy", "python"))]
    for name in ways[:: max(1, len(ways) - 1)]:  # the whole batch, and the most cut
        step, values = contenders.find(name)(work, start, data, "float64")
        found, gradient = worker.gradient(step, values, work.lr)
        assert found == pytest.approx(loss, rel=1e-12)
        assert gradient.keys() == expected.keys()
        for path, g in expected.items():
            apart = np.abs(gradient[path] - g).max() / np.abs(g).max()
            assert apart < 1e-8, (name, path)


def test_an_error_function_by_hand_is_good_to_single_precision() -> None:
    work = WORKLOADS["W7-library"]
    start, data = prepare(work)
    data = {k: v[:2] for k, v in data.items()}
    found = []
    for dtype in ("float64", "float32"):
        step, values = contenders.find("numpy 1x1")(work, start, data, dtype)
        found.append(worker.gradient(step, values, work.lr))
    (loss, expected), (single, gradient) = found
    assert single == pytest.approx(loss, rel=1e-6)
    for path, g in expected.items():
        assert np.abs(gradient[path] - g).max() < 1e-5 * max(1, np.abs(g).max()), path


def test_a_worker_answers(tmp_path: Path) -> None:
    start, data = prepare(WORKLOADS["W1"])
    file = tmp_path / "start.npz"
    entries = {f"p/{k}": v for k, v in start.items()}
    np.savez(file, **entries, **{f"d/{k}": v for k, v in data.items()})
    out = io.StringIO()
    worker.serve("check", "W1", "gradc -O1", str(file), out)
    found = json.loads(out.getvalue())
    with np.load(found["file"]) as gradients:
        assert set(gradients.files) == set(start)
    Path(found["file"]).unlink()
    out = io.StringIO()
    worker.serve("check", "W1", "nobody", str(file), out)
    assert json.loads(out.getvalue()) == {"error": "KeyError: 'nobody'"}


def test_every_program_is_of_a_workload_and_formatted() -> None:
    from gradc.compiler.frontend.format import format_source
    from gradc.compiler.source import Source

    nets = sorted(workloads.NETS.glob("*.net"))
    assert {work.net for work in WORKLOADS.values()} == {file.name for file in nets}
    for file in nets:
        text = file.read_text()
        assert format_source(Source.from_text(file.name, text)) == text


def test_a_table_has_ratios_to_the_fastest_by_hand() -> None:
    fast = Entry("numpy 1x1", medians=[2e-3, 1e-3, 3e-3], least=[1e-3], foreign=[0.0])
    ours = Entry("gradc -O1", medians=[4e-3], least=[3e-3], foreign=[0.5])
    gone = Entry("jax", note="left out: No module named 'jax'")
    text = table(WORKLOADS[MAIN[0]], [gone, ours, fast])
    assert "| numpy 1x1 | 2 ms | 1.00 | 1 ms | 1.00 |" in text
    assert "| **gradc -O1** | 4 ms | 2.00 | 3 ms | 3.00 |" in text
    assert text.index("numpy") < text.index("gradc") and "jax: left out" in text
    assert "cores of" in machine()
