"""`gradc info` and `gradc completion`: what there is, in tables and in JSON."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradc.cli.completion import verbs
from gradc.cli.main import VERBS

TABLE = "a,b,kind\n1,0.5,rose\n2,,iris\n3,2.5,rose\n"


def test_alone(gradc: Any) -> None:
    found = json.loads(gradc("info", "--json").out)
    assert found["numpy"] == np.__version__ and found["checkpoint format"] == 2
    assert found["limits"]["nesting"] == 64 and found["extras"]["rich"] == "installed"
    text = gradc("info").out
    assert "blas" in text and "limits\n" in text
    assert gradc("info", "--to", "x.npy").code == 2


def test_tables(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    found = json.loads(gradc("info", "t.csv", "--json").out)
    assert found["rows"] == 3 and found["header"] == "yes"
    a, b, kind = found["columns"]
    assert a == {
        "column": "a", "kind": "int", "from": 1.0, "to": 3.0, "missing": 0,
        "values": {"1": 1, "2": 1, "3": 1},
    }  # fmt: skip
    assert (b["kind"], b["missing"], b["to"]) == ("real", 1, 2.5)
    assert kind["values"] == {"rose": 2, "iris": 1}
    only = json.loads(gradc("info", "t.csv:kind", "--json").out)
    assert [c["column"] for c in only["columns"]] == ["kind"]
    assert "rose 2, iris 1" in gradc("info", "t.csv").out


def test_arrays_texts_and_what_is_none(gradc: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.array([[1.0, np.nan]]), n=np.arange(3))
    found = json.loads(gradc("info", "d.npz", "--json").out)
    assert [(r["array"], r["shape"], r["missing"]) for r in found["arrays"]] == [
        ("x", "[1, 2]", 1),
        ("n", "[3]", 0),
    ]
    (tmp_path / "t.txt").write_text("to be\nor not\n")
    assert "different characters  8" in gradc("info", "t.txt").out
    assert gradc("info", "none.csv").code == 4
    assert gradc("info", "d.npz:z").code == 4


def test_which_input_takes_what(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,3\n4,5,6\n")
    (tmp_path / "n.net").write_text(
        "input x: [N, 2]\ninput y: [N]\nparam w: [2] = 0\nloss l = mse(x @ w, y)\n"
    )
    found = json.loads(gradc("info", "t.csv", "--program", "n.net", "--json").out)
    assert found["inputs"] == {"x": "a, b", "y": "y"}


@pytest.fixture
def run(gradc: Any, tmp_path: Path) -> str:
    (tmp_path / "t.csv").write_text("x,y\n" + "1,2\n2,4\n3,6\n" * 5)
    (tmp_path / "t.net").write_text(
        "input x: [N]\ninput y: [N]\nparam w = 0\nloss l = mse(w * x, y)\n"
        'train { data = "t.csv"; epochs = 3 }\n'
    )
    assert gradc("train", "t.net", "--set", "train.batch=5").code == 0
    return "runs/t-1"


def test_runs_and_checkpoints(gradc: Any, run: str, tmp_path: Path) -> None:
    found = json.loads(gradc("info", run, "--json").out)
    settings = {row["setting"]: row for row in found["settings"]}
    assert settings["batch"] == {"setting": "batch", "value": "5", "from": "--set"}
    assert found["best epoch"] == 3 and found["checkpoints"] == "9"
    (row,) = [t for t in found["tensors"] if t["tensor"] == "p/w"]
    assert row["shape"] == "[]" and len(row["sha256"]) == 16
    alone = json.loads(gradc("info", f"{run}/ckpt/step-000000009.npz", "--json").out)
    assert alone["can be resumed"] == "yes" and alone["of"] == "t.net"
    assert "settings" in gradc("info", run).out
    (tmp_path / "bad.npz").write_bytes(
        (tmp_path / run / "ckpt/step-000000009.npz").read_bytes()[:-30]
    )
    assert gradc("info", "bad.npz").code in (4, 5)


@pytest.mark.parametrize("packed", [False, True])
def test_columns_become_an_array(gradc: Any, tmp_path: Path, packed: bool) -> None:
    rows = "\n".join(f'{i},"{i / 4}",{-i}' for i in range(40_000))
    text = f"a,b,c\n{rows}\n"
    name = "t.csv.gz" if packed else "t.csv"
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    done = gradc("info", name, "--to", "all.npy", "--dtype", "float64")
    assert done.code == 0 and "wrote  all.npy   float64 [40000, 3]" in done.err
    made = np.load(tmp_path / "all.npy", mmap_mode="r")
    np.testing.assert_array_equal(made[:, 1], np.arange(40_000) / 4)
    assert gradc("info", f"{name}:c", "--to", "c.npy", "--dtype", "int64").code == 0
    assert np.load(tmp_path / "c.npy")[39_999] == -39_999
    assert gradc("info", name, "--to", "all.npy").code == 2  # it exists
    assert gradc("info", name, "--to", "all.txt").code == 2
    assert gradc("info", f"{name}:b", "--to", "b.npy", "--dtype", "int64").code == 4
    assert gradc("info", f"{name}:z", "--to", "z.npy").code == 4
    assert sorted(p.name for p in tmp_path.glob("*.npy*")) == ["all.npy", "c.npy"]


def test_what_becomes_no_array(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    done = gradc("info", "t.csv", "--to", "t.npy")
    assert done.code == 4
    assert "t.csv:2, column 'kind': 'rose' is not a number" in done.err
    (tmp_path / "r.csv").write_text("a,b\n1,2\n3\n")
    assert (
        "r.csv:3: 1 cells, but line 1 has 2"
        in gradc("info", "r.csv", "--to", "r.npy").err
    )
    (tmp_path / "e.csv").write_text("")
    assert gradc("info", "e.csv", "--to", "e.npy").code == 4


# -------------------------------------------------------------------------- completion


def test_every_verb_and_flag_is_there(gradc: Any) -> None:
    for shell in ("bash", "zsh", "fish"):
        text = gradc("completion", shell).out
        for verb in VERBS:
            assert verb in text
        assert "checkpoint-every" in text and "float64" in text
    assert {flag for f in verbs()["train"] for flag in f.names} >= {"--resume", "-q"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gradc", "ev"], "eval"),
        (["gradc", "train", "--checkp"], "--checkpoint-every"),
        (["gradc", "train", "--dtype", "float3"], "float32"),
    ],
)
def test_bash_completes(
    gradc: Any, tmp_path: Path, words: list[str], expected: str
) -> None:
    if shutil.which("bash") is None:
        pytest.fail("bash is part of every system that these tests run on")
    (tmp_path / "c.bash").write_text(gradc("completion", "bash").out)
    script = (
        f"source c.bash; COMP_WORDS=({' '.join(words)}); "
        f"COMP_CWORD={len(words) - 1}; _gradc; echo ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [expected] and done.stderr == ""
