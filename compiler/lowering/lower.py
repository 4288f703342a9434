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

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import program as prose
from ..errors.form import InternalError
from ..frontend import ast
from ..frontend.modules import standard_library
from ..ir.dims import Dim
from ..ir.graph import Graph, GraphTooLarge
from ..ir.program import Program
from . import equations, events, facts, leaves, loops, paths
from .arguments import Silent
from .context import Frame, Lowering, Shared, indexed
from .equations import begin, storable
from .expressions import expression
from .inline import constant, layer_numbers, module_scope
from .scopes import Scope
from .values import UNKNOWN, Function, Mistake, Several, Thing, Unknown, Value, what

if TYPE_CHECKING:
    from ..frontend.resolve import Resolved


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
    frame = Frame(module_scope(module))
    lo = Lowering(shared, training, frame, expression, _block)
    shared.root = module
    program = module.program
    if program is None:
        raise InternalError("lower", "the root module has no program")
    frame.numbers = layer_numbers(lo, program.statements)
    for statement in program.statements:
        _statement(lo, statement)
        if len(shared.graph) > shared.limits.nodes:
            reporter = shared.reporter
            reporter.fatal(prose.too_many_nodes(statement.span, shared.limits.nodes))
    return lo


def _statement(lo: Lowering, statement: ast.Statement) -> Thing | None:
    """Lower a statement; what `return` gives ends its block."""
    try:
        match statement:
            case ast.Define():
                equations.define(lo, statement)
            case ast.Input():
                leaves.input_(lo, statement)
            case ast.Param():
                leaves.param(lo, statement)
            case ast.Const():
                _const(lo, statement)
            case ast.Function():
                _function(lo, statement)
            case ast.Root():
                equations.root(lo, statement)
            case ast.Output():
                equations.output(lo, statement)
            case ast.OutputNames():
                equations.output_names(lo, statement)
            case ast.Repeat():
                return _repeat(lo, statement)
            case ast.Return():
                return _return(lo, statement)
            case ast.For():
                equation = begin(lo, statement)
                numbers = layer_numbers(lo, statement.body)
                loops.loop(lo, statement, _block, numbers, equation)
            case ast.State():
                events.state(lo, statement)
            case ast.Random():
                events.random(lo, statement, begin(lo, statement))
            case ast.Update():
                begin(lo, statement)
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
    value = constant(lo, name)
    if value is not None:
        lo.scope.define(name, value, statement.span.line, "const")


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
            around=(*frame.around, first + i),
            group=group,
            repeat=repeat,
        )
        with lo.inside(inner):
            if numbers is None:
                numbers = layer_numbers(lo, statement.body)
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
    begin(lo, statement)
    things = [expression(lo, value) for value in statement.values]
    if len(things) == 1:
        return things[0]
    values = tuple(
        storable(lo, t, v.span) for t, v in zip(things, statement.values, strict=True)
    )
    return Several(values, frame.function.name if frame.function else "")
