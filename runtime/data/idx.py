"""idx files, as MNIST comes in: one array of one type, big-endian, packed by gzip or not.

In: a path. Out: an array, mapped into memory where the file is not packed. The head is two
zeros, a byte for the type, a byte for the number of axes, then their sizes, four bytes each.

    load_idx(Path("train-images-idx3-ubyte.gz"), "train-images-idx3-ubyte.gz").shape
    # (60000, 28, 28)
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

LARGEST_UNPACKED = 2**32  # bytes
MOST_AXES = 8
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def load_idx(path: Path, name: str) -> NDArray[Any]:
    """The array of an idx file; `DataError` where it is none, is cut off, or goes on."""
    packed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path) if packed else open(path, "rb") as file:
            dtype, shape = _head(file, name)
            declared = math.prod(shape) * dtype.itemsize
            if packed:
                if declared > LARGEST_UNPACKED:
                    raise DataError(
                        f"{name} unpacks to {declared:,} bytes, more than "
                        f"{LARGEST_UNPACKED >> 30} GiB: unpack it, and it is mapped"
                    )
                data = file.read(declared + 1)
                _check_length(name, declared, len(data), len(data) > declared)
                return np.frombuffer(data, dtype).reshape(shape)
            start = file.tell()
        follow = path.stat().st_size - start
        _check_length(name, declared, follow, False)
        if not declared:
            return np.zeros(shape, dtype)
        mapped: NDArray[Any] = np.memmap(path, dtype, "r", start, shape)
        return mapped
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} cannot be read: {error}") from None


def _head(file: Any, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES:
        raise DataError(
            f"{name} is no idx file: it begins with {head.hex(' ') or 'nothing'}, not "
            "with 00 00 and a type (08, 09, 0b … 0e)"
        )
    axes = head[3]
    if not 1 <= axes <= MOST_AXES:
        raise DataError(f"{name}: an idx file of {axes} axes; 1 to {MOST_AXES} can be")
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"{name} is cut off in its head")
    return np.dtype(TYPES[head[2]]), struct.unpack(f">{axes}I", sizes)


def _check_length(name: str, declared: int, follow: int, more: bool) -> None:
    if follow != declared:
        raise DataError(
            f"{name} is damaged: its head announces {declared:,} bytes of data, "
            f"{'more' if more else f'{follow:,}'} follow"
        )
