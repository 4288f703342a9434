"""What a compilation costs grows with the program and no faster.

Counted are calls, so that a busy machine changes nothing. A size at which one walk too many
shows is small: a step that looks at all of the program for each equation has hundreds of
thousands of calls more at four hundred equations than at two hundred.
"""

from __future__ import annotations

import gc

import pytest
from calls import calls

from gradc.compiler.driver import build
from gradc.compiler.source import Source

SCALAR = "input x", "param w = 1", "e0 = w * x", "e{i} = sin(e{j}) * 2", "loss = e{n}"
TENSOR = (
    "input x: [N, 8]",
    "param W: [8, 8] = normal()",
    "param b: [8] = 0",
    "e0 = 2 * x",
)
PROGRAMS = {
    "scalars": SCALAR,
    "layers": (*TENSOR, "e{i} = tanh(e{j} @ W + b)", "loss = mean(e{n}^2 @ W)"),
    "biases": (*TENSOR, "e{i} = tanh(e{j}) + b", "loss = mean(e{n} @ W)"),
    "residuals": (*TENSOR, "e{i} = e{j} + relu(e{j} * b)", "loss = mean(e{n} @ W)"),
}


def program(lines: tuple[str, ...], equations: int) -> Source:
    """A chain of so many equations, with its loss."""
    *head, step, loss = lines
    body = [step.format(i=i, j=i - 1) for i in range(1, equations)]
    text = "\n".join([*head, *body, loss.format(n=equations - 1)])
    return Source.from_text("chain.net", text + "\n")


@pytest.mark.parametrize("kind", PROGRAMS)
def test_calls_grow_linearly(kind: str) -> None:
    lines = PROGRAMS[kind]
    build(program(lines, 4))  # tables and caches
    small, large = (calls(lambda n=n: build(program(lines, n))) for n in (100, 200))
    assert large < 2.1 * small


def test_a_compilation_is_freed_without_the_collector() -> None:
    source = program(SCALAR, 100)
    build(source)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        build(source)
        after = len(gc.get_objects())
    finally:
        gc.enable()
    assert after - before < 100  # of some six thousand
