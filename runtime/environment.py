"""What a run's bits depend on beside its program: versions, BLAS, threads, the machine.

environment()       # {"numpy": "2.4.6", "blas": "scipy-openblas 0.3.31", "threads": "1", …}
"""

from __future__ import annotations

import platform
import sys
from functools import cache
from typing import Any

import numpy as np

from .blas import kernel_of_blas, threads_of_blas


@cache
def _blas() -> str:
    """Name and version of the library that multiplies matrices, as NumPy was built."""
    try:
        built: Any = np.show_config(mode="dicts")
        found = built["Build Dependencies"]["blas"]
        return f"{found['name']} {found['version']}".strip()
    except (KeyError, TypeError, ValueError):
        return "unknown"


def environment() -> dict[str, str]:
    """What has to be the same for a resumed run to have the same bits."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "kernel": kernel_of_blas(),
        "threads": threads_of_blas(),
        "machine": f"{platform.machine()} {sys.byteorder}",
    }


def differences(before: dict[str, Any]) -> list[str]:
    """What is another one now, but for Python's own version, which decides no number."""
    now = environment()
    return [
        f"{name} {before[name]} → {now[name]}"
        for name in now
        if name != "python" and name in before and before[name] != now[name]
    ]
