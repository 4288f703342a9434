"""conv2d, conv_transpose2d and pool2d: sizes, checks, ties, and derivatives of derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backend.executing import Emitted, joint_of
from reference import directional, evaluate
from texts import lowered, node, shape, value

from gradc.compiler.autodiff.reverse import reverse
from gradc.compiler.driver import Options, compile_source
from gradc.compiler.ir.node import Node
from gradc.compiler.source import Source

rng = np.random.default_rng(5)


def brute(x: Any, kernel: Any, stride: int, pads: list[tuple[int, int]]) -> Any:
    """The sum as it stands in books, one entry after the other."""
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    k1, k2, _, n = kernel.shape
    rows = (x.shape[1] - k1) // stride + 1
    columns = (x.shape[2] - k2) // stride + 1
    out = np.zeros((x.shape[0], rows, columns, n))
    for i, j in np.ndindex(rows, columns):
        part = x[:, i * stride : i * stride + k1, j * stride : j * stride + k2]
        out[:, i, j] = np.einsum("npqc,pqco->no", part, kernel)
    return out


def same(size: int, k: int, stride: int) -> tuple[int, int]:
    """TensorFlow's formula."""
    total = max((-(-size // stride) - 1) * stride + k - size, 0)
    return total // 2, total - total // 2


SYMBOLIC = (
    "input x: [N, H, W, 2]\nparam K: [3, 2, 2, 4] = he()\noutput y = conv2d(x, K{})"
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "[N, H, W, 4]"),
        (', pad = "valid"', "[N, H - 2, W - 1, 4]"),
        (", dilation = 2, pad = 0", "[N, H - 4, W - 2, 4]"),
        (", pad = [1, 2, 0, 3]", "[N, H + 1, W + 2, 4]"),
        (", 2", "[N, H / 2, W / 2, 4]"),
        (', 2, "valid"', "[N, H / 2 - 1 / 2, W / 2, 4]"),
        (", 4", "[N, H / 4, W / 4, 4]"),
    ],
)
def test_symbolic_shape(arguments: str, expected: str) -> None:
    assert shape(SYMBOLIC.format(arguments)) == expected


@pytest.mark.parametrize(
    ("stride", "pad", "h", "w"),
    [
        (1, "same", 5, 4),
        (1, "same", 1, 1),
        (1, "valid", 3, 2),
        (1, "valid", 6, 5),
        (2, "same", 6, 4),
        (2, "valid", 7, 6),
        (4, "same", 8, 4),
    ],
)
def test_symbolic_value(stride: int, pad: str, h: int, w: int) -> None:
    text = SYMBOLIC.format(f', {stride}, "{pad}"')
    x, kernel = rng.normal(size=(2, h, w, 2)), rng.normal(size=(3, 2, 2, 4))
    pads = [same(h, 3, stride), same(w, 2, stride)] if pad == "same" else [(0, 0)] * 2
    found = value(text, x=x, K=kernel)
    assert np.allclose(found, brute(x, kernel, stride, pads), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("h", range(1, 8))
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_same_padding(h: int, stride: int) -> None:
    text = (
        f"input x: [N, {h}, 6, 2]\nparam K: [3, 2, 2, 4] = he()\n"
        f"output y = conv2d(x, K, {stride})"
    )
    x, kernel = rng.normal(size=(2, h, 6, 2)), rng.normal(size=(3, 2, 2, 4))
    pads = [same(h, 3, stride), same(6, 2, stride)]
    found = value(text, x=x, K=kernel)
    assert found.shape[1] == -(-h // stride)
    assert np.allclose(found, brute(x, kernel, stride, pads), rtol=1e-13, atol=1e-14)


def checks(text: str) -> set[tuple[str, str, str]]:
    return {(c.kind, str(c.left), str(c.right)) for c in lowered(text).checks}


def test_checks() -> None:
    assert checks(SYMBOLIC.format("")) == {
        ("at_least", "H", "1"),
        ("at_least", "W", "1"),
    }
    assert checks(SYMBOLIC.format(', 2, "valid"')) == {
        ("at_least", "H", "3"),
        ("divides", "H - 3", "2"),
        ("at_least", "W", "2"),
        ("divides", "W - 2", "2"),
    }
    pool = "input x: [N, H, 8, 2]\noutput y = maxpool(x, 4)"
    assert checks(pool) == {("at_least", "H", "4"), ("divides", "H - 4", "4")}


def test_no_rows() -> None:
    text = "input x: [N, 4, 4, 2]\noutput y = x |> conv(3) |> avgpool |> maxpool"
    y, _ = with_parameters(text, x=np.zeros((0, 4, 4, 2)))
    assert y.shape == (0, 1, 1, 3)


# ----------------------------------------------------------------------------- std
def with_parameters(text: str, **inputs: Any) -> tuple[Any, dict[str, Any]]:
    params = {
        p.path.replace(".", "__"): rng.normal(size=[d.integer for d in p.node.shape])
        for p in lowered(text).params
    }
    return value(text, **inputs, **params), params


def test_conv() -> None:
    x = rng.normal(size=(2, 5, 4, 3))
    y, p = with_parameters("input x: [N, 5, 4, 3]\noutput y = conv(x, 6)", x=x)
    exact = brute(x, p["y__conv__K"], 1, [(1, 1), (1, 1)]) + p["y__conv__b"]
    assert np.allclose(y, exact, rtol=1e-13, atol=1e-14)


def test_conv1d() -> None:
    x = rng.normal(size=(2, 5, 3))
    y, p = with_parameters("input x: [N, T, 3]\noutput y = conv1d(x, 6, 2)", x=x)
    wide = brute(x[:, :, None], p["y__conv1d__K"][:, None], 1, [(0, 1), (0, 0)])
    assert np.allclose(y, wide[:, :, 0] + p["y__conv1d__b"], rtol=1e-13, atol=1e-14)


def test_conv_transpose_is_the_adjoint_of_conv() -> None:
    small, large = rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(2, 6, 8, 5))
    text = "input x: [N, H, W, 3]\noutput y = conv_transpose(x, 5)"
    y, p = with_parameters(text, x=small)
    y = y - p["y__conv_transpose__b"]
    kernel = p["y__conv_transpose__K"].swapaxes(2, 3)
    back = brute(large, kernel, 2, [same(6, 3, 2), same(8, 3, 2)])
    assert y.shape == large.shape
    assert abs((y * large).sum() - (small * back).sum()) < 1e-12


def test_pools() -> None:
    x = rng.normal(size=(2, 7, 6, 3))
    blocks = x[:, :6].reshape(2, 3, 2, 3, 2, 3)
    text = "input x: [N, 7, 6, 3]\noutput y = {}(x)"
    assert np.array_equal(value(text.format("maxpool"), x=x), blocks.max(axis=(2, 4)))
    mean = value(text.format("avgpool"), x=x)
    assert np.allclose(mean, blocks.mean(axis=(2, 4)), rtol=1e-14)


# ---------------------------------------------------------------------- derivatives
def gradient(of: Node, by: list[Node]) -> list[Node]:
    return [reverse({of: of.graph.const(1.0)}, by).adjoints[n] for n in by]


@pytest.mark.parametrize("call", ["pool2d(x, 2)", "pool2d(x, 2, 1)"])
def test_ties_share_evenly(call: str) -> None:
    program = lowered(f"input x: [1, 2, 4, 1]\noutput y = {call}")
    (x,) = (i.node for i in program.inputs)
    total = program.graph.apply("sum", node(program, "y"), axes=(0, 1, 2, 3))
    (d,) = gradient(program.graph.apply("reshape", total, shape=()), [x])
    (found,) = evaluate([d], {x: np.ones((1, 2, 4, 1))})
    share = [0.25] * 4 if "1" not in call else [0.25, 0.5, 0.5, 0.25]
    assert np.array_equal(found[0, :, :, 0], [share, share])


SECOND = [
    "conv2d(x, K)",
    "conv2d(x, K, 2)",
    'conv2d(x, K, 2, "valid")',
    "conv2d(x, K, pad = [0, 2, 1, 0], dilation = 2)",
    "conv_transpose2d(x, K, 2)",
    'conv_transpose2d(x, K, 1, "valid")',
    "conv_transpose2d(x, K, 3, 1, dilation = 2)",
    "conv2d(x, K) |> pool2d(2)",
    "conv2d(x, K) |> pool2d(3, 2, 1)",
    'conv2d(x, K) |> pool2d(3, 2, "same", "mean")',
    'conv2d(x, concat(K, K, axis = 2)[:, :, :1], groups = 2) |> pool2d(2, kind = "mean")',
]


@pytest.mark.parametrize("call", SECOND)
def test_second_derivatives(call: str) -> None:
    text = (
        "input x: [N, 6, 7, 2]\nparam K: [3, 2, 2, 4] = he()\n"
        f"y = {call}\nloss = sum(tanh(y)^3)"
    )
    program = lowered(text)
    (x,) = (i.node for i in program.inputs)
    (kernel,) = (p.node for p in program.params)
    at = {x: rng.normal(size=(2, 6, 7, 2)), kernel: rng.normal(size=(3, 2, 2, 4))}
    sizes = {"N": 2}
    graph = program.graph
    first = gradient(program.training.losses[0].node, [x, kernel])
    for d, by in zip(first, (x, kernel), strict=True):
        push = rng.normal(size=at[by].shape)
        along = graph.apply(
            "reshape",
            graph.apply(
                "sum", d * graph.leaf("input", "push", d.shape), axes=(0, 1, 2, 3)
            ),
            shape=(),
        )
        second = gradient(along, [x, kernel])
        found = evaluate(second, {**at, "push": push}, sizes)
        for value_, other in zip(found, (x, kernel), strict=True):
            step = rng.normal(size=at[other].shape)
            moved = directional(along, {**at, "push": push}, {other: step}, sizes)
            slope = (value_ * step).sum()
            scale = np.abs(value_ * step).sum()
            assert abs(slope - moved) <= 1e-12 * max(scale, 1), (call, by, other)


def test_rows() -> None:
    text = (
        "input image: [N, 8, 8, 1]\ninput label: int[N]\n"
        "h = image |> conv(4) |> relu |> maxpool |> conv(2, stride = 2) |> flatten\n"
        "loss = cross_entropy(dense(h, 3), label)\n"
        "loss penalty = mean((image - conv_transpose(maxpool(image), 1))^2)\n"
    )
    made = compile_source(Source.from_text("net.net", text), Options())
    assert [loss["rows"] for loss in made.signature["losses"]] == ["mean", "mean"]


def test_the_complex_form_of_padding_that_meets_padding() -> None:
    """The larger of two -inf is -inf for complex numbers, too: half of it would be no number."""
    text = (
        "input x: [N, 5, 5, 2]\nparam w = 1\n"
        'loss = mean(relu(pool2d(w * x, 3, 2, "same")))'
    )
    Emitted(joint_of(text)).agrees()
