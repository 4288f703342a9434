"""The chain of local derivatives: every printed formula is the adjoint that it claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checking import SAMPLES, Numbers, check, latex_of, trace_of, traced

from gradc.cli.programs import load
from gradc.compiler.driver import Options, compile_program
from gradc.compiler.explain.derivation import derivations
from gradc.compiler.explain.probe import probe

PROGRAMS = sorted(p for p in SAMPLES.glob("[01]*.net"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_formulas_are_what_they_claim(path: Path) -> None:
    """Read back from the text and from the LaTeX that is printed."""
    trace = traced(path)
    numbers = Numbers(trace)
    for derivation in derivations(trace.program, trace.named):
        check(derivation, numbers)
        check(derivation, numbers, latex_of(derivation))


def test_adjoints_can_be_probed() -> None:
    """They are made from that of the loss, which is 1."""
    trace = trace_of("input x\nparam w = 3\nh = w * x\nloss C = h^2 + h")
    wanted = {f"v{k}": n for k, n in enumerate(trace.joint.adjoints.values())}
    network = load(compile_program(probe(trace.program, wanted), Options(level=1)))
    found = network.predict(network.init(0, float), None, None, x=2.0)
    told = {
        trace.named.of.get(n): float(np.asarray(found[name]))
        for name, n in zip(wanted, trace.joint.adjoints, strict=True)
    }
    assert told["C"] == 1 and told["h"] == 13 and told["w"] == 26
