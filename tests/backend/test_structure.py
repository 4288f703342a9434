"""Names, costs, comments and sizes of what is emitted."""

from __future__ import annotations

from typing import Any

import counting
import pytest
from backend.executing import Emitted, joint_of
from backend.programs import PROGRAMS
from calls import calls

from gradc.compiler.backend.cost import count, evaluate
from gradc.compiler.backend.names import base_of, mark, safe, spelt
from gradc.compiler.backend.pyast import printable
from gradc.compiler.backend.signature import signature
from gradc.compiler.ir.program import Joint


@pytest.mark.parametrize(
    ("written", "wanted"),
    (
        ("θ", "theta"),
        ("θ1", "theta1"),
        ("dθ", "d_theta"),
        ("λ", "lambda_"),
        ("sum", "sum_"),
        ("np", "np_"),
        ("params", "params_"),
        ("W1", "W1"),
    ),
)
def test_names_are_spelt_for_python(written: str, wanted: str) -> None:
    assert safe(written) == wanted
    assert spelt(written).isascii()


def test_marks_name_the_copy() -> None:
    assert mark("h", (2,)) == "h⟦2⟧"
    assert base_of("h⟦0,1⟧") == "h"
    assert mark("h", ()) == "h"


@pytest.mark.parametrize("bad", ('a """ b', "a\\", "a\rb", "a\u2028b", "a\x0cb"))
def test_a_comment_cannot_end(bad: str) -> None:
    assert '"""' not in printable(bad) and "\\" not in printable(bad)
    assert printable(bad).isprintable()


@pytest.mark.parametrize(
    "name", ("mlp", "decay", "nielsen", "residual", "repeat_of_two")
)
def test_the_cost_is_a_count_of_the_source(name: str) -> None:
    """Within a tenth: NumPy's own arithmetic (a mean's division) is counted by neither."""
    m = Emitted(joint_of(PROGRAMS[name]))
    at = {s: 40 for s in m.sizes}
    m = Emitted(joint_of(PROGRAMS[name]), sizes=at)
    cost = count(m.plan).elements
    with counting.counted() as forward:
        _, saved = m.call(
            "forward", counting.counting(m.params), counting.counting(m.inputs)
        )
    with counting.counted() as backward:
        m.module["backward"](saved)
    for work, key in ((forward, "forward"), (backward, "backward")):
        wanted = evaluate(cost[key], at)
        assert abs(work.elements - wanted) <= 0.1 * wanted, (key, work.elements, wanted)


def test_backward_costs_at_most_four_forwards() -> None:
    for name in ("mlp", "decay", "nielsen", "residual", "repeat_of_two", "embedding"):
        ratio = count(Emitted(joint_of(PROGRAMS[name])).plan).ratio()
        assert ratio is None or ratio <= 4, (name, ratio)


def test_alike_copies_are_loops() -> None:
    for name in ("residual", "plain_repeat", "two_repeats", "attention_repeat"):
        text = Emitted(joint_of(PROGRAMS[name])).text
        assert "for i in range(" in text and "for i in reversed(range(" in text, name


def test_what_copies_have_in_common_stands_before_their_loop() -> None:
    text = Emitted(joint_of(PROGRAMS["attention_repeat"])).text
    for function in text.split("def ")[3:]:
        _, _, body = function.partition("    for i in ")
        assert body and "np.arange(T)[None] <= np.arange(T)[:, None]" not in body
    text = Emitted(joint_of(PROGRAMS["common_to_two_repeats"])).text
    forward = text.split("def forward")[1].split("def backward")[0]
    assert forward.count("x**2") == 1 and forward.count("for i in range(") == 2


def test_what_is_missing_has_no_function() -> None:
    assert set(Emitted(joint_of("input x\noutput y = x^2")).plan.functions) == {
        "predict"
    }
    plan = Emitted(joint_of("input x: [N]\nparam w = 1\nloss = mean((w * x)^2)")).plan
    assert set(plan.functions) == {"forward", "backward", "evaluate"}


def test_inputs_can_be_differentiated_by() -> None:
    joint = joint_of(
        "input x: [N, 2]\nparam w: [2] = 1\nloss = mean((x @ w)^2)", wrt=("x",)
    )
    for level in (0, 1):
        m = Emitted(joint, level)
        m.agrees()
        assert set(m.joint.gradients) == {"w", "x"}


def test_the_signature_says_what_a_runtime_needs() -> None:
    made: dict[str, Any] = signature(Emitted(joint_of(PROGRAMS["mlp"])).plan)
    predict = made["functions"]["predict"]
    assert predict["params"] and predict["inputs"] == ["x"]
    assert made["sizes"]["N"]["row"] and not made["sizes"]["N"]["frozen"]
    assert made["inputs"][1]["range"] == [0, 10]
    assert [p["path"] for p in made["parameters"]] == ["W1", "b1", "W2", "b2"]
    assert made["outputs"][0]["inputs"] == ["x"]


def test_work_grows_with_the_program() -> None:
    """Twice the equations cost twice the calls."""

    def work(n: int) -> int:
        return calls(lambda: Emitted(chain(n)))

    work(10)  # what is done once
    assert work(200) < 2.05 * work(100)


def test_long_chains_need_no_stack() -> None:
    assert "h1000" in Emitted(chain(1000)).text


def chain(n: int) -> Joint:
    lines = [f"h{i + 1} = tanh(h{i} * w)" for i in range(n)]
    text = "input x: [N]\nparam w = 0.5\nh0 = x\n" + "\n".join(lines)
    return joint_of(text + f"\nloss = mean(h{n}^2)\n")
