"""Arithmetic: sums, products, quotients and powers, number by number.

As in every elementwise op each partial derivative is one line of mathematics. `t` stands for
what is scaled: the cotangent g of reverse mode, the tangent of forward mode. A rule reads
`out` rather than its arguments where both serve: shorter lifetimes.

    >>> neg = elementwise("neg", "x", partials=(lambda t, out, x: -t,))
"""

from __future__ import annotations

import math

from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import Attrs
from . import stability, zeros
from .bounds import never_zero
from .classes import elementwise, numeric
from .samples import POSITIVE, REAL, Range, Samples


def at_origin(x: Node, y: Node) -> Node:
    """Where both are 0: there x^y and x log y have no derivative, and count as flat."""
    graph = x.graph
    return graph.apply("and", _is_zero(x), _is_zero(y))


def _is_zero(x: Node) -> Node:
    return x.graph.apply("eq", x, x.graph.const(0, x.kind))


def _square(node: Node) -> bool:
    return node.args[0] is node.args[1]


elementwise(
    "add",
    "a b",
    (lambda t, out, a, b: t, lambda t, out, a, b: t),
    numeric("add"),
    (zeros.add, stability.add),
    numpy="{a} + {b}",
    numpy_out="np.add({a}, {b}, out={out})",
    update="{a} += {b}",
    text="{a} + {b}",
    latex="{a} + {b}",
    precedence=1,
    result="total",
    inplace=True,
    samples=Samples((REAL, REAL)),
)
elementwise(
    "sub",
    "a b",
    (lambda t, out, a, b: t, lambda t, out, a, b: -t),
    numeric("sub"),
    (zeros.sub, stability.sub),
    numpy="{a} - {b}",
    numpy_out="np.subtract({a}, {b}, out={out})",
    update="{a} -= {b}",
    text="{a} - {b}",
    latex="{a} - {b}",
    precedence=1,
    result="difference",
    inplace=True,
    samples=Samples((REAL, REAL)),
)
elementwise(
    "mul",
    "a b",
    (lambda t, out, a, b: t * b, lambda t, out, a, b: t * a),
    numeric("mul"),
    (zeros.mul, stability.mul),
    numpy="{a} * {b}",
    choices=((_square, "{a} ** 2"),),
    number="{a} * {b}",
    numpy_out="np.multiply({a}, {b}, out={out})",
    update="{a} *= {b}",
    text=lambda node: "{a}^2" if _square(node) else "{a} * {b}",
    latex=lambda node: "{a}^{{2}}" if _square(node) else r"{a} \odot {b}",
    precedence=2,
    result="product",
    inplace=True,
    samples=Samples((REAL, REAL)),
)
elementwise(
    "div",
    "a b",
    (lambda t, out, a, b: t / b, lambda t, out, a, b: -(t / b * out)),
    simplify=(zeros.div, stability.div),
    numpy="{a} / {b}",
    number=lambda node: (
        "{a} / {b}" if never_zero(node.args[1]) else "float(np.float64({a}) / {b})"
    ),
    numpy_out="np.divide({a}, {b}, out={out})",
    update="{a} /= {b}",
    text="{a} / {b}",
    latex=r"\frac{{{a}}}{{{b}}}",
    precedence=2,
    result="ratio",
    inplace=True,
    samples=Samples(
        (REAL, Range(except_=(0.0,), decades=60)),
        excluded="|b| beyond 1e60 and 1e-60: b^4 of the third derivative overflows",
    ),
    note="The rule reads the quotient g / b twice and never b * b, which may overflow.",
)
elementwise(
    "neg",
    "x",
    (lambda t, out, x: -t,),
    numeric("neg"),
    (zeros.neg,),
    numpy="-{x}",
    numpy_out="np.negative({x}, out={out})",
    text="-{x}",
    latex="-{x}",
    precedence=2,
    result="negative",
    inplace=True,
    samples=Samples((REAL,)),
)


def _exponent(node: Node) -> str:
    return repr(node.attrs["exponent"])


def _pow_table(graph: Graph, args: tuple[Node, ...], attrs: Attrs) -> Node | None:
    """Chains of derivatives end exactly: x^3, 3 x^2, 6 x, 6, 0."""
    (x,) = args
    c = attrs["exponent"]
    if isinstance(c, float) and c.is_integer() and abs(c) < 2.0**53:
        return graph.apply("pow", x, exponent=int(c))
    if c == 0:
        return graph.broadcast(graph.const(1, x.kind), x.shape)
    if c == 1:
        return x
    if c == 2:
        return x * x
    if c == -1:
        return 1 / x
    if c == 0.5:
        return graph.apply("sqrt", x)
    return None


elementwise(
    "pow",
    "x",
    (
        lambda t, out, x, exponent: (
            t * (exponent * x.graph.apply("pow", x, exponent=exponent - 1))
        ),
    ),
    simplify=(_pow_table,),
    numpy=lambda node: f"{{x}} ** {_exponent(node)}",
    number=lambda node: (
        " * ".join(["{x}"] * node.attrs["exponent"])
        if node.attrs["exponent"] in (2, 3)
        else f"float(np.float64({{x}}) ** {_exponent(node)})"
    ),
    numpy_out=lambda node: f"np.power({{x}}, {_exponent(node)}, out={{out}})",
    text=lambda node: f"{{x}}^{_exponent(node)}",
    latex=lambda node: f"{{x}}^{{{{{_exponent(node)}}}}}",
    precedence=3,
    result="power",
    call=True,
    inplace=True,
    samples=Samples(
        (POSITIVE,),
        attrs=tuple({"exponent": e} for e in (3, 4, -2, -3, 1.5, -0.5, 0.3, 7)),
    ),
    note="Whole exponents take any x; others are NaN below 0.",
)
elementwise(
    "power",
    "x y",
    (
        # 0 at x = y = 0 only: y * x^(y - 1) is right wherever x is not 0.
        lambda t, out, x, y: zeros.masked(
            at_origin(x, y),
            t * (y * x.graph.apply("power", x, y - 1)),
            False,
        ),
        lambda t, out, x, y: x.graph.apply(
            "where",
            x.graph.apply("lt", 0, x),
            t * (out * x.graph.apply("log", x)),
            zeros.masked(_is_zero(x), t * math.nan, False),
        ),
    ),
    numpy="{x} ** {y}",
    number="float(np.float64({x}) ** {y})",
    numpy_out="np.power({x}, {y}, out={out})",
    text="{x}^{y}",
    latex="{x}^{{{y}}}",
    precedence=3,
    result="power",
    call=True,
    weight=2,
    samples=Samples(
        (Range(0.0, decades=90), Range(decades=60)),
        excluded="x beyond 1e90 and 1e-90, |y| > 1e60: x^(y - 3) and y^3 overflow",
    ),
    note="By x at (0, 0): 0. By y: 0 at x = 0, NaN at x < 0, where x^y is not a function of y.",
)
