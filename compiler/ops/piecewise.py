"""Piecewise functions: maximum, abs, sign, floor, choices, comparisons, truth values.

At a kink the derivative is the element of least norm of the subdifferential with respect
to the differentiable arguments: abs'(0) = 0, relu'(0) = 0, a tie of two is shared evenly.

    maximum(x, 0)    derivative t where out > 0: it reads `out`, not x
"""

from __future__ import annotations

from typing import Any

from ..ir.node import Node
from ..ir.op import Attrs
from . import zeros
from .bounds import is_constant
from .classes import Text, comparison, elementwise, logic, numeric, same_shape
from .samples import NONZERO, REAL, TRUTH, Range, Samples


# ------------------------------------------------------------------------- kinks
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


def _partial(name: str, slot: int) -> Any:
    """Of a maximum or minimum by one of its two arguments. Strict against a constant (read
    from `out`); a tie of two is shared evenly."""

    def below(low: Node, high: Node) -> Node:
        pair = (low, high) if name == "maximum" else (high, low)
        return low.graph.apply("lt", *pair)

    def partial(t: Node, out: Node, a: Node, b: Node) -> Node | None:
        x, other = (b, a) if slot else (a, b)
        if x is other:
            return t * 0.5
        if is_constant(x):
            return None
        if is_constant(other):
            return zeros.masked(below(other, out), t)
        tie = out.graph.apply("where", out.graph.apply("eq", x, other), 0.5, 1)
        return zeros.masked(below(x, other), t * tie, False)

    return partial


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
        tie = "np.where({a} == {b}, {a}, ({a} + {b}) / 2)"  # half of inf + 0j is no number
        return f"{pick}{turn}{tie}))"

    return template


def _extremum(name: str, short: str, sign: str, result: str) -> None:
    elementwise(
        name,
        "a b",
        (_partial(name, 0), _partial(name, 1)),
        numeric(name),
        numpy=f"np.{name}({{a}}, {{b}})",
        choices=((lambda n: is_constant(n.args[0]), f"np.{name}({{b}}, {{a}})"),),
        numpy_complex=_on_real_parts(sign),
        number=_of_numbers(sign),
        numpy_out=f"np.{name}({{a}}, {{b}}, out={{out}})",
        text=f"{short}({{a}}, {{b}})",
        latex=rf"\{short}\left({{a}}, {{b}}\right)",
        result=result,
        call=True,
        inplace=True,
        samples=Samples((REAL, REAL), distinct=True),
        note="At a tie: 0 against a constant, one half each for two values.",
    )


def _of_one(
    name: str,
    samples: Samples,
    *partials: Any,
    inplace: bool = True,
    **fields: Any,
) -> None:
    """A function of one number, whole or real, whose derivative is constant between kinks."""
    elementwise(
        name,
        "x",
        partials,
        numeric(name),
        numpy=f"np.{name}({{x}})",
        numpy_out=f"np.{name}({{x}}, out={{out}})",
        call=True,
        inplace=inplace,
        samples=samples,
        **fields,
    )


_extremum("maximum", "max", ">", "larger")
_extremum("minimum", "min", "<", "smaller")
_of_one(
    "abs",
    Samples((NONZERO,)),
    lambda t, out, x: t * x.graph.apply("sign", x),
    number="abs({x})",
    numpy_complex="{x} * np.sign(np.real({x}))",
    text="|{x}|",
    latex=r"\left|{x}\right|",
    result="size",
    note="Derivative 0 at 0.",
)
_of_one(
    "sign",
    Samples((NONZERO,)),
    numpy_complex="np.sign(np.real({x}))",
    text="sign({x})",
    latex=r"\operatorname{{sign}}\left({x}\right)",
    result="sign",
    inplace=False,  # in its own place NumPy's takes ten times as long
    note="Derivative 0 everywhere.",
)
_of_one(
    "floor",
    Samples((Range(-1e15, 1e15, "real", (0.0,)),)),
    numpy_complex="np.floor(np.real({x}))",
    text="floor({x})",
    latex=r"\left\lfloor {x} \right\rfloor",
    result="whole",
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
for _name, _sign, _latex in (("and", "&", r"\wedge"), ("or", "|", r"\vee")):
    elementwise(
        _name,
        "a b",
        infer=logic(_name),
        numpy=f"{{a}} {_sign} {{b}}",
        numpy_out=f"np.logical_{_name}({{a}}, {{b}}, out={{out}})",
        text=f"{{a}} {_name} {{b}}",
        latex=f"{{a}} {_latex} {{b}}",
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
