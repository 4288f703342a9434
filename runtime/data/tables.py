"""Tables: the inputs that share a row dim, split, shuffled and batched together.

In: rows of each input (in memory, mapped, or windows of a text). Out: `Part`s, the training
part and the part held out, that give whole arrays, batches in the order of an epoch, or
consecutive chunks. The order of an epoch is a function of the seed and its number.

    for arrays, rows in part.batches(["x", "digit"], epoch=3, seed=0, batch=settings.batch_of):
        loss = step(arrays)
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..records import record
from ..streams import stream
from .text import Characters, Windows
from .transforms import Held, Lazy

Array = NDArray[Any]
RowSource = Held | Lazy | Windows | Characters
BatchOf = Callable[[str], int | None]
SAMPLE = 2**18  # cells of a column that its fingerprint looks at
GATHER = 2**20  # cells that are put in an epoch's order at once


@record
class Table:
    """The inputs of one row dim. `draws` is the number of rows that make an epoch.

    Rows that are the characters of a text keep their order: shuffled, they are no text.
    """

    dim: str
    columns: Mapping[str, RowSource]
    rows: int
    draws: int

    @property
    def ordered(self) -> bool:
        """Whether the rows are taken one after the other, as they stand."""
        return any(isinstance(c, Characters) for c in self.columns.values())

    def order(self, seed: int, epoch: int, cycle: int = 0) -> NDArray[np.int64]:
        """The rows of an epoch in their order; `cycle` counts the rounds within it."""
        if self.ordered:
            return np.arange(self.rows)
        path = self.dim if not cycle else f"{self.dim}\0{cycle}"
        return stream(seed, "batches", path, epoch).permutation(self.rows)[: self.draws]

    def steps(self, size: int | None) -> int:
        """The batches that one round takes."""
        return 1 if size is None else max(1, math.ceil(self.draws / size))

    def batches(
        self,
        names: Sequence[str],
        size: int | None,
        seed: int,
        epoch: int,
        steps: int,
        first: int = 0,
    ) -> Iterator[tuple[list[Array], int]]:
        """`steps` batches of these inputs, round after round, but for the `first` ones;
        a size of None is the whole table."""
        sources = [self.columns[name] for name in names]
        if size is None or (size >= self.rows and self.draws == self.rows):
            whole = [source.span(0, self.rows) for source in sources]
            for _ in range(first, steps):
                yield whole, self.rows
            return
        # Rows are put in order many batches at a time: a batch is then a slice, a view.
        width = sum(math.prod(source.shape[1:]) for source in sources)
        gather = size * max(1, GATHER // max(1, width * size))
        cycle, skipped = divmod(first, self.steps(size))
        done = first
        while done < steps:
            order = self.order(seed, epoch, cycle)
            # From the same places whatever is skipped: a batch has the same alignment.
            for start in range(skipped * size // gather * gather, len(order), gather):
                some = order[start : start + gather]
                taken = [source.take(some) for source in sources]
                for row in range(max(0, skipped * size - start), len(some), size):
                    stop = min(row + size, len(some))
                    yield [array[row:stop] for array in taken], stop - row
                    done += 1
                    if done == steps:
                        return
            cycle, skipped = cycle + 1, 0


@record
class Part:
    """Rows of every table, and the inputs that have no rows and are given whole."""

    tables: Mapping[str, Table]
    whole: Mapping[str, Array] = field(default_factory=dict)

    def digest(self) -> str:
        """A fingerprint: SHA-256 over names, shapes and rows, of long columns a sample."""
        found = hashlib.sha256()
        columns = {
            name: column
            for table in self.tables.values()
            for name, column in table.columns.items()
        }
        for name, column in sorted(columns.items()):
            found.update(f"{name}{column.shape}".encode())
            width = max(1, math.prod(column.shape[1:]))
            count = min(len(column), max(1, SAMPLE // width))
            rows = np.linspace(0, len(column) - 1, count).astype(np.int64)
            found.update(np.ascontiguousarray(column.take(rows)).tobytes())
        for name, array in sorted(self.whole.items()):
            found.update(f"{name}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    @property
    def rows(self) -> dict[str, int]:
        """The rows of each table."""
        return {dim: table.rows for dim, table in self.tables.items()}

    def arrays(self, names: Sequence[str]) -> list[Array]:
        """Whole arrays of these inputs."""
        return [self._whole(name) for name in names]

    def _whole(self, name: str) -> Array:
        for table in self.tables.values():
            if name in table.columns:
                return table.columns[name].span(0, table.rows)
        return self.whole[name]

    def steps(self, batch: BatchOf) -> int:
        """The steps of an epoch: a pass over the table that takes most batches."""
        return max(
            (table.steps(batch(dim)) for dim, table in self.tables.items()), default=1
        )

    def longest(self, batch: BatchOf) -> str | None:
        """The table by whose rows the steps of an epoch are weighted."""
        steps = {dim: table.steps(batch(dim)) for dim, table in self.tables.items()}
        return max(steps, key=lambda dim: steps[dim]) if steps else None

    def batches(
        self,
        names: Sequence[str],
        epoch: int,
        seed: int,
        batch: BatchOf,
        first: int = 0,
    ) -> Iterator[tuple[list[Array], int]]:
        """The steps of an epoch: the inputs' arrays, and the rows of the longest table.

        The last batch may be smaller. Shorter tables go round, in a new order each time.
        `first` steps are left out: an epoch that was begun goes on behind them.
        """
        steps, longest = self.steps(batch), self.longest(batch)
        slots: list[Any] = [self.whole.get(name) for name in names]
        feeds = []
        for dim, table in self.tables.items():
            places = [i for i, name in enumerate(names) if name in table.columns]
            if places or dim == longest:
                mine = [names[i] for i in places]
                run = table.batches(mine, batch(dim), seed, epoch, steps, first)
                feeds.append((places, run, dim == longest))
        if len(feeds) == 1 and feeds[0][0] == list(range(len(names))):
            yield from feeds[0][1]
            return
        for _ in range(first, steps):
            rows = 1
            for places, run, counts in feeds:
                arrays, taken = next(run)
                rows = taken if counts else rows
                for place, array in zip(places, arrays, strict=True):
                    slots[place] = array
            yield list(slots), rows

    def chunks(
        self, names: Sequence[str], dim: str, size: int
    ) -> Iterator[tuple[list[Array], int]]:
        """Consecutive rows of one table, `size` at a time, beside all of the others."""
        table = self.tables[dim]
        fixed = {n: self._whole(n) for n in names if n not in table.columns}
        for start in range(0, table.rows, size):
            stop = min(start + size, table.rows)
            yield [
                fixed[name] if name in fixed else table.columns[name].span(start, stop)
                for name in names
            ], stop - start

    def consecutive(self) -> Part:
        """The part as it is evaluated: windows of a text one behind another."""
        tables = {}
        for dim, table in self.tables.items():
            columns = dict(table.columns)
            texts = [c for c in columns.values() if isinstance(c, Windows)]
            if texts:
                starts = np.arange(0, int(texts[0].starts[-1]) + 1, texts[0].width)
                columns = {
                    name: replace(column, starts=starts)
                    for name, column in columns.items()
                    if isinstance(column, Windows)
                }
                table = Table(dim, columns, len(starts), len(starts))
            tables[dim] = table
        return Part(tables, self.whole)


def split(
    rows: NDArray[np.int64],
    fraction: float,
    seed: int,
    dim: str,
    labels: Sequence[Any] | NDArray[Any] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training and rows held out, each in their order in the file.

    Of n rows, fraction · n are held out, rounded up; with labels, each class gives its share,
    the largest remainders one more.
    """
    count = len(rows)
    held = math.ceil(count * fraction - 1e-9)
    if not 0 < held < count:
        raise DataError(
            f"valid = {fraction:g} of {count} rows ({dim}) leaves "
            f"{count - held} to train on and {held} to validate on"
        )
    order = stream(seed, "split", dim).permutation(count)
    if labels is None:
        chosen = order[:held]
    else:
        _, places = np.unique(np.asarray(labels), return_inverse=True)
        counts = np.bincount(places)
        shares = counts * held / count
        quotas = np.floor(shares + 1e-9).astype(np.int64)
        rest = np.argsort(quotas - shares, kind="stable")[: held - int(quotas.sum())]
        quotas[rest] += 1
        ordered = places[order]
        chosen = np.concatenate(
            [order[ordered == place][:quota] for place, quota in enumerate(quotas)]
        )
    inside = np.zeros(count, bool)
    inside[chosen] = True
    return rows[~inside], rows[inside]
