"""Linear algebra of square matrices: solve, inverse, Cholesky factor, log-determinant.

The last two axes are the matrix, all before them a batch. The rules are the textbook's
(M. Giles, 2008; I. Murray, 2016, for the Cholesky factor) and are made of these same ops,
so that they have derivatives of any order.

    y = solve(A, b)       b' = solve(A^T, y'),  A' = -b' y^T
    L = cholesky(A)       A' = sym(L^-T half(L^T L') L^-1), half: the lower triangle, its
                          diagonal halved
    d = logdet(A)         A' = d' A^-T
"""

from __future__ import annotations

from typing import Any

from ..ir.dims import ONE, Shape
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Kind, Op
from . import zeros
from .classes import InferError, linear
from .contraction import matmul
from .derived import swap
from .samples import REAL, Case, Samples

Args = tuple[Node, ...]
Tangents = tuple[Node | None, ...]


def _square(name: str, x: Node) -> None:
    if x.kind != "real" or len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise InferError(f"{name}: {x.kind} {x.shape}")


def _same(name: str) -> Any:
    def infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
        _square(name, args[0])
        return args[0].shape, "real"

    return infer


def _cubed(node: Node) -> Shape:
    """The multiplications of an elimination, but for a factor."""
    a = node.args[0]
    return (*a.shape, a.shape[-1])


def _product(a: Node, b: Node) -> Node:
    return matmul(a.graph, a, b)


def _solved(a: Node, b: Node) -> Node:
    return a.graph.apply("solve", a, b)


# ----------------------------------------------------------------------------- solve
def _solve_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    a, b = args
    _square("solve", a)
    if b.kind != "real" or b.shape[:-1] != a.shape[:-1]:
        raise InferError(f"solve: {a.shape} and {b.shape}")
    return b.shape, "real"


def _solve_vjp(g: Node, y: Node, a: Node, b: Node) -> tuple[Node | None, ...]:
    back = _solved(swap(a), g)
    return -_product(back, swap(y)), back


def _solve_jvp(tangents: Tangents, y: Node, a: Node, b: Node) -> Node | None:
    ta, tb = tangents
    if ta is None:
        return None if tb is None else _solved(a, tb)
    moved = _product(ta, y)
    return _solved(a, -moved if tb is None else tb - moved)


REGISTRY.add(
    Op(
        name="solve",
        args=("a", "b"),
        family="special",
        infer=_solve_infer,
        vjp=_solve_vjp,
        jvp=_solve_jvp,
        simplify=zeros.vanishing("solve", (1,)),
        numpy="np.linalg.solve({a}, {b})",
        text="solve({a}, {b})",
        latex=r"{a}^{{-1}} {b}",
        precedence=4,
        result="solution",
        call=True,
        cost=_cubed,
        samples=Samples(
            (REAL, REAL),
            (
                Case(((3, 3), (3, 2))),
                Case(((1, 1), (1, 1))),
                Case(((2, 2), (2, 1))),
                Case(((2, 3, 3), (2, 3, 1))),
                Case(((0, 2, 2), (0, 2, 1))),
            ),
            matrices="regular",
        ),
        note="LU with pivots. The right side is a matrix: its columns are solved for.",
    )
)


# --------------------------------------------------------------------------- inverse
def _turned(y: Node, t: Node, turn: bool) -> Node:
    """-Y t Y, or with both Y turned."""
    side = swap(y) if turn else y
    return -_product(_product(side, t), side)


_SQUARES = tuple(
    Case((shape,)) for shape in ((3, 3), (1, 1), (2, 2), (2, 3, 3), (0, 2, 2))
)

REGISTRY.add(
    Op(
        name="inv",
        args=("a",),
        family="special",
        infer=_same("inv"),
        vjp=lambda g, out, a: (_turned(out, g, True),),
        jvp=lambda tangents, out, a: (
            None if tangents[0] is None else _turned(out, tangents[0], False)
        ),
        numpy="np.linalg.inv({a})",
        text="{a}^-1",
        latex=r"{a}^{{-1}}",
        precedence=3,
        result="inverse",
        call=True,
        cost=_cubed,
        samples=Samples((REAL,), _SQUARES, matrices="regular"),
        note="What the derivative of logdet needs; to solve a system is better done by solve.",
    )
)


# ---------------------------------------------------------------------------- logdet
def _logdet_infer(args: Args, attrs: Attrs) -> tuple[Shape, Kind]:
    _square("logdet", args[0])
    return args[0].shape[:-2], "real"


def _logdet_vjp(g: Node, out: Node, a: Node) -> tuple[Node | None, ...]:
    graph = a.graph
    scale = g
    if g.shape:
        scale = graph.apply("reshape", g, shape=(*g.shape, ONE, ONE))
    return (graph.broadcast(scale, a.shape) * swap(graph.apply("inv", a)),)


def _logdet_jvp(tangents: Tangents, out: Node, a: Node) -> Node | None:
    (t,) = tangents
    if t is None:
        return None
    n = len(a.shape)
    scaled = t * swap(a.graph.apply("inv", a))
    total = a.graph.apply("sum", scaled, axes=(n - 2, n - 1))
    return a.graph.apply("reshape", total, shape=out.shape)


REGISTRY.add(
    Op(
        name="logdet",
        args=("a",),
        family="special",
        infer=_logdet_infer,
        vjp=_logdet_vjp,
        jvp=_logdet_jvp,
        numpy="np.linalg.slogdet({a})[1]",
        numpy_complex=(
            "np.linalg.slogdet({a})[1] + np.log(np.linalg.slogdet({a})[0]"
            " * np.sign(np.real(np.linalg.slogdet({a})[0])))"
        ),
        text="logdet({a})",
        latex=r"\log\left|\det {a}\right|",
        result="logdet",
        call=True,
        cost=_cubed,
        samples=Samples((REAL,), _SQUARES, matrices="regular"),
        note="log |det A|: -infinity of a singular matrix.",
    )
)


# -------------------------------------------------------------------------- cholesky
linear(
    "half_lower",
    "x",
    lambda g, x: g.graph.apply("half_lower", g),
    _same("half_lower"),
    zeros.vanishing("half_lower"),
    numpy="(np.tril({x}) + np.tril({x}, -1)) / 2",
    text="half({x})",
    latex=r"\Phi\left({x}\right)",
    precedence=4,
    result="half",
    weight=3,
    samples=Samples((REAL,), _SQUARES),
    note="The lower triangle, with its diagonal halved: half(X) + half(X)^T = X if X = X^T.",
)

CHOLESKY = '''def complex_cholesky(a):
    """Return the factor L of L @ L.T = a, also of complex numbers, column by column."""
    a = (a + a.swapaxes(-1, -2)) / 2
    factor = np.zeros(a.shape, a.dtype)
    for j in range(a.shape[-1]):
        row = factor[..., j, :j, None]
        column = a[..., j:, j] - (factor[..., j:, :j] @ row)[..., 0]
        factor[..., j:, j] = column / np.sqrt(column[..., :1])
    return factor
'''


def _symmetric(x: Node) -> Node:
    return (x + swap(x)) / 2


def _cholesky_vjp(g: Node, out: Node, a: Node) -> tuple[Node | None, ...]:
    turned = swap(out)
    half = a.graph.apply("half_lower", _product(turned, g))
    back = _solved(turned, swap(_solved(turned, half)))
    return (_symmetric(back),)


def _cholesky_jvp(tangents: Tangents, out: Node, a: Node) -> Node | None:
    (t,) = tangents
    if t is None:
        return None
    inside = _solved(out, swap(_solved(out, _symmetric(t))))
    return _product(out, a.graph.apply("half_lower", inside))


REGISTRY.add(
    Op(
        name="cholesky",
        args=("a",),
        family="special",
        infer=_same("cholesky"),
        vjp=_cholesky_vjp,
        jvp=_cholesky_jvp,
        numpy="np.linalg.cholesky(({a} + {a}.swapaxes(-1, -2)) / 2)",
        numpy_complex="complex_cholesky({a})",
        prelude=CHOLESKY,
        text="cholesky({a})",
        latex=r"\operatorname{{chol}}\left({a}\right)",
        result="factor",
        weight=3,
        call=True,
        cost=_cubed,
        samples=Samples((REAL,), _SQUARES, matrices="definite"),
        note=(
            "The lower factor L of (A + A^T) / 2 = L L^T: a function of every entry, whose "
            "derivative is symmetric."
        ),
    )
)
