"""`--recompute`: equal bits with less memory, at both levels, by the plan and as measured."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Golden
from fast.running import Fast, compiled, drawn, values_of
from random_dags import program_of, random_dag

from gradc.compiler import Options, driver
from gradc.sizes import evaluate

DEEP = """input x: [N, 32]
input y: [N, 32]
h = x
repeat 6 { h = h + (dense(h, 96, gelu_tanh) |> dropout(0.25) |> dense(32)) }
loss = mse(h, y)
"""
BLOCK = """layer block(x: [N, T, c]) {
  h = x + attention(layernorm(x), 2, causal = true)
  return h + (layernorm(h) |> dense(2 * c, gelu_tanh) |> dropout(0.1) |> dense(c))
}
"""
NORMS = "input x: [N, 64]\nh = x\nrepeat 4 { h = h + dense(layernorm(h), 64) }\n"
NORMS += "loss = mean(h^2)\n"
ROW = "input h0: [N, 64]\n"
ROW += "".join(f"h{i} = dense(h{i - 1}, 64, gelu_tanh)\n" for i in range(1, 9))
ROW += "loss = mean(h8^2)\n"
PROGRAMS = {
    "row": ROW,
    "deep": DEEP,
    "transformer": f"input x: [N, T, 8]\n{BLOCK}h = x\nrepeat 2 {{ h = block(h) }}\n"
    "loss = mean((h - 0.1)^2)\n",
    "mixer": "input x: [N, 16, 8]\nh = x\nrepeat 2 {\n"
    "  h = h + (layernorm(h)' |> dense(4, relu) |> dense(16))'\n"
    "  h = h + dense(layernorm(h), 8)\n}\nloss = mean(h^3)\n",
    "stack": f"input x: [N, T, 8]\n{BLOCK}h = x |> block |> block\n"
    "loss = mean((h - 0.1)^2)\n",
    "gates": "input x: [N, 6]\nh = x\n"
    "repeat 3 { h = h + dense(h, 6, tanh) * dense(h, 6, sigmoid) }\nloss = mean(h^2)\n",
    "two equations": "input x: [N, 6]\nh = x\nrepeat 3 {\n  g = dense(h, 9, silu)\n"
    "  h = layernorm(h + dense(g, 6))\n}\nloss = mean(h^2)\n",
    "loops": "input x: [N, T, 4]\nh = x\nrepeat 2 { h = layernorm(h + lstm(h, 4)) }\n"
    "loss = mean(h^2)\n",
    "state": "input x: [N, 6]\nh = x\n"
    "repeat 2 { h = h + relu(batchnorm(dense(h, 6))) }\nloss = mean(h^2)\n",
    "nested": "input x: [N, 5]\nh = x\n"
    "repeat 2 { repeat 2 { h = h + dense(h, 5, gelu) } }\nloss = mean(h^2)\n",
    "images": "input x: [N, 6, 6, 2]\nh = x\n"
    'repeat 2 { h = h + (h |> conv(2, 3, pad = "same") |> groupnorm(2) |> silu) }\n'
    "loss = mean(h^2)\n",
    "shared": "input x: [N, 6]\nparam W: [6, 6] = normal(0, 0.4)\nh = x\n"
    "repeat 3 { h = softmax(h @ W) * h + x }\nloss = mean(h^2)\n",
}


def made(text: str, level: int, how: str, **more: Any) -> Fast:
    return Fast(compiled(text, level=level, recompute=how, **more))


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("name", PROGRAMS)
def test_equal_bits(name: str, level: int) -> None:
    values = values_of(drawn(PROGRAMS[name]))
    loss, wanted = made(PROGRAMS[name], level, "none").step(values)
    wanted = {path: np.array(v) for path, v in wanted.items()}
    for how in ("cheap", "blocks"):
        module = made(PROGRAMS[name], level, how, poison=level == 2)
        value, found = module.step(values)
        assert value == loss
        for path, v in wanted.items():
            assert np.array_equal(found[path], v), (how, path)


def test_equal_bits_of_random_programs() -> None:
    for seed in range(16):
        dag = random_dag(seed)
        program = program_of(dag)
        values = {p.path: dag.leaves[p.node] for p in program.params}
        values |= {i.name: dag.leaves[i.node] for i in program.inputs}
        for level in (1, 2):
            losses, gradients = [], []
            for how in ("none", "cheap"):
                options = Options(level=level, recompute=how, poison=level == 2)
                module = Fast(driver.compile_program(program, options))
                work = module.buffers(dag.sizes) if module.work else None
                loss, found = module.step(values, work=work)
                losses.append(loss)
                gradients.append({k: np.array(v) for k, v in found.items()})
            assert np.array_equal(*losses, equal_nan=True), seed
            for path, v in gradients[0].items():
                assert np.array_equal(v, gradients[1][path], equal_nan=True), seed


def peak(module: Fast, values: dict[str, Any]) -> int:
    """What a step allocates at most, buffers and all."""
    module.step(values, np.float32)
    tracemalloc.start()
    try:
        module.step(values, np.float32)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "sizes", "level", "most"),
    [
        (DEEP, {"N": 500}, 1, {"blocks": 0.65}),
        (DEEP, {"N": 500}, 2, {"blocks": 0.55}),
        (NORMS, {"N": 500}, 2, {"cheap": 0.8, "blocks": 0.8}),
        (ROW, {"N": 500}, 2, {"blocks": 0.8}),
        (
            PROGRAMS["transformer"],
            {"N": 20, "T": 40},
            2,
            {"cheap": 1.0, "blocks": 0.8},
        ),
    ],
    ids=["deep-1", "deep-2", "norms-2", "row-2", "transformer-2"],
)
def test_less_memory(
    text: str, sizes: dict[str, int], level: int, most: dict[str, float]
) -> None:
    values = values_of(drawn(text, sizes), np.float32)
    plain = made(text, level, "none")
    before = peak(plain, values)
    for how, share in most.items():
        module = made(text, level, how)
        assert peak(module, values) < share * before, how
        if level == 2:
            assert module.planned(values, 4) < share * plain.planned(values, 4), how


def test_a_further_copy_holds_what_leads_to_the_next() -> None:
    """Beyond the copies there are, one more takes one array of [N, 32]: what it begins with.
    Its draws are the caller's."""

    def reals(copies: int, how: str) -> int:
        text = DEEP.replace("repeat 6", f"repeat {copies}")
        work = compiled(text, recompute=how).signature["work"]
        return int(evaluate(work["reals"], {"N": 100}))

    assert reals(7, "blocks") - reals(6, "blocks") == 100 * 32
    assert reals(7, "none") - reals(6, "none") > 100 * 32 * 5


@pytest.mark.parametrize("level", [1, 2])
def test_the_text_says_what_is_computed_again(level: int) -> None:
    text = PROGRAMS["two equations"]
    said = "again, as in forward:"
    plain = compiled(text, level=level, recompute="none").source
    assert said not in plain
    source = compiled(text, level=level, recompute="blocks").source
    assert said in source[source.index("def backward") :]
    assert said not in source[: source.index("def backward")]
    if level == 1:
        found = re.search(rf"# +{said} ([^\n]*)\n", source)
        assert found is not None
        body = source[found.end() :]
        names = found[1].removesuffix(",").split(", ")
        assert names and all(f"        {n} = " in body for n in names)


def test_the_text(golden: Golden) -> None:
    """In blocks, at -O1: a loop that computes its copy again, first of all."""
    text = PROGRAMS["two equations"]
    made = compiled(text, level=1, recompute="blocks").source
    golden(Path(__file__).parent / "golden" / "recomputed_net.py", made)


def test_the_default_is_the_levels_own() -> None:
    text = PROGRAMS["gates"]
    for level, how in ((1, "none"), (2, "cheap")):
        source = compiled(text, level=level).source
        assert source == compiled(text, level=level, recompute=how).source
