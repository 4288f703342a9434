"""Random numbers by key: every stream is a function of (seed, purpose, path, index).

Nothing in the runtime holds the state of a generator. The permutation of epoch 7 is the same
whether epochs 0 to 6 ran in this process, in another one or not at all, so that resuming
needs nothing to be saved, and can't be wrong.

    stream(0, "init")                   # what init(rng) of an emitted module receives
    stream(0, "batches", "N", 7)        # the order of the rows of table N in epoch 7
"""

from __future__ import annotations

import hashlib

import numpy as np


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
