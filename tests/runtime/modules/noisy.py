"""A line with dropout and noise, that remembers the mean of what it has seen."""

import numpy as np

PARAMETERS = {"w": ("D",), "b": ()}
STATE = {"seen": ("D",)}


def init(rng, D):
    return {"w": rng.standard_normal(D), "b": np.array(1.0)}, {"seen": np.zeros(D)}


def forward(params, state, noise, x, y):
    w, b = params["w"], params["b"]
    N = len(y)
    keep = noise["keep"] < 0.75
    h = x * keep / 0.75
    e = h @ w + 0.1 * noise["eps"] * b - y
    loss = (e * e).mean()
    seen = 0.75 * state["seen"] + 0.25 * x.mean(axis=0)
    return loss, (h, e, noise["eps"], N), {"seen": seen}


def backward(saved, d_loss=1.0):
    h, e, eps, N = saved
    d_e = 2 * e * d_loss / N
    return {"w": h.T @ d_e, "b": 0.1 * (eps @ d_e)}


def evaluate(params, state, noise, x, y):
    w, b = params["w"], params["b"]
    e = (x - state["seen"]) @ w + 0.1 * noise["eps"] * b - y
    return {"loss": (e * e).mean()}


def predict(params, state, x):
    return {"p": (x - state["seen"]) @ params["w"]}
