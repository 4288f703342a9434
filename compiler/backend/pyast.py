"""The little Python that we emit: expressions with their precedence, templates, layout.

Stage: the last of the backend. In: templates of the op records and the trees that fill
them. Out: text in black's own layout.

An expression is its text and how tightly it binds, so that a hole gets parentheses where
it needs them and nowhere else. A template is parsed by ``ast`` once and compiled into a
function of its holes: what a record says is checked to be Python, and no text of a program
is ever pasted into code.

    >>> square = template("{x} ** 2")
    >>> square.fill({"x": name("h")}).text, square.fill({"x": parse("a + b")}).text
    ('h**2', '(a + b) ** 2')
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

WIDTH = 88

# How tightly an expression binds, as Python's grammar has it.
TUPLE, OR, AND, NOT, COMPARE, BITOR, BITXOR, BITAND, SUM, PRODUCT, UNARY, POWER = range(
    12
)
PRIMARY, ATOM = 12, 13


class Expr(NamedTuple):
    """Python text and its precedence. Only this module makes composite ones."""

    text: str
    binds: int = ATOM

    def within(self, least: int) -> str:
        return self.text if self.binds >= least else f"({self.text})"


Holes = Mapping[str, Expr]
Fill = Callable[[Holes], Expr]

HOLE = re.compile(r"\{([A-Za-z_][\w.]*(?:\[-?\d+\])?)\}")
SIMPLE = re.compile(r"-?(?:\d[\w.]*(?:e[+-]?\d+)?|[^\W\d][\w⟦⟧,-]*(?:\.[^\W\d]\w*)*)\Z")

BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: (" + ", SUM),
    ast.Sub: (" - ", SUM),
    ast.Mult: (" * ", PRODUCT),
    ast.Div: (" / ", PRODUCT),
    ast.FloorDiv: (" // ", PRODUCT),
    ast.Mod: (" % ", PRODUCT),
    ast.MatMult: (" @ ", PRODUCT),
    ast.BitAnd: (" & ", BITAND),
    ast.BitOr: (" | ", BITOR),
    ast.BitXor: (" ^ ", BITXOR),
}
COMPARISON: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def name(text: str) -> Expr:
    return Expr(text, ATOM)


def number(value: float | bool) -> Expr:
    """A Python literal: never a NumPy scalar, which would promote float32 arrays."""
    if value.__class__ is int:
        return Expr(repr(value), ATOM if value >= 0 else UNARY)
    if value != value:
        return Expr("np.nan", PRIMARY)
    if value in (float("inf"), float("-inf")):
        return Expr("np.inf", PRIMARY) if value > 0 else Expr("-np.inf", UNARY)
    text = repr(value)
    if "e" in text:
        text = re.sub(r"e([+-])0*", lambda m: "e-" if m[1] == "-" else "e", text)
    return Expr(text, UNARY if text.startswith("-") else ATOM)


def power(base: Expr, exponent: Expr) -> Expr:
    """black hugs a power of simple operands and spaces out any other."""
    left, right = base.within(PRIMARY), exponent.within(UNARY)
    nearest = right.partition("**")[
        0
    ].strip()  # of a power of a power, what stands there
    simple = SIMPLE.match(left) and SIMPLE.match(nearest)
    return Expr(f"{left}**{right}" if simple else f"{left} ** {right}", POWER)


def binary(op: type[ast.operator], left: Expr, right: Expr) -> Expr:
    if op is ast.Pow:
        return power(left, right)
    sign, binds = BINARY[op]
    return Expr(left.within(binds) + sign + right.within(binds + 1), binds)


def negative(operand: Expr) -> Expr:
    """black writes `-(x**2)`, and nobody can read `--x`."""
    text = operand.text
    if operand.binds < UNARY or operand.binds == POWER or text.startswith("-"):
        text = f"({text})"
    return Expr("-" + text, UNARY)


def method(value: Expr, call: str) -> Expr:
    """`value.sum(axis=0)`, `value.T`."""
    if value.text[0].isdigit():
        return Expr(f"({value.text}).{call}", PRIMARY)
    return Expr(f"{value.within(PRIMARY)}.{call}", PRIMARY)


def item(value: Expr, index: str) -> Expr:
    return Expr(f"{value.within(PRIMARY)}[{index}]", PRIMARY)


def comma(items: Sequence[Expr]) -> Expr:
    """A tuple: `(N,)`, `(N, 10)`."""
    text = ", ".join(i.within(OR) for i in items)
    return Expr(f"({text},)" if len(items) == 1 else f"({text})", ATOM)


# --------------------------------------------------------------------------- templates
class Template(NamedTuple):
    """A parsed template. `reads` counts the holes: one that is read twice wants a name."""

    fill: Fill
    reads: dict[str, int]
    operations: int  # of NumPy, on whole arrays
    statement: bool
    calls: bool  # a function, of NumPy or not


@lru_cache(maxsize=4096)
def template(source: str) -> Template:
    """Compile an expression, or a statement such as `{x}[{index}] += {g}`."""
    holes: list[str] = []

    def hole(found: re.Match[str]) -> str:
        holes.append(found[1])
        return f"HOLE_{len(holes) - 1}_"

    tree = ast.parse(HOLE.sub(hole, source)).body
    if len(tree) != 1:
        raise ValueError(f"a template is one expression or statement: {source!r}")
    reads: dict[str, int] = {}
    for h in holes:
        reads[h] = reads.get(h, 0) + 1
    compiler = _Compiler(holes)
    statement = not isinstance(tree[0], ast.Expr)
    fill = compiler.statement(tree[0])
    calls = "np." in source or "(" in source
    return Template(fill, reads, compiler.operations, statement, calls)


def parse(source: str) -> Expr:
    """A fixed expression, in our layout."""
    return template(source).fill({})


class _Compiler:
    """One template: a tree of `ast` to nested functions of the holes."""

    def __init__(self, holes: Sequence[str]) -> None:
        self.holes = holes
        self.operations = 0

    def statement(self, node: ast.stmt) -> Fill:
        match node:
            case ast.Expr(value=value):
                return self.expression(value)
            case ast.AugAssign(target=target, op=op, value=value):
                sign = (
                    BINARY[type(op)][0].strip() if not isinstance(op, ast.Pow) else "**"
                )
                left, right = self.expression(target), self.expression(value)
                self.operations += 1

                def augmented(holes: Holes) -> Expr:
                    text, mark = right(holes).text, sign
                    if (
                        sign in "+-"
                        and text.startswith("-")
                        and right(holes).binds == UNARY
                    ):
                        text, mark = text[1:], "-" if sign == "+" else "+"
                    return Expr(f"{left(holes).text} {mark}= {text}", TUPLE)

                return augmented
            case ast.Assign(targets=[target], value=value):
                left, right = self.expression(target), self.expression(value)
                return lambda holes: Expr(
                    f"{left(holes).text} = {right(holes).text}", TUPLE
                )
        raise ValueError(f"no template: {ast.unparse(node)}")

    def expression(self, node: ast.expr) -> Fill:
        match node:
            case ast.Name(id=text):
                if text.startswith("HOLE_"):
                    key = self.holes[int(text[5:-1])]
                    return lambda holes: holes[key]
                fixed = Expr(text, ATOM)
                return lambda _: fixed
            case ast.Constant(value=str() as text):
                quoted = Expr('"' + text + '"', ATOM)
                return lambda _: quoted
            case ast.Constant(value=value):
                literal = Expr("...", ATOM) if value is ... else Expr(repr(value), ATOM)
                return lambda _: literal
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.expression(operand)
                if not isinstance(operand, ast.Constant):
                    self.operations += 1
                return lambda holes: negative(inner(holes))
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                inner = self.expression(operand)
                self.operations += 1
                return lambda holes: Expr("~" + inner(holes).within(PRIMARY), UNARY)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.expression(operand)
                return lambda holes: Expr("not " + inner(holes).within(NOT), NOT)
            case ast.BoolOp(op=ast.Or(), values=values):
                parts = [self.expression(v) for v in values]
                return lambda holes: Expr(
                    " or ".join(p(holes).within(AND) for p in parts), OR
                )
            case ast.IfExp(test=test, body=body, orelse=other):
                parts = [self.expression(e) for e in (body, test, other)]
                return lambda holes: Expr(
                    "{} if {} else {}".format(*(p(holes).within(OR) for p in parts)),
                    TUPLE,
                )
            case ast.BinOp(left=left, op=op, right=right):
                self.operations += 1
                kind = type(op)
                first, second = self.expression(left), self.expression(right)
                return lambda holes: binary(kind, first(holes), second(holes))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                self.operations += 1
                sign = COMPARISON[type(op)]
                first, second = self.expression(left), self.expression(right)
                return lambda holes: Expr(
                    f"{first(holes).within(BITOR)} {sign} {second(holes).within(BITOR)}",
                    COMPARE,
                )
            case ast.Attribute(value=value, attr=attr):
                inner = self.expression(value)
                return lambda holes: method(inner(holes), attr)
            case ast.Call(func=func, args=args, keywords=keywords):
                self.operations += 1
                return self.call(func, args, keywords)
            case ast.Subscript(value=value, slice=index):
                inner, at = self.expression(value), self.index(index)
                return lambda holes: item(inner(holes), at(holes))
            case ast.Tuple(elts=items):
                parts = [self.expression(i) for i in items]
                return lambda holes: comma([p(holes) for p in parts])
            case ast.List(elts=items):
                parts = [self.expression(i) for i in items]
                return lambda holes: Expr(
                    "[" + ", ".join(p(holes).within(OR) for p in parts) + "]", ATOM
                )
            case ast.Starred(value=value):
                inner = self.expression(value)
                return lambda holes: Expr("*" + inner(holes).text, TUPLE)
        raise ValueError(f"no template: {ast.unparse(node)}")

    def call(
        self, func: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]
    ) -> Fill:
        callee = self.expression(func)
        parts = [(("", self.expression(a))) for a in args]
        parts += [(f"{k.arg}=", self.expression(k.value)) for k in keywords]

        def fill(holes: Holes) -> Expr:
            inside = ", ".join(key + p(holes).text for key, p in parts)
            return Expr(f"{callee(holes).within(PRIMARY)}({inside})", PRIMARY)

        return fill

    def index(self, node: ast.expr) -> Callable[[Holes], str]:
        """What stands between brackets; colons get spaces where a bound is composite."""
        items = node.elts if isinstance(node, ast.Tuple) else [node]
        single = len(items) == 1 and isinstance(node, ast.Tuple)
        parts: list[Fill | list[Fill | None]] = []
        for i in items:
            if isinstance(i, ast.Slice):
                bounds = [i.lower, i.upper, i.step]
                parts.append(
                    [None if b is None else self.expression(b) for b in bounds]
                )
            else:
                parts.append(self.expression(i))

        def filled(part: Fill | list[Fill | None], holes: Holes) -> Index:
            if isinstance(part, list):
                return tuple(None if b is None else b(holes) for b in part)
            return part(holes)

        def fill(holes: Holes) -> str:
            text = index_text([filled(part, holes) for part in parts])
            return text + ("," if single else "")

        return fill


Index = Expr | tuple[Expr | None, ...]  # one index, or the bounds of a slice


def index_text(items: Sequence[Index]) -> str:
    """`:, 0`, `1:5`, `1 : N - 1`: black spaces the colons of a composite subscript."""
    out = []
    for i in items:
        if isinstance(i, Expr):
            out.append(i.text)
            continue
        composite = any(
            b is not None and not (b.binds >= ATOM or SIMPLE.match(b.text)) for b in i
        )
        low, high, step = (*i, None, None, None)[:3]
        text = low.within(OR) if low else ""
        if composite:
            text += (" " if low else "") + ":" + (f" {high.text}" if high else "")
            if step:
                text += (" " if high else "") + f": {step.text}"
        else:
            text += ":" + (high.text if high else "")
            if step:
                text += f":{step.text}"
        out.append(text)
    return ", ".join(out)


# --------------------------------------------------------------------------- layout
def listing(
    head: str,
    items: Sequence[str],
    tail: str,
    indent: int,
    lone: bool = False,
    call: bool = False,
) -> list[str]:
    """`head(items)tail` in black's layout: one line, else one item a line.

    `head` ends in the opening bracket and `tail` begins with the closing one. `lone`: a
    tuple, in which a single item keeps its comma. `call`: arguments, which black puts on
    one indented line where they fit.
    """
    pad = " " * indent
    inside = ", ".join(items)
    if lone and len(items) == 1:
        inside += ","
    one = f"{pad}{head}{inside}{tail}"
    if len(one) <= WIDTH:
        return [one]
    if call and len(pad) + 4 + len(inside) <= WIDTH:
        return [f"{pad}{head}", f"{pad}    {inside}", f"{pad}{tail}"]
    return [f"{pad}{head}", *(f"{pad}    {i}," for i in items), f"{pad}{tail}"]


def taking(items: Sequence[str], source: str) -> list[str]:
    """`a, b = saved`: the whole of a tuple, at the indentation of a function."""
    if not items:
        return []
    if len(items) == 1:
        return [f"    ({items[0]},) = {source}"]
    one = f"    {', '.join(items)} = {source}"
    if len(one) <= WIDTH:
        return [one]
    return listing("(", items, f") = {source}", 4, lone=True)


def remarked(line: str, remark: str) -> str:
    """The line with a remark behind it, such as a shape, where there is room."""
    fits = remark and len(line) + 4 + len(remark) <= WIDTH
    return f"{line}  # {remark}" if fits else line


def unpacking(rows: Sequence[tuple[str, str]], indent: int) -> list[str]:
    """`W, b = params["h.W"], params["h.b"]`: of one owner, as many as fit on a line."""
    lines: list[str] = []
    group: list[tuple[str, str]] = []

    def text(rows: Sequence[tuple[str, str]]) -> str:
        left, right = (", ".join(column) for column in zip(*rows, strict=True))
        return f"{' ' * indent}{left} = {right}"

    for row in rows:
        same = not group or _owner(group[-1][1]) == _owner(row[1])
        if group and (not same or len(text([*group, row])) > WIDTH):
            lines.append(text(group))
            group = []
        group.append(row)
    return [*lines, text(group)] if group else lines


def _owner(entry: str) -> str:
    return entry.rpartition(".")[0]


def docstring(lines: Sequence[str], indent: int) -> list[str]:
    """A docstring whose lines are already filled; quotes and backslashes are not ours."""
    pad = " " * indent
    clean = [printable(text) for text in lines]
    if len(clean) == 1 and len(clean[0]) + indent + 6 <= WIDTH:
        return [f'{pad}"""{clean[0]}"""']
    return [
        f'{pad}"""{clean[0]}',
        *(f"{pad}{text}".rstrip() for text in clean[1:]),
        f'{pad}"""',
    ]


def printable(text: str) -> str:
    """Text that may stand in a comment or docstring: it cannot end either."""
    if text.isprintable() and "\\" not in text and '"' not in text:
        return text.rstrip()
    return "".join(
        c if c.isprintable() else " "
        for c in text.replace("\\", "/").replace('"""', "'''")
    ).rstrip()


def fill_text(items: Sequence[str], width: int, gap: str = " ") -> list[str]:
    """Put items on as few lines as fit; an item is never broken."""
    lines: list[str] = []
    for i in items:
        if lines and len(lines[-1]) + len(gap) + len(i) <= width:
            lines[-1] += gap + i
        else:
            lines.append(i)
    return lines
