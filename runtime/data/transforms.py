"""What is fitted on the training part, and the conversion of cells to arrays.

In: `Raw` cells and the rows that count. Out: arrays of the input's kind. Classes, scales and
means are fitted on the rows given, those of the training part, kept in `Transforms`, saved
with the weights and replayed on all other rows.

    transforms = fit(raws, rows, {None: "standard"}, fill=False)
    x = convert(raws["x"], rows["x"], transforms, np.dtype("float32"))
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..records import record
from ..sizes import limits
from .cells import Rows, blocks, is_classes, refuse
from .reading import Raw

LAZY = 2**28  # bytes of a mapped file from which on rows are converted when asked for


@record
class Scale:
    """(x - shift) / spread, entry by entry."""

    kind: str
    shift: NDArray[np.float64]
    spread: NDArray[np.float64]


@record(frozen=False)
class Transforms:
    """All that was fitted on the training part. It is saved with the weights."""

    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scales: dict[str, Scale] = field(default_factory=dict)
    means: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    vocabulary: dict[str, str] = field(default_factory=dict)
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As numbers and lists that JSON keeps exactly."""
        return {
            "classes": {name: list(words) for name, words in self.classes.items()},
            "scales": {
                name: {
                    "kind": scale.kind,
                    "shape": list(scale.shift.shape),
                    "shift": scale.shift.reshape(-1).tolist(),
                    "spread": scale.spread.reshape(-1).tolist(),
                }
                for name, scale in self.scales.items()
            },
            "means": {
                name: {"shape": list(mean.shape), "mean": mean.reshape(-1).tolist()}
                for name, mean in self.means.items()
            },
            "vocabulary": dict(self.vocabulary),
            "columns": {name: list(titles) for name, titles in self.columns.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Transforms:
        """The inverse of `to_json`."""

        def array(numbers: Sequence[float], shape: Sequence[int]) -> Any:
            return np.array(numbers, np.float64).reshape(tuple(shape))

        return cls(
            classes={name: tuple(words) for name, words in data["classes"].items()},
            scales={
                name: Scale(
                    scale["kind"],
                    array(scale["shift"], scale["shape"]),
                    array(scale["spread"], scale["shape"]),
                )
                for name, scale in data["scales"].items()
            },
            means={
                name: array(mean["mean"], mean["shape"])
                for name, mean in data["means"].items()
            },
            vocabulary=dict(data["vocabulary"]),
            columns={name: tuple(titles) for name, titles in data["columns"].items()},
        )


# ------------------------------------------------------------------------------ fitting


def fit(
    raws: Mapping[str, Raw],
    rows: Mapping[str, Rows],
    scale: Mapping[str | None, str],
    fill: bool,
) -> Transforms:
    """Fit classes, means (if `fill`) and scales on these rows of each input."""
    transforms = Transforms()
    for name, raw in raws.items():
        if raw.titles:
            transforms.columns[name] = raw.titles
        if is_classes(raw):
            assert raw.words is not None
            words = {word for row in rows[name] for word in raw.words[row]}
            transforms.classes[name] = tuple(sorted(words))
        if raw.entry["kind"] != "real":
            continue
        # What overflows here is found, with its place, when it is converted.
        with np.errstate(all="ignore"):
            if fill:
                transforms.means[name] = _mean(raw, rows[name])
            kind = scale.get(name, scale.get(None))
            if kind is not None:
                transforms.scales[name] = _scale(raw, rows[name], kind, transforms)
    return transforms


def _mean(raw: Raw, rows: Rows) -> NDArray[np.float64]:
    """The mean of the cells that are there, column by column."""
    inner = raw.values.shape[1:]
    total = np.zeros(math.prod(inner))
    count = np.zeros(math.prod(inner))
    for _, block in blocks(raw, rows):
        there = np.isfinite(block)
        total += np.where(there, block, 0.0).sum(axis=0)
        count += there.sum(axis=0)
    if not count.all():
        cell = int(np.argmin(count))
        raise DataError(
            f"{raw.place(int(rows[0]), cell)}: this column has no value in the training part"
        )
    return np.asarray((total / count).reshape(inner))


def _scale(raw: Raw, rows: Rows, kind: str, transforms: Transforms) -> Scale:
    """`standard`: mean 0, deviation 1. `unit`: 0 … 1. A constant column stays constant."""
    inner = raw.values.shape[1:]
    filled = transforms.means.get(raw.name)
    low = np.full(math.prod(inner), np.inf)
    high, total, squares = -low, np.zeros_like(low), np.zeros_like(low)
    count = max(1, len(rows))
    if kind == "standard":
        for _, block in _filled(raw, rows, filled):
            total += block.sum(axis=0)
        shift = total / count
        for _, block in _filled(raw, rows, filled):
            squares += ((block - shift) ** 2).sum(axis=0)
        spread = np.sqrt(squares / count)
        # A column that is constant up to rounding has nothing to be divided by.
        spread[spread <= 1e-12 * np.abs(shift)] = 1.0
    elif kind == "unit":
        for _, block in _filled(raw, rows, filled):
            np.minimum(low, block.min(axis=0), out=low)
            np.maximum(high, block.max(axis=0), out=high)
        shift, spread = low, high - low
        spread[spread == 0] = 1.0
    else:
        raise ValueError(f"no scale {kind!r}; there are standard, unit")
    wild = ~(np.isfinite(shift) & np.isfinite(spread))
    if wild.any():
        place = raw.place(int(rows[0]), int(np.argmax(wild)))
        raise DataError(
            f"{place}: the values of this column are too large to be scaled"
        )
    return Scale(kind, shift.reshape(inner), spread.reshape(inner))


def _filled(
    raw: Raw, rows: Rows, mean: NDArray[np.float64] | None
) -> Iterator[tuple[Rows, NDArray[np.float64]]]:
    for numbers, block in blocks(raw, rows):
        exact = block.astype(np.float64)
        if mean is not None:
            exact = np.where(np.isfinite(exact), exact, mean.reshape(-1))
        yield numbers, exact


# --------------------------------------------------------------------------- converting


def convert(
    raw: Raw, rows: Rows, transforms: Transforms, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Some rows of an input as an array of its kind: the run's dtype, int64 or bool."""
    kind = raw.entry["kind"]
    if kind == "int" and (raw.name in transforms.classes or is_classes(raw)):
        return _places(raw, rows, transforms)
    if kind == "bool" and raw.words is not None:
        return _truths(raw, rows)
    everything = np.array_equal(rows, np.arange(len(raw.values)))
    values = raw.values if everything else raw.values[rows]
    if kind == "int":
        return np.asarray(values).astype(np.int64)
    if kind == "bool":
        return np.asarray(values).astype(bool)
    mean, scale = transforms.means.get(raw.name), transforms.scales.get(raw.name)
    with np.errstate(all="ignore"):
        if mean is None and scale is None:
            converted = np.ascontiguousarray(values, dtype=dtype)
        else:
            exact = np.asarray(values).astype(np.float64)
            if mean is not None:
                exact = np.where(np.isfinite(exact), exact, mean)
            if scale is not None:
                exact -= scale.shift
                exact /= scale.spread
            converted = exact.astype(dtype)
    finite = np.isfinite(converted)
    if not finite.all():
        bad = np.argwhere(~finite.reshape(len(rows), -1))
        cells = [(int(rows[r]), int(c)) for r, c in bad]
        refuse(raw, cells, f"is too large for {dtype}", "try:  --dtype float64")
    return converted


def _places(raw: Raw, rows: Rows, transforms: Transforms) -> NDArray[np.int64]:
    classes = transforms.classes.get(raw.name)
    if classes is None:
        row = int(rows[0]) if len(rows) else 0
        raise DataError(
            f"{raw.place(row, 0)}: {raw.text(row, 0)!r} is a word, but {raw.name} was "
            "whole numbers when the net was trained"
        )
    place = {word: number for number, word in enumerate(classes)}
    found = np.empty((len(rows), max(1, raw.values[:1].size)), np.int64)
    unknown = []
    for i, row in enumerate(rows):
        for cell in range(found.shape[1]):
            text = (
                raw.words[row, cell]
                if raw.words is not None
                else raw.text(int(row), cell)
            )
            if text in place:
                found[i, cell] = place[text]
            else:
                unknown.append((int(row), cell))
    if unknown:
        shown = ", ".join(map(repr, classes[:10])) + (
            ", …" if len(classes) > 10 else ""
        )
        refuse(
            raw,
            unknown,
            f"is no class of {raw.name} in the training part",
            f"the classes are: {shown}",
        )
    return found.reshape(len(rows), *raw.values.shape[1:])


def _truths(raw: Raw, rows: Rows) -> NDArray[np.bool_]:
    assert raw.words is not None
    meaning = {
        "true": True,
        "false": False,
        "1": True,
        "0": False,
        "yes": True,
        "no": False,
    }
    texts = [[word.lower() for word in raw.words[row]] for row in rows]
    bad = [
        (int(rows[i]), cell)
        for i, row in enumerate(texts)
        for cell, text in enumerate(row)
        if text not in meaning
    ]
    if bad:
        refuse(raw, bad, f"is neither true nor false, and {raw.name} is bool")
    truths = np.array([[meaning[text] for text in row] for row in texts], bool)
    return truths.reshape(len(rows), *raw.values.shape[1:])


def check_range(
    raw: Raw, rows: Rows, array: NDArray[Any], sizes: Mapping[str, int]
) -> None:
    """`DataError` on a value of an int input outside of the range of its use as an index."""
    bounds = limits(raw.entry, sizes) if raw.entry["kind"] == "int" else None
    if bounds is None:
        return
    low, high = bounds
    bad = ((array < low) | (array >= high)).reshape(len(array), -1)
    if bad.any():
        cells = [(int(rows[r]), int(c)) for r, c in np.argwhere(bad)]
        note = f"{raw.name} is used as an index from {low} to {high - 1}"
        if low == 0 and not bad[array.reshape(len(array), -1) != high].any():
            note += "; are the classes counted from 1?"
        if is_classes(raw):
            note += f"; there are {int(array.max()) + 1} classes"
        refuse(raw, cells, f"is outside of {low}…{high - 1}", note)


@record
class Lazy:
    """Rows of a mapped file, converted when they are asked for."""

    raw: Raw
    rows: Rows
    transforms: Transforms
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self.rows), *self.raw.values.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Rows) -> NDArray[Any]:
        """Some rows as an array."""
        return convert(self.raw, self.rows[rows], self.transforms, self.dtype)

    def span(self, start: int, stop: int) -> NDArray[Any]:
        """Rows from start to stop as an array."""
        return convert(self.raw, self.rows[start:stop], self.transforms, self.dtype)


@record
class Held:
    """Rows in memory."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.array.shape

    def __len__(self) -> int:
        return len(self.array)

    def take(self, rows: Rows) -> NDArray[Any]:
        """Some rows as an array."""
        taken: NDArray[Any] = self.array.take(rows, axis=0)
        return taken

    def span(self, start: int, stop: int) -> NDArray[Any]:
        """Rows from start to stop: a view."""
        return self.array[start:stop]


def rows_of(
    raw: Raw,
    rows: Rows,
    transforms: Transforms,
    dtype: np.dtype[Any],
    sizes: Mapping[str, int],
) -> Held | Lazy:
    """Some rows of an input, in memory or made when they are asked for; ranges are checked."""
    mapped = isinstance(raw.values, np.memmap) and raw.values.nbytes > LAZY
    if not mapped or raw.words is not None:
        array = convert(raw, rows, transforms, dtype)
        check_range(raw, rows, array, sizes)
        return Held(array)
    if raw.entry["kind"] == "int":
        for numbers, block in blocks(raw, rows):
            check_range(raw, numbers, block, sizes)
    return Lazy(raw, rows, transforms, dtype)
