"""The data that the examples ship are those that LICENSES.md names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

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
        if path.is_file() and {".csv", ".npz", ".npy", ".tsv"} & set(path.suffixes)
    }
    assert shipped == listed


def test_the_data_stay_small() -> None:
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*.csv*")) < 600_000


def test_every_data_set_has_its_licence() -> None:
    text = (EXAMPLES / "LICENSES.md").read_text(encoding="utf-8")
    for name, _ in LISTED.findall(text):
        section = text.split(f"## {name}\n")[1].split("\n## ")[0]
        assert "CC BY 4.0" in section
        assert "https://doi.org/" in section
        assert "*Changes*" in section
