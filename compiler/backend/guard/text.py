"""What the text of a module is made of, which its tree does not tell.

Python folds names to ASCII before they reach the tree (NFKC: 𝐨𝐬 is os), so letters beyond
ASCII are admitted in strings and comments alone.
"""

from __future__ import annotations

import ast

from .admitted import (
    CODING,
    CONTROL,
    FOLDED,
    INVISIBLE,
    LONGEST_LINE,
    MOST_LINES,
)
from .refusal import GuardError, refuse


def check_text(source: str) -> None:
    """Refuse text that an editor, a file or Python could read in different ways."""
    if source.count("\n") > MOST_LINES:
        raise GuardError(MOST_LINES, f"more than {MOST_LINES:,} lines")
    for bad, what in ((CONTROL, "control"), (INVISIBLE, "invisible or directional")):
        if found := bad.search(source):
            line = source.count("\n", 0, found.start()) + 1
            raise GuardError(line, f"{what} character U+{ord(found[0]):04X}")
    lines = source.split("\n")
    for number, text in enumerate(lines[:2], 1):
        if CODING.match(text):
            raise GuardError(number, "a coding declaration")
    if max(map(len, lines)) > LONGEST_LINE:
        number = next(n for n, text in enumerate(lines, 1) if len(text) > LONGEST_LINE)
        raise GuardError(number, f"longer than {LONGEST_LINE:,} characters")


class Letters:
    """The lines with letters beyond ASCII, in bytes. Strings are blanked as they are admitted."""

    def __init__(self, source: str) -> None:
        self.lines = {
            number: bytearray(line, "utf-8")
            for number, line in enumerate(source.split("\n"), 1)
            if not line.isascii()
        }

    def blank(self, node: ast.Constant | ast.JoinedStr) -> None:
        """An admitted string may hold any letter; what remains of its lines is code."""
        if not self.lines or node.end_lineno is None or node.end_col_offset is None:
            return
        for number in range(node.lineno, node.end_lineno + 1):
            if line := self.lines.get(number):
                start = node.col_offset if number == node.lineno else 0
                end = node.end_col_offset if number == node.end_lineno else len(line)
                text = line[start:end].decode()
                if isinstance(node, ast.JoinedStr) and not FOLDED.match(text):
                    refuse(node, "a letter beyond ASCII among the names of an f-string")
                line[start:end] = b" " * (end - start)

    def check(self) -> None:
        """Refuse a letter that stands in code, after all strings are blanked."""
        for number, line in self.lines.items():
            if not line.split(b"#")[0].isascii():
                raise GuardError(number, "a letter beyond ASCII in code")
