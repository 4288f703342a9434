"""What a program may ask for, and that asking for more is a message, not an accident."""

from __future__ import annotations

from dataclasses import replace

import pytest
from texts import lowered

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend.scan import Limits


def ids(text: str, limits: Limits) -> list[str]:
    with pytest.raises(CompileError) as caught:
        lowered(text, limits=limits)
    return [diagnostic.id for diagnostic in caught.value.diagnostics]


CHAIN = "input x: [N]\nh = x\nrepeat 50 { h = tanh(h) + sin(h) }\noutput h"


def test_too_many_nodes() -> None:
    assert ids(CHAIN, replace(Limits(), nodes=100)) == ["too-many-nodes"]
    assert lowered(CHAIN, limits=replace(Limits(), nodes=1000))


def test_too_many_nodes_in_a_function() -> None:
    text = (
        "input x: [N]\nfn f(v) {\n w = v\n repeat 50 { w = tanh(w) + sin(w) }\n"
        "return w }\noutput y = f(x)"
    )
    assert ids(text, replace(Limits(), nodes=100)) == ["too-many-nodes"]


def test_too_many_copies() -> None:
    assert ids(CHAIN, replace(Limits(), copies=49)) == ["too-many-copies"]


def test_copies_inside_copies_multiply() -> None:
    text = "input x\nh = x\nrepeat 10 { repeat 10 { h = sin(h) } }\noutput h"
    assert ids(text, replace(Limits(), copies=99)) == ["too-many-copies"]
    assert lowered(text, limits=replace(Limits(), copies=100))


def test_doubling_calls_end() -> None:
    lines = ["input x: [N]", "fn f0(v) = sin(v)"]
    lines += [f"fn f{i + 1}(v) = f{i}(v) + f{i}(v + 1)" for i in range(40)]
    lines += ["output y = f40(x)"]
    assert ids("\n".join(lines), replace(Limits(), nodes=5000)) == ["too-many-nodes"]


def test_axes() -> None:
    text = "input x: [N]\noutput y = x[:, *, *]"
    assert ids(text, replace(Limits(), axes=2)) == ["too-many-axes"]


def test_elements() -> None:
    text = "input x: [N, 100]\noutput y = x[:, :, *] * x[:, *, :]"
    assert ids(text, replace(Limits(), elements=9999)) == ["too-many-elements"]
    assert lowered(text, limits=replace(Limits(), elements=10_000))


def test_a_size_is_no_polynomial_without_end() -> None:
    lines = ["input x: [N]", "n0 = N"]
    lines += [f"n{i + 1} = n{i} * n{i}" for i in range(60)]
    lines += ["output y = x * n60"]
    assert lowered("\n".join(lines))


def test_a_quotient_is_no_text_without_end() -> None:
    lines = ["const one = 1", "const c = 64", "input x: [N]", "n0 = c"]
    lines += [f"n{i + 1} = n{i} / one * one" for i in range(2000)]
    lines += ["output y: [N, n2000] = x[:, *] + 0 * causal_mask_row", ""]
    text = "\n".join(lines).replace("x[:, *] + 0 * causal_mask_row", "0")
    assert lowered(text)
