"""Everything that the compiler says to its users: prose by theme, form in `form.py`.

One function per diagnostic, named for the mistake; it takes a place and the facts and
returns a `Diagnostic`. Stages hold no prose.

    from .errors import names
    reporter.report(names.unknown_name(span, "W3", candidates))

Most programs are right: a theme is loaded when somebody has something to say.
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from .form import (
    CompileError,
    Diagnostic,
    InternalError,
    Reporter,
    did_you_mean,
    render,
)

__all__ = [
    "CompileError",
    "Diagnostic",
    "InternalError",
    "Reporter",
    "did_you_mean",
    "render",
]


class _Theme(ModuleType):
    """What stands for a theme until one of its functions is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def __getattr__(name: str) -> ModuleType:
    theme = f"{__name__}.{name}"
    if name.startswith("_") or find_spec(theme) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = globals()[name] = _Theme(theme)
    return module
