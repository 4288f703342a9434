"""Special functions: arcs, hyperbolic functions, erf, the normal distribution, lgamma and its kin.

NumPy has no error function, no normal distribution and no gamma function: functions of the
emitted module compute them, to a few units of the last digit. Most of their polynomials
interpolate the exact function at Chebyshev points, in the variable that stands in the loop.

The derivative of lgamma is digamma, whose derivative is `polygamma` of order 1, whose is
that of order 2, and so on: the set is closed.

    >>> cosh = unary("cosh", lambda t, out, x: t * x.graph.apply("sinh", x), ...)
"""

from __future__ import annotations

import math

from ..ir.graph import Graph
from ..ir.node import Node
from ..ir.op import Attrs
from .samples import POSITIVE, REAL, Range, Samples
from .transcendental import unary

# ------------------------------------------------------------- circles and hyperbolas
_ROUNDED = "|x| > 1e5: the argument itself is rounded"

unary(
    "tan",
    lambda t, out, x: t * (1 + out * out),
    Samples((Range(-1e5, 1e5),), excluded=_ROUNDED),
    result="tangent",
)
unary(
    "arctan",
    lambda t, out, x: t / (1 + x * x),
    Samples((Range(decades=60),), excluded="|x| > 1e60: x^6 overflows"),
    result="angle",
)
unary(
    "arcsin",
    lambda t, out, x: t / _leg(x),
    Samples((Range(-1.0, 1.0),)),
    result="angle",
    note="Infinite derivative at -1 and 1, NaN beyond.",
)
unary(
    "arccos",
    lambda t, out, x: -(t / _leg(x)),
    Samples((Range(-1.0, 1.0),)),
    result="angle",
    note="Infinite derivative at -1 and 1, NaN beyond.",
)
unary(
    "sinh",
    lambda t, out, x: t * x.graph.apply("cosh", x),
    Samples((Range(-710, 710),)),
    result="s",
    note="Overflows to infinity beyond 710.47.",
)
unary(
    "cosh",
    lambda t, out, x: t * x.graph.apply("sinh", x),
    Samples((Range(-710, 710),)),
    result="c",
    note="Overflows to infinity beyond 710.47.",
)


def _leg(x: Node) -> Node:
    """sqrt(1 - x^2), without the cancellation near 1."""
    return x.graph.apply("sqrt", (1 - x) * (1 + x))


# --------------------------------------------------- the error function, the normal law
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

ERF_INTO = '''def erf_single(x, out, room):
    """erf in single precision: the tanh of x times a polynomial in x^2."""
    terms = (
        1.58950345e-07,
        -5.985554079e-06,
        8.971191735e-05,
        -0.0006257181348,
        -0.0001843850458,
        0.1027654819,
        1.128379705,
    )
    terms = list(np.array(terms, x.dtype))
    room = room.reshape(2, -1)
    with np.errstate(over="ignore"):  # the tanh of infinity is 1
        for start in range(0, x.size, room.shape[1]):
            z = x[start : start + room.shape[1]]
            w, p = room[:, : z.size]
            np.multiply(z, z, out=w)
            np.multiply(w, terms[0], out=p)
            for k in range(1, len(terms) - 1):
                np.add(p, terms[k], out=p)
                np.multiply(p, w, out=p)
            np.add(p, terms[-1], out=p)
            np.multiply(p, z, out=p)
            np.tanh(p, out=out[start : start + room.shape[1]])
    return out


def erf_double(x, out, room):
    """erf in double precision: exp(-y^2) times a polynomial in y / (y + c) is 1 - erf(y)."""
    terms = (
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
    terms = list(np.array(terms, x.dtype))
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
    return out


def erf_into(x, out, room):
    """Set out to the error function of x, to two units of the last digit of 1.

    In blocks that stay in the cache: room has four rows, a block each.
    """
    x, out = x.reshape(-1), out.reshape(-1)
    double = x.dtype == np.float64
    return erf_double(x, out, room) if double else erf_single(x, out, room)
'''

unary(
    "erf",
    lambda t, out, x: (t * (2 / math.sqrt(math.pi) * x.graph.apply("exp", -(x * x)))),
    Samples((REAL,)),
    numpy="erf({x})",
    numpy_out_absolute="erf_into({x}, {out}, {room})",
    prelude=ERF,
    prelude_out=ERF_INTO,
    latex=r"\operatorname{{erf}}\left({x}\right)",
    result="probability",
    weight=2,
    note="NumPy has none: a function of the module computes it, to 1e-16.",
)

NORMAL_CDF = '''def normal_cdf(x):
    """Return the distribution function of the standard normal law."""
    z = np.minimum(np.maximum(x, -x), 40)
    t = (z - 5) / (z + 5)
    terms = (
        -8.166192624428987e-10,
        5.037302126379857e-10,
        9.446827519677366e-09,
        -5.015649939857857e-09,
        -6.782555313291156e-08,
        3.581840051543223e-08,
        4.340262594829775e-07,
        -3.310698071526862e-07,
        -2.769337871043854e-06,
        3.977912640593242e-06,
        1.6681099115863468e-05,
        -4.976177118979218e-05,
        -5.9375673286488655e-05,
        0.00054489883090093,
        -0.0007978694094808063,
        -0.00299337673822322,
        0.020795066800941616,
        -0.06911863870881432,
        0.16502036617034282,
        -0.3135331566712138,
        0.4953056159699768,
        -0.6653825028900577,
        0.769193049750063,
    )
    tail = 0 * t
    for term in terms:
        tail = tail * t + term
    near = np.rint(16 * np.real(z)) / 16  # so that its square is exact
    tail = tail / (z + 5) * np.exp(near * near / -2)
    tail = tail * np.exp((near - z) * (near + z) / 2)
    return np.where(x > 0, 1 - tail, tail)
'''

unary(
    "normal_cdf",
    lambda t, out, x: (
        t * (1 / math.sqrt(2 * math.pi) * x.graph.apply("exp", -(x * x) / 2))
    ),
    Samples((REAL,)),
    numpy="normal_cdf({x})",
    prelude=NORMAL_CDF,
    latex=r"\Phi\left({x}\right)",
    result="probability",
    weight=2,
    note="Relative accuracy in the lower tail too, down to the smallest numbers.",
)


# --------------------------------------------------------------- the gamma function
LGAMMA = '''def lgamma(x):
    """Return log |Gamma(x)|."""
    y = np.where(x < 0, 1 - x, x)
    # Stirling's series from 8 on.
    large = np.maximum(y, 8)
    r = (1 / large) ** 2
    series = (
        -0.029550653594771242,
        0.00641025641025641,
        -0.0019175269175269176,
        0.0008417508417508417,
        -0.0005952380952380953,
        0.0007936507936507937,
        -0.002777777777777778,
        0.08333333333333333,
    )
    far = 0 * r
    for term in series:
        far = far * r + term
    far = (large - 0.5) * (np.log(large) - 1) + 0.4189385332046727 + far / large
    # Below: s is the distance from 2, in steps of 1, whose factors are collected.
    s = np.minimum(y, 8)
    factor = np.where(s < 0.5, s * (s + 1), np.where(s < 1.5, s, 1))
    s = np.where(s < 0.5, s, np.where(s < 1.5, s - 1, s - 2))
    above = 1 + 0 * s
    for step in range(6):
        above = np.where(s > 0.5, above * (s + 1), above)
        s = np.where(s > 0.5, s - 1, s)
    terms = (
        2.7475390051909663e-07,
        -5.811277768921246e-07,
        9.242852225162277e-07,
        -1.9743106888421067e-06,
        4.3828545383846665e-06,
        -9.45628851510172e-06,
        2.050601970174762e-05,
        -4.4923727564247656e-05,
        9.945761692157133e-05,
        -0.00022315497746292723,
        0.0005096695196526673,
        -0.0011927539009983087,
        0.002890510330865901,
        -0.007385551028935545,
        0.02058080842778338,
        -0.06735230105319563,
        0.3224670334241132,
        0.42278433509846713,
    )
    near = 0 * s
    for term in terms:
        near = near * s + term
    near = s * near + np.log(above) - np.log(factor)
    value = np.where(y < 8, near, far)
    turn = np.sin(np.pi * np.where(x < 0, x - np.rint(np.real(x)), 0.5))
    turn = np.where(turn < 0, -turn, turn)
    return np.where(x < 0, 1.1447298858494002 - np.log(turn) - value, value)
'''

DIGAMMA = '''def digamma(x):
    """Return the derivative of log |Gamma(x)|."""
    y = np.where(x < 0, 1 - x, x)
    # The asymptotic series from 8 on.
    large = np.maximum(y, 8)
    r = (1 / large) ** 2
    series = (
        3.0539543302701198,
        -0.4432598039215686,
        0.08333333333333333,
        -0.021092796092796094,
        0.007575757575757576,
        -0.004166666666666667,
        0.003968253968253968,
        -0.008333333333333333,
        0.08333333333333333,
    )
    far = 0 * r
    for term in series:
        far = far * r + term
    far = np.log(large) - 0.5 / large - far * r
    # Below: steps of 1 into 1 to 2, where the root stands out as a factor.
    z = np.minimum(y, 8)
    steps = np.where(z < 1, -1 / np.where(z < 1, z, 1), 0)
    z = np.where(z < 1, z + 1, z)
    for step in range(6):
        steps = np.where(z > 2, steps + 1 / np.where(z > 2, z - 1, 1), steps)
        z = np.where(z > 2, z - 1, z)
    t = 2 * z - 3
    terms = (
        -8.25512972008104e-11,
        2.4765474440031764e-10,
        -2.889363639216111e-10,
        8.668257373761658e-10,
        -3.6788868183645545e-09,
        1.10370884388543e-08,
        -3.166618072027162e-08,
        9.500926192924096e-08,
        -2.8628755280038686e-07,
        8.591324222417666e-07,
        -2.578107848270217e-06,
        7.741156881253708e-06,
        -2.325823828431376e-05,
        6.995020484160625e-05,
        -0.00021074841215733007,
        0.000636888028319074,
        -0.0019350666647832667,
        0.005936795278433826,
        -0.018550615381738605,
        0.06013562106019355,
        -0.21181371064073026,
        0.951055876031833,
    )
    near = 0 * t
    for term in terms:
        near = near * t + term
    near = ((z - 1.4616321449683622) - 9.549995429965697e-17) * near + steps
    value = np.where(y < 8, near, far)
    turn = np.pi * np.where(x < 0, x - np.rint(np.real(x)), 0.25)
    return np.where(x < 0, value - np.pi / np.tan(turn), value)
'''

POLYGAMMA = '''def polygamma(x, order):
    """Return the derivative of digamma of an order from 1 on."""
    y = np.where(x < 0, 1 - x, x)
    total = (1 / y) ** (order + 1)
    for i in range(1, 16 + order):
        total = total + (1 / (y + i)) ** (order + 1)
    r = 1 / (y + 16 + order)
    series = (
        0.08333333333333333,
        -0.001388888888888889,
        3.306878306878307e-05,
        -8.267195767195768e-07,
        2.08767569878681e-08,
        -5.284190138687493e-10,
        1.3382536530684679e-11,
        -3.3896802963225827e-13,
        8.586062056277845e-15,
        -2.174868698558062e-16,
    )
    tail = 1 / order + r / 2
    rising, k, power = order + 1.0, 2, r * r
    for term in series:
        tail = tail + term * rising * power
        rising = rising * (order + k) * (order + k + 1)
        k, power = k + 2, power * r * r
    factor = -1.0
    for i in range(order):
        factor = -factor * (i + 1)
    value = factor * (total + tail * r**order)
    # Reflected: the derivatives of the cotangent, each from those before it.
    c = 1 / np.tan(np.pi * np.where(x < 0, x - np.rint(np.real(x)), 0.25))
    slopes = [c, -1 - c * c]
    for k in range(1, order):
        slope, weight = 0 * c, 1.0
        for i in range(k + 1):
            slope = slope - weight * slopes[i] * slopes[k - i]
            weight = weight * (k - i) / (i + 1)
        slopes.append(slope)
    turned = (-1.0) ** order * value - np.pi ** (order + 1) * slopes[order]
    return np.where(x < 0, turned, value)
'''

unary(
    "lgamma",
    lambda t, out, x: t * x.graph.apply("digamma", x),
    Samples((POSITIVE,)),
    numpy="lgamma({x})",
    prelude=LGAMMA,
    latex=r"\log\Gamma\left({x}\right)",
    result="log_gamma",
    weight=8,
    note="log |Gamma(x)|, infinite at 0, -1, -2, …",
)
unary(
    "digamma",
    lambda t, out, x: t * x.graph.apply("polygamma", x, order=1),
    Samples((POSITIVE,)),
    numpy="digamma({x})",
    prelude=DIGAMMA,
    latex=r"\psi\left({x}\right)",
    result="psi",
    weight=8,
    note="The derivative of lgamma, for x below 0 by reflection.",
)


def _first_order(graph: Graph, args: tuple[Node, ...], attrs: Attrs) -> Node | None:
    return graph.apply("digamma", *args) if attrs["order"] == 0 else None


unary(
    "polygamma",
    lambda t, out, x, order: t * x.graph.apply("polygamma", x, order=order + 1),
    Samples((POSITIVE,), attrs=({"order": 1}, {"order": 2}, {"order": 4})),
    simplify=(_first_order,),
    numpy=lambda node: f"polygamma({{x}}, {node.attrs['order']})",
    prelude=POLYGAMMA,
    text=lambda node: (
        "trigamma({x})"
        if node.attrs["order"] == 1
        else f"polygamma({node.attrs['order']}, {{x}})"
    ),
    latex=lambda node: rf"\psi^{{{{({node.attrs['order']})}}}}\left({{x}}\right)",
    result="psi",
    weight=8,
    note="The derivative of digamma of an order: trigamma is that of order 1.",
)
