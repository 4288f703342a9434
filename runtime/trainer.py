"""The training loop.

In: a network, its data, settings, a run folder if there is to be one. Out: `Result`, with the
last and the best θ. A step is a batch (or `accumulate` of them), its draws, `forward`,
`backward`, the optimiser at the rate of the schedule; an epoch is a pass over the data, at
whose end the figures over the part held out are taken. What is printed is up to a `Reporter`,
when it saves to a `Policy`. `lbfgs` chooses its own steps (`quasi_newton.py`): an iteration
of it is an epoch here.

    trainer = Trainer(network, data, settings)
    result = trainer.train()
    result.best.figures["accuracy"]

Nothing that decides a step is hidden: θ, the optimiser's slots, what the program remembers,
the moving average and `Progress` are all of it, and chance is a function of the seed and the
step. A training that is resumed from them (`resuming.py`) goes on to the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .averaging import Average
from .blas import blas_on_one_thread
from .buffers import zeros
from .data import Dataset
from .diagnosis import NonFinite, diagnose
from .errors import NonFiniteError, SettingError
from .evaluation import figures
from .execution import computing
from .memory import planned, refuse
from .network import Network, Noise, State, Step
from .optimizers import Optimizer, clip_norm, clip_value, norm_of
from .policy import SKIPPED_IN_A_ROW, Policy
from .progress import Best, Progress
from .quasi_newton import QuasiNewton
from .reporter import Ending, Epoch, Reporter, Result, Silence
from .runs import RunFolder
from .saving import Saver, snapshot, snapshot_of_best
from .schedules import Schedule
from .settings import Settings
from .shards import Parallel, number_of_shards, stepper
from .sizes import check

__all__ = ["Epoch", "Reporter", "Result", "Silence", "Trainer"]

LINES = 100  # of a run whose epochs are single steps

Batch = tuple[Sequence[Any], int]


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
    policy: Policy = field(default_factory=Policy)
    parallel: Parallel = field(default_factory=Parallel)

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
        self._nabla = zeros(self._theta.size, self._theta.dtype)
        trained = network.trained
        if not trained:
            raise SettingError(f"{network.name} has no trained parameters")
        network.seed = settings.seed
        self.state = network.initial_state(settings.seed, settings.dtype)
        self._draws = bool(network.draws("forward"))
        self._sizes: dict[tuple[Any, ...], dict[str, int]] = {}
        self.optimizer: Optimizer | QuasiNewton
        try:
            self.schedule = (
                Schedule.of(settings.schedule) if settings.schedule else None
            )
            if settings.optimizer == "lbfgs":
                self.optimizer = QuasiNewton(settings.arguments)
            else:
                self.optimizer = Optimizer(
                    settings.optimizer,
                    settings.arguments,
                    self._theta[:trained],
                    {p.path: (p.start, p.stop) for p in network.places if p.trained},
                )
        except ValueError as error:
            if isinstance(error, SettingError):
                raise
            raise SettingError(str(error)) from None
        self.average = (
            Average(settings.ema, self._theta[:trained]) if settings.ema else None
        )
        batches = self.data.train.steps(settings.batch_of)
        self.steps_per_epoch = math.ceil(batches / settings.accumulate)
        if settings.steps is not None:
            self.steps: int = settings.steps
            self.epochs = math.ceil(self.steps / self.steps_per_epoch)
        else:
            self.epochs = settings.epochs or 0
            self.steps = self.epochs * self.steps_per_epoch
        self.progress = Progress(
            patience=settings.patience, min_delta=settings.min_delta
        )
        self.history: list[Epoch] = []
        self.best: Best | None = None
        self.resumed = False
        self._saver: Saver | None = None
        self._norm = math.nan  # of the last gradient that was good
        self._step_of: Step | None = None
        self.memory = planned(self)
        refuse(self.memory, network.name)

    @property
    def step(self) -> int:
        """How many steps are made."""
        return self.progress.step

    @property
    def shards(self) -> int:
        """Into how many slices a whole batch is cut; for `lbfgs` that is the whole table."""
        plan = self.network.signature.get("shards")
        if plan is None or plan["row_dim"] is None:
            return 1
        dim = plan["row_dim"]
        rows = self.data.train.tables[dim].rows
        batch = min(self.settings.batch_of(dim) or rows, rows)
        sizes = {**self.data.sizes, dim: batch}
        return number_of_shards(self.network, sizes, self.parallel.shards)

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
        self._begin = time.perf_counter()
        self._before = self.progress.seconds
        limit = self.policy.time_limit
        self._deadline = math.inf if limit is None else self._begin + limit
        if self.run is not None:
            self._saver = Saver(self.run, self.network, self.policy, self.reporter)
            self._saver.begin(self.step, self._begin)
        self.reporter.started(self)
        event = {"event": "resume" if self.resumed else "start", "step": self.step}
        self._log({**event, "steps": self.steps, "epochs": self.epochs})
        every = 1
        if self.steps_per_epoch == 1 and self.epochs > LINES:
            every = math.ceil(self.epochs / LINES)
        with computing(), self._blas():
            if isinstance(self.optimizer, QuasiNewton):
                self._minimize(self.optimizer, every)
                return self._finish(self._ended() or "end")
            ending = self._ended()
            while ending is None:
                self._epoch(self.optimizer)
                number, position = divmod(self.step, self.steps_per_epoch)
                last = self.step >= self.steps
                if (position == 0 and number % every == 0) or last:
                    self._end_epoch(number + (position > 0))
                ending = self._ended()
                if position == 0 and ending is None:
                    self._save_if_due()
        return self._finish(ending)

    def _stepper(self) -> Step:
        """What fills ∇. By shards, where the program allows them: then it has threads, and is
        made once; otherwise for the state as it is now."""
        if self._step_of is None or self.network.signature["states"]:
            self._step_of = stepper(
                self.network, self._theta, self._nabla, self.state, self.parallel
            )
        return self._step_of

    @contextmanager
    def _blas(self) -> Iterator[None]:
        """BLAS on one thread, for shards, whether one thread of ours computes them or many;
        where that cannot be, it is one."""
        held: AbstractContextManager[Any] | None = nullcontext()
        if self.shards > 1:
            held = blas_on_one_thread()
            if held is None and self.parallel.threads > 1:
                self.parallel = replace(self.parallel, threads=1)
                self.reporter.warning(
                    "one thread: BLAS has its own, and threadpoolctl, which could stop "
                    "them, is not installed (pip install 'gradc[threads]')"
                )
        with held or nullcontext():
            yield

    def _ended(self) -> Ending | None:
        """Why there is no further step, if there is none."""
        if self.step >= self.steps:
            return "stopped" if self.stop else "end"
        if self.progress.exhausted:
            return "patience"
        if self.stop:
            return "stopped"
        return "time" if time.perf_counter() >= self._deadline else None

    def _epoch(self, optimizer: Optimizer) -> None:
        """The steps of one epoch, or what is left of it."""
        network, settings, progress = self.network, self.settings, self.progress
        names = network.signature["functions"]["forward"]["inputs"]
        nabla = self._nabla[: network.trained]
        step_of = self._stepper()
        update, dot, finite = optimizer.step, np.dot, math.isfinite
        norm_bound, value_bound = settings.clip_norm, settings.clip_value
        together, average = settings.accumulate, self.average
        every_step = getattr(self.reporter, "every_step", False)
        clipped = norm_bound is not None or value_bound is not None
        # backward is linear in d_loss: at -O2 the rate goes in there, at no cost
        folded = optimizer.folds and not clipped and together == 1
        folded = folded and network.signature.get("work") is not None
        saver, clock, deadline = self._saver, time.perf_counter, self._deadline
        epoch, position = divmod(progress.step, self.steps_per_epoch)
        left = min(self.steps_per_epoch - position, self.steps - progress.step)
        batches = self.data.train.batches(
            names, epoch, settings.seed, settings.batch_of, position * together
        )
        arrays: Sequence[Any]
        for arrays, rows in batches:
            before = dict(self.state)
            index = progress.step * together + 1
            if together > 1:
                loss, rows, arrays, noise = self._accumulate(
                    step_of, (arrays, rows), batches, index
                )
            else:
                noise = self._noise(arrays, index)
                rate = self._folded_rate() if folded else 1.0
                loss = step_of(arrays, noise, rate)
            square = float(dot(nabla, nabla))
            if finite(loss) and finite(square):
                progress.in_a_row = 0
                good = True
            else:
                good = self._check_finite(loss, arrays, noise, before)
            if good:
                norm = math.sqrt(square) if finite(square) else norm_of(nabla)
                if norm_bound is not None:
                    clip_norm(nabla, norm_bound, norm)
                if value_bound is not None:
                    clip_value(nabla, value_bound)
                if folded and rate != 1.0:
                    norm /= rate
                    optimizer.descend(nabla)
                else:
                    update(nabla, self.rate())
                progress.updates += 1
                if average is not None:
                    average.update()
                self._norm = norm
                progress.total += loss * rows
                progress.weight += rows
            progress.step += 1
            left -= 1
            if every_step:
                self.reporter.progress(progress.step, self.steps)
            now = clock()
            if self.stop or not left or now >= deadline:
                break
            if saver is not None and saver.due(progress.step, now):
                self._save()

    def _folded_rate(self) -> float:
        """The rate of the next step, by which its gradient is multiplied; 1 is left alone."""
        lr = float(self.optimizer.arguments["lr"])
        scheduled = self.rate()
        rate = lr if scheduled is None else scheduled
        return rate if rate > 0 else 1.0

    def _accumulate(
        self, step_of: Step, first: Batch, batches: Iterator[Batch], index: int
    ) -> tuple[float, int, Sequence[Any], Noise]:
        """The loss and ∇ of `accumulate` batches as of one: the sum where the loss is proved
        to be a sum over the rows, otherwise the mean weighted by rows.

        The arrays and the draws are those of the batch that was not finite, or of the last.
        """
        summed = self.network.signature["total"]["rows"] == "sum"
        nabla = self._nabla[: self.network.trained]
        gathered, total, weight = zeros(nabla.size, nabla.dtype), 0.0, 0
        (arrays, rows), noise = first, self._noise(first[0], index)
        bad: Batch | None = None
        for number in range(self.settings.accumulate):
            if number:
                following = next(batches, None)
                if following is None:  # the end of the epoch
                    break
                if (
                    bad is not None
                ):  # nothing to compute any more, but they are this step's
                    continue
                arrays, rows = following
                noise = self._noise(arrays, index + number)
            loss = step_of(arrays, noise)
            share = 1 if summed else rows
            total, weight = total + loss * share, weight + rows
            gathered += nabla if share == 1 else nabla * nabla.dtype.type(share)
            if not (math.isfinite(loss) and np.isfinite(nabla).all()):
                bad = arrays, rows
        nabla[...] = gathered
        if not summed:
            total /= weight
            nabla /= weight
        return total, weight, arrays, noise

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

    def rate(self) -> float | None:
        """The learning rate of the next step, where a schedule says it."""
        if self.schedule is None:
            return None
        lr = float(self.optimizer.arguments["lr"])
        return self.schedule.rate(lr, self.step, self.steps)

    def _last_rate(self) -> float:
        """The rate of the step that was made last; 0 where the optimiser has none."""
        lr = float(self.optimizer.arguments.get("lr", 0.0))
        if self.schedule is None:
            return lr
        return self.schedule.rate(lr, max(0, self.step - 1), self.steps)

    def _minimize(self, method: QuasiNewton, every: int) -> None:
        """All iterations of L-BFGS: one batch, the whole tables, and one draw for all."""
        network, settings, progress = self.network, self.settings, self.progress
        names = network.signature["functions"]["forward"]["inputs"]
        whole = self.data.train.batches(names, 0, settings.seed, lambda dim: None)
        arrays, rows = next(iter(whole))
        noise = self._noise(arrays, 1)
        trained = network.trained
        state: State = {}
        step_of = stepper(network, self._theta, self._nabla, state, self.parallel)
        good = self._theta[:trained].copy()
        before = self.state
        ended = self.step  # the step of the last line

        def value_and_gradient(point: NDArray[Any]) -> tuple[float, NDArray[Any]]:
            self._theta[:trained] = point
            # Each point that a line search tries remembers from where it set out.
            state.update(before)
            loss = step_of(arrays, noise)
            gradient = self._nabla[:trained]
            if method.evaluations == 0:
                self._check_finite(loss, arrays, noise, before)
            return loss, gradient.astype(np.float64)

        def line(loss: float) -> None:
            nonlocal ended
            ended = self.step
            progress.total, progress.weight = loss * rows, rows
            self._end_epoch(self.step)

        def accepted(point: NDArray[Any], loss: float) -> bool:
            nonlocal before
            self._theta[:trained] = good[...] = point
            before = self.state = dict(state)
            progress.step += 1
            if getattr(self.reporter, "every_step", False):
                self.reporter.progress(self.step, self.steps)
            if self.step % every == 0 or self.step == self.steps or self.stop:
                line(loss)
            self._save_if_due()
            over = time.perf_counter() >= self._deadline
            return self.stop or over or self.progress.exhausted

        message = method.minimize(
            value_and_gradient,
            self._theta[:trained],
            max(0, self.steps - self.step),
            accepted,
        )
        self._theta[:trained] = good
        if ended != self.step:
            line(value_and_gradient(good)[0])
        if message:
            self._log({"event": "lbfgs", "step": self.step, "message": message})
            self.reporter.warning(
                f"lbfgs ended after {self.step:,} of {self.steps:,} steps: {message}"
            )

    # ------------------------------------------------------------- numbers that run away

    def _check_finite(
        self, loss: float, arrays: Sequence[Any], noise: Noise, before: State
    ) -> bool:
        """Whether the step can be made: true if only the square of a large finite gradient
        has overflowed, false if it is to be dropped; otherwise a `NonFiniteError`.
        """
        if math.isfinite(loss) and np.isfinite(self._nabla).all():
            return True
        found = diagnose(
            self.network, self._theta, self._nabla, loss, arrays, before, noise
        )
        self._log({"event": "nonfinite", "step": self.step + 1, **asdict(found)})
        progress = self.progress
        if self.policy.on_nonfinite == "skip":
            progress.skipped += 1
            progress.in_a_row += 1
            if progress.in_a_row < SKIPPED_IN_A_ROW:
                self.state.update(before)
                self.reporter.warning(
                    f"{found.what} at step {self.step + 1:,}: the update is dropped "
                    f"({progress.skipped:,} so far)"
                )
                return False
        raise self._ran_away(found, self.step + 1)

    def _ran_away(self, found: NonFinite, step: int) -> NonFiniteError:
        lines = list(found.lines)
        if math.isfinite(self._norm):
            lines.append(f"norm of the last good gradient: {self._norm:.3g}")
        if self.progress.in_a_row >= SKIPPED_IN_A_ROW:
            lines.append(f"{SKIPPED_IN_A_ROW} updates in a row were dropped")
        lines += self._rescued()
        hints = [] if self.settings.clip_norm else ["--set train.clip=1"]
        if "lr" in self.optimizer.arguments:
            slower = self.optimizer.arguments["lr"] / 10
            hints.append(f"--set train.optimizer.lr={slower:g}")
        else:
            hints = []
        return NonFiniteError(
            f"{found.what} at step {step:,}",
            *lines,
            f"try: {'   or   '.join(hints)}" if hints else "",
        )

    def _rescued(self) -> list[str]:
        """Save the last weights that are good, and say where."""
        if self._saver is None:
            return []
        if np.isfinite(self._theta).all():
            self._save()
        elif (best := snapshot_of_best(self)) is not None:
            self._saver.rescue(best)
        return [f"last good checkpoint: {self._saver.last}"] if self._saver.last else []

    # ---------------------------------------------------------------------------- epochs

    @property
    def weights(self) -> NDArray[Any]:
        """What is evaluated: θ, or its moving average where the settings ask for one."""
        return (
            self._theta if self.average is None else self.average.weights(self._theta)
        )

    def _end_epoch(self, number: int) -> None:
        progress, held_out = self.progress, self.data.held_out
        if not np.isfinite(self._theta).all():
            place = next(
                place.path
                for place in self.network.places
                if not np.isfinite(self._theta[place.start : place.stop]).all()
            )
            what = f"parameter {place} became infinite or NaN"
            raise self._ran_away(NonFinite(what), self.step)
        found = figures(self.network, self.weights, held_out, state=self.state)
        loss = progress.total / progress.weight if progress.weight else math.nan
        progress.total, progress.weight = 0.0, 0
        score = found.get("loss", loss)
        progress.seconds = self._before + time.perf_counter() - self._begin
        better = progress.observe(score)
        if self.schedule is not None:
            self.schedule.observe(score)
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
            progress.seconds,
            better,
        )
        if better:
            average = self.average.vector.copy() if self.average else None
            self.best = Best(epoch, self._theta.copy(), dict(self.state), average)
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

    def _finish(self, ending: Ending) -> Result:
        saver, found = self._saver, self.best
        if saver is not None:
            self._save(required=True)
        if ending == "patience" and found is not None:
            self._theta[...] = found.theta
            self.state = dict(found.state)
            if self.average is not None and found.average is not None:
                self.average.vector[...] = found.average
        self.progress.seconds = self._before + time.perf_counter() - self._begin
        result = Result(
            self._theta,
            found.weights if found else self.weights,
            found.epoch if found else None,
            tuple(self.history),
            self.step,
            self.progress.seconds,
            ending,
            saver.last if saver else None,
            saver.best if saver else None,
            self.state,
            found.state if found else self.state,
            self.average.weights(self._theta) if self.average else None,
            self.progress.skipped,
        )
        self._log(
            {
                "event": ending,
                "step": self.step,
                "seconds": round(result.seconds, 6),
                "best": found.epoch.number if found else None,
            }
        )
        self.reporter.finished(result)
        return result

    def _save_if_due(self) -> None:
        if self._saver and self._saver.due(self.step, time.perf_counter()):
            self._save()

    def _save(self, required: bool = False) -> None:
        assert self._saver is not None
        now = time.perf_counter()
        self.progress.seconds = self._before + now - self._begin
        best = snapshot_of_best(self)
        self._saver.save(snapshot(self), best, now, required)

    def _log(self, event: dict[str, Any]) -> None:
        self.reporter.logged(event)
        if self._saver is not None:
            self._saver.log(event)
