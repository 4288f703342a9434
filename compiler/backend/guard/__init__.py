"""The guard: the allow-list that every emitted module passes before it is executed.

Stage: after the emitter, before anything runs. In: the text of a module. Out: its parsed
tree, or `GuardError` with the line and what is wrong with it.

The emitter builds code from nodes, so nothing of a `.net` file can become code. The guard
does not rely on that. It knows the little Python that a network needs (arithmetic, arrays,
loops over ranges, dicts by path) and refuses everything else, whatever it means: a node type
that is not in a table, a NumPy function that is not in a table, a method, an attribute, a
keyword, a string where no string belongs. What it admits can compute, and nothing more: it
can't import, read or write a file, reach an interpreter's internals, or name a thing that
the module itself did not define.

    admitted    the tables and limits of the allow-list
    text        what the text is made of: characters, lines, letters beyond ASCII
    integers    how long integers can grow
    walk        the walk over the tree that looks things up in the tables

Execute the tree that `check` returns, not the text again: then what was checked is what runs.

    check("import numpy as np\\n\\n\\ndef predict(x):\\n    return {'y': np.exp(x)}\\n")
    check("import os\\n")      # GuardError: line 1: only `import numpy as np`
"""

from __future__ import annotations

import ast

from .refusal import GuardError
from .text import check_text
from .walk import Walk


def check(source: str) -> ast.Module:
    """Return the tree of `source`, ready to be compiled; raise `GuardError` otherwise."""
    check_text(source)
    try:
        tree = ast.parse(source)
        Walk(source).module(tree)
    except SyntaxError as error:
        raise GuardError(error.lineno or 1, f"not Python: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise GuardError(1, "nested too deeply") from None
    except ValueError as error:
        raise GuardError(1, f"not Python: {error}") from None
    return tree


__all__ = ["GuardError", "check"]
