"""Everything that the compiler says to its users: prose by theme, form in `form.py`.

One function per diagnostic, named for the mistake; it takes a place and the facts and
returns a `Diagnostic`. Stages hold no prose.

    from .errors import names
    reporter.report(names.unknown_name(span, "W3", candidates))
"""

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
