"""BLAS, which multiplies NumPy's matrices: its threads, and which of its kernels it takes.

    prepare_blas()             # one thread, and the kernel of this processor
    import numpy            # OpenBLAS reads both from the environment, once, here

Nothing here imports NumPy: what is set counts only for a process that has not loaded it yet, and
for the processes that it starts.
"""

from __future__ import annotations

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables by which the libraries that NumPy is built with are told their threads."""

KERNEL = "OPENBLAS_CORETYPE"
"""The variable that names a processor to OpenBLAS, instead of what it finds by itself."""

ZEN_5 = 26  # the family of AMD's processors with it


AVX_512 = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})
"""What the kernel of a Skylake-X may use."""


def prepare_blas(threads: str = "1") -> None:
    """Keep BLAS on one thread, so that the bits of a run depend on no thread count; with
    `threads="blas"` it has as many as it likes. Either way it takes its fastest kernel.
    """
    if threads != "blas":
        for name in THREADS:
            os.environ[name] = "1"
    if KERNEL not in os.environ and (found := kernel()):
        os.environ[KERNEL] = found


def kernel(description: Path = Path("/proc/cpuinfo")) -> str | None:
    """The kernel to name to OpenBLAS; None where it finds the right one, or none is known.

    OpenBLAS has not known Zen 5 (github.com/OpenMathLib/OpenBLAS/issues/6029). NumPy's wheels, up
    to 2.4.6 at least, take Haswell's kernel for it, which is without AVX-512: 105 GF/s of a core
    in float32 where Skylake-X's does 200.
    """
    about: dict[str, str] = {}
    try:
        with description.open(encoding="utf-8") as lines:
            for line in lines:  # those of the first core
                name, _, value = line.partition(":")
                about[name.strip()] = value.strip()
                if not name.strip():
                    break
    except (OSError, ValueError):  # another system's
        return None
    family, flags = about.get("cpu family", ""), about.get("flags", "").split()
    amd = about.get("vendor_id") == "AuthenticAMD" and family.isdecimal()
    if amd and int(family) >= ZEN_5 and set(flags) >= AVX_512:
        return "SkylakeX"
    return None


def threads_of_blas() -> str:
    """How many threads BLAS was told to have."""
    return next((os.environ[n] for n in THREADS if n in os.environ), "as it likes")


def kernel_of_blas() -> str:
    """The kernel that was named to it."""
    return os.environ.get(KERNEL, "as it likes")


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
