"""How far a training is: its counters, the best epoch so far, how long nothing got better.

In: the score of each evaluation, the lower the better. Out: whether it is the best, and
whether there is patience left. It goes to a checkpoint as JSON and comes back exactly.

    progress = Progress(patience=10)
    progress.observe(0.25)          # True: the best so far
    progress.exhausted              # False
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from numpy.typing import NDArray

from .network import State
from .records import record
from .reporter import Epoch

_ELSEWHERE = ("patience", "min_delta", "seconds")


@record(frozen=False)
class Progress:
    """Where a training stands. `total` and `weight` are the sums of the epoch under way.

    An evaluation counts as better for `patience` if it is lower than the last that counted by
    more than `min_delta`.
    """

    step: int = 0
    total: float = 0.0
    weight: int = 0
    seconds: float = 0.0
    updates: int = 0  # the optimiser's: updates that were dropped do not count
    skipped: int = 0
    in_a_row: int = 0
    score: float = math.inf
    reference: float = math.inf
    waited: int = 0
    patience: int | None = None
    min_delta: float = 0.0

    def observe(self, score: float) -> bool:
        """An evaluation: whether it is the best so far."""
        if score < self.reference - self.min_delta:
            self.reference, self.waited = score, 0
        else:
            self.waited += 1
        better = score < self.score
        if better:
            self.score = score
        return better

    @property
    def exhausted(self) -> bool:
        """Whether as many evaluations as there is patience brought nothing."""
        return self.patience is not None and self.waited >= self.patience

    def to_json(self) -> dict[str, Any]:
        """All but what the settings say, and the time, so that the same run has the same
        bytes."""
        return {k: v for k, v in asdict(self).items() if k not in _ELSEWHERE}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take over what `to_json` wrote; `TypeError` or `KeyError` where it is none."""
        for entry in fields(self):
            if entry.name not in _ELSEWHERE:
                kind = float if isinstance(getattr(self, entry.name), float) else int
                setattr(self, entry.name, kind(data[entry.name]))


@record
class Best:
    """The best epoch so far, and a copy of what it had."""

    epoch: Epoch
    theta: NDArray[Any]
    state: State
    average: NDArray[Any] | None = None

    @property
    def weights(self) -> NDArray[Any]:
        """The weights that were evaluated: θ, or with its trained part averaged."""
        return (
            self.theta if self.average is None else averaged(self.theta, self.average)
        )


def averaged(theta: NDArray[Any], average: NDArray[Any]) -> NDArray[Any]:
    """θ with the average in the place of its trained part: a new vector."""
    mixed = theta.copy()
    mixed[: len(average)] = average
    return mixed
