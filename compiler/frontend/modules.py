"""Files as scopes: what a program's own file, its libraries and `std` define.

A `Module` is one file after its `use` lines were followed: its constants, its functions and
what it took from other modules. Functions see the names of the module that they were
written in, wherever they are called from, so lowering asks the function's own module:

    found = resolved.root.find("dense")      # -> Found(module=std, function=…)

`std` is one module over all files of `compiler/std`; a file of it is parsed when one of its
functions is first asked for, and once per process.
"""

from __future__ import annotations

import re
from dataclasses import field
from functools import cache
from pathlib import Path

from gradc.records import record

from ..source import Source, Span
from . import ast
from .parser import parse
from .signatures import PRIMITIVES, Primitive, primitive

Value = int | float | bool


@record
class Constant:
    """A `const` with its value; `overridden` is the `--set` text that replaced it."""

    name: str
    value: Value
    span: Span
    overridden: str = ""

    @property
    def line(self) -> int:
        return self.span.line


@record
class Found:
    """A function and the module in whose scope its body is read."""

    module: Module
    function: ast.Function


@record(frozen=False, eq=False)
class Module:
    """What one file defines at its top level (for `std`: all files of the folder)."""

    name: str
    source: Source | None = None
    program: ast.Program | None = None
    path: Path | None = None
    constants: dict[str, Constant] = field(default_factory=dict)
    functions: dict[str, ast.Function] = field(default_factory=dict)
    uses: dict[str, tuple[Module, str]] = field(default_factory=dict)

    def function(self, name: str) -> ast.Function | None:
        """Return the function of that name that this very module defines."""
        return self.functions.get(name)

    def constant(self, name: str) -> Constant | None:
        """Return a constant of this module, its own or a used one."""
        found = self.constants.get(name)
        if found is None and name in self.uses:
            module, inner = self.uses[name]
            return module.constant(inner)
        return found

    def find(self, name: str) -> Found | Primitive | None:
        """Return what `name(…)` means in this module: own, used, std, primitive."""
        own = self.function(name)
        if own is not None:
            return Found(self, own)
        if name in self.uses:
            module, inner = self.uses[name]
            found = module.find(inner)
            if isinstance(found, Found):
                return found
        library = standard_library()
        if self is not library:
            own = library.function(name)
            if own is not None:
                return Found(library, own)
        return primitive(name)

    def function_names(self) -> list[str]:
        """All names that `find` finds, nearest first, for suggestions."""
        names = list(self.functions)
        names += [
            name
            for name, (module, inner) in self.uses.items()
            if module.constant(inner) is None
        ]
        names += sorted(standard_library().names())
        names += PRIMITIVES
        return list(dict.fromkeys(names))

    def names(self) -> list[str]:
        """The names of the functions that this module defines."""
        return list(self.functions)


_DEFINITION = re.compile(r"^(?:fn|layer)\s+([^\W\d]\w*)", re.MULTILINE)


@record(frozen=False, eq=False)
class StandardLibrary(Module):
    """The module `std`: knows which file defines what, parses a file when it is needed."""

    files: dict[str, Source] = field(default_factory=dict)
    parsed: set[str] = field(default_factory=set)

    def function(self, name: str) -> ast.Function | None:
        source = self.files.get(name)
        if source is not None and source.name not in self.parsed:
            self.parsed.add(source.name)
            for statement in parse(source).statements:
                if isinstance(statement, ast.Function):
                    self.functions[statement.name.text] = statement
        return self.functions.get(name)

    def names(self) -> list[str]:
        return list(self.files)


@cache
def standard_library(folder: Path | None = None) -> StandardLibrary:
    """Return `std`, read once per process; another folder is for tests."""
    where = folder or Path(__file__).parent.parent / "std"
    library = StandardLibrary("std")
    for path in sorted(where.glob("*.net")):
        text = path.read_text(encoding="utf-8")
        source = Source.from_text(f"std/{path.name}", text)
        for match in _DEFINITION.finditer(source.text):
            library.files[match.group(1)] = source
    return library
