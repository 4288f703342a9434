"""Writes burgers.npz: the points to train on, and the solution to compare with.

    git clone https://github.com/maziarraissi/PINNs
    python examples/burgers/prepare.py PINNs/appendix/Data/burgers_shock.mat

The points are those of the paper, drawn in the order in which its program draws them: 10,000
of a Latin hypercube and all 456 of the grid's first line and edges for the equation, 100 of
these for the boundary. The .mat is read by SciPy.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

SEED = 1234
COLLOCATION, BOUNDARY = 10_000, 100

Array = NDArray[np.float64]


def latin_hypercube(rng: np.random.RandomState, count: int, axes: int) -> Array:
    """`count` points in the unit cube; each of `count` slices of each axis has one."""
    inside = rng.random_sample((count, axes))
    points = (np.arange(count)[:, None] + inside) / count
    return np.stack([points[rng.permutation(count), j] for j in range(axes)], axis=1)


def points(x: Array, t: Array, u: Array) -> dict[str, NDArray[np.floating]]:
    """The inputs of burgers.net by name. `u` is [x, t], on the grid."""
    rng = np.random.RandomState(SEED)  # the generator that the paper's program had
    grid = np.stack(np.meshgrid(x, t, indexing="ij"), axis=-1)
    low, high = grid[0, 0], grid[-1, -1]
    edges = np.concatenate([grid[:, 0], grid[0], grid[-1]])
    values = np.concatenate([u[:, 0], u[0], u[-1]])
    inside = low + (high - low) * latin_hypercube(rng, COLLOCATION, 2)
    chosen = rng.choice(len(edges), BOUNDARY, replace=False)
    inside = np.concatenate([inside, edges])
    # Of what is many, seven digits are enough, and half as many bytes.
    return {
        "x": inside[:, 0].astype(np.float32),
        "t": inside[:, 1].astype(np.float32),
        "xb": edges[chosen, 0],
        "tb": edges[chosen, 1],
        "ub": values[chosen],
        "xs": grid[..., 0].ravel(),
        "ts": grid[..., 1].ravel(),
        "us": u.ravel().astype(np.float32),
    }


def main(path: str) -> None:
    mat = loadmat(path)
    x, t = mat["x"].ravel(), mat["t"].ravel()
    arrays: dict[str, Any] = dict(points(x, t, np.real(mat["usol"])))
    np.savez_compressed(Path(__file__).parent / "burgers.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
