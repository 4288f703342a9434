"""The command's way back: --resume, --init-from, limits, logs for machines, dry runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradc import checkpoint

NET = """\
input x: [N, 2]
input y: [N]
h = x |> dense(4, tanh)
output z = (h |> dense(1))[:, 0]
loss fit = mse(z, y)
train { data = "t.csv"; valid = 0.25; batch = 8; epochs = 6; optimizer = adam(lr = 0.02) }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.net").write_text(NET)
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((40, 2))
    lines = [f"{a:.3f},{b:.3f},{a - b:.3f}" for a, b in rows]
    (tmp_path / "t.csv").write_text("\n".join(["x.0,x.1,y", *lines]) + "\n")
    return tmp_path


def weights(folder: Path, run: str) -> bytes:
    ckpt = folder / "runs" / run / "ckpt"
    arrays, _ = checkpoint.load(ckpt / (ckpt / "LATEST").read_text().strip())
    return b"".join(arrays[name].tobytes() for name in sorted(arrays))


def test_resume_in_every_way(gradc: Any, folder: Path) -> None:
    assert gradc("train", "t.net", "--epochs", "12").code == 0
    for words in (
        ["t.net", "--resume"],
        ["--resume", "runs/t-2"],
        ["--resume", "t.net"],
        ["t.net", "--resume", "24"],
        ["--resume", "runs/t-2/ckpt/step-000000024.npz"],
    ):
        assert gradc("train", "t.net", "--out", "runs").code == 0  # the newest run
        number = max(int(p.name[2:]) for p in (folder / "runs").iterdir())
        words = [word.replace("t-2", f"t-{number}") for word in words]
        done = gradc("train", *words, "--epochs", "12")
        assert done.code == 0, done.err
        assert "resume from step 24 of 48" in done.err
        assert weights(folder, f"t-{number}") == weights(folder, "t-1")
    info = json.loads((folder / "runs" / "t-2" / "run.json").read_text())
    assert info["settings"]["epochs"] == 12 and info["origins"]["epochs"] == "--epochs"


def test_a_run_that_is_at_its_end_has_nothing_to_do(gradc: Any, folder: Path) -> None:
    gradc("train", "t.net")
    before = weights(folder, "t-1")
    done = gradc("train", "t.net", "--resume")
    assert done.code == 0 and "resume from step 24 of 24" in done.err
    assert weights(folder, "t-1") == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--resume"], 2, "`--resume latest` needs FILE"),
        (["u.net", "--resume"], 2, "there is no run of u.net in `runs`"),
        (["t.net", "--resume", "runs/t-7"], 2, "there is no run folder `runs/t-7`"),
        (["t.net", "--resume", "7"], 5, "step-000000007.npz: No such file"),
        (["--resume", "runs/t-1", "--seed", "3"], 2, "keeps its seed: it is 0, not 3"),
        (["--resume", "runs/t-1", "--set", "train.batch=9"], 2, "keeps its batch"),
        (["--resume", "runs/t-1", "--init-from", "runs/t-1"], 2, "not both"),
        (["--resume", "runs/t-1", "-O1"], 2, "keeps its -O2"),
        (["changed.net", "--resume", "runs/t-1"], 5, "changed.net has changed since"),
        (["--resume", "runs/t-1", "--data", "other.csv"], 4, "the data are not those"),
        (["t.net", "--init-from", "runs/none"], 5, "No such file"),
        (["t.net", "--time-limit", "soon"], 2, "'soon' is no length of time"),
        (["t.net", "--checkpoint-every", "0"], 2, "0 is not at least 1"),
        (["t.net", "--keep", "0"], 2, "0 is not at least 1"),
    ],
)
def test_what_cannot_go_on(
    gradc: Any, folder: Path, words: list[str], code: int, message: str
) -> None:
    assert gradc("train", "t.net", "--epochs", "1").code == 0
    (folder / "changed.net").write_text(NET.replace("tanh", "relu"))
    table = (folder / "t.csv").read_text().splitlines()
    (folder / "other.csv").write_text("\n".join([*table[:-1], "9,9,9"]) + "\n")
    done = gradc("train", *words)
    assert (done.code, message in done.err) == (code, True), done.err


def test_weights_of_another_run(gradc: Any, folder: Path) -> None:
    gradc("train", "t.net")
    (folder / "u.net").write_text(NET.replace("mse(z, y)", "mean(abs(z - y))"))
    done = gradc("train", "u.net", "--init-from", "runs/t-1", "--epochs", "1")
    assert done.code == 0, done.err
    assert "init   runs/t-1: 4 of 4 parameters" in done.err
    assert gradc("train", "u.net", "--init-from", "runs/t-1/ckpt/BEST").code == 5


def test_limits_and_logs_for_machines(gradc: Any, folder: Path) -> None:
    done = gradc(
        "train", "t.net", "--epochs", "100000", "--time-limit", "0.2s",
        "--log-format", "json", "--checkpoint-every", "500", "--keep", "1",
    )  # fmt: skip
    assert done.code == 0
    events = [json.loads(line) for line in done.err.splitlines()]
    assert events[0]["event"] == "start" and events[-1]["event"] == "time"
    log = (folder / "runs" / "t-1" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in log] == events
    full = [p for p in (folder / "runs/t-1/ckpt").glob("step-*.npz")]
    assert 1 <= len(full) <= 2  # the last, and the best
    said = gradc("train", "--resume", "runs/t-1", "--time-limit", "0.05s")
    assert "resume: gradc train --resume runs/t-1" in said.err


def test_a_dry_run_leaves_nothing(gradc: Any, folder: Path) -> None:
    done = gradc("train", "t.net", "--dry-run")
    assert done.code == 0 and "nothing was trained" in done.err
    assert re.search(r"steps  24 \(6 epochs of 4\), 17 parameters", done.err)
    assert re.search(r"memory [\d.]+ KiB", done.err)
    assert not (folder / "runs").exists()
    facts = json.loads(gradc("train", "t.net", "--dry-run", "--json").out)
    assert facts["parameters"] == 17 and facts["memory"] > 0


def test_updates_that_are_not_finite(gradc: Any, folder: Path) -> None:
    wild = ["--set", "train.optimizer=sgd(lr=1e30)"]
    done = gradc("train", "t.net", *wild)
    assert done.code == 6
    assert "first value that is not finite: " in done.err and "t.net:" in done.err
    done = gradc("train", "t.net", *wild, "--on-nonfinite", "skip")
    assert done.code == 6 and "10 updates in a row were dropped" in done.err
    assert done.err.count("the update is dropped") == 9


def test_config_of_a_run_that_goes_on(gradc: Any, folder: Path) -> None:
    gradc("train", "t.net", "--epochs", "2", "--set", "train.clip=1")
    words = ["--resume", "runs/t-1", "--set", "train.optimizer.lr=0.5"]
    done = gradc("train", *words, "--print-config", "--json")
    found = json.loads(done.out)
    assert found["epochs"] == {"value": "2", "from": "--epochs"}
    assert found["clip"] == {"value": "1", "from": "--set"}
    assert found["optimizer"] == {"value": "adam(lr = 0.5)", "from": "--set"}
    assert found["data"]["from"] == "t.net" and found["seed"]["from"] == "default"
    assert found["keep"] == {"value": "3", "from": "default"}


def test_the_average_and_a_checkpoint_alone(gradc: Any, folder: Path) -> None:
    assert gradc("train", "t.net", "--set", "train.ema=0.9").code == 0
    shown = [
        gradc("eval", "runs/t-1", "--weights", w).out for w in ("best", "last", "ema")
    ]
    assert len(set(shown)) >= 2 and all(line.startswith("fit") for line in shown)
    file = (folder / "runs/t-1/ckpt/BEST").read_text().strip()
    alone = gradc("eval", f"runs/t-1/ckpt/{file}", "--data", "t.csv")
    assert alone.code == 0, alone.err
    assert alone.out == gradc("eval", "runs/t-1", "--data", "t.csv").out
    gradc("train", "t.net", "--epochs", "1")
    done = gradc("eval", "runs/t-2", "--weights", "ema")
    assert done.code == 5 and "has no moving average" in done.err
