"""A program's data, ready to train on: read, split, fitted, converted.

In: a signature, settings, the program's folder. Out: `Dataset`: the training part, the part
held out, what was fitted, and the sizes that the data bind. The order of the steps matters:
rows that miss something go first, then the split, then what is fitted on the training part
alone, then conversion of both parts.

    data = load(signature, settings, Path("examples/digits"))
    data.train.rows, data.valid.rows, data.sizes        # {"N": 1437} {"N": 360} {}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..records import record
from ..sizes import Signature, bind, check, row_dim, row_dims, show_type, symbols, value
from .cells import is_classes, missing_rows, refuse_kinds, refuse_missing
from .reading import Raw, Reading, Text, read
from .sources import File, Sources, Value
from .tables import Part, RowSource, Table, split
from .text import Characters, Windows, cut, encode, starts, vocabulary
from .transforms import Transforms, check_range, convert, fit, rows_of

if TYPE_CHECKING:
    from ..settings import Settings

Purpose = Literal["train", "evaluate", "predict"]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Data that fit a program.

    `sizes` are all but the row dims. `bindings` says what each input takes, `summary` one line
    a table, `dropped` the rows that were left out because something was missing.
    """

    train: Part
    valid: Part | None
    transforms: Transforms
    sizes: Mapping[str, int]
    bindings: Mapping[str, str] = field(default_factory=dict)
    summary: Sequence[str] = ()
    dropped: int = 0

    @cached_property
    def fingerprint(self) -> str:
        """Tells data that are another's, or in another order, from these."""
        parts = [self.train.digest()]
        if self.valid is not None:
            parts.append(self.valid.digest())
        return " ".join(parts)

    @property
    def held_out(self) -> Part:
        """The part that figures are taken of: the one held out, else that of training."""
        return self.valid if self.valid is not None else self.train.consecutive()


@record(frozen=False)
class _Work:
    """What the steps of `load` share."""

    signature: Signature
    settings: Settings
    purpose: Purpose
    sizes: dict[str, int]
    known: frozenset[str]


def load(
    signature: Signature,
    settings: Settings,
    folder: Path | str = ".",
    purpose: Purpose = "train",
    transforms: Transforms | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Dataset:
    """Read and prepare the data of a program.

    `purpose` says which inputs are needed: those of training, of `evaluate` or of `predict`.
    With `transforms`, those of a trained net, nothing is fitted. `settings.valid` holds rows
    out, for any purpose but prediction. `sizes` are those of the parameters, once trained.
    """
    needed = needed_inputs(signature, purpose)
    frozen = dict(sizes or {})
    columns = transforms.columns if transforms else None
    reading = read(signature, needed, settings.sources, Path(folder), frozen, columns)
    work = _Work(signature, settings, purpose, frozen, frozenset(frozen))
    fraction = settings.valid if isinstance(settings.valid, float) else None
    if purpose == "predict":
        fraction = None
    _bind(work, reading)
    kept, dropped = _keep(work, reading.raws)
    trained, held = _split(work, reading.raws, kept, fraction)
    if transforms is None:
        of_input = {
            name: trained[_dim(work, raw)] for name, raw in reading.raws.items()
        }
        transforms = fit(
            reading.raws, of_input, settings.scale, settings.missing == "mean"
        )
        _refuse_scales(work, reading, transforms)
    separate = None
    if isinstance(settings.valid, File) and purpose != "predict":
        separate = _read_valid(work, needed, settings.valid, Path(folder), transforms)
    texts = _texts(work, reading, separate, transforms, fraction)
    whole = _whole(work, reading)
    train = _part(work, reading.raws, trained, transforms, texts[0], whole)
    valid: Part | None = None
    if separate is not None:
        rows, more = _keep(work, separate.raws)
        dropped += more
        valid = _part(work, separate.raws, rows, transforms, texts[1], whole)
    elif fraction is not None and (held or texts[1]):
        valid = _part(work, reading.raws, held, transforms, texts[1], whole)
    elif fraction is not None:
        raise DataError(
            f"valid = {fraction:g}: no input of {signature['name']} has rows to hold out"
        )
    bound = {k: v for k, v in work.sizes.items() if k not in row_dims(signature)}
    check(signature, bound)
    return Dataset(
        train,
        valid,
        transforms,
        bound,
        _bindings(reading),
        _summary(work, reading, train, valid, dropped),
        dropped,
    )


def needed_inputs(signature: Signature, purpose: Purpose) -> list[str]:
    """The inputs that data must feed, in order of declaration."""
    functions = signature["functions"]
    wanted = {"train": ("forward", "evaluate")}.get(purpose, (purpose,))
    names = {n for f in wanted if f in functions for n in functions[f]["inputs"]}
    return [e["name"] for e in signature["inputs"] if e["name"] in names]


# ----------------------------------------------------------------------------- the steps


def _bind(work: _Work, reading: Reading, title: str | None = None) -> None:
    """Bind sizes by all that was read; inputs of one table must have the same rows."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, raw in reading.raws.items():
        shapes[name] = raw.values.shape
    for name, whole in reading.whole.items():
        shapes[name] = () if isinstance(whole, Value) else whole.values.shape
    if title is None and len(reading.files) == 1:
        title = f"{reading.files[0]} does not fit {work.signature['name']}"
    found = bind(work.signature, shapes, work.sizes, title, checks=False)
    rows = set(row_dims(work.signature))
    for name, raw in reading.raws.items():
        if not len(raw.values):
            raise DataError(f"{raw.file} has no rows for {name}")
    work.sizes.update({k: v for k, v in found.items() if k not in rows})


def _dim(work: _Work, raw: Raw | Text) -> str:
    dim = row_dim(work.signature, raw.entry)
    assert dim is not None
    return dim


def _keep(work: _Work, raws: Mapping[str, Raw]) -> tuple[dict[str, Rows], int]:
    """The rows of each table that are used: all, or those that miss nothing."""
    for raw in raws.values():
        refuse_kinds(raw)
    settings = work.settings
    if settings.missing == "error":
        refuse_missing(raws.values())
    elif settings.missing == "drop" and work.purpose == "predict":
        # One line of output a row: a row that vanished would shift all that follow.
        refuse_missing(raws.values(), "there is no prediction for it: fill it in")
    elif settings.missing == "mean":
        refuse_missing(raw for raw in raws.values() if raw.entry["kind"] != "real")
    kept: dict[str, Rows] = {}
    dropped = 0
    for dim in row_dims(work.signature):
        mine = [raw for raw in raws.values() if _dim(work, raw) == dim]
        if not mine:
            continue
        use = np.ones(len(mine[0].values), bool)
        if settings.missing == "drop":
            for raw in mine:
                use[missing_rows(raw)] = False
        kept[dim] = np.flatnonzero(use)
        dropped += len(use) - len(kept[dim])
        if not len(kept[dim]):
            raise DataError(
                f"{mine[0].file}: something is missing in every row, so that none is left"
            )
    return kept, dropped


def _split(
    work: _Work,
    raws: Mapping[str, Raw],
    kept: Mapping[str, Rows],
    fraction: float | None,
) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """The rows of each table to train on, and those held out."""
    if fraction is None:
        return dict(kept), {}
    by = work.signature["stratify"]
    trained, held = {}, {}
    for dim, rows in kept.items():
        labels = None
        if by in raws and _dim(work, raws[by]) == dim:
            raw = raws[by]
            labels = raw.values[rows]
            if is_classes(raw) and raw.words is not None:
                labels = raw.words[rows].astype(str)
            labels = labels.reshape(len(rows))
        trained[dim], held[dim] = split(rows, fraction, work.settings.seed, dim, labels)
    return trained, held


def _refuse_scales(work: _Work, reading: Reading, transforms: Transforms) -> None:
    """A scale that was asked for by name and cannot be."""
    entries = {entry["name"]: entry for entry in work.signature["inputs"]}
    for name, kind in work.settings.scale.items():
        if name is None or name in transforms.scales or name not in entries:
            continue
        if name in reading.raws or name in reading.whole or name in reading.texts:
            raise DataError(
                f"scale {name} = {kind}: {name} is {show_type(entries[name])}; "
                "what is scaled are real numbers in rows"
            )


def _read_valid(
    work: _Work,
    needed: Sequence[str],
    file: File,
    folder: Path,
    transforms: Transforms,
) -> Reading:
    """The held-out part from a file of its own, which stands in for every file."""
    sources: Sources = {}
    for name, source in work.settings.sources.items():
        if isinstance(source, File):
            source = replace(file, entry=source.entry, kept=source.entry is not None)
        sources[name] = source
    sources.setdefault(None, file)
    reading = read(
        work.signature, needed, sources, folder, work.sizes, transforms.columns
    )
    _bind(work, reading, f"{file.path} does not fit {work.signature['name']}")
    return reading


def _whole(work: _Work, reading: Reading) -> dict[str, NDArray[Any]]:
    """The inputs without rows, as arrays."""
    dtype = np.dtype(work.settings.dtype)
    arrays: dict[str, NDArray[Any]] = {}
    for name, raw in reading.whole.items():
        if isinstance(raw, Value):
            kinds = {"real": dtype, "int": np.dtype(np.int64), "bool": np.dtype(bool)}
            entry = next(e for e in work.signature["inputs"] if e["name"] == name)
            arrays[name] = np.asarray(raw.value, kinds[entry["kind"]])
            raw = Raw(entry, arrays[name], "data")
        flat = replace(raw, values=raw.values[np.newaxis])
        refuse_kinds(flat)
        refuse_missing([flat])
        everything = np.zeros(1, np.int64)
        array = convert(flat, everything, Transforms(), dtype)
        check_range(flat, everything, array, work.sizes)
        arrays[name] = array[0]
    return arrays


def _part(
    work: _Work,
    raws: Mapping[str, Raw],
    rows: Mapping[str, Rows],
    transforms: Transforms,
    texts: Mapping[str, Table],
    whole: Mapping[str, NDArray[Any]],
) -> Part:
    dtype = np.dtype(work.settings.dtype)
    tables = {}
    for dim, mine in rows.items():
        columns: dict[str, RowSource] = {
            name: rows_of(raw, mine, transforms, dtype, work.sizes)
            for name, raw in raws.items()
            if _dim(work, raw) == dim
        }
        tables[dim] = Table(dim, columns, len(mine), len(mine))
    for dim, table in texts.items():
        if dim in tables:
            other = next(iter(tables[dim].columns))
            raise DataError(
                f"{next(iter(table.columns))} takes windows of a text, and {other} rows of "
                f"a file: they cannot share the rows {dim}"
            )
        tables[dim] = table
    order = [dim for dim in row_dims(work.signature) if dim in tables]
    return Part({dim: tables[dim] for dim in order}, whole)


# ----------------------------------------------------------------------------------- text


def _texts(
    work: _Work,
    reading: Reading,
    separate: Reading | None,
    transforms: Transforms,
    fraction: float | None,
) -> tuple[dict[str, Table], dict[str, Table]]:
    """Rows for training and for validation, a table for each row dim with texts."""
    if not reading.texts:
        return {}, {}
    for name, text in reading.texts.items():
        if text.of not in transforms.vocabulary:
            others = separate.texts[name].text if separate else ""
            transforms.vocabulary[text.of] = vocabulary(text.text, others)
        _check_vocabulary(work, text, transforms.vocabulary[text.of])
    trained: dict[str, Table] = {}
    held: dict[str, Table] = {}
    dims = [_dim(work, text) for text in reading.texts.values()]
    for dim in dict.fromkeys(dims):
        mine = [t for t in reading.texts.values() if _dim(work, t) == dim]
        trained[dim], inside = _text_rows(work, dim, mine, transforms, fraction)
        if inside is not None:
            held[dim] = inside
        if separate is not None:
            other = [separate.texts[t.entry["name"]] for t in mine]
            held[dim], _ = _text_rows(work, dim, other, transforms, None, later=True)
    return trained, held


def _check_vocabulary(work: _Work, text: Text, characters: str) -> None:
    bounds = text.entry["range"]
    if bounds is None or any(s not in work.sizes for s in symbols(bounds[1])):
        return
    high = int(value(bounds[1], work.sizes))
    if len(characters) > high:
        raise DataError(
            f"{text.file} has {len(characters)} different characters, and "
            f"{text.entry['name']} is used as an index from 0 to {high - 1} "
            f"({work.signature['name']}:{text.entry['line']})",
            f"raise the constant that says {high} to {len(characters)} at least",
        )


def _text_rows(
    work: _Work,
    dim: str,
    texts: Sequence[Text],
    transforms: Transforms,
    fraction: float | None,
    later: bool = False,
) -> tuple[Table, Table | None]:
    """The rows of a text to train on, and those of its end.

    Windows are at every start to train, and one behind another in what is held out; `later`:
    all of the text is. In prediction a text is one window. Characters are in order in each.
    """
    if len({text.text for text in texts}) > 1:
        raise DataError(f"the texts of the rows {dim} are not the same text")
    if len({text.in_windows for text in texts}) > 1:
        shown = ", ".join(f"{t.entry['name']}: {show_type(t.entry)}" for t in texts)
        raise DataError(
            f"{shown}: a row of a text is a window or a character, not both"
        )
    offset = max(text.later for text in texts)
    every = work.purpose == "train" and not later
    parts: dict[str, Sequence[NDArray[np.int64]]] = {}
    for text in texts:
        codes = encode(text.text, transforms.vocabulary[text.of], text.file)
        parts[text.entry["name"]] = cut(codes, fraction) if fraction else [codes]
    count = len(next(iter(parts.values())))
    tables: list[Table] = []
    for number in range(count):
        length = len(next(iter(parts.values()))[number])
        if not texts[0].in_windows:
            tables.append(_characters(dim, texts, parts, number, length - offset))
            continue
        width = _width(work, texts[0], length)
        first = every and number == 0
        where = starts(length, width, offset, consecutive=not first)
        if not len(where):
            what = "the part held out of " if number else ""
            raise DataError(
                f"{what}{texts[0].file} has {length} characters, too few for one window "
                f"of {width}{' and the character behind it' if offset else ''}"
            )
        columns = {
            text.entry["name"]: Windows(
                parts[text.entry["name"]][number], width, where, text.later
            )
            for text in texts
        }
        draws = max(1, length // width) if first else len(where)
        tables.append(Table(dim, columns, len(where), min(draws, len(where))))
    return tables[0], tables[1] if count > 1 else None


def _characters(
    dim: str,
    texts: Sequence[Text],
    parts: Mapping[str, Sequence[NDArray[np.int64]]],
    number: int,
    rows: int,
) -> Table:
    """The rows of a part of a text whose rows are its characters."""
    if rows < 1:
        what = "the part held out of " if number else ""
        later = any(text.later for text in texts)
        why = "no character has another one behind it" if later else "it is empty"
        raise DataError(f"{what}{texts[0].file} is too short: {why}")
    columns = {
        text.entry["name"]: Characters(
            parts[text.entry["name"]][number], rows, text.later
        )
        for text in texts
    }
    return Table(dim, columns, rows, rows)


def _width(work: _Work, text: Text, length: int) -> int:
    """T: what the parameters fix, what the program writes, or what `window` says."""
    dim = text.entry["shape"][1]
    names = symbols(dim)
    if work.purpose == "predict" and not all(n in work.known for n in names):
        return length
    for name in names:
        if name not in work.sizes:
            if name not in work.settings.window:
                raise DataError(
                    f"{text.entry['name']} takes windows of {text.file}: how many "
                    "characters each?",
                    f"say:  train {{ window {name} = 64 }}   or   --set train.window.{name}=64",
                )
            work.sizes[name] = work.settings.window[name]
    return int(value(dim, work.sizes))


# ------------------------------------------------------------------------------ in words


def _bindings(reading: Reading) -> dict[str, str]:
    shown: dict[str, str] = {name: raw.taken for name, raw in reading.raws.items()}
    for name, text in reading.texts.items():
        shown[name] = f"next({text.of})" if text.later else text.file
    for name, whole in reading.whole.items():
        shown[name] = f"{whole.value:g}" if isinstance(whole, Value) else whole.taken
    return shown


def _files(items: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(items))


def _summary(
    work: _Work, reading: Reading, train: Part, valid: Part | None, dropped: int
) -> list[str]:
    """One line a table: `digits.csv.gz  1,797 rows → 1,437 train / 360 valid (…)`."""
    lines = []
    seed = f"seed {work.settings.seed}"
    for dim, table in train.tables.items():
        raws = [raw for raw in reading.raws.values() if _dim(work, raw) == dim]
        held = valid.tables[dim].rows if valid and dim in valid.tables else 0
        if not raws:
            texts = [t for t in reading.texts.values() if _dim(work, t) == dim]
            shown = f"{table.draws:,} in order"
            tail = f" / {held:,} valid" if held else ""
            if texts[0].in_windows:
                width = next(iter(table.columns.values())).shape[1]
                shown = f"{table.draws:,} windows of {width}"
                tail = f" an epoch{tail}" if held else ""
            lines.append(
                f"{texts[0].file}  {len(texts[0].text):,} characters → {shown}{tail}"
            )
            continue
        text = f"{_files(raw.file for raw in raws)}  {len(raws[0].values):,} rows"
        if held and isinstance(work.settings.valid, float):
            by = work.signature["stratify"]
            how = "stratified, " if any(raw.name == by for raw in raws) else ""
            text += f" → {table.rows:,} train / {held:,} valid ({how}{seed})"
        elif held:
            text += f" train / {held:,} valid"
        if dropped:
            text += f", {dropped:,} dropped (missing)"
        lines.append(text)
    return lines
