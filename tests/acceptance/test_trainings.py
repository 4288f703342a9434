"""Trainings to their end: minutes each, so they run with `pytest -m long` alone.

The figures of the examples' pages come from here.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

pytestmark = pytest.mark.long


def gradc(folder: Path, *arguments: str) -> str:
    """Run the command as a user does; its standard output."""
    result = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "gradc", *arguments],
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def figures(example: str, folder: Path, *options: str) -> dict[str, Any]:
    """Train a copy of an example, and evaluate it on what it held out."""
    shutil.copytree(EXAMPLES / example, folder, dirs_exist_ok=True)
    gradc(folder, "train", f"{example}.net", "--out", "run", *options)
    found: dict[str, Any] = json.loads(gradc(folder, "eval", "run", "--json"))
    return found


def test_burgers_is_solved_to_three_thousandths(tmp_path: Path) -> None:
    """The median of five seeds; the paper has 6.7e-4 for one."""
    errors = [
        figures("burgers", tmp_path / str(seed), "--seed", str(seed))["relative_l2"]
        for seed in range(5)
    ]
    assert statistics.median(errors) <= 3e-3, errors


def test_gpt_reaches_1_92_on_the_last_tenth(tmp_path: Path) -> None:
    assert figures("gpt", tmp_path)["loss"] <= 1.92


def test_char_rnn_learns(tmp_path: Path) -> None:
    assert figures("char_rnn", tmp_path)["nats"] <= 1.95
