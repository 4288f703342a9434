"""A name may be continued, never replaced; blocks; what one mistake says."""

from __future__ import annotations

import numpy as np
import pytest
from calls import calls
from texts import lowered, refused, value

X = "input x: [N]\nfn outer(v) = v[:, *] * [1, 2]\n"


@pytest.mark.parametrize(
    "body",
    [
        "h = x\nh = h + 1",
        "h = sin(x)\na = 2 * h\nb = a + x\nh = cos(b)",
        "h = 0\nh = h + x",
        "h: [N] = 0\nh = h + x",
        "h = 1\nh = h * x",
        "h = 0\na = h + x\nh = 2 * a",
        "h = x\nrepeat 3 { h = h * 2 }",
        "s = 0\nrepeat i in 3 { s = s + i * x }\nh = s",
        "h = x\nh = stop(h)",
        "h = x\nrepeat 2 { g = h + 1; h = g }",
        "fn f(v) {\n  h = v\n  h = h + 1\n  return h\n}\nh = f(x)",
        "h = sin(x)\nfn f(v) {\n  h = 2 * v\n  return h\n}\ng = f(h)",
        "mean = mean(x)\nh = mean * x",
        "h = outer(x)'\nh = h' * 2",
        "h = rnn(outer(x)[*], 2)\nrepeat 2 { h = rnn(h, 2) }",
    ],
)
def test_continued(body: str) -> None:
    assert refused(X + body + "\noutput y = x") == []


@pytest.mark.parametrize(
    "body",
    [
        "h = sin(x)\nh = cos(x)",
        "h = sin(x)\na = h + 1\nh = 2 * x",
        "h = sin(x)\nrepeat 2 { h = cos(x) }",
        "h = 0\nh = x + 1",
        "fn f(v) {\n  h = sin(v)\n  h = cos(v)\n  return h\n}\ng = f(x)",
        "h = outer(x)'\nh = outer(x) * 2",
    ],
)
def test_replaced(body: str) -> None:
    assert refused(X + body + "\noutput y = x") == ["replaced-name"]


def test_what_is_first_defined_in_a_block_stays_there() -> None:
    text = X + "h = x\nrepeat 2 { g = h + 1; h = 2 * g }\ng = 5 * h\noutput y = g"
    assert value(text, x=np.array([1.0]))[0] == 5 * 10


def test_one_mistake_is_one_message() -> None:
    text = (
        X + "a = x + [1, 2]\nb = a * 2\nc = dense(b, 3)\nd, e = split(c, 4)\noutput d"
    )
    assert refused(text) == ["broadcast"]


def test_mistakes_in_several_lines() -> None:
    text = X + "a = x'\nb = x @ 2\nc = argmax(x > 0)\noutput y = a + b"
    assert refused(text) == ["transpose-rank", "matmul-scalar", "bool-argument"]


def test_ten_at_most() -> None:
    text = X + "".join(f"a{i} = x'\n" for i in range(15))
    assert len(refused(text)) == 10


@pytest.mark.parametrize("form", ["h = tanh(h) + h", "e{1} = sin(e{0}) * 2"])
def test_work_grows_with_the_number_of_equations(form: str) -> None:
    def work(count: int) -> int:
        return calls(lambda: lowered(chain(form, count)))

    work(1)  # what is done once
    assert work(400) < 2.05 * work(200)


def test_ten_thousand_equations() -> None:
    assert len(lowered(chain("h = tanh(h) + h", 10_000)).equations) > 10_000


def chain(form: str, count: int) -> str:
    """So many equations, each of the one before."""
    head = "input x: [N, 4]\nh = x\ne0 = x\n"
    steps = (form.format(i, i + 1) + "\n" for i in range(count))
    return head + "".join(steps) + "output h"


def test_a_long_sum_is_no_deep_one() -> None:
    text = "input x\noutput y = " + " + ".join(["x"] * 5000)
    assert value(text, x=np.array(1.0)) == 5000


def test_deep_calls_are_refused_not_crashed() -> None:
    lines = ["fn f0(v) = sin(v)"]
    lines += [f"fn f{i + 1}(v) = f{i}(v)" for i in range(100)]
    text = "\n".join([*lines, "input x", "output y = f100(x)"])
    assert refused(text) == ["calls-too-deep"]
    assert refused(text.replace("f100(x)", "f60(x)")) == []


# ---------------------------------------------------------------------------- grad
def test_grad_of_a_scalar() -> None:
    text = "input x\ny = exp(exp(x^2))\noutput g = grad(y, x)\noutput gg = grad(g, x)"
    x = 0.7
    e = np.exp(x**2)
    first = np.exp(e) * e * 2 * x
    assert np.isclose(value(text, "g", x=np.array(x)), first, rtol=1e-13)
    second = first * (2 * x * e + 2 * x + 1 / x)
    assert np.isclose(value(text, "gg", x=np.array(x)), second, rtol=1e-12)


def test_grad_per_row() -> None:
    text = "input x: [P]\ny = sin(x) * x\noutput g = grad(y, x)"
    x = np.array([0.1, 2.0])
    assert np.allclose(value(text, "g", x=x), np.cos(x) * x + np.sin(x))


def test_grad_by_an_intermediate_value() -> None:
    text = "input x\na = x^2\ny = a * x\noutput g = grad(y, a)"
    assert value(text, "g", x=np.array(3.0)) == 3


@pytest.mark.parametrize(
    ("grad", "expected"),
    [
        ("grad(h, x)", "grad-not-scalar"),
        ("grad(x - mean(x), x)", "grad-mixes-rows"),
        ("grad(sum(x), z)", "grad-independent"),
        ("grad(sum(x), 2 * x)", "grad-of-no-name"),
        ("grad(argmax(h), x)", "grad-kind"),
        ("grad(sum(h), h)", None),
    ],
)
def test_grad_refused(grad: str, expected: str | None) -> None:
    text = X + f"input z: [N]\nh = x[:, *] * [1, 2]\noutput y = {grad}"
    assert refused(text) == ([expected] if expected else [])
