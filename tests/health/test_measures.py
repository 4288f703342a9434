"""What is counted, on arrays made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gradc.health import thresholds as t
from gradc.health.measures import (
    Activation,
    Carry,
    Norm,
    Softmax,
    Spread,
    Table,
    by_unit,
    grid,
    shape_of,
    twins,
)

Z = grid(4001)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -700, 700)))


@pytest.mark.parametrize(
    ("value", "slope", "kind"),
    [
        (np.tanh(Z), 1 - np.tanh(Z) ** 2, "saturating"),
        (sigmoid(Z), sigmoid(Z) * sigmoid(-Z), "saturating"),
        (sigmoid(50 * Z), 50 * sigmoid(50 * Z) * sigmoid(-50 * Z), "saturating"),
        (np.maximum(Z, 0), (Z > 0) * 1.0, "rectifying"),
        (np.minimum(Z, 0), (Z < 0) * 1.0, "rectifying"),
        (np.clip(Z, 0, 6), ((Z > 0) & (Z < 6)) * 1.0, "rectifying"),
        (np.where(Z > 0, Z, 0.01 * Z), np.where(Z > 0, 1, 0.01), None),
        (np.sin(Z), np.cos(Z), None),
        (Z**2, 2 * Z, None),
        (np.maximum(Z, 0) ** 2, 2 * np.maximum(Z, 0), None),
        (np.maximum(Z - 50, 0), (Z > 50) * 1.0, "rectifying"),
        (3 * Z, np.full(Z.shape, 3.0), None),
        (np.exp(np.clip(Z, -700, 700)), np.exp(np.clip(Z, -700, 700)), None),
        (np.zeros(Z.shape), np.zeros(Z.shape), None),
    ],
)
def test_the_shape_of_a_function(
    value: np.ndarray, slope: np.ndarray, kind: str | None
) -> None:
    found = shape_of(Z, value, slope)
    assert (None if found is None else found.kind) == kind


def test_a_function_that_is_not_finite_has_no_shape() -> None:
    with np.errstate(all="ignore"):
        assert shape_of(Z, np.log(Z), 1 / Z) is None


def test_units_lie_along_one_axis() -> None:
    a = np.arange(24.0).reshape(2, 3, 4)
    assert by_unit(a, -1).shape == (6, 4)
    assert by_unit(a, -2).shape == (8, 3)
    assert by_unit(a, -2)[:, 1].tolist() == a[:, 1].reshape(-1).tolist()
    assert by_unit(a, None).shape == (24, 1)
    assert by_unit(np.float64(3), -1).shape == (1, 1)


def test_stuck_units_are_flat_in_every_batch() -> None:
    shape = shape_of(Z, np.maximum(Z, 0), (Z > 0) * 1.0)
    assert shape is not None
    a = Activation(shape, -1)
    for z in (np.array([[1.0, -1, -1]]), np.array([[-1.0, -1, 2]])):
        a.add(np.maximum(z, 0), (z > 0) * 1.0, None)
    assert a.stuck.tolist() == [False, True, False]
    assert a.share(a.flat) == 4 / 6
    assert a.mean_slope == pytest.approx(2 / 6)


def test_wrong_is_flat_and_wanted_back() -> None:
    shape = shape_of(Z, sigmoid(Z), sigmoid(Z) * sigmoid(-Z))
    assert shape is not None
    a = Activation(shape, -1)
    z = np.array([[20.0, 20, -20, -20, 0, 0]])
    # Lower, higher; higher, lower; and of what is steep either.
    delta = np.array([[1.0, -1, -1, 1, 1, -1]])
    a.add(sigmoid(z), sigmoid(z) * sigmoid(-z), delta)
    assert a.wrong.tolist() == [1, 0, 1, 0, 0, 0]
    assert a.astray == pytest.approx(2 / 6)


def test_a_sure_row_is_wrong_only_where_it_is() -> None:
    z = np.array([[30.0, 0, 0], [30.0, 0, 0], [1.0, 0, 0]])
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    y = np.eye(3)[[0, 1, 1]]
    s = Softmax(-1)
    s.add_scores(z, (p - y) / 3, np.full((3, 1), 1 / 3))
    assert (s.rows, s.peaked, s.wrong) == (3, 2, 1)
    inner = Softmax(-1)
    inner.add(p, 2 * (p - y))
    assert (inner.rows, inner.peaked, inner.wrong) == (3, 2, 1)


def test_variances_and_tables() -> None:
    n = Norm(1e-5)
    n.add(np.array([0.0, 1e-6, 1.0]))
    assert (n.count, n.flat, n.largest) == (3, 2, 1.0)
    table = Table(5)
    table.add(np.array([[0, 1], [1, 3]]), None, None)
    assert table.used.tolist() == [True, True, False, True, False]
    assert table.lookups == 4


def test_steps_stand_in_their_order() -> None:
    c = Carry(backwards=True)
    c.add(np.array([[3.0], [4.0]]), np.array([[1.0], [2.0]]))
    assert c.norms.tolist() == [2.0, 1.0]
    assert c.rms.tolist() == [4.0, 3.0]


def test_twins_have_equal_values_and_gradients() -> None:
    rng = np.random.default_rng(0)
    v, g = np.full((4, 6), 0.3), np.tile(rng.normal(size=(4, 1)), 6)
    assert twins(v, g, -1, t.TWIN_ERROR) == 6
    assert twins(v, rng.normal(size=(4, 6)), -1, t.TWIN_ERROR) == 0
    assert twins(rng.normal(size=(4, 6)), g, -1, t.TWIN_ERROR) == 0
    assert twins(v, np.zeros((4, 6)), -1, t.TWIN_ERROR) == 0
    assert twins(v + 1e-13 * rng.normal(size=v.shape), g, -1, t.TWIN_ERROR) == 6


def test_a_spread_knows_what_is_not_finite() -> None:
    s = Spread()
    s.add(np.array([3.0, 4.0]))
    assert (s.rms, s.norm, s.finite) == (pytest.approx(12.5**0.5), 5.0, True)
    s.add(np.array([np.nan, 0.0]))
    assert not s.finite and s.largest == 4
    counts, low, high = s.histogram()
    assert (sum(counts), low, high) == (3, 0.0, 4.0)
    assert Spread().histogram() == ([], 0.0, 0.0)
