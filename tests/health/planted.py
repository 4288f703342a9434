"""Programs with one planted fault each: which finding it is, and on which line.

A program draws its data unless it names a file, which `feed` writes. The line of the fault is the
one with the mark `# HERE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Feed = Callable[[Path, np.random.Generator], None]


@dataclass(frozen=True)
class Fault:
    """A program and what is wrong with it."""

    name: str
    id: str
    text: str
    feed: Feed | None = None
    settings: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    also: frozenset[str] = field(default_factory=frozenset)  # what follows from it

    @property
    def line(self) -> int:
        """The line with the mark."""
        lines = self.text.split("\n")
        return 1 + next(k for k, text in enumerate(lines) if "# HERE" in text)

    def write(self, folder: Path, seed: int = 0) -> Path:
        """The program in a folder, with its data."""
        path = folder / f"{self.name}.net"
        path.write_text(self.text, encoding="utf-8")
        if self.feed is not None:
            self.feed(folder, np.random.default_rng(seed))
        return path


def pixels(folder: Path, rng: np.random.Generator) -> None:
    """Grey values from 0 to 255, and ten classes."""
    image = rng.integers(0, 256, (300, 60)) * (rng.random((300, 60)) < 0.4)
    label = rng.integers(0, 4, 300)
    np.savez(folder / "pixels.npz", x=image.astype(float), label=label)


def few_words(folder: Path, rng: np.random.Generator) -> None:
    """Words below 12, where the table has 40."""
    word = rng.integers(0, 12, (400, 5))
    np.savez(folder / "words.npz", word=word, label=word.sum(axis=1) % 3)


def zeros(folder: Path, rng: np.random.Generator) -> None:
    """Counts, some of which are 0."""
    x = rng.poisson(2.0, (200, 6)).astype(float)
    np.savez(folder / "counts.npz", x=x, y=x.sum(axis=1))


HEAD = "input x: [N, 20]\ninput label: int[N]\n"
CLOSE = "\nloss = cross_entropy(z, label)\n"

FAULTS = [
    Fault(
        "dead_bias",
        "dead-units",
        """input x: [N, 24]
input label: int[N]
param W: [24, 48] = he()
param b: [48] = -40
h = relu(x @ W + b) # HERE
z = dense(h, 5)
loss = cross_entropy(z, label)
""",
    ),
    Fault(
        "dead_inner",
        "dead-units",
        """input x: [N, 10]
input y: [N]
h1 = dense(x, 30, gelu)
param b: [30] = -25
h2 = max(0, dense(h1, 30) + b) # HERE
h3 = dense(h2, 16, relu)
loss = mse(dense(h3, 1)[:, 0], y)
""",
    ),
    Fault(
        "dead_channels",
        "dead-units",
        """input image: [N, 10, 10, 2]
input label: int[N]
param shift: [8] = -30
c = relu(conv(image, 8) + shift) # HERE
z = c |> maxpool |> flatten |> dense(3)
loss = cross_entropy(z, label)
""",
    ),
    Fault(
        "sigmoid_huge_init",
        "saturated-units",
        HEAD
        + "h = dense(x, 40, sigmoid, init = normal(0, 8)) # HERE\nz = dense(h, 6)"
        + CLOSE,
    ),
    Fault(
        "tanh_deep",
        "saturated-units",
        HEAD + """h1 = dense(x, 32, tanh)
h2 = dense(h1, 32, tanh, init = normal(0, 4)) # HERE
h3 = dense(h2, 32, tanh)
z = dense(h3, 6)""" + CLOSE,
    ),
    Fault(
        "hardsigmoid_steep",
        "saturated-units",
        HEAD + "h = hardsigmoid(60 * dense(x, 25)) # HERE\nz = dense(h, 6)" + CLOSE,
    ),
    Fault(
        "pixels_into_tanh",
        "unscaled-input",
        """input x: [N, 60]
input label: int[N]
h = dense(x, 32, tanh) # HERE
z = dense(h, 4)
loss = cross_entropy(z, label)
train { data = "pixels.npz"; batch = 50 }
""",
        pixels,
        also=frozenset({"saturated-units"}),
    ),
    Fault(
        "twelve_sigmoids",
        "vanishing-gradient",
        HEAD + """h = dense(x, 30, sigmoid) # HERE
repeat 11 { h = dense(h, 30, sigmoid) }
z = dense(h, 6)""" + CLOSE,
    ),
    Fault(
        "small_tanh",
        "vanishing-gradient",
        HEAD + """h = dense(x, 30, tanh, init = normal(0, 0.02)) # HERE
repeat 6 { h = dense(h, 30, tanh, init = normal(0, 0.02)) }
z = dense(h, 6)""" + CLOSE,
    ),
    Fault(
        "large_relus",
        "exploding-gradient",
        HEAD + """h = dense(x, 40, relu, init = normal(0, 1)) # HERE
repeat 7 { h = dense(h, 40, relu, init = normal(0, 1)) }
z = dense(h, 6)""" + CLOSE,
    ),
    Fault(
        "growing",
        "exploding-activations",
        HEAD + """h = dense(x, 64, relu)
h = dense(h, 64, leaky_relu, init = normal(0, 3))
h = dense(h, 64, relu, init = normal(0, 3)) # HERE
z = dense(h, 6)""" + CLOSE,
    ),
    Fault(
        "long_recurrence",
        "exploding-through-time",
        """input x: [N, 60, 4]
input y: [N]
param W: [4, 16] = glorot()
param U: [16, 16] = normal(0, 0.4)
h: [N, 16] = 0
for t in 60 {
  h = x[:, t] @ W + h @ U # HERE
}
loss = mse(dense(h, 1)[:, 0], y)
""",
    ),
    Fault(
        "forgetful",
        "fading-through-time",
        """input x: [N, 40, 4]
input y: [N]
param W: [4, 16] = glorot()
param U: [16, 16] = normal(0, 0.03)
h: [N, 16] = 0
for t in 40 {
  h = tanh(x[:, t] @ W + h @ U) # HERE
}
loss = mse(dense(h, 1)[:, 0], y)
""",
    ),
    Fault(
        "stopped",
        "dead-parameter",
        """input x: [N, 8]
input y: [N]
param W: [8, 12] = glorot() # HERE
h = tanh(x @ stop(W))
loss = mse(dense(h, 1)[:, 0], y)
""",
    ),
    Fault(
        "masked",
        "dead-parameter",
        """input x: [N, 8]
input y: [N]
param V: [8, 12] = glorot() # HERE
param W: [8, 12] = glorot()
mask = where(x > 100, 1, 0)
h = tanh(x @ W) + tanh((mask * x) @ V)
loss = mse(dense(h, 1)[:, 0], y)
""",
    ),
    Fault(
        "constant_init",
        "symmetric-units",
        """input x: [N, 8]
input y: [N]
param W1: [8, 12] = 0.3 # HERE
param W2: [12, 1] = 0.5
h = tanh(x @ W1)
loss = mse((h @ W2)[:, 0], y)
""",
    ),
    Fault(
        "twin_channels",
        "symmetric-units",
        """input image: [N, 8, 8, 1]
input y: [N]
param K: [3, 3, 1, 6] = 0.1 # HERE
param v: [6] = 1
c = relu(conv2d(image, K))
loss = mse(mean(c, axis = [1, 2]) @ v, y)
""",
    ),
    Fault(
        "huge_scores",
        "saturated-softmax",
        HEAD + """h = dense(x, 32, relu)
z = dense(h, 6, init = normal(0, 20))
loss = cross_entropy(z, label) # HERE
""",
    ),
    Fault(
        "unscaled_attention",
        "saturated-softmax",
        """input x: [N, 12, 16]
input y: [N]
q = linear(x, 16, init = normal(0, 2))
k = linear(x, 16, init = normal(0, 2))
v = linear(x, 16)
a = softmax(q @ k') @ v # HERE
loss = mse(dense(mean(a, axis = 1), 1)[:, 0], y)
""",
    ),
    Fault(
        "log_of_zero",
        "non-finite",
        """input x: [N, 6]
input y: [N]
f = log(x) # HERE
h = dense(f, 10, tanh)
loss = mse(dense(h, 1)[:, 0], y)
train { data = "counts.npz" }
""",
        zeros,
    ),
    Fault(
        "root_of_zero",
        "non-finite",
        """input x: [N, 6]
input y: [N]
h = dense(x, 10, relu)
r = sqrt(h) # HERE
loss = mse(dense(r, 1)[:, 0], y)
""",
    ),
    Fault(
        "words_that_are_not",
        "unused-rows",
        """input word: int[N, 5]
input label: int[N]
e = embed(word, 40, 8) # HERE
z = dense(mean(e, axis = 1), 3)
loss = cross_entropy(z, label)
train { data = "words.npz" }
""",
        few_words,
    ),
    Fault(
        "norm_of_one",
        "flat-norm",
        """input x: [N, 8]
input y: [N]
h = dense(x, 12, tanh)
m = mean(h, axis = -1, keep = true)
n = layernorm(m) # HERE
loss = mse(dense(concat(n, h), 1)[:, 0], y)
""",
        also=frozenset({"dead-parameter"}),
    ),
    Fault(
        "closed_highway",
        "closed-gate",
        """input x: [N, 16]
input label: int[N]
param b: [16] = -12
h = dense(x, 16, tanh)
g = sigmoid(dense(x, 16) + b) # HERE
z = dense(g * h, 4)
loss = cross_entropy(z, label)
""",
    ),
    Fault(
        "closed_lstm",
        "closed-gate",
        """input x: [N, 12, 4]
input y: [N, 12]
h: [N, 10] = 0
c: [N, 10] = 0
for t in 12 {
  i, f, g = split(dense(concat(x[:, t], h), 30), 3)
  c = sigmoid(f) * c + sigmoid(i - 12) * tanh(g) # HERE
  h = tanh(c)
  out[:, t] = dense(h, 1)[:, 0]
}
loss = mse(out, y)
""",
    ),
    Fault(
        "great_rate",
        "large-step",
        HEAD
        + "h = dense(x, 32, relu)\nz = dense(h, 6)"
        + CLOSE
        + "train { optimizer = sgd(lr = 500) } # HERE\n",
    ),
    Fault(
        "tiny_rate",
        "small-step",
        HEAD
        + "h = dense(x, 32, relu)\nz = dense(h, 6)"
        + CLOSE
        + "train { optimizer = sgd(lr = 1e-9) } # HERE\n",
    ),
    Fault(
        "unread",
        "ignored-input",
        """input x: [N, 8]
input extra: [N, 3] # HERE
input y: [N]
h = dense(x, 12, tanh)
q = where(abs(extra) > 1e9, 1, 0)
loss = mse(dense(h, 1)[:, 0], y) + sum(q)
""",
    ),
    Fault(
        "wrong_side",
        "saturated-units",
        """input x: [N, 12]
input digit: int[N]
h = dense(x, 20, tanh)
a = dense(h, 5, sigmoid, init = normal(0, 12)) # HERE
loss = mse(a, one_hot(digit, 5))
""",
    ),
]
