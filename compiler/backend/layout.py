"""The last resort for lines that are too long: black, for those alone.

In: the text of a module in the emitter's own layout, which is black's. Out: the same with
lines of more than WIDTH characters broken as black breaks them. Few modules have one; black
is loaded for them only, and reads no more than it has to, as it takes longer than all else.
"""

from __future__ import annotations

from .pyast import WIDTH

WHOLE = ("#", '"""')
"""How lines begin that black leaves alone: comments, docstrings."""


def broken(text: str) -> str:
    """The module with its long lines broken."""
    lines = text.split("\n")
    long = [i for i, line in enumerate(lines) if len(line) > WIDTH and not _whole(line)]
    if not long:
        return text
    import black

    try:
        for i in long:
            statement = lines[i].lstrip()
            pad = " " * (len(lines[i]) - len(statement))
            mode = black.Mode(line_length=WIDTH - len(pad))
            made = black.format_str(statement, mode=mode).rstrip("\n")
            lines[i] = "\n".join(pad + part for part in made.split("\n"))
    except ValueError:  # a part of a statement: an entry of a table, a head
        return black.format_str(text, mode=black.Mode())
    return "\n".join(lines)


def _whole(line: str) -> bool:
    return line.lstrip().startswith(WHOLE)
