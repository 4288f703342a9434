"""Program text and places in it.

Before all stages: a `Source` is one file's text, normalised once (byte order mark, CRLF and
lone CR), and a `Span` is a half-open range of its characters. Every AST node, every
diagnostic and every node's origin carries a span, so that whatever the compiler has to say
can be said at a line and a column.

    >>> source = Source.from_text("a.net", "x = 1\\r\\ny = x +\\n")
    >>> span = source.span(6, 7)
    >>> span.line, span.col, span.text, source.line_text(2)
    (2, 1, 'y', 'y = x +')
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field

from gradc.records import record


def normalise(text: str) -> str:
    """Return the text without a byte order mark and with `\\n` as its only line end.

    A lone carriage return ends a comment for Python but not for an editor, so none may
    survive to any later stage.
    """
    if text.startswith("\ufeff"):
        text = text[1:]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


@record(eq=False)
class Source:
    """One file of program text: a name for messages and the normalised text.

    Compared by identity: two files of the same text are two sources. Make one with
    `Source.from_text`, which normalises.
    """

    name: str
    text: str
    starts: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        object.__setattr__(self, "starts", tuple(starts))

    @classmethod
    def from_text(cls, name: str, text: str) -> Source:
        """Return the source of a text as it was read, whatever its line ends."""
        return cls(name, normalise(text))

    @property
    def line_count(self) -> int:
        """The number of lines; an empty text has one."""
        return len(self.starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1, of the character at an offset."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """Return a line, counted from 1, without its line end ("" past the end)."""
        if not 1 <= line <= len(self.starts):
            return ""
        start = self.starts[line - 1]
        end = self.starts[line] - 1 if line < len(self.starts) else len(self.text)
        return self.text[start:end]

    def span(self, start: int, end: int) -> Span:
        """Return the span of the characters from `start` to before `end`."""
        return Span(self, start, end)


@record
class Span:
    """A half-open range of characters of a source."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def line(self) -> int:
        """The line of the first character, from 1."""
        return bisect_right(self.source.starts, self.start)

    @property
    def col(self) -> int:
        """The column of the first character, from 1, in characters."""
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """Return the span from the start of this one to the end of the other."""
        return Span(self.source, self.start, other.end)

    def __str__(self) -> str:
        line, col = self.source.position(self.start)
        return f"{self.source.name}:{line}:{col}"
