"""AST to one line of .net text: for the comments of emitted code and for messages.

The text is what a person would write: parentheses only where precedence asks for them, one
blank around operators, none around `^`. A text longer than `width` loses the inside of its
innermost calls first (`f(…)`). Without a width, `parse(print_node(x)) == x`.

    >>> from ..source import Source
    >>> from .parser import parse
    >>> source = Source.from_text("a.net", "h=relu( (x@W) +b ) * (2)")
    >>> print_node(parse(source).statements[0])
    'h = relu(x @ W + b) * 2'
"""

from __future__ import annotations

from collections.abc import Iterable

from . import ast

_IF, _PIPE, _OR, _AND, _NOT, _CMP, _SUM, _PROD, _UNARY, _POWER, _ATOM = range(11)
_LEVELS = {"or": _OR, "and": _AND, "+": _SUM, "-": _SUM}
_DEEP = 1 << 20


def print_node(node: ast.Node, width: int | None = None) -> str:
    """Return an expression, statement or type as one line of text.

    Blocks are shown as `{ … }`. With a width, calls nested too deeply to fit show their
    arguments as `…`; what does not fit even so is cut.
    """
    text = _print(node, _DEEP)
    if width is None or len(text) <= width:
        return text
    for depth in (4, 3, 2, 1, 0):
        text = _print(node, depth)
        if len(text) <= width:
            return text
    return text[: max(width - 1, 0)].rstrip() + "…"


def _print(node: ast.Node, depth: int) -> str:
    match node:
        case ast.Expr():
            return _expr(node, _IF, depth)
        case ast.Statement():
            return _statement(node, depth)
        case ast.Type():
            return _type(node, depth)
        case ast.Arg():
            return _arg(node, depth)
        case ast.Stage():
            return f"{node.name.text}{_stage_args(node, depth)}"
        case ast.Target():
            return _target(node, depth)
        case ast.Formal():
            return _formal(node, depth)
        case ast.Setting():
            target = f" {node.target.text}" if node.target is not None else ""
            return f"{node.key.text}{target} = {_expr(node.value, _IF, depth)}"
        case ast.Program():
            return "; ".join(_statement(item, depth) for item in node.statements)
        case _:
            return _item(node, depth)


# ------------------------------------------------------------------------- statements


def _statement(statement: ast.Statement, depth: int) -> str:
    match statement:
        case ast.Use(names=names, path=path):
            return f'use {_names(names)} from "{path.value}"'
        case ast.Const(name=name, value=value):
            return f"const {name.text} = {_expr(value, _IF, depth)}"
        case ast.Input(names=names, type=type_):
            return f"input {_names(names)}{_typed(type_, depth)}"
        case ast.Param(names=names, type=type_, fill=fill):
            word = "param"
        case ast.State(names=names, type=type_, fill=fill):
            word = "state"
        case ast.Random(names=names, type=type_, fill=fill):
            word = "random"
        case ast.Function():
            formals = ", ".join(_formal(formal, depth) for formal in statement.formals)
            head = f"{statement.kind} {statement.name.text}({formals})"
            if statement.short and isinstance(statement.body[0], ast.Return):
                return f"{head} = {_expr(statement.body[0].values[0], _IF, depth)}"
            return f"{head} {_block(statement.body, depth)}"
        case ast.Root(role=role, name=given, type=type_, over=over, value=value):
            called = f" {given.text}" if given is not None else ""
            below = f" over {_names(over)}" if over else ""
            typed = _typed(type_, depth)
            return f"{role}{called}{typed}{below} = {_expr(value, _IF, depth)}"
        case ast.Output(name=name, type=type_, value=value):
            typed = _typed(type_, depth)
            return f"output {name.text}{typed} = {_expr(value, _IF, depth)}"
        case ast.OutputNames(names=names):
            return f"output {_names(names)}"
        case ast.Define(targets=targets, type=type_, value=value):
            left = ", ".join(_target(target, depth) for target in targets)
            return f"{left}{_typed(type_, depth)} = {_expr(value, _IF, depth)}"
        case ast.Update(name=name, value=value):
            return f"update {name.text} = {_expr(value, _IF, depth)}"
        case ast.Repeat(index=index, count=count, body=body):
            each = f"{index.text} in " if index is not None else ""
            return f"repeat {each}{_expr(count, _IF, depth)} {_block(body, depth)}"
        case ast.For(index=index, count=count, body=body):
            assert index is not None
            count_text = _expr(count, _IF, depth)
            return f"for {index.text} in {count_text} {_block(body, depth)}"
        case ast.Return(values=values):
            return "return " + ", ".join(_expr(value, _IF, depth) for value in values)
        case ast.Train(settings=settings):
            inner = "; ".join(_print(setting, depth) for setting in settings)
            return f"train {{ {inner} }}"
        case _:
            raise TypeError(f"not a statement: {statement!r}")
    return f"{word} {_names(names)}{_typed(type_, depth)} = {_expr(fill, _IF, depth)}"


def _block(body: tuple[ast.Statement, ...], depth: int) -> str:
    if depth < _DEEP:
        return "{ … }"
    return f"{{ {'; '.join(_statement(item, depth) for item in body)} }}"


def _names(names: Iterable[ast.Name]) -> str:
    return ", ".join(name.text for name in names)


def _typed(type_: ast.Type | None, depth: int) -> str:
    return "" if type_ is None else f": {_type(type_, depth)}"


def _type(type_: ast.Type, depth: int) -> str:
    kind = "" if type_.kind == "real" and type_.shape else type_.kind
    if not type_.shape:
        return kind
    return f"{kind}[{', '.join(_item(dim, depth) for dim in type_.shape)}]"


def _formal(formal: ast.Formal, depth: int) -> str:
    default = ""
    if formal.default is not None:
        default = f" = {_expr(formal.default, _IF, depth)}"
    return f"{formal.name.text}{_typed(formal.type, depth)}{default}"


def _target(target: ast.Target, depth: int) -> str:
    if target.indices is None:
        return target.name.text
    items = ", ".join(_item(item, depth) for item in target.indices)
    return f"{target.name.text}[{items}]"


# ------------------------------------------------------------------------ expressions


def _item(item: ast.Node, depth: int) -> str:
    """An entry of an index or a shape."""
    match item:
        case ast.Slice(start=start, stop=stop):
            first = _expr(start, _IF, depth) if start is not None else ""
            last = _expr(stop, _IF, depth) if stop is not None else ""
            return f"{first}:{last}"
        case ast.Stretch():
            return "*"
        case ast.Rest():
            return "..."
        case ast.Pack(name=name):
            return f"...{name.text}" if name is not None else "..."
        case ast.Expr():
            return _expr(item, _IF, depth)
        case _:
            raise TypeError(f"not an entry: {item!r}")


def _arg(arg: ast.Arg, depth: int) -> str:
    value = _expr(arg.value, _IF, depth)
    return f"{arg.name.text} = {value}" if arg.name is not None else value


def _args(args: tuple[ast.Arg, ...], depth: int) -> str:
    if not args:
        return "()"
    if depth <= 0:
        return "(…)"
    return f"({', '.join(_arg(arg, depth - 1) for arg in args)})"


def _stage_args(stage: ast.Stage, depth: int) -> str:
    return _args(stage.args, depth) if stage.args or stage.parens else ""


def _expr(expr: ast.Expr, least: int, depth: int) -> str:
    """The text of an expression where an operator of level `least` may stand."""
    level = _ATOM
    match expr:
        case ast.Number(text=text) | ast.Name(text=text):
            pass
        case ast.String(value=value):
            text = f'"{value}"'
        case ast.Bool(value=truth):
            text = "true" if truth else "false"
        case ast.Array(items=items):
            text = f"[{', '.join(_expr(item, _IF, depth) for item in items)}]"
        case ast.Call(name=name, args=args):
            text = f"{name.text}{_args(args, depth)}"
        case ast.Index(value=base, items=entries):
            inner = ", ".join(_item(item, depth) for item in entries)
            text = f"{_expr(base, _ATOM, depth)}[{inner}]"
        case ast.Transpose(value=base):
            text = f"{_expr(base, _ATOM, depth)}'"
        case ast.Power(base=base, exponent=exponent):
            level = _POWER
            text = f"{_expr(base, _ATOM, depth)}^{_expr(exponent, _UNARY, depth)}"
        case ast.Unary(symbol="not", operand=operand):
            level = _NOT
            text = f"not {_expr(operand, _NOT, depth)}"
        case ast.Unary(symbol=symbol, operand=operand):
            level = _UNARY
            text = f"{symbol}{_expr(operand, _UNARY, depth)}"
        case ast.Chain(operands=(first, *_)):
            level = _LEVELS.get(expr.symbols[0], _PROD)
            parts = [_expr(first, level + 1, depth)]
            for joint, _, operand in expr.steps():
                parts.append(f" {joint} {_expr(operand, level + 1, depth)}")
            text = "".join(parts)
        case ast.Compare(symbol=sign, left=left, right=right):
            level = _CMP
            text = f"{_expr(left, _SUM, depth)} {sign} {_expr(right, _SUM, depth)}"
        case ast.Pipe(value=base, stages=stages):
            level = _PIPE
            text = _expr(base, _ATOM, depth)
            for stage in stages:
                text += f" |> {stage.name.text}{_stage_args(stage, depth)}"
        case ast.If(condition=condition, yes=yes, no=no):
            level = _IF
            text = (
                f"if {_expr(condition, _PIPE, depth)} then {_expr(yes, _IF, depth)} "
                f"else {_expr(no, _IF, depth)}"
            )
        case _:
            raise TypeError(f"not an expression: {expr!r}")
    return text if level >= least else f"({text})"
