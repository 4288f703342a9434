"""`gradc fmt`: what it writes, what it says, and with which status it leaves."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROUGH = "input   x\noutput y=2*x   # twice\n"
FINE = "input x\noutput y = 2 * x  # twice\n"


def test_rewrites_a_file_and_keeps_its_comments(gradc: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.net"
    file.write_text(ROUGH)
    file.chmod(0o640)
    done = gradc("fmt", "a.net")
    assert (done.code, done.out) == (0, "")
    assert done.err == "reformatted a.net\n1 file reformatted\n"
    assert "# twice" in file.read_text() and file.read_text() != ROUGH
    assert file.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["a.net"]
    again = gradc("fmt", "a.net")
    assert (again.code, again.err) == (0, "1 file left unchanged\n")


def test_check_changes_nothing(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "a.net").write_text(ROUGH)
    done = gradc("fmt", "--check", ".")
    assert done.code == 1
    assert done.err == "would reformat a.net\n1 file would be reformatted\n"
    assert (tmp_path / "a.net").read_text() == ROUGH
    assert gradc("fmt", "a.net").code == 0
    assert gradc("fmt", "--check", "a.net").code == 0


def test_diff(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "a.net").write_text(ROUGH)
    done = gradc("fmt", "--diff", "a.net")
    assert done.code == 0
    assert "-output y=2*x   # twice\n" in done.out and "+output y = 2 * x" in done.out
    assert (tmp_path / "a.net").read_text() == ROUGH
    assert gradc("fmt", "--diff", "--check", "a.net").code == 1


def test_stdin_to_stdout(gradc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def feed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    feed(ROUGH)
    done = gradc("fmt", "-")
    assert done.code == 0 and done.err == "" and "# twice" in done.out
    feed(done.out)
    assert gradc("fmt", "-").out == done.out
    feed("input x\noutput y = (2\n")
    broken = gradc("fmt", "-", "--filename-in-msg", "b.net")
    assert broken.code == 3 and broken.err.startswith("b.net:2:12: error[")


def test_a_broken_file_is_left_alone_and_the_others_are_done(
    gradc: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.net").write_text("output y = (2\n")
    (tmp_path / "b.net").write_text(ROUGH)
    done = gradc("fmt", ".")
    assert done.code == 3
    assert (tmp_path / "a.net").read_text() == "output y = (2\n"
    assert (tmp_path / "b.net").read_text() != ROUGH
    assert done.err.startswith("a.net:1:")
    assert done.err.endswith(
        "reformatted b.net\n1 file reformatted, 1 file with errors\n"
    )


def test_line_ends_become_newlines(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "a.net").write_bytes(b"\xef\xbb\xbfinput x\r\noutput y = x\r\n")
    assert gradc("fmt", "a.net").code == 0
    assert (tmp_path / "a.net").read_bytes() == b"input x\noutput y = x\n"


def test_json(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "a.net").write_text(ROUGH)
    done = gradc("fmt", "--check", "--json", "a.net")
    assert json.loads(done.out) == {"changed": ["a.net"], "unchanged": [], "broken": []}
    assert done.err == "" and done.code == 1


def test_files_that_are_not_there(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert "there is no .net file in `sub`" in gradc("fmt", "sub").err
    (tmp_path / "digits.net").write_text(FINE)
    done = gradc("fmt", "digit.net")
    assert done.code == 2 and "did you mean `digits.net`?" in done.err


def test_bytes_that_are_no_text(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "a.net").write_bytes(b"input x\noutput y = \xff\n")
    done = gradc("fmt", "a.net")
    assert done.code == 3 and "a.net:2: the file is not UTF-8" in done.err
