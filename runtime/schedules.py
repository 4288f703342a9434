"""Schedules: the learning rate as a function of the step.

In: what `schedule = …` says, the optimiser's rate, the step (from 0) and how many there are.
Out: the rate of that step. All but one_cycle may begin with a warm-up: the rate of step t is then
(t + 1) / (warmup + 1) of the full one, and what follows counts from the end of the warm-up.

    schedule = Schedule.of({"name": "cosine", "args": {"warmup": 100, "min": 1e-4}})
    schedule.rate(1e-3, step=0, steps=2000)                # 1e-3 / 101

    constant      η
    cosine        min + (η - min) (1 + cos π p) / 2, p from 0 to 1 over `steps` (0: to the end)
    linear        η + (min - η) p
    step          η · factor once more after each `every` steps
    multistep     η · factor once more at each of the steps `at`
    exponential   η · factor^t
    one_cycle     half a cosine from η / div up to η over the part `rise` of `steps`, and from
                  there down to η / (div final_div) at the last step
    plateau       η · factor once more, and not below min, whenever more than `patience`
                  evaluations in a row were no better than (1 - threshold) of the best;
                  `cooldown` evaluations after that do not count

`plateau` alone remembers something: `observe` tells it the loss of each evaluation, `memory`
is what a checkpoint keeps. The formulas are those of `torch.optim.lr_scheduler`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .records import record

Arguments = Mapping[str, Any]
SMALLEST_FALL = 1e-8  # of a rate on a plateau; a smaller one is not made


def _part(step: int, steps: int, a: Arguments) -> float:
    """How much of the way is behind: from 0 to 1."""
    last = int(a["steps"] or steps) - int(a["warmup"])
    return min(1.0, step / last) if last > 0 else 1.0


def _constant(lr: float, step: int, steps: int, a: Arguments) -> float:
    return lr


def _cosine(lr: float, step: int, steps: int, a: Arguments) -> float:
    part = _part(step, steps, a)
    low = float(a["min"])
    return low + (lr - low) * (1 + math.cos(math.pi * part)) / 2


def _linear(lr: float, step: int, steps: int, a: Arguments) -> float:
    part = _part(step, steps, a)
    return lr + (float(a["min"]) - lr) * part


def _step(lr: float, step: int, steps: int, a: Arguments) -> float:
    return lr * float(a["factor"]) ** (step // int(a["every"]))


def _exponential(lr: float, step: int, steps: int, a: Arguments) -> float:
    return lr * float(a["factor"]) ** step


def _multistep(lr: float, step: int, steps: int, a: Arguments) -> float:
    passed = sum(step >= int(milestone) for milestone in a["at"])
    return lr * float(a["factor"]) ** passed


def _one_cycle(lr: float, step: int, steps: int, a: Arguments) -> float:
    total = int(a["steps"] or steps)
    low = lr / float(a["div"])
    peak, last = float(a["rise"]) * total - 1, total - 1.0
    if step <= peak:
        return _cosine_between(low, lr, step / peak if peak > 0 else 1.0)
    rest = (step - peak) / (last - peak) if last > peak else 1.0
    return _cosine_between(lr, low / float(a["final_div"]), min(1.0, rest))


def _cosine_between(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


@record
class Kind:
    """One kind of schedule: the defaults of its arguments, and what it does."""

    defaults: Mapping[str, Any]
    rate: Callable[[float, int, int, Arguments], float]


KINDS: dict[str, Kind] = {
    "constant": Kind({"warmup": 0}, _constant),
    "cosine": Kind({"warmup": 0, "min": 0.0, "steps": 0}, _cosine),
    "linear": Kind({"warmup": 0, "min": 0.0, "steps": 0}, _linear),
    "step": Kind({"warmup": 0, "every": 1000, "factor": 0.1}, _step),
    "multistep": Kind({"warmup": 0, "at": (), "factor": 0.1}, _multistep),
    "exponential": Kind({"warmup": 0, "factor": 0.999}, _exponential),
    "one_cycle": Kind(
        {"rise": 0.3, "div": 25.0, "final_div": 1e4, "steps": 0}, _one_cycle
    ),
    "plateau": Kind(
        {
            "warmup": 0,
            "factor": 0.1,
            "patience": 10,
            "threshold": 1e-4,
            "cooldown": 0,
            "min": 0.0,
        },
        _constant,
    ),
}
"""All schedules by name. Arguments and defaults are those that the compiler checks."""


@dataclass
class Plateau:
    """What `plateau` remembers: the best loss, how many were no better, how often it fell."""

    best: float = math.inf
    bad: int = 0
    cooling: int = 0
    falls: int = 0

    def observe(self, loss: float, a: Arguments) -> None:
        """The loss of one evaluation, as `ReduceLROnPlateau.step` (mode min, rel)."""
        if loss < self.best * (1 - float(a["threshold"])):
            self.best, self.bad = loss, 0
        else:
            self.bad += 1
        if self.cooling > 0:
            self.cooling -= 1
            self.bad = 0
        if self.bad > int(a["patience"]):
            self.falls += 1
            self.cooling, self.bad = int(a["cooldown"]), 0


@record
class Schedule:
    """A schedule with its arguments."""

    name: str
    arguments: Arguments
    plateau: Plateau = field(default_factory=Plateau)

    @classmethod
    def of(cls, setting: Mapping[str, Any]) -> Schedule:
        """The schedule that a signature's `train` names; `ValueError` where there is none."""
        name, given = setting["name"], setting.get("args", {})
        if name not in KINDS:
            raise ValueError(f"no schedule {name!r}; there are {', '.join(KINDS)}")
        defaults = KINDS[name].defaults
        for argument in given:
            if argument not in defaults:
                raise ValueError(
                    f"{name} has no argument {argument!r}; it has {', '.join(defaults)}"
                )
        return cls(name, {**defaults, **given})

    def rate(self, lr: float, step: int, steps: int) -> float:
        """The rate of a step, counted from 0, of `steps`."""
        for _ in range(self.plateau.falls):
            lower = lr * float(self.arguments["factor"])
            lower = max(lower, float(self.arguments["min"]))
            if lr - lower <= SMALLEST_FALL:
                break
            lr = lower
        warmup = int(self.arguments.get("warmup", 0))
        if step < warmup:
            return lr * (step + 1) / (warmup + 1)
        return KINDS[self.name].rate(lr, step - warmup, steps, self.arguments)

    def observe(self, loss: float) -> None:
        """The loss of an evaluation: `plateau` counts them."""
        if self.name == "plateau":
            self.plateau.observe(loss, self.arguments)

    @property
    def memory(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return dict(vars(self.plateau)) if self.name == "plateau" else {}

    def restore(self, memory: Mapping[str, float]) -> None:
        """Go on as a checkpoint says."""
        for name, kept in memory.items():
            kind = float if name == "best" else int
            setattr(self.plateau, name, kind(kept))
