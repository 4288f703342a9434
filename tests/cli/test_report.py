"""The report of a run: its charts by their numbers, the page in a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import Opened, too_wide

from gradc.charts import Axis, Curve, axis, lines, matrix, scatter
from gradc.cli.picture import boxes_of, picture, place
from gradc.compiler import Source
from gradc.report import Confusion, Report, Residuals, page

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Wellformed(HTMLParser):
    """Every tag is closed where it should be; nothing comes from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag not in ("script", "iframe", "link")
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("src", "href"), (name, value)
            assert "http" not in (value or ""), value
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data + " "


def epoch(number: int, loss: float, held: float) -> dict[str, Any]:
    figures = {"loss": held, "accuracy": number / 10}
    return {"event": "epoch", "epoch": number, "step": 5 * number, "loss": loss,
            "held_out": True, "figures": figures, "lr": 0.1 / number}  # fmt: skip


def test_axes_have_round_numbers() -> None:
    assert Axis(0, 1, 0, 100).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert axis([0.001, 1.0], 0, 90).ticks() == pytest.approx([0.001, 0.01, 0.1, 1])
    assert axis([0.001, 1.0], 0, 90).at(0.1) == pytest.approx(60)
    assert axis([1.0, 3.0], 0, 90).at(2.0) == pytest.approx(45)
    assert axis([2.0, 2.0], 0, 90).at(2.0) == pytest.approx(45)
    assert axis([], 0, 1).ticks() and axis([float("nan")], 0, 1).ticks()
    for low, high in ((0.0, 1e-9), (-3.0, 70.0), (1e6, 1.1e6), (-1e-3, 1e-3)):
        ticks = axis([low, high], 0, 1).ticks()
        assert 2 <= len(ticks) <= 8
        assert all(low - 1e-9 * abs(low) <= t <= high * (1 + 1e-9) for t in ticks)


def test_curves_pass_their_points_and_break_at_what_is_none() -> None:
    nan = float("nan")
    chart = lines("loss", [Curve("a", [1, 2, 3, 4, 5], [1.0, 2.0, nan, 2.0, 1.0])], 2)
    assert chart.count("<polyline") == 2 and "best: epoch 2" in chart
    one = lines("loss", [Curve("a", [1], [0.5])], 1)
    assert "<circle" in one and "polyline" not in one
    many = Curve("a", list(range(5000)), [float(i) for i in range(5000)])
    points = re.search(r'points="([^"]+)"', lines("loss", [many], None))
    assert points is not None and len(points[1].split()) <= 1001
    assert points[1].split()[-1].startswith("450.0,")  # the last is never left out
    Wellformed(chart + one)


def test_a_matrix_and_a_cloud() -> None:
    table = matrix(("<a>", "b"), np.array([[3, 1], [0, 0]]))
    words = Wellformed(table).words.split()
    assert words == ["<a>", "b", "<a>", "3", "1", "b", "·", "·"]
    cloud = scatter("y", "z", np.arange(9.0), np.arange(9.0) ** 2)
    assert cloud.count("<circle") == 9
    Wellformed(cloud)


def test_a_page_holds_all_of_it() -> None:
    events = [
        {"event": "start"},
        *(epoch(n, 1 / n, 1 / n + 0.1) for n in range(1, 5)),
        {"event": "resume", "step": 15},
        {"event": "end", "step": 20},
    ]
    report = Report(
        "a<b",
        events,
        {"data": "x & y"},
        [("optimizer", "adam(lr = 0.1)", "--set")],
        picture(Source.from_text("t.net", "input x: [N]\noutput y = 2 * x\n")),
        "input x  # <tag>",
        Confusion("answer", ("no", "yes"), np.array([[5, 1], [2, 8]])),
        Residuals("z", "y", np.arange(5.0), np.arange(5.0) + 0.5),
        {"numpy": "2"},
    )
    found = Wellformed(page(report))
    for words in (
        "a<b", "x & y", "loss held out", "accuracy", "learning rate", "--set",
        "13 of 16 are right (81.2 %)", "mean 0.5", "R² 0.8750", "input x  # <tag>",
        "resume", "output y = 2 * x",
    ):  # fmt: skip
        assert words in found.words, words
    assert "No epoch was finished" in page(Report("r", [], {}, []))


NET = """\
const k = 3
input x: [N, 4]
input y: [N]
h = x |> dense(k)
param w: [k] = 1
h = tanh(h)
z = h @ w
loss fit = mse(z, y)
output z
metric off = mean(abs(z - y))
"""


def test_a_statement_stands_below_all_that_it_uses() -> None:
    boxes = boxes_of(Source.from_text("t.net", NET))
    arrows = place(boxes)
    told = {(a.text, b.text) for a, b in arrows}
    assert ("h = x |> dense(k)", "h = tanh(h)") in told
    assert ("h = tanh(h)", "z = h @ w") in told
    assert ("param w: [k] = 1", "z = h @ w") in told
    assert ("h = x |> dense(k)", "z = h @ w") not in told
    assert all(a.layer < b.layer for a, b in arrows)
    rows: dict[int, list[Any]] = {}
    for box in boxes:
        rows.setdefault(box.layer, []).append(
            (box.x - box.width / 2, box.x + box.width / 2)
        )
    for row in rows.values():
        row.sort()
        assert all(a[1] < b[0] for a, b in pairwise(row))
    Wellformed(picture(Source.from_text("t.net", NET)))


PROGRAM = """\
input x: [N, 2]
input y: [N]
h = x |> dense(4, tanh)
output z = (h |> dense(1))[:, 0]
loss fit = mse(z, y)
train { data = "t.csv"; valid = 0.25; epochs = 6; optimizer = adam(lr = 0.02) }
"""


@pytest.fixture
def report(gradc: Any, tmp_path: Path) -> Path:
    (tmp_path / "t.net").write_text(PROGRAM)
    rows = np.random.default_rng(1).standard_normal((80, 2))
    lines = [f"{a:.3f},{b:.3f},{a - b:.3f}" for a, b in rows]
    (tmp_path / "t.csv").write_text("\n".join(["x.0,x.1,y", *lines]) + "\n")
    assert gradc("train", "t.net", "--set", "train.clip=2").code == 0
    return tmp_path / "runs" / "t-1" / "report.html"


def test_a_training_writes_one(report: Path, gradc: Any) -> None:
    found = Wellformed(report.read_text(encoding="utf-8"))
    for words in (
        "Residuals of z",
        "clip",
        "--set",
        "t.net",
        "80 rows",
        "fit, held out",
    ):
        assert words in found.words
    # A run that goes on writes it anew; one that cannot be written is a warning.
    assert gradc("train", "--resume", "runs/t-1", "--epochs", "8").code == 0
    assert "resume" in Wellformed(report.read_text(encoding="utf-8")).words
    report.unlink()
    report.mkdir()
    done = gradc("train", "--resume", "runs/t-1", "--epochs", "9")
    assert done.code == 0 and "no report.html could be written" in done.err


def test_classes_have_a_matrix(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "t.net").write_text(
        "input x: [N, 2]\ninput kind: int[N]\nscores = x |> dense(2)\n"
        "loss fit = cross_entropy(scores, kind)\noutput answer = argmax(scores)\n"
        'train { data = "t.csv"; epochs = 2 }\n'
    )
    rows = [f"{i % 7},{-i % 5},{('rose', 'iris')[i % 2]}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["x.0,x.1,kind", *rows]) + "\n")
    assert gradc("train", "t.net").code == 0
    text = (tmp_path / "runs/t-1/report.html").read_text(encoding="utf-8")
    found = Wellformed(text)
    assert "Confusion of answer" in found.words and "of 40 are right" in found.words
    assert "<th scope=col>iris</th><th scope=col>rose</th>" in text


@pytest.mark.browser
def test_the_page_in_a_browser(report: Path, opened: Opened) -> None:
    """Every chart has a size, and nothing sticks out at the sides of a narrow window."""
    for width in (400, 1280):
        shown = opened(report, width)
        sizes = [chart.bounding_box() for chart in shown.query_selector_all("svg")]
        assert len(sizes) >= 4
        assert all(s["width"] > 99 and s["height"] > 40 for s in sizes), sizes
        assert too_wide(shown) <= 0
