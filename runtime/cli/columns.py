"""What a CSV holds, for `gradc new --csv`: columns, their kinds, which one to predict.

In: a CSV or TSV file (.gz too). Out: `Table`, with one `Column` of plain statistics each;
guesses are said in words (`Column.guess`), since they go into a program as comments.

    table = read_table("wine.csv")
    choose_target(table, None).guess()       # ['class: words, so a class of 3 …']
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .exits import Exit, Failure, UsageError
from .options import suggestion

MOST_ROWS = 200_000  # rows looked at
MOST_CLASSES = 100
FEW_WHOLE_NUMBERS = 20  # so many distinct whole numbers are taken as classes
TARGETS = "label target class y outcome answer digit species diagnosis category quality".split()
ROW_NUMBERS = ("", "id", "index", "row", "no", "nr")


@dataclass
class Column:
    """One column and what its cells are. `reason` says why it is no feature."""

    title: str
    count: int = 0
    missing: int = 0
    numeric: bool = True
    whole: bool = True
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0
    distinct: set[str] = field(default_factory=set)
    rows_seen: int = 0

    def take(self, cell: str) -> None:
        """Count one cell."""
        cell = cell.strip()
        if not cell:
            self.missing += 1
            return
        self.count += 1
        if len(self.distinct) <= MOST_CLASSES or (self.numeric and self.whole):
            self.distinct.add(cell)
        if not self.numeric:
            return
        try:
            value = float(cell)
        except ValueError:
            self.numeric = False
            return
        if not math.isfinite(value):
            self.missing += 1
            return
        self.whole = self.whole and bool(re.fullmatch(r"[+-]?\d+", cell))
        self.low, self.high = min(self.low, value), max(self.high, value)
        step = value - self.mean
        self.mean += step / self.count
        self.squares += step * (value - self.mean)

    @property
    def deviation(self) -> float:
        """The standard deviation, 1 where there is none."""
        return math.sqrt(self.squares / self.count) or 1.0

    @property
    def reason(self) -> str:
        """Why the column is left out, "" where it is not."""
        if not self.count:
            return "empty"
        if not self.numeric:
            return "words"
        numbered = self.whole and len(self.distinct) == self.count > 2
        if numbered and self.title.strip().casefold() in ROW_NUMBERS:
            return "numbers the rows"
        return ""

    @property
    def usable(self) -> bool:
        """Whether it can be an input as it stands."""
        return not self.reason

    @property
    def is_class(self) -> bool:
        """Whether its values name classes rather than measure something."""
        if not self.numeric:
            return True
        return self.whole and self.low >= 0 and len(self.distinct) <= FEW_WHOLE_NUMBERS

    @property
    def classes(self) -> int:
        """How many scores a classifier needs."""
        return len(self.distinct) if not self.numeric else int(self.high) + 1

    def guess(self) -> list[str]:
        """What is taken of the target, in words."""
        name = printable(self.title)
        if not self.numeric:
            words = ", ".join(printable(word) for word in sorted(self.distinct)[:10])
            return [
                f"Guessed: {name} holds words, so it is one of {self.classes} classes: {words}."
            ]
        if self.is_class:
            return [
                f"Guessed: {name} holds whole numbers from {self.low:.0f} to {self.high:.0f}, "
                "so it is a class.",
                f"If it is a quantity: `input {name}: [N]`, and mse for cross_entropy.",
            ]
        return [f"Guessed: {name} is a quantity, from {self.low:g} to {self.high:g}."]

    def identifier(self, default: str, taken: frozenset[str]) -> str:
        """Its title as a name of the language, or a default."""
        if re.fullmatch(r"[A-Za-z]([A-Za-z0-9_]{0,62}[A-Za-z0-9])?", self.title):
            from gradc.compiler.frontend.scan import KEYWORDS

            if self.title not in taken and self.title not in KEYWORDS:
                return self.title
        return default


@dataclass
class Table:
    """A file's columns. `header` is false where its first row is numbers."""

    name: str
    columns: list[Column]
    rows: int
    header: bool


def read_table(path: str) -> Table:
    """Look through a file."""
    file = Path(path)
    try:
        rows = cells(file)
        first = next(rows, None)
        if not first:
            raise Failure(Exit.DATA, f"{path} is empty")
        header = not all(is_number(cell) for cell in first)
        titles = (
            [c.strip() for c in first]
            if header
            else [str(i) for i in range(len(first))]
        )
        table = Table(file.name, [Column(title) for title in titles], 0, header)
        body = rows if header else iter([first, *rows])
        for line, row in enumerate(body, 2 if header else 1):
            if not row or table.rows == MOST_ROWS:
                continue
            if len(row) != len(titles):
                raise Failure(
                    Exit.DATA,
                    f"{path}:{line}: {len(row)} cells, the first row has {len(titles)}",
                )
            table.rows += 1
            for column, cell in zip(table.columns, row, strict=True):
                column.take(cell)
    except FileNotFoundError:
        raise UsageError("no-file", f"there is no file `{path}`") from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise Failure(Exit.DATA, f"{path} cannot be read as CSV: {error}") from None
    if not table.rows:
        raise Failure(Exit.DATA, f"{path} has a header, but no rows")
    repeated = sorted({title for title in titles if titles.count(title) > 1})
    if repeated:
        raise Failure(Exit.DATA, f"{path}: two columns are called {repeated[0]!r}")
    return table


def cells(file: Path) -> Iterator[list[str]]:
    """The rows of a file as texts; a TSV has tabs."""
    names = file.name.lower().removesuffix(".gz")
    with file.open("rb") as raw:
        stream = (
            gzip.GzipFile(fileobj=raw) if file.name.lower().endswith(".gz") else raw
        )
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        yield from csv.reader(text, delimiter="\t" if names.endswith(".tsv") else ",")


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def choose_target(table: Table, wanted: str | None) -> Column:
    """The column to predict: the one asked for, one with a telling name, or the last."""
    if len(table.columns) < 2:
        raise Failure(
            Exit.DATA, f"{table.name} has one column: nothing to predict it from"
        )
    titles = {column.title: column for column in table.columns}
    if wanted is not None:
        if wanted not in titles:
            raise UsageError(
                "no-column",
                f"{table.name} has no column `{wanted}`",
                f"columns: {' '.join(list(titles)[:30])}",
                help=suggestion(wanted, list(titles)),
            )
        target = titles[wanted]
    else:
        folded = {
            title.casefold(): column for title, column in reversed(titles.items())
        }
        telling = (folded[name] for name in TARGETS if name in folded)
        target = next(telling, table.columns[-1]) if table.header else table.columns[-1]
    if not target.count:
        raise Failure(Exit.DATA, f"column `{printable(target.title)}` is empty")
    if target.is_class and (target.classes > MOST_CLASSES or target.classes < 2):
        raise Failure(
            Exit.DATA,
            f"column `{printable(target.title)}` has {target.classes} classes or more; "
            f"from 2 to {MOST_CLASSES} can be told apart by this template",
            notes=(("help", "name another column with --target"),),
        )
    return target


def printable(text: str) -> str:
    """A text from a file as a comment may hold it."""
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return shown[:60] or "(no name)"
