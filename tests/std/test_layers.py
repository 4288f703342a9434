"""Layers of the standard library against PyTorch's: values and gradients, in float64.

The golden vectors are written by `write_layer_golden.py`; where torch is installed they are
computed anew as well.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from write_layer_golden import GOLDEN, Case, cases

from gradc.compiler import Options, Source, compile_source
from gradc.network import Network

CALLS = {
    "lstm": "x |> lstm(4)",
    "rnn": "x |> rnn(4)",
    "gru": "x |> gru(4)",
    "attention": "x |> attention(2)",
    "causal_attention": "x |> attention(2, causal = true)",
    "layernorm": "layernorm(x)",
    "batchnorm": "batchnorm(x)",
    "groupnorm": "groupnorm(x, 3)",
}


def committed() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for key, value in np.load(GOLDEN).items():
        name, _, path = key.partition("/")
        found.setdefault(name, {})[path] = value
    return found


def judge(name: str, case: Case, level: int) -> None:
    """Compare value and gradients; x is a parameter, so that it has one too."""

    def type_of(a: np.ndarray) -> str:
        return "[" + ", ".join(map(str, a.shape)) + "]"

    text = (
        f"param x: {type_of(case['x'])} = 0\n"
        f"input g: {type_of(case['g'])}\n"
        f"y = {CALLS[name]}\n"
        "loss = sum(y * g)\n"
        "output y\n"
        "train { dtype = float64 }\n"
    )
    compiled = compile_source(Source.from_text("layer.net", text), Options(level=level))
    net = Network(compiled.source, compiled.signature)
    theta = net.init(seed=0)
    for path, view in net.views(theta).items():
        view[...] = case[path]
    loss, nabla, *state = net.value_and_grad(theta, g=case["g"])
    assert loss == pytest.approx(np.sum(case["y"] * case["g"]), rel=1e-10, abs=1e-10)
    if state:  # batchnorm: what is predicted uses what was remembered
        (seen,) = (v for k, v in state[0].items() if k.endswith("seen_mean"))
        np.testing.assert_allclose(seen, case["seen_mean"], 1e-10, 1e-10)
    else:
        np.testing.assert_allclose(net.predict(theta)["y"], case["y"], 1e-10, 1e-10)
    for path, found in net.views(nabla).items():
        np.testing.assert_allclose(found, case["d:" + path], 1e-10, 1e-10, err_msg=path)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_golden_vectors(name: str, level: int) -> None:
    judge(name, committed()[name], level)


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
@pytest.mark.parametrize("name", CALLS)
def test_live(name: str) -> None:
    judge(name, cases()[name], 1)
