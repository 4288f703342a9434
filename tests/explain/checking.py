"""A derivation at numbers: every formula as it is printed, against what it claims to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from reading_back import Env, value
from reference import dim_value, evaluate

from gradc.compiler import driver
from gradc.compiler.explain.derivation import Derivation
from gradc.compiler.explain.provenance import Trace
from gradc.compiler.explain.reading import LoopText
from gradc.compiler.explain.text import text
from gradc.compiler.ir.node import Node
from gradc.compiler.source import Source

SAMPLES = Path(__file__).parent.parent / "samples"
SMALL = {
    "05_nielsen": {"hidden": "3"},
    "07_char_lstm": {"vocab": "7", "width": "3"},
    "08_nanogpt": {"vocab": "5", "width": "4", "heads": "2", "depth": "2"},
    "12_neural_ode": {"steps": "3"},
}


def traced(path: Path, **sets: str) -> Trace:
    overrides = SMALL.get(path.stem, {}) | sets
    options = driver.Options(folder=path.parent, overrides=overrides)
    return driver.trace(Source.from_text(path.name, path.read_text("utf-8")), options)


def trace_of(text: str) -> Trace:
    return driver.trace(Source.from_text("test.net", text))


class Numbers:
    """Values for the leaves of a program, and for whatever else stands by name."""

    def __init__(self, trace: Trace, seed: int = 0) -> None:
        program = trace.program
        self.sizes = {s: 2 + k for k, s in enumerate(program.symbols)}
        self.leaves: dict[Any, Any] = {}
        rng = np.random.default_rng(seed)
        for i in program.inputs:
            high = dim_value(i.high, self.sizes) if i.high is not None else 3
            self.leaves[i.node] = self.draw(rng, i.node, high)
        for p in (*program.params, *program.states):
            array = self.draw(rng, p.node)  # wide layers shall not overflow
            self.leaves[p.node] = array / np.sqrt(max(1, array.size // 8))
        for s in program.states:
            self.leaves[s.node] = np.abs(self.leaves[s.node])
        for n in program.noises:
            self.leaves[n] = rng.random(self.draw(rng, n).shape)
        self.known: dict[str, Any] = {**self.sizes}
        self.known |= {c.name: c.value for c in program.constants}
        for node, array in self.leaves.items():
            self.known[trace.named.of[node]] = array

    def draw(self, rng: np.random.Generator, node: Node, high: int = 3) -> Any:
        shape = tuple(dim_value(d, self.sizes) for d in node.shape)
        match node.kind:
            case "int":
                return np.asarray(rng.integers(0, high, shape))
            case "bool":
                return np.asarray(rng.random(shape) < 0.5)
        return np.asarray(rng.normal(0.1, 0.6, shape))

    def of(self, nodes: list[Any]) -> list[Any]:
        return evaluate(nodes, self.leaves, self.sizes)


def definitions(derivation: Derivation, numbers: Numbers) -> Env:
    """Every name of a derivation, worked out from the text that defines it."""
    texts = {v.name: text(v.formula) for v in derivation.values if v.formula}
    texts |= {s.name: text(s.formula) for s in derivation.steps}
    texts |= {p.name: text(p.formula) for p in derivation.parts}
    loops = {loop.name: loop for loop in derivation.loops}
    shapes = {s.name: s.node for s in derivation.steps}

    def ask(name: str) -> Any:
        if name in loops:
            return run(loops[name], env)
        made = value(texts[name], env)
        if name in shapes:  # a scalar fills the shape of what it is the adjoint of
            node = shapes[name]
            made = np.broadcast_to(made, numbers.of([node])[0].shape)
        return made

    env = Env(numbers.known, ask)
    return env


def run(loop: LoopText, outer: Env) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The loop, step by step: the carries behind it, and every value of every step."""
    steps = int(value(loop.steps, outer))
    order = range(steps)[::-1] if loop.reverse else range(steps)
    carries = {c.name: value(text(c.start), outer) for c in loop.carries}
    fixed = {name: value(text(f), outer) for name, f in loop.captures}
    sequences = {name: value(text(f), outer) for name, f in loop.slices}
    lines = {name: text(f) for name, f in loop.lines}
    inner = {sub.name: sub for sub in loop.loops}
    seen: dict[str, list[Any]] = {n: [None] * steps for n in (*carries, *lines)}
    seen |= {name: list(array) for name, array in sequences.items()}
    for t in order:
        now: dict[str, Any] = dict(outer) | fixed | carries
        now |= {name: array[t] for name, array in sequences.items()}
        env = Env(now)

        def ask(name: str, env: Env = env) -> Any:
            if name in inner:
                return run(inner[name], env)
            return value(lines[name], env) if name in lines else outer[name]

        env.more = ask
        for name in (*carries, *lines):
            seen[name][t] = env[name]
        carries = {c.name: value(text(c.after), env) for c in loop.carries}
    return carries, seen


def agree(a: Any, b: Any, what: str, tolerance: float = 1e-9) -> None:
    """Equal but for the rounding of sums in another order."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    scale = max(1.0, float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0)))
    shape = np.broadcast_shapes(a.shape, b.shape)
    assert shape == b.shape, f"{what}: {a.shape} for {b.shape}"
    with np.errstate(invalid="ignore"):
        fine = (np.abs(a - b) <= tolerance * scale) | (a == b)
    fine |= np.isnan(a) & np.isnan(b)
    assert np.all(fine), f"{what}: {a} against {b}"


def check(derivation: Derivation, numbers: Numbers) -> Mapping[str, Any]:
    """Every formula as it is printed has the value that it claims."""
    env = definitions(derivation, numbers)
    nodes = [v.node for v in derivation.values] + [s.whole for s in derivation.steps]
    truth = numbers.of(nodes)
    for v, known in zip(derivation.values, truth, strict=False):
        agree(env[v.name], known, v.name)
    for s, known in zip(derivation.steps, truth[len(derivation.values) :], strict=True):
        agree(env[s.name], known, f"{s.name} = {text(s.formula)}")
        if s.chain is not None:
            agree(value(text(s.chain), env), known, f"{s.name} = {text(s.chain)}")
    return env
