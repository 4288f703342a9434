"""Indexing, against NumPy's, through the reference interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from texts import lowered, refused, shape, value

X = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "index",
    [
        "0",
        "-1",
        ":, 1",
        "..., 2",
        "..., -1, :",
        "1, 2, 3",
        "0:1",
        ":, 1:",
        ":, :2",
        ":, -2:",
        ":, :-1",
        ":, 1:-1, 1:3",
        "..., 0:4",
        "0, ..., 1",
        "...",
        ":, 1:1",
    ],
)
def test_like_numpy(index: str) -> None:
    expected = eval(f"X[{index}]")
    found = value(f"input x: [N, 3, 4]\noutput y = x[{index}]", x=X)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("index", [":, *", "*, :", ":, :, *, :", "..., *", "0, *"])
def test_stretch_axes(index: str) -> None:
    expected = eval(f"X[{index.replace('*', 'None')}]")
    found = value(f"input x: [N, 3, 4]\noutput y = x[{index}]", x=X)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("index", "expected"), [("i", X[[1, 0, 1]]), (":, i", X[:, [1, 0, 1]])]
)
def test_gather(index: str, expected: object) -> None:
    text = f"input x: [N, 3, 4]\ninput i: int[K]\noutput y = x[{index}]"
    found = value(text, x=X, i=np.array([1, 0, 1]))
    assert np.array_equal(found, expected)


def test_gather_puts_the_axes_of_the_index_there() -> None:
    table = np.arange(10.0).reshape(5, 2)
    words = np.array([[1, 2, 3], [4, 0, 1]])
    text = "input E: [5, 2]\ninput w: int[N, T]\noutput y = E[w]"
    assert np.array_equal(value(text, E=table, w=words), table[words])
    assert shape(text) == "[N, T, 2]"
    mixed = "input E: [5, 2]\ninput w: int[N, T]\noutput y = E[w, 1]"
    assert np.array_equal(value(mixed, E=table, w=words), table[words, 1])


def test_gather_by_one_number_of_the_data() -> None:
    text = "input E: [5, 2]\ninput i: int\noutput y = E[i]"
    table = np.arange(10.0).reshape(5, 2)
    assert np.array_equal(value(text, E=table, i=np.array(3)), table[3])


def test_sizes_in_slices() -> None:
    text = "const n = 1\ninput x: [N, T]\noutput y = x[:, n:T - 1] + x[:, :-2]"
    x = np.arange(10.0).reshape(2, 5)
    assert np.array_equal(value(text, x=x), x[:, 1:4] + x[:, :3])


def test_the_index_of_a_repeat() -> None:
    text = "input x: [N, 3]\nh = 0 * x[:, 0]\nrepeat i in 3 { h = h + i * x[:, i] }\noutput h"
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(value(text, "h", x=x), x[:, 1] + 2 * x[:, 2])


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("0, 0, 0, 0", "too-many-indices"),
        (":, 3", "index-range"),
        (":, -4", "index-range"),
        (":, 0:5", "index-range"),
        (":, 2:1", "backward-slice"),
        ("..., 0, ...", "two-rests"),
        (":, 0.5", "index-kind"),
        ("x", "index-kind"),
        ("x > 0", "index-kind"),
        ("i, j", "two-gathers"),
        (":, 0:i[0]", "slice-bound"),
        ("true", "index-kind"),
    ],
)
def test_refused(index: str, expected: str) -> None:
    text = "input x: [N, 3, 4]\ninput i, j: int[N]\n"
    assert refused(text + f"output y = x[{index}]") == [expected]


@pytest.mark.parametrize(
    ("index", "checks"),
    [
        ("0", [("at_least", "N", "1")]),
        ("-1", [("at_least", "N - 1", "0")]),
        ("1:", [("at_least", "N", "1")]),
        (":5", [("at_least", "N", "5")]),
        (":", []),
        (":N", []),
        ("N - 1", [("at_least", "N - 1", "0")]),
    ],
)
def test_what_the_data_must_have(
    index: str, checks: list[tuple[str, str, str]]
) -> None:
    program = lowered(f"input x: [N]\noutput y = x[{index}]")
    assert [(c.kind, str(c.left), str(c.right)) for c in program.checks] == checks
