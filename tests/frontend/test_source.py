from __future__ import annotations

from gradc.compiler.source import Source, normalise


def test_line_ends_and_mark_are_normalised() -> None:
    assert normalise("\ufeffa\r\nb\rc\n\rd") == "a\nb\nc\n\nd"


def test_positions_count_characters_from_one() -> None:
    source = Source.from_text("a.net", "αβ = 1\n\nγ = 2")
    assert source.line_count == 3
    assert source.position(0) == (1, 1)
    assert source.position(5) == (1, 6)
    assert source.position(6) == (1, 7)  # the line end belongs to its line
    assert source.position(7) == (2, 1)
    assert source.position(8) == (3, 1)
    assert source.position(len(source.text)) == (3, 6)
    assert [source.line_text(n) for n in range(0, 5)] == ["", "αβ = 1", "", "γ = 2", ""]


def test_span() -> None:
    source = Source.from_text("a.net", "x = 1\ny = x +\n")
    span = source.span(6, 7)
    assert (span.line, span.col, span.text, str(span)) == (2, 1, "y", "a.net:2:1")
    assert span.to(source.span(10, 11)).text == "y = x"
