"""`gradc diagnose` in this process, and what it found."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from gradc.cli import main


def report(path: Path | str, *flags: str) -> dict[str, Any]:
    """The whole document."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["diagnose", str(path), "--json", *flags])
    assert code == 0, err.getvalue()
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def findings(path: Path | str, *flags: str) -> list[tuple[str, int]]:
    """Each finding's id and line."""
    return [(f["id"], f["line"]) for f in report(path, *flags)["findings"]]


def trained(path: Path | str, out: Path, *flags: str) -> Path:
    """The folder of a run."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        code = main(["train", str(path), "--out", str(out), *flags])
    assert code == 0, shown.getvalue()
    return next(out.iterdir())
