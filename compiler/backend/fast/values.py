"""What instructions work on: values in planned memory, and how they are written.

A *root* is what has memory or a name of its own: an array of the plan, a gradient of the
caller, a constant made once, or a Python name (an input, a parameter, a number). A *value*
is a root as one operation sees it: the root itself, or a view of it (`how`: the text of the
view, in which `{}` is the root: `{}.T`). Text of instructions names values by *tokens*, since
names are known only when places are; `TOKEN` finds them.
"""

from __future__ import annotations

import re
from dataclasses import field

from gradc.records import record

from ...ir.dims import Shape, size
from ...ir.node import Node
from ...ir.op import Kind
from ..memory import Storage

TOKEN = re.compile(r"v⟦,(\d+)⟧")
LINE = 16
"""Numbers of a line of the cache. Rows that are as far apart as powers of two all lie in the same
few places of it, and BLAS, which packs many rows at once, then waits for memory: a product of
[32, 400] and [400, 2048] takes 1.4 times as long with OpenBLAS's AVX-512 kernel."""


@record(frozen=False, eq=False)
class Root:
    """Memory or a name. Exactly one of storage, local and made says what it is.

    `storage`: an array of the plan, or a gradient (`path`). `local`: Python text. `made`:
    a constant, by the text that makes it. `function`: where it is computed.
    """

    kind: Kind
    shape: Shape
    storage: Storage | None = None
    path: str = ""
    local: str = ""
    made: str = ""
    wish: str = ""  # the name of a constant or scratch
    node: Node | None = None
    function: str = ""
    entry: bool = False  # of an array, at a step of a loop: `local` is its name
    zeros: bool = False  # a part of the zeros that all share
    spaced: bool = False  # behind each entry of the first axis there is a line unused
    name: str = ""  # of a variable: given at the end

    def keeps_rows(self, shape: Shape) -> bool:
        """Are the rows that lie apart in this shape, too?"""
        rows = self.shape[0]
        return any(size(shape[:i]) == rows for i in range(1, len(shape) + 1))


@record(frozen=False, eq=False)
class Value:
    """A root, or a view of one. `origin`: the contiguous value that it is, turned by `perm`."""

    serial: int
    root: Root
    shape: Shape
    kind: Kind
    how: str = ""
    contiguous: bool = True
    origin: tuple[Value, tuple[int, ...]] | None = None
    mask: bool = False  # truth values, held as reals 0 and 1

    @property
    def token(self) -> str:
        return f"v⟦,{self.serial}⟧"

    @property
    def whole(self) -> bool:
        """Is it all of an array of the plan, as it lies there?"""
        root = self.root
        return not self.how and root.storage is not None and not root.entry

    @property
    def storage(self) -> Storage | None:
        return self.root.storage


@record(frozen=False, eq=False)
class Instruction:
    """Some lines of code with one result."""

    function: str
    equation: int
    node: Node | None
    lines: list[str]
    out: Value | None = None
    over: list[Value] = field(default_factory=list)
    scratch: list[Value] = field(default_factory=list)
    base: Value | None = None  # copied into `out` first, where they lie apart: `copy`
    copy: str = ""
    body: list[Instruction] = field(default_factory=list)
    writes: list[Value] = field(default_factory=list)  # of a loop
    reads: list[Value] = field(default_factory=list)  # beside those in the lines
    temporary: Shape | None = None  # an array that the lines allocate and drop


class Table:
    """All values of a module, and its constants by what they hold."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.constants: dict[tuple[object, ...], Root] = {}

    def value(self, root: Root, shape: Shape, kind: Kind, **more: object) -> Value:
        v = Value(len(self.values), root, shape, kind, **more)  # type: ignore[arg-type]
        self.values.append(v)
        return v

    def whole(self, root: Root) -> Value:
        return self.value(root, root.shape, root.kind)

    def view(
        self,
        v: Value,
        how: str,
        shape: Shape,
        contiguous: bool = False,
        origin: tuple[Value, tuple[int, ...]] | None = None,
    ) -> Value:
        """`v` as another view of the same memory."""
        return self.value(
            v.root,
            shape,
            v.kind,
            how=how.replace("{}", v.how or "{}"),
            contiguous=contiguous,
            origin=origin,
            mask=v.mask,
        )

    def constant(
        self, key: tuple[object, ...], kind: Kind, shape: Shape, made: str, wish: str
    ) -> Value:
        """Something that `buffers` makes once for all who read it."""
        root = self.constants.get(key)
        if root is None:
            root = Root(kind, shape, made=made, wish=wish)
            self.constants[key] = root
        return self.whole(root)

    def read_in(self, text: str) -> list[Value]:
        """The values that a text names, in order."""
        return [self.values[int(k)] for k in TOKEN.findall(text)]
