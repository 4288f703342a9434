"""What lowering hands on: a program as roots in one DAG, with the names beside it.

Names and blocks belong to *bindings* beside the graph, never to nodes: every pass maps
the bindings, and no rule looks through one. The training and the evaluation form of a
program (`if training then … else …`) are two `Mode`s in the same graph, which share
every node that is the same in both.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from gradc.records import record

from .dims import Dim
from .graph import Graph
from .node import Node, Number

Rows = Literal["mean", "sum", "free"]


@record
class Equation:
    """One equation of the user's text, as a block of the emitted functions.

    `text` is one line of .net printed from the AST. A copy in a `repeat` is an equation of its
    own: `group` names the repeat statement (equal for all its copies and all its
    equations), `copy` the indices of the copies, outermost first; `body` numbers the
    equation within the repeat's text.
    """

    index: int
    text: str
    line: int  # 0: not in the text ("loss = fit + decay")
    file: str = ""
    group: int = -1
    copy: tuple[int, ...] = ()
    body: int = 0
    repeat: str = ""  # "repeat 3", for the comment of a loop


@record
class Binding:
    """`name` stands for `node` since `equation`. `copy`: the version in a repeat."""

    equation: int
    name: str
    node: Node
    copy: tuple[int, ...] = ()


@record
class Input:
    """A tensor of the data."""

    name: str
    node: Node
    line: int
    low: Dim | None = None  # an int input used as an index: low <= value < high
    high: Dim | None = None
    also: tuple[Dim, ...] = ()  # it is below these sizes of the data too


@record
class Param:
    """`path` is for saving; `name` and `instance` propose a variable (W, 1 -> W1).

    `owner` is the name that the defining equation defines ("" at top level), `fill` the
    expression of its first value over constants, sizes and `noise` leaves.
    """

    path: str
    node: Node
    fill: Node
    line: int
    name: str
    instance: int = 0
    owner: str = ""
    copy: tuple[int, ...] = ()
    equation: int = -1


@record
class Constant:
    """A `const` of the program, or what `--set` made of it."""

    name: str
    value: Number
    line: int


@record
class Check:
    """A condition on sizes that only the data can decide, with its line."""

    kind: Literal["divides", "equal", "at_least", "nonzero"]
    left: Dim
    right: Dim
    line: int
    text: str
    message: str


@record
class Root:
    """A loss, metric or output. `over`: the paths that a loss is limited to.

    `rows` says what was proved of it: a "mean" or "sum" over the independent rows of
    `row_dim`, "free" of data, or None.
    """

    name: str
    node: Node
    equation: int
    over: tuple[str, ...] | None = None
    rows: Rows | None = None
    row_dim: str | None = None


@record
class Mode:
    """The program in training or in evaluation: same names, maybe other nodes."""

    bindings: tuple[Binding, ...]
    losses: tuple[Root, ...]
    metrics: tuple[Root, ...]
    outputs: tuple[Root, ...]
    total: Root | None = None  # the summed loss; the loss itself if there is one
    updates: tuple[tuple[str, Node], ...] = ()  # state path -> its new value


@record
class Program:
    """A checked program. `evaluation is training` where the text makes no difference."""

    name: str  # "digits.net"
    sha256: str  # of the text with its includes and overrides
    doc: tuple[str, ...]  # the comment lines at the head of the file
    graph: Graph
    constants: tuple[Constant, ...]
    inputs: tuple[Input, ...]
    params: tuple[Param, ...]
    equations: tuple[Equation, ...]
    training: Mode
    evaluation: Mode
    checks: tuple[Check, ...] = ()
    train: dict[str, Any] = field(default_factory=dict)
    stratify: str | None = None
    classes_of: dict[str, str] = field(default_factory=dict)  # output -> int input
    states: tuple[Param, ...] = ()
    noises: tuple[Node, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The sizes that the data bind, in order of first appearance in the inputs."""
        seen: dict[str, None] = {}
        for i in self.inputs:
            for d in i.node.shape:
                for s in d.symbols():
                    seen.setdefault(s)
        return tuple(seen)


@record
class Joint:
    """A program with its derivatives, as reverse mode leaves it.

    `gradients` maps each trained parameter's path (and each `--wrt` input's name) to its
    adjoint. `adjoints` maps primal -> adjoint for every node that has one. `partials`
    lists, in order, what each equation adds: (equation, primal, partial sum so far).
    """

    program: Program
    seed: Node | None
    gradients: dict[str, Node]
    adjoints: dict[Node, Node]
    partials: tuple[tuple[int, Node, Node], ...]
    frozen: tuple[str, ...] = ()  # parameters that no loss trains
    before: Joint | None = None  # as reverse mode left it: run_passes keeps it here
    ahead: tuple[Node, ...] = ()
    """Local derivatives that forward computes and saves, instead of what they are made of."""
    image: dict[Node, Node] = field(default_factory=dict)
    """Set by run_passes: each node of `before` -> what it became. The chain-rule comments
    are rendered from the nodes of `before`, with the names that their images have."""
