"""Scores lie so that a maximum along them goes from run to run; nothing else does."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fast.running import compiled
from fast.test_programs import agrees

HEAD = """
input x: [N, T, 8]
input y: [N, T, 8]
param P, Q, V: [8, 8] = normal(0, 0.5)
"""
TAIL = "\nloss = mse(a @ (x @ V), y)\n"
HEADS = """
fn heads(z) = rearrange(z, "n t (h d) -> n h t d", h = 2)
s = heads(x @ P) @ heads(x @ Q)'
a = softmax({0})
loss = mse(rearrange(a @ heads(x @ V), "n h t d -> n t (h d)"), y)
"""
SCORES = "s = (x @ P) @ (x @ Q)'\n"
TURNED = {
    "plain": SCORES + "a = softmax(s / 3)" + TAIL,
    "causal": SCORES + "a = softmax(where(causal_mask(T), s, -inf))" + TAIL,
    "capped": SCORES + "a = softmax(3 * tanh(s / 3))" + TAIL,
    "heads": HEADS.format("s"),
    "causal heads": HEADS.format("where(causal_mask(T), s / 2, -inf)"),
    "decayed": HEADS.format("where(causal_mask(T), s, -1e9)"),
    "centred": HEADS.format("s - mean(s, axis = -1, keep = true)"),
    "two losses": (
        SCORES + "a = softmax(s)\nb = softmax(2 * s)\n"
        "loss = mse(a @ (x @ V), y) + mse(b @ x, y)\n"
    ),
}
LEFT = {
    "a bias of each place": "param b: [5, 5] = 0\n"
    + SCORES
    + "a = softmax(s + b)"
    + TAIL,
    "masked by the data": (
        "input m: [N, T, T]\n" + SCORES + "a = softmax(where(m > 0, s, -9))" + TAIL
    ),
    "read by columns": (
        SCORES + "a = softmax(s) / (1 + sum(exp(s), axis = 1, keep = true))" + TAIL
    ),
    "a fixed bias": SCORES + "a = softmax(s + where(causal_mask(T), 1, 2))" + TAIL,
    "no product": "a = softmax(x @ P)\nloss = mse(a @ Q + x @ V, y)\n",
    "dropped": SCORES + "a = dropout(softmax(s), 0.5)" + TAIL,
}


def lies_turned(source: str) -> bool:
    """Is a maximum taken along another axis than the last one?"""
    forward = source.partition("def backward")[0]
    axes = re.findall(r"np\.maximum\.reduce\(.*axis=(\d)", forward)
    return bool(axes) and set(axes) == {"1"}


@pytest.mark.parametrize("name", TURNED)
def test_scores_lie_turned(name: str) -> None:
    text = HEAD + TURNED[name]
    assert lies_turned(compiled(text).source)
    agrees(text, float, 1e-12)


@pytest.mark.parametrize("name", LEFT)
def test_left_alone(name: str) -> None:
    text = HEAD + LEFT[name]
    if name == "a bias of each place":
        text = text.replace("[N, T, 8]", "[N, 5, 8]")
    assert not lies_turned(compiled(text).source)
    if name != "dropped":
        agrees(text, float, 1e-12)


@pytest.mark.parametrize(("rows", "turned"), [("1", False), ("4", False), ("32", True)])
def test_few_rows_have_no_runs(rows: str, turned: bool) -> None:
    text = (
        f"input x: [N, {rows}, 8]\ninput k: [N, T, 8]\ninput y: [N, {rows}, 8]\n"
        "param P, V: [8, 8] = normal(0, 1)\n"
        "a = softmax((x @ P) @ k')\nloss = mse(a @ (k @ V), y)\n"
    )
    assert lies_turned(compiled(text).source) is turned
    agrees(text, float, 1e-12)


def test_single_precision() -> None:
    agrees(HEAD + TURNED["causal heads"], np.float32, 1e-5)
