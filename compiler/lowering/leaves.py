"""Leaves: `input` and `param`, their shapes, and under which path a parameter exists.

In comes the statement, out comes a leaf of the graph. A new name in an input's shape
introduces a size. A parameter exists once per path: a `fn` that is evaluated again finds the
ones that it made, and must want them in the same shape.

    input x: [N, D]; param W: [D, 3] = he()
"""

from __future__ import annotations

from ..errors import program as prose
from ..errors import sizes as sizes_prose
from ..frontend import ast
from ..ir.dims import Dim, Shape
from ..ir.node import Node
from ..ir.program import Input, Param
from . import fills
from .arguments import Silent
from .context import Lowering, Made, indexed
from .expressions import expression
from .inline import constant
from .values import UNKNOWN, Mistake, Unknown, Value, value_of


def input_(lo: Lowering, statement: ast.Input) -> None:
    shared = lo.shared
    for name in statement.names:
        kind = statement.type.kind if statement.type else "real"
        shape: list[Dim] = []
        for dim in statement.type.shape if statement.type else ():
            if isinstance(dim, ast.Pack | ast.Stretch):
                raise Mistake(sizes_prose.open_input(dim.span, dim.span.text))
            called = [c.name for c in ast.walk(dim) if isinstance(c, ast.Call)]
            for part in ast.walk(dim):
                if not isinstance(part, ast.Name) or part in called:
                    continue
                if _names_nothing(lo, part.text):
                    size = Dim.symbol(part.text)
                    known_size = Value(lo.graph.size(size), (), None, size)
                    lo.scope.sizes[part.text] = known_size
                    shared.sizes.setdefault(part.text, part.span)
            made = lo.size_of(dim, lo.scope)
            if made is None:
                lo.scope.define(name.text, UNKNOWN, name.span.line, "input")
                raise Silent
            shape.append(made)
        final = lo.sized(tuple(shape), name.span, f"`{name.text}`")
        node = lo.graph.leaf("input", name.text, final, kind)
        shared.inputs.setdefault(name.text, Input(name.text, node, name.span.line))
        shared.input_shapes.setdefault(
            name.text, statement.type.span if statement.type else name.span
        )
        lo.scope.define(name.text, value_of(node, final), name.span.line, "input")


def _names_nothing(lo: Lowering, name: str) -> bool:
    if lo.scope.find_size(name) is not None:
        return False
    return constant(lo, name) is None


def param(lo: Lowering, statement: ast.Param) -> None:
    frame = lo.frame
    kind = statement.type.kind if statement.type else "real"
    if kind != "real":
        assert statement.type is not None
        lo.report(prose.param_kind(statement.type.span, kind))
    shape: Shape | None = ()
    if statement.type is not None:
        shape = lo.shape_of(statement.type, lo.scope)
    if shape is None:
        for name in statement.names:
            lo.scope.define(name.text, UNKNOWN, name.span.line, "param")
        return
    for name in statement.names:
        own = indexed(name.text, frame.indices.get(name.text, ()))
        path = ".".join((*frame.path, own))
        node = _parameter(lo, statement, name, path, shape)
        thing = UNKNOWN if node is None else value_of(node, shape)
        lo.scope.define(name.text, thing, name.span.line, "param")


def _parameter(
    lo: Lowering, statement: ast.Param, name: ast.Name, path: str, shape: Shape
) -> Node | None:
    """The leaf of a parameter: the old one when a `fn` is evaluated again."""
    shared, frame = lo.shared, lo.frame
    made = shared.params.get(path)
    call = lo.user_call or name.span
    if made is not None:
        if made.owner != (*frame.chain, id(statement)):
            lo.report(prose.path_twice(call, path, made.call.line))
            return None
        if made.param.node.shape != shape:
            function = frame.function
            lo.report(
                prose.shared_fn_shape(
                    call,
                    frame.path[0] if frame.path else name.text,
                    name.text if function else path,
                    shape,
                    made.param.node.shape,
                    made.call.line,
                )
            )
            return None
        return made.param.node
    lo.sized(shape, name.span, f"`{name.text}`")
    if any(d.integer == 0 for d in shape):
        raise Mistake(prose.empty_param(call, name.text, shape))
    node = lo.graph.leaf("param", path, shape)
    filling = fills.fill(
        lo, expression(lo, statement.fill), path, shape, statement.fill.span
    )
    if isinstance(filling, Unknown):
        return node
    owner = frame.path[0].partition("[")[0] if frame.path else ""
    param = Param(
        path,
        node,
        filling,
        lo.place(name.span).line,
        name.text,
        frame.instance,
        owner,
        frame.copy,
        lo.equation,
    )
    shared.params[path] = Made(param, name.span, call, (*frame.chain, id(statement)))
    return node
