"""Emit a joint program at `-O2`, execute it, and step it on buffers of its own.

    module = Fast(joint, poison=True)
    loss, gradients = module.step(values, sizes)      # values: node -> array
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.compiler.backend import fast, guard
from gradc.compiler.backend.schedule import schedule
from gradc.compiler.backend.signature import signature
from gradc.compiler.driver import Options
from gradc.compiler.ir.program import Joint
from gradc.compiler.passes import run_passes


class Fast:
    """A joint program as a module of level 2, checked by the guard."""

    def __init__(self, joint: Joint, poison: bool = False) -> None:
        options = Options(level=2, poison=poison)
        self.program = joint.program
        plan = schedule(run_passes(joint, 2), options)
        made = fast.emit(plan, options)
        self.text, self.work = made.text, made.work
        self.takes = signature(plan)["functions"]
        self.scope: dict[str, Any] = {}
        exec(compile(guard.check(self.text), "<fast>", "exec"), self.scope)

    def buffers(self, sizes: dict[str, int], dtype: Any = float) -> Any:
        """The memory of a step."""
        assert self.work is not None
        return self.scope["buffers"](*(sizes[s] for s in self.work["sizes"]), dtype)

    def forward(self, values: dict[Any, Any], work: Any, rows: int | None = None) -> Any:
        """The loss and what is saved."""
        program, takes = self.program, self.takes["forward"]
        first: list[Any] = []
        if takes["params"]:
            first.append({p.path: values[p.node] for p in program.params})
        if takes["state"]:
            first.append({s.path: values[s.node] for s in program.states})
        if takes["noise"]:
            first.append({n.attrs["name"]: values[n] for n in program.noises})
        inputs = {i.name: values[i.node] for i in program.inputs}
        more = [work] if rows is None else [work, rows]
        given = [inputs[k] for k in takes["inputs"]]
        with np.errstate(all="ignore"):
            return self.scope["forward"](*first, *given, *more)

    def step(
        self,
        values: dict[Any, Any],
        sizes: dict[str, int],
        dtype: Any = float,
        work: Any = None,
        d_loss: float = 1.0,
    ) -> tuple[Any, dict[str, Any]]:
        """The loss and the gradients; the arrays are those of `work`."""
        work = self.buffers(sizes, dtype) if work is None else work
        assert self.work is not None
        rows = sizes[self.row_dim] if self.work["rows"] else None
        loss, saved, *_ = self.forward(values, work, rows)
        with np.errstate(all="ignore"):
            gradients = self.scope["backward"](saved, d_loss, work)
        return loss, gradients

    @property
    def row_dim(self) -> str:
        total = self.program.training.total
        assert total is not None and total.row_dim is not None
        return total.row_dim
