"""Shapes, kinds and sizes: what fits, what does not, and what comes out."""

from __future__ import annotations

import numpy as np
import pytest
from texts import lowered, refused, shape, value, warned

INPUTS = (
    "const hidden = 64\nconst k = 10\n"
    "input n: [N]\ninput m: [M]\ninput nn: [N, N]\ninput n1: [N, 1]\n"
    "input nk: [N, k]\ninput kn: [k, N]\ninput bk: [k]\ninput ntt: [N, 4, T, T]\n"
    "input tt: [T, T]\ninput t: [T]\ninput im: [N, 32, 32, 32]\ninput c: [32]\n"
    "input s\ninput i: int[N]\ninput j: int[N, T]\ninput b: bool[N]\ninput nt: [N, T]\n"
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("s + nk", "[N, k]"),
        ("2 * n", "[N]"),
        ("nk + bk", "[N, k]"),
        ("bk + nk", "[N, k]"),
        ("ntt + tt", "[N, 4, T, T]"),
        ("im + c", "[N, 32, 32, 32]"),
        ("n[:, *] - n[*, :]", "[N, N]"),
        ("nn + n[:, *]", "[N, N]"),
        ("nn + n[*, :]", "[N, N]"),
        ("kn + bk[:, *]", "[k, N]"),
        ("nk / sum(nk, axis = -1, keep = true)", "[N, k]"),
        ("sum(nk, axis = 1, keep = true) + n1", "[N, 1]"),
        ("nk @ kn", "[N, N]"),
        ("nk @ bk", "[N]"),
        ("bk @ kn", "[N]"),
        ("bk @ bk", "[]"),
        ("ntt @ tt", "[N, 4, T, T]"),
        ("ntt @ t", "[N, 4, T]"),
        ("ntt @ ntt'", "[N, 4, T, T]"),
        ("nk'", "[k, N]"),
        ("ntt'", "[N, 4, T, T]"),
        ("sum(nk)", "[]"),
        ("sum(nk, axis = 0)", "[k]"),
        ("mean(ntt, axis = [0, -1])", "[4, T]"),
        ('mean(ntt, "... a b -> b a")', "[T, T]"),
        ('sum(ntt, "n h a b -> h")', "[4]"),
        ("max(nk, axis = -1)", "[N]"),
        ("logsumexp(nk)", "[N]"),
        ("softmax(nk)", "[N, k]"),
        ("argmax(nk)", "int[N]"),
        ("argmax(nk, axis = 0)", "int[k]"),
        ("i", "int[N]"),
        ("i + 1", "int[N]"),
        ("i * i - 2", "int[N]"),
        ("i / 2", "[N]"),
        ("i + n", "[N]"),
        ("i * 0.5", "[N]"),
        ("-i", "int[N]"),
        ("i^2", "int[N]"),
        ("i^0.5", "[N]"),
        ("i == 3", "bool[N]"),
        ("i < N", "bool[N]"),
        ("n > 0", "bool[N]"),
        ("(n > 0) == b", "bool[N]"),
        ("not b and n > 0 or b", "bool[N]"),
        ("sum(b)", "[]"),
        ("mean(b)", "[]"),
        ("any(b)", "bool[]"),
        ("where(b, n, 0)", "[N]"),
        ("where(b, i, 0)", "int[N]"),
        ("where(b, i, n)", "[N]"),
        ("where(s > 0, nk, bk)", "[N, k]"),
        ("where(b[:, *], nk, 0)", "[N, k]"),
        ("max(n, 0)", "[N]"),
        ("max(i, 0)", "int[N]"),
        ("min(n, i)", "[N]"),
        ("abs(i)", "int[N]"),
        ("one_hot(i, k)", "[N, k]"),
        ("one_hot(j, 3)", "[N, T, 3]"),
        ("pick(nk, i)", "[N]"),
        ("pick(nk, 2)", "[N]"),
        ("causal_mask(T)", "bool[T, T]"),
        ("concat(nk, n1)", "[N, k + 1]"),
        ("concat(n, m)", "[M + N]"),
        ("stack(n, n, n)", "[N, 3]"),
        ("stack(n, 2 * n, axis = 0)", "[2, N]"),
        ("reshape(nk, [N * k])", "[N * k]"),
        ("reshape(ntt, [N, -1])", "[4 * N * T * T / N]"),
        ('rearrange(ntt, "n h a b -> n a b h")', "[N, T, T, 4]"),
        ('rearrange(nk, "n (a b) -> n b a", a = 2)', "[N, k / 2, 2]"),
        ('rearrange(nt, "n t -> (n t)")', "[N * T]"),
        ('rearrange(nt, "n t -> n 1 t")', "[N, 1, T]"),
        ('rearrange(n1, "n 1 -> n")', "[N]"),
        ('einsum("ij, jk -> ik", nk, kn)', "[N, N]"),
        ('einsum("n k, n k -> n", nk, nk)', "[N]"),
        ('einsum("nk -> k", nk)', "[k]"),
        ("flip(nk)", "[N, k]"),
        ("pad(nk, 1, 2)", "[N, k + 3]"),
        ("pad(nk, 1, 0, axis = 0)", "[N + 1, k]"),
        ("cumsum(nk)", "[N, k]"),
        ("sort(nk)", "[N, k]"),
        ("prod(bk)", "[]"),
        ("prod(nk, axis = 1)", "[N]"),
        ("flatten(im)", "[N, 32768]"),
        ("log_softmax(nk)", "[N, k]"),
        ("n * [1, 2, 3][0]", "[N]"),
    ],
)
def test_shape(expression: str, expected: str) -> None:
    if "/ N]" in expected:
        expected = "[N, 4 * T * T]"
    assert shape(INPUTS + f"output y = {expression}") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("n1 + n", "broadcast"),
        ("n1 + nk", "broadcast"),
        ("n + nk", "broadcast"),
        ("n + m", "broadcast"),
        ("nn + n", "ambiguous-broadcast"),
        ("nn + m", "broadcast"),
        ("kn + bk", "broadcast"),
        ("nk + nn", "broadcast"),
        ("n + t", "broadcast"),
        ("where(b, nk, 0)", "broadcast"),
        ("nk @ nk", "matmul-shape"),
        ("nk @ n", "matmul-shape"),
        ("ntt @ ntt[:, 0:2]", "matmul-leading"),
        ("nk @ 2", "matmul-scalar"),
        ("n'", "transpose-rank"),
        ("i == n", "compare-kinds"),
        ("i < 0.5", "compare-kinds"),
        ("b == 1", "compare-kinds"),
        ("b < b", "compare-kinds"),
        ("b + 1", "bool-arithmetic"),
        ("-b", "bool-arithmetic"),
        ("b^2", "bool-arithmetic"),
        ("exp(b)", "bool-argument"),
        ("n and b", "logic-of-numbers"),
        ("not n", "logic-of-numbers"),
        ("any(n)", "logic-of-numbers"),
        ("pick(nk, n)", "index-kind"),
        ("pick(nn, i[0:2])", "pick-shape"),
        ("concat(nk, kn)", "dim-conflict"),
        ("stack(n, m)", "dim-conflict"),
        ("concat(n, b)", "bool-argument"),
        ("mse(n1, n)", "unequal-arguments"),
        ("mse(n, m)", "unequal-arguments"),
        ("cross_entropy(nk, n)", "argument-kind"),
        ("cross_entropy(nk, i[0:3])", "unequal-arguments"),
        ("reshape(nk, [N])", "reshape-size"),
        ("split(n, 0)", "split-count"),
    ],
)
def test_refused(expression: str, expected: str) -> None:
    assert refused(INPUTS + f"output y = {expression}") == [expected]


def test_the_same_number_by_two_names_is_no_error() -> None:
    assert not refused(
        "const a = 3\nconst b = 3\ninput x: [N, a]\noutput y = x + [1, 2, 3]"
    )


@pytest.mark.parametrize(
    ("body", "warns"),
    [
        ("output y = x + z", True),
        ("output y = x + x", False),
        ("output y = x @ z", True),
        ("output y = concat(x, x)", False),
        ("output y: [N, a] = x * 2", False),
        ("output y: [N, 3] = x * 2", True),
        ("output y = x[:, *, 0:2]", False),
    ],
)
def test_luck(body: str, warns: bool) -> None:
    text = "const a = 3\nconst b = 3\ninput x: [N, a]\ninput z: [b]\n"
    assert warned(text + body) == (["same-by-luck"] if warns else [])


def test_heads_of_attention_are_no_luck() -> None:
    text = "const width = 8\nconst heads = 2\ninput x: [N, T, width]\n"
    assert warned(text + "h = x + attention(x, heads, causal = true)\noutput h") == []


# ------------------------------------------------------------------- sizes, as values
@pytest.mark.parametrize(
    ("declared", "count"),
    [
        ("4 * width", 32),
        ("width / heads", 4),
        ("width^2", 64),
        ("(width + heads) / 2", 5),
        ("2 * 3 - 1", 5),
        ("max(width, 3)", 8),
        ("floor(7 / 2)", 3),
        ("if width > 4 then 1 else 2", 1),
        ("1e1", 10),
    ],
)
def test_compile_time_arithmetic(declared: str, count: int) -> None:
    text = f"const width = 8\nconst heads = 2\nparam W: [{declared}] = 0\nloss = sum(W)"
    (param,) = lowered(text).params
    assert param.node.shape[0].integer == count


def test_polynomials_are_equal_by_their_normal_form() -> None:
    text = "input x: [N, T]\ninput z: [T * N - N]\n"
    ok = text + "output y = reshape(x[:, 1:], [N * (T - 1)]) + z"
    assert shape(ok) == "[N * T - N]"


def test_a_quotient_of_the_data_is_checked_later() -> None:
    text = "input x: [N, T]\na, b = split(x, 2)\noutput y = a + b"
    program = lowered(text)
    (check,) = program.checks
    assert (check.kind, check.left.json(), check.right.json(), check.line) == (
        "divides",
        [[1, 1, ["T"]]],
        2,
        2,
    )
    assert shape(text) == "[N, T / 2]"


def test_slices_that_the_data_bound_are_checked_later() -> None:
    program = lowered(
        "param p: [256, 8] = 0\ninput x: [N, T]\nloss = sum(p[:T]) + sum(x)"
    )
    (check,) = program.checks
    assert (check.kind, check.left.json(), str(check.right)) == ("at_least", 256, "T")
    assert check.line == 3 and "p[:T]" in check.text


def test_sizes_are_numbers_too() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert value("input x: [N, D]\noutput y = sum(x) / (N * D)", x=x) == x.mean()
    assert value("input x: [N, D]\noutput y = D - N + 0 * sum(x)", x=x) == 1


def test_a_scalar_fills_a_typed_equation() -> None:
    assert shape(
        "const n = 3\ninput x: [N]\nh: [N, n] = 0\noutput y = h + x[:, *]"
    ) == ("[N, n]")


def test_kinds_of_types() -> None:
    assert shape("input x: [N, 3]\ny: int[N] = argmax(x)\noutput y") == "int[N]"
    assert refused("input x: [N, 3]\ny: [N] = argmax(x)\noutput y") == ["type-kind"]
    assert refused("input x: [N, 3]\ny: [3, N] = x\noutput y") == ["type-shape"]


# ---------------------------------------------------------------- functions and sizes
def test_sizes_of_arguments_are_local() -> None:
    text = (
        "input x: [N, 5]\ninput z: [M, 7]\n"
        "fn rows(v: [N, d]) = sum(v) / N + d\noutput y = rows(x) + rows(z)"
    )
    x, z = np.ones((2, 5)), np.ones((3, 7))
    assert value(text, x=x, z=z) == 5 + 5 + 7 + 7


def test_constants_are_seen_in_shapes_of_arguments() -> None:
    text = "const d = 5\ninput x: [N, 5]\nfn f(v: [M, d]) = v * 2\noutput y = f(x)"
    assert shape(text) == "[N, 5]"
    assert refused(text.replace("x: [N, 5]", "x: [N, 6]")) == ["argument-size"]


def test_a_formal_may_be_a_size_of_another() -> None:
    text = "input x: [N, 5]\nfn f(n, v: [M, n]) = v * n\noutput y = f({}, x)"
    assert shape(text.format(5)) == "[N, 5]"
    assert refused(text.format(4)) == ["argument-size"]


def test_leading_axes_have_a_name() -> None:
    text = (
        "input x: [N, 2, 5]\nfn f(v: [...S, d], w: [...S]) {\n"
        "  zero: [...S] = 0\n  return w + zero\n}\noutput y = f(x, x[..., 0])"
    )
    assert shape(text) == "[N, 2]"
    assert refused(text.replace("x[..., 0])", "x[0])")) == ["unequal-arguments"]


def test_several_values() -> None:
    text = (
        "input x: [N]\nfn both(v) {\n  return v + 1, v * 2\n}\n"
        "a, b = both(x)\noutput y = b - a"
    )
    x = np.array([1.0, 5.0])
    assert np.array_equal(value(text, x=x), x * 2 - (x + 1))


def test_functions_are_passed() -> None:
    x = np.array([0.5, -1.0])
    text = "input x: [N]\nfn twice(f, v) = f(f(v))\noutput y = "
    assert np.allclose(value(text + "twice(sin, x)", x=x), np.sin(np.sin(x)))
    assert np.allclose(value(text + "twice(softsign, x)", x=x), x / (1 + 2 * abs(x)))
    assert np.allclose(value(text + "twice(σ, 0 * x)", x=x), 1 / (1 + np.exp(-0.5)))


def test_defaults_see_the_other_arguments() -> None:
    text = "input x: [N]\nfn f(v, a = 2, b = a + 1) = v * a * b\noutput y = "
    assert value(text + "f(x)", x=np.array([1.0]))[0] == 6
    assert value(text + "f(x, 3)", x=np.array([1.0]))[0] == 12
    assert value(text + "f(x, b = 1)", x=np.array([1.0]))[0] == 2


def test_a_function_keeps_what_it_saw() -> None:
    text = "input x\nh = x + 1\nfn f(v) = v * h\nh = h * 10\noutput y = f(1) + 0 * h"
    assert value(text, x=np.array(2.0)) == 3


def test_pipes() -> None:
    x = np.array([3.0])
    text = "input x: [N]\nfn sub(a, b) = a - b\noutput y = x |> sub(1) |> sub(b = 5)"
    assert value(text, x=x)[0] == -3


def test_choice_at_compile_time() -> None:
    text = "const deep = {}\ninput x\noutput y = if deep then x^2 else x"
    assert value(text.format("true"), x=np.array(3.0)) == 9
    assert value(text.format("false"), x=np.array(3.0)) == 3
    assert refused("input x\noutput y = if x > 0 then 1 else 0 * x") == ["if-on-data"]


def test_training_and_evaluation_share_what_is_equal() -> None:
    text = (
        "input x: [N]\nparam w = 1\nh = exp(w * x)\n"
        "y = if training then 2 * h else h\nloss = mean(y)\noutput y"
    )
    program = lowered(text)
    assert program.training is not program.evaluation
    first = {b.name: b.node for b in program.training.bindings}
    second = {b.name: b.node for b in program.evaluation.bindings}
    assert first["h"] is second["h"] and first["y"] is not second["y"]
    assert [b.equation for b in program.training.bindings] == [
        b.equation for b in program.evaluation.bindings
    ]
    assert lowered(text.replace("training", "true")).training is not None


def test_without_training_there_is_one_mode() -> None:
    program = lowered("input x\noutput y = x^2")
    assert program.training is program.evaluation
