"""Elementary functions of one number: exponentials, logarithms, waves, roots.

Beside each stand its derivative, the domain on which it is tested and, where NumPy's own
form overflows or cancels, a form that does not.

    >>> exp = unary("exp", lambda t, out, x: t * out, Samples((Range(-745, 709),)))
"""

from __future__ import annotations

from typing import Any

from ..ir.node import Node
from ..ir.op import Simplify
from . import stability, zeros
from .arithmetic import at_origin
from .classes import elementwise
from .samples import POSITIVE, REAL, Range, Samples


def unary(
    name: str,
    partial: Any,
    samples: Samples,
    simplify: tuple[Simplify, ...] = (),
    **fields: Any,
) -> None:
    """Declare a function of one number, called as NumPy calls it where nothing else is said."""
    plain = f"np.{name}({{x}})"
    if fields.setdefault("numpy", plain) == plain:
        fields.setdefault("numpy_out", f"np.{name}({{x}}, out={{out}})")
    fields.setdefault("text", f"{name}({{x}})")
    fields.setdefault("latex", rf"\{name}\left({{x}}\right)")
    elementwise(
        name,
        "x",
        (partial,),
        simplify=(*stability.UNARY.get(name, ()), *simplify),
        call=True,
        inplace=True,
        samples=samples,
        **fields,
    )


unary(
    "exp",
    lambda t, out, x: t * out,
    Samples((Range(-745, 709),)),
    latex="e^{{{x}}}",
    monotone=True,
    result="e",
    note="Overflows to infinity beyond 709.78.",
)
unary(
    "expm1",
    lambda t, out, x: t * (out + 1),
    Samples((Range(-745, 709),)),
    latex="e^{{{x}}} - 1",
    monotone=True,
    result="e",
)
unary(
    "log",
    lambda t, out, x: t / x,
    Samples((POSITIVE,)),
    result="logarithm",
    note="-infinity at 0, where the derivative is infinite: a mask keeps it out.",
)
COMPLEX_LOG1P = '''def complex_log1p(x):
    """Return log(1 + x), also of complex numbers near 0, where NumPy's has few digits."""
    near = np.abs(x) < 0.5
    small = np.where(near, x, 0)
    return np.where(near, 2 * np.arctanh(small / (2 + small)), np.log(1 + x))
'''
COMPLEX_SOFTPLUS = "np.maximum({x}, 0) + complex_log1p(np.exp(np.minimum({x}, -{x})))"

unary(
    "log1p",
    lambda t, out, x: t / (1 + x),
    Samples((Range(-1.0),)),
    numpy_complex="complex_log1p({x})",
    prelude=COMPLEX_LOG1P,
    latex=r"\log\left(1 + {x}\right)",
    result="logarithm",
)
unary(
    "sin",
    lambda t, out, x: t * x.graph.apply("cos", x),
    Samples((Range(-1e5, 1e5),), excluded="|x| > 1e5: the argument itself is rounded"),
    result="sine",
)
unary(
    "cos",
    lambda t, out, x: -(t * x.graph.apply("sin", x)),
    Samples((Range(-1e5, 1e5),), excluded="|x| > 1e5: the argument itself is rounded"),
    result="cosine",
)
unary(
    "tanh",
    lambda t, out, x: t * (1 - out * out),
    Samples((REAL,)),
    monotone=True,
    result="t",
    note="The rule reads out, not x: x may be overwritten.",
)
unary(
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
unary(
    "softplus",
    lambda t, out, x: t * x.graph.apply("sigmoid", x),
    Samples((REAL,)),
    numpy="np.maximum({x}, 0) + np.log1p(np.exp(np.minimum({x}, -{x})))",
    number="({x} if {x} > 0 else 0.0) + float(np.log1p(np.exp(-abs({x}))))",
    numpy_complex=COMPLEX_SOFTPLUS,
    prelude=COMPLEX_LOG1P,
    numpy_out=(
        "np.negative({x}, out={t})",
        "np.minimum({x}, {t}, out={t})",
        "np.exp({t}, out={t})",
        "np.log1p({t}, out={t})",
        "np.add({x}, {t}, out={out})",  # a maximum of arrays takes a third of one with 0
        "np.maximum({out}, {t}, out={out})",
    ),
    latex=r"\operatorname{{softplus}}\left({x}\right)",
    monotone=True,
    result="s",
    weight=3,
)
unary(
    "log_softplus",
    lambda t, out, x: t * _log_softplus_slope(x),
    Samples((REAL,)),
    numpy=(
        "np.where({x} < -37, {x} - np.exp(np.minimum({x}, 0)) / 2, np.log(np.maximum({x}, 0)"
        " + np.log1p(np.exp(np.minimum({x}, -{x})))))"
    ),
    numpy_complex=(
        "np.where({x} < -37, {x} - np.exp(np.minimum({x}, 0)) / 2, "
        f"np.log({COMPLEX_SOFTPLUS}))"
    ),
    prelude=COMPLEX_LOG1P,
    latex=r"\log\operatorname{{softplus}}\left({x}\right)",
    result="log_s",
    weight=6,
    note="log(softplus(x)) without the logarithm of a number that has underflowed.",
)
unary(
    "sqrt",
    lambda t, out, x: t / (2 * out),
    Samples((POSITIVE,)),
    latex=r"\sqrt{{{x}}}",
    result="root",
    note="Infinite derivative at 0. The guarded norm is `derived.norm2`.",
)

elementwise(
    "xlogy",
    "x y",
    (
        lambda t, out, x, y: t * x.graph.apply("log", y),
        lambda t, out, x, y: zeros.masked(at_origin(x, y), t * (x / y), False),
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
