from __future__ import annotations

import gc
from pathlib import Path

import pytest
from calls import calls

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend import ast
from gradc.compiler.frontend.parser import Limits, parse
from gradc.compiler.frontend.printer import print_node
from gradc.compiler.source import Source

SAMPLES = sorted((Path(__file__).parent.parent / "samples").glob("*.net"))


def program(text: str) -> ast.Program:
    return parse(Source.from_text("a.net", text))


def statement(text: str) -> ast.Statement:
    (found,) = program(text).statements
    return found


def expr(text: str) -> ast.Expr:
    found = statement(f"y = {text}")
    assert isinstance(found, ast.Define)
    return found.value


def same(a: str, b: str) -> bool:
    return expr(a) == expr(b)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_parse(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parsed = parse(Source.from_text(path.name, text))
    assert parsed.statements
    for node in ast.walk(parsed):
        assert 0 <= node.span.start <= node.span.end <= len(text)
        for child in ast.children(node):
            assert (
                node.span.start <= child.span.start <= child.span.end <= node.span.end
            )


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("a + b * c", "a + (b * c)"),
        ("-x^2", "-(x^2)"),
        ("2^-1", "2^(-1)"),
        ("2^3^2", "2^(3^2)"),
        ("-x * y", "(-x) * y"),
        ("a @ b' + c", "(a @ (b')) + c"),
        ("x'^2", "(x')^2"),
        ("not a == b", "not (a == b)"),
        ("not a and b or c", "((not a) and b) or c"),
        ("a < b and c >= d", "(a < b) and (c >= d)"),
        (
            "if a then b else if c then d else e",
            "if a then b else (if c then d else e)",
        ),
        ("if a then b else x |> f", "if a then b else (x |> f)"),
        ("f(x)[0]'", "((f(x))[0])'"),
        ("a ** b", "a ^ b"),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    assert print_node(expr(text)) == print_node(expr(grouped))


def test_left_to_right_is_flat() -> None:
    tree = expr("a - b + c")
    assert isinstance(tree, ast.Chain)
    assert tree.symbols == ("-", "+") and len(tree.operands) == 3
    assert [symbol for symbol, _, _ in tree.steps()] == ["-", "+"]
    grouped = expr("a - (b + c)")
    assert isinstance(grouped, ast.Chain) and len(grouped.operands) == 2


def test_other_spellings_of_times() -> None:
    assert same("a · b", "a * b") and same("a ⊙ b", "a * b") and same("a ∘ b", "a * b")


def test_layout_does_not_matter() -> None:
    assert same("x\n   |> f(1)\n   |> g", "x |> f(1) |> g")
    assert same("a\n  + b  # the second\n  - c", "a+b-c")
    assert program("a = 1; b = 2") == program("a = 1\nb = 2\n")


def test_pipe_is_flat_and_knows_its_places() -> None:
    tree = expr("x |> f(a, k = 1) |> g")
    assert isinstance(tree, ast.Pipe)
    first, second = tree.stages
    assert (first.name.text, len(first.args), first.parens) == ("f", 2, True)
    assert (second.name.text, second.args, second.parens) == ("g", (), False)
    assert first.arrow.text == "|>" and first.span.text == "f(a, k = 1)"


def test_parentheses_belong_to_the_span() -> None:
    tree = expr("(a + b) * c")
    assert isinstance(tree, ast.Chain)
    assert tree.operands[0].span.text == "(a + b)"
    assert ast.is_parenthesised(tree.operands[0]) and not ast.is_parenthesised(tree)
    assert isinstance(expr("(a + b) |> f"), ast.Pipe)


@pytest.mark.parametrize("text", ["a + b |> f", "-x |> f", "x^2 |> f", "a == b |> f"])
def test_pipe_needs_parentheses(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        expr(text)
    assert [d.id for d in caught.value.diagnostics] == ["pipe-mix"]


def test_numbers() -> None:
    for text, value in [
        ("64", 64),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("2.", 2.0),
        ("1E2", 100.0),
    ]:
        number = expr(text)
        assert isinstance(number, ast.Number)
        assert number.value == value and type(number.value) is type(value)


def test_index_items() -> None:
    tree = expr("x[:, 0, 1:n, *, ..., :k, i + 1]")
    assert isinstance(tree, ast.Index)
    kinds = [type(item).__name__ for item in tree.items]
    assert kinds == ["Slice", "Number", "Slice", "Stretch", "Rest", "Slice", "Chain"]
    whole, _, both, *_ = tree.items
    assert isinstance(whole, ast.Slice) and whole.start is None and whole.stop is None
    assert (
        isinstance(both, ast.Slice) and both.start is not None and both.stop is not None
    )


def test_types() -> None:
    leaf = statement("input a, b: int[..., *, ...S, 2 * n]")
    assert isinstance(leaf, ast.Input) and leaf.type is not None
    assert [name.text for name in leaf.names] == ["a", "b"]
    assert leaf.type.kind == "int"
    rest, stretch, pack, size = leaf.type.shape
    assert isinstance(rest, ast.Pack) and rest.name is None
    assert isinstance(stretch, ast.Stretch)
    assert (
        isinstance(pack, ast.Pack) and pack.name is not None and pack.name.text == "S"
    )
    assert isinstance(size, ast.Chain)
    scalar = statement("input y: bool")
    assert isinstance(scalar, ast.Input) and scalar.type is not None
    assert (scalar.type.kind, scalar.type.shape) == ("bool", ())


def test_statements() -> None:
    found = program(
        'use a, b from "lib.net"\nconst n = 2\ninput x\nparam w: [n] = he()\n'
        "state s: [n] = 0\nrandom e: [n] = normal(0, 1)\nfn f(x, k = 3) = x\n"
        "layer g(x: [..., d]) {\n  return x, x\n}\na, b: [n] = f(x)\nupdate s = a\n"
        "repeat i in 3 { a = f(a) }\nfor t in n { q[:, t] = a }\nloss = a\n"
        "loss fit over w, g = a\nmetric m: real = a\noutput p: [n] = a\noutput a, b\n"
        "train { optimizer = adam(lr = 1e-3); window T = 64 }\n"
    ).statements
    assert [type(node).__name__ for node in found] == [
        "Use", "Const", "Input", "Param", "State", "Random", "Function", "Function",
        "Define", "Update", "Repeat", "For", "Root", "Root", "Root", "Output",
        "OutputNames", "Train",
    ]  # fmt: skip
    short, block = found[6], found[7]
    assert isinstance(short, ast.Function) and short.short and short.kind == "fn"
    assert isinstance(short.body[0], ast.Return)
    assert short.formals[1].default == expr("3")
    assert isinstance(block, ast.Function) and not block.short and block.kind == "layer"
    unnamed, named = found[12], found[13]
    assert isinstance(unnamed, ast.Root) and unnamed.name is None and unnamed.over == ()
    assert isinstance(named, ast.Root) and [n.text for n in named.over] == ["w", "g"]
    train = found[-1]
    assert isinstance(train, ast.Train)
    assert train.settings[0].target is None
    assert train.settings[1].target is not None


def test_docs() -> None:
    found = program(
        "# A net.\n# Two lines.\n\n## The width.\nconst n = 3\n\n## Not of this:\n\n"
        "input x: [n]\n## One.\n## Two.\nlayer f(x) {\n  ## Inner.\n  param w = 0\n"
        "  return x * w\n}\ny = f(x)  ## behind\n"
    )
    assert found.doc == "A net.\nTwo lines."
    assert [statement.doc for statement in found.statements] == [
        "The width.", "", "One.\nTwo.", "",
    ]  # fmt: skip
    layer = found.statements[2]
    assert isinstance(layer, ast.Function) and layer.body[0].doc == "Inner."


def test_empty_and_comments_only() -> None:
    assert program("").statements == ()
    assert program("# only this\n").doc == "only this"
    assert program("\n\n \t\n").statements == ()


@pytest.mark.parametrize(
    "text",
    [
        "y = " + "(" * 64 + "1" + ")" * 64,
        "y = " + "f(" * 63 + "1" + ")" * 63,
        "y = " + "+".join(["a"] * 20_000),
        "y = " + " * ".join(["a"] * 20_000),
        "y = " + " and ".join(["a"] * 5_000),
        "y = x" + " |> f" * 5_000,
        "y = f(" + ", ".join(["a"] * 5_000) + ")",
        "y = " + "- " * 100 + "1",
        "\n".join("y = 1" for _ in range(5_000)),
    ],
)
def test_long_and_deep_within_the_limits(text: str) -> None:
    parsed = program(text)
    assert parsed == program(text)
    print_node(parsed)


@pytest.mark.parametrize(
    "text",
    [
        "y = " + "(" * 65 + "1" + ")" * 65,
        "y = " + "[" * 100_000,
        "y = " + "- " * 10_000 + "1",
        "y = " + "2^" * 10_000 + "2",
        "y = " + "not " * 10_000 + "a",
        "y = x" + "'" * 10_000,
        "y = x" + "[0]" * 10_000,
        "y = " + "if a then b else " * 10_000 + "c",
        "repeat 2 {" * 65 + "}" * 65,
        "y = " + "-(" * 5_000,
        "y = " + "(" * 60 + "- " * 300 + "1" + ")" * 60,
    ],
)
def test_too_deep_is_one_error(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        program(text)
    assert caught.value.diagnostics[0].id == "nesting"


def test_errors_do_not_hide_each_other() -> None:
    text = (
        "layer f(x) {\n  y = x +\n  z = y\n  return = z\n}\n"
        "q = 3 3\nrepeat 2 {\n  h = 1\n  k = (2\n  m = 3\n}\nlast = f(1,,2)\n"
    )
    with pytest.raises(CompileError) as caught:
        program(text)
    found = [(d.id, d.span.line if d.span else 0) for d in caught.value.diagnostics]
    assert found == [
        ("unfinished-line", 2),
        ("reserved-word", 4),
        ("missing-operator", 6),
        ("unclosed-bracket", 9),
        ("missing-operand", 12),
    ]


def test_line_ends_are_all_the_same() -> None:
    text = "a = 1\nb = a + 2  # comment\nc = b\n"
    assert program(text) == program(text.replace("\n", "\r\n"))
    assert program(text) == program(text.replace("\n", "\r"))
    assert program("\ufeff" + text) == program(text)


def test_work_grows_with_the_number_of_equations() -> None:
    def work(count: int) -> int:
        steps = (f"h{i + 1} = tanh(h{i} * 0.5 + x)\n" for i in range(count))
        text = "input x\nh0 = x\n" + "".join(steps)
        return calls(lambda: program(text))

    work(1)  # what is done once
    assert work(400) < 2.05 * work(200)
    assert gc.isenabled()


def test_work_grows_with_the_number_of_broken_statements() -> None:
    def broken(count: int) -> None:
        with pytest.raises(CompileError) as caught:
            program("y = = 1\n" * count)
        assert caught.value.more == count - 10

    broken(11)
    assert calls(lambda: broken(400)) < 2.05 * calls(lambda: broken(200))


def test_limits_can_be_raised() -> None:
    text = "y = " + "(" * 80 + "1" + ")" * 80
    with pytest.raises(CompileError):
        program(text)
    assert parse(Source.from_text("a.net", text), Limits(nesting=100))
