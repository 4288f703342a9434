"""Every diagnostic has an essay: what it means, and a program that gets it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gradc.compiler.errors
from gradc.compiler.errors.essays import essay, essays
from gradc.health.judging import IDS

FOLDER = Path(str(gradc.compiler.errors.__file__)).parent


def ids() -> list[str]:
    """The ids of all diagnostics, read off the functions that make them."""
    found: dict[str, None] = {}
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name("Diagnostic"), args=[ast.Constant(str(id)), *_]
                ):
                    found.setdefault(id)
    return list(found)


def test_there_are_ids() -> None:
    assert len(ids()) > 200


@pytest.mark.parametrize("id", ids())
def test_every_id_is_answered(id: str) -> None:
    text = essay(id)
    assert text is not None, f"no section `## {id}` in compiler/errors/essays.md"
    assert text.startswith(f"# {id}\n")
    assert len(text) > 80


def test_no_essay_is_of_nothing() -> None:
    assert not set(essays()) - {*ids(), *IDS}  # errors, and findings of `diagnose`
    assert essay("nothing") is None
