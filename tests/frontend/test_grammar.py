"""The grammar itself, and that the scanner's tokens are those of its terminals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lark import Lark

from gradc.compiler.errors.form import Reporter
from gradc.compiler.frontend import tables
from gradc.compiler.frontend.scan import KEYWORDS, Limits, scan_source
from gradc.compiler.source import Source

SAMPLES = sorted((Path(__file__).parent.parent / "samples").glob("*.net"))
GRAMMAR = tables.GRAMMAR.read_text(encoding="utf-8")


def test_strict() -> None:
    """No conflicts, and no two terminals of which both could match."""
    pytest.importorskip("interegular", reason="needs interegular")
    Lark(GRAMMAR, parser="lalr", strict=True)


def test_every_word_of_the_grammar_is_reserved() -> None:
    words = set(re.findall(r'"([a-z]+)"', GRAMMAR))
    assert words == set(KEYWORDS)
    assert len(words) == 30


@pytest.fixture(scope="module")
def lexer() -> Lark:
    return Lark(GRAMMAR, parser="lalr")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_scanner_reads_the_grammars_terminals(path: Path, lexer: Lark) -> None:
    text = path.read_text(encoding="utf-8")
    expected = [
        (t.type, str(t), t.start_pos, t.line)
        for t in lexer.parse_interactive(text).exhaust_lexer()
    ]
    scan = scan_source(Source.from_text("a.net", text), Limits(), Reporter())
    found = [(t.type, t.text, t.span.start, t.line) for t in scan.tokens]
    assert found == expected


def test_kept_tables_are_those_of_the_grammar(
    golden: Callable[[Path, str], None],
) -> None:
    golden(tables.TABLES, tables.text())


def test_edited_grammar_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = tables.tables()
    stale = tmp_path / "net.json"
    stale.write_text('{"grammar": "of another"}', encoding="utf-8")
    monkeypatch.setattr(tables, "TABLES", stale)
    assert tables.tables.__wrapped__() == kept
    monkeypatch.setattr(tables, "TABLES", tmp_path / "none.json")
    assert tables.tables.__wrapped__() == kept
