"""BLAS, which multiplies NumPy's matrices: how many threads it has, and its kernel.

    prepare_blas()          # one thread
    import numpy            # BLAS reads the environment once, here

Nothing here imports NumPy: what is set counts only for a process that has not loaded it yet, and
for the processes that it starts.
"""

from __future__ import annotations

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables by which the libraries that NumPy is built with are told their threads."""

KERNEL = "OPENBLAS_CORETYPE"
"""The variable that names a processor to OpenBLAS, instead of what it finds by itself."""


def prepare_blas(threads: str = "1") -> None:
    """Keep BLAS on one thread, so that the bits of a run depend on no thread count; with
    `threads="blas"` it has as many as it likes."""
    if threads != "blas":
        for name in THREADS:
            os.environ[name] = "1"


def threads_of_blas() -> str:
    """How many threads BLAS was told to have."""
    return next((os.environ[n] for n in THREADS if n in os.environ), "as it likes")


def kernel_of_blas() -> str:
    """The processor that was named to it: another one adds up in another order."""
    return os.environ.get(KERNEL, "as it finds")


def blas_on_one_thread() -> AbstractContextManager[Any] | None:
    """BLAS on one thread while this is entered, where NumPy is loaded already; None where
    threadpoolctl, which can do that, is not installed."""
    if any(os.environ.get(name) == "1" for name in THREADS):
        return nullcontext()
    try:
        control = importlib.import_module("threadpoolctl")  # it has no types
    except ImportError:
        return None
    limits: AbstractContextManager[Any] = control.threadpool_limits(1, "blas")
    return limits
