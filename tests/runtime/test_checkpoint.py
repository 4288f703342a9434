"""Checkpoints: whole or refused."""

from __future__ import annotations

import os
import random
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gradc
from gradc import checkpoint
from gradc.checkpoint import load, pack, save, unpack
from gradc.data import File, dataset
from gradc.errors import CheckpointError
from gradc.evaluation import figures

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


@pytest.mark.corruption
def test_no_flipped_bit_at_all_passes_unnoticed() -> None:
    """Every bit of a checkpoint of some 1,700 bytes: more than 13,000 flips."""
    whole = pack(ARRAYS, STATE)
    arrays, state = unpack(whole)
    wrong, same = [], 0
    for bit in range(8 * len(whole)):
        bad = bytearray(whole)
        bad[bit // 8] ^= 1 << (bit % 8)
        try:
            got, other = unpack(bytes(bad))
        except CheckpointError:
            continue
        equal = other == state and set(got) == set(arrays)
        if equal and all(got[n].tobytes() == arrays[n].tobytes() for n in arrays):
            same += 1
        else:
            wrong.append(bit)
    assert not wrong and 8 * len(whole) >= 13_000
    assert same < len(whole) * 8 / 4


@pytest.mark.corruption
def test_random_flips_and_cuts_of_a_real_checkpoint() -> None:
    """Three flips, a cut or a block of zeros in a checkpoint with a program in it."""
    path = Path(__file__).parent / "checkpoints" / "format-2" / "ckpt"
    whole = next(iter(sorted(path.glob("*.npz")))).read_bytes()
    arrays, state = unpack(whole)
    draw = random.Random(0)
    for _ in range(3000):
        bad = bytearray(whole)
        for _ in range(3):
            place = draw.randrange(len(bad))
            match draw.randrange(4):
                case 0:
                    bad[place] ^= 1 << draw.randrange(8)
                case 1:
                    bad[place : place + 16] = bytes(16)
                case 2:
                    del bad[place : place + draw.randrange(1, 64)]
                case _:
                    bad[place:place] = bad[place : place + draw.randrange(1, 64)]
        try:
            got, other = unpack(bytes(bad))
        except CheckpointError:
            continue
        assert other == state and set(got) == set(arrays)
        assert all(got[name].tobytes() == arrays[name].tobytes() for name in arrays)


def sealed(arrays: dict[str, np.ndarray], state: bytes) -> bytes:
    """A file whose manifest is right and whose content a stranger has chosen."""
    import hashlib
    import io
    import json

    entries = {**arrays, "gradc/state": np.frombuffer(state, np.uint8)}
    manifest = json.dumps({k: checkpoint.digest(v) for k, v in entries.items()})
    own = hashlib.sha256(manifest.encode()).hexdigest()
    entries["gradc/manifest"] = np.frombuffer((own + manifest).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **entries)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "state",
    [b"", b"[]", b"7", b"{", b"{}", b'{"format": "1"}', b'{"format": null}', b"\xff"],
)
def test_a_state_that_is_none_is_refused(state: bytes) -> None:
    with pytest.raises(CheckpointError):
        unpack(sealed({"p/b": np.ones(2)}, state))


FIXTURES = sorted((Path(__file__).parent / "checkpoints").glob("format-*"))


def test_there_is_a_checkpoint_of_every_format() -> None:
    names = [path.name for path in FIXTURES]
    assert names == [f"format-{n}" for n in range(1, checkpoint.FORMAT + 1)]


@pytest.mark.parametrize("run", FIXTURES, ids=lambda path: path.name)
def test_every_format_is_read_for_ever(run: Path) -> None:
    """Weights, memory and transforms as they were, by the folder and by the file alone."""
    expected = {"format-1": 0.36042734980583191, "format-2": 0.36042734980583191}
    trained = gradc.open_run(run)
    settings = replace(trained.run.settings, sources={None: File("flowers.csv")})
    data = dataset.load(
        trained.network.signature,
        settings,
        run.parent,
        "evaluate",
        trained.weights.transforms,
        trained.weights.sizes,
    )
    found = figures(trained.network, trained.network.theta, data.held_out)
    assert found["accuracy"] == 1.0
    assert found["loss"] == pytest.approx(expected[run.name], rel=1e-5)
    assert trained.weights.state["format"] == int(run.name[-1])
    assert set(trained.weights.slots) == {"mean", "square"}
    assert trained.weights.resumable == (run.name != "format-1")
    (file,) = (run / "ckpt").glob("*.npz")
    if run.name == "format-1":
        with pytest.raises(CheckpointError, match="use its run folder"):
            gradc.open_run(file)
    else:
        alone = gradc.open_run(file)
        assert np.array_equal(alone.network.theta, trained.network.theta)


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
