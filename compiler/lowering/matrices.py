"""The algebra of square matrices: solve, cholesky, logdet.

In come bound arguments, out come the ops of the same names. A right side with one axis less
than the matrix is a vector (or a batch of them): it gets an axis of size 1 for its column.

    solve(A, b)     A [N, n, n], b [N, n]: reshape(solve(A, reshape(b, [N, n, 1])), [N, n])
"""

from __future__ import annotations

from ..errors import matrices as prose
from ..ir.dims import ONE, Shape, plain
from ..ir.node import Node
from .arguments import Args, Function
from .context import Lowering
from .values import Mistake, Value, value_of


def _square(lo: Lowering, a: Args) -> tuple[Node, Shape]:
    """The matrix: real, with two equal last axes."""
    node, shape = a.real("A")
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1].stretch:
        named = (a.value("A").text("the matrix"), shape)
        raise Mistake(prose.not_square(a.passed("A").span, a.name, named))
    lo.same(shape[-2], shape[-1], a.span)
    return node, shape


def _solve(lo: Lowering, a: Args) -> Value:
    matrix, shape = _square(lo, a)
    right, given = a.real("b")
    vector = len(given) == len(shape) - 1
    if given[: len(shape) - 1] != shape[:-1] or len(given) > len(shape):
        raise Mistake(
            prose.right_side(
                a.passed("b").span,
                (a.value("A").text("the matrix"), shape),
                (a.value("b").text("the right side"), given),
            )
        )
    for p, q in zip(shape[:-1], given, strict=False):
        lo.same(p, q, a.span)
    g = lo.graph
    if vector:
        right = g.apply("reshape", right, shape=(*right.shape, ONE))
    made = g.apply("solve", matrix, right)
    if vector:
        made = g.apply("reshape", made, shape=plain(given))
    return value_of(made, given)


def _cholesky(lo: Lowering, a: Args) -> Value:
    matrix, shape = _square(lo, a)
    return value_of(lo.graph.apply("cholesky", matrix), shape)


def _logdet(lo: Lowering, a: Args) -> Value:
    matrix, shape = _square(lo, a)
    return value_of(lo.graph.apply("logdet", matrix), shape[:-2])


FUNCTIONS: dict[str, Function] = {
    "solve": _solve,
    "cholesky": _cholesky,
    "logdet": _logdet,
}
