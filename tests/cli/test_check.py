"""`gradc check`: agreement, disagreement, methods, sizes, data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NET = """\
const hidden = 4
input x: [N, D]
input y: [N]
param W: [D, hidden] = he()
param v: [hidden] = he()
h = tanh(x @ W)
loss fit = mean((h @ v - y)^2)
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "a.net").write_text(NET)
    return tmp_path


def test_the_transcript(gradc: Any, net: Path) -> None:
    done = gradc("check", "a.net", "--size", "N=8", "--size", "D=5")
    assert done.code == 0 and done.err == ""
    text = re.sub(r"\d\.\de[-+]\d\d", "E", done.out)
    assert text == (
        "W  [5, 4]  max rel err E  ok\n"
        "v     [4]  max rel err E  ok\n"
        "complex step, -O1, float64, N = 8, D = 5, 3 seeds: all 2 parameters agree (tol 1e-10)\n"
    )


@pytest.mark.parametrize("method", ["complex", "central", "forward"])
@pytest.mark.parametrize("level", ["-O0", "-O1"])
def test_methods_and_levels(gradc: Any, net: Path, method: str, level: str) -> None:
    done = gradc("check", "a.net", "--method", method, level, "--json")
    assert done.code == 0, done.out
    said = json.loads(done.out)
    assert said["ok"] and said["method"] == method
    assert [p["path"] for p in said["parameters"]] == ["W", "v"]


def test_a_wrong_gradient_is_found(
    gradc: Any, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tolerance that rounding cannot meet, and with a broken module."""
    assert gradc("check", "a.net", "--method", "forward", "--tol", "1e-13").code == 1
    import gradc.cli.check as verb

    honest = verb.load

    def broken(compiled: Any) -> Any:
        network = honest(compiled)
        backward = network.module["backward"]

        def wrong(saved: Any, d_loss: float = 1.0) -> Any:
            found = backward(saved, d_loss)
            return {**found, "v": 2 * found["v"]}

        network.module["backward"] = wrong
        return network

    monkeypatch.setattr(verb, "load", broken)
    done = gradc("check", "a.net")
    assert done.code == 1
    assert "WRONG at [" in done.out and "1 of 2 parameters differ" in done.out


def test_sizes(gradc: Any, net: Path) -> None:
    assert "N = 6" in gradc("check", "a.net", "--size", "6").out
    assert "did you mean" in gradc("check", "a.net", "--size", "n=6").err
    assert gradc("check", "a.net", "--size", "N=0").code == 2
    assert gradc("check", "a.net", "--size", "N=two").code == 2


def test_at_data(gradc: Any, net: Path) -> None:
    rows = "".join(f"{i},{i * i % 7},{i % 3}\n" for i in range(20))
    (net / "d.csv").write_text("x.0,x.1,y\n" + rows)
    done = gradc("check", "a.net", "--data", "d.csv", "--size", "N=5")
    assert done.code == 0 and "N = 5, D = 2" in done.out, done.err + done.out


def test_programs_without_a_gradient(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "f.net").write_text("input x\noutput y = 2 * x\n")
    done = gradc("check", "f.net")
    assert done.code == 0 and "has no loss" in done.err
    done = gradc("check", "f.net", "--json")
    assert json.loads(done.out) == {"ok": True, "parameters": []}


def test_a_computed_index_outside_is_the_data_s_fault(gradc: Any, net: Path) -> None:
    text = "input i: int[N]\nparam E: [5, 3] = 1\nloss = mean(E[2 * i]^2)\n"
    (net / "index.net").write_text(text, encoding="utf-8")
    (net / "index.csv").write_text("i\n0\n3\n", encoding="utf-8")
    for verb in ("check", "train"):
        done = gradc(verb, "index.net", "--data", "index.csv")
        assert done.code == 4 and "computes an index that lies outside" in done.err
