"""CSV and TSV: what is read, and every way in which it does not fit."""

from __future__ import annotations

import copy
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import LOGISTIC, given, signature, size, sym
from loading import XY, N, classifier, error, read

from gradc.data import load
from gradc.errors import DataError
from gradc.settings import Settings

# ------------------------------------------------------------------- CSV


@pytest.mark.parametrize(
    "text",
    [
        "a,b,y\n1,2,0\n3,4.5,1\n",
        "a,b,y\r\n1,2,0\r\n3,4.5,1",
        "\ufeffa,b,y\n1,2,0\n\n3,4.5,1\n\n",
        'a,"b",y\n"1",2,0\n3,"4.5",1\n',
        " a , b , y \n 1 , 2 , 0 \n 3 , 4.5 , 1 \n",
        "1,2,0\n3,4.5,1\n",
        "a;b;y\n1;2;0\n3;4.5;1\n",
        "y,a,b\n0,1e0,+2\n1,3,.45e1\n",
    ],
)
def test_csv(tmp_path: Path, text: str) -> None:
    data = read(tmp_path, LOGISTIC, text)
    x, y = data.train.arrays(XY)
    assert x.dtype == np.float32 and x.tolist() == [[1, 2], [3, 4.5]]
    assert y.tolist() == [0, 1] and data.sizes == {"D": 2}
    assert data.valid is None and data.train.rows == {"N": 2}


def test_tsv_and_gz(tmp_path: Path) -> None:
    read(tmp_path, LOGISTIC, "a\ty\n1\t0\n", "f.tsv")
    data = read(tmp_path, LOGISTIC, gzip.compress(b"a,y\n1,0\n"), "f.csv.gz")
    assert data.bindings == {"x": "a", "y": "y"}
    assert data.summary == ["f.csv.gz  1 rows"]
    assert error(tmp_path, LOGISTIC, b"no gzip", "f.csv.gz")[0].startswith(
        "f.csv.gz cannot be"
    )
    half = gzip.compress(b"a,y\n1,0\n" * 1000)[:-20]
    assert error(tmp_path, LOGISTIC, half, "f.csv.gz")[0].startswith(
        "f.csv.gz cannot be"
    )


def test_a_row_fills_its_axes_last_axis_fastest(tmp_path: Path) -> None:
    sig = signature(
        inputs=[given("x", "real", [N, 2, sym("K")], 1)],
        sizes={"N": size(True, ["x"], False), "K": size(False, ["x"], False)},
        functions={"forward": {"params": False, "inputs": ["x"]}},
    )
    data = read(tmp_path, sig, "1,2,3,4,5,6\n7,8,9,10,11,12\n")
    assert data.train.arrays(["x"])[0][0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert data.sizes == {"K": 3}
    assert (
        "do not make one row of x: [N, 2, K]"
        in error(tmp_path, sig, "1,2,3\n4,5,6\n")[0]
    )


BAD_CSV = {
    "a,y\n1,0\n,1\n2,\n": [
        "f.csv:3, column 'a': empty value (missing)",
        "say what to do:  --set train.missing=drop | mean",
    ],
    "a,b,y\n1,2,0\n,3,1\n4,nan,1\n5,,0\n": [
        "f.csv:3, column 'a': empty value (missing); 3 such cells in 3 rows",
        "f.csv:4, column 'b': 'nan'",
        "f.csv:5, column 'b': ''",
        "say what to do:  --set train.missing=drop | mean",
    ],
    "a,y\n1,0\ninf,1\n": [
        "f.csv:3, column 'a': 'inf' counts as missing",
        "say what to do:  --set train.missing=drop | mean",
    ],
    "a,y\n1,0\n2\n3,4,5\n": [
        "f.csv:3: 1 cells, but the header has 2; 2 such rows",
        "line 4 has 3",
    ],
    "a,b,y\n1,2,0\n3,two,1\n": [
        "f.csv:3, column 'b': 'two' is not a number, and x is real",
        "most cells here are numbers, so these are no classes",
    ],
    'a,y\n1,0\n"2,1\n': ["f.csv:3: unexpected end of data"],
    "": ["f.csv is empty"],
    "\n \n": ["f.csv is empty"],
    "a,y\n": ["f.csv has a header and no rows"],
    "a,a,y\n1,2,3\n": ["f.csv:1: two columns are called 'a'"],
}


@pytest.mark.parametrize("text", BAD_CSV)
def test_bad_csv(tmp_path: Path, text: str) -> None:
    assert error(tmp_path, LOGISTIC, text) == BAD_CSV[text]


def test_numbers_that_the_precision_can_not_hold(tmp_path: Path) -> None:
    text = "a,y\n1,0\n1e99,1\n"
    assert error(tmp_path, LOGISTIC, text) == [
        "f.csv:3, column 'a': '1e99' is too large for float32",
        "try:  --dtype float64",
    ]
    assert read(tmp_path, LOGISTIC, text, dtype="float64").train.rows == {"N": 2}
    big = "a,y\n1e308,0\n-1e308,1\n1e308,1\n"
    scaled = {"scale": [["x", "standard"]], "dtype": "float64"}
    lines = error(tmp_path, LOGISTIC, big, **scaled)
    assert lines[0].endswith("the values of this column are too large to be scaled")


FRAGMENTS = [
    *(b",", b"\n", b'"', b"", b"nan", b"1e999", b"\xff", b"\0", b"\r", b"label", b"a"),
    *(
        b"1_0",
        b" ",
        b"\t",
        b";",
        b"9" * 21,
        b"\xe2\x80\xa8",
        b"?",
        b"\x0c",
        b"x.0",
        b"-",
    ),
]
WHOLE = [
    b"a,b,label\n1,2,red\n3,4.5,blue\n5,6,red\n",
    b"1,2,0\n3,4,1\n5,6,2\n",
    b'x.0,x.1,label\n1,2,0\n3,nan,1\n\n5,"6",2\n',
    b"a;b;label\n1;;2\n1;2;1\n",
]


@pytest.mark.filterwarnings("error")
def test_any_bytes_are_data_or_a_data_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    variants: list[dict[str, Any]] = [
        {},
        {"missing": "drop", "scale": [[None, "standard"]]},
        {"missing": "mean", "scale": [[None, "unit"]], "valid": 0.4},
    ]
    accepted = 0
    for turn in range(400):
        data = bytearray(WHOLE[turn % len(WHOLE)])
        for _ in range(rng.integers(3)):
            start = int(rng.integers(len(data) + 1))
            data[start : start + int(rng.integers(4))] = FRAGMENTS[
                rng.integers(len(FRAGMENTS))
            ]
        try:
            found = read(tmp_path, classifier(), bytes(data), **variants[turn % 3])
        except DataError:
            continue
        accepted += 1
        x, label = found.train.arrays(["x", "label"])
        assert np.isfinite(x).all() and (label >= 0).all() and (label < 3).all()
    assert 40 < accepted < 360


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    assert error(tmp_path, LOGISTIC, b"a,y\n1,\xff\n") == [
        "f.csv:2: this is no UTF-8 text"
    ]
    assert (
        "'\\x00' is not a number" in error(tmp_path, LOGISTIC, b"a,y\n1,2\n\0,3\n")[0]
    )


def test_at_most_five_places_are_shown(tmp_path: Path) -> None:
    text = "a,y\n" + ",1\n" * 20
    lines = error(tmp_path, LOGISTIC, text + "1,1\n")
    assert lines[0].endswith("20 such cells in 20 rows") and lines[-2] == "and 15 more"
    assert len(lines) == 7


@pytest.mark.parametrize("bad", ["1_000", "0x1F", "٣", "1,5", "--1", "1e", "True"])
def test_numbers_are_plain(tmp_path: Path, bad: str) -> None:
    text = f'a,y\n1,0\n"{bad}",1\n3,0\n'
    assert f"column 'a': {bad!r} is not a number" in error(tmp_path, LOGISTIC, text)[0]


def test_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(b"a,y\n1,0\n,1\n")

    monkeypatch.setattr("sys.stdin", Input)
    settings = Settings.of(LOGISTIC, data=["-"])
    with pytest.raises(DataError, match="stdin:3, column 'a': empty"):
        load(LOGISTIC, settings, tmp_path)


# --------------------------------------------------------------- missing

GAPS = "a,b,y\n1,,0\n3,4,1\n5,8,\n7,NA,1\n"


def test_missing_drop(tmp_path: Path) -> None:
    data = read(tmp_path, LOGISTIC, GAPS, missing="drop")
    assert data.train.arrays(XY)[0].tolist() == [[3, 4]] and data.dropped == 3
    assert data.summary == ["f.csv  4 rows, 3 dropped (missing)"]
    lines = error(tmp_path, LOGISTIC, "a,y\n,0\n,1\n", missing="drop")
    assert lines == ["f.csv: something is missing in every row, so that none is left"]


def test_no_row_is_dropped_from_a_prediction(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(GAPS)
    sig = copy.deepcopy(LOGISTIC)
    sig["train"] = {
        "missing": "drop",
        "data": [[None, {"path": "f.csv", "entry": None}]],
    }
    with pytest.raises(DataError, match="there is no prediction for it: fill it in"):
        load(sig, Settings.of(sig), tmp_path, "predict")


def test_missing_mean(tmp_path: Path) -> None:
    data = read(tmp_path, LOGISTIC, GAPS, missing="mean")
    x, y = data.train.arrays(XY)
    assert x[:, 1].tolist() == [6, 4, 8, 6]
    assert y.tolist() == pytest.approx([0, 1, 2 / 3, 1])
    lines = error(tmp_path, LOGISTIC, "a,b,y\n1,,0\n2,,1\n", missing="mean")
    assert lines == [
        "f.csv:2, column 'b': this column has no value in the training part"
    ]


def test_a_missing_class_is_not_guessed(tmp_path: Path) -> None:
    lines = error(tmp_path, classifier(), "a,label\n1,red\n2,\n", missing="mean")
    assert lines[0] == "f.csv:3, column 'label': empty value (missing)"
    assert lines[-1].endswith("--set train.missing=drop")
    data = read(tmp_path, classifier(), "a,label\n1,red\n2,\n", missing="drop")
    assert data.train.rows == {"N": 1}


# -------------------------------------------------------- ints and words


def test_integers_are_taken_as_they_are(tmp_path: Path) -> None:
    data = read(tmp_path, classifier(), "a,label\n1,2\n2,0\n")
    label = data.train.arrays(["label"])[0]
    assert label.dtype == np.int64 and label.tolist() == [2, 0]
    assert data.transforms.classes == {}


def test_words_become_places_in_the_sorted_classes(tmp_path: Path) -> None:
    data = read(tmp_path, classifier(), "a,label\n1,red\n2,blue\n3,red\n4,green\n")
    assert data.train.arrays(["label"])[0].tolist() == [2, 0, 2, 1]
    assert data.transforms.classes == {"label": ("blue", "green", "red")}


BAD_INTS = {
    "a,label\n1,2\n2,1.5\n": "f.csv:3, column 'label': '1.5' is no whole number",
    "a,label\n1,2\n2,3\n": "f.csv:3, column 'label': '3' is outside of 0…2",
    "a,label\n1,-1\n2,1\n": "f.csv:2, column 'label': '-1' is outside of 0…2",
    "a,label\n1,2\n2,1\n3,x\n": "f.csv:4, column 'label': 'x' is not a whole number",
    "a,label\n1,1e17\n2,1\n": "f.csv:2, column 'label': '1e17' is no whole number",
    "a,label\n1,a\n2,b\n3,c\n4,d\n": "f.csv:5, column 'label': 'd' is outside of 0…2",
}


@pytest.mark.parametrize("text", BAD_INTS)
def test_bad_ints(tmp_path: Path, text: str) -> None:
    assert error(tmp_path, classifier(), text)[0].startswith(BAD_INTS[text])


def test_classes_counted_from_one_get_a_hint(tmp_path: Path) -> None:
    lines = error(tmp_path, classifier(), "a,label\n1,1\n2,2\n3,3\n")
    assert lines[1] == (
        "label is used as an index from 0 to 2; are the classes counted from 1?"
    )


def test_words_in_a_real_label_get_a_hint(tmp_path: Path) -> None:
    lines = error(tmp_path, LOGISTIC, "a,y\n1,yes\n2,no\n")
    assert lines[0].startswith(
        "f.csv:2, column 'y': 'yes' is not a number, and y is real; 2"
    )
    assert lines[-1] == "an int input takes words as classes: input y: int[…]"


def test_decimal_commas_get_a_hint(tmp_path: Path) -> None:
    lines = error(tmp_path, LOGISTIC, "a;y\n1,5;1\n-2,25;0\n")
    assert lines[-1] == "a number has a point and no comma: 1.5 for 1,5, 1000 for 1,000"


def test_bools(tmp_path: Path) -> None:
    sig = signature(
        inputs=[given("m", "bool", [N], 1)],
        sizes={"N": size(True, ["m"], False)},
        functions={"forward": {"params": False, "inputs": ["m"]}},
    )
    assert read(tmp_path, sig, "m\n1\n0\n").train.arrays(["m"])[0].tolist() == [
        True,
        False,
    ]
    words = read(tmp_path, sig, "m\nTrue\nfalse\n")
    assert words.train.arrays(["m"])[0].tolist() == [True, False]
    assert "'2' is neither 0 nor 1" in error(tmp_path, sig, "m\n1\n2\n")[0]
    assert "'perhaps' is neither true" in error(tmp_path, sig, "m\ntrue\nperhaps\n")[0]
