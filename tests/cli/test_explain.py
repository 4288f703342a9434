"""`gradc explain`, `gradc graph` and `gradc cost`, as a user has them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradc.cli import timing

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
NAMES = [p.stem for p in sorted(SAMPLES.glob("[01]*.net"))]
SETS = {"08_nanogpt": ("--set", "depth=1")}
LARGE = ("06_cnn", "08_nanogpt", "15_two_heads")  # to draw and count them takes seconds
SHOWN = (
    ("explain",),
    ("explain", "--format", "latex"),
    ("graph", "--level", "layer", "--grad"),
    ("graph", "--level", "layer", "--format", "mermaid"),
    ("cost",),
)

NET = """\
input x
param w1 = 0.5
param w2 = 2
h = sigmoid(w1 * x)
loss L = (w2 * h - 1)^2
"""

Golden = Callable[[Path, str], None]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "a.net").write_text(NET)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_each_sample_as_it_was_read(gradc: Any, name: str, golden: Golden) -> None:
    path = str(SAMPLES / f"{name}.net")
    parts = []
    for verb, *more in SHOWN[:2] if name in LARGE else SHOWN:
        done = gradc(verb, path, *more, *SETS.get(name, ()))
        assert done.code == 0 and done.err == ""
        parts.append(done.out)
    # What -O2 plans is its own business; how it agrees is measured elsewhere.
    whole = re.sub(r"^peak .*\n", "", "\n".join(parts), flags=re.M)
    golden(HERE / "golden" / f"explain_{name}.txt", whole)


def test_numbers_beside_the_formulas(gradc: Any, net: Path) -> None:
    done = gradc("explain", "a.net", "--param", "w1", "--at", "x=1,w1=0,w2=3")
    assert done.code == 0
    shown = done.out
    assert "x, w1, w2 as given" in shown
    assert re.search(r"h = sigmoid\(w1 \* x\).*\n +(?:= )0\.5\n", shown), shown
    # L = (3 · 0.5 - 1)^2 = 0.25, dL/dw1 = 2 · 0.5 · 3 · 0.25 · 1
    assert re.search(r"L = .*\n +(?:= )0\.25\n", shown)
    assert re.search(r"d_w1 = .*\n +(?:= )0\.75\n", shown)


def test_paths(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "p.net").write_text("param w = 2\na = w^2\nloss L = a * w\n")
    done = gradc("explain", "p.net", "--paths", "--at", "w=2")
    assert done.code == 0
    assert "2 paths over 3 forward nodes and 3 edges" in done.out
    assert "reverse mode: 3 products, 1 addition, in one sweep" in done.out
    shown = re.findall(r"^ +(p1|p2|d_w) = .*\n +(?:= )(\S+)$", done.out, re.M)
    assert sorted(shown) == [("d_w", "12"), ("p1", "8"), ("p2", "4")]


def test_a_line_across_the_stages(gradc: Any, net: Path) -> None:
    done = gradc("explain", "a.net:4")
    assert done.code == 0
    for part in (
        "h = sigmoid(w1 * x)",
        "Define 4:1",
        "mul(",
        "Adjoints",
        "Emitted, forward",
    ):
        assert part in done.out
    number, text = re.findall(r"^ +(\d+)  ( +h = .*)$", done.out, re.M)[0]
    source = gradc("compile", "a.net", "-o", "-").out.split("\n")
    assert source[int(number) - 1].rstrip() == text.rstrip().rjust(0)
    point = ("--at", "x=1,w1=0.5")
    said = gradc("explain", "a.net:4", *point).out
    assert re.search(r"^  h = .*\n +(?:= .*\n +)?= 0.6224", said, re.M)
    values = json.loads(gradc("explain", "a.net:4", *point, "--json").out)["values"]
    assert values["h"].startswith("0.6224")
    document = json.loads(gradc("explain", "a.net:4", "--json").out)
    assert document["line"] == 4 and document["nodes"]
    for function, first, last in document["emitted"]:
        block = "\n".join(source[first - 1 : last])
        assert "=" in block and function in (
            "forward",
            "backward",
            "evaluate",
            "predict",
        )


@pytest.mark.parametrize("form", ["text", "latex", "md"])
def test_formats(gradc: Any, net: Path, form: str) -> None:
    done = gradc("explain", "a.net", "--format", form, "--columns", "--at", "x=1")
    assert done.code == 0
    signs = {"text": "d_w1 =", "latex": r"\begin{align*}", "md": r"\begin{aligned}"}
    assert signs[form] in done.out


def test_a_derivation_as_data(gradc: Any, net: Path) -> None:
    done = gradc("explain", "a.net", "--param", "w1", "--json", "--at", "x=1,w1=0")
    document = json.loads(done.out)
    rows = {
        row["name"]: row
        for section in document["sections"]
        for row in section["rows"]
        if "name" in row
    }
    assert document["name"] == "a.net" and rows["h"]["value"] == "0.5"
    assert rows["h"]["text"] == ["sigmoid(w1 * x)"]
    assert rows["h"]["latex"][0].startswith(r"\sigma")
    essay = json.loads(gradc("explain", "broadcast", "--json").out)
    assert essay["id"] == "broadcast" and essay["text"].startswith("# broadcast")


def test_an_essay(gradc: Any) -> None:
    done = gradc("explain", "broadcast")
    assert done.code == 0
    assert done.out.startswith("# broadcast\n") and "```net error=broadcast" in done.out


@pytest.mark.parametrize(
    ("words", "id"),
    [
        (("explain", "brodcast"), "no-file"),
        (("explain", "a.net", "--param", "w3"), "unknown-parameter"),
        (("explain", "a.net:99"), "no-line"),
        (("explain", "a.net:0"), "no-line"),
        (("explain", "a.net", "--at", "q=1"), "unknown-name"),
        (("explain", "a.net", "--at", "x=one"), "command-line"),
        (("explain", "a.net", "--at", "a.csv"), "command-line"),
        (("cost", "a.net", "--size", "M=3"), "unknown-size"),
        (("graph", "nothing.net"), "no-file"),
    ],
)
def test_mistakes(gradc: Any, net: Path, words: tuple[str, ...], id: str) -> None:
    done = gradc(*words)
    assert done.code == 2
    assert f"error[{id}]" in done.err


def test_data_that_do_not_fit(gradc: Any, net: Path) -> None:
    assert gradc("explain", "a.net", "--at", "x=[1,2]").code == 4


def test_a_row_of_a_file(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "b.net").write_text(
        "input x: [N]\ninput y: [N]\nparam w = 2\nloss L = mean((w * x - y)^2)\n"
    )
    (tmp_path / "b.csv").write_text("x,y\n1,1\n3,5\n")
    done = gradc("explain", "b.net", "--at", "b.csv:2", "--at", "w=2")
    assert done.code == 0, done.err
    assert re.search(r"d_w = .*\n(?: +=.*\n)? +(?:= )6\n", done.out), done.out
    assert gradc("explain", "b.net", "--at", "b.csv:9").code == 2


def test_the_first_batch_of_a_file(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "b.net").write_text(
        "input x: [N]\ninput y: [N]\nparam w = 2\nloss L = mean((w * x - y)^2)\n"
    )
    (tmp_path / "b.csv").write_text("x,y\n1,1\n3,5\n")
    done = gradc("explain", "b.net", "--data", "b.csv")
    assert "the inputs are the first batch of b.csv" in done.out
    assert re.search(r"L = .*\n +(?:= )1\n", done.out), done.out  # (1² + 1²) / 2
    assert "d_w<br>= " in (
        gradc("graph", "b.net", "--data", "b.csv", "--format", "mermaid", "--grad").out
    )
    both = gradc("explain", "b.net", "--data", "b.csv", "--at", "b.csv:1")
    assert both.code == 2 and "a batch or a row" in both.err


def test_graph_formats(gradc: Any, net: Path) -> None:
    assert gradc("graph", "a.net").out.startswith('digraph "a.net" {')
    assert gradc("graph", "a.net", "--format", "mermaid").out.startswith("flowchart TB")
    picture = gradc(
        "graph", "a.net", "--format", "svg", "--grad", "--at", "x=1,w1=0"
    ).out
    assert picture.startswith("<svg ") and ">0.5<" in picture and ">d_w1<" in picture
    document = json.loads(gradc("graph", "a.net", "--json").out)
    assert {b["title"] for b in document["boxes"]} >= {"x", "w1", "h", "L"}


def test_cost_is_measured_too(
    gradc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "SPENT", 0.01)
    (tmp_path / "c.net").write_text(
        "input x: [N, 8]\ninput y: [N, 2]\np = x |> dense(16, tanh) |> dense(2)\n"
        "loss L = mean((p - y)^2)\n"
    )
    done = gradc("cost", "c.net", "--size", "N=4", "--time", "--compare")
    assert done.code == 0, done.err
    assert "ms forward" in done.out and "complex step" in done.out
    assert "178 parameters" in done.out and "crossing" in done.out
    found = json.loads(gradc("cost", "c.net", "--size", "4", "--json").out)
    assert found["parameters"] == 178
    assert found["sizes"] == {"N": 4}
    dense = 2 * 4 * 8 * 16 + 2 * 4 * 16 + 2 * 4 * 16 * 2 + 4 * 2
    assert found["lines"][0]["forward"]["flops"] == dense
