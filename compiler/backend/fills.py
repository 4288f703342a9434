"""`init` and `draw`: fill expressions and standard draws, as NumPy.

In: a program. Out: what `init(rng, D)` and `draw(rng, N)` return. A fill is an expression
over constants, sizes and standard draws (`noise` leaves: law normal, uniform or orthogonal),
evaluated in the order of the program, each draw once.

    W1: rng.standard_normal((784, 128)) * np.sqrt(2 / 784)
"""

from __future__ import annotations

from ..ir.dims import Dim, Shape
from ..ir.graph import topological
from ..ir.node import Node
from ..ir.program import Param
from .expressions import Expressions, Scope, Value
from .plan import Plan
from .pyast import PRIMARY, Expr, comma
from .sizes import poly_expr
from .views import Views

ORTHOGONAL = '''def orthogonal(rng, rows, columns):
    """Return a random matrix with orthonormal columns, of which there are fewer."""
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    return q * np.sign(np.diag(r))
'''


def fill_expression(out: Expressions, p: Param) -> Expr:
    """The first value of a parameter, in its whole shape."""
    fill, shape = p.fill, p.node.shape
    value = out.value(fill, top=True)
    if value.shape == shape and (shape or fill.op.name != "const"):
        return value.expr
    if not shape:
        return Expr(f"np.array({value.expr.text})")
    lone = out.dim(shape[0]).text if len(shape) == 1 else out.shape(shape).text
    if value.shape == ():
        match value.expr.text:
            case "0" | "0.0":
                return Expr(f"np.zeros({lone})")
            case "1" | "1.0":
                return Expr(f"np.ones({lone})")
        return Expr(f"np.full({lone}, {value.expr.text})")
    return Expr(f"np.broadcast_to({value.expr.text}, {out.shape(shape).text}).copy()")


class Fills(Expressions):
    """Expressions of `init`: numbers instead of names of constants in shapes; no dtype."""

    def __init__(self, scope: Scope, views: Views) -> None:
        super().__init__(scope, views, None, str, lambda: "", keep_dtype=False)
        self.shared: dict[Node, str] = {}

    def value(self, n: Node, top: bool = False) -> Value:
        if n in self.shared:
            return Value(Expr(self.shared[n]), n.shape, "real")
        if n.op.name == "noise":
            return Value(
                self.draw(n.attrs.get("law", "normal"), n.shape), n.shape, "real"
            )
        return super().value(n, top)

    def draw(self, law: str, shape: Shape) -> Expr:
        inside = self.dims(shape)
        match law:
            case "uniform":
                return Expr(f"rng.random({inside})")
            case "orthogonal":
                self.scope.preludes.setdefault("orthogonal", ORTHOGONAL)
                rows, columns = (self.dim(d).text for d in shape)
                high, wide = (d.integer for d in shape)
                if high is not None and wide is not None and high < wide:
                    return Expr(f"orthogonal(rng, {columns}, {rows}).T", PRIMARY)
                return Expr(f"orthogonal(rng, {rows}, {columns})", PRIMARY)
        return Expr(f"rng.standard_normal({inside})")

    def dim(self, d: Dim) -> Expr:
        """Numbers, as in PARAMETERS: what is drawn here is fixed by the constants."""
        return poly_expr(d.value, self.spell)

    def dims(self, shape: Shape) -> str:
        if not shape:
            return ""
        if len(shape) == 1:
            return self.dim(shape[0]).text
        return comma([self.dim(d) for d in shape]).text

    def _has_name(self, n: Node) -> bool:
        return False


def init_sizes(plan: Plan) -> list[str]:
    """The symbols that `init` is told: those of the parameters' shapes and fills."""
    used: set[str] = set()
    for p in (*plan.program.params, *plan.program.states):
        for n in topological([p.fill]):
            for d in n.shape:
                used.update(d.symbols())
            if n.op.name == "size":
                used.update(n.attrs["dim"].symbols())
        for d in p.node.shape:
            used.update(d.symbols())
    return _ordered(plan, used)


def draw_sizes(plan: Plan) -> list[str]:
    """The symbols that `draw` is told: those of the draws' shapes."""
    noises = plan.program.noises
    return _ordered(plan, {s for n in noises for d in n.shape for s in d.symbols()})


def _ordered(plan: Plan, used: set[str]) -> list[str]:
    known = [s for s in plan.program.symbols if s in used]
    return known + sorted(used - set(known))


def drawn_twice(params: list[Param]) -> list[Node]:
    """Draws that several fills, or one fill twice, read: they need a line of their own."""
    count: dict[Node, int] = {}
    for p in params:
        seen: set[Node] = set()
        stack = [p.fill]
        while stack:
            n = stack.pop()
            if n.op.name == "noise":
                count[n] = count.get(n, 0) + 1
            if n in seen:
                continue
            seen.add(n)
            stack.extend(n.args)
    return [n for n, k in count.items() if k > 1]
