"""Checkpoints: arrays and a state in one file, which is either whole or refused.

In: arrays by name and a state of plain values. Out: an NPZ, stored and not compressed, with a
manifest of digests. A file is written beside its place and renamed into it, so that a process
that is killed leaves the old file or the new one. On reading, every digest must match: a
damaged file is a `CheckpointError`, never half a net.

    save(path, {"p/W1": W1}, {"step": 1215})
    arrays, state = load(path)
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import CheckpointError

FORMAT = 2
"""What this version writes: 2 has the program and all that resuming needs in the state."""

Arrays = dict[str, NDArray[Any]]


def digest(array: NDArray[Any]) -> str:
    """SHA-256 over dtype, shape, order and bytes."""
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    head = f"{array.dtype.str}{array.shape}{fortran}".encode()
    return hashlib.sha256(head + array.tobytes("A")).hexdigest()


def _as_bytes(data: Mapping[str, Any]) -> NDArray[np.uint8]:
    text = json.dumps(data, sort_keys=True, ensure_ascii=True)
    return np.frombuffer(text.encode(), np.uint8)


def pack(arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> bytes:
    """The bytes of a checkpoint: the same for the same content."""
    entries: Arrays = {k: np.asarray(v, order="C") for k, v in arrays.items()}
    entries["gradc/state"] = _as_bytes({"format": FORMAT, **state})
    manifest = json.dumps({k: digest(v) for k, v in entries.items()}, sort_keys=True)
    own = hashlib.sha256(manifest.encode()).hexdigest()
    entries["gradc/manifest"] = np.frombuffer((own + manifest).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **entries)
    return buffer.getvalue()


def unpack(data: bytes, name: str = "checkpoint") -> tuple[Arrays, dict[str, Any]]:
    """Arrays and state from the bytes of a checkpoint; `CheckpointError` if damaged."""
    try:
        return _verified(data, name)
    except CheckpointError:
        raise
    # What a damaged archive makes zipfile, NumPy and JSON raise is not a closed list.
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        OverflowError,
        MemoryError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
        RecursionError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise CheckpointError(f"{name} is damaged: {error}") from None


def _verified(data: bytes, name: str) -> tuple[Arrays, dict[str, Any]]:
    entries = _entries(data)
    manifest = entries.pop("gradc/manifest", None)
    if manifest is None or "gradc/state" not in entries:
        raise CheckpointError(f"{name} is no checkpoint of gradc, or is damaged")
    text = manifest.tobytes()
    if hashlib.sha256(text[64:]).hexdigest().encode() != text[:64]:
        raise CheckpointError(f"{name} is damaged: its manifest does not match")
    digests = json.loads(text[64:])
    if set(digests) != set(entries):
        raise CheckpointError(f"{name} is damaged: entries are missing")
    for entry, array in entries.items():
        if digest(array) != digests[entry]:
            raise CheckpointError(
                f"{name} is damaged: {entry} does not match its digest"
            )
    state = json.loads(entries.pop("gradc/state").tobytes())
    if not isinstance(state, dict) or not isinstance(state.get("format"), int):
        raise CheckpointError(f"{name} is no checkpoint of gradc: it has no format")
    if state["format"] > FORMAT:
        raise CheckpointError(
            f"{name} has format {state['format']}; this version of gradc reads up to {FORMAT}",
            "it was written by a newer gradc: pip install --upgrade gradc",
        )
    return entries, state


def _entries(data: bytes) -> Arrays:
    """The arrays of an archive of stored entries, each exactly as long as its head says."""
    entries: Arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            stored = info.compress_type == zipfile.ZIP_STORED
            if not stored or info.file_size != info.compress_size:
                raise CheckpointError("a checkpoint is stored, not compressed")
            if info.file_size > len(data):
                raise CheckpointError("an entry is longer than the file")
            with archive.open(info) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
                if file.read(1):
                    raise ValueError(f"{info.filename} is longer than its array")
            key = info.filename.removesuffix(".npy")
            if key in entries:
                raise ValueError(f"{key} occurs twice")
            entries[key] = array
    return entries


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that its place holds the old content or the new, at any moment."""
    beside = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def save(
    path: Path, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]
) -> None:
    """Write a checkpoint; `OSError` (disk full) leaves what was there."""
    write_atomically(path, pack(arrays, state))


def load(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Read a checkpoint; `CheckpointError` if it is damaged, newer, or missing."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from None
    return unpack(data, str(path))
