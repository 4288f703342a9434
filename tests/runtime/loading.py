"""Programs and files to load: what the tests of data share."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import LOGISTIC, given, root, signature, size, sym

from gradc.data import load
from gradc.errors import DataError
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


def many(classes: int = 3, rows: int = 90) -> str:
    rng = np.random.default_rng(0)
    lines = [f"{v:.6f},{i % classes}" for i, v in enumerate(rng.normal(5, 2, rows))]
    return "a,label\n" + "\n".join(lines) + "\n"


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
