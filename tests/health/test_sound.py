"""Sound nets, fresh and trained: nothing is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnosing import findings, report, trained

ROOT = Path(__file__).parent.parent.parent
EXAMPLES, SAMPLES = ROOT / "examples", ROOT / "tests" / "samples"


MORE = pytest.mark.more
FRESH = [
    pytest.param("digits/digits"),
    pytest.param("digits/digits", "--seed", "5", "--batches", "1"),  # dead by chance
    pytest.param("digits/nielsen", marks=MORE),
    pytest.param("digits/cnn", "--batches", "1"),
    pytest.param("iris/iris"),
    pytest.param("logistic/logistic"),
    pytest.param("relu_mlp/relu_mlp", "--seed", "3"),
    pytest.param("chain/chain"),
    pytest.param("char_rnn/char_rnn", "--batches", "1", marks=MORE),
    pytest.param(
        "gpt/gpt",
        *("--batches", "1", "--set", "context=16", "--set", "width=16"),
        *("--set", "heads=2", "--set", "depth=2", "--set", "train.batch=8"),
    ),
]


@pytest.mark.parametrize(
    "words", [pytest.param(p.values, marks=p.marks) for p in FRESH]
)
def test_fresh_examples(words: tuple[str, ...]) -> None:
    name, *flags = words
    assert findings(EXAMPLES / f"{name}.net", *flags) == []


SMALL = {
    "06_cnn": ("--size", "N=4", "--batches", "2"),
    "07_char_lstm": ("--size", "T=6", "--size", "N=9", "--set", "width=16"),
    "08_nanogpt": (
        *("--size", "T=12", "--size", "N=8"),
        *("--set", "width=24", "--set", "depth=3"),
    ),
    "11_rbm": ("--size", "N=16", "--batches", "2"),
    "15_two_heads": ("--size", "N=4", "--batches", "1"),
    "09_vae": ("--size", "N=32", "--batches", "2"),
    "14_gan": ("--size", "N=32", "--batches", "2"),
}
LARGE = ("06_cnn", "14_gan", "15_two_heads")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, marks=[MORE] if p.stem in LARGE else [], id=p.stem)
        for p in sorted(SAMPLES.glob("[01]*.net"))
    ],
)
def test_samples_on_drawn_data(path: Path) -> None:
    found = findings(path, *SMALL.get(path.stem, ()))
    if path.stem == "05_nielsen":  # 784 normal numbers times weights of deviation 1
        assert found == [("saturated-units", 7)]
    else:
        assert found == []


def test_trained_classifiers(tmp_path: Path) -> None:
    run = trained(EXAMPLES / "digits/digits.net", tmp_path / "a", "--epochs", "12")
    document = report(run)
    assert document["trained"] and document["findings"] == []
    assert report(run, "--weights", "last")["findings"] == []
    run = trained(EXAMPLES / "digits/nielsen.net", tmp_path / "b", "--epochs", "2")
    assert findings(run, "--batches", "8") == []
    run = trained(EXAMPLES / "iris/iris.net", tmp_path / "c")
    assert findings(run) == []


@pytest.mark.more
def test_a_trained_convolutional_net(tmp_path: Path) -> None:
    run = trained(EXAMPLES / "digits/cnn.net", tmp_path, "--epochs", "1")
    assert findings(run, "--batches", "3") == []


LSTM = """const width = 24
input text:   int[N, T]
input target: int[N, T]
h = text |> embed(40, 12) |> lstm(width)
z = dense(h, 40)
loss = cross_entropy(z, target)
train {
  data target = next(text); data text = "text.txt"; window T = 16
  optimizer = adam(lr = 1e-2); batch = 16; steps = 30; clip = 5.0
}
"""


def test_an_lstm_fresh_and_trained(tmp_path: Path) -> None:
    words = "the quick brown fox jumps over the lazy dog and runs away from it all. "
    (tmp_path / "text.txt").write_text(words * 60)
    path = tmp_path / "lstm.net"
    path.write_text(LSTM)
    assert findings(path, "--batches", "2") == []
    run = trained(path, tmp_path / "runs")
    assert findings(run, "--batches", "2") == []


AUTOENCODER = """input x: [N, 12]
z = x |> dense(16, tanh) |> dense(3)
y = z |> dense(16, tanh) |> dense(12)
loss = mse(y, x)
output z, y
train { data x = "x.npz"; optimizer = adam(lr = 1e-2); batch = 20; epochs = 30 }
"""


def test_an_autoencoder_fresh_and_trained(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(200, 3))
    np.savez(tmp_path / "x.npz", x=np.tanh(hidden @ rng.normal(size=(3, 12))))
    path = tmp_path / "code.net"
    path.write_text(AUTOENCODER)
    assert findings(path) == []
    assert findings(trained(path, tmp_path / "runs")) == []


@pytest.mark.parametrize(
    "text",
    [
        # A branch that starts at 0 (its first weight has no gradient yet).
        "h = dense(x, 16, tanh)\nb = dense(dense(h, 4), 16, init = 0)\nz = dense(h + b, 3)",
        # A last layer that starts at 0.
        "h = dense(x, 16, leaky_relu)\nz = dense(h, 3, init = 0)",
        "h = layernorm(dense(x, 16, relu)) |> dropout(0.5)\nz = dense(h, 3)",
        "h = dense(x, 2, relu)\nz = dense(h, 3)",
        "h = dense(x, 64, relu6)\ng = sigmoid(dense(x, 64) - 2)\nz = dense(g * h, 3)",
        "h = dense(x, 24)\nrepeat 12 { h = h + dense(relu(h), 24) / 6 }\nz = dense(h, 3)",
        "h = dense(x, 24, tanh)\nrepeat 12 { h = dense(h, 24, tanh) }\nz = dense(h, 3)",
        "h = dense(x, 24, selu)\nrepeat 4 { h = dense(h, 24, sigmoid) }\nz = dense(h, 3)",
    ],
)
@pytest.mark.parametrize("seed", ["0", pytest.param("1", marks=MORE)])
def test_sound_architectures(text: str, seed: str, tmp_path: Path) -> None:
    path = tmp_path / "sound.net"
    path.write_text(
        f"input x: [N, 10]\ninput label: int[N]\n{text}\nloss = cross_entropy(z, label)\n"
    )
    assert findings(path, "--seed", seed) == []


SEQUENCE = """input x: [N, 28, 6]
input label: int[N]
h = lstm(x, 16)
z = dense(h[:, -1], 4)
loss = cross_entropy(z, label)
"""


def test_a_sequence_whose_end_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "rows.net"
    path.write_text(SEQUENCE)
    assert findings(path, "--batches", "1") == []
    path.write_text(SEQUENCE.replace("lstm", "rnn"))
    assert findings(path, "--batches", "1") == []
