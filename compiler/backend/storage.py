"""What the functions of a module hold in memory: arrays by shape, as many as there are.

In: a plan. Out: for the signature, of `forward` (with what it saves), `backward` and `evaluate`
the shapes of the arrays that lines make, views and scalars left out, with how many there are
of a shape, and the equations that the first of them stand for. The runtime multiplies.

    storage(plan)["forward"][0]
    # {"shape": [[[1, 1, ["N"]]], 64], "kind": "real", "count": 2, "of": [["h = …", 7], …]}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ir.node import Node
from .plan import Function, Plan

SHOWN = 3  # equations of one shape


def storage(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The arrays of each function, those of loops' bodies once each."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("forward", "backward", "evaluate"):
        if name in plan.functions:
            function = plan.functions[name]
            found[name] = _grouped(plan, _made(function))
    if "forward" in found:
        made = plan.functions["forward"].lines
        found["saved"] = _grouped(plan, [n for n in plan.saved if n in made])
    return found


def _made(function: Function) -> list[Node]:
    """The nodes that a function's lines make new arrays for."""
    return [
        node
        for block in function.blocks
        for node in block.lines
        if node not in function.joined
    ]


def _grouped(plan: Plan, nodes: Iterable[Node]) -> list[dict[str, Any]]:
    equations = plan.program.equations
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for node in nodes:
        if not node.shape or node.op.view:
            continue
        group = groups.setdefault(
            (node.shape, node.kind),
            {
                "shape": [dim.json() for dim in node.shape],
                "kind": node.kind,
                "count": 0,
                "of": [],
            },
        )
        group["count"] += 1
        at = node.origin.equation
        if 0 <= at < len(equations) and len(group["of"]) < SHOWN:
            of = [equations[at].text, equations[at].line]
            if of not in group["of"]:
                group["of"].append(of)
    return list(groups.values())
