"""What a training tells: an epoch's figures, the result, and who is to hear of them.

In: what the training loop knows. Out: calls of a `Reporter`, which prints, draws or is silent.

    class Counter(Silence):
        def epoch(self, epoch: Epoch) -> None: …
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

from .network import State
from .records import record

if TYPE_CHECKING:
    from .trainer import Trainer

Ending = Literal["end", "stopped", "time", "patience"]
"""Why a training ended: all steps are made; somebody set `stop`; its time was over; nothing
got better any more."""


@record
class Epoch:
    """What is known at the end of an epoch.

    `loss` is the mean over its steps, weighted by rows; `figures` are loss and metrics over
    the part held out (`held_out`), or over all of the data.
    """

    number: int
    epochs: int | None
    step: int
    steps: int
    loss: float
    figures: Mapping[str, float]
    held_out: bool
    rows: int
    lr: float
    seconds: float
    best: bool


@record
class Result:
    """A finished training. `checkpoint` and `best_checkpoint` are files of the run folder,
    `state` and `best_state` what the program remembered beside θ and the best θ, `average`
    the averaged weights where the settings ask for them.

    After an early stop θ and the state are those of the best epoch.
    """

    theta: NDArray[Any]
    best_theta: NDArray[Any]
    best: Epoch | None
    history: tuple[Epoch, ...]
    steps: int
    seconds: float
    ending: Ending = "end"
    checkpoint: str | None = None
    best_checkpoint: str | None = None
    state: State = field(default_factory=dict)
    best_state: State = field(default_factory=dict)
    average: NDArray[Any] | None = None
    skipped: int = 0

    @property
    def stopped(self) -> bool:
        """Whether it ended before its steps were made, by a signal or by the clock."""
        return self.ending in ("stopped", "time")


class Reporter(Protocol):
    """Who tells the user. Methods are called in this order; each may do nothing."""

    def started(self, trainer: Trainer) -> None:
        """Data are read, the net is initialised, the first step is next."""

    def logged(self, event: Mapping[str, Any]) -> None:
        """A line of log.jsonl."""

    def progress(self, step: int, steps: int) -> None:
        """A step was made; called only if the reporter's `every_step` is true."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch has ended."""

    def saved(self, path: str, step: int) -> None:
        """A checkpoint is on the disk, whole: a run that is killed now resumes from it."""

    def warning(self, text: str) -> None:
        """Something went wrong that training survives."""

    def finished(self, result: Result) -> None:
        """Training is over."""


class Silence:
    """A reporter that says nothing: the base to derive others from."""

    every_step = False

    def started(self, trainer: Trainer) -> None:
        """See `Reporter`."""

    def logged(self, event: Mapping[str, Any]) -> None:
        """See `Reporter`."""

    def progress(self, step: int, steps: int) -> None:
        """See `Reporter`."""

    def epoch(self, epoch: Epoch) -> None:
        """See `Reporter`."""

    def saved(self, path: str, step: int) -> None:
        """See `Reporter`."""

    def warning(self, text: str) -> None:
        """See `Reporter`."""

    def finished(self, result: Result) -> None:
        """See `Reporter`."""
