"""The command line as a user has it: words in; status, stdout and stderr out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gradc.cli import main


@dataclass
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def steady(self) -> str:
        """stderr with what differs from run to run replaced: times and paths of reports."""
        text = re.sub(r"\d+\.\d+ s\b", "T s", self.err)
        return re.sub(r"\d+\.\d+ ms\b", "T ms", text)


Gradc = Callable[..., Done]


@pytest.fixture
def gradc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Gradc:
    """Run `main(words)` in an empty folder. It must never show a traceback."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Done:
        capsys.readouterr()
        code = main(list(words))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run `gradc` as a process of its own."""

    def run(*words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.run(
            [
                sys.executable,
                "-c",
                "from gradc.cli import main; raise SystemExit(main())",
                *words,
            ],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            env=environment,
            check=False,
            **options,
        )

    return run
