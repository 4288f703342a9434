"""Random numbers by key: every stream is a function of (seed, purpose, path, index).

Nothing in the runtime holds the state of a generator. The permutation of epoch 7 is the same
whether epochs 0 to 6 ran in this process, in another one or not at all, so that resuming
needs nothing to be saved, and can't be wrong.

    stream(0, "init")                   # what init(rng) of an emitted module receives
    stream(0, "batches", "N", 7)        # the order of the rows of table N in epoch 7
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def key(purpose: str, path: str = "", index: int = 0) -> int:
    """The first 8 bytes of a SHA-256 as a number. `key("init")` is that of the word alone."""
    text = purpose
    if path or index:
        text = f"{purpose}\0{path}\0{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def stream(
    seed: int, purpose: str, path: str = "", index: int = 0
) -> np.random.Generator:
    """A generator of its own for one purpose. `seed` is a whole number below 2^64."""
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed}; it must be from 0 to 2^64 - 1")
    # A list of numbers past 2^63 would go through float64 and lose their last digits.
    keys = np.array([seed, key(purpose, path, index)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=keys))


def standard(
    law: str,
    seed: int,
    path: str,
    index: int,
    shape: tuple[int, ...],
    dtype: Any = np.float64,
) -> NDArray[Any]:
    """The draw of a `random`: standard normals, or uniform in [0, 1).

    Drawn in float64 and rounded, so that both precisions see the same chance; a uniform
    number that would round to 1 is the number before it.
    """
    rng = stream(seed, "noise", path, index)
    dtype = np.dtype(dtype)
    if law == "normal":
        return np.asarray(rng.standard_normal(shape)).astype(dtype)
    if law != "uniform":
        raise ValueError(f"no law {law!r}; there are normal and uniform")
    below = np.nextafter(dtype.type(1), dtype.type(0))
    drawn: NDArray[Any] = np.minimum(np.asarray(rng.random(shape)).astype(dtype), below)
    return drawn
