"""Files to inputs: every source read, each input with the cells that it takes, unchanged.

In: a signature, the sources, the inputs that are needed. Out: `Raw` cells, `Text`s and whole
values by input. Nothing is judged or converted here but shapes: what cells mean is for
`cells.py`, after the split is known.

    reading = read(signature, ["x", "digit"], sources, folder)
    reading.raws["digit"].place(116, 0)         # "digits.csv.gz:118, column 'label'"
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..records import record
from ..sizes import Signature, row_dim, show_type, symbols, value
from . import delimited
from .arrays import Archive, load_npy
from .delimited import Delimited
from .mapping import Wanted, assign, shorten
from .sources import File, Next, Source, Sources, Value, form, locate

Entry = Mapping[str, Any]


@record
class Raw:
    """The cells of one input. `values` has rows first, NaN where a cell is no number.

    `words` has the texts, a column each, where a column holds words.
    """

    entry: Entry
    values: NDArray[Any]
    file: str
    words: NDArray[Any] | None = None
    table: Delimited | None = None
    columns: tuple[int, ...] = ()
    array: str = ""  # the name of an NPZ's entry

    @property
    def name(self) -> str:
        """The input's name."""
        name: str = self.entry["name"]
        return name

    @property
    def titles(self) -> tuple[str, ...]:
        """The names of the columns; none where the file has no header."""
        if self.table is None or self.table.header is None:
            return ()
        return tuple(self.table.header[column] for column in self.columns)

    @property
    def taken(self) -> str:
        """What it takes of the file, for the first line of a run."""
        if self.titles:
            return shorten(self.titles)
        if self.columns:
            first, last = self.columns[0] + 1, self.columns[-1] + 1
            return f"column {first}" if first == last else f"columns {first}…{last}"
        return self.array or self.file

    def place(self, row: int, cell: int) -> str:
        """Where a cell is; `cell` counts within the row."""
        if self.table is not None:
            return self.table.place(row, self.columns[cell])
        index = np.unravel_index(cell, self.values.shape[1:] or (1,))
        inner = [int(i) for i in index] if self.values.ndim > 1 else []
        what = f"{self.file}: {self.array}" if self.array else self.file
        return f"{what}{[row, *inner]}"

    def text(self, row: int, cell: int) -> str:
        """What a cell holds."""
        if self.table is not None:
            return self.table.text(row, self.columns[cell])
        if self.words is not None:
            return str(self.words[row, cell])
        return str(self.values[row].reshape(-1)[cell])


@record
class Text:
    """A text for an input of codes; `later` is 1 for the text one character later."""

    entry: Entry
    text: str
    file: str
    of: str
    later: int = 0

    @property
    def in_windows(self) -> bool:
        """Whether a row is a window (int[N, T]), and not a character (int[N])."""
        return len(self.entry["shape"]) == 2


@record(frozen=False)
class Reading:
    """What was read, by input: cells in rows, texts, and values without rows."""

    raws: dict[str, Raw] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)
    whole: dict[str, Raw | Value] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


@record(frozen=False)
class _Context:
    """What reading a file has to know, and what was read before it."""

    signature: Signature
    sources: Sources
    folder: Path
    sizes: Mapping[str, int]
    columns: Mapping[str, tuple[str, ...]]
    reading: Reading = field(default_factory=Reading)


def read(
    signature: Signature,
    needed: Sequence[str],
    sources: Sources,
    folder: Path,
    sizes: Mapping[str, int] | None = None,
    columns: Mapping[str, tuple[str, ...]] | None = None,
) -> Reading:
    """Read what the needed inputs take.

    `sizes` are known already, `columns` are those that inputs took when the net was trained.
    """
    context = _Context(signature, sources, folder, sizes or {}, columns or {})
    entries = {entry["name"]: entry for entry in signature["inputs"]}
    for name in sources:
        if name is not None and name not in entries:
            raise DataError(
                f"data {name}: {signature['name']} has no input {name!r}",
                f"its inputs are: {', '.join(entries) or 'none'}",
            )
    by_file: dict[str, list[str]] = {}
    for name in needed:
        source = source_of(sources, name)
        match source:
            case None:
                raise _no_source(signature, entries[name])
            case Value():
                context.reading.whole[name] = _value(signature, entries[name], source)
            case Next():
                continue  # when the text is there
            case File(path=path):
                by_file.setdefault(path, []).append(name)
    for names in by_file.values():
        source = source_of(sources, names[0])
        assert isinstance(source, File)
        _read_file(context, source, [entries[name] for name in names])
        context.reading.files.append(_shown(source))
    for name in needed:
        source = source_of(sources, name)
        if isinstance(source, Next):
            _follow(context, entries[name], source)
    return context.reading


def source_of(sources: Sources, name: str) -> Source | None:
    """An input's own source, or the one of all inputs."""
    return sources.get(name, sources.get(None))


def _no_source(signature: Signature, entry: Entry) -> DataError:
    name = entry["name"]
    sample = f"--data {name}=0.5" if not entry["shape"] else f"--data {name}=FILE"
    return DataError(
        f"nothing feeds the input {name} ({signature['name']}:{entry['line']})",
        f"say where it comes from:  {sample}   or   data {name} = …   in train {{ }}",
    )


def _shown(source: File) -> str:
    return "stdin" if source.path == "-" else source.path


def _value(signature: Signature, entry: Entry, source: Value) -> Value:
    if entry["shape"]:
        raise DataError(
            f"data {entry['name']}: one number does not make {show_type(entry)}",
            f"{signature['name']}:{entry['line']}: input {entry['name']}: {show_type(entry)}",
        )
    number = source.value
    fits = isinstance(number, bool) == (entry["kind"] == "bool")
    if entry["kind"] == "int" and not (fits and float(number).is_integer()):
        fits = False
    if not fits or not math.isfinite(number):
        raise DataError(f"data {entry['name']}: {number} is no {entry['kind']}")
    return source


def _read_file(context: _Context, source: File, entries: Sequence[Entry]) -> None:
    name = _shown(source)
    path = None if source.path == "-" else locate(source, context.folder)
    match form(source.path):
        case "npz":
            assert path is not None
            _read_archive(context, path, name, entries)
        case "npy" | "idx" as kind:
            from .idx import load_idx

            assert path is not None
            if len(entries) > 1:
                feeds = ", ".join(entry["name"] for entry in entries)
                raise DataError(
                    f"{name} holds one array, and is to feed {feeds}",
                    f"name the input:  --data {entries[0]['name']}={name}",
                )
            array = load_npy(path, name) if kind == "npy" else load_idx(path, name)
            if kind == "idx" and array.size and array.ndim != len(entries[0]["shape"]):
                # An image is a row of numbers, which fill the input as those of a CSV.
                array = array.reshape(len(array), -1)
            _take_array(context, entries[0], array, name, "")
        case "arrow":
            from .arrow import read_arrow

            assert path is not None
            _read_columns(context, read_arrow(path, name), source, entries)
        case "text" if all(_takes_text(context.signature, entry) for entry in entries):
            assert path is not None
            text = delimited.read_text(path, name)
            for entry in entries:
                context.reading.texts[entry["name"]] = Text(
                    entry, text, name, entry["name"]
                )
        case "text":
            entry = next(e for e in entries if not _takes_text(context.signature, e))
            raise DataError(
                f"{name} is a text by its name, and {entry['name']} is {show_type(entry)}",
                "a text feeds int[N, T] or int[N]; other data come from .csv, .tsv (.gz too), "
                ".npy, .npz, idx, .parquet or .arrow",
            )
        case _:
            _read_columns(context, delimited.read(path, name), source, entries)


def _takes_text(signature: Signature, entry: Entry) -> bool:
    """Whether an input can take a text: in windows, int[N, T], or as it runs, int[N]."""
    shape = entry["shape"]
    return (
        entry["kind"] == "int"
        and len(shape) in (1, 2)
        and row_dim(signature, entry) is not None
    )


def _follow(context: _Context, entry: Entry, source: Next) -> None:
    text = context.reading.texts.get(source.of)
    if text is None:
        given = source_of(context.sources, source.of)
        if isinstance(given, File) and form(given.path) == "text":
            first = next(
                (e for e in context.signature["inputs"] if e["name"] == source.of), None
            )
            if first is not None:
                _read_file(context, given, [first])
                text = context.reading.texts.pop(source.of, None)
    if text is None:
        raise DataError(
            f"data {entry['name']} = next({source.of}): {source.of} is no text"
        )
    if not _takes_text(context.signature, entry):
        raise DataError(
            f"data {entry['name']} = next({source.of}): {entry['name']} is "
            f"{show_type(entry)}, not int[N, T] or int[N]"
        )
    context.reading.texts[entry["name"]] = Text(
        entry, text.text, text.file, source.of, 1
    )


# ------------------------------------------------------------------------------- arrays


def _read_archive(
    context: _Context, path: Path, name: str, entries: Sequence[Entry]
) -> None:
    with Archive(path, name) as archive:
        for entry in entries:
            source = source_of(context.sources, entry["name"])
            assert isinstance(source, File)
            wanted = source.entry
            if wanted is None or (source.kept and wanted not in archive.entries):
                wanted = entry["name"]
            assert wanted is not None
            if wanted not in archive.entries:
                raise DataError(
                    f"{name} has no entry {wanted!r} for the input {entry['name']}",
                    f"it has: {', '.join(archive.entries) or 'none'}",
                    f"to choose:  --data {entry['name']}={name}:ENTRY",
                )
            _check_array(context, entry, *archive.header(wanted), name, wanted)
            _take_array(context, entry, archive.load(wanted), name, wanted)


def _check_array(
    context: _Context,
    entry: Entry,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    name: str,
    array: str,
) -> None:
    """Shape and dtype against the program, before anything is unpacked."""
    signature = context.signature
    unfolded = _unfolded(context, entry, shape)
    fits = len(unfolded) == len(entry["shape"])
    for dim, size in zip(entry["shape"], unfolded, strict=False):
        if all(symbol in context.sizes for symbol in symbols(dim)):
            fits = fits and value(dim, context.sizes) == size
    allowed = {"real": "fiu", "int": "iufU", "bool": "biu"}[entry["kind"]]
    if fits and dtype.kind in allowed:
        return
    kind = "words" if dtype.kind == "U" else dtype.name
    what = array or entry["name"]
    notes = []
    missing = [axis for axis, dim in enumerate(entry["shape"]) if dim == 1]
    if len(missing) == len(entry["shape"]) - len(shape) == 1:
        notes.append("an axis of size 1 is not added by itself: see `rearrange`")
    raise DataError(
        f"{name} does not fit {signature['name']}",
        f"{what}: {kind}{list(shape)}   but {signature['name']}:{entry['line']} says   "
        f"input {entry['name']}: {show_type(entry)}",
        *notes,
    )


def _unfolded(
    context: _Context, entry: Entry, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The shape as the input has it, where a matrix has a row of numbers for each entry.

    As the columns of a CSV, [n, 784] fills [N, 28, 28, 1].
    """
    inner = [
        value(dim, context.sizes) if set(symbols(dim)) <= set(context.sizes) else None
        for dim in entry["shape"][1:]
    ]
    flat = len(shape) == 2 < len(entry["shape"])
    if not flat or row_dim(context.signature, entry) is None or None in inner:
        return shape
    sizes = [int(size) for size in inner if size is not None]
    return (shape[0], *sizes) if math.prod(sizes) == shape[1] else shape


def _take_array(
    context: _Context, entry: Entry, array: NDArray[Any], name: str, inner: str
) -> None:
    _check_array(context, entry, array.shape, array.dtype, name, inner)
    array = array.reshape(_unfolded(context, entry, array.shape))
    words = None
    if array.dtype.kind == "U":
        words = np.char.strip(array).astype(object).reshape(len(array), -1)
        array = np.full(array.shape, np.nan)
    raw = Raw(entry, array, name, words, array=inner)
    if row_dim(context.signature, entry) is None:
        context.reading.whole[entry["name"]] = raw
    else:
        context.reading.raws[entry["name"]] = raw


# ------------------------------------------------------------------------------ columns


def _read_columns(
    context: _Context, table: Delimited, file: File, entries: Sequence[Entry]
) -> None:
    signature = context.signature
    rows = [entry for entry in entries if row_dim(signature, entry) is not None]
    names = {entry["name"] for entry in rows}
    for entry in entries:
        if entry["name"] not in names:
            if entry["name"] not in context.sources:
                raise _no_source(signature, entry)
            context.reading.whole[entry["name"]] = _matrix(signature, table, entry)
    wanted = []
    for entry in signature["inputs"]:
        source = source_of(context.sources, entry["name"])
        same = isinstance(source, File) and source.path == file.path
        if same and row_dim(signature, entry) is not None:
            assert isinstance(source, File)
            wanted.append(_wanted(context, entry, source, entry["name"] in names))
    if not rows:
        return
    found = assign(table.name, table.header, wanted, table.numbers.shape[1])
    for entry in rows:
        columns = found[entry["name"]]
        numbers = table.numbers
        if columns == tuple(range(columns[0], columns[-1] + 1)):
            values = numbers[:, columns[0] : columns[-1] + 1]
        else:
            values = numbers[:, list(columns)]
        context.reading.raws[entry["name"]] = Raw(
            entry,
            values.reshape(
                len(values), *_inner(context, entry, len(columns), table.name)
            ),
            table.name,
            _words(table, columns),
            table,
            columns,
        )


def _wanted(context: _Context, entry: Entry, source: File, needed: bool) -> Wanted:
    width: int | None = 1
    for dim in entry["shape"][1:]:
        known = all(name in context.sizes for name in symbols(dim))
        width = int(value(dim, context.sizes)) * width if known and width else None
    listed, kept = None, source.kept
    if source.entry is not None:
        listed = tuple(title.strip() for title in source.entry.split(","))
    elif entry["name"] in context.columns:
        listed, kept = context.columns[entry["name"]], True
    return Wanted(
        entry["name"],
        width,
        listed,
        needed,
        kept,
        show_type(entry),
        entry["line"],
        len(entry["shape"]) > 1,
    )


def _inner(context: _Context, entry: Entry, columns: int, file: str) -> tuple[int, ...]:
    """The shape of one row, last axis fastest; one of its sizes may be open."""
    shape: list[int | None] = []
    for dim in entry["shape"][1:]:
        known = all(name in context.sizes for name in symbols(dim))
        shape.append(int(value(dim, context.sizes)) if known else None)
    rest = math.prod(size for size in shape if size is not None)
    if shape.count(None) > 1 or (None in shape and (not rest or columns % rest)):
        raise DataError(
            f"{columns} columns of {file} do not make one row of {entry['name']}: "
            f"{show_type(entry)} ({context.signature['name']}:{entry['line']})"
        )
    return tuple(columns // rest if size is None else size for size in shape)


def _words(table: Delimited, columns: tuple[int, ...]) -> NDArray[Any] | None:
    """The texts of an input's columns where any of them holds words."""
    if not any(column in table.words for column in columns):
        return None
    texts = np.empty((len(table.numbers), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        if column in table.words:
            texts[:, place] = table.words[column]
        else:
            texts[:, place] = [
                "" if math.isnan(number) else f"{number:.15g}"
                for number in table.numbers[:, column]
            ]
    return texts


def _matrix(signature: Signature, table: Delimited, entry: Entry) -> Raw:
    """A whole table as an input without rows: [a, b], or [a] of one column or row."""
    numbers = table.numbers
    rank = len(entry["shape"])
    if rank == 1 and 1 in numbers.shape:
        numbers = numbers.reshape(-1)
    elif rank == 0 and numbers.size == 1:
        numbers = numbers.reshape(())
    if numbers.ndim != rank:
        raise DataError(
            f"{table.name} is {list(table.numbers.shape)}   but {signature['name']}:"
            f"{entry['line']} says   input {entry['name']}: {show_type(entry)}"
        )
    return Raw(entry, numbers, table.name)
