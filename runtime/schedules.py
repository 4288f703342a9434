"""Schedules: the learning rate as a function of the step.

In: what `schedule = …` says, the optimiser's rate, the step (from 0) and how many there are.
Out: the rate of that step. Every schedule may begin with a warm-up: the rate of step t is then
(t + 1) / (warmup + 1) of the full one, and what follows counts from the end of the warm-up.

    schedule = Schedule.of({"name": "cosine", "args": {"warmup": 100, "min": 1e-4}})
    schedule.rate(1e-3, step=0, steps=2000)                # 1e-3 / 101

    constant      η
    cosine        min + (η - min) (1 + cos π p) / 2, p from 0 to 1 over `steps` (0: to the end)
    linear        η + (min - η) p
    step          η · factor once more after each `every` steps
    exponential   η · factor^t
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Arguments = Mapping[str, Any]


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


@dataclass(frozen=True)
class Kind:
    """One kind of schedule: the defaults of its arguments, and what it does."""

    defaults: Mapping[str, float]
    rate: Callable[[float, int, int, Arguments], float]


KINDS: dict[str, Kind] = {
    "constant": Kind({"warmup": 0}, _constant),
    "cosine": Kind({"warmup": 0, "min": 0.0, "steps": 0}, _cosine),
    "linear": Kind({"warmup": 0, "min": 0.0, "steps": 0}, _linear),
    "step": Kind({"warmup": 0, "every": 1000, "factor": 0.1}, _step),
    "exponential": Kind({"warmup": 0, "factor": 0.999}, _exponential),
}
"""All schedules by name. Arguments and defaults are those that the compiler checks."""


@dataclass(frozen=True)
class Schedule:
    """A schedule with its arguments."""

    name: str
    arguments: Arguments

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
        warmup = int(self.arguments["warmup"])
        if step < warmup:
            return lr * (step + 1) / (warmup + 1)
        return KINDS[self.name].rate(lr, step - warmup, steps, self.arguments)
