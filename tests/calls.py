"""Work, counted: how many calls of Python functions something makes.

A count does not depend on what else the machine is doing, and neither does a test that a
time grows linearly: ten times the input makes about ten times the calls.

    assert calls(lambda: compile(10 * n)) < 12 * calls(lambda: compile(n))
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls(work: Callable[[], object]) -> int:
    """The calls that `work` makes: of functions in Python and of those in C."""
    made = 0

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal made
        if event in ("call", "c_call"):
            made += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return made
