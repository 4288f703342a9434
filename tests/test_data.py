"""The data that the examples ship are those that LICENSES.md names."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parent.parent / "examples"
LISTED = re.compile(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", re.M)


def test_every_file_is_listed_with_its_checksum() -> None:
    listed = dict(
        LISTED.findall((EXAMPLES / "LICENSES.md").read_text(encoding="utf-8"))
    )
    shipped = {
        path.relative_to(EXAMPLES)
        .as_posix(): hashlib.sha256(path.read_bytes())
        .hexdigest()
        for path in EXAMPLES.rglob("*")
        if path.is_file()
        and {".csv", ".npz", ".npy", ".tsv", ".txt"} & set(path.suffixes)
        and "runs" not in path.parts
    }
    assert shipped == listed


def test_the_data_stay_small() -> None:
    text = (EXAMPLES / "LICENSES.md").read_text(encoding="utf-8")
    sizes = {name: (EXAMPLES / name).stat().st_size for name, _ in LISTED.findall(text)}
    assert sum(sizes.values()) < 1_000_000 and max(sizes.values()) < 450_000


def test_every_data_set_has_its_licence() -> None:
    text = (EXAMPLES / "LICENSES.md").read_text(encoding="utf-8")
    for name, _ in LISTED.findall(text):
        section = text.split(f"## {name}\n")[1].split("\n## ")[0]
        assert re.search(r"CC BY 4\.0|the MIT licence|public domain", section)
        assert re.search(r"https://(doi\.org|github\.com)/", section)
        assert "*Changes*" in section
        if "the MIT licence" in section:
            assert "Permission is hereby granted" in section


def test_the_points_of_burgers_are_drawn_as_its_script_says() -> None:
    """From the grid alone, whose values are in the file too."""
    path = EXAMPLES / "burgers" / "prepare.py"
    spec = importlib.util.spec_from_file_location("prepare_burgers", path)
    assert spec and spec.loader
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    with np.load(path.with_name("burgers.npz")) as file:
        shipped = dict(file)
    x, t = np.unique(shipped["xs"]), np.unique(shipped["ts"])
    u = shipped["us"].astype(np.float64).reshape(len(x), len(t))
    drawn = prepare.points(x, t, u)
    assert set(drawn) == set(shipped)
    for name, array in shipped.items():
        assert drawn[name].dtype == array.dtype
        np.testing.assert_allclose(drawn[name], array, rtol=0, atol=1e-7)
    inside = shipped["x"][: prepare.COLLOCATION]
    slices = np.floor((inside.astype(np.float64) + 1) / 2 * prepare.COLLOCATION)
    assert len(np.unique(slices)) > 0.99 * prepare.COLLOCATION  # but for rounding
