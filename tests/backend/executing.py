"""Run an emitted module and hold it against the reference interpreter.

module = Emitted(compile_text("input x: [N]; param w = 1; loss = mean((w * x)^2)"))
module.agrees()
"""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from reference import evaluate

from gradc.compiler import driver
from gradc.compiler.autodiff.reverse import covers
from gradc.compiler.backend import guard
from gradc.compiler.backend.readable import emit
from gradc.compiler.backend.schedule import schedule
from gradc.compiler.backend.signature import signature
from gradc.compiler.ir.dims import Dim
from gradc.compiler.ir.program import Joint
from gradc.compiler.passes import run_passes
from gradc.compiler.source import Source

STEP = 1e-30


def joint_of(text: str, folder: Path | None = None, **options: Any) -> Joint:
    """The program with its derivatives, before any pass."""
    source = Source.from_text("test.net", text)
    given = driver.Options(folder=folder, **options)
    return driver.build(source, given, until="grad").value


def number(dim: Dim, sizes: dict[str, int]) -> int:
    total = 0
    for monomial, c in dim.value.terms:
        for s in monomial:
            c = c * sizes[s]
        total = total + c
    assert int(total) == total
    return int(total)


class Emitted:
    """A joint program emitted at one level, executed."""

    def __init__(
        self,
        joint: Joint,
        level: int = 1,
        seed: int = 0,
        sizes: dict[str, int] | None = None,
    ) -> None:
        self.joint = joint
        self.level = level
        self.plan = schedule(run_passes(joint, level), driver.Options(level=level))
        self.text = emit(self.plan, driver.Options(level=level))
        self.module = self.load(self.text)
        rng = np.random.default_rng(seed)
        program = joint.program
        self.sizes = sizes or {s: 3 + k for k, s in enumerate(program.symbols)}
        self.params = {
            p.path: self.draw(rng, p.node.shape, "real") for p in program.params
        }
        self.state = {
            s.path: np.abs(self.draw(rng, s.node.shape, "real")) for s in program.states
        }
        self.noise = {}
        for n in program.noises:
            shape = tuple(number(d, self.sizes) for d in n.shape)
            uniform = n.attrs["law"] == "uniform"
            drawn = rng.random(shape) if uniform else rng.standard_normal(shape)
            self.noise[n.attrs["name"]] = np.array(drawn)
        self.inputs = {}
        for i in program.inputs:
            high = number(i.high, self.sizes) if i.high is not None else 3
            value = self.draw(rng, i.node.shape, i.node.kind, high)
            self.inputs[i.name] = value

    @cached_property
    def complex(self) -> dict[str, Any]:
        """The module of the forms that are analytic in complex numbers."""
        analytic = driver.Options(level=self.level, complex=True)
        return self.load(emit(self.plan, analytic))

    @staticmethod
    def load(text: str) -> dict[str, Any]:
        tree = guard.check(text)
        module: dict[str, Any] = {}
        exec(compile(tree, "<emitted>", "exec"), module)
        return module

    def draw(self, rng: Any, shape: Any, kind: str, high: int = 3) -> Any:
        sizes = tuple(number(d, self.sizes) for d in shape)
        match kind:
            case "int":
                return rng.integers(0, high, sizes)
            case "bool":
                return rng.random(sizes) < 0.5
        return np.array(rng.normal(0.1, 0.6, sizes))

    # ------------------------------------------------------------------ calls
    def arguments(self, name: str, params: Any, inputs: Any) -> list[Any]:
        takes = signature(self.plan)["functions"][name]
        out = [params] if takes["params"] else []
        if takes["state"]:
            out.append(self.state)
        if takes["noise"]:
            out.append({k: self.noise[k] for k in takes["draws"]})
        return out + [inputs[k] for k in takes["inputs"]]

    def call(
        self, name: str, params: Any = None, inputs: Any = None, module: Any = None
    ) -> Any:
        params = self.params if params is None else params
        inputs = self.inputs if inputs is None else inputs
        module = self.module if module is None else module
        return module[name](*self.arguments(name, params, inputs))

    def leaves(self) -> dict[Any, Any]:
        program = self.joint.program
        table = {p.node: self.params[p.path] for p in program.params}
        table |= {s.node: self.state[s.path] for s in program.states}
        table |= {n: self.noise[n.attrs["name"]] for n in program.noises}
        return table | {i.node: self.inputs[i.name] for i in program.inputs}

    # ------------------------------------------------------------------ checks
    def agrees(self, tolerance: float = 1e-12) -> None:
        """Values as the reference has them; gradients as the complex step has them."""
        program = self.joint.program
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in ("evaluate", "predict"):
                if name not in self.plan.functions:
                    continue
                results = self.call(name)
                mode = program.evaluation
                roots = [*mode.losses, *mode.metrics, *mode.outputs]
                wanted = {
                    r.name or "loss": r.node
                    for r in roots
                    if (r.name or "loss") in results
                }
                values = evaluate(list(wanted.values()), self.leaves(), self.sizes)
                for key, value in zip(wanted, values, strict=True):
                    assert np.shape(results[key]) == np.shape(value), key
                    close(results[key], value, tolerance, key)
            if "backward" in self.plan.functions:
                self.gradients_agree(tolerance)

    def gradients_agree(self, tolerance: float) -> None:
        program = self.joint.program
        total = program.training.total
        assert total is not None
        given = {**self.params, **self.inputs, **self.state, **self.noise}
        before = {k: v.copy() for k, v in given.items()}
        loss, saved, *state = self.call("forward")
        self.state_agrees(state, tolerance)
        (value,) = evaluate([total.node], self.leaves(), self.sizes)
        close(loss, value, tolerance, "loss")
        kept = [np.array(s) for s in saved if isinstance(s, np.ndarray)]
        gradients = self.module["backward"](saved)
        again = self.module["backward"](saved)
        doubled = self.module["backward"](saved, 2.0)
        for a, b in zip(
            [s for s in saved if isinstance(s, np.ndarray)], kept, strict=True
        ):
            assert np.array_equal(a, b, equal_nan=True), "a saved value was modified"
        for k, v in given.items():
            assert np.array_equal(v, before[k]), f"{k} was modified"
        assert list(sorted(gradients)) == sorted(self.joint.gradients)
        rng = np.random.default_rng(1)
        for path, g in gradients.items():
            assert np.array_equal(g, again[path], equal_nan=True), path
            close(doubled[path], 2 * np.asarray(g), 1e-12, path)
            source = self.params.get(path, self.inputs.get(path))
            assert np.shape(g) == np.shape(source), (path, np.shape(g))
            for _ in range(3):
                at = tuple(rng.integers(0, d) for d in np.shape(source))
                if any(d == 0 for d in np.shape(source)):
                    continue
                params, inputs = dict(self.params), dict(self.inputs)
                table = params if path in params else inputs
                table[path] = table[path].astype(complex)  # the others stay real
                table[path][at] += STEP * 1j
                stepped = self.stepped(path, params, inputs)
                close(np.asarray(g)[at], np.imag(stepped) / STEP, 1e-10, f"{path}{at}")

    def stepped(self, path: str, params: Any, inputs: Any) -> Any:
        """The losses that cover a parameter, at a complex point."""
        losses = self.joint.program.training.losses
        if all(r.over is None for r in losses):
            return self.call("forward", params, inputs, self.complex)[0]
        program = self.joint.program
        leaves = self.leaves() | {p.node: params[p.path] for p in program.params}
        roots = [r.node for r in losses if path not in params or covers(r, path)]
        return sum(evaluate(roots, leaves, self.sizes))

    def state_agrees(self, found: list[Any], tolerance: float) -> None:
        """The state after the step: updated, or handed on."""
        program = self.joint.program
        assert len(found) == bool(program.states)
        updates = dict(program.training.updates)
        for s in program.states:
            node = updates.get(s.path, s.node)
            (value,) = evaluate([node], self.leaves(), self.sizes)
            assert np.shape(found[0][s.path]) == np.shape(value), s.path
            close(found[0][s.path], value, tolerance, s.path)

    def stays_single(self) -> None:
        """float32 in, float32 out."""
        if "backward" not in self.plan.functions:
            return

        def single(table: dict[str, Any]) -> dict[str, Any]:
            return {
                k: v.astype(np.float32) if v.dtype == float else v
                for k, v in table.items()
            }

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            doubles = self.state, self.noise
            self.state, self.noise = single(self.state), single(self.noise)
            params, inputs = single(self.params), single(self.inputs)
            loss, saved, *state = self.call("forward", params, inputs)
            self.state, self.noise = doubles
            assert np.asarray(loss).dtype == np.float32, "the loss is not float32"
            for path, value in (state[0] if state else {}).items():
                assert np.asarray(value).dtype == np.float32, f"{path} is not float32"
            for path, g in self.module["backward"](saved).items():
                single_ = isinstance(g, float) or np.asarray(g).dtype == np.float32
                assert single_, f"{path} is not float32"


def close(a: Any, b: Any, tolerance: float, what: str) -> None:
    a, b = np.asarray(a), np.asarray(b)
    both = np.isnan(a) & np.isnan(b) if a.dtype != bool and b.dtype != bool else False
    scale = np.maximum(1, np.abs(b))
    with np.errstate(invalid="ignore"):
        good = (np.abs(a * 1 - b * 1) <= tolerance * scale) | (a == b) | both
    assert np.all(good), f"{what}: {a} against {b}"
