"""The gradient check: right gradients pass, each small mistake is noticed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from handwritten import LOGISTIC, MLP, given, root, signature, size, source, sym

from gradc.errors import DataError
from gradc.gradcheck import check, difference, differences
from gradc.network import Network
from gradc.points import choose_sizes, random_inputs


@pytest.fixture
def logistic_complex() -> Network:
    return Network(source("logistic_complex"), copy.deepcopy(LOGISTIC))


def quartic(x: np.ndarray) -> complex:
    return (x**4).sum() + x[0] * x[1]


@pytest.mark.parametrize(
    ("method", "tolerance"), [("complex", 1e-14), ("central", 1e-8), ("forward", 1e-5)]
)
def test_differences(method, tolerance) -> None:
    x = np.array([0.5, -1.25, 2.0])
    exact = 4 * x**3 + np.array([x[1], x[0], 0])
    np.testing.assert_allclose(differences(quartic, x, method), exact, rtol=tolerance)
    along = np.array([1.0, 2.0, -1.0])
    assert difference(quartic, x, along, method) == pytest.approx(
        exact @ along, rel=tolerance
    )
    with pytest.raises(ValueError, match="no method 'exact'"):
        difference(quartic, x, along, "exact")


def test_right_gradients_pass(
    mlp: Network, logistic: Network, logistic_complex: Network
) -> None:
    # the MLP's own forward pass is defined on complex numbers
    for network, probe in ((mlp, mlp), (logistic, logistic_complex)):
        result = check(network, probe)
        assert result.ok and result.worst < 1e-13, result
        assert [p.path for p in result.parameters] == list(
            network.views(network.init(0))
        )
    assert [p.checked for p in check(mlp, mlp).parameters] == [19, 19, 19, 10]


@pytest.mark.parametrize("method", ["central", "forward"])
def test_other_methods_need_no_second_module(logistic: Network, method) -> None:
    result = check(logistic, method=method)
    assert result.ok and result.worst > 1e-13
    with pytest.raises(ValueError, match="needs the module for complex numbers"):
        check(logistic)


MISTAKES = [
    ("logistic", "d_w = 0.02 * d_loss * w", "d_w = 0.01 * d_loss * w", ["w"]),
    ("logistic", "d_b = d_z.sum()", "d_b = d_z.mean()", ["b"]),
    ("logistic", "(1 + np.tanh(z / 2)) - y)", "(1 + np.tanh(z / 2)) + y)", ["w", "b"]),
    ("mlp", "d_z = d_h * (h > 0)", "d_z = d_h", ["W1", "b1"]),
    (
        "mlp",
        "d_scores[np.arange(N), digit] -= 1",
        "N = N + 0",
        ["W1", "b1", "W2", "b2"],
    ),
    ("mlp", "d_scores *= d_loss / N", "d_scores *= d_loss / 10", None),
    (
        "mlp",
        'return {"W1": d_W1,',
        'd_W1[63, 31] += 1e-3\n    return {"W1": d_W1,',
        ["W1"],
    ),
]


@pytest.mark.parametrize(("name", "right", "wrong", "paths"), MISTAKES)
def test_mistakes_are_noticed(name, right, wrong, paths, logistic_complex) -> None:
    text = source(name)
    assert right in text
    network = Network(
        text.replace(right, wrong), {"mlp": MLP, "logistic": LOGISTIC}[name]
    )
    probe = logistic_complex if name == "logistic" else Network(text, MLP)
    result = check(network, probe, seeds=1)
    assert not result.ok
    if paths is not None:
        assert [p.path for p in result.parameters if p.error > 1e-10] == paths


def test_a_forgotten_cotangent_is_noticed(logistic_complex: Network) -> None:
    text = source("logistic").replace("0.02 * d_loss * w", "0.02 * w")
    result = check(Network(text, LOGISTIC), logistic_complex)
    assert result.worst < 1e-13 and not result.linear and not result.ok


def test_a_gradient_that_is_nan_does_not_pass(logistic_complex: Network) -> None:
    text = source("logistic").replace("d_b = d_z.sum()", "d_b = d_z.sum() * np.nan")
    assert check(Network(text, LOGISTIC), logistic_complex).worst == np.inf


def test_a_gradient_of_wrong_shape_is_named(logistic_complex: Network) -> None:
    text = source("logistic").replace("d_b = d_z.sum()", "d_b = d_z")
    with pytest.raises(
        ValueError, match=r"the gradient of b is \[5\], the parameter \[\]"
    ):
        check(Network(text, LOGISTIC), logistic_complex)


def test_data_rows_and_sizes_may_be_given(
    logistic: Network, logistic_complex: Network
) -> None:
    rows = {"x": np.ones((4, 2)), "y": np.array([0.0, 1, 1, 0])}
    result = check(logistic, logistic_complex, inputs=rows)
    assert result.ok and result.sizes == {"N": 4, "D": 2}
    other = Network(logistic.source, LOGISTIC)
    probe = Network(source("logistic_complex"), LOGISTIC)
    assert check(other, probe, sizes={"N": 8}).sizes == {"N": 8, "D": 3}


def test_sizes_differ_and_pass_the_checks() -> None:
    halves = {
        "kind": "divides",
        "left": sym("T"),
        "right": 4,
        "line": 3,
        "text": "T / 4",
        "message": "4 does not divide T",
    }
    sig = signature(
        inputs=[
            given("x", "real", [sym("N"), sym("T"), [[1, 1, ["D"]], [-6, 1, []]]], 1)
        ],
        sizes={
            "N": size(True, ["x"], False),
            "T": size(False, ["x"], False),
            "D": size(False, ["x"], False),
        },
        checks=[halves],
    )
    assert choose_sizes(sig, {}) == {"T": 4, "D": 7, "N": 3}
    with pytest.raises(DataError, match="no small sizes D, N pass the checks"):
        choose_sizes(sig, {"T": 6})
    with pytest.raises(DataError, match="no size 'K'; the sizes are: N, T, D"):
        choose_sizes(sig, {"K": 6})


def test_random_inputs_follow_kind_and_range() -> None:
    sig = signature(
        inputs=[
            given("x", "real", [50], 1),
            given("i", "int", [500], 2, [2, 5]),
            given("m", "bool", [50], 3),
        ],
        functions={"forward": {"params": False, "inputs": ["x", "i", "m"]}},
    )
    drawn = random_inputs(sig, {}, np.random.default_rng(0))
    assert set(drawn["i"]) == {2, 3, 4} and drawn["m"].dtype == bool
    assert drawn["x"].min() < 0
    assert random_inputs(sig, {}, np.random.default_rng(0), True)["x"].min() >= 0


# ------------------------------------------------------------- where there is no value


def one_param(
    forward: str, backward: str, start: str = "np.array([0.5, -0.5])"
) -> Network:
    """A net with one parameter w: [2] and no inputs."""
    text = f"""import numpy as np

def init(rng):
    return {{"w": {start}}}

def forward(params):
    w = params["w"]
    loss = {forward}
    return loss, (w,)

def backward(saved, d_loss=1.0):
    (w,) = saved
    d_w = {backward}
    return {{"w": d_w * d_loss}}
"""
    entry = {"path": "w", "shape": [2], "trained": True, "line": 1}
    functions = {"forward": {"params": True, "inputs": []}}
    return Network(text, signature(parameters=[entry], functions=functions))


def test_points_without_a_value_are_not_compared() -> None:
    """w = 0.5, -0.5 has no logarithm in the reals, but one in the complex numbers."""
    network = one_param("np.log(w).sum()", "1 / w")
    probe = one_param("np.log(w + 0j).sum()", "1 / w")
    result = check(network, probe)
    assert result.ok and result.worst < 1e-14 and result.seeds == 3
    assert not result.warning
    wrong = check(one_param("np.log(w).sum()", "2 / w"), probe)
    assert not wrong.ok and wrong.worst == pytest.approx(0.5)


def test_a_loss_that_is_never_finite_contradicts_nothing() -> None:
    network = one_param("np.log(-1 - w * w).sum()", "w")
    probe = one_param("np.log(-1 - w * w + 0j).sum()", "w")
    result = check(network, probe)
    assert result.ok and result.seeds == 0 and result.parameters == ()
    assert result.warning == (
        "the loss of test.net is infinite or NaN at every point of 7 ways to draw "
        "parameters and data: there was no gradient to compare"
    )


TIES = [
    # max(w, w) splits the cotangent evenly; the complex step sees one side
    ("np.where(w.real >= 0, w, -w).sum()", "np.sign(w)", True),
    ("np.where(w.real >= 0, w, -w).sum()", "0.3 + 0 * w", True),
    ("np.where(w.real >= 0, w, -w).sum()", "1.5 + 0 * w", False),
    ("np.where(w.real >= 0, w, -w).sum()", "w * np.nan", False),
    # the square root's slope has no end at 0, its domain has
    ("np.sqrt(np.where(w.real >= 0, w, -w)).sum()", "w + np.inf", True),
    ("np.sqrt(np.where(w.real >= 0, w, -w)).sum()", "w * np.nan", True),
    ("(w ** 2).sum()", "2 * w", True),
    ("(w ** 2).sum()", "2 * w + 1e-7", False),
    ("(1000 * w + w ** 2).sum()", "1000 + 2 * w + 0.5", False),
]


@pytest.mark.parametrize(("forward", "backward", "fine"), TIES)
def test_kinks_have_the_derivatives_between_their_slopes(
    forward: str, backward: str, fine: bool
) -> None:
    network = one_param(forward, backward)
    assert check(network, network, theta=np.zeros(2), seeds=1).ok is fine


TWO = """import numpy as np

def init(rng):
    return {"a.w": np.array(0.5), "b.w": np.array(-0.25)}

def forward(params):
    w, v = params["a.w"], params["b.w"]
    loss = LOSS
    return loss, (w, v)

def backward(saved, d_loss=1.0):
    w, v = saved
    return {"a.w": DW * d_loss, "b.w": DV * d_loss}
"""


def two(loss: str, d_w: str, d_v: str) -> Network:
    paths = ("a.w", "b.w")
    losses = [
        root("fool", None, None) | {"over": ["a"]},
        root("judge", None, None) | {"over": ["b"]},
    ]
    text = TWO.replace("LOSS", loss).replace("DW", d_w).replace("DV", d_v)
    return Network(
        text,
        signature(
            parameters=[
                {"path": p, "shape": [], "trained": True, "line": 1} for p in paths
            ],
            functions={"forward": {"params": True, "inputs": []}},
            losses=losses,
        ),
    )


def test_a_parameter_is_checked_against_the_losses_that_cover_it() -> None:
    """fool = w² v trains a, judge = w v² trains b: two players, no single function."""
    network = two("w**2 * v + w * v**2", "2 * w * v", "2 * w * v")
    fool, judge = two("w**2 * v", "0 * w", "0 * v"), two("w * v**2", "0 * w", "0 * v")
    parts = {"fool": (fool, fool), "judge": (judge, judge)}
    assert check(network, network, parts=parts).worst < 1e-14
    assert check(network, method="central", parts=parts).ok
    wrong = two("w**2 * v + w * v**2", "2 * w * v + v**2", "2 * w * v")
    found = check(wrong, wrong, parts=parts)
    assert [p.path for p in found.parameters if p.error > 1e-10] == ["a.w"]
    with pytest.raises(ValueError, match="limits losses by `over`"):
        check(network, network)
