"""What the guard says of what it does not admit."""

from __future__ import annotations

import ast
from typing import NoReturn

from ...errors import InternalError


class GuardError(InternalError):
    """An emitted module holds something that no network needs: a bug or an attack."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__("guard", f"line {line}: {what}")
        self.line = line
        self.what = what


def refuse(node: ast.AST, what: str) -> NoReturn:
    """Raise `GuardError` at the line of `node`."""
    raise GuardError(getattr(node, "lineno", 1), what)


def name_of(node: ast.AST) -> str:
    """What a node type is called in a message: `Lambda` reads as it stands in ast."""
    return type(node).__name__
