"""Every page keeps its word: console blocks are executed, sources are those of the compiler.

A block of a page runs in a copy of the tree, in the page's folder, one command after the
other, and each must succeed. A shell runs it, with a `gradc` that has everything imported
already (see `forked.py`). Lines below a command are what it prints, but for figures that
differ from machine to machine; a line `…` stands for any number of lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import Server

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
BESIDE = re.compile(r"^```(net|python) (\S+\.net)\n(.*?)^```$", re.M | re.S)
WITH_BLOCKS = [
    path for path in PAGES if CONSOLE.search(path.read_text(encoding="utf-8"))
]

# Done once by whoever runs this test: the environment is there, and it runs the tests.
INSTALL = re.compile(
    r"python3 -m venv \.venv && \.venv/bin/pip install \S+ '[^']+'(?: && )?"
)
NOT_AGAIN = re.compile(r"(?:\.venv/bin/)?pytest\b|\.ci/check\b|git clone\b")


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Each command of a block and the lines that it prints, if the page shows them."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            assert found, f"output without a command: {line}"
            found[-1][1].append(line)
    return found


def normal(line: str) -> str:
    """A line without what differs between machines: times, folders, rounded figures."""
    line = re.sub(r"\b\d+(\.\d+)?(e[+-]?\d+)?( ?(ms|s|MB|KiB|MiB)\b)", "#\\3", line)
    line = re.sub(r"\b\d+\.\d+(e[+-]?\d+)?\b", "#", line)
    line = re.sub(r"\b(best +epoch) +\d+|step-\d+", "\\1 #", line)
    line = re.sub(r"/tmp/\S*/", "", line)
    return re.sub(r"\s+", " ", line).strip()


def agrees(expected: list[str], said: list[str]) -> bool:
    """Whether a page shows what a command said; `…` stands for any lines."""
    if not expected:
        return not said
    if expected[0] == "…":
        return any(agrees(expected[1:], said[i:]) for i in range(len(said) + 1))
    return bool(said) and expected[0] == said[0] and agrees(expected[1:], said[1:])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def tree(tmp_path: Path, server: Server) -> Path:
    """What the pages speak of: a copy of the examples, and `.venv` with a `gradc`."""
    copy = tmp_path / "gradc"
    left_out = shutil.ignore_patterns("runs", "__pycache__")
    shutil.copytree(ROOT / "examples", copy / "examples", ignore=left_out)
    scripts = copy / ".venv" / "bin"
    scripts.mkdir(parents=True)
    server.install(scripts)
    return copy


@pytest.mark.parametrize(
    "page", WITH_BLOCKS, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_console_blocks_run(page: Path, tree: Path) -> None:
    folder = tree / page.parent.relative_to(ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PATH": f"{tree / '.venv' / 'bin'}:{os.environ['PATH']}",
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }
    for block in CONSOLE.findall(page.read_text(encoding="utf-8")):
        for command, shown in commands(block):
            command = INSTALL.sub("", command)
            if not command or NOT_AGAIN.match(command):
                continue
            result = subprocess.run(
                ["bash", "-o", "pipefail", "-c", f"{command}; code=$?; exit $code"],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
            )
            said = result.stdout
            if "echo $?" not in command:
                assert result.returncode == 0, f"$ {command}\n{said}"
            assert "Traceback" not in said, said
            if shown:
                expected = [normal(line) for line in shown]
                lines = [normal(line) for line in said.splitlines()]
                assert agrees(expected, lines), f"$ {command}\n{said}"


def test_the_install_command_is_known() -> None:
    """The one line that is not executed here is executed by CI, from the same words."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(INSTALL.findall(text)) == 1


def test_sources_beside_programs_are_the_compilers() -> None:
    """README shows a program and what becomes of it: every line is in the real output."""
    from gradc.compiler import Source, compile_source

    programs: dict[str, str] = {}
    compared = 0
    for language, name, text in BESIDE.findall((ROOT / "README.md").read_text("utf-8")):
        if language == "net":
            programs[name] = text
            continue
        source = compile_source(Source.from_text(name, programs[name])).source
        for piece in re.split(r"^\s*…\n", text, flags=re.M):
            assert piece in source
            compared += piece.count("\n")
    assert compared > 20


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            generated = target.endswith("_net.py")
            if (
                "://" not in target
                and not generated
                and not (page.parent / target).exists()
            ):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_ci_runs_the_command_that_readme_names() -> None:
    """One command checks everything, here and there."""
    command = ".ci/check"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"$ {command}\n" in readme
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.rstrip().endswith(f"\n{command}")
    for path in (ROOT / ".ci").iterdir():
        assert os.access(path, os.X_OK)
        subprocess.run(["bash", "-n", str(path)], check=True)
