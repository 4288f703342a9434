"""The verb: what it prints, its formats, its statuses."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from planted import FAULTS

from gradc.cli import main

Golden = Callable[[Path, str], None]
GOLDEN = Path(__file__).parent / "golden"
SOUND = "input x: [N, 4]\ninput y: [N]\nloss = mse(dense(x, 1)[:, 0], y)\n"
SHOWN = ("dead_bias", "twelve_sigmoids", "constant_init", "root_of_zero")


def run(*words: str) -> tuple[int, str, str]:
    """Status, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["diagnose", *words])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    return next(f for f in FAULTS if f.name == "dead_bias").write(tmp_path)


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_printed(name: str, tmp_path: Path, golden: Golden) -> None:
    path = next(f for f in FAULTS if f.name == name).write(tmp_path)
    code, out, err = run(str(path), "--batches", "2")
    assert (code, err) == (0, "")
    golden(GOLDEN / f"{name}.txt", out)


def test_statuses(dead: Path, tmp_path: Path) -> None:
    assert run(str(dead))[0] == 0
    assert run(str(dead), "--strict")[0] == 1
    sound = tmp_path / "sound.net"
    sound.write_text(SOUND)
    code, out, _ = run(str(sound), "--strict")
    assert code == 0 and out.endswith("no findings\n")


def test_a_program_without_a_loss_is_said_to_have_none(tmp_path: Path) -> None:
    path = tmp_path / "f.net"
    path.write_text("input x\noutput y = sin(x)\n")
    code, out, err = run(str(path), "--strict")
    assert (code, out) == (0, "")
    assert err == "warning: f.net has no loss, so there is no gradient to look at\n"
    assert json.loads(run(str(path), "--json")[1])["findings"] == []


def test_a_loss_without_parameters(tmp_path: Path) -> None:
    path = tmp_path / "f.net"
    path.write_text("input x: [N]\nloss = mean(x^2)\n")
    code, out, _ = run(str(path))
    assert code == 0 and out.endswith("no findings\n")
    path.write_text("input x: [N]\nparam w = 1\nloss = mean(x * stop(w))\n")
    found = json.loads(run(str(path), "--json")[1])["findings"]
    assert [(f["id"], f["line"]) for f in found] == [("dead-parameter", 2)]


def test_markdown(dead: Path) -> None:
    code, out, _ = run(str(dead), "--format", "md")
    assert code == 0
    assert out.startswith("# dead_bias.net\n")
    assert "| line | layer |" in out and "\n### dead-units\n" in out


def test_json_has_everything(dead: Path) -> None:
    found = json.loads(run(str(dead), "--format", "json")[1])
    assert found["rows"] == 256 and not found["trained"]
    first, second = found["layers"]
    assert first["delta"] == 0 and second["delta"] > 0 and second["ratio"] is None
    (unit,) = found["activations"]
    assert unit["kind"] == "rectifying" and unit["stuck"] == unit["units"] == 48
    assert sum(first["values"]["counts"]) > 1000
    (finding,) = found["findings"]
    assert finding["column"] == 5 and finding["subject"].startswith("relu")


def test_the_same_look_is_the_same(dead: Path) -> None:
    assert run(str(dead))[1] == run(str(dead))[1]


def test_copies_of_a_line_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "deep.net"
    path.write_text("""input x: [N, 8]
input label: int[N]
h = dense(x, 16)
repeat 5 { h = tanh(dense(h, 16, init = normal(0, 9))) }
loss = cross_entropy(dense(h, 3), label)
""")
    found = json.loads(run(str(path), "--json")[1])["findings"]
    assert [(f["id"], f["line"], f["copies"]) for f in found] == [
        ("saturated-units", 4, 5)
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("missing.net",), "there is no file `missing.net`"),
        (("sound.net", "--size", "Q=3"), "no size 'Q'"),
        (("sound.net", "--batch", "3"), "has no flag `--batch`"),
        (("runs/nothing",), "there is no file `runs/nothing`"),
    ],
)
def test_mistakes(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sound.net").write_text(SOUND)
    code, out, err = run(*words)
    assert code in (2, 4) and not out and said in err
    assert "Traceback" not in err
