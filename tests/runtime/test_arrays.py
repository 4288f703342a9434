"""NPY and NPZ, and inputs that are given whole."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import LOGISTIC, given, signature, size
from loading import N, classifier, error, read

from gradc.data import load
from gradc.errors import DataError
from gradc.settings import Settings

# ----------------------------------------------------------- NPY and NPZ


def npz(tmp_path: Path, compressed: bool = False, **arrays: Any) -> None:
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "f.npz", **arrays)


@pytest.mark.parametrize("compressed", [False, True])
def test_npz(tmp_path: Path, compressed: bool) -> None:
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    npz(tmp_path, compressed, x=x, label=label.astype("u1"), other=np.zeros(3))
    data = read(tmp_path, classifier(), None, "f.npz", valid=0.2)
    assert data.train.rows == {"N": 24} and data.sizes == {"D": 4}
    got = np.concatenate([part.arrays(["x"])[0] for part in (data.train, data.valid)])
    assert sorted(got[:, 0]) == sorted(x[:, 0].astype("f4"))
    assert data.train.arrays(["label"])[0].dtype == np.int64


def test_npz_of_words_and_fortran_order(tmp_path: Path) -> None:
    x = np.asfortranarray(np.arange(6.0).reshape(3, 2))
    npz(tmp_path, x=x, label=np.array(["b", "a", "b"]))
    data = read(tmp_path, classifier(), None, "f.npz")
    assert data.train.arrays(["x", "label"])[0].tolist() == x.tolist()
    assert data.train.arrays(["label"])[0].tolist() == [1, 0, 1]


def test_rows_of_numbers_fill_the_axes_of_an_input(tmp_path: Path) -> None:
    """As the columns of a CSV do: [n, 24] is n images of 2 by 3 with 4 channels."""
    images = classifier()
    images["inputs"][0]["shape"] = [N, 2, 3, 4]
    x, label = np.arange(48.0).reshape(2, 24), np.array([0, 1])
    npz(tmp_path, x=x, label=label)
    data = read(tmp_path, images, None, "f.npz")
    (got,) = data.train.arrays(["x"])
    assert np.array_equal(got, x.reshape(2, 2, 3, 4))
    npz(tmp_path, x=x[:, :23], label=label)
    assert error(tmp_path, images, None, "f.npz") == [
        "f.npz does not fit wine.net",
        "x: float64[2, 23]   but wine.net:2 says   input x: [N, 2, 3, 4]",
    ]


def test_npz_that_does_not_fit(tmp_path: Path) -> None:
    npz(tmp_path, x=np.zeros((60, 2)), y=np.zeros(59))
    assert error(tmp_path, LOGISTIC, None, "f.npz") == [
        "f.npz does not fit logistic.net",
        "y: [59]   but logistic.net:5 says   input y: [N]: "
        "N = 60 (from x), so y needs 60 rows",
    ]
    npz(tmp_path, x=np.zeros((60, 2, 2)), y=np.zeros(60))
    assert error(tmp_path, LOGISTIC, None, "f.npz") == [
        "f.npz does not fit logistic.net",
        "x: float64[60, 2, 2]   but logistic.net:4 says   input x: [N, D]",
    ]
    npz(tmp_path, x=np.zeros((60, 2)), z=np.zeros(60))
    assert error(tmp_path, LOGISTIC, None, "f.npz")[:2] == [
        "f.npz has no entry 'y' for the input y",
        "it has: x, z",
    ]
    npz(tmp_path, x=np.zeros((2, 2), complex), y=np.zeros(2))
    assert "holds complex128" in error(tmp_path, LOGISTIC, None, "f.npz")[0]
    npz(tmp_path, x=np.full((2, 2), np.nan), y=np.zeros(2))
    assert error(tmp_path, LOGISTIC, None, "f.npz")[0] == (
        "f.npz: x[0, 0]: 'nan' counts as missing; 4 such cells in 2 rows"
    )


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    npz(tmp_path, x=np.array([[object()]]), y=np.zeros(1))
    assert "holds object" in error(tmp_path, LOGISTIC, None, "f.npz")[0]


def test_a_bomb_is_measured_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npz(tmp_path, compressed=True, x=np.zeros((1000, 900, 9)), y=np.zeros(1000))
    calls: list[object] = []
    monkeypatch.setattr(np.lib.format, "read_array", lambda *a, **k: calls.append(a))
    assert "float64[1000, 900, 9]   but" in error(tmp_path, LOGISTIC, None, "f.npz")[1]
    monkeypatch.setattr("gradc.data.arrays.LARGEST_UNPACKED", 1000)
    npz(tmp_path, compressed=True, x=np.zeros((1000, 9)), y=np.zeros(1000))
    assert "unpacks to 72,128 bytes" in error(tmp_path, LOGISTIC, None, "f.npz")[0]
    assert not calls


def test_damaged_arrays_are_refused(tmp_path: Path) -> None:
    npz(tmp_path, x=np.ones((3, 2)), y=np.zeros(3))
    whole = (tmp_path / "f.npz").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(whole)
        match rng.integers(3):
            case 0:
                bad = bad[: rng.integers(len(bad))]
            case 1:
                bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
            case _:
                at = int(rng.integers(len(bad)))
                bad[at : at + 4] = rng.bytes(4)
        (tmp_path / "f.npz").write_bytes(bytes(bad))
        with contextlib.suppress(DataError):
            read(tmp_path, LOGISTIC, None, "f.npz")


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.arange(6.0).reshape(3, 2))
    sig = copy.deepcopy(LOGISTIC)
    sig["train"] = {"data": [["x", {"path": "f.npy", "entry": None}]]}
    settings = Settings.of(sig)
    data = load(sig, settings, tmp_path, "predict")
    assert data.train.arrays(["x"])[0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert (
        "holds one array, and is to feed x, y"
        in error(tmp_path, LOGISTIC, None, "f.npy")[0]
    )
    (tmp_path / "f.npy").write_bytes((tmp_path / "f.npy").read_bytes()[:-3])
    with pytest.raises(DataError, match=r"f.npy is damaged"):
        load(sig, settings, tmp_path, "predict")


def test_long_mapped_files_are_converted_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    npz(tmp_path, x=rng.normal(3, 2, (50, 4)), label=rng.integers(0, 3, 50))
    train = {"valid": 0.2, "scale": [[None, "standard"]], "batch": [[None, 7]]}
    eager = read(tmp_path, classifier(), None, "f.npz", **train)
    monkeypatch.setattr("gradc.data.transforms.LAZY", 10)
    monkeypatch.setattr("gradc.data.cells.BLOCK", 12)
    lazy = read(tmp_path, classifier(), None, "f.npz", **train)
    assert type(lazy.train.tables["N"].columns["x"]).__name__ == "Lazy"
    names = ["x", "label"]
    for part in ("train", "valid"):
        pairs = zip(
            getattr(eager, part).batches(names, 3, 0, lambda _: 7),
            getattr(lazy, part).batches(names, 3, 0, lambda _: 7),
            strict=True,
        )
        for (a, n), (b, m) in pairs:
            assert n == m
            np.testing.assert_allclose(a[0], b[0], rtol=1e-6, atol=1e-7)
            assert np.array_equal(a[1], b[1])
    whole = [d.train.batches(["x"], 0, 0, lambda _: None) for d in (eager, lazy)]
    np.testing.assert_allclose(next(whole[0])[0][0], next(whole[1])[0][0], atol=1e-6)


# ---------------------------------------------------------- whole inputs


def test_inputs_without_rows_are_given_whole(tmp_path: Path) -> None:
    sig = signature(
        name="pde.net",
        inputs=[
            given("x", "real", [N], 1),
            given("k", "real", [], 2),
            given("A", "real", [2, 3], 3),
            given("n", "int", [], 4, [0, 5]),
        ],
        sizes={"N": size(True, ["x"], False)},
        functions={"forward": {"params": False, "inputs": ["x", "k", "A", "n"]}},
        train={
            "data": [
                [None, {"path": "f.csv", "entry": None}],
                ["k", {"value": 0.5}],
                ["n", {"value": 3}],
                ["A", {"path": "a.csv", "entry": None}],
            ]
        },
    )
    (tmp_path / "f.csv").write_text("x\n1\n2\n3\n")
    (tmp_path / "a.csv").write_text("1,2,3\n4,5,6\n")
    data = load(sig, Settings.of(sig), tmp_path)
    steps = list(data.train.batches(["x", "k", "A", "n"], 0, 0, lambda _: 2))
    assert [rows for _, rows in steps] == [2, 1]
    _, k, A, n = steps[0][0]
    assert k == np.float32(0.5) and k.dtype == np.float32 and n == 3
    assert A.tolist() == [[1, 2, 3], [4, 5, 6]] and A.dtype == np.float32
    settings = Settings.of(sig, data=["n=7"])
    with pytest.raises(DataError, match="'7' is outside of 0…4"):
        load(sig, settings, tmp_path)
    with pytest.raises(DataError, match=r"data n: 1.5 is no int"):
        load(sig, Settings.of(sig, data=["n=1.5"]), tmp_path)
    with pytest.raises(DataError, match=r"one number does not make \[2, 3\]"):
        load(sig, Settings.of(sig, data=["A=1"]), tmp_path)
