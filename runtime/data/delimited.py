"""CSV and TSV: a file of lines to a matrix of numbers, and words where there are words.

In: a path (`.gz` too, `-` is standard input). Out: `Delimited`. NumPy's reader is fast and its
messages are no help, so it reads what is all numbers, and Python's `csv` reads the rest,
cell by cell, and knows the line of each.

    table = read(Path("wine.csv"), "wine.csv")
    table.header, table.numbers.shape, table.words        # ('ash', …), (178, 14), {}
"""

from __future__ import annotations

import csv
import gzip
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..records import record

LARGEST_FILE = 2**31  # bytes of text, after unpacking
PIECE = 2**24  # bytes that are asked for together
SHOWN = 5  # places that one message names
_NONE = frozenset({"", "na", "n/a", "nan", "?"})  # of a column of numbers


@record
class Delimited:
    """A file's cells. `numbers` is NaN where a cell is no finite number.

    `words` has the texts of each column in which some cell is a word. `header` is None where
    the first row is numbers.
    """

    name: str
    header: tuple[str, ...] | None
    numbers: NDArray[np.float64]
    words: dict[int, list[str]]
    lines: Sequence[str]
    starts: Sequence[int]  # the line of each row, from 1
    delimiter: str

    def place(self, row: int, column: int) -> str:
        """Where a cell is, as messages say it: `wine.csv:118, column 'ash'`."""
        return f"{self.name}:{self.starts[row]}, column {self.title(column)}"

    def title(self, column: int) -> str:
        """A column's name in quotes, or its number from 1."""
        return repr(self.header[column]) if self.header else str(column + 1)

    def text(self, row: int, column: int) -> str:
        """What a cell holds."""
        start = self.starts[row] - 1
        return next(csv.reader(self.lines[start:], delimiter=self.delimiter))[
            column
        ].strip()


def missing(cell: str) -> bool:
    """Whether a cell of a column of numbers says that there is none."""
    return cell.strip().lower() in _NONE


def read(path: Path | None, name: str) -> Delimited:
    """Read a file; `path` None is standard input."""
    lines = _text(path, name).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{name} is empty")
    delimiter = separator(lines[0], name)
    try:
        first = next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DataError(f"{name}:1: {error}") from None
    first = [cell.strip() for cell in first]
    titled = not all(number(cell) is not None or missing(cell) for cell in first)
    header = _header(first, name) if titled else None
    if titled and len(lines) == 1:
        raise DataError(f"{name} has a header and no rows")
    fast = _fast(lines[1:] if titled else lines, delimiter, len(first))
    if fast is not None:
        offset = 2 if titled else 1
        starts = range(offset, offset + len(fast))
        return Delimited(name, header, fast, {}, lines, starts, delimiter)
    return _slow(name, header, lines, delimiter, len(first))


def _text(path: Path | None, name: str) -> str:
    try:
        if path is None:
            data = _bounded(sys.stdin.buffer)
        elif path.suffix.lower() == ".gz":
            with gzip.open(path) as packed:
                data = _bounded(packed)
        else:
            with open(path, "rb") as file:
                data = _bounded(file)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be read: {error}") from None
    if len(data) > LARGEST_FILE:
        raise DataError(
            f"{name} is larger than {LARGEST_FILE >> 30} GiB: convert it to NPY"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}:{line}: this is no UTF-8 text") from None


def _bounded(file: IO[bytes] | gzip.GzipFile) -> bytes:
    """All of a file, or so much that it is too large. Asked for 2 GiB at once, a file takes
    them before it is read."""
    parts, size = [], 0
    while size <= LARGEST_FILE and (part := file.read(PIECE)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def read_text(path: Path, name: str) -> str:
    """A whole text as it is, its line ends included."""
    return _text(path, name)


def separator(line: str, name: str) -> str:
    if name.lower().removesuffix(".gz").endswith(".tsv"):
        return "\t"
    if "," in line:
        return ","
    return max(";\t", key=line.count) if any(c in line for c in ";\t") else ","


def _header(cells: list[str], name: str) -> tuple[str, ...]:
    for place, cell in enumerate(cells):
        if cell and cell in cells[:place]:
            raise DataError(f"{name}:1: two columns are called {cell!r}")
    return tuple(cells)


def number(cell: str) -> float | None:
    """A cell as a number: what `float` reads, but for `1_000` and digits of other scripts."""
    try:
        return float(cell) if cell.isascii() and "_" not in cell else None
    except ValueError:
        return None


def _fast(lines: list[str], delimiter: str, width: int) -> NDArray[np.float64] | None:
    """The numbers of a file that is all numbers, one row a line; otherwise None."""
    try:
        numbers: NDArray[np.float64] = np.loadtxt(
            lines, dtype=np.float64, delimiter=delimiter, comments=None, ndmin=2
        )
    except ValueError:
        return None
    return numbers if numbers.shape == (len(lines), width) else None


def _slow(
    name: str,
    header: tuple[str, ...] | None,
    lines: list[str],
    delimiter: str,
    width: int,
) -> Delimited:
    rows, starts, ragged = [], [], []
    for line, row in _records(lines, delimiter, name):
        if line == 1 and header:
            continue
        if len(row) != width:
            ragged.append((line, len(row)))
        rows.append(row)
        starts.append(line)
    if ragged:
        line, cells = ragged[0]
        more = f"; {len(ragged)} such rows" if len(ragged) > 1 else ""
        others = ", ".join(f"line {n} has {c}" for n, c in ragged[1:SHOWN])
        raise DataError(
            f"{name}:{line}: {cells} cells, but {'the header' if header else 'line 1'} "
            f"has {width}{more}",
            *([others] if others else []),
        )
    numbers = np.empty((len(rows), width))
    words: dict[int, list[str]] = {}
    for index in range(width):
        column = [row[index].strip() for row in rows]
        wordy = False
        for i, cell in enumerate(column):
            value = number(cell)
            wordy = wordy or (value is None and not missing(cell))
            numbers[i, index] = math.nan if value is None else value
        if wordy:
            words[index] = column
    return Delimited(name, header, numbers, words, lines, starts, delimiter)


def _records(
    lines: list[str], delimiter: str, name: str
) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank with the line that it starts on."""
    reader: Any = csv.reader(
        (line + "\n" for line in lines), delimiter=delimiter, strict=True
    )
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row) or len(row) > 1:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{name}:{line}: {error}") from None
