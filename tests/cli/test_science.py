"""Programs of statistics and science from the command line: gradients, and what fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PROGRAMS = {
    # The marginal likelihood of a Gaussian process, and its slope in the loss.
    "process": """
        input x: [N]
        input y: [N]
        param width = 0.5
        K = exp(-(x[:, *] - x[*, :])^2 / (2 * width^2)) + 0.1 * eye(N)
        loss fit = (y @ solve(K, y) + logdet(K)) / 2
        loss flat = grad(fit, width)^2
        output L = cholesky(K)
    """,
    # The same by the Cholesky factor, whose diagonal is a repeated axis of einsum.
    "factor": """
        input x: [N, 3]
        param B: [3, 3] = normal(0, 1)
        L = cholesky(B @ B' + x' @ x)
        loss fit = sum(log(einsum("ii -> i", L))) + sum(solve(L, x')^2)
        loss flat = sum(grad(fit, L)^2)
    """,
    # A batch of systems, one for each row.
    "batch": """
        input q: [N, 4, 2]
        param S: [2, 2] = normal(0, 1)
        A = q' @ q + (S @ S')[*, :, :]
        loss fit = mean(solve(A, q[:, 0])^2) + mean(logdet(A))
        loss roots = sum(cholesky(A)[:, 1, 0]) + sum(einsum("nii -> n", A))
    """,
    # Student's t with free degrees of freedom, a probit and a circle.
    "special": """
        input x: [N]
        param nu = 3
        param a: [2] = normal(0, 1)
        h = (nu + 1) / 2
        t = lgamma(h) - lgamma(nu / 2) - log(nu) / 2 - h * log1p(x^2 / nu)
        loss student = -mean(t)
        loss probit = -mean(log(normal_cdf(a[0] * x + a[1])))
        loss others = sum(arctan(a) * sinh(a) + cosh(a) + tan(a / 4) + arcsin(tanh(a)))
        loss slopes = grad(student, nu)^2 + digamma(nu) + trigamma(nu) + arccos(1 / nu)
        loss numbers = nu * (normal_cdf(1) + arctan(2) + lgamma(5) + digamma(2))
    """,
}


@pytest.mark.parametrize("level", ["-O0", "-O1"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients(gradc: Any, tmp_path: Path, name: str, level: str) -> None:
    (tmp_path / "a.net").write_text(PROGRAMS[name])
    done = gradc("check", "a.net", level, "--seeds", "1")
    assert done.code == 0, done.out + done.err


FAILING = {
    "solve(w * x' @ x, x[0])": "singular matrix",
    "cholesky(0 - w * x' @ x)": "matrix is not positive definite",
}


@pytest.mark.parametrize("call", FAILING)
def test_a_matrix_that_has_no_solution(gradc: Any, tmp_path: Path, call: str) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n2,4\n3,6\n")
    (tmp_path / "a.net").write_text(
        "input x: [N, 2]\nparam w = 1\n"
        f"y = {call}\nloss fit = sum(y)\ntrain {{ steps = 2 }}\n"
    )
    done = gradc("train", "a.net", "--data", "x.csv")
    assert done.code == 6
    assert done.err.rstrip().endswith(f"error: a.net:3: {FAILING[call]}")
    assert "Traceback" not in done.err


def test_a_parameter_may_have_the_name_of_a_function_of_the_module(
    gradc: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.net").write_text(
        "input i: int[N]\nparam E: [5, 3] = 1\nparam scatter_add: [3] = 2\n"
        "param polygamma: [3] = 2\n"
        "loss fit = sum(E[i] * digamma(scatter_add) * polygamma)\n"
    )
    assert gradc("check", "a.net").code == 0
