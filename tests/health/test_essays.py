"""The programs of the essays on findings: each gets its finding, or none, as it is marked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import gradc.compiler.errors
from gradc.cli import main
from gradc.compiler.errors.essays import essay
from gradc.health.judging import IDS

FENCE = re.compile(
    r"^```net finds=(?P<id>[a-z-]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
ESSAYS = Path(str(gradc.compiler.errors.__file__)).parent / "essays.md"
PROGRAMS = [(m["id"], m["text"]) for m in FENCE.finditer(ESSAYS.read_text("utf-8"))]


def findings(
    folder: Path, text: str, capsys: pytest.CaptureFixture[str], *flags: str
) -> list[str]:
    """The ids of what is found in a program, on drawn data."""
    path = folder / "doc.net"
    path.write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert main(["diagnose", str(path), "--json", *flags]) == 0
    return [f["id"] for f in json.loads(capsys.readouterr().out)["findings"]]


@pytest.mark.parametrize("id", IDS)
def test_every_finding_has_an_essay(id: str) -> None:
    text = essay(id)
    assert text is not None and "What to do:" in text
    shown = [m["id"] for m in FENCE.finditer(text)]
    assert shown == ([] if id == "class-collapse" else [id, "nothing"])


@pytest.mark.parametrize(
    ("id", "text"), PROGRAMS, ids=[f"{k}-{p[0]}" for k, p in enumerate(PROGRAMS)]
)
def test_a_program_of_an_essay(
    id: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = findings(tmp_path, text, capsys, "--seed", "3", "--batches", "2")
    if id == "nothing":
        assert found == []
    else:
        assert id in found
