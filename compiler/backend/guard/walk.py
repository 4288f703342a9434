"""The walk over a module's tree: what is in no table is refused, whatever it means."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from .admitted import (
    ATTRIBUTES,
    BUILTINS,
    COMPARISONS,
    EINSUM,
    ERRSTATE,
    FORBIDDEN_NAMES,
    KEY,
    KEYWORDS,
    LARGEST_INTEGER,
    LONGEST_KEY,
    LONGEST_NAME,
    METHODS,
    NAME,
    NP_CONSTANTS,
    NP_FUNCTIONS,
    OPERATORS,
    OPTIONS,
    PATH_PIECE,
    SIZE,
    UNARY,
)
from .integers import Integers
from .refusal import name_of, refuse
from .text import Letters


class Walk:
    """One walk over one module. Names are known by the time they are used."""

    def __init__(self, source: str) -> None:
        self.letters = Letters(source)
        self.integers = Integers()
        self.numpy = False  # whether the import was seen
        self.constants: set[str] = set()  # of the module
        self.functions: set[str] = set()  # defined above: so nothing recurs
        self.local: set[str] = set()  # of the function at hand
        self.indices: set[str] = set()  # those that a loop over a range counts
        self.expressions: dict[type[ast.AST], Callable[..., None]] = {
            ast.Name: lambda node: self.known(node, node.id),
            ast.Constant: self.number,
            ast.BinOp: self.binary,
            ast.UnaryOp: self.unary,
            ast.Compare: self.compare,
            ast.BoolOp: self.boolean,
            ast.IfExp: self.choice,
            ast.Call: self.call,
            ast.Attribute: self.attribute,
            ast.Subscript: self.subscript,
            ast.Tuple: self.sequence,
            ast.List: self.sequence,
            ast.Dict: self.dictionary,
        }
        self.statements: dict[type[ast.AST], Callable[..., None]] = {
            ast.Assign: self.assign,
            ast.AugAssign: self.augmented,
            ast.Return: self.return_,
            ast.For: self.for_,
            ast.With: self.with_,
            ast.Expr: self.bare,
        }

    # -- the module -------------------------------------------------------------------

    def module(self, tree: ast.Module) -> None:
        """A docstring, the import, constants, functions."""
        for statement in self.after_docstring(tree.body):
            match statement:
                case ast.Import(names=[ast.alias(name="numpy", asname="np")]):
                    if self.numpy:
                        refuse(statement, "numpy is imported twice")
                    self.numpy = True
                case ast.Import() | ast.ImportFrom():
                    refuse(statement, "only `import numpy as np`")
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.define(statement, name)
                    self.literal(value)
                    self.constants.add(name)
                    self.integers.measure(name, value)
                case ast.FunctionDef(name=name):
                    self.define(statement, name)
                    self.function(statement)
                    self.functions.add(name)
                case _:
                    refuse(statement, f"{name_of(statement)} beside the functions")
        self.letters.check()

    def after_docstring(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements after the docstring, which may say anything: it is never read."""
        match body:
            case [ast.Expr(value=ast.Constant(value=str()) as text), *rest]:
                self.letters.blank(text)
                return rest
        return body

    def define(self, node: ast.AST, name: str) -> None:
        """A name of the module is given once: nothing is quietly replaced."""
        self.new_name(node, name)
        if name in self.constants or name in self.functions:
            refuse(node, f"`{name}` is defined twice")

    def literal(self, node: ast.expr, text: bool = False) -> None:
        """The value of a module's constant: numbers, tuples, dicts by path."""
        match node:
            case ast.Constant(value=str(value)):
                if not text or not SIZE.match(value) or len(value) > LONGEST_KEY:
                    refuse(node, "a string that is no size")
                self.letters.blank(node)
            case ast.Constant():
                self.number(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self.literal(operand)
            case ast.Tuple(elts=items):
                for item in items:
                    self.literal(item, text)
            case ast.Dict(keys=keys, values=values):
                for key, item in zip(keys, values, strict=True):
                    self.key(key, node)
                    self.literal(item, True)
            case ast.Attribute():
                self.attribute(node)
            case _:
                refuse(node, f"{name_of(node)} in a constant of the module")

    def function(self, node: ast.FunctionDef) -> None:
        """One function: plain arguments, statements from the table."""
        if node.decorator_list:
            refuse(node, "a decorator")
        if node.returns or node.type_comment or getattr(node, "type_params", None):
            refuse(node, "an annotation")
        arguments = node.args
        if arguments.vararg or arguments.kwarg:
            refuse(node, "a starred argument")
        if arguments.posonlyargs or arguments.kwonlyargs or arguments.kw_defaults:
            refuse(node, "an argument that is not plain")
        for default in arguments.defaults:
            match default:
                case ast.Constant(value=bool() | int() | float() | None):
                    self.number(default)
                case _:
                    refuse(default, "a default that is not a number")
        self.local, self.indices = set(), set()
        self.integers.enter(self.constants)
        for argument in arguments.args:
            if argument.annotation or argument.type_comment:
                refuse(argument, "an annotation")
            self.new_name(argument, argument.arg)
            self.local.add(argument.arg)
            self.integers.forget(argument.arg)
        self.block(self.after_docstring(node.body))

    # -- statements -------------------------------------------------------------------

    def block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            handler = self.statements.get(type(statement))
            if handler is None:
                refuse(statement, f"{name_of(statement)} in a function")
            handler(statement)

    def assign(self, node: ast.Assign) -> None:
        if len(node.targets) != 1 or node.type_comment:
            refuse(node, "a chain of assignments")
        self.expression(node.value)
        target = node.targets[0]
        self.target(target)
        if isinstance(target, ast.Name):
            self.integers.measure(target.id, node.value)

    def augmented(self, node: ast.AugAssign) -> None:
        if not isinstance(node.op, OPERATORS):
            refuse(node, f"the operator {name_of(node.op)}")
        self.expression(node.value)
        match node.target:
            case ast.Name(id=name):
                if name not in self.local:
                    refuse(node, f"`{name}` is not defined here")
                self.integers.measure(
                    name, ast.BinOp(node.target, node.op, node.value), node
                )
            case target:
                self.target(target)

    def target(self, node: ast.expr) -> None:
        """A name, a tuple of names, or an entry of a local array or dict."""
        match node:
            case ast.Name(id=name):
                self.new_name(node, name)
                self.local.add(name)
                self.indices.discard(name)
                self.integers.forget(name)
            case ast.Tuple(elts=items):
                for item in items:
                    if not isinstance(item, ast.Name | ast.Tuple):
                        refuse(item, f"{name_of(item)} as a target in a tuple")
                    self.target(item)
            case ast.Subscript(
                value=ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name))
            ):
                if name not in self.local:
                    refuse(
                        node, f"an entry of `{name}` is set from outside its function"
                    )
                self.expression(node.value)
                self.index(node.slice)
            case _:
                refuse(node, f"{name_of(node)} as a target")

    def return_(self, node: ast.Return) -> None:
        if node.value is None:
            refuse(node, "an empty return")
        self.expression(node.value)

    def for_(self, node: ast.For) -> None:
        """A loop over a range or over arrays at hand; it always ends."""
        if node.orelse or node.type_comment:
            refuse(node, "an else of a loop")
        if not isinstance(node.iter, ast.Call | ast.Name):
            refuse(node.iter, f"a loop over {name_of(node.iter)}")
        self.expression(node.iter)
        if not isinstance(node.target, ast.Name | ast.Tuple):
            refuse(node.target, f"{name_of(node.target)} as a loop's variable")
        self.target(node.target)
        match node.iter, node.target:
            case (
                ast.Call(func=ast.Name(id="range"))
                | ast.Call(
                    func=ast.Name(id="reversed"),
                    args=[ast.Call(func=ast.Name(id="range"))],
                ),
                ast.Name(id=name),
            ) | (
                ast.Call(func=ast.Name(id="enumerate")),
                ast.Tuple(elts=[ast.Name(id=name), *_]),
            ):
                self.indices.add(name)
        self.block(node.body)

    def with_(self, node: ast.With) -> None:
        """`with np.errstate(over="ignore"):` and no other."""
        match node.items:
            case [
                ast.withitem(
                    context_expr=ast.Call(
                        func=ast.Attribute(value=ast.Name(id="np"), attr="errstate"),
                        args=[],
                        keywords=keywords,
                    ),
                    optional_vars=None,
                )
            ] if not node.type_comment:
                for word in keywords:
                    match word:
                        case ast.keyword(
                            arg=str(arg), value=ast.Constant(value="ignore")
                        ):
                            if arg not in ERRSTATE:
                                refuse(node, f"errstate({arg}=…)")
                        case _:
                            refuse(node, "an errstate that does more than ignore")
            case _:
                refuse(node, "a with that is not np.errstate")
        self.block(node.body)

    def bare(self, node: ast.Expr) -> None:
        """A call for its effect: `np.add.at(…)`, `layers.append(…)`, `np.exp(z, out=e)`."""
        if not isinstance(node.value, ast.Call):
            refuse(node, f"{name_of(node.value)} as a statement")
        self.call(node.value)

    # -- names ------------------------------------------------------------------------

    def new_name(self, node: ast.AST, name: str) -> None:
        """A name that the module may define."""
        if len(name) > LONGEST_NAME:
            refuse(node, "a name that is too long")
        if not NAME.match(name):
            refuse(node, f"the name `{name}`")
        if name in FORBIDDEN_NAMES:
            refuse(node, f"`{name}` is rebound")

    def known(self, node: ast.AST, name: str) -> None:
        if name not in self.local and name not in self.constants:
            refuse(node, f"`{name}` is not defined here")

    # -- expressions ------------------------------------------------------------------

    def expression(self, node: ast.expr) -> None:
        handler = self.expressions.get(type(node))
        if handler is None:
            refuse(node, name_of(node))
        handler(node)

    def number(self, node: ast.Constant) -> None:
        """A bounded number, True, False, None. Strings are admitted by place alone."""
        match node.value:
            case bool() | None:
                pass
            case int(value):
                if abs(value) > LARGEST_INTEGER:
                    refuse(node, "an integer beyond 64 bits")
            case float(value):
                if value - value != 0:
                    refuse(node, "a number that is not finite (np.inf is)")
            case value if value is Ellipsis:
                refuse(node, "... outside an index")
            case value:
                refuse(node, f"a constant of type {type(value).__name__}")

    def binary(self, node: ast.BinOp) -> None:
        if not isinstance(node.op, OPERATORS):
            refuse(node, f"the operator {name_of(node.op)}")
        for side in (node.left, node.right):
            if isinstance(node.op, ast.Add) and isinstance(side, ast.Tuple):
                self.expression(side)  # shapes are joined: x.shape[:-1] + (n,)
            else:
                self.operand(side)
        if isinstance(node.op, ast.Pow):
            self.integers.power(node)

    def operand(self, node: ast.expr) -> None:
        """What stands beside an operator: never a sequence, which `*` would repeat."""
        if isinstance(node, ast.Tuple | ast.List | ast.Dict):
            refuse(node, f"{name_of(node)} as an operand")
        self.expression(node)

    def unary(self, node: ast.UnaryOp) -> None:
        if not isinstance(node.op, UNARY):
            refuse(node, f"the operator {name_of(node.op)}")
        self.operand(node.operand)

    def compare(self, node: ast.Compare) -> None:
        if len(node.ops) != 1 or not isinstance(node.ops[0], COMPARISONS):
            refuse(node, "a comparison that is no plain one")
        self.operand(node.left)
        self.operand(node.comparators[0])

    def boolean(self, node: ast.BoolOp) -> None:
        """A choice between values; `gradients or {…}` is one as well."""
        for value in node.values:
            if isinstance(value, ast.Dict):
                self.dictionary(value)
            else:
                self.operand(value)

    def choice(self, node: ast.IfExp) -> None:
        """`a if a > b else b` of numbers."""
        for part in (node.body, node.test, node.orelse):
            self.operand(part)

    def attribute(self, node: ast.Attribute) -> None:
        """A constant of NumPy, or a plain property of an array: read, never called here."""
        if not isinstance(node.ctx, ast.Load):
            refuse(node, "an attribute is set")
        path = numpy_path(node)
        if path is not None:
            if path not in NP_CONSTANTS:
                refuse(node, f"np.{path} as a value")
            self.need_numpy(node)
        elif node.attr in ATTRIBUTES:
            self.operand(node.value)
        else:
            refuse(node, f"the attribute .{node.attr}")

    def need_numpy(self, node: ast.AST) -> None:
        if not self.numpy:
            refuse(node, "np before its import")

    def call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute() as function:
                path = numpy_path(function)
                if path is None:
                    self.method(function)
                elif path in NP_FUNCTIONS:
                    self.need_numpy(node)
                else:
                    refuse(node, f"np.{path}")
            case ast.Name(id=name):
                path = None
                self.plain_call(node, name)
            case other:
                refuse(node, f"a call of {name_of(other)}")
        self.arguments(node, path == "einsum")

    def method(self, node: ast.Attribute) -> None:
        if node.attr not in METHODS:
            refuse(node, f"the method .{node.attr}")
        if isinstance(node.value, ast.Constant | ast.Tuple | ast.List | ast.Dict):
            refuse(node, f"a method of {name_of(node.value)}")
        self.expression(node.value)

    def plain_call(self, node: ast.Call, name: str) -> None:
        """A builtin of the table or a function that stands above."""
        if name in self.local:
            refuse(node, f"a call of the value `{name}`")
        if name not in BUILTINS and name not in self.functions:
            refuse(node, f"a call of `{name}`")
        if name == "range":
            self.integers.counted(node)

    def arguments(self, node: ast.Call, einsum: bool) -> None:
        arguments = node.args
        if einsum:
            match arguments:
                case [ast.Constant(value=str(pattern)), *rest] if EINSUM.match(pattern):
                    arguments = rest
                case _:
                    refuse(node, "einsum without a plain pattern")
        for argument in arguments:
            self.expression(argument)
        for word in node.keywords:
            if word.arg is None or word.arg not in KEYWORDS:
                refuse(node, f"the keyword {word.arg or '**'}")
            match word.value:
                case ast.Constant(value=str(option)):
                    if option not in OPTIONS.get(word.arg, ()):
                        refuse(node, f"{word.arg}={option!r}")
                case value:
                    self.expression(value)

    def sequence(self, node: ast.Tuple | ast.List) -> None:
        for item in node.elts:
            self.expression(item)

    def dictionary(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            self.key(key, node)
            self.expression(value)

    # -- indices ----------------------------------------------------------------------

    def subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.value, ast.Constant | ast.List | ast.Dict):
            refuse(node, f"an entry of {name_of(node.value)}")
        self.expression(node.value)
        self.index(node.slice)

    def index(self, node: ast.expr) -> None:
        """Numbers, slices, arrays, None and `...`; or a path into a dict."""
        match node:
            case ast.Constant(value=str()) | ast.JoinedStr():
                self.key(node, node)
            case ast.Constant(value=value) if value is Ellipsis:
                pass
            case ast.Tuple(elts=items):
                for item in items:
                    if isinstance(item, ast.Tuple):
                        refuse(item, "a tuple in a tuple of indices")
                    if is_text(item):
                        refuse(item, "a string among indices")
                    self.index(item)
            case ast.Slice(lower=lower, upper=upper, step=step):
                for bound in (lower, upper, step):
                    if bound is not None:
                        self.expression(bound)
            case _:
                self.expression(node)

    def key(self, node: ast.expr | None, parent: ast.AST) -> None:
        """A path: `"h.dense.W"`, or with a loop's index `f"h[{i}].dense.W"`."""
        match node:
            case ast.Constant(value=str(text)):
                if len(text) > LONGEST_KEY or not KEY.match(text):
                    refuse(node, "a string that is no path")
                self.letters.blank(node)
            case ast.JoinedStr(values=pieces):
                self.letters.blank(node)
                for piece in pieces:
                    self.piece(piece)
            case _:
                refuse(node or parent, "a key that is no path")

    def piece(self, node: ast.expr) -> None:
        match node:
            case ast.Constant(value=str(text)) if PATH_PIECE.match(text):
                pass
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                match value:
                    case ast.Name(id=name) if name in self.indices:
                        pass
                    case ast.BinOp(
                        left=ast.Name(id=name),
                        op=ast.Add() | ast.Sub(),
                        right=ast.Constant(value=int()),
                    ) if (
                        name in self.indices
                    ):
                        pass
                    case _:
                        refuse(node, "an f-string with more than a loop's index")
            case _:
                refuse(node, "an f-string that is no path")


def numpy_path(node: ast.Attribute) -> str | None:
    """`linalg.qr` of `np.linalg.qr`; None where the chain does not start at np."""
    path = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        path.append(value.attr)
        value = value.value
    if isinstance(value, ast.Name) and value.id == "np":
        return ".".join(reversed(path))
    return None


def is_text(node: ast.expr) -> bool:
    """Whether it is a string, of either kind."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
    return False
