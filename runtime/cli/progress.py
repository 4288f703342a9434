"""A run as one sees it: a line an epoch, and on a terminal a bar while one waits.

    with Progress(terminal) as progress:
        progress.step(12, 45, "epoch 3/30")       # often: costs a clock reading
        progress.line("epoch  3/30  loss 0.142")  # always, to stderr

The bar is drawn by `rich` where that is installed, and only once a run has lasted a second:
importing it takes longer than many a training.
"""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import Any

from .terminal import Terminal, figure

PATIENCE = 1.0  # seconds before a bar is worth it
FRAME = 0.1  # seconds between two of its pictures


class Progress:
    """What a training tells its user while it goes on."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._bar: Any = None
        self._task: Any = None
        self._first: tuple[float, int] | None = None
        self._next = perf_counter() + PATIENCE if terminal.live else float("inf")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def step(
        self, done: int, total: int, title: str, loss: float | None = None
    ) -> None:
        """So far in what `title` names, `done` of `total`, and the loss of late."""
        now = perf_counter()
        if self._first is None:
            self._first = (now, done)
        if now < self._next:
            return
        self._next = now + FRAME
        if self._bar is None and not self._open():
            return
        self._bar.update(
            self._task,
            completed=done,
            total=total,
            description=title,
            facts=facts(loss, self._first, now, done, total),
            refresh=True,
        )

    def line(self, text: str) -> None:
        """A line that stays, above the bar."""
        if self._bar is None:
            self.terminal.say(text)
        elif not self.terminal.quiet:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _open(self) -> bool:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar
        except ImportError:
            self._next = float("inf")
            return False
        console = Console(stderr=True, no_color=not self.terminal.color)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
        )
        self._bar = Bar(
            *columns, console=console, transient=True, auto_refresh=False, expand=True
        )
        self._bar.start()
        self._task = self._bar.add_task("", facts="")
        return True


def facts(
    loss: float | None, first: tuple[float, int], now: float, done: int, total: int
) -> str:
    """`loss 0.142  1,250 steps/s  0:42 left`; the rate is that since the first step seen."""
    told = [] if loss is None else [f"loss {figure(loss)}"]
    begun, before = first
    if done > before and now > begun:
        rate = (done - before) / (now - begun)
        speed = f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s"
        told += [speed, f"{clock((total - done) / rate)} left"]
    return "  ".join(told)


def clock(seconds: float) -> str:
    """`0:42`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
