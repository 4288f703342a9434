"""gradc.compiler: .net text in, Python source out.

    from gradc.compiler import Options, compile_file, compile_source

    compiled = compile_file("digits.net", Options(level=1))
    compiled.source       # the module: readable, imports numpy alone
    compiled.signature    # what a runtime has to know of it, as JSON has it

The order of the stages is in `driver.py`, and there alone. It is loaded when it is asked for:
whoever needs a diagnostic's form alone does not pay for a parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import CompileError, Diagnostic, InternalError
from .source import Source

if TYPE_CHECKING:
    from .driver import STAGES, Compiled, Options, compile_file, compile_source, stages

__version__ = "0.1.0"

__all__ = [
    "STAGES",
    "CompileError",
    "Compiled",
    "Diagnostic",
    "InternalError",
    "Options",
    "Source",
    "compile_file",
    "compile_source",
    "stages",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import driver

        return getattr(driver, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
