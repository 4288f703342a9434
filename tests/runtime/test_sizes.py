"""Sizes: polynomials of a signature, bound by arrays."""

from __future__ import annotations

import copy

import pytest
from handwritten import LOGISTIC, given, signature, size, sym

from gradc.errors import DataError
from gradc.sizes import bind, check, evaluate, limits, row_dims, show, solve

T_HALF = [[1, 2, ["T"]]]
AREA = [[2, 1, ["H", "W"]], [-1, 1, ["H"]], [3, 1, []]]


def test_polynomials_are_evaluated_exactly() -> None:
    assert evaluate(7, {}) == 7
    assert evaluate(T_HALF, {"T": 10}) == 5
    assert evaluate(AREA, {"H": 3, "W": 5}) == 2 * 15 - 3 + 3
    assert evaluate([[1, 1, ["H", "H"]]], {"H": 4}) == 16
    with pytest.raises(DataError, match=r"T / 2 is 11/2 where T = 11"):
        evaluate(T_HALF, {"T": 11})
    with pytest.raises(DataError, match="is -1"):
        evaluate([[1, 1, ["T"]], [-2, 1, []]], {"T": 1})


def test_polynomials_are_shown_as_written() -> None:
    assert show([[4, 1, ["width"]], [-1, 1, []]]) == "4 * width - 1"
    assert show(T_HALF) == "T / 2"
    assert show([[-1, 1, ["T"]], [3, 2, ["H", "W"]]]) == "-T + 3 * H * W / 2"
    assert show([]) == "0"


def test_solving_finds_one_linear_unknown_only() -> None:
    assert solve(T_HALF, 5, {}) == {"T": 10}
    assert solve(AREA, 30, {"H": 3}) == {"W": 5}
    assert solve(AREA, 30, {}) == {}
    assert solve([[1, 1, ["H", "H"]]], 16, {}) == {}
    with pytest.raises(DataError, match="no size T makes 2 \\* T = 5"):
        solve([[2, 1, ["T"]]], 5, {})


def test_arrays_bind_sizes_in_any_order() -> None:
    sig = signature(
        inputs=[
            given("a", "real", [[[1, 1, ["N"]], [1, 1, ["M"]]]], 1),
            given("b", "real", [sym("N")], 2),
            given("c", "real", [], 3),
        ]
    )
    assert bind(sig, {"a": (12,), "b": (5,), "c": ()}) == {"N": 5, "M": 7}


def test_every_input_that_does_not_fit_is_named_with_its_line() -> None:
    with pytest.raises(DataError) as caught:
        bind(
            LOGISTIC,
            {"x": (60, 3), "y": (59,)},
            title="t.npz does not fit logistic.net",
        )
    assert str(caught.value).splitlines() == [
        "t.npz does not fit logistic.net",
        "  y: [59]   but logistic.net:5 says   input y: [N]: "
        "N = 60 (from x), so y needs 60 rows",
    ]
    assert caught.value.exit_code == 4
    with pytest.raises(
        DataError, match=r"x: \[60\]   but logistic.net:4 says   input x"
    ):
        bind(LOGISTIC, {"x": (60,)})
    with pytest.raises(DataError, match=r"D = 4 \(from the parameters\)"):
        bind(LOGISTIC, {"x": (60, 3)}, {"D": 4})


@pytest.mark.parametrize(
    ("kind", "left", "right", "good", "bad"),
    [
        ("divides", sym("T"), 2, 6, 7),
        ("equal", sym("T"), [[1, 1, ["D"]], [1, 1, []]], 4, 5),
        ("at_least", sym("T"), sym("D"), 3, 2),
    ],
)
def test_checks_cite_the_line(kind, left, right, good, bad) -> None:
    sig = copy.deepcopy(LOGISTIC)
    sig["checks"] = [
        {
            "kind": kind,
            "left": left,
            "right": right,
            "line": 7,
            "text": "T / 2",
            "message": "T cannot be split",
        }
    ]
    check(sig, {"T": good, "D": 3})
    check(sig, {"D": 3})
    with pytest.raises(DataError, match=r"logistic.net:7: T cannot be split\n.*T = "):
        check(sig, {"T": bad, "D": 3})


def test_row_dims() -> None:
    assert row_dims(LOGISTIC) == ("N",)
    assert row_dims(signature(sizes={"T": size(False, ["x"], False)})) == ()


def test_an_index_of_several_axes_is_below_the_least() -> None:
    entry = {"range": [0, 5, sym("N")]}
    assert limits(entry, {"N": 3}) == (0, 3)
    assert limits(entry, {"N": 8}) == (0, 5)
    assert limits(entry, {}) is None
