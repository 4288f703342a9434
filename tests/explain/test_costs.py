"""Costs: the operations of the standard layers by hand, and the peak as it is measured."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checking import SAMPLES, trace_of, traced

from gradc.cli.programs import load
from gradc.compiler import driver
from gradc.compiler.explain.costs import Costs, count, planned_peak
from gradc.compiler.explain.provenance import Trace
from gradc.points import choose_sizes, find_point

N, D, K = 5, 7, 3
IMAGE = f"input x: [N, 8, 6, {D}]\n"
ROWS = f"input x: [N, {D}]\n"


def counted(trace: Trace, **sizes: int) -> Costs:
    return count(trace.plan, trace.written.names, sizes)


def line(text: str, **sizes: int) -> tuple[float, float]:
    """Forward and backward operations of the second line, under a sum as the loss."""
    trace = trace_of(text + "\nloss = sum(h)")
    costs = counted(trace, N=N, **sizes)
    (found,) = [c for c in costs.lines if c.place == "test.net:2"]
    return found.forward.flops, found.backward.flops


# What each layer does, counted by hand: a product of [n, k] by [k, m] is 2 n k m.
BY_HAND = {
    "dense": (ROWS + f"h = dense(x, {K})", 2 * N * D * K + N * K),
    "dense, relu": (ROWS + f"h = dense(x, {K}, relu)", 2 * N * D * K + 2 * N * K),
    "dense, tanh": (ROWS + f"h = dense(x, {K}, tanh)", 2 * N * D * K + 2 * N * K),
    "conv": (
        IMAGE + f"h = conv(x, {K}, 3)",
        2 * (N * 8 * 6) * (9 * D) * K + (N * 8 * 6) * K,
    ),
    "conv, stride": (
        IMAGE + f"h = conv(x, {K}, 3, stride = 2)",
        2 * (N * 4 * 3) * (9 * D) * K + (N * 4 * 3) * K,
    ),
    "product": (ROWS + f"param W: [{D}, {K}] = he(); h = x @ W", 2 * N * D * K),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_forward_operations_of_a_layer(name: str) -> None:
    text, wanted = BY_HAND[name]
    text = text.replace("; h =", "; h =")
    assert line(text)[0] == wanted


def test_backward_operations_of_dense() -> None:
    """d_W = x' d_z, d_b = sum over N of d_z, and d_x where something below wants it."""
    first = f"input x: [N, {D}]\na = dense(x, 4)\nh = dense(a, {K})\nloss = sum(h^2)"
    costs = counted(trace_of(first), N=N)
    by_line = {c.place: c.backward.flops for c in costs.lines}
    assert by_line["test.net:3"] == 2 * N * 4 * K * 2 + N * K
    assert by_line["test.net:2"] == 2 * N * D * 4 + N * 4


n, T, C, H = N * D, 4, 8, 2  # entries of rows; places, channels and heads of a sequence
ROW, IMAGES = f"[N, {D}]", f"[N, 8, 6, {D}]"
SEQUENCE, CHANNELS = f"[N, {T}, {D}]", f"[N, {T}, {C}]"
SIGMOID, SOFTMAX = 4, 5  # 1 / (1 + exp(-x)); maximum, difference, exp, sum, quotient
NORM = 7  # mean, difference, square, mean, gain, quotient, bias
SCORES = N * H * T * T
ATTENTION = (
    2 * (N * T) * C * (3 * C) + N * T * 3 * C  # queries, keys and values
    + 2 * SCORES * (C // H) + 1 + SCORES  # their products, √(c / heads), the quotient
    + SOFTMAX * SCORES + 2 * SCORES * (C // H)
    + 2 * (N * T) * C * C + N * T * C
)  # fmt: skip
LAYERNORM = NORM * N * T * C + 2 * N * T
GELU = 5  # quotient, erf, sum, product, half
STD = {
    "linear": (ROW, f"linear(a, {K})", 2 * N * D * K),
    "flatten": (IMAGES, "flatten(a)", 0),
    "dropout": (ROW, "dropout(a, 0.25)", 3 * n),
    "layernorm": (ROW, "layernorm(a)", NORM * n + 2 * N),
    "rmsnorm": (ROW, "rmsnorm(a)", 4 * n + 2 * N),
    # of each channel: eps and root, and two running averages of three operations
    "batchnorm": (ROW, "batchnorm(a)", NORM * n + 2 * D + 2 * 3 * D),
    "groupnorm": ("[N, 8, 6, 4]", "groupnorm(a, 2)", NORM * N * 192 + 2 * N * 2),
    "conv1d": (
        SEQUENCE,
        f"conv1d(a, {K}, 3)",
        2 * (N * T) * (3 * D) * K + N * T * K,
    ),
    # every place of the image that is put together, with its border, counts once
    "conv_transpose": (
        IMAGES,
        f"conv_transpose(a, {K}, 3)",
        2 * (N * 8 * 6) * D * (9 * K) + N * 17 * 13 * K + N * 16 * 12 * K,
    ),
    "maxpool": (IMAGES, "maxpool(a)", 3 * N * 4 * 3 * D),
    "avgpool": (IMAGES, "avgpool(a)", N * 8 * 6 * D),
    "attention": (CHANNELS, f"attention(a, {H})", ATTENTION),
    "transformer": (
        CHANNELS,
        f"transformer(a, {H})",
        2 * LAYERNORM
        + ATTENTION
        + (2 * N * T * C * 4 * C + (1 + GELU) * N * T * 4 * C + 1)  # and √2
        + (2 * N * T * 4 * C * C + N * T * C)
        + 2 * N * T * C,
    ),
    "rnn": (
        SEQUENCE,
        f"rnn(a, {K})",
        2 * N * T * D * K + N * T * K + T * (2 * N * K * K + 2 * N * K),
    ),
    "lstm": (
        SEQUENCE,
        f"lstm(a, {K})",
        2 * N * T * D * 4 * K
        + N * T * 4 * K
        + T * (2 * N * K * 4 * K + 4 * N * K + (3 * SIGMOID + 2 + 3 + 1) * N * K),
    ),
    # 1 - σ(z) is σ(-z), whose sign costs nothing
    "gru": (
        SEQUENCE,
        f"gru(a, {K})",
        2 * N * T * D * 3 * K
        + N * T * 3 * K
        + T * (2 * N * K * 3 * K + 3 * N * K)
        + T * (2 + 2 * SIGMOID + 3 + SIGMOID - 1 + 3) * N * K,
    ),
    "gelu": (ROW, "gelu(a)", GELU * n + 1),
    "silu": (ROW, "silu(a)", (SIGMOID + 1) * n),
    "leaky_relu": (ROW, "leaky_relu(a)", 3 * n),
    "softmax": (ROW, "softmax(a)", SOFTMAX * n),
    "log_softmax": (ROW, "log_softmax(a)", 5 * n + N),
}


def of_std(shape: str, call: str) -> tuple[float, float]:
    """Forward and backward operations of a call, whose argument has an adjoint."""
    text = f"input x: {shape}\nparam s = 1\na = s * x\nh = {call}\nloss = sum(h^3)"
    costs = counted(trace_of(text), N=N)
    found = {c.place: c for c in costs.lines}.get("test.net:4")
    return (found.forward.flops, found.backward.flops) if found else (0.0, 0.0)


@pytest.mark.parametrize("name", STD)
def test_forward_operations_of_the_standard_library(name: str) -> None:
    shape, call, wanted = STD[name]
    assert of_std(shape, call)[0] == wanted


def test_rows_of_a_table_cost_nothing_to_look_up() -> None:
    text = "input i: int[N]\nh = embed(i, 11, 3)\nloss = sum(h^2)"
    assert "test.net:2" not in {
        c.place for c in counted(trace_of(text), N=N).lines if c.forward.flops
    }


def test_losses_by_hand() -> None:
    for call, wanted in (
        ("cross_entropy(x, y)", 4 * n + 3 * N),  # log, difference and mean of each row
        ("mse(x, z)", 3 * n),
    ):
        text = f"input y: int[N]\ninput z: [N, {D}]\ninput v: [N, {D}]\nparam s = 1\n"
        costs = counted(trace_of(text + f"x = s * v\nloss = {call}"), N=N)
        assert {c.place: c.forward.flops for c in costs.lines}["test.net:6"] == wanted


def test_backward_operations_by_hand() -> None:
    """Each product twice: by its left and by its right side; each bias a sum."""
    assert of_std(SEQUENCE, f"conv1d(a, {K}, 3)")[1] == (
        2 * 2 * (N * T) * (3 * D) * K + N * T * K
    )
    products = 2 * (N * T) * C * (3 * C) + 2 * (N * T) * C * C
    products += 2 * 2 * SCORES * (C // H)
    biases = N * T * 3 * C + N * T * C
    softmax = 4 * SCORES  # p * (g - sum(g * p))
    assert of_std(CHANNELS, f"attention(a, {H})")[1] == (
        2 * products + biases + softmax + SCORES
    )


def test_kept_is_what_forward_saves() -> None:
    trace = trace_of(ROWS + f"h = dense(x, {K}, tanh)\nloss = sum(h)")
    costs = counted(trace, N=N)
    assert [(k.name, k.bytes) for k in costs.kept if not k.leaf] == [("h", 4 * N * K)]
    assert [(k.name, k.count) for k in costs.layers] == [("h.dense", D * K + K)]
    assert costs.parameters == D * K + K


def test_a_loop_costs_all_its_steps() -> None:
    text = "input x: [N, T, 4]\nh: [N, 4] = 0\nparam U: [4, 4] = he()\n"
    text += "for t in T { h = tanh(h @ U + x[:, t]) }\nloss = sum(h^2)"
    one, ten = (
        counted(trace_of(text), N=N, T=steps).forward.flops for steps in (1, 10)
    )
    step = 2 * N * 16 + N * 4 + N * 4
    assert ten - one == 9 * step


PEAKS = {
    "04_relu_mlp": {"N": 256, "D": 784},
    "05_nielsen": {"N": 4096},  # beside which NumPy's own buffers are small
    "09_vae": {"N": 256},
    "16_tied_autoencoder": {"N": 128, "D": 784},
    "10_burgers": {"P": 2000, "B": 200},
}


@pytest.mark.parametrize("name", PEAKS)
def test_the_peak_is_what_is_measured(name: str) -> None:
    """Within 10 %: a step of the -O2 module, its buffers and gradients made new."""
    path: Path = SAMPLES / f"{name}.net"
    trace = traced(path, **({"hidden": "30"} if name == "05_nielsen" else {}))
    compiled = driver.compile_program(
        trace.program, driver.Options(folder=path.parent, level=2)
    )
    network = load(compiled)
    sizes = choose_sizes(network.signature, PEAKS[name])
    network.bind(sizes)
    point = find_point(network, sizes, seed=0)
    assert point is not None
    dtype = np.float32
    theta = point.theta.astype(dtype)
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in point.arrays]
    noise = {
        k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in point.noise.items()
    }
    nabla = np.zeros_like(theta)

    def step() -> None:
        network.stepper(theta, nabla)(arrays, noise)

    step()  # what is loaded once
    tracemalloc.start()
    step()
    measured = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    gradients = theta.nbytes  # the stepper's are views of nabla, made before
    planned = planned_peak(compiled.signature["work"], sizes, 4)
    assert planned == pytest.approx(measured + gradients, rel=0.1)


def test_every_program_can_be_counted() -> None:
    for path in sorted(SAMPLES.glob("[01]*.net")):
        if path.stem in ("06_cnn", "15_two_heads"):  # counted by hand above, and slow
            continue
        trace = traced(path)
        sizes = dict.fromkeys(trace.program.symbols, 4)
        costs = counted(trace, **sizes)
        assert costs.forward.flops > 0, path
        header = sum(c.forward.flops for c in costs.lines)
        assert header == costs.forward.flops
    assert replace(costs, lines=()).forward.flops == 0
