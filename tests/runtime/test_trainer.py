"""Training: the loop by its definition, figures over whole tables, run folders, run-aways."""

from __future__ import annotations

import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import LOGISTIC, MLP, root, source

from gradc.data import Dataset, load
from gradc.diagnosis import first_nonfinite
from gradc.errors import CheckpointError, DataError, NonFiniteError, SettingError
from gradc.evaluation import figures, outputs
from gradc.network import Network
from gradc.runs import RunFolder
from gradc.settings import Settings
from gradc.streams import stream
from gradc.trainer import Epoch, Result, Silence, Trainer
from gradc.weights import Snapshot, read_weights


def table(tmp_path: Path, rows: int = 90) -> None:
    """Two columns, y = [x.0 + x.1 + noise > 0]."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 2))
    y = (x.sum(axis=1) + 0.3 * rng.standard_normal(rows) > 0).astype(float)
    np.savez(tmp_path / "f.npz", x=x, y=y)


def prepare(
    tmp_path: Path, text: str | None = None, **train: Any
) -> tuple[Network, Dataset, Settings]:
    table(tmp_path)
    sig = copy.deepcopy(LOGISTIC)
    sig["train"] = {"data": [[None, {"path": "f.npz", "entry": None}]], **train}
    settings = Settings.of(sig)
    network = Network(text or source("logistic"), sig)
    return network, load(sig, settings, tmp_path), settings


ADAM = {"optimizer": {"name": "adam", "args": {"lr": 0.05}}}


def test_a_run_is_what_its_definition_says(tmp_path: Path) -> None:
    """SGD on batches in the keyed order, by hand, to the bit."""
    args = {"name": "sgd", "args": {"lr": 0.5}}
    network, data, settings = prepare(
        tmp_path, optimizer=args, batch=[[None, 40]], epochs=3, dtype="float64", seed=5
    )
    result = Trainer(network, data, settings).train()
    with np.load(tmp_path / "f.npz") as file:
        x, y = file["x"], file["y"]
    w, b = np.zeros(2), 0.0
    losses = []
    for epoch in range(3):
        order = stream(5, "batches", "N", epoch).permutation(90)
        total = 0.0
        for start in range(0, 90, 40):
            rows = order[start : start + 40]
            z = x[rows] @ w + b
            loss = (np.logaddexp(0, z) - y[rows] * z).mean() + 0.01 * (w * w).sum()
            total += loss * len(rows)
            d_z = (1 / (1 + np.exp(-z)) - y[rows]) / len(rows)
            w = w - 0.5 * (x[rows].T @ d_z + 0.02 * w)
            b = b - 0.5 * d_z.sum()
        losses.append(total / 90)
    np.testing.assert_allclose(result.theta, [*w, b], rtol=1e-13)
    assert [e.loss for e in result.history] == pytest.approx(losses, rel=1e-13)
    assert result.steps == 9 and result.history[-1].step == 9


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    runs = [
        Trainer(*prepare(tmp_path, valid=0.2, seed=seed, **ADAM)).train().theta
        for seed in (0, 0, 1)
    ]
    assert runs[0].tobytes() == runs[1].tobytes() != runs[2].tobytes()
    assert runs[0].dtype == np.float32


def test_training_learns_and_keeps_the_best(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path, valid=0.2, epochs=20, **ADAM)
    result = Trainer(network, data, settings).train()
    assert result.history[-1].loss < 0.6 * result.history[0].loss
    assert result.best is not None and result.best.held_out and result.best.rows == 18
    losses = [epoch.figures["loss"] for epoch in result.history]
    assert result.best.figures["loss"] == min(losses)
    assert figures(network, result.best_theta, data.held_out) == result.best.figures
    assert result.best.figures["accuracy"] >= 0.8
    with_nothing_held_out = Trainer(*prepare(tmp_path, **ADAM)).train()
    assert with_nothing_held_out.best is not None
    assert not with_nothing_held_out.best.held_out
    assert with_nothing_held_out.best.rows == 90


def test_steps_instead_of_epochs(tmp_path: Path) -> None:
    result = Trainer(*prepare(tmp_path, steps=7, batch=[[None, 30]], **ADAM)).train()
    assert result.steps == 7 and [e.step for e in result.history] == [3, 6, 7]


def test_many_epochs_of_one_step_are_not_as_many_lines(tmp_path: Path) -> None:
    result = Trainer(*prepare(tmp_path, steps=1000, batch=[[None, 99]], **ADAM)).train()
    assert len(result.history) == 100 and result.history[-1].number == 1000


def test_no_epochs_leave_what_init_gives(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path, epochs=0)
    result = Trainer(network, data, settings).train()
    assert result.steps == 0 and result.best is None
    assert np.array_equal(result.theta, network.init(0))


@pytest.mark.parametrize(
    ("clip", "bound"), [({"norm": 0.01}, 0.01), ({"value": 0.004}, None)]
)
def test_clipping(tmp_path: Path, clip: dict[str, float], bound: float | None) -> None:
    args = {"name": "sgd", "args": {"lr": 1.0}}
    whole = [[None, 90]]
    network, data, settings = prepare(
        tmp_path, optimizer=args, clip=clip, epochs=1, batch=whole, dtype="float64"
    )
    moved = Trainer(network, data, settings).train().theta
    if bound is None:
        assert np.abs(moved).max() == 0.004
    else:
        assert np.linalg.norm(moved) == pytest.approx(0.01, rel=1e-3)


def test_reporters_hear_of_everything(tmp_path: Path) -> None:
    heard: list[Any] = []

    class Ear(Silence):
        every_step = True

        def started(self, trainer: Trainer) -> None:
            heard.append(trainer.steps)

        def progress(self, step: int, steps: int) -> None:
            heard.append((step, steps))

        def epoch(self, epoch: Epoch) -> None:
            heard.append(epoch.number)

        def finished(self, result: Result) -> None:
            heard.append(result)

    network, data, settings = prepare(tmp_path, epochs=2, batch=[[None, 45]])
    result = Trainer(network, data, settings, reporter=Ear()).train()
    assert heard == [4, (1, 4), (2, 4), 1, (3, 4), (4, 4), 2, result]


def test_a_stop_ends_after_the_step(tmp_path: Path) -> None:
    class Stopper(Silence):
        every_step = True

        def progress(self, step: int, steps: int) -> None:
            trainer.stop = step == 5

    network, data, settings = prepare(tmp_path, epochs=9, batch=[[None, 30]])
    run = RunFolder.create(tmp_path / "runs", network, "# text\n", settings, tmp_path)
    trainer = Trainer(network, data, settings, run, Stopper())
    result = trainer.train()
    assert result.stopped and result.steps == 5
    assert run.weights("last").state["step"] == 5


def test_what_can_not_be_trained_is_refused(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path)
    bare = Network("import numpy as np\n", network.signature)
    with pytest.raises(SettingError, match="has no loss, so there is nothing to train"):
        Trainer(bare, data, settings)
    odd = copy.deepcopy(network.signature)
    odd["checks"] = [
        {
            "kind": "divides",
            "left": [[1, 1, ["N"]]],
            "right": 4,
            "line": 3,
            "text": "N / 4",
            "message": "4 does not divide N",
        }
    ]
    # 90 rows: two batches of 32, and one of 26
    with pytest.raises(
        DataError, match=r"logistic.net:3: 4 does not divide N\n.*N = 26"
    ):
        Trainer(Network(network.source, odd), data, settings)


# -------------------------------------------------------------------------------- figures


def test_figures_are_gathered_over_chunks(tmp_path: Path) -> None:
    network, data, _ = prepare(tmp_path, dtype="float64")
    network.bind({"D": 2})
    theta = np.array([0.5, -1.0, 0.25])
    whole = figures(network, theta, data.train)
    assert set(whole) == {"loss", "nll", "penalty", "accuracy"}
    for chunk in (7, 45, 89):
        assert figures(network, theta, data.train, chunk) == pytest.approx(
            whole, rel=1e-13
        )


@pytest.mark.parametrize("rows", ["mean", "sum", "free", None])
def test_each_figure_is_gathered_by_what_is_proved_of_it(
    tmp_path: Path, rows: str | None
) -> None:
    network, data, _ = prepare(tmp_path)
    calls: list[int] = []

    def evaluate(params: Any, x: Any, y: Any) -> dict[str, float]:
        calls.append(len(x))
        value = {"mean": x.mean(), "sum": x.sum(), "free": 3.0, None: np.median(x)}[
            rows
        ]
        return {"loss": 1.0, "m": value}

    network.module["evaluate"] = evaluate
    network.signature["losses"] = [root("loss", "free", None)]
    network.signature["metrics"] = [root("m", rows, "N")]
    network.bind({"D": 2})
    found = figures(network, np.zeros(3), data.train, 40)
    x = data.train.arrays(["x"])[0]
    expected = {"mean": x.mean(), "sum": x.sum(), "free": 3.0, None: np.median(x)}[rows]
    assert found["m"] == pytest.approx(float(expected), rel=1e-5) and found["loss"] == 1
    assert calls == ([90] if rows is None else [40, 40, 10])


def test_a_total_of_different_kinds_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    network, data, _ = prepare(tmp_path)
    network.signature["total"] = {"rows": None, "row_dim": None}
    network.bind({"D": 2})
    theta = np.array([0.5, -1.0, 0.25], np.float32)
    assert figures(network, theta, data.train, 7) == pytest.approx(
        figures(network, theta, data.train), rel=1e-6
    )


def test_outputs(tmp_path: Path) -> None:
    network, data, _ = prepare(tmp_path)
    network.bind({"D": 2})
    assert outputs(network, np.zeros(3), data.train)["p"].tolist() == [0.5] * 90


# ------------------------------------------------------------------------------ run folder


def test_a_run_folder_holds_all_of_a_run(tmp_path: Path) -> None:
    network, data, settings = prepare(
        tmp_path, valid=0.2, epochs=6, scale=[[None, "standard"]], **ADAM
    )
    runs = tmp_path / "runs"
    run = RunFolder.create(
        runs, network, "# the text\n", settings, tmp_path, {"set": ["a=1"]}
    )
    result = Trainer(network, data, settings, run).train()
    assert (
        RunFolder.create(runs, network, "", settings, tmp_path).path.name
        == "logistic-2"
    )

    again = RunFolder.open(runs / "logistic-1")
    assert again.text == "# the text\n" and again.info["set"] == ["a=1"]
    assert again.settings == settings and again.folder == tmp_path
    assert again.signature == network.signature
    assert (run.path / "logistic_net.py").read_text() == network.source
    events = [
        json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()
    ]
    assert [e["event"] for e in events] == [
        "start", *["epoch"] * 6, "checkpoint", "end"
    ]  # fmt: skip
    assert all(e["v"] == 1 for e in events)

    other = Network(network.source, again.signature)
    last, best = again.weights("last"), again.weights("best")
    assert np.array_equal(last.theta(other), result.theta)
    assert np.array_equal(best.theta(other), result.best_theta)
    assert result.best is not None and best.state["step"] == result.best.step
    assert (
        str(last.path) == result.checkpoint and str(best.path) == result.best_checkpoint
    )
    assert set(last.slots) == {"mean", "square"} and other.sizes == {"D": 2}
    assert again.weights(str(best.state["step"])).path == best.path

    # the part held out, replayed from what was saved, gives the same figures
    replayed = load(
        again.signature,
        again.settings,
        again.folder,
        "evaluate",
        best.transforms,
        best.sizes,
    )
    assert figures(other, best.theta(other), replayed.held_out) == result.best.figures


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path, epochs=1)
    run = RunFolder.create(tmp_path / "runs", network, "", settings, tmp_path)
    Trainer(network, data, settings, run).train()
    weights = run.weights()
    with pytest.raises(
        CheckpointError, match=r"is not of mlp.net as it is now: .* size 'D'"
    ):
        weights.theta(Network(source("mlp"), copy.deepcopy(MLP)))
    other = copy.deepcopy(network.signature)
    other["parameters"][0]["path"] = "v"
    with pytest.raises(CheckpointError, match="one of them lacks v, w"):
        weights.theta(Network(network.source, other))


def test_a_bad_latest_falls_back_to_a_good_file(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path, valid=0.2, epochs=8, **ADAM)
    run = RunFolder.create(tmp_path / "runs", network, "", settings, tmp_path)
    Trainer(network, data, settings, run).train()
    run.save(network, Snapshot(np.ones(3, "f4"), {}, {"step": 2, **_state(run)}), ())
    last = run.weights("last").path
    last.write_bytes(last.read_bytes()[:-9])
    assert run.weights("last").path != last
    (run.path / "ckpt" / "BEST").write_text("../../other.npz\n")
    with pytest.raises(CheckpointError, match="names no checkpoint"):
        run.weights("best")
    with pytest.raises(CheckpointError, match=r"run.json cannot be read"):
        RunFolder.open(tmp_path)
    (run.path / "run.json").write_text('{"net": "logistic.net", "version": 9}')
    with pytest.raises(CheckpointError, match="written by a newer gradc"):
        RunFolder.open(run.path)


def _state(run: RunFolder) -> dict[str, Any]:
    state = run.weights("last").state
    return {k: v for k, v in state.items() if k not in ("step", "format")}


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path, epochs=1)
    run = RunFolder.create(tmp_path / "runs", network, "", settings, tmp_path)
    Trainer(network, data, settings, run).train()
    path = run.save(
        network, Snapshot(np.full(3, np.nan), {}, {"step": 9, **_state(run)})
    )
    with pytest.raises(CheckpointError, match="weights that are not finite"):
        read_weights(path)


def test_a_log_that_can_not_be_written_does_not_end_training(tmp_path: Path) -> None:
    warnings: list[str] = []

    class Ear(Silence):
        def warning(self, text: str) -> None:
            warnings.append(text)

    network, data, settings = prepare(tmp_path, epochs=3)
    run = RunFolder.create(tmp_path / "runs", network, "", settings, tmp_path)
    (run.path / "log.jsonl").mkdir()
    result = Trainer(network, data, settings, run, Ear()).train()
    assert (
        result.steps == 9 and len(warnings) == 1 and "training goes on" in warnings[0]
    )


# ------------------------------------------------------------------------------- run-aways


def test_a_loss_that_runs_away_stops(tmp_path: Path) -> None:
    args = {"name": "sgd", "args": {"lr": 1e30, "decay": 1.0}}
    network, data, settings = prepare(tmp_path, optimizer=args, dtype="float32")
    run = RunFolder.create(tmp_path / "runs", network, "", settings, tmp_path)
    with pytest.raises(NonFiniteError) as caught:
        Trainer(network, data, settings, run).train()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("loss became inf at step 2")
    assert lines[1] == (
        "  first value that is not finite: penalty in "
        "`loss penalty = decay * sum(w^2)`  logistic.net:11"
    )
    assert re.fullmatch(
        r"  penalty is inf; computed from w from 2\.\d+e\+29 to 3\.\d+e\+29", lines[2]
    )
    assert re.fullmatch(r"  norm of the last good gradient: 0\.\d+", lines[3])
    assert lines[4].startswith("  last good checkpoint: ") and lines[4].endswith(".npz")
    assert lines[5] == "  try: --set train.clip=1   or   --set train.optimizer.lr=1e+29"
    assert caught.value.exit_code == 6
    assert np.isfinite(run.weights("last").theta(network)).all()


def test_weights_that_run_away_leave_the_best(tmp_path: Path) -> None:
    """The update overflows, not the gradient: the best weights so far are saved."""
    network, data, settings = prepare(tmp_path, epochs=3, batch=[[None, 90]], **ADAM)
    run = RunFolder.create(tmp_path / "runs", network, "", settings, tmp_path)

    class Saboteur(Silence):
        def epoch(self, epoch: Epoch) -> None:
            trainer.optimizer.arguments["lr"] = 1e39

    trainer = Trainer(network, data, settings, run, Saboteur())
    with pytest.raises(
        NonFiniteError, match=r"parameter w became infinite or NaN at step 2"
    ):
        trainer.train()
    assert run.weights("best").state["step"] == 1


@pytest.mark.parametrize("value", ["np.inf", "np.nan"])
def test_a_gradient_that_is_not_finite_stops(tmp_path: Path, value: str) -> None:
    text = source("logistic").replace("d_b = d_z.sum()", f"d_b = d_z.sum() + {value}")
    network, data, settings = prepare(tmp_path, text)
    with pytest.raises(
        NonFiniteError, match="gradient of b became infinite or NaN at step 1"
    ):
        Trainer(network, data, settings).train()


def test_a_large_finite_gradient_is_none(tmp_path: Path) -> None:
    """Its square overflows in float32; it doesn't."""
    text = source("logistic").replace("d_b = d_z.sum()", "d_b = d_z.sum() * 0 + 1e25")
    args = {"name": "sgd", "args": {"lr": 1e-30}}
    network, data, settings = prepare(tmp_path, text, optimizer=args, epochs=1)
    assert math.isfinite(Trainer(network, data, settings).train().history[0].loss)


def test_the_first_value_that_is_not_finite_is_found(mlp: Network) -> None:
    theta = mlp.init(0)
    arrays = [np.ones((2, 64), np.float32), np.array([0, 1])]
    assert first_nonfinite(mlp, theta, arrays) == ()
    mlp.views(theta)["b2"][3] = np.inf
    first = "first value that is not finite: "
    assert first_nonfinite(mlp, theta, arrays) == (f"{first}b2", "b2: 1 of 10 entries")
    mlp.views(theta)["b2"][3] = 0
    mlp.views(theta)["W1"][...] = 1e38
    place, values = first_nonfinite(mlp, theta, arrays)
    assert place == f"{first}z in `h = relu(x @ W1 + b1)`  mlp.net:10"
    assert values == ("z: 64 of 64 entries; computed from x = 1, W1 = 1e+38, b1 = 0")
    arrays[0][0, 0] = np.nan
    assert first_nonfinite(mlp, theta, arrays) == (f"{first}the input x",)


# -------------------------------------------------------------- schedules and L-BFGS


def test_a_schedule_sets_the_rate_of_each_step(tmp_path: Path) -> None:
    args = {"name": "sgd", "args": {"lr": 0.5}}
    schedule = {"name": "cosine", "args": {"warmup": 2, "min": 0.01}}
    network, data, settings = prepare(
        tmp_path,
        optimizer=args,
        schedule=schedule,
        batch=[[None, 90]],
        steps=8,
        dtype="float64",
    )
    assert Settings.from_json(settings.to_json()) == settings
    result = Trainer(network, data, settings).train()
    rates = [0.5 / 3, 1 / 3]
    rates += [0.01 + 0.49 * (1 + math.cos(math.pi * t / 6)) / 2 for t in range(6)]
    assert [epoch.lr for epoch in result.history] == pytest.approx(rates)
    theta = np.zeros(3)
    arrays = data.train.arrays(["x", "y"])
    for rate in rates:
        _, nabla = network.value_and_grad(theta, x=arrays[0], y=arrays[1])
        theta -= rate * nabla
    np.testing.assert_allclose(result.theta, theta, rtol=1e-12)


LBFGS: dict[str, Any] = {"optimizer": {"name": "lbfgs", "args": {}}}


def test_lbfgs_finds_the_minimum(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path, steps=50, **LBFGS)
    assert settings.dtype == "float64" and settings.batch_of("N") is None
    result = Trainer(network, data, settings).train()
    x, y = data.train.arrays(["x", "y"])
    _, nabla = network.value_and_grad(result.theta, x=x, y=y)
    assert np.abs(nabla).max() < 1e-7 and result.steps < 50
    losses = [epoch.loss for epoch in result.history]
    assert losses == sorted(losses, reverse=True) and len(losses) == result.steps
    assert result.history[-1].figures["loss"] == pytest.approx(losses[-1], rel=1e-12)
    again = Trainer(*prepare(tmp_path, steps=50, **LBFGS)).train()
    assert again.theta.tobytes() == result.theta.tobytes()


def test_lbfgs_makes_the_steps_of_scipy(tmp_path: Path) -> None:
    from scipy.optimize import minimize

    network, data, settings = prepare(
        tmp_path, steps=4, optimizer={"name": "lbfgs", "args": {"history": 3}}
    )
    result = Trainer(network, data, settings).train()
    x, y = data.train.arrays(["x", "y"])
    other = minimize(
        lambda theta: network.value_and_grad(theta, x=x, y=y),
        np.zeros(3),
        method="L-BFGS-B",
        jac=True,
        options={"maxiter": 4, "maxcor": 3, "ftol": 1e-15, "gtol": 0, "maxls": 50},
    )
    assert result.steps == 4 == other.nit
    np.testing.assert_allclose(result.theta, other.x, rtol=1e-12)


def test_lbfgs_in_a_run_folder(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path, epochs=3, valid=0.2, **LBFGS)
    run = RunFolder.create(tmp_path / "runs", network, "text", settings, tmp_path)
    result = Trainer(network, data, settings, run).train()
    assert result.steps == 3 and run.weights("last").state["step"] == 3
    assert Settings.from_json(
        json.loads((run.path / "run.json").read_text())["settings"]
    )


def test_lbfgs_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    class Impatient(Silence):
        def epoch(self, epoch: Epoch) -> None:
            trainer.stop = epoch.step == 2

    trainer = Trainer(*prepare(tmp_path, steps=50, **LBFGS), reporter=Impatient())
    result = trainer.train()
    assert result.stopped and result.steps == 2 and len(result.history) == 2


def test_lbfgs_turns_back_where_the_loss_is_not_finite() -> None:
    """√ of a negative number beyond θ = 4, where the first step, of length 1, leads."""
    from gradc.quasi_newton import QuasiNewton

    seen = []

    def root(theta: np.ndarray) -> tuple[float, np.ndarray]:
        seen.append(float(theta[0]))
        with np.errstate(invalid="ignore"):
            slope = 2.0 * (theta - 3.9) + 0.05 / np.sqrt(4 - theta)
            loss = (theta[0] - 3.9) ** 2 - 0.1 * np.sqrt(4 - theta[0])
            return float(loss), slope

    path: list[float] = []

    def accepted(point: np.ndarray, loss: float) -> bool:
        path.append(loss)
        return False

    method = QuasiNewton({})
    method.minimize(root, np.array([3.5]), 60, accepted)
    assert max(seen) > 4 and all(map(math.isfinite, path))
    exact = min(root(np.array([t]))[0] for t in np.linspace(3.5, 3.999, 10_000))
    assert path[-1] == pytest.approx(exact, abs=1e-8)


def test_what_lbfgs_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="there is no clip beside it"):
        prepare(tmp_path, clip={"norm": 1.0}, **LBFGS)
    schedule = {"name": "cosine", "args": {}}
    with pytest.raises(SettingError, match="there is no schedule beside it"):
        prepare(tmp_path, schedule=schedule, **LBFGS)
    with pytest.raises(SettingError, match="lbfgs has no argument 'lr'"):
        wrong = {"optimizer": {"name": "lbfgs", "args": {"lr": 1.0}}}
        Trainer(*prepare(tmp_path, **wrong))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match="SciPy, which is not installed") as caught:
        Trainer(*prepare(tmp_path, **LBFGS))
    assert "pip install 'gradc[scipy]'" in str(caught.value)
    assert caught.value.exit_code == 2
