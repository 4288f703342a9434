"""Which columns feed which input: the rules of the language, one by one."""

from __future__ import annotations

import pytest

from gradc.data.mapping import Wanted, assign
from gradc.errors import DataError


def named(
    *titles: str, x: int | None = 2, **more: object
) -> dict[str, tuple[str, ...]]:
    """Assign to x (of some width) and y; columns by their titles."""
    found = assign("f.csv", titles, [Wanted("x", x, **more), Wanted("y", 1)])
    return {name: tuple(titles[i] for i in columns) for name, columns in found.items()}


def test_exact_names() -> None:
    assert named("y", "z", "x", x=1) == {"x": ("x",), "y": ("y",)}


@pytest.mark.parametrize(
    "titles", [("x.0", "x.1"), ("x0", "x1"), ("x_0", "x_1"), ("x.1", "x.0")]
)
def test_numbered_names(titles: tuple[str, str]) -> None:
    found = named("id", *titles, "y")
    assert found == {"x": tuple(sorted(titles)), "y": ("y",)}


def test_dots_win_over_other_spellings() -> None:
    assert named("x0", "x1", "x.0", "x.1", "y")["x"] == ("x.0", "x.1")


def test_a_spelling_that_could_mean_another_column_is_not_taken() -> None:
    wanted = [Wanted("x", 2), Wanted("x0", 1)]
    with pytest.raises(
        DataError, match=r"x needs 2 columns, and f.csv has 1 for it: x1"
    ):
        assign("f.csv", ["x0", "x1"], wanted)
    with pytest.raises(DataError, match=r"x needs 2 columns, and f.csv has 4 for it"):
        assign("f.csv", ["x0", "x1", "x_0", "x_1"], [Wanted("x", 2)])


def test_listed_columns() -> None:
    found = named("age", "bmi", "ill", "y", listed=("bmi", "age"))
    assert found == {"x": ("bmi", "age"), "y": ("y",)}
    with pytest.raises(DataError, match=r"no column 'agee', .*\n.*did you mean 'age'"):
        named("age", "bmi", "y", listed=("agee", "bmi"))
    # what the program said of another file, where this file does not have it
    assert named("x.0", "x.1", "y", listed=("age",), kept=True)["x"] == ("x.0", "x.1")


def test_one_wide_input_takes_what_is_left() -> None:
    assert named("a", "y", "b")["x"] == ("a", "b")
    assert named("a", "y", "b", "c", x=None)["x"] == ("a", "b", "c")


def test_what_is_left_must_fit() -> None:
    with pytest.raises(DataError) as caught:
        named("a", "y", "b", "c", type="[N, 2]", line=4)
    assert str(caught.value).splitlines() == [
        "x needs 2 columns, and f.csv has 3 for it: a, b, c",
        "  line 4: input x: [N, 2]",
        "  these are the columns that no other input takes",
        '  to choose:  data x = "f.csv:first,second,…"',
    ]


def test_two_inputs_can_not_share_what_is_left() -> None:
    with pytest.raises(DataError, match=r"f.csv has no column for x, z"):
        assign("f.csv", ["a", "b", "c", "d"], [Wanted("x", 2), Wanted("z", 2)])


def test_a_scalar_input_takes_nothing_that_is_left() -> None:
    with pytest.raises(DataError, match=r"no column for y\n.*did you mean 'yy'\?"):
        named("x.0", "x.1", "yy")
    with pytest.raises(DataError, match=r"no column for y\n.*did you mean 'Y'\?"):
        named("x.0", "x.1", "Y")


def test_columns_of_inputs_that_are_not_needed_are_left_alone() -> None:
    wanted = [Wanted("x", None), Wanted("y", 1, needed=False)]
    assert assign("f.csv", ["a", "y", "b"], wanted) == {"x": (0, 2)}
    assert assign("f.csv", ["a", "b"], wanted) == {"x": (0, 1)}
    listed = [Wanted("x", None), Wanted("y", 1, listed=("label",), needed=False)]
    assert assign("f.csv", ["a", "label", "b"], listed) == {"x": (0, 2)}


def test_a_missing_header_is_suspected() -> None:
    with pytest.raises(DataError, match=r"5.1 is: is the header missing"):
        assign("f.csv", ["5.1", "3.5", "setosa"], [Wanted("y", 1)])


def test_without_a_header_columns_go_from_left_to_right() -> None:
    wanted = [Wanted("x", 2), Wanted("y", 1)]
    assert assign("f.csv", None, wanted, 3) == {"x": (0, 1), "y": (2,)}
    wide = [Wanted("x", None), Wanted("y", 1)]
    assert assign("f.csv", None, wide, 5) == {"x": (0, 1, 2, 3), "y": (4,)}
    with pytest.raises(DataError, match="no header and 4 columns"):
        assign("f.csv", None, wanted, 4)
    with pytest.raises(DataError, match="only one of them may have a width"):
        assign("f.csv", None, [Wanted("x", None), Wanted("z", None)], 4)


def test_without_a_header_columns_may_be_those_of_needed_inputs_alone() -> None:
    wanted = [Wanted("x", 2), Wanted("y", 1, needed=False)]
    assert assign("f.csv", None, wanted, 3) == {"x": (0, 1)}
    assert assign("f.csv", None, wanted, 2) == {"x": (0, 1)}
