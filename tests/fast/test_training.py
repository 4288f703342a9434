"""Training at `-O2`: the weights of `-O1`, whatever the update is made of."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fast.running import compiled

from gradc import buffers
from gradc.data import load
from gradc.diagnosis import first_nonfinite
from gradc.network import Network
from gradc.settings import Settings
from gradc.trainer import Trainer

PROGRAM = """input x: [N, 4]
input y: int[N]
h = x |> dense(6, tanh)
loss fit = cross_entropy(dense(h, 3), y)
train {{ optimizer = {optimizer}; batch = 16; epochs = 3; dtype = float64 {more} }}
"""
UPDATES = {
    "plain": ("sgd(lr = 0.3)", ""),
    "momentum": ("sgd(lr = 0.1, momentum = 0.9)", ""),
    "decay": ("sgd(lr = 0.1, decay = 0.01)", ""),
    "clipped": ("sgd(lr = 0.3)", "; clip = 0.2"),
    "scheduled": ("sgd(lr = 0.3)", "; schedule = cosine()"),
    "adam": ("adam(lr = 0.01)", ""),
}


def trained(folder: Path, text: str, level: int) -> Any:
    """The weights, and the losses of the epochs. 90 rows: the last batch is shorter."""
    rng = np.random.default_rng(0)
    np.savez(folder / "d.npz", x=rng.normal(size=(90, 4)), y=rng.integers(0, 3, 90))
    made = compiled(text, level)
    signature = {**made.signature}
    signature["train"] = {
        **signature["train"],
        "data": [[None, {"path": "d.npz", "entry": None}]],
    }
    network = Network(made.source, signature)
    settings = Settings.of(signature)
    result = Trainer(network, load(signature, settings, folder), settings).train()
    return result.theta, [epoch.loss for epoch in result.history]


@pytest.mark.parametrize("name", UPDATES)
def test_the_weights_are_those_of_the_plain_source(name: str, tmp_path: Path) -> None:
    optimizer, more = UPDATES[name]
    text = PROGRAM.format(optimizer=optimizer, more=more)
    (plain, losses), (fast, again) = (trained(tmp_path, text, k) for k in (1, 2))
    assert np.max(np.abs(plain - fast)) <= 1e-12
    assert losses == pytest.approx(again, rel=1e-12)


@pytest.mark.parametrize("left", [0.0, math.nan, math.inf])
def test_the_first_value_that_is_not_finite_is_found(
    left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the memory of the step has in it before."""
    empty = buffers.empty

    def filled(shape: Any, dtype: Any = float) -> Any:
        room = empty(shape, dtype)
        room.view(float).fill(left)
        return room

    monkeypatch.setattr(buffers, "empty", filled)
    text = "input x: [N]\ninput y: [N]\nparam w = 1\nz = log(x * w)\nloss = mean((z - y)^2)\n"
    made = compiled(text)
    network = Network(made.source, made.signature)
    x, y = np.array([1.0, 2.0, -3.0]), np.zeros(3)
    where, what = first_nonfinite(network, np.ones(1), [x, y], {}, {})
    assert "z in `z = log(x * w)`" in where and "test.net:4" in where
    assert what.startswith("z: 1 of 3 entries")


def test_a_program_without_inputs() -> None:
    """A function of parameters alone: Rosenbrock's."""
    text = (
        "param x: [5] = 0.5\nloss = sum(100 * (x[1:] - x[:-1]^2)^2 + (1 - x[:-1])^2)\n"
    )
    found = []
    for level in (0, 2):
        made = compiled(text, level)
        network = Network(made.source, made.signature)
        found.append(network.value_and_grad(network.init(dtype=float)))
    (loss, wanted), (other, nabla) = found
    assert other == pytest.approx(loss, rel=1e-14)
    assert np.allclose(nabla, wanted, rtol=1e-13)
