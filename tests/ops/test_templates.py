"""Every template, run: against the reference, in float32, and in complex numbers."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import numpy as np
import optable
import pytest
from reference import STEP, dim_value, evaluate

from gradc.compiler.ir.dims import as_dim
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.node import Node
from gradc.compiler.ir.op import Op
from gradc.compiler.ops import contraction
from gradc.compiler.ops.samples import Case

SIZE = re.compile(r"\{(\w+\.shape(?:\[-?\d+\])?)\}")  # of an argument
HOLE = re.compile(r"\{([A-Za-z_]\w*)\}")


def fill(node: Node, template: Any, **more: Any) -> str:
    """The template as Python, with arguments called as in the record."""
    holes: dict[str, Any] = {}
    if callable(template):
        template = template(node, **more)
    if isinstance(template, tuple):
        template, holes = template

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name in holes:
            value = holes[name]
            if isinstance(value, tuple):
                return repr(tuple(dim_value(d, {}) for d in value))
            return repr(dim_value(value, {}))
        return name

    text = HOLE.sub(put, SIZE.sub(r"\1", template))
    ast.parse(text)
    return text


def run(node: Node, template: Any, values: list[Any], dtype: Any, **more: Any) -> Any:
    names = list(node.op.args)
    if node.op.variadic:
        names = [f"{names[0]}{i}" for i in range(len(values))]
    scope = {"np": np, "dtype": dtype, **dict(zip(names, values, strict=True))}
    if node.op.prelude:
        exec(node.op.prelude, scope)
    with np.errstate(all="ignore"):
        return eval(fill(node, template, **more), scope)


def made(op: Op, case: Case) -> tuple[list[Node], list[Any], Node] | None:
    rng = optable.rng_for("template", op.name, case.shapes, str(case.attrs))
    ranges = optable.ranges_of(op, case, len(case.shapes))
    arrays = [optable.draw(r, s, rng) for r, s in zip(ranges, case.shapes, strict=True)]
    arrays = optable.apart(op, arrays, rng)
    graph = Graph()
    xs = optable.leaves(graph, op, arrays, ranges)
    y = graph.apply(op.name, *xs, **case.attrs)
    return (xs, arrays, y) if y.op is op and list(y.args) == xs else None


def templates(node: Node) -> list[Any]:
    chosen = [t for when, t in node.op.choices if when(node)]
    return [node.op.numpy, *chosen]


@pytest.mark.parametrize("op", optable.PRIMITIVES, ids=lambda op: op.name)
def test_value(op: Op) -> None:
    seen = 0
    for case in optable.cases(op):
        parts = made(op, case)
        if parts is None:
            continue
        xs, arrays, y = parts
        want = evaluate([y], dict(zip(xs, arrays, strict=True)))[0]
        for template in templates(y):
            got = run(y, template, arrays, np.float64)
            assert np.shape(got) == np.shape(want)
            # A linear op adds up in some order; any other is right to the last digits.
            sums = op.family == "linear" or op.samples.matrices
            near = 1e-15 * np.abs(want).max(initial=0) if sums else 0
            np.testing.assert_allclose(got, want, rtol=4e-15, atol=max(near, 1e-300))
            seen += 1
        if callable(op.numpy) and "keep" in inspect.signature(op.numpy).parameters:
            axes = (op.name.startswith("arg") and y.attrs["axis"]) or y.attrs.get(
                "axes"
            )
            axes = y.attrs["axes"] if "axes" in y.attrs else (y.attrs["axis"],)
            got = run(y, op.numpy, arrays, np.float64, keep=False)
            np.testing.assert_allclose(got, want.squeeze(tuple(axes)), rtol=4e-15)
    assert seen


@pytest.mark.parametrize("op", optable.PRIMITIVES, ids=lambda op: op.name)
def test_float32_stays_float32(op: Op) -> None:
    for case in optable.cases(op):
        parts = made(op, case)
        if parts is None or parts[2].kind != "real":
            continue
        _, arrays, y = parts
        single = [a.astype(np.float32) if a.dtype == float else a for a in arrays]
        for template in templates(y):
            assert run(y, template, single, np.float32).dtype == np.float32


@pytest.mark.parametrize("op", optable.PRIMITIVES, ids=lambda op: op.name)
def test_complex(op: Op) -> None:
    """The analytic form has the same imaginary part as the reference: the derivative."""
    for case in optable.cases(op):
        parts = made(op, case)
        if parts is None:
            continue
        xs, arrays, y = parts
        rng = optable.rng_for(op.name)
        moved = [
            a + 1j * STEP * rng.uniform(-1, 1, a.shape) if a.dtype == float else a
            for a in arrays
        ]
        want = evaluate([y], dict(zip(xs, moved, strict=True)))[0]
        got = run(y, op.numpy_complex or op.numpy, moved, complex)
        np.testing.assert_allclose(np.real(got), np.real(want), rtol=1e-13, atol=1e-300)
        slope = np.imag(want) / STEP
        error = np.abs(np.imag(got) / STEP - slope) / np.maximum(1, np.abs(slope))
        assert error.size == 0 or np.max(error) < 1e-13


def test_update_templates_add_to_a_buffer() -> None:
    for name in ("unslice", "put", "scatter_add"):
        op = next(op for op in optable.PRIMITIVES if op.name == name)
        for case in optable.cases(op):
            parts = made(op, case)
            if parts is None:
                continue
            xs, arrays, y = parts
            statement = op.update(y)
            if statement is None:
                continue
            want = evaluate([y], dict(zip(xs, arrays, strict=True)))[0]
            base = np.ones(want.shape)
            scope = {"np": np, "base": base}
            scope |= dict(zip(op.args, arrays, strict=True))
            exec(fill(y, statement), scope)
            np.testing.assert_allclose(scope["base"], want + 1)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("ij,jk->ik", "{a} {b}"),
        ("ntk,ck->ntc", "{a} {b}'"),  # rows of three axes keep the prime
        ("ck,ntk->ntc", "{b} {a}'"),
        ("nij,nkj->nik", "{a} {b}'"),
        ("nik,nij->njk", "{b}' {a}"),
        ("nj,nij->ni", "{b} {a}"),
        ("nts,ntd->sd", "{a}' {b}"),
    ],
)
def test_a_product_says_what_is_transposed(spec: str, said: str) -> None:
    sizes = dict(zip("ijkntcsd", range(2, 10), strict=True))
    sa, sb, _ = contraction.letters(spec)
    graph = Graph()
    a, b = (
        graph.leaf("input", name, tuple(as_dim(sizes[c]) for c in letters))
        for name, letters in (("a", sa), ("b", sb))
    )
    node = graph.apply("einsum2", a, b, spec=spec)
    assert callable(node.op.text) and node.op.text(node) == said
