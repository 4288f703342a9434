"""Operators: arithmetic, comparison, logic, `@`, transpose.

In come values with the place and the text they were written at (`Given`), out comes a value;
a mistake is raised. Here is all that the language says of kinds (an int meets a real in
arithmetic as real, in a comparison never; a bool is no number) and where broadcast nodes are
made: shapes follow rules B1 to B3 of `ir.dims.broadcast`, and the DAG has equal shapes.
"""

from __future__ import annotations

from gradc.records import record

from ..errors import broadcasting as broadcasting_prose
from ..errors import kinds as kinds_prose
from ..errors import sizes as sizes_prose
from ..errors.form import Diagnostic
from ..ir.dims import Dim, Mismatch, Shape, broadcast, plain
from ..ir.node import Node
from ..ir.op import Kind
from ..source import Span
from . import sizes
from .context import Lowering
from .values import Mistake, Value, value_of

MOST_FACTORS = 8  # the power of an int that is written out
LONGEST_TEXT = 32  # a longer operand is "the left side"

OPS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
COMPARISONS: dict[str, tuple[str, bool, bool]] = {
    # symbol: op, arguments swapped, result negated
    "==": ("eq", False, False),
    "!=": ("eq", False, True),
    "<": ("lt", False, False),
    "<=": ("le", False, False),
    ">": ("lt", True, False),
    ">=": ("le", True, False),
}


@record
class Given:
    """A value where it is written."""

    value: Value
    span: Span

    def text(self, otherwise: str = "this") -> str:
        """The text, if it is short enough to stand in a sentence."""
        text = self.span.text
        if len(text) > LONGEST_TEXT or "\n" in text:
            return otherwise
        return text


# ---------------------------------------------------------------------------- kinds
def as_kind(lo: Lowering, value: Value, kind: Kind) -> Node:
    """The node of a value in another kind; known whole numbers fit int and real."""
    node = value.node
    if node.kind == kind:
        return node
    if kind == "int" and value.whole:
        if node.is_a("const"):
            return lo.graph.const(node.attrs["value"], "int", node.attrs["name"])
        assert value.dim is not None
        return lo.graph.size(value.dim, "int")
    return lo.graph.apply("cast", node, kind=kind)


def number_kind(lo: Lowering, symbol: str, a: Given, b: Given, span: Span) -> Kind:
    """The kind in which two numbers meet in arithmetic."""
    for given in (a, b):
        if given.value.kind == "bool":
            raise Mistake(
                kinds_prose.bool_arithmetic(
                    given.span, symbol, given.text(), given.value.text()
                )
            )
    if symbol in "/^":
        return "real"
    x, y = a.value, b.value
    if x.kind == "int" and (y.kind == "int" or y.whole):
        return "int"
    if y.kind == "int" and x.whole:
        return "int"
    return "real"


# --------------------------------------------------------------------- broadcasting
def common_shape(lo: Lowering, a: Given, b: Given, symbol: str, span: Span) -> Shape:
    """The shape in which two values meet; raises `Mistake` where there is none."""
    x, y = a.value.shape, b.value.shape
    if not x or not y:
        return x or y
    shape = x
    if x != y:
        met = broadcast(x, y)
        if isinstance(met, Mismatch):
            raise Mistake(mismatch(lo, a, b, symbol, span, met.reason))
        shape = lo.sized(met, span, "the result")
    for p, q in zip(reversed(x), reversed(y), strict=False):
        if p.written is not q.written and not p.stretch and not q.stretch:
            lo.same(p, q, span, a.span.to(b.span).text)
    return shape


def mismatch(
    lo: Lowering, a: Given, b: Given, symbol: str, span: Span, reason: str
) -> Diagnostic:
    """Say why two shapes do not meet, with what to write instead."""
    left, right = a.text("the left side"), b.text("the right side")
    if reason == "ambiguous":
        small, large = (a, b) if a.value.rank < b.value.rank else (b, a)
        return broadcasting_prose.ambiguous_broadcast(
            span,
            symbol,
            (left, a.value.shape),
            (right, b.value.shape),
            small.text("x"),
            small.value.rank,
            large.value.rank,
        )
    inputs = {
        v.span.text: lo.shared.input_shapes[v.span.text].line
        for v in (a, b)
        if v.span.text in lo.shared.input_shapes
    }
    homes = {
        s: lo.shared.sizes[s].line
        for v in (a.value, b.value)
        for d in v.shape
        for s in d.symbols()
        if s in lo.shared.sizes
    }
    return broadcasting_prose.broadcast(
        span, (left, a.value.shape), (right, b.value.shape), homes, inputs
    )


def fit(lo: Lowering, node: Node, shape: Shape) -> Node:
    """A node in the shape of the language; scalars stay scalar for `apply`."""
    if not node.shape:
        return node
    return lo.graph.broadcast(node, plain(shape))


def filled(lo: Lowering, value: Value, shape: Shape) -> Value:
    """A value in just this shape (a scalar is broadcast too)."""
    return value_of(lo.graph.broadcast(value.node, plain(shape)), shape)


def elementwise(
    lo: Lowering, op: str, kind: Kind, shape: Shape, *values: Value
) -> Value:
    """An elementwise op on values that were found to meet in `shape`."""
    nodes = [fit(lo, as_kind(lo, v, kind), shape) for v in values]
    return value_of(lo.graph.apply(op, *nodes), shape)


# ----------------------------------------------------------------------- arithmetic
def arithmetic(lo: Lowering, symbol: str, a: Given, b: Given, span: Span) -> Value:
    """`a + b`, `-`, `*`, `/`."""
    kind = number_kind(lo, symbol, a, b, span)
    x, y = a.value, b.value
    shape = common_shape(lo, a, b, symbol, span)
    if symbol == "/" and y.dim is not None:
        text = a.span.to(b.span).text
        lo.require(sizes.nonzero_check(y.dim, lo.place(span), text))
    if x.known and y.known:
        try:
            number, dim = sizes.fold(symbol, x, y)
        except ZeroDivisionError:
            raise Mistake(
                sizes_prose.division_by_zero(span, a.text("the left side"))
            ) from None
        except OverflowError:
            raise Mistake(sizes_prose.power_too_large(span)) from None
        node = lo.graph.apply(OPS[symbol], x.node, y.node)
        return Value(node, (), number, dim)
    return elementwise(lo, OPS[symbol], kind, shape, x, y)


def power(lo: Lowering, a: Given, b: Given, span: Span) -> Value:
    """`a ^ b`: with a number as exponent a power, else exp(b log a) in all but name."""
    number_kind(lo, "^", a, b, span)
    x, y = a.value, b.value
    n = y.number
    if x.kind == "int" and isinstance(n, int) and 1 <= n <= MOST_FACTORS:
        return value_of(_whole_power(x.node, n), x.shape)
    base = as_kind(lo, x, "real")
    if y.number is not None and not y.shape:
        number, dim = None, None
        if y.number < 0 and x.dim is not None:
            text = a.span.to(b.span).text
            lo.require(sizes.nonzero_check(x.dim, lo.place(span), text))
        if x.known:
            try:
                number, dim = sizes.fold("^", x, y)
            except OverflowError:
                raise Mistake(sizes_prose.power_too_large(span)) from None
        node = lo.graph.apply("pow", base, exponent=y.number)
        return Value(node, x.shape, number, dim)
    shape = common_shape(lo, a, b, "^", span)
    return elementwise(lo, "power", "real", shape, x, y)


def _whole_power(base: Node, exponent: int) -> Node:
    """A small power of an int stays one."""
    node = base
    for _ in range(exponent - 1):
        node = node * base
    return node


def negative(lo: Lowering, a: Given, span: Span) -> Value:
    """`-a`."""
    x = a.value
    if x.kind == "bool":
        raise Mistake(kinds_prose.bool_arithmetic(a.span, "-", a.text(), x.text()))
    node = lo.graph.apply("neg", x.node)
    if not x.known:
        return value_of(node, x.shape)
    number = None if x.number is None else -x.number
    if node.is_a("neg") and x.node.is_a("const") and not x.node.attrs["name"]:
        assert number is not None
        node = lo.graph.const(number)
    return Value(node, (), number, None if x.dim is None else x.dim * -1)


def positive(a: Given) -> Value:
    """`+a`."""
    if a.value.kind == "bool":
        raise Mistake(
            kinds_prose.bool_arithmetic(a.span, "+", a.text(), a.value.text())
        )
    return a.value


# ----------------------------------------------------------------- comparison, logic
def compare(lo: Lowering, symbol: str, a: Given, b: Given, span: Span) -> Value:
    """`a < b` and its like: bool. An int is never compared with a real."""
    x, y = a.value, b.value
    kind = _compared_kind(symbol, a, b, span)
    shape = common_shape(lo, a, b, symbol, span)
    op, swapped, negated = COMPARISONS[symbol]
    if swapped:
        x, y = y, x
    if kind == "bool":
        made = _bool_equal(lo, x, y, shape)
    else:
        made = elementwise(lo, op, kind, shape, x, y)
    node = lo.graph.apply("not", made.node) if negated else made.node
    return Value(node, shape, _decided(symbol, a.value, b.value))


def _compared_kind(symbol: str, a: Given, b: Given, span: Span) -> Kind:
    x, y = a.value, b.value
    if "bool" in (x.kind, y.kind):
        if x.kind == y.kind and symbol in ("==", "!="):
            return "bool"
        raise Mistake(
            kinds_prose.compare_kinds(
                span,
                symbol,
                (a.text("the left side"), x.text()),
                (b.text("the right side"), y.text()),
            )
        )
    if x.kind == y.kind:
        return x.kind
    if y.whole if x.kind == "int" else x.whole:
        return "int"
    raise Mistake(
        kinds_prose.compare_kinds(
            span,
            symbol,
            (a.text("the left side"), x.text()),
            (b.text("the right side"), y.text()),
        )
    )


def _bool_equal(lo: Lowering, x: Value, y: Value, shape: Shape) -> Value:
    """Two bools are equal where both hold or neither does."""
    a, b = fit(lo, x.node, shape), fit(lo, y.node, shape)
    return value_of(lo.graph.apply("eq", a, b), shape)


def _decided(symbol: str, x: Value, y: Value) -> bool | None:
    """The comparison's outcome, where compile time knows it."""
    if x.number is not None and y.number is not None:
        p, q = x.number, y.number
        return {
            "==": p == q,
            "!=": p != q,
            "<": p < q,
            "<=": p <= q,
            ">": p > q,
            ">=": p >= q,
        }[symbol]
    if x.dim is not None and x.dim == y.dim:
        return symbol in ("==", "<=", ">=")
    return None


def logic(lo: Lowering, symbol: str, a: Given, b: Given, span: Span) -> Value:
    """`a and b`, `a or b`."""
    for given in (a, b):
        _must_be_bool(symbol, given)
    shape = common_shape(lo, a, b, symbol, span)
    node = lo.graph.apply(
        symbol, fit(lo, a.value.node, shape), fit(lo, b.value.node, shape)
    )
    known: bool | None = None
    p, q = a.value.number, b.value.number
    decisive = symbol == "or"
    if p is decisive or q is decisive:
        known = decisive
    elif p is not None and q is not None:
        known = not decisive
    return Value(node, shape, known if not shape else None)


def negation(lo: Lowering, a: Given, span: Span) -> Value:
    """`not a`."""
    _must_be_bool("not", a)
    number = a.value.number
    node = lo.graph.apply("not", a.value.node)
    return Value(node, a.value.shape, None if number is None else not number)


def _must_be_bool(symbol: str, given: Given) -> None:
    if given.value.kind != "bool":
        raise Mistake(
            kinds_prose.logic_of_numbers(
                given.span, symbol, given.text(), given.value.text()
            )
        )


# ------------------------------------------------------------------- matrix product
def matmul(lo: Lowering, a: Given, b: Given, span: Span) -> Value:
    """`a @ b`: [.., n, k] @ [k, m], [.., k] @ [k], [k] @ [k, m]; leading axes equal."""
    x, y = a.value, b.value
    for given in (a, b):
        if given.value.kind == "bool":
            raise Mistake(
                kinds_prose.bool_arithmetic(
                    given.span, "@", given.text(), given.value.text()
                )
            )
        if not given.value.shape:
            raise Mistake(
                broadcasting_prose.matmul_scalar(span, given.text("one side"))
            )
    inner_left = x.shape[-1]
    inner_right = y.shape[-2] if y.rank > 1 else y.shape[0]
    if not _one_size(inner_left, inner_right):
        raise Mistake(_matmul_mistake(lo, a, b, span, inner_left, inner_right))
    if not inner_left.stretch and not inner_right.stretch:
        lo.same(inner_left, inner_right, span, a.span.to(b.span).text)
    if y.rank > 2 and x.shape[:-2] != y.shape[:-2]:
        raise Mistake(
            broadcasting_prose.matmul_leading(
                span,
                (a.text("the left side"), x.shape),
                (b.text("the right side"), y.shape),
            )
        )
    lead = x.shape[:-2] if x.rank > 1 else ()
    if y.rank > 2:
        for p, q in zip(x.shape[:-2], y.shape[:-2], strict=True):
            lo.same(p, q, span)
    kind: Kind = "real"
    left, right = as_kind(lo, x, kind), as_kind(lo, y, kind)
    letters = "abcdefgh"[: len(lead)]
    rows = "i" if x.rank > 1 else ""
    columns = "k" if y.rank > 1 else ""
    spec = (
        f"{letters}{rows}j,{letters if y.rank > 2 else ''}j{columns}"
        f"->{letters}{rows}{columns}"
    )
    shape = (
        lead + ((x.shape[-2],) if rows else ()) + ((y.shape[-1],) if columns else ())
    )
    lo.sized(shape, span, "the product")
    return value_of(lo.graph.apply("einsum2", left, right, spec=spec), shape)


def _one_size(p: Dim, q: Dim) -> bool:
    return p == q or (p.stretch and q.integer == 1) or (q.stretch and p.integer == 1)


def _matmul_mistake(
    lo: Lowering, a: Given, b: Given, span: Span, p: Dim, q: Dim
) -> Diagnostic:
    x, y = a.value, b.value
    transposed: Shape | None = None
    if y.rank >= 2 and y.shape[-1] == p:
        transposed = (*x.shape[:-1], y.shape[-2])
    other: tuple[str, Shape] | None = None
    scope = lo.scope
    for name in scope.names():
        if name == b.span.text:
            continue
        candidate = scope.find(name)
        if (
            isinstance(candidate, Value)
            and candidate.rank == y.rank == 2
            and candidate.shape[-2] == p
        ):
            other = (name, candidate.shape)
            break
    return broadcasting_prose.matmul_shape(
        span,
        (a.text("the left side"), x.shape),
        (b.text("the right side"), y.shape),
        p,
        q,
        transposed,
        other,
    )


def transpose(lo: Lowering, a: Given, span: Span) -> Value:
    """`a'`: the last two axes change places."""
    x = a.value
    if x.rank < 2:
        raise Mistake(broadcasting_prose.transpose_rank(span, a.text(), x.text()))
    perm = (*range(x.rank - 2), x.rank - 1, x.rank - 2)
    shape = (*x.shape[:-2], x.shape[-1], x.shape[-2])
    return value_of(lo.graph.apply("transpose", x.node, perm=perm), shape)
