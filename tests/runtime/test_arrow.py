"""Parquet, Arrow and Feather files, where pyarrow is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loading import classifier, read

from gradc.data.arrow import read_arrow
from gradc.errors import DataError

ROWS = {"x0": [1.5, 2.5, 3.5], "x1": [1, 2, 3], "label": [0, 1, 2]}
FORMS = ["f.parquet", "f.arrow", "f.feather", "stream.arrow"]


def write(
    path: Path, columns: dict[str, Any], types: dict[str, Any] | None = None
) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    arrays = {n: arrow.array(v, (types or {}).get(n)) for n, v in columns.items()}
    table = arrow.table(arrays)
    if path.suffix == ".parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, path, row_group_size=2)
    else:
        new = (
            arrow.ipc.new_stream
            if path.name.startswith("stream")
            else arrow.ipc.new_file
        )
        with new(path, table.schema) as file:
            file.write_table(table, max_chunksize=2)


@pytest.mark.parametrize("name", FORMS)
def test_columns_feed_inputs(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, ROWS)
    data = read(tmp_path, classifier(), None, name)
    x, label = data.train.arrays(["x", "label"])
    assert x.tolist() == [[1.5, 1], [2.5, 2], [3.5, 3]] and label.tolist() == [0, 1, 2]
    assert data.bindings == {"x": "x0, x1", "label": "label"}


def test_words_nulls_lists_and_truths(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    lists = arrow.list_(arrow.float32(), 2)
    columns = {
        "x": [[1.0, 2.0], [3.0, 4.0]],
        "flag": [True, None],
        "kind": ["rose", None],
        "same": ["iris", "iris"],
        "none": [None, None],
    }
    types = {"x": lists, "same": arrow.dictionary(arrow.int8(), arrow.string())}
    write(tmp_path / "f.parquet", columns, types)
    table = read_arrow(tmp_path / "f.parquet", "f.parquet")
    assert table.header == ("x.0", "x.1", "flag", "kind", "same", "none")
    np.testing.assert_array_equal(
        table.numbers[:, :3], [[1.0, 2.0, 1.0], [3.0, 4.0, np.nan]]
    )
    assert table.words == {3: ["rose", ""], 4: ["iris", "iris"]}
    assert table.place(1, 3) == "f.parquet: row 2, column 'kind'"
    assert [table.text(1, c) for c in range(6)] == ["3", "4", "", "", "iris", ""]


def test_classes_and_what_is_missing(tmp_path: Path) -> None:
    words = {**ROWS, "label": ["b", "a", "b"]}
    write(tmp_path / "f.parquet", words)
    data = read(tmp_path, classifier(), None, "f.parquet")
    assert data.transforms.classes == {"label": ("a", "b")}
    write(tmp_path / "f.parquet", {**ROWS, "x1": [1, None, None]})
    with pytest.raises(DataError) as caught:
        read(tmp_path, classifier(), None, "f.parquet")
    assert str(caught.value).splitlines() == [
        "f.parquet: row 2, column 'x1': empty value (missing); 2 such cells in 2 rows",
        "  f.parquet: row 3, column 'x1': ''",
        "  say what to do:  --set train.missing=drop | mean",
    ]


def test_types_that_are_neither(tmp_path: Path) -> None:
    import datetime

    write(tmp_path / "f.parquet", {"when": [datetime.date(2020, 1, 1)]})
    with pytest.raises(DataError, match=r"column 'when' is date32\[day\], neither"):
        read_arrow(tmp_path / "f.parquet", "f.parquet")
    write(tmp_path / "f.parquet", {"x": []})
    with pytest.raises(DataError, match="has no rows"):
        read_arrow(tmp_path / "f.parquet", "f.parquet")


@pytest.mark.parametrize("name", FORMS)
def test_damage(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, ROWS)
    whole = (tmp_path / name).read_bytes()
    for data in (b"", b"PAR1", whole[: len(whole) // 2], b"x" * 64):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=f"{name} (cannot be read|has no)"):
            read_arrow(tmp_path / name, name)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError) as caught:
        read_arrow(tmp_path / "f.parquet", "f.parquet")
    assert caught.value.message == "f.parquet needs pyarrow, which is not installed"
    assert "gradc[arrow]" in caught.value.notes[0]
