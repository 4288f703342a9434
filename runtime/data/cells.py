"""What is wrong with cells: missing ones, words where numbers belong, fractions of ints.

In: `Raw` cells. Out: nothing, or a `DataError` that names the line, the column, the value, how
many more there are, and what to do.

    refuse_kinds(raw)           # wine.csv:118, column 'ash': 'high' is not a number, …
    missing_rows(raw)           # the rows that `missing = drop` leaves out
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .delimited import SHOWN, number
from .delimited import missing as says_missing
from .reading import Raw

Rows = NDArray[np.int64]
BLOCK = 2**22  # cells that are looked at together
_EXACT = 2.0**53  # whole numbers up to here are exact as float64
COMMAS = re.compile(r"[+-]?\d+(,\d+)+(\.\d*)?")  # 1,5 and 1,000


def blocks(raw: Raw, rows: Rows | None = None) -> Iterator[tuple[Rows, NDArray[Any]]]:
    """The cells of some rows, block by block: row numbers, and a matrix with a row each."""
    count = len(raw.values)
    width = max(1, raw.values.size // max(1, count))
    step = max(1, BLOCK // width)
    for start in range(0, count if rows is None else len(rows), step):
        if rows is None:
            numbers = np.arange(start, min(start + step, count))
            block = raw.values[start : start + step]
        else:
            numbers = rows[start : start + step]
            block = raw.values[numbers]
        yield numbers, block.reshape(len(numbers), -1)


# ------------------------------------------------------------------------------ missing


def missing_rows(raw: Raw) -> Rows:
    """The rows in which some cell is missing: empty, NaN or infinite."""
    if raw.words is not None and _worded(raw):
        return np.flatnonzero(np.array([any(not w for w in row) for row in raw.words]))
    if raw.values.dtype.kind != "f":
        return np.empty(0, np.int64)
    found = [numbers[~np.isfinite(block).all(axis=1)] for numbers, block in blocks(raw)]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def refuse_missing(raws: Iterable[Raw], advice: str = "") -> None:
    """`DataError` where a cell is missing and nobody said what to do about it."""
    for raw in raws:
        rows = missing_rows(raw)
        if len(rows):
            cells = [cell for row in rows for cell in _missing_cells(raw, int(row))]
            row, cell = cells[0]
            text = raw.text(row, cell).strip()
            what = (
                "empty value (missing)" if not text else f"{text!r} counts as missing"
            )
            ways = "drop | mean" if raw.entry["kind"] == "real" else "drop"
            raise DataError(
                f"{raw.place(row, cell)}: {what}{_more(cells)}",
                *_others(raw, cells),
                advice or f"say what to do:  --set train.missing={ways}",
            )


def _missing_cells(raw: Raw, row: int) -> list[tuple[int, int]]:
    if raw.words is not None and _worded(raw):
        return [(row, cell) for cell, word in enumerate(raw.words[row]) if not word]
    bad = ~np.isfinite(raw.values[row].reshape(-1))
    return [(row, int(cell)) for cell in np.flatnonzero(bad)]


def _more(cells: Sequence[tuple[int, int]]) -> str:
    if len(cells) == 1:
        return ""
    rows = len({row for row, _ in cells})
    return f"; {len(cells):,} such cells in {rows:,} row{'s' if rows > 1 else ''}"


def _others(raw: Raw, cells: Sequence[tuple[int, int]]) -> list[str]:
    if len(cells) == 1:
        return []
    shown = [f"{raw.place(*cell)}: {raw.text(*cell)!r}" for cell in cells[1:SHOWN]]
    if len(cells) > SHOWN:
        shown.append(f"and {len(cells) - SHOWN:,} more")
    return shown


# ---------------------------------------------------------------------------- the kinds


def is_classes(raw: Raw) -> bool:
    """Whether an int input's cells are words, mostly: then their sorted set are classes."""
    if raw.words is None or raw.entry["kind"] != "int":
        return False
    if raw.table is None:
        return True
    given = [word for word in raw.words.reshape(-1) if not says_missing(word)]
    finite = int(np.isfinite(raw.values).sum())
    return finite * 2 < len(given)


def refuse_kinds(raw: Raw) -> None:
    """`DataError` on words where numbers belong, and fractions where whole numbers do."""
    kind = raw.entry["kind"]
    if raw.words is not None and not is_classes(raw) and kind != "bool":
        cells = [
            (row, cell)
            for row, texts in enumerate(raw.words)
            for cell, text in enumerate(texts)
            if not says_missing(text) and not np.isfinite(_at(raw, row, cell))
        ]
        cells = [cell for cell in cells if number(raw.text(*cell)) is None]
        if cells:
            noun = "a number" if kind == "real" else "a whole number"
            help_ = (
                f"an int input takes words as classes: input {raw.name}: int[…]"
                if kind == "real" and raw.values[0].size == 1
                else "most cells here are numbers, so these are no classes"
            )
            if all(COMMAS.fullmatch(raw.text(*cell).strip()) for cell in cells):
                help_ = "a number has a point and no comma: 1.5 for 1,5, 1000 for 1,000"
            refuse(raw, cells, f"is not {noun}, and {raw.name} is {kind}", help_)
    if kind == "int" and raw.values.dtype.kind == "f" and not is_classes(raw):
        _refuse_fractions(raw)
    if kind == "bool" and raw.words is None and raw.values.dtype.kind != "b":
        for numbers, block in blocks(raw):
            bad = (block != 0) & (block != 1)
            if raw.values.dtype.kind == "f":
                bad &= np.isfinite(block)
            if bad.any():
                cells = [(int(numbers[r]), int(c)) for r, c in np.argwhere(bad)]
                refuse(raw, cells, f"is neither 0 nor 1, and {raw.name} is bool")


def _refuse_fractions(raw: Raw) -> None:
    for numbers, block in blocks(raw):
        finite = np.isfinite(block)
        bad = finite & ((np.floor(block) != block) | (np.abs(block) > _EXACT))
        if bad.any():
            cells = [(int(numbers[r]), int(c)) for r, c in np.argwhere(bad)]
            refuse(
                raw,
                cells,
                f"is no whole number (of at most 2^53), and {raw.name} is int",
                f"if it measures something:  input {raw.name}: […]   without int",
            )


def _worded(raw: Raw) -> bool:
    """Whether the cells' texts are what counts: classes, or true and false."""
    return is_classes(raw) or (raw.words is not None and raw.entry["kind"] == "bool")


def _at(raw: Raw, row: int, cell: int) -> Any:
    return raw.values[row].reshape(-1)[cell]


def refuse(raw: Raw, cells: Sequence[tuple[int, int]], what: str, *notes: str) -> None:
    """`DataError` on some cells, (row, cell in the row) each: the first is named."""
    row, cell = cells[0]
    text = raw.text(row, cell)
    raise DataError(
        f"{raw.place(row, cell)}: {text!r} {what}{_more(cells)}",
        *_others(raw, cells),
        *notes,
    )
