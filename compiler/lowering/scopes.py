"""Scopes: which name stands for what, now and at the moment a function was defined.

A block is a `Scope`; blocks nest. A `fn` or `layer` keeps a `View`: the scopes around it and
the moment of its definition in each. A name that is *continued* after that moment
(``h = h + f(h)``) keeps its old value for the function, so a definition has one meaning
wherever it is called. Old values are kept only for names that were continued; nothing is
copied.

    >>> scope = Scope()
    >>> scope.define("h", 1); view = scope.view(); scope.define("h", 2)
    >>> scope.find("h"), view.find("h")
    (2, 1)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import field
from typing import Any, Literal

from gradc.records import record

Role = Literal["input", "param", "const", "argument", "index", "root"]


@record(frozen=False)
class Scope:
    """The names of one block.

    `outer` is the block around it, or for a function's body what its definition could
    see: behind that border names are seen but not continued.
    """

    outer: Scope | View | None = None
    values: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, Any] = field(default_factory=dict)  # dims that shapes introduced
    functions: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # where a name was last defined
    roles: dict[str, Role] = field(default_factory=dict)  # of names no equation defines
    past: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)  # right sides of equations
    module: Any = None  # of the outermost scope of a file
    moment: int = 0

    def define(
        self, name: str, thing: Any, line: int = 0, role: Role | None = None
    ) -> None:
        """Give a name a (new) value."""
        if name in self.values:
            self.past.setdefault(name, []).append((self.moment, self.values[name]))
        self.moment += 1
        self.values[name] = thing
        self.lines[name] = line
        if role is not None:
            self.roles[name] = role

    def define_function(self, name: str, function: Any) -> None:
        """Let a name stand for a function; values are another world."""
        self.moment += 1
        self.functions[name] = function

    def view(self) -> View:
        """What can be seen from here now, whatever comes later."""
        levels: list[tuple[Scope, int]] = []
        scope: Scope | View | None = self
        while isinstance(scope, Scope):
            levels.append((scope, scope.moment))
            scope = scope.outer
        if scope is not None:
            levels += scope.levels
        return View(tuple(levels))

    def at(self, name: str, moment: int) -> Any:
        """What a name of this very block stood for at a moment."""
        past = self.past.get(name)
        if past is not None:
            k = bisect_left(past, moment, key=lambda entry: entry[0])
            if k < len(past):
                return past[k][1]
        return self.values[name]

    def where(self, name: str) -> Scope | None:
        """The scope that a name's value is in."""
        scope: Scope | View | None = self
        while isinstance(scope, Scope):
            if name in scope.values:
                return scope
            scope = scope.outer
        return None if scope is None else scope.where(name)

    def continued(self, name: str) -> Scope | None:
        """The scope in which an equation of this block continues a name, or None."""
        scope: Scope | View | None = self
        while isinstance(scope, Scope):
            if name in scope.values:
                return scope
            scope = scope.outer
        return None

    def find(self, name: str) -> Any:
        """What a name stands for in an expression (values before sizes), or None."""
        scope: Scope | View | None = self
        while isinstance(scope, Scope):
            if name in scope.values:
                return scope.values[name]
            if name in scope.sizes:
                return scope.sizes[name]
            scope = scope.outer
        return None if scope is None else scope.find(name)

    def find_size(self, name: str) -> Any:
        """What a name stands for in a shape (sizes before values), or None."""
        scope: Scope | View | None = self
        while isinstance(scope, Scope):
            if name in scope.sizes:
                return scope.sizes[name]
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return None if scope is None else scope.find_size(name)

    def find_function(self, name: str) -> Any:
        """What a name stands for among functions, or None."""
        scope: Scope | View | None = self
        while isinstance(scope, Scope):
            if name in scope.functions:
                return scope.functions[name]
            scope = scope.outer
        return None if scope is None else scope.find_function(name)

    def home(self) -> Any:
        """The module in whose file the text stands."""
        scope: Scope | View | None = self
        last = self
        while isinstance(scope, Scope):
            last, scope = scope, scope.outer
        return last.module if scope is None else scope.levels[-1][0].module

    def names(self) -> Iterator[str]:
        """All names of values that can be seen, nearest first."""
        scope: Scope | View | None = self
        while isinstance(scope, Scope):
            yield from reversed(scope.values)
            scope = scope.outer
        if scope is not None:
            for outer, _ in scope.levels:
                yield from reversed(outer.values)


@record
class View:
    """Scopes as they were at a moment, from the inside out."""

    levels: tuple[tuple[Scope, int], ...]

    def find(self, name: str) -> Any:
        """What a name stood for in an expression, or None."""
        for scope, moment in self.levels:
            if name in scope.values:
                return scope.at(name, moment)
            if name in scope.sizes:
                return scope.sizes[name]
        return None

    def find_size(self, name: str) -> Any:
        """What a name stood for in a shape, or None."""
        for scope, moment in self.levels:
            if name in scope.sizes:
                return scope.sizes[name]
            if name in scope.values:
                return scope.at(name, moment)
        return None

    def find_function(self, name: str) -> Any:
        """What a name stands for among functions, or None."""
        for scope, _ in self.levels:
            if name in scope.functions:
                return scope.functions[name]
        return None

    def where(self, name: str) -> Scope | None:
        """The scope that a name's value is in."""
        for scope, _ in self.levels:
            if name in scope.values:
                return scope
        return None
