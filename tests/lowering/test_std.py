"""The standard library: every function against its formula, and in docs.

Functions of one number are compared with mpmath at 30 digits, losses and layers with
NumPy formulas written here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from texts import lowered, value

from gradc.compiler.frontend import ast
from gradc.compiler.frontend.modules import standard_library
from gradc.compiler.frontend.parser import parse
from gradc.compiler.source import Source

STD = Path(__file__).parents[2] / "compiler" / "std"
POINTS = [
    -40.0,
    -3.5,
    -3.0,
    -1.0,
    -0.3,
    -1e-8,
    0.0,
    1e-8,
    0.25,
    1.0,
    2.5,
    3.0,
    7.0,
    40.0,
]


def sig(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def gelu(x: Any) -> Any:
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


SELU = (
    mp.mpf("1.0507009873554804934193349852946"),
    "1.6732632423543772848170429916717",
)

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "selu": lambda x: SELU[0] * (x if x > 0 else mp.mpf(SELU[1]) * mp.expm1(x)),
    "gelu": gelu,
    "gelu_tanh": lambda x: x
    / 2
    * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))),
    "silu": lambda x: x * sig(x),
    "swish": lambda x: x * sig(x),
    "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
    "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "hardsigmoid": lambda x: min(max(x + 3, 0), 6) / 6,
    "hardtanh": lambda x: min(max(x, -1), 1),
    "softsign": lambda x: x / (1 + abs(x)),
    "logsigmoid": lambda x: -mp.log1p(mp.exp(-x)),
    "tanhshrink": lambda x: x - mp.tanh(x),
    "hardshrink": lambda x: x if abs(x) > 0.5 else 0,
    "softshrink": lambda x: mp.sign(x) * max(abs(x) - 0.5, 0),
}

# What loses digits by its own definition, where it does: relative to the largest term.
CANCELS = {"gelu", "gelu_tanh", "tanhshrink"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    found = value(f"input x: [N]\noutput y = {name}(x)", x=np.array(POINTS))
    with mp.workdps(30):
        for x, y in zip(POINTS, found, strict=True):
            exact = float(ACTIVATIONS[name](mp.mpf(x)))
            floor = abs(x) if name in CANCELS else 0
            assert abs(y - exact) <= 4e-15 * max(abs(exact), floor), (x, y, exact)


rng = np.random.default_rng(1)
Z = rng.normal(size=(5, 4))
A, B = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
LABEL = np.array([0, 3, 2, 2, 1])
LSE = np.log(np.exp(Z).sum(-1))
P = np.exp(Z) / np.exp(Z).sum(-1, keepdims=True)
Q = np.exp(A) / np.exp(A).sum(-1, keepdims=True)
T = (B > 0).astype(float)
SIGN = np.where(B > 0, 1.0, -1.0)
D = np.abs(A - B)

LOSSES: dict[str, tuple[str, Any]] = {
    "cross_entropy": ("cross_entropy(z, label)", (LSE - Z[range(5), LABEL]).mean()),
    "cross_entropy_soft": ("cross_entropy_soft(z, q)", -(Q * np.log(P)).sum(-1).mean()),
    "mse": ("mse(a, b)", ((A - B) ** 2).mean()),
    "mae": ("mae(a, b)", D.mean()),
    "rmse": ("rmse(a, b)", np.sqrt(((A - B) ** 2).mean())),
    "bce": (
        "bce(z, t)",
        -(
            T * np.log(1 / (1 + np.exp(-Z))) + (1 - T) * np.log(1 / (1 + np.exp(Z)))
        ).mean(),
    ),
    "huber": ("huber(a, b)", np.where(D <= 1, D**2 / 2, D - 0.5).mean()),
    "logcosh": ("logcosh(a, b)", np.log(np.cosh(A - B)).mean()),
    "nll": ("nll(log_softmax(z), label)", (LSE - Z[range(5), LABEL]).mean()),
    "gaussian_nll": (
        "gaussian_nll(a, z, b)",
        (0.5 * (Z + (B - A) ** 2 / np.exp(Z)) + 0.5 * np.log(2 * np.pi)).mean(),
    ),
    "poisson_nll": ("poisson_nll(z, t)", (np.exp(Z) - T * Z).mean()),
    "kl": ("kl(q, log_softmax(z))", (Q * (np.log(Q) - np.log(P))).sum(-1).mean()),
    "kl_normal": ("kl_normal(a, z)", 0.5 * (np.exp(Z) + A**2 - 1 - Z).sum(-1).mean()),
    "hinge": ("hinge(z, s)", np.maximum(0, 1 - SIGN * Z).mean()),
    "hinge2": ("hinge2(z, s)", (np.maximum(0, 1 - SIGN * Z) ** 2).mean()),
    "cosine_loss": (
        "cosine_loss(a, b)",
        (
            1
            - (A * B).sum(-1) / np.linalg.norm(A, axis=-1) / np.linalg.norm(B, axis=-1)
        ).mean(),
    ),
    "focal": (
        "focal(z, t)",
        np.mean(
            -np.where(
                T == 1,
                (1 - 1 / (1 + np.exp(-Z))) ** 2 * np.log(1 / (1 + np.exp(-Z))),
                (1 / (1 + np.exp(-Z))) ** 2 * np.log(1 / (1 + np.exp(Z))),
            )
        ),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name: str) -> None:
    call, exact = LOSSES[name]
    text = (
        "input z, a, b, q, t, s: [N, 4]\ninput label: int[N]\n"
        f"output y = {call} + 0 * sum(z)"
    )
    found = value(text, z=Z, a=A, b=B, q=Q, t=T, s=SIGN, label=LABEL)
    assert abs(found - exact) <= 1e-13 * max(1, abs(exact))


def test_losses_are_right_far_out() -> None:
    text = "input z: [N, 2]\ninput t: int[N]\noutput y = cross_entropy(z, t)"
    z = np.array([[1000.0, 0.0], [0.0, -1000.0]])
    assert value(text, z=z, t=np.array([0, 1])) == 500
    text = "input z, t: [N]\noutput y = bce(z, t)"
    assert value(text, z=np.array([800.0, -800]), t=np.array([0.0, 0])) == 400


def test_kl_of_a_certain_class() -> None:
    text = "input p, q: [N, 2]\noutput y = kl(p, log_softmax(q))"
    found = value(text, p=np.array([[1.0, 0.0]]), q=np.array([[0.0, 0.0]]))
    assert abs(found - np.log(2)) < 1e-15


def parameters(text: str, **inputs: Any) -> dict[str, Any]:
    """Random parameters, by path with dots as two underscores."""
    drawn = {}
    for p in lowered(text).params:
        shape = tuple(d.integer for d in p.node.shape)
        drawn[p.path.replace(".", "__")] = rng.normal(size=shape)
    return drawn


def test_dense() -> None:
    text = "input x: [N, 4]\noutput y = dense(x, 3, tanh)"
    p = parameters(text)
    exact = np.tanh(Z @ p["y__dense__W"] + p["y__dense__b"])
    assert np.allclose(value(text, x=Z, **p), exact, rtol=1e-14)


def test_linear_has_no_bias() -> None:
    text = "input x: [N, 4]\noutput y = linear(x, 3)"
    p = parameters(text)
    assert list(p) == ["y__linear__W"]
    assert np.allclose(value(text, x=Z, **p), Z @ p["y__linear__W"], rtol=1e-14)


def test_embed() -> None:
    text = "input i: int[N, T]\noutput y = embed(i, 7, 3)"
    p = parameters(text)
    i = np.array([[0, 6], [3, 3]])
    assert np.array_equal(value(text, i=i, **p), p["y__embed__E"][i])


def test_flatten() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    text = "input x: [N, 3, 4]\noutput y = flatten(x)"
    assert np.array_equal(value(text, x=x), x.reshape(2, 12))


def test_norms() -> None:
    text = "input x: [N, 4]\noutput y = layernorm(x)"
    p = parameters(text)
    centred = Z - Z.mean(-1, keepdims=True)
    exact = centred / np.sqrt(Z.var(-1, keepdims=True) + 1e-5)
    exact = p["y__layernorm__gain"] * exact + p["y__layernorm__bias"]
    assert np.allclose(value(text, x=Z, **p), exact, rtol=1e-13)
    text = "input x: [N, 4]\noutput y = rmsnorm(x)"
    p = parameters(text)
    exact = p["y__rmsnorm__gain"] * Z / np.sqrt((Z**2).mean(-1, keepdims=True) + 1e-5)
    assert np.allclose(value(text, x=Z, **p), exact, rtol=1e-13)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_groupnorm(groups: int) -> None:
    """As PyTorch has it, channels first: (n, groups, everything else)."""
    text = f"input x: [N, H, W, 6]\noutput y = groupnorm(x, {groups})"
    p = parameters(text)
    x = rng.normal(size=(2, 3, 5, 6))
    z = x.transpose(0, 3, 1, 2).reshape(2, groups, -1)
    z = (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + 1e-5)
    z = z.reshape(2, 6, 3, 5).transpose(0, 2, 3, 1)
    exact = p["y__groupnorm__gain"] * z + p["y__groupnorm__bias"]
    assert np.allclose(value(text, x=x, **p), exact, rtol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal: bool) -> None:
    text = (
        "input x: [N, T, 6]\n"
        f"output y = attention(x, 2, causal = {str(causal).lower()})"
    )
    p = parameters(text)
    x = rng.normal(size=(2, 5, 6))
    w, b = p["y__attention__q__dense__W"], p["y__attention__q__dense__b"]
    q, k, v = np.split(x @ w + b, 3, axis=-1)

    def heads(z: Any) -> Any:
        return z.reshape(2, 5, 2, 3).transpose(0, 2, 1, 3)

    s = heads(q) @ heads(k).swapaxes(-1, -2) / np.sqrt(3)
    if causal:
        s = np.where(np.tril(np.ones((5, 5), bool)), s, -np.inf)
    e = np.exp(s - s.max(-1, keepdims=True))
    y = (e / e.sum(-1, keepdims=True)) @ heads(v)
    y = y.transpose(0, 2, 1, 3).reshape(2, 5, 6)
    exact = y @ p["y__attention__dense__W"] + p["y__attention__dense__b"]
    assert np.allclose(value(text, x=x, **p), exact, rtol=1e-12)


def test_transformer_compiles() -> None:
    text = "input x: [N, T, 6]\noutput y = transformer(x, 3, causal = true)"
    assert value(text, x=rng.normal(size=(2, 4, 6)), **parameters(text)).shape == (
        2,
        4,
        6,
    )


def test_steps_of_an_ode() -> None:
    text = "input h: [N]\nfn f(v) = -v\noutput y = {}(f, h, 0.1)"
    h = np.array([1.0, 2.0])
    assert np.allclose(value(text.format("euler"), h=h), 0.9 * h, rtol=1e-15)
    taylor = 1 - 0.1 + 0.1**2 / 2 - 0.1**3 / 6 + 0.1**4 / 24
    assert np.allclose(value(text.format("rk4"), h=h), taylor * h, rtol=1e-15)


def test_eye() -> None:
    found = value("input x: [N, 3]\noutput y = x @ eye(3) + 0 * eye(N) @ x", x=Z[:, :3])
    assert np.array_equal(found, Z[:, :3])
    assert np.array_equal(value("input x: [N]\noutput y = eye(N)", x=Z[0]), np.eye(4))


def test_glu() -> None:
    exact = Z[:, :2] / (1 + np.exp(-Z[:, 2:]))
    assert np.allclose(value("input x: [N, 4]\noutput y = glu(x)", x=Z), exact)


# ---------------------------------------------------------------------- the text of std
def definitions() -> list[ast.Function]:
    found = []
    for path in sorted(STD.glob("*.net")):
        source = Source.from_text(path.name, path.read_text(encoding="utf-8"))
        statements = parse(source).statements
        found += [s for s in statements if isinstance(s, ast.Function)]
        assert len(found) and len(statements) == len(
            [s for s in statements if isinstance(s, ast.Function)]
        )
    return found


def test_every_function_has_a_doc() -> None:
    assert all(function.doc for function in definitions())


def test_names_are_unique() -> None:
    names = [function.name.text for function in definitions()]
    assert sorted(names) == sorted(set(names)) == sorted(standard_library().names())


def test_every_function_is_tested() -> None:
    files = sorted(Path(__file__).parents[1].glob("**/test_*.py"))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in files)
    tested = {*ACTIVATIONS, *LOSSES}
    for function in definitions():
        name = function.name.text
        assert name in tested or re.search(rf"\b{name}\b", tests), name
