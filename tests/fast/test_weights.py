"""Which weights lie turned in θ, and that nobody but BLAS sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradc.compiler import Options, Source, compile_source
from gradc.network import Network
from gradc.weights import Snapshot, Weights

NARROW = """
input x: [N, 200]
input y: [N, 3]
param W: [200, 20] = normal(0, 0.1)
param b: [20] = normal(0, 1)
param V: [20, 3] = normal(0, 1)
h = tanh(x @ W + b)
loss = mean((h @ V - y)^2)
train { batch = 8 }
"""
RNG = np.random.default_rng(1)
DATA = {"x": RNG.normal(size=(8, 200)), "y": RNG.normal(size=(8, 3))}


def network(text: str, level: int = 2, **options: Any) -> Network:
    found = compile_source(Source("t.net", text), Options(level=level, **options))
    return Network(found.source, found.signature)


def lying(text: str) -> set[str]:
    """The paths of the weights that lie turned."""
    signature = network(text).signature
    return {p["path"] for p in signature["parameters"] if p["turned"]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("", ""), {"W"}),
        (("batch = 8", "batch = 32"), {"W"}),
        (("batch = 8", "batch = 33"), set()),  # BLAS takes longer so
        (("train { batch = 8 }", ""), set()),  # nothing is known of the rows
        (("20]", "16]"), set()),  # too narrow
        (("20]", "33]"), set()),  # too wide
        (("[200, 20]", "[100, 20]"), set()),  # not deep
        (("x @ W", "exp(x) @ W"), set()),  # nothing that lies as the data do
        (("- y)^2)", "- y)^2) + sum(W^2)"), set()),  # another reader
        (("- y)^2)", "- y)^2) + sum((x @ (2 * W))^2)"), set()),
    ],
)
def test_deep_and_narrow_weights_of_few_rows_lie_turned(
    change: tuple[str, str], expected: set[str]
) -> None:
    old, new = change
    text = NARROW.replace(old, new) if old else NARROW
    if old == "20]":
        text = text.replace("[20,", f"[{new[:-1]},")
    if old == "[200, 20]":
        text = text.replace("200]", "100]")
    assert lying(text) == expected


def test_values_and_gradients_are_those_of_other_levels() -> None:
    found = {}
    for level, options in ((0, {}), (1, {}), (2, {}), (2, {"poison": True})):
        net = network(NARROW, level, **options)
        theta = net.init(0, np.float64)
        loss, nabla = net.value_and_grad(theta, **DATA)
        found[level, bool(options)] = (net.views(theta), loss, net.views(nabla))
    views, loss, nabla = found[0, False]
    for other, other_loss, gradients in found.values():
        assert abs(other_loss - loss) <= 1e-12 * abs(loss)
        for path in views:
            np.testing.assert_array_equal(other[path], views[path])
            bound = 1e-12 * np.abs(nabla[path]).max()
            np.testing.assert_allclose(gradients[path], nabla[path], 0, bound)


@pytest.mark.parametrize(("rows", "lies_turned"), [(8, True), (11, True), (12, False)])
def test_a_product_of_one_tile_lies_turned(rows: int, lies_turned: bool) -> None:
    source = network(NARROW.replace("batch = 8", f"batch = {rows}")).source
    assert ("np.dot(W.T, x.T, out=" in source) is lies_turned
    assert ("np.dot(x, W, out=" in source) is not lies_turned


def test_each_column_lies_together_and_entries_are_found() -> None:
    net = network(NARROW)
    theta = net.init(0, np.float64)
    views = net.views(theta)
    assert views["W"].strides == (8, 8 * 200) and views["V"].strides == (24, 8)
    for place in net.places:
        for k in range(0, place.stop - place.start, 7):
            assert views[place.path][place.entry(k)] == theta[place.start + k]
    assert "# Each column lies together in θ: W." in net.source.splitlines()


def test_a_checkpoint_is_of_no_layout() -> None:
    """What one level saves, with the slots of its optimiser, another one reads."""
    fast, plain = network(NARROW), network(NARROW, 0)
    theta, slot = fast.init(3, np.float64), RNG.normal(size=fast.trained)
    saved = Snapshot(theta, {}, {}, {"m": slot}).arrays(fast)
    kept = {k[2:]: v for k, v in saved.items() if k.startswith("p/")}
    slots = {k[4:]: v for k, v in saved.items() if k.startswith("o/m/")}
    state = {"dtype": "float64", "sizes": {}}
    weights = Weights(kept, {"m": slots}, state, Path("w.npz"))
    np.testing.assert_array_equal(weights.theta(fast), theta)
    np.testing.assert_array_equal(weights.slot(fast, "m"), slot)
    there = weights.theta(plain)
    assert not np.array_equal(there, theta)
    losses = [n.evaluate(t, **DATA) for n, t in ((fast, theta), (plain, there))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    moved = plain.views(weights.slot(plain, "m"))
    for path, view in fast.views(slot).items():
        np.testing.assert_array_equal(moved[path], view)
