"""Every level's `backward` is the tangent of its `forward`, and every level computes the same.

Emitted files are executed, unchanged, on numbers of a finite field (`field.py`): there is no
rounding there, so nothing is compared to a tolerance.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from random_dags import program_of, random_dag

from exact import oracles
from exact.field import Element, P, constant, square_root
from exact.running import Exact, compared
from gradc.compiler import Options, Source, compile_source
from gradc.compiler.driver import compile_program

TESTS = Path(__file__).parent.parent
# Sizes that hang together (cnn), and what is like another one and takes seconds.
LEFT_OUT = {"cnn", "10_burgers", "15_two_heads"}
PROGRAMS = [
    file
    for folder in (
        TESTS / "benchmarks" / "nets",
        TESTS / "samples",
        TESTS.parent / "examples",
    )
    for file in sorted(folder.glob("**/*.net"))
    if file.stem not in LEFT_OUT
    and re.search(r"^loss\b", file.read_text(), re.MULTILINE)
]
SMALL = {
    "hidden": 4, "width": 4, "vocab": 5, "context": 3, "heads": 2, "depth": 2, "inputs": 3,
    "classes": 3, "first": 2, "second": 3, "side": 10, "channels": 2, "kernel": 3,
    "steps": 2, "code": 2, "k": 2,
}  # fmt: skip
SHORTER = {
    "784": "5",
    "400": "3",
    "256": "4",
    "128": "4",
    "64": "4",
    "28": "4",
    "32": "4",
    "16": "3",
    "30": "2",
}
LEVELS = (0, 1, 2)
PLACES = 12


def shrunk(text: str) -> str:
    """The same program with small sizes: constants, and what is written as a number."""
    for name, value in SMALL.items():
        text = re.sub(
            rf"^const {name}( *)= \d+", rf"const {name}\1= {value}", text, flags=re.M
        )
    return re.sub(r"\b\d+\b(?!\.)", lambda found: SHORTER.get(found[0], found[0]), text)


def judged(modules: list[Exact], slopes: bool = True, at: Any = None) -> bool:
    """Hold gradients against tangents, and levels against the first; False if undecided.

    The field has roots of every second number alone. Where a gradient is right only if √x² is
    x, and a root was taken of another, the place says nothing and the next one is taken.
    """
    same = all(not folded(modules[0].source, m.source) for m in modules)
    for seed in range(PLACES):
        outcomes = compared(modules, seed, at)
        assert outcomes[0].gradients
        if same:
            apart = [o.differences(outcomes[0]) for o in outcomes]
            assert apart == [[]] * len(modules), seed
        right = [o.slope_agrees() for o in outcomes]
        if all(right) or not slopes:
            return True
        assert outcomes[0].unsure, f"backward is not the tangent of forward: {right}"
    return False


def folded(plain: str, other: str) -> bool:
    """Was a function of a number replaced by its value, which the field cannot know?"""
    numbers = [set(re.findall(r"\d\.\d{12,}", text)) for text in (plain, other)]
    return not numbers[1] <= numbers[0]


def every_level(
    text: str, sizes: dict[str, int] | None = None, **options: Any
) -> list[Exact]:
    source = Source.from_text("exact.net", text)
    modules = []
    for level in LEVELS:
        compiled = compile_source(source, Options(level=level, **options))
        modules.append(Exact(compiled.source, compiled.signature, sizes))
    return modules


LARGE = re.compile(r"(06|08|10|15)_.*|burgers|gpt|cnn|w5_two|w6_same|w7_library")


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(
            file, marks=[pytest.mark.more] if LARGE.fullmatch(file.stem) else []
        )
        for file in PROGRAMS
    ],
    ids=lambda file: file.stem,
)
def test_programs(file: Path) -> None:
    text = shrunk(file.read_text())
    held = re.search(r"\bstop\(|\bover\b|\brandom\b.*\bbernoulli\(sig", text)
    assert judged(every_level(text, include_dirs=(file.parent,)), slopes=not held)


LAYERS = {
    "dense": "x |> dense(3, tanh)",
    "residual": "x + dense(x, 4, relu)",
    "silu": "silu(linear(x, 3))",
    "gelu": "gelu(dense(x, 3))",
    "gelu_tanh": "gelu_tanh(dense(x, 3))",
    "mish": "mish(dense(x, 3))",
    "elu": "elu(dense(x, 3))",
    "selu": "selu(dense(x, 3))",
    "softsign": "softsign(dense(x, 3))",
    "hardswish": "hardswish(dense(x, 3))",
    "softplus": "softplus(dense(x, 3))",
    "softmax": "softmax(dense(x, 3))",
    "log_softmax": "log_softmax(dense(x, 3))",
    "glu": "glu(dense(x, 4))",
    "layernorm": "layernorm(dense(x, 3))",
    "rmsnorm": "rmsnorm(dense(x, 3))",
    "batchnorm": "batchnorm(dense(x, 3))",
    "dropout": "dropout(dense(x, 3), 0.5)",
    "trigonometry": "sin(dense(x, 3)) * cos(dense(x, 3)) + tan(dense(x, 3))",
    "roots": "sqrt(1 + dense(x, 3)^2) + 1 / sqrt(2 + abs(dense(x, 3)))",
    "distribution": "erf(dense(x, 3)) + normal_cdf(dense(x, 3)) + lgamma(2 + dense(x, 3)^2)",
}
SEQUENCES = {
    "rnn": "rnn(x, 3)",
    "lstm": "lstm(x, 3)",
    "gru": "gru(x, 2)",
    "attention": "attention(x, 2, causal = true)",
    "transformer": "transformer(x, 2)",
    "conv1d": "conv1d(x, 3)",
}
IMAGES = {
    "conv": "conv(x, 3)",
    "strided": "conv(x, 2, stride = 2) |> relu",
    "conv_transpose": "conv_transpose(x, 2)",
    "maxpool": "x |> conv(2) |> maxpool(2)",
    "avgpool": "x |> conv(2) |> avgpool(2)",
    "groupnorm": "x |> conv(4) |> groupnorm(2)",
}
LOSSES = [
    "mse(y, g)", "mae(y, g)", "rmse(y, g)", "bce(y, g)", "huber(y, g)", "logcosh(y, g)",
    "gaussian_nll(y, g, x)", "poisson_nll(y, g)", "kl_normal(y, g)", "hinge(y, g)",
    "hinge2(y, g)", "cosine_loss(y, g)", "focal(y, g)", "cross_entropy_soft(y, g)",
]  # fmt: skip
CASES = [
    *((name, "x: [N, 4]", call) for name, call in LAYERS.items()),
    *((name, "x: [N, 3, 4]", call) for name, call in SEQUENCES.items()),
    *((name, "x: [N, 4, 4, 2]", call) for name, call in IMAGES.items()),
]


@pytest.mark.parametrize(("name", "x", "call"), CASES, ids=[case[0] for case in CASES])
def test_layers(name: str, x: str, call: str) -> None:
    """Each with the adjoint of its input, too: x is a parameter times a parameter."""
    called = re.sub(r"\bx\b", "v", call)
    text = f"input {x}\nparam s = 1\nv = s * x\ny = {called}\n"
    assert judged(every_level(text + "loss = mean(y^3) + mean(y * s)\n", {"N": 2}))


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: str) -> None:
    text = f"input x, g: [N, 3]\ny = dense(x, 3)\nloss = {loss}\n"
    assert judged(every_level(text, {"N": 3}))


RUN, PART = 60, 15
MATRICES = {
    "solve",
    "inv",
    "logdet",
    "cholesky",
    "half_lower",
}  # np.linalg has no objects


@pytest.mark.parametrize("start", range(0, RUN, PART))
def test_random_dags(start: int) -> None:
    undecided = 0
    for seed in range(start, start + PART):
        dag = random_dag(5000 + seed)
        ops = {n.op.name for n in dag.nodes}
        if ops & MATRICES:
            continue
        program, modules = program_of(dag), []
        for level in LEVELS:
            compiled = compile_program(program, Options(level=level))
            modules.append(Exact(compiled.source, compiled.signature, dag.sizes))
        at = {p.path: dag.leaves[p.node] for p in program.params}
        at |= {i.name: dag.leaves[i.node] for i in program.inputs}
        undecided += not judged(modules, not ops & {"stop", "drawn"}, at)
    assert undecided <= PART // 10


WRONG = [
    ("d_scores[np.arange(N), y] -= 1", "d_scores[np.arange(N), y] -= 0.999999"),
    ("d_loss / N", "d_loss"),
    ("d_loss / N", "d_loss / (N + 1)"),
    ("h.T @ d_scores", "h.T @ d_scores * (1 + 2**-40)"),
    ("* (h > 0)", "* 1"),
    ("* (h > 0)", "* (h > 0.5)"),
    ("d_scores.sum(axis=0)", "d_scores.mean(axis=0)"),
    ("d_scores @ W2.T", "-(d_scores @ W2.T)"),
    ("e / total", "e / e.sum()"),
]
EQUAL = [
    ("e / total", "e * (1 / total)"),
    ("x.T @ d_z", "(d_z.T @ x).T"),
    ("d_scores.sum(axis=0)", "np.ones(N) @ d_scores"),
]
MLP = """\
input x: [N, 3]
input y: int[N]
param W1: [3, 4] = he()
param b1: [4] = 0
param W2: [4, 3] = he()
param b2: [3] = 0
h = relu(x @ W1 + b1)
scores = h @ W2 + b2
loss = cross_entropy(scores, y)
"""


@pytest.mark.parametrize(("old", "new"), WRONG + EQUAL)
def test_a_wrong_backward_is_refused_and_another_form_is_not(
    old: str, new: str
) -> None:
    _, module, _ = every_level(MLP, {"N": 5})
    assert old in module.source
    changed = Exact(module.source.replace(old, new), module.signature, module.sizes)
    right = [outcome.slope_agrees() for outcome in compared([module, changed])]
    assert right == [True, (old, new) in EQUAL]


def test_numbers_of_a_source_are_what_they_were_before_they_were_rounded() -> None:
    third = pow(3, -1, P)
    assert constant(1 / 3) == third and constant(3 * 0.1) == constant(0.3)
    assert constant(3 * 0.044715) == 134145 * pow(10**6, -1, P) % P
    root = constant((2 / 3.141592653589793) ** 0.5)
    assert root**2 * constant(3.141592653589793) % P == 2
    assert constant((2 / 9) ** 0.5) * 3 % P == constant(2**0.5)
    assert constant(0.1234567890123) != constant(0.1234567890124)


def test_functions_have_their_identities() -> None:
    oracles.forget(1)
    x = Element(12345, 1, 0.3)
    two = oracles.exp(x + x)
    assert (oracles.exp(x) ** 2).value == two.value and two.tangent == 2 * two.value % P
    assert (oracles.exp(x) * oracles.exp(-x)).value == 1
    assert oracles.log(oracles.exp(x)).value == x.value
    sigmoid, half = 1 / (1 + oracles.exp(-x)), oracles.tanh(x / 2) / 2 + 0.5
    assert (sigmoid.value, sigmoid.tangent) == (half.value, half.tangent)
    s, c = oracles.sin(x), oracles.cos(x)
    assert (s * s + c * c).value == 1 and oracles.sin(-x).value == -s.value % P
    assert square_root(x.value) ** 2 % P in (x.value, -x.value % P)
    soft = oracles.log(1 + oracles.exp(x)) - x
    assert soft.value == oracles.log(1 + oracles.exp(-x)).value
