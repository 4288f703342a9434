"""A derivation at numbers: every formula as it is printed, against what it claims to be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import reading_latex
from reading_back import Env, value
from reference import dim_value, evaluate

from gradc.compiler import driver
from gradc.compiler.explain.derivation import Derivation
from gradc.compiler.explain.formula import Apply, Formula, children, names_in
from gradc.compiler.explain.latex import latex, latex_name
from gradc.compiler.explain.printing import Naming, naming_of
from gradc.compiler.explain.provenance import Trace, record_of
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


# Pixels: what is read back from text is worked out element by element.
IMAGES = {"06_cnn": ("28, 28", "12, 12"), "15_two_heads": ("32, 32", "12, 12")}


def traced(path: Path, **sets: str) -> Trace:
    overrides = SMALL.get(path.stem, {}) | sets
    options = driver.Options(folder=path.parent, overrides=overrides)
    text = path.read_text("utf-8").replace(*IMAGES.get(path.stem, ("", "")))
    return driver.trace(Source.from_text(path.name, text), options)


def trace_of(text: str) -> Trace:
    return driver.trace(Source.from_text("test.net", text))


class Numbers:
    """Values for the leaves of a program, and for whatever else stands by name."""

    def __init__(self, trace: Trace, seed: int = 0) -> None:
        program = trace.program
        fixed = {d.integer for n in record_of(trace).order for d in n.shape}
        free = (
            k for k in count(2) if k not in fixed
        )  # no two sizes are the same by luck
        self.sizes = {s: next(free) for s in program.symbols}
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


class AsText:
    """The formulas as text, and their values as they are read back from it."""

    def shown(self, f: Formula) -> str:
        return text(f)

    def value(self, shown: str, env: Mapping[str, Any]) -> Any:
        return value(shown, env)


class AsLatex(AsText):
    """The same for LaTeX. No two names may be printed alike."""

    def __init__(self, naming: Naming | None = None) -> None:
        self.naming = naming or Naming()
        self.names: dict[str, str] = {}

    def shown(self, f: Formula) -> str:
        for word in re.findall(r"[^\W\d]\w*", f"{text(f)} {' '.join(sizes_in(f))}"):
            printed = latex_name(word, self.naming)
            other = self.names.setdefault(printed, word)
            assert other == word, f"{other} and {word} are both printed {printed}"
        return latex(f, self.naming)

    def value(self, shown: str, env: Mapping[str, Any]) -> Any:
        return reading_latex.value(shown, Printed(env, self.names))


def sizes_in(f: Formula) -> list[str]:
    """The sizes that sums go over."""
    own = f.over if isinstance(f, Apply) else ()
    return [*own, *(d for c in children(f) for d in sizes_in(c))]


def formulas_of(derivation: Derivation) -> list[Formula]:
    """Every formula of a derivation, those of loops among them."""
    said = [f for v in derivation.values if (f := v.formula)]
    said += [f for s in derivation.steps for f in (s.formula, s.chain) if f]
    said += [p.formula for p in derivation.parts]
    loops = list(derivation.loops)
    for loop in loops:  # grows while it is read
        loops += loop.loops
        said += [f for _, f in (*loop.slices, *loop.captures, *loop.lines)]
        said += [f for c in loop.carries for f in (c.start, c.after)]
    return said


def latex_of(derivation: Derivation) -> AsLatex:
    """As LaTeX, with the names of a derivation told apart."""
    names = [n for f in formulas_of(derivation) for n in names_in(f)]
    steps = [s.name for s in derivation.steps]
    return AsLatex(naming_of([*names, *steps], steps))


class Printed(dict[str, Any]):
    """Values by names as they are printed."""

    def __init__(self, env: Mapping[str, Any], names: Mapping[str, str]) -> None:
        super().__init__()
        self.env, self.names = env, names

    def __missing__(self, printed: str) -> Any:
        return self.env[self.names[printed]]


def definitions(
    derivation: Derivation, numbers: Numbers, notation: AsText | None = None
) -> Env:
    """Every name of a derivation, worked out from the text that defines it."""
    said = notation or AsText()
    texts = {v.name: said.shown(v.formula) for v in derivation.values if v.formula}
    texts |= {s.name: said.shown(s.formula) for s in derivation.steps}
    texts |= {p.name: said.shown(p.formula) for p in derivation.parts}
    loops = {loop.name: loop for loop in derivation.loops}
    shapes = {s.name: s.node for s in derivation.steps}

    def ask(name: str) -> Any:
        if name in loops:
            return run(loops[name], env, said)
        made = said.value(texts[name], env)
        if name in shapes:  # a scalar fills the shape of what it is the adjoint of
            node = shapes[name]
            made = np.broadcast_to(made, numbers.of([node])[0].shape)
        return made

    env = Env(numbers.known, ask)
    return env


def run(
    loop: LoopText, outer: Env, said: AsText
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The loop, step by step: the carries behind it, and every value of every step."""
    steps = int(value(loop.steps, outer))
    order = range(steps)[::-1] if loop.reverse else range(steps)

    def read(f: Formula, env: Env) -> Any:
        return said.value(said.shown(f), env)

    carries = {c.name: read(c.start, outer) for c in loop.carries}
    fixed = {name: read(f, outer) for name, f in loop.captures}
    sequences = {name: read(f, outer) for name, f in loop.slices}
    lines = dict(loop.lines)
    inner = {sub.name: sub for sub in loop.loops}
    seen: dict[str, list[Any]] = {n: [None] * steps for n in (*carries, *lines)}
    seen |= {name: list(array) for name, array in sequences.items()}
    for t in order:
        now: dict[str, Any] = dict(outer) | fixed | carries
        now |= {name: array[t] for name, array in sequences.items()}
        env = Env(now)

        def ask(name: str, env: Env = env) -> Any:
            if name in inner:
                return run(inner[name], env, said)
            return read(lines[name], env) if name in lines else outer[name]

        env.more = ask
        for name in (*carries, *lines):
            seen[name][t] = env[name]
        carries = {c.name: read(c.after, env) for c in loop.carries}
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


def check(
    derivation: Derivation, numbers: Numbers, notation: AsText | None = None
) -> Env:
    """Every formula as it is printed has the value that it claims."""
    said = notation or AsText()
    env = definitions(derivation, numbers, said)
    nodes = [v.node for v in derivation.values] + [s.whole for s in derivation.steps]
    truth = numbers.of(nodes)
    for v, known in zip(derivation.values, truth, strict=False):
        agree(env[v.name], known, v.name)
    for s, known in zip(derivation.steps, truth[len(derivation.values) :], strict=True):
        agree(env[s.name], known, f"{s.name} = {said.shown(s.formula)}")
        if s.chain is not None:
            shown = said.shown(s.chain)
            agree(said.value(shown, env), known, f"{s.name} = {shown}")
    return env
