"""Who owns parameters, and what they are called: language.md 2.7, sentence by sentence."""

from __future__ import annotations

import pytest
from texts import lowered, paths, refused

X = "input x: [N, 4]\n"


def weights(text: str) -> list[str]:
    """The paths of the matrices alone."""
    return [p for p in paths(X + text) if p.endswith(("W", "gain"))]


def test_param_at_top_level() -> None:
    text = "param W1: [4, 3] = he()\nparam a, b = 0\nloss = sum(a * (x @ W1) + b)"
    assert paths(X + text) == ["W1", "a", "b"]


def test_a_layer_written_twice_makes_two_sets() -> None:
    text = "y = dense(x, 64, relu) |> dense(1)\nloss = mean(y)"
    assert paths(X + text) == ["y.dense1.W", "y.dense1.b", "y.dense2.W", "y.dense2.b"]


def test_a_layer_written_once_has_no_number() -> None:
    assert weights("y = dense(x, 2)\nz = dense(y, 3)\nloss = mean(z)") == [
        "y.dense.W",
        "z.dense.W",
    ]


def test_numbers_go_by_order_of_evaluation() -> None:
    program = lowered(X + "y = dense(dense(x, 7), 5)\nloss = mean(y)")
    shapes = {p.path: [str(d) for d in p.node.shape] for p in program.params}
    assert shapes["y.dense1.W"] == ["4", "7"] and shapes["y.dense2.W"] == ["7", "5"]


def test_numbers_count_in_the_block_under_the_defined_name() -> None:
    text = "h = dense(x, 4)\nh = h + dense(h, 4)\ng = dense(h, 4)\nloss = mean(g)"
    assert weights(text) == ["h.dense1.W", "h.dense2.W", "g.dense.W"]


def test_different_layers_are_counted_apart() -> None:
    text = "y = layernorm(dense(x, 4)) |> dense(3)\nloss = mean(y)"
    assert weights(text) == ["y.dense1.W", "y.layernorm.gain", "y.dense2.W"]


def test_a_fn_is_one_thing_under_its_own_name() -> None:
    text = (
        "fn u(v) = v |> dense(20) |> dense(4)\n"
        "a = u(x)\nb = u(a)\nloss = mean(a) + mean(b)"
    )
    assert weights(text) == ["u.dense1.W", "u.dense2.W"]


def test_nothing_stands_after_return() -> None:
    text = "fn u(v) = dense(v, 4)\ny = u(x)\nloss = mean(y)"
    assert weights(text) == ["u.dense.W"]


def test_a_repeat_in_a_fn() -> None:
    text = (
        "fn u(v) {\n  h = v\n  repeat 4 { h = dense(h, 4, tanh) }\n"
        "  return dense(h, 1)\n}\nloss = mean(u(x)) + mean(u(2 * x))"
    )
    assert weights(text) == [*(f"u.h[{i}].dense.W" for i in range(4)), "u.dense.W"]


def test_a_repeat_makes_a_set_per_copy() -> None:
    text = "h = x\nrepeat 3 { h = h + dense(h, 4) }\nloss = mean(h)"
    assert weights(text) == ["h[0].dense.W", "h[1].dense.W", "h[2].dense.W"]


def test_a_second_repeat_of_the_same_name_counts_on() -> None:
    text = (
        "h = dense(x, 4)\nrepeat 2 { h = h + dense(h, 4) }\n"
        "g = x\nrepeat 1 { g = g + dense(g, 4); h = h + dense(h, 4) }\n"
        "loss = mean(h) + mean(g)"
    )
    assert weights(text) == [
        "h.dense.W",
        "h[0].dense.W",
        "h[1].dense.W",
        "g[0].dense.W",
        "h[2].dense.W",
    ]


def test_a_repeat_in_a_repeat() -> None:
    text = "h = x\nrepeat 2 { repeat 2 { h = h + dense(h, 4) } }\nloss = mean(h)"
    assert weights(text) == [
        "h[0][0].dense.W",
        "h[0][1].dense.W",
        "h[1][0].dense.W",
        "h[1][1].dense.W",
    ]


def test_a_param_in_a_repeat() -> None:
    text = "h = x\nrepeat 2 { param W: [4, 4] = he(); h = h @ W }\nloss = mean(h)"
    assert paths(X + text) == ["W[0]", "W[1]"]


def test_the_first_of_several_names() -> None:
    text = (
        "layer part(v: [N, c]) {\n  q, k, w = split(dense(v, 3 * c), 3)\n"
        "  return q * k * w\n}\nh = x\nrepeat 4 { h = h + part(h) }\nloss = mean(h)"
    )
    assert weights(text)[3] == "h[3].part.q.dense.W"


def test_attention_of_std() -> None:
    text = "z = x[:, *, :]\nh = rearrange(x, 'n c -> n 1 c')".replace("'", '"')
    text = text.split("\n")[1] + "\nh = h + attention(h, 2)\nloss = mean(h)"
    assert weights(text) == ["h.attention.q.dense.W", "h.attention.dense.W"]


def test_names_of_roles() -> None:
    text = (
        "loss fit = mean(dense(x, 1))\nmetric size = mean(dense(x, 2))\n"
        "output p = dense(x, 3)"
    )
    program = refused(X + text)
    assert program == ["unused-param", "unused-param"]  # metric's and output's
    assert weights("loss fit = mean(dense(x, 1))") == ["fit.dense.W"]
    assert weights("loss = mean(dense(x, 1))") == ["loss.dense.W"]
    assert weights("output p = dense(x, 3)") == ["p.dense.W"]
    assert weights("metric m = mean(dense(x, 3))\noutput x") == ["m.dense.W"]


def test_a_fn_in_a_layer_exists_once_per_instance() -> None:
    text = (
        "layer twin(v: [N, c]) {\n"
        "  fn f(w) = dense(w, c)\n  return f(v) + f(2 * v)\n}\n"
        "a = twin(x)\nb = twin(twin(x))\nloss = mean(a) + mean(b)"
    )
    assert weights(text) == [
        "a.twin.f.dense.W",
        "b.twin1.f.dense.W",
        "b.twin2.f.dense.W",
    ]


def test_a_fn_in_a_layer_uses_its_parameters() -> None:
    text = (
        "layer both(v: [N, c]) {\n  param W: [c, c] = he()\n"
        "  fn f(w) = w @ W\n  return f(f(v))\n}\ny = both(x)\nloss = mean(y)"
    )
    assert weights(text) == ["y.both.W"]


def test_a_fn_in_a_repeat_is_copied() -> None:
    text = (
        "h = x\nrepeat 2 { fn f(v) = dense(v, 4); h = f(h) + f(2 * h) }\nloss = mean(h)"
    )
    assert weights(text) == ["f[0].dense.W", "f[1].dense.W"]


def test_a_layer_passed_as_an_argument() -> None:
    text = (
        "layer wide(v) = dense(v, 4)\nlayer twice(f, v) = f(f(v))\n"
        "y = twice(wide, x)\nloss = mean(y)"
    )
    assert weights(text) == ["y.twice.wide1.dense.W", "y.twice.wide2.dense.W"]


def test_numbers_follow_the_text_and_not_the_mode() -> None:
    text = (
        "h = if training then dense(x, 4) else dense(2 * x, 4)\n"
        "output h\nmetric m = mean(h)"
    )
    assert weights(text) == ["h.dense1.W", "h.dense2.W"]


def test_two_sets_of_one_name_are_refused() -> None:
    text = "fn u(v) = dense(v, 4)\nu = dense(u(x), 4)\nloss = mean(u)"
    assert refused(X + text) == ["path-twice"]


def test_proposed_names() -> None:
    program = lowered(
        X + "param b = 0\ny = x |> dense(20) |> dense(1)\nloss = mean(y) + b"
    )
    proposed = [(p.name, p.instance, p.owner) for p in program.params]
    assert proposed == [
        ("b", 0, ""),
        ("W", 1, "y"),
        ("b", 1, "y"),
        ("W", 2, "y"),
        ("b", 2, "y"),
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.W", ["y.dense1.W", "y.dense2.W"]),
        ("y.dense1.*", ["y.dense1.W", "y.dense1.b"]),
        ("*", ["y.dense1.W", "y.dense1.b", "y.dense2.W", "y.dense2.b"]),
        ("y.dense2.b", ["y.dense2.b"]),
    ],
)
def test_params_of_a_pattern(pattern: str, found: list[str]) -> None:
    sizes = {"y.dense1.W": 12, "y.dense1.b": 3, "y.dense2.W": 6, "y.dense2.b": 2}
    text = f'y = x |> dense(3) |> dense(2)\nflat = params("{pattern}")\n'
    program = lowered(X + text + "loss = mean(y) + sum(flat^2)")
    (flat,) = (b.node for b in program.training.bindings if b.name == "flat")
    assert [d.integer for d in flat.shape] == [sum(sizes[p] for p in found)]


def test_over_covers_what_lies_below() -> None:
    text = (
        "fn critic(v) = dense(v, 1)\nfn maker(v) = dense(v, 4)\n"
        "loss a over critic = mean(critic(maker(x)))\nloss b over maker = mean(maker(x))"
    )
    program = lowered(X + text)
    assert [r.over for r in program.training.losses] == [("critic",), ("maker",)]
