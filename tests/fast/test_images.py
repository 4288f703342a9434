"""Convolutions and pools of every kind at `-O2` and `-O1` against `-O0`, buffers poisoned."""

from __future__ import annotations

import random

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of
from fast.test_programs import agrees

from gradc.compiler.backend.fast.images import orders
from gradc.compiler.backend.fast.reshapes import moved
from gradc.compiler.backend.memory import Storage, Use, plan
from gradc.compiler.driver import Options, build
from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.source import Source

N = Dim.symbol("N")
ACTIVATIONS = ("relu(", "tanh(", "gelu(", "sigmoid(", "leaky_relu(", "softplus(", "(")


def net(seed: int) -> str:
    """Two or three random layers on images or on sequences, and what reads them."""
    rng = random.Random(seed)
    flat = seed % 4 == 3
    side, c = rng.choice((7, 8, 9, 11)), rng.choice((1, 2, 3))
    shape = [side] if flat else [side, side + rng.choice((0, 1))]
    lines = [f"input x: [N, {', '.join(map(str, shape))}, {c}]", "h0 = x"]
    for i in range(1, rng.choice((2, 3)) + 1):
        kind = rng.choice(("conv", "conv", "conv", "pool", "norm", "join"))
        k = rng.choice((1, 2, 3))
        stride, dilation = rng.choice((1, 1, 2)), rng.choice((1, 1, 2))
        pad = rng.choice(('"same"', '"valid"', "1"))
        if min(shape) < (k - 1) * dilation + 1 or stride >= min(shape):
            kind = "join"
        value = f"h{i - 1}"
        if kind == "conv":
            n = rng.choice((2, 3, 4))
            kernel = f"[{', '.join([str(k)] * len(shape))}, {c}, {n}]"
            lines.append(f"param K{i}: {kernel} = 0")
            lines.append(f"param b{i}: [{n}] = 0")
            more = f"stride = {stride}, dilation = {dilation}, pad = {pad}"
            value = f"conv2d({value}, K{i}, {more}) + b{i}"
            c = n
            span = (k - 1) * dilation + 1
            spare = {'"same"': None, '"valid"': 0, "1": 2}[pad]
            shape = [
                -(-s // stride) if spare is None else (s + spare - span) // stride + 1
                for s in shape
            ]
            value = f"{rng.choice(ACTIVATIONS)}{value})"
            if rng.random() < 0.6 and min(shape) >= 2:
                of = rng.choice(("max", "max", "mean"))
                value = f'pool2d({value}, 2, kind = "{of}")'
                shape = [s // 2 for s in shape]
        elif kind == "pool" and k > 1:
            of, step = rng.choice(("max", "mean")), rng.choice((1, 2))
            value = (
                f'pool2d({value}, {k}, kind = "{of}", stride = {step}, pad = "same")'
            )
            shape = [-(-s // step) for s in shape]
        elif kind == "norm":
            value = f"batchnorm({value})"
        else:
            value = f"{value} * sin({value}) + {value}"
        lines.append(f"h{i} = {value}")
    lines.append(f"z = h{i} |> flatten |> dense(3, tanh)")
    lines.append(f"loss = mean((z - 0.1)^2) + 0.01 * mean(h{i}^2)")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(20))
def test_random_images(seed: int) -> None:
    agrees(net(seed), float, 1e-12)


@pytest.mark.parametrize(
    "wide", ["maxpool(relu(z))", "relu(maxpool(z))", "avgpool(relu(z))"]
)
def test_ties_are_shared(wide: str) -> None:
    """Windows of equal numbers, of one, two and three that are largest, and of zeros."""
    text = (
        "input x: [N, 6, 6, 1]\nparam K: [3, 3, 1, 2] = 1\nparam b: [2] = 0\n"
        f"z = conv2d(x, K) + b\nh = {wide}\nloss = sum(h * sin(h + 1))\n"
    )
    plain, module = drawn(text), Fast(compiled(text, poison=True))
    x = np.random.default_rng(3).integers(-1, 2, (5, 6, 6, 1)).astype(float)
    x[1], x[2] = 0, 1
    x[3] = -1
    plain.inputs["x"] = x
    plain.params = {"K": np.ones((3, 3, 1, 2)), "b": np.array([0.0, 0.5])}
    _, saved, *_ = plain.call("forward")
    _, found = module.step(values_of(plain))
    assert largest_error(found, plain.module["backward"](saved)) < 1e-14


def lying(text: str) -> dict[str, tuple[int, ...]]:
    """The order of the axes of the products, by what their shapes are."""
    made = build(Source.from_text("t.net", text), Options(level=2), "schedule").value
    return {str(n.shape): o for n, o in orders(made).items() if n.is_a("einsum2")}


CONV = "input x: [N, 9, 9, 3]\nz = x |> conv(4, 3) |> relu\nloss = mean(z^2)\n"


def test_the_batch_lies_last() -> None:
    assert (3, 1, 2, 0) in lying(CONV).values()


def test_a_small_batch_lies_first() -> None:
    assert not lying(CONV + "train { batch = 8 }\n")
    assert lying(CONV + "train { batch = 64 }\n")


def test_small_values_leave_large_slots_free() -> None:
    """A small value in the place of a large one would cost the next large one a new slot."""
    a, x, b, c = (Storage(N * k, "real") for k in (100, 1, 10, 200))
    uses = [Use((a,), ()), Use((x,), (a,)), Use((b,), (x,)), Use((c,), (b,))]
    uses.append(Use((), (b, c)))
    assert plan(uses).total("real") == (N * 211).value


@pytest.mark.parametrize(
    ("old", "new", "order", "made"),
    [
        ((N, 12, 12, 5), (N, 6, 2, 6, 2, 5), (3, 1, 2, 0), (5, 1, 2, 3, 4, 0)),
        ((N, 6, 2, 6, 2, 5), (N, 12, 12, 5), (5, 1, 2, 3, 4, 0), (3, 1, 2, 0)),
        ((N, 4, 4, 5), (N, 4, 1, 4, 1, 5), (3, 1, 2, 0), (5, 1, 2, 3, 4, 0)),
        ((N, 4, 1, 4, 1, 5), (N, 4, 4, 5), (5, 1, 2, 3, 4, 0), (3, 1, 2, 0)),
        ((N, 4, 4, 5), (N, 80), (3, 1, 2, 0), None),
        ((N, 4, 4, 5), (N, 80), (1, 2, 3, 0), (1, 0)),
        ((N, 4, 5), (N * 4, 5), (2, 0, 1), (1, 0)),
        ((N, 4, 5), (N * 4, 5), (2, 1, 0), None),
        ((N, 0, 5), (N, 5, 0), (2, 1, 0), None),
        ((N, 6, 4), (N, 4, 6), (1, 2, 0), (1, 2, 0)),
        ((N, 6, 4), (N, 4, 6), (2, 1, 0), None),
    ],
)
def test_reshapes_of_turned_arrays(old, new, order, made) -> None:
    old, new = as_shape(old), as_shape(new)
    assert moved(old, new, order) == made
    if made is not None:  # the elements stay where they are
        a, b = (tuple(d.integer or 7 for d in s) for s in (old, new))
        if old[0] != new[0]:
            b = (28, *b[1:])
        array = np.arange(np.prod(a)).reshape([a[i] for i in order])
        whole = array.transpose(np.argsort(order)).reshape(b)
        assert np.array_equal(whole.transpose(made).reshape(-1), array.reshape(-1))


PLACES = {  # what is written at flat places, beside what has the batch last
    "labels": "z = mean(h, axis = [1, 2]) |> dense(3)\nloss = cross_entropy(z, y[:, 0, 0])",
    "labels of places": "loss = cross_entropy(h, y)",
    "ones": "z = conv2d(h + one_hot(y, 3), K)\nloss = mean(z^2)",
    "rows of a table": (
        "param E: [5, 3] = normal(0, 1)\nz = conv2d(E[y] * h, K)\nloss = mean(z^2)"
    ),
    "a maximum": (
        "m = max(x, axis = 3, keep = true)\nz = h * m + sum(x, axis = 3, keep = true)\n"
        "loss = mean(conv2d(z, K)^2)"
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_flat_places_beside_images(name: str) -> None:
    head = (
        "input x: [N, 5, 4, 3]\ninput y: int[N, 5, 4]\n"
        "param K: [3, 3, 3, 3] = normal(0, 0.3)\nh = tanh(conv2d(x, K))\n"
    )
    if "y" not in PLACES[name]:
        head = head.replace("input y: int[N, 5, 4]\n", "")
    agrees(f"{head}{PLACES[name]}\n", float, 1e-12)


PRODUCTS = {  # whose results have rows and columns by turns, or one column
    "a channel": "loss = mse(conv2d(relu(conv2d(x, K)), K[:, :, :1, :1])[..., 0], x[..., 0])",
    "spread": "loss = mean(conv_transpose2d(x, L, stride = 2)^2)",
    "experts": 'loss = mean(einsum("n h w c, e c k -> n h w e k", x, E)^2)',
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_written_where_they_are_wanted(name: str) -> None:
    body = PRODUCTS[name]
    params = {"K": "[3, 3, 3, 1]", "L": "[3, 3, 3, 2]", "E": "[4, 3, 2]"}
    (param,) = (
        f"param {p}: {s} = normal(0, 1)" for p, s in params.items() if p in body
    )
    text = f"input x: [N, 5, 4, 3]\n{param}\n{body}\n"
    agrees(text, float, 1e-12)
    source = compiled(text).source
    steps = source[source.index("def forward") : source.index("def evaluate")]
    assert "tensordot" not in steps and " @ " not in steps
