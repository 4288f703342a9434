"""The abstract syntax tree: one frozen dataclass a production of `net.lark`.

Made by `parser.py`, read by `resolve.py`, lowering and `format.py`. Every node has a `span`,
which takes no part in equality, so that two texts that differ only in layout have equal
trees.

**Depth.** A tree is never deep: long runs of one level of precedence are flat (`Chain`,
`Pipe`), brackets nest at most 64 times and trees are at most 192 high (`Limits.nesting`,
and three times that). A walk by recursion over one expression is therefore safe; over a
chain iterate:

    value = lower(chain.operands[0])
    for symbol, span, operand in chain.steps():
        value = apply(symbol, value, lower(operand))

A parenthesised expression has no node of its own; its span includes the parentheses
(`is_parenthesised`). `x |> f(a)` stays a `Pipe`; each `Stage` has the call's name and its
further arguments. `fn f(x) = e` has the body `(Return((e,)),)` and `short = True`.

    >>> from .parser import parse
    >>> from ..source import Source
    >>> program = parse(Source.from_text("a.net", "h = relu(x @ W) + b"))
    >>> equation = program.statements[0]
    >>> [target.name.text for target in equation.targets], equation.value.symbols
    (['h'], ('+',))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, fields
from typing import Literal

from gradc.records import record

from ..source import Source, Span

Kind = Literal["real", "int", "bool"]


@record(kw_only=True)
class Node:
    """What every node has: where it stands."""

    span: Span = field(compare=False, repr=False)


# ------------------------------------------------------------------------ expressions


@record
class Expr(Node):
    """An expression; `depth` is the height of its tree."""

    depth: int = field(default=1, compare=False, repr=False, kw_only=True)


@record
class Number(Expr):
    """`64`, `1e-3`: `value` is an int if it is written without point and exponent."""

    text: str
    value: int | float


@record
class String(Expr):
    """`"same"`: a path, an axis pattern or an option word. `value` has no quotes."""

    value: str


@record
class Bool(Expr):
    """`true`, `false`."""

    value: bool


@record
class Name(Expr):
    """A name where it is used, and also where it is defined."""

    text: str


@record
class Array(Expr):
    """`[1, 2]`."""

    items: tuple[Expr, ...]


@record
class Arg(Node):
    """An argument of a call: `64`, or by keyword `k = 3`."""

    name: Name | None
    value: Expr


@record
class Call(Expr):
    """`f(a, k = b)`; `name` has the span of `f` alone."""

    name: Name
    args: tuple[Arg, ...]


@record
class Stage(Node):
    """One step of a pipe: `|> f` or `|> f(a)`, which is `f(left, a)`.

    `arrow` is the place of the `|>`; the span is that of `f(a)`; `parens` tells `|> f()`
    from `|> f`, which mean the same.
    """

    name: Name
    args: tuple[Arg, ...]
    arrow: Span = field(compare=False, repr=False)
    parens: bool = field(default=True, compare=False)


@record
class Pipe(Expr):
    """`value |> f(a) |> g`, flat, first stage first."""

    value: Expr
    stages: tuple[Stage, ...]


@record
class Slice(Node):
    """`a:b` inside an index; either end may be missing."""

    start: Expr | None
    stop: Expr | None


@record
class Stretch(Node):
    """`*`: a stretch axis, in an index (`x[:, *]`) or in a shape."""


@record
class Rest(Node):
    """`...` in an index: all the axes that are not named."""


IndexItem = Expr | Slice | Stretch | Rest


@record
class Index(Expr):
    """`value[items]`."""

    value: Expr
    items: tuple[IndexItem, ...]


@record
class Transpose(Expr):
    """`x'` or `x.T`: the last two axes change places."""

    value: Expr


@record
class Power(Expr):
    """`base ^ exponent` (also `**`)."""

    base: Expr
    exponent: Expr
    symbol_span: Span = field(compare=False, repr=False)


@record
class Unary(Expr):
    """`-x`, `+x`, `not x`."""

    symbol: Literal["-", "+", "not"]
    operand: Expr


@record
class Chain(Expr):
    """Operands joined from left to right by operators of one level, flat.

    The levels: `+ -` · `* / @` (other spellings of `*` are `*` here) · `and` · `or`. There
    is one operator fewer than operands.
    """

    operands: tuple[Expr, ...]
    symbols: tuple[str, ...]
    symbol_spans: tuple[Span, ...] = field(compare=False, repr=False)

    def steps(self) -> Iterator[tuple[str, Span, Expr]]:
        """Yield each operator, its place, and the operand to its right."""
        return zip(self.symbols, self.symbol_spans, self.operands[1:], strict=True)


@record
class Compare(Expr):
    """`left < right`: one comparison; they do not chain."""

    symbol: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Expr
    right: Expr
    symbol_span: Span = field(compare=False, repr=False)


@record
class If(Expr):
    """`if condition then yes else no`, decided at compile time."""

    condition: Expr
    yes: Expr
    no: Expr


# ------------------------------------------------------------------------------ types


@record
class Pack(Node):
    """`...` or `...S` in a shape: any leading axes."""

    name: Name | None


Dim = Expr | Pack | Stretch


@record
class Type(Node):
    """`[N, 784]`, `int[N]`, `bool`: kind and axes; no brackets and no axes: a scalar."""

    kind: Kind
    shape: tuple[Dim, ...]


# ------------------------------------------------------------------------- statements


@record(kw_only=True)
class Statement(Node):
    """A statement; `doc` are the `##` lines above it, joined by line ends."""

    doc: str = ""


@record
class Use(Statement):
    """`use a, b from "lib.net"`."""

    names: tuple[Name, ...]
    path: String


@record
class Const(Statement):
    """`const name = value`."""

    name: Name
    value: Expr


@record
class Leaf(Statement):
    """What `input`, `param`, `state` and `random` share: names, one type, one filling."""

    names: tuple[Name, ...]
    type: Type | None


@record
class Input(Leaf):
    """`input x, y: [N]`."""


@record
class Param(Leaf):
    """`param W: [D, k] = he()`."""

    fill: Expr


@record
class State(Leaf):
    """`state seen: [k] = 0`."""

    fill: Expr


@record
class Random(Leaf):
    """`random eps: [N, k] = normal(0, 1)`."""

    fill: Expr


@record
class Formal(Node):
    """A formal argument: `x: [..., d]`, `n`, `k = 3`."""

    name: Name
    type: Type | None
    default: Expr | None


@record
class Function(Statement):
    """`fn` or `layer`. A body `= e` is `(Return((e,)),)` with `short` true."""

    kind: Literal["fn", "layer"]
    name: Name
    formals: tuple[Formal, ...]
    body: tuple[Statement, ...]
    short: bool


@record
class Root(Statement):
    """`loss [name] [: type] [over a, b] = value` and `metric` likewise."""

    role: Literal["loss", "metric"]
    name: Name | None
    type: Type | None
    over: tuple[Name, ...]
    value: Expr


@record
class Output(Statement):
    """`output name [: type] = value`."""

    name: Name
    type: Type | None
    value: Expr


@record
class OutputNames(Statement):
    """`output a, b`: values that exist already."""

    names: tuple[Name, ...]


@record
class Target(Node):
    """What an equation defines: a name, or in a `for` a place in a sequence."""

    name: Name
    indices: tuple[IndexItem, ...] | None


@record
class Define(Statement):
    """An equation: `a, b: type = value`."""

    targets: tuple[Target, ...]
    type: Type | None
    value: Expr


@record
class Update(Statement):
    """`update s = value`: the new value of a state."""

    name: Name
    value: Expr


@record
class Repeat(Statement):
    """`repeat [index in] count { body }`: unrolled."""

    index: Name | None
    count: Expr
    body: tuple[Statement, ...]


@record
class For(Statement):
    """`for index in count { body }`: a loop at run time."""

    index: Name
    count: Expr
    body: tuple[Statement, ...]


@record
class Return(Statement):
    """`return a, b`."""

    values: tuple[Expr, ...]


@record
class Setting(Node):
    """`key = value` or `key target = value` in `train { }`."""

    key: Name
    target: Name | None
    value: Expr


@record
class Train(Statement):
    """`train { … }`."""

    settings: tuple[Setting, ...]


@record
class Program(Node):
    """A whole file; `doc` is the comment that it begins with."""

    source: Source = field(compare=False, repr=False)
    statements: tuple[Statement, ...]
    doc: str = ""


# ---------------------------------------------------------------------------- walking


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes directly below one, in the order of the text."""
    for info in fields(node):
        value = getattr(node, info.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Node):
                    yield item


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it, parents first, in the order of the text."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(children(node))))


def is_parenthesised(expr: Expr) -> bool:
    """Whether an operator expression is written with parentheses around it.

    Tells `(a + b) |> f` from `a + b |> f`; for names, numbers, calls and the like, where
    it makes no difference, the answer is False.
    """
    match expr:
        case Chain(operands=(first, *_)) | Compare(left=first) | Power(base=first):
            return expr.span.start < first.span.start
        case Pipe(value=first):
            return expr.span.start < first.span.start
        case Unary() | If():
            return expr.span.source.text.startswith("(", expr.span.start)
        case _:
            return False
