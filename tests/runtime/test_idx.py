"""idx files: MNIST's own form, packed or not."""

from __future__ import annotations

import copy
import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import given, sym
from loading import classifier, error

from gradc.data import Dataset, load
from gradc.data.idx import TYPES, load_idx
from gradc.data.sources import form
from gradc.errors import DataError
from gradc.settings import Settings

N = sym("N")


def idx(array: np.ndarray) -> bytes:
    """The bytes of an idx file."""
    code = {np.dtype(text): number for number, text in TYPES.items()}
    big = array.astype(array.dtype.newbyteorder(">"))
    head = bytes([0, 0, code[big.dtype], array.ndim])
    return head + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


@pytest.mark.parametrize("kind", sorted(TYPES.values()))
def test_every_type(tmp_path: Path, kind: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) - (0 if kind == ">u1" else 9)).astype(kind)
    (tmp_path / "a-idx3-ubyte").write_bytes(idx(array))
    (tmp_path / "a.idx.gz").write_bytes(gzip.compress(idx(array)))
    plain = load_idx(tmp_path / "a-idx3-ubyte", "a")
    packed = load_idx(tmp_path / "a.idx.gz", "a")
    assert np.array_equal(plain, array) and np.array_equal(packed, array)
    assert isinstance(plain, np.memmap) and not isinstance(packed, np.memmap)


@pytest.mark.parametrize(
    "name",
    ["train-images-idx3-ubyte", "t10k-labels.idx1-ubyte.gz", "a.idx", "x/b.IDX3.gz"],
)
def test_names(name: str) -> None:
    assert form(name) == "idx"


def feed(tmp_path: Path, shape: list[Any], **files: bytes) -> Dataset:
    """Images and labels as the inputs of a classifier whose x has this shape."""
    sig = classifier(3)
    sig["inputs"] = [
        given("x", "real", shape, 2),
        given("label", "int", [N], 3, [0, 3]),
    ]
    sig["sizes"].pop("D", None)
    named = {"x": "x-idx3-ubyte", "label": "y-idx1-ubyte.gz"}
    for name, data in files.items():
        (tmp_path / named[name]).write_bytes(data)
    sources = [[n, {"path": path, "entry": None}] for n, path in named.items()]
    sig = copy.deepcopy(sig)
    sig["train"] = {"data": sources}
    return load(sig, Settings.of(sig), tmp_path)


@pytest.mark.parametrize("shape", [[N, 16], [N, 4, 4], [N, 4, 4, 1], [N, 2, 2, 4]])
def test_images_fill_the_input(tmp_path: Path, shape: list[Any]) -> None:
    images = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    labels = gzip.compress(idx(np.array([2, 0, 1], np.uint8)))
    data = feed(tmp_path, shape, x=idx(images), label=labels)
    x, label = data.train.arrays(["x", "label"])
    assert x.dtype == np.float32 and x.shape == (3, *shape[1:])
    assert np.array_equal(x.reshape(3, 16), images.reshape(3, 16))
    assert label.tolist() == [2, 0, 1] and label.dtype == np.int64


def test_shapes_and_values_that_do_not_fit(tmp_path: Path) -> None:
    images = idx(np.zeros((3, 5, 5), np.uint8))
    labels = gzip.compress(idx(np.array([2, 7, 7], np.uint8)))
    with pytest.raises(DataError, match=r"x-idx3-ubyte does not fit wine.net"):
        feed(tmp_path, [N, 16], x=images, label=labels)
    with pytest.raises(DataError, match=r"y-idx1-ubyte.gz\[1\]: '7' is outside of 0…2"):
        feed(tmp_path, [N, 25], x=images, label=labels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no idx file: it begins with nothing"),
        (b"\0\0\x08", "is no idx file: it begins with 00 00 08"),
        (b"\x89PNG....", "is no idx file: it begins with 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\x01x", "is no idx file"),
        (b"\0\0\x08\x00", "of 0 axes; 1 to 8 can be"),
        (b"\0\0\x08\xff", "of 255 axes"),
        (b"\0\0\x08\x02\0\0\0\x01", "is cut off in its head"),
        (idx(np.zeros((3, 2), ">u1"))[:-1], "announces 6 bytes of data, 5 follow"),
        (idx(np.zeros((3, 2), ">u1")) + b"x", "announces 6 bytes of data, "),
        (b"\0\0\x0e\x04" + b"\xff" * 16, "announces "),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damage(tmp_path: Path, data: bytes, message: str, packed: bool) -> None:
    name = "x.idx.gz" if packed else "x.idx"
    raw = gzip.compress(data) if packed else data
    said = error(tmp_path, classifier(), raw, name)
    # A file for every input is refused before it is read: it holds one array.
    assert said[0] == f"{name} holds one array, and is to feed x, label"
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DataError) as caught:
        load_idx(tmp_path / name, name)
    assert message in str(caught.value) or "unpacks to" in str(caught.value)


def test_a_gzip_that_is_cut_off(tmp_path: Path) -> None:
    whole = gzip.compress(idx(np.arange(200, dtype=np.uint8)))
    (tmp_path / "x.idx.gz").write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"x.idx.gz cannot be read: Compressed file"):
        load_idx(tmp_path / "x.idx.gz", "x.idx.gz")
