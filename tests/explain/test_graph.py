"""Drawings: every value a box, every reading an arrow, adjoints the other way."""

from __future__ import annotations

import xml.etree.ElementTree as xml

import pytest
from checking import SAMPLES, trace_of, traced

from gradc.compiler.explain.arrangement import arrange
from gradc.compiler.explain.boxes import Box, Drawing, with_values
from gradc.compiler.explain.diagrams import dot, mermaid
from gradc.compiler.explain.drawing import draw
from gradc.compiler.explain.svg import size_of, svg

PROGRAM = "input x: [N, 4]\nparam W: [4, 3] = he()\nh = tanh(x @ W)\nloss L = sum(h^2)"
SOME = (
    "01_chain",
    "02_derivatives",
    "05_nielsen",
    "07_char_lstm",
    "12_neural_ode",
    "14_gan",
)


def titles(drawing: Drawing) -> list[str]:
    return [b.title for b in drawing.boxes]


def test_boxes_and_arrows_by_operation() -> None:
    drawing, nodes = draw(trace_of(PROGRAM))
    assert titles(drawing)[:4] == ["x", "W", "z", "h"]
    by_title = {b.title: b for b in drawing.boxes}
    assert by_title["z"].lines == ("@", "[N, 3]")
    assert by_title["W"].kind == "param"
    assert by_title["L"].kind == "loss"
    arrows = {(a.tail, a.head) for a in drawing.arrows}
    for tail, head in (("x", "z"), ("W", "z"), ("z", "h")):
        assert (by_title[tail].id, by_title[head].id) in arrows
    assert all(nodes[b.id] for b in drawing.boxes)


def test_adjoints_run_the_other_way() -> None:
    drawing, _ = draw(trace_of(PROGRAM), adjoints=True)
    by_title = {b.title: b.id for b in drawing.boxes}
    arrows = {(a.tail, a.head, a.local) for a in drawing.arrows}
    assert (by_title["d_h"], by_title["d_z"], False) in arrows
    assert (by_title["d_z"], by_title["d_W"], False) in arrows
    assert (by_title["W"], by_title["d_W"], True) in arrows
    (d_z,) = [b for b in drawing.boxes if b.title == "d_z"]
    assert d_z.lines == ("= d_h * tanh'(z)", "[N, 3]")


def test_a_layer_is_one_box() -> None:
    drawing, _ = draw(traced(SAMPLES / "05_nielsen.net"), level="layer")
    assert titles(drawing)[:4] == ["x", "digit", "a.dense1", "a.dense2"]
    (first,) = [b for b in drawing.boxes if b.title == "a.dense1"]
    assert first.lines == ("→ z1, a1", "W1, b1", "[N, hidden]")


def test_values_stand_in_their_boxes() -> None:
    drawing, _ = draw(trace_of(PROGRAM))
    told = with_values(drawing, {drawing.boxes[0].id: "1.5"})
    assert told.boxes[0].value == "1.5"
    assert "1.5" in dot(told) and "1.5" in mermaid(told)


def test_whatever_stands_in_a_box_is_escaped() -> None:
    odd = Box("n0", 'a "b" <c> & \\d', ("#1",), "value")
    drawing = Drawing("x", (odd,), ())
    assert r"a \"b\" <c> & \\d" in dot(drawing)
    assert "a &quot;b&quot; &lt;c&gt; &amp;" in mermaid(drawing)
    tree = xml.fromstring(svg(drawing, {"n0": (0.0, 0.0)}))
    texts = [t.text for t in tree.iter() if t.tag.endswith("text")]
    assert texts == ['a "b" <c> & \\d', "#1"]


@pytest.mark.parametrize("level", ["op", "layer"])
@pytest.mark.parametrize("name", SOME)
def test_no_boxes_lie_upon_each_other(name: str, level: str) -> None:
    drawing, _ = draw(traced(SAMPLES / f"{name}.net"), level, True)
    places, bends = arrange(drawing)
    boxes = [(*places[b.id], *size_of(b), b) for b in drawing.boxes]
    for i, (x, y, w, h, a) in enumerate(boxes):
        for u, v, p, q, b in boxes[i + 1 :]:
            apart = abs(x - u) >= (w + p) / 2 - 1e-6 or abs(y - v) >= (h + q) / 2 - 1e-6
            assert apart, (a.title, b.title)
    for a_ in drawing.arrows:  # forward down, adjoints up
        tail, head = places[a_.tail][1], places[a_.head][1]
        kinds = {b.id: b.kind for b in drawing.boxes}
        if not a_.local and kinds[a_.tail] != "adjoint":
            assert tail < head
    picture = svg(drawing, places, bends)
    tree = xml.fromstring(picture)
    groups = [g for g in tree.iter() if g.tag.endswith("}g")]
    assert len(groups) == len(drawing.boxes)
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert picture == svg(drawing, *arrange(drawing))


def test_every_box_is_in_every_text() -> None:
    drawing, _ = draw(traced(SAMPLES / "14_gan.net"), adjoints=True)
    for shown, sign in ((dot(drawing), "->"), (mermaid(drawing), "-")):
        for b in drawing.boxes:
            assert f"{b.id} [" in shown or f'{b.id}["' in shown
        assert shown.count(sign) >= len(drawing.arrows)
