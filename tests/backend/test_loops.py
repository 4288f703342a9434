"""Programs with run-time loops, executed at every level and held against the reference."""

from __future__ import annotations

import pytest
from backend.executing import Emitted, joint_of

from gradc.compiler import driver
from gradc.compiler.source import Source

PROGRAMS = {
    "rnn": """input x: [N, T, 8]
input y: [N, T]
param Wx: [8, 16] = glorot()
param Wh: [16, 16] = glorot()
param b: [16] = 0
param w: [16] = 0.1
h: [N, 16] = 0
for t in T {
  h = tanh(x[:, t] @ Wx + b + h @ Wh)
  p[:, t] = h @ w
}
loss = mean((p - y)^2)
""",
    "lstm": """input text: int[N, T]
input target: int[N, T]
layer my_lstm(x: [N, T, d], n) {
  h: [N, n] = 0
  c: [N, n] = 0
  for t in T {
    i, f, o, g = split(dense(concat(x[:, t], h), 4 * n), 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    seq[:, t] = h
  }
  return seq
}
logits = text |> embed(5, 3) |> my_lstm(4) |> dense(5)
loss = cross_entropy(logits, target)
output next = softmax(logits[:, -1])
""",
    "neural_ode": """const steps = 4
input  start, finish: [N, 2]
fn f(h) = h |> dense(3, tanh) |> dense(2)
h = start
for i in steps {
  h = rk4(f, h, 1 / steps)
  path[:, i] = h
}
loss = mean((h - finish)^2)
output path
""",
    "langevin": """input x: [N, 2]
fn energy(x) = (x |> dense(5, silu) |> dense(1))[:, 0]
random noise: [N, 2] = uniform(-2, 2)
s = noise
for i in 3 {
  random kick: [N, 2] = normal(0, 0.1)
  s = stop(s - 0.05 * grad(energy(s), s) + kick)
}
loss = mean(energy(x)) - mean(energy(s))
output sample = s
""",
    "langevin_differentiated": """input x: [N, 2]
fn energy(x) = (x |> dense(5, silu) |> dense(1))[:, 0]
random noise: [N, 2] = uniform(-2, 2)
s = noise
for i in 3 {
  random kick: [N, 2] = normal(0, 0.1)
  s = s - 0.05 * grad(energy(s), s) + kick
}
loss = mean(energy(x)) - mean(energy(s)) + mean(s^2)
output sample = s
""",
    "nested": """input x: [N, T, 3]
param W: [3, 3] = glorot()
h: [N, 3] = 0
for t in T {
  v = h + x[:, t]
  acc: [N, 3] = 0
  for k in 3 {
    v = tanh(v @ W) + 0.1 * k
    acc = acc + v * x[:, t]
  }
  h = v + 0.1 * acc
  out[t, :, :] = h
}
loss = mean((out - 1)^2) + mean(h^2)
output out
""",
    "reads_the_step": """input x: [N, T]
param w = 0.5
param u: [T] = 0.1
s: [N] = 1
for t in T {
  s = sin(s * w + x[:, t] * t) + u[t] * (t + 1)
  y[:, t] = s * t
}
loss = mean(y^2) + mean(s)
output y
""",
    "truncated": """input x: [N, T, 2]
param W: [2, 3] = glorot()
param U: [3, 3] = glorot()
h: [N, 3] = 0
for t in T {
  before = if true then where(t / 2 == floor(t / 2), stop(h), h) else h
  h = tanh(x[:, t] @ W + before @ U)
  hs[:, t] = h
}
loss = mean((hs - 0.3)^2)
""",
    "stopped": """input x: [N, T, 2]
param W: [2, 3] = glorot()
param U: [3, 3] = glorot()
h: [N, 3] = 0
for t in T {
  h = tanh(x[:, t] @ W + stop(h) @ U)
  hs[:, t] = h
}
loss = mean((hs - 0.3)^2)
""",
    "collected_at_any_axis": """input x: [N, T, 2]
param W: [2, 3] = glorot()
param U: [3, 3] = glorot()
h: [N, 3] = 0
for t in T {
  h = tanh(x[:, t] @ W + h @ U)
  a[t, :, :] = h
  b[:, :, t] = h * 2
  c[t] = sum(h)
}
loss = mean(a^2) + mean((b - 1)^2) + sum(c^2) / (N * N)
output a, b, c
""",
    "two_in_a_row": """input x: [N, T, 2]
param W: [2, 3] = glorot()
param U: [3, 3] = glorot()
h: [N, 3] = 0
for t in T {
  h = tanh(x[:, t] @ W + h @ U)
  a[:, t] = h
}
g: [N, 3] = 0.5
for t in T {
  g = tanh(a[:, t] @ U + g)
  b[:, t] = g
}
r = flip(b, axis = 1)
for t in T { h = sin(h + r[:, t]) }
loss = mean((b - 1)^2) + mean(h^2)
""",
    "scalar": """input x: [T]
param a = 0.9
s = 0
m = 1
for t in T {
  s = a * s + x[t]
  m = m * 0.5 + s^2
}
loss = (s - 1)^2 + m
output s, m
""",
    "passed_on": """input x: [T, N]
param a = 0.9
param b = 0.3
p: [N] = 0
q: [N] = 1
r: [N] = 2
for t in T {
  z = p * a + x[t]
  p = p * 0 + q
  q = q * 0 + r * b
  r = r * 0.5 + z
}
loss = mean(p^2 + q * r)
output p, q
""",
    "old_value_kept": """input x: [T, N]
param a = 0.9
p: [N] = 0
q: [N] = 1
for t in T {
  z = q * a + x[t]
  p = max(p, q)
  q = z
}
loss = mean(p^2 + q)
""",
    "second_order": """input x: [N, T, 2]
input z: [N, 3]
param W: [2, 3] = glorot()
param U: [3, 3] = glorot()
h = z
for t in T { h = tanh(x[:, t] @ W + h @ U) }
e = sum(h^2)
d = grad(e, z)
loss = mean(d^2) + mean(h)
""",
    "softmax_inside": """input x: [N, T, 3]
param W: [3, 3] = glorot()
h: [N, 3] = 0.3
for t in T {
  a = softmax(h @ W + x[:, t])
  h = a * logsumexp(h)[:, *] + relu(h @ W)
  y[:, t] = max(h, axis = 1)
}
loss = mean(y^2) + mean(h)
output y
""",
    "whole_numbers": """input k: int[N, T]
input x: [N]
param E: [4, 3] = normal(0, 1)
h: [N, 3] = 0
n: int[N] = 0
for t in T {
  h = tanh(h + E[k[:, t]])
  n = n + k[:, t]
  c[:, t] = n
  m[:, t] = argmax(h)
}
loss = mean((sum(h, axis = 1) - x)^2) + mean(c * 0.1)
output h, c, m
""",
    "totals": """input x: [N, T, 2]
param W: [2, 2] = glorot()
h: [N, 2] = 0.5
s: [N] = 0
for t in T {
  q = sum((h @ W)^2, axis = 1)
  h = tanh(h @ W + x[:, t]) 
  s = s + q
}
loss = mean(s)
""",
    "old_values_read_late": """input x: [N, T, 3]
param W: [3, 3] = glorot()
h: [N, 3] = 0.2
for t in T {
  v = h
  for k in 2 { v = tanh(v @ W + x[:, t] * h) }
  q[:, t] = sum(h * v, axis = 1)
  u = h * 2
  h = v
  w: [N, 3] = 0
  for k in 2 { w = tanh(w @ W + u) }
  g[:, t] = sum(w, axis = 1) + sum(u, axis = 1)
}
loss = mean(q^2) + mean(g) + mean(h)
output q, g
""",
    "start_read_through_a_view": """input x: [N, N]
param W: [N, N] = 0.1
A = tanh(x @ W)
for t in 3 { A = tanh(A @ A' + x) }
B = sin(x @ W)
C = B'
for t in 3 { B = tanh(B @ C) + B }
loss = mean(A^2) + mean(B)
""",
    "kept_apart": """input x: [N, T]
param a = 0.5
lo: [N] = 10
hi: [N] = -10
for t in T {
  z = a * x[:, t]
  m = max(hi, z)
  lo = min(lo, z) + 0 * hi
  hi = m
}
loss = mean((hi - lo)^2)
output lo, hi
""",
    "starts_that_are_saved": """input x: [N, T, 2]
input y: [N, 2]
param W: [2, 3] = glorot()
param U: [3, 3] = glorot()
h = tanh(y @ W)
for t in T { h = tanh(x[:, t] @ W + h @ U); hs[:, t] = h }
g = sigmoid(y @ W)
c = g @ U
for t in T { g = g * 0.5 + c; gs[:, t] = g }
k = y @ W
for t in T { k = sin(k) }
loss = mean(hs^2) + mean(gs^2) + mean(k)
""",
    "picked_from_the_state": """input k: int[N, T]
param E: [4, 4] = normal(0, 1)
h: [N, 4] = 0
for t in T {
  h = tanh(h + E[k[:, t]]) * pick(h + 1, k[:, t])[:, *]
}
loss = mean(h^2)
""",
    "picked_and_mixed": """input k: int[N, T]
param E: [4, 4] = normal(0, 1)
h: [N, 4] = 0
for t in T {
  h = tanh(h @ E) * pick(h + 1, k[:, t])[:, *]
}
loss = mean(h^2)
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


@levels
@pytest.mark.parametrize(
    "name", ["collected_at_any_axis", "old_value_kept", "two_in_a_row", "rnn"]
)
def test_one_step(name: str, level: int) -> None:
    Emitted(joint_of(PROGRAMS[name]), level, sizes={"N": 3, "T": 1}).agrees()


@levels
def test_no_step(level: int) -> None:
    """Without steps a carry is what it was, and what is collected is empty."""
    text = PROGRAMS["old_value_kept"].replace("q = z\n", "q = z\n  c[:, t] = z * p\n")
    module = Emitted(joint_of(f"{text}output c"), level, sizes={"N": 3, "T": 0})
    loss, saved = module.call("forward")
    assert loss == 1.0
    assert module.module["backward"](saved)["a"] == 0
    assert module.call("predict")["c"].shape == (3, 0)


def steps_of(text: str) -> list[list[str]]:
    """The lines of the loops of `forward` and `backward`."""
    loops: list[list[str]] = []
    for function in text.split("\ndef ")[1:]:
        if function.startswith(("forward", "backward")):
            for line in function.splitlines():
                if line.startswith("    for "):
                    loops.append([])
                elif loops and line.startswith("        "):
                    loops[-1].append(line.strip())
    return loops


def test_one_product_of_matrices_a_step_each_way() -> None:
    there, back = steps_of(Emitted(joint_of(PROGRAMS["rnn"])).text)
    assert sum(line.count(" @ ") for line in there) == 1
    assert sum(line.count(" @ ") for line in back) == 1


def test_stop_leaves_no_loop_to_run_backwards() -> None:
    text = Emitted(joint_of(PROGRAMS["stopped"])).text
    assert len(steps_of(text)) == 1


def test_a_million_steps_compile_as_two_do() -> None:
    text = PROGRAMS["scalar"].replace("in T", "in 1000000").replace("x[t]", "x[0]")
    source = driver.compile_source(Source.from_text("long.net", text)).source
    assert "for t in range(1000000):" in source
    assert len(source) < 10_000


def test_the_time_to_compile_grows_with_the_body() -> None:
    def nodes(copies: int) -> int:
        """How many nodes a program has whose step has so many copies of a layer."""
        text = (
            "input x: [N, T, 4]\nparam W: [4, 4] = glorot()\nh: [N, 4] = 0\n"
            f"for t in T {{ h = h + x[:, t]; repeat {copies} {{ h = tanh(h @ W) }} }}\n"
            "loss = mean(h^2)\n"
        )
        joint = joint_of(text)
        Emitted(joint)
        return len(joint.program.graph)

    assert nodes(80) < 4.5 * nodes(20)
