"""The four equations of backpropagation come out of the derivation of a stack of layers."""

from __future__ import annotations

import numpy as np
import pytest
from checking import (
    SAMPLES,
    AsLatex,
    AsText,
    Numbers,
    agree,
    check,
    latex_of,
    trace_of,
    traced,
)
from reading_back import Env

from gradc.compiler.explain.columns import columns
from gradc.compiler.explain.derivation import Derivation, derivations
from gradc.compiler.explain.layers import Stack, stack_of
from gradc.compiler.explain.printing import Naming
from gradc.compiler.explain.text import text

THREE = """
input x: [N, 4]
input y: [N, 2]
h = dense(x, 5, tanh)
g = dense(h, 3, sigmoid)
p = dense(g, 2, sigmoid)
loss C = sum((p - y)^2) / (2 * N)
"""


def stack_and_whole(program: str) -> tuple[Stack, Derivation]:
    trace = trace_of(program)
    (whole,) = derivations(trace.program, trace.named)
    stack = stack_of(whole)
    assert stack is not None
    return stack, whole


def test_the_four_equations() -> None:
    stack, _ = stack_and_whole(THREE)
    said = {s.name: text(s.chain or s.formula) for s in stack.derivation.steps}
    assert said["δ3"] == "d_a3 * sigmoid'(z3)"
    assert said["δ2"] == "(δ3 @ W3') * sigmoid'(z2)"
    assert said["δ1"] == "(δ2 @ W2') * tanh'(z1)"
    for k, below in ((3, "a2"), (2, "a1"), (1, "x")):
        assert said[f"d_b{k}"] == f"sum(δ{k}, axis = 0)"
        assert said[f"d_W{k}"] == f"{below}' @ δ{k}"


def test_in_columns_they_are_those_of_the_books() -> None:
    stack, _ = stack_and_whole(THREE)
    said = {s.name: text(columns(s.chain or s.formula)) for s in stack.derivation.steps}
    assert said["δ3"] == "d_a3 * sigmoid'(z3)"
    assert said["δ2"] == "(W3' @ δ3) * sigmoid'(z2)"
    assert said["d_b2"] == "sum(δ2, axis = 1)"
    assert said["d_W2"] == "δ2 @ a1'"


@pytest.mark.parametrize("name", ["04_relu_mlp", "05_nielsen"])
def test_the_samples_that_are_stacks(name: str) -> None:
    trace = traced(SAMPLES / f"{name}.net")
    (whole,) = derivations(trace.program, trace.named)
    assert stack_of(whole) is not None


@pytest.mark.parametrize("name", ["03_logistic", "06_cnn", "16_tied_autoencoder"])
def test_the_samples_that_are_not(name: str) -> None:
    trace = traced(SAMPLES / f"{name}.net")
    (whole,) = derivations(trace.program, trace.named)
    assert stack_of(whole) is None


def test_the_books_names_mean_the_same() -> None:
    trace = trace_of(THREE)
    (whole,) = derivations(trace.program, trace.named)
    stack = stack_of(whole)
    assert stack is not None
    env = check(whole, Numbers(trace))
    renamed = Env(dict(env) | {new: env[old] for old, new in stack.names.items()})
    steps = stack.derivation.steps
    for said in (AsText(), AsLatex(Naming([s.name for s in steps], layers=True))):
        for s in steps:
            for f in (s.formula, s.chain):
                if f is not None:
                    shown = said.shown(f)
                    agree(said.value(shown, renamed), renamed[s.name], shown)


DEEPER = ("06_cnn", "08_nanogpt", "15_two_heads")
"""Their arrays have more than two axes: nothing is turned."""


@pytest.mark.parametrize(
    "path",
    sorted(path for path in SAMPLES.glob("[01]*.net") if path.stem not in DEEPER),
    ids=lambda p: p.stem,
)
def test_columns_are_the_transposes(path) -> None:
    """With every matrix turned, each formula gives the transpose of what it gave."""
    trace = traced(path)
    numbers = Numbers(trace)
    for whole in derivations(trace.program, trace.named):
        if whole.loops:
            continue
        env = check(whole, numbers)
        turned = Env({k: v.T if np.ndim(v) == 2 else v for k, v in env.items()})
        for s in whole.steps:
            wanted = np.asarray(env[s.name])
            wanted = wanted.T if wanted.ndim == 2 else wanted
            for f in (s.formula, s.chain):
                if f is None:
                    continue
                for said in (AsText(), latex_of(whole)):
                    shown = said.shown(columns(f))
                    found = np.broadcast_to(said.value(shown, turned), wanted.shape)
                    agree(found, wanted, shown)
