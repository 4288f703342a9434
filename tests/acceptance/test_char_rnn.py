"""The example char_rnn follows a recurrent network and its gradient written out by hand.

The hand-written side is the network of Karpathy's min-char-rnn from its equations: the text is
read from its beginning in pieces of 25 characters, h goes from piece to piece, backpropagation
ends at the beginning of a piece, each entry of a gradient is clipped to ±5, and Adagrad has its
ε inside the root. Both sides begin with the same weights, and neither ever looks at the other.

Such a training is chaotic. An entry of a gradient that is zero but for rounding moves its weight
by 1000 times itself (0.1 / √1e-8), and the loss doubles before it falls: weights that differ by
one unit in the last digit are 0.2 apart after twenty steps. So the hand-written side has vectors
as rows and sums over time in one product of matrices, as the emitted source of `-O1` has: where
both add in the same order, nothing is there to grow. (`-O2` turns weights for its products.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "char_rnn"
WHOLE = ROOT.parent / "shared" / "data" / "tinyshakespeare.txt"
NAMES = ("Wxh", "Whh", "Why", "bh", "by")
VOCABULARY, LENGTH, RATE, EPS, BOUND = 65, 25, 0.1, 1e-8, 5.0

Arrays = dict[str, Any]


@dataclass
class ByHand:
    """The network: weights, h, Adagrad's sums, and the smoothed loss."""

    weights: Arrays
    h: Any = None
    sums: Arrays = field(default_factory=dict)
    smooth: float = LENGTH * np.log(VOCABULARY)
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.h = np.zeros_like(self.weights["bh"])
        self.sums = {name: np.zeros_like(w) for name, w in self.weights.items()}

    def piece(self, codes: Any, targets: Any) -> tuple[float, Arrays]:
        """The loss, the sum of -log p over a piece, and its gradient by the chain rule."""
        w, steps = self.weights, range(len(codes))
        h = np.zeros((len(codes) + 1, len(self.h)))
        h[0] = self.h
        for t in steps:
            h[t + 1] = np.tanh(w["Wxh"][codes[t]] + h[t] @ w["Whh"] + w["bh"])
        self.h = h[-1].copy()
        y = h[1:] @ w["Why"] + w["by"]
        p = np.exp(y - y.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[steps, targets]).sum()

        dy = p
        dy[steps, targets] -= 1
        dh = dy @ w["Why"].T
        dz = np.zeros_like(dh)
        later = np.zeros_like(self.h)  # what the steps behind say of h
        for t in reversed(steps):
            dz[t] = (dh[t] + later) * (1 - h[t + 1] ** 2)
            later = dz[t] @ w["Whh"].T
        dWxh = np.zeros_like(w["Wxh"])  # a character's row: the sum where it stands
        order = np.argsort(codes, kind="stable")
        characters, first = np.unique(codes[order], return_index=True)
        dWxh[characters] = np.add.reduceat(dz[order], first, axis=0)
        return loss, {
            "Wxh": dWxh,
            "Whh": h[:-1].T @ dz,
            "Why": h[1:].T @ dy,
            "bh": dz.sum(axis=0),
            "by": dy.sum(axis=0),
        }

    def step(self, codes: Any, targets: Any) -> None:
        """One piece, and one step of Adagrad."""
        loss, gradient = self.piece(codes, targets)
        self.losses.append(loss)
        self.smooth = 0.999 * self.smooth + 0.001 * loss
        for name, g in gradient.items():
            g = np.clip(g, -BOUND, BOUND)
            self.sums[name] += g * g
            self.weights[name] -= g / np.sqrt(self.sums[name] + EPS) * RATE


def codes_of(text: str) -> Any:
    """Each character's place in the sorted set of all."""
    place = {character: i for i, character in enumerate(sorted(set(text)))}
    return np.array([place[character] for character in text])


def by_hand(text: str, start: Arrays, steps: int) -> ByHand:
    """`steps` pieces of a text, from its beginning."""
    hand = ByHand({name: value.copy() for name, value in start.items()})
    codes = codes_of(text)
    for step in range(steps):
        at = step * LENGTH
        hand.step(codes[at : at + LENGTH], codes[at + 1 : at + LENGTH + 1])
    return hand


def gradc_train(folder: Path, *options: str) -> gradc.Trained:
    """Train a copy of the example, as a user does, and open the run."""
    for name in ("char_rnn.net", "shakespeare.txt"):
        shutil.copy(EXAMPLE / name, folder)
    result = subprocess.run(
        [
            Path(sysconfig.get_path("scripts")) / "gradc",
            "train",
            "char_rnn.net",
            "-O1",
            *options,
        ],
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return gradc.open_run(folder / "runs" / "char_rnn-1", "last")


def compare(trained: gradc.Trained, hand: ByHand) -> None:
    """Weights, memory and the smoothed loss, in which each step's loss has its part."""
    network = trained.network
    found = network.views(network.theta)
    for name in NAMES:
        np.testing.assert_allclose(found[name], hand.weights[name], rtol=0, atol=1e-9)
    np.testing.assert_allclose(network.state["memory"], hand.h, rtol=0, atol=1e-9)
    assert network.state["smooth"] == pytest.approx(hand.smooth, rel=0, abs=1e-9)


def start(seed: int) -> Arrays:
    network = gradc.compile(EXAMPLE / "char_rnn.net")
    theta = network.init(seed)
    state = network.initial_state(seed)
    assert round(float(state["smooth"]), 2) == 104.36
    assert theta.dtype == np.float64
    return dict(network.views(theta))


def test_two_hundred_steps_follow_the_network_by_hand(tmp_path: Path) -> None:
    """On the text that is shipped; --valid: figures are taken of the last two per cent."""
    trained = gradc_train(tmp_path, "--steps", "200", "--seed", "3", "--valid", "0.02")
    text = (EXAMPLE / "shakespeare.txt").read_text(encoding="utf-8")
    hand = by_hand(text, start(3), 200)
    compare(trained, hand)
    assert hand.losses[-1] < 0.8 * hand.losses[0]


def test_on_the_whole_of_the_text_too(tmp_path: Path) -> None:
    """The vocabulary is that of the whole text: 65 characters."""
    if not WHOLE.exists():
        pytest.skip("needs ../shared/data/tinyshakespeare.txt")
    trained = gradc_train(
        tmp_path, "--steps", "200", "--data", str(WHOLE), "--valid", "0.01"
    )
    text = WHOLE.read_text(encoding="utf-8")
    assert len(set(text)) == 65
    compare(trained, by_hand(text, start(0), 200))


def test_the_gradient_of_one_piece(tmp_path: Path) -> None:
    """Before clipping and Adagrad, from weights that are not small."""
    network = gradc.compile(EXAMPLE / "char_rnn.net")
    rng = np.random.default_rng(0)
    theta = rng.normal(0, 0.3, network.init(0).size)
    state = {**network.initial_state(0), "memory": rng.normal(0, 0.5, 100)}
    codes = rng.integers(0, 65, LENGTH + 1)
    loss, nabla, after = network.value_and_grad(
        theta, state, text=codes[:-1], target=codes[1:]
    )
    hand = ByHand(dict(network.views(theta)))
    hand.h = state["memory"]
    expected, gradient = hand.piece(codes[:-1], codes[1:])
    assert loss == pytest.approx(expected, rel=1e-12)
    found = network.views(nabla)
    for name in NAMES:
        np.testing.assert_allclose(found[name], gradient[name], rtol=0, atol=1e-11)
    np.testing.assert_allclose(after["memory"], hand.h, rtol=0, atol=1e-13)
