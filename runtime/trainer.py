"""The training loop.

In: a network, its data, settings, a run folder if there is to be one. Out: `Result`, with the
last and the best θ. A step is a batch, `forward`, `backward`, the optimiser; an epoch is a
pass over the data, at whose end the figures over the part held out are taken. What is printed
is up to a `Reporter`.

    trainer = Trainer(network, data, settings)
    result = trainer.train()
    result.best.figures["accuracy"]
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .data import Dataset
from .diagnosis import first_nonfinite
from .errors import NonFiniteError, SettingError
from .evaluation import figures
from .network import Network
from .optimizers import Optimizer, clip_norm, clip_value
from .runs import RunFolder
from .settings import Settings
from .sizes import check

LINES = 100  # of a run whose epochs are single steps


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Result:
    """A finished training. `checkpoint` and `best_checkpoint` are files of the run folder."""

    theta: NDArray[Any]
    best_theta: NDArray[Any]
    best: Epoch | None
    history: tuple[Epoch, ...]
    steps: int
    seconds: float
    stopped: bool = False
    checkpoint: str | None = None
    best_checkpoint: str | None = None


class Reporter(Protocol):
    """Who tells the user. Methods are called in this order; each may do nothing."""

    def started(self, trainer: Trainer) -> None:
        """Data are read, the net is initialised, the first step is next."""

    def progress(self, step: int, steps: int) -> None:
        """A step was made; called only if the reporter's `every_step` is true."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch has ended."""

    def warning(self, text: str) -> None:
        """Something went wrong that training survives."""

    def finished(self, result: Result) -> None:
        """Training is over."""


class Silence:
    """A reporter that says nothing: the base to derive others from."""

    every_step = False

    def started(self, trainer: Trainer) -> None:
        """See `Reporter`."""

    def progress(self, step: int, steps: int) -> None:
        """See `Reporter`."""

    def epoch(self, epoch: Epoch) -> None:
        """See `Reporter`."""

    def warning(self, text: str) -> None:
        """See `Reporter`."""

    def finished(self, result: Result) -> None:
        """See `Reporter`."""


@dataclass
class Trainer:
    """A training that is prepared, or on its way. Set `stop` to end it after a step."""

    network: Network
    data: Dataset
    settings: Settings
    run: RunFolder | None = None
    reporter: Reporter = field(default_factory=Silence)
    theta: NDArray[Any] | None = None
    stop: bool = False

    def __post_init__(self) -> None:
        network, settings = self.network, self.settings
        if not network.has("backward"):
            raise SettingError(
                f"{network.name} has no loss, so there is nothing to train"
            )
        network.bind({k: v for k, v in self.data.sizes.items() if k in network.frozen})
        self._check_batches()
        if self.theta is None:
            self.theta = network.init(settings.seed, settings.dtype)
        self._theta: NDArray[Any] = self.theta
        self._nabla = np.zeros_like(self._theta)
        trained = network.trained
        if not trained:
            raise SettingError(f"{network.name} has no trained parameters")
        try:
            self.optimizer = Optimizer(
                settings.optimizer, settings.arguments, self._theta[:trained]
            )
        except ValueError as error:
            raise SettingError(str(error)) from None
        per_epoch = self.data.train.steps(settings.batch_of)
        if settings.steps is not None:
            self.steps: int = settings.steps
            self.epochs = math.ceil(self.steps / per_epoch)
        else:
            self.epochs = settings.epochs or 0
            self.steps = self.epochs * per_epoch
        self.steps_per_epoch = per_epoch
        self.step = 0
        self.history: list[Epoch] = []
        self._best: tuple[float, NDArray[Any], Epoch] | None = None
        self._log_works = True

    # ----------------------------------------------------------------------------- before

    def _check_batches(self) -> None:
        """Run the program's checks with each number of rows that a batch may have."""
        settings, part = self.settings, self.data.train
        for dim, table in part.tables.items():
            size = settings.batch_of(dim) or table.rows
            counts = {min(size, table.draws)}
            if table.draws > size and table.draws % size:
                counts.add(table.draws % size)
            if self.data.valid is not None and dim in self.data.valid.tables:
                counts.add(self.data.valid.tables[dim].rows)
            for rows in sorted(counts):
                check(self.network.signature, {**self.data.sizes, dim: rows})

    # ------------------------------------------------------------------------------ during

    def train(self) -> Result:
        """Train to the end, or until `stop`; `NonFiniteError` where numbers run away."""
        begin = time.perf_counter()
        self.reporter.started(self)
        self._log({"event": "start", "steps": self.steps, "epochs": self.epochs})
        every = 1
        if self.steps_per_epoch == 1 and self.epochs > LINES:
            every = math.ceil(self.epochs / LINES)
        epoch, total, weight = 0, 0.0, 0
        with np.errstate(all="ignore"):
            while self.step < self.steps and not self.stop:
                loss, rows = self._epoch(epoch)
                total, weight = total + loss, weight + rows
                epoch += 1
                last = self.step >= self.steps or self.stop
                if epoch % every == 0 or last:
                    self._end_epoch(epoch, total, weight, begin)
                    total, weight = 0.0, 0
        return self._finish(begin)

    def _epoch(self, epoch: int) -> tuple[float, int]:
        """The steps of one epoch: the sum of loss times rows, and the rows."""
        network, settings = self.network, self.settings
        names = network.signature["functions"]["forward"]["inputs"]
        nabla = self._nabla[: network.trained]
        step_of = network.stepper(self._theta, self._nabla)
        update, dot, finite = self.optimizer.step, np.dot, math.isfinite
        norm_bound, value_bound = settings.clip_norm, settings.clip_value
        every_step = getattr(self.reporter, "every_step", False)
        total, weight = 0.0, 0
        batches = self.data.train.batches(
            names, epoch, settings.seed, settings.batch_of
        )
        for arrays, rows in batches:
            loss = step_of(arrays)
            square = float(dot(nabla, nabla))
            if not (finite(loss) and finite(square)):
                self._check_finite(loss, arrays)
            if norm_bound is not None:
                clip_norm(
                    nabla, norm_bound, math.sqrt(square) if finite(square) else None
                )
            if value_bound is not None:
                clip_value(nabla, value_bound)
            update(nabla)
            self.step += 1
            total += loss * rows
            weight += rows
            if every_step:
                self.reporter.progress(self.step, self.steps)
            if self.stop or self.step == self.steps:
                break
        return total, weight

    def _check_finite(self, loss: float, arrays: list[NDArray[Any]]) -> None:
        """Raise unless only the square of a large finite gradient has overflowed."""
        network, nabla = self.network, self._nabla[: self.network.trained]
        if math.isfinite(loss) and np.isfinite(nabla).all():
            return
        if math.isfinite(loss):
            place = next(
                place.path
                for place in network.places
                if not np.isfinite(self._nabla[place.start : place.stop]).all()
            )
            what = f"the gradient of {place} became infinite or NaN"
        else:
            what = f"loss became {'nan' if math.isnan(loss) else 'inf' if loss > 0 else '-inf'}"
        notes = []
        where = first_nonfinite(network, self._theta, arrays)
        if where:
            notes.append(f"first value that is not finite: {where}")
        notes += self._rescued()
        lr = self.optimizer.arguments["lr"]
        hint = f"--set train.optimizer.lr={lr / 10:g}"
        if self.settings.clip_norm is None:
            hint = f"--set train.clip=1   or   {hint}"
        self._log({"event": "nonfinite", "step": self.step + 1, "what": what})
        raise NonFiniteError(
            f"{what} at step {self.step + 1:,}", *notes, f"try: {hint}"
        )

    def _rescued(self) -> list[str]:
        """Save the last weights that are good, and say where."""
        if self.run is None:
            return []
        path = None
        if np.isfinite(self._theta).all():
            path = self._save(self._theta, self.step, ("LATEST",))
        if self._best is not None:
            best = self._save(self._best[1], self._best[2].step, ("BEST",))
            path = path or best
        return [f"last good checkpoint: {path}"] if path else []

    def _end_epoch(self, number: int, total: float, weight: int, begin: float) -> None:
        held_out = self.data.held_out
        if not np.isfinite(self._theta).all():
            raise NonFiniteError(
                f"the weights became infinite or NaN at step {self.step:,}",
                *self._rescued(),
                f"try: --set train.optimizer.lr={self.optimizer.arguments['lr'] / 10:g}",
            )
        found = figures(self.network, self._theta, held_out)
        loss = total / weight if weight else math.nan
        score = found.get("loss", loss)
        better = self._best is None or score < self._best[0]
        epoch = Epoch(
            number,
            self.epochs,
            self.step,
            self.steps,
            loss,
            found,
            self.data.valid is not None,
            sum(held_out.rows.values()),
            self.optimizer.arguments["lr"],
            time.perf_counter() - begin,
            better and math.isfinite(score),
        )
        if epoch.best:
            self._best = (score, self._theta.copy(), epoch)
        self.history.append(epoch)
        self._log(
            {
                "event": "epoch",
                "epoch": number,
                "step": self.step,
                "loss": loss,
                "held_out": epoch.held_out,
                "figures": dict(found),
                "lr": epoch.lr,
                "seconds": round(epoch.seconds, 6),
            }
        )
        self.reporter.epoch(epoch)

    # ------------------------------------------------------------------------------- after

    def _finish(self, begin: float) -> Result:
        last = best = None
        best_theta = self._best[1] if self._best else self._theta
        best_epoch = self._best[2] if self._best else None
        if self.run is not None:
            same = best_epoch is None or best_epoch.step == self.step
            names = ("LATEST", "BEST") if same else ("LATEST",)
            last = best = self._save(self._theta, self.step, names, required=True)
            if best_epoch is not None and not same:
                best = self._save(best_theta, best_epoch.step, ("BEST",), required=True)
        result = Result(
            self._theta,
            best_theta,
            best_epoch,
            tuple(self.history),
            self.step,
            time.perf_counter() - begin,
            self.stop,
            last,
            best,
        )
        self._log(
            {
                "event": "stopped" if self.stop else "end",
                "step": self.step,
                "seconds": round(result.seconds, 6),
                "best": best_epoch.number if best_epoch else None,
            }
        )
        self.reporter.finished(result)
        return result

    def _save(
        self,
        theta: NDArray[Any],
        step: int,
        names: tuple[str, ...],
        required: bool = False,
    ) -> str | None:
        assert self.run is not None
        state = {
            "step": step,
            "epoch": step // self.steps_per_epoch,
            "position": step % self.steps_per_epoch,
            "seed": self.settings.seed,
            "dtype": str(self._theta.dtype),
            "sizes": dict(self.network.sizes),
            "transforms": self.data.transforms.to_json(),
            "net_sha256": self.network.signature["text_sha256"],
            "optimizer": self.settings.optimizer,
            "best": self._best[2].step if self._best else None,
            "numpy": np.__version__,
        }
        # The slots belong to the last θ; the best one is for use, not for resuming.
        optimizer = self.optimizer if theta is self._theta else None
        try:
            return str(self.run.save(self.network, theta, state, optimizer, names))
        except OSError as error:
            if required:
                raise
            self.reporter.warning(f"no checkpoint could be written: {error}")
            return None

    def _log(self, event: dict[str, Any]) -> None:
        if self.run is None or not self._log_works:
            return
        try:
            self.run.log(event)
        except OSError as error:
            self._log_works = False
            self.reporter.warning(
                f"{self.run.path}/log.jsonl: {error}; training goes on"
            )
