from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend import ast
from gradc.compiler.frontend.format import format_source, print_node
from gradc.compiler.frontend.parser import parse
from gradc.compiler.source import Source

HERE = Path(__file__).parent.parent
TEXTS = sorted((HERE / "samples").glob("*.net"))
TEXTS += sorted((HERE.parent / "compiler" / "std").glob("*.net"))
TEXTS += sorted((HERE.parent / "examples").glob("**/*.net"))


def formatted(text: str) -> str:
    return format_source(Source.from_text("a.net", text))


def comments(text: str) -> list[str]:
    return [
        line[line.index("#") :].rstrip() for line in text.split("\n") if "#" in line
    ]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_idempotent_same_meaning_all_comments(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    once = formatted(text)
    assert formatted(once) == once
    assert parse(Source.from_text("a.net", once)) == parse(
        Source.from_text("a.net", text)
    )
    assert comments(once) == comments(text)


def test_blanks() -> None:
    assert formatted("h=relu( x@W )+b\n") == "h = relu(x @ W) + b\n"
    assert formatted("y=-x ^ 2 * - 3") == "y = -x^2 * -3\n"
    assert formatted("y=x [ : ,0 ,1 : 5,* , ...]'") == "y = x[:, 0, 1:5, *, ...]'\n"
    assert formatted("y=x[t,:,:n]") == "y = x[t, :, :n]\n"
    assert formatted("input x:int [N,T]") == "input x: int[N, T]\n"
    assert formatted("fn f(x:[...S,k],p=.5)=x") == "fn f(x: [...S, k], p = .5) = x\n"
    assert formatted("y=if not(a)then[1]else-1") == "y = if not (a) then [1] else -1\n"
    assert formatted("return_x=1;z = 2 ;") == "return_x = 1; z = 2\n"
    assert formatted("repeat 2{h=f(h);}") == "repeat 2 { h = f(h) }\n"
    assert formatted("train{epochs=3;seed=1}") == "train { epochs = 3; seed = 1 }\n"


def test_blocks_and_empty_lines() -> None:
    text = "\n\nlayer f(x)\n{\n\n\nparam w=0\n\n\n# about y\ny=x*w # behind\nreturn y\n\n}\nz=1\n"
    assert formatted(text) == (
        "layer f(x) {\n  param w = 0\n\n  # about y\n  y = x * w  # behind\n  return y\n}\n"
        "z = 1\n"
    )


def test_continuations() -> None:
    text = "a = x |> f(1)\n|> g\n|> h\nb = f(x,\ny,\nz\n)\nc = a\n+ b\n"
    assert formatted(text) == (
        "a = x |> f(1)\n      |> g\n      |> h\nb = f(x,\n  y,\n  z\n)\nc = a\n  + b\n"
    )


def test_what_is_aligned_stays_aligned() -> None:
    text = (
        "param W1: [D,hidden]   = he()\nparam W2: [hidden,10]  = he()\n"
        "param b:  [3]          = 0\n\n"
        "short  = 1     # one\nlonger = 2+3   # two\nx = 1\nlong = 2\n"
    )
    assert formatted(text) == (
        "param W1: [D, hidden]  = he()\nparam W2: [hidden, 10] = he()\n"
        "param b:  [3]          = 0\n\n"
        "short  = 1      # one\nlonger = 2 + 3  # two\nx = 1\nlong = 2\n"
    )


def test_comment_signs() -> None:
    assert formatted("#a\n##doc\nx = 1 #b\n") == "# a\n## doc\nx = 1  # b\n"


def test_errors_are_reported() -> None:
    with pytest.raises(CompileError):
        formatted("x = +")
    assert formatted("") == "" and formatted("\n\n") == ""


# --------------------------------------------------------------------------- print_node


def undocumented(statements: tuple[ast.Statement, ...]) -> tuple[ast.Statement, ...]:
    found = []
    for statement in statements:
        changes: dict[str, Any] = {"doc": ""}
        if isinstance(statement, ast.Function | ast.Repeat | ast.For):
            changes["body"] = undocumented(statement.body)
        found.append(dataclasses.replace(statement, **changes))
    return tuple(found)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_printed_statements_parse_to_the_same(path: Path) -> None:
    program = parse(Source.from_text("a.net", path.read_text(encoding="utf-8")))
    for statement in undocumented(program.statements):
        text = print_node(statement)
        assert "\n" not in text
        (again,) = parse(Source.from_text("b.net", text)).statements
        assert undocumented((again,)) == (statement,)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("((a)) + (b*c)", "a + b * c"),
        ("(a + b) * c", "(a + b) * c"),
        ("(a + b) + c", "(a + b) + c"),
        ("a - (b - c)", "a - (b - c)"),
        ("(-x)^2", "(-x)^2"),
        ("-(x^2)", "-x^2"),
        ("(a^b)^c", "(a^b)^c"),
        ("(x + y)'", "(x + y)'"),
        ("x.T", "x'"),
        ("(x |> f)[0]", "(x |> f)[0]"),
        ("(if a then b else c) + 1", "(if a then b else c) + 1"),
        ("f((if a then b else c))", "f(if a then b else c)"),
        ("a · b ** 2", "a * b^2"),
        ("(not a) == b", "(not a) == b"),
    ],
)
def test_fewest_parentheses(text: str, printed: str) -> None:
    (statement,) = parse(Source.from_text("a.net", f"y = {text}")).statements
    assert print_node(statement) == f"y = {printed}"


def test_width() -> None:
    (statement,) = parse(
        Source.from_text(
            "a.net", "loss L = -log(sigmoid(w3 * sigmoid(w2 * sigmoid(w1 * x))))"
        )
    ).statements
    assert print_node(statement, 40) == "loss L = -log(sigmoid(w3 * sigmoid(…)))"
    assert print_node(statement, 20) == "loss L = -log(…)"
    assert print_node(statement, 10) == "loss L =…"
    assert len(print_node(statement, 200)) > 40
