"""Small tables for programs that need data of their own kind, the same at every call.

write("pairs.npz", pairs())
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Table = dict[str, NDArray[np.float64] | NDArray[np.int64]]


def clouds(rows: int = 600) -> Table:
    """Two clouds in five dimensions, whose centres lie three deviations apart."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, rows)
    centre = np.where(y == 1, 1.5, -1.5)[:, None] * np.array([1, -1, 1, 0, 0]) / 3**0.5
    return {"x": centre + rng.standard_normal((rows, 5)), "y": y}


def points(inside: int = 400, border: int = 100) -> Table:
    """Where Burgers' equation is to hold on [-1, 1] x [0, 1], and what is known at the border.

    The first half of the border is t = 0, where u = -sin(pi x), the other one x = -1 and 1,
    where u = 0.
    """
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, border)
    t = rng.uniform(0, 1, border)
    t[: border // 2] = 0
    x[border // 2 :] = np.sign(x[border // 2 :])
    return {
        "x": rng.uniform(-1, 1, inside),
        "t": rng.uniform(0, 1, inside),
        "xb": x,
        "tb": t,
        "ub": np.where(t == 0, -np.sin(np.pi * x), 0.0),
    }


def pairs(rows: int = 300) -> Table:
    """Points of the plane, and where a turn of 90 degrees about the origin takes them."""
    start = np.random.default_rng(3).standard_normal((rows, 2))
    return {"start": start, "finish": start @ np.array([[0.0, 1.0], [-1.0, 0.0]])}


def ring(rows: int = 500) -> Table:
    """A narrow ring around (0.8, -0.6), far from the centre of anything uniform."""
    rng = np.random.default_rng(4)
    angle = rng.uniform(0, 2 * np.pi, rows)
    way = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centre = np.array([0.8, -0.6])
    return {"x": centre + 0.4 * way + 0.05 * rng.standard_normal((rows, 2))}


def photos(rows: int = 240) -> Table:
    """A bright rectangle in a dim photo: its colour is the kind, its place the box.

    Kinds are 0 to 7, a bit for each of red, green and blue; 0 is darker than the photo.
    A box is the centre's row and column, the height and the width, in photos.
    """
    rng = np.random.default_rng(5)
    photo = rng.uniform(0.2, 0.4, (rows, 32, 32, 3))
    kind = rng.integers(0, 8, rows)
    size = rng.integers(8, 17, (rows, 2))
    corner = (rng.random((rows, 2)) * (33 - size)).astype(int)
    for i in range(rows):
        (top, left), (height, width) = corner[i], size[i]
        colour = kind[i] >> np.arange(3) & 1
        photo[i, top : top + height, left : left + width] = colour
    return {
        "photo": photo,
        "kind": kind,
        "box": np.concatenate([corner + size / 2, size], axis=1) / 32,
    }


def curves(rows: int = 400) -> Table:
    """Sixteen samples of one bump a row, whose place and width differ from row to row."""
    rng = np.random.default_rng(6)
    place = rng.uniform(2, 13, (rows, 1))
    width = rng.uniform(1, 3, (rows, 1))
    return {"x": np.exp(-(((np.arange(16) - place) / width) ** 2))}


def write(path: Path, table: Table) -> Path:
    """The table as an NPZ, stored without compression."""
    np.savez(path, **table)
    return path
