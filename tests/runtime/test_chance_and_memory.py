"""Programs with `random` and `state`: keyed draws, memory through training and checkpoints."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import NOISY, source

from gradc.data import Dataset, load
from gradc.diagnosis import first_nonfinite
from gradc.errors import CheckpointError
from gradc.evaluation import figures, outputs
from gradc.gradcheck import check
from gradc.network import Network
from gradc.runs import RunFolder
from gradc.settings import Settings
from gradc.streams import standard, stream
from gradc.trainer import Trainer

ROWS = 50


def noisy() -> Network:
    return Network(source("noisy"), copy.deepcopy(NOISY))


def prepare(tmp_path: Path, **train: Any) -> tuple[Network, Dataset, Settings]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 2)) + 3
    np.savez(tmp_path / "f.npz", x=x, y=x @ [1.0, -2.0])
    sig = copy.deepcopy(NOISY)
    sig["train"] = {"data": [[None, {"path": "f.npz", "entry": None}]], **train}
    settings = Settings.of(sig)
    return Network(source("noisy"), sig), load(sig, settings, tmp_path), settings


def test_draws_are_functions_of_seed_path_and_index() -> None:
    network = noisy()
    network.bind({"D": 2})
    noise = network.draw("forward", {"N": 4}, seed=3, index=7, dtype=np.float32)
    exact = stream(3, "noise", "keep", 7).random((4, 2))
    assert list(noise) == ["keep", "eps"] and noise["keep"].dtype == np.float32
    assert np.array_equal(noise["keep"], exact.astype(np.float32))
    normal = stream(3, "noise", "eps", 7).standard_normal(4)
    assert np.array_equal(noise["eps"], normal.astype(np.float32))
    assert list(network.draw("evaluate", {"N": 4})) == ["eps"]
    assert network.draw("predict", {}) == {}
    other = network.draw("forward", {"N": 4}, seed=3, index=8)
    assert not np.array_equal(other["eps"], normal)
    with pytest.raises(
        ValueError, match=r"random keep: \[N, D\] needs the size N, which"
    ):
        network.draw("forward", {})


def test_uniform_draws_stay_below_one_in_single_precision() -> None:
    drawn = standard("uniform", 0, "u", 0, (1000,), np.float32)
    assert drawn.dtype == np.float32 and drawn.min() >= 0 and drawn.max() < 1
    assert np.float32(1 - 2**-30) == 1  # what rounding would do to such a number
    with pytest.raises(ValueError, match="no law 'cauchy'"):
        standard("cauchy", 0, "u", 0, (1,))


def test_calls_from_python() -> None:
    network = noisy()
    theta = network.init(0, np.float64, D=2)
    x, y = np.ones((3, 2)), np.zeros(3)
    state = network.initial_state()
    assert state["seen"].dtype == np.float32 and state["seen"].tolist() == [0, 0]
    given = {"keep": np.full((3, 2), 0.5), "eps": np.zeros(3)}
    loss, nabla, new = network.value_and_grad(theta, state, given, x=x, y=y)
    assert loss == pytest.approx((theta[:2].sum() / 0.75) ** 2)
    assert new["seen"].tolist() == [0.25, 0.25] and state["seen"].tolist() == [0, 0]
    # by keyword as well, and left out: the draws of evaluation
    same = network.value_and_grad(theta, state=state, noise=given, x=x, y=y)
    assert same[0] == loss and np.array_equal(same[1], nabla)
    drawn = network.draw("forward", {"N": 3}, 0, 0, np.float64)
    left_out = network.value_and_grad(theta, x=x, y=y)[0]
    assert left_out == network.value_and_grad(theta, None, drawn, x=x, y=y)[0] != loss
    network.state = {"seen": np.ones(2)}
    assert network.predict(theta, x=x)["p"].tolist() == [0, 0, 0]
    assert network.predict(theta, {"seen": np.zeros(2)}, x=x)["p"][0] != 0
    assert network.evaluate(theta, x=x, y=y) == network.evaluate(theta, x=x, y=y)
    with pytest.raises(ValueError, match="noise has no draw for random eps"):
        network.evaluate(theta, state, {}, x=x, y=y)
    with pytest.raises(
        ValueError, match=r"random eps is \[4\]; noisy.net:7 says \[N\], here \[3\]"
    ):
        network.evaluate(theta, state, {"eps": np.zeros(4)}, x=x, y=y)
    with pytest.raises(
        ValueError, match=r"state seen is \[1\]; noisy.net:5 says \[D\]"
    ):
        network.evaluate(theta, {"seen": np.zeros(1)}, x=x, y=y)
    with pytest.raises(ValueError, match="no value for state seen"):
        network.evaluate(theta, {"sen": np.zeros(2)}, x=x, y=y)


def test_training_is_what_its_definition_says(tmp_path: Path) -> None:
    """Draws of step 1, 2, … for each batch, memory from step to step; by hand."""
    args = {"name": "sgd", "args": {"lr": 0.01}}
    prepared = prepare(
        tmp_path, optimizer=args, batch=[[None, 20]], epochs=2, dtype="float64", seed=5
    )
    network, data, settings = prepared
    result = Trainer(network, data, settings).train()
    with np.load(tmp_path / "f.npz") as file:
        x, y = file["x"], file["y"]
    module = network.module
    params, state = module["init"](stream(5, "init"), 2)
    step = 0
    for epoch in range(2):
        order = stream(5, "batches", "N", epoch).permutation(ROWS)
        for start in range(0, ROWS, 20):
            rows = order[start : start + 20]
            step += 1
            noise = {
                "keep": stream(5, "noise", "keep", step).random((len(rows), 2)),
                "eps": stream(5, "noise", "eps", step).standard_normal(len(rows)),
            }
            _, saved, state = module["forward"](params, state, noise, x[rows], y[rows])
            gradients = module["backward"](saved)
            params = {k: v - 0.01 * gradients[k] for k, v in params.items()}
    np.testing.assert_allclose(result.theta, [*params["w"], params["b"]], rtol=1e-12)
    np.testing.assert_allclose(result.state["seen"], state["seen"], rtol=1e-12)
    assert result.history[-1].figures == figures(
        network, result.theta, data.held_out, state=result.state
    )


def test_figures_draw_once_for_the_whole_table(tmp_path: Path) -> None:
    network, data, _ = prepare(tmp_path)
    network.bind({"D": 2})
    theta = network.init(0, np.float64)
    network.state = {"seen": np.array([3.0, 3.0])}
    whole = figures(network, theta, data.train)
    for chunk in (7, 20, 49):
        assert figures(network, theta, data.train, chunk) == pytest.approx(whole)
    network.seed = 1
    assert figures(network, theta, data.train) != whole


def test_memory_goes_through_checkpoints(tmp_path: Path) -> None:
    network, data, settings = prepare(tmp_path, valid=0.2, epochs=3, seed=2)
    run = RunFolder.create(tmp_path / "runs", network, "text", settings, tmp_path)
    result = Trainer(network, data, settings, run).train()
    weights = RunFolder.open(run.path).weights("last")
    again = Network(network.source, network.signature)
    theta = weights.theta(again)
    again.state, again.seed = weights.remembered(again), 2
    assert again.state["seen"].dtype == np.float32
    assert again.state["seen"].tobytes() == result.state["seen"].tobytes()
    assert figures(again, theta, data.held_out) == result.history[-1].figures
    best = RunFolder.open(run.path).weights("best").remembered(again)
    assert best["seen"].tobytes() == result.best_state["seen"].tobytes()
    rows = data.held_out.arrays(["x"])[0]
    expected = (rows - again.state["seen"]) @ theta[:2]
    np.testing.assert_allclose(outputs(again, theta, data.held_out)["p"], expected)
    weights.memory.clear()
    with pytest.raises(CheckpointError, match="no value for state seen"):
        weights.remembered(again)


def test_a_step_that_is_not_finite_leaves_the_memory_alone() -> None:
    network = noisy()
    theta = network.init(0, np.float64, D=2)
    state = {"seen": np.zeros(2)}
    noise = network.draw("forward", {"N": 1})
    x = np.array([[np.inf, 1.0]])
    step = network.stepper(theta, np.zeros_like(theta), state)
    with np.errstate(all="ignore"):
        assert not np.isfinite(step([x, np.zeros(1)], noise))
    assert state["seen"].tolist() == [0, 0]
    found = first_nonfinite(network, theta, [x, np.zeros(1)], state, noise)
    assert found == ("first value that is not finite: the input x",)


def test_gradcheck_holds_chance_and_memory() -> None:
    network = noisy()
    result = check(network, network)
    assert result.ok and result.worst < 1e-13 and not result.warning
    text = source("noisy").replace("0.1 * (eps @ d_e)", "0.2 * (eps @ d_e)")
    assert not check(Network(text, NOISY), network).ok
    text = source("noisy").replace("x * keep / 0.75", "x * keep")
    assert not check(Network(text, NOISY), network).ok
