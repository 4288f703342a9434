"""Optimisers: PyTorch's update rules on one flat vector, in place.

In: the vector θ of all parameters and ∇, its gradient. Out: θ, changed. A rule is a record: its
name, its arguments with their defaults, its slots (vectors of the size of θ that it remembers)
and the update. Every operation writes into memory that exists already: a step allocates
nothing. To add a rule, write its update and add it to `RULES`.

    adam = Optimizer("adam", {"lr": 1e-3}, theta)
    adam.step(nabla)                    # changes theta

Where PyTorch and the papers differ, PyTorch is followed: ε stands outside the root (`inside`
puts that of adagrad and rmsprop into it), `decay` is added to the gradient, but that of adamw
shrinks the weights first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .records import record

Vector = NDArray[Any]
Arguments = dict[str, Any]


@record(frozen=False)
class Memory:
    """What a rule works on: θ, its slots by name, one vector of scratch, the step from 1,
    and where `decay` acts."""

    theta: Vector
    slots: dict[str, Vector]
    scratch: Vector
    step: int = 0
    mask: Vector | None = None  # 1 where `decay` acts, 0 elsewhere; None is everywhere


@record
class Rule:
    """One update rule. `update(memory, ∇, arguments)` may overwrite ∇."""

    name: str
    defaults: Arguments
    slots: tuple[str, ...]
    update: Callable[[Memory, Vector, Arguments], None]
    note: str = ""


def _add_decay(memory: Memory, nabla: Vector, decay: float) -> None:
    """∇ += decay θ, where decay acts"""
    if decay:
        np.multiply(memory.theta, decay, out=memory.scratch)
        if memory.mask is not None:
            memory.scratch *= memory.mask
        nabla += memory.scratch


def _descend(memory: Memory, nabla: Vector, a: Arguments) -> None:
    """b = μ b + ∇ (at first b = ∇);  θ -= η b,  with Nesterov  θ -= η (∇ + μ b)"""
    momentum = a["momentum"]
    _add_decay(memory, nabla, a["decay"])
    direction = nabla
    if momentum:
        velocity = memory.slots["velocity"]
        if memory.step == 1:
            velocity[...] = nabla
        else:
            velocity *= momentum
            velocity += nabla
        direction = velocity
        if a["nesterov"]:
            np.multiply(velocity, momentum, out=memory.scratch)
            nabla += memory.scratch
            direction = nabla
    np.multiply(direction, a["lr"], out=memory.scratch)
    memory.theta -= memory.scratch


def _nesterov(memory: Memory, nabla: Vector, a: Arguments) -> None:
    _descend(memory, nabla, a | {"nesterov": True})


def _momentum(memory: Memory, nabla: Vector, a: Arguments) -> None:
    _descend(memory, nabla, a | {"nesterov": False})


def _adam(memory: Memory, nabla: Vector, a: Arguments) -> None:
    """m, v: means of ∇ and ∇²;  θ -= η / (1 - β₁ᵗ) · m / (√(v / (1 - β₂ᵗ)) + ε)"""
    _add_decay(memory, nabla, a["decay"])
    _adam_step(memory, nabla, a)


def _adamw(memory: Memory, nabla: Vector, a: Arguments) -> None:
    """θ *= 1 - η decay where decay acts, then adam"""
    if a["decay"] and memory.mask is None:
        memory.theta *= 1 - a["lr"] * a["decay"]
    elif a["decay"]:
        np.multiply(memory.theta, a["lr"] * a["decay"], out=memory.scratch)
        memory.scratch *= memory.mask
        memory.theta -= memory.scratch
    _adam_step(memory, nabla, a)


def _adam_step(memory: Memory, nabla: Vector, a: Arguments) -> None:
    beta1, beta2, t = a["beta1"], a["beta2"], memory.step
    mean, square, scratch = memory.slots["mean"], memory.slots["square"], memory.scratch
    # mean += (1 - beta1) (nabla - mean)
    np.subtract(nabla, mean, out=scratch)
    scratch *= 1 - beta1
    mean += scratch
    # square = beta2 square + (1 - beta2) nabla²
    np.multiply(nabla, nabla, out=scratch)
    scratch *= 1 - beta2
    square *= beta2
    square += scratch
    # theta -= lr / (1 - beta1^t) * mean / (sqrt(square) / sqrt(1 - beta2^t) + eps)
    np.sqrt(square, out=scratch)
    scratch *= 1 / math.sqrt(1 - beta2**t)
    scratch += a["eps"]
    np.divide(mean, scratch, out=scratch)
    scratch *= a["lr"] / (1 - beta1**t)
    memory.theta -= scratch


def _adagrad(memory: Memory, nabla: Vector, a: Arguments) -> None:
    """sum += ∇²;  θ -= η ∇ / (√sum + ε), or with `inside`  θ -= η ∇ / √(sum + ε)"""
    total, scratch = memory.slots["sum"], memory.scratch
    _add_decay(memory, nabla, a["decay"])
    np.multiply(nabla, nabla, out=scratch)
    total += scratch
    _root(total, scratch, a)
    np.divide(nabla, scratch, out=scratch)
    scratch *= a["lr"]
    memory.theta -= scratch


def _rmsprop(memory: Memory, nabla: Vector, a: Arguments) -> None:
    """v: mean of ∇²;  d = ∇ / (√v + ε);  b = μ b + d;  θ -= η b  (at μ = 0: θ -= η d)"""
    square, scratch = memory.slots["square"], memory.scratch
    _add_decay(memory, nabla, a["decay"])
    np.multiply(nabla, nabla, out=scratch)
    scratch *= 1 - a["alpha"]
    square *= a["alpha"]
    square += scratch
    _root(square, scratch, a)
    np.divide(nabla, scratch, out=scratch)
    if a["momentum"]:
        velocity = memory.slots["velocity"]
        velocity *= a["momentum"]
        velocity += scratch
        np.multiply(velocity, a["lr"], out=scratch)
    else:
        scratch *= a["lr"]
    memory.theta -= scratch


def _root(square: Vector, out: Vector, a: Arguments) -> None:
    """√square + ε, or √(square + ε) with `inside`."""
    if a["inside"]:
        np.add(square, a["eps"], out=out)
        np.sqrt(out, out=out)
    else:
        np.sqrt(square, out=out)
        out += a["eps"]


_DECAY: Arguments = {"decay": 0.0, "on": "*"}
_ADAM: Arguments = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "sgd",
            {"lr": 0.01, "momentum": 0.0, "nesterov": False, **_DECAY},
            ("velocity",),
            _descend,
            "The slot is empty without momentum.",
        ),
        Rule(
            "momentum",
            {"lr": 0.01, "momentum": 0.9, **_DECAY},
            ("velocity",),
            _momentum,
        ),
        Rule(
            "nesterov",
            {"lr": 0.01, "momentum": 0.9, **_DECAY},
            ("velocity",),
            _nesterov,
        ),
        Rule("adam", {**_ADAM, **_DECAY}, ("mean", "square"), _adam),
        Rule("adamw", {**_ADAM, "decay": 0.01, "on": "*"}, ("mean", "square"), _adamw),
        Rule(
            "adagrad",
            {"lr": 0.01, "eps": 1e-10, "inside": False, **_DECAY},
            ("sum",),
            _adagrad,
        ),
        Rule(
            "rmsprop",
            {
                "lr": 0.01,
                "alpha": 0.99,
                "eps": 1e-8,
                "inside": False,
                "momentum": 0.0,
                **_DECAY,
            },
            ("square", "velocity"),
            _rmsprop,
            "The slot velocity is empty without momentum.",
        ),
    )
}
"""All rules by name. Arguments and defaults are those that the compiler checks."""


@dataclass
class Optimizer:
    """A rule at work on one vector, which it changes in place.

    `slots` are the vectors that it remembers, `steps` the updates made: together with θ they
    are all of its state, and may be written to resume. `places` says where in θ each
    parameter lies, by path: the argument `on` names those that `decay` acts on.
    """

    name: str
    given: Mapping[str, Any]
    theta: Vector
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    slots: dict[str, Vector] = field(init=False)
    arguments: Arguments = field(init=False)

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise ValueError(
                f"no optimiser {self.name!r}; there are {', '.join(RULES)}"
            )
        rule = RULES[self.name]
        for name in self.given:
            if name not in rule.defaults:
                raise ValueError(
                    f"{self.name} has no argument {name!r}; "
                    f"it has {', '.join(rule.defaults)}"
                )
        self.arguments = {**rule.defaults, **self.given}
        unused = "" if self.arguments.get("momentum", True) else "velocity"
        names = tuple(name for name in rule.slots if name != unused)
        self.slots = {name: np.zeros_like(self.theta) for name in names}
        self._memory = Memory(self.theta, self.slots, np.empty_like(self.theta))
        if (pattern := self.arguments["on"]) != "*":
            self._memory.mask = self._mask(pattern)
        self._update = rule.update

    def _mask(self, pattern: str) -> Vector:
        """1 in the parameters whose path matches a pattern, in which `*` is any text; several
        patterns stand with commas between them. `ValueError` where one matches none."""
        mask = np.zeros_like(self.theta)
        for part in pattern.split(","):
            words = (re.escape(word) for word in part.strip().split("*"))
            wanted = re.compile(".*".join(words), re.DOTALL)
            found = [path for path in self.places if wanted.fullmatch(path)]
            if not found:
                raise ValueError(
                    f"{self.name}(on = {pattern!r}): no trained parameter is called "
                    f"{part.strip()!r}; there are {', '.join(self.places) or 'none'}"
                )
            for path in found:
                start, stop = self.places[path]
                mask[start:stop] = 1
        return mask

    @property
    def steps(self) -> int:
        """How many updates were made."""
        return self._memory.step

    @steps.setter
    def steps(self, number: int) -> None:
        self._memory.step = number

    @property
    def folds(self) -> bool:
        """Is a step no more than θ -= η ∇? Then a gradient may come times η: `descend`."""
        a = self.arguments
        return self.name == "sgd" and not (a["momentum"] or a["decay"])

    def descend(self, nabla: Vector) -> None:
        """One update by ∇ that has the rate in it already."""
        self._memory.step += 1
        np.subtract(self.theta, nabla, out=self.theta)

    def step(self, nabla: Vector, lr: float | None = None) -> None:
        """One update of θ by ∇, which is overwritten. `lr` is the rate a schedule asks for."""
        self._memory.step += 1
        arguments = self.arguments if lr is None else self.arguments | {"lr": lr}
        self._update(self._memory, nabla, arguments)


def norm_of(nabla: Vector) -> float:
    """‖∇‖, also where the square of an entry overflows the dtype."""
    square = float(np.dot(nabla, nabla))
    if math.isfinite(square):
        return math.sqrt(square)
    return float(np.linalg.norm(nabla.astype(np.float64)))


def clip_norm(nabla: Vector, bound: float, norm: float | None = None) -> None:
    """Scale ∇ by min(1, bound / (‖∇‖ + 1e-6)), in place, as PyTorch does."""
    if norm is None:
        norm = norm_of(nabla)
    factor = bound / (norm + 1e-6)
    if factor < 1:
        nabla *= factor


def clip_value(nabla: Vector, bound: float) -> None:
    """Limit every entry of ∇ to -bound … bound, in place."""
    np.clip(nabla, -bound, bound, out=nabla)
