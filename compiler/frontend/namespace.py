"""The names known at a place of the text, as `resolve.py` walks through it.

Levels, outermost first: the file, then each `fn`, `layer`, `repeat` and `for` around the place.
A block sees what is around it; a name that is first defined in a block ends with it. At the
border of a function names are seen but not continued: an equation there makes a new one.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from gradc.records import record

from ..source import Span
from . import ast
from .modules import Module

What = Literal[
    "input",
    "param",
    "random",
    "state",
    "const",
    "size",
    "index",
    "argument",
    "value",
    "loss",
    "metric",
    "output",
]
LevelKind = Literal["file", "fn", "layer", "repeat", "for"]

_FREE = frozenset(("argument", "value"))


@record
class Binding:
    """What a name stands for, and since where; `depth` is the level's number."""

    name: str
    what: What
    span: Span
    depth: int

    @property
    def line(self) -> int:
        return self.span.line

    @property
    def fixed(self) -> bool:
        """Whether no equation may give it another value."""
        return self.what not in _FREE

    @property
    def shown(self) -> str:
        """What it is, in the words of a message."""
        return "equation" if self.what == "value" else self.what

    @property
    def where(self) -> str:
        """What it is and the line, in the words of a message."""
        article = "an" if self.shown[0] in "aeiou" else "a"
        if self.what == "value":
            return f"defined on line {self.line}"
        return f"{article} {self.shown} (line {self.line})"


@record(frozen=False)
class Level:
    """The names of one block."""

    kind: LevelKind
    span: Span | None = None
    name: str = ""
    values: dict[str, Binding] = field(default_factory=dict)
    functions: dict[str, Binding] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    """What a `for` collects, anywhere in its body, and the line that does it."""

    @property
    def is_function(self) -> bool:
        return self.kind in ("fn", "layer")


class Names:
    """All levels at the present place."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.levels = [Level("file")]
        self.hidden: dict[str, int] = {}
        """Names that a block took with it when it ended, and the line of the block."""

    # ----------------------------------------------------------------------- blocks

    def enter(self, kind: LevelKind, span: Span, name: str = "") -> None:
        """Begin a block."""
        self.levels.append(Level(kind, span, name))

    def leave(self) -> None:
        """End a block."""
        level = self.levels.pop()
        if level.is_function or level.span is None:
            return
        for name, binding in level.values.items():
            if binding.what != "index":
                self.hidden[name] = level.span.line

    @property
    def inside(self) -> LevelKind | Literal[""]:
        """The kind of the innermost block; "" at top level."""
        kind = self.levels[-1].kind
        return "" if kind == "file" else kind

    @property
    def function(self) -> bool:
        """Whether a function is being defined."""
        return any(level.is_function for level in self.levels)

    @property
    def in_loop(self) -> bool:
        """Whether a `for` runs here."""
        return self._loop(()) is not None

    def _loop(self, indices: tuple[ast.IndexItem, ...]) -> int | None:
        """The depth of the outermost `for`, of those that run here, whose index is used
        bare; of the innermost if none is."""
        innermost: int | None = None
        outermost: int | None = None
        used = {item.text for item in indices if isinstance(item, ast.Name)}
        for depth in range(len(self.levels) - 1, 0, -1):
            level = self.levels[depth]
            if level.is_function:
                break
            if level.kind == "for":
                if innermost is None:
                    innermost = depth
                if any(
                    binding.what == "index" and name in used
                    for name, binding in level.values.items()
                ):
                    outermost = depth
        return innermost if outermost is None else outermost

    def collecting(self, name: str) -> tuple[str, int] | None:
        """The index of a `for` around this place that collects `name`, and the line."""
        for level in reversed(self.levels):
            if level.is_function:
                return None
            line = level.sequences.get(name)
            if line is not None and level.span is not None:
                found = self.find(name)
                if found is not None and found.line < level.span.line:
                    return None  # a value that the loop is about to replace
                index = next(b.name for b in level.values.values() if b.what == "index")
                return index, line
        return None

    def being_defined(self, name: str) -> Level | None:
        """The function of that name around this place."""
        for level in reversed(self.levels):
            if level.is_function and level.name == name:
                return level
        return None

    # ----------------------------------------------------------------------- values

    def define(self, name: ast.Name, what: What) -> None:
        """Let a name stand for something from here to the end of the block.

        A value that is continued stays where it was first defined.
        """
        depth = len(self.levels) - 1
        if what == "value":
            known = self.continued(name.text)
            if known is not None:
                depth = known.depth
        self._put(name, what, depth)

    def define_sequence(
        self, name: ast.Name, indices: tuple[ast.IndexItem, ...]
    ) -> None:
        """Let a sequence that a `for` collects be known behind the loop."""
        loop = self._loop(indices)
        depth = len(self.levels) - 1 if loop is None else loop - 1
        if name.text not in self.levels[depth].values:
            self._put(name, "value", depth)

    def _put(self, name: ast.Name, what: What, depth: int) -> None:
        binding = Binding(name.text, what, name.span, depth)
        self.levels[depth].values[name.text] = binding

    def find(self, name: str) -> Binding | None:
        """What a name stands for here."""
        for level in reversed(self.levels):
            binding = level.values.get(name)
            if binding is not None:
                return binding
        return None

    def local(self, name: str) -> Binding | None:
        """What a name stands for in this very block."""
        return self.levels[-1].values.get(name)

    def continued(self, name: str) -> Binding | None:
        """What an equation would continue: the name on this side of a function's border."""
        for level in reversed(self.levels):
            binding = level.values.get(name)
            if binding is not None:
                return binding
            if level.is_function:
                return None
        return None

    def is_outer(self, binding: Binding) -> bool:
        """Whether a function's border lies between here and the definition."""
        return any(level.is_function for level in self.levels[binding.depth + 1 :])

    def visible(self) -> list[str]:
        """All names of values, nearest and latest first."""
        names = [
            name for level in reversed(self.levels) for name in reversed(level.values)
        ]
        return list(dict.fromkeys(names))

    # -------------------------------------------------------------------- functions

    def define_function(self, name: str, span: Span) -> None:
        """Let a name stand for a function from here on."""
        depth = len(self.levels) - 1
        self.levels[-1].functions[name] = Binding(name, "value", span, depth)

    def find_function(self, name: str) -> Binding | None:
        """The user's function of that name that is defined above."""
        for level in reversed(self.levels):
            binding = level.functions.get(name)
            if binding is not None:
                return binding
        return None

    def local_function(self, name: str) -> Binding | None:
        """The function of that name that this very block defines."""
        return self.levels[-1].functions.get(name)

    def functions(self) -> list[str]:
        """All names of the user's functions, nearest and latest first."""
        names = [
            name
            for level in reversed(self.levels)
            for name in reversed(level.functions)
        ]
        return list(dict.fromkeys(names))
