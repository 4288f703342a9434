"""Small programs of unusual combinations, each at every level.

The values are held against the reference interpreter, the gradients against the complex step
of the emitted source (`Emitted.agrees`); float32 stays float32. What the reference can't
know, that lowering understood the text, `FORMULAS` says for some: the value of a loss or an
output by a formula in NumPy that was written from the text alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend.executing import Emitted, joint_of

from gradc.compiler.ir.program import Joint

HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in HERE.glob("*.net"))
LEVELS = (0, 1)


@cache
def joint(name: str) -> Joint:
    return joint_of((HERE / f"{name}.net").read_text(encoding="utf-8"))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients(name: str, level: int) -> None:
    module = Emitted(joint(name), level)
    module.agrees(1e-11)
    module.stays_single()
    if name in FORMULAS:
        what, formula = FORMULAS[name]
        function = "evaluate" if what == "loss" else "predict"
        want = formula(Given(module))
        np.testing.assert_allclose(module.call(function)[what], want, 1e-11, 1e-11)


class Given:
    """The inputs by name; parameters by path, a dot of which is written as `_`."""

    def __init__(self, module: Emitted) -> None:
        self.values = dict(module.inputs)
        self.values |= {k.replace(".", "_"): v for k, v in module.params.items()}

    def __getattr__(self, name: str) -> Any:
        return self.values[name]


def nested(v: Given) -> Any:
    n, rows, columns = v.x.shape
    s, means = np.zeros(n), []
    for a in range(rows):
        r = np.zeros(n)
        for b in range(columns):
            r = np.sin(r * v.w + v.x[:, a, b])
        s = s * v.w + r
        means.append(r)
    return np.mean(s**2) + np.mean(means)


def descent(v: Given) -> Any:
    s = v.x
    for _ in range(3):
        s = s - 0.1 * np.tanh(s @ v.W) @ v.W.T
    return s


def ints(v: Given) -> Any:
    i, x = v.i, v.x
    j = np.where(i > 1, i - 1, i + 1)
    k = np.maximum(i, 1) * 2 - i
    return x[np.arange(len(i)), j] * k + np.where(j == 0, 1, i)


def kernel(v: Given) -> Any:
    a, b = v.a, v.b
    k = np.exp(-v.s * ((a[:, None, :] - b[None, :, :]) ** 2).sum(-1))
    return k / k.sum(1, keepdims=True)


def parts(v: Given) -> Any:
    y = v.x * v.w
    a, b, c, d = y[:, -1, 1:5], y[:, 0, 2:], y[:, 0, :4], y[1:, -1, 2]
    e = y[:, -1, 2:]
    return np.sum(a * b) + np.sum(np.sin(c)) + np.sum(d**2) + np.sum(e * a)


def diagonals(v: Given) -> Any:
    dg = np.diagonal(v.A @ v.B, axis1=1, axis2=2)
    return np.array([d @ v.B @ d for d in dg])


def mixed(v: Given) -> Any:
    n = len(v.x)
    y = v.x.reshape(n, 2, 2, 3, 2)  # n a b c d
    u = np.zeros((n, 2, 2))
    for a in range(2):
        for d in range(2):
            u[:, a, d] = np.sum(y[:, a, :, :, d] * v.w, axis=(1, 2))
    return u.transpose(0, 2, 1).reshape(n, 4, 1)


def solved(v: Given) -> Any:
    A = [m @ m.T + 3 * np.eye(3) + v.W @ v.W.T for m in v.M]
    return np.array([np.linalg.inv(a) @ b for a, b in zip(A, v.v, strict=True)])


def swapped(v: Given) -> Any:
    n, steps = v.x.shape
    p, q = np.zeros(n), np.ones(n)
    for t in range(steps):
        before = p
        p = v.a * q + v.x[:, t] + 0.1 * p
        q = v.b * before + np.sin(p) - 0.2 * q
    return np.mean(p * q)


def chosen(v: Given) -> Any:
    n = len(v.x)
    i, s, z = np.zeros(n, int), np.zeros(n), v.x * v.w
    for _ in range(3):
        s = s + z[np.arange(n), i]
        i = z.argmax(1) - np.minimum(i, 0) * 2
    return s


def since(v: Given) -> Any:
    seen = np.logical_or.accumulate(v.x > 0.3, axis=1)
    return np.where(seen, v.w * v.x, 0).sum(1)


def associative(v: Given) -> Any:
    n, steps, _ = v.x.shape
    C, total = np.zeros((n, 2, 2)), []
    for t in range(steps):
        k = v.x[:, t]
        C = 0.9 * C + k[:, :, None] * (k @ v.W)[:, None, :]
        total.append((C * k[:, None, :]).sum(2))
    return np.mean(np.square(total))


def rooted(v: Given) -> Any:
    """h after two steps is h^(1/4) where that begins above 0, and h elsewhere."""
    h = v.x * v.a
    at = np.where(h > 0, h, 1)
    return np.where(h > 0, v.a * at**-0.75 / 4, v.a)


def squares(v: Given) -> Any:
    A = v.W * v.W.T + v.W
    return A + A.T  # c[i, j] = B[0, j, i] + B[1, j, i], which is symmetric


def waves(v: Given) -> Any:
    size = v.x.shape[1] // v.x.shape[0]
    return size * np.sin(v.x * v.w).sum() / len(v.x)


FORMULAS: dict[str, tuple[str, Callable[[Given], Any]]] = {
    "nested_for": ("loss", nested),
    "grad_inside_a_loop": ("s", descent),
    "where_of_ints": ("y", ints),
    "stretch_axes": ("n", kernel),
    "slices": ("loss", parts),
    "einsum_diagonals": ("q", diagonals),
    "rearrange_products": ("v", mixed),
    "solve_batched": ("s", solved),
    "two_carries_swap": ("loss", swapped),
    "int_carry": ("s", chosen),
    "bool_carry": ("s", since),
    "matrix_carry": ("loss", associative),
    "masked_in_loop": ("g", rooted),
    "square_transposes": ("c", squares),
    "solved_size": ("loss", waves),
}
