"""Convolutions and pools against PyTorch: golden vectors, and live where torch is at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from write_window_golden import CASES, GOLDEN, arrays, torch_run, weight

from gradc.compiler.backend import guard
from gradc.compiler.driver import Options, compile_source
from gradc.compiler.source import Source

STORED = np.load(GOLDEN)


def run(name: str, level: int) -> dict[str, Any]:
    """The value and the gradients by the emitted module."""
    case = CASES[name]
    shape = STORED[f"{name}.y"].shape
    source = Source.from_text(f"{name}.net", case.text(shape))
    made = compile_source(source, Options(level=level))
    scope: dict[str, Any] = {}
    exec(compile(guard.check(made.source), name, "exec"), scope)
    params = arrays(name)
    y = scope["predict"](params)["z"]
    _, saved = scope["forward"](params, weight(name, shape))
    gradients = scope["backward"](saved)
    return {"y": y, **{f"d_{path}": g for path, g in gradients.items()}}


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, level: int) -> None:
    found = run(name, level)
    keys = {k.partition(".")[2] for k in STORED.files if k.startswith(name + ".")}
    assert keys == set(found)
    for key, value in found.items():
        want = STORED[f"{name}.{key}"]
        assert value.shape == want.shape
        np.testing.assert_allclose(value, want, rtol=1e-10, atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("name", CASES)
def test_torch(name: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    found = run(name, 1)
    for key, want in torch_run(name).items():
        np.testing.assert_allclose(found[key], want, rtol=1e-10, atol=1e-12)
