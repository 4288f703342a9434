"""Expressions: parentheses where they are needed and nowhere else, in black's layout."""

from __future__ import annotations

import ast
import re

import black
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradc.compiler.backend.pyast import Expr, listing, name, number, template

TEMPLATES = (
    "{a} + {b}",
    "{a} - {b}",
    "{a} * {b}",
    "{a} / {b}",
    "{a} @ {b}",
    "-{a}",
    "{a} ** 2",
    "{a} ** {b}",
    "{a}.T @ {b}",
    "np.exp({a})",
    "1 / (1 + np.exp(-{a}))",
    "{a}.sum(axis=0)",
    "{a}[:, None] * {b}",
    "{a}[{b}]",
    "{a} < {b}",
    "np.where({a} > 0, {b}, 0)",
)


def filled(source: str, a: Expr, b: Expr) -> Expr:
    made = template(source)
    holes = {"a": a, "b": b}
    return made.fill({k: holes[k] for k in made.reads})


expressions = st.recursive(
    st.sampled_from(("x", "W1", "d_loss")).map(name)
    | st.sampled_from((2, 0.5, -1, 1e-05, 10**20)).map(number),
    lambda inner: st.builds(filled, st.sampled_from(TEMPLATES), inner, inner).filter(
        lambda made: not re.search(r"(?<![\w.])[\d.]+\[", made.text)
    ),  # a number has no entries
    max_leaves=8,
)


@given(expressions)
def test_black_leaves_every_expression_as_it_is(expression: Expr) -> None:
    line = f"y = {expression.text}\n"
    mode = black.Mode(line_length=10_000)
    assert black.format_str(line, mode=mode) == line


@given(st.sampled_from(TEMPLATES), expressions, expressions)
def test_holes_are_filled_as_trees(source: str, a: Expr, b: Expr) -> None:
    """What Python reads is the template's tree with the arguments' trees in it."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            given = {"HOLE_A": a, "HOLE_B": b}.get(node.id)
            return node if given is None else ast.parse(given.text, mode="eval").body

    plain = source.replace("{a}", "HOLE_A").replace("{b}", "HOLE_B")
    wanted = Fill().visit(ast.parse(plain, mode="eval"))
    found = ast.parse(filled(source, a, b).text, mode="eval")
    assert ast.dump(found) == ast.dump(ast.parse(ast.unparse(wanted), mode="eval"))


@pytest.mark.parametrize(
    ("source", "wanted"),
    (
        ("{a} ** 2", "h**2"),
        ("-({a} ** 2)", "-(h**2)"),
        ("{a}[1 : {b} - 1]", "h[1 : n - 1]"),
        ("{a}[:, {b} :]", "h[:, n:]"),
        ("{a}[::2]", "h[::2]"),
        ("{a}[1:{b}:2, ...]", "h[1:n:2, ...]"),
        ("({a}, )", "(h,)"),
        ("{a}[{b}] += {a}", "h[n] += h"),
    ),
)
def test_layout(source: str, wanted: str) -> None:
    assert filled(source, name("h"), name("n")).text == wanted


def test_a_sign_goes_into_the_update() -> None:
    made = template("{a}[{b}] += {g}")
    text = made.fill({"a": name("d"), "b": name("y"), "g": number(-1)}).text
    assert text == "d[y] -= 1"


@given(st.lists(st.sampled_from(("x", "digit", "W_scores_of_the_layer")), max_size=30))
def test_tuples_are_laid_out_as_black_does(items: list[str]) -> None:
    if not items:
        return
    lines = listing("return loss, (", items, ")", 4, lone=True)
    source = "def f():\n" + "\n".join(lines) + "\n"
    assert black.format_str(source, mode=black.Mode()) == source
