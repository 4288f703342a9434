"""The chain of local derivatives: every printed formula is the adjoint that it claims."""

from __future__ import annotations

from pathlib import Path

import pytest
from checking import SAMPLES, Numbers, check, traced

from gradc.compiler.explain.derivation import derivations

PROGRAMS = sorted(p for p in SAMPLES.glob("[01]*.net"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_formulas_are_what_they_claim(path: Path) -> None:
    trace = traced(path)
    numbers = Numbers(trace)
    for derivation in derivations(trace.program, trace.named):
        check(derivation, numbers)
