"""Streams: what was asked for goes to stdout, everything else to stderr.

terminal = Terminal.of(color="auto", quiet=False, verbose=False)
terminal.say("digits.net → digits_net.py")       # stderr, unless -q
terminal.product(text)                           # stdout, always
print(terminal.paint("error", "1;31"))           # colours only where they are wanted
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from ..records import record

BOLD, RED, GREEN, YELLOW, DIM = "1", "1;31", "32", "33", "2"


def wants_color(
    choice: str, stream: TextIO, environment: Mapping[str, str] | None = None
) -> bool:
    """Whether to colour a stream: `--color`, then NO_COLOR, then the forcing variables,
    then whether it is a terminal that can."""
    env = os.environ if environment is None else environment
    if choice != "auto":
        return choice == "always"
    if env.get("NO_COLOR"):
        return False
    for name in ("CLICOLOR_FORCE", "FORCE_COLOR"):
        if env.get(name, "0") != "0":
            return True
    return stream.isatty() and env.get("TERM") != "dumb"


@record(frozen=False)
class Terminal:
    """Where messages go. `color` is that of stderr."""

    color: bool = False
    quiet: bool = False
    verbose: bool = False

    @classmethod
    def of(
        cls, color: str = "auto", quiet: bool = False, verbose: bool = False
    ) -> Terminal:
        return cls(wants_color(color, sys.stderr), quiet, verbose)

    @property
    def live(self) -> bool:
        """Whether a line on stderr may be drawn over."""
        return (
            not self.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        )

    def paint(self, text: str, code: str) -> str:
        """The text in a colour, where stderr has any."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text

    def say(self, text: str = "") -> None:
        """A line of information; `-q` drops it. A stream that is gone is no reason to
        stop: training goes on."""
        if not self.quiet:
            write_error(text)

    def note(self, text: str) -> None:
        """A line for those who asked for more with `-v`."""
        if self.verbose:
            write_error(text)

    def warn(self, text: str) -> None:
        """A warning, which `-q` does not drop."""
        write_error(f"{self.paint('warning', YELLOW)}: {text}")

    def product(self, text: str) -> None:
        """What the user asked for, to stdout; a line end is added where it has none."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def failure(self, message: str, id: str, notes: Sequence[tuple[str, str]]) -> None:
        """An error without a place in a program, in the form of the compiler's.

        A note of kind "more" stands below the message as it is.
        """
        head = self.paint(f"error[{id}]" if id else "error", RED)
        lines = [f"{head}: {self.paint(message, BOLD)}"]
        for kind, text in notes:
            if kind == "more":
                lines.append(f"  {text}")
                continue
            prefix = f"{self.paint(kind, GREEN)}: " if kind else ""
            lines.append(f"  = {prefix}{text}")
        write_error("\n".join(lines))


def write_error(text: str) -> None:
    """A line to stderr; if that is closed or full, nobody is left to be told."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def width() -> int:
    """The columns of the terminal."""
    return shutil.get_terminal_size((80, 24)).columns


def columns(
    rows: Sequence[Sequence[str]], gap: str = "  ", right: Sequence[int] = ()
) -> str:
    """Rows of cells under each other; the columns in `right` are set to the right."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(wide) if i in right else cell.ljust(wide)
            for i, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(gap.join(cells).rstrip())
    return "\n".join(lines)


def figure(value: float, digits: int = 3) -> str:
    """`0.142`, `0.00412`, `98.3`, `1.23e+04`: so many digits that count."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:#.{digits}g}".rstrip(".")
