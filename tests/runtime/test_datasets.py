"""Data sets: split, fitted, batched; settings that say how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import LOGISTIC, given, signature, size, sym
from loading import TEXT_TRAIN, N, classifier, error, language, many, read

from gradc.data import File, Transforms, load
from gradc.errors import DataError, SettingError
from gradc.settings import Settings

# ----------------------------------------------------- split and scaling


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


# -------------------------------------------------------- several tables


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
