"""Which weights lie turned in θ.

In: a scheduled plan. Out: the paths of the parameters [D, H] whose numbers lie in the order
[H, D]; `params["W1"]` is then a turned view. BLAS multiplies few rows by a deep and narrow
matrix faster when each column lies together, and so it writes its gradient.

Both products of 784 by 30 and 1 to 32 rows take .67 to .87 of the time so with OpenBLAS's
AVX-512 kernel, .95 to 1.03 with Haswell's; with 16 columns, or 64, nothing is gained for all
numbers of rows, and with more rows it is lost.

Of 8 to 11 rows the product lies turned as well, and is turned back where its bias is added:
kernels without AVX-512 take eight rows at a time, and both together .8 of the time; that with
AVX-512 takes 1.15.
"""

from __future__ import annotations

from ...ir.dims import Shape
from ...ir.graph import topological, users
from ...ir.node import Node
from ..plan import Plan
from .reshapes import Order

COLUMNS = range(17, 33)
DEEP = 8  # times as many rows as columns
FEW = 32  # rows of a batch
ONE_TILE = range(8, 12)  # rows that a kernel without AVX-512 takes at once, nearly


def turned(plan: Plan) -> frozenset[str]:
    """The paths: of weights that one product reads, whose gradient is one product."""
    if "backward" not in plan.functions:
        return frozenset()
    backward = plan.functions["backward"]
    gradients = dict(backward.results)
    narrow = {
        p.path: p.node
        for p in plan.program.params
        if p.path in gradients and _deep_and_narrow(p.node.shape)
    }
    if not narrow:
        return frozenset()
    readers = _readers(plan)
    results = [n for _, n in backward.results]
    found = set()
    for path, node in narrow.items():
        gradient, read = gradients[path], readers.get(node, [])
        alone = results.count(gradient) == 1 and not readers.get(gradient)
        written = gradient.is_a("einsum2") and gradient in backward.lines
        if alone and written and len(read) == 1 and _few_rows(plan, read[0], node):
            found.add(path)
    return frozenset(found)


def orders(plan: Plan) -> dict[Node, Order]:
    """The order of the axes of products with turned weights, where they lie turned as well."""
    if not plan.turned:
        return {}
    nodes = [p.node for p in plan.program.params if p.path in plan.turned]
    readers = _readers(plan)
    products = [n for node in nodes for n in readers[node]]
    return {
        n: (1, 0)
        for n in products
        if plan.expected(n.shape[0]) in ONE_TILE
        and all(m.is_a("add") for m in readers[n])
    }


def _readers(plan: Plan) -> dict[Node, list[Node]]:
    functions = (plan.functions[name] for name in ("forward", "backward"))
    return users(topological(n for f in functions for _, n in f.results))


def _deep_and_narrow(shape: Shape) -> bool:
    sizes = [d.integer for d in shape]
    if len(sizes) != 2 or sizes[0] is None or sizes[1] is None:
        return False
    return sizes[1] in COLUMNS and sizes[0] >= DEEP * sizes[1]


def _few_rows(plan: Plan, n: Node, weight: Node) -> bool:
    """Is it the product of a matrix known to have few rows, and the weight?"""
    if not n.is_a("einsum2") or n.args[1] is not weight or len(n.shape) != 2:
        return False
    rows = plan.expected(n.shape[0])
    return n.args[0].op.family == "leaf" and rows is not None and rows <= FEW
