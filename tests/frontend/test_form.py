from __future__ import annotations

import pytest

from gradc.compiler.errors.form import (
    MOST_ERRORS,
    CompileError,
    Diagnostic,
    Reporter,
    did_you_mean,
    edit_distance,
    listed,
    render,
)
from gradc.compiler.source import Source

SOURCE = Source.from_text(
    "mlp.net", "\n" * 8 + "U = H @ W3\n" + "\n" * 2 + "train { o = 1 }\n"
)


def test_house_form() -> None:
    diagnostic = Diagnostic(
        "unknown-name",
        SOURCE.span(16, 18),
        "nothing named `W3` is defined above this line",
        label="not defined",
        notes=(("help", "did you mean `W2` (param, line 6)?"),),
    )
    assert render(diagnostic) == (
        "mlp.net:9:9: error[unknown-name]: nothing named `W3` is defined above this line\n"
        "  |\n"
        "9 | U = H @ W3\n"
        "  |         ^^ not defined\n"
        "  = help: did you mean `W2` (param, line 6)?"
    )


def test_two_digits_and_several_notes() -> None:
    start = SOURCE.text.index("train") + 8
    diagnostic = Diagnostic(
        "unknown-setting",
        SOURCE.span(start, start + 1),
        "no such setting",
        notes=(("", "settings: batch"), ("help", "did you mean\nthis?")),
    )
    assert render(diagnostic).split("\n")[1:] == [
        "   |",
        "12 | train { o = 1 }",
        "   |         ^",
        "   = settings: batch",
        "   = help: did you mean",
        "           this?",
    ]


def test_without_a_place() -> None:
    diagnostic = Diagnostic(
        "unknown-const", None, "`--set a=1`: no", notes=(("", "b"),)
    )
    assert render(diagnostic) == "error[unknown-const]: `--set a=1`: no\n  = b"


def test_carets_stand_under_wide_and_combining_characters() -> None:
    source = Source.from_text("a.net", "x = '漢字' + e\u0301 ? y\n")
    at = source.text.index("?")
    lines = render(Diagnostic("i", source.span(at, at + 1), "m")).split("\n")
    # Four columns for the two wide characters, none for the accent.
    assert lines[3].index("^") == len("1 | ") + at + 2 - 1


def test_terminal_is_safe_and_columns_stay() -> None:
    source = Source.from_text("a\x1b[31m.net", "a\tb \x1b[0m \u202e c = ?\n")
    at = source.text.index("?")
    text = render(Diagnostic("i", source.span(at, at + 1), "m \x07"))
    assert "\x1b" not in text and "\u202e" not in text and "\x07" not in text
    assert text.split("\n")[3].index("^") == len("1 | ") + at


def test_span_over_several_lines_ends_with_the_first() -> None:
    source = Source.from_text("a.net", "abc\ndef\n")
    assert render(Diagnostic("i", source.span(1, 6), "m")).endswith("  |  ^^")


def test_long_lines_are_cut_around_the_caret() -> None:
    source = Source.from_text("a.net", "x" * 5000 + "?" + "y" * 5000)
    lines = render(Diagnostic("i", source.span(5000, 5001), "m")).split("\n")
    assert len(lines[2]) < 200
    assert lines[2][lines[3].index("^")] == "?"


def test_color_only_adds_escapes() -> None:
    import re

    diagnostic = Diagnostic("i", SOURCE.span(8, 9), "m", "label", (("rule", "r"),))
    colored = render(diagnostic, color=True)
    assert colored != render(diagnostic)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render(diagnostic)


def test_reporter_keeps_ten_counts_the_rest_and_drops_doubles() -> None:
    reporter = Reporter()
    source = Source.from_text("a.net", "x" * 40)
    for i in range(13):
        for _ in range(2):
            reporter.report(Diagnostic("i", source.span(i, i + 1), f"m{i}"))
    reporter.report(Diagnostic("w", source.span(0, 1), "warned", level="warning"))
    assert len(reporter.errors) == MOST_ERRORS and reporter.is_full
    assert [warning.message for warning in reporter.warnings] == ["warned"]
    with pytest.raises(CompileError) as caught:
        reporter.raise_if_errors()
    assert caught.value.more == 3
    assert str(caught.value).endswith("… and 3 more errors")


def test_warnings_alone_raise_nothing() -> None:
    reporter = Reporter()
    reporter.report(Diagnostic("w", None, "warned", level="warning"))
    reporter.raise_if_errors()


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("abc", "acb", 1),
        ("hiden", "hidden", 1),
        ("a", "bc", 2),
    ],
)
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert edit_distance(a, b, 5) == distance == edit_distance(b, a, 5)


def test_edit_distance_gives_up() -> None:
    assert edit_distance("abcdef", "uvwxyz", 2) == 3
    assert edit_distance("a", "abcdef", 2) == 3


@pytest.mark.parametrize(
    ("name", "candidates", "meant"),
    [
        ("W3", ["W2", "W1"], "W2"),
        ("optimiser", ["epochs", "optimizer"], "optimizer"),
        ("Hidden", ["hidden"], "hidden"),
        ("cross_entrpy", ["entropy", "cross_entropy"], "cross_entropy"),
        ("crossentropy", ["cross_entropy"], "cross_entropy"),
        ("x", ["y", "z"], None),
        ("completely", ["different"], None),
        ("x", [], None),
    ],
)
def test_did_you_mean(name: str, candidates: list[str], meant: str | None) -> None:
    assert did_you_mean(name, candidates) == meant


def test_listed() -> None:
    assert listed(["a"]) == "`a`"
    assert listed(["a", "b", "c"]) == "`a`, `b` and `c`"
    assert listed(["a", "b"], "or") == "`a` or `b`"
