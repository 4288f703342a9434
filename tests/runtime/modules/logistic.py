"""Forward and backward passes of logistic.net: D comes from the data."""

import numpy as np

PARAMETERS = {"w": ("D",), "b": ()}


def init(rng, D):
    """Return the first values of the parameters."""
    return {"w": np.zeros((D,)), "b": 0.0}


def forward(params, x, y):
    """Return the loss and the saved values that backward reads."""
    w, b = params["w"], params["b"]

    # z = x @ w + b                                                        logistic.net:9
    z = x @ w + b  # (N,)

    # loss nll = mean(softplus(z) - y * z)                                logistic.net:10
    nll = (np.logaddexp(0, z) - y * z).mean()

    # loss penalty = decay * sum(w^2)                                     logistic.net:11
    penalty = 0.01 * (w * w).sum()
    return nll + penalty, (x, y, w, z)


def backward(saved, d_loss=1.0):
    """Return the adjoint of every parameter."""
    x, y, w, z = saved
    N = x.shape[0]
    d_w = 0.02 * d_loss * w  # (D,)
    d_z = (0.5 * (1 + np.tanh(z / 2)) - y) * (d_loss / N)  # (N,)
    d_w += x.T @ d_z
    d_b = d_z.sum()
    return {"w": d_w, "b": d_b}


def evaluate(params, x, y):
    """Return the loss, each named loss and the metrics."""
    w, b = params["w"], params["b"]
    z = x @ w + b
    nll = (np.logaddexp(0, z) - y * z).mean()
    penalty = 0.01 * (w * w).sum()
    accuracy = ((z > 0) == (y > 0.5)).mean()
    return {"loss": nll + penalty, "nll": nll, "penalty": penalty, "accuracy": accuracy}


def predict(params, x):
    """Return the outputs."""
    w, b = params["w"], params["b"]
    z = x @ w + b
    return {"p": 0.5 * (1 + np.tanh(z / 2))}
