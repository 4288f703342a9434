"""What BLAS is told before NumPy is loaded."""

from __future__ import annotations

import os

import pytest

from gradc import blas
from gradc.environment import environment


def test_one_thread_but_where_blas_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in blas.THREADS:
        monkeypatch.setenv(name, "3")
    blas.prepare_blas("blas")
    assert blas.threads_of_blas() == "3"
    blas.prepare_blas()
    assert {os.environ[name] for name in blas.THREADS} == {"1"}
    assert blas.threads_of_blas() == "1"


def test_what_bits_depend_on_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*blas.THREADS, blas.KERNEL):
        monkeypatch.delenv(name, raising=False)
    found = environment()
    assert found["threads"] == "as it likes" and found["kernel"] == "as it finds"
    monkeypatch.setenv(blas.KERNEL, "Haswell")
    assert environment()["kernel"] == "Haswell"
