"""The explorer page in a browser: what lights up, steps, keys, and how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import Opened, contrasts, too_wide

from gradc.cli.explore import page as written
from gradc.compiler.driver import Options, trace
from gradc.compiler.explain.explorer import explorer, nodes_of
from gradc.compiler.explain.provenance import Trace
from gradc.compiler.source import Source

pytestmark = pytest.mark.browser

MLP = """# a net
input x: [N, 3]
input y: [N]
h = x |> dense(4, tanh)
p = h |> dense(1)
loss C = mean((p[:, 0] - y)^2)
metric worst = max(abs(p[:, 0] - y))
output p
"""


def mlp() -> Trace:
    return trace(Source.from_text("mlp.net", MLP))


def file_of(folder: Path, made: Trace, values: bool = False) -> Path:
    """The page of a program, in a folder of its own."""
    known = {n: f"value of {n.op.name}" for n in nodes_of(made)} if values else None
    sizes = dict.fromkeys(made.program.symbols, 8)
    path = folder / "page.html"
    text = written(explorer(made, sizes, known, "Numbers: made up" if values else ""))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def page(tmp_path: Path, opened: Opened) -> Any:
    return opened(file_of(tmp_path, mlp(), values=True))


def lit(page: Any) -> dict[str, set[str]]:
    """What is lit, pane by pane: the text of lines, the names in boxes."""
    found: dict[str, set[str]] = {}
    for pane in ("net", "dag", "forward", "backward"):
        words = page.eval_on_selector_all(
            f"#{pane} li.lit, #{pane} li.pick, #{pane} g.lit, #{pane} g.pick",
            "all => all.map(e => (e.querySelector('text') || e).textContent.trim())",
        )
        found[pane] = {w.split("  #")[0] for w in words}
    return found


def line(page: Any, pane: str, start: str) -> str:
    """The id of the first line of a pane that starts so."""
    return str(
        page.eval_on_selector_all(
            f"#{pane} li",
            "(all, start) => all.find(e => e.textContent.trim().startsWith(start)).id",
            start,
        )
    )


def box(page: Any, title: str) -> str:
    """The id of the box of this name."""
    return str(
        page.eval_on_selector_all(
            "#dag g[id]",
            "(all, title) => all.find("
            "e => e.querySelector('text').textContent === title).id",
            title,
        )
    )


NET = "h = x |> dense(4, tanh)"
FORWARD, BACKWARD = "z = x @ W_h + b_h", "d_z = "
STARTS = {
    "net": ("h = x |>", {"z", "h", "W_h", "b_h"}),
    "forward": ("z = x @", {"z", "d_z"}),
    "backward": ("d_z = ", {"z", "d_z"}),
}


@pytest.mark.parametrize("pane", STARTS)
def test_a_line_lights_up_what_belongs_to_it_in_all_panes(page: Any, pane: str) -> None:
    start, boxes = STARTS[pane]
    id_ = line(page, pane, start)
    page.hover(f"#{id_}")
    hovered = lit(page)
    assert NET in hovered["net"]
    assert FORWARD in hovered["forward"]
    assert any(text.startswith(BACKWARD) for text in hovered["backward"])
    assert boxes <= hovered["dag"]
    assert "loss C" not in " ".join(hovered["net"])
    # The same by focus, and nothing of it once another line is hovered.
    page.hover(f"#{line(page, 'net', '# a net')}")
    assert not lit(page)["forward"]
    page.focus(f"#{id_}")
    assert lit(page) == hovered


def test_a_value_and_its_adjoint_light_up_their_lines(page: Any) -> None:
    page.hover(f"#{box(page, 'z')}")
    found = lit(page)
    assert NET in found["net"] and FORWARD in found["forward"]
    assert found["dag"] == {"z", "d_z"}
    said = page.inner_text("#detail")
    assert "z" in said and "mlp.net:4" in said and "FLOP" in said and "value of" in said
    assert page.query_selector("#detail math") is not None
    page.hover(f"#{box(page, 'd_z')}")
    found = lit(page)
    assert any(text.startswith(BACKWARD) for text in found["backward"])
    assert "adjoint of z" in page.inner_text("#detail")
    edges = page.query_selector_all("#dag path.lit")
    assert len(edges) == 3  # from the product and from the bias, to h


def test_metrics_and_outputs_have_their_lines(page: Any) -> None:
    page.hover(f"#{line(page, 'net', 'metric worst')}")
    found = lit(page)
    assert any(text.startswith("worst = ") for text in found["forward"])
    assert "worst" in found["dag"] and not found["backward"]


def test_lines_of_a_file_that_is_used(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "blocks.net").write_text(
        "layer twice(x: [..., c]) {\n  y = x |> dense(c, tanh)\n  return x + y\n}\n"
    )
    text = (
        'use twice from "blocks.net"\ninput x: [N, 3]\nh = twice(x)\nloss = mean(h^2)\n'
    )
    made = trace(Source.from_text("main.net", text), Options(folder=tmp_path))
    page = opened(file_of(tmp_path, made))
    assert page.inner_text("#net h3") == "blocks.net"
    page.hover(f"#{line(page, 'net', 'y = x |>')}")
    found = lit(page)
    assert {"z", "y", "W", "b"} <= found["dag"]
    assert any(text.startswith("y = ") for text in found["forward"])
    page.hover(f"#{box(page, 'y')}")
    assert lit(page)["net"] >= {"y = x |> dense(c, tanh)", "h = twice(x)"}
    assert "blocks.net:2" in page.inner_text("#detail")


def test_steps_forward_and_backward_node_by_node(page: Any) -> None:
    items = page.evaluate("items.map(i => !!i.adjoint)")
    order = [f"v{k}" for k in range(len(items))]
    order += [f"a{k}" for k in reversed(range(len(items))) if items[k]]

    def state() -> tuple[str, int]:
        picked = page.query_selector("#dag .pick")
        done = page.query_selector_all("#dag .done")
        return picked.get_attribute("id"), len(done)

    for k, id_ in enumerate(order):
        page.keyboard.press("n")
        assert state() == (id_, k + 1)
    assert page.is_disabled("#next") and page.is_disabled("#last")
    page.keyboard.press("n")
    assert state() == (order[-1], len(order))  # there is nothing behind the end
    assert "backward" in page.inner_text("#step")
    page.keyboard.press("p")
    assert state() == (order[-2], len(order) - 1)
    page.click("#first")
    assert state() == (order[0], 1) and page.is_disabled("#back")
    page.click("#next")
    assert state() == (order[1], 2)
    page.click("#back")
    assert state() == (order[0], 1)
    page.click("#last")
    assert state() == (order[-1], len(order))
    page.keyboard.press("Home")
    assert state() == (order[0], 1)
    page.keyboard.press("End")
    assert state() == (order[-1], len(order))
    assert page.inner_text("#step").endswith(
        page.evaluate("items[+steps[now].slice(1)].adjoint.name")
    )


def test_what_is_stepped_to_is_seen_in_every_pane(page: Any) -> None:
    """It is scrolled to where it lies outside."""
    seen = """() => [...document.querySelectorAll('section')].map((pane) => {
        const e = pane.querySelector('g.pick, li.pick, li.lit'), b = pane.querySelector('.scroll');
        if (!e) return true;
        const r = e.getBoundingClientRect(), s = b.getBoundingClientRect();
        return r.top >= s.top - 1 && r.bottom <= s.bottom + 1; })"""
    for _ in range(page.evaluate("steps.length")):
        page.keyboard.press("n")
        assert page.evaluate(seen) == [True] * 4


def test_by_keys_alone(page: Any) -> None:
    def focused() -> str:
        return str(page.evaluate("document.activeElement.id"))

    tabbed = []
    for _ in range(6):
        page.keyboard.press("Tab")
        tabbed.append(focused())
    # The buttons that do something, then each pane once.
    first = [line(page, pane, "def") for pane in ("forward", "backward")]
    assert tabbed == ["next", "last", "t1", "v0", *first]
    page.focus("#t1")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    assert focused() == "t4" and NET in lit(page)["net"]
    page.keyboard.press("Tab")
    assert focused() == "v0"
    page.keyboard.press("Shift+Tab")
    assert focused() == "t4"  # where it was left
    page.keyboard.press("ArrowUp")
    assert focused() == "t3"
    z = box(page, "z")
    page.focus(f"#{z}")
    page.keyboard.press("ArrowRight")
    assert focused() == box(page, "d_z")
    page.keyboard.press("ArrowLeft")
    assert focused() == z
    page.keyboard.press("ArrowDown")
    assert focused() == f"v{int(z[1:]) + 1}"
    # Enter holds: the pointer changes nothing until Esc.
    page.focus(f"#{z}")
    page.keyboard.press("Enter")
    before = lit(page)
    assert page.is_visible("#held")
    page.hover("#t7")
    assert lit(page) == before
    page.keyboard.press("Escape")
    assert not page.is_visible("#held")
    page.hover("#t6")
    assert lit(page) != before
    page.click("#t4")
    assert page.is_visible("#held") and NET in lit(page)["net"]
    page.click("#held")
    assert not page.is_visible("#held")
    page.focus("#last")
    page.keyboard.press("Enter")  # a button stays a button
    assert page.is_disabled("#next")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_and_can_be_read(
    tmp_path: Path, opened: Opened, scheme: str, width: int
) -> None:
    page = opened(file_of(tmp_path, mlp(), values=True), width, scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(c) for c in ground[4:-1].split(",")) > 384) == (scheme == "light")
    states = ["", "#t4", f"#{line(page, 'forward', 'z =')}", "n", "End"]
    for state in states:
        if state.startswith("#"):
            page.focus(state)
        elif state:
            page.keyboard.press(state)
        assert too_wide(page) <= 0, state
        low = {k: round(v, 2) for k, v in contrasts(page).items() if v < 4.5}
        assert not low, f"{state}: {low}"
    for pane in ("net", "dag", "forward", "backward", "detail"):
        size = page.query_selector(f"#{pane}").bounding_box()
        assert size["width"] >= width * 0.45 and size["height"] >= 80, pane
    if width == 1280:  # the page itself does not scroll: its panes do
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_boxes_hold_their_words(page: Any) -> None:
    outside = page.eval_on_selector_all(
        "#dag g[id]",
        """all => all.filter(g => {
          const r = g.querySelector('rect').getBoundingClientRect();
          return [...g.querySelectorAll('text')].some(t => {
            const b = t.getBoundingClientRect();
            return b.left < r.left || b.right > r.right || b.top < r.top - 1
              || b.bottom > r.bottom + 1; }); }).map(g => g.id)""",
    )
    assert outside == []


DEEP = (
    "input x\nparam w = 0.5\nz = w * x\n" "repeat 1000 { z = sin(z) * z }\nloss L = z\n"
)


def test_two_thousand_nodes_open_in_little_work(tmp_path: Path, opened: Opened) -> None:
    """The elements grow with the nodes, and neither opening nor a step lays out the page
    again and again. (`opening.py` takes the time.)"""
    path = file_of(tmp_path, trace(Source.from_text("deep.net", DEEP)))
    page = opened(path)
    meter = page.context.new_cdp_session(page)
    meter.send("Performance.enable")

    def metrics() -> dict[str, float]:
        found = meter.send("Performance.getMetrics")["metrics"]
        return {m["name"]: m["value"] for m in found}

    nodes = page.evaluate("items.length")
    assert nodes > 2000
    assert page.evaluate("document.querySelectorAll('*').length") < 10 * nodes
    assert path.stat().st_size < 2000 * nodes
    before = metrics()["LayoutCount"]
    assert before < 30
    page.keyboard.press("n")
    page.keyboard.press("End")
    page.keyboard.press("p")
    assert metrics()["LayoutCount"] - before < 30
    assert len(page.query_selector_all(".done")) == page.evaluate("steps.length - 1")


def test_values_are_those_of_the_data(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradc.cli import main

    monkeypatch.chdir(tmp_path)
    Path("a.net").write_text("input x: [N]\nparam w = 3\nloss C = mean((w * x)^2)\n")
    Path("a.csv").write_text("x\n1\n2\n")
    assert main(["explore", "a.net", "--data", "a.csv", "-o", "a.html"]) == 0
    page = opened(tmp_path / "a.html")
    assert "first batch of a.csv" in page.inner_text("#numbers")
    page.hover(f"#{box(page, 'C')}")
    assert page.inner_text("#detail pre") == "22.5"
    page.hover(f"#{box(page, 'd_w')}")
    assert float(page.inner_text("#detail pre")) == pytest.approx(15)
    assert np.isclose(float(page.text_content(f"#{box(page, 'd_w')} .small")), 15)
