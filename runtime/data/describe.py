"""A data file in facts: what `gradc info DATA` tells, before any program is written for it.

In: a path, as `--data` takes it. Out: a dict of plain values: the form, the shape, and a row
for each column or array with its range, how much is missing, and its classes.

    describe("wine.csv")["columns"][0]      # {"column": "ash", "kind": "real", "from": 1.36, …}
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from . import delimited
from .arrays import Archive, load_npy
from .arrow import read_arrow
from .delimited import Delimited
from .delimited import missing as says_missing
from .idx import load_idx
from .sources import File, form, locate, parse
from .text import vocabulary

CLASSES = 10  # that are shown
BLOCK = 2**22  # cells that are looked at together
FEW = 50  # different whole numbers may be classes


def opened(subject: str) -> tuple[File, Path | None]:
    """The file that an argument means; None is standard input."""
    _, source = parse(subject)
    if not isinstance(source, File):
        raise DataError(f"{subject} is no file")
    return source, None if source.path == "-" else locate(source, Path())


def describe(subject: str) -> dict[str, Any]:
    """The facts of a data file; `DataError` where it cannot be read."""
    source, path = opened(subject)
    name = source.path
    kind = form(source.path)
    facts: dict[str, Any] = {"data": name, "form": kind}
    if path is not None:
        facts["bytes"] = path.stat().st_size
    if kind in ("csv", "tsv"):
        return facts | _table(delimited.read(path, name), source.entry)
    assert path is not None
    match kind:
        case "arrow":
            return facts | _table(read_arrow(path, name), source.entry)
        case "npy":
            return facts | {"arrays": [_array("", load_npy(path, name))]}
        case "idx":
            return facts | {"arrays": [_array("", load_idx(path, name))]}
        case "npz":
            with Archive(path, name) as archive:
                wanted = [source.entry] if source.entry else list(archive.entries)
                if source.entry and source.entry not in archive.entries:
                    raise DataError(
                        f"{name} has no entry {source.entry!r}",
                        f"it has: {', '.join(archive.entries) or 'none'}",
                    )
                return facts | {
                    "arrays": [_array(entry, archive.load(entry)) for entry in wanted]
                }
    text = delimited.read_text(path, name)
    characters = vocabulary(text)
    return facts | {
        "characters": len(text),
        "lines": text.count("\n"),
        "different characters": len(characters),
        "vocabulary": repr(characters[:80]),
    }


def _table(table: Delimited, entry: str | None) -> dict[str, Any]:
    titles = [table.title(i).strip("'") for i in range(table.numbers.shape[1])]
    everything = list(range(len(titles)))
    chosen = everything if entry is None else chosen_columns(table, entry)
    return {
        "rows": len(table.numbers),
        "header": "yes" if table.header else "no",
        "columns": [_column(table, index, titles[index]) for index in chosen],
    }


def chosen_columns(table: Delimited, entry: str) -> list[int]:
    """The columns that `FILE:a,b` lists."""
    header = list(table.header or ())
    found = []
    for title in (part.strip() for part in entry.split(",")):
        if title not in header:
            raise DataError(
                f"{table.name} has no column {title!r}",
                f"it has: {', '.join(header[:20]) or 'no header'}",
            )
        found.append(header.index(title))
    return found


def _column(table: Delimited, index: int, title: str) -> dict[str, Any]:
    values = table.numbers[:, index]
    if index in table.words:
        words = [word for word in table.words[index] if not says_missing(word)]
        lacking = len(values) - len(words)
        return _row(title, "words", None, None, lacking, Counter(words))
    there = values[np.isfinite(values)]
    lacking = len(values) - len(there)
    if not len(there):
        return _row(title, "empty", None, None, lacking, Counter())
    whole = bool((there == np.floor(there)).all())
    counts: Counter[str] = Counter()
    if whole:
        numbers, many = np.unique(there, return_counts=True)
        if len(numbers) <= FEW:
            counts = Counter(
                {f"{n:g}": int(m) for n, m in zip(numbers, many, strict=True)}
            )
    kind = "int" if whole else "real"
    return _row(title, kind, float(there.min()), float(there.max()), lacking, counts)


def _row(
    title: str,
    kind: str,
    low: float | None,
    high: float | None,
    lacking: int,
    counts: Counter[str],
) -> dict[str, Any]:
    shown = dict(counts.most_common(CLASSES))
    if len(counts) > CLASSES:
        shown["…"] = len(counts) - CLASSES
    return {
        "column": title,
        "kind": kind,
        "from": low,
        "to": high,
        "missing": lacking,
        "values": shown,
    }


def _array(name: str, array: NDArray[Any]) -> dict[str, Any]:
    low = high = None
    lacking = 0
    if array.dtype.kind in "biuf" and array.size:
        rows = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
        step = max(1, BLOCK // max(1, rows.shape[1]))
        lows, highs = [], []
        for start in range(0, len(rows), step):
            block = np.asarray(rows[start : start + step], np.float64)
            finite = np.isfinite(block)
            lacking += int(block.size - finite.sum())
            if finite.any():
                lows.append(float(block[finite].min()))
                highs.append(float(block[finite].max()))
        low, high = (min(lows), max(highs)) if lows else (None, None)
    return {
        "array": name or "(one array)",
        "shape": str(list(array.shape)),
        "dtype": "words" if array.dtype.kind == "U" else array.dtype.name,
        "from": low,
        "to": high,
        "missing": lacking,
    }
