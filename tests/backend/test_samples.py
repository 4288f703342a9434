"""The emitted source of the sample programs with loops, chance and memory, as it was read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gradc.compiler import driver

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
READ = (
    "07_char_lstm",
    "09_vae",
    "11_rbm",
    "12_neural_ode",
    "13_ebm",
    "14_gan",
    "16_tied_autoencoder",
)


@pytest.mark.parametrize("name", READ)
def test_reads_as_before(name: str, golden: Callable[[Path, str], None]) -> None:
    compiled = driver.compile_file(SAMPLES / f"{name}.net")
    golden(HERE / "golden" / f"{name}.py.txt", compiled.source)
