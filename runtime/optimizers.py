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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[Any]
Arguments = dict[str, Any]


@dataclass
class Memory:
    """What a rule works on: θ, its slots by name, one vector of scratch, the step from 1."""

    theta: Vector
    slots: dict[str, Vector]
    scratch: Vector
    step: int = 0


@dataclass(frozen=True)
class Rule:
    """One update rule. `update(memory, ∇, arguments)` may overwrite ∇."""

    name: str
    defaults: Arguments
    slots: tuple[str, ...]
    update: Callable[[Memory, Vector, Arguments], None]
    note: str = ""


def _add_decay(memory: Memory, nabla: Vector, decay: float) -> None:
    """∇ += decay θ"""
    if decay:
        np.multiply(memory.theta, decay, out=memory.scratch)
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
    """θ *= 1 - η decay, then adam"""
    if a["decay"]:
        memory.theta *= 1 - a["lr"] * a["decay"]
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


_ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "sgd",
            {"lr": 0.01, "momentum": 0.0, "nesterov": False, "decay": 0.0},
            ("velocity",),
            _descend,
            "The slot is empty without momentum.",
        ),
        Rule(
            "momentum",
            {"lr": 0.01, "momentum": 0.9, "decay": 0.0},
            ("velocity",),
            _momentum,
        ),
        Rule(
            "nesterov",
            {"lr": 0.01, "momentum": 0.9, "decay": 0.0},
            ("velocity",),
            _nesterov,
        ),
        Rule("adam", {**_ADAM, "decay": 0.0}, ("mean", "square"), _adam),
        Rule("adamw", {**_ADAM, "decay": 0.01}, ("mean", "square"), _adamw),
        Rule(
            "adagrad",
            {"lr": 0.01, "eps": 1e-10, "inside": False, "decay": 0.0},
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
                "decay": 0.0,
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
    are all of its state, and may be written to resume.
    """

    name: str
    given: Mapping[str, Any]
    theta: Vector
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
        self._update = rule.update

    @property
    def steps(self) -> int:
        """How many updates were made."""
        return self._memory.step

    @steps.setter
    def steps(self, number: int) -> None:
        self._memory.step = number

    def step(self, nabla: Vector, lr: float | None = None) -> None:
        """One update of θ by ∇, which is overwritten. `lr` is the rate a schedule asks for."""
        self._memory.step += 1
        arguments = self.arguments if lr is None else self.arguments | {"lr": lr}
        self._update(self._memory, nabla, arguments)


def clip_norm(nabla: Vector, bound: float, norm: float | None = None) -> None:
    """Scale ∇ by min(1, bound / (‖∇‖ + 1e-6)), in place, as PyTorch does."""
    if norm is None:
        norm = math.sqrt(float(np.dot(nabla, nabla)))
    factor = bound / (norm + 1e-6)
    if factor < 1:
        nabla *= factor


def clip_value(nabla: Vector, bound: float) -> None:
    """Limit every entry of ∇ to -bound … bound, in place."""
    np.clip(nabla, -bound, bound, out=nabla)
