"""What the runtime has to know of a program: ranges, rows, classes, what is trained."""

from __future__ import annotations

import numpy as np
import pytest
from reference import evaluate
from texts import lowered, refused

HEAD = "input x: [N, 4]\ninput label: int[N]\nz = dense(x, 3)\n"


def ranges(text: str) -> dict[str, tuple[str, str]]:
    return {i.name: (str(i.low), str(i.high)) for i in lowered(text).inputs}


@pytest.mark.parametrize(
    ("use", "high"),
    [
        ("loss = cross_entropy(z, label)", "3"),
        ("loss = mse(z, one_hot(label, 3))", "3"),
        ("param E: [7, 3] = 0\nloss = mse(z, E[label])", "7"),
        ("loss = mean(pick(z, label)) + mean(one_hot(label, 2))", "2"),
        ("loss = cross_entropy(z[1:], label[1:])", "3"),
        ("input w: [D]\nparam E: [D, 3] = 0\nloss = mse(z, E[label]) + sum(w)", "D"),
        ("loss = mean(z) + mean(label)", "None"),
    ],
)
def test_ranges(use: str, high: str) -> None:
    assert ranges(HEAD + use)["label"][1] == high
    assert ranges(HEAD + use)["label"][0] == ("None" if high == "None" else "0")


def test_the_range_of_an_index_that_is_moved() -> None:
    text = "param E: [7, 3] = 0\nloss = mse(z, E[label + 1]) + mse(z, E[2 + label - 3])"
    (found,) = (i for i in lowered(HEAD + text).inputs if i.name == "label")
    assert (str(found.low), str(found.high), found.also) == ("1", "6", ())


def test_an_index_of_two_axes_is_below_both_sizes() -> None:
    text = "input j: int[M]\nloss = mean(x[:, j] * z[0, 0]) + mean(x[j] * z[0, 1])"
    (found,) = (i for i in lowered(HEAD + text).inputs if i.name == "j")
    assert (str(found.low), str(found.high)) == ("0", "4")
    assert [str(d) for d in found.also] == ["N"]


@pytest.mark.parametrize(
    ("loss", "rows"),
    [
        ("cross_entropy(z, label)", ("mean", "N")),
        ("sum(z)", ("sum", "N")),
        ("sum(z) / N", ("mean", "N")),
        ("sum(z^2) / (2 * N)", ("mean", "N")),
        ('mean(z) + sum(params("*.W")^2)', ("mean", "N")),
        ('sum(params("*")^2)', ("free", None)),
        ("mean(z)^2", (None, None)),
        ("sum(z @ z')", (None, None)),
        ("sqrt(mean(z^2))", (None, None)),
        ("max(z)", (None, None)),
    ],
)
def test_rows(loss: str, rows: tuple[str | None, str | None]) -> None:
    (root,) = lowered(HEAD + f"loss = {loss}").training.losses
    assert (root.rows, root.row_dim) == rows


def test_rows_of_two_tables() -> None:
    text = (
        "input x: [P]\ninput b: [B]\nparam w = 1\n"
        "loss inner = mean(w * x)\nloss edge = mean((w * b)^2)"
    )
    mode = lowered(text).training
    assert [(r.rows, r.row_dim) for r in mode.losses] == [("mean", "P"), ("mean", "B")]
    assert mode.total is not None and mode.total.rows is None


def test_a_size_that_a_parameter_uses_is_no_row() -> None:
    text = "input x: [N]\nparam w: [N] = 0\nloss = sum(w * x)"
    (root,) = lowered(text).training.losses
    assert root.rows == "free"


@pytest.mark.parametrize(
    ("loss", "stratify"),
    [
        ("cross_entropy(z, label)", "label"),
        ("sum((one_hot(label, 3) - z)^2)", "label"),
        ("nll(log_softmax(z), label)", "label"),
        ("mean(z)", None),
    ],
)
def test_stratify(loss: str, stratify: str | None) -> None:
    assert lowered(HEAD + f"loss = {loss}").stratify == stratify


def test_no_stratification_by_one_of_two() -> None:
    text = HEAD + "input kind: int[N]\nk = dense(x, 2)\n"
    loss = "loss = cross_entropy(z, label) + cross_entropy(k, kind)"
    assert lowered(text + loss).stratify is None


@pytest.mark.parametrize(
    ("outputs", "classes"),
    [
        ("output a = argmax(z)", {"a": "label"}),
        ("output a = argmax(softmax(z))", {"a": "label"}),
        ("output a = argmax(log_softmax(z))", {"a": "label"}),
        ("output a = argmax(-z)", {}),
        ("output a = argmax(z, axis = 0)", {}),
        ("output p = softmax(z)", {}),
    ],
)
def test_classes(outputs: str, classes: dict[str, str]) -> None:
    program = lowered(HEAD + f"loss = cross_entropy(z, label)\n{outputs}")
    assert program.classes_of == classes


def test_several_losses_are_added_up() -> None:
    program = lowered(HEAD + "loss a = mean(z)\nloss b = sum(z)\noutput z")
    total = program.training.total
    assert total is not None
    last = program.equations[total.equation]
    assert (last.text, last.line) == ("loss = a + b", 0)
    assert [r.name for r in program.training.losses] == ["a", "b"]


def test_one_loss_is_the_total() -> None:
    mode = lowered(HEAD + "loss = mean(z)").training
    assert mode.total is mode.losses[0] and mode.total.name == "loss"


def test_a_loss_is_a_value() -> None:
    program = lowered(HEAD + "loss fit = mean(z)\noutput twice = 2 * fit")
    assert program.training.outputs[0].node.shape == ()


# ------------------------------------------------------------------ unused and frozen
def test_unused_parameters() -> None:
    assert refused("input x\nparam a, b = 0\nloss = a * x") == ["unused-param"]
    assert refused("input x\nparam a, b = 0\noutput y = a * x + 0 * b") == []


def test_parameters_behind_stop_are_frozen_not_unused() -> None:
    assert refused("input x\nparam a, b = 0\nloss = a * x + stop(b)") == []


def test_parameters_that_no_loss_covers_are_frozen() -> None:
    text = "input x\nparam a, b = 0\nloss l over a = a * x * b"
    assert refused(text) == []


# ----------------------------------------------------------------------- equations
def test_equations_and_bindings() -> None:
    text = (
        "input x: [N, 4]\n"
        "h = dense(x, 4)\n"
        "repeat i in 2 {\n  a, b = split(h, 2)\n  h = concat(b, a) + i\n}\n"
        "output y = h"
    )
    program = lowered(text)
    told = [(e.text, e.line, e.group, e.copy, e.body) for e in program.equations]
    assert told == [
        ("h = dense(x, 4)", 2, -1, (), 0),
        ("a, b = split(h, 2)", 4, 0, (0,), 0),
        ("h = concat(b, a) + i", 5, 0, (0,), 1),
        ("a, b = split(h, 2)", 4, 0, (1,), 0),
        ("h = concat(b, a) + i", 5, 0, (1,), 1),
        ("output y = h", 7, -1, (), 0),
    ]
    assert program.equations[1].repeat == "repeat 2"
    names = [(b.name, b.equation, b.copy) for b in program.training.bindings]
    assert names == [
        ("h", 0, ()),
        ("a", 1, (0,)),
        ("b", 1, (0,)),
        ("h", 2, (0,)),
        ("a", 3, (1,)),
        ("b", 3, (1,)),
        ("h", 4, (1,)),
        ("y", 5, ()),
    ]


def test_origins() -> None:
    program = lowered("input x: [N, 4]\nh = dense(x, 3) |> dense(2)\noutput h")
    products = sorted(
        (n for n in program.graph._table.values() if n.is_a("einsum2")),
        key=lambda n: n.serial,
    )
    assert [n.origin.equation for n in products] == [0, 0]
    assert [n.origin.span.line for n in products] == [2, 2]
    assert [n.origin.instances for n in products] == [("h", "dense1"), ("h", "dense2")]


def test_nodes_of_a_copy_know_it() -> None:
    program = lowered("input x: [N, 4]\nh = x\nrepeat 2 { h = sin(h) }\noutput h")
    sines = [n for n in program.graph._table.values() if n.is_a("sin")]
    assert sorted(n.origin.copy for n in sines) == [(0,), (1,)]


def test_doc_and_digest() -> None:
    program = lowered("# A sum.\n# Of squares.\ninput x\noutput y = x^2")
    assert program.doc == ("A sum.", "Of squares.")
    assert len(program.sha256) == 64


def test_constants_with_overrides() -> None:
    text = "const a = 2\nconst b = 2 * a\ninput x\noutput y = b * x"
    program = lowered(text, a="5")
    assert [(c.name, c.value, c.line) for c in program.constants] == [
        ("a", 5, 1),
        ("b", 10, 2),
    ]


# ---------------------------------------------------------------------------- initial values
def test_fills() -> None:
    text = (
        "const s = 0.02\ninput x: [N, D]\nparam a: [D, 3] = he()\nparam b: [3] = 1\n"
        "param c: [2, 3] = normal(1, s)\nparam d: [5] = uniform(-2, 2)\n"
        "param e: [3] = [1, 2, 3]\nparam f: [2, 2] = glorot()\n"
        "loss = sum(x @ a) + sum(b) + sum(c) + sum(d) + sum(e) + sum(f)"
    )
    program = lowered(text)
    fills = {p.path: p.fill for p in program.params}
    for p in program.params:
        assert p.fill.shape == p.node.shape and p.fill.kind == "real"

    def at(path: str, *shape: int, draw: float = 1.0) -> object:
        leaf = {path: np.full(shape, draw)}
        return evaluate([fills[path]], leaf, {"D": 8})[0].ravel()[0]

    assert np.isclose(at("a", 8, 3), np.sqrt(2 / 8))
    assert at("b") == 1
    assert np.isclose(at("c", 2, 3), 1 + 0.02)
    assert at("d", 5, draw=0.25) == -1
    assert at("e") == 1
    assert np.isclose(at("f", 2, 2, draw=0.0), -np.sqrt(6 / 4))
