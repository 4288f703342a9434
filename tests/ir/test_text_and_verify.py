"""The printed DAG, and what the invariants refuse."""

from __future__ import annotations

from typing import Any

import pytest

from gradc.compiler import ops
from gradc.compiler.autodiff.reverse import grad
from gradc.compiler.ir.dims import Dim, as_shape
from gradc.compiler.ir.graph import Graph
from gradc.compiler.ir.node import Node
from gradc.compiler.ir.op import REGISTRY
from gradc.compiler.ir.text import dag_text
from gradc.compiler.ir.verify import Broken, verify


def net() -> tuple[Graph, Node, Node]:
    graph = Graph()
    x = graph.leaf("input", "x", (Dim.symbol("N"), Dim.of(3)))
    w = graph.leaf("param", "W", (Dim.of(3), Dim.constant("hidden", 4)))
    z = graph.hint(ops.contraction.matmul(graph, x, w), "z", 1)
    return graph, w, ops.derived.mean(graph.apply("tanh", z))


def test_text() -> None:
    _, _, loss = net()
    want = """\
%0 = input x                           [N, 3]
%1 = param W                           [3, hidden]
%2 = einsum2(%0, %1) spec="ij,jk->ik"  [N, hidden]  # z1
%3 = tanh(%2)                          [N, hidden]
%4 = sum(%3) axes=(0,1)                [1, 1]
%5 = reshape(%4)                       []
%6 = div(%5, N * hidden)               []
loss = %6
"""
    assert dag_text([("loss", loss)]) == want


def test_text_says_nothing_of_the_rest_of_the_graph() -> None:
    _, w, loss = net()
    before = dag_text([("loss", loss)])
    grad(loss, w)
    assert dag_text([("loss", loss)]) == before


def test_what_is_well_formed_passes() -> None:
    _, w, loss = net()
    verify([loss, grad(loss, w)])


def made(
    graph: Graph, op: str, args: tuple[Node, ...], attrs: dict[str, Any], **more: Any
) -> Node:
    """A node that no constructor would make."""
    record = REGISTRY[op]
    shape, kind = more.get("shape", args[0].shape), more.get("kind", "real")
    serial = more.get("serial", len(graph) + 1)
    return Node(graph, record, args, attrs, shape, kind, serial, graph.origin)


def test_what_is_refused() -> None:
    graph, w, loss = net()
    other = Graph().leaf("param", "W", as_shape((2,)))
    bad = [
        made(graph, "exp", (w,), {}, shape=as_shape((2,))),
        made(graph, "exp", (w,), {}, kind="int"),
        made(graph, "exp", (w,), {}, serial=0),
        made(graph, "exp", (w, w), {}),
        made(graph, "add", (w, loss), {}),
        made(graph, "sum", (w,), {"axes": (5,)}),
        made(graph, "exp", (other,), {}),
    ]
    for node in bad:
        with pytest.raises(Broken):
            verify([node])
    with pytest.raises(Broken):
        verify([loss, other])
