"""Frozen records: what a frozen dataclass does, they do."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace

import pytest

from gradc.records import record


@record
class Place:
    """A record with a default of each sort."""

    line: int
    name: str = "a"
    notes: list[int] = field(default_factory=list)
    width: float = field(default=1.0, compare=False, repr=False)


@record(kw_only=True)
class Span:
    start: int


@record
class Wide(Span):
    """Fields of its own come first: that of the base is given by name."""

    end: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", self.end + 1)


@record
class Nothing:
    """No field at all."""


@record(eq=False)
class Thing:
    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"


def test_fields_are_given_by_place_or_name() -> None:
    assert repr(Place(3)) == "Place(line=3, name='a', notes=[])"
    assert Place(3).notes is not Place(3).notes
    assert Place(name="b", line=2) == Place(2, "b", [], 7.0)
    assert repr(Wide(4, start=1)) == "Wide(start=1, end=5)"
    assert repr(Thing("x")) == "<x>"
    with pytest.raises(TypeError, match="line"):
        Place()
    with pytest.raises(TypeError):
        Wide(1, 2)


def test_a_record_is_compared_as_a_dataclass_is() -> None:
    @dataclass(frozen=True)
    class Point:
        x: float
        y: int = 0

    @record
    class Twin:
        x: float
        y: int = 0

    @record
    class Single:
        x: float

    nan = float("nan")
    for a, b in (((1.0,), (1.0,)), ((1.0,), (2.0,)), ((nan,), (nan,)), ((1, 2), (1,))):
        assert (Point(*a) == Point(*b)) is (Twin(*a) == Twin(*b))
        assert hash(Point(*a)) == hash(Twin(*a))
    assert Single(nan) == Single(nan) != Single(float("nan"))
    assert Twin(1.0) != Point(1.0) and Nothing() == Nothing()
    assert {Single(1.0): 1}[Single(1.0)] == 1
    assert Thing("x") != Thing("x") and len({Thing("x"), Thing("x")}) == 2


def test_a_record_does_not_change() -> None:
    made = Wide(4, start=1)
    for name in ("start", "end", "other"):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(made, name, 2)
    with pytest.raises(FrozenInstanceError, match="end"):
        del made.end
    assert type(made) is Wide and not hasattr(made, "__dict__")


def test_a_record_may_change_if_it_says_so() -> None:
    @record(frozen=False)
    class Count:
        number: int = 0
        names: list[str] = field(default_factory=list)

    count = Count()
    count.number += 1
    count.names.append("a")
    assert count == Count(1, ["a"]) != Count(2, ["a"])
    assert copy.copy(count).names is count.names and not hasattr(count, "__dict__")
    with pytest.raises(TypeError, match="unhashable"):
        hash(count)


def test_what_dataclasses_offer_holds() -> None:
    assert [f.name for f in fields(Wide)] == ["start", "end"]
    assert replace(Place(3), name="c") == Place(3, "c")
    assert asdict(Place(3))["notes"] == []
    match Place(3, "d"):
        case Place(line, name):
            assert (line, name) == (3, "d")
    for again in (copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        made = again(Wide(4, start=1))
        assert made == Wide(4, start=1) and made.end == 5
