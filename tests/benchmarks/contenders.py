"""Who competes: each makes a training step from start values and a batch.

A contender is a function of (workload, parameters by path, data, dtype) that returns `step()`,
which does forward, backward and the update of plain gradient descent and returns the loss, and
`values()`, the parameters as they are now. Libraries are imported inside: one that is not
installed raises ImportError, and its contender is left out.
"""

from __future__ import annotations

import importlib
import os
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .workloads import MAIN, Data, Workload

Parameters = Mapping[str, Any]
Step = Callable[[], Any]
Values = Callable[[], Mapping[str, Any]]
Contender = Callable[[Workload, Parameters, Data, str], tuple[Step, Values]]

CORES = os.cpu_count() or 1
BLAS = " --threads blas"  # otherwise BLAS has one, and shards have one for each core
PEERS = Path(__file__).parents[3] / "shared" / "peers"
NOT_FOR: dict[str, tuple[str, ...]] = {"torch.compile": ("W8",)}


def names(work: Workload) -> list[str]:
    """The contenders of a workload, in the order of the table."""
    found = ["gradc -O1", "gradc -O2"]
    if work.family != "chain":
        found += [name + BLAS for name in found]
    if work.family:
        if work.family == "chain":
            found.append("python")
        for blocks, threads in work.slices:
            if work.family != "chain":
                found.append(f"numpy {blocks}x{threads}")
        if work.family not in ("chain", "small"):
            found.append("numpy one thread")
        if work.name in MAIN and (PEERS / "run.py").exists():
            found += [f"earlier {n}" for n in (*EARLIER[work.name], TEXTBOOK)]
        found += ["torch", "torch.compile", "jax", "autograd"]
        if work.name in MAIN:
            found.append("tangent")
    return [n for n in found if work.name not in NOT_FOR.get(n, ())]


EARLIER = {
    "W1": ("np_opt", "np_opt1"), "W2": ("np_opt", "np_opt1"), "W3": ("np_opt", "np_shard"),
    "W4": ("np_shard", "np_shard_R512"), "W5": ("np_shard", "np_opt1"),
    "W6": ("np_shard", "np_opt1_4blocks"), "W7": ("np_shard_4", "np_shard_6"),
    "W8": ("np_opt",),
}  # fmt: skip


TEXTBOOK = "np_text"  # as one writes it first: the others' ratios are not to this one


def blas_threads(name: str, work: Workload) -> int:
    """How many threads BLAS may use beside this contender."""
    kind, _, rest = name.partition(" ")
    if kind == "gradc":
        return CORES if name.endswith(BLAS) else 1
    if kind in ("numpy", "earlier"):
        single = rest.endswith("1x2") or "x2" in rest or rest == "one thread"
        single |= rest.startswith(("np_shard", "np_opt1"))
        return 1 if single else CORES
    return CORES


def find(name: str) -> Contender:
    kind, _, rest = name.partition(" ")
    if kind == "gradc":
        level, blas = int(rest[2]), name.endswith(BLAS)
        return lambda w, p, d, dtype: _gradc(w, p, d, dtype, level, blas)
    if kind == "numpy":
        blocks, threads = (1, 1) if rest == "one thread" else map(int, rest.split("x"))
        return lambda w, p, d, dtype: _numpy(w, p, d, dtype, blocks, threads)
    if kind == "earlier":
        return lambda w, p, d, dtype: _earlier(w, rest)
    return {
        "python": _python,
        "torch": lambda *a: _torch(*a, compiled=False),
        "torch.compile": lambda *a: _torch(*a, compiled=True),
        "jax": _jax,
        "autograd": _autograd,
        "tangent": _tangent,
    }[kind]


def cast(data: Data, dtype: str) -> Data:
    """Reals in the precision that is asked for."""
    return {
        k: v.astype(dtype, copy=False) if v.dtype.kind == "f" else v
        for k, v in data.items()
    }


# -------------------------------------------------------------------------------- ours
def _gradc(
    work: Workload, start: Parameters, data: Data, dtype: str, level: int, blas: bool
) -> tuple[Step, Values]:
    """The text is compiled here: `first` counts it. Through the runtime, as in training: what
    a step drops stays with the process, and the rate goes in where backward begins, so that
    the update is one subtraction."""
    from gradc.compiler import Options, compile_file
    from gradc.compiler.backend.guard import check

    compiled = compile_file(work.path, Options(level=level, overrides=work.constants))

    import numpy as np

    from gradc.allocation import keep_freed
    from gradc.buffers import zeros
    from gradc.network import Network
    from gradc.shards import Parallel, stepper

    keep_freed()
    network = Network(compiled.source, compiled.signature, tree=check(compiled.source))
    if work.family == "chain" and compiled.signature["work"] is None:
        return _functions(network.module, start, data, work.lr)
    theta = network.vector(start, dtype)
    nabla = zeros(theta.size, theta.dtype)
    arrays = network.arrays("forward", cast(data, dtype), theta.dtype)
    # Arrays are counted in this process alone: then threads compute what forks would.
    apart = False if tracemalloc.is_tracing() else None
    parallel = Parallel(1, 1) if blas else Parallel(CORES, apart=apart)
    step_of = stepper(network, theta, nabla, {}, parallel)
    lr, subtract = work.lr, np.subtract

    def step() -> float:
        loss = step_of(arrays, None, lr)
        subtract(theta, nabla, theta)
        return loss

    return step, lambda: network.views(theta)


def _functions(
    module: Mapping[str, Any], start: Parameters, data: Data, lr: float
) -> tuple[Step, Values]:
    """For single numbers: the two functions themselves, with Python's numbers."""
    forward, backward = module["forward"], module["backward"]
    params = {k: float(v) for k, v in start.items()}
    x = float(data["x"])

    def step() -> Any:
        loss, saved = forward(params, x)
        for path, d in backward(saved).items():
            params[path] -= lr * d
        return loss

    return step, lambda: params


def _numpy(
    work: Workload,
    start: Parameters,
    data: Data,
    dtype: str,
    blocks: int,
    threads: int,
) -> tuple[Step, Values]:
    package = __package__ + ".references"
    module = importlib.import_module(f"{package}.{work.family}")
    data = cast(data, dtype)
    if work.family == "small":
        step, params = module.build(start, data, work.lr, dtype, work.options)
    else:
        driving = importlib.import_module(f"{package}.driving")
        step, params = driving.build(
            module.program, start, data, work.lr, dtype, work.options, blocks, threads
        )
    return step, lambda: params


def _python(
    work: Workload, start: Parameters, data: Data, dtype: str
) -> tuple[Step, Values]:
    module = importlib.import_module(__package__ + ".references.chain")
    step, values = module.build(start, data, work.lr)
    return step, values


def _earlier(work: Workload, name: str) -> tuple[Step, Values]:
    """A program of the survey, with its own data: to be timed only."""
    sys.path.insert(0, str(PEERS))
    module = importlib.import_module(work.name.lower())
    parameters, data = module.init()
    if tracemalloc.is_tracing():
        tracemalloc.clear_traces()  # as those of the others, they were there before
    step, _ = module.PEERS[name](parameters, data, module.LR)
    return step, lambda: {}


# ------------------------------------------------------------------------------- others
def classes(start: Parameters) -> int:
    """How many: the vocabulary of a table of words, else the entries of the last bias."""
    return len(start["word"]) if "word" in start else len(list(start.values())[-1])


def _with_vectors(start: Parameters, data: Data, dtype: str) -> Data:
    """Labels as vectors of 0 and 1, beside them as numbers."""
    import numpy as np

    data = dict(cast(data, dtype))
    label = data.get("target", data.get("y"))
    if label is not None and label.dtype.kind == "i":
        eye = np.eye(classes(start), dtype=dtype)
        data["hot"] = eye[label]
        if "text" in data:
            data["hot_text"] = eye[data["text"]]
    return data


def _torch(
    work: Workload, start: Parameters, data: Data, dtype: str, compiled: bool
) -> tuple[Step, Values]:
    import torch

    from .models import torch_loss

    torch.set_num_threads(1 if work.family in ("chain", "small") else CORES)
    kind = getattr(torch, dtype)
    P = {k: torch.tensor(v, dtype=kind, requires_grad=True) for k, v in start.items()}
    D = {k: torch.tensor(v) for k, v in cast(data, dtype).items()}
    if work.family == "chain":
        D = {"x": float(data["x"])}
    loss_of, options, p = torch_loss[work.family], work.options, list(P.values())
    loss_of = torch.compile(loss_of) if compiled else loss_of

    def step() -> Any:
        loss = loss_of(P, D, options)
        for q in p:
            q.grad = None
        loss.backward()
        with torch.no_grad():
            torch._foreach_add_(p, [q.grad for q in p], alpha=-work.lr)
        return loss.detach()

    return step, lambda: {k: q.detach().numpy() for k, q in P.items()}


def _jax(
    work: Workload, start: Parameters, data: Data, dtype: str
) -> tuple[Step, Values]:
    import jax
    import jax.numpy as jnp
    import numpy as np

    from .models import jax_loss

    jax.config.update("jax_enable_x64", dtype == "float64")
    D = {k: jnp.array(v) for k, v in _with_vectors(start, data, dtype).items()}
    loss_of = jax_loss[work.family]

    def sgd(P: Any) -> Any:
        loss, g = jax.value_and_grad(lambda Q: loss_of(jnp, Q, D, work.options))(P)
        return loss, {k: P[k] - work.lr * g[k] for k in P}

    compiled = jax.jit(sgd, donate_argnums=0)
    state = [{k: jnp.array(v, dtype) for k, v in start.items()}]

    def step() -> Any:
        loss, state[0] = compiled(state[0])
        jax.block_until_ready(state[0])
        return loss

    return step, lambda: {k: np.asarray(v) for k, v in state[0].items()}


def _autograd(
    work: Workload, start: Parameters, data: Data, dtype: str
) -> tuple[Step, Values]:
    import autograd.numpy as anp
    import numpy as np
    from autograd import value_and_grad

    from .models import array_loss

    D, loss_of = _with_vectors(start, data, dtype), array_loss[work.family]
    P = {k: np.array(v, dtype) for k, v in start.items()}
    both = value_and_grad(lambda Q: loss_of(anp, Q, D, work.options))

    def step() -> Any:
        loss, g = both(P)
        for k in P:
            P[k] = P[k] - work.lr * g[k]
        return loss

    return step, lambda: P


def _tangent(
    work: Workload, start: Parameters, data: Data, dtype: str
) -> tuple[Step, Values]:
    import numpy as np
    import tangent

    from .models import tangent_loss

    if work.name not in tangent_loss:
        raise ImportError("Tangent has no form of it")
    function, wanted = tangent_loss[work.name]
    D = _with_vectors(start, data, dtype)
    if "hot_text" in D:
        D["turned_text"] = np.ascontiguousarray(D["hot_text"].swapaxes(0, 1))
        D["turned_hot"] = np.ascontiguousarray(D["hot"].swapaxes(0, 1))
        D["h0"] = np.zeros((len(D["text"]), len(start["Wh"])), dtype)
    if work.family == "chain":
        D, P = {"x": float(data["x"])}, {k: float(v) for k, v in start.items()}
    else:
        P = {k: np.array(v, dtype) for k, v in start.items()}
    extra = [D[k] for k in wanted]
    gradient = tangent.grad(
        function, wrt=tuple(range(len(P))), preserve_result=True, optimized=True
    )

    def step() -> Any:
        *g, loss = gradient(*P.values(), *extra)
        for k, d in zip(P, g, strict=True):
            P[k] = P[k] - work.lr * d
        return loss

    return step, lambda: P
