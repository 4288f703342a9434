"""The memory of a training: planned as it is measured, and refused where there is not so much."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import gradc
from gradc import memory
from gradc.compiler import Options, compile_file
from gradc.data import load
from gradc.errors import ResourceError
from gradc.memory import Need, Tensor, available, refuse, shown
from gradc.settings import Settings
from gradc.shards import Parallel
from gradc.trainer import Trainer

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def trainer(path: Path, **settings: Any) -> Trainer:
    compiled = compile_file(path, Options(level=settings.pop("level", 1)))
    network = gradc.Network(compiled.source, compiled.signature)
    chosen = Settings.of(compiled.signature, **settings)
    return Trainer(network, load(compiled.signature, chosen, path.parent), chosen)


@pytest.mark.parametrize(("level", "low", "high"), [(1, 0.9, 1.5), (2, 0.8, 2.0)])
def test_the_plan_is_what_a_step_takes(level: int, low: float, high: float) -> None:
    made = trainer(EXAMPLES / "digits" / "digits.net", level=level)
    names = made.network.signature["functions"]["forward"]["inputs"]
    arrays, _ = next(made.data.train.batches(names, 0, 0, made.settings.batch_of))
    assert made.theta is not None
    tracemalloc.start()
    try:
        step = made.network.stepper(made.theta, made._nabla, made.state)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step(arrays, {})
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert low < made.memory.step / peak < high


def test_shards_of_a_thread_share_what_is_planned() -> None:
    path = EXAMPLES / "digits" / "digits.net"
    compiled = compile_file(path, Options(level=2))
    network = gradc.Network(compiled.source, compiled.signature)
    chosen = Settings.of(compiled.signature)
    data = load(compiled.signature, chosen, path.parent)
    whole, cut, threads = (
        Trainer(network, data, chosen, parallel=p).memory.step
        for p in (Parallel(1, 1), Parallel(1, 4), Parallel(4, 4))
    )
    vector = network.size * 4
    assert whole - vector < 4.1 * (cut - 3 * vector)
    assert cut < whole + 2 * vector
    assert threads == 4 * (cut - 2 * vector) + vector  # a copy of θ, for processes


def test_too_little_is_refused_with_the_largest_tensors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available", lambda: (2**20, "left to this container"))
    with pytest.raises(ResourceError) as caught:
        trainer(EXAMPLES / "digits" / "digits.net")
    said = str(caught.value).splitlines()
    assert said[0] == (
        "training digits.net takes about 2.0 MiB of memory, and 1.0 MiB are left to "
        "this container"
    )
    assert said[1].startswith(
        "  360.0 KiB  [360, 256]  2 of them  "
        "h = (x / 8 - 1) |> dense(hidden, relu, init = he())  digits.net:"
    )
    assert len(said) == 5 and said[4] == "  try a smaller batch:  --set train.batch=…"
    assert caught.value.exit_code == 7


def test_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control group of 1 GiB of which a part is in use counts as what is left of it."""
    (tmp_path / "most").write_text(f"{2**30}\n")
    (tmp_path / "used").write_text(f"{2**28}\n")
    pair = (str(tmp_path / "most"), str(tmp_path / "used"))
    monkeypatch.setattr(memory, "_CGROUPS", (pair,))
    assert available() == (2**30 - 2**28, "left to this container")
    (tmp_path / "most").write_text("max\n")
    free, whose = available()
    assert free is not None and whose != "left to this container"
    need = Need(2**62, 0, 0, (Tensor("h = x", 3, (5,), 20),))
    with pytest.raises(ResourceError, match=r"20 B  \[5\]  h = x  a.net:3"):
        refuse(need, "a.net")
    refuse(Need(1, 1, 1, ()), "a.net")
    assert [shown(n) for n in (5, 2048, 3 * 2**30)] == ["5 B", "2.0 KiB", "3.0 GiB"]


def test_a_process_with_a_limit_says_so_and_is_not_killed(tmp_path: Path) -> None:
    """ulimit -v: refused by the plan, before the first step and without a run folder."""
    (tmp_path / "big.net").write_text(
        "input x: [N, 2]\nh = x |> dense(6000) |> dense(10)\nloss l = mean(h^2)\n"
        'train { data = "x.csv"; batch = 60000; epochs = 1 }\n'
    )
    (tmp_path / "x.csv").write_text("1,2\n" * 60000)
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "from gradc.cli import main; raise SystemExit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "train", "big.net", "--shards", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "left to this process (ulimit -v)" in done.stderr
    assert "[60000, 6000]" in done.stderr and "big.net:2" in done.stderr
    assert not (tmp_path / "runs").exists() and "Traceback" not in done.stderr
