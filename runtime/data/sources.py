"""Where an input's values come from: a file, one number, or a text one character later.

In: the `data` settings of a program and the `--data` arguments of a command. Out: `Source`s by
input, and files that may be opened. A program's files stay in its own folder: a program may
come from a stranger, and may not read what it likes. What the user types is the user's.

    parse("x=digits.npz:images")        # ("x", File("digits.npz", "images", trusted=True))
    parse("rate=0.5")                   # ("rate", Value(0.5))
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..records import record


@dataclass(frozen=True)
class File:
    """A file, and what of it: an entry of an NPZ, columns of a CSV.

    `trusted`: the user named it, so it may lie anywhere. `kept`: the entry is what the
    program said of another file, to be used where this one has it too.
    """

    path: str
    entry: str | None = None
    trusted: bool = False
    kept: bool = False


@record
class Value:
    """One number or truth value for a scalar input."""

    value: float | bool


@record
class Next:
    """The windows of another input's text, one character later."""

    of: str


Source = File | Value | Next
Sources = dict[str | None, Source]

_NAMED = re.compile(r"([^\W\d][\w.]*)=(.+)", re.DOTALL)
_NEXT = re.compile(r"next\(\s*([^\W\d]\w*)\s*\)")


def parse(text: str) -> tuple[str | None, Source]:
    """One `--data` argument: `PATH`, `NAME=PATH`, `NAME=PATH:ENTRY`, `NAME=0.5`, `NAME=next(x)`."""
    name: str | None = None
    named = _NAMED.fullmatch(text)
    if named and not os.path.exists(text):
        name, text = named.groups()
        following = _NEXT.fullmatch(text)
        if following:
            return name, Next(following[1])
        if text in ("true", "false"):
            return name, Value(text == "true")
        try:
            return name, Value(float(text))
        except ValueError:
            pass
    path, colon, entry = text.rpartition(":")
    if colon and path and not os.path.exists(text) and os.sep not in entry:
        return name, File(path, entry, trusted=True)
    return name, File(text, trusted=True)


def from_setting(value: Mapping[str, Any]) -> Source:
    """A source as a signature has it."""
    if "path" in value:
        return File(value["path"], value.get("entry"))
    if "next" in value:
        return Next(value["next"])
    return Value(value["value"])


def combine(
    program: Iterable[tuple[str | None, Source]], command: Iterable[str]
) -> Sources:
    """The program's sources with those of the command line in their place.

    A file for every input replaces each file that the program names, but what the program
    says of a file's columns and entries is kept, as are its numbers and its `next`.
    """
    sources: Sources = dict(program)
    given = [parse(text) for text in command]
    named = {name for name, _ in given}
    for name, source in given:
        if name is None and isinstance(source, File):
            for other, old in sources.items():
                if isinstance(old, File) and other not in named:
                    entry, kept = source.entry, False
                    if entry is None and old.entry is not None:
                        entry, kept = old.entry, True
                    sources[other] = replace(source, entry=entry, kept=kept)
        sources[name] = source
    return sources


def locate(source: File, folder: Path) -> Path:
    """The file to open, or a `DataError`: it must exist, be a file, and lie where it may.

    `folder` is the program's. Symbolic links are followed before the test.
    """
    shown = source.path
    if "\0" in shown:
        raise DataError("a path holds a NUL character")
    if source.trusted:
        path = Path(os.path.realpath(os.path.expanduser(shown)))
    else:
        if os.path.isabs(shown) or Path(shown).drive:
            raise DataError(
                f"{shown}: the path of a program's data is relative to the program",
                f"if it is the right file:  --data {shown}",
            )
        home = os.path.realpath(folder)
        path = Path(os.path.realpath(os.path.join(home, shown)))
        if os.path.commonpath([home, path]) != home:
            raise DataError(
                f"{shown}: the data of a program stay in its folder",
                f"if it is the right file:  --data {os.path.join(folder, shown)}",
            )
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise DataError(f"{shown}: {error.strerror or error}") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{shown} is a folder")
    if not stat.S_ISREG(mode):
        raise DataError(f"{shown} is no ordinary file")
    return path


def form(path: str) -> str:
    """What a file is by its name: `csv`, `tsv`, `npy`, `npz`, `idx`, `arrow`, `text`."""
    lower = path.lower().removesuffix(".gz")
    if _IDX.search(lower):
        return "idx"
    suffix = os.path.splitext(lower)[1]
    return "csv" if path == "-" else _FORMS.get(suffix, "text")


_IDX = re.compile(r"[.-]idx\d*(-ubyte)?$")
_FORMS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".npy": "npy",
    ".npz": "npz",
    ".parquet": "arrow",
    ".pq": "arrow",
    ".arrow": "arrow",
    ".feather": "arrow",
}
