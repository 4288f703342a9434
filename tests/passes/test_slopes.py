"""Local derivatives ahead: one array is saved where a chain had read several."""

from __future__ import annotations

from typing import Any

import pytest
from fast.test_programs import agrees

from gradc.compiler import Options, Source, driver

NET = """
input x: [N, 4]
input y: [N, 8]
param W: [4, 8] = normal(0, 1)
h = {0}
loss = mse(h, y)
"""
PAYS = {  # arrays of [N, 8] that are saved beside the slope are h and, where told, z
    "gelu_tanh": "gelu_tanh(x @ W)",
    "mish": "mish(x @ W)",
    "by hand": "tanh(x @ W) * (x @ W) * sigmoid(2 * (x @ W)) / 3",
    "a quotient": "(x @ W) / (1 + (x @ W)^2)",
}
DOES_NOT = {
    "tanh": "tanh(x @ W)",
    "a gate": "tanh(x @ W) * y",
    "a line": "3 * (x @ W) - 1",
    "a norm": "(x @ W) / sqrt(mean((x @ W)^2, axis = -1, keep = true) + 1)",
}


def compiled(value: str, level: int = 2, **more: Any) -> driver.Compiled:
    source = Source.from_text("slope.net", NET.format(value))
    return driver.compile_source(source, Options(level=level, **more))


def joint(value: str, level: int = 2) -> Any:
    source = Source.from_text("slope.net", NET.format(value))
    return driver.build(source, Options(level=level), until="opt").value


@pytest.mark.parametrize("name", PAYS)
def test_one_array_is_saved_for_several(name: str) -> None:
    assert len(joint(PAYS[name]).ahead) == 1
    source = compiled(PAYS[name]).source
    backward = source[source.index("def backward") :]
    backward = backward[: backward.index("\ndef ")]
    assert "slope" in backward
    calls = [t for t in backward.splitlines() if t.startswith("    np.")]
    assert len(calls) == 3, calls  # d_h of the mean square, d_z, d_W
    agrees(NET.format(PAYS[name]), float, 1e-12)


@pytest.mark.parametrize("name", DOES_NOT)
def test_where_nothing_is_gained_nothing_moves(name: str) -> None:
    assert joint(DOES_NOT[name]).ahead == ()


def test_the_readable_levels_keep_the_chain() -> None:
    assert joint(PAYS["mish"], level=1).ahead == ()


def test_no_more_operations_than_before() -> None:
    """Terms are put over common factors: as one would write the derivative of a gelu."""
    source = compiled(PAYS["gelu_tanh"], recompute="none").source
    calls = source[source.index("def forward") : source.index("def evaluate")]
    assert calls.count("    np.") <= 26


def test_recomputed_blocks_keep_the_chain_in_backward() -> None:
    text = (
        NET.replace("h = {0}", "h = dense(x, 8, act = {0})")
        .replace("param W: [4, 8] = normal(0, 1)\n", "")
        .format("gelu_tanh")
    )
    source = Source.from_text("slope.net", text)
    made = driver.compile_source(source, Options(level=2, recompute="blocks"))
    forward, _, backward = made.source.partition("def backward")
    assert "out=slope" in backward
    assert "out=slope" not in forward
    agrees(text, float, 1e-12)


def test_a_chain_of_sums_has_no_more_terms_than_operations() -> None:
    """Two ways through each step: not 2^12 products; and 0.2 is in one term twice."""

    def net(steps: int) -> str:
        step = "{ h = sin(h) + 0.1 * h^2 }"
        return NET.format("z").replace("h = z", f"h = x @ W\nrepeat {steps} {step}")

    def count(steps: int) -> int:
        source = Source.from_text("slope.net", net(steps))
        return driver.build(source, Options(level=2)).value.source.count("np.")

    assert count(24) - count(12) <= count(12)
    agrees(net(12), float, 1e-12)
