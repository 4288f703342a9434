"""Every program in the documentation compiles, or is refused as the text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradc.compiler import CompileError, compile_source
from gradc.compiler.source import Source

ROOT = Path(__file__).parent.parent
FENCE = re.compile(
    r"^```net(?: error=(?P<id>[a-z-]+))?\n(?P<text>.*?)^```$", re.M | re.S
)


Block = tuple[str, str, str | None]  # file:line, the program, the error that it shows


def blocks() -> list[Block]:
    found: list[Block] = []
    for path in sorted(ROOT.rglob("*.md")):
        if any(part.startswith(".") for part in path.relative_to(ROOT).parts):
            continue
        text = path.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(
                (f"{path.relative_to(ROOT)}:{line}", match["text"], match["id"])
            )
    return found


BLOCKS = blocks()


def test_there_are_programs_in_the_documentation() -> None:
    assert len(BLOCKS) >= 8


@pytest.mark.parametrize(("name", "text", "error"), BLOCKS, ids=[b[0] for b in BLOCKS])
def test_a_program_of_the_documentation(
    name: str, text: str, error: str | None
) -> None:
    source = Source.from_text("doc.net", text)
    if error is None:
        assert "import numpy as np" in compile_source(source).source
        return
    with pytest.raises(CompileError) as caught:
        compile_source(source)
    assert [d.id for d in caught.value.diagnostics] == [error]
