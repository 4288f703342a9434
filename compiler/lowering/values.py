"""What an expression of the language stands for while it is lowered.

A `Value` is a node of the DAG with its shape as the *language* sees it: stretch axes are
``*`` there and 1 in the DAG. A value that is known at compile time (``64``, ``2 * width``,
``N``, ``training``) carries that knowledge beside its node: ``number`` and, where it is
whole, ``dim``. Everything else that a name or a call may stand for (a function, a way to fill
a parameter, a word) is a class of its own, so that a place that needs numbers can say
what it got instead.

    >>> Value(graph.const(2), (), number=2, dim=Dim.of(2)).whole    # doctest: +SKIP
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradc.records import record

from ..errors.form import Diagnostic
from ..frontend import ast
from ..frontend.signatures import Primitive
from ..ir.dims import Dim, Shape, plain, show
from ..ir.node import Node, Number
from ..ir.op import Kind
from ..source import Span

if TYPE_CHECKING:
    from .scopes import View


class Mistake(Exception):
    """A mistake of the user's, found inside an expression.

    Raised where it is found; `expressions.expression` reports it and goes on.
    """

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic)


@record(eq=False)
class Value:
    """A tensor or scalar."""

    node: Node
    shape: Shape
    number: Number | None = None  # known at compile time
    dim: Dim | None = None  # known at compile time and whole: usable as a size

    @property
    def kind(self) -> Kind:
        return self.node.kind

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def known(self) -> bool:
        """Whether it is decided at compile time (a size of the data counts)."""
        return self.number is not None or self.dim is not None

    @property
    def whole(self) -> bool:
        """A whole number that fits int and real alike: `2`, `hidden`, `N`."""
        return self.dim is not None and self.dim.whole

    @property
    def stretched(self) -> bool:
        return any(d.stretch for d in self.shape)

    def text(self) -> str:
        """The shape (with the kind, if it is not real), as the messages show it."""
        kind = "" if self.kind == "real" else self.kind
        if not self.shape:
            return {"": "a number", "int": "an int", "bool": "a bool"}[kind]
        return kind + show(self.shape, described=True)


@record
class Unknown:
    """What an erroneous expression stands for: causes no follow-up messages."""


UNKNOWN = Unknown()


@record(eq=False)
class Function:
    """A `fn` or `layer` where it was defined.

    `path` is that of the definition (a `fn` owns its parameters under it), `view` what its
    text can see, `std` tells whether its text is the standard library's.
    """

    decl: ast.Function
    view: View
    path: tuple[str, ...]
    instances: tuple[str, ...]
    copy: tuple[int, ...]
    std: bool

    @property
    def name(self) -> str:
        return self.decl.name.text

    @property
    def is_layer(self) -> bool:
        return self.decl.kind == "layer"


@record
class Builtin:
    """A primitive, as a thing that can be passed on."""

    primitive: Primitive

    @property
    def name(self) -> str:
        return self.primitive.name


@record(eq=False)
class Fill:
    """`he()`, `normal(0, 0.1)`: a way to fill a leaf, evaluated where the shape is known."""

    law: str
    args: tuple[Value, ...]
    span: Span


@record
class Text:
    """A string: a pattern or an option word."""

    value: str


@record(eq=False)
class Items:
    """`[1, 2]`: a list of axes or sizes."""

    items: tuple[Thing, ...]


@record(eq=False)
class Several:
    """What `return a, b` and `split` give: only an equation of several names takes it."""

    values: tuple[Thing, ...]
    of: str  # the function's name


Thing = Value | Unknown | Function | Builtin | Fill | Text | Items | Several


def value_of(node: Node, shape: Shape | None = None) -> Value:
    """A value that is not known at compile time."""
    return Value(node, node.shape if shape is None else shape)


def what(thing: Thing) -> str:
    """A noun for a thing that is no value, for the messages."""
    match thing:
        case Function():
            return f"a {thing.decl.kind}"
        case Builtin():
            return "a function"
        case Fill():
            return "a way to fill a parameter"
        case Text():
            return "a string"
        case Items():
            return "a list"
        case Several():
            return f"the {len(thing.values)} values of `{thing.of}`"
        case _:
            return "a value"


def check_consistent(value: Value) -> None:
    """Assert that a node has the shape that the language believes it to have."""
    assert value.node.shape == plain(value.shape), (value.node, show(value.shape))
