"""Expressions: the walk through an expression of the AST, to a value.

In comes an expression, out comes what it stands for: a `Value`, or a function, a fill, a
string. A mistake in a part is reported where it is, and the part becomes UNKNOWN, about
which nothing more is said.

    expression(lo, parse("2 * x"))      Value(%3 mul[N], [N])
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import calls as calls_prose
from ..errors import kinds as kinds_prose
from ..errors import names as names_prose
from ..errors import program as prose
from ..errors.form import InternalError
from ..frontend import ast
from ..frontend.signatures import Primitive
from ..ir.dims import Dim
from ..ir.graph import ancestors
from ..ir.node import Node
from ..source import Span
from . import (
    arrange,
    builtins,
    calls,
    derivatives,
    facts,
    indexing,
    matrices,
    operators,
    windows,
)
from .arguments import Args, Silent, tensor_of
from .calls import Passed
from .context import Lowering
from .inline import constant, find_function, invoke
from .operators import Given
from .sizes import known
from .values import (
    UNKNOWN,
    Fill,
    Function,
    Items,
    Mistake,
    Text,
    Thing,
    Unknown,
    Value,
    value_of,
    what,
)

PRIMITIVE_RULES = {
    **builtins.FUNCTIONS,
    **arrange.FUNCTIONS,
    **windows.FUNCTIONS,
    **matrices.FUNCTIONS,
}


def expression(lo: Lowering, expr: ast.Expr) -> Thing:
    """What an expression stands for; a mistake in it is reported and makes it unknown."""
    try:
        return _expression(lo, expr)
    except Mistake as mistake:
        lo.report(mistake.diagnostic)
    except Silent:
        pass
    return UNKNOWN


def _expression(lo: Lowering, expr: ast.Expr) -> Thing:
    match expr:
        case ast.Name():
            return lookup(lo, expr)
        case ast.Number():
            return Value(lo.graph.const(expr.value), (), *known(expr.value))
        case ast.Chain():
            return _chain(lo, expr)
        case ast.Call():
            passed = [
                Passed(a.name, expression(lo, a.value), a.value.span) for a in expr.args
            ]
            return _call(lo, expr.name, passed, expr.span, id(expr), expr.args)
        case ast.Pipe():
            return _pipe(lo, expr)
        case ast.Index():
            base = operand(lo, expr.value)
            return indexing.index(lo, base, expr.items, lambda e: _value(lo, e))
        case ast.Power():
            return operators.power(
                lo, operand(lo, expr.base), operand(lo, expr.exponent), expr.symbol_span
            )
        case ast.Unary(symbol="-"):
            return operators.negative(lo, operand(lo, expr.operand), expr.span)
        case ast.Unary(symbol="+"):
            return operators.positive(operand(lo, expr.operand))
        case ast.Unary():
            return operators.negation(lo, operand(lo, expr.operand), expr.span)
        case ast.Compare():
            return operators.compare(
                lo,
                expr.symbol,
                operand(lo, expr.left),
                operand(lo, expr.right),
                expr.symbol_span,
            )
        case ast.Transpose():
            return operators.transpose(lo, operand(lo, expr.value), expr.span)
        case ast.If():
            return _if(lo, expr)
        case ast.Bool():
            return Value(lo.graph.const(expr.value), (), expr.value)
        case ast.String():
            return Text(expr.value)
        case ast.Array():
            return Items(tuple(expression(lo, item) for item in expr.items))
        case _:
            raise InternalError("lower", f"expression {type(expr).__name__}")


def operand(lo: Lowering, expr: ast.Expr) -> Given:
    """A value where one is needed."""
    thing = expression(lo, expr)
    if isinstance(thing, Value):
        return Given(thing, expr.span)
    if isinstance(thing, Unknown):
        raise Silent
    if isinstance(thing, Items):
        return Given(tensor_of(lo, thing, expr.span), expr.span)
    if isinstance(thing, Fill):
        raise Mistake(names_prose.fill_outside(expr.span, thing.law))
    raise Mistake(kinds_prose.not_a_value(expr.span, expr.span.text, what(thing)))


def _value(lo: Lowering, expr: ast.Expr) -> Value | Unknown:
    try:
        return operand(lo, expr).value
    except Silent:
        return UNKNOWN


def _chain(lo: Lowering, expr: ast.Chain) -> Value:
    left = operand(lo, expr.operands[0])
    logical = expr.symbols[0] in ("and", "or")
    for symbol, span, operand_ in expr.steps():
        right = operand(lo, operand_)
        if logical:
            value = operators.logic(lo, symbol, left, right, span)
        elif symbol == "@":
            value = operators.matmul(lo, left, right, span)
        else:
            value = operators.arithmetic(lo, symbol, left, right, span)
        left = Given(value, left.span.to(right.span))
    return left.value


def _if(lo: Lowering, expr: ast.If) -> Thing:
    condition = operand(lo, expr.condition)
    number = condition.value.number
    if not isinstance(number, bool):
        span = expr.condition.span
        if condition.value.kind != "bool":
            raise Mistake(
                kinds_prose.if_condition(span, span.text, condition.value.text())
            )
        data = [
            str(n.attrs["name"])
            for n in ancestors([condition.value.node])
            if n.is_a("input", "param")
        ]
        raise Mistake(
            kinds_prose.if_on_data(
                span,
                min(data, default=""),
                span.text,
                expr.yes.span.text,
                expr.no.span.text,
            )
        )
    return expression(lo, expr.yes if number else expr.no)


def lookup(lo: Lowering, name: ast.Name) -> Thing:
    """A name outside a call's head: values first, then functions."""
    text = name.text
    found: Thing | None = lo.scope.find(text)
    if found is not None:
        return found
    value = constant(lo, text)
    if value is not None:
        return value
    match text:
        case "training":
            lo.asked_training = True
            return Value(lo.graph.const(lo.training), (), lo.training)
        case "pi" | "π":
            return Value(lo.graph.const(math.pi, name="pi"), (), math.pi)
        case "inf":
            return Value(lo.graph.const(math.inf), (), math.inf)
    function = find_function(lo, text)
    if function is not None:
        return function
    if lo.shared.reporter.has_errors:
        raise Silent  # what would have defined it is erroneous
    raise InternalError("lower", f"the name {text} was not resolved")


def _pipe(lo: Lowering, expr: ast.Pipe) -> Thing:
    thing, span = expression(lo, expr.value), expr.value.span
    for stage in expr.stages:
        passed = [Passed(None, thing, span)]
        passed += [
            Passed(a.name, expression(lo, a.value), a.value.span) for a in stage.args
        ]
        thing = _stage(lo, stage, passed)
        span = expr.value.span.to(stage.span)
    return thing


def _stage(lo: Lowering, stage: ast.Stage, passed: list[Passed]) -> Thing:
    try:
        return _call(lo, stage.name, passed, stage.span, id(stage), ())
    except Mistake as mistake:
        lo.report(mistake.diagnostic)
    except Silent:
        pass
    return UNKNOWN


def _call(
    lo: Lowering,
    name: ast.Name,
    passed: list[Passed],
    span: Span,
    site: int,
    written: Sequence[ast.Arg],
) -> Thing:
    function = find_function(lo, name.text)
    if isinstance(function, Function):
        return invoke(lo, function, passed, name.span, site)
    if function is None:
        raise Mistake(calls_prose.no_function(name.span, name.text))
    return _primitive(lo, function.primitive, passed, name, span, written)


def _primitive(
    lo: Lowering,
    primitive: Primitive,
    passed: list[Passed],
    name: ast.Name,
    span: Span,
    written: Sequence[ast.Arg],
) -> Thing:
    bound = calls.bind_primitive(primitive, passed, name.span)
    args = Args(lo, primitive.name, bound, name.span, span)
    if primitive.group == "fill":
        return _fill(args, primitive, span)
    if primitive.name == "params":
        return _params(lo, args)
    if primitive.name == "grad":
        return derivatives.grad(lo, args, [a.value for a in written])
    return PRIMITIVE_RULES[primitive.name](lo, args)


def _fill(args: Args, primitive: Primitive, span: Span) -> Fill:
    values: list[Value] = []
    for parameter in primitive.parameters:
        if args.has(parameter.name):
            values.append(args.value(parameter.name).value)
        else:
            number = float(parameter.default or 0)
            values.append(Value(args.lo.graph.const(number), (), *known(number)))
    return Fill(primitive.name, tuple(values), span)


def _params(lo: Lowering, args: Args) -> Value:
    """`params("*.W")`: all matching parameters made so far, as one flat vector."""
    pattern = args.text("path") or ""
    made = [m for p, m in lo.shared.params.items() if facts.matches(pattern, p)]
    if not made:
        raise Mistake(
            prose.no_params(args.passed("path").span, pattern, list(lo.shared.params))
        )
    g = lo.graph
    flat: list[Node] = []
    total = Dim.of(0)
    for one in made:
        node = one.param.node
        size = facts.elements(node.shape)
        total = total + size
        flat.append(
            node if node.shape == (size,) else g.apply("reshape", node, shape=(size,))
        )
    node = flat[0] if len(flat) == 1 else g.apply("concat", *flat, axis=0)
    return value_of(node, (total,))
