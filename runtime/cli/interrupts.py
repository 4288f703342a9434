"""SIGINT and SIGTERM: a training ends after its step, with a checkpoint; before it and after
it, the command ends at once.

    with interruptible() as signals:
        signals.trainer = trainer
        result = trainer.train()
    return signals.exit if result.ending == "stopped" else Exit.OK
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..records import record
from .exits import Exit, Stopped

if TYPE_CHECKING:
    from ..trainer import Trainer


@record(frozen=False)
class Signals:
    """Which signal has come, and the training that it ends."""

    exit: Exit = Exit.INTERRUPTED
    seen: int = 0
    trainer: Trainer | None = None


def tell(text: str) -> None:
    """Write to stderr from a signal's handler: the stream may be in the midst of a write of
    its own, and cannot be entered again."""
    with contextlib.suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), text.encode())


@contextmanager
def interruptible() -> Iterator[Signals]:
    """Let both signals end `signals.trainer` after its step; a second one ends at once."""
    signals = Signals()

    def stop(number: int, frame: FrameType | None) -> None:
        terminated = number == signal.SIGTERM
        signals.exit = Exit.TERMINATED if terminated else Exit.INTERRUPTED
        if signals.seen or signals.trainer is None:
            raise Stopped(signals.exit)
        signals.seen = number
        signals.trainer.stop = True
        again = "" if terminated else " (Ctrl-C again to abort)"
        tell(f"stopping after this step{again}\n")

    before: dict[int, Any] = {}
    try:
        for one in (signal.SIGINT, signal.SIGTERM):
            try:
                before[one] = signal.signal(one, stop)
            except ValueError:  # not in the main thread
                break
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
