"""Nothing, one, and very many: each size has an answer, at every level, or a clear error.

The answers are those of the language reference's section of that name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import calls

from gradc.cli import main
from gradc.compiler import CompileError, Options, Source, compile_source
from gradc.network import Network
from gradc.sizes import bind

LEVELS = (0, 1, 2)
levels = pytest.mark.parametrize("level", LEVELS)


def network(text: str, level: int, **inputs: Any) -> tuple[Network, Any]:
    """The network of a text, and θ for these inputs."""
    source = Source.from_text("edge.net", f"{text}\ntrain {{ dtype = float64 }}\n")
    compiled = compile_source(source, Options(level=level))
    net = Network(compiled.source, compiled.signature)
    net.bind(bind(net.signature, {k: np.shape(v) for k, v in inputs.items()}))
    return net, net.init(seed=0)


def predicted(text: str, level: int, **inputs: Any) -> Any:
    net, theta = network(text, level, **inputs)
    return net.predict(theta, **inputs)["y"]


def trained(text: str, level: int, **inputs: Any) -> tuple[float, Any]:
    """The loss and the gradient; the loss of `evaluate` is the same."""
    net, theta = network(text, level, **inputs)
    loss, nabla, *_ = net.value_and_grad(theta, **inputs)
    assert net.evaluate(theta, **inputs)["loss"] == pytest.approx(loss)
    return loss, nabla


def empty(*shape: int) -> Any:
    return np.zeros(shape)


# ------------------------------------------------------------------------ an empty axis
ANSWERS: dict[str, Any] = {
    "sum(x)": 0,
    "sum(x, axis = 1)": [0, 0],
    "any(x > 0)": False,
    "all(x > 0)": True,
    "x @ x'": [[0, 0], [0, 0]],
    'einsum("nd,md->nm", x, x)': [[0, 0], [0, 0]],
    "sort(x)": [[], []],
    "cumsum(x)": [[], []],
    "flip(x, axis = 1)": [[], []],
    'rearrange(x, "n d -> (n d)")': [],
    "concat(x, x)": [[], []],
    "max(x, axis = 0)": [],
    "mean(x, axis = 0)": [],
    "x / D": None,
}


@levels
@pytest.mark.parametrize("text", [t for t, want in ANSWERS.items() if want is not None])
def test_an_empty_axis_has_an_answer(text: str, level: int) -> None:
    found = predicted(f"input x: [N, D]\noutput y = {text}", level, x=empty(2, 0))
    want = np.array(ANSWERS[text])
    assert np.shape(found) == want.shape and np.array_equal(found, want)


REFUSED = {
    "mean(x, axis = 1)": "`mean(x)` needs at least one element along D",
    "mean(x)": "`mean(x)` needs at least one element along D",
    'mean(x, "n d -> n")': "`mean(x)` needs at least one element along D",
    "max(x, axis = 1)": "`max(x)` needs at least one element along D",
    "min(x, axis = -1)": "`min(x)` needs at least one element along D",
    "argmax(x)": "`argmax(x)` needs at least one element along D",
    "logsumexp(x)": "`logsumexp(x)` needs at least one element along D",
    "softmax(x)": "`softmax(x)` needs at least one element along D",
    "x[:, 0]": "needs an axis of at least 1, but it has D",
    "x[:, -1]": "begins before the first element",
    "x[:, 1:]": "ends before it begins",
    "sum(x) / D": "`sum(x) / D` divides by D, which is 0",
    "x / D": "`x / D` divides by D, which is 0",
    "sum(x) / (N - 2)": "divides by N - 2, which is 0",
    "sum(x) * D^-1": "divides by D, which is 0",
}


@levels
@pytest.mark.parametrize("text", REFUSED)
def test_an_empty_axis_is_refused_with_its_line(text: str, level: int) -> None:
    with pytest.raises(ValueError) as caught:
        predicted(f"input x: [N, D]\noutput y = {text}", level, x=empty(2, 0))
    said = str(caught.value)
    assert said.startswith("edge.net:2: ") and REFUSED[text] in said
    assert "(from the data)" in said


@pytest.mark.parametrize("call", ["mean(h)", "max(h, axis = 1)", "softmax(h)"])
def test_a_constant_that_is_0_is_refused_at_once(call: str) -> None:
    text = f"const k = 0\ninput x: [N]\nh: [N, k] = 0\noutput y = {call}\n"
    with pytest.raises(CompileError) as caught:
        compile_source(Source.from_text("edge.net", text))
    assert [d.id for d in caught.value.diagnostics] == ["empty-axis"]


@levels
def test_constants_of_size_0(level: int) -> None:
    text = (
        "const k = 0\ninput x: [0]\nh: [2, k] = 0\ng = 1\nrepeat k { g = g + 1 }\n"
        "for t in k { g = g + 1 }\noutput y = sum(h, axis = 1) + g + sum(x)"
    )
    assert predicted(text, level, x=empty(0)).tolist() == [1, 1]


@levels
def test_an_index_of_what_is_empty(level: int) -> None:
    text = "input x: [N, 2]\ninput i: int[M]\noutput y = x[i]"
    none = np.zeros(0, int)
    assert predicted(text, level, x=empty(3, 2), i=none).shape == (0, 2)
    with pytest.raises(ValueError, match="i is used as an index, into what is empty"):
        predicted(text, level, x=empty(0, 2), i=np.zeros(1, int))


# ---------------------------------------------------------------------- rows: 0 and 1
@levels
def test_no_rows_add_up_to_nothing(level: int) -> None:
    text = (
        "input x: [N, 3]\ninput i: int[N]\nparam E: [4, 3] = 1\n"
        "h = layernorm(x * E[i]) |> dense(2, tanh)\nloss = sum(h^2)\noutput y = h"
    )
    inputs = {"x": empty(0, 3), "i": np.zeros(0, int)}
    loss, nabla = trained(text, level, **inputs)
    assert loss == 0 and np.all(nabla == 0)
    assert predicted(text, level, **inputs).shape == (0, 2)


NETS = {
    "conv": "input x: [N, 4, 4, 2]\nloss = sum(conv(x, 3)^2)",
    "pools": "input x: [N, 4, 4, 2]\nloss = sum(avgpool(maxpool(dense(x, 2)))^2)",
    "lstm": "input x: [N, 3, 2]\nloss = sum(lstm(x, 3)^2)",
    "transformer": "input x: [N, 3, 4]\nloss = sum(transformer(x, 2)^2)",
    "groupnorm": "input x: [N, 2, 2, 4]\nloss = sum(groupnorm(x, 2)^2)",
    "logdet": "input x: [N, 2, 2]\nparam w = 1\nloss = sum(logdet(x * w))",
}


@levels
@pytest.mark.parametrize("name", NETS)
def test_layers_of_no_rows(name: str, level: int) -> None:
    given = NETS[name].split("[")[1].split("]")[0].split(",")[1:]
    loss, nabla = trained(NETS[name], level, x=empty(0, *map(int, given)))
    assert loss == 0 and np.all(nabla == 0)


@levels
@pytest.mark.parametrize(
    "loss",
    [
        "mse(p, 0 * p)",
        "cross_entropy(p, i)",
        "sum(p) / N",
        "max(p)",
        "sum(batchnorm(p))",
    ],
)
def test_a_mean_over_no_rows_is_refused(loss: str, level: int) -> None:
    text = f"input x: [N, 3]\ninput i: int[N]\np = dense(x, 2)\nloss = {loss}"
    with pytest.raises(ValueError, match=r"edge.net:4: .*(at least one|divides by N)"):
        trained(text, level, x=empty(0, 3), i=np.zeros(0, int))


@levels
def test_one_row_is_its_own_mean(level: int) -> None:
    text = "input x: [N, 3]\nloss = sum(batchnorm(x)^2)"
    net, theta = network(text, level, x=np.ones((1, 3)))
    views = net.views(theta)
    (bias,) = (v for k, v in views.items() if k.endswith("bias"))
    bias[...] = [1, 2, 3]
    loss, nabla, _ = net.value_and_grad(theta, x=np.array([[5.0, -7.0, 0.1]]))
    assert loss == 14
    slopes = net.views(nabla)
    for path, slope in slopes.items():
        want = [2, 4, 6] if path.endswith("bias") else [0, 0, 0]
        np.testing.assert_allclose(slope, want, atol=1e-9)


# --------------------------------------------------------------------- steps: 0, 1, many
LOOP = """\
input x: [N, T]
param w: [2] = 0.5
z: [N, 2] = 0
h = z + w
for t in T {
  h = h * x[:, t][:, *] + w
  s[:, t] = sum(h, axis = 1)
}
loss = sum(h^2) + sum(s)
output y = s
"""


@levels
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_no_step_one_step(level: int, steps: int) -> None:
    x = np.arange(1.0, 2 * steps + 1).reshape(2, steps)

    def by_hand(w: Any) -> Any:
        h = np.ones((2, 1)) * w
        total = 0
        for t in range(steps):
            h = h * x[:, t : t + 1] + w
            total = total + np.sum(h)
        return np.sum(h**2) + total

    w = np.full(2, 0.5)
    loss, nabla = trained(LOOP, level, x=x)
    assert loss == pytest.approx(by_hand(w))
    slopes = [np.imag(by_hand(w + 1e-30j * np.eye(2)[k])) / 1e-30 for k in (0, 1)]
    np.testing.assert_allclose(nabla, slopes, 1e-12)
    assert predicted(LOOP, level, x=x).shape == (2, steps)


@levels
def test_the_gradient_of_what_is_sorted_of_nothing(level: int) -> None:
    text = "input x: [N, D]\nparam w = 2\nloss = sum(sort(w * x)^2) + w^2"
    assert trained(text, level, x=empty(3, 0)) == (4, [4])


@levels
def test_no_rows_beside_constants(level: int) -> None:
    """What knows no rows may lie in the place of what has none."""
    text = """input x: [N, 3]
    param w = 0.5
    random c: int[N] = categorical([0.2, 0.3, 0.5])
    loss = sum(pick(w * x, c)^2)
    """
    loss, nabla = trained(text, level, x=empty(0, 3))
    assert loss == 0 and np.all(nabla == 0)


@levels
@pytest.mark.parametrize("layer", ["rnn", "lstm", "gru"])
def test_sequences_without_steps(layer: str, level: int) -> None:
    text = f"input x: [N, T, 3]\nh = {layer}(x, 2)\nloss = sum(h^2)\noutput y = h"
    loss, nabla = trained(text, level, x=empty(2, 0, 3))
    assert loss == 0 and np.all(nabla == 0)
    assert predicted(text, level, x=empty(2, 0, 3)).shape == (2, 0, 2)
    one = trained(text, level, x=np.ones((2, 1, 3)))[1]
    assert np.all(np.isfinite(one)) and np.any(one != 0)


MANY = """\
input x: [N]
param w = 0.5
h = w
for t in 1000000 { h = h + 1e-6 * sin(h) }
loss = h * sum(x)
"""


def test_a_million_steps() -> None:
    """Compiled as fast as ten: Euler's steps of an equation with a known solution."""

    def compiling(text: str) -> int:
        return calls(lambda: compile_source(Source.from_text("edge.net", text)))

    few = MANY.replace("1000000", "10")
    compiling(few)
    assert compiling(MANY) < 1.1 * compiling(few)
    loss, nabla = trained(MANY, 1, x=np.ones(1))
    # y' = sin y is solved by tan(y / 2) = e^t tan(y(0) / 2).
    exact = 2 * np.arctan(np.e * np.tan(0.25))
    assert loss == pytest.approx(exact, rel=1e-5)
    assert nabla[0] == pytest.approx(np.sin(exact) / np.sin(0.5), rel=1e-5)


@pytest.mark.parametrize(
    ("loop", "id_"),
    [
        ("for t in 3000000000 { h = 0.5 * h }", "too-many-steps"),
        ("for t in 300000000 { h = sin(h) }", "too-much-saved"),
        ("repeat 1000000 { h = sin(h) }", "too-many-copies"),
    ],
)
def test_too_many_steps(loop: str, id_: str) -> None:
    text = f"param w: [100] = 1\nh = w\n{loop}\nloss = sum(h)\n"
    with pytest.raises(CompileError) as caught:
        compile_source(Source.from_text("edge.net", text))
    assert [d.id for d in caught.value.diagnostics] == [id_]


# -------------------------------------------------------------------------- windows
@levels
@pytest.mark.parametrize(
    ("call", "height", "said"),
    [
        ('conv(x, 2, k = 5, pad = "valid")', 4, "`conv2d` needs H to be at least 5"),
        ("conv(x, 2)", 0, "`conv2d` needs H to be at least 1"),
        ("maxpool(x)", 1, "`pool2d` needs H to be at least 2"),
        ("conv_transpose(x, 2)", 0, "`conv_transpose2d` needs H to be at least 1"),
    ],
)
def test_a_window_larger_than_its_axis(
    call: str, height: int, said: str, level: int
) -> None:
    text = f"input x: [N, H, 6, 1]\nh = {call}\noutput y = h"
    with pytest.raises(ValueError, match=f"edge.net:2: {said}"):
        predicted(text, level, x=empty(1, height, 6, 1))
    assert predicted(text, level, x=empty(1, 6, 6, 1)).shape[0] == 1


# ------------------------------------------------------------- sizes told by other sizes
TOLD: list[tuple[str, tuple[int, ...], int]] = [
    ("[N - 9]", (3,), 12),
    ("[9 - N]", (3,), 6),
    ("[2 * N - 9]", (3,), 6),
    ("[N / 2]", (3,), 6),
    ("[M, M * N]", (3, 12), 4),
    ("[M, (N - M) / 2]", (3, 4), 11),
    ("[M, M * N + M]", (3, 12), 3),
    ("[M, M - N]", (5, 3), 2),
]


@levels
@pytest.mark.parametrize(("shape", "given", "size"), TOLD)
def test_a_size_is_solved_for(
    shape: str, given: tuple[int, ...], size: int, level: int
) -> None:
    text = (
        f"input x: {shape}\nparam w = 2\nloss = N * w * sum(x)\noutput y = N + sum(x)"
    )
    assert predicted(text, level, x=empty(*given)) == size
    loss, nabla = trained(text, level, x=np.ones(given))
    assert nabla[0] == size * np.prod(given) == loss / 2


@pytest.mark.parametrize(
    ("shape", "given", "said"),
    [
        ("[9 - N]", (10,), "no size N makes -N + 9 = 10"),
        ("[2 * N - 9]", (4,), "no size N makes 2 * N - 9 = 4"),
        ("[M, M * N]", (3, 4), "no size N makes M * N = 4"),
        ("[M, M * N]", (0, 0), "with M = 0 it tells no size N"),
    ],
)
def test_what_no_size_solves(shape: str, given: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        predicted(f"input x: {shape}\noutput y = N + sum(x)", 1, x=empty(*given))
    assert said in str(caught.value) and "edge.net:1 says" in str(caught.value)


def test_an_index_within_a_step_has_its_range() -> None:
    """The scores come from the step before, so the index is used in the loop alone."""
    text = (
        "input i: int[N, T]\nparam W: [4, 4] = 1\nh: [N, 4] = 1\n"
        "for t in T { h = softmax(pick(h, i[:, t])[:, *] * h @ W) }\noutput y = h\n"
        "loss = sum(h^2)"
    )
    compiled = compile_source(Source.from_text("edge.net", text))
    (entry,) = compiled.signature["inputs"]
    assert entry["range"] == [0, 4]
    with pytest.raises(ValueError, match="used as an index, from 0 to 3"):
        predicted(text, 1, i=np.full((2, 3), 4))


# ------------------------------------------------------------------- the command line
@pytest.mark.parametrize("level", ["-O0", "-O1"])
def test_from_the_command_line(
    level: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mean.net").write_text(
        "input x: [N, T]\nparam w = 1\nloss = sum(mean(x * w, axis = 1)^2)\n"
        'output y = sum(x, axis = 1)\ntrain { data = "f.npz"; epochs = 1; batch = 1 }\n'
    )
    np.savez("f.npz", x=np.ones((3, 1)))
    assert main(["train", "mean.net", level, "-q"]) == 0
    np.savez("g.npz", x=np.ones((3, 0)))
    capsys.readouterr()
    for command in (
        ["train", "mean.net", level, "--data", "g.npz"],
        ["eval", "runs/mean-1", "--data", "g.npz"],
    ):
        assert main(command) == 4
        said = capsys.readouterr().err
        assert "mean.net:3: `mean(x * w)` needs at least one element along T" in said
