"""Data larger than memory: a file's columns as one NPY, which a training maps and never reads
whole.

In: a CSV, TSV, Parquet or idx file, as `--data` takes it. Out: an NPY of numbers, one row a row,
written block by block: no more than a block is in memory, and the file is whole or not there.

    to_npy("big.csv:p0,p1", Path("big.npy"), "float32")         # [20_000_000, 2]
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from . import arrow, delimited
from .delimited import missing, number
from .describe import opened
from .idx import load_idx
from .sources import File, form

BLOCK = 16_384  # rows


def to_npy(subject: str, out: Path, dtype: str) -> list[int]:
    """Write the columns that `subject` names, all of them by default; returns the shape.

    One column is a vector. A missing number is NaN, and is refused for integers.
    """
    source, path = opened(subject)
    kind = form(source.path)
    if path is None or kind not in ("csv", "tsv", "arrow", "idx"):
        raise DataError(
            f"{source.path}: what becomes an NPY is a .csv, .tsv, .parquet, .arrow or idx"
        )
    match kind:
        case "idx":
            blocks = _slices(load_idx(path, source.path))
        case "arrow":
            blocks = _arrow(path, source)
        case _:
            blocks = _lines(path, source)
    beside = out.with_name(f"{out.name}.tmp.{os.getpid()}")
    try:
        with open(beside, "wb") as file:
            shape = _write(file, blocks, np.dtype(dtype), source.path)
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)
    return shape


def _write(
    file: IO[bytes],
    blocks: Iterator[tuple[int, NDArray[Any]]],
    dtype: np.dtype[Any],
    name: str,
) -> list[int]:
    """Rows as they come, and the number of them in the head when it is known."""
    rows, inner = 0, None
    for first, block in blocks:
        if inner is None:
            inner = block.shape[1:] if block.shape[1:] != (1,) else ()
            _head(file, (0, *inner), dtype)
        with np.errstate(all="ignore"):
            made = block.astype(dtype)
            exact = (
                made == block
                if dtype.kind == "i"
                else np.isfinite(made) | ~np.isfinite(block)
            )
        if not exact.all():
            row, column = (
                int(i) for i in np.argwhere(~exact.reshape(len(block), -1))[0]
            )
            raise DataError(
                f"{name}, row {first + row + 1:,}: {block.reshape(len(block), -1)[row, column]:g} "
                f"(column {column + 1}) is no {dtype}"
            )
        file.write(np.ascontiguousarray(made).data)
        rows += len(made)
    if inner is None:
        raise DataError(f"{name} has no rows")
    file.seek(0)
    _head(file, (rows, *inner), dtype)
    return [rows, *inner]


def _head(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """NumPy leaves room in it for the first axis to grow."""
    described = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, described)


def _slices(array: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    step = max(1, BLOCK * 64 // max(1, array[:1].size))
    for start in range(0, len(array), step):
        yield start, np.asarray(array[start : start + step])


def _arrow(path: Path, source: File) -> Iterator[tuple[int, NDArray[Any]]]:
    done = 0
    for header, cells in arrow.batches(path, source.path):
        wanted = _chosen(source, header)
        for index in wanted:
            if isinstance(cells[index], list):
                raise _words(source, header[index])
        block = np.stack([np.asarray(cells[index]) for index in wanted], axis=1)
        yield done, block
        done += len(block)


def _lines(path: Path, source: File) -> Iterator[tuple[int, NDArray[Any]]]:
    """A CSV block by block, read by Python's `csv`, which knows quotes and line ends."""
    name = source.path
    try:
        packed = path.suffix.lower() == ".gz"
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if packed
            else open(path, encoding="utf-8-sig", newline="")
        ) as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(
                file, delimiter=delimited.separator(first, name), strict=True
            )
            head = [cell.strip() for cell in next(reader, [])]
            if not head:
                raise DataError(f"{name} is empty")
            titled = not all(number(c) is not None or missing(c) for c in head)
            header = tuple(head) if titled else None
            if header is None:
                wanted = list(range(len(head)))
                if source.entry is not None:
                    raise DataError(
                        f"{name} has no header, so it has no column by name"
                    )
                yield 0, np.array([[_cell(c, name, 1, i) for i, c in enumerate(head)]])
            else:
                wanted = _chosen(source, header)
            done = int(header is None)
            while rows := [
                (reader.line_num, row) for row in islice(reader, BLOCK) if any(row)
            ]:
                block = np.empty((len(rows), len(wanted)))
                for i, (line, row) in enumerate(rows):
                    if len(row) != len(head):
                        raise DataError(
                            f"{name}:{line}: {len(row)} cells, but line 1 has {len(head)}"
                        )
                    for j, index in enumerate(wanted):
                        title = header[index] if header else index
                        block[i, j] = _cell(row[index], name, line, title)
                yield done, block
                done += len(rows)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DataError(f"{name} cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{name} is no UTF-8 text") from None


def _cell(cell: str, name: str, line: int, column: str | int) -> float:
    value = number(cell.strip())
    if value is not None:
        return value
    if missing(cell):
        return float("nan")
    title = repr(column) if isinstance(column, str) else str(column + 1)
    raise DataError(
        f"{name}:{line}, column {title}: {cell.strip()!r} is not a number",
        "an NPY holds numbers: leave the column out (FILE:a,b lists those to take)",
    )


def _chosen(source: File, header: tuple[str, ...]) -> list[int]:
    if source.entry is None:
        return list(range(len(header)))
    found = []
    for title in (part.strip() for part in source.entry.split(",")):
        if title not in header:
            raise DataError(
                f"{source.path} has no column {title!r}",
                f"it has: {', '.join(header[:20])}",
            )
        found.append(header.index(title))
    return found


def _words(source: File, title: str) -> DataError:
    return DataError(
        f"{source.path}, column {title!r} holds words, and an NPY holds numbers",
        "leave the column out: FILE:a,b lists those to take",
    )
