"""Emitted modules and signatures, written by hand: what the runtime is developed against.

They stay as they are when the compiler changes, so that a test of the runtime that fails is a
mistake of the runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

MODULES = Path(__file__).parent / "modules"


def sym(name: str) -> list[Any]:
    """The DIM of one symbol."""
    return [[1, 1, [name]]]


def given(name: str, kind: str, shape: list[Any], line: int, range: Any = None) -> dict:
    return {"name": name, "kind": kind, "shape": shape, "line": line, "range": range}


def root(name: str, rows: str | None, row_dim: str | None) -> dict[str, Any]:
    return {"name": name, "rows": rows, "row_dim": row_dim}


def size(row: bool, bound_by: list[str], frozen: bool) -> dict[str, Any]:
    return {"row": row, "bound_by": bound_by, "frozen": frozen}


def signature(**parts: Any) -> dict[str, Any]:
    """A signature with every key, of which a test gives some."""
    return {
        "version": 1,
        "name": "test.net",
        "text_sha256": "",
        "level": 1,
        "doc": "",
        "constants": {},
        "inputs": [],
        "sizes": {},
        "parameters": [],
        "states": [],
        "randoms": [],
        "init_sizes": [],
        "functions": {},
        "losses": [],
        "metrics": [],
        "total": {"rows": None, "row_dim": None},
        "outputs": [],
        "stratify": None,
        "train": {},
        "checks": [],
    } | parts


N, D = sym("N"), sym("D")
PARAMS = {"params": True}

MLP = signature(
    name="mlp.net",
    constants={"hidden": 32},
    inputs=[
        given("x", "real", [N, 64], 3),
        given("digit", "int", [N], 4, [0, 10]),
    ],
    sizes={"N": size(True, ["x", "digit"], False)},
    parameters=[
        {"path": "W1", "shape": [64, 32], "trained": True, "line": 5},
        {"path": "b1", "shape": [32], "trained": True, "line": 6},
        {"path": "W2", "shape": [32, 10], "trained": True, "line": 7},
        {"path": "b2", "shape": [10], "trained": True, "line": 8},
    ],
    functions={
        "init": {},
        "forward": PARAMS | {"inputs": ["x", "digit"]},
        "evaluate": PARAMS | {"inputs": ["x", "digit"]},
        "predict": PARAMS | {"inputs": ["x"]},
    },
    losses=[root("loss", "mean", "N")],
    metrics=[root("accuracy", "mean", "N")],
    total={"rows": "mean", "row_dim": "N"},
    outputs=[
        {
            "name": "answer",
            "shape": [N],
            "kind": "int",
            "inputs": ["x"],
            "classes_of": "digit",
        },
        {
            "name": "p",
            "shape": [N, 10],
            "kind": "real",
            "inputs": ["x"],
            "classes_of": None,
        },
    ],
    stratify="digit",
)

LOGISTIC = signature(
    name="logistic.net",
    constants={"decay": 0.01},
    inputs=[given("x", "real", [N, D], 4), given("y", "real", [N], 5)],
    sizes={"N": size(True, ["x", "y"], False), "D": size(False, ["x"], True)},
    parameters=[
        {"path": "w", "shape": [D], "trained": True, "line": 6},
        {"path": "b", "shape": [], "trained": True, "line": 7},
    ],
    init_sizes=["D"],
    functions={
        "forward": PARAMS | {"inputs": ["x", "y"]},
        "evaluate": PARAMS | {"inputs": ["x", "y"]},
        "predict": PARAMS | {"inputs": ["x"]},
    },
    losses=[root("nll", "mean", "N"), root("penalty", "free", None)],
    metrics=[root("accuracy", "mean", "N")],
    total={"rows": "mean", "row_dim": "N"},
    outputs=[
        {"name": "p", "shape": [N], "kind": "real", "inputs": ["x"], "classes_of": None}
    ],
)

NOISY = signature(
    name="noisy.net",
    inputs=[given("x", "real", [N, D], 1), given("y", "real", [N], 2)],
    sizes={"N": size(True, ["x", "y"], False), "D": size(False, ["x"], True)},
    parameters=[
        {"path": "w", "shape": [D], "trained": True, "line": 3},
        {"path": "b", "shape": [], "trained": True, "line": 4},
    ],
    states=[{"path": "seen", "shape": [D], "line": 5}],
    randoms=[
        {"path": "keep", "shape": [N, D], "law": "uniform", "line": 6},
        {"path": "eps", "shape": [N], "law": "normal", "line": 7},
    ],
    init_sizes=["D"],
    functions={
        "forward": {
            "params": True,
            "state": True,
            "noise": True,
            "inputs": ["x", "y"],
            "draws": ["keep", "eps"],
        },
        "evaluate": {
            "params": True,
            "state": True,
            "noise": True,
            "inputs": ["x", "y"],
            "draws": ["eps"],
        },
        "predict": {"params": True, "state": True, "noise": False, "inputs": ["x"]},
    },
    losses=[root("loss", "mean", "N")],
    total={"rows": "mean", "row_dim": "N"},
    outputs=[
        {"name": "p", "shape": [N], "kind": "real", "inputs": ["x"], "classes_of": None}
    ],
)
"""A line with dropout and noise, that remembers the mean of what it has seen."""


def source(name: str) -> str:
    return (MODULES / f"{name}.py").read_text(encoding="utf-8")
