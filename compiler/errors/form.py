"""The form of a diagnostic: what it holds, how it is printed, how many are.

Beside all stages. A stage that finds a mistake of the user's calls a function of this
package (`errors.matmul_shape(span, …)`), which returns a `Diagnostic`, and hands it to a
`Reporter`; at the end of the stage `reporter.raise_if_errors()` turns what was reported
into a `CompileError`. A mistake of the compiler's is an `InternalError`.

    >>> from ..source import Source
    >>> source = Source.from_text("mlp.net", "U = H @ W3\\n")
    >>> print(render(Diagnostic(
    ...     "unknown-name", source.span(8, 10), "nothing named `W3` is defined above this line",
    ...     label="not defined", notes=(("help", "did you mean `W2` (param, line 6)?"),))))
    mlp.net:1:9: error[unknown-name]: nothing named `W3` is defined above this line
      |
    1 | U = H @ W3
      |         ^^ not defined
      = help: did you mean `W2` (param, line 6)?
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal, NoReturn

from gradc.records import record

from ..source import Span

MOST_ERRORS = 10
"""How many errors one run prints; the rest are counted."""

WIDEST_LINE = 160
"""A longer line of source is shown as a window around the caret."""

Level = Literal["error", "warning", "note"]


@record
class Diagnostic:
    """One thing to tell the user, at one place (or at none: a command line's mistake).

    `message` is one sentence without a full stop; `label` stands behind the caret; `notes`
    are (kind, text) with kind "rule", "help" or "" for a plain remark. A text may have
    several lines.
    """

    id: str
    span: Span | None
    message: str
    label: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    level: Level = "error"


class CompileError(Exception):
    """The program has mistakes of its author's: `diagnostics`, at most ten, and `more`."""

    def __init__(self, diagnostics: Iterable[Diagnostic], more: int = 0) -> None:
        self.diagnostics = tuple(diagnostics)
        self.more = more
        super().__init__(self.diagnostics, more)

    def render(self, color: bool = False) -> str:
        """Return all of it as text, as the command line prints it (no line end behind)."""
        parts = [render(diagnostic, color) for diagnostic in self.diagnostics]
        if self.more:
            errors = "error" if self.more == 1 else "errors"
            parts.append(f"… and {self.more} more {errors}")
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return self.render()


class InternalError(Exception):
    """A bug in gradc, found in `stage`: never the user's mistake."""

    def __init__(self, stage: str, message: str = "") -> None:
        self.stage = stage
        self.message = message
        super().__init__(stage, message)

    def __str__(self) -> str:
        behind = f": {self.message}" if self.message else ""
        return f"this is a bug in gradc, in stage `{self.stage}`{behind}"


class Reporter:
    """Collects the diagnostics of a run: in order, none twice, at most ten errors kept."""

    def __init__(self) -> None:
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self.more = 0
        self._seen: set[tuple[object, ...]] = set()

    def report(self, diagnostic: Diagnostic) -> None:
        """Take a diagnostic; one of the same id at the same place is dropped."""
        span = diagnostic.span
        place: tuple[object, ...]
        if span is None:
            place = (diagnostic.id, diagnostic.message)
        else:
            place = (diagnostic.id, span.source.name, span.start)
        if place in self._seen:
            return
        self._seen.add(place)
        if diagnostic.level != "error":
            self.warnings.append(diagnostic)
        elif len(self.errors) < MOST_ERRORS:
            self.errors.append(diagnostic)
        else:
            self.more += 1

    def fatal(self, diagnostic: Diagnostic) -> NoReturn:
        """Take an error behind which nothing can be checked, and raise them all."""
        self.report(diagnostic)
        raise CompileError(self.errors, self.more)

    @property
    def has_errors(self) -> bool:
        """Whether an error was reported."""
        return bool(self.errors)

    @property
    def is_full(self) -> bool:
        """Whether further errors would only be counted."""
        return len(self.errors) >= MOST_ERRORS

    def raise_if_errors(self) -> None:
        """Raise `CompileError` with what was reported, if that holds an error."""
        if self.errors:
            raise CompileError(self.errors, self.more)


# ------------------------------------------------------------------------- rendering

_COLORS = {"error": "31", "warning": "33", "note": "36", "help": "32", "rule": "36"}


def render(diagnostic: Diagnostic, color: bool = False) -> str:
    """Return a diagnostic in the house form, without a line end behind it."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if color and text else text

    level = diagnostic.level
    head = paint(f"{level}[{diagnostic.id}]", "1;" + _COLORS[level])
    message = paint(_printable(diagnostic.message), "1")
    lines: list[str] = []
    if diagnostic.span is None:
        lines.append(f"{head}: {message}")
        margin = " "
    else:
        span = diagnostic.span
        line, col = span.source.position(span.start)
        lines.append(f"{_printable(span.source.name)}:{line}:{col}: {head}: {message}")
        margin = " " * len(str(line))
        shown, before, carets = _excerpt(span, line, col)
        bar = paint("|", "34")
        label = _printable(diagnostic.label)
        pointer = paint(
            f"{'^' * carets} {label}".rstrip(), "1;" + _COLORS.get(level, "31")
        )
        lines.append(f"{margin} {bar}")
        lines.append(f"{paint(str(line), '34')} {bar} {shown}".rstrip())
        lines.append(f"{margin} {bar} {' ' * before}{pointer}")
    for kind, text in diagnostic.notes:
        first, *rest = _printable(text).split("\n")
        prefix = f"{paint(kind, _COLORS.get(kind, '0'))}: " if kind else ""
        lines.append(f"{margin} = {prefix}{first}")
        indent = " " * (len(kind) + 2 if kind else 0)
        lines += [f"{margin}   {indent}{more}".rstrip() for more in rest]
    return "\n".join(lines)


def _excerpt(span: Span, line: int, col: int) -> tuple[str, int, int]:
    """The line as it is shown, the columns before the caret, the number of carets."""
    text = span.source.line_text(line)
    start = min(col - 1, len(text))
    length = max(1, min(span.end - span.start, len(text) - start))
    prefix = ""
    if len(text) > WIDEST_LINE:
        left = max(0, min(start - WIDEST_LINE // 3, len(text) - WIDEST_LINE))
        right = left + WIDEST_LINE
        prefix = "…" if left else ""
        tail = "…" if right < len(text) else ""
        length = max(1, min(length, right - start))
        text = text[left:right] + tail
        start -= left
    shown = prefix + _printable(text)
    before = _width(prefix + text[:start])
    carets = max(1, _width(text[start : start + length]))
    return shown, before, carets


def _printable(text: str) -> str:
    """The text with every character that could disturb a terminal replaced by one that
    cannot, so that columns stay; tabs become single blanks."""
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for char in text:
        if char == "\t":
            shown.append(" ")
        elif char == "\n":
            shown.append(char)
        elif unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            shown.append("\ufffd")
        else:
            shown.append(char)
    return "".join(shown)


def _width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    width = 0
    for char in text:
        if unicodedata.combining(char):
            continue
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return width


# ----------------------------------------------------------------------- suggestions


def edit_distance(a: str, b: str, most: int) -> int:
    """Return how many insertions, deletions, changes and swaps of neighbours turn `a` into
    `b`; `most + 1` when that is more than `most`."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, char in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (char != other))
            if i > 1 and j > 1 and char == b[j - 2] and a[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate most like `name`, or None where none is like enough.

    Another case or `_` counts little; otherwise about one change in three characters is
    let pass. Of equals the first wins, so give candidates nearest first.
    """
    folded = _fold(name)
    best: str | None = None
    best_cost = 1 << 30
    for candidate in candidates:
        if candidate == name:
            continue
        other = _fold(candidate)
        if other == folded:
            cost = 0
        else:
            most = max(1, (max(len(folded), len(other)) + 1) // 3)
            # A single letter is like no other; a longer one must share something.
            if min(len(folded), len(other)) < 2 and len(folded) == len(other):
                continue
            distance = edit_distance(folded, other, most)
            if distance > most or distance >= min(len(folded), len(other)):
                continue
            cost = 1 + distance
        if cost < best_cost:
            best, best_cost = candidate, cost
    return best


def _fold(name: str) -> str:
    return name.casefold().replace("_", "")


def listed(words: Sequence[str], joint: str = "and") -> str:
    """Return the words as a list in a sentence, each in backticks: `a`, `b` and `c`."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) <= 1:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {joint} {quoted[-1]}"
