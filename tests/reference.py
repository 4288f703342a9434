"""The reference interpreter: evaluates a DAG node by node, in plain NumPy.

It shares nothing with the templates, so the emitted source can be held against it. It
accepts complex numbers: kinks branch on the real part, so that the complex step
Im f(x + ih) / h is the derivative of f to the last digit or two, with no difference taken.

    values = evaluate([loss], {x: np.ones((2, 3))})
    slope = directional(loss, {x: at}, {x: along})
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import mpmath
import numpy as np
import scipy.special

from gradc.compiler.ir.dims import Dim, as_dim
from gradc.compiler.ir.graph import topological
from gradc.compiler.ir.node import Node

Array = Any
Sizes = Mapping[str, int]
STEP = 1e-30


def dim_value(dim: Dim | int, sizes: Sizes) -> int:
    total = 0
    for monomial, c in as_dim(dim).value.terms:
        for s in monomial:
            c = c * sizes[s]
        total = total + c
    assert int(total) == total
    return int(total)


def evaluate(
    roots: Iterable[Node], leaves: Mapping[Any, Array], sizes: Sizes | None = None
) -> list[Array]:
    """The values of the roots. `leaves` maps a leaf, or its name, to an array."""
    roots = list(roots)
    values: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        given = {k for k in leaves if isinstance(k, Node)}
        for n in topological(roots, stop=given):
            if n in given:
                values[n] = np.asarray(leaves[n])
            elif n.attrs.get("name") in leaves and n.op.name != "const":
                values[n] = np.asarray(leaves[n.attrs["name"]])
            else:
                values[n] = _node(n, [values[a] for a in n.args], sizes or {})
            if n.op.family == "tuple":  # a loop: what it reads, for its projections
                continue
            shape = tuple(dim_value(d, sizes or {}) for d in n.shape)
            assert np.shape(values[n]) == shape, (n, np.shape(values[n]), shape)
    return [values[r] for r in roots]


def directional(
    root: Node,
    at: Mapping[Any, Array],
    along: Mapping[Any, Array],
    sizes: Sizes | None = None,
) -> Array:
    """The derivative of `root` at a point in a direction, by complex step."""
    moved = {k: v + 1j * STEP * along[k] if k in along else v for k, v in at.items()}
    return np.imag(evaluate([root], moved, sizes)[0]) / STEP


def _node(n: Node, args: list[Array], sizes: Sizes) -> Array:
    if n.op.name == "loop":
        return args
    if n.op.name in ("last", "each", "total"):
        return _projection(n, sizes, args[0])
    if n.op.name in ELEMENTWISE:
        return ELEMENTWISE[n.op.name](*args)
    return SHAPED[n.op.name](n, sizes, *args)


def _projection(n: Node, sizes: Sizes, args: list[Array]) -> Array:
    """Run the loop below a projection, step by step."""
    loop = n.args[0]
    steps = dim_value(loop.attrs["steps"], sizes)
    slices = loop.attrs["carries"] + loop.attrs["sequences"]
    carries, sequences = list(args[: loop.attrs["carries"]]), args[:slices]
    sequences, captures = sequences[loop.attrs["carries"] :], args[slices:]
    wanted = [] if n.op.name == "last" else [n.attrs["value"]]
    collected: dict[int, Array] = {}
    for t in reversed(range(steps)) if loop.attrs["reverse"] else range(steps):
        step = {
            "carry": carries,
            "slice": [s[t] for s in sequences],
            "capture": captures,
        }
        roots = [*loop.attrs["body"], *wanted]
        leaves = {
            f: step[f.attrs["role"]][f.attrs["index"]]
            for f in topological(roots)
            if f.op.name == "formal"
        }
        *carries, collected[t] = [*evaluate(roots, leaves, sizes), None][
            : len(carries) + 1
        ]
    if n.op.name == "last":
        return carries[n.attrs["index"]]
    shape = tuple(dim_value(d, sizes) for d in n.shape)
    values = [collected[t] for t in range(steps)]
    if n.op.name == "total":
        return sum(values) if values else np.zeros(shape)
    return np.stack(values) if values else np.zeros(shape)


# ---------------------------------------------------------------------- elementwise
def _re(x: Array) -> Array:
    return np.real(x)


def _choose(c: Array, a: Array, b: Array) -> Array:
    return np.where(c, a, b)


def _larger(a: Array, b: Array) -> Array:
    if not (np.iscomplexobj(a) or np.iscomplexobj(b)):
        return np.maximum(a, b)
    return np.where(_re(a) > _re(b), a, np.where(_re(b) > _re(a), b, (a + b) / 2))


def _log1p(x: Array) -> Array:
    if not np.iscomplexobj(x):
        return np.log1p(x)
    return np.log1p(_re(x)) + 1j * np.arctan2(np.imag(x), 1 + _re(x))


def _sigmoid(x: Array) -> Array:
    small = np.exp(np.where(_re(x) > 0, -x, x))
    return np.where(_re(x) > 0, 1, small) / (1 + small)


def _softplus(x: Array) -> Array:
    return np.where(_re(x) > 0, x, 0) + _log1p(np.exp(np.where(_re(x) > 0, -x, x)))


def _log_softplus(x: Array) -> Array:
    far = x - np.exp(np.where(_re(x) < 0, x, 0)) / 2
    return np.where(_re(x) < -37, far, np.log(_softplus(x)))


def _xlogy(x: Array, y: Array) -> Array:
    return np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, y)))


def _log(x: Array) -> Array:
    return np.where(_re(x) < 0, np.nan, np.log(x)) if np.iscomplexobj(x) else np.log(x)


def _sqrt(x: Array) -> Array:
    return (
        np.where(_re(x) < 0, np.nan, np.sqrt(x)) if np.iscomplexobj(x) else np.sqrt(x)
    )


def _power(x: Array, y: Array) -> Array:
    if not (np.iscomplexobj(x) or np.iscomplexobj(y)):
        return np.power(x, y)
    # |x|^y e^{iy arg x}, where the modulus is real: exact where complex log would cancel.
    size, turn = _re(x), np.arctan2(np.imag(x), _re(x))
    log = np.log(np.where(size == 0, 1, np.abs(size))) + 1j * turn
    value = np.power(np.abs(size), _re(y)) * np.exp(1j * (np.imag(y) * _re(log)))
    value = value * np.exp(1j * _re(y) * np.where(size < 0, 0, turn))
    return np.where(size < 0, np.nan, value)


def _smooth(
    f: Callable[..., Array], slope: Callable[..., Array]
) -> Callable[..., Array]:
    """A function that SciPy has for real numbers: the complex step by its known slope."""

    def run(x: Array) -> Array:
        if not np.iscomplexobj(x):
            return f(x)
        return f(_re(x)) + 1j * np.imag(x) * slope(_re(x))

    return run


def _lgamma(x: Array) -> Array:
    """SciPy's loses digits near 1 and 2, where the function is 0."""

    def one(at: float) -> float:
        return float(mpmath.loggamma(at).real) if np.isfinite(at) and at else np.inf

    return np.where(np.isnan(x), x, np.vectorize(one, otypes=[float])(x))


ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda x: -x,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": _log,
    "log1p": _log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "log_softplus": _log_softplus,
    "sqrt": _sqrt,
    "erf": scipy.special.erf,
    "tan": _smooth(np.tan, lambda x: 1 / np.cos(x) ** 2),
    "arctan": _smooth(np.arctan, lambda x: 1 / np.hypot(1, x) ** 2),
    "arcsin": _smooth(np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x))),
    "arccos": _smooth(np.arccos, lambda x: -1 / np.sqrt((1 - x) * (1 + x))),
    "sinh": np.sinh,
    "cosh": np.cosh,
    "normal_cdf": _smooth(
        scipy.special.ndtr, lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    ),
    "lgamma": _smooth(_lgamma, scipy.special.digamma),
    "digamma": _smooth(scipy.special.digamma, lambda x: scipy.special.polygamma(1, x)),
    "abs": lambda x: x * np.sign(_re(x)),
    "sign": lambda x: np.sign(_re(x)),
    "floor": lambda x: np.floor(_re(x)),
    "power": _power,
    "maximum": _larger,
    "minimum": lambda a, b: -_larger(-a, -b),
    "where": _choose,
    "lt": lambda a, b: _re(a) < _re(b),
    "le": lambda a, b: _re(a) <= _re(b),
    "eq": lambda a, b: _re(a) == _re(b),
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "drawn": _re,
    "stop": _re,
    "xlogy": _xlogy,
}


# --------------------------------------------------------------------------- shaped
def _pow(n: Node, sizes: Sizes, x: Array) -> Array:
    e = n.attrs["exponent"]
    if not np.iscomplexobj(x):
        return np.power(x, float(e))
    if e == int(e):
        y = x
        for _ in range(abs(int(e)) - 1):
            y = y * x
        return y if e > 0 else 1 / y
    return _power(x, np.asarray(float(e)))


def _max(n: Node, sizes: Sizes, x: Array) -> Array:
    axes = n.attrs["axes"]
    top = _re(x).max(axis=axes, keepdims=True)
    mask = _re(x) == top
    if not np.iscomplexobj(x):
        return top
    chosen = np.where(mask, x, 0).sum(axis=axes, keepdims=True)
    return chosen / mask.sum(axis=axes, keepdims=True)


def _shifted(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    top = _re(x).max(axis=axes, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    return top, np.exp(x - top)


def _softmax(n: Node, sizes: Sizes, x: Array) -> Array:
    _, e = _shifted(x, n.attrs["axes"])
    total = e.sum(axis=n.attrs["axes"], keepdims=True)
    return e / np.where(_re(total) == 0, 1, total)


def _logsumexp(n: Node, sizes: Sizes, x: Array) -> Array:
    top, e = _shifted(x, n.attrs["axes"])
    return np.log(e.sum(axis=n.attrs["axes"], keepdims=True)) + top


def _index(n: Node, sizes: Sizes) -> tuple[slice, ...]:
    parts = []
    a = n.attrs
    for start, stop, step in zip(a["starts"], a["stops"], a["steps"], strict=True):
        first, last = dim_value(start, sizes), dim_value(stop, sizes)
        parts.append(slice(first, None if last < 0 else last, step))
    return tuple(parts)


def _zeros(shape: Iterable[Dim | int], sizes: Sizes, like: Array) -> Array:
    full = tuple(dim_value(d, sizes) for d in shape)
    return np.zeros(full, np.asarray(like).dtype)


def _unslice(n: Node, sizes: Sizes, x: Array) -> Array:
    total = _zeros(n.shape, sizes, x)
    total[_index(n, sizes)] = x
    return total


def _scatter_add(n: Node, sizes: Sizes, g: Array, i: Array) -> Array:
    total = _zeros(n.shape, sizes, g)
    axis = n.attrs["axis"]
    for place in np.ndindex(i.shape):
        before = (slice(None),) * axis
        total[(*before, i[place])] += g[(*before, *place)]
    return total


def _pick(n: Node, sizes: Sizes, x: Array, i: Array) -> Array:
    return np.take_along_axis(x, i[..., None], axis=-1)[..., 0]


def _put(n: Node, sizes: Sizes, i: Array, g: Array) -> Array:
    total = _zeros(n.shape, sizes, g)
    np.put_along_axis(total, i[..., None], g[..., None], axis=-1)
    return total


def _put_along(n: Node, sizes: Sizes, g: Array, i: Array) -> Array:
    total = _zeros(n.shape, sizes, g)
    axis = n.attrs["axis"]
    for place in np.ndindex(i.shape):
        total[(*place[:axis], i[place], *place[axis + 1 :])] += g[place]
    return total


def _cumsum(n: Node, sizes: Sizes, x: Array) -> Array:
    axis = n.attrs["axis"]
    if n.attrs["reverse"]:
        return np.flip(np.flip(x, axis).cumsum(axis), axis)
    return x.cumsum(axis)


def _cast(n: Node, sizes: Sizes, x: Array) -> Array:
    return np.asarray(x).astype({"real": float, "int": np.intp, "bool": bool}[n.kind])


def _const(n: Node, sizes: Sizes) -> Array:
    kinds = {"real": np.float64, "int": np.intp, "bool": np.bool_}
    return np.asarray(n.attrs["value"], kinds[n.kind])


def _einsum2(n: Node, sizes: Sizes, a: Array, b: Array) -> Array:
    return np.einsum(n.attrs["spec"], a, b, optimize=True)


def _over(name: str) -> Callable[..., Array]:
    def run(n: Node, sizes: Sizes, x: Array) -> Array:
        return getattr(np, name)(x, axis=n.attrs["axes"], keepdims=True)

    return run


def _reduced(name: str, **more: Any) -> Callable[..., Array]:
    def run(n: Node, sizes: Sizes, x: Array) -> Array:
        axes, keep = n.attrs["axes"], n.attrs["keep"]
        return getattr(np, name)(x, axis=axes, keepdims=keep, **more)

    return run


def _signed(n: Node, base: Array, more: Array) -> Array:
    return base - more if n.attrs["minus"] else base + more


def _put_on(n: Node, sizes: Sizes, base: Array, i: Array, g: Array) -> Array:
    placed = np.zeros(base.shape, np.result_type(base, g))
    np.put_along_axis(placed, i[..., None], g[..., None], axis=-1)
    return _signed(n, base, placed)


def _scatter_on(n: Node, sizes: Sizes, base: Array, i: Array, g: Array) -> Array:
    total = np.array(base)
    np.add.at(total, i, g)
    return total


def _slice_on(n: Node, sizes: Sizes, base: Array, x: Array) -> Array:
    placed = np.zeros(base.shape, np.result_type(base, x))
    placed[_index(n, sizes)] = x
    return _signed(n, base, placed)


def _offsets(n: Node, counts: tuple[int, ...]) -> Any:
    """For each place in a window, the index of the elements that stand there."""
    a = n.attrs
    for offset in np.ndindex(*a["sizes"]):
        place: list[slice] = [slice(None)] * (
            len(n.args[0].shape) if n.is_a("windows") else len(n.shape)
        )
        for axis, stride, dilation, o in zip(
            a["axes"], a["strides"], a["dilations"], offset, strict=True
        ):
            first = o * dilation
            place[axis] = slice(first, first + stride * (counts[axis] - 1) + 1, stride)
        yield offset, tuple(place)


def _windows(n: Node, sizes: Sizes, x: Array) -> Array:
    shape = tuple(dim_value(d, sizes) for d in n.shape)
    out = np.zeros(shape, x.dtype)
    for offset, place in _offsets(n, shape):
        out[(..., *offset)] = x[place]
    return out


def _conv_transpose(n: Node, sizes: Sizes, g: Array, K: Array) -> Array:
    shape = tuple(dim_value(d, sizes) for d in n.shape)
    total = np.zeros(shape, np.result_type(g, K))
    strides, dilations = n.attrs["strides"], n.attrs["dilations"]
    for place in np.ndindex(*g.shape[1:-1]):
        for offset in np.ndindex(*K.shape[:-2]):
            at = (
                p * s + q * d
                for p, q, s, d in zip(place, offset, strides, dilations, strict=True)
            )
            total[(slice(None), *at)] += g[(slice(None), *place)] @ K[offset].T
    return total


def _fold(n: Node, sizes: Sizes, g: Array) -> Array:
    out = np.zeros(tuple(dim_value(d, sizes) for d in n.shape), g.dtype)
    for offset, place in _offsets(n, g.shape):
        out[place] += g[(..., *offset)]
    return out


def _polygamma(n: Node, sizes: Sizes, x: Array) -> Array:
    k = n.attrs["order"]
    run = functools.partial(scipy.special.polygamma, k)
    return _smooth(run, functools.partial(scipy.special.polygamma, k + 1))(x)


def _logdet(n: Node, sizes: Sizes, a: Array) -> Array:
    """By the product of the pivots; log of a number below 0 is that of its size."""
    if not np.iscomplexobj(a):
        return np.asarray(np.log(np.abs(np.linalg.det(a))))
    det = np.linalg.det(a)
    return np.asarray(_log(np.where(_re(det) < 0, -det, det)))


def _cholesky(n: Node, sizes: Sizes, a: Array) -> Array:
    """Entry by entry (Cholesky and Banachiewicz), which holds for complex numbers too."""
    a = (a + a.swapaxes(-1, -2)) / 2
    out = np.zeros(a.shape, a.dtype)
    for i in range(a.shape[-1]):
        for j in range(i + 1):
            rest = a[..., i, j] - sum(out[..., i, k] * out[..., j, k] for k in range(j))
            out[..., i, j] = np.sqrt(rest) if i == j else rest / out[..., j, j]
    return out


SHAPED: dict[str, Callable[..., Array]] = {
    "const": _const,
    "size": lambda n, sizes: (
        np.asarray(float(dim_value(n.attrs["dim"], sizes)))
        if n.kind == "real"
        else np.asarray(dim_value(n.attrs["dim"], sizes))
    ),
    "zero": lambda n, sizes: _zeros(n.shape, sizes, 0.0),
    "iota": lambda n, sizes: np.arange(dim_value(n.shape[0], sizes)),
    "pow": _pow,
    "cast": _cast,
    "sum": _over("sum"),
    "any": _over("any"),
    "all": _over("all"),
    "max": _max,
    "softmax": _softmax,
    "logsumexp": _logsumexp,
    "argmax": lambda n, sizes, x: _re(x).argmax(n.attrs["axis"], keepdims=True),
    "argsort": lambda n, sizes, x: _re(x).argsort(n.attrs["axis"], kind="stable"),
    "cumsum": _cumsum,
    "broadcast": lambda n, sizes, x: np.broadcast_to(
        x, tuple(dim_value(d, sizes) for d in n.shape)
    ),
    "reshape": lambda n, sizes, x: x.reshape(
        tuple(dim_value(d, sizes) for d in n.shape)
    ),
    "transpose": lambda n, sizes, x: x.transpose(n.attrs["perm"]),
    "slice": lambda n, sizes, x: x[_index(n, sizes)],
    "unslice": _unslice,
    "concat": lambda n, sizes, *xs: np.concatenate(xs, axis=n.attrs["axis"]),
    "windows": _windows,
    "fold": _fold,
    "conv_transpose": _conv_transpose,
    "take": lambda n, sizes, x, i: np.take(x, i, axis=n.attrs["axis"]),
    "scatter_add": _scatter_add,
    "pick": _pick,
    "put": _put,
    "one_hot": lambda n, sizes, i: np.eye(dim_value(n.shape[-1], sizes))[i],
    "take_along": lambda n, sizes, x, i: np.take_along_axis(x, i, n.attrs["axis"]),
    "put_along": _put_along,
    "einsum2": _einsum2,
    "polygamma": _polygamma,
    "solve": lambda n, sizes, a, b: np.linalg.solve(a, b),
    "inv": lambda n, sizes, a: np.linalg.inv(a),
    "logdet": _logdet,
    "cholesky": _cholesky,
    "half_lower": lambda n, sizes, x: (
        np.tril(x) * (1 - 0.5 * np.eye(x.shape[-1], dtype=x.dtype))
    ),
    # the emitter's own: what a line of NumPy does at once
    "sum_over": _reduced("sum"),
    "mean_over": _reduced("mean"),
    "max_over": _reduced("max", initial=-np.inf),
    "sigmoid_of_minus": lambda n, sizes, x: _sigmoid(-x),
    "sigmoid_of_twice": lambda n, sizes, x: _sigmoid(2 * x),
    "softplus_of_minus": lambda n, sizes, x: _softplus(-x),
    "finite": lambda n, sizes, x: np.isfinite(x),
    "masked": lambda n, sizes, g, c: g * c,
    "put_on": _put_on,
    "scatter_on": _scatter_on,
    "slice_on": _slice_on,
}
