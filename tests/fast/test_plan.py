"""What the plan of a program says, and what running it takes: memory, counts, text."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Golden
from fast.running import Fast, compiled, drawn, largest_error, values_of

from gradc.sizes import evaluate

GOLDEN = Path(__file__).parent / "golden"
SLACK = 64 * 1024
CHUNKS = 100 * 1024  # NumPy's own for strided operands, 8192 numbers each: of any size
MLP = """# A perceptron.
const hidden = 128
input x: [N, 784]
input y: int[N]
param W1: [784, hidden] = he()
param b1: [hidden] = 0
param W2: [hidden, 10] = glorot()
param b2: [10] = 0
h = relu(x @ W1 + b1)
scores = h @ W2 + b2
loss = cross_entropy(scores, y)
"""
RNN = """# A recurrent network.
const hidden = 16
input text: int[N, T]
input target: int[N, T]
param E: [12, hidden] = normal(0, 0.1)
param W: [hidden, hidden] = glorot()
param b: [hidden] = 0
param V: [hidden, 12] = glorot()
h: [N, hidden] = 0
for t in T {
  h = tanh(E[text[:, t]] + h @ W + b)
  logits[:, t] = h @ V
}
loss = cross_entropy(logits, target)
"""
DECAYED = """# Two losses.
const lambda = 0.01
input x: [N, D]
input y: [N]
param w: [D] = 0
param c = 0
p = sigmoid(x @ w + c)
loss fit = mean((p - y)^2)
loss decay = lambda * sum(w^2)
"""
GATED = """input x: [N, 64]
input y: [N, 64]
h = x
repeat 3 { h = h + dense(h, 64, tanh) * dense(h, 64, sigmoid) }
loss = mse(h, y)
"""
TRANSFORMER = """input x: [N, T, 16]
input y: [N, T, 16]
layer block(x: [N, T, c]) {
  h = x + attention(layernorm(x), 2, causal = true)
  return h + (layernorm(h) |> dense(4 * c, gelu_tanh) |> dense(c))
}
h = x |> block |> block
loss = mse(h, y)
"""
CONV = """input x: [N, 12, 12, 2]
input y: int[N]
h = x |> conv(8, 3) |> relu |> maxpool(2) |> conv(8, 3) |> relu |> flatten
loss = cross_entropy(dense(h, 5), y)
"""
MEASURED: dict[str, tuple[str, dict[str, int]]] = {
    "mlp": (MLP, {"N": 700}),
    "rnn": (RNN.replace("hidden = 16", "hidden = 64"), {"N": 40, "T": 60}),
    "many steps": (RNN, {"N": 3, "T": 900}),
    "gated": (GATED, {"N": 1500}),
    "transformer": (TRANSFORMER, {"N": 30, "T": 50}),
    "conv": (CONV, {"N": 150}),
    "places": (
        "input t: int[N]\nh = embed(t, 3, 2)\nloss = mean(h^2)\n",
        {"N": 20000},
    ),
    "gelu": (GATED.replace("tanh", "gelu"), {"N": 1500}),
}


@pytest.mark.parametrize("name", MEASURED)
def test_memory_is_what_the_plan_says(name: str) -> None:
    text, sizes = MEASURED[name]
    plain, module = drawn(text, sizes), Fast(compiled(text))
    values = values_of(plain, np.float32)
    planned = module.planned(values, 4)
    gradients = sum(v.nbytes for v in plain.params.values()) // 2
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        work = module.buffers(module.sizes(values), np.float32)
        module.step(values, np.float32, work)
        used = tracemalloc.get_traced_memory()[1] - start - gradients
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        module.step(values, np.float32, work)
        again = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert planned > 4 * SLACK  # it is memory of arrays that is measured
    assert abs(used - planned) <= 0.1 * planned + SLACK
    assert again < (CHUNKS if name == "conv" else SLACK)


def lines(text: str) -> int:
    """Statements of `forward` and `backward`."""
    body = text[text.index("\ndef forward(") : text.index("\ndef evaluate(")]
    return len(re.findall(r"^ +(?:np\.|\w+\[\.\.\.\]|\w+ = )", body, re.M))


def counted(text: str, **sizes: int) -> tuple[int, int]:
    """Statements, and elements of memory."""
    made = compiled(text)
    work = made.signature["work"]
    return lines(made.source), sum(
        int(evaluate(work[k], sizes)) for k in ("reals", "integers", "constants")
    )


def test_counts_grow_with_depth_in_proportion() -> None:
    def deep(depth: int) -> tuple[int, int]:
        text = f"""input x: [N, 8]
input y: [N, 8]
h = x
repeat {depth} {{ h = dense(h, 8, tanh) }}
loss = mse(h, y)
"""
        return counted(text, N=16)

    few, some, many = deep(4), deep(34), deep(64)
    for a, b, c in zip(few, some, many, strict=True):
        assert c - b == b - a


def test_counts_do_not_depend_on_width_batch_or_steps() -> None:
    def at(width: int, batch: int, steps: int) -> tuple[int, int]:
        text = RNN.replace("hidden = 16", f"hidden = {width}")
        return counted(text, N=batch, T=steps)

    statements, memory = at(16, 8, 10)
    assert at(64, 8, 10)[0] == at(16, 80, 10)[0] == at(16, 8, 1000)[0] == statements
    for more in (at(32, 8, 10), at(16, 16, 10), at(16, 8, 20)):
        assert memory < more[1] <= 2 * memory


def test_a_slot_serves_several_values() -> None:
    made = compiled(MLP)
    reals = int(evaluate(made.signature["work"]["reals"], {"N": 1}))
    assert reals <= 2 * 128 + 4 * 10  # h, its adjoint, and little else


def test_shards_add_up() -> None:
    for text in (MLP, RNN, DECAYED):
        sizes = {"N": 7, "T": 4, "D": 3}
        plain, module = drawn(text, sizes), Fast(compiled(text))
        assert module.work is not None and module.work["rows"]
        values = values_of(plain)
        loss, found = module.step(values)
        whole = {k: v.copy() for k, v in found.items()}
        total, sums = 0.0, {k: np.zeros_like(v) for k, v in whole.items()}
        rows = [e["name"] for e in module.signature["inputs"]]
        for part in (slice(0, 2), slice(2, 3), slice(3, 7)):
            cut: dict[str, Any] = {
                k: v[part] if k in rows else v for k, v in values.items()
            }
            share, gradients = module.step(cut, rows=7)
            total += share
            for k, g in gradients.items():
                sums[k] += g
        assert total == pytest.approx(loss, rel=1e-13)
        assert largest_error(sums, whole) <= 1e-13


def test_single_numbers_are_not_planned() -> None:
    made = compiled("input x\nparam w = 1\nloss = log(1 + exp(w * x))\n")
    assert made.signature["work"] is None
    assert "def buffers" not in made.source


@pytest.mark.parametrize("name", ["mlp", "rnn", "decayed"])
def test_the_text(name: str, golden: Golden) -> None:
    text = {"mlp": MLP, "rnn": RNN, "decayed": DECAYED}[name]
    made = compiled(text).source
    assert made == compiled(text).source
    golden(GOLDEN / f"{name}_net.py", made)


def test_the_text_is_in_blacks_form() -> None:
    import black

    for text in (MLP, RNN, DECAYED, GATED, TRANSFORMER, CONV):
        made = compiled(text).source
        assert black.format_str(made, mode=black.Mode()) == made
