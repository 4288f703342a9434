"""Second derivatives of everything in `std`, by its inputs and its parameters.

Every function and layer of `compiler/std` has an entry in `CALLS`; one without fails. Of
L = Σ sin(y), y what the call gives, the emitted first derivative is taken at θ + ih v, which
gives the whole of H v, the Hessian H of L times v, in the imaginary part. It is compared with
the two ways that gradc has to write H v itself:

* the language's own: a loss that contains `grad(L, x)`, and the gradient of that;
* reverse mode on what reverse mode made: of Σ v ∂L/∂θ, over x and all parameters.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from backend.executing import STEP, Emitted, joint_of

from gradc.compiler.autodiff.reverse import differentiate, reverse
from gradc.compiler.frontend.modules import standard_library
from gradc.compiler.ir.node import Node
from gradc.compiler.ir.program import Input, Mode, Program, Root

TOLERANCE = 1e-10


@dataclass(frozen=True)
class Call:
    """What is called: x is differentiated by, and `more` declares the other arguments."""

    text: str
    x: str = "[3, 4]"
    more: str = ""


ANOTHER = "param b: [3, 4] = 0"
IMAGES = "[2, 4, 5, 3]"
SEQUENCES = "[2, 3, 4]"
FIELD = "fn f(h) = h |> dense(5, tanh) |> dense(4)"

ACTIVATIONS = """
    identity relu leaky_relu elu selu gelu gelu_tanh silu swish mish hardswish hardsigmoid
    hardtanh softsign logsigmoid tanhshrink relu6 log_softmax hardshrink softshrink glu
    """.split()

CALLS: dict[str, Call] = {
    **{name: Call(f"{name}(x)") for name in ACTIVATIONS},
    # Losses of two real arguments: b is a parameter too.
    **{
        name: Call(f"{name}(x, b)", more=ANOTHER)
        for name in ("mse", "mae", "rmse", "bce", "huber", "logcosh", "poisson_nll")
    },
    "hinge": Call("hinge(x, b)", more=ANOTHER),
    "hinge2": Call("hinge2(x, b)", more=ANOTHER),
    "cosine_loss": Call("cosine_loss(x, b)", more=ANOTHER),
    "cross_entropy": Call("cross_entropy(x, label)", more="input label: int[3]"),
    "nll": Call("nll(x, label)", more="input label: int[3]"),
    "cross_entropy_soft": Call("cross_entropy_soft(x, softmax(b))", more=ANOTHER),
    "gaussian_nll": Call(
        "gaussian_nll(x, b, c)", more=f"{ANOTHER}\nparam c: [3, 4] = 0"
    ),
    "kl": Call("kl(softmax(x), log_softmax(b))", more=ANOTHER),
    "kl_normal": Call("kl_normal(x, b)", more=ANOTHER),
    "focal": Call("focal(x, sigmoid(b))", more=ANOTHER),
    # Layers.
    "dense": Call("dense(x, 5, tanh)"),
    "linear": Call("tanh(linear(x, 5))"),
    "embed": Call("x * embed(i, 6, 4)", more="input i: int[3]"),
    "flatten": Call("flatten(x) @ W", "[2, 3, 4]", more="param W: [12, 2] = 0"),
    "dropout": Call("dropout(x, 0.4) * x"),
    "eye": Call("x @ (eye(4) + b)", more="param b: [4, 4] = 0"),
    "layernorm": Call("layernorm(x)"),
    "rmsnorm": Call("rmsnorm(x)"),
    "groupnorm": Call("groupnorm(x, 2)", "[2, 3, 2, 4]"),
    "batchnorm": Call("batchnorm(x)"),
    "conv": Call("conv(x, 2, stride = 2)", IMAGES),
    "conv1d": Call("conv1d(x, 3)", "[2, 5, 3]"),
    "conv_transpose": Call("conv_transpose(x, 2)", IMAGES),
    "maxpool": Call("maxpool(x)^2", "[2, 4, 6, 2]"),
    "avgpool": Call("avgpool(x)^2", "[2, 4, 6, 2]"),
    "rnn": Call("rnn(x, 3)", SEQUENCES),
    "lstm": Call("lstm(x, 3)", SEQUENCES),
    "gru": Call("gru(x, 3)", SEQUENCES),
    "attention": Call("attention(x, 2, causal = true)", SEQUENCES),
    "transformer": Call("transformer(x, 2)", SEQUENCES),
    "euler": Call("euler(f, x, 0.3)", more=FIELD),
    "rk4": Call("rk4(f, x, 0.3)", more=FIELD),
}
"""Each by name. Of what has several settings, others are in `OTHERS`."""

OTHERS: dict[str, Call] = {
    "conv, valid": Call('conv(x, 2, k = 2, pad = "valid")', IMAGES),
    "conv, asymmetric": Call("conv(x, 2, pad = [1, 0, 2, 1])", IMAGES),
    "conv1d, stride": Call("conv1d(x, 2, k = 2, stride = 2)", "[2, 5, 3]"),
    "conv_transpose, stride 3": Call("conv_transpose(x, 2, k = 2, stride = 3)", IMAGES),
    "maxpool 3": Call("maxpool(x, 3)^2", "[1, 6, 6, 2]"),
    "batchnorm of images": Call("batchnorm(x)", IMAGES),
    "attention": Call("attention(x, 2)", SEQUENCES),
    "transformer, causal": Call("transformer(x, 2, causal = true)", SEQUENCES),
    "rnn, relu": Call("rnn(x, 3, relu)", SEQUENCES),
    "two lstms": Call("x |> lstm(3) |> lstm(2)", SEQUENCES),
    "rk4 in a loop": Call(
        "z", more=f"{FIELD}\nz = x\nfor t in 3 {{ z = rk4(f, z, 0.3) }}"
    ),
    "a block twice": Call(
        "h", SEQUENCES, "h = x\nrepeat 2 { h = h + attention(h, 2) }"
    ),
}


def test_every_function_has_an_entry() -> None:
    """A new function of `std` needs one."""
    assert sorted(CALLS) == sorted(standard_library().names())


def text_of(call: Call, loss: str) -> str:
    return (
        f"param x: {call.x} = 0\ninput v: {call.x}\n{call.more}\n"
        f"y = {call.text}\nL = sum(sin(y))\nloss = {loss}\n"
    )


def again(program: Program) -> Program:
    """Σ v ∂L/∂θ over x and all parameters, as a program's loss; each v is an input."""
    graph = program.graph
    loss = program.training.losses[0].node
    leaves = {p.path: p.node for p in program.params}
    adjoints = reverse({loss: graph.const(1)}, list(leaves.values())).adjoints
    total, along = graph.const(0), []
    for path, leaf in leaves.items():
        v = graph.leaf("input", f"along {path}", leaf.shape)
        along.append(Input(v.attrs["name"], v, 1))
        if leaf in adjoints:
            total = total + summed(adjoints[leaf] * v)
    root = Root("loss", total, program.training.losses[0].equation)
    mode = Mode(program.training.bindings, (root,), (), (), root)
    inputs = (*program.inputs, *along)
    return replace(program, inputs=inputs, training=mode, evaluation=mode, states=())


def summed(x: Node) -> Node:
    if not x.shape:
        return x
    total = x.graph.apply("sum", x, axes=tuple(range(len(x.shape))))
    return x.graph.apply("reshape", total, shape=())


Table = dict[str, Any]


class Point:
    """Values of everything that a call reads, and a direction, the same in all programs."""

    def __init__(self, emitted: Emitted) -> None:
        self.tables = (emitted.params, emitted.inputs, emitted.noise)
        for table in self.tables:
            for path, value in table.items():
                if value.dtype == float:
                    table[path] = drawn(path, value.shape)
        uniform = [
            n for n in emitted.joint.program.noises if n.attrs["law"] == "uniform"
        ]
        for n in uniform:
            path = n.attrs["name"]
            emitted.noise[path] = np.abs(np.sin(9 * emitted.noise[path]))
        self.along = {
            k: drawn(f"along {k}", v.shape) for k, v in emitted.params.items()
        }

    def of(self, emitted: Emitted) -> Emitted:
        """Give another program of the same text this point."""
        for own, table in zip(
            (emitted.params, emitted.inputs, emitted.noise), self.tables, strict=True
        ):
            own.update({k: v for k, v in table.items() if k in own})
        for path, v in self.along.items():
            emitted.inputs[f"along {path}"] = v
        emitted.inputs["v"] = self.along["x"]
        return emitted


def drawn(path: str, shape: tuple[int, ...]) -> Any:
    """Numbers of a path alone, none so small that a kink at 0 is near."""
    rng = np.random.default_rng(zlib.crc32(path.encode()))
    return np.asarray(rng.uniform(0.1, 1.3, shape) * rng.choice([-1.0, 1.0], shape))


def gradients(
    emitted: Emitted, params: Table | None = None, step: bool = False
) -> Table:
    module = emitted.complex if step else emitted.module
    with np.errstate(all="ignore"):
        _, saved, *_ = emitted.call("forward", params, None, module)
        found: Table = module["backward"](saved)
    return found


def times_hessian(emitted: Emitted, along: Table) -> Table:
    """H v by complex step of the emitted first derivative."""
    moved = {
        k: v + 1j * STEP * along[k] for k, v in emitted.params.items() if k in along
    }
    found = gradients(emitted, {**emitted.params, **moved}, step=True)
    return {k: np.imag(g) / STEP for k, g in found.items()}


def agree(found: Table, wanted: Table, what: str) -> None:
    """To 1e-10 of the entry, where that is not small beside the others."""
    top = max(float(np.max(np.abs(g), initial=0)) for g in wanted.values())
    for path, want in wanted.items():
        got = found.get(path, np.zeros_like(want))
        assert np.shape(got) == np.shape(want), (what, path)
        assert np.all(np.isfinite(want)), (what, path)
        scale = np.maximum(np.abs(want), 0.01 * min(top, 1) + 1e-3)
        error = np.max(np.abs(got - want) / scale, initial=0)
        assert error <= TOLERANCE, (what, path, error)


@cache
def first(name: str) -> tuple[Point, Table, Table]:
    """A point, and there H v by complex step: with v along everything, and along x."""
    emitted = Emitted(joint_of(text_of(call_of(name), "L")))
    point = Point(emitted)
    by_all = times_hessian(emitted, point.along)
    return point, by_all, times_hessian(emitted, {"x": point.along["x"]})


def call_of(name: str) -> Call:
    return CALLS.get(name) or OTHERS[name]


@pytest.mark.parametrize("level", [pytest.param(0, marks=pytest.mark.more), 1])
@pytest.mark.parametrize("name", [*CALLS, *OTHERS])
def test_second_derivatives(name: str, level: int) -> None:
    point, by_all, by_x = first(name)
    assert any(np.any(g != 0) for g in by_all.values()), "nothing to compare"
    twice = differentiate(again(joint_of(text_of(call_of(name), "L")).program))
    agree(gradients(point.of(Emitted(twice, level))), by_all, "reverse mode twice")
    spoken = joint_of(text_of(call_of(name), "sum(grad(L, x) * v)"))
    agree(gradients(point.of(Emitted(spoken, level))), by_x, "grad in the loss")
