"""When a run saves, what stays on the disk, and what happens where the disk is full.

In: snapshots of a training. Out: checkpoints in its folder. The weights of the best epoch are
written first, then the training's own checkpoint, then the pointers; what is not needed any
more is removed last. At any moment LATEST names a whole checkpoint whose best weights lie
beside it.

    saver = Saver(run, network, Policy(save_steps=100), reporter)
    if saver.due(step, perf_counter()):
        saver.save(snapshot, best)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from .environment import environment
from .errors import CheckpointError, ResourceError
from .network import Network
from .optimizers import Optimizer
from .policy import Policy
from .reporter import Reporter
from .runs import RunFolder
from .weights import Snapshot, read_weights

if TYPE_CHECKING:
    from .trainer import Trainer


class Saver:
    """The checkpoints of one run."""

    def __init__(
        self, run: RunFolder, network: Network, policy: Policy, reporter: Reporter
    ) -> None:
        self.run, self.network = run, network
        self.policy, self.reporter = policy, reporter
        self._log_works = True
        self._next_step: float = math.inf
        self.alarm: float = math.inf  # the time from which on a save is due
        self._kept: dict[int, int | None] = {}  # saved steps -> the step of their best
        self.last: str | None = None  # the checkpoint that was announced last
        self.best: str | None = None

    def begin(self, step: int, now: float) -> None:
        """A training sets out from a step. What a killed process left is cleared up."""
        self.run.tidy()
        for number, path in reversed(list(self.run.steps())):
            try:
                found = read_weights(path)
            except CheckpointError:
                continue
            if number > step:
                continue  # of a course that this one leaves: pruned in time
            if found.resumable:
                best = found.state.get("best")
                self._kept[number] = best if isinstance(best, int) else None
                self.last = str(path)
        self._wait(step, now)

    def due(self, step: int, now: float) -> bool:
        """Whether it is time to save."""
        return step >= self._next_step or now >= self.alarm

    def _wait(self, step: int, now: float) -> None:
        if self.policy.save_steps is not None:
            self._next_step = step + self.policy.save_steps
        if self.policy.save_seconds is not None:
            self.alarm = now + self.policy.save_seconds

    def save(
        self,
        snapshot: Snapshot,
        best: Snapshot | None,
        now: float,
        required: bool = False,
    ) -> str | None:
        """Write a checkpoint; None, with a warning, where that fails.

        With `required` that is a `ResourceError` instead: the run would be lost.
        """
        step = int(snapshot.state["step"])
        self._wait(step, now)
        try:
            path = self._write(step, snapshot, best)
        except (OSError, MemoryError) as error:
            what = getattr(error, "strerror", None) or str(error) or "out of memory"
            kept = f"the last one is {self.last}" if self.last else "there is none yet"
            if required:
                raise ResourceError(
                    f"the run cannot be saved: {what}",
                    f"last good checkpoint: {self.last}" if self.last else "",
                ) from None
            self.reporter.warning(
                f"no checkpoint of step {step:,}: {what}; {kept}, and training goes on"
            )
            return None
        self.last = path
        event = {"event": "checkpoint", "step": step, "file": path}
        self.reporter.logged(event)
        self.log(event)
        self.reporter.saved(path, step)
        return path

    def rescue(self, best: Snapshot) -> None:
        """Write the best weights alone, where those of now are lost."""
        try:
            path = self.run.save(self.network, best, ("BEST",))
        except OSError as error:
            self.reporter.warning(f"the best weights cannot be saved: {error}")
        else:
            self.last = self.last or str(path)

    def _write(self, step: int, snapshot: Snapshot, best: Snapshot | None) -> str:
        run, chosen = self.run, None
        if best is not None:
            chosen = int(best.state["step"])
            place = run.checkpoints / f"step-{chosen:09d}.npz"
            if chosen != step and (chosen not in self._saved() or not place.exists()):
                run.save(self.network, best, ())
        path = run.save(self.network, snapshot)
        self._kept[step] = chosen
        target = path.with_name(f"step-{chosen:09d}.npz") if chosen else path
        run.point("BEST", target)
        self.best = str(target)
        for old in sorted(self._kept)[: -self.policy.keep]:
            del self._kept[old]
        run.prune(self._saved())
        return str(path)

    def _saved(self) -> set[int]:
        """The steps whose files are of use."""
        return {*self._kept, *(b for b in self._kept.values() if b is not None)}

    def log(self, event: Mapping[str, Any]) -> None:
        """A line of log.jsonl; the first that cannot be written is the last to be tried."""
        if not self._log_works:
            return
        try:
            self.run.log(event)
        except OSError as error:
            self._log_works = False
            self.reporter.warning(
                f"{self.run.path}/log.jsonl: {error.strerror or error}; "
                "training goes on without it"
            )


# --------------------------------------------------------------------------- snapshots


def snapshot(trainer: Trainer) -> Snapshot:
    """All that resuming a training needs, as it is now."""
    optimizer, progress = trainer.optimizer, trainer.progress
    slots = {}
    if isinstance(optimizer, Optimizer):  # the history of L-BFGS is not kept
        slots = optimizer.slots
    best = trainer.best.epoch if trainer.best else None
    state = _facts(trainer, trainer.step) | {
        "progress": progress.to_json(),
        "schedule": trainer.schedule.memory if trainer.schedule else {},
        "best": best.step if best else None,
        "best_epoch": asdict(best) | {"seconds": 0.0} if best else None,
        "steps_per_epoch": trainer.steps_per_epoch,
        "data": trainer.data.fingerprint,
        "environment": environment(),
    }
    average = trainer.average.vector if trainer.average else None
    assert trainer.theta is not None
    return Snapshot(trainer.theta, trainer.state, state, slots, average)


def snapshot_of_best(trainer: Trainer) -> Snapshot | None:
    """The weights of the best epoch: for use, not for resuming."""
    best = trainer.best
    if best is None:
        return None
    state = _facts(trainer, best.epoch.step)
    return Snapshot(best.theta, best.state, state, {}, best.average)


def _facts(trainer: Trainer, step: int) -> dict[str, Any]:
    """What every checkpoint says."""
    epoch, position = divmod(step, trainer.steps_per_epoch)
    network, settings = trainer.network, trainer.settings
    return {
        "step": step,
        "epoch": epoch,
        "position": position,
        "seed": settings.seed,
        "dtype": str(np.asarray(trainer.theta).dtype),
        "sizes": dict(network.sizes),
        "transforms": trainer.data.transforms.to_json(),
        "net_sha256": network.signature["text_sha256"],
        "optimizer": settings.optimizer,
    }
