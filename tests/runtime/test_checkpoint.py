"""Checkpoints: whole or refused."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gradc import checkpoint
from gradc.checkpoint import load, pack, save, unpack
from gradc.errors import CheckpointError

ARRAYS = {
    "p/W": np.arange(6.0).reshape(2, 3),
    "p/b": np.float32(0.5),
    "o/mean/W": np.ones(3),
}
STATE = {"step": 7, "transforms": {"scales": {"x": [0.1, 1 / 3]}}}


def small() -> bytes:
    return pack({"p/b": np.array([1.5, -2.0])}, {"step": 3})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path / "c.npz", ARRAYS, STATE)
    arrays, state = load(tmp_path / "c.npz")
    assert state == {"format": 2, **STATE}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(arrays[name], array)
        assert arrays[name].dtype == np.asarray(array).dtype
    assert os.listdir(tmp_path) == ["c.npz"]


def test_bytes_are_reproducible() -> None:
    assert pack(ARRAYS, STATE) == pack(ARRAYS, STATE)


def test_plain_numpy_reads_it(tmp_path: Path) -> None:
    save(tmp_path / "c.npz", ARRAYS, STATE)
    with np.load(tmp_path / "c.npz", allow_pickle=False) as file:
        assert np.array_equal(file["p/W"], ARRAYS["p/W"])


def test_no_flipped_bit_passes_unnoticed() -> None:
    whole = small()
    arrays, state = unpack(whole)
    refused = 0
    for index in range(len(whole)):
        bad = bytearray(whole)
        bad[index] ^= 1 << (index % 8)
        try:
            got, other = unpack(bytes(bad))
        except CheckpointError:
            refused += 1
            continue
        assert other == state and set(got) == set(arrays)
        assert np.array_equal(got["p/b"], arrays["p/b"])
    assert refused > len(whole) / 2


def test_no_truncation_passes() -> None:
    whole = small()
    for length in range(len(whole)):
        with pytest.raises(CheckpointError):
            unpack(whole[:length])


def test_strangers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    np.savez(path, a=np.ones(3))
    with pytest.raises(CheckpointError, match="is no checkpoint of gradc"):
        load(path)
    np.savez_compressed(path, a=np.ones(3))
    with pytest.raises(CheckpointError, match="stored, not compressed"):
        load(path)
    np.savez(path, a=np.array([object()]))
    with pytest.raises(CheckpointError, match="Object arrays cannot be loaded"):
        load(path)
    with pytest.raises(CheckpointError, match="No such file"):
        load(tmp_path / "none.npz")
    path.write_bytes(b"no zip")
    with pytest.raises(CheckpointError, match="is damaged"):
        load(path)


def test_an_entry_that_was_added_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    save(path, ARRAYS, STATE)
    with zipfile.ZipFile(path, "a") as archive, archive.open("p/x.npy", "w") as file:
        np.lib.format.write_array(file, np.ones(2))
    with pytest.raises(CheckpointError, match="entries are missing"):
        load(path)


def test_a_newer_format_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 9)
    data = small()
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"has format 9; this version .* up to 2"):
        unpack(data)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "c.npz"
    save(path, ARRAYS, {"step": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        save(path, ARRAYS, {"step": 2})
    monkeypatch.undo()
    assert load(path)[1]["step"] == 1
    assert os.listdir(tmp_path) == ["c.npz"]
