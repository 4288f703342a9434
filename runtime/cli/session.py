"""A training as its user sees it: what was read, a line an epoch, where the result lies; and
what Ctrl-C does.

    session = Session(terminal, data, threads="1")
    trainer = Trainer(network, data, settings, reporter=session)
    with session, interruptible(trainer, terminal) as signals:
        result = trainer.train()
    # data   x ← p0…p63, digit ← label
    # epoch  1/30  loss 0.142   valid loss 0.168   accuracy 0.953   0.02 s
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from ..data import Dataset
from ..trainer import Epoch, Result, Silence, Trainer
from .exits import Exit
from .progress import Progress
from .terminal import Terminal, figure, write_error


class Session(Silence):
    """The reporter of `gradc train`."""

    def __init__(self, terminal: Terminal, data: Dataset, threads: str) -> None:
        self.terminal = terminal
        self.data = data
        self.threads = threads
        self.every_step = terminal.live
        self._progress = Progress(terminal)
        self._trainer: Trainer | None = None
        self.names: list[str] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.close()

    def started(self, trainer: Trainer) -> None:
        """What was bound to what, and how the run is set up."""
        self._trainer = trainer
        signature = trainer.network.signature
        self.names = [metric["name"] for metric in signature["metrics"]]
        if len(signature["losses"]) > 1:
            self.names[:0] = [loss["name"] for loss in signature["losses"]]
        bound = ", ".join(
            f"{name} ← {taken}" for name, taken in self.data.bindings.items()
        )
        if bound:
            self.terminal.say(f"data   {bound}")
        for line in self.data.summary:
            self.terminal.say(f"       {line}")
        settings = trainer.settings
        where = f"{trainer.run.path}   " if trainer.run else ""
        blas = "1 BLAS thread" if self.threads == "1" else "BLAS threads as it likes"
        self.terminal.say(
            f"run    {where}{settings.dtype}, seed {settings.seed}, {blas}"
        )

    def progress(self, step: int, steps: int) -> None:
        """A step was made."""
        trainer = self._trainer
        if trainer is not None:
            epoch = (step - 1) // trainer.steps_per_epoch + 1
            self._progress.step(step, steps, f"epoch {epoch}/{trainer.epochs}")

    def epoch(self, epoch: Epoch) -> None:
        """An epoch has ended: one line, always."""
        self._progress.line(epoch_line(epoch, self.names))

    def warning(self, text: str) -> None:
        """Something that training survives."""
        self.terminal.warn(text)

    def finished(self, result: Result) -> None:
        """The best epoch and its checkpoint."""
        self._progress.close()
        if result.stopped:
            self.terminal.say(f"saved  {result.checkpoint}")
        best = result.best
        if best is None:
            return
        told = figures_of(best, self.names).items()
        figures = "  ".join(f"{name} {figure(value, 4)}" for name, value in told)
        where = f"   {result.best_checkpoint}" if result.best_checkpoint else ""
        self.terminal.say(f"best   epoch {best.number}  {figures}{where}")


def epoch_line(epoch: Epoch, names: Sequence[str] = ()) -> str:
    """`epoch  5/30  loss 0.142   valid loss 0.168   accuracy 0.953   0.02 s`.

    `names` are the figures to tell beside the loss.
    """
    total = str(epoch.epochs or "")
    head = (
        f"epoch {epoch.number:>{len(total)}}/{total}"
        if total
        else f"epoch {epoch.number}"
    )
    told = {"loss": epoch.loss, **figures_of(epoch, names, loss=epoch.held_out)}
    figures = "  ".join(f"{name} {figure(value):<6}" for name, value in told.items())
    return f"{head}  {figures}  {epoch.seconds:.2f} s"


def figures_of(
    epoch: Epoch, names: Sequence[str], loss: bool = True
) -> dict[str, float]:
    """The figures of an epoch by what a line calls them."""
    title = "valid loss" if epoch.held_out else "loss"
    found = {title: epoch.figures["loss"]} if loss and "loss" in epoch.figures else {}
    return found | {
        name: epoch.figures[name] for name in names if name in epoch.figures
    }


# -------------------------------------------------------------------------- interrupts


@dataclass
class Signals:
    """Which signal has stopped a training."""

    exit: Exit = Exit.INTERRUPTED
    seen: int = 0


@contextmanager
def interruptible(trainer: Trainer, terminal: Terminal) -> Iterator[Signals]:
    """SIGINT and SIGTERM end a training after its step; a second one at once."""
    signals = Signals()

    def stop(number: int, frame: FrameType | None) -> None:
        if signals.seen:
            raise KeyboardInterrupt
        signals.seen = number
        terminated = number == signal.SIGTERM
        signals.exit = Exit.TERMINATED if terminated else Exit.INTERRUPTED
        trainer.stop = True
        again = "" if terminated else " (Ctrl-C again to abort)"
        write_error(f"stopping after this step{again}")

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
