"""The last pass: from primitives to what a person writes in one breath.

`.mean()`, sums that drop their axes, `log Σ - pick`, a put on the tensor that it is added
to, a product with a mask, and where a sign that nothing absorbed goes in the end. The
ops that come out (`ops/emission.py`) have no derivatives: nothing runs after this but the
scheduler, which must see the fused value, or it would split `total / N`.
"""

from __future__ import annotations

import math
from fractions import Fraction

from ..ir.dims import ONE, Dim, size
from ..ir.node import Node
from .monomials import FACTORS, Monomial, is_product, scaled, split
from .patterns import Rewriter, Rule, number, rule, scalar_under


# ------------------------------------------------------------------------ reductions
@rule("reshape", safety="=")
def drop_axes(rw: Rewriter, n: Node) -> Node | None:
    """`x.mean(axis=0, keepdims=True)[0]` -> `x.mean(axis=0)`."""
    x = n.args[0]
    if not (x.is_a("mean_over", "sum_over") and x.attrs["keep"] and rw.free(x)):
        return None
    axes = x.attrs["axes"]
    if n.shape != tuple(d for i, d in enumerate(x.args[0].shape) if i not in axes):
        return None
    return rw.make(x.op.name, x.args[0], axes=axes, keep=False)


@rule("div", "mul", safety="~")
def mean(rw: Rewriter, n: Node) -> Node | None:
    """`x.sum() / N` -> `x.mean()`, `2 * x.sum() / N` -> `2 * x.mean()`."""
    if n.kind != "real":
        return None
    if n.shape == ():
        return _scalar_mean(rw, n)
    parts = split(rw, n)
    if parts is None:
        return None
    core, s = parts
    spine: list[Node] = []  # `x.sum() / root / N` has its sum further inside
    while (total := _sum_under(rw, core)) is None:
        if not (is_product(core) and rw.free(core)) or len(spine) == FACTORS:
            return None
        spine.append(core)
        core = core.args[0]
    if not _divide_out(s, _count(total)):
        return None
    out = _mean_of(rw, core, total)
    for product in reversed(spine):
        out = rw.graph.apply(product.op.name, out, product.args[1])
    return scaled(rw, out, s)


MAY_HOLD_SUMS = frozenset({"sum", "reshape", "mul", "div", "neg", "pow"})


def _scalar_mean(rw: Rewriter, n: Node) -> Node | None:
    if n.op.name == "mul" and not any(a.op.name in MAY_HOLD_SUMS for a in n.args):
        return None
    inverse = n.is_a("div")
    s = Monomial().times(rw, n.args[0]).times(rw, n.args[1], inverse=inverse)
    for i, core in enumerate(s.up):
        total = _sum_under(rw, core)
        if total is not None and _divide_out(s, _count(total)):
            s.up[i] = _mean_of(rw, core, total)
            out = s.reduced().node(rw)
            return rw.make("neg", out) if s.negative else out
    return None


def _sum_under(rw: Rewriter, core: Node) -> Node | None:
    """The sum that `core` is, its axes kept or dropped."""
    total = core
    if total.op.name not in ("sum", "reshape"):
        return None
    if total.is_a("reshape") and rw.unbound(total):
        total = total.args[0]
    if not (total.is_a("sum") and rw.free(total)):
        return None
    axes = total.attrs["axes"]
    left = tuple(d for i, d in enumerate(total.args[0].shape) if i not in axes)
    return total if core.shape in (total.shape, left) else None


def _count(core: Node) -> Dim:
    return size([core.args[0].shape[a] for a in core.attrs["axes"]])


def _divide_out(s: Monomial, count: Dim) -> bool:
    """Take a division by `count` out of the scalar, if one is in it."""
    if count == ONE:
        return False
    for i, d in enumerate(s.down):
        if d.is_a("size") and d.attrs["dim"] == count:
            del s.down[i]
            return True
    whole = count.integer
    for i, d in enumerate(s.down):
        if d.is_a("size"):
            rest = count.divided(d.attrs["dim"])
            factor = None if rest is None else rest.integer
            if factor is not None and _divide_number(s, factor):
                del s.down[i]
                return True
    return whole is not None and _divide_number(s, whole)


def _divide_number(s: Monomial, count: int) -> bool:
    """Only where the number becomes simpler: 5/64 with 64 elements, not 5/3."""
    if not isinstance(s.under, int) or not isinstance(s.over, int):
        if s.under == count:
            s.under = 1
            return True
        return False
    before = Fraction(s.over, s.under)
    if not count or before.denominator % count:
        return False
    after = before * count
    s.over, s.under = after.numerator, after.denominator
    return True


def _mean_of(rw: Rewriter, core: Node, total: Node) -> Node:
    axes, keep = total.attrs["axes"], core is total
    return rw.make("mean_over", total.args[0], axes=axes, keep=keep)


@rule("mean_over", safety="=")
def mean_of_truth(rw: Rewriter, n: Node) -> Node | None:
    """The share of what is true needs no numbers: `(answer == digit).mean()`.

    Only for a result: NumPy's mean of truth values is a float64, whatever else is there.
    """
    x = n.args[0]
    if rw.final and x.is_a("cast") and rw.free(x) and x.args[0].kind == "bool":
        return rw.make("mean_over", x.args[0], **n.attrs)
    return None


# ------------------------------------------------------------------------ logarithms
@rule("sub", safety="~")
def log_total(rw: Rewriter, n: Node) -> Node | None:
    """`logsumexp(x) - x[y]` -> `log(total) - shifted[y]`; `x - logsumexp(x)` likewise.

    Both sides have the maximum in them: it need not be put back and taken off again.
    """
    a, b = n.args
    found = _log_and_shift(rw, a)
    if found is not None:
        logarithm, shifted, x = found
        other = _shifted(rw, b, x, shifted)
        return None if other is None else rw.make("sub", logarithm, other)
    found = _log_and_shift(rw, b)
    if found is not None:
        logarithm, shifted, x = found
        other = _shifted(rw, a, x, shifted)
        return None if other is None else rw.make("sub", other, logarithm)
    return None


def _log_and_shift(rw: Rewriter, n: Node) -> tuple[Node, Node, Node] | None:
    """(log(total), shifted, x), where `n` is log(sum(exp(x - m))) + m, in some layout."""
    layout: list[Node] = []
    while n.is_a("broadcast", "reshape") and rw.unbound(n):
        layout.append(n)
        n = n.args[0]
    if not (n.is_a("add") and n not in rw.bound):
        return None
    logarithm, m = n.args
    if not (logarithm.is_a("log") and logarithm.args[0].is_a("sum_over")):
        return None
    e = logarithm.args[0].args[0]
    if not (e.is_a("exp") and e.args[0].is_a("sub")):
        return None
    shifted = e.args[0]
    x, shift = shifted.args
    if not (shift.is_a("broadcast") and shift.args[0] is m):
        return None
    out = logarithm.args[0]
    first = True
    for view in reversed(layout):
        # a reshape goes inside of the logarithm: `np.log(total[:, 0])`
        if first and view.is_a("reshape"):
            out = rw.make("reshape", out, shape=view.shape)
            continue
        if first:
            out, first = rw.make("log", out), False
        out = rw.make(view.op.name, out, **view.attrs)
    return (rw.make("log", out) if first else out), shifted, x


def _shifted(rw: Rewriter, n: Node, x: Node, shifted: Node) -> Node | None:
    if n is x:
        return shifted
    if n.is_a("pick") and n.args[0] is x and rw.free(n):
        return rw.make("pick", shifted, n.args[1])
    return None


# ------------------------------------------------------------------------ buffers
ON_BUFFER = {"put": "put_on", "scatter_add": "scatter_on", "unslice": "slice_on"}


@rule("add", "sub", safety="~")
def put_on_base(rw: Rewriter, n: Node) -> Node | None:
    """`A + put(i, v)` -> A with v added at i: no second array of the size of A.

    `p - one_hot(y)` is such a sum, where p is read here alone: it may be written over.
    """
    a, b = n.args
    if _fills(rw, b):
        return _on(rw, a, b, n.is_a("sub"))
    if n.is_a("add") and _fills(rw, a):
        return _on(rw, b, a, False)
    return None


@rule("put", safety="=")
def placed_scalar(rw: Rewriter, n: Node) -> Node | None:
    """`put(i, s)` of one number s -> `one_hot(i) * s`, where it is a value with a name."""
    index, g = n.args
    s = scalar_under(rw, g)
    if not rw.named or s is None or not rw.static(s):
        return None
    target = rw.make("one_hot", index, size=n.attrs["size"])
    return rw.make("mul", target, rw.graph.broadcast(s, target.shape))


def _fills(rw: Rewriter, n: Node) -> bool:
    return n.is_a("one_hot", *ON_BUFFER) and rw.free(n)


def _on(rw: Rewriter, base: Node, n: Node, minus: bool) -> Node | None:
    """`base` with the pieces of `n` added, if it is an array that may be written over.

    A partial sum of an adjoint is one too: `np.add.at(d_E, text, d_h)`.
    """
    alone = rw.free(base) or (base in rw.adjoint_of and base not in rw.shared)
    # `p.copy()` with ones taken off costs less than an array of ones and zeros
    alone = alone or n.is_a("one_hot", "put")
    if base.kind != "real" or not alone or base.op.view or base.op.family == "leaf":
        return None
    if n.is_a("one_hot"):
        index = n.args[0]
        one = rw.graph.broadcast(rw.const(1), index.shape)
        return rw.make("put_on", base, index, one, minus=minus)
    if n.is_a("put"):
        index, g = n.args
        return rw.make("put_on", base, index, g, minus=minus)
    if n.is_a("scatter_add") and not minus and n.attrs["axis"] == 0:
        g, index = n.args
        return rw.make("scatter_on", base, index, g)
    if n.is_a("unslice"):
        window = {k: n.attrs[k] for k in ("starts", "stops", "steps")}
        return rw.make("slice_on", base, n.args[0], minus=minus, **window)
    return None


# ------------------------------------------------------------------------ masks
@rule("where", safety="~")
def mask_as_factor(rw: Rewriter, n: Node) -> Node | None:
    """`where(h > 0, d_h, 0)` -> `d_h * (h > 0)`, for an adjoint as it came in.

    A cotangent with a local derivative in it stays a `where`: the derivative may be
    infinite outside of the mask, and 0 * inf is what the mask is there to avoid.
    """
    c, g, zero = n.args
    if not zero.is_a("zero") or n.kind != "real":
        return None
    for primal in rw.adjoint_of.get(g, ()):
        if primal.is_a("where", "maximum", "minimum"):
            return rw.make("masked", g, c)
    return None


# ------------------------------------------------------------------------ logistic
@rule("softplus", "sigmoid", safety="=")
def of_minus(rw: Rewriter, n: Node) -> Node | None:
    """`softplus(-z)`, `sigmoid(-z)` in terms of z: `1 / (1 + np.exp(z))`."""
    x = n.args[0]
    if x.is_a("neg") and rw.unbound(x):
        return rw.make(f"{n.op.name}_of_minus", x.args[0])
    return None


# ------------------------------------------------------------------------ powers
@rule("pow", safety="~")
def small_power(rw: Rewriter, n: Node) -> Node | None:
    """`x ** 3` -> `x**2 * x` for tensors: NumPy's general power is 300 times slower."""
    exponent = n.attrs["exponent"]
    if n.shape == () or not isinstance(exponent, int) or not 3 <= exponent <= 8:
        return None
    x = n.args[0]
    square = rw.make("pow", x, exponent=2)
    half = square if exponent < 6 else rw.make("mul", square, x)
    if exponent in (4, 6):
        return rw.make("pow", square if exponent == 4 else half, exponent=2)
    if exponent == 3:
        return rw.make("mul", square, x)
    if exponent == 5:
        return rw.make("mul", rw.make("pow", square, exponent=2), x)
    if exponent == 8:
        return rw.make("pow", rw.make("pow", square, exponent=2), exponent=2)
    return rw.make("mul", rw.make("pow", half, exponent=2), x)


# ------------------------------------------------------------------------ signs
@rule("neg", safety="=")
def settle_sign(rw: Rewriter, n: Node) -> Node | None:
    """A sign that nothing absorbed: on the scalar factor, else on the first factor.

    Not into a value whose adjoint is computed: `d_z` is the adjoint of a `z` that is there.
    """
    x = n.args[0]
    if not (is_product(x) and rw.free(x)) or (x in rw.primals and not rw.static(x)):
        return None
    if x.shape != ():
        s = scalar_under(rw, x.args[1])
        if x.is_a("mul") and s is not None:
            minus = _minus(rw, s)
            if minus is None:
                return None
            return rw.make("mul", x.args[0], rw.graph.broadcast(minus, x.shape))
    spine = [x]
    while len(spine) < FACTORS:
        a = spine[-1].args[0]
        if not (is_product(a) and rw.free(a)):
            break
        spine.append(a)
    first = spine[-1].args[0]
    inner = _minus(rw, first) if first.shape == () else rw.graph.apply("neg", first)
    if inner is None or has_sign(first):
        return None
    for product in reversed(spine):
        inner = rw.graph.apply(product.op.name, inner, *product.args[1:])
    return inner


def has_sign(n: Node) -> bool:
    """Has this product taken a sign in already? A second one would be seen as two."""
    for _ in range(FACTORS):
        if n.is_a("neg"):
            return True
        value = number(n)
        if value is not None:
            return value < 0
        if not n.is_a("mul", "div", "broadcast"):
            return False
        if n.is_a("mul") and n.args[1].is_a("broadcast") and has_sign(n.args[1]):
            return True
        n = n.args[0]
    return False


@rule("mul", safety="~")
def scalar_first(rw: Rewriter, n: Node) -> Node | None:
    """`W * (2 * lambda_)` -> `2 * lambda_ * W`; but `d_scores * (d_loss / N)` stays."""
    core, factor = n.args
    s = scalar_under(rw, factor)
    if s is None or s.is_a("div") or not rw.static(s) or core.is_a(*ON_BUFFER.values()):
        return None
    if scalar_under(rw, core) is not None:
        return None
    spine: list[Node] = []  # `2 * (a * b)` is `2 * a * b`
    while is_product(core) and rw.free(core) and len(spine) < FACTORS:
        spine.append(core)
        core = core.args[0]
    if core.is_a(*ON_BUFFER.values()):
        return None
    small = core.args[0] if core.is_a("broadcast") and rw.unbound(core) else core
    out = rw.graph.apply("mul", rw.graph.broadcast(s, small.shape), small)
    out = rw.graph.broadcast(out, core.shape)
    for product in reversed(spine):
        out = rw.graph.apply(product.op.name, out, product.args[1])
    return out


def _minus(rw: Rewriter, s: Node) -> Node | None:
    """-s, written on its first factor; None where that has a sign already."""
    if has_sign(s):
        return None
    value = number(s)
    if value is not None and math.isfinite(value):
        return rw.const(-value)
    if s.is_a("mul", "div") and rw.unbound(s) and (rw.free(s) or rw.static(s)):
        first = _minus(rw, s.args[0])
        return None if first is None else rw.graph.apply(s.op.name, first, s.args[1])
    return rw.graph.apply("neg", s)


RULES: tuple[Rule, ...] = (
    drop_axes,
    mean,
    mean_of_truth,
    log_total,
    put_on_base,
    placed_scalar,
    mask_as_factor,
    of_minus,
    small_power,
    settle_sign,
    scalar_first,
)
