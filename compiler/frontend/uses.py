"""Names where they are used: is each known, and of a kind that may stand there?

The part of `check.py` that looks at types and expressions. A name that is unknown is told
once, with the nearest one that is known: `missing` keeps those that were.

    uses = Uses(module, names, reporter)
    uses.expr(equation.value)
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import loops, names
from ..errors.form import Reporter, did_you_mean
from ..source import Span
from . import ast
from .modules import Found, Module, standard_library
from .namespace import Level, Names
from .signatures import PREDEFINED, Primitive, primitive


class Uses:
    """The names that types and expressions of one module use."""

    def __init__(self, module: Module, names: Names, reporter: Reporter) -> None:
        self.module, self.names, self.reporter = module, names, reporter
        self.sizes: dict[str, Span] = {}
        """Sizes that the data decides: what inputs' types introduce."""
        self.missing: set[str] = set()
        self.later = _definitions(module.program)

    # ----------------------------------------------------------------------- types

    def type(self, type_: ast.Type | None) -> None:
        if type_ is not None:
            self.dims(type_, introduce=False)

    def dims(self, type_: ast.Type, introduce: bool) -> None:
        for dim in type_.shape:
            match dim:
                case ast.Stretch() | ast.Pack(name=None):
                    continue
                case ast.Pack(name=ast.Name() as name):
                    self._size(name, introduce)
                case ast.Name():
                    self._size(dim, introduce)
                case _:
                    assert isinstance(dim, ast.Expr)
                    called = [
                        node.name
                        for node in ast.walk(dim)
                        if isinstance(node, ast.Call)
                    ]
                    for node in ast.walk(dim):
                        if isinstance(node, ast.Name) and node not in called:
                            self._size(node, introduce)

    def _size(self, name: ast.Name, introduce: bool) -> None:
        text = name.text
        found = self.names.find(text)
        if found is not None and introduce and self.names.is_outer(found):
            # An argument's dims are its own: only constants are seen through the border.
            found = found if found.what == "const" else None
        if found is not None:
            if found.what in ("input", "param", "random", "state"):
                self.reporter.report(names.not_a_size(name.span, text, found.where))
            return
        if introduce:
            self.names.define(name, "size")
            if not self.names.inside:
                self.sizes.setdefault(text, name.span)
            return
        if text in self.missing or text in PREDEFINED:
            return
        self.missing.add(text)
        meant, where = self._suggest(text, sizes=True)
        self.reporter.report(names.unknown_size(name.span, text, meant, where))

    # ----------------------------------------------------------------- expressions

    def expr(self, expr: ast.Expr, fill: bool = False) -> None:
        """Check the names in an expression; `fill`: it may say how entries are filled."""
        match expr:
            case ast.Number() | ast.String() | ast.Bool():
                pass
            case ast.Name():
                self._name(expr)
            case ast.Call():
                self._called(expr.name, fill)
                self._args(expr.args)
            case ast.Pipe():
                self.expr(expr.value)
                for stage in expr.stages:
                    self._called(stage.name, False)
                    self._args(stage.args)
            case ast.Chain():
                for operand in expr.operands:
                    self.expr(operand)
            case ast.Unary():
                self.expr(expr.operand)
            case ast.Power():
                self.expr(expr.base)
                self.expr(expr.exponent)
            case ast.Compare():
                self.expr(expr.left)
                self.expr(expr.right)
            case ast.Transpose():
                self.expr(expr.value)
            case ast.Index():
                self.expr(expr.value)
                for item in expr.items:
                    self.item(item)
            case ast.If():
                self.expr(expr.condition)
                self.expr(expr.yes, fill)
                self.expr(expr.no, fill)
            case ast.Array():
                for operand in expr.items:
                    self.expr(operand)

    def _args(self, args: Iterable[ast.Arg]) -> None:
        for arg in args:
            self.expr(arg.value, fill=True)

    def item(self, item: ast.IndexItem) -> None:
        match item:
            case ast.Slice():
                for end in (item.start, item.stop):
                    if end is not None:
                        self.expr(end)
            case ast.Expr():
                self.expr(item)

    def _name(self, name: ast.Name) -> None:
        text = name.text
        collecting = self.names.collecting(text)
        if collecting is not None:
            if text not in self.missing:
                self.missing.add(text)
                self.reporter.report(
                    loops.sequence_inside(name.span, text, *collecting)
                )
            return
        if self.names.find(text) is not None or text in PREDEFINED:
            return
        if self.is_function(text):
            return
        self.unknown_name(name)

    def is_function(self, name: str) -> bool:
        return (
            self.names.find_function(name) is not None
            or self._library_function(name) is not None
        )

    def _library_function(self, name: str) -> Found | Primitive | None:
        """A function of std or a primitive: what every file sees, without definition."""
        own = standard_library().function(name)
        if own is not None:
            return Found(standard_library(), own)
        return primitive(name)

    def _called(self, name: ast.Name, fill: bool) -> None:
        text = name.text
        enclosing = self.names.being_defined(text)
        function = self.names.find_function(text)
        value = self.names.find(text)
        if enclosing is not None and function is None:
            self.reporter.report(
                names.recursion(name.span, text, enclosing.kind, self._line(enclosing))
            )
            return
        if (
            value is not None
            and value.what == "argument"
            and not (function is not None and function.depth > value.depth)
        ):
            return  # a function that was passed as an argument
        if function is not None or text in self.missing:
            return
        found = self._library_function(text)
        if found is not None:
            if isinstance(found, Primitive) and found.group == "fill" and not fill:
                self.reporter.report(names.fill_outside(name.span, text))
            return
        if value is not None:
            self.reporter.report(names.not_a_function(name.span, text, value.where))
            return
        self._unknown_function(name)

    # ------------------------------------------------------------------- suggestions

    def unknown_name(self, name: ast.Name) -> None:
        text = name.text
        if text in self.missing:
            return
        self.missing.add(text)
        meant, where = self._suggest(text)
        inside = self.names.hidden.get(text, 0)
        self.reporter.report(
            names.unknown_name(name.span, text, meant, where, self._later(name), inside)
        )

    def _unknown_function(self, name: ast.Name) -> None:
        text = name.text
        self.missing.add(text)
        functions = [*self.names.functions(), *self.module.function_names()]
        meant = did_you_mean(text, functions) or ""
        where = ""
        if meant:
            found = self.names.find_function(meant)
            if found is not None:
                where = f"line {found.line}"
            elif meant in standard_library().names():
                where = "std"
        self.reporter.report(
            names.unknown_function(name.span, text, meant, where, self._later(name))
        )

    def _line(self, level: Level) -> int:
        return level.span.line if level.span is not None else 0

    def _later(self, name: ast.Name) -> int:
        span = self.later.get(name.text)
        return span.line if span is not None and span.start > name.span.start else 0

    def _suggest(self, text: str, sizes: bool = False) -> tuple[str, str]:
        visible = self.names.visible()
        if sizes:
            visible = [
                name
                for name in visible
                if (found := self.names.find(name)) is not None
                and found.what in ("size", "const")
            ]
        else:
            visible += [*self.names.functions(), *PREDEFINED]
        meant = did_you_mean(text, visible) or ""
        if not meant:
            return "", ""
        found = self.names.find(meant)
        if found is not None:
            return meant, (
                f"{found.what}, line {found.line}"
                if (found.what != "value")
                else f"line {found.line}"
            )
        function = self.names.find_function(meant)
        return meant, f"function, line {function.line}" if function else ""


def _definitions(program: ast.Program | None) -> dict[str, Span]:
    """Where each top-level name is first defined, for "that line is further down"."""
    found: dict[str, Span] = {}
    for statement in program.statements if program is not None else ():
        match statement:
            case ast.Const(name=name) | ast.Function(name=name) | ast.Output(name=name):
                found.setdefault(name.text, name.span)
            case ast.Root(name=ast.Name() as name):
                found.setdefault(name.text, name.span)
            case ast.Leaf():
                for name in statement.names:
                    found.setdefault(name.text, name.span)
            case ast.Define():
                for target in statement.targets:
                    found.setdefault(target.name.text, target.name.span)
            case _:
                pass
    return found
