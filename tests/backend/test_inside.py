"""A `repeat` inside of a `fn` or `layer` is a loop in the text.

That such programs compute what they mean is tested with the programs that have one
(`tests/programs/repeat*.net`, the sample of Burgers' equation): here, how they read.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from backend.executing import Emitted, joint_of

from gradc.compiler import Source, compile_source
from gradc.compiler.backend import inside
from gradc.compiler.backend.families import Families, Refused
from gradc.diagnosis import first_nonfinite
from gradc.network import Network

NETWORK = """
input x: [P]
input y: [P]
fn u(x) {{
  h = stack(x, x)
  repeat {count} {{ h = dense(h, 2, tanh) }}
  return sum(h, axis = 1)
}}
v = u(x)
loss = mean((grad(v, x) - y)^2)
output v
"""


def emitted(count: int, level: int = 1) -> Emitted:
    return Emitted(joint_of(NETWORK.format(count=count)), level)


def function(text: str, name: str) -> str:
    return text[text.index(f"def {name}(") :].split("\n\n\ndef ")[0]


@pytest.mark.parametrize("level", (0, 1))
def test_length_does_not_depend_on_the_count(level: int) -> None:
    """But for a parameter of each copy in PARAMETERS and `init`."""
    few, many = (emitted(count, level).text for count in (5, 9))
    for name in ("forward", "backward", "evaluate", "predict"):
        one, other = function(few, name), function(many, name)
        assert one.count("\n") == other.count("\n"), name
        assert "for i in " in one


def test_two_copies_stay_apart() -> None:
    assert "for i in " not in emitted(2).text


def test_what_other_loops_read_is_kept_by_number() -> None:
    forward = function(emitted(5).text, "forward")
    assert "h[i + 1] = np.tanh(" in forward
    assert re.search(r"for i in reversed\(range\(\d\)\):", forward)  # the derivative's


def test_what_no_other_loop_reads_is_a_variable() -> None:
    predict = function(emitted(5).text, "predict")
    assert "h = np.tanh(" in predict
    assert "[i" not in predict.replace('params[f"u.h[{i}]', "")


def test_weights_of_the_copies_are_read_where_they_are_used() -> None:
    backward = function(emitted(5).text, "backward")
    assert 'W = params[f"u.h[{i}].dense.W"]' in backward
    assert 'gradients[f"u.h[{i}].dense.W"]' in backward


def test_the_rule_of_alike_copies_is_said_once() -> None:
    rules = re.findall(r"d_W = \S+", function(emitted(9).text, "backward"))
    assert 1 <= len(rules) <= 3


def test_copies_stay_where_a_loop_would_read_another_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(families: Families) -> None:
        raise Refused

    rolled = emitted(5)
    monkeypatch.setattr(inside, "check", refuse)
    flat = emitted(5)
    assert "for i in " not in flat.text
    for name in ("forward", "predict"):
        for a, b in zip(_values(rolled, name), _values(flat, name), strict=True):
            assert a == pytest.approx(b, rel=1e-12)


def _values(module: Emitted, name: str) -> list[object]:
    found = module.call(name)
    return list(found.values()) if isinstance(found, dict) else [found[0]]


def test_what_became_infinite_is_named_with_its_copy() -> None:
    text = """
input x: [N, 3]
input y: [N]
param w = 1
fn tower(x) {
  h = x
  repeat 5 { h = exp(w * h) }
  return h
}
loss = mean((sum(tower(x), axis = 1) - y)^2)
"""
    made = compile_source(Source.from_text("t.net", text))
    assert "h[i + 1] = np.exp(" in made.source
    network = Network(made.source, made.signature)
    given = [np.full((4, 3), 2.0), np.zeros(4)]
    where, what = first_nonfinite(network, np.ones(1), given)
    assert "h[3] in `loss" in where
    assert what.startswith("h[3]: 12 of 12 entries; computed from")
    assert "h[2] = 1.62e+03" in what
