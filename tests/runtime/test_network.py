"""Networks: a hand-written module behind vectors and checked inputs."""

from __future__ import annotations

import re
import traceback

import numpy as np
import pytest
from handwritten import signature, source

from gradc.errors import DataError
from gradc.network import Network
from gradc.streams import key, stream


def batch(rows: int = 7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal((rows, 64)), "digit": rng.integers(0, 10, rows)}


def test_parameters_are_views_of_one_vector(mlp: Network) -> None:
    theta = mlp.init(0)
    assert theta.dtype == np.float32 and theta.shape == (64 * 32 + 32 + 320 + 10,)
    views = mlp.views(theta)
    assert list(views) == ["W1", "b1", "W2", "b2"]
    assert all(np.shares_memory(view, theta) for view in views.values())
    views["b2"][3] = 5
    assert theta[-7] == 5
    assert np.array_equal(mlp.vector(views), theta)


def test_init_is_a_function_of_the_seed(mlp: Network) -> None:
    assert np.array_equal(mlp.init(3), mlp.init(3))
    assert not np.array_equal(mlp.init(3), mlp.init(4))
    assert np.array_equal(mlp.init(3, "float64").astype("f4"), mlp.init(3))
    keys = np.array([3, key("init")], np.uint64)
    rng = np.random.Generator(np.random.Philox(key=keys))
    W1 = np.sqrt(2 / 64) * rng.standard_normal((64, 32))
    assert np.array_equal(mlp.views(mlp.init(3, "float64"))["W1"], W1)


def test_streams_differ_by_every_part_of_the_key() -> None:
    draws = {
        float(stream(*k).random())
        for k in [(0, "a"), (1, "a"), (0, "b"), (0, "a", "p"), (0, "a", "", 1)]
    }
    assert len(draws) == 5
    assert key("init") == 0xBB54068AEA85FAA7  # printf init | sha256sum
    with pytest.raises(ValueError, match="seed is -1"):
        stream(-1, "init")


def test_value_and_grad_agrees_with_differences(mlp: Network) -> None:
    theta, inputs = mlp.init(0, "float64"), batch()
    loss, nabla = mlp.value_and_grad(theta, **inputs)
    assert loss == pytest.approx(mlp.evaluate(theta, **inputs)["loss"], rel=1e-14)
    direction = np.random.default_rng(1).standard_normal(theta.size)
    h = 1e-6
    above, _ = mlp.value_and_grad(theta + h * direction, **inputs)
    below, _ = mlp.value_and_grad(theta - h * direction, **inputs)
    assert nabla @ direction == pytest.approx((above - below) / (2 * h), rel=1e-7)


def test_dtype_is_that_of_theta(mlp: Network) -> None:
    inputs = batch()
    for dtype in ("float32", "float64"):
        _, nabla = mlp.value_and_grad(mlp.init(0, dtype), **inputs)
        assert nabla.dtype == dtype
        assert mlp.predict(mlp.init(0, dtype), x=inputs["x"])["p"].dtype == dtype


def test_a_size_comes_from_init_or_from_the_first_inputs(logistic: Network) -> None:
    with pytest.raises(ValueError, match=re.escape("need the size D: bind it first")):
        logistic.init(0)
    theta = logistic.init(0, D=3)
    assert theta.shape == (4,)
    with pytest.raises(ValueError, match="size D is 3 in the parameters"):
        logistic.init(0, D=4)
    with pytest.raises(ValueError, match="no size 'K'"):
        logistic.init(0, K=4)
    with pytest.raises(ValueError, match=r"axis 1 of x needs 3"):
        logistic.predict(theta, x=np.ones((2, 4)))
    other = Network(logistic.source, logistic.signature)
    loss, nabla = other.value_and_grad(np.zeros(3), x=np.ones((5, 2)), y=np.ones(5))
    assert loss == pytest.approx(np.log(2))
    assert np.allclose(nabla, -0.5)
    assert other.sizes == {"D": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digit": None}, r"forward of mlp.net lacks digit: int\[N\]"),
        ({"label": 1}, "no input 'label'; its inputs are: x, digit"),
        ({"x": np.ones((7, 63))}, r"x: \[7, 63\]   but mlp.net:3 says   input x"),
        ({"x": np.ones(64)}, r"x is \[64\]; mlp.net:3 says input x: \[N, 64\]"),
        ({"x": [[1.0], [1.0, 2.0]]}, "x is no array"),
        ({"x": [["a"]]}, r"x is <U1; mlp.net:3 says input x: \[N, 64\] \(real\)"),
        (
            {"digit": np.ones(7)},
            r"digit is float64; mlp.net:4 says input digit: int\[N\]",
        ),
        ({"digit": np.ones(6, int)}, r"N = 7 \(from x\), so digit needs 7 rows"),
        ({"digit": np.arange(5, 12)}, r"digit\[5\] is 10; .* from 0 to 9"),
        ({"digit": np.arange(-1, 6)}, r"digit\[0\] is -1"),
    ],
)
def test_wrong_inputs_are_named(mlp: Network, change, message) -> None:
    inputs = {k: v for k, v in (batch() | change).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        mlp.value_and_grad(mlp.init(0), **inputs)


def test_wrong_theta_is_named(mlp: Network) -> None:
    with pytest.raises(ValueError, match=r"theta has shape \[3\]; mlp.net has 2410"):
        mlp.value_and_grad(np.zeros(3), **batch())
    with pytest.raises(ValueError, match="theta is int64"):
        mlp.value_and_grad(np.zeros(2410, int), **batch())


def test_frozen_parameters_come_last_and_have_no_gradient() -> None:
    text = (
        "import numpy as np\n\n\ndef init(rng):\n    return {'a': 2.0, 'b': 3.0}\n\n\n"
        "def forward(params):\n    return params['a'] * params['b'], params\n\n\n"
        "def backward(saved, d_loss=1.0):\n    return {'b': d_loss * saved['a']}\n"
    )
    entries = [
        {"path": "a", "shape": [], "trained": False, "line": 1},
        {"path": "b", "shape": [], "trained": True, "line": 2},
    ]
    functions = {"forward": {"params": True, "inputs": []}}
    net = Network(text, signature(parameters=entries, functions=functions))
    theta = net.init(0, "float64")
    assert list(theta) == [3, 2] and net.trained == 1
    loss, nabla = net.value_and_grad(theta)
    assert loss == 6 and list(nabla) == [2, 0]


def test_a_module_reaches_nothing_but_numpy() -> None:
    with pytest.raises(ImportError, match="imports numpy, not 'os'"):
        Network("import os\n", signature())
    for text in ("open('f')\n", "eval('1')\n", "print()\n", "getattr\n"):
        with pytest.raises(NameError):
            Network(text, signature())


def test_a_traceback_shows_the_emitted_line(mlp: Network) -> None:
    arrays = [np.ones((2, 64)), np.array([0, 11])]
    try:
        mlp.call("forward", mlp.init(0), arrays)
    except DataError:
        text = traceback.format_exc()
        assert "shifted[np.arange(N), digit]).mean()" in text
        assert "mlp.net" in text
    else:
        pytest.fail("an index out of range")


def test_two_networks_of_one_name_keep_their_texts() -> None:
    first = Network(source("mlp"), signature(name="a.net"))
    second = Network(source("logistic"), signature(name="a.net"))
    assert first.filename != second.filename


def test_a_signature_of_another_version_is_refused() -> None:
    with pytest.raises(
        ValueError, match="signature has version 2; this runtime reads 1"
    ):
        Network("", signature(version=2))


def test_a_program_without_loss_or_parameters_predicts() -> None:
    text = "import numpy as np\n\n\ndef predict(x):\n    return {'y': np.exp(x)}\n"
    inputs = [{"name": "x", "kind": "real", "shape": [], "line": 1, "range": None}]
    net = Network(
        text,
        signature(
            inputs=inputs, functions={"predict": {"params": False, "inputs": ["x"]}}
        ),
    )
    assert net.predict(x=0.0)["y"] == 1
    assert net.init(0).shape == (0,)
    with pytest.raises(ValueError, match="has no loss"):
        net.value_and_grad(net.init(0), x=0.0)
