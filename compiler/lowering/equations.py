"""Equations and roles: what gets a name, and which names are the program's results.

In comes a statement, out come bindings, losses, metrics and outputs. A name may be continued,
never replaced: the graph tells whether the new value comes from the old one. A type behind a
name is a checked comment, and a scalar fills it.

    h: [N, hidden] = relu(x @ W)
"""

from __future__ import annotations

from ..errors import calls as calls_prose
from ..errors import kinds as kinds_prose
from ..errors import program as prose
from ..errors import sizes as sizes_prose
from ..errors.form import InternalError
from ..frontend import ast
from ..frontend.printer import print_node
from ..ir.dims import Dim
from ..ir.graph import ancestors, depends
from ..ir.program import Binding, Equation, Root
from ..source import Span
from . import loops, operators
from .arguments import Silent, tensor_of
from .context import Lowering
from .expressions import expression, lookup
from .scopes import Scope
from .values import (
    UNKNOWN,
    Items,
    Mistake,
    Several,
    Thing,
    Unknown,
    Value,
    value_of,
    what,
)


def define(lo: Lowering, statement: ast.Define) -> None:
    frame = lo.frame
    targets = statement.targets
    frame.defined = targets[0].name.text
    equation = begin(lo, statement)
    thing = expression(lo, statement.value)
    things: tuple[Thing, ...] = (thing,)
    if isinstance(thing, Several):
        things = thing.values
        if len(targets) == 1:
            lo.report(
                calls_prose.several_values(
                    statement.value.span, thing.of, len(things), targets[0].name.text
                )
            )
            things = (UNKNOWN,)
    if isinstance(thing, Unknown):
        things = (UNKNOWN,) * len(targets)
    if len(things) != len(targets):
        lo.report(
            calls_prose.number_of_values(
                statement.value.span,
                thing.of if isinstance(thing, Several) else "",
                len(things),
                len(targets),
            )
        )
        things = (UNKNOWN,) * len(targets)
    for target, one in zip(targets, things, strict=True):
        name = target.name
        value = storable(lo, one, statement.value.span)
        if isinstance(value, Value) and statement.type is not None:
            try:
                value = _typed(lo, value, statement.type, name.text, name.span)
            except Mistake as mistake:
                lo.report(mistake.diagnostic)
                value = UNKNOWN
        if target.indices is not None:
            loops.collect(lo, target, value)
        else:
            _assign(lo, statement, name, value, equation)


def storable(lo: Lowering, thing: Thing, span: Span) -> Value | Unknown:
    """What an equation may give a name to: a value."""
    match thing:
        case Value() | Unknown():
            return thing
        case Items():
            try:
                return tensor_of(lo, thing, span)
            except Silent:
                return UNKNOWN
            except Mistake as mistake:
                lo.report(mistake.diagnostic)
                return UNKNOWN
        case _:
            lo.report(calls_prose.not_storable(span, what(thing)))
            return UNKNOWN


def _assign(
    lo: Lowering,
    statement: ast.Define,
    name: ast.Name,
    value: Value | Unknown,
    equation: int,
) -> None:
    scope = lo.scope.continued(name.text)
    if scope is not None:
        old = scope.values[name.text]
        role = scope.roles.get(name.text)
        if role is not None and role != "argument":
            raise InternalError("lower", f"{role} {name.text} is assigned")
        if (
            isinstance(value, Value)
            and isinstance(old, Value)
            and not _comes_from(lo, statement.value, name.text, value, old, scope)
        ):
            lo.report(
                prose.replaced_name(
                    name.span,
                    name.text,
                    scope.lines[name.text],
                    _continuation(statement, name.text),
                )
            )
    target = scope or lo.scope
    target.define(name.text, value, name.span.line)
    target.texts[name.text] = statement.value
    if isinstance(value, Value):
        if equation >= 0:
            lo.bindings.append(Binding(equation, name.text, value.node, lo.frame.copy))
        elif not lo.frame.top:
            lo.hint(value.node, name.text)


def _comes_from(
    lo: Lowering, expr: ast.Expr, name: str, value: Value, old: Value, scope: Scope
) -> bool:
    """Whether a new value comes from the old one, directly or through other names.

    The graph says so. Only an old value that is no more than a number may have been
    simplified away (`s = 0`, then `s = s + x`), or an order of axes that the new one undoes
    (the states of a recurrent layer, which the next one takes): for it the text is asked.
    """
    if depends(value.node, old.node):
        return True
    start = old.node
    while start.is_a("broadcast", "reshape", "transpose"):
        start = start.args[0]
    made = start.args and any(n.is_a("input", "param") for n in ancestors([start]))
    if made and not (start is not old.node and depends(value.node, start)):
        return False
    seen: set[str] = set()
    stack: list[ast.Node] = [expr]
    while stack:
        for node in ast.walk(stack.pop()):
            if not isinstance(node, ast.Name):
                continue
            if node.text == name:
                return True
            home = lo.scope.where(node.text)
            if node.text not in seen and home is not None:
                seen.add(node.text)
                if node.text in home.texts:
                    stack.append(home.texts[node.text])
    return False


def _continuation(statement: ast.Define, name: str) -> str:
    """`h = dense(h, 64, relu)`: what was probably meant, or ""."""
    expr = statement.value
    if isinstance(expr, ast.Call) and expr.args:
        first = expr.args[0]
        if first.name is None and isinstance(first.value, ast.Name):
            arg, call = first.value.span, expr.span
            text = call.source.text
            return f"{name} = {text[call.start : arg.start]}{name}{text[arg.end : call.end]}"
    return ""


def _typed(lo: Lowering, value: Value, type_: ast.Type, name: str, span: Span) -> Value:
    """A value with its type checked; a scalar fills the shape."""
    if value.kind != type_.kind:
        if type_.kind in ("int", "real") and value.whole:
            node = operators.as_kind(lo, value, type_.kind)
            value = Value(node, value.shape, value.number, value.dim)
        else:
            raise Mistake(
                sizes_prose.type_kind(
                    type_.span, name, type_.kind, value.kind, type_.span.text
                )
            )
    packs = [i for i, d in enumerate(type_.shape) if isinstance(d, ast.Pack)]
    if packs and not value.shape:
        shape = lo.shape_of(type_, lo.scope)
        if shape is None:
            raise Silent
        return operators.filled(lo, value, shape)
    dims: list[Dim | None] = []
    for dim in type_.shape:
        match dim:
            case ast.Pack(name=None):
                missing = value.rank - (len(type_.shape) - 1)
                if missing < 0:
                    break
                at = len(dims)
                dims += value.shape[at : at + missing]
            case ast.Pack(name=ast.Name(text=pack)):
                dims += lo.pack(dim, pack)
            case ast.Stretch():
                dims.append(None)
            case _:
                size = lo.size_of(dim, lo.scope)
                if size is None:
                    raise Silent
                dims.append(size)
    if not value.shape and dims:
        if None in dims:
            raise Mistake(sizes_prose.open_type(type_.span))
        full = lo.sized(tuple(d for d in dims if d is not None), span, f"`{name}`")
        return operators.filled(lo, value, full)
    fits = len(dims) == value.rank and all(
        (d is None and e.stretch) or d == e
        for d, e in zip(dims, value.shape, strict=False)
    )
    if not fits:
        raise Mistake(
            sizes_prose.type_shape(type_.span, name, type_.span.text, value.shape)
        )
    for d, e in zip(dims, value.shape, strict=True):
        if d is not None:
            lo.same(d, e, type_.span, f"{name}: {type_.span.text}")
    return value


def begin(lo: Lowering, statement: ast.Statement) -> int:
    """Open the equation of a statement of the program's own text; else keep the one
    that called."""
    frame = lo.frame
    if not frame.top:
        lo.graph.origin = lo.origin(lo.user_call or statement.span)
        return -1
    key = (id(statement), frame.copy)
    equations = lo.shared.equations
    made = equations.get(key)
    if made is None:
        made = Equation(
            len(equations),
            print_node(statement),
            statement.span.line,
            statement.span.source.name,
            frame.group,
            frame.copy,
            lo.body_number(statement) if frame.group >= 0 else 0,
            frame.repeat,
        )
        equations[key] = made
    lo.equation = made.index
    lo.graph.origin = lo.origin(statement.span)
    return made.index


def root(lo: Lowering, statement: ast.Root) -> None:
    name = statement.name.text if statement.name else statement.role
    lo.frame.defined = name
    equation = begin(lo, statement)
    span = statement.name.span if statement.name else statement.span
    thing = storable(lo, expression(lo, statement.value), statement.value.span)
    if isinstance(thing, Value) and statement.type is not None:
        thing = _typed(lo, thing, statement.type, name, span)
    if isinstance(thing, Value) and thing.shape:
        lo.report(
            prose.root_not_scalar(
                statement.value.span, statement.role, name, thing.shape
            )
        )
        thing = UNKNOWN
    if isinstance(thing, Value) and statement.role == "loss" and thing.kind != "real":
        if thing.whole:
            thing = value_of(operators.as_kind(lo, thing, "real"))
        else:
            lo.report(prose.loss_kind(statement.value.span, name, thing.kind))
            thing = UNKNOWN
    if statement.name is not None:
        lo.scope.define(name, thing, span.line, "root")
    if not isinstance(thing, Value):
        return
    lo.bindings.append(Binding(equation, name, thing.node, lo.frame.copy))
    over = tuple(n.text for n in statement.over) or None
    root = Root(name, thing.node, equation, over)
    (lo.losses if statement.role == "loss" else lo.metrics).append(root)
    lo.loss_spans.setdefault(name, statement.value.span)
    lo.overs += statement.over


def output(lo: Lowering, statement: ast.Output) -> None:
    name = statement.name.text
    lo.frame.defined = name
    equation = begin(lo, statement)
    thing = storable(lo, expression(lo, statement.value), statement.value.span)
    if isinstance(thing, Value) and statement.type is not None:
        thing = _typed(lo, thing, statement.type, name, statement.name.span)
    lo.scope.define(name, thing, statement.name.span.line, "root")
    if isinstance(thing, Value):
        lo.bindings.append(Binding(equation, name, thing.node, lo.frame.copy))
        lo.outputs.append(Root(name, thing.node, equation))


def output_names(lo: Lowering, statement: ast.OutputNames) -> None:
    for name in statement.names:
        thing = lookup(lo, name)
        if isinstance(thing, Value):
            equation = max(
                (b.equation for b in lo.bindings if b.name == name.text), default=-1
            )
            lo.outputs.append(Root(name.text, thing.node, equation))
        elif not isinstance(thing, Unknown):
            lo.report(kinds_prose.not_a_value(name.span, name.text, what(thing)))
