"""The sum over paths: exact counts, and each path whose products add up to the adjoint."""

from __future__ import annotations

import numpy as np
import pytest
from calls import calls
from checking import SAMPLES, AsLatex, Numbers, agree, trace_of, traced
from reading_back import Env, value

from gradc.compiler.explain.paths import Ways, census, ways
from gradc.compiler.explain.printing import naming_of
from gradc.compiler.explain.provenance import Trace
from gradc.compiler.explain.report import census_lines
from gradc.compiler.explain.text import text

SIXTY = "param y = 0.5\nz = y\nrepeat 60 { z = sin(z) * z }\nloss L = z"


def test_a_number_of_paths_that_nobody_walks() -> None:
    """y <- sin(y) y, sixty times: each doubles the paths."""
    trace = trace_of(SIXTY)
    found = census(trace.program, "y")
    assert found is not None
    assert found.paths == 2**60 == 1152921504606846976
    assert found.nodes == 121
    assert (found.edges, found.meetings) == (180, 60)
    assert calls(lambda: census(trace.program, "y")) < 60 * found.nodes
    assert census_lines(found)[0].startswith(
        "1152921504606846976 paths over 121 forward"
    )


def test_beyond_what_a_machine_word_holds() -> None:
    found = census(trace_of(SIXTY.replace("60", "120")).program, "y")
    assert found is not None and found.paths == 2**120


def brute(depth: int) -> tuple[int, int]:
    """Paths and edges of all of them, walked one by one."""
    paths = [0]
    for _ in range(depth):
        paths = [n + k for n in paths for k in (1, 2)]  # by the product, by the sine
    return len(paths), sum(paths)


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
def test_the_count_is_that_of_a_walk(depth: int) -> None:
    found = census(trace_of(SIXTY.replace("60", str(depth))).program, "y")
    assert found is not None
    assert (found.paths, found.products) == brute(depth)


def holds(trace: Trace, key: str) -> Ways:
    """Shares, local derivatives and their sum, as printed, at numbers."""
    found = ways(trace.program, key, trace.named)
    assert found is not None
    numbers = Numbers(trace)
    named = trace.named.of
    values = numbers.of(list(named))
    known = numbers.known | dict(zip(named.values(), values, strict=True))
    texts = {p.name: text(p.formula) for p in found.parts}
    env = Env(known, lambda name: value(texts[name], env))
    truth = numbers.of([w.node for w in found.ways] + [found.adjoint])
    typeset = AsLatex(naming_of([*known, *texts]))
    for way, share in zip(found.ways, truth, strict=False):
        agree(np.broadcast_to(value(text(way.share), env), share.shape), share, "share")
        printed = typeset.value(typeset.shown(way.share), env)
        agree(np.broadcast_to(printed, share.shape), share, "share in LaTeX")
        if all(not np.ndim(env[s]) for s in way.stations):
            product = np.prod([value(text(k.derivative), env) for k in way.links])
            agree(product, share, " · ".join(text(k.derivative) for k in way.links))
    agree(sum(truth[:-1]), truth[-1], "the sum of the paths")
    agree(
        np.broadcast_to(value(text(found.total), env), truth[-1].shape),
        truth[-1],
        "sum",
    )
    return found


def test_each_path_of_a_formula() -> None:
    trace = trace_of(
        "input x\nparam w = 0.3\na = tanh(w * x)\nloss L = a^2 + sin(a) * w"
    )
    found = holds(trace, "w")
    assert len(found.ways) == found.census.paths == 3
    assert [w.stations[0] for w in found.ways] == ["w"] * 3


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("01_chain", "w1"),
        ("03_logistic", "w"),
        ("04_relu_mlp", "W1"),
        ("05_nielsen", "a.dense1.W"),
        ("16_tied_autoencoder", "W"),
    ],
)
def test_each_path_of_a_net(name: str, key: str) -> None:
    holds(traced(SAMPLES / f"{name}.net"), key)


def test_a_program_without_a_loss_leads_to_its_output() -> None:
    """x reaches y by a c, a d, b c, b d and directly."""
    lines = ("a = x^2", "b = sin(x)", "c = a * b", "d = a + b", "y = c * d + x")
    found = holds(trace_of("\n".join(("input x", *lines, "output y"))), "x")
    assert len(found.ways) == 5


def test_too_many_are_counted_only() -> None:
    trace = trace_of(SIXTY)
    assert ways(trace.program, "y", trace.named) is None


def test_a_parameter_that_no_loss_moves_has_none() -> None:
    trace = trace_of("param a = 1\nparam b = 1\nloss over b = a * b^2")
    assert census(trace.program, "a") is None
