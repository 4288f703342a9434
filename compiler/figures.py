"""A compiled program in numbers: what `gradc compile` says when it is done.

In: the joint program before the passes, and the plan. Out: a dict, as JSON has it.

    figures(joint, plan)
    # {"layers": 2, "parameters": 2410, "forward_ops": 14, "backward_ops": 17, …}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .backend.plan import Plan
from .ir.dims import Dim, size
from .ir.graph import ancestors
from .ir.node import Node
from .ir.program import Joint


def figures(joint: Joint, plan: Plan) -> dict[str, Any]:
    """Layers (with parameters of their own), parameters, operations, those saved.

    `parameters` is a number, or a text where the data decide some size (`64 * D + 10`).
    """
    params = plan.program.params
    total = sum((size(p.node.shape) for p in params), Dim.of(0))
    paths = (p.path.rpartition(".")[0] for p in params)
    by_function = {name: _ops(f.computed) for name, f in plan.functions.items()}
    before, after = (_ops(ancestors(_roots(j))) for j in (joint, plan.joint))
    return {
        "level": plan.level,
        "layers": len({path for path in paths if path}),
        "parameters": str(total) if total.integer is None else total.integer,
        "forward_ops": by_function.get("forward", by_function.get("predict", 0)),
        "backward_ops": by_function.get("backward", 0),
        "removed_ops": before - after,
    }


def _ops(nodes: Iterable[Node]) -> int:
    """How many of the nodes compute something: leaves and views do not."""
    return len([node for node in nodes if node.args and not node.op.view])


def _roots(joint: Joint) -> list[Node]:
    """The loss and its gradients; without a loss, the outputs."""
    training = joint.program.training
    if training.total is not None:
        return [training.total.node, *joint.gradients.values()]
    return [root.node for root in training.outputs]
