"""The cache of compiled modules: what finds an entry, what does not, what is never trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gradc.compiler
from gradc.cli import cache
from gradc.compiler import Compiled, CompileError, Options, Source

NET = "const k = 2\ninput x: [N]\nparam w = 0.5\nloss = mean((k * w * x - 1)^2)\n"
LUCK = "const a = 3\nconst b = 3\ninput x: [N, a]\nparam W: [b, 2] = normal()\noutput y = x @ W\n"

Compiling = Callable[..., Compiled]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "cache"
    monkeypatch.setenv("GRADC_CACHE", str(made))
    return made


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that were compiled, one entry a compilation."""
    made: list[str] = []
    compile_source = gradc.compiler.compile_source

    def compiling(source: Source, options: Options | None = None) -> Compiled:
        made.append(source.text)
        return compile_source(source, options)

    monkeypatch.setattr(gradc.compiler, "compile_source", compiling, raising=False)
    return made


def once(text: str, options: Options | None = None, name: str = "a.net") -> Compiled:
    return cache.compiled_once(Source.from_text(name, text), options or Options())


def test_a_second_compilation_is_the_first(
    folder: Path, compilations: list[str]
) -> None:
    first, second = once(NET), once(NET)
    assert compilations == [NET]
    assert second == first
    assert [file.suffix for file in folder.iterdir()] == [".json"]
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [
        {"text": NET.replace("0.5", "0.25")},
        {"name": "b.net"},
        {"options": Options(level=0)},
        {"options": Options(overrides={"k": "3"})},
        {"options": Options(wrt=("x",))},
        {"options": Options(complex=True)},
        {"options": replace(Options(), limits=replace(Options().limits, nodes=10_000))},
    ],
)
def test_whatever_counts_is_in_the_key(
    folder: Path, compilations: list[str], change: dict[str, Any]
) -> None:
    once(NET)
    once(**{"text": NET, **change})
    assert len(compilations) == 2
    once(NET)
    assert len(compilations) == 2


def test_another_compiler_is_in_the_key(
    folder: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    once(NET)
    before = cache.compiler_digest()
    monkeypatch.setattr(gradc.compiler, "__version__", "9.9.9")
    assert cache.compiler_digest() != before
    once(NET)
    assert len(compilations) == 2


def test_libraries_are_in_the_key(folder: Path, tmp_path: Path) -> None:
    library = tmp_path / "lib.net"
    text = 'use double from "lib.net"\ninput x: [N]\noutput y = double(x)\n'
    options = Options(folder=tmp_path)
    library.write_text("fn double(x) = 2 * x\n")
    first = once(text, options)
    assert once(text, options) == first and first.libraries
    library.write_text("fn double(x) = x * 2 + 1\n")
    second = once(text, options)
    assert second.source != first.source
    assert len(list(folder.iterdir())) == 2
    library.unlink()
    with pytest.raises(CompileError, match="use-not-found"):
        once(text, options)


def test_warnings_are_shown_again(folder: Path, compilations: list[str]) -> None:
    first = once(LUCK)
    assert [w.id for w in first.warnings] == ["same-by-luck"]
    second = once(LUCK)
    assert len(compilations) == 1
    render = gradc.compiler.errors.render
    assert list(map(render, second.warnings)) == list(map(render, first.warnings))


def test_mistakes_are_not_kept(folder: Path, compilations: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(CompileError):
            once("output y = nothing\n")
    assert len(compilations) == 2 and not folder.exists()


def _spoilt(data: bytes) -> list[bytes]:
    head, _, body = data.partition(b"\n")
    document = json.loads(body)
    document["source"] = "import os\n"
    other = json.dumps(document).encode()
    shape = b"[]"
    return [
        b"",
        data[:-1],
        data.replace(b"mean", b"mxan", 1),
        head + b"\n" + other,  # another content with the old digest
        cache.digest(shape).encode() + b"\n" + shape,  # whole, of another form
        b"\xff\xfe" + data,
    ]


@pytest.mark.parametrize("case", range(6))
def test_what_is_damaged_is_replaced(
    folder: Path, compilations: list[str], case: int
) -> None:
    first = once(NET)
    (entry,) = folder.iterdir()
    good = entry.read_bytes()
    entry.write_bytes(_spoilt(good)[case])
    assert once(NET) == first
    assert len(compilations) == 2
    assert entry.read_bytes() == good


def test_without_a_folder_that_can_be_written_nothing_is_kept(
    tmp_path: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for named in (str(file / "cache"), "/proc/none/gradc", "off", ""):
        monkeypatch.setenv("GRADC_CACHE", named)
        assert once(NET) == once(NET)
    assert len(compilations) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = tmp_path / ".cache" / "gradc"
    assert cache.folder_of({}) == usual
    assert cache.folder_of({"XDG_CACHE_HOME": "/x"}) == Path("/x/gradc")
    assert cache.folder_of({"XDG_CACHE_HOME": "relative"}) == usual
    assert cache.folder_of({"GRADC_CACHE": "/y", "XDG_CACHE_HOME": "/x"}) == Path("/y")
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert cache.folder_of({}) is None


def test_of_many_entries_the_latest_stay(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 4)
    texts = [NET + f"# {k}\n" for k in range(6)]
    for text in texts:
        once(text)
    kept = {file.stem for file in folder.iterdir()}
    assert 2 <= len(kept) <= 4
    assert cache.key_of(Source.from_text("a.net", texts[-1]), Options()) in kept


def test_a_command_finds_what_another_has_compiled(
    gradc: Any, folder: Path, compilations: list[str], tmp_path: Path
) -> None:
    (tmp_path / "twice.net").write_text("input x: [N, 3]\noutput y = 2 * x\n")
    (tmp_path / "x.csv").write_text("p,q,r\n1,2,3\n")
    words = ("predict", "twice.net", "--data", "x.csv")
    first = gradc(*words)
    second = gradc(*words)
    assert first.code == 0 and (first.out, first.err) == (second.out, second.err)
    assert len(compilations) == 1
