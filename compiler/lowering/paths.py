"""Which layer call is the how-manieth of its name: the numbers in parameters' paths.

    y = x |> dense(20) |> dense(1)        y.dense1.W, y.dense2.W
    p = dense(y, 3)                       p.dense.W

A layer's name is numbered from 1, in order of evaluation, when that layer is written more
than once under the same defined name in one block. Whether it is numbered follows from the
text, never from what is evaluated, so `if training` cannot rename a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..frontend import ast

LayerName = Callable[
    [str], str | None
]  # of a call's name: the layer's own name, if any


def numbers(block: Iterable[ast.Statement], layer: LayerName) -> dict[int, int]:
    """The number of every call (by `id`) of a layer that is written more than once."""
    calls: dict[tuple[str, str], list[int]] = {}
    layers: dict[str, str | None] = {}
    for statement in block:
        for expr in expressions(statement):
            for name, key in calls_of(expr):
                if name not in layers:
                    layers[name] = layer(name)
                own = layers[name]
                if own is not None:
                    defined = defined_name(statement)
                    calls.setdefault((defined, own), []).append(key)
    return {
        key: k
        for keys in calls.values()
        if len(keys) > 1
        for k, key in enumerate(keys, start=1)
    }


def defined_name(statement: ast.Statement) -> str:
    """The name under which a statement's layers stand ("" after `return`)."""
    match statement:
        case ast.Define():
            return statement.targets[0].name.text
        case ast.Root():
            return statement.name.text if statement.name else statement.role
        case ast.Output() | ast.Update():
            return statement.name.text
        case ast.Param() | ast.State() | ast.Random():
            return statement.names[0].text
        case _:
            return ""


def expressions(statement: ast.Statement) -> Iterator[ast.Expr]:
    """The expressions of a statement itself, not those of the blocks in it."""
    match statement:
        case ast.Define() | ast.Root() | ast.Output() | ast.Update():
            yield statement.value
        case ast.Param() | ast.State() | ast.Random():
            yield statement.fill
        case ast.Return():
            yield from statement.values


def calls_of(expr: ast.Node) -> Iterator[tuple[str, int]]:
    """The calls in an expression, by name and id of the AST node, as they are evaluated:
    arguments before the call."""
    match expr:
        case ast.Name() | ast.Number():
            return
        case ast.Chain():
            for operand in expr.operands:
                if not isinstance(operand, ast.Name | ast.Number):
                    yield from calls_of(operand)
        case ast.Call():
            for arg in expr.args:
                yield from calls_of(arg.value)
            yield expr.name.text, id(expr)
        case ast.Pipe():
            yield from calls_of(expr.value)
            for stage in expr.stages:
                for arg in stage.args:
                    yield from calls_of(arg.value)
                yield stage.name.text, id(stage)
        case _:
            for child in ast.children(expr):
                yield from calls_of(child)


def defined_in(block: Iterable[ast.Statement]) -> list[str]:
    """All names that a block's text defines, in repeats in it too, in order."""
    found: dict[str, None] = {}
    stack = list(block)[::-1]
    while stack:
        statement = stack.pop()
        match statement:
            case ast.Define():
                for target in statement.targets:
                    found.setdefault(target.name.text)
            case ast.Param() | ast.State() | ast.Random():
                for name in statement.names:
                    found.setdefault(name.text)
            case ast.Function():
                found.setdefault(statement.name.text)
            case ast.Repeat() | ast.For():
                stack.extend(reversed(statement.body))
    return list(found)
