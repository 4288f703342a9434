"""The face in Python: compile a path or a text, call it, read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradc
from gradc.compiler import CompileError

NET = """\
const k = 2
const bias = true
input x: [N, 3]
input y: [N]
param w: [3] = 0.5
z = k * (x @ w)
loss fit = mean((z - y)^2)
output z
"""


def test_text_and_path_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "text.net").write_text(NET)
    text, path, string = (
        gradc.compile(NET),
        gradc.compile(tmp_path / "text.net"),
        gradc.compile(str(tmp_path / "text.net")),
    )
    assert text.source == path.source == string.source
    assert text.source.startswith('"""')


def test_value_and_gradient() -> None:
    net = gradc.compile(NET, k=3)
    theta = net.init(seed=0, dtype="float64")
    assert theta.tolist() == [0.5, 0.5, 0.5]
    x, y = np.eye(3), np.zeros(3)
    loss, nabla = net.value_and_grad(theta, x=x, y=y)
    assert loss == pytest.approx(2.25)
    assert nabla == pytest.approx([3.0, 3.0, 3.0])
    assert net.predict(theta, x=x)["z"] == pytest.approx([1.5, 1.5, 1.5])
    assert net.evaluate(theta, x=x, y=y)["fit"] == pytest.approx(2.25)


def test_constants_by_keyword() -> None:
    assert gradc.compile(NET, k=7, bias=False).signature["constants"]["k"] == 7
    assert gradc.compile(NET, k=-1e-3).signature["constants"]["k"] == -1e-3
    with pytest.raises(CompileError, match="unknown-const"):
        gradc.compile(NET, kk=7)
    with pytest.raises(ValueError, match="k = nan is no finite number"):
        gradc.compile(NET, k=float("nan"))
    with pytest.raises(ValueError, match="no finite number"):
        gradc.compile(NET, k="7")


def test_mistakes_are_the_message() -> None:
    with pytest.raises(CompileError) as caught:
        gradc.compile("output y = nothing\n")
    assert str(caught.value).startswith("text.net:1:12: error[unknown-name]: ")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        gradc.compile(tmp_path / "no.net")


def test_importing_it_loads_nothing() -> None:
    script = "import sys, gradc; assert not {'numpy', 'lark'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(gradc.__all__) <= set(dir(gradc)) | {"Network"}
    assert gradc.Network.__name__ == "Network"
