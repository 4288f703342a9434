"""The emitted source of the sample programs, as it was read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gradc.compiler import driver

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
DESIGN = HERE.parent.parent.parent / "shared" / "design" / "samples"
PROGRAMS = sorted(
    path.stem for path in SAMPLES.glob("*.net") if path.stem[:2].isdigit()
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_reads_as_before(name: str, golden: Callable[[Path, str], None]) -> None:
    compiled = driver.compile_file(SAMPLES / f"{name}.net")
    golden(HERE / "golden" / f"{name}.py.txt", compiled.source)


def test_samples_are_those_of_the_design() -> None:
    if not DESIGN.is_dir():
        pytest.skip("needs ../shared")
    here = {path.name: path.read_bytes() for path in SAMPLES.glob("*.net")}
    assert here == {path.name: path.read_bytes() for path in DESIGN.glob("*.net")}
