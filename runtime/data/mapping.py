"""Which columns of a table feed which input.

In: a header (or the number of columns), and the inputs with the numbers that each needs a row.
Out: the columns of each input. The rules, first that fits:

1. what the source lists: `data x = "f.csv:age,bmi"`;
2. the column of the input's name, for one number a row;
3. `x.0`, `x.1`, …, or else `x0`, `x1`, … or `x_0`, `x_1`, … where no other input is meant;
4. all the columns that are left, in order, for the one input with several numbers a row.

Without a header, columns go to inputs from left to right; one width may be open.

    assign("f.csv", ("a", "b", "y"), [Wanted("x", 2), Wanted("y", 1)])
    # {"x": (0, 1), "y": (2,)}
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from ..errors import DataError
from ..records import record

Columns = dict[str, tuple[int, ...]]


@record
class Wanted:
    """An input that a table feeds. `width` is None where the data decide.

    `listed` are the columns that its source names; `needed` is false where the input is only
    looked for, so that its columns are not taken for another one's.
    """

    name: str
    width: int | None
    listed: tuple[str, ...] | None = None
    needed: bool = True
    kept: bool = False
    type: str = ""
    line: int = 0
    wide: bool = False  # several axes a row, even if they hold one number


def assign(
    file: str, header: Sequence[str] | None, wanted: Sequence[Wanted], columns: int = 0
) -> Columns:
    """The columns of each needed input; `columns` counts them where there is no header."""
    if header is None:
        return _left_to_right(file, wanted, columns)
    found: Columns = {}
    for item in wanted:
        if item.listed is not None:
            listed = _listed(file, header, item)
            if listed:
                found[item.name] = listed
    names = {item.name for item in wanted}
    taken = {index for indices in found.values() for index in indices}
    for item in wanted:
        if item.name not in found:
            indices = _by_name(header, item, names, taken)
            if indices:
                found[item.name] = indices
                taken.update(indices)
    left = [index for index in range(len(header)) if index not in taken]
    open_ = [item for item in wanted if item.name not in found and item.needed]
    if len(open_) == 1 and (open_[0].wide or open_[0].width != 1) and left:
        found[open_[0].name] = tuple(left)
        open_ = []
    if open_:
        raise _nothing_for(file, header, open_, left)
    for item in wanted:
        if item.needed:
            _check_width(file, header, item, found[item.name], left)
    return {item.name: found[item.name] for item in wanted if item.needed}


def _listed(file: str, header: Sequence[str], item: Wanted) -> tuple[int, ...]:
    assert item.listed is not None
    indices = []
    for title in item.listed:
        if title not in header:
            if item.kept or not item.needed:
                return ()
            raise DataError(
                f"{file} has no column {title!r}, which `data {item.name}` lists",
                _suggest(title, header),
            )
        indices.append(header.index(title))
    return tuple(indices)


def _by_name(
    header: Sequence[str], item: Wanted, names: set[str], taken: set[int]
) -> tuple[int, ...]:
    """The column of the name itself, or the numbered ones."""
    if item.width in (1, None) and item.name in header:
        return _free((header.index(item.name),), taken)
    dotted = _numbered(header, item.name + ".")
    if dotted:
        return _free(dotted, taken)
    spellings = []
    for prefix in (item.name, item.name + "_"):
        indices = _numbered(header, prefix)
        if indices and not any(header[index] in names for index in indices):
            spellings.append(indices)
    return _free(spellings[0], taken) if len(spellings) == 1 else ()


def _free(indices: tuple[int, ...], taken: set[int]) -> tuple[int, ...]:
    return () if taken.intersection(indices) else indices


def _numbered(header: Sequence[str], prefix: str) -> tuple[int, ...]:
    indices: list[int] = []
    while f"{prefix}{len(indices)}" in header:
        indices.append(header.index(f"{prefix}{len(indices)}"))
    return tuple(indices)


def _check_width(
    file: str,
    header: Sequence[str],
    item: Wanted,
    indices: tuple[int, ...],
    left: Sequence[int],
) -> None:
    if item.width is None or item.width == len(indices):
        return
    what = shorten([header[index] for index in indices])
    note = ""
    if set(indices) == set(left):
        note = "these are the columns that no other input takes"
    raise DataError(
        f"{item.name} needs {item.width} columns, and {file} has {len(indices)} for it: {what}",
        f"line {item.line}: input {item.name}: {item.type}",
        *([note] if note else []),
        f'to choose:  data {item.name} = "{file}:first,second,…"',
    )


def _nothing_for(
    file: str, header: Sequence[str], open_: Sequence[Wanted], left: Sequence[int]
) -> DataError:
    lines = [
        f"line {item.line}: input {item.name}: {item.type}   "
        f"{_suggest(item.name, [header[i] for i in left])}".rstrip()
        for item in open_
    ]
    numeric = [cell for cell in header if _is_number(cell)]
    if numeric:
        lines.append(
            f"line 1 was taken for a header, since not all of it is numbers, yet "
            f"{numeric[0]} is: is the header missing?"
        )
    lines.append(f"columns left: {shorten([header[i] for i in left]) or 'none'}")
    lines.append(f'to choose:  data {open_[0].name} = "{file}:a column,…"')
    names = ", ".join(item.name for item in open_)
    return DataError(f"{file} has no column for {names}", *lines)


def _left_to_right(file: str, wanted: Sequence[Wanted], columns: int) -> Columns:
    """Columns in order of declaration. Those of inputs that are not needed may be absent."""
    groups = [list(wanted)]
    needed = [item for item in wanted if item.needed]
    if len(needed) < len(wanted):
        groups.append(needed)
    for group in groups:
        widths = [item.width for item in group]
        fixed = sum(width for width in widths if width is not None)
        open_ = widths.count(None)
        if open_ > 1 or (not open_ and fixed != columns) or fixed + open_ > columns:
            continue
        found: Columns = {}
        start = 0
        for item, width in zip(group, widths, strict=True):
            stop = start + (columns - fixed if width is None else width)
            if item.needed:
                found[item.name] = tuple(range(start, stop))
            start = stop
        return found
    lines = [f"line {item.line}: input {item.name}: {item.type}" for item in needed]
    if sum(item.width is None for item in needed) > 1:
        lines.append("only one of them may have a width that the data decide")
    raise DataError(
        f"{file} has no header and {columns} columns, which do not make the inputs "
        f"{', '.join(item.name for item in needed)}",
        *lines,
        "columns are taken from left to right as inputs are declared; a header names them",
    )


def shorten(titles: Sequence[str]) -> str:
    """Columns for a message: `p0…p63, label`."""
    if len(titles) > 6:
        return f"{titles[0]}…{titles[-1]}"
    return ", ".join(titles)


def _suggest(name: str, titles: Sequence[str]) -> str:
    folded = {title.casefold(): title for title in reversed(titles)}
    close = difflib.get_close_matches(name.casefold(), folded, 1)
    return f"did you mean {folded[close[0]]!r}?" if close else ""


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
