"""Whole pages in the three formats, read back line by line as they are printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pytest
from checking import (
    SAMPLES,
    AsLatex,
    AsText,
    Numbers,
    agree,
    check,
    sizes_in,
    traced,
)
from reading_back import Env

from gradc.compiler.explain.derivation import Derivation, derivations
from gradc.compiler.explain.latex import latex_name
from gradc.compiler.explain.page import Format, Statement, naming_on, render
from gradc.compiler.explain.report import Report, derivation_report
from gradc.compiler.explain.text import text

SOME = """01_chain 03_logistic 04_relu_mlp 05_nielsen 08_nanogpt 09_vae 11_rbm 13_ebm 14_gan
    16_tied_autoencoder""".split()
"""Programs with a loss and without a loop, whose lines hold inside of it alone."""


def parted(text: str, sign: str = " = ") -> list[str]:
    """At the signs outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if not depth and text.startswith(sign, i):
            parts.append(text[start:i])
            start = i + len(sign)
    return [*parts, text[start:]]


def of_text(page: str) -> Iterator[tuple[str, list[str]]]:
    """`  name = formula = formula    [shape]`; further lines begin with the sign, or go
    on under what stands behind it."""
    lines: list[str] = []
    under = -1
    for line in page.split("\n"):
        said = re.split(r" {2,}", line.strip())[0]
        indent = len(line) - len(line.lstrip())
        if lines and (said.startswith("= ") or indent == under):
            lines[-1] += f" {said}"
        elif line.startswith("  ") and " = " in said:
            lines.append(said)
            under = indent + said.index(" = ") + 3
    for line in lines:
        left, *right = parted(line)
        yield left, right


def of_latex(page: str) -> Iterator[tuple[str, list[str]]]:
    r"""`name &= formula = formula && \text{shape} \\`, in align* or in aligned."""
    for line in page.split("\n"):
        found = re.match(r"\s*(.+?) &= (.*?)(?: && .*)?(?: \\\\)?$", line)
        if found:
            yield found[1], parted(found[2])


def names_of(report: Report) -> Iterator[str]:
    """Names, and the sizes that formulas speak of."""
    for section in report.sections:
        for row in section.rows:
            for f in row.formulas if isinstance(row, Statement) else ():
                yield from re.findall(r"[^\W\d]\w*", f"{text(f)} {sizes_in(f)}")


@lru_cache(maxsize=1)
def read_back(name: str) -> tuple[Report, list[tuple[Derivation, Env]]]:
    """The page of a sample, and every name of its derivations at numbers."""
    trace = traced(SAMPLES / f"{name}.net")
    found = derivations(trace.program, trace.named)
    report = derivation_report(trace, found, {})
    return report, [(d, check(d, Numbers(trace))) for d in found]


@pytest.mark.parametrize("form", ["text", "latex", "md"])
@pytest.mark.parametrize("name", SOME)
def test_each_line_of_a_page_holds(name: str, form: Format) -> None:
    report, found = read_back(name)
    page = render(report.sections, form, report.adjoints)
    naming = naming_on(report.sections, report.adjoints)
    read = 0
    for _, env in found:
        said = AsText() if form == "text" else AsLatex(naming)
        if isinstance(said, AsLatex):
            said.names |= {latex_name(n, naming): n for n in (*env, *names_of(report))}
        for left, right in (of_text if form == "text" else of_latex)(page):
            name = getattr(said, "names", {}).get(left, left)
            if name not in env:
                continue
            for formula in right:
                value = said.value(formula, env)
                known = np.asarray(env[name])
                agree(np.broadcast_to(value, known.shape), known, f"{left} = {formula}")
                read += 1
    wanted = {v.name for d, _ in found for v in d.values if v.formula is not None}
    wanted |= {s.name for d, _ in found for s in d.steps}
    assert read >= len(wanted)
