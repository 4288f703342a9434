"""Train, evaluate, predict: the whole way from a table to answers, as transcripts."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradc.cli.main import VERBS

NET = """\
# Which of two kinds a flower is.
const hidden = 8
input x: [N, 2]
input kind: int[N]

h = x |> dense(hidden, tanh)
scores = h |> dense(2)
loss fit = cross_entropy(scores, kind)
metric accuracy = mean(argmax(scores) == kind)
output answer = argmax(scores)
output p = softmax(scores)

train {
  data = "flowers.csv"
  valid = 0.25
  optimizer = adam(lr = 0.05)
  batch = 16
  epochs = 4
}
"""


def flowers(rows: int = 80, words: bool = True) -> str:
    draw = random.Random(5)
    lines = ["x.0,x.1,kind"]
    for i in range(rows):
        kind = i % 2
        a, b = draw.gauss(3 * kind, 0.5), draw.gauss(-2 * kind, 0.5)
        lines.append(f"{a:.3f},{b:.3f},{('iris', 'rose')[kind] if words else kind}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flowers.net").write_text(NET)
    (tmp_path / "flowers.csv").write_text(flowers())
    return tmp_path


def steady(err: str) -> str:
    """What differs from machine to machine replaced: figures and times."""
    text = re.sub(r"\d+\.\d+ s\b", "T s", err)
    return re.sub(r"(loss|accuracy) \d[\d.e+-]*", r"\1 F", text)


def test_the_transcript_of_a_training(gradc: Any, folder: Path) -> None:
    done = gradc("train", "flowers.net")
    assert done.code == 0 and done.out == ""
    lines = steady(done.err).splitlines()
    assert lines[:3] == [
        "data   x ← x.0, x.1, kind ← kind",
        "       flowers.csv  80 rows → 60 train / 20 valid (stratified, seed 0)",
        "run    runs/flowers-1   float32, seed 0, 1 BLAS thread",
    ]
    assert len(lines) == 8
    for number, line in enumerate(lines[3:7], 1):
        assert re.fullmatch(
            rf"epoch {number}/4  loss F *valid loss F *accuracy F *T s", line
        )
    assert re.fullmatch(
        r"best   epoch \d  valid loss F  accuracy F   runs/flowers-1/ckpt/step-\d{9}\.npz",
        lines[7],
    )
    assert (folder / "runs" / "flowers-1" / "log.jsonl").exists()


def test_the_same_words_give_the_same_bits(gradc: Any, folder: Path) -> None:
    first, second = gradc("train", "flowers.net"), gradc("train", "flowers.net")
    assert "runs/flowers-2" in second.err
    figures = [steady(d.err.replace("flowers-2", "flowers-1")) for d in (first, second)]
    assert figures[0] == figures[1]
    weights = [
        (
            next((folder / "runs" / f"flowers-{i}" / "ckpt").glob("step-*60.npz"), None)
            or sorted((folder / "runs" / f"flowers-{i}" / "ckpt").glob("*.npz"))[-1]
        ).read_bytes()
        for i in (1, 2)
    ]
    assert weights[0] == weights[1]


def test_flags_win_over_set_and_set_over_the_program(gradc: Any, folder: Path) -> None:
    done = gradc(
        "train", "flowers.net", "--print-config", "--json",
        "--set", "train.epochs=7", "--set", "train.optimizer.lr=0.5", "--epochs", "3",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["epochs"] == {"value": "3", "from": "--epochs"}
    assert found["optimizer"] == {"value": "adam(lr = 0.5)", "from": "--set"}
    assert found["batch"] == {"value": "16", "from": "flowers.net"}
    assert found["dtype"] == {"value": "float32", "from": "default"}
    assert not (folder / "runs").exists()
    text = gradc("train", "flowers.net", "--print-config").out
    assert re.search(r"^seed +0 +default$", text, re.M)
    assert re.search(r"^data +flowers\.csv +flowers\.net$", text, re.M)


def test_training_is_on_planned_buffers_unless_told_otherwise(
    gradc: Any, folder: Path
) -> None:
    text = gradc("train", "flowers.net", "--print-config").out
    assert re.search(r"^level +2 +default$", text, re.M)
    text = gradc("train", "flowers.net", "-O1", "--print-config").out
    assert re.search(r"^level +1 +-O$", text, re.M)
    for run, flags in enumerate(((), ("-O1",)), 1):
        assert gradc("train", "flowers.net", *flags).code == 0
        kept = folder / "runs" / f"flowers-{run}"
        assert json.loads((kept / "run.json").read_text())["level"] == 3 - run
        source = (kept / "flowers_net.py").read_text()
        assert ("def buffers(" in source) == (run == 1)
        told = gradc("train", "--resume", str(kept), "--print-config").out
        where = "default" if run == 1 else "-O"
        assert re.search(rf"^level +{3 - run} +{where}$", told, re.M), told
        assert gradc("eval", str(kept)).code == 0
    compiled = gradc("compile", "flowers.net", "-o", "-").out
    assert "def buffers(" not in compiled


def test_data_from_elsewhere_and_a_file_held_out(gradc: Any, folder: Path) -> None:
    (folder / "other.csv").write_text(flowers(40))
    (folder / "held.csv").write_text(flowers(10))
    done = gradc(
        "train", "flowers.net", "--data", "other.csv", "--valid", "held.csv", "--out", "here",
        "--steps", "5", "--seed", "3", "--dtype", "float64",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "other.csv" in done.err and "10 valid" in done.err
    assert "run    here/flowers-1   float64, seed 3" in done.err


def test_json_at_the_end(gradc: Any, folder: Path) -> None:
    done = gradc("train", "flowers.net", "--json", "-q")
    assert done.err == ""
    said = json.loads(done.out)
    assert (
        said["run"] == "runs/flowers-1" and said["epochs"] == 4 and not said["stopped"]
    )
    assert said["best"]["accuracy"] > 0.9


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--set", "train.optimiser.lr=1"], 2, "optimizer"),
        (["--set", "train.epochs=0.5"], 2, "epochs"),
        (["--set", "hiden=3"], 2, "hidden"),
        (["--valid", "1.5"], 2, "valid"),
        (["--data", "nothing.csv"], 4, "nothing.csv"),
        (["--data", "bad.csv"], 4, "bad.csv:3"),
        (["--set", "train.optimizer=sgd(lr=1e300)"], 6, "at step"),
        (["--epochs", "2", "--steps", "2"], 2, "not allowed with"),
    ],
)
def test_what_can_go_wrong(
    gradc: Any, folder: Path, words: list[str], code: int, message: str
) -> None:
    (folder / "bad.csv").write_text("x.0,x.1,kind\n1,2,iris\n1,oops,rose\n")
    done = gradc("train", "flowers.net", *words)
    assert done.code == code, done.err
    assert message in done.err
    assert done.err.count("error") == 1 or code == 2


def test_a_program_without_a_loss(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "f.net").write_text("input x\noutput y = 2 * x\n")
    done = gradc("train", "f.net")
    assert done.code == 2 and "no loss" in done.err
    assert not (tmp_path / "runs").exists()


def test_a_run_that_cannot_be_written(gradc: Any, folder: Path) -> None:
    (folder / "runs").write_text("in the way")
    done = gradc("train", "flowers.net")
    assert done.code == 2 and "`runs`: File exists" in done.err


# ----------------------------------------------------------------------- eval, predict


@pytest.fixture
def run(gradc: Any, folder: Path) -> str:
    assert gradc("train", "flowers.net", "--epochs", "12").code == 0
    return "runs/flowers-1"


def test_eval(gradc: Any, run: str) -> None:
    done = gradc("eval", run)
    assert done.code == 0 and done.err == ""
    assert re.fullmatch(
        r"fit 0\.\d+   accuracy [01]\.\d{3}   loss 0\.\d+   n 20\n", done.out
    )
    assert gradc("eval", run, "--metric", "accuracy").out.startswith("accuracy ")
    assert gradc("eval", run, "--data", "flowers.csv").out.endswith("n 80\n")
    last = json.loads(gradc("eval", run, "--weights", "last", "--json").out)
    assert last["n"] == 20 and last["step"] == 48


def test_eval_agrees_with_the_end_of_the_training(
    gradc: Any, run: str, folder: Path
) -> None:
    log = (folder / run / "log.jsonl").read_text().splitlines()
    epochs = [e for e in map(json.loads, log) if e["event"] == "epoch"]
    last = json.loads(gradc("eval", run, "--weights", "last", "--json").out)
    assert last["loss"] == epochs[-1]["figures"]["loss"]
    best = json.loads(gradc("eval", run, "--json").out)
    assert best["loss"] == min(e["figures"]["loss"] for e in epochs)


def test_requirements(gradc: Any, run: str) -> None:
    assert gradc("eval", run, "--require", "accuracy>=0.5").code == 0
    done = gradc("eval", run, "--require", "accuracy > 0.5", "--require", "loss<=0")
    assert done.code == 1
    assert (
        "error[required]: loss is 0." in done.err
        and "required is loss <= 0" in done.err
    )
    assert "did you mean `accuracy`" in gradc("eval", run, "--require", "acuracy>1").err
    assert gradc("eval", run, "--require", "accuracy").code == 2


def test_a_run_survives_without_its_program(gradc: Any, run: str, folder: Path) -> None:
    before = gradc("eval", run, "--data", "flowers.csv").out
    (folder / "flowers.net").write_text("nonsense")
    assert gradc("eval", run, "--data", "flowers.csv").out == before
    (folder / run / "flowers_net.py").write_text("raise SystemExit('executed')")
    assert gradc("eval", run, "--data", "flowers.csv").out == before


def test_a_run_keeps_its_libraries(gradc: Any, folder: Path) -> None:
    (folder / "lib").mkdir()
    (folder / "lib" / "a.net").write_text("fn twice(x) = 2 * x\n")
    text = 'use twice from "lib/a.net"\n' + NET.replace("h = x |>", "h = twice(x) |>")
    (folder / "flowers.net").write_text(text)
    assert gradc("train", "flowers.net").code == 0
    (folder / "lib" / "a.net").unlink()
    done = gradc("eval", "runs/flowers-1")
    assert done.code == 0, done.err


def test_runs_that_are_none(gradc: Any, run: str, folder: Path) -> None:
    done = gradc("eval", "runs/flower-1")
    assert done.code == 2 and "did you mean `flowers-1`?" in done.err
    assert gradc("eval", ".").code == 5
    best = (folder / run / "ckpt" / "BEST").read_text().strip()
    file = folder / run / "ckpt" / best
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    done = gradc("eval", run)
    assert done.code == 5 and best in done.err


def test_predictions_as_csv(gradc: Any, run: str, folder: Path) -> None:
    (folder / "new.csv").write_text("x.0,x.1\n0,0\n3,-2\n3,-2.5\n")
    done = gradc("predict", run, "--data", "new.csv")
    assert done.code == 0 and done.err == ""
    rows = list(csv.reader(io.StringIO(done.out)))
    assert rows[0] == ["answer", "p.0", "p.1"]
    assert [row[0] for row in rows[1:]] == ["iris", "rose", "rose"]
    assert all(abs(float(a) + float(b) - 1) < 1e-5 for _, a, b in rows[1:])
    alone = gradc("predict", run, "--data", "new.csv", "--output", "answer")
    assert alone.out == "answer\niris\nrose\nrose\n"
    assert (
        "did you mean `answer`"
        in gradc("predict", run, "--data", "new.csv", "--output", "anser").err
    )


def test_predictions_from_stdin(
    gradc: Any, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "x.0,x.1\n3,-2\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    done = gradc("predict", run, "--data", "-", "-o", "-", "--output", "answer")
    assert done.out == "answer\nrose\n", done.err


def test_predictions_as_files(gradc: Any, run: str, folder: Path) -> None:
    (folder / "new.csv").write_text("x.0,x.1\n0,0\n3,-2\n")
    done = gradc("predict", run, "--data", "new.csv", "-o", "out.npz")
    assert (done.code, done.out) == (0, "")
    assert done.err == "wrote  out.npz   answer [2], p [2, 2]\n"
    with np.load(folder / "out.npz") as archive:
        assert archive["answer"].tolist() == ["iris", "rose"]
        assert archive["p"].shape == (2, 2) and archive["p"].dtype == np.float32
    again = gradc("predict", run, "--data", "new.csv", "-o", "out.npz")
    assert again.code == 2 and "`out.npz` exists" in again.err
    assert (
        gradc("predict", run, "--data", "new.csv", "-o", "out.npz", "--force").code == 0
    )
    assert gradc("predict", run, "--data", "new.csv", "-o", "out.tsv").code == 0
    assert (folder / "out.tsv").read_text().startswith("answer\tp.0\tp.1\n")
    assert gradc("predict", run, "--data", "new.csv", "-o", "out.xls").code == 2
    said = json.loads(gradc("predict", run, "--data", "new.csv", "--json").out)
    assert said["answer"] == ["iris", "rose"] and len(said["p"]) == 2


def test_predictions_need_inputs_alone(gradc: Any, run: str, folder: Path) -> None:
    done = gradc("predict", run)
    assert done.code == 0, done.err  # the data of the training
    (folder / "new.csv").write_text("a,b\n0,0\n")
    done = gradc("predict", run, "--data", "new.csv")
    assert done.code in (0, 4)


def test_a_program_without_parameters_predicts(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "f.net").write_text("input x\noutput y = x^2\noutput z = 3 * x\n")
    done = gradc("predict", "f.net", "--data", "x=0.5")
    assert (done.code, done.out) == (0, "y,z\n0.25,1.5\n"), done.err
    missing = gradc("predict", "f.net")
    assert missing.code == 2 and "gradc predict needs --data for x" in missing.err
    (tmp_path / "w.net").write_text(
        "param w = 1\ninput x\nloss l = w * x\noutput y = w * x\n"
    )
    assert "has parameters" in gradc("predict", "w.net", "--data", "x=1").err


def test_outputs_that_no_csv_holds(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "f.net").write_text(
        "input x: [N, 3]\noutput rows = 2 * x\noutput all = sum(x)\n"
    )
    (tmp_path / "x.csv").write_text("1,2,3\n4,5,6\n")
    done = gradc("predict", "f.net", "--data", "x.csv")
    assert done.code == 2 and "all has no line for each row" in done.err
    assert (
        gradc("predict", "f.net", "--data", "x.csv", "--output", "all").out
        == "all\n21.0\n"
    )
    rows = gradc("predict", "f.net", "--data", "x.csv", "--output", "rows").out
    assert rows == "rows.0,rows.1,rows.2\n2.0,4.0,6.0\n8.0,10.0,12.0\n"


# ------------------------------------------------------------------------------ signals


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143)],
    ids=["int", "term"],
)
def test_a_signal_stops_after_a_checkpoint(
    folder: Path, number: int, code: int
) -> None:
    script = "from gradc.cli import main; raise SystemExit(main())"
    child = subprocess.Popen(
        [sys.executable, "-c", script, "train", "flowers.net", "--epochs", "1000000"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("epoch"):
            break
    child.send_signal(number)
    rest = child.stderr.read()
    child.wait(timeout=20)
    child.stderr.close()
    assert child.returncode == code, rest
    assert (
        "stopping after this step" in rest
        and "saved  runs/flowers-1/ckpt/step-" in rest
    )
    assert "Traceback" not in rest
    assert (folder / "runs" / "flowers-1" / "ckpt" / "LATEST").exists()


def test_the_threads_of_blas_are_set_before_numpy_is_loaded(folder: Path) -> None:
    script = (
        "import sys, os\n"
        "from gradc.cli import train, eval, predict, check\n"
        "assert 'numpy' not in sys.modules\n"
        "from gradc.cli.main import main\n"
        "code = main(['train', 'flowers.net', '--epochs', '1', '-q'])\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'], 'black' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1 False\n", done.stderr


def test_the_command_loads_no_more_than_it_needs(folder: Path) -> None:
    """Loading takes longer than compiling: black alone half as long as the whole command."""
    script = (
        "import sys; from gradc.cli import main; code = main(); "
        "print(*sys.modules); raise SystemExit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "train", "flowers.net"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"numpy", "gradc.compiler.driver", "gradc.cli.train"} <= loaded
    heavy = "black asyncio logging unittest scipy rich pyarrow PIL numpy.testing"
    assert not loaded & set(heavy.split())
    assert not loaded & ({f"gradc.cli.{verb}" for verb in VERBS} - {"gradc.cli.train"})
    # A right program is compiled without prose, and no derivation is asked for.
    packages = ("gradc.compiler.errors.", "gradc.compiler.explain.")
    assert {n for n in loaded if n.startswith(packages)} == {
        "gradc.compiler.errors.form"
    }
    rare = "compiler.frontend.diagnose compiler.dumps data.arrow data.idx resuming"
    assert not loaded & {f"gradc.{name}" for name in rare.split()}
    root = Path(__file__).parents[2]
    files = [f for half in ("compiler", "runtime") for f in (root / half).rglob("*.py")]
    assert sum(name.startswith("gradc.") for name in loaded) < 0.75 * len(files)
