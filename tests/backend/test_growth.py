"""What a step costs grows as the network does: operations and bytes of the plan, no times.

At -O2: what is computed in products and elsewhere, the numbers that its buffers hold, the
lines that it has. Depth adds the same for each layer; batch and time multiply.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from gradc.compiler import Options, Source, compile_source
from gradc.sizes import value

LAYERS = {
    "dense": ("x: [N, 32]", "h = dense(h, 32, tanh)"),
    "residual": ("x: [N, 32]", "h = h + dense(layernorm(h), 32, gelu_tanh)"),
    "rnn": ("x: [N, T, 16]", "h = rnn(h, 16)"),
    "lstm": ("x: [N, T, 16]", "h = lstm(h, 16)"),
    "conv": ("x: [N, 8, 8, 4]", "h = conv(h, 4) |> relu"),
    "attention": ("x: [N, T, 16]", "h = h + attention(h, 2)"),
}
COUNTS = ("forward_products", "products", "elements", "reals", "constants")
SIZES = {"N": 64, "T": 12}


def compiled(name: str, depth: int, level: int = 2) -> Any:
    leaf, layer = LAYERS[name]
    text = f"input {leaf}\nh = x\nrepeat {depth} {{ {layer} }}\nloss = mean(h^2)\n"
    return compile_source(Source.from_text("deep.net", text), Options(level=level))


def counts(module: Any, **sizes: int) -> dict[str, Fraction]:
    described = {**module.signature["shards"], **module.signature["work"]}
    return {k: value(described[k], {**SIZES, **sizes}) for k in COUNTS}


@pytest.mark.parametrize("name", ["dense", "residual", "rnn", "conv"])
def test_each_layer_adds_the_same(name: str) -> None:
    depths = (4, 8, 16, 64) if name == "dense" else (2, 4, 8)
    modules = [compiled(name, d) for d in depths]
    found = [counts(m) for m in modules]
    lines = [len(m.source.splitlines()) for m in modules]
    for what in COUNTS:
        slopes = {
            (b[what] - a[what]) / (q - p)
            for a, b, p, q in zip(found, found[1:], depths, depths[1:], strict=False)
        }
        assert len(slopes) == 1 or what == "constants", (what, slopes)
        # The first one has no adjoint of its input, so the others cost a little more.
        assert max(slopes) <= found[0][what] / depths[0] * Fraction(5, 4), what
    assert lines[-1] <= lines[0] * depths[-1] / depths[0]
    readable = [compiled(name, d, level=1).stats for d in depths[:3]]
    for what in ("forward_ops", "backward_ops"):
        a, b, c = (stats[what] for stats in readable)
        assert c - b == 2 * (b - a), what


@pytest.mark.parametrize("name", LAYERS)
def test_rows_and_steps_multiply(name: str) -> None:
    module = compiled(name, 2)
    base = counts(module)
    for dim in ("N", "T") if name in ("rnn", "lstm") else ("N",):
        double, fourfold = (counts(module, **{dim: k * SIZES[dim]}) for k in (2, 4))
        for what in COUNTS:
            more = double[what] - base[what]
            assert fourfold[what] - double[what] == 2 * more, (dim, what)
            assert more <= base[what], (dim, what)


def test_attention_is_quadratic_in_its_steps_and_in_nothing_else() -> None:
    module = compiled("attention", 2)
    one, two, three = (counts(module, T=t)["products"] for t in (8, 16, 24))
    assert three - 2 * two + one > 0  # a second difference: the scores
    four = counts(module, T=32)["products"]
    assert four - 3 * three + 3 * two - one == 0  # no third


def test_wider_layers_cost_what_their_weights_do() -> None:
    def of(width: int) -> dict[str, Fraction]:
        text = (
            f"input x: [N, {width}]\nh = dense(x, {width}, relu)\n"
            f"p = dense(h, {width}, relu)\nloss = mean(p^2)\n"
        )
        return counts(compile_source(Source.from_text("wide.net", text), Options(2)))

    small, large = of(16), of(64)
    assert large["products"] <= 16 * small["products"]
    for what in ("elements", "reals", "constants"):
        assert large[what] <= 4 * small[what], what
