"""Whole programs at `-O2` against `-O0`: with poisoned buffers, twice, in both precisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend.test_chance_and_memory import PROGRAMS as RANDOM
from backend.test_loops import PROGRAMS as LOOPS
from fast.running import Fast, compiled, drawn, largest_error, values_of

EXAMPLES = Path(__file__).parents[2] / "examples"
LIBRARY = {
    "lstm": "x |> lstm(4)",
    "gru": "x |> gru(4)",
    "rnn": "x |> rnn(4)",
    "attention": "x |> attention(2)",
    "causal": "x |> attention(2, causal = true)",
    "transformer": "x |> transformer(2, causal = true)",
    "layernorm": "layernorm(x)",
    "batchnorm": "batchnorm(x)",
    "glu": "glu(x)",
    "silu": "silu(x) + mish(x) + softsign(x)",
    "gelu": "gelu(x) + gelu_tanh(x)",
    "elu": "elu(x) + selu(x) + leaky_relu(x) + relu6(x)",
    "hard": "hardswish(x) + hardtanh(x) + hardsigmoid(x) + hardshrink(x)",
    "log": "logsigmoid(x) + log_softmax(x)",
    "dropout": "dropout(x, 0.25)",
    "conv1d": "x |> conv1d(3, 2)",
    "cumulative": "cumsum(x, axis = 1) + cumsum(x)",
    "sorted": "sort(x)",
    "parts": "x[:, 1:] * x[:, :-1]",
}
IMAGES = {
    "conv": "x |> conv(3, 3) |> relu |> maxpool(2)",
    "strided": "x |> conv(2, 3, stride = 2) |> avgpool(2)",
    "groupnorm": "groupnorm(x, 2)",
    "transposed": "x |> conv_transpose(2, 3)",
}
PROGRAMS = {
    **{f"loop: {k}": v for k, v in LOOPS.items() if "loss" in v},
    **{f"chance: {k}": v for k, v in RANDOM.items() if "loss" in v},
    **{
        k: f"input a: [N, T, 3]\nx = a |> dense(4)\nz = {v}\nloss = mean((z - 0.1)^2)\n"
        for k, v in LIBRARY.items()
    },
    **{
        k: f"input x: [N, 8, 8, 2]\nz = {v}\nloss = mean((z - 0.1)^2)\n"
        for k, v in IMAGES.items()
    },
    **{
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted(EXAMPLES.glob("*/*.net"))
        if path.stem not in ("derivatives", "paths")  # which have no loss
    },
}


def agrees(text: str, dtype: Any, tolerance: float) -> None:
    plain, module = drawn(text), Fast(compiled(text, poison=True))
    values = values_of(plain, dtype)
    before = {k: np.array(v) for k, v in values.items()}
    exact = values_of(plain)
    plain.params = {k: exact[k] for k in plain.params}
    with np.errstate(all="ignore"):
        wanted_loss, saved, *_ = plain.call("forward")
        wanted = plain.module["backward"](saved)
    work = None if module.work is None else module.buffers(module.sizes(values), dtype)
    for _ in range(2):
        loss, found = module.step(values, dtype, work)
        assert abs(loss - wanted_loss) <= tolerance * max(1, abs(wanted_loss))
        assert largest_error(found, wanted) <= tolerance
    if module.work is not None:
        _, doubled = module.step(values, dtype, work, d_loss=2.0)
        twice = {k: 2 * np.asarray(v) for k, v in wanted.items()}
        assert largest_error(doubled, twice) <= tolerance
        if dtype is not float:
            assert all(v.dtype == dtype for v in doubled.values())
    for k, v in values.items():
        assert np.array_equal(v, before[k], equal_nan=True), f"{k} was modified"


LARGE = ("transformer", "causal", "gpt", "burgers", "char_rnn", "cnn")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.more] if name in LARGE else [])
        for name in PROGRAMS
    ],
)
def test_agrees_with_the_plain_source(name: str) -> None:
    agrees(PROGRAMS[name], float, 1e-12)


@pytest.mark.parametrize("name", ["lstm", "attention", "conv", "digits", "iris"])
def test_in_single_precision(name: str) -> None:
    agrees(PROGRAMS[name], np.float32, 1e-5)
