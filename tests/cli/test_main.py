"""Verbs, flags and statuses: every mistake is one message with the right status."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from gradc.cli.exits import MEANINGS, Exit
from gradc.cli.main import VERBS
from gradc.cli.terminal import Terminal, columns, wants_color
from gradc.compiler.errors import InternalError
from gradc.errors import CheckpointError, DataError, NonFiniteError, SettingError


def test_help_names_every_verb_and_every_status(gradc: Any) -> None:
    done = gradc("--help")
    assert done.code == 0 and done.err == ""
    for verb in VERBS:
        assert f"  {verb} " in done.out
    for code, meaning in MEANINGS.items():
        assert f" {int(code)}  {meaning}" in done.out


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(gradc: Any, verb: str) -> None:
    done = gradc(verb, "--help")
    assert done.code == 0 and done.err == ""
    assert done.out.startswith(f"usage: gradc {verb} ")
    assert "examples:" in done.out
    assert gradc("help", verb).out == done.out


def test_version(gradc: Any) -> None:
    from importlib.metadata import version

    done = gradc("--version")
    assert (done.code, done.out) == (0, f"gradc {version('gradc')}\n")


@pytest.mark.parametrize(
    ("words", "message", "help"),
    [
        (["trian"], "gradc has no verb `trian`", "did you mean `train`?"),
        (["digits.net"], "gradc has no verb `digits.net`", "gradc compile digits.net"),
        (["-O0"], "gradc has no flag `-O0`", "behind the verb"),
        (["train", "--epoch", "3"], "gradc train has no flag `--epoch`", "`--epochs`"),
        (["train", "a.net", "--epochs"], "--epochs: expected one argument", ""),
        (["train", "a.net", "--epochs", "many"], "'many' is not a whole number", ""),
        (["train", "a.net", "--epochs", "0"], "0 is not at least 1", ""),
        (["train", "a.net", "--epochs", "-1"], "-1 is below 0", ""),
        (["train", "a.net", "--seed", "9" * 20], "has more than 18 digits", ""),
        (["train"], "gradc train needs FILE", "gradc train --help"),
        (["compile", "a.net", "b.net"], "did not expect `b.net`", ""),
        (["compile", "a.net", "-O7"], "invalid choice: 7", ""),
        (["compile", "a.net", "--emit", "tree"], "invalid choice: 'tree'", ""),
        (["compile", "a.net", "--set", "hidden"], "not of the form NAME=VALUE", ""),
        (["compile", "a.net", "--color", "blue"], "invalid choice: 'blue'", ""),
        (["compile", "-e", "x^2"], "gradc compile -e comes with a later version", ""),
        (
            ["train", "a.net", "--resume=latest"],
            "there is no run of a.net in `runs` to resume",
            "",
        ),
        (["compile", "missing.net"], "there is no file `missing.net`", ""),
    ],
)
def test_mistakes_of_the_command_line(
    gradc: Any, tmp_path: Any, words: list[str], message: str, help: str
) -> None:
    (tmp_path / "a.net").write_text("input x\noutput y = 2 * x\n")
    done = gradc(*words)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err and help in done.err
    assert done.err.startswith("error[")


def test_no_words_at_all(gradc: Any) -> None:
    done = gradc()
    assert done.code == 2 and done.out == "" and "usage: gradc VERB" in done.err


def test_limits_are_checked(gradc: Any, tmp_path: Any) -> None:
    (tmp_path / "a.net").write_text("input x\noutput y = 2 * x\n")
    assert (
        "did you mean `nesting`" in gradc("compile", "a.net", "--limit", "nestin=9").err
    )
    assert (
        "not a whole number" in gradc("compile", "a.net", "--limit", "nesting=lots").err
    )
    (tmp_path / "a.net").write_text("input x\noutput y = ((((2)))) * x\n")
    assert gradc("compile", "a.net", "-o", "-", "--limit", "nesting=2").code == 3


# --------------------------------------------------------------------------- failures


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `gradc fmt` raise this."""
    import gradc.cli.fmt as verb

    def run(args: Namespace, terminal: Terminal) -> Exit:
        raise error

    monkeypatch.setattr(verb, "run", run)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (SettingError("no such optimiser"), 2, "error: no such optimiser"),
        (
            DataError("wine.csv:3: empty", "say what"),
            4,
            "wine.csv:3: empty\n  say what",
        ),
        (CheckpointError("damaged"), 5, "damaged"),
        (NonFiniteError("loss became inf at step 12"), 6, "loss became inf"),
        (MemoryError(), 7, "out of memory"),
        (
            OSError(errno.ENOSPC, "No space left on device", "r/a"),
            7,
            "`r/a`: No space left",
        ),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x" * 999),
            2,
            "x`: File name too",
        ),
        (
            OSError(errno.EACCES, "Permission denied", "r/a"),
            2,
            "`r/a`: Permission denied",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_each_failure_has_its_status(
    gradc: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
    message: str,
) -> None:
    failing(error, monkeypatch)
    done = gradc("fmt", "a.net")
    assert done.code == code
    assert message in done.err


def test_a_bug_writes_a_report(
    gradc: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(ZeroDivisionError("division by zero"), monkeypatch)
    done = gradc("fmt", "a.net")
    assert done.code == 70
    assert "this is a bug in gradc, in stage `gradc fmt`" in done.err
    (report,) = tmp_path.glob("gradc-bug-*.txt")
    assert str(report) in done.err
    text = report.read_text()
    assert "ZeroDivisionError: division by zero" in text and "['gradc', 'fmt'" in text


def test_a_bug_of_the_compiler_names_its_stage(
    gradc: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(InternalError("grad", "no rule"), monkeypatch)
    assert "in stage `grad`" in gradc("fmt", "a.net").err


def test_an_unexpected_error_in_a_stage_is_a_bug_in_it(
    gradc: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    import gradc.compiler.driver as driver

    def broken(*given: object, **more: object) -> object:
        raise KeyError("lost")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(driver, "schedule", broken)
    (tmp_path / "a.net").write_text("input x\noutput y = 2 * x\n")
    done = gradc("compile", "a.net")
    assert (
        done.code == 70 and "in stage `schedule`" in done.err and "KeyError" in done.err
    )
    assert not (tmp_path / "a_net.py").exists()


# ---------------------------------------------------------------------------- streams


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "environment", "terminal", "expected"),
    [
        ("auto", {}, False, False),
        ("auto", {}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_when_there_are_colours(
    choice: str, environment: dict[str, str], terminal: bool, expected: bool
) -> None:
    stream = Screen() if terminal else io.StringIO()
    assert wants_color(choice, stream, environment) is expected


def test_colour_of_a_mistake_in_the_command_line(gradc: Any) -> None:
    assert "\x1b[" in gradc("fmt", "--color", "always", "--chek").err
    assert "\x1b[" in gradc("fmt", "--color=always", "--chek").err
    assert "\x1b[" not in gradc("fmt", "--chek").err


def test_columns() -> None:
    assert columns([("a", "1"), ("bcd", "22")], right=(1,)) == "a     1\nbcd  22"
    assert columns([]) == ""


@pytest.mark.parametrize("words", [["--help"], ["compile", "a.net", "-o", "-"]])
def test_a_closed_pipe_is_quiet(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "a.net").write_text("input x\noutput y = 2 * x\n")
    reader, writer = os.pipe()
    os.close(reader)
    script = "from gradc.cli import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_loads_neither_numpy_nor_the_compiler() -> None:
    script = (
        "import sys; from gradc.cli import main; main(['--help']); main(['--version']); "
        "bad = {'numpy', 'lark', 'black', 'gradc.compiler.driver'} & set(sys.modules); "
        "assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["\0", "x" * 5000, "\ud800", "\udcff.net", "/dev/zero", "a\nb", "."]
)
@pytest.mark.parametrize(
    "words",
    [
        ["compile", "NAME"],
        ["compile", "a.net", "-o", "NAME"],
        ["compile", "a.net", "-I", "NAME", "-o", "-"],
        ["fmt", "--check", "NAME"],
        ["eval", "NAME"],
        ["predict", "NAME"],
        ["predict", "a.net", "--data", "NAME"],
        ["predict", "a.net", "--data", "x=1", "-o", "NAME"],
        ["train", "a.net", "--data", "NAME"],
        ["new", "NAME"],
        ["new", "n", "--csv", "NAME"],
    ],
    ids=" ".join,
)
def test_names_that_no_file_has(
    gradc: Any, tmp_path: Path, words: list[str], name: str
) -> None:
    (tmp_path / "a.net").write_text("input x\noutput y = 2 * x\n")
    done = gradc(*(name if word == "NAME" else word for word in words))
    assert done.code in (0, 2, 3, 4, 5), done.err
