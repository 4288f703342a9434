"""Elementwise ops: each partial derivative is one line of mathematics.

`t` stands for what is scaled: the cotangent g of reverse mode, the tangent of forward
mode. A rule reads `out` rather than its arguments where both serve: shorter lifetimes.
At a kink the derivative is the element of least norm of the subdifferential with respect
to the differentiable arguments: abs'(0) = 0, relu'(0) = 0, a tie of two is shared evenly.

    >>> exp = elementwise("exp", "x", partials=(lambda t, out, x: t * out,))
"""

from __future__ import annotations

import math
from typing import Any

from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import Attrs
from . import stability, zeros
from .classes import Text, comparison, elementwise, logic, numeric, same_shape
from .samples import NONZERO, POSITIVE, REAL, TRUTH, Range, Samples


# ---------------------------------------------------------------------- arithmetic
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
            _and(_is(x, 0), _is(y, 0)),
            t * (y * x.graph.apply("power", x, y - 1)),
            False,
        ),
        lambda t, out, x, y: x.graph.apply(
            "where",
            x.graph.apply("lt", 0, x),
            t * (out * x.graph.apply("log", x)),
            zeros.masked(_is(x, 0), t * math.nan, False),
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


# ------------------------------------------------------- exponentials and logarithms
def _unary(name: str, partial: Any, samples: Samples, **fields: Any) -> None:
    rules = stability.UNARY.get(name, ())
    fields.setdefault("numpy", f"np.{name}({{x}})")
    fields.setdefault("numpy_out", f"np.{name}({{x}}, out={{out}})")
    fields.setdefault("text", f"{name}({{x}})")
    fields.setdefault("latex", rf"\{name}\left({{x}}\right)")
    elementwise(
        name,
        "x",
        (partial,),
        simplify=rules,
        call=True,
        inplace=True,
        samples=samples,
        **fields,
    )


_unary(
    "exp",
    lambda t, out, x: t * out,
    Samples((Range(-745, 709),)),
    latex="e^{{{x}}}",
    monotone=True,
    result="e",
    note="Overflows to infinity beyond 709.78.",
)
_unary(
    "expm1",
    lambda t, out, x: t * (out + 1),
    Samples((Range(-745, 709),)),
    latex="e^{{{x}}} - 1",
    monotone=True,
    result="e",
)
_unary(
    "log",
    lambda t, out, x: t / x,
    Samples((POSITIVE,)),
    result="logarithm",
    note="-infinity at 0, where the derivative is infinite: a mask keeps it out.",
)
_unary(
    "log1p",
    lambda t, out, x: t / (1 + x),
    Samples((Range(-1.0),)),
    latex=r"\log\left(1 + {x}\right)",
    result="logarithm",
)
_unary(
    "sin",
    lambda t, out, x: t * x.graph.apply("cos", x),
    Samples((Range(-1e5, 1e5),), excluded="|x| > 1e5: the argument itself is rounded"),
    result="sine",
)
_unary(
    "cos",
    lambda t, out, x: -(t * x.graph.apply("sin", x)),
    Samples((Range(-1e5, 1e5),), excluded="|x| > 1e5: the argument itself is rounded"),
    result="cosine",
)
_unary(
    "tanh",
    lambda t, out, x: t * (1 - out * out),
    Samples((REAL,)),
    monotone=True,
    result="t",
    note="The rule reads out, not x: x may be overwritten.",
)
_unary(
    "sigmoid",
    lambda t, out, x: t * (out * (1 - out)),
    Samples((REAL,)),
    numpy="1 / (1 + np.exp(-{x}))",
    number="1 / (1 + float(np.exp(-{x})))",
    numpy_complex="np.exp(np.minimum({x}, 0)) / (1 + np.exp(np.minimum({x}, -{x})))",
    numpy_out=(
        "np.negative({x}, out={out})",
        "np.exp({out}, out={out})",
        "np.add({out}, {1}, out={out})",
        "np.reciprocal({out}, out={out})",
    ),
    numpy_out_absolute=(
        "np.multiply({x}, {0.5}, out={out})",
        "np.tanh({out}, out={out})",
        "np.multiply({out}, {0.5}, out={out})",
        "np.add({out}, {0.5}, out={out})",
    ),
    latex=r"\sigma\left({x}\right)",
    monotone=True,
    result="s",
    weight=2,
    note="exp may overflow harmlessly below -709: the quotient is then 0.",
)
_unary(
    "softplus",
    lambda t, out, x: t * x.graph.apply("sigmoid", x),
    Samples((REAL,)),
    numpy="np.maximum({x}, 0) + np.log1p(np.exp(np.minimum({x}, -{x})))",
    number="({x} if {x} > 0 else 0.0) + float(np.log1p(np.exp(-abs({x}))))",
    numpy_out=(
        "np.negative({x}, out={t})",
        "np.minimum({x}, {t}, out={t})",
        "np.exp({t}, out={t})",
        "np.log1p({t}, out={t})",
        "np.maximum({x}, {0}, out={out})",
        "np.add({out}, {t}, out={out})",
    ),
    latex=r"\operatorname{{softplus}}\left({x}\right)",
    monotone=True,
    result="s",
    weight=3,
)
_unary(
    "log_softplus",
    lambda t, out, x: t * _log_softplus_slope(x),
    Samples((REAL,)),
    numpy=(
        "np.where({x} < -37, {x} - np.exp(np.minimum({x}, 0)) / 2, np.log(np.maximum({x}, 0)"
        " + np.log1p(np.exp(np.minimum({x}, -{x})))))"
    ),
    numpy_out=None,
    latex=r"\log\operatorname{{softplus}}\left({x}\right)",
    result="log_s",
    weight=6,
    note="log(softplus(x)) without the logarithm of a number that has underflowed.",
)
_unary(
    "sqrt",
    lambda t, out, x: t / (2 * out),
    Samples((POSITIVE,)),
    latex=r"\sqrt{{{x}}}",
    result="root",
    note="Infinite derivative at 0. The guarded norm is `derived.norm2`.",
)

ERF = '''def erf(x):
    """Return the error function (rational approximations of W. J. Cody, 1969)."""
    y = np.minimum(np.maximum(x, -x), 0.5)
    q = y * y
    top = 1.85777706184603153e-1 * q + 3.16112374387056560
    top = (top * q + 1.13864154151050156e2) * q + 3.77485237685302021e2
    top = top * q + 3.20937758913846947e3
    low = (q + 2.36012909523441209e1) * q + 2.44024637934444173e2
    low = (low * q + 1.28261652607737228e3) * q + 2.84423683343917062e3
    near = x * (top / low)
    y = np.minimum(np.maximum(np.maximum(x, -x), 0.5), 7)
    top = 2.15311535474403846e-8 * y + 5.64188496988670089e-1
    top = (top * y + 8.88314979438837594) * y + 6.61191906371416295e1
    top = (top * y + 2.98635138197400131e2) * y + 8.81952221241769090e2
    top = (top * y + 1.71204761263407058e3) * y + 2.05107837782607147e3
    top = top * y + 1.23033935479799725e3
    low = (y + 1.57449261107098347e1) * y + 1.17693950891312499e2
    low = (low * y + 5.37181101862009858e2) * y + 1.62138957456669019e3
    low = (low * y + 3.29079923573345963e3) * y + 4.36261909014324716e3
    low = (low * y + 3.43936767414372164e3) * y + 1.23033935480374942e3
    far = 1 - np.exp(-y * y) * (top / low)
    far = np.where(x < 0, -far, far)
    return np.where(np.maximum(x, -x) < 0.5, near, far)
'''

ERF_INTO = '''def erf_into(x, out, room):
    """Set out to the error function of x, to two units of the last digit of 1.

    exp(-y^2) times a polynomial in y / (y + c) is 1 - erf(y). In blocks that stay in
    the cache: room has four rows, a block each.
    """
    double = (
        2.5,
        -0.0014320133466987413,
        0.012742025829502405,
        -0.022902058148389158,
        0.009225013505616213,
        -0.008312605470513983,
        0.02183205128512225,
        0.025663855737662684,
        -0.02101443984754022,
        -0.11069367694858112,
        -0.03220865036012939,
        0.3954798349912939,
        0.19845311751659697,
        -2.074897575163792,
        3.429052082263561,
        -2.820947917738792,
        1.0,
    )
    single = (
        2.0,
        0.10282254421919883,
        0.006521447603738698,
        -0.3127588133320991,
        -0.2743093396893481,
        1.7432005059249351,
        -2.2567572379437904,
        1.0,
    )
    terms = list(np.array(double if x.dtype == np.float64 else single, x.dtype))
    x, out = x.reshape(-1), out.reshape(-1)
    room[3].fill(1000)
    for start in range(0, x.size, room.shape[1]):
        z = x[start : start + room.shape[1]]
        y, s, p, most = room[:, : z.size]
        np.abs(z, out=y)
        np.minimum(y, most, out=y)
        np.add(y, terms[0], out=s)
        np.divide(y, s, out=s)
        np.multiply(y, y, out=y)
        np.negative(y, out=y)
        np.exp(y, out=y)
        np.multiply(s, terms[1], out=p)
        for k in range(2, len(terms) - 1):
            np.add(p, terms[k], out=p)
            np.multiply(p, s, out=p)
        np.add(p, terms[-1], out=p)
        np.multiply(p, y, out=p)
        np.subtract(terms[-1], p, out=p)
        np.copysign(p, z, out=out[start : start + room.shape[1]])
'''

_unary(
    "erf",
    lambda t, out, x: (t * (2 / math.sqrt(math.pi) * x.graph.apply("exp", -(x * x)))),
    Samples((REAL,)),
    numpy="erf({x})",
    numpy_out=None,
    numpy_out_absolute="erf_into({x}, {out}, {room})",
    prelude=ERF,
    prelude_out=ERF_INTO,
    latex=r"\operatorname{{erf}}\left({x}\right)",
    result="probability",
    weight=2,
    note="NumPy has none: a function of the module computes it, to 1e-16.",
)
elementwise(
    "xlogy",
    "x y",
    (
        lambda t, out, x, y: t * x.graph.apply("log", y),
        lambda t, out, x, y: zeros.masked(
            _and(_is(x, 0), _is(y, 0)), t * (x / y), False
        ),
    ),
    numpy="np.where({x} == 0, 0, {x} * np.log(np.where({x} == 0, 1, {y})))",
    numpy_complex="{x} * np.log(np.where(({x} == 0) & ({y} == 0), 1, {y}))",
    text="{x} log {y}",
    latex=r"{x} \log {y}",
    precedence=2,
    result="entropy",
    weight=2,
    samples=Samples((REAL, POSITIVE)),
    note="0 at x = 0, for every y.",
)


def _log_softplus_slope(x: Node) -> Node:
    """sigmoid(x) / softplus(x), which is 0 / 0 far below 0, is 1 - e^x / 2 there."""
    g = x.graph
    return g.apply(
        "where",
        g.apply("lt", x, -37),
        1 - g.apply("exp", x) / 2,
        g.apply("sigmoid", x) / g.apply("softplus", x),
    )


# ------------------------------------------------------------------------- kinks
def _is(x: Node, value: float) -> Node:
    return x.graph.apply("eq", x, x.graph.const(value, x.kind))


def _and(a: Node, b: Node) -> Node:
    return a.graph.apply("and", a, b)


_NUMBERS = 32  # how many nodes a constant may be made of, to be recognised


def is_constant(node: Node) -> bool:
    """Is it made of numbers and sizes alone?"""
    stack, seen = [node], 0
    while stack:
        n = stack.pop()
        seen += 1
        if seen > _NUMBERS or (
            n.op.family == "leaf" and n.op.name not in ("const", "size", "zero", "iota")
        ):
            return False
        stack.extend(n.args)
    return True


_DEEP = 8  # how far `never_zero` looks


def never_zero(node: Node) -> bool:
    """Is it proved to be no zero, whatever the data are? NaN and infinity may be."""
    if node.op.name == "const":
        return bool(node.attrs["value"] != 0)
    return _bound(node, _DEEP) > 0


def _bound(node: Node, depth: int) -> int:
    """1: above 0 and not by so little that it could be rounded to 0; 0: not below; -1: who
    knows."""
    if not depth:
        return -1
    args = node.args
    match node.op.name:
        case "const":
            value = node.attrs["value"]
            return (value > 0) - (value < 0) if value == value else -1
        case "exp" | "abs" | "sqrt" | "sigmoid" | "sigmoid_of_minus" | "softplus":
            return 0
        case "softplus_of_minus":
            return 0
        case "cosh":
            return 1
        case "mul" if args[0] is args[1]:
            return 0
        case "pow" if node.attrs["exponent"] % 2 == 0:
            return 0
        case "mul" | "div":  # may underflow
            return min(0, *(_bound(a, depth - 1) for a in args))
        case "add":
            bounds = [_bound(a, depth - 1) for a in args]
            return max(bounds) if min(bounds) >= 0 else -1
        case "maximum":
            return max(_bound(a, depth - 1) for a in args)
        case "minimum":
            return min(_bound(a, depth - 1) for a in args)
        case "broadcast" | "reshape" | "stop":
            return _bound(args[0], depth - 1)
    return -1


def _of_numbers(sign: str) -> Any:
    """The larger or smaller of two of Python's numbers: NaN where one of them is, as NumPy's."""
    turned = sign.translate({ord("<"): ">", ord(">"): "<"})

    def template(node: Node) -> Text:
        a, b = node.args
        if is_constant(b):
            return f"{{b}} if {{a}} {turned} {{b}} else {{a}}"
        if is_constant(a):
            return f"{{a}} if {{b}} {turned} {{a}} else {{b}}"
        return f"{{a}} if {{a}} {sign} {{b}} or {{a}} != {{a}} else {{b}}"

    return template


def _larger(first: str, second: str) -> Any:
    """The partial of a maximum: `first` is the argument at hand, `second` the other."""

    def partial(t: Node, out: Node, a: Node, b: Node) -> Node | None:
        x, other = (a, b) if first == "a" else (b, a)
        return _extreme(t, out, x, other, lambda p, q: out.graph.apply("lt", p, q))

    return partial


def _smaller(first: str, second: str) -> Any:
    """The partial of a minimum, which is a maximum with all comparisons turned."""

    def partial(t: Node, out: Node, a: Node, b: Node) -> Node | None:
        x, other = (a, b) if first == "a" else (b, a)
        return _extreme(t, out, x, other, lambda p, q: out.graph.apply("lt", q, p))

    return partial


def _extreme(t: Node, out: Node, x: Node, other: Node, below: Any) -> Node | None:
    """Strict against a constant (read from `out`); a tie of two is shared evenly."""
    if x is other:
        return t * 0.5
    if is_constant(x):
        return None
    if is_constant(other):
        return zeros.masked(below(other, out), t)
    tie = out.graph.apply("where", out.graph.apply("eq", x, other), 0.5, 1)
    return zeros.masked(below(x, other), t * tie, False)


def _on_real_parts(sign: str) -> Any:
    """Choose by the real part; a tie as the convention has it."""

    def template(node: Node) -> Text:
        a, b = node.args
        pick = f"np.where(np.real({{a}}) {sign} np.real({{b}}), {{a}}, "
        turn = f"np.where(np.real({{b}}) {sign} np.real({{a}}), {{b}}, "
        if is_constant(b):
            return f"{pick}{{b}})"
        if is_constant(a):
            return f"{turn}{{a}})"
        return f"{pick}{turn}({{a}} + {{b}}) / 2))"

    return template


elementwise(
    "maximum",
    "a b",
    (_larger("a", "b"), _larger("b", "a")),
    numeric("maximum"),
    numpy="np.maximum({a}, {b})",
    choices=((lambda n: is_constant(n.args[0]), "np.maximum({b}, {a})"),),
    numpy_complex=_on_real_parts(">"),
    number=_of_numbers(">"),
    numpy_out="np.maximum({a}, {b}, out={out})",
    text="max({a}, {b})",
    latex=r"\max\left({a}, {b}\right)",
    result="larger",
    call=True,
    inplace=True,
    samples=Samples((REAL, REAL), distinct=True),
    note="At a tie: 0 against a constant, one half each for two values.",
)
elementwise(
    "minimum",
    "a b",
    (_smaller("a", "b"), _smaller("b", "a")),
    numeric("minimum"),
    numpy="np.minimum({a}, {b})",
    choices=((lambda n: is_constant(n.args[0]), "np.minimum({b}, {a})"),),
    numpy_complex=_on_real_parts("<"),
    number=_of_numbers("<"),
    numpy_out="np.minimum({a}, {b}, out={out})",
    text="min({a}, {b})",
    latex=r"\min\left({a}, {b}\right)",
    result="smaller",
    call=True,
    inplace=True,
    samples=Samples((REAL, REAL), distinct=True),
    note="At a tie: 0 against a constant, one half each for two values.",
)
elementwise(
    "abs",
    "x",
    (lambda t, out, x: t * x.graph.apply("sign", x),),
    numeric("abs"),
    numpy="np.abs({x})",
    number="abs({x})",
    numpy_complex="{x} * np.sign(np.real({x}))",
    numpy_out="np.abs({x}, out={out})",
    text="|{x}|",
    latex=r"\left|{x}\right|",
    result="size",
    call=True,
    inplace=True,
    samples=Samples((NONZERO,)),
    note="Derivative 0 at 0.",
)
elementwise(
    "sign",
    "x",
    infer=numeric("sign"),
    numpy="np.sign({x})",
    numpy_complex="np.sign(np.real({x}))",
    numpy_out="np.sign({x}, out={out})",
    text="sign({x})",
    latex=r"\operatorname{{sign}}\left({x}\right)",
    result="sign",
    call=True,
    inplace=True,
    samples=Samples((NONZERO,)),
    note="Derivative 0 everywhere.",
)
elementwise(
    "floor",
    "x",
    infer=numeric("floor"),
    numpy="np.floor({x})",
    numpy_complex="np.floor(np.real({x}))",
    numpy_out="np.floor({x}, out={out})",
    text="floor({x})",
    latex=r"\left\lfloor {x} \right\rfloor",
    result="whole",
    call=True,
    inplace=True,
    samples=Samples((Range(-1e15, 1e15, "real", (0.0,)),)),
    note="Derivative 0 everywhere.",
)


# ------------------------------------------------------------- choices and comparisons
def _choice(args: tuple[Node, ...], attrs: Attrs) -> Any:
    c, a, b = args
    if c.kind != "bool" or a.kind != b.kind:
        raise ValueError(f"where: kinds {[n.kind for n in args]}")
    return same_shape("where", args), a.kind


_LAYOUT = ("reshape", "transpose", "slice", "broadcast")


def _incoming(node: Node, depth: int = 4) -> bool:
    """Is it a cotangent as it came in, with no local derivative sunk into it?"""
    while node.op.name in _LAYOUT:
        node = node.args[0]
    if node.op.name in ("add", "sub") and depth:
        return all(_incoming(a, depth - 1) for a in node.args)
    if node.op.name in ("mul", "div", "neg") and not node.shape and depth:
        return all(_incoming(a, depth - 1) for a in node.args)
    return node.op.name in ("einsum2", "sum", "seed", "const", "size", "put")


def _drops_rest(node: Node) -> bool:
    return zeros.is_zero(node.args[2])


def _drops_first(node: Node) -> bool:
    return zeros.is_zero(node.args[1])


elementwise(
    "where",
    "c a b",
    (
        None,
        lambda t, out, c, a, b: zeros.masked(c, t),
        lambda t, out, c, a, b: zeros.masked(c, t, False),
    ),
    _choice,
    (zeros.where,),
    numpy="np.where({c}, {a}, {b})",
    choices=(
        (lambda n: _drops_rest(n) and _incoming(n.args[1]), "{a} * {c}"),
        (_drops_rest, "np.where({c}, {a}, 0)"),
        (_drops_first, "np.where({c}, 0, {b})"),
    ),
    number=lambda node: (
        "{a} * {c}"
        if _drops_rest(node) and _incoming(node.args[1])
        else "{a} if {c} else {b}"
    ),
    text=lambda node: (
        "{a} where {c}"
        if _drops_rest(node)
        else ("{b} where not {c}" if _drops_first(node) else "where({c}, {a}, {b})")
    ),
    latex=r"\begin{{cases}} {a} & {c} \\ {b} & \text{{otherwise}} \end{{cases}}",
    precedence=0,
    result="chosen",
    samples=Samples((TRUTH, REAL, REAL)),
    note="What is not chosen has no gradient, even where its derivative is infinite or NaN.",
)


def _compare(name: str, sign: str, latex: str) -> None:
    turned = sign.replace("<", ">")

    def text(node: Node) -> str:
        if sign == "==":
            return "{a} = {b}"
        return f"{{b}} {turned} {{a}}" if _beyond(node) else f"{{a}} {sign} {{b}}"

    elementwise(
        name,
        "a b",
        infer=comparison(name),
        numpy=f"{{a}} {sign} {{b}}",
        choices=() if sign == "==" else ((_beyond, f"{{b}} {turned} {{a}}"),),
        numpy_complex=f"np.real({{a}}) {sign} np.real({{b}})",
        text=text,
        latex=f"{{a}} {latex} {{b}}",
        precedence=1,
        result="mask",
        samples=Samples((REAL, REAL), distinct=True),
    )


def _beyond(node: Node) -> bool:
    """`h > 0` reads better than `0 < h`."""
    return zeros.number(node.args[0]) is not None


_compare("lt", "<", "<")
_compare("le", "<=", r"\le")
_compare("eq", "==", "=")
elementwise(
    "and",
    "a b",
    infer=logic("and"),
    numpy="{a} & {b}",
    numpy_out="np.logical_and({a}, {b}, out={out})",
    text="{a} and {b}",
    latex=r"{a} \wedge {b}",
    precedence=0,
    result="mask",
    samples=Samples((TRUTH, TRUTH)),
)
elementwise(
    "or",
    "a b",
    infer=logic("or"),
    numpy="{a} | {b}",
    numpy_out="np.logical_or({a}, {b}, out={out})",
    text="{a} or {b}",
    latex=r"{a} \vee {b}",
    precedence=0,
    result="mask",
    samples=Samples((TRUTH, TRUTH)),
)
elementwise(
    "not",
    "x",
    infer=logic("not"),
    simplify=(zeros.not_,),
    numpy="~{x}",
    number="not {x}",
    numpy_out="np.logical_not({x}, out={out})",
    text="not {x}",
    latex=r"\neg {x}",
    precedence=0,
    result="mask",
    samples=Samples((TRUTH,)),
)


# ------------------------------------------------------------------ kinds and stop
def _cast_infer(args: tuple[Node, ...], attrs: Attrs) -> Any:
    return args[0].shape, attrs["kind"]


def _cast_text(node: Node) -> Text:
    match node.attrs["kind"]:
        case "real":
            return "{x}.astype({dtype})"
        case "bool":
            return "{x} != 0"
        case _:
            return "{x} * 1"


elementwise(
    "cast",
    "x",
    infer=_cast_infer,
    simplify=(zeros.cast,),
    numpy=_cast_text,
    number=lambda node: "float({x})" if node.kind == "real" else _cast_text(node),
    text="{x}",
    latex="{x}",
    result="x",
    call=True,
    samples=Samples((TRUTH,), attrs=({"kind": "real"}, {"kind": "int"})),
    note="No gradient: one of the two sides is whole numbers or truth values.",
)


def _stop_again(graph: Graph, args: tuple[Node, ...], attrs: Attrs) -> Node | None:
    return args[0] if args[0].op.name == "stop" or is_constant(args[0]) else None


elementwise(
    "stop",
    "x",
    infer=lambda args, attrs: (args[0].shape, args[0].kind),
    simplify=(_stop_again,),
    numpy="{x}",
    numpy_complex="np.real({x})",
    text="stop({x})",
    latex=r"\operatorname{{stop}}\left({x}\right)",
    result="x",
    weight=0,
    view=True,
    samples=Samples((REAL,)),
    note="x, held fixed: no gradient flows through it.",
)

elementwise(
    "drawn",
    "x",
    infer=lambda args, attrs: (args[0].shape, args[0].kind),
    numpy="{x}",
    numpy_complex="np.real({x})",
    text="{x}",
    latex="{x}",
    result="x",
    weight=0,
    view=True,
    samples=Samples((REAL,), attrs=({"name": "sample", "line": 1},)),
    note="A random draw whose law depends on values: it has no gradient by them.",
)
