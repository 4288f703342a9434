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


def test_attention_by_hand() -> None:
    """Four products with weights, two with each other; softmax and scaling beside them."""
    T, C, H = 6, 8, 2
    trace = trace_of(f"input x: [N, {T}, {C}]\nh = attention(x, {H})\nloss = sum(h^2)")
    costs = counted(trace, N=N)
    (found,) = [c for c in costs.lines if c.place == "test.net:2"]
    products = 2 * N * T * C * 3 * C + 2 * N * T * C * C
    products += 2 * 2 * N * H * T * T * (C // H)
    entries = N * H * T * T
    biases = N * T * 3 * C + N * T * C
    beside = found.forward.flops - products - biases
    assert 4 * entries <= beside <= 8 * entries + 1


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
