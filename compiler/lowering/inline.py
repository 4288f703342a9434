"""Calls of `fn` and `layer`: which function a name means, and its text in place of the call.

In comes a call with its arguments, out comes what the function returns. A call opens a new
scope over what the definition could see; a layer's parameters stand under the path of the
call, a fn's under that of its definition (`paths.py` numbers the calls).

    y = x |> dense(20) |> dense(1)      two runs through the text of `dense`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import calls as calls_prose
from ..errors import program as prose
from ..errors.form import InternalError
from ..frontend import ast
from ..frontend.modules import Found, Module, standard_library
from ..frontend.signatures import Primitive
from ..ir.dims import Dim, Shape
from ..ir.program import Constant
from ..source import Span
from . import calls, paths
from .arguments import Silent
from .calls import Home, Passed
from .context import Frame, Lowering
from .scopes import Scope, View
from .sizes import known
from .values import Builtin, Function, Mistake, Thing, Unknown, Value


def constant(lo: Lowering, name: str) -> Value | None:
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
            id(found.module), module_scope(found.module)
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


def module_scope(module: Module) -> Scope:
    """The outermost scope of a library: its constants and those that it took."""
    return Scope(module=module)


def layer_numbers(lo: Lowering, block: Sequence[ast.Statement]) -> dict[int, int]:
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
    number = outer.numbers.get(site, 0) if function.is_layer else 0
    if function.is_layer:
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
        (*outer.calls, *outer.component(), f"{function.name}{number or ''}"),
        instances,
        number,
        copy=copy,
        around=outer.around,
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
    for formal in _fitting_order(function.decl.formals, bound):
        argument = bound.get(formal.name.text)
        if argument is None:
            assert formal.default is not None
            with lo.inside(frame):
                argument = Passed(
                    None, lo.evaluate(lo, formal.default), formal.default.span
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
        frame.numbers = layer_numbers(lo, function.decl.body)
        lo.graph.origin = lo.origin(lo.user_call or call)
        result = lo.block(lo, function.decl.body)
    lo.graph.origin, lo.equation = origin, equation
    if result is None:
        raise InternalError("lower", f"{function.name} returns nothing")
    if function.is_layer and isinstance(result, Value):
        # `a = x |> dense(30) |> dense(10)`: what the first returns will be called a1
        owner = outer.plain_component()
        lo.graph.hint(result.node, "a" if owner and number else "y", number)
    return result


def _fitting_order(
    formals: Sequence[ast.Formal], bound: Mapping[str, Passed]
) -> list[ast.Formal]:
    """Numbers that shapes may name first (`x: [N, k], k = 3`), then what has a shape, last
    the defaults that are made of its sizes (`x: [.., d], n = 2 * d`)."""
    shaped = [f for f in formals if f.type is not None]
    names = {f.name.text for f in formals}
    sizes = {
        node.text
        for f in shaped
        if f.type is not None
        for dim in f.type.shape
        for node in ast.walk(dim)
        if isinstance(node, ast.Name) and node.text not in names
    }
    first: list[ast.Formal] = []
    last: list[ast.Formal] = []
    for f in formals:
        if f.type is not None:
            continue
        default = None if f.name.text in bound else f.default
        read = ast.walk(default) if default is not None else ()
        late = any(isinstance(node, ast.Name) and node.text in sizes for node in read)
        (last if late else first).append(f)
    return [*first, *shaped, *last]
