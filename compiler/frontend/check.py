"""The walk through one module: is every name defined where it is used, once, in its place?

Part of `resolve.py`. A `Check` goes through the statements of one file from top to bottom, bodies
of functions that no one calls included, and reports what is wrong; on the way it fills the
`Module` (constants, functions, what was taken from other files). Names in types and
expressions are looked up by `uses.py`.

    check = Check(module, loader, reporter)
    check.program()
    check.inputs, check.uses.sizes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import names
from ..errors.form import CompileError, Diagnostic, Reporter, did_you_mean
from ..source import Span
from . import ast
from .constants import NotConstant, evaluate, parse_override
from .includes import Loader
from .modules import Constant, Module, Value, standard_library
from .namespace import Names, What
from .parser import parse
from .signatures import PREDEFINED, PRIMITIVES
from .uses import Uses

_TOP_LEVEL: dict[type[ast.Statement], str] = {
    ast.Use: "use",
    ast.Const: "const",
    ast.Input: "input",
    ast.Output: "output",
    ast.OutputNames: "output",
    ast.Train: "train",
}
_IN_LIBRARY = (ast.Const, ast.Function, ast.Use)


class Check:
    """The walk through one module, top to bottom, with the names known so far."""

    def __init__(
        self,
        module: Module,
        loader: Loader,
        reporter: Reporter,
        overrides: Mapping[str, str] | None = None,
        library: bool = False,
    ) -> None:
        self.module = module
        self.loader = loader
        self.reporter = reporter
        self.overrides = overrides or {}
        self.library = library
        self.inputs: dict[str, Span] = {}
        self.outputs: dict[str, Span] = {}
        self.unnamed: dict[str, Span] = {}
        self.names = Names(module)
        self.uses = Uses(module, self.names, reporter)

    def program(self) -> None:
        """Check the whole module."""
        assert self.module.program is not None
        for statement in self.module.program.statements:
            if self.library and not isinstance(statement, _IN_LIBRARY):
                word = statement.span.text.split(None, 1)[0]
                if isinstance(statement, ast.Define):
                    word = f"{statement.targets[0].name.text} = …"
                first = Span(
                    statement.span.source,
                    statement.span.start,
                    statement.span.start + len(word.split(" ")[0]),
                )
                self.reporter.report(
                    names.not_in_library(first, word, self.module.name)
                )
                continue
            self.statement(statement)

    def block(self, statements: Iterable[ast.Statement]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, statement: ast.Statement) -> None:
        """Check one statement and define what it defines."""
        word = _TOP_LEVEL.get(type(statement), "")
        if isinstance(statement, ast.Root):
            word = statement.role
        if word and self.names.inside:
            first = Span(
                statement.span.source,
                statement.span.start,
                statement.span.start + len(word),
            )
            self.reporter.report(names.top_level_only(first, word, self.names.inside))
            return
        match statement:
            case ast.Use():
                self._use(statement)
            case ast.Const():
                self._const(statement)
            case ast.Input():
                self._input(statement)
            case ast.Param() | ast.State() | ast.Random():
                self._leaf(statement)
            case ast.Function():
                self._function(statement)
            case ast.Root():
                self._root(statement)
            case ast.Output():
                self.uses.type(statement.type)
                self.uses.expr(statement.value)
                self._output_name(statement.name)
                self._fresh(statement.name, "output")
            case ast.OutputNames():
                self._outputs(statement)
            case ast.Define():
                self._define(statement)
            case ast.Update():
                self._update(statement)
            case ast.Repeat():
                self.uses.expr(statement.count)
                self.names.enter("repeat", statement.span)
                if statement.index is not None:
                    self.names.define(statement.index, "index")
                self.block(statement.body)
                self.names.leave()
            case ast.For():
                self.uses.expr(statement.count)
                self.names.enter("for", statement.span)
                self.names.levels[-1].sequences.update(_collected(statement))
                self.names.define(statement.index, "index")
                self.block(statement.body)
                self.names.leave()
            case ast.Return():
                self._return(statement)
            case _:
                pass

    # ----------------------------------------------------------------- definitions

    def _use(self, use: ast.Use) -> None:
        module = self._load(use)
        for name in use.names:
            text = name.text
            taken = self._taken(text)
            if taken is not None:
                self.reporter.report(names.already_defined(name.span, text, *taken))
                continue
            if module is None:
                self.uses.missing.add(text)  # said already: the file could not be used
                continue
            if (
                module.function(text) is None
                and module.constant(text) is None
                and (text not in module.uses)
            ):
                defined = [*module.functions, *module.constants]
                meant = did_you_mean(text, defined) or ""
                self.reporter.report(
                    names.unknown_import(name.span, text, module.name, defined, meant)
                )
                self.uses.missing.add(text)
                continue
            self.module.uses[text] = (module, text)
            if module.constant(text) is not None:
                self.names.define(name, "const")
            else:
                self.names.define_function(text, name.span)
                self._note_std(name)

    def _load(self, use: ast.Use) -> Module | None:
        loader = self.loader
        path = loader.locate(use, self.module)
        if path is None or loader.is_cycle(use, path):
            return None
        if path in loader.modules:
            return loader.modules[path]
        source = loader.read(use, path)
        if source is None:
            return None
        try:
            program = parse(source, loader.limits)
        except CompileError as error:
            for diagnostic in error.diagnostics:
                self.reporter.report(diagnostic)
            return None
        module = Module(source.name, source, program, path)
        loader.modules[path] = module
        loader.chain.append((path, source.name))
        Check(module, loader, self.reporter, library=True).program()
        loader.chain.pop()
        return module

    def _taken(self, name: str) -> tuple[str, int] | None:
        """What a top-level name stands for already, in either world."""
        found = self.names.local(name)
        if found is not None:
            return found.shown, found.line
        function = self.names.local_function(name)
        if function is not None:
            return "function", function.line
        return None

    def _const(self, const: ast.Const) -> None:
        name = const.name.text
        self._fresh(const.name, "const")
        expr: ast.Expr | None = const.value
        overridden = self.overrides.get(name, "")
        if name in self.overrides:
            limits = self.loader.limits
            expr = parse_override(name, overridden, limits, self.reporter)
        value: Value = 1
        if expr is not None:
            try:
                value = evaluate(expr, self._constant)
            except NotConstant as error:
                self._not_constant(error.diagnostic, name)
        if name not in self.module.constants:
            self.module.constants[name] = Constant(
                name, value, const.name.span, overridden
            )

    def _not_constant(self, diagnostic: Diagnostic, name: str) -> None:
        text = self.overrides.get(name)
        if text is not None:
            diagnostic = names.bad_override_value(name, text, diagnostic.message)
        self.reporter.report(diagnostic)

    def _constant(self, name: str) -> Value | None:
        constant = self.module.constant(name)
        if constant is None and name in self.uses.missing:
            return 1
        return constant.value if constant is not None else None

    def _input(self, leaf: ast.Input) -> None:
        if leaf.type is not None:
            self.uses.dims(leaf.type, introduce=True)
        for name in leaf.names:
            self._fresh(name, "input")
            self.inputs.setdefault(name.text, name.span)

    def _leaf(self, leaf: ast.Param | ast.State | ast.Random) -> None:
        kinds: dict[type, What] = {
            ast.Param: "param",
            ast.State: "state",
            ast.Random: "random",
        }
        kind = kinds[type(leaf)]
        self.uses.type(leaf.type)
        self.uses.expr(leaf.fill, fill=True)
        for name in leaf.names:
            self._fresh(name, kind)

    def _fresh(self, name: ast.Name, what: What) -> None:
        """Define a name that nothing in this block may have had before."""
        text = name.text
        found = self.names.local(text)
        if text in PREDEFINED:
            self.reporter.report(
                names.reassigned(name.span, text, "predefined value", 0)
            )
        elif found is not None:
            self.reporter.report(
                names.already_defined(name.span, text, found.shown, found.line)
            )
        self.names.define(name, what)

    def _root(self, root: ast.Root) -> None:
        self.uses.type(root.type)
        for name in root.over:
            if self.names.find(name.text) is None and not self.uses.is_function(
                name.text
            ):
                self.uses.unknown_name(name)
        if root.role == "metric" and root.over:
            self.reporter.report(names.over_metric(root.over[0].span))
        self.uses.expr(root.value)
        if root.name is not None:
            self._fresh(root.name, root.role)
            return
        first = self.unnamed.get(root.role)
        word = Span(root.span.source, root.span.start, root.span.start + len(root.role))
        if first is not None:
            self.reporter.report(names.unnamed_again(word, root.role, first.line))
        self.unnamed.setdefault(root.role, word)

    def _output_name(self, name: ast.Name) -> None:
        first = self.outputs.get(name.text)
        if first is not None:
            self.reporter.report(names.output_again(name.span, name.text, first.line))
        self.outputs.setdefault(name.text, name.span)

    def _outputs(self, outputs: ast.OutputNames) -> None:
        for name in outputs.names:
            self._output_name(name)
            if self.names.find(name.text) is not None:
                continue
            if self.uses.is_function(name.text):
                self.reporter.report(names.output_of_function(name.span, name.text))
            else:
                self.uses.unknown_name(name)

    def _define(self, define: ast.Define) -> None:
        self.uses.type(define.type)
        for target in define.targets:
            for item in target.indices or ():
                self.uses.item(item)
        self.uses.expr(define.value)
        if len(define.targets) > 1 and not isinstance(
            define.value, ast.Call | ast.Pipe
        ):
            self.reporter.report(
                names.several_from_one(define.targets[1].span, len(define.targets))
            )
        seen: set[str] = set()
        for target in define.targets:
            text = target.name.text
            if text in seen:
                self.reporter.report(names.repeated_target(target.name.span, text))
                continue
            seen.add(text)
            if target.indices is not None and not self.names.in_loop:
                self.reporter.report(names.sequence_outside_loop(target.span, text))
            if text in PREDEFINED:
                self.reporter.report(
                    names.reassigned(target.name.span, text, "predefined value", 0)
                )
                continue
            found = self.names.continued(text)
            if found is not None and found.fixed:
                self.reporter.report(
                    names.reassigned(target.name.span, text, found.what, found.line)
                )
                continue
            if target.indices is None:
                self.names.define(target.name, "value")
            else:
                self.names.define_sequence(target.name, target.indices)

    def _update(self, update: ast.Update) -> None:
        self.uses.expr(update.value)
        found = self.names.find(update.name.text)
        if found is None:
            self.uses.unknown_name(update.name)
        elif found.what != "state":
            self.reporter.report(
                names.not_a_state(update.name.span, update.name.text, found.where)
            )

    def _return(self, statement: ast.Return) -> None:
        if not self.names.function:
            word = Span(
                statement.span.source, statement.span.start, statement.span.start + 6
            )
            self.reporter.report(names.return_outside(word))
            return
        for value in statement.values:
            self.uses.expr(value)

    def _function(self, function: ast.Function) -> None:
        name = function.name.text
        known = self.names.local_function(name)
        if name in self.uses.missing:
            pass
        elif known is not None:
            self.reporter.report(
                names.already_defined(function.name.span, name, "function", known.line)
            )
        elif not self.names.inside:
            self._note_std(function.name)
        self.names.enter(function.kind, function.span, name)
        for formal in function.formals:
            if self.names.local(formal.name.text) is not None:
                self.reporter.report(
                    names.repeated_formal(formal.name.span, formal.name.text, name)
                )
            if formal.default is not None:
                self.uses.expr(formal.default, fill=True)
            if formal.type is not None:
                self.uses.dims(formal.type, introduce=True)
            self.names.define(formal.name, "argument")
        self._returns(function)
        self.block(function.body)
        self.names.leave()
        if known is None:
            self.names.define_function(name, function.name.span)
            if not self.names.inside:
                self.module.functions[name] = function

    def _returns(self, function: ast.Function) -> None:
        """`return` is the last statement of the body, and is there."""
        *before, last = function.body or (None,)
        if not isinstance(last, ast.Return):
            self.reporter.report(
                names.missing_return(
                    function.name.span, function.kind, function.name.text
                )
            )
        pending = [statement for statement in before if statement is not None]
        if isinstance(last, ast.Repeat | ast.For):
            pending.append(last)
        while pending:
            statement = pending.pop()
            if isinstance(statement, ast.Return):
                word = Span(
                    statement.span.source,
                    statement.span.start,
                    statement.span.start + 6,
                )
                self.reporter.report(names.return_not_last(word))
            elif isinstance(statement, ast.Repeat | ast.For):
                pending.extend(statement.body)

    def _note_std(self, name: ast.Name) -> None:
        if self.library or self.module is standard_library():
            return
        if name.text in standard_library().names() or name.text in PRIMITIVES:
            self.reporter.report(names.std_name(name.span, name.text))


def _collected(statement: ast.For) -> dict[str, int]:
    """The sequences that a loop collects by its own index, and where."""
    found: dict[str, int] = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Define):
            for target in node.targets:
                items = target.indices or ()
                if any(
                    isinstance(i, ast.Name) and i.text == statement.index.text
                    for i in items
                ):
                    found.setdefault(target.name.text, target.name.span.line)
    return found
