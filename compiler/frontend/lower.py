"""AST to DAG: the last place that knows .net syntax.

In comes a `Resolved` program (every name exists, every constant has its number), out comes an
`ir.program.Program`: one graph, in which calls are inlined, repeats are unrolled,
broadcasting is explicit; the names beside it as bindings; the parameters by path; and what has
to be checked when the data are there. Shapes, kinds and ownership are checked on the way.

The text is run through once for training and, if it ever asks, once more for evaluation;
nodes that are the same in both are shared.

    h = x |> dense(32, relu)      einsum2(x, param "h.dense.W"), add, maximum with 0
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import calls as calls_prose
from ..errors import names as names_prose
from ..errors import program as prose
from ..errors import shapes as shapes_prose
from ..errors.form import InternalError
from ..ir.dims import Dim, Shape
from ..ir.graph import Graph, GraphTooLarge, ancestors, depends
from ..ir.node import Node
from ..ir.program import Binding, Constant, Equation, Input, Param, Program, Root
from ..source import Span
from . import (
    arrange,
    ast,
    builtins,
    calls,
    derivatives,
    events,
    facts,
    fills,
    indexing,
    loops,
    operators,
    paths,
    windows,
)
from .builtins import Args, Silent, tensor_of
from .calls import Home, Passed
from .context import (
    Frame,
    Lowering,
    Made,
    Shared,
    indexed,
)
from .modules import Found, Module, standard_library
from .operators import Given
from .printer import print_node
from .scopes import Scope, View
from .signatures import Primitive
from .sizes import as_size, known
from .values import (
    UNKNOWN,
    Builtin,
    Fill,
    Function,
    Items,
    Mistake,
    Several,
    Text,
    Thing,
    Unknown,
    Value,
    value_of,
    what,
)

if TYPE_CHECKING:
    from .resolve import Resolved

PRIMITIVE_RULES = {**builtins.FUNCTIONS, **arrange.FUNCTIONS, **windows.FUNCTIONS}


def lower(resolved: Resolved, options: Any = None) -> Program:
    """Return the checked program, or raise `CompileError`."""
    reporter = resolved.reporter
    shared = Shared(Graph(), reporter)
    if options is not None:
        shared.limits = options.limits
    library = standard_library()
    shared.std_sources = frozenset(library.files.values())
    shared.overrides = dict(resolved.overrides)
    try:
        with _deep():
            training = _run(resolved, shared, training=True)
            evaluation = training
            if training.asked_training and not reporter.has_errors:
                evaluation = _run(resolved, shared, training=False)
            reporter.raise_if_errors()
            program = facts.program(resolved, shared, training, evaluation)
    except GraphTooLarge:
        reporter.fatal(prose.too_many_nodes(None, shared.limits.nodes))
    reporter.raise_if_errors()
    return program


@contextmanager
def _deep() -> Iterator[None]:
    """Room on Python's stack for calls in calls, whose number is limited by us."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 50_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _run(resolved: Resolved, shared: Shared, training: bool) -> Lowering:
    module = resolved.root
    frame = Frame(_module_scope(module))
    lo = Lowering(shared, training, frame, expression)
    shared.root = module
    program = module.program
    if program is None:
        raise InternalError("lower", "the root module has no program")
    frame.numbers = _numbers(lo, program.statements)
    for statement in program.statements:
        _statement(lo, statement)
        if len(shared.graph) > shared.limits.nodes:
            reporter = shared.reporter
            reporter.fatal(prose.too_many_nodes(statement.span, shared.limits.nodes))
    return lo


def _module_scope(module: Module) -> Scope:
    """The outermost scope of a library: its constants and those that it took."""
    return Scope(module=module)


# ------------------------------------------------------------------------ statements
def _statement(lo: Lowering, statement: ast.Statement) -> Thing | None:
    """Lower a statement; what `return` gives ends its block."""
    try:
        match statement:
            case ast.Define():
                _define(lo, statement)
            case ast.Input():
                _input(lo, statement)
            case ast.Param():
                _param(lo, statement)
            case ast.Const():
                _const(lo, statement)
            case ast.Function():
                _function(lo, statement)
            case ast.Root():
                _root(lo, statement)
            case ast.Output():
                _output(lo, statement)
            case ast.OutputNames():
                _output_names(lo, statement)
            case ast.Repeat():
                return _repeat(lo, statement)
            case ast.Return():
                return _return(lo, statement)
            case ast.For():
                equation = _begin(lo, statement)
                numbers = _numbers(lo, statement.body)
                loops.loop(lo, statement, _block, numbers, equation)
            case ast.State():
                events.state(lo, statement)
            case ast.Random():
                events.random(lo, statement)
            case ast.Update():
                _begin(lo, statement)
                events.update(lo, statement)
            case ast.Use() | ast.Train():
                pass
            case _:
                raise InternalError("lower", f"statement {type(statement).__name__}")
    except Mistake as mistake:
        lo.report(mistake.diagnostic)
        _forget(lo, statement)
    except Silent:
        _forget(lo, statement)
    return None


def _forget(lo: Lowering, statement: ast.Statement) -> None:
    """Let what an erroneous statement defines stand for something unknown."""
    match statement:
        case ast.Define():
            names = [target.name for target in statement.targets]
        case ast.Leaf():
            names = list(statement.names)
        case ast.Output():
            names = [statement.name]
        case ast.Root() if statement.name is not None:
            names = [statement.name]
        case _:
            names = []
    for name in names:
        scope = lo.scope.continued(name.text) or lo.scope
        scope.define(name.text, UNKNOWN, name.span.line)


def _block(lo: Lowering, statements: Sequence[ast.Statement]) -> Thing | None:
    for statement in statements:
        given = _statement(lo, statement)
        if given is not None:
            return given
    return None


def _const(lo: Lowering, statement: ast.Const) -> None:
    name = statement.name.text
    value = _constant(lo, name)
    if value is not None:
        lo.scope.define(name, value, statement.span.line, "const")


def _constant(lo: Lowering, name: str) -> Value | None:
    """The value of a constant of the module at hand (`const` or `use`)."""
    module: Module | None = lo.scope.home()
    found = module.constant(name) if module is not None else None
    if found is None:
        return None
    if lo.frame.function is None or not lo.frame.function.std:
        lo.shared.constants.setdefault(
            name, Constant(name, found.value, found.span.line)
        )
    number, dim = known(found.value)
    if dim is not None and dim.integer is not None:
        dim = Dim.constant(name, dim.integer)
    node = lo.graph.const(found.value, name=name)
    return Value(node, (), number, dim)


def _function(lo: Lowering, statement: ast.Function) -> None:
    frame = lo.frame
    name = statement.name.text
    own = indexed(name, frame.indices.get(name, ()))
    scope = lo.scope
    scope.define_function(
        name,
        Function(
            statement,
            scope.view(),
            (*frame.path, own),
            (*frame.instances, name),
            frame.copy,
            bool(frame.function and frame.function.std),
        ),
    )


# ---------------------------------------------------------------------------- leaves
def _input(lo: Lowering, statement: ast.Input) -> None:
    shared = lo.shared
    for name in statement.names:
        kind = statement.type.kind if statement.type else "real"
        shape: list[Dim] = []
        for dim in statement.type.shape if statement.type else ():
            if isinstance(dim, ast.Pack | ast.Stretch):
                raise Mistake(shapes_prose.open_input(dim.span, dim.span.text))
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
    return _constant(lo, name) is None


def _param(lo: Lowering, statement: ast.Param) -> None:
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


# ------------------------------------------------------------------------- equations
def _define(lo: Lowering, statement: ast.Define) -> None:
    frame = lo.frame
    targets = statement.targets
    frame.defined = targets[0].name.text
    equation = _begin(lo, statement)
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
        value = _storable(lo, one, statement.value.span)
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


def _storable(lo: Lowering, thing: Thing, span: Span) -> Value | Unknown:
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
    simplified away (`s = 0`, then `s = s + x`): for it the text is asked.
    """
    if depends(value.node, old.node):
        return True
    start = old.node
    while start.is_a("broadcast", "reshape"):
        start = start.args[0]
    if start.args and any(n.is_a("input", "param") for n in ancestors([start])):
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
                shapes_prose.type_kind(
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
            raise Mistake(shapes_prose.open_type(type_.span))
        full = lo.sized(tuple(d for d in dims if d is not None), span, f"`{name}`")
        return operators.filled(lo, value, full)
    fits = len(dims) == value.rank and all(
        (d is None and e.stretch) or d == e
        for d, e in zip(dims, value.shape, strict=False)
    )
    if not fits:
        raise Mistake(
            shapes_prose.type_shape(type_.span, name, type_.span.text, value.shape)
        )
    for d, e in zip(dims, value.shape, strict=True):
        if d is not None:
            lo.same(d, e, type_.span, f"{name}: {type_.span.text}")
    return value


def _begin(lo: Lowering, statement: ast.Statement) -> int:
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


# ----------------------------------------------------------------------------- roles
def _root(lo: Lowering, statement: ast.Root) -> None:
    name = statement.name.text if statement.name else statement.role
    lo.frame.defined = name
    equation = _begin(lo, statement)
    span = statement.name.span if statement.name else statement.span
    thing = _storable(lo, expression(lo, statement.value), statement.value.span)
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


def _output(lo: Lowering, statement: ast.Output) -> None:
    name = statement.name.text
    lo.frame.defined = name
    equation = _begin(lo, statement)
    thing = _storable(lo, expression(lo, statement.value), statement.value.span)
    if isinstance(thing, Value) and statement.type is not None:
        thing = _typed(lo, thing, statement.type, name, statement.name.span)
    lo.scope.define(name, thing, statement.name.span.line, "root")
    if isinstance(thing, Value):
        lo.bindings.append(Binding(equation, name, thing.node, lo.frame.copy))
        lo.outputs.append(Root(name, thing.node, equation))


def _output_names(lo: Lowering, statement: ast.OutputNames) -> None:
    for name in statement.names:
        thing = _lookup(lo, name)
        if isinstance(thing, Value):
            equation = max(
                (b.equation for b in lo.bindings if b.name == name.text), default=-1
            )
            lo.outputs.append(Root(name.text, thing.node, equation))
        elif not isinstance(thing, Unknown):
            lo.report(shapes_prose.not_a_value(name.span, name.text, what(thing)))


# ---------------------------------------------------------------------------- blocks
def _repeat(lo: Lowering, statement: ast.Repeat) -> Thing | None:
    frame = lo.frame
    count_thing = expression(lo, statement.count)
    if isinstance(count_thing, Unknown):
        return None
    count = None
    if isinstance(count_thing, Value) and count_thing.dim is not None:
        count = count_thing.dim.integer
    if count is None or count < 0:
        shown = what(count_thing)
        if isinstance(count_thing, Value):
            shown = count_thing.text()
            if count_thing.number is not None:
                shown = str(count_thing.number)
            elif count_thing.dim is not None:
                shown = "a size that the data bind"
        raise Mistake(
            prose.repeat_count(statement.count.span, statement.count.span.text, shown)
        )
    if lo.copies * count > lo.shared.limits.copies:
        raise Mistake(
            prose.too_many_copies(
                statement.count.span, lo.copies * count, lo.shared.limits.copies
            )
        )
    defined = paths.defined_in(statement.body)
    bases = {name: frame.counted.get(name, 0) for name in defined}
    first = max(bases.values(), default=0)
    numbers: dict[int, int] | None = None
    saved, lo.copies = lo.copies, lo.copies * max(1, count)
    group, repeat = frame.group, frame.repeat
    if frame.top and group < 0:
        group = lo.group_number(statement)
        repeat = f"repeat {statement.count.span.text}"
    given: Thing | None = None
    for i in range(count):
        scope = Scope(lo.scope)
        if statement.index is not None:
            index = Dim.of(i)
            scope.define(
                statement.index.text,
                Value(lo.graph.const(i), (), i, index),
                statement.index.span.line,
                "index",
            )
        inner = replace(
            frame,
            scope=scope,
            counted={},
            indices={
                **frame.indices,
                **{
                    name: (*frame.indices.get(name, ()), bases[name] + i)
                    for name in defined
                },
            },
            copy=(*frame.copy, first + i),
            group=group,
            repeat=repeat,
        )
        with lo.inside(inner):
            if numbers is None:
                numbers = _numbers(lo, statement.body)
            inner.numbers = numbers
            given = _block(lo, statement.body)
        if len(lo.graph) > lo.shared.limits.nodes:
            lo.shared.reporter.fatal(
                prose.too_many_nodes(lo.place(statement.span), lo.shared.limits.nodes)
            )
        if given is not None or lo.shared.reporter.is_full:
            break
    lo.copies = saved
    for name in defined:
        frame.counted[name] = bases[name] + count
    return given


def _return(lo: Lowering, statement: ast.Return) -> Thing:
    frame = lo.frame
    frame.behind_return = True
    _begin(lo, statement)
    things = [expression(lo, value) for value in statement.values]
    if len(things) == 1:
        return things[0]
    values = tuple(
        _storable(lo, t, v.span) for t, v in zip(things, statement.values, strict=True)
    )
    return Several(values, frame.function.name if frame.function else "")


def _numbers(lo: Lowering, block: Sequence[ast.Statement]) -> dict[int, int]:
    """The numbers of the layer calls in a block (`paths.numbers`)."""
    local: dict[str, ast.Function] = {}
    for statement in block:
        if isinstance(statement, ast.Function):
            local[statement.name.text] = statement

    def layer(name: str) -> str | None:
        decl = local.get(name)
        if decl is None:
            found = find_function(lo, name)
            if not isinstance(found, Function):
                return None
            decl = found.decl
        return decl.name.text if decl.kind == "layer" else None

    return paths.numbers(block, layer)


# ----------------------------------------------------------------------- expressions
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
            return _lookup(lo, expr)
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
    raise Mistake(shapes_prose.not_a_value(expr.span, expr.span.text, what(thing)))


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
                shapes_prose.if_condition(span, span.text, condition.value.text())
            )
        data = [
            str(n.attrs["name"])
            for n in ancestors([condition.value.node])
            if n.is_a("input", "param")
        ]
        raise Mistake(
            shapes_prose.if_on_data(
                span,
                min(data, default=""),
                span.text,
                expr.yes.span.text,
                expr.no.span.text,
            )
        )
    return expression(lo, expr.yes if number else expr.no)


def _lookup(lo: Lowering, name: ast.Name) -> Thing:
    """A name outside a call's head: values first, then functions."""
    text = name.text
    found: Thing | None = lo.scope.find(text)
    if found is not None:
        return found
    constant = _constant(lo, text)
    if constant is not None:
        return constant
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


def find_function(lo: Lowering, name: str) -> Function | Builtin | None:
    """What `name(…)` means here: a local function, or what the module knows."""
    found = lo.scope.find_function(name)
    if found is not None:
        assert isinstance(found, Function | Builtin)
        return found
    module: Module | None = lo.scope.home()
    if module is None:
        return None
    key = (id(module), name)
    functions = lo.shared.functions
    if key not in functions:
        functions[key] = _module_function(lo, module, name)
    return functions[key]


def _module_function(
    lo: Lowering, module: Module, name: str
) -> Function | Builtin | None:
    found = module.find(name)
    if isinstance(found, Found):
        scope = lo.shared.scopes.setdefault(
            id(found.module), _module_scope(found.module)
        )
        own = found.function.name.text
        return Function(
            found.function,
            View(((scope, 0),)),
            (own,),
            (own,),
            (),
            found.module is standard_library(),
        )
    return Builtin(found) if isinstance(found, Primitive) else None


# ----------------------------------------------------------------------------- calls
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
    rule = PRIMITIVE_RULES.get(primitive.name)
    if rule is None:
        raise Mistake(shapes_prose.not_yet(name.span, f"`{primitive.name}`"))
    return rule(lo, args)


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


def invoke(
    lo: Lowering, function: Function, passed: list[Passed], call: Span, site: int
) -> Thing:
    """Inline a call of a fn or layer."""
    outer = lo.frame
    if outer.depth >= lo.shared.limits.calls:
        raise Mistake(
            calls_prose.calls_too_deep(call, function.name, lo.shared.limits.calls)
        )
    lo.shared.calls += 1  # calls in calls grow as 2^n; each takes as long as four nodes
    if max(4 * lo.shared.calls, len(lo.graph)) > lo.shared.limits.nodes:
        lo.shared.reporter.fatal(
            prose.too_many_nodes(lo.place(call), lo.shared.limits.nodes)
        )
    bound = calls.bind_formals(function, passed, call)
    if any(isinstance(p.thing, Unknown) for p in passed):
        raise Silent
    number = 0
    if function.is_layer:
        number = outer.numbers.get(site, 0)
        own = f"{function.name}{number or ''}"
        path = (*outer.path, *outer.component(), own)
        instances = (*outer.instances, *outer.plain_component(), own)
        copy = outer.copy
    else:
        path, instances, copy = function.path, function.instances, function.copy
    scope = Scope(function.view)
    user_call = outer.call
    if user_call is None and function.std:
        user_call = call
    frame = Frame(
        scope,
        path,
        instances,
        number,
        copy=copy,
        function=function,
        call=user_call,
        via=outer.via or (None if function.std else call),
        depth=outer.depth + 1,
        top=False,
        chain=(*outer.chain, site) if function.is_layer else (id(function.decl),),
        entered=outer.entered or (function.name if function.std else ""),
    )
    homes: dict[str, Home] = {}
    packs: dict[str, Shape] = {}
    given: list[tuple[ast.Formal, Thing]] = []
    shapeless = [f for f in function.decl.formals if f.type is None]
    shaped = [f for f in function.decl.formals if f.type is not None]
    for formal in (*shapeless, *shaped):
        argument = bound.get(formal.name.text)
        if argument is None:
            assert formal.default is not None
            with lo.inside(frame):
                argument = Passed(
                    None, expression(lo, formal.default), formal.default.span
                )
            if isinstance(argument.thing, Unknown):
                raise Silent
        thing = calls.fit_formal(lo, function, formal, argument, scope, homes, packs)
        given.append((formal, thing))
        if isinstance(thing, Function | Builtin):
            scope.define_function(formal.name.text, thing)
        else:
            scope.define(formal.name.text, thing, formal.name.span.line, "argument")
    for name, shape in packs.items():
        scope.sizes["..." + name] = shape
    origin, equation = lo.graph.origin, lo.equation
    with lo.inside(frame):
        frame.numbers = _numbers(lo, function.decl.body)
        lo.graph.origin = lo.origin(lo.user_call or call)
        result = _block(lo, function.decl.body)
    lo.graph.origin, lo.equation = origin, equation
    if result is None:
        raise InternalError("lower", f"{function.name} returns nothing")
    if function.is_layer and isinstance(result, Value):
        # `a = x |> dense(30) |> dense(10)`: what the first returns will be called a1
        owner = outer.plain_component()
        lo.graph.hint(result.node, "a" if owner and number else "y", number)
    return result


__all__ = ["as_size", "lower"]
