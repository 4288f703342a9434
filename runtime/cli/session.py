"""A training as its user sees it: what was read, a line an epoch, where the result lies.

    session = Session(terminal, data, threads="1")
    with session:
        Trainer(network, data, settings, reporter=session).train()
    # data   x ← p0…p63, digit ← label
    # epoch  1/30  loss 0.142   valid loss 0.168   accuracy 0.953   0.02 s

With `log_format="json"` the events of log.jsonl stand in for the lines, one object each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from ..data import Dataset
from ..trainer import Epoch, Result, Silence, Trainer
from .progress import Progress
from .terminal import Terminal, figure, write_error


class Session(Silence):
    """The reporter of `gradc train`. `begun` says whose weights a run begins with."""

    def __init__(
        self, terminal: Terminal, data: Dataset, threads: str, log_format: str = "text"
    ) -> None:
        self.terminal = terminal
        self.data = data
        self.threads = threads
        self.as_json = log_format == "json"
        self.every_step = terminal.live and not self.as_json
        self.begun = ""
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

    def say(self, text: str) -> None:
        """A line for people."""
        if not self.as_json:
            self._progress.line(text)

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
            self.say(f"data   {bound}")
        for line in self.data.summary:
            self.say(f"       {line}")
        settings = trainer.settings
        where = f"{trainer.run.path}   " if trainer.run else ""
        blas = "BLAS threads as it likes" if self.threads == "blas" else "1 BLAS thread"
        self.say(f"run    {where}{settings.dtype}, seed {settings.seed}, {blas}")
        self._say_shards(trainer)
        if self.begun:
            self.say(f"init   {self.begun}")
        if trainer.resumed:
            self.say(f"resume from step {trainer.step:,} of {trainer.steps:,}")

    def _say_shards(self, trainer: Trainer) -> None:
        """How a batch is cut; why it is not, for who asks."""
        plan = trainer.network.signature.get("shards")
        count = trainer.shards
        if count > 1:
            threads = min(trainer.parallel.threads, count)
            s = "s" if threads > 1 else ""
            self.say(f"       a batch in {count} shards, on {threads} thread{s}")
        elif self.terminal.verbose and plan is not None:
            if plan["row_dim"] is not None:
                self.say("       a batch in one piece: it is too small for shards")
            elif plan["mixing_line"]:
                place = f"{trainer.network.name}:{plan['mixing_line']}"
                self.say(f"       a batch in one piece: its rows mix at {place}")
            else:
                why = "the loss is no sum over the rows of one table"
                self.say(f"       a batch in one piece: {why}")

    def logged(self, event: Mapping[str, Any]) -> None:
        """A line of log.jsonl."""
        if self.as_json:
            write_error(json.dumps({"v": 1, **event}))

    def progress(self, step: int, steps: int) -> None:
        """A step was made."""
        trainer = self._trainer
        if trainer is not None:
            epoch = (step - 1) // trainer.steps_per_epoch + 1
            at = trainer.progress
            loss = at.total / at.weight if at.weight else None
            self._progress.step(step, steps, f"epoch {epoch}/{trainer.epochs}", loss)

    def epoch(self, epoch: Epoch) -> None:
        """An epoch has ended: one line, always."""
        self.say(epoch_line(epoch, self.names))

    def saved(self, path: str, step: int) -> None:
        """A checkpoint was written."""
        if self.terminal.verbose:
            self.say(f"saved  {path}")

    def warning(self, text: str) -> None:
        """Something that training survives."""
        self._progress.close()
        self.terminal.warn(text)

    def finished(self, result: Result) -> None:
        """The best epoch and its checkpoint."""
        self._progress.close()
        trainer = self._trainer
        if result.skipped:
            self.say(f"skip   {result.skipped:,} updates that were not finite")
        if result.ending == "patience" and trainer is not None:
            self.say(
                f"end    nothing better in {trainer.settings.patience} evaluations; "
                "the weights are those of the best"
            )
        if result.stopped:
            again = ""
            if trainer is not None and trainer.run is not None:
                again = f"   resume: gradc train --resume {trainer.run.path}"
            self.say(f"saved  {result.checkpoint}{again}")
        best = result.best
        if best is None:
            return
        told = figures_of(best, self.names).items()
        figures = "  ".join(f"{name} {figure(value, 4)}" for name, value in told)
        where = f"   {result.best_checkpoint}" if result.best_checkpoint else ""
        self.say(f"best   epoch {best.number}  {figures}{where}")


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
