"""Random command lines: whatever the words, one documented status and no traceback."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from gradc.cli.exits import Exit
from gradc.cli.main import VERBS

NET = """\
const k = 2
input x: [N, 2]
input y: int[N]
h = x |> dense(k, tanh) |> dense(2)
loss fit = cross_entropy(h, y)
metric accuracy = mean(argmax(h) == y)
output h
train { data = "d.csv"; epochs = 1; valid = 0.25 }
"""
FLAGS = (
    "-o --emit --wrt --force --no-format --time-passes -O0 -O1 -O --set -I --limit --json -q -v "
    "--color --filename-in-msg --data --valid --dtype --out --epochs --steps --seed --threads "
    "--print-config --metric --require --weights --output --method --eps --tol --size --seeds "
    "--check --diff --template --csv --target --help"
).split()
WORDS = (
    "a.net f.net broken.net missing.net . - runs/a-1 runs d.csv x.npz out.csv out.npz out.py 0 1 "
    "-1 3 1e400 nan 0.5 inf x y,h x=d.csv y=next(x) N=3 =3 k=5 k= k=inf train.epochs=2 train= "
    "train.batch=0 nodes=3 seconds=1 fit>=0 fit>nan float64 complex central best last always "
    "random blas label"
).split()
VALUES = [
    *WORDS,
    "",
    "\0",
    "é",
    "x" * 5000,
    "../..",
    "/dev/null",
    "train.optimizer=adam(lr=",
    "--",
]


@pytest.fixture
def folder(gradc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.net").write_text(NET)
    (tmp_path / "f.net").write_text("input x\noutput y = x^2\n")
    (tmp_path / "broken.net").write_text("output y = (2\n")
    rows = [f"{i % 5},{i * i % 7},{i % 2}" for i in range(24)]
    (tmp_path / "d.csv").write_text("x.0,x.1,y\n" + "\n".join(rows) + "\n")
    (tmp_path / "x.npz").write_bytes(b"PK\3\4 no archive")
    assert gradc("train", "a.net").code == 0
    return tmp_path


def test_random_command_lines(
    gradc: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    rng = random.Random(11)
    seen = set()
    for _ in range(250):
        words = [rng.choice(list(VERBS))]
        for _ in range(rng.randrange(6)):
            words.append(rng.choice(FLAGS if rng.random() < 0.4 else VALUES))
        stdin = io.TextIOWrapper(io.BytesIO(b"x.0,x.1\n1,2\n"))
        monkeypatch.setattr(sys, "stdin", stdin)
        done = gradc(*words)
        assert done.code in set(Exit) - {Exit.INTERNAL}, (words, done.err)
        assert done.code == 0 or done.err or done.out, words
        seen.add(done.code)
    assert seen >= {0, 2, 3}
