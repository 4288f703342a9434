"""Data: files to arrays, and every way in which they do not fit."""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import LOGISTIC, given, root, signature, size, sym

from gradc.data import File, Next, Transforms, Value, load, parse
from gradc.data.sources import combine, locate
from gradc.errors import DataError, SettingError
from gradc.settings import Settings

N, D = sym("N"), sym("D")
XY = ["x", "y"]


def classifier(high: int = 3) -> dict[str, Any]:
    """x: [N, D], label: int[N] with values below `high`."""
    sig = copy.deepcopy(LOGISTIC)
    sig["name"] = "wine.net"
    sig["inputs"] = [
        given("x", "real", [N, D], 2),
        given("label", "int", [N], 3, [0, high]),
    ]
    for function in ("forward", "evaluate"):
        sig["functions"][function]["inputs"] = ["x", "label"]
    sig["stratify"] = "label"
    return sig


def read(
    tmp_path: Path,
    sig: dict[str, Any],
    text: str | bytes | None,
    file: str = "f.csv",
    **train: Any,
) -> Any:
    """Write a file, and load it as the program's data."""
    if text is not None:
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / file).write_bytes(data)
    sig = copy.deepcopy(sig)
    sig["train"] = {"data": [[None, {"path": file, "entry": None}]], **train}
    return load(sig, Settings.of(sig), tmp_path)


def error(*arguments: Any, **train: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        read(*arguments, **train)
    assert caught.value.exit_code == 4
    return [line.strip() for line in str(caught.value).splitlines()]


# -------------------------------------------------------------------------------- sources


def test_sources_are_parsed(tmp_path: Path) -> None:
    assert parse("f.csv") == (None, File("f.csv", trusted=True))
    assert parse("x=a/f.npz:images") == ("x", File("a/f.npz", "images", trusted=True))
    assert parse("x=f.csv:age,bmi") == ("x", File("f.csv", "age,bmi", trusted=True))
    assert parse("x=0.5") == ("x", Value(0.5)) and parse("x=true") == ("x", Value(True))
    assert parse("t=next(text)") == ("t", Next("text"))
    odd = tmp_path / "a=b.csv"
    odd.write_text("1\n")
    assert parse(str(odd)) == (None, File(str(odd), trusted=True))
    assert parse("-") == (None, File("-", trusted=True))


def test_the_command_line_wins_and_keeps_what_the_program_says_of_columns() -> None:
    program = [
        (None, File("a.csv")),
        ("y", File("a.csv", "label")),
        ("t", Next("x")),
        ("k", Value(2.0)),
    ]
    sources = combine(program, ["b.csv"])
    assert sources[None] == File("b.csv", trusted=True)
    assert sources["y"] == File("b.csv", "label", trusted=True, kept=True)
    assert sources["t"] == Next("x") and sources["k"] == Value(2.0)
    assert combine(program, ["y=c.npy"])["y"] == File("c.npy", trusted=True)
    for order in (["y=c.npy", "b.csv"], ["b.csv", "y=c.npy"]):
        assert combine(program, order)["y"] == File("c.npy", trusted=True)
    # a run that was trained on the user's files is evaluated on others of the user's
    trained = combine(program, ["x=x.npy", "y=y.npy"])
    assert combine(trained.items(), ["b.npz"])["x"] == File("b.npz", trusted=True)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.csv", "out/secret.csv", "link.csv"]
)
def test_a_program_does_not_leave_its_folder(tmp_path: Path, path: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret.csv").write_text("1\n")
    (home / "out").symlink_to(tmp_path)
    (home / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(DataError, match=r"--data "):
        locate(File(path), home)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, message in [
        ("pipe.csv", "no ordinary file"),
        ("folder.csv", "is a folder"),
        ("none.csv", "No such file"),
        ("a\0b", "NUL"),
    ]:
        with pytest.raises(DataError, match=message):
            locate(File(name), tmp_path)
    with pytest.raises(DataError, match="no ordinary file"):
        locate(File("/dev/zero", trusted=True), tmp_path)


def test_inputs_without_a_source_are_named(tmp_path: Path) -> None:
    sig = copy.deepcopy(LOGISTIC)
    with pytest.raises(
        DataError, match=r"nothing feeds the input x \(logistic.net:4\)"
    ):
        load(sig, Settings.of(sig), tmp_path)
    sig["train"] = {"data": [["z", {"path": "f.csv", "entry": None}]]}
    with pytest.raises(DataError, match="has no input 'z'"):
        load(sig, Settings.of(sig), tmp_path)


# ------------------------------------------------------------------------------------ CSV


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


# -------------------------------------------------------------------------------- missing

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


# -------------------------------------------------------------------------- ints and words


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


# ------------------------------------------------------------------------ split and scaling


def many(classes: int = 3, rows: int = 90) -> str:
    rng = np.random.default_rng(0)
    lines = [f"{v:.6f},{i % classes}" for i, v in enumerate(rng.normal(5, 2, rows))]
    return "a,label\n" + "\n".join(lines) + "\n"


def test_split_is_stratified_keyed_and_in_file_order(tmp_path: Path) -> None:
    data = read(tmp_path, classifier(), many(), valid=0.2)
    assert data.train.rows == {"N": 72} and data.valid.rows == {"N": 18}
    assert np.bincount(data.valid.arrays(["label"])[0]).tolist() == [6, 6, 6]
    again = read(tmp_path, classifier(), many(), valid=0.2)
    other = read(tmp_path, classifier(), many(), valid=0.2, seed=1)
    x, same, different = (d.valid.arrays(["x"])[0] for d in (data, again, other))
    assert np.array_equal(x, same) and not np.array_equal(x, different)
    everything = (
        read(tmp_path, classifier(), many()).train.arrays(["x"])[0][:, 0].tolist()
    )
    both = data.train.arrays(["x"])[0][:, 0].tolist() + x[:, 0].tolist()
    assert sorted(both) == sorted(everything)
    places = [everything.index(v) for v in x[:, 0].tolist()]
    assert places == sorted(places)
    assert data.summary == ["f.csv  90 rows → 72 train / 18 valid (stratified, seed 0)"]


def test_a_split_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    lines = error(tmp_path, LOGISTIC, "a,y\n1,0\n", valid=0.5)
    assert lines == [
        "valid = 0.5 of 1 rows (N) leaves 0 to train on and 1 to validate on"
    ]


def test_classes_are_those_of_the_training_part(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("a,label\n1,blue\n2,pink\n")
    text = "a,label\n1,red\n2,blue\n"
    lines = error(tmp_path, classifier(), text, valid={"path": "g.csv"})
    assert lines == [
        "g.csv:3, column 'label': 'pink' is no class of label in the training part",
        "the classes are: 'blue', 'red'",
    ]
    (tmp_path / "g.csv").write_text("a,label\n1,blue\n")
    data = read(tmp_path, classifier(), text, valid={"path": "g.csv"})
    assert data.valid.arrays(["label"])[0].tolist() == [0]
    (tmp_path / "g.csv").write_text("b,c,label\n1,2,blue\n")
    lines = error(tmp_path, classifier(), text, valid={"path": "g.csv"})
    assert lines[0] == "x needs 1 columns, and g.csv has 2 for it: b, c"


@pytest.mark.parametrize("kind", ["standard", "unit"])
def test_scales_are_fitted_on_the_training_part(tmp_path: Path, kind: str) -> None:
    train = {"valid": 0.2, "dtype": "float64"}
    plain = read(tmp_path, classifier(), many(), **train)
    data = read(tmp_path, classifier(), many(), scale=[[None, kind]], **train)
    raw, x = plain.train.arrays(["x"])[0], data.train.arrays(["x"])[0]
    if kind == "standard":
        shift, spread = raw.mean(), raw.std()
        assert x.mean() == pytest.approx(0, abs=1e-14) and x.std() == pytest.approx(1)
    else:
        shift, spread = raw.min(), raw.max() - raw.min()
        assert x.min() == 0 and x.max() == 1
    held = plain.valid.arrays(["x"])[0]
    np.testing.assert_allclose(data.valid.arrays(["x"])[0], (held - shift) / spread)
    label = data.train.arrays(["label"])[0]
    assert label.dtype == np.int64 and label.max() == 2


def test_a_constant_column_stays_finite(tmp_path: Path) -> None:
    text = "a,b,y\n0.1,1,0\n0.1,2,1\n0.1,3,1\n"
    for kind in ("standard", "unit"):
        data = read(tmp_path, LOGISTIC, text, scale=[["x", kind]])
        assert np.abs(data.train.arrays(["x"])[0][:, 0]).max() < 1e-6
    with pytest.raises(DataError, match=r"scale label = unit: label is int\[N\]"):
        read(tmp_path, classifier(), many(), scale=[["label", "unit"]])


def test_transforms_are_replayed(tmp_path: Path) -> None:
    sig = classifier()
    train = {"scale": [[None, "standard"]], "missing": "mean", "dtype": "float64"}
    text = "b,a,label\n1,5,red\n,7,blue\n4,9,red\n"
    fitted = read(tmp_path, sig, text, **train)
    transforms = Transforms.from_json(fitted.transforms.to_json())
    # other order, other columns beside them, no label: what was taken then is taken now
    (tmp_path / "new.csv").write_text("id,a,b\n77,5,1\n78,7,\n")
    sig["train"] = train
    settings = Settings.of(sig, data=[str(tmp_path / "new.csv")])
    data = load(sig, settings, tmp_path, "predict", transforms, fitted.sizes)
    x = fitted.train.arrays(["x"])[0]
    assert np.array_equal(data.train.arrays(["x"])[0], x[:2])
    assert data.bindings == {"x": "b, a"}


# ---------------------------------------------------------------------------- NPY and NPZ


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
    monkeypatch.setattr("gradc.data.cells.LAZY", 10)
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


# ---------------------------------------------------------------------------- whole inputs


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


# ------------------------------------------------------------------------------------ text

TEXT = "the quick brown fox jumps over the lazy dog. " * 20


def language() -> dict[str, Any]:
    T = sym("T")
    return signature(
        name="char.net",
        inputs=[
            given("text", "int", [N, T], 1, [0, 40]),
            given("target", "int", [N, T], 2, [0, 40]),
        ],
        sizes={
            "N": size(True, ["text", "target"], False),
            "T": size(False, ["text", "target"], False),
        },
        functions={
            "forward": {"params": False, "inputs": ["text", "target"]},
            "evaluate": {"params": False, "inputs": ["text", "target"]},
            "predict": {"params": False, "inputs": ["text"]},
        },
        losses=[root("loss", "mean", "N")],
    )


TEXT_TRAIN = {
    "data": [[None, {"path": "f.txt", "entry": None}], ["target", {"next": "text"}]],
    "window": [["T", 16]],
}


def test_text_is_windows_and_their_successors(tmp_path: Path) -> None:
    sig = language()
    data = read(tmp_path, sig, TEXT, "f.txt", **TEXT_TRAIN)
    characters = data.transforms.vocabulary["text"]
    assert characters == "".join(sorted(set(TEXT)))
    steps = list(data.train.batches(["text", "target"], 0, 0, lambda _: 8))
    assert sum(rows for _, rows in steps) == len(TEXT) // 16
    for (text, target), _ in steps:
        assert np.array_equal(text[:, 1:], target[:, :-1])
        assert "".join(characters[i] for i in text[0]) in TEXT
    assert data.sizes == {"T": 16}
    # every start may be drawn
    assert data.train.tables["N"].rows == len(TEXT) - 16
    assert data.bindings == {"text": "f.txt", "target": "next(text)"}


def test_the_end_of_a_text_is_held_out_in_consecutive_windows(tmp_path: Path) -> None:
    data = read(tmp_path, language(), TEXT, "f.txt", valid=0.1, **TEXT_TRAIN)
    characters = data.transforms.vocabulary["text"]
    text, target = data.valid.arrays(["text", "target"])
    end = TEXT[-90:]
    assert text.shape == (5, 16)
    assert "".join(characters[i] for i in text.reshape(-1)) == end[:80]
    assert "".join(characters[i] for i in target.reshape(-1)) == end[1:81]
    # what is trained on ends before it
    assert data.train.tables["N"].rows == 810 - 16
    # without a held-out end, figures are those of the whole text in consecutive windows
    whole = read(tmp_path, language(), TEXT, "f.txt", **TEXT_TRAIN).held_out
    assert whole.arrays(["text"])[0].shape == ((900 - 1) // 16, 16)


def test_in_prediction_a_text_is_one_window(tmp_path: Path) -> None:
    sig = language()
    fitted = read(tmp_path, sig, TEXT, "f.txt", **TEXT_TRAIN)
    (tmp_path / "g.txt").write_text("the fox")
    sig["train"] = TEXT_TRAIN
    settings = Settings.of(sig, data=[str(tmp_path / "g.txt")])
    data = load(sig, settings, tmp_path, "predict", fitted.transforms)
    assert data.train.arrays(["text"])[0].shape == (1, 7)
    (tmp_path / "g.txt").write_text("the fox\nhas 2 heads")
    with pytest.raises(
        DataError, match=r"g.txt:1:8: the character '\\n' is not among the 28"
    ):
        load(sig, settings, tmp_path, "predict", fitted.transforms)


def test_texts_that_do_not_fit(tmp_path: Path) -> None:
    sig = language()
    lines = error(tmp_path, sig, "abc", "f.txt", **TEXT_TRAIN)
    assert lines[0].startswith("f.txt has 3 characters, too few for one window of 16")
    no_window = {**TEXT_TRAIN, "window": []}
    assert error(tmp_path, sig, TEXT, "f.txt", **no_window)[1].startswith(
        "say:  train { window T = 64 }"
    )
    wide = "".join(chr(200 + i) for i in range(60))
    assert error(tmp_path, sig, wide, "f.txt", **TEXT_TRAIN)[0].startswith(
        "f.txt has 60 different characters, and text is used as an index from 0 to 39"
    )
    lines = error(tmp_path, LOGISTIC, TEXT, "f.txt")
    assert lines[0] == "f.txt is a text by its name, and x is [N, D]"


# ------------------------------------------------------------------------ several tables


def two_tables() -> dict[str, Any]:
    P = sym("P")
    return signature(
        name="pinn.net",
        inputs=[given("x", "real", [N], 1), given("t", "real", [P], 2)],
        sizes={"N": size(True, ["x"], False), "P": size(True, ["t"], False)},
        functions={"forward": {"params": False, "inputs": ["x", "t"]}},
    )


def load_two(tmp_path: Path, **train: Any) -> tuple[Any, Settings]:
    np.savez(tmp_path / "f.npz", x=np.arange(10.0), t=np.arange(25.0))
    sig = two_tables()
    sig["train"] = {"data": [[None, {"path": "f.npz", "entry": None}]], **train}
    settings = Settings.of(sig)
    return load(sig, settings, tmp_path), settings


def test_tables_are_batched_on_their_own(tmp_path: Path) -> None:
    data, settings = load_two(tmp_path, batch=[["P", 10]])
    steps = list(data.train.batches(["x", "t"], 0, 0, settings.batch_of))
    assert [rows for _, rows in steps] == [10, 10, 5]
    assert all(np.array_equal(x, np.arange(10)) for (x, _), _ in steps)
    assert sorted(np.concatenate([t for (_, t), _ in steps])) == list(range(25))


def test_shorter_tables_go_round(tmp_path: Path) -> None:
    data, settings = load_two(tmp_path, batch=[[None, 4]])
    steps = list(data.train.batches(["x", "t"], 0, 0, settings.batch_of))
    assert [rows for _, rows in steps] == [4] * 6 + [1]
    xs = [x for (x, _), _ in steps]
    assert [len(x) for x in xs] == [4, 4, 2, 4, 4, 2, 4]
    assert sorted(np.concatenate(xs[:3])) == sorted(np.concatenate(xs[3:6]))
    assert xs[0].tolist() != xs[3].tolist()


def test_batches_are_a_function_of_seed_and_epoch(tmp_path: Path) -> None:
    data, _ = load_two(tmp_path)

    def order(epoch: int, seed: int) -> list[float]:
        steps = data.train.batches(["t"], epoch, seed, lambda _: 4)
        return [float(v) for (t,), _ in steps for v in t]

    assert order(3, 0) == order(3, 0)
    assert len({tuple(order(*key)) for key in [(0, 0), (1, 0), (0, 1)]}) == 3


def test_settings_are_checked(tmp_path: Path) -> None:
    sig = two_tables()
    for wrong, message in [
        ({"epochs": 3, "steps": 3}, "not both"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"seed": -1}, "seed is -1"),
        ({"valid": 1.5}, "valid is 1.5"),
        ({"valid": "-0.5"}, "valid is -0.5"),
        ({"epochs": -1}, "epochs is -1"),
    ]:
        with pytest.raises(SettingError, match=message):
            Settings.of(sig, **wrong)
    sig["train"] = {"valid": 0.2}
    assert Settings.of(sig).valid == 0.2 and Settings.of(sig, valid="0.5").valid == 0.5
    assert Settings.of(sig, valid="0").valid is None
    assert Settings.of(sig, valid="g.csv").valid == File("g.csv", trusted=True)
    sig["train"] = {"batch": [["Q", 3]]}
    with pytest.raises(
        SettingError, match="no table has rows called Q; there are: N, P"
    ):
        Settings.of(sig)


def test_settings_survive_a_run_folder(tmp_path: Path) -> None:
    sig = language()
    sig["train"] = {
        **TEXT_TRAIN,
        "valid": {"path": "g.txt"},
        "clip": {"norm": 5.0},
        "scale": [[None, "unit"]],
        "steps": 100,
    }
    settings = Settings.of(sig, seed=3, data=["text=/tmp/a.txt"])
    assert Settings.from_json(settings.to_json()) == settings
    assert settings.epochs is None and settings.steps == 100
    assert Settings.of(sig, epochs=2).steps is None
