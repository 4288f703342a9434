"""Optimisers against PyTorch: committed golden vectors, and live where torch is at hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from write_optimizer_golden import (
    CASES,
    DECAY,
    GOLDEN,
    KEPT,
    PLACES,
    SCHEDULES,
    losses,
    start_and_gradients,
    torch_average,
    torch_rates,
    torch_run,
)

from gradc.averaging import Average
from gradc.optimizers import RULES, Optimizer, clip_norm, clip_value
from gradc.schedules import KINDS, Schedule


def run(case: str) -> np.ndarray:
    rule, arguments, norm, value = CASES[case]
    theta, gradients = start_and_gradients()
    optimizer = Optimizer(rule, arguments, theta, PLACES)
    kept = []
    for step, gradient in enumerate(gradients, 1):
        if norm is not None:
            clip_norm(gradient, norm)
        if value is not None:
            clip_value(gradient, value)
        optimizer.step(gradient)
        if step in KEPT:
            kept.append(theta.copy())
    return np.array(kept)


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    with np.load(GOLDEN) as golden:
        np.testing.assert_allclose(run(case), golden[case], rtol=1e-9, atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES)
def test_torch(case: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    np.testing.assert_allclose(run(case), torch_run(case), rtol=1e-9, atol=1e-12)


def test_every_rule_has_a_golden_vector() -> None:
    assert {rule for rule, *_ in CASES.values()} == set(RULES)
    with np.load(GOLDEN) as golden:
        cases = {*CASES, *(f"rates/{case}" for case in SCHEDULES), "average"}
        assert set(golden) == cases
    assert {name for name, *_ in SCHEDULES.values()} | {"constant", "linear"} == set(
        KINDS
    )


def test_the_gradients_span_four_decades() -> None:
    sizes = np.abs(start_and_gradients()[1])
    assert np.quantile(sizes, 0.95) / np.quantile(sizes, 0.05) > 1e3
    assert sizes.max() / sizes.min() > 1e4


@pytest.mark.parametrize("name", RULES)
def test_a_step_keeps_dtype_and_memory(name: str) -> None:
    theta = np.ones(5, np.float32)
    optimizer = Optimizer(name, {"decay": 0.1}, theta)
    for _ in range(3):
        optimizer.step(np.full(5, 0.5, np.float32))
    assert (theta < 1).all() and theta.dtype == np.float32
    assert all(slot.dtype == np.float32 for slot in optimizer.slots.values())
    assert optimizer.steps == 3


@pytest.mark.parametrize("name", RULES)
def test_state_written_back_resumes_to_the_bit(name: str) -> None:
    theta, gradients = start_and_gradients()
    optimizer = Optimizer(name, {}, theta)
    for gradient in gradients[:20]:
        optimizer.step(gradient.copy())
    middle = theta.copy(), {k: v.copy() for k, v in optimizer.slots.items()}
    for gradient in gradients[20:40]:
        optimizer.step(gradient.copy())
    again = Optimizer(name, {}, middle[0])
    for slot, values in middle[1].items():
        again.slots[slot][...] = values
    again.steps = 20
    for gradient in gradients[20:40]:
        again.step(gradient.copy())
    assert np.array_equal(again.theta, theta)


def rates(case: str) -> np.ndarray:
    name, arguments, rate, steps, *_ = SCHEDULES[case]
    schedule = Schedule.of({"name": name, "args": arguments})
    found = []
    for step, loss in zip(range(steps), losses(), strict=True):
        found.append(schedule.rate(rate, step, steps))
        schedule.observe(loss)
    return np.array(found)


def average() -> np.ndarray:
    theta, gradients = start_and_gradients()
    optimizer = Optimizer("adam", {"lr": 0.02}, theta)
    mean, kept = Average(DECAY, theta), []
    for step, gradient in enumerate(gradients, 1):
        optimizer.step(gradient)
        mean.update()
        if step in KEPT:
            kept.append(mean.vector.copy())
    return np.array(kept)


def test_the_moving_average() -> None:
    with np.load(GOLDEN) as golden:
        np.testing.assert_allclose(average(), golden["average"], rtol=1e-9, atol=1e-12)


@pytest.mark.torch
def test_the_moving_average_torch() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    np.testing.assert_allclose(average(), torch_average(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("at", [1, 37, 61, 150])
def test_a_plateau_goes_on_from_its_memory(at: int) -> None:
    name, arguments, rate, *_ = SCHEDULES["plateau_cooling"]
    first, second = (Schedule.of({"name": name, "args": arguments}) for _ in range(2))
    expected = rates("plateau_cooling")
    for loss in losses()[:at]:
        first.observe(loss)
    second.restore(json.loads(json.dumps(first.memory)))
    for step in range(at, 200):
        assert second.rate(rate, step, 200) == expected[step]
        second.observe(losses()[step])
    assert Schedule.of({"name": "step", "args": {}}).memory == {}


def test_masks_name_parameters() -> None:
    with pytest.raises(
        ValueError, match=r"no trained parameter is called 'c.W'; there"
    ):
        Optimizer("adam", {"on": "a.W, c.W"}, np.zeros(12), PLACES)


@pytest.mark.parametrize("case", SCHEDULES)
def test_schedules(case: str) -> None:
    with np.load(GOLDEN) as golden:
        np.testing.assert_allclose(rates(case), golden[f"rates/{case}"], rtol=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("case", SCHEDULES)
def test_schedules_torch(case: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    np.testing.assert_allclose(rates(case), torch_rates(case), rtol=1e-9)


def test_warm_up_is_linear_and_the_rest_follows_it() -> None:
    """nanoGPT's: (step + 1) / (warmup + 1) of the rate, then half a cosine to `min`."""
    schedule = Schedule.of({"name": "cosine", "args": {"warmup": 4, "min": 0.1}})
    found = [schedule.rate(1.0, step, 10) for step in range(13)]
    np.testing.assert_allclose(found[:5], [0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[7] == pytest.approx(0.55) and found[9] < 0.2
    np.testing.assert_allclose(found[10:], 0.1)
    shorter = Schedule.of({"name": "cosine", "args": {"steps": 5}})
    assert shorter.rate(1.0, 5, 1000) == 0
    for name in sorted(set(KINDS) - {"one_cycle"}):  # which has a rise of its own
        made = Schedule.of({"name": name, "args": {"warmup": 3}})
        assert made.rate(2.0, 0, 9) == 0.5 and made.rate(2.0, 3, 9) == 2
    with pytest.raises(ValueError, match="no schedule 'cos'; there are constant"):
        Schedule.of({"name": "cos", "args": {}})
    with pytest.raises(ValueError, match="cosine has no argument 'low'; it has warmup"):
        Schedule.of({"name": "cosine", "args": {"low": 1}})


def test_epsilon_inside_the_root_is_min_char_rnn() -> None:
    theta, gradients = start_and_gradients()
    other, memory = theta.copy(), np.zeros_like(theta)
    optimizer = Optimizer("adagrad", {"lr": 0.1, "eps": 1e-8, "inside": True}, theta)
    for gradient in gradients:
        memory += gradient * gradient
        other += -0.1 * gradient / np.sqrt(memory + 1e-8)
        optimizer.step(gradient)
    np.testing.assert_allclose(theta, other, rtol=1e-13)


def test_a_schedule_gives_the_rate() -> None:
    theta = np.zeros(2)
    optimizer = Optimizer("sgd", {"lr": 1.0}, theta)
    optimizer.step(np.ones(2), lr=0.25)
    assert list(theta) == [-0.25, -0.25]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no optimiser 'adm'; there are sgd"):
        Optimizer("adm", {}, np.zeros(1))
    with pytest.raises(ValueError, match="sgd has no argument 'beta1'; it has lr"):
        Optimizer("sgd", {"beta1": 0.5}, np.zeros(1))


def test_clip_leaves_small_gradients_alone() -> None:
    nabla = np.array([3.0, 4.0])
    clip_norm(nabla, 5.1)
    assert list(nabla) == [3, 4]
    clip_norm(nabla, 1.0)
    assert math.hypot(*nabla) == pytest.approx(1 / (1 + 2e-7), rel=1e-12)
    clip_value(nabla, 0.7)
    assert nabla[1] == 0.7 and nabla[0] == pytest.approx(0.6)
