"""Ops that only the emitter meets: what one line of NumPy does at once.

The last pass (`passes/idioms.py`) puts them in place of the primitives that say the same:
`x.mean()`, a sum that drops its axes, a value put on a buffer. They come after the
derivatives are taken, so they have no rules; the scheduler sees the fused value, and does
not split what reads well in one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir.dims import ONE, Dim, Shape, as_shape
from ..ir.node import Node
from ..ir.op import REGISTRY, Attrs, Infer, Kind, Op
from .classes import Text
from .indexing import places
from .reduction import axis_text
from .slices import index_text
from .transcendental import COMPLEX_LOG1P


def _reduced(shape: Shape, axes: tuple[int, ...], keep: bool) -> Shape:
    if keep:
        return tuple(ONE if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def _reducing(kind: Kind | None = None) -> Infer:
    def infer(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
        x = args[0]
        shape = _reduced(x.shape, attrs["axes"], attrs["keep"])
        return shape, kind or x.kind

    return infer


def _method(name: str, more: str = "") -> Callable[[Node], Text]:
    def numpy(node: Node) -> Text:
        return f"{{x}}.{name}({axis_text(node, node.attrs['keep'])}{more})"

    return numpy


def _words(name: str) -> Callable[[Node], Text]:
    """`mean(x)`, `mean over N of x`."""

    def text(node: Node) -> Text:
        axes: tuple[int, ...] = node.attrs["axes"]
        shape = node.args[0].shape
        if len(axes) == len(shape):
            return f"{name}({{x}})"
        return f"{name} over {', '.join(str(shape[a]) for a in axes)} of {{x}}"

    return text


def _reduction(
    name: str,
    method: str,
    result: str,
    kind: Kind | None = None,
    more: str = "",
    **fields: Any,
) -> Op:
    return REGISTRY.add(
        Op(
            name=name,
            args=("x",),
            family="special",
            infer=_reducing(kind),
            numpy=_method(method, more),
            text=_words(method),
            result=result,
            call=True,
            cost=lambda node: node.args[0].shape,
            **fields,
        )
    )


_reduction("sum_over", "sum", "total")
_reduction("mean_over", "mean", "mean", kind="real")
_reduction(
    "max_over",
    "max",
    "m",
    more=", initial=-np.inf",
    note="The maximum where an axis may be empty: -infinity then.",
)


# ------------------------------------------------------------------------ elementwise
def _first(kind: Kind | None = None) -> Infer:
    def infer(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
        return args[0].shape, kind or args[0].kind

    return infer


REGISTRY.add(
    Op(
        name="finite",
        args=("x",),
        family="discrete",
        infer=_first("bool"),
        numpy="np.isfinite({x})",
        text="{x} finite",
        precedence=0,
        result="finite",
        call=True,
    )
)


def _sigmoid_of(name: str, times: int, text: str) -> Op:
    """sigmoid(k x) = 1 / (1 + exp(-k x)) = tanh(k x / 2) / 2 + 1 / 2, for `times` k."""

    def scaled(k: int) -> str:
        return {1: "{x}", -1: "-{x}"}.get(k, f"{k} * {{x}}")

    def result_of(function: str, k: float) -> tuple[str, ...]:
        """`function` of `k` x, in `out`."""
        if k == 1:
            return (f"np.{function}({{x}}, out={{out}})",)
        by = f"np.multiply({{x}}, {{{k}}}, out={{out}})"
        return (by, f"np.{function}({{out}}, out={{out}})")

    minus, whole = scaled(-times), scaled(times)
    return REGISTRY.add(
        Op(
            name=name,
            args=("x",),
            family="elementwise",
            infer=_first(),
            numpy=f"1 / (1 + np.exp({minus}))",
            number=f"1 / (1 + float(np.exp({minus})))",
            numpy_complex=(
                f"np.exp(np.minimum({whole}, 0)) / "
                f"(1 + np.exp(np.minimum({whole}, {minus})))"
            ),
            numpy_out=(
                *result_of("exp", -times),
                "np.add({out}, {1}, out={out})",
                "np.reciprocal({out}, out={out})",
            ),
            numpy_out_absolute=(
                *result_of("tanh", times / 2),
                "np.multiply({out}, {0.5}, out={out})",
                "np.add({out}, {0.5}, out={out})",
            ),
            inplace=True,
            text=text,
            result="s",
            weight=2,
            call=True,
        )
    )


_sigmoid_of("sigmoid_of_minus", -1, "sigmoid(-{x})")
_sigmoid_of("sigmoid_of_twice", 2, "sigmoid(2 * {x})")
REGISTRY.add(
    Op(
        name="softplus_of_minus",
        args=("x",),
        family="elementwise",
        infer=_first(),
        numpy="np.maximum(-{x}, 0) + np.log1p(np.exp(np.minimum({x}, -{x})))",
        number="(-{x} if {x} < 0 else 0.0) + float(np.log1p(np.exp(-abs({x}))))",
        numpy_complex=(
            "np.maximum(-{x}, 0) + complex_log1p(np.exp(np.minimum({x}, -{x})))"
        ),
        prelude=COMPLEX_LOG1P,
        numpy_out=(
            "np.negative({x}, out={t})",
            "np.minimum({x}, {t}, out={t})",
            "np.exp({t}, out={t})",
            "np.log1p({t}, out={t})",
            "np.subtract({t}, {x}, out={out})",
            "np.maximum({out}, {t}, out={out})",
        ),
        inplace=True,
        text="softplus(-{x})",
        result="s",
        weight=3,
        call=True,
    )
)
REGISTRY.add(
    Op(
        name="masked",
        args=("g", "c"),
        family="special",
        infer=_first(),
        numpy="{g} * ({c})",
        update="{g} *= {c}",
        text="{g} where {c}",
        precedence=0,
        result="masked",
        note="where(c, g, 0) of an adjoint that no local derivative was sunk into.",
    )
)


# ------------------------------------------------------------------------ on a buffer
def _same_as_base(args: tuple[Node, ...], attrs: Attrs) -> tuple[Shape, Kind]:
    return args[0].shape, args[0].kind


def _sign(node: Node) -> str:
    return "-" if node.attrs["minus"] else "+"


def _put_update(node: Node) -> Text:
    inside, holes = places(node.args[1])
    return f"{{base}}[{inside}] {_sign(node)}= {{g}}", holes


def _slice_update(node: Node) -> Text:
    inside, holes = index_text(node.shape, node.attrs)
    return f"{{base}}[{inside}] {_sign(node)}= {{x}}", holes


def _one(node: Node) -> bool:
    g = node.args[2]
    return (
        g.is_a("broadcast")
        and g.args[0].is_a("const")
        and g.args[0].attrs["value"] == 1
    )


def _put_text(node: Node) -> Text:
    times = "" if _one(node) else " {g}"
    return f"{{base}} {_sign(node)} one_hot({{index}}){times}"


def _on_buffer(name: str, args: str, **fields: Any) -> Op:
    return REGISTRY.add(
        Op(
            name=name,
            args=tuple(args.split()),
            family="special",
            infer=_same_as_base,
            precedence=1,
            result="total",
            **fields,
        )
    )


_on_buffer(
    "put_on",
    "base index g",
    update=_put_update,
    text=_put_text,
    cost=lambda node: node.args[2].shape,
    note="base + put(index, g), or base - put(index, g).",
)
_on_buffer(
    "scatter_on",
    "base index g",
    update="np.add.at({base}, {index}, {g})",
    text="{base} + {g} at {index}",
    cost=lambda node: node.args[2].shape,
    note="base + scatter_add(g, index) along the first axis. Repeated indices add up.",
)
_on_buffer(
    "slice_on",
    "base x",
    update=_slice_update,
    text="{base} + {x}",
    cost=lambda node: node.args[1].shape,
    note="base + unslice(x), or base - unslice(x).",
)


# ------------------------------------------------------------------------ on windows
SPREAD = '''def conv_transpose(g, K, shape, strides, dilations):
    """Return zeros of a shape, with g @ K[p, q].T added wherever a convolution by K reads
    what it multiplies by K[p, q]."""
    rows = g.reshape(-1, g.shape[-1])
    total = np.zeros(shape, np.result_type(g, K))
    for offset in np.ndindex(K.shape[:-2]):
        place = total
        for axis, i in enumerate(offset):
            start, stride = i * dilations[axis], strides[axis]
            stop = start + stride * g.shape[axis + 1]
            place = place.swapaxes(0, axis + 1)[start:stop:stride].swapaxes(0, axis + 1)
        place += (rows @ K[offset].T).reshape(place.shape)
    return total
'''


def _spread_text(node: Node) -> Text:
    strides, dilations = node.attrs["strides"], node.attrs["dilations"]
    text = f"conv_transpose({{g}}, {{K}}, {{shape}}, {strides}, {dilations})"
    return text, {"shape": node.shape}


REGISTRY.add(
    Op(
        name="conv_transpose",
        args=("g", "K"),
        family="special",
        infer=lambda args, attrs: (as_shape(attrs["shape"]), "real"),
        numpy=_spread_text,
        prelude=SPREAD,
        text="conv_transpose({g}, {K})",
        result="folded",
        call=True,
        cost=lambda node: (*node.args[0].shape, *node.args[1].shape[:-1], Dim.of(2)),
        note="fold of the product of g (N, h, w, n) and the kernel (k, k, c, n).",
    )
)
