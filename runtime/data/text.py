"""Text as data: codes, where a code is a character's place in the vocabulary.

In: a text and, for an input int[N, T], the width T of a window. Out: rows that are made when
they are asked for. A row is a window (`Windows`: a text of a million characters has a million,
and they share its codes) or, for an input int[N], one character (`Characters`: a batch of them
is the next piece of the text).

    words = vocabulary("to be or not")
    rows = Windows(encode("to be or not", words, "t.txt"), width=4, starts=np.arange(9))
    rows.take(np.array([0, 3]))             # (2, 4) codes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..records import record


def vocabulary(*texts: str) -> str:
    """The sorted set of the characters of some texts."""
    return "".join(sorted(set().union(*texts)))


def encode(text: str, characters: str, name: str) -> NDArray[np.int64]:
    """The places of a text's characters; a character outside of the vocabulary is an error."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    known = np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), np.uint32)
    codes = np.minimum(np.searchsorted(known, points), max(len(known) - 1, 0))
    unknown = known[codes] != points if len(known) else np.ones(len(points), bool)
    if unknown.any():
        first = int(np.argmax(unknown))
        line = text.count("\n", 0, first) + 1
        column = first - text.rfind("\n", 0, first)
        raise DataError(
            f"{name}:{line}:{column}: the character {text[first]!r} is not among the "
            f"{len(characters)} that the net was trained on",
            f"{int(unknown.sum()):,} such characters of {len(text):,}",
        )
    return codes.astype(np.int64)


@record
class Windows:
    """Rows of `width` codes at `starts`, each `offset` characters later."""

    codes: NDArray[np.int64]
    width: int
    starts: NDArray[np.int64]
    offset: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self.starts), self.width)

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Some rows as an array."""
        places = self.starts[rows][:, np.newaxis] + np.arange(
            self.offset, self.offset + self.width
        )
        taken: NDArray[np.int64] = self.codes[places]
        return taken

    def span(self, start: int, stop: int) -> NDArray[Any]:
        """Rows from start to stop as an array."""
        return self.take(np.arange(start, min(stop, len(self))))


@record
class Characters:
    """Rows of one code each, in the order of the text, each `offset` characters later."""

    codes: NDArray[np.int64]
    rows: int
    offset: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (self.rows,)

    def __len__(self) -> int:
        return self.rows

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Some rows as an array."""
        taken: NDArray[np.int64] = self.codes[rows + self.offset]
        return taken

    def span(self, start: int, stop: int) -> NDArray[Any]:
        """Rows from start to stop: a view."""
        return self.codes[start + self.offset : min(stop, self.rows) + self.offset]


def starts(length: int, width: int, later: int, consecutive: bool) -> NDArray[np.int64]:
    """Where windows start in `length` characters: at every one, or one behind another.

    `later` is 1 where a target needs one more character behind the window.
    """
    return np.arange(0, length - width - later + 1, width if consecutive else 1)


def held_out(length: int, fraction: float) -> int:
    """How many characters at the end of a text are held out."""
    return int(np.ceil(length * fraction - 1e-9))


def cut(codes: NDArray[np.int64], fraction: float) -> Sequence[NDArray[np.int64]]:
    """The text for training and the end that is held out."""
    at = len(codes) - held_out(len(codes), fraction)
    return codes[:at], codes[at:]
