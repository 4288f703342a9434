"""Rules of the grammar to nodes of the AST: what the LALR parser calls at each reduction.

Each method of `Build` is named for a rule (or alias) of `net.lark` and is given the rule's
children, punctuation included, so that every span is exact. Bottom-up reduction is why no
part of this recurses, however long the text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, cast

from ..errors import syntax, text
from ..errors.form import Diagnostic
from ..source import Span
from . import ast
from .scan import Word

Children = list[Any]
N = TypeVar("N", bound=ast.Node)

HIGHEST_TREE = 192
"""The highest tree of an expression: three levels for each of 64 brackets."""


_SPELLINGS = {"·": "*", "⊙": "*", "∘": "*"}


class Refused(Exception):
    """What the grammar accepts and the language does not: ends the statement."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic)


def _span(children: Children) -> Span:
    first, last = children[0].span, children[-1].span
    return Span(first.source, first.start, last.end)


def _nodes(children: Children, kind: type[N]) -> tuple[N, ...]:
    return tuple(child for child in children if isinstance(child, kind))


def _first(children: Children, kind: type[N]) -> N | None:
    for child in children:
        if isinstance(child, kind):
            return child
    return None


def _name(word: Word) -> ast.Name:
    return ast.Name(str(word), span=word.span)


def _is(child: object, kind: str) -> bool:
    return isinstance(child, Word) and child.type == kind


def _find(children: Children, kind: str) -> int:
    """The index of the first token of a kind, -1 if there is none."""
    for i, child in enumerate(children):
        if _is(child, kind):
            return i
    return -1


def _higher(span: Span, *below: ast.Expr) -> int:
    depth = 1 + max((expr.depth for expr in below), default=0)
    if depth > HIGHEST_TREE:
        raise Refused(text.nested_too_deeply(span, HIGHEST_TREE))
    return depth


def _leaf(
    children: Children,
) -> tuple[tuple[ast.Name, ...], ast.Type | None, ast.Expr]:
    return tuple(children[1]), _first(children, ast.Type), children[-1]


class _Spanned(tuple[Any, ...]):
    """Several nodes on their way into one, with their place: `names`, `args`, a block."""

    span: Span

    @classmethod
    def of(cls, items: tuple[Any, ...], span: Span) -> _Spanned:
        spanned = cls(items)
        spanned.span = span
        return spanned


class Build:
    """One method a rule; stateless, so that one instance serves all parses."""

    # ------------------------------------------------------------------- statements

    def start(self, children: Children) -> tuple[ast.Statement, ...]:
        return _nodes(children, ast.Statement)

    def use(self, children: Children) -> ast.Use:
        path = _string(children[3])
        return ast.Use(tuple(children[1]), path, span=_span(children))

    def const(self, children: Children) -> ast.Const:
        return ast.Const(_name(children[1]), children[3], span=_span(children))

    def input(self, children: Children) -> ast.Input:
        type_ = _first(children, ast.Type)
        return ast.Input(tuple(children[1]), type_, span=_span(children))

    def param(self, children: Children) -> ast.Param:
        return ast.Param(*_leaf(children), span=_span(children))

    def state(self, children: Children) -> ast.State:
        return ast.State(*_leaf(children), span=_span(children))

    def random(self, children: Children) -> ast.Random:
        return ast.Random(*_leaf(children), span=_span(children))

    def fn(self, children: Children) -> ast.Function:
        return self._function("fn", children)

    def layer(self, children: Children) -> ast.Function:
        return self._function("layer", children)

    def _function(self, kind: Any, children: Children) -> ast.Function:
        formals = children[3] if not _is(children[3], "RPAR") else ()
        body = children[-1]
        short = isinstance(body, ast.Return)
        statements = (body,) if short else tuple(body)
        return ast.Function(
            kind,
            _name(children[1]),
            tuple(formals),
            statements,
            short,
            span=_span(children),
        )

    def formals(self, children: Children) -> _Spanned:
        return _Spanned.of(_nodes(children, ast.Formal), _span(children))

    def formal(self, children: Children) -> ast.Formal:
        default = children[-1] if _find(children, "EQUAL") >= 0 else None
        return ast.Formal(
            _name(children[0]),
            _first(children, ast.Type),
            default,
            span=_span(children),
        )

    def short_body(self, children: Children) -> ast.Return:
        return ast.Return((children[1],), span=children[1].span)

    def block(self, children: Children) -> _Spanned:
        return _Spanned.of(_nodes(children, ast.Statement), _span(children))

    def role(self, children: Children) -> Word:
        return cast(Word, children[0])

    def root(self, children: Children) -> ast.Root:
        name = _name(children[1]) if _is(children[1], "NAME") else None
        over = _find(children, "OVER")
        return ast.Root(
            cast(Any, str(children[0])),
            name,
            _first(children, ast.Type),
            tuple(children[over + 1]) if over >= 0 else (),
            children[-1],
            span=_span(children),
        )

    def output(self, children: Children) -> ast.Output:
        return ast.Output(
            _name(children[1]),
            _first(children, ast.Type),
            children[-1],
            span=_span(children),
        )

    def output_names(self, children: Children) -> ast.OutputNames:
        return ast.OutputNames(tuple(children[1]), span=_span(children))

    def define(self, children: Children) -> ast.Define:
        return ast.Define(
            _nodes(children, ast.Target),
            _first(children, ast.Type),
            children[-1],
            span=_span(children),
        )

    def target(self, children: Children) -> ast.Target:
        indices = tuple(children[2]) if len(children) > 1 else None
        return ast.Target(_name(children[0]), indices, span=_span(children))

    def update(self, children: Children) -> ast.Update:
        return ast.Update(_name(children[1]), children[3], span=_span(children))

    def repeat(self, children: Children) -> ast.Repeat:
        index = _name(children[1]) if _is(children[2], "IN") else None
        count, body = children[-2:]
        return ast.Repeat(index, count, tuple(body), span=_span(children))

    def for_(self, children: Children) -> ast.For:
        count, body = children[-2:]
        return ast.For(_name(children[1]), count, tuple(body), span=_span(children))

    def return_(self, children: Children) -> ast.Return:
        return ast.Return(_nodes(children, ast.Expr), span=_span(children))

    def train(self, children: Children) -> ast.Train:
        return ast.Train(_nodes(children, ast.Setting), span=_span(children))

    def setting(self, children: Children) -> ast.Setting:
        target = _name(children[1]) if len(children) == 4 else None
        return ast.Setting(
            _name(children[0]), target, children[-1], span=_span(children)
        )

    # ------------------------------------------------------------------------ types

    def kind(self, children: Children) -> Word:
        return cast(Word, children[0])

    def type(self, children: Children) -> ast.Type:
        kind = str(children[0]) if isinstance(children[0], Word) else "real"
        shape = () if isinstance(children[-1], Word) else tuple(children[-1])
        return ast.Type(cast(Any, kind), shape, span=_span(children))

    def shape(self, children: Children) -> _Spanned:
        return _Spanned.of(_nodes(children, ast.Node), _span(children))

    def pack(self, children: Children) -> ast.Pack:
        name = _name(children[1]) if len(children) > 1 else None
        return ast.Pack(name, span=_span(children))

    def stretch(self, children: Children) -> ast.Stretch:
        return ast.Stretch(span=children[0].span)

    # ------------------------------------------------------------------ expressions

    def if_(self, children: Children) -> ast.If:
        condition, yes, no = children[1], children[3], children[5]
        span = _span(children)
        return ast.If(
            condition, yes, no, span=span, depth=_higher(span, condition, yes, no)
        )

    def stage(self, children: Children) -> ast.Stage:
        arrow, name = children[0], children[1]
        args = self._args(children[2:])
        return ast.Stage(
            _name(name),
            args,
            arrow.span,
            len(children) > 2,
            span=name.span.to(children[-1].span),
        )

    def pipe(self, children: Children) -> ast.Pipe:
        value, stages = children[0], tuple(children[1:])
        if isinstance(
            value, ast.Chain | ast.Compare | ast.Unary | ast.Power
        ) and not ast.is_parenthesised(value):
            raise Refused(_pipe_mix(value, stages[0]))
        span = _span(children)
        below = [arg.value for stage in stages for arg in stage.args]
        depth = _higher(span, value, *below)
        return ast.Pipe(value, stages, span=span, depth=depth)

    def _chain(self, children: Children) -> ast.Chain:
        operands = tuple(children[::2])
        symbols = children[1::2]
        span = _span(children)
        return ast.Chain(
            operands,
            tuple(_SPELLINGS.get(symbol.text, symbol.text) for symbol in symbols),
            tuple(symbol.span for symbol in symbols),
            span=span,
            depth=_higher(span, *operands),
        )

    or_ = and_ = sum = prod = _chain

    def not_(self, children: Children) -> ast.Unary:
        return self._unary(children)

    def sign(self, children: Children) -> ast.Unary:
        return self._unary(children)

    def _unary(self, children: Children) -> ast.Unary:
        span = _span(children)
        return ast.Unary(
            cast(Any, str(children[0])),
            children[1],
            span=span,
            depth=_higher(span, children[1]),
        )

    def cmp(self, children: Children) -> ast.Compare:
        left, symbol, right = children
        span = _span(children)
        return ast.Compare(
            cast(Any, str(symbol)),
            left,
            right,
            symbol.span,
            span=span,
            depth=_higher(span, left, right),
        )

    def power(self, children: Children) -> ast.Power:
        base, symbol, exponent = children
        span = _span(children)
        return ast.Power(
            base,
            exponent,
            symbol.span,
            span=span,
            depth=_higher(span, base, exponent),
        )

    def call(self, children: Children) -> ast.Call:
        span = _span(children)
        args = self._args(children[1:])
        depth = _higher(span, *(arg.value for arg in args))
        return ast.Call(_name(children[0]), args, span=span, depth=depth)

    def _args(self, children: Children) -> tuple[ast.Arg, ...]:
        """The arguments in `( [args] )`, which may be missing altogether."""
        if len(children) < 3:
            return ()
        return tuple(children[1])

    def args(self, children: Children) -> _Spanned:
        return _Spanned.of(_nodes(children, ast.Arg), _span(children))

    def arg(self, children: Children) -> ast.Arg:
        name = _name(children[0]) if len(children) == 3 else None
        return ast.Arg(name, children[-1], span=_span(children))

    def index(self, children: Children) -> ast.Index:
        value, items = children[0], tuple(children[2])
        span = _span(children)
        below: list[ast.Expr] = [value]
        for item in items:
            if isinstance(item, ast.Expr):
                below.append(item)
            elif isinstance(item, ast.Slice):
                below += [end for end in (item.start, item.stop) if end is not None]
        return ast.Index(value, items, span=span, depth=_higher(span, *below))

    def indices(self, children: Children) -> _Spanned:
        return _Spanned.of(_nodes(children, ast.Node), _span(children))

    def slice(self, children: Children) -> ast.Slice:
        colon = _find(children, "COLON")
        start = children[0] if colon == 1 else None
        stop = children[-1] if colon == len(children) - 2 else None
        return ast.Slice(start, stop, span=_span(children))

    def rest(self, children: Children) -> ast.Rest:
        return ast.Rest(span=children[0].span)

    def transpose(self, children: Children) -> ast.Transpose:
        span = _span(children)
        value = children[0]
        return ast.Transpose(value, span=span, depth=_higher(span, value))

    def number(self, children: Children) -> ast.Number:
        text = str(children[0])
        return ast.Number(text, _number(text), span=children[0].span)

    def string(self, children: Children) -> ast.String:
        return _string(children[0])

    def name(self, children: Children) -> ast.Name:
        return _name(children[0])

    def true(self, children: Children) -> ast.Bool:
        return ast.Bool(True, span=children[0].span)

    def false(self, children: Children) -> ast.Bool:
        return ast.Bool(False, span=children[0].span)

    def group(self, children: Children) -> ast.Expr:
        return cast(ast.Expr, replace(children[1], span=_span(children)))

    def array(self, children: Children) -> ast.Array:
        span = _span(children)
        items = _nodes(children, ast.Expr)
        return ast.Array(items, span=span, depth=_higher(span, *items))

    def names(self, children: Children) -> _Spanned:
        names = tuple(_name(child) for child in children if child.type == "NAME")
        return _Spanned.of(names, _span(children))


def _number(text: str) -> int | float:
    """The value of a number; 0 for one that the scanner has reported as none."""
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:  # 1_000, 0x10, 5,000 digits
        return 0


def _string(word: Word) -> ast.String:
    return ast.String(str(word)[1:-1], span=word.span)


def _pipe_mix(left: ast.Expr, stage: ast.Stage) -> Diagnostic:
    """What to say of `a + b |> f`: quote both readings."""
    match left:
        case ast.Chain(operands=(*_, last)) | ast.Compare(right=last):
            pass
        case ast.Power(exponent=last) | ast.Unary(operand=last):
            pass
        case _:
            last = left
    before = left.span.source.text[left.span.start : last.span.start]
    return syntax.pipe_mix(stage.arrow, before, left.span, last.span, stage.span)
