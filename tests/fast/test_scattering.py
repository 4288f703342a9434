"""Rows added up by place: by one product, number by number, or by products of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fast.running import Fast

from gradc.compiler import Options, Source, compile_source

CASES = {  # rows of the table, their width, how many are taken, and what adds them up
    "one product": (9, 70, 300, "np.dot(which_T"),
    "wide": (9, 300, 40, "add_rows("),
    "blocks": (90, 70, 300, "add_rows("),
    "many places": (400, 66, 260, "add_rows("),
    "narrow": (90, 3, 300, "add_narrow_rows("),
    "narrow blocks": (90, 60, 300, "add_narrow_rows("),
    "single numbers": (90, 1, 300, "np.add.at("),
    "wide blocks": (90, 300, 150, "add_rows("),
    "apart": (900, 40, 300, "add_rows_apart("),
    "blocks apart": (500, 150, 460, "add_rows_apart("),
}
PROGRAM = """input text: int[N, T]
input x: [N, T, {width}]
param E: [{rows}, {width}] = 1
loss = sum(sin(E[text]) * x){more}
"""


def stepped(name: str, text: Any, more: str = "", level: int = 2) -> Any:
    rows, width, _, form = CASES[name]
    text_of = PROGRAM.format(rows=rows, width=width, more=more)
    source = Source.from_text("test.net", text_of)
    module = Fast(compile_source(source, Options(level=level, poison=level == 2)))
    assert level == 0 or form in module.text or more
    rng = np.random.default_rng(5)
    values = {
        "E": rng.random((rows, width)),
        "x": rng.standard_normal((*text.shape, width)),
        "text": text,
    }
    return module.step(values)[1]["E"]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["drawn", "equal", "ends", "none"])
def test_sums_by_place(name: str, kind: str) -> None:
    rows, _, count, _ = CASES[name]
    text = {
        "drawn": np.random.default_rng(1).integers(0, rows, (count // 2, 2)),
        "equal": np.full((count // 2, 2), rows // 2),
        "ends": np.arange(count // 2 * 2).reshape(-1, 2) % 2 * (rows - 1),
        "none": np.zeros((0, 2), int),
    }[kind]
    found, wanted = stepped(name, text), stepped(name, text, level=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_added_to_what_is_there(name: str) -> None:
    """Where the table has another gradient as well."""
    rows, _, count, _ = CASES[name]
    text = np.random.default_rng(2).integers(0, rows, (count // 2, 2))
    more = " + sum(E * E)"
    found, wanted = stepped(name, text, more), stepped(name, text, more, 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
