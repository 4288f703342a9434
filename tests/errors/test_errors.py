"""Every mistake has one message, and every message a mistake that gets it.

A case is a pair `name.net` and `name.expected`: the program, and what the compiler says of
it, exactly. A first line `# args: --set a=1 -I lib` gives options. The expected texts are
written by `pytest --update-golden`. Libraries that cases use are in `lib/`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import gradc.compiler.errors
from gradc.compiler.driver import Options, compile_source
from gradc.compiler.errors import CompileError, Diagnostic, render
from gradc.compiler.source import Source

HERE = Path(__file__).parent
CASES = sorted(path.stem for path in HERE.glob("*.net"))

# The files of prose whose messages have goldens here, all of them.
THEMES = (
    "text",
    "syntax",
    "names",
    "settings",
    "shapes",
    "calls",
    "program",
    "derivatives",
    "windows",
    "matrices",
    "loops",
)

# Messages that no file of this folder can bring about, and the test that does.
ELSEWHERE = {
    "program.too_many_nodes": "lowering/test_program_limits.py",
    "program.too_slow": "cli/test_compile.py",
    "text.file_too_large": "frontend/test_limits.py",
    "names.too_many_files": "frontend/test_includes.py",
    "names.used_too_deeply": "frontend/test_includes.py",
    "names.files_too_large": "frontend/test_includes.py",
    "names.use_without_folder": "frontend/test_includes.py",
    "names.use_no_file": "frontend/test_includes.py",
}


def options(text: str) -> Options:
    """What the first line of a case asks for."""
    first = text.split("\n", 1)[0]
    words = shlex.split(first[7:]) if first.startswith("# args:") else []
    overrides: dict[str, str] = {}
    folders: list[Path] = []
    wrt: tuple[str, ...] = ()
    for word, value in zip(words[::2], words[1::2], strict=True):
        if word == "-I":
            folders.append(HERE / value)
        elif word == "--wrt":
            wrt = tuple(value.split(","))
        else:
            assert word == "--set", word
            name, _, given = value.partition("=")
            overrides[name] = given
    return Options(
        overrides=overrides, include_dirs=tuple(folders), folder=HERE, wrt=wrt
    )


def diagnostics(name: str) -> tuple[tuple[Diagnostic, ...], int]:
    """What the compiler has to say of a case, and how many errors it kept to itself."""
    text = (HERE / f"{name}.net").read_bytes().decode("utf-8")
    source = Source.from_text(f"{name}.net", text)
    try:
        return compile_source(source, options(text)).warnings, 0
    except CompileError as error:
        return error.diagnostics, error.more


def said(name: str) -> str:
    found, more = diagnostics(name)
    parts = [render(diagnostic) for diagnostic in found]
    if more:
        parts.append(f"… and {more} more")
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(HERE / f"{name}.expected", said(name))


@pytest.mark.parametrize("name", CASES)
def test_something_is_said_at_its_place(name: str) -> None:
    found, _ = diagnostics(name)
    assert found
    for diagnostic in found:
        text = render(diagnostic)
        assert diagnostic.message and "\n" not in diagnostic.message
        assert not diagnostic.message.endswith(".")
        if diagnostic.span is not None:
            caret = next(line for line in text.split("\n") if "^" in line)
            assert caret.index("^") >= 4


def test_no_orphans() -> None:
    expected = {path.stem for path in HERE.glob("*.expected")}
    assert expected == set(CASES)


def prose() -> dict[str, Callable[..., Diagnostic]]:
    """All functions that make a diagnostic, by module and name."""
    found = {}
    for info in pkgutil.iter_modules(gradc.compiler.errors.__path__):
        if info.name not in THEMES:
            continue
        module = importlib.import_module(f"gradc.compiler.errors.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            returns = str(inspect.signature(function).return_annotation)
            own = function.__module__ == module.__name__
            if own and returns == "Diagnostic":
                found[f"{info.name}.{name}"] = function
    return found


def test_every_message_has_a_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[tuple[str, str], set[str]] = {}  # by id and message: notes are added

    def record(
        name: str, function: Callable[..., Diagnostic]
    ) -> Callable[..., Diagnostic]:
        def recorded(*args: object, **kwargs: object) -> Diagnostic:
            diagnostic = function(*args, **kwargs)
            made.setdefault((diagnostic.id, diagnostic.message), set()).add(name)
            return diagnostic

        return recorded

    functions = prose()
    for name, function in functions.items():
        module, _, attribute = name.partition(".")
        monkeypatch.setattr(
            f"gradc.compiler.errors.{module}.{attribute}", record(name, function)
        )
    produced: set[str] = set()
    for case in CASES:
        for diagnostic in diagnostics(case)[0]:
            produced |= made.get((diagnostic.id, diagnostic.message), set())
    missing = set(functions) - produced - set(ELSEWHERE)
    assert not missing, f"no golden produces {sorted(missing)}"
    assert set(ELSEWHERE) <= set(functions)
    for name, path in ELSEWHERE.items():
        assert name.partition(".")[2] in (HERE.parent / path).read_text()


def test_every_id_is_said_by_one_theme() -> None:
    """Ids are documented by `gradc explain`: one id may have several wordings, but only
    within one file of prose."""
    themes: dict[str, set[str]] = {}
    for case in CASES:
        for diagnostic in diagnostics(case)[0]:
            themes.setdefault(diagnostic.id, set())
    assert all(id_ == id_.lower() and " " not in id_ for id_ in themes)
