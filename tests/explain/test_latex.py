"""The LaTeX of all samples: a converter reads it, brackets match, names are told apart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checking import SAMPLES, formulas_of, latex_of, traced
from latex2mathml.converter import convert

from gradc.compiler.explain.columns import columns
from gradc.compiler.explain.derivation import derivations
from gradc.compiler.explain.formula import (
    Apply,
    Binary,
    Formula,
    Minus,
    Name,
    Number,
    Slope,
    Transposed,
)
from gradc.compiler.explain.latex import latex, latex_name
from gradc.compiler.explain.page import Prose, Section, Statement, render
from gradc.compiler.explain.printing import Naming

COMMANDS = frozenset(r"""
    \frac \sqrt \left \right \odot \cdot \top \mathbf \mathrm \operatorname \text \sum \infty
    \log \exp \sin \cos \tan \sinh \cosh \tanh \arctan \arcsin \arccos \max \min \sigma \delta
    \le \ge \land \lor \lnot \begin \end \, \\ \_
    """.split())


def checked(shown: str) -> None:
    """Braces and \\left … \\right match, commands are known, and a converter takes it."""
    depth = 0
    for token in re.findall(r"\\[a-zA-Z]+|\\.|[{}]", shown):
        depth += (token == "{") - (token == "}")
        assert depth >= 0, shown
        greek = re.fullmatch(r"\\[a-zA-Z]+", token) and len(token) < 9
        assert token in COMMANDS or greek or token in "{}", (token, shown)
    assert depth == 0, shown
    assert shown.count(r"\left") == shown.count(r"\right"), shown
    for one in re.findall(r"(?<=\^)[^{\\]", shown):
        assert one.isalnum(), shown
    assert "<math" in convert(shown)
    assert not re.search(r"\^\{[^{}]*\}\^", shown), f"two exponents: {shown}"


@pytest.mark.parametrize(
    "path", sorted(SAMPLES.glob("[01]*.net")), ids=lambda p: p.stem
)
def test_every_formula_is_latex(path: Path) -> None:
    trace = traced(path)
    seen: set[str] = set()
    for d in derivations(trace.program, trace.named):
        naming = latex_of(d).naming
        for f in formulas_of(d):
            for form in (f, columns(f)):
                shown = latex(form, naming)
                kind = re.sub(r"\d+", "0", shown)  # copies are alike
                if kind not in seen:
                    seen.add(kind)
                    checked(shown)


W, x, d = Name("W2", 2), Name("x", 2), Name("d_z2", 2)
CASES: dict[str, Formula] = {
    r"\delta_{z_{2}} \, W_{2}^{\top}": Binary("@", d, Transposed(W)),
    r"\left(x \, W_{2}\right) \odot x": Binary("*", Binary("@", x, W), x),
    r"-\left(x + W_{2}\right) \odot x": Minus(Binary("*", Binary("+", x, W), x)),
    r"x - \left(x - x\right)": Binary("-", x, Binary("-", x, x)),
    r"\frac{x + W_{2}}{2}": Binary("/", Binary("+", x, W), Number(2)),
    r"\left(\frac{x}{2}\right)^{2}": Binary("^", Binary("/", x, Number(2)), Number(2)),
    r"\left(\mathrm{e}^{x}\right)^{2}": Binary(
        "^", Apply("exp", (x,), (), 2), Number(2)
    ),
    r"\left(x^{2}\right)^{\top}": Transposed(Binary("^", x, Number(2))),
    r"\tanh'\left(x\right)": Slope("tanh", x),
    r"2 \cdot 10^{-5} \, x": Binary("*", Number(2e-05), x),
    r"x \odot \left[x > 0\right]": Apply(
        "where", (Binary(">", x, Number(0)), x, Number(0)), (), 2
    ),
}


@pytest.mark.parametrize("wanted", CASES)
def test_brackets_stand_where_they_are_needed(wanted: str) -> None:
    assert latex(CASES[wanted], Naming({"d_z2"})) == wanted
    checked(wanted)


def test_names() -> None:
    assert latex_name("alpha") == r"\alpha"
    assert latex_name("W_h") == "W_{h}"
    assert latex_name("y_2_1") == "y_{2,1}"
    assert latex_name("loss") == r"\mathrm{loss}"
    assert latex_name("d_loss") == r"d_{\mathrm{loss}}"  # a value of that name
    assert latex_name("d_loss", Naming({"d_loss"})) == r"\delta_{\mathrm{loss}}"
    assert latex_name("δ2", Naming((), True)) == r"\delta^{(2)}"


def test_pages_are_whole() -> None:
    rows = (Statement("d_x", (x,), "[N]", "0.5"), Prose("a & b"), Statement("x", (x,)))
    section = Section("∂C/∂x", rows)
    page = render([section], "latex", {"d_x"})
    assert page.count(r"\begin{align*}") == page.count(r"\end{align*}") == 2
    assert r"a \& b" in page and r"$\partial$C/$\partial$x" in page
    page = render([section], "md", {"d_x"})
    assert page.count("$$") == 4 and page.startswith("## ∂C/∂x\n")
