"""What a run does beside its steps: when it saves, how long it may take, what it survives.

None of this changes a bit of what is trained: it may differ between a run and its resumption.

    Policy(save_steps=500, keep=2, time_limit=3600.0)
    duration("90s"), duration("1.5h")                       # 90.0, 5400.0
"""

from __future__ import annotations

import re
from typing import Literal

from .records import record

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@record
class Policy:
    """`save_seconds` and `save_steps` apart from each other: the first that is due saves.

    `keep` is how many checkpoints to resume from stay, beside those of the best weights;
    `time_limit` are seconds from the start of this process's training.
    """

    save_seconds: float | None = 60.0
    save_steps: int | None = None
    keep: int = 3
    time_limit: float | None = None
    on_nonfinite: Literal["stop", "skip"] = "stop"


SKIPPED_IN_A_ROW = 10
"""After so many updates that were dropped one after another there is nothing to wait for."""


def duration(text: str) -> float:
    """Seconds of `90s`, `10m`, `1.5h`, `2d`; `ValueError` where it is none of these."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(s|m|min|h|d)", text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"{text!r} is no length of time")
    return float(match[1]) * _UNITS[match[2]]
