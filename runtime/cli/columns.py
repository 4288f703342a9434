"""What a CSV holds, for `gradc new --csv`: columns, their kinds, which one to predict.

In: a CSV or TSV file (.gz too), read as training will read it. Out: `Table`, with one `Column`
of plain statistics each; guesses are said in words (`Column.guess`), since they go into a
program as comments.

    table = read_table("wine.csv")
    choose_target(table, None).guess()       # ['Guessed: class holds words, so …']
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data import delimited
from ..records import record
from .exits import Exit, Failure, UsageError
from .options import suggestion

MOST_CLASSES = 100
FEW_WHOLE_NUMBERS = 20  # so many distinct whole numbers are taken as classes
TARGETS = "label target class y outcome answer digit species diagnosis category quality".split()
ROW_NUMBERS = ("", "id", "index", "row", "no", "nr")
NO_COLUMN = np.empty(0)


@record
class Column:
    """One column: its numbers without those that are missing, or its words."""

    title: str
    numbers: NDArray[np.float64]
    words: tuple[str, ...]  # distinct and sorted; none where all cells are numbers
    missing: int

    @property
    def numeric(self) -> bool:
        """Whether every cell is a number."""
        return not self.words

    @property
    def whole(self) -> bool:
        """Whether every number is a whole one."""
        return bool((self.numbers == np.floor(self.numbers)).all())

    @property
    def deviation(self) -> float:
        """The standard deviation, 1 where there is none."""
        return float(self.numbers.std()) or 1.0

    @property
    def reason(self) -> str:
        """Why the column is left out of the inputs, "" where it is not."""
        if not self.numeric:
            return "words"
        if not self.numbers.size:
            return "empty"
        named = self.title.casefold() in ROW_NUMBERS
        steps = np.diff(self.numbers)
        if (
            named
            and self.whole
            and steps.size
            and (steps == steps[0]).all()
            and steps[0]
        ):
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
        few = np.unique(self.numbers).size <= FEW_WHOLE_NUMBERS
        return few and self.whole and bool(self.numbers.min() >= 0)

    @property
    def classes(self) -> int:
        """How many scores a classifier needs: whole numbers are never renumbered."""
        return int(self.numbers.max()) + 1 if self.numeric else len(self.words)

    def guess(self) -> list[str]:
        """What is taken of the target, in words."""
        name = printable(self.title)
        if not self.numeric:
            words = ", ".join(printable(word) for word in self.words[:10])
            more = ", …" if len(self.words) > 10 else ""
            return [
                f"Guessed: {name} holds words, so it is one of {self.classes} classes: "
                f"{words}{more}."
            ]
        low, high = self.numbers.min(), self.numbers.max()
        if self.is_class:
            return [
                f"Guessed: {name} holds whole numbers from {low:.0f} to {high:.0f}, "
                "so it is a class.",
                f"If it is a quantity, make it `input {name}: [N]`, with mse as its loss.",
            ]
        return [f"Guessed: {name} is a quantity, from {low:g} to {high:g}."]

    def identifier(self, default: str, taken: frozenset[str]) -> str:
        """Its title as a name of the language, or a default."""
        from gradc.compiler.frontend.scan import KEYWORDS

        fits = re.fullmatch(r"[A-Za-z]([A-Za-z0-9_]{0,62}[A-Za-z0-9])?", self.title)
        free = self.title not in taken and self.title not in KEYWORDS
        return self.title if fits and free else default


@record
class Table:
    """A file's columns. `header` is false where its first row is numbers."""

    name: str
    columns: list[Column]
    rows: int
    header: bool


def read_table(path: str) -> Table:
    """Look through a file. `DataError` where it is no table."""
    file = Path(path)
    if not file.is_file():
        raise UsageError("no-file", f"there is no file `{path}`")
    found = delimited.read(file, path)
    columns = []
    for i in range(found.numbers.shape[1]):
        title = found.header[i] if found.header else f"column {i + 1}"
        words = found.words.get(i, ())
        cells = [word for word in words if not delimited.missing(word)]
        numbers = NO_COLUMN if words else found.numbers[:, i]
        finite = numbers[np.isfinite(numbers)]
        missing = len(found.numbers) - (len(cells) if words else finite.size)
        columns.append(Column(title, finite, tuple(sorted(set(cells))), missing))
    return Table(file.name, columns, len(found.numbers), found.header is not None)


def choose_target(table: Table, wanted: str | None) -> Column:
    """The column to predict: the one asked for, one with a telling name, or the last."""
    if len(table.columns) < 2:
        raise Failure(
            Exit.DATA,
            f"{table.name} has one column: there is nothing to predict it from",
        )
    titles = {column.title: column for column in table.columns}
    if wanted is not None:
        if wanted not in titles:
            raise UsageError(
                "no-column",
                f"{table.name} has no column `{wanted}`",
                f"columns: {', '.join(list(titles)[:30])}",
                help=suggestion(wanted, list(titles)),
            )
        target = titles[wanted]
    else:
        folded = {title.casefold(): c for title, c in reversed(titles.items())}
        telling = (folded[name] for name in TARGETS if name in folded)
        target = next(telling, table.columns[-1])
    shown = printable(target.title)
    if target.numeric and not target.numbers.size:
        raise Failure(Exit.DATA, f"column `{shown}` is empty")
    if target.is_class and not 2 <= target.classes <= MOST_CLASSES:
        raise Failure(
            Exit.DATA,
            f"column `{shown}` has {target.classes} classes; "
            f"this template tells 2 to {MOST_CLASSES} apart",
            notes=(("help", "name another column with --target"),),
        )
    return target


def printable(text: str) -> str:
    """A text from a file as a comment may hold it."""
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return shown[:60] or "(no name)"
