"""Emitted modules over the field: executed unchanged, with NumPy itself.

one, other = compared([Exact(c.source, c.signature) for c in compiled], seed=0)
one.slope_agrees()            # backward is the tangent of forward
one.differences(other)        # what the two compute otherwise, be it by one bit: []
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradc.sizes import evaluate

from . import oracles
from .field import Element, P, is_square

Signature = Mapping[str, Any]


def array(shape: tuple[int, ...], make: Any) -> Any:
    """An object array, entry by entry."""
    found = np.empty(shape, object)
    for at in np.ndindex(*shape):
        found[at] = make()
    return found


class _Numpy:
    """NumPy, but for the few functions that know no objects, or no 0 among them."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if name not in oracles.METHODS:
            return found

        def function(x: Any, out: Any = None) -> Any:
            # minimum(x, 0) has the int 0 where it is smaller
            elements = np.vectorize(Element.of, [object])(x)
            return found(elements) if out is None else found(elements, out=out)

        return function

    @staticmethod
    def isfinite(x: Any) -> Any:
        if np.asarray(x).dtype != object:
            return np.isfinite(x)
        return np.vectorize(lambda e: math.isfinite(Element.of(e).shadow), [bool])(x)

    @staticmethod
    def sign(x: Any, out: Any = None) -> Any:
        if np.asarray(x).dtype == object:
            x = np.vectorize(lambda e: np.sign(Element.of(e).shadow), [float])(x)
        return np.sign(x) if out is None else np.sign(x, out=out)

    linalg = SimpleNamespace(qr=np.linalg.qr)  # init alone

    @staticmethod
    def float64(x: Any) -> Element:
        return Element.of(np.asarray(x, object).item())


def _import(name: str, *rest: Any) -> Any:
    return _Numpy() if name == "numpy" else __import__(name, *rest)


@dataclass(frozen=True)
class Outcome:
    """What a run gave: the loss, its tangent, the gradient, and the directions taken.

    `unsure`: roots were taken of non-squares, so √x² need not have been x.
    """

    loss: Element
    gradients: dict[str, Any]
    directions: dict[str, Any]
    unsure: bool

    def slope(self) -> int:
        """The gradient times the directions: what the loss's tangent has to be."""
        total = 0
        for path, g in self.gradients.items():
            along = self.directions[path]
            entries = np.broadcast_to(np.asarray(g, object), along.shape)
            for e, d in zip(entries.ravel(), along.ravel(), strict=True):
                total += Element.of(e).value * d.tangent
        return total % P

    def slope_agrees(self) -> bool:
        return self.slope() == self.loss.tangent

    def differences(self, other: Outcome) -> list[str]:
        """Where two modules do not compute the same: the loss, or a parameter's path."""
        wrong = [] if self.loss.value == other.loss.value else ["the loss"]
        for path, g in self.gradients.items():
            theirs = np.asarray(other.gradients[path], object)
            ours = np.broadcast_to(np.asarray(g, object), theirs.shape)
            same = (
                Element.of(a).value == Element.of(b).value
                for a, b in zip(ours.ravel(), theirs.ravel(), strict=True)
            )
            if not all(same):
                wrong.append(path)
        return wrong


class Exact:
    """A module with arguments drawn from the field."""

    def __init__(
        self, source: str, signature: Signature, sizes: Mapping[str, int] | None = None
    ) -> None:
        self.source, self.signature = source, signature
        builtins = {**vars(__import__("builtins")), "__import__": _import}
        builtins["float"] = _Numpy.float64
        self.space: dict[str, Any] = {"__builtins__": builtins, "__name__": "exact"}
        exec(compile(source, f"<exact {signature['name']}>", "exec"), self.space)
        for name, function in oracles.HELPERS.items():
            if name in self.space:
                self.space[name] = function
        names = list(signature["sizes"])
        self.sizes = {n: 2 + k for k, n in enumerate(names)} | dict(sizes or {})

    def number(self, dim: Any) -> int:
        return evaluate(dim, self.sizes) if isinstance(dim, list) else int(dim)

    def shape(self, dims: Any) -> tuple[int, ...]:
        return tuple(self.number(d) for d in dims)

    def run(self, seed: int = 0, at: Mapping[str, Any] | None = None) -> Outcome:
        """One step at a random place, whose shadow is `at` for the paths and names there.

        Other modules have the same place for the same seed; see `compared`.
        """
        rng, at = random.Random(seed), at or {}

        def real(tangent: bool, shadow: float) -> Element:
            return Element(rng.randrange(P), rng.randrange(P) if tangent else 0, shadow)

        def reals(path: str, dims: Any, shadow: Any, tangent: bool = False) -> Any:
            if path in at:
                given = iter(np.ravel(at[path]))
                return array(np.shape(at[path]), lambda: real(tangent, next(given)))
            return array(self.shape(dims), lambda: real(tangent, shadow()))

        def normal() -> float:
            return rng.gauss(0, 0.7)

        def positive() -> float:
            return rng.uniform(0.5, 2)

        s = self.signature
        params = {
            e["path"]: reals(e["path"], e["shape"], normal, e["trained"])
            for e in s["parameters"]
        }
        state = {e["path"]: reals(e["path"], e["shape"], positive) for e in s["states"]}
        laws = {"uniform": rng.random, "normal": normal}
        noise = {
            e["path"]: reals(e["path"], e["shape"], laws[e["law"]])
            for e in s["randoms"]
        }
        inputs = {}
        for e in s["inputs"]:
            name = e["name"]
            if e["kind"] == "real":
                inputs[name] = reals(name, e["shape"], normal)
            elif name in at:
                inputs[name] = np.asarray(at[name])
            else:
                shape = self.shape(e["shape"])
                low, high = (self.number(d) for d in e["range"] or (0, 3))
                high = 2 if e["kind"] == "bool" else high
                drawn = [rng.randrange(low, high) for _ in range(math.prod(shape))]
                kind = bool if e["kind"] == "bool" else np.intp
                inputs[name] = np.array(drawn, kind).reshape(shape)
        needs = s["functions"]["forward"]
        arguments: list[Any] = [params] if needs["params"] else []
        if needs.get("state"):
            arguments.append(state)
        if needs.get("noise"):
            arguments.append({p: noise[p] for p in needs["draws"]})
        arguments += [inputs[name] for name in needs["inputs"]]
        oracles.roots.clear()
        loss, gradients = self.step(arguments)
        known = {k: params[k] for k in gradients if k in params}
        unsure = not all(map(is_square, oracles.roots))
        found = {k: gradients[k] for k in known}
        return Outcome(Element.of(loss), found, known, unsure)

    def step(self, arguments: list[Any]) -> tuple[Any, dict[str, Any]]:
        """forward and backward, with their buffers where the module has some."""
        work = self.signature.get("work")
        if work is None:
            loss, saved, *_ = self.space["forward"](*arguments)
            return loss, self.space["backward"](saved, Element(1, 0, 1.0))
        sizes = [self.sizes[name] for name in work["sizes"]]
        memory = self.space["buffers"](*sizes, np.dtype(object))
        arguments = [*arguments, memory]
        if work["rows"]:
            arguments.append(self.sizes[self.signature["total"]["row_dim"]])
        loss, saved, *_ = self.space["forward"](*arguments)
        return loss, self.space["backward"](saved, Element(1, 0, 1.0), memory)


def compared(
    modules: Sequence[Exact], seed: int = 0, at: Mapping[str, Any] | None = None
) -> list[Outcome]:
    """Runs of several modules at one place, with the same values of every function."""
    oracles.forget(seed)
    return [module.run(seed, at) for module in modules]
