"""Parquet and Arrow (Feather) files: their columns as a table of numbers and words.

In: a path. Out: `ArrowTable`, which is to the rest of the runtime what a CSV with a header is.
Whole numbers, reals and truth values are numbers, a null is missing, text and dictionaries are
words, and a column of lists of one fixed length is as many columns, `name.0`, `name.1`, …
pyarrow is an extra (`pip install gradc[arrow]`), imported when such a file is read.

    table = read_arrow(Path("wine.parquet"), "wine.parquet")
    table.header, table.numbers.shape               # ('ash', …), (178, 14)
    for header, block in batches(path, name): …     # without holding more than a block
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..records import record
from .delimited import Delimited

BLOCK = 65_536  # rows that are read together
Column = NDArray[np.float64] | list[str]


@record
class ArrowTable(Delimited):
    """A table without lines: a cell's place is its row, from 1, and its column."""

    def place(self, row: int, column: int) -> str:
        """`wine.parquet: row 118, column 'ash'`."""
        return f"{self.name}: row {row + 1:,}, column {self.title(column)}"

    def text(self, row: int, column: int) -> str:
        """What a cell holds; a null is empty."""
        if column in self.words:
            return self.words[column][row]
        number = float(self.numbers[row, column])
        return "" if math.isnan(number) else f"{number:.15g}"


def read_arrow(path: Path, name: str) -> ArrowTable:
    """Read a file whole."""
    read = list(batches(path, name))
    parts = [block for _, block in read]
    rows = sum(len(block[0]) for block in parts if block)
    if not rows:
        raise DataError(f"{name} has no rows")
    header = read[0][0]
    numbers = np.empty((rows, len(header)))
    words: dict[int, list[str]] = {}
    for index in range(len(header)):
        pieces = [block[index] for block in parts]
        if any(isinstance(piece, list) for piece in pieces):
            words[index] = [word for piece in pieces for word in piece]
            numbers[:, index] = math.nan
        else:
            numbers[:, index] = np.concatenate(pieces)
    return ArrowTable(name, header, numbers, words, (), range(1, rows + 1), "")


def batches(path: Path, name: str) -> Iterator[tuple[tuple[str, ...], list[Column]]]:
    """The columns' names, and their cells block by block."""
    try:
        arrow: Any = importlib.import_module("pyarrow")
        for batch in _record_batches(path):
            titles: list[str] = []
            cells: list[Column] = []
            for title, column in zip(batch.schema.names, batch.columns, strict=True):
                for number, cell in enumerate(_unpacked(arrow, column, name, title)):
                    wide = arrow.types.is_fixed_size_list(column.type)
                    titles.append(f"{title}.{number}" if wide else title)
                    cells.append(cell)
            for place, title in enumerate(titles):
                if title in titles[:place]:
                    raise DataError(f"{name}: two columns are called {title!r}")
            yield tuple(titles), cells
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("pyarrow"):
            raise
        raise DataError(
            f"{name} needs pyarrow, which is not installed",
            "pip install 'gradc[arrow]', or save it as CSV or NPZ",
        ) from None
    except (OSError, ValueError, NotImplementedError, MemoryError) as error:
        # pyarrow's own errors are ValueErrors and OSErrors, with lines of their own.
        if isinstance(error, DataError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name} cannot be read: {reason}") from None


def _record_batches(path: Path) -> Iterator[Any]:
    """The batches of a Parquet file, an Arrow file or an Arrow stream."""
    if path.suffix.lower() in (".parquet", ".pq"):
        parquet: Any = importlib.import_module("pyarrow.parquet")
        with parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=BLOCK)
        return
    ipc: Any = importlib.import_module("pyarrow.ipc")
    with open(path, "rb") as file:
        stream = file.read(6) != b"ARROW1"
        file.seek(0)
        reader = ipc.open_stream(file) if stream else ipc.open_file(file)
        if stream:
            yield from reader
            return
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)


def _unpacked(arrow: Any, column: Any, name: str, title: str) -> list[Column]:
    """One column as one, or a column of lists as many."""
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_fixed_size_list(kind) and _numeric(types, kind.value_type):
        if column.null_count:
            raise DataError(f"{name}, column {title!r}: a list is missing")
        flat = _reals(column.flatten()).reshape(-1, kind.list_size)
        return list(flat.T)
    if _numeric(types, kind):
        return [_reals(column)]
    if types.is_string(kind) or types.is_large_string(kind):
        return [[word or "" for word in column.to_pylist()]]
    raise DataError(
        f"{name}, column {title!r} is {kind}, neither numbers nor words",
        "convert it, or leave it out where the file is written",
    )


def _numeric(types: Any, kind: Any) -> bool:
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_null(kind)
    )


def _reals(column: Any) -> NDArray[np.float64]:
    """Numbers as float64, NaN where there is none."""
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype == object:  # truth values or nothing at all, with nulls
        values = [math.nan if value is None else value for value in values]
    return np.asarray(values, np.float64)
