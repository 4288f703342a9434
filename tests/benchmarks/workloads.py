"""The workloads: a program, its data, what it costs by hand.

    work = WORKLOADS["W3"]
    parameters, data = prepare(work)       # by path, by input: the same for every contender

A name with a tail (`W3-tanh`) is a variant: other widths, depths or activations of the same
kind of network. What generated code gains on the first it must gain on these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NETS = Path(__file__).parent / "nets"
Data = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Workload:
    """`family` names models and the hand-written program, which takes `options`; `slices`
    are the ways to cut a batch that are tried by hand: (blocks a thread, threads)."""

    name: str
    title: str
    net: str
    family: str
    data: Callable[[np.random.Generator], Data]
    lr: float
    options: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, int] = field(default_factory=dict)
    slices: tuple[tuple[int, int], ...] = ((1, 1),)
    dtype: str = "float32"

    @property
    def path(self) -> Path:
        return NETS / self.net

    @property
    def constants(self) -> dict[str, str]:
        """The overrides as the compiler takes them."""
        return {name: str(value) for name, value in self.overrides.items()}


def images(rows: int, shape: tuple[int, ...], classes: int, dense: float) -> Any:
    """Pixels of which a share is not 0, and a class for each."""

    def draw(rng: np.random.Generator) -> Data:
        x = rng.random((rows, *shape))
        x[rng.random(x.shape) >= dense] = 0
        return {"x": x, "y": rng.integers(0, classes, rows)}

    return draw


def targets(rows: int, inputs: int, outputs: int) -> Any:
    """As images, with the class as a vector."""

    def draw(rng: np.random.Generator) -> Data:
        data: Data = images(rows, (inputs,), outputs, 0.2)(rng)
        return {"x": data["x"], "y": np.eye(outputs)[data["y"]]}

    return draw


def normals(rows: int, width: int) -> Any:
    def draw(rng: np.random.Generator) -> Data:
        return {
            "x": rng.standard_normal((rows, width)),
            "y": rng.standard_normal((rows, width)),
        }

    return draw


def bags(rows: int, steps: int, words: int, classes: int) -> Any:
    def draw(rng: np.random.Generator) -> Data:
        bag = rng.integers(0, words, (rows, steps))
        return {"bag": bag, "y": rng.integers(0, classes, rows)}

    return draw


def characters(rows: int, steps: int, vocab: int) -> Any:
    def draw(rng: np.random.Generator) -> Data:
        text = rng.integers(0, vocab, (rows, steps + 1))
        return {"text": text[:, :-1].copy(), "target": text[:, 1:].copy()}

    return draw


def _dense(*names: str, hidden: str, last: str = "") -> dict[str, Any]:
    """The layers of a perceptron: paths and activations."""
    kinds = [hidden] * (len(names) - 1) + [last]
    layers = [
        (f"{n}.dense.W", f"{n}.dense.b", k) for n, k in zip(names, kinds, strict=True)
    ]
    return {"layers": layers}


def _written(count: int, hidden: str, last: str = "") -> dict[str, Any]:
    kinds = [hidden] * (count - 1) + [last]
    return {"layers": [(f"W{i}", f"b{i}", k) for i, k in enumerate(kinds, 1)]}


GATES = ("tanh", "tanh", "gelu_tanh")
_LIST = [
    Workload(
        "W1", "784-30-10 sigmoid, quadratic cost, batch 10", "w1_sigmoid.net", "small",
        targets(10, 784, 10), 0.5, _written(2, "sigmoid", "sigmoid"),
    ),
    Workload(
        "W2", "784-128-10 relu, cross-entropy, batch 32", "w2_mlp.net", "mlp",
        images(32, (784,), 10, 0.2), 0.01, _written(2, "relu"),
    ),
    Workload(
        "W3", "784-1024-1024-10 relu, cross-entropy, batch 256", "w3_mlp.net", "mlp",
        images(256, (784,), 10, 0.2), 0.01, _written(3, "relu"), slices=((1, 1), (1, 2)),
    ),
    Workload(
        "W4", "three gated layers of 256, batch 4096", "w4_gated.net", "gated",
        normals(4096, 256), 10.0,
        {"layers": [(f"W{i}", f"b{i}", f"V{i}", f"c{i}", k) for i, k in enumerate(GATES, 1)]},
        slices=((1, 1), (4, 2), (8, 2)),
    ),
    Workload(
        "W5", "character RNN, hidden 128, T 32, batch 32", "w5_rnn.net", "rnn",
        characters(32, 32, 65), 0.1,
        {"layers": [("tanh", "Wx", "Wh", "bh")], "last": ("Wo", "bo")},
        slices=((1, 1), (1, 2)),
    ),
    Workload(
        "W6", "two convolutions 5×5, two dense layers, batch 64", "w6_cnn.net", "cnn",
        images(64, (28, 28, 1), 10, 0.5), 0.02, {"activation": "relu"},
        slices=((1, 1), (1, 2), (2, 2)),
    ),
    Workload(
        "W7", "GPT: 4 layers, 4 heads, 128 wide, block 64, batch 12", "w7_gpt.net", "gpt",
        characters(12, 64, 65), 0.05, {"depth": 4, "heads": 4},
        slices=((1, 1), (1, 2), (2, 2), (3, 2)),
    ),
    Workload(
        "W8", "-log σ(w₃ σ(w₂ σ(w₁ x))), single numbers", "w8_chain.net", "chain",
        lambda rng: {"x": np.array(0.9)}, 0.01, dtype="float64",
    ),
]  # fmt: skip
_VARIANTS = [
    Workload(
        "W1-tanh", "400-48-16-6 tanh, quadratic cost, batch 16", "w1_tanh.net", "small",
        targets(16, 400, 6), 0.5, _written(3, "tanh", "sigmoid"),
    ),
    Workload(
        "W2-deep", "500-96-96-96-96-20 relu, batch 48", "w2_deep.net", "mlp",
        images(48, (500,), 20, 0.2), 0.01,
        _dense("h", "h[0]", "h[1]", "h[2]", "scores", hidden="relu"),
    ),
    Workload(
        "W3-tanh", "512-640-640-640-32 tanh, batch 320", "w3_tanh.net", "mlp",
        images(320, (512,), 32, 0.2), 0.01,
        _dense("h", "h[0]", "h[1]", "scores", hidden="tanh"), slices=((1, 1), (1, 2)),
    ),
    Workload(
        "W4-deep", "four residual layers of 160, silu · sigmoid, batch 6000",
        "w4_deep.net", "gated", normals(6000, 160), 10.0,
        {
            "layers": [(*(f"h[{i}].gated.{p}" for p in "WbVd"), "silu") for i in range(4)],
            "residual": True,
        },
        slices=((1, 1), (4, 2), (8, 2)),
    ),
    replace(
        next(w for w in _LIST if w.name == "W5"), name="W5-wide",
        title="character RNN, hidden 192, vocabulary 40, T 48, batch 24",
        overrides={"hidden": 192, "vocab": 40}, data=characters(24, 48, 40),
    ),
    replace(
        next(w for w in _LIST if w.name == "W6"), name="W6-colour",
        title="convolutions 3×3 of 24 and 40 on 24×24×3, batch 48",
        overrides={"side": 24, "channels": 3, "kernel": 3, "first": 24, "second": 40},
        data=images(48, (24, 24, 3), 10, 0.5),
    ),
    replace(
        next(w for w in _LIST if w.name == "W7"), name="W7-wide",
        title="GPT: 2 layers, 6 heads, 192 wide, block 48, batch 16",
        overrides={"depth": 2, "heads": 6, "width": 192, "context": 48, "vocab": 90},
        data=characters(16, 48, 90),
        options={"depth": 2, "heads": 6},
    ),
    Workload(
        "W5-lstm", "character LSTM of the library, T 32, batch 32", "w5_lstm.net", "rnn",
        characters(32, 32, 65), 0.1,
        {
            "embed": "h.embed.E",
            "layers": [("lstm", "h.lstm.W", "h.lstm.U", "h.lstm.b")],
            "last": ("logits.dense.W", "logits.dense.b"),
        },
        slices=((1, 1), (1, 2)),
    ),
    Workload(
        "W5-two", "two layers of the library's RNN, T 32, batch 24", "w5_two.net", "rnn",
        characters(24, 32, 40), 0.1,
        {
            "embed": "h.embed.E",
            "layers": [("tanh", *(f"h.rnn{i}.{p}" for p in "WUb")) for i in (1, 2)],
            "last": ("logits.dense.W", "logits.dense.b"),
        },
        slices=((1, 1), (1, 2)),
    ),
    Workload(
        "W2-bag", "means of 40 of 5,000 words, 64-64-5 relu, batch 64", "w2_bag.net", "bag",
        bags(64, 40, 5000, 5), 0.1,
        {
            "names": [
                "h.embed.E", "h.dense.W", "h.dense.b", "scores.dense.W", "scores.dense.b",
            ],
        },
    ),
    Workload(
        "W3-residual", "four residual blocks of 192: layer norm, silu, batch 512",
        "w3_residual.net", "residual", images(512, (64,), 10, 1.0), 0.05, {"depth": 4},
        slices=((1, 1), (1, 2), (2, 2)),
    ),
    Workload(
        "W6-padded", "convolutions 3×3 with padding, 32 and 64 channels, batch 64",
        "w6_padded.net", "cnn", images(64, (28, 28, 1), 10, 0.5), 0.02,
        {"activation": "relu", "same": True}, slices=((1, 1), (1, 2), (2, 2)),
    ),
    Workload(
        "W6-same", "convolutions with padding, tanh, batch 64", "w6_same.net", "cnn",
        images(64, (24, 24, 3), 10, 0.5), 0.02, {"activation": "tanh", "same": True},
        slices=((1, 1), (1, 2), (2, 2)),
    ),
    Workload(
        "W7-library", "two of the library's transformer blocks, batch 16",
        "w7_library.net", "gpt", characters(16, 48, 50), 0.05,
        {"depth": 2, "heads": 6, "biased": True}, slices=((1, 1), (1, 2), (2, 2), (4, 2)),
    ),
]  # fmt: skip
WORKLOADS = {work.name: work for work in _LIST + _VARIANTS}
MAIN = tuple(work.name for work in _LIST)


def prepare(work: Workload) -> tuple[dict[str, NDArray[Any]], Data]:
    """Start values by path, as the program's initialisers draw them, and a batch."""
    from gradc.compiler import Options, compile_file
    from gradc.network import Network

    compiled = compile_file(work.path, Options(overrides=work.constants))
    network = Network(compiled.source, compiled.signature)
    parameters = {
        k: v.copy() for k, v in network.views(network.init(0, np.float64)).items()
    }
    return parameters, work.data(np.random.default_rng(0))
