"""Going on: a training set to where a checkpoint says, or begun with another one's weights.

In: a trainer that is prepared and has made no step, and `Weights`. Out: the same trainer, at
the step of the checkpoint, to go on to the same bits; or with the parameters that both have,
to be trained on something else.

    resume(trainer, run.weights("latest"))
    begin_with(trainer, read_weights(path))         # what `--init-from` does
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .environment import differences
from .errors import CheckpointError, DataError, SettingError
from .optimizers import Optimizer
from .progress import Best
from .reporter import Epoch
from .settings import Settings
from .trainer import Trainer
from .weights import Weights, read_weights

FIXED = (
    "optimizer", "batch", "accumulate", "seed", "dtype", "valid", "missing", "scale", "window"
)  # fmt: skip
"""What a run that is resumed keeps: with another one it would not be the same run."""


def merged(kept: Settings, asked: Settings, given: set[str]) -> Settings:
    """The settings of a run with what a command says anew: `given` are its keys.

    `SettingError` where they are of those that cannot change.
    """
    fields = {
        "optimizer": ("optimizer", "arguments"),
        "epochs": ("epochs", "steps"),
        "steps": ("epochs", "steps"),
        "clip": ("clip_norm", "clip_value"),
        "data": ("sources",),
    }
    changed: dict[str, Any] = {}
    for key in sorted(given):
        for name in fields.get(key, (key,)):
            value = getattr(asked, name)
            if name in FIXED and value != getattr(kept, name):
                raise SettingError(
                    f"a run that is resumed keeps its {name}: it is "
                    f"{getattr(kept, name)}, not {value}",
                    "to go on with its weights in a new run:  --init-from RUN",
                )
            changed[name] = value
    if (kept.ema is None) != (changed.get("ema", kept.ema) is None):
        raise SettingError("a run that is resumed keeps whether there is an ema")
    return replace(kept, **changed)


def resume(trainer: Trainer, weights: Weights) -> list[str]:
    """Set a trainer to the step of a checkpoint; what is to be said of it comes back.

    `CheckpointError` where the checkpoint is not of this program or cannot be resumed,
    `DataError` where the data are not those that the run was trained on.
    """
    network, state = trainer.network, weights.state
    if state.get("net_sha256") != network.signature["text_sha256"]:
        raise CheckpointError(
            f"{weights.path} is of another program than {network.name} is now",
            "to begin a new run with its weights:  --init-from RUN",
        )
    if not weights.resumable:
        raise CheckpointError(
            f"{weights.path} has weights to use, but nothing to go on from",
            "it is the best epoch's, or of an older gradc; "
            "to begin a new run with its weights:  --init-from RUN",
        )
    if state.get("data") != trainer.data.fingerprint:
        raise DataError(
            f"the data are not those that {weights.path.parent.parent} was trained on",
            "to go on with its weights on other data:  --init-from RUN",
        )
    try:
        _restore(trainer, weights)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{weights.path} cannot be resumed: {error!r}") from None
    trainer.resumed = True
    if trainer.run is not None:
        seconds = [e.get("seconds", 0.0) for e in trainer.run.events(trainer.step)]
        trainer.progress.seconds = max(seconds, default=0.0)
    changed = differences(dict(state.get("environment", {})))
    notes = [weights.note] if weights.note else []
    if changed:
        notes.append(f"resumed, but not to the same bits: {', '.join(changed)}")
    return notes


def _restore(trainer: Trainer, weights: Weights) -> None:
    network, state, optimizer = trainer.network, weights.state, trainer.optimizer
    theta = trainer.theta
    assert theta is not None
    if state["steps_per_epoch"] != trainer.steps_per_epoch:
        raise CheckpointError(
            f"{weights.path}: an epoch had {state['steps_per_epoch']} steps, "
            f"now it has {trainer.steps_per_epoch}"
        )
    theta[...] = weights.theta(network, theta.dtype)
    trainer.state.update(weights.remembered(network, theta.dtype))
    trainer.progress.restore(state["progress"])
    if trainer.progress.step != state["step"]:
        raise CheckpointError(f"{weights.path} is at two steps at once")
    if isinstance(optimizer, Optimizer):
        for name, slot in optimizer.slots.items():
            slot[...] = weights.slot(network, name)
        optimizer.steps = trainer.progress.updates
    if trainer.schedule is not None:
        trainer.schedule.restore(state.get("schedule", {}))
    if trainer.average is not None:
        trainer.average.vector[...] = weights.average(network)
        trainer.average.begun = trainer.progress.updates > 0
    if state.get("best_epoch") is not None:
        _restore_best(trainer, weights)


def _restore_best(trainer: Trainer, weights: Weights) -> None:
    """The best weights so far lie in a file of their own, or in this one."""
    network, state = trainer.network, weights.state
    found = weights
    if state["best"] != state["step"]:
        try:
            found = read_weights(
                weights.path.with_name(f"step-{int(state['best']):09d}.npz")
            )
        except CheckpointError as error:
            # The run goes on: the next epoch that is better than this one was is the best.
            trainer.reporter.warning(f"the best weights are lost: {error.message}")
            return
    average = found.average(network) if trainer.average is not None else None
    trainer.best = Best(
        Epoch(**state["best_epoch"]),
        np.array(found.theta(network, weights.state["dtype"])),
        found.remembered(network, weights.state["dtype"]),
        average,
    )


def begin_with(trainer: Trainer, weights: Weights) -> str:
    """Take over the parameters and the memory that a checkpoint has too, by path.

    Those that it lacks stay as `init` made them. `CheckpointError` where one has another
    shape, or none is shared. What was taken comes back, for people to read.
    """
    network, theta = trainer.network, trainer.theta
    assert theta is not None
    views = network.views(theta)
    taken = [path for path in views if path in weights.parameters]
    if not taken:
        raise CheckpointError(
            f"{weights.path} has no parameter that {network.name} has",
            f"it has: {', '.join(sorted(weights.parameters)[:8])}",
        )
    chosen = weights.parameters | weights.averages
    for path in taken:
        if chosen[path].shape != views[path].shape:
            raise CheckpointError(
                f"{weights.path}: {path} is {list(chosen[path].shape)}, "
                f"and {list(views[path].shape)} in {network.name}"
            )
        views[path][...] = chosen[path]
    for path, array in trainer.state.items():
        if path in weights.memory and weights.memory[path].shape == array.shape:
            trainer.state[path] = weights.memory[path].astype(array.dtype)
    if trainer.average is not None:
        trainer.average.vector[...] = theta[: network.trained]
    new = [path for path in views if path not in weights.parameters]
    text = f"{len(taken)} of {len(views)} parameters"
    return f"{text}; new: {', '.join(new)}" if new else text
