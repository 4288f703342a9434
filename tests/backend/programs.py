"""Programs whose emitted source is tested: each stresses one thing that the emitter does."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "mlp": """# A two-layer perceptron.
const hidden = 8
input x: [N, 6]
input digit: int[N]
param W1: [6, hidden] = he()
param b1: [hidden] = 0
param W2: [hidden, 10] = glorot()
param b2: [10] = 0

h = relu(x @ W1 + b1)
scores = h @ W2 + b2
loss = cross_entropy(scores, digit)
metric accuracy = mean(argmax(scores) == digit)
output p = softmax(scores)
""",
    "decay": """const lambda = 1e-2
input X: [N, D]
input label: int[N]
param W1: [D, 5] = he()
param W2: [5, 3] = he()
H = max(0, X @ W1)
U = H @ W2
loss fit = cross_entropy(U, label)
loss decay = lambda * (sum(W1^2) + sum(W2^2))
metric accuracy = mean(argmax(U) == label)
""",
    "nielsen": """const hidden = 7
input x: [N, 6]
input digit: int[N]
a = x |> dense(hidden, sigmoid, init = normal(0, 1)) |> dense(10, sigmoid)
loss C = sum((one_hot(digit, 10) - a)^2) / (2 * N)
output answer = argmax(a)
""",
    "residual": """const width = 5
input x: [N, 6]
input digit: int[N]
h = x |> dense(width, tanh)
repeat 3 { h = h + dense(h, width, tanh) }
scores = dense(h, 10)
loss = cross_entropy(scores, digit)
output p = softmax(scores)
""",
    "plain_repeat": """input x: [N, 6]
input y: [N]
h = x |> dense(4, tanh)
repeat 4 { h = dense(h, 4, tanh) }
loss = mean((dense(h, 1)[:, 0] - y)^2)
""",
    "first_copy_differs": """input x: [N, 2]
input y: [N]
h = x
repeat 4 { h = dense(h, 3, tanh) }
p = dense(h, 1)[:, 0]
loss = mean((p - y)^2)
output p
""",
    "repeat_of_two": """const width = 4
input x: [N, width]
input y: [N, width]
h = x
repeat 3 {
  h = h + dense(h, width, tanh)
  h = h + (h |> dense(6, relu) |> dense(width))
}
loss = mean((h - y)^2)
""",
    "attention_repeat": """const width = 6
input text: int[N, T]
param word: [5, width] = normal(0, 1)
h = word[text]
repeat 3 {
  h = h + attention(layernorm(h), 2, causal = true)
  h = h + (h |> layernorm |> dense(8, gelu) |> dense(width))
}
loss = cross_entropy(layernorm(h) @ word', text)
output next = softmax((h @ word')[:, -1])
""",
    "common_to_two_repeats": """input x: [N, 4]
input y: [N, 4]
h = dense(x, 4)
repeat 2 { h = tanh(dense(h, 4)) * exp(-x^2) }
repeat 3 { h = h + sin(h) * exp(-x^2) }
e = exp(h)
loss = mean((e - y)^2)
output e
""",
    "nested_repeat": """input x: [N, 3]
input y: [N, 3]
h = dense(x, 3, tanh)
repeat 2 {
  repeat 3 { h = h + dense(h, 3, tanh) }
  h = 0.5 * h
}
loss = mean((h - y)^2)
""",
    "repeat_with_decay": """input x: [N, 3]
input y: [N, 3]
h = dense(x, 3, tanh)
repeat 3 { h = h + dense(h, 3, tanh) }
loss fit = mean((h - y)^2)
loss decay = 1e-3 * sum(params("*.W")^2)
""",
    "two_repeats": """input x: [N, 3]
input y: [N, 3]
h = dense(x, 3, tanh)
repeat 2 { h = h + dense(h, 3, tanh) }
g = dense(h, 3)
repeat 3 { g = sin(dense(g, 3)) + h }
loss = mean((g - y)^2)
""",
    "shared_weights": """input x: [N, 3]
param W: [3, 3] = normal(0, 1)
fn f(v) = tanh(v @ W)
y = f(f(x)) + x
loss = mean(y^2) + 0.1 * sum(abs(W))
output y
""",
    "scalars": """input x
param w1, w2, w3 = 0.5
loss L = -log(sigmoid(w3 * sigmoid(w2 * sigmoid(w1 * x))))
""",
    "derivatives": """input x, y
a = x * y
f = exp(exp(x^2)) + a^2 + sin(a)
output f_x = grad(f, x)
output f_xx = grad(f_x, x)
""",
    "sum_of_parameters": """input x: [N]
param w: [4] = 1
param c = 2
loss = sum(w) + c + mean(x)
""",
    "reserved_words": """const lambda = 0.5
const sum_ = 2
input lambda_in: [N]
input np: [N]
param saved: [3] = 1
param θ = 0.5
print = lambda * lambda_in * θ + np
list = sum(saved) * print
loss = mean(list^2)
output print
""".replace(
        "const sum_ = 2\n", ""
    ),
    "continued_name": """input x: [N, 4]
h = dense(x, 4, tanh)
h = h * h + h
h = dense(h, 2)
loss = mean(h^2)
output h
""",
    "embedding": """input text: int[N, T]
input target: int[N, T]
param E: [7, 4] = normal(0, 1)
h = E[text]
scores = h @ E'
loss = cross_entropy(scores, target)
output last = softmax(scores[:, -1])
""",
    "attention": """const width = 6
const heads = 2
input x: [N, T, width]
param Wq, Wk, Wv: [width, width] = glorot()
fn split_heads(z) = rearrange(z, "n t (h d) -> n h t d", h = heads)
q = split_heads(x @ Wq)
k = split_heads(x @ Wk)
v = split_heads(x @ Wv)
s = q @ k' / sqrt(width / heads)
a = softmax(where(causal_mask(T), s, -inf))
y = rearrange(a @ v, "n h t d -> n t (h d)")
loss = mean((y - x)^2)
""",
    "norm": """input x: [N, 5]
param gain: [5] = 1
param bias: [5] = 0
m = mean(x, axis = -1, keep = true)
v = mean((x - m)^2, axis = -1, keep = true)
y = gain * (x - m) / sqrt(v + 1e-5) + bias
z = y * max(y, axis = -1, keep = true)
loss = sum(logsumexp(z)) / N
""",
    "masks": """input x: [N, 4]
input keep: bool[N, 4]
input count: int[N]
param w: [4] = 1
z = where(keep, x * w, 0.1 * x)
y = sum(z, axis = 1) * count + sum(keep, axis = 1)
loss = mean(abs(y)) + mean(where(x > 0, sqrt(x), x) * w)
metric share = mean(keep)
""",
    "constants_only": """const p = 0.25
input x: [N]
param w = 1
loss = mean((w * x)^2) * sqrt(p) * log(N + 1)
""",
    "one_place": """input j: int
param v: [4] = 0.5
param u: [4] = 0.3
loss = v[j] * 2 + pick(u, j)
""",
    "slices": """input x: [N, T, 3]
param w: [3] = 1
loss = mean((x * w)[:, T - 1:, 2:]) + mean((x * w)[1:, :T - 1, 1:]^2)
""",
    "shared_scalars": """input x: [N]
input y: [N]
param a = 0.5
param b = 2
z = -x^2 + a * -y^2 / b
w = a - b - x / b / 2 * y
loss = mean(where(x > 0, z, w)^2)
""",
    "counts": """input x: [N, 3]
input i: int[N]
param w: [3] = 1
r = mean(i)
d = r * w
loss = mean(d) + mean(x * w)
output r
output d
output share = mean(x > 0, axis = 0)
""",
    "sizes_from_arguments": """input x: [N, 3]
layer net(v: [..., d], n = 2 * d) = v |> dense(n, tanh) |> dense(1)
loss = mean(net(x)^2) + mean(net(x, n = 3))
""",
}

READ = (
    "mlp",
    "decay",
    "nielsen",
    "residual",
    "plain_repeat",
    "repeat_of_two",
    "derivatives",
    "shared_weights",
)
"""Those whose source is a golden: it is meant to be read, line by line."""
