"""`random`, `state`, `update` and `training` in emitted source."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backend.executing import Emitted, joint_of

from gradc.compiler.backend.signature import signature

PROGRAMS = {
    "autoencoder": """input x: [N, 5]
const k = 2
mean_z = dense(x, k)
log_var = dense(x, k)
random eps: [N, k] = normal(0, 1)
z = mean_z + exp(log_var / 2) * eps
fn decode(z) = z |> dense(4, tanh) |> dense(5)
loss = mean((decode(z) - x)^2)
random dream: [3, k] = normal(0, 1)
output sample = decode(dream)
""",
    "denoising": """input x: [N, D]
param W: [D, 3] = glorot()
random noise: [N, D] = normal(0.1, 0.3)
random shift: [N] = uniform(-1, 2)
y = tanh((x + noise) @ W) @ W' + shift[:, *]
loss = mean((y - x)^2)
output y
""",
    "gibbs": """input v: [N, 5]
param W: [5, 3] = normal(0, 1)
fn free(v) = -sum(softplus(v @ W), axis = -1)
fn gibbs(v) {
  random h: [N, 3] = bernoulli(sigmoid(v @ W))
  random w: [N, 5] = bernoulli(sigmoid(h @ W'))
  return w
}
s = v
repeat 2 { s = gibbs(s) }
loss = mean(free(v)) - mean(free(stop(s)))
output s
""",
    "dropout": """input x: [N, 5]
input y: [N]
h = x |> dense(6, tanh) |> dropout(0.3)
p = (h |> dense(1))[:, 0]
loss fit = mean((p - y)^2)
output p
""",
    "batchnorm": """input x: [N, 5]
h = x |> dense(4) |> batchnorm() |> relu
loss = mean((h - 1)^2)
output h
""",
    "repeated": """input x: [N, 4]
h = x
repeat 3 { h = h |> dense(4, tanh) |> batchnorm() |> dropout(0.2) }
loss = mean(h^2)
""",
    "residual_blocks": """input x: [N, 4]
h = dropout(dense(x, 4), 0.1)
random e: [N, 4] = normal(0, 1)
repeat 3 {
  random noise: [N, 4] = normal(0, 0.1)
  h = h + (h |> dense(4) |> batchnorm |> relu |> dropout(0.2)) * exp(-x^2) + noise
}
z = exp(h + e)
loss = mean(z / (1 + z)) + mean(h^2)
output h
""",
    "running": """input x: [N]
param w = 2
state mean_x = 0
state kept: [3] = 1
update mean_x = 0.9 * mean_x + 0.1 * mean(x)
loss = mean((w * (x - mean_x))^2) + sum(kept)
output y = w * x - mean_x
""",
    "adversaries": """input image: [N, 5]
random z: [N, 2] = normal(0, 1)
fn generator(z) = z |> dense(4, tanh) |> dense(5, sigmoid)
fn critic(x) = x |> dense(4, leaky_relu) |> dense(1)
fake = generator(z)
loss fool over generator = mean(softplus(-critic(fake)))
loss judge over critic = mean(softplus(-critic(image))) + mean(softplus(critic(stop(fake))))
output fake
""",
    "categories": """input x: [N, 3]
param W: [3, 4] = normal(0, 1)
param E: [4, 2] = normal(0, 1)
random k: int[N] = categorical(softmax(stop(x @ W)))
loss = mean(E[k]^2) + mean((x @ W)^2)
""",
}
cases = pytest.mark.parametrize("name", PROGRAMS)
levels = pytest.mark.parametrize("level", (0, 1))


@levels
@cases
def test_agrees_with_the_reference_and_the_complex_step(name: str, level: int) -> None:
    module = Emitted(joint_of(PROGRAMS[name]), level)
    module.agrees()
    module.stays_single()


def test_copies_with_chance_and_memory_are_loops() -> None:
    text = Emitted(joint_of(PROGRAMS["residual_blocks"])).text
    for function in text.split("def ")[3:]:
        assert "range(3)" in function, function
        # what no copy has a part in is done once, before the loop
        assert function.count("np.exp(-(x**2))") <= 1
    assert 'new_state[f"h[{i}].batchnorm.seen_mean"] = ' in text


@levels
@cases
def test_draw_and_init_give_what_the_functions_take(name: str, level: int) -> None:
    module = Emitted(joint_of(PROGRAMS[name]), level)
    known = signature(module.plan)
    rng = np.random.default_rng(0)
    if known["randoms"]:
        sizes = [module.sizes[s] for s in known["draw_sizes"]]
        noise = module.module["draw"](rng, *sizes)
        assert {k: v.shape for k, v in noise.items()} == {
            k: v.shape for k, v in module.noise.items()
        }
        assert [r["path"] for r in known["randoms"]] == list(noise)
        module.noise = noise
    made = module.module["init"](rng, *[module.sizes[s] for s in known["init_sizes"]])
    if known["states"]:
        made, state = made
        assert {k: v.shape for k, v in state.items()} == {
            k: v.shape for k, v in module.state.items()
        }
        assert [s["path"] for s in known["states"]] == list(state)
        module.state = state
    assert {k: v.shape for k, v in made.items()} == {
        k: v.shape for k, v in module.params.items()
    }
    module.params = made
    module.agrees()


def takes(name: str) -> dict[str, Any]:
    functions: dict[str, Any] = signature(Emitted(joint_of(PROGRAMS[name])).plan)[
        "functions"
    ]
    return functions


def test_a_function_takes_what_it_reads() -> None:
    functions = takes("autoencoder")
    assert functions["forward"]["draws"] == ["eps"]
    assert functions["predict"] == {
        "params": True,
        "state": False,
        "noise": True,
        "inputs": [],
        "draws": ["dream"],
    }
    functions = takes("dropout")
    assert functions["forward"]["noise"]
    assert not functions["evaluate"]["noise"]
    assert takes("batchnorm")["evaluate"]["state"]


def test_the_state_of_a_step_is_read_in_evaluation() -> None:
    module = Emitted(joint_of(PROGRAMS["batchnorm"]))
    x = module.inputs["x"]
    before = module.call("predict")["h"]
    loss, _, state = module.call("forward")
    z = x @ module.params["h.dense.W"] + module.params["h.dense.b"]
    np.testing.assert_allclose(
        state["h.batchnorm.seen_var"],
        0.9 * module.state["h.batchnorm.seen_var"] + 0.1 * z.var(axis=0),
        rtol=1e-14,
    )
    module.state = state
    assert not np.allclose(module.call("predict")["h"], before)
    assert module.call("evaluate")["loss"] != loss


def test_a_state_without_update_is_handed_on() -> None:
    module = Emitted(joint_of(PROGRAMS["running"]))
    _, _, state = module.call("forward")
    assert state["kept"] is module.state["kept"]


def test_evaluation_drops_nothing() -> None:
    module = Emitted(joint_of(PROGRAMS["dropout"]))
    h = np.tanh(
        module.inputs["x"] @ module.params["h.dense.W"] + module.params["h.dense.b"]
    )
    p = h @ module.params["p.dense.W"] + module.params["p.dense.b"]
    np.testing.assert_allclose(module.call("predict")["p"], p[:, 0], rtol=1e-14)
    (draw,) = module.noise.values()
    kept = (draw < 0.7) / 0.7
    y = (h * kept) @ module.params["p.dense.W"] + module.params["p.dense.b"]
    loss = np.mean((y[:, 0] - module.inputs["y"]) ** 2)
    np.testing.assert_allclose(module.call("forward")[0], loss, rtol=1e-14)
