"""Damaged data files: refused in words that say where, or read; never a traceback.

A CSV, an idx file and an NPY are changed in bytes and in cells. `pytest -m corruption` does it
2,000 times, every day's run a sample.
"""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loading import classifier
from test_idx import idx

from gradc.data import load
from gradc.errors import DataError
from gradc.settings import Settings

ROWS = np.random.default_rng(0).normal(5, 2, (30, 2)).round(3)
LABELS = np.arange(30) % 3
CELLS = [
    "",
    "NA",
    "nan",
    "inf",
    "1e999",
    "-1",
    "7",
    "2.5",
    "a",
    '"',
    "1,5",
    "\0",
    "é",
    "1_0",
]


def originals() -> dict[str, bytes]:
    """Each form with data that fit, labels and images apart where a file is one array."""
    lines = [f"{a},{b},{k}" for (a, b), k in zip(ROWS, LABELS, strict=True)]
    text = "\n".join(["x.0,x.1,label", *lines]) + "\n"
    labels = idx(LABELS.astype(np.uint8))
    return {"f.csv": text.encode(), "y-idx1-ubyte": labels, "x.npy": npy(ROWS)}


def npy(array: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def mutated(name: str, data: bytes, draw: random.Random) -> bytes:
    """One to three changes: of a cell or a line of text, of bytes."""
    for _ in range(draw.randrange(1, 4)):
        if name.endswith(".csv") and draw.random() < 0.6:
            lines = data.split(b"\n")
            at = draw.randrange(len(lines))
            cells = lines[at].split(b",")
            match draw.randrange(5):
                case 0 | 1:
                    word = draw.choice(CELLS).encode()
                    cells[draw.randrange(len(cells))] = word
                case 2:
                    cells.append(b"1")
                case 3:
                    cells.pop()
                case _:
                    cells = [b",".join(cells)] * 2
            lines[at] = b",".join(cells)
            data = b"\n".join(lines)
            continue
        bad = bytearray(data or b"x")
        place = draw.randrange(len(bad))
        if draw.random() < 0.5:
            place = min(place, draw.randrange(130))  # heads decide most
        match draw.randrange(4):
            case 0:
                bad[place] = draw.randrange(256)
            case 1:
                del bad[place:]
            case 2:
                del bad[place : place + draw.randrange(1, 9)]
            case _:
                bad[place:place] = draw.randbytes(draw.randrange(1, 9))
        data = bytes(bad)
    return data


def judge(folder: Path, number: int) -> str:
    """Load one mutant: `read`, or the message that refuses it."""
    draw = random.Random(number)
    files = originals()
    victim = draw.choice(sorted(files))
    files[victim] = mutated(victim, files[victim], draw)
    if victim == "y-idx1-ubyte" and draw.random() < 0.3:
        victim, packed = f"{victim}.gz", gzip.compress(files[victim])
        files[victim] = mutated(victim, packed, draw)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    sig = classifier(3)
    labels = victim if victim.startswith("y-") else "y-idx1-ubyte"
    named: list[Any] = [[None, {"path": "f.csv", "entry": None}]]
    if victim != "f.csv":
        named = [
            ["x", {"path": "x.npy", "entry": None}],
            ["label", {"path": labels, "entry": None}],
        ]
    sig["train"] = {"data": named, "valid": 0.2}
    try:
        data = load(sig, Settings.of(sig), folder)
    except DataError as error:
        message = str(error)
        assert error.exit_code == 4 and len(message) < 4000
        assert any(name in message for name in (*files, "rows", "wine.net")), message
        return message
    x, label = data.train.arrays(["x", "label"])
    assert np.isfinite(x).all() and len(x) == len(label)
    assert label.min() >= 0 and label.max() < 3
    return "read"


def test_a_sample_of_damaged_files(tmp_path: Path) -> None:
    found = [judge(tmp_path, number) for number in range(150)]
    assert found.count("read") >= 2 and len(set(found)) > 40


@pytest.mark.corruption
def test_two_thousand_damaged_files(tmp_path: Path) -> None:
    found = [judge(tmp_path, number) for number in range(1000, 3000)]
    assert found.count("read") >= 20 and len(set(found)) > 400
