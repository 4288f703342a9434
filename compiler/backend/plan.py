"""A plan: which functions the module has, and what each computes, line by line.

Comes out of `schedule`, goes into the emitters. A `Function` is its results and what is at
hand; `blocks` hold, per equation, the nodes that get a line, in order. Everything else
stands inside these lines. Names are no part of a plan.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal, Protocol

from gradc.records import record

from ..ir.dims import Dim
from ..ir.node import Node
from ..ir.program import Joint, Program
from .views import Views

Recompute = Literal["none", "cheap", "blocks"]
"""What backward computes again instead of reading it: `recompute.py`."""


class Settings(Protocol):
    """What the backend reads of the driver's options."""

    @property
    def level(self) -> int: ...

    @property
    def complex(self) -> bool: ...

    @property
    def recompute(self) -> Recompute | None: ...


@record
class Bound:
    """Why a node is bound in a function: `name` since `equation`.

    `copy` is the version in a repeat. In `backward`: `primal` is whose adjoint it is,
    `parameter` says that it is one that is returned.
    """

    equation: int
    name: str
    copy: tuple[int, ...] = ()
    parameter: bool = False
    primal: Node | None = None


@record(frozen=False)
class Block:
    """The lines of one equation in one function."""

    equation: int
    lines: list[Node]


@record(frozen=False)
class Function:
    """One function of the module, scheduled."""

    name: Literal["forward", "backward", "evaluate", "predict"]
    results: tuple[tuple[str, Node], ...]
    at_hand: frozenset[Node]
    leaves: tuple[Node, ...]  # the parameters and inputs that it reads, as declared
    bound: dict[Node, Bound]
    blocks: list[Block] = field(default_factory=list)
    lines: set[Node] = field(default_factory=set)
    chains: dict[Node, Node] = field(default_factory=dict)
    """First part of a long sum -> the sum: both have one name, the second is a `+=`."""
    joined: dict[Node, Node] = field(default_factory=dict)
    """A value -> the later one that is made of it in place: it has that one's name here."""
    computed: list[Node] = field(default_factory=list)  # all of it, arguments first
    bodies: dict[Node, Any] = field(default_factory=dict)  # loop -> its Body
    numbers: bool = False  # of single numbers alone, which are to be Python's
    again: set[Node] = field(default_factory=set)  # of forward, computed again here


@record(frozen=False)
class Plan:
    """The module."""

    joint: Joint
    views: Views
    level: int
    functions: dict[str, Function]
    saved: tuple[Node, ...]  # inputs and parameters first, then as computed
    rows: str = ""  # -O2: the size that stands for the rows of the whole batch, or none
    numbers: bool = False  # -O2: single numbers alone, written for Python's own
    turned: frozenset[str] = frozenset()  # weights whose columns lie together in θ

    def expected(self, d: Dim) -> int | None:
        """A size as far as the program says it: by itself, or as that of its batches."""
        if d.integer is not None or len(d.symbols()) != 1:
            return d.integer
        (symbol,) = d.symbols()
        batch: dict[str | None, int] = dict(self.program.train.get("batch") or [])
        shapes = (i.node.shape for i in self.program.inputs)
        of_rows = any(shape and symbol in shape[0].symbols() for shape in shapes)
        return batch.get(symbol, batch.get(None) if of_rows else None)

    @property
    def program(self) -> Program:
        return self.joint.program
