"""Sources: what feeds an input, and which files may be opened."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import pytest
from handwritten import LOGISTIC

from gradc.data import File, Next, Value, load, parse
from gradc.data.sources import combine, locate
from gradc.errors import DataError
from gradc.settings import Settings


def test_sources_are_parsed(tmp_path: Path) -> None:
    assert parse("f.csv") == (None, File("f.csv", trusted=True))
    assert parse("x=a/f.npz:images") == ("x", File("a/f.npz", "images", trusted=True))
    assert parse("x=f.csv:age,bmi") == ("x", File("f.csv", "age,bmi", trusted=True))
    assert parse("x=0.5") == ("x", Value(0.5)) and parse("x=true") == ("x", Value(True))
    assert parse("t=next(text)") == ("t", Next("text"))
    odd = tmp_path / "a=b.csv"
    odd.write_text("1\n")
    assert parse(str(odd)) == (None, File(str(odd), trusted=True))
    assert parse("-") == (None, File("-", trusted=True))


def test_the_command_line_wins_and_keeps_what_the_program_says_of_columns() -> None:
    program = [
        (None, File("a.csv")),
        ("y", File("a.csv", "label")),
        ("t", Next("x")),
        ("k", Value(2.0)),
    ]
    sources = combine(program, ["b.csv"])
    assert sources[None] == File("b.csv", trusted=True)
    assert sources["y"] == File("b.csv", "label", trusted=True, kept=True)
    assert sources["t"] == Next("x") and sources["k"] == Value(2.0)
    assert combine(program, ["y=c.npy"])["y"] == File("c.npy", trusted=True)
    for order in (["y=c.npy", "b.csv"], ["b.csv", "y=c.npy"]):
        assert combine(program, order)["y"] == File("c.npy", trusted=True)
    # a run that was trained on the user's files is evaluated on others of the user's
    trained = combine(program, ["x=x.npy", "y=y.npy"])
    assert combine(trained.items(), ["b.npz"])["x"] == File("b.npz", trusted=True)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.csv", "out/secret.csv", "link.csv"]
)
def test_a_program_does_not_leave_its_folder(tmp_path: Path, path: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret.csv").write_text("1\n")
    (home / "out").symlink_to(tmp_path)
    (home / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(DataError, match=r"--data "):
        locate(File(path), home)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, message in [
        ("pipe.csv", "no ordinary file"),
        ("folder.csv", "is a folder"),
        ("none.csv", "No such file"),
        ("a\0b", "NUL"),
    ]:
        with pytest.raises(DataError, match=message):
            locate(File(name), tmp_path)
    with pytest.raises(DataError, match="no ordinary file"):
        locate(File("/dev/zero", trusted=True), tmp_path)


def test_inputs_without_a_source_are_named(tmp_path: Path) -> None:
    sig = copy.deepcopy(LOGISTIC)
    with pytest.raises(
        DataError, match=r"nothing feeds the input x \(logistic.net:4\)"
    ):
        load(sig, Settings.of(sig), tmp_path)
    sig["train"] = {"data": [["z", {"path": "f.csv", "entry": None}]]}
    with pytest.raises(DataError, match="has no input 'z'"):
        load(sig, Settings.of(sig), tmp_path)
