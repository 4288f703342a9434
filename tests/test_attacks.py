"""Programs that try to reach through the compiler: into Python, out of their folder, on and on.

Each file of `attacks/` is compiled by the command as a user would. Either it is refused (exit
code 3), or nothing of the attack is in the output: the source passes the guard, no word of
the attack is a token of it, and where there is a loss the gradients are right all the same.
"""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import Server

FOLDER = Path(__file__).parent / "attacks"
ATTACKS = sorted(FOLDER.glob("*.net"))
WORDS = {"pwned", "os", "sys", "eval", "exec", "open", "compile", "globals", "getattr"}


@pytest.fixture(scope="module")
def gradc() -> Iterator[Server]:
    """The command, with 20 seconds of the processor (10 where nothing else runs), 1 GiB."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONUTF8": "1"}
    if "PYTHONPATH" in os.environ:
        bare["PYTHONPATH"] = os.environ["PYTHONPATH"]
    with Server(bare, seconds=20, memory=1 << 30) as server:
        yield server


def code_words(source: str) -> set[str]:
    """The names and the strings of a module; comments and docstrings are only read by people."""
    words = set()
    previous = tokenize.INDENT
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            words.add(token.string)
        docstring = previous in (tokenize.INDENT, tokenize.NEWLINE, tokenize.NL)
        if token.type == tokenize.STRING and not docstring:
            words.add(token.string.strip("f\"'"))
        if token.type != tokenize.COMMENT:
            previous = token.type
    return words


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.stem)
def test_attack_is_refused_or_leaves_no_trace(
    path: Path, tmp_path: Path, gradc: Server
) -> None:
    from gradc.compiler.backend.guard import check

    # A bomb takes seconds to reach the default limit; one is enough to see that it holds.
    bomb = path.stem.startswith("bomb-") and path.stem != "bomb-calls"
    limits = ["--limit", "nodes=20000"] if bomb else []
    result = gradc("compile", path, "-o", "-", *limits, cwd=tmp_path)
    assert result.code in (0, 3), result.stderr
    assert not list(tmp_path.iterdir())
    if result.code == 3:
        assert result.stdout == ""
        assert "error[" in result.stderr
        assert "\x1b" not in result.stderr and "\x00" not in result.stderr
        return
    check(result.stdout)
    words = code_words(result.stdout)
    assert not words & WORDS
    assert not any("pwned" in word for word in words)
    if "def backward(" in result.stdout:
        result = gradc("check", path, cwd=tmp_path)
        assert result.code == 0, result.stderr


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("data-*.net")), ids=lambda path: path.stem
)
def test_data_outside_the_folder_are_not_read(
    path: Path, tmp_path: Path, gradc: Server
) -> None:
    result = gradc("train", path, cwd=tmp_path)
    assert result.code in (3, 4), result.stderr
    assert "root:" not in result.stderr and "setuptools" not in result.stderr
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize("verb", ["compile", "train"])
def test_links_out_of_the_folder_are_not_followed(
    verb: str, tmp_path: Path, gradc: Server
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "blocks.net").write_text("fn pwned(v) = v\n")
    (outside / "data.csv").write_text("x\n1\n2\n3\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    for name in ("blocks.net", "data.csv"):
        (inside / name).symlink_to(outside / name)
    program = {
        "compile": 'use pwned from "blocks.net"\ninput x\noutput y = pwned(x)\n',
        "train": "param w = 0.5\ninput x: [N]\nloss L = mean((w * x - 1)^2)\n"
        'train { data = "data.csv"; epochs = 1 }\n',
    }
    (inside / "link.net").write_text(program[verb])
    result = gradc(verb, "link.net", cwd=inside)
    assert result.code in (3, 4), result.stderr


@pytest.mark.parametrize(
    "value",
    [
        "__import__('os')",
        "1; import pwned",
        '"pwned"',
        "1\rimport pwned",
        "1\n2",
        "9^9^9^9",
        "x",
        "1e999",
        "(" * 1000,
        "",
    ],
)
def test_values_on_the_command_line_are_numbers_only(
    value: str, tmp_path: Path, gradc: Server
) -> None:
    (tmp_path / "n.net").write_text("const n = 2\ninput x\noutput y = n * x\n")
    result = gradc("compile", "n.net", "--set", f"n={value}", "-o", "-", cwd=tmp_path)
    assert result.code in (2, 3), result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "name",
    [
        'a"""\nimport pwned\n"""',
        "a\rimport pwned",
        "a'; import pwned #",
        "a\\",
        "a\u202eb",
        "# coding: utf-7",
    ],
)
def test_names_of_files_stay_text(name: str, tmp_path: Path, gradc: Server) -> None:
    """A file may be called anything; its name is quoted in the header and on every block."""
    from gradc.compiler.backend.guard import check

    path = tmp_path / f"{name}.net"
    path.write_text("input x\noutput y = exp(x)\n")
    result = gradc("compile", path, "-o", "-", cwd=tmp_path)
    assert result.code in (0, 2, 3), result.stderr
    if result.code == 0:
        check(result.stdout)
        assert not code_words(result.stdout) & WORDS


def test_a_file_beyond_the_limit_is_refused_unread(
    tmp_path: Path, gradc: Server
) -> None:
    path = tmp_path / "big.net"
    path.write_text("input x\noutput y = x\n" + " " * (2 << 20))
    result = gradc("compile", path, "-o", "-", cwd=tmp_path)
    assert result.code == 3, result.stderr


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 60
