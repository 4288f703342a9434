"""NPY and NPZ: arrays from files, mapped where they can be, their declared sizes checked first.

In: a path. Out: arrays by entry, and the means to look at their headers before anything is
unpacked: 455 kB of NPZ may unpack to 480 MB. Pickled objects are never loaded.

    with Archive(path, "digits.npz") as archive:
        archive.header("images")            # (shape, dtype), read from 128 bytes
        archive.load("images")              # mapped if it is stored, unpacked if not
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

LARGEST_UNPACKED = 2**32  # bytes of one compressed entry
_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OSError,
    SyntaxError,
    OverflowError,
    RecursionError,
    MemoryError,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
)
"""What a damaged head makes NumPy, its parser and the archive raise."""

Header = tuple[tuple[int, ...], np.dtype[Any]]


def _header(file: Any, where: str) -> tuple[Header, bool]:
    """Shape and dtype from the head of an NPY file, and whether it is in Fortran's order."""
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
    except _UNREADABLE as error:
        # NumPy parses the head as Python: what that says of it is several lines long.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{where} is no NumPy array: {reason[:120]}") from None
    if dtype.hasobject or dtype.kind not in "biufU":
        raise DataError(f"{where} holds {dtype}, neither numbers nor words")
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise DataError(f"{where} has a shape that cannot be: {shape}")
    return (tuple(shape), dtype), fortran


def load_npy(path: Path, name: str) -> NDArray[Any]:
    """The array of an NPY file, mapped into memory."""
    try:
        with open(path, "rb") as file:
            (shape, dtype), _ = _header(file, name)
            declared = math.prod(shape) * dtype.itemsize
            if path.stat().st_size != file.tell() + declared:
                raise DataError(
                    f"{name} is damaged: its head announces {declared:,} bytes of data, "
                    f"{path.stat().st_size - file.tell():,} follow"
                )
        mapped: Literal["r"] | None = None if not declared or not shape else "r"
        array: NDArray[Any] = np.load(path, mmap_mode=mapped, allow_pickle=False)
        return array
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} cannot be read: {error}") from None


class Archive:
    """An open NPZ file."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(f"{name} is no NPZ file: {error}") from None
        self._entries = {
            info.filename.removesuffix(".npy"): info for info in self._zip.infolist()
        }

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of the arrays."""
        return tuple(self._entries)

    def header(self, entry: str) -> Header:
        """Shape and dtype of an entry; nothing but its head is unpacked."""
        return self._head(entry)[0]

    def _head(self, entry: str) -> tuple[Header, bool, int]:
        where, info = f"{self.name}: {entry}", self._entries[entry]
        if info.flag_bits & 1:
            raise DataError(f"{where} is encrypted")
        try:
            with self._zip.open(info) as file:
                (shape, dtype), fortran = _header(file, where)
                length = file.tell()
        except (OSError, zipfile.BadZipFile, NotImplementedError, zlib.error) as error:
            raise DataError(f"{where} cannot be read: {error}") from None
        declared = length + math.prod(shape) * dtype.itemsize
        if info.file_size != declared:
            raise DataError(
                f"{where} is damaged: its head announces {declared:,} bytes, "
                f"the archive {info.file_size:,}"
            )
        return ((shape, dtype), fortran, length)

    def load(self, entry: str) -> NDArray[Any]:
        """An entry: mapped into memory where it is stored as it is, otherwise unpacked."""
        (shape, dtype), fortran, length = self._head(entry)
        info = self._entries[entry]
        stored = info.compress_type == zipfile.ZIP_STORED
        cells: int = math.prod(shape)
        if stored and shape and cells:
            order: Any = "F" if fortran else "C"
            start = self._offset(info) + length
            mapped: NDArray[Any] = np.memmap(self.path, dtype, "r", start, shape, order)
            return mapped
        if info.file_size > LARGEST_UNPACKED:
            raise DataError(
                f"{self.name}: {entry} unpacks to {info.file_size:,} bytes, more than "
                f"{LARGEST_UNPACKED >> 30} GiB: save it as NPY, or with np.savez"
            )
        try:
            with self._zip.open(info) as file:
                array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"{self.name}: {entry} cannot be read: {error}") from None
        return array

    def _offset(self, info: zipfile.ZipInfo) -> int:
        """Where a stored entry's bytes start: behind its local header."""
        with open(self.path, "rb") as file:
            file.seek(info.header_offset)
            head = file.read(30)
        if len(head) != 30 or head[:4] != b"PK\3\4":
            raise DataError(f"{self.name} is damaged")
        name, extra = struct.unpack("<HH", head[26:30])
        offset: int = info.header_offset + 30 + name + extra
        if offset + info.file_size > self.path.stat().st_size:
            raise DataError(f"{self.name} is damaged")
        return offset
