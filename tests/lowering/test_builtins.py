"""Primitive functions against NumPy and SciPy, through the reference interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special as sp
from texts import value

rng = np.random.default_rng(3)
X = rng.normal(size=(3, 4))
V = rng.normal(size=(4,))
I = np.array([2, 0, 3])
Q = rng.normal(size=(3, 4, 2))
TEXT = (
    "const two = 2\ninput x: [N, 4]\ninput v: [4]\ninput i: int[N]\ninput q: [N, 4, 2]\n"
    "output y = {} + 0 * sum(x) + 0 * sum(v) + 0 * sum(i) + 0 * sum(q)"
)

CASES: dict[str, Any] = {
    "exp(x)": np.exp(X),
    "expm1(x)": np.expm1(X),
    "log(x^2)": np.log(X**2),
    "log1p(x^2)": np.log1p(X**2),
    "sqrt(abs(x))": np.sqrt(abs(X)),
    "sin(x) * cos(x)": np.sin(X) * np.cos(X),
    "tanh(x)": np.tanh(X),
    "sigmoid(x)": sp.expit(X),
    "σ(x)": sp.expit(X),
    "softplus(x)": np.logaddexp(X, 0),
    "erf(x)": sp.erf(X),
    "tan(x)": np.tan(X),
    "arcsin(x / 9) - arccos(x / 9)": np.arcsin(X / 9) - np.arccos(X / 9),
    "arctan(x)": np.arctan(X),
    "sinh(x) / cosh(x)": np.tanh(X),
    "normal_cdf(x)": sp.ndtr(X),
    "lgamma(x^2 + 2)": sp.gammaln(X**2 + 2),
    "digamma(x^2)": sp.digamma(X**2),
    "trigamma(x^2)": sp.polygamma(1, X**2),
    "sign(x)": np.sign(X),
    "floor(x)": np.floor(X),
    "x^3": X**3,
    "x^-1": 1 / X,
    "2^x": 2**X,
    "abs(x)^x": abs(X) ** X,
    "two^two^3": 2**8,
    "-x^2": -(X**2),
    "x - 1 - 2": X - 3,
    "x / 2 / 4 * 3": X / 8 * 3,
    "pi * x": np.pi * X,
    "where(x > 0, x, 0.1 * x)": np.where(X > 0, X, 0.1 * X),
    "max(x, 0)": np.maximum(X, 0),
    "min(x, v)": np.minimum(X, V),
    "max(x, axis = 0)": X.max(0),
    "min(x, axis = 1)": X.min(1),
    "max(x)": X.max(),
    "mean(x)": X.mean(),
    'mean(q, "... c -> c")': Q.mean((0, 1)),
    'sum(q, "a b c -> c a")': Q.sum(1).T,
    'max(q, "a b c -> b")': Q.max((0, 2)),
    "sum(q, axis = [0, -1])": Q.sum((0, 2)),
    "sum(x, axis = 1, keep = true) * x": X.sum(1, keepdims=True) * X,
    "prod(x, axis = 1)": X.prod(1),
    "prod(v)": V.prod(),
    "logsumexp(x)": sp.logsumexp(X, axis=-1),
    "logsumexp(x, axis = 0)": sp.logsumexp(X, axis=0),
    'logsumexp(q, "a b c -> a")': sp.logsumexp(Q, axis=(1, 2)),
    "softmax(x)": sp.softmax(X, axis=-1),
    "softmax(x, axis = 0)": sp.softmax(X, axis=0),
    "cumsum(x)": X.cumsum(-1),
    "cumsum(x, axis = 0)": X.cumsum(0),
    "sort(x)": np.sort(X, -1),
    "sort(x, axis = 0)": np.sort(X, 0),
    "where(argmax(x) == 2, 1, 0)": (X.argmax(-1) == 2) * 1,
    "where(argmax(x, axis = 0) > 0, 1, 0)": (X.argmax(0) > 0) * 1,
    "where(any(x > 0, axis = 1), 1, 0)": (X > 0).any(1) * 1,
    "where(all(x > 0), 1, 0)": (X > 0).all() * 1,
    "sum(x > 0)": (X > 0).sum(),
    "mean(x > 0, axis = 0)": (X > 0).mean(0),
    "where(not (x > 0) and x < 1 or x > 2, 1, 0)": ((~(X > 0) & (X < 1)) | (X > 2)) * 1,
    "where((x > 0) == (v > 0), 1, 0)": ((X > 0) == (V > 0)) * 1,
    "where((x > 0) != (v > 0), 1, 0)": ((X > 0) != (V > 0)) * 1,
    "where(i >= two, 1, 0)": (I >= 2) * 1,
    "where(i != 0, i, -1)": np.where(I != 0, I, -1),
    "i / 2": I / 2,
    "i^2": I**2,
    "i * 0.5 + i": I * 1.5,
    "sum(i)": I.sum(),
    "mean(i)": I.mean(),
    "max(i)": 3,
    "one_hot(i, 4)": np.eye(4)[I],
    "pick(x, i)": X[range(3), I],
    "pick(x, 1)": X[:, 1],
    "x @ v": X @ V,
    "v @ x'": V @ X.T,
    "x' @ x": X.T @ X,
    "q @ q'": Q @ Q.swapaxes(-1, -2),
    "q @ q[0, 0]": Q @ Q[0, 0],
    "concat(x, x[:, 0:1], axis = 1)": np.concatenate([X, X[:, :1]], 1),
    "concat(v, v)": np.concatenate([V, V]),
    "stack(v, 2 * v)": np.stack([V, 2 * V], -1),
    "stack(v, 2 * v, axis = 0)": np.stack([V, 2 * V], 0),
    "flip(x)": X[:, ::-1],
    "flip(x, axis = 0)": X[::-1],
    "flip(x, axis = [0, 1])": X[::-1, ::-1],
    "pad(x, 1, 2)": np.pad(X, ((0, 0), (1, 2))),
    "pad(x, two, 0, axis = 0)": np.pad(X, ((2, 0), (0, 0))),
    "reshape(q, [N, -1])": Q.reshape(3, 8),
    "reshape(x, [2, 2, N])": X.reshape(2, 2, 3),
    'rearrange(q, "n t c -> c n t")': Q.transpose(2, 0, 1),
    'rearrange(q, "n t c -> n (c t)")': Q.transpose(0, 2, 1).reshape(3, 8),
    'rearrange(x, "n (a b) -> b n a", a = 2)': X.reshape(3, 2, 2).transpose(2, 0, 1),
    'rearrange(q, "... c -> c ...")': Q.transpose(2, 0, 1),
    'einsum("ntc, nt -> c", q, x)': np.einsum("ntc,nt->c", Q, X),
    'einsum("n t c, m t c -> n m", q, q)': np.einsum("ntc,mtc->nm", Q, Q),
    'einsum("ij, j, ij -> i", x, v, x)': np.einsum("ij,j,ij->i", X, V, X),
    'einsum("ij -> ji", x)': X.T,
    'einsum("ij -> ", x)': X.sum(),
    'einsum("ii -> i", x @ x\')': np.diag(X @ X.T),
    'einsum("ii -> ", x @ x\')': np.trace(X @ X.T),
    'einsum("nii, i -> n", q @ q\', v)': np.einsum("nii,i->n", Q @ Q.swapaxes(1, 2), V),
    "solve(x @ x' + x @ x', x)": np.linalg.solve(2 * X @ X.T, X),
    "solve(x @ x', x[:, 0])": np.linalg.solve(X @ X.T, X[:, 0]),
    "solve(q' @ q, q[:, 0, :])": np.linalg.solve(
        Q.swapaxes(1, 2) @ Q, Q[:, 0, :, None]
    )[..., 0],
    "cholesky(x @ x')": np.linalg.cholesky(X @ X.T),
    "cholesky(q' @ q)": np.linalg.cholesky(Q.swapaxes(1, 2) @ Q),
    "logdet(x @ x')": np.linalg.slogdet(X @ X.T)[1],
    "logdet(q' @ q)": np.linalg.slogdet(Q.swapaxes(1, 2) @ Q)[1],
    "x[:, *, :] * x[*, :, :]": X[:, None] * X[None],
    "v * [1, 2, 3, 4]": V * [1, 2, 3, 4],
    "where(causal_mask(4), v, 0)": np.where(np.tril(np.ones((4, 4))) > 0, V, 0),
    "stop(x) * x": X * X,
}


@pytest.mark.parametrize("expression", CASES)
def test_like_numpy(expression: str) -> None:
    found = value(TEXT.format(expression), x=X, v=V, i=I, q=Q)
    expected = CASES[expression]
    assert np.shape(found) == np.shape(expected)
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_split() -> None:
    text = (
        "input x: [N, 4]\na, b = split(x, 2)\n"
        "c, d, e = split(x, 3, axis = 0)\noutput y = a - 2 * b + sum(c + d * e)"
    )
    expected = X[:, :2] - 2 * X[:, 2:] + (X[0] + X[1] * X[2]).sum()
    assert np.allclose(value(text, x=X), expected)


def test_axes_by_one_hot_and_take_agree() -> None:
    text = "input E: [5, 2]\ninput i: int[N]\noutput y = one_hot(i, 5) @ E - E[i]"
    assert np.array_equal(value(text, E=rng.normal(size=(5, 2)), i=I), np.zeros((3, 2)))
