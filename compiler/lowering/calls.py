"""Arguments meet parameters: of primitives by the table, of functions by their formals.

In come the arguments as written (`Passed`), out come arguments by name; for a `fn` or `layer`
also the sizes that its formals' shapes introduce. `x: [..., d]` binds `d` to the last size of
what is passed, `[...S]` binds all leading ones; a dim that is bound already must be *equal*
(rule B4: arguments declared with the same dim are never broadcast).

    fn mse(a: [...S], b: [...S])          mse(p, y) with p: [N, 1], y: [N] is an error
"""

from __future__ import annotations

from collections.abc import Sequence

from gradc.records import record

from ..errors import calls as prose
from ..frontend import ast
from ..frontend.signatures import Primitive
from ..ir.dims import ONE, Dim, Shape
from ..source import Span
from .context import Lowering
from .operators import as_kind
from .scopes import Scope
from .values import Function, Mistake, Thing, Unknown, Value, what


@record
class Passed:
    """One argument as it is written; `keyword` is None for a positional one."""

    keyword: ast.Name | None
    thing: Thing
    span: Span


def bind_primitive(
    primitive: Primitive, passed: Sequence[Passed], call: Span
) -> dict[str, Passed | list[Passed]]:
    """The arguments of a primitive by parameter name; missing ones are absent."""
    bound: dict[str, Passed | list[Passed]] = {}
    positional = [p for p in primitive.parameters if p.form in ("positional", "many")]
    sizes = any(p.form == "sizes" for p in primitive.parameters)
    many = next((p for p in primitive.parameters if p.form == "many"), None)
    at = 0
    for argument in passed:
        if argument.keyword is not None:
            name = argument.keyword.text
            if primitive.parameter(name) is None:
                if sizes:
                    if name in bound:
                        raise Mistake(prose.argument_twice(argument.span, name))
                    bound[name] = argument
                    continue
                raise Mistake(
                    prose.unknown_argument(
                        argument.keyword.span,
                        primitive.name,
                        name,
                        primitive.text,
                        [p.name for p in primitive.parameters if p.form != "many"],
                        "",
                    )
                )
            if name in bound:
                raise Mistake(prose.argument_twice(argument.keyword.span, name))
            bound[name] = argument
            continue
        if at >= len(positional):
            axes = [p.name for p in primitive.parameters if p.form == "keyword"]
            raise Mistake(
                prose.too_many_arguments(
                    argument.span, primitive.name, primitive.text, len(positional), axes
                )
            )
        parameter = positional[at]
        if parameter is many:
            listed = bound.setdefault(parameter.name, [])
            assert isinstance(listed, list)
            listed.append(argument)
            continue
        if parameter.name in bound:
            raise Mistake(prose.argument_twice(argument.span, parameter.name))
        bound[parameter.name] = argument
        at += 1
    for parameter in primitive.parameters:
        missing = parameter.default is None and parameter.name not in bound
        if missing and parameter.form != "sizes":
            raise Mistake(
                prose.missing_argument(
                    call, primitive.name, parameter.name, primitive.text
                )
            )
    return bound


def signature(function: ast.Function, std: bool) -> str:
    """`dense(x, n, act = identity)   [std]`, for the messages."""
    shown = []
    for formal in function.formals:
        text = formal.name.text
        if formal.type is not None:
            text += f": {formal.type.span.text}"
        if formal.default is not None:
            text += f" = {formal.default.span.text}"
        shown.append(text)
    mark = "   [std]" if std else ""
    return f"{function.name.text}({', '.join(shown)}){mark}"


def bind_formals(
    function: Function, passed: Sequence[Passed], call: Span
) -> dict[str, Passed]:
    """The arguments of a fn or layer by formal's name; those with defaults may lack."""
    formals = function.decl.formals
    names = [f.name.text for f in formals]
    bound: dict[str, Passed] = {}
    at = 0
    for argument in passed:
        if argument.keyword is None:
            if at >= len(formals):
                raise Mistake(
                    prose.too_many_arguments(
                        argument.span,
                        function.name,
                        signature(function.decl, function.std),
                        len(formals),
                        [],
                    )
                )
            name = names[at]
            at += 1
        else:
            name = argument.keyword.text
            if name not in names:
                raise Mistake(
                    prose.unknown_argument(
                        argument.keyword.span,
                        function.name,
                        name,
                        signature(function.decl, function.std),
                        names,
                        function.decl.doc,
                    )
                )
        if name in bound:
            place = argument.keyword.span if argument.keyword else argument.span
            raise Mistake(prose.argument_twice(place, name))
        bound[name] = argument
    for formal in formals:
        if formal.default is None and formal.name.text not in bound:
            raise Mistake(
                prose.missing_argument(
                    call,
                    function.name,
                    formal.name.text,
                    signature(function.decl, function.std),
                )
            )
    return bound


# ------------------------------------------------------------------- shapes of formals
@record
class Home:
    """Where a local size got its value: for the message when another one differs."""

    formal: str
    text: str
    shape: Shape


def fit_formal(
    lo: Lowering,
    function: Function,
    formal: ast.Formal,
    argument: Passed,
    scope: Scope,
    homes: dict[str, Home],
    packs: dict[str, Shape],
) -> Thing:
    """The argument as its formal's type wants it; binds the sizes that it introduces."""
    thing, type_ = argument.thing, formal.type
    if type_ is None or isinstance(thing, Unknown):
        return thing
    if not isinstance(thing, Value):
        raise Mistake(
            prose.argument_no_value(
                argument.span,
                function.name,
                formal.name.text,
                type_.span.text,
                what(thing),
            )
        )
    value = _kind(lo, function, formal, argument, thing)
    shape = value.shape
    dims = type_.shape
    pack = next((i for i, d in enumerate(dims) if isinstance(d, ast.Pack)), None)
    given = (_short(argument.span), shape)
    wants = f"{formal.name.text}: {type_.span.text}"
    fixed = len(dims) - (pack is not None)
    if len(shape) < fixed or (pack is None and len(shape) != fixed):
        raise Mistake(
            prose.layer_input(
                argument.span, function.name, wants, given, fixed, pack is not None
            )
        )
    if pack is not None:
        behind = len(dims) - pack - 1
        end = len(shape) - behind
        leading = shape[pack:end]
        written = dims[pack]
        name = written.name if isinstance(written, ast.Pack) else None
        if name is not None:
            _bind_pack(
                lo, function, formal, argument, name.text, leading, homes, packs, given
            )
        pairs = [*zip(dims[:pack], shape[:pack], strict=True)]
        pairs += zip(dims[pack + 1 :], shape[end:], strict=True)
    else:
        pairs = [*zip(dims, shape, strict=True)]
    for dim, size in pairs:
        _bind_dim(lo, function, formal, argument, dim, size, scope, homes, given)
    return value


def _kind(
    lo: Lowering,
    function: Function,
    formal: ast.Formal,
    argument: Passed,
    value: Value,
) -> Value:
    type_ = formal.type
    assert type_ is not None
    if value.kind == type_.kind:
        return value
    if type_.kind == "int" and value.whole:
        return Value(as_kind(lo, value, "int"), (), value.number, value.dim)
    if type_.kind == "real" and value.kind == "int":
        return Value(as_kind(lo, value, "real"), value.shape)
    raise Mistake(
        prose.argument_kind(
            argument.span,
            function.name,
            f"{formal.name.text}: {type_.span.text}",
            _short(argument.span),
            value.text(),
            type_.kind,
        )
    )


def _bind_pack(
    lo: Lowering,
    function: Function,
    formal: ast.Formal,
    argument: Passed,
    name: str,
    leading: Shape,
    homes: dict[str, Home],
    packs: dict[str, Shape],
    given: tuple[str, Shape],
) -> None:
    if name not in packs:
        packs[name] = leading
        homes["..." + name] = Home(formal.name.text, *given)
        return
    if packs[name] != leading:
        home = homes["..." + name]
        raise Mistake(
            prose.unequal_arguments(
                argument.span,
                function.name,
                (home.formal, home.text, home.shape),
                (formal.name.text, *given),
                signature(function.decl, function.std),
            )
        )
    for p, q in zip(packs[name], leading, strict=True):
        if not p.stretch:
            lo.same(p, q, argument.span, f"{function.name}(…)")


def _bind_dim(
    lo: Lowering,
    function: Function,
    formal: ast.Formal,
    argument: Passed,
    dim: ast.Dim,
    size: Dim,
    scope: Scope,
    homes: dict[str, Home],
    given: tuple[str, Shape],
) -> None:
    if isinstance(dim, ast.Stretch | ast.Pack):
        if isinstance(dim, ast.Stretch) and not size.stretch:
            raise Mistake(
                prose.needs_stretch(
                    argument.span, function.name, formal.name.text, given
                )
            )
        return
    plain_size = ONE if size.stretch else size
    if isinstance(dim, ast.Name) and not _is_set(lo, scope, dim.text):
        scope.sizes[dim.text] = Value(
            lo.graph.size(plain_size), (), plain_size.integer, plain_size
        )
        homes[dim.text] = Home(formal.name.text, *given)
        return
    for node in ast.walk(dim):
        if not isinstance(node, ast.Name) or lo.is_constant(scope, node.text):
            continue
        if scope.find_size(node.text) is None:
            raise Mistake(prose.formal_size(dim.span, dim.span.text))
    wanted = lo.size_of(dim, scope)
    if wanted is None:
        return
    if wanted != size:
        home = homes.get(dim.text) if isinstance(dim, ast.Name) else None
        if home is not None:
            raise Mistake(
                prose.unequal_arguments(
                    argument.span,
                    function.name,
                    (home.formal, home.text, home.shape),
                    (formal.name.text, *given),
                    signature(function.decl, function.std),
                )
            )
        raise Mistake(
            prose.argument_size(
                argument.span,
                function.name,
                f"{formal.name.text}: {formal.type.span.text if formal.type else ''}",
                given,
                dim.span.text,
                wanted,
                size,
            )
        )
    lo.same(wanted, size, argument.span, f"{function.name}(…)")


def _is_set(lo: Lowering, scope: Scope, name: str) -> bool:
    """Whether a name in a formal's shape has a meaning already: a size bound by another
    formal, a formal that is a number, a constant."""
    return name in scope.sizes or name in scope.values or lo.is_constant(scope, name)


def _short(span: Span) -> str:
    text = span.text
    return text if len(text) <= 32 and "\n" not in text else "this"
