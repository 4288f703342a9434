"""An essay for each diagnostic: what it means, a program that gets it, what to do.

In: the id of a diagnostic. Out: Markdown, a section of `essays.md`, in which every program
is one that a test has shown to the compiler.

    print(essay("broadcast"))
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources


@cache
def _sections() -> dict[str, str]:
    text = resources.files(__package__).joinpath("essays.md").read_text("utf-8")
    parts = re.split(r"^## (\S+)\n", text, flags=re.MULTILINE)
    return {
        id: f"# {id}\n{body.rstrip()}\n"
        for id, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def essays() -> list[str]:
    """The ids that have one."""
    return list(_sections())


def essay(id: str) -> str | None:
    """What there is to say of a diagnostic; None where nobody knows it."""
    return _sections().get(id)
