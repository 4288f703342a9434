"""How many rows a slice of a batch has at least, that is a step of its own.

Images lie with the batch last, and windows of fewer have no runs that are worth it. The products
of a recurrence meet the rows of a slice alone, whatever the number of steps, and read all of
their weights again at each: an LSTM of 256 takes 1.5 times as long with 32 sequences in slices
of 8 as in slices of 16, on as many threads.
"""

from __future__ import annotations

from ..plan import Plan
from .images import some_images

FEWEST = 16


def least_rows(plan: Plan) -> int:
    """FEWEST, or 1 where nothing speaks against it."""
    return FEWEST if some_images(plan) or _recurrent(plan) else 1


def _recurrent(plan: Plan) -> bool:
    """Are there products that meet the rows at every step of a loop?"""
    return any(
        n.is_a("einsum2") and len(n.shape) > 1
        for f in plan.functions.values()
        for body in f.bodies.values()
        for n in body.function.computed
    )
