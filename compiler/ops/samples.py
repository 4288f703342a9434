"""The domain of an op: how tests draw its arguments and attributes.

Kept beside the op, so that adding an op adds its tests. Nothing in the compiler reads it.

    samples=Samples((POSITIVE,))                    # log: every x > 0
    samples=Samples((REAL,), cases=(Case(((2, 3),), {"axes": (1,)}),))
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from gradc.records import record

INFINITY = float("inf")


@record
class Range:
    """An open interval of reals, whole numbers or truth values.

    `except_` leaves out single points: kinks, which are judged by the table of conventions
    instead. Magnitudes are drawn from 10^-decades to 10^decades.
    """

    low: float = -INFINITY
    high: float = INFINITY
    kind: str = "real"
    except_: tuple[float, ...] = ()
    decades: int = 300


REAL = Range()
POSITIVE = Range(0.0)
NONZERO = Range(except_=(0.0,))
TRUTH = Range(0, 2, "bool")


def index(size: int) -> Range:
    """Whole numbers from 0 to size - 1."""
    return Range(0, size, "int")


@record
class Case:
    """One set of argument shapes and attributes."""

    shapes: tuple[tuple[int, ...], ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    args: tuple[Range, ...] | None = None  # where it differs from the op's


@record
class Samples:
    """`args`: a range per argument. `cases`: none means every shape class of the plan.

    `distinct`: which pairs of arguments must not be equal (a tie is a kink).
    """

    args: tuple[Range, ...]
    cases: tuple[Case, ...] = ()
    attrs: tuple[dict[str, Any], ...] = ({},)  # for ops without cases
    distinct: bool = False
    matrices: Literal["", "regular", "definite"] = ""  # what the first argument must be
    excluded: str = ""  # what of the domain is left out, and why
