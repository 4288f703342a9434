"""`grad(y, x)`: the derivative as an expression of the language.

In comes the call with its arguments' text, out comes a node: for a scalar `y` the gradient;
for one number per row, if the rows are proved independent (`autodiff.rows`), the gradient
of the sum, which then is the derivative of each row's number by each row of `x`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..autodiff.reverse import grad as gradient
from ..autodiff.rows import row_structure
from ..errors import derivatives as prose
from ..frontend import ast
from ..ir.dims import Dim, plain
from ..ir.graph import ancestors, depends
from ..ir.node import Node
from .arguments import Args
from .context import Lowering
from .values import Mistake, Value, value_of


def grad(lo: Lowering, args: Args, written: Sequence[ast.Expr]) -> Value:
    """What `grad(y, x)` stands for."""
    y, x = args.value("y"), args.value("x")
    name = args.passed("x").span.text
    second = written[1] if len(written) > 1 else None
    if not isinstance(second, ast.Name) and not name.isidentifier():
        raise Mistake(prose.grad_of_no_name(x.span, name))
    for given in (x, y):
        if given.value.kind != "real" or given.value.known:
            raise Mistake(prose.grad_kind(given.span, given.text(), given.value.text()))
    top, base = y.value.node, x.value.node
    if not depends(top, base):
        uses = sorted(
            str(n.attrs["name"]) for n in ancestors([top]) if n.is_a("input", "param")
        )
        raise Mistake(
            prose.grad_independent(x.span, y.text("this"), x.text("it"), uses)
        )
    if y.value.shape:
        _check_rows(args, y.value, x.value, top, base)
    made = gradient(top, base)
    shape = x.value.shape
    assert made.shape == plain(shape)
    return value_of(made, shape)


def _check_rows(args: Args, y: Value, x: Value, top: Node, base: Node) -> None:
    """One number per row, and row i of y depends on row i of x alone."""
    rows = y.shape[0]
    single = y.rank == 1 or (y.rank == 2 and y.shape[1] == Dim.of(1))
    matching = bool(x.shape) and x.shape[0] == rows and bool(rows.symbols())
    y_text, x_text = args.passed("y").span.text, args.passed("x").span.text
    if not (single and matching):
        raise Mistake(
            prose.grad_not_scalar(
                args.passed("y").span, (y_text, y.shape), (x_text, x.shape)
            )
        )
    structure = row_structure(top, rows, base)
    if structure.state != "rows" or structure.axis != 0:
        by = structure.by
        span = by.origin.span if by is not None else None
        name = by.op.name if by is not None else ""
        if span is not None and span.text.isidentifier():
            name = span.text  # the call that made it
        line = span.line if span is not None else 0
        raise Mistake(prose.grad_mixes_rows(args.call, y_text, x_text, name, line))
