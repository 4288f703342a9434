"""What NumPy has no `out=` for, in parts: as at -O0, and hardly any memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from fast.running import Fast, compiled, drawn, largest_error, values_of

ROWS = 3000
LEAST = 64 * 1024
HEAD = "input x: [N, 5]\nparam w: [5] = normal(1, 0.1)\n"
PROGRAMS = {
    "sorted": "loss = mean(sort(x * w)[:, :3]^2)",
    "the largest": "loss = mean(pick(x, argmax(x * w)) * pick(x * w, argmax(x)))",
    "gathered by the largest": "param V: [5, 2] = 1\nloss = mean(V[argmax(x)] * (x @ w)[:, *])",
    "distributions": "loss = mean(lgamma(2 + (x * w)^2) + log(normal_cdf(x * w)))",
    "columns": "input i: int[7]\nloss = mean((x * w)[:, i]^2)",
    "solved": 'C = einsum("i,j->ij", w, w) + eye(5)\nloss = mean(solve(C, x\')^2)',
    "a diagonal": 'loss = sum(einsum("ii->i", x\' @ (x * w) / N))',
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_step_makes_no_arrays(name: str) -> None:
    text = HEAD + PROGRAMS[name] + "\n"
    plain, module = drawn(text, {"N": ROWS}), Fast(compiled(text))
    values = values_of(plain)
    loss, saved, *_ = plain.call("forward")
    wanted = plain.module["backward"](saved)
    work = module.buffers(module.sizes(values))
    value, found = module.step(values, work=work)
    assert abs(value - loss) <= 1e-12 * max(1, abs(loss))
    assert largest_error(found, wanted) <= 1e-12
    with np.errstate(all="ignore"):
        before = np.setbufsize(2048)
        tracemalloc.start()
        try:
            module.step(values, work=work)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            np.setbufsize(before)
    assert peak < LEAST
