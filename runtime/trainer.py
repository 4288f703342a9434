"""The training loop.

In: a network, its data, settings, a run folder if there is to be one. Out: `Result`, with the
last and the best θ. A step is a batch, its draws, `forward`, `backward`, the optimiser at the
rate of the schedule; an epoch is a pass over the data, at whose end the figures over the part
held out are taken. What is printed is up to a `Reporter`. `lbfgs` chooses its own steps
(`quasi_newton.py`): an iteration of it is an epoch here.

    trainer = Trainer(network, data, settings)
    result = trainer.train()
    result.best.figures["accuracy"]
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .data import Dataset
from .diagnosis import first_nonfinite
from .errors import NonFiniteError, SettingError
from .evaluation import figures
from .network import Network, Noise, State
from .optimizers import Optimizer, clip_norm, clip_value
from .quasi_newton import QuasiNewton
from .runs import RunFolder
from .schedules import Schedule
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
    """A finished training. `checkpoint` and `best_checkpoint` are files of the run folder,
    `state` and `best_state` what the program remembered beside θ and the best θ."""

    theta: NDArray[Any]
    best_theta: NDArray[Any]
    best: Epoch | None
    history: tuple[Epoch, ...]
    steps: int
    seconds: float
    stopped: bool = False
    checkpoint: str | None = None
    best_checkpoint: str | None = None
    state: State = field(default_factory=dict)
    best_state: State = field(default_factory=dict)


@dataclass(frozen=True)
class _Best:
    """The best epoch so far, and a copy of what it had."""

    score: float
    theta: NDArray[Any]
    state: State
    epoch: Epoch


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
        network.seed = settings.seed
        self.state = network.initial_state(settings.seed, settings.dtype)
        self._draws = bool(network.draws("forward"))
        self._sizes: dict[tuple[Any, ...], dict[str, int]] = {}
        try:
            self.schedule = (
                Schedule.of(settings.schedule) if settings.schedule else None
            )
            self.optimizer: Optimizer | QuasiNewton
            if settings.optimizer == "lbfgs":
                self.optimizer = QuasiNewton(settings.arguments)
            else:
                self.optimizer = Optimizer(
                    settings.optimizer, settings.arguments, self._theta[:trained]
                )
        except ValueError as error:
            if isinstance(error, SettingError):
                raise
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
        self._best: _Best | None = None
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
            if isinstance(self.optimizer, QuasiNewton):
                self._minimize(self.optimizer, every, begin)
                return self._finish(begin)
            while self.step < self.steps and not self.stop:
                loss, rows = self._epoch(epoch, self.optimizer)
                total, weight = total + loss, weight + rows
                epoch += 1
                last = self.step >= self.steps or self.stop
                if epoch % every == 0 or last:
                    self._end_epoch(epoch, total, weight, begin)
                    total, weight = 0.0, 0
        return self._finish(begin)

    def _minimize(self, method: QuasiNewton, every: int, begin: float) -> None:
        """All iterations of L-BFGS: one batch, the whole tables, and one draw for all."""
        network, settings = self.network, self.settings
        names = network.signature["functions"]["forward"]["inputs"]
        whole = self.data.train.batches(names, 0, settings.seed, lambda dim: None)
        arrays, rows = next(iter(whole))
        noise = self._noise(arrays, 1)
        trained = network.trained
        state: State = {}
        step_of = network.stepper(self._theta, self._nabla, state)
        good = self._theta[:trained].copy()
        before = self.state

        def value_and_gradient(point: NDArray[Any]) -> tuple[float, NDArray[Any]]:
            self._theta[:trained] = point
            # Each point that a line search tries remembers from where it set out.
            state.update(before)
            loss = step_of(arrays, noise)
            gradient = self._nabla[:trained]
            if method.evaluations == 0:
                self._check_finite(loss, arrays, noise)
            return loss, gradient.astype(np.float64)

        def accepted(point: NDArray[Any], loss: float) -> bool:
            nonlocal before
            self._theta[:trained] = good[...] = point
            before = self.state = dict(state)
            self.step += 1
            if getattr(self.reporter, "every_step", False):
                self.reporter.progress(self.step, self.steps)
            if self.step % every == 0 or self.step == self.steps or self.stop:
                self._end_epoch(self.step, loss * rows, rows, begin)
            return self.stop

        message = method.minimize(
            value_and_gradient, self._theta[:trained], self.steps, accepted
        )
        self._theta[:trained] = good
        ended = not self.history or self.history[-1].step != self.step
        if ended and self.step:
            loss = value_and_gradient(good)[0]
            self._end_epoch(self.step, loss * rows, rows, begin)
        if message:
            self._log({"event": "lbfgs", "step": self.step, "message": message})
            self.reporter.warning(
                f"lbfgs ended after {self.step:,} of {self.steps:,} steps: {message}"
            )

    def _noise(self, arrays: Sequence[Any], index: int) -> Noise:
        """The draws of a step for its whole batch."""
        if not self._draws:
            return {}
        network, seed = self.network, self.settings.seed
        shapes = tuple(np.shape(array) for array in arrays)
        if shapes not in self._sizes:
            bound = network.sizes_of("forward", arrays)
            self._sizes[shapes] = {**self.data.sizes, **bound}
        sizes = self._sizes[shapes]
        return network.draw("forward", sizes, seed, index, self._theta.dtype)

    def _epoch(self, epoch: int, optimizer: Optimizer) -> tuple[float, int]:
        """The steps of one epoch: the sum of loss times rows, and the rows."""
        network, settings = self.network, self.settings
        names = network.signature["functions"]["forward"]["inputs"]
        nabla = self._nabla[: network.trained]
        step_of = network.stepper(self._theta, self._nabla, self.state)
        update, dot, finite = optimizer.step, np.dot, math.isfinite
        norm_bound, value_bound = settings.clip_norm, settings.clip_value
        every_step = getattr(self.reporter, "every_step", False)
        total, weight = 0.0, 0
        batches = self.data.train.batches(
            names, epoch, settings.seed, settings.batch_of
        )
        for arrays, rows in batches:
            noise = self._noise(arrays, self.step + 1)
            loss = step_of(arrays, noise)
            square = float(dot(nabla, nabla))
            if not (finite(loss) and finite(square)):
                self._check_finite(loss, arrays, noise)
            if norm_bound is not None:
                clip_norm(
                    nabla, norm_bound, math.sqrt(square) if finite(square) else None
                )
            if value_bound is not None:
                clip_value(nabla, value_bound)
            update(nabla, self.rate())
            self.step += 1
            total += loss * rows
            weight += rows
            if every_step:
                self.reporter.progress(self.step, self.steps)
            if self.stop or self.step == self.steps:
                break
        return total, weight

    def rate(self) -> float | None:
        """The learning rate of the next step, where a schedule says it."""
        if self.schedule is None:
            return None
        lr = float(self.optimizer.arguments["lr"])
        return self.schedule.rate(lr, self.step, self.steps)

    def _check_finite(self, loss: float, arrays: Sequence[Any], noise: Noise) -> None:
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
        where = first_nonfinite(network, self._theta, arrays, self.state, noise)
        if where:
            notes.append(f"first value that is not finite: {where}")
        notes += self._rescued()
        hint = self._hint()
        if self.settings.clip_norm is None and hint:
            hint = f"--set train.clip=1   or   {hint}"
        self._log({"event": "nonfinite", "step": self.step + 1, "what": what})
        raise NonFiniteError(
            f"{what} at step {self.step + 1:,}", *notes, f"try: {hint}" if hint else ""
        )

    def _hint(self) -> str:
        """The setting that would make smaller steps."""
        if "lr" not in self.optimizer.arguments:
            return ""
        return f"--set train.optimizer.lr={self.optimizer.arguments['lr'] / 10:g}"

    def _rescued(self) -> list[str]:
        """Save the last weights that are good, and say where."""
        if self.run is None:
            return []
        path = None
        if np.isfinite(self._theta).all():
            path = self._save(self._theta, self.state, self.step, ("LATEST",))
        if (found := self._best) is not None:
            best = self._save(found.theta, found.state, found.epoch.step, ("BEST",))
            path = path or best
        return [f"last good checkpoint: {path}"] if path else []

    def _end_epoch(self, number: int, total: float, weight: int, begin: float) -> None:
        held_out = self.data.held_out
        if not np.isfinite(self._theta).all():
            raise NonFiniteError(
                f"the weights became infinite or NaN at step {self.step:,}",
                *self._rescued(),
                f"try: {self._hint()}",
            )
        found = figures(self.network, self._theta, held_out, state=self.state)
        loss = total / weight if weight else math.nan
        score = found.get("loss", loss)
        better = self._best is None or score < self._best.score
        epoch = Epoch(
            number,
            self.epochs,
            self.step,
            self.steps,
            loss,
            found,
            self.data.valid is not None,
            sum(held_out.rows.values()),
            self._last_rate(),
            time.perf_counter() - begin,
            better and math.isfinite(score),
        )
        if epoch.best:
            self._best = _Best(score, self._theta.copy(), dict(self.state), epoch)
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

    def _last_rate(self) -> float:
        """The rate of the step that was made last; 0 where the optimiser has none."""
        lr = float(self.optimizer.arguments.get("lr", 0.0))
        if self.schedule is None:
            return lr
        return self.schedule.rate(lr, max(0, self.step - 1), self.steps)

    # ------------------------------------------------------------------------------- after

    def _finish(self, begin: float) -> Result:
        last = best = None
        found = self._best
        if self.run is not None:
            same = found is None or found.epoch.step == self.step
            names = ("LATEST", "BEST") if same else ("LATEST",)
            last = best = self._save(
                self._theta, self.state, self.step, names, required=True
            )
            if found is not None and not same:
                step = found.epoch.step
                best = self._save(found.theta, found.state, step, ("BEST",), True)
        best_epoch = found.epoch if found else None
        result = Result(
            self._theta,
            found.theta if found else self._theta,
            best_epoch,
            tuple(self.history),
            self.step,
            time.perf_counter() - begin,
            self.stop,
            last,
            best,
            self.state,
            found.state if found else self.state,
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
        memory: State,
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
            "best": self._best.epoch.step if self._best else None,
            "numpy": np.__version__,
        }
        # The slots belong to the last θ; the best one is for use, not for resuming.
        optimizer = self.optimizer if theta is self._theta else None
        if isinstance(optimizer, QuasiNewton):  # its history is not kept
            optimizer = None
        try:
            return str(
                self.run.save(self.network, theta, state, optimizer, names, memory)
            )
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
