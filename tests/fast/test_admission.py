"""What the guard admits for planned buffers, and what still is refused beside it."""

from __future__ import annotations

import pytest

from gradc.compiler.backend import guard

HEAD = "import numpy as np\n\n\ndef f(x, h, gradients):\n"
ADMITTED = (
    "np.copyto(h, x, where=x)",
    'np.take(x, h, axis=0, out=h, mode="clip")',
    'gradients = gradients or {"W": np.empty((2,), h.dtype)}',
    "steps = list(h[1:][::-1])",
    "h.fill(0)",
    "h[...] = 2",
    'np.matmul(x, h, out=gradients["W"])',
)
REFUSED = (
    'np.copyto(h, x, casting="unsafe")',
    'np.take(x, h, mode="wrap")',
    'h = h + {"W": 1}',
    "h = gradients or [lambda: 1]",
    'h = gradients or {"W": open}',
    "h = list",
    "list = h",
)


@pytest.mark.parametrize("line", ADMITTED)
def test_admitted(line: str) -> None:
    guard.check(f"{HEAD}    {line}\n    return h\n")


@pytest.mark.parametrize("line", REFUSED)
def test_refused(line: str) -> None:
    with pytest.raises(guard.GuardError):
        guard.check(f"{HEAD}    {line}\n    return h\n")
