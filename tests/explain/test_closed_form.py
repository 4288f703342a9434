"""Derivatives in closed form, as printed, against SymPy's."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import pytest
import sympy
from checking import AsLatex, trace_of
from reading_back import Env, value

from gradc.cli.programs import load
from gradc.compiler import compile_source
from gradc.compiler.explain.closed_form import ClosedForm, closed_form, is_scalar
from gradc.compiler.explain.latex import latex
from gradc.compiler.explain.text import text
from gradc.compiler.source import Source

# Textbook functions of x between 0.1 and 0.9.
FUNCTIONS = """
x^2; x^3 - 2 * x + 1; x^7; 1 / x; 1 / x^2; sqrt(x); x^1.5; x^(-0.5); 3 * x^4 - x^2 / 2
(x + 1)^5; exp(x); exp(-x); exp(2 * x); exp(x^2); exp(-x^2); exp(-x^2 / 2) / sqrt(2 * pi)
x * exp(x); x^2 * exp(-x); exp(1 / x); exp(exp(x)); log(x); log(x^2 + 1); log(1 + exp(x))
x * log(x); log(x) / x; log(log(x + 2)); log(sqrt(x)); log(x)^2; log(1 / x)
x^2 * log(x) - x^2 / 2; sin(x); cos(x); tan(x); sin(x)^2; cos(x)^3; sin(2 * x); sin(x^2)
x * sin(x); sin(x) / x; sin(x) * cos(x); sin(cos(x)); cos(sin(x)); tan(x)^2
sin(x)^2 + cos(x)^2; 1 / sin(x); 1 / cos(x); cos(x) / sin(x); exp(sin(x)); exp(x) * sin(x)
exp(-x) * cos(3 * x); log(sin(x)); log(cos(x)); sin(log(x)); sin(sqrt(x)); sqrt(sin(x))
sqrt(1 + x^2); 1 / sqrt(1 + x^2); x / sqrt(1 - x^2); sqrt(x + sqrt(x)); (1 + sqrt(x))^3
sinh(x); cosh(x); tanh(x); tanh(x)^2; sinh(x)^2; 1 / cosh(x)^2; tanh(x / 2); log(cosh(x))
x * tanh(x); sinh(x) / cosh(x); arctan(x); arcsin(x); arccos(x); arctan(1 / x)
x * arctan(x); arctan(x^2); arcsin(x)^2; arctan(exp(x)); sqrt(arctan(x)); arcsin(sqrt(x))
erf(x); erf(x)^2; x * erf(x); exp(-x^2) * erf(x); sigmoid(x); sigmoid(x)^2; x * sigmoid(x)
sigmoid(sin(x)); softplus(x); log(sigmoid(x)); (x + 1) / (x - 1); (x^2 + 1) / (x + 2)
x / (1 + x^2); (1 - x) / (1 + x); 1 / (1 + exp(-x)); (exp(x) - exp(-x)) / 2; x^2 / (1 + x)^3
2 * x / (1 - x^2); (x^3 + x) / (x^4 + 2); 1 / (x * (x + 1)); 2^x; x^x; x^(2 * x); (1 + x)^x
x^sin(x); lgamma(x + 1); x * lgamma(x); exp(x) / sqrt(sin(x)^3 + cos(x)^3)
(1 + 1 / (x + 1))^x; exp(x * log(x) - x)
"""
LIST = [
    f.strip() for line in FUNCTIONS.split("\n") for f in line.split(";") if f.strip()
]
TO_SYMPY = {
    "arctan": "atan",
    "arcsin": "asin",
    "arccos": "acos",
    "lgamma": "loggamma",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
}


def sympy_of(f: str) -> Any:
    names = {
        "Sigmoid": lambda z: 1 / (1 + sympy.exp(-z)),
        "Softplus": lambda z: sympy.log(1 + sympy.exp(z)),
    }
    shown = re.sub(r"[a-z]+", lambda m: TO_SYMPY.get(m[0], m[0]), f).replace("^", "**")
    return sympy.sympify(shown, locals=names)


@pytest.fixture(scope="module")
def forms() -> tuple[ClosedForm, dict[str, Any]]:
    """The derivatives of all of them by x, from one program."""
    lines = ["input x"]
    for k, f in enumerate(LIST):
        lines += [f"f{k} = {f}", f"output d{k} = grad(f{k}, x)"]
    trace = trace_of("\n".join(lines))
    roots = {r.name: r.node for r in trace.program.training.outputs}
    assert is_scalar(roots.values())
    return closed_form(roots.values(), trace.named), roots


def points() -> list[float]:
    rng = random.Random(7)
    return [rng.uniform(0.1, 0.9) for _ in range(3)]


def at_point(
    at: float, parts: Mapping[str, Any], value: Callable[[Any, Env], Any] = value
) -> Env:
    """x and the shared parts, worked out when they are asked for."""
    env = Env({"x": at, "pi": float(mpmath.pi)}, lambda name: value(parts[name], env))
    return env


def test_there_are_enough() -> None:
    assert len(set(LIST)) >= 100


@pytest.mark.parametrize("k", range(len(LIST)), ids=lambda k: LIST[k])
def test_a_derivative_is_that_of_sympy(
    k: int, forms: tuple[ClosedForm, dict[str, Any]]
) -> None:
    form, roots = forms
    node = roots[f"d{k}"]
    texts = {p.name: text(p.formula) for p in form.parts_of(node)}
    derivative = sympy.diff(sympy_of(LIST[k]), sympy.Symbol("x"))
    typeset = AsLatex()
    shown = typeset.shown(form.formulas[node])
    parts = {p.name: typeset.shown(p.formula) for p in form.parts_of(node)}
    for at in points():
        env = at_point(at, texts)
        found = float(value(text(form.formulas[node]), env))
        wanted = complex(derivative.evalf(30, subs={"x": sympy.Float(at, 30)})).real
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12), texts
        env = at_point(at, parts, typeset.value)
        found = float(typeset.value(shown, env))
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12), (shown, parts)


def undefined(form: ClosedForm, node: Any) -> bool:
    """Does it speak of NaN, which the language has no word for? x^y by y at x < 0 does."""
    said = [text(form.formulas[node]), *(text(p.formula) for p in form.parts_of(node))]
    return any(re.search(r"\bnan\b", t) for t in said)


def test_what_is_printed_is_a_program(forms: tuple[ClosedForm, dict[str, Any]]) -> None:
    """The text is that of the language: it compiles, to the same numbers."""
    form, everything = forms
    roots = {n: node for n, node in everything.items() if not undefined(form, node)}
    assert len(roots) > 100
    parts = {p.name: p for node in roots.values() for p in form.parts_of(node)}
    ordered = sorted(parts.values(), key=lambda p: int(p.name[1:]))
    lines = ["input x", *(f"{p.name} = {text(p.formula)}" for p in ordered)]
    lines += [f"output {n} = {text(form.formulas[node])}" for n, node in roots.items()]
    network = load(compile_source(Source.from_text("printed.net", "\n".join(lines))))
    texts = {p.name: text(p.formula) for p in form.parts}
    at = 0.37
    found = network.predict(network.init(0, float), None, None, x=at)
    env = at_point(at, texts)
    for name, node in roots.items():
        wanted = float(value(text(form.formulas[node]), env))
        assert float(found[name]) == pytest.approx(wanted, rel=1e-9, abs=1e-9), name


def test_shared_parts_keep_it_short() -> None:
    """n-fold x <- sin(x) x: as a tree it doubles each time."""
    sizes = []
    for n in (10, 20, 40):
        body = f"input x\nz = x\nrepeat {n} {{ z = sin(z) * z }}\noutput d = grad(z, x)"
        trace = trace_of(body)
        (root,) = trace.program.training.outputs
        form = closed_form([root.node], trace.named)
        shown = [text(form.formulas[root.node]), *(text(p.formula) for p in form.parts)]
        sizes.append(sum(map(len, shown)))
    assert sizes[2] < 5 * sizes[0]


def test_latex_of_a_formula(forms: tuple[ClosedForm, dict[str, Any]]) -> None:
    form, roots = forms
    assert latex(form.formulas[roots["d0"]]) == r"2 \, x"
    assert latex(form.formulas[roots["d30"]]) == r"\cos\left(x\right)"
