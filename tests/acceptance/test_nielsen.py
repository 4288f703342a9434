"""Nielsen's network: gradc's gradients follow backpropagation written out by hand.

The hand-written side is the algorithm of chapter 2 of "Neural Networks and Deep Learning"
(the four equations BP1 to BP4), one example at a time, on column vectors, in
float64. Both sides start from the same weights and see the same mini-batches.
"""

from __future__ import annotations

import numpy as np

import gradc

NET = """
const hidden = 30
input x: [N, 784]
input digit: int[N]
a = x |> dense(hidden, sigmoid, init = normal(0, 1))
      |> dense(10,     sigmoid, init = normal(0, 1))
loss C = sum((one_hot(digit, 10) - a)^2) / (2 * N)
train { optimizer = sgd(lr = 3.0); batch = 10; dtype = float64 }
"""
RATE = 3.0


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def backprop(weights, biases, x, y):
    """The gradient of the quadratic cost of one example, by BP1 to BP4."""
    activations, zs = [x], []
    for w, b in zip(weights, biases, strict=True):
        zs.append(w @ activations[-1] + b)
        activations.append(sigmoid(zs[-1]))
    prime = [sigmoid(z) * (1 - sigmoid(z)) for z in zs]
    delta = (activations[-1] - y) * prime[-1]  # BP1
    nabla_w, nabla_b = [], []
    for layer in reversed(range(len(weights))):
        nabla_b.insert(0, delta)  # BP3
        nabla_w.insert(0, delta @ activations[layer].T)  # BP4
        if layer:
            delta = (weights[layer].T @ delta) * prime[layer - 1]  # BP2
    return nabla_w, nabla_b


def test_one_hundred_mini_batches_follow_nielsens_backprop() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((1000, 784))
    digit = rng.integers(0, 10, 1000)
    net = gradc.compile(NET)
    theta = net.init(seed=0)
    views = net.views(theta)
    paths = ["a.dense1.W", "a.dense2.W", "a.dense1.b", "a.dense2.b"]
    weights = [views[p].T.copy() for p in paths[:2]]
    biases = [views[p][:, None].copy() for p in paths[2:]]
    assert theta.dtype == np.float64

    for step in range(100):
        batch = rng.permutation(1000)[:10] if step else np.arange(10)
        _, nabla = net.value_and_grad(theta, x=x[batch], digit=digit[batch])
        theta -= RATE * nabla

        sums_w = [np.zeros_like(w) for w in weights]
        sums_b = [np.zeros_like(b) for b in biases]
        for i in batch:
            target = np.zeros((10, 1))
            target[digit[i]] = 1
            nabla_w, nabla_b = backprop(weights, biases, x[i][:, None], target)
            sums_w = [s + n for s, n in zip(sums_w, nabla_w, strict=True)]
            sums_b = [s + n for s, n in zip(sums_b, nabla_b, strict=True)]
        weights = [w - RATE / 10 * s for w, s in zip(weights, sums_w, strict=True)]
        biases = [b - RATE / 10 * s for b, s in zip(biases, sums_b, strict=True)]

    found = net.views(theta)
    for path, w in zip(paths[:2], weights, strict=True):
        np.testing.assert_allclose(found[path].T, w, rtol=0, atol=1e-12)
    for path, b in zip(paths[2:], biases, strict=True):
        np.testing.assert_allclose(found[path][:, None], b, rtol=0, atol=1e-12)
