"""A batch in shards: the same loss and gradients as whole, and the same bits for any threads."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradc import blas
from gradc.compiler import Options, Source, compile_source
from gradc.data import load
from gradc.errors import DataError
from gradc.network import Network
from gradc.settings import Settings
from gradc.shards import Parallel, number_of_shards, stepper
from gradc.trainer import Trainer

MLP = """\
input x: [N, D]
input y: int[N]
h = dense(x, {width}, tanh)
scores = dense(h, 5)
loss = cross_entropy(scores, y)
"""
PROGRAMS = {
    "mean": MLP.format(width=6),
    "sum": "input x: [N, D]\np = dense(x, 3)\nloss = sum(p^4)\n",
    "decay": "input x: [N, D]\nparam w: [D] = 1\n"
    "loss fit = mean((x @ w - 1)^2)\nloss decay = 0.3 * sum(w^2)\n",
    "minus": "input x: [N, D]\nparam w: [D] = 1\nloss = sum(w^2) - mean(exp(x @ w)) / 2\n",
    "dropout": "input x: [N, D]\np = dropout(dense(x, 4, tanh), 0.5)\nloss = mean(p^2)\n",
    "by row and place": "input x: [N, T, D]\np = dense(x, 3, tanh)\n"
    "loss = mean(p^2) + sum(p) / N\n",
    "recurrent": "input text, next: int[N, T]\n"
    "h = text |> embed(7, 3) |> rnn(4) |> dense(7)\nloss = cross_entropy(h, next)\n",
    "images": "input x: [N, 6, 6, 1]\nh = x |> conv(2) |> relu |> maxpool(2) |> flatten\n"
    "loss = mean(dense(h, 2)^2)\n",
    "shared input": "input x: [N, D]\ninput c: [D]\nparam w: [D] = 1\n"
    "loss = mean((x @ (w * c))^2)\n",
}
MIXED = {
    "batchnorm": ("input x: [N, D]\nh = batchnorm(dense(x, 3))\nloss = mean(h^3)\n", True),
    "pairs": ("input x: [N, D]\nh = dense(x, 3)\ns = h @ h'\nloss = mean(s^2)\n", 3),
    "weights": (
        "input x: [N, D]\ninput w: [N]\nt = sum(w)\np = dense(x, 1)[:, 0]\n"
        "loss = sum(w * p^2) / t\n",
        5,
    ),
    "root": ("input x: [N, D]\np = dense(x, 3)\nloss = sqrt(mean(p^2))\n", 3),
    "two tables": (
        "input x: [N, D]\ninput z: [M, D]\nparam w: [D] = 1\n"
        "loss = mean((x @ w)^2) + mean((z @ w - 1)^2)\n",
        None,  # none mixes
    ),
}  # fmt: skip
ROWS, SIZES = 13, {"N": 13, "M": 3, "D": 4, "T": 5}


def network_of(text: str, level: int = 2) -> Network:
    compiled = compile_source(Source.from_text("cut.net", text), Options(level=level))
    return Network(compiled.source, compiled.signature)


def batch_of(network: Network, rows: int = ROWS) -> tuple[list[Any], dict[str, Any]]:
    """Arrays for each input, and the draws of a step."""
    rng, sizes = np.random.default_rng(1), {**SIZES, "N": rows}
    arrays: dict[str, Any] = {}
    for entry in network.signature["inputs"]:
        shape = [d if isinstance(d, int) else sizes[d[0][2][0]] for d in entry["shape"]]
        high = (entry["range"] or [0, 3])[1]
        real = entry["kind"] == "real"
        arrays[entry["name"]] = (
            rng.standard_normal(shape) if real else rng.integers(0, high, shape)
        )
    noise = network.draw("forward", sizes, seed=0, index=1, dtype=np.float64)
    return network.arrays("forward", arrays, np.float64), noise


def run(network: Network, parallel: Parallel, rows: int = ROWS) -> tuple[float, Any]:
    arrays, noise = batch_of(network, rows)
    theta = network.bind({k: SIZES[k] for k in network.frozen}).init(0, np.float64)
    nabla = np.full_like(theta, np.nan)
    state = network.initial_state(0, np.float64)
    return stepper(network, theta, nabla, state, parallel)(arrays, noise), nabla


@pytest.mark.parametrize("name", PROGRAMS)
def test_shards_add_up_to_the_whole(name: str) -> None:
    network = network_of(PROGRAMS[name])
    loss, nabla = run(network, Parallel(1, 1))
    for cut in (2, 4, 8):
        found, gradient = run(network, Parallel(1, cut))
        assert found == pytest.approx(loss, rel=1e-13)
        np.testing.assert_allclose(gradient, nabla, 1e-11, 1e-13)
        for threads in (2, 3, 5):
            same, bits = run(network, Parallel(threads, cut))
            assert same == found and np.array_equal(bits, gradient), threads


@pytest.mark.parametrize("shards", [4, 8])
def test_large_gradients_are_added_by_all_threads(
    shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_of(PROGRAMS["mean"])
    expected = run(network, Parallel(1, shards))
    monkeypatch.setattr("gradc.shards.LEAST_ADDED", 1)
    for threads in (2, 3, 4):
        loss, nabla = run(network, Parallel(threads, shards))
        assert loss == expected[0] and np.array_equal(nabla, expected[1])


@pytest.mark.parametrize("name", MIXED)
def test_where_rows_mix_there_is_one_shard_and_the_line_is_known(name: str) -> None:
    text, line = MIXED[name]
    network = network_of(text)
    plan = network.signature["shards"]
    assert plan["row_dim"] is None
    assert plan["mixing_line"] == line or (line is True and plan["mixing_line"])
    assert number_of_shards(network, SIZES, 8) == 1
    loss, nabla = run(network, Parallel(1))
    found, gradient = run(network, Parallel(3, 8))
    assert found == loss and np.array_equal(nabla, gradient)


def test_losses_of_some_parameters_are_not_cut() -> None:
    text = (
        "input x: [N, D]\nparam a, b: [D] = 1\n"
        "loss p over a = mean((x @ a)^2)\nloss q over b = mean((x @ b)^2)\n"
    )
    plan = network_of(text).signature["shards"]
    assert plan["row_dim"] is None and plan["mixing_line"] == 3


def test_readable_modules_take_a_batch_whole() -> None:
    network = network_of(MLP.format(width=6), level=1)
    assert network.signature["shards"] is None
    assert number_of_shards(network, SIZES, 8) == 1


def test_shards_follow_from_the_sizes() -> None:
    network = network_of(MLP.format(width=512))
    network.init(seed=0, D=512)

    def count(rows: int, asked: int = 0) -> int:
        return number_of_shards(network, {"N": rows, "D": 512}, asked)

    assert [count(n) for n in (10, 256, 500, 600, 1200, 5000, 10**6)] == [
        1, 2, 2, 2, 4, 16, 16,
    ]  # fmt: skip
    assert [count(4096, k) for k in (1, 2, 8, 16)] == [1, 2, 8, 16]
    assert [count(n, 16) for n in (1, 3, 9)] == [1, 2, 8]
    small = network_of(MLP.format(width=8))
    small.init(seed=0, D=4)
    assert number_of_shards(small, {"N": 2000, "D": 4}) == 1  # it takes too little time


def test_shards_with_large_buffers_are_cut_again() -> None:
    """But not below 128 rows. A network of 20 layers of 512 holds 13,000 numbers a row."""
    deep = "input x: [N, D]\nh = x\nrepeat 20 { h = tanh(dense(h, 512)) }\n"
    network = network_of(deep + "loss = mean(h^2)\n")
    network.bind({"D": 512})
    plain = [
        number_of_shards(network, {"N": n, "D": 512})
        for n in (100, 200, 300, 600, 1200)
    ]
    assert plain == [1, 1, 2, 4, 8]


def test_shards_of_recurrences_have_rows() -> None:
    """Whatever the number of steps: their products meet the sequences alone."""
    text = "input x: [N, 200, 64]\nh = lstm(x, 256)\nloss = mean(h^2)\n"
    network = network_of(text)
    found = [number_of_shards(network, {"N": n}) for n in (8, 15, 16, 32, 64, 2000)]
    assert found == [1, 1, 2, 2, 4, 16]


def test_shards_of_images_have_runs() -> None:
    """Of 16 images, or of 8 if there are two; those of a smaller batch lie in none."""
    text = "input x: [N, 32, 32, 3]\nh = x |> conv(64) |> relu |> conv(64)\nloss = mean(h^2)\n"
    network = network_of(text)
    found = [
        number_of_shards(network, {"N": n}) for n in (8, 16, 31, 32, 64, 256, 2000)
    ]
    assert found == [1, 2, 2, 2, 4, 16, 16]
    assert number_of_shards(network, {"N": 64}, 16) == 16
    network = network_of(text + "train { batch = 8; optimizer = sgd(lr = 0.1) }\n")
    assert number_of_shards(network, {"N": 8}) == 8


def test_batches_of_other_sizes_in_turn() -> None:
    """The last batch of an epoch is smaller; buffers of all of them are kept."""
    network = network_of(PROGRAMS["recurrent"])
    theta = network.init(seed=0, dtype=np.float64)
    nabla = np.zeros_like(theta)
    step = stepper(network, theta, nabla, {}, Parallel(2, 4))
    for rows in (13, 5, 1, 13, 7, 5, 13):
        arrays, _ = batch_of(network, rows)
        loss = step(arrays)
        whole, expected = run(network, Parallel(1, 1), rows)
        assert loss == pytest.approx(whole, rel=1e-13)
        np.testing.assert_allclose(nabla, expected, 1e-11, 1e-13)
        assert step(arrays, None, 2.0) == loss
        np.testing.assert_allclose(nabla, 2 * expected, 1e-11, 1e-13)


def test_an_error_of_a_thread_is_an_error_of_the_step() -> None:
    network = network_of("input i: int[N]\nparam E: [4] = 1\nloss = mean(E[2 * i])\n")
    theta = network.init(seed=0, dtype=np.float64)
    nabla = np.zeros_like(theta)
    step = stepper(network, theta, nabla, {}, Parallel(2, 2))
    with pytest.raises(DataError, match="index that lies outside"):
        step([np.array([0, 1, 0, 9])])
    assert step([np.array([0, 1, 0, 1])]) == 1 and nabla.sum() == 1  # it goes on


WIDE = MLP.format(width=256) + "train { optimizer = adam(lr = 0.01); batch = 600 }\n"


def data(folder: Path) -> None:
    x = np.random.default_rng(0).standard_normal((1500, 300))
    np.savez(folder / "f.npz", x=x, y=(x[:, :5] > 0).argmax(1))


def train(folder: Path, threads: int, cut: int = 0) -> Trainer:
    network = network_of(WIDE)
    settings = Settings.of(network.signature, data=[str(folder / "f.npz")], epochs=2)
    read = load(network.signature, settings, folder)
    trainer = Trainer(network, read, settings, parallel=Parallel(threads, cut))
    trainer.train()
    return trainer


def test_a_training_gives_the_same_bits_for_any_number_of_threads(
    tmp_path: Path,
) -> None:
    data(tmp_path)
    runs = [train(tmp_path, threads) for threads in (1, 2, 3)]
    assert runs[0].shards == 2  # and the last batch, of 300 rows, has one
    for other in runs[1:]:
        assert np.array_equal(runs[0]._theta, other._theta)
        assert other.history[-1].loss == runs[0].history[-1].loss
    whole = train(tmp_path, 2, 1)
    assert whole.shards == 1
    np.testing.assert_allclose(whole._theta, runs[0]._theta, 1e-2, 1e-3)


CURVED = """\
input x: [N, D]
input y: int[N]
h = dropout(dense(x, 8, tanh), 0.1)
loss = cross_entropy(dense(h, 5), y) + 0.01 * mean(sum(h^2, axis = 1))
train { optimizer = lbfgs(history = 4) }
"""


def test_lbfgs_takes_whole_tables_in_shards(tmp_path: Path) -> None:
    """The same points for any number of threads, and to rounding those of the whole table."""
    data(tmp_path)
    network = network_of(CURVED)
    found = []
    for parallel in (Parallel(1, 4), Parallel(2, 4), Parallel(3, 4), Parallel(2, 1)):
        given = {"data": [str(tmp_path / "f.npz")], "epochs": 3}
        settings = Settings.of(network.signature, **given)
        read = load(network.signature, settings, tmp_path)
        trainer = Trainer(network, read, settings, parallel=parallel)
        trainer.train()
        assert trainer.shards == parallel.shards and trainer.step == 3
        found.append((trainer._theta.tobytes(), trainer.history[-1].loss))
    assert found[0] == found[1] == found[2] != found[3]
    one, whole = (np.frombuffer(found[k][0]) for k in (0, 3))
    np.testing.assert_allclose(one, whole, rtol=1e-7, atol=1e-9)


def test_threads_from_python_hold_blas_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in blas.THREADS:
        monkeypatch.delenv(name, raising=False)
    held = blas.blas_on_one_thread()
    assert held is not None
    with held:
        pools = importlib.import_module("threadpoolctl").threadpool_info()
        assert {p["num_threads"] for p in pools if p["user_api"] == "blas"} == {1}
    monkeypatch.setitem(
        sys.modules, "threadpoolctl", None
    )  # as if it were not installed
    assert blas.blas_on_one_thread() is None
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # as the command sets it
    assert blas.blas_on_one_thread() is not None


def test_without_threadpoolctl_there_is_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data(tmp_path)
    expected = train(tmp_path, 1)._theta
    monkeypatch.setattr("gradc.trainer.blas_on_one_thread", lambda: None)
    told: list[str] = []
    monkeypatch.setattr(
        "gradc.reporter.Silence.warning", lambda self, t: told.append(t)
    )
    alone = train(tmp_path, 2)
    assert alone.parallel.threads == 1 and alone.shards == 2
    assert "threadpoolctl" in told[0]
    np.testing.assert_allclose(
        alone._theta, expected, 1e-2, 1e-3
    )  # BLAS may have threads
