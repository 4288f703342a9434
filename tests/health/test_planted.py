"""Each planted fault is found, by its id and on its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnosing import findings, report, trained
from planted import FAULTS, Fault

HEAD = "input x: [N, 20]\ninput label: int[N]\n"
CLOSE = "\nloss = cross_entropy(z, label)\n"


@pytest.mark.parametrize("fault", FAULTS, ids=[f.name for f in FAULTS])
def test_a_planted_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    path = fault.write(tmp_path)
    document = report(path)
    mine = [f for f in document["findings"] if f["id"] == fault.id]
    assert fault.line in [f["line"] for f in mine], document["findings"]
    found, *_ = (f for f in mine if f["line"] == fault.line)
    assert found["file"] == path.name
    assert found["figures"] and found["help"]
    assert found["text"] in path.read_text("utf-8")


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 28
    assert len({f.id for f in FAULTS}) >= 17


# ------------------------------------------------- the same faults in other proportions
@pytest.mark.parametrize(
    "width", [17, *(pytest.param(w, marks=pytest.mark.more) for w in (3, 200))]
)
@pytest.mark.parametrize("name", ["relu", "elu", "gelu", "hardswish", "silu"])
def test_dead_units_of_any_width(name: str, width: int, tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    text = (
        f"param b: [{width}] = -60\nh = {name}(dense(x, {width}) + b)\nz = dense(h, 4)"
    )
    path.write_text(HEAD + text + CLOSE)
    assert ("dead-units", 4) in findings(path, "--seed", str(width))


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "hardtanh", "erf"])
@pytest.mark.parametrize("deviation", [6, 40])
def test_saturation_of_any_activation(
    name: str, deviation: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.net"
    text = f"h = dense(x, 25, init = normal(0, {deviation}))\na = {name}(h)\nz = dense(a, 4)"
    path.write_text(HEAD + text + CLOSE)
    assert ("saturated-units", 4) in findings(path)


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("depth", [9, 16])
def test_depths_of_sigmoids(width: int, depth: int, tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    rest = "".join(
        f"h{k} = dense(h{k - 1}, {width}, sigmoid)\n" for k in range(1, depth + 1)
    )
    path.write_text(
        HEAD + f"h0 = dense(x, {width}, sigmoid)\n{rest}z = dense(h{depth}, 4)" + CLOSE
    )
    found = findings(path)
    assert ("vanishing-gradient", 3) in found
    assert {id for id, _ in found} == {"vanishing-gradient"}


@pytest.mark.parametrize("steps", [30, 90])
def test_recurrences_that_explode(steps: int, tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    path.write_text(f"""input x: [N, {steps}, 3]
input y: [N]
param U: [8, 8] = normal(0, 0.8)
h: [N, 8] = 0
for t in {steps} {{
  h = linear(x[:, t], 8) + h @ U
}}
loss = mse(dense(h, 1)[:, 0], y)
""")
    assert ("exploding-through-time", 6) in findings(path)


def test_one_class_for_all_rows(tmp_path: Path) -> None:
    lines = ["a,b,label"]
    lines += [f"{k % 7 - 3},{k % 5 - 2},{'no' if k % 4 else 'yes'}" for k in range(240)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    path = tmp_path / "collapse.net"
    path.write_text("""input x: [N, 2]
input label: int[N]
z = dense(x, 2, init = normal(0, 0.001))
loss = cross_entropy(z, label)
metric accuracy = mean(argmax(z) == label)
train { data = "rows.csv"; optimizer = adam(lr = 0.01); epochs = 4 }
""")
    run = trained(path, tmp_path / "runs")
    assert ("class-collapse", 5) in findings(run)
    assert findings(path) == []  # of a fresh net this says nothing


def test_units_that_training_killed(tmp_path: Path) -> None:
    path = tmp_path / "killed.net"
    rng = np.random.default_rng(1)
    x = rng.random((60, 4)) + 0.5
    np.savez(tmp_path / "far.npz", x=x, y=-90 - x.sum(axis=1))
    path.write_text("""input x: [N, 4]
input y: [N]
h = dense(x, 32, relu)
param b = 0
loss = mse(dense(h, 1)[:, 0] + b, y)
train { data = "far.npz"; optimizer = sgd(lr = 1); steps = 40; batch = 20; clip = 20.0 }
""")
    run = trained(path, tmp_path / "runs")
    assert ("dead-units", 3) in findings(run, "--weights", "last")
