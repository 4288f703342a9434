"""A line an epoch everywhere; a bar on a terminal alone, and only after a while."""

from __future__ import annotations

import io
import sys

import pytest

from gradc.cli import progress
from gradc.cli.progress import Progress
from gradc.cli.terminal import Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_screen(monkeypatch: pytest.MonkeyPatch) -> str:
    """Train with a terminal as stderr (not a fixture: pytest would put its own back)."""
    screen = Screen()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "80")
        train(Terminal())
    return screen.getvalue()


def train(terminal: Terminal) -> None:
    with Progress(terminal) as shown:
        for epoch in (1, 2):
            for step in range(3):
                shown.step(step, 3, f"epoch {epoch}/2")
            shown.line(f"epoch {epoch}/2  loss [0.1]")


def test_without_a_terminal_there_are_lines_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(Terminal())
    assert capsys.readouterr().err == "epoch 1/2  loss [0.1]\nepoch 2/2  loss [0.1]\n"
    train(Terminal(quiet=True))
    assert capsys.readouterr().err == ""


def test_a_short_run_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_screen(monkeypatch) == "epoch 1/2  loss [0.1]\nepoch 2/2  loss [0.1]\n"


def test_a_long_run_has_a_bar_below_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "FRAME", 0.0)
    shown = on_screen(monkeypatch)
    assert "epoch 1/2" in shown and "━" in shown and "2/3" in shown
    assert "loss [0.1]" in shown


def test_without_rich_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert on_screen(monkeypatch) == "epoch 1/2  loss [0.1]\nepoch 2/2  loss [0.1]\n"
