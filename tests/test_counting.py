"""The counting arrays count what a pencil would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from counting import counted, counting, plain

A, B, V = np.ones((3, 4)), np.ones((4, 5)), np.ones(4)
Case = tuple[Callable[..., Any], tuple[Any, ...], int]

CASES: dict[str, Case] = {
    "add": (lambda a: a + 1, (A,), 12),
    "scalar": (lambda a: 2.0 * a, (np.array(3.0),), 1),
    "two operations": (lambda a: np.exp(a) * a, (A,), 24),
    "broadcast": (lambda a, v: a + v, (A, V), 12),
    "in place": (lambda a: a.__imul__(2), (A.copy(),), 12),
    "sum": (lambda a: a.sum(axis=0), (A,), 12),
    "max": (lambda a: a.max(axis=1, keepdims=True), (A,), 12),
    "mean": (lambda a: a.mean(axis=0), (A,), 12 + 4),
    "matmul": (lambda a, b: a @ b, (A, B), 2 * 3 * 4 * 5),
    "matrix and vector": (lambda a, v: a @ v, (A, V), 2 * 3 * 4),
    "vectors": (lambda v: v @ v, (V,), 2 * 4),
    "dot": (lambda a, b: np.dot(a, b), (A, B), 2 * 3 * 4 * 5),
    "einsum": (lambda a, b: np.einsum("ij,jk->ik", a, b), (A, B), 2 * 3 * 4 * 5),
    "where": (lambda a: np.where(plain(a) > 0, a, 0.0), (A,), 12),
    "out": (lambda a: np.multiply(a, 2, out=a), (A.copy(),), 12),
    "views": (lambda a: a.T.reshape(-1)[None, :], (A,), 0),
    "gather": (lambda a: a[np.arange(3), [0, 1, 2]], (A,), 0),
    "scatter": (lambda a: np.add.at(a, [0, 0], 1.0), (A.copy(),), 8),
    "size": (lambda a: 2 * a.shape[0], (A,), 0),
}


@pytest.mark.parametrize(
    ("function", "arguments", "expected"), CASES.values(), ids=CASES
)
def test_count(function: Callable[..., Any], arguments: Any, expected: int) -> None:
    with counted() as work:
        function(*counting(arguments))
    assert work.elements == expected


def test_values_are_those_of_plain_numpy() -> None:
    result = np.tanh(counting(A) @ counting(B)).sum(axis=0) / 7
    np.testing.assert_array_equal(plain(result), np.tanh(A @ B).sum(axis=0) / 7)


def test_a_scalar_stays_counted() -> None:
    with counted() as work:
        total = counting(V).sum()
        np.exp(total * total)
    assert work.elements == 4 + 1 + 1
